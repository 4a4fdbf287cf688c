"""How often strangers' servers are asked, and a mailbox is checked, by one person (SPEC S4, U3; FACTS C8)."""

from __future__ import annotations

import contextlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client

from mailboxes.health.outgoing import from_settings
from mailboxes.models import AskedCheck
from mailboxes.pages.credentials import LOOK_UP_PLACES
from mailboxes.reconnect.limits import CHECKS_BY_CUSTOMER, LOOKUPS
from tests.make import make_mailbox, make_member, make_workspace
from tests.pages.customers import broken

THREADS = 24


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.django_db
def test_sec15_signing_in_again_gives_no_further_look_ups() -> None:
    me = make_member(make_workspace())
    pages = [signed_in(me).get(f"/connect/?address=a{number}@gmail.com").content.decode() for number in range(12)]
    assert ["Too many addresses" in page for page in pages] == [False] * LOOKUPS.most + [True] * 2


@pytest.mark.django_db(transaction=True)
def test_sec15_look_ups_in_parallel_are_counted_one_by_one() -> None:
    client = signed_in(make_member(make_workspace()))
    together = threading.Barrier(THREADS)

    def look_up(number: int) -> bool:
        mine = Client()
        mine.cookies = client.cookies
        try:
            together.wait(timeout=30)
            return "Too many addresses" not in mine.get(f"/connect/?address=a{number}@gmail.com").content.decode()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(look_up, range(THREADS))).count(True) == LOOKUPS.most


@pytest.mark.django_db
def test_code15_slow_name_servers_keep_a_quarter_of_the_threads_at_most(settings: Any) -> None:
    """All places are taken: the form comes at once, to be filled by hand, and no name server is asked."""
    client = signed_in(make_member(make_workspace()))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent, contextlib.ExitStack() as busy:
        silent.bind(("127.0.0.1", 0))
        silent.setblocking(False)
        settings.MAIL_RESOLVER = f"127.0.0.1:{silent.getsockname()[1]}"
        from_settings.cache_clear()
        for _ in range(4):
            assert LOOK_UP_PLACES.acquire(blocking=False)
            busy.callback(LOOK_UP_PLACES.release)
        page = client.get("/connect/?address=anna@slow.example").content.decode()
        assert 'name="smtp_host"' in page
        assert "smtp.gmail.com" in client.get("/connect/?address=anna@gmail.com").content.decode()
        with pytest.raises(BlockingIOError):
            silent.recv(512)
    from_settings.cache_clear()
    assert LOOK_UP_PLACES.acquire(blocking=False), "each place is free again"
    LOOK_UP_PLACES.release()


@pytest.mark.django_db
def test_u3_a_customers_checks_are_limited_and_the_wait_is_told() -> None:
    mailbox = broken()
    client = signed_in(make_member(mailbox.workspace))
    for _ in range(CHECKS_BY_CUSTOMER.most):
        client.post(f"/mailboxes/{mailbox.pk}/check/")
        AskedCheck.objects.update(done_at=AskedCheck.objects.get(done_at__isnull=True).asked_at)
    page = client.post(f"/mailboxes/{mailbox.pk}/check/", follow=True).content.decode()
    assert "Too many checks of this mailbox: try again in 2 minutes" in page
    assert not AskedCheck.objects.filter(done_at__isnull=True).exists()
    other = make_mailbox(workspace=mailbox.workspace)
    client.post(f"/mailboxes/{other.pk}/check/")
    assert AskedCheck.objects.filter(mailbox=other).exists()
