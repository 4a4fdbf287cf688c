"""Sign-in is slowed where it is guessed at, and nobody can lock out somebody else (SPEC S6, U6)."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.http import HttpRequest
from django.test import Client, RequestFactory

from mailboxes.limits import Limited, take
from mailboxes.models import RateLimit
from mailboxes.pages.client import client_address, source_of
from mailboxes.pages.signing_in import BY_NAME, BY_NAME_AND_NETWORK, BY_NETWORK, DEVICE_COOKIE
from tests.make import START

RIGHT = "the-right-one-of-stella"
URLS = ["/sign-in/", "/admin/login/"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def stella() -> User:
    return User.objects.create_superuser("stella", password=RIGHT)


def sign_in(name: str, password: str, client: Client | None = None, url: str = "/sign-in/") -> Any:
    return (client or Client()).post(url, {"username": name, "password": password})


def at(address: str) -> Client:
    return Client(REMOTE_ADDR=address)


@pytest.mark.parametrize("url", URLS)
def test_sec6_a_name_without_end_is_a_wrong_one_and_leaves_nothing_behind(url: str, stella: User) -> None:
    usual = sign_in("nobody", "wrong", at("198.51.100.1"), url)
    for number, name in enumerate(["n" * 150, "n" * 256, "n" * 9000, "\U0001f600" * 1000]):
        long = sign_in(name, "wrong", at(f"198.51.100.{number + 2}"), url)
        assert (long.status_code, b"429" in long.content) == (usual.status_code, False)
    assert all(len(row.key) == 64 for row in RateLimit.objects.all()), "a hash alone is kept"


@pytest.mark.parametrize("url", URLS)
def test_sec6_a_long_name_is_throttled_like_any(url: str) -> None:
    answers = [sign_in("n" * 256 + str(number), "wrong", None, url).status_code for number in range(40)]
    assert answers.count(200) <= BY_NETWORK.most and answers[-1] == 429
    assert RateLimit.objects.count() <= 2 * BY_NETWORK.most + 1


@pytest.mark.parametrize("url", [*URLS, "/recover/", "/administrator/x/", "/invitation/x/"])
def test_sec6_a_large_body_is_refused_before_it_is_read(url: str) -> None:
    answer = sign_in("n" * 2_400_000, "wrong", None, url)
    assert answer.status_code == 413 and not RateLimit.objects.exists()


def test_sec9_addresses_of_one_ipv6_network_count_together(stella: User) -> None:
    for number in range(BY_NAME_AND_NETWORK.most):
        assert sign_in("stella", "wrong", at(f"2001:db8:1:2::{number + 1:x}")).status_code == 200
    assert sign_in("stella", RIGHT, at("2001:db8:1:2:ffff::9")).status_code == 429
    assert sign_in("stella", RIGHT, at("2001:db8:1:3::1")).status_code == 302, "another network is not slowed"


def test_sec9_one_password_for_a_hundred_names_is_slowed() -> None:
    answers = [sign_in(f"name{number}", "Summer2026!").status_code for number in range(100)]
    assert answers.count(200) == BY_NETWORK.most and set(answers[BY_NETWORK.most :]) == {429}


def test_sec9_signing_in_to_an_own_account_gives_no_further_guesses(stella: User) -> None:
    User.objects.create_user("mallory", password="mallory-signs-in")
    for number in range(100):
        sign_in(f"name{number}", "Summer2026!")
        sign_in("mallory", "mallory-signs-in")
    assert sign_in("stella", "Summer2026!").status_code == 429


def test_sec9_a_name_guessed_at_from_everywhere_still_lets_its_owner_in(stella: User) -> None:
    for number in range(BY_NAME.most + 20):
        assert sign_in("stella", "wrong", at(f"10.9.{number}.1")).status_code == 200
    hostile = [sign_in("stella", "wrong", at("10.8.0.1")).status_code for _ in range(4)]
    assert hostile == [200, 200, 429, 429], "each further network has two tries and no eight"
    assert sign_in("stella", RIGHT, at("198.51.100.9")).status_code == 302


def test_sec9_a_known_device_gets_in_from_the_very_network_that_is_throttled(stella: User) -> None:
    mine = at("10.7.0.1")
    assert sign_in("stella", RIGHT, mine).status_code == 302
    assert mine.cookies[DEVICE_COOKIE]["httponly"] and mine.cookies[DEVICE_COOKIE]["samesite"] == "Lax"
    mine.post("/sign-out/")
    for _ in range(100):
        sign_in("stella", "wrong", at("10.7.0.1"))
    assert sign_in("stella", RIGHT, at("10.7.0.1")).status_code == 429
    assert sign_in("Stella", "wrong", mine).status_code == 200
    assert sign_in("stella", RIGHT, mine).status_code == 302


def test_sec9_a_device_proves_the_names_it_signed_in_to_and_no_other(stella: User) -> None:
    User.objects.create_user("mallory", password="mallory-signs-in")
    thief = at("10.7.0.2")
    assert sign_in("mallory", "mallory-signs-in", thief).status_code == 302
    thief.post("/sign-out/")
    answers = [sign_in("stella", "wrong", thief).status_code for _ in range(10)]
    assert answers.count(200) == BY_NAME_AND_NETWORK.most
    thief.cookies[DEVICE_COOKIE] = thief.cookies[DEVICE_COOKIE].value + "x"
    assert sign_in("stella", RIGHT, thief).status_code == 429, "a forged one proves nothing"


@pytest.mark.django_db(transaction=True)
def test_sec9_guesses_in_parallel_are_counted_before_they_are_made() -> None:
    User.objects.create_user("stella", password=RIGHT)
    together = threading.Barrier(24)

    def guess(_: int) -> int:
        try:
            together.wait(timeout=30)
            return int(sign_in("stella", "wrong").status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(guess, range(24)))
    assert (answers.count(200), answers.count(429)) == (BY_NAME_AND_NETWORK.most, 24 - BY_NAME_AND_NETWORK.most)


@pytest.mark.django_db(transaction=True)
def test_s4_a_limit_is_never_overdrawn_in_parallel() -> None:
    together = threading.Barrier(24)

    def one(_: int) -> bool:
        try:
            together.wait(timeout=30)
            take(BY_NETWORK, "203.0.113.9", START)
        except Limited:
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(24) as pool:
        taken = [*pool.map(one, range(24)), *pool.map(one, range(24))]
    assert taken.count(True) == BY_NETWORK.most


# ---- who is at the other end


def request(forwarded: str | None, connection: str = "10.0.0.1") -> HttpRequest:
    headers = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    return RequestFactory().get("/", REMOTE_ADDR=connection, **headers)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:51234", "203.0.113.7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ('"[2001:db8::7]"', "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("unknown", "10.0.0.1"),
        ("", "10.0.0.1"),
        ("1.2.3.4, garbage", "10.0.0.1"),
        ("9" * 5000, "10.0.0.1"),
        (None, "10.0.0.1"),
    ],
)
def test_sec9_behind_a_proxy_the_last_hop_is_the_client(header: str | None, found: str, settings: Any) -> None:
    settings.TRUSTED_PROXIES = 1
    assert str(client_address(request(header))) == found


def test_sec9_as_many_hops_are_believed_as_proxies_are_ours(settings: Any) -> None:
    header = "6.6.6.6, 203.0.113.7, 192.0.2.1"
    found = []
    for settings.TRUSTED_PROXIES in range(4):
        found.append(str(client_address(request(header))))
    assert found == ["10.0.0.1", "192.0.2.1", "203.0.113.7", "6.6.6.6"]


def test_sec9_who_has_no_address_shares_none_with_everybody(settings: Any, stella: User) -> None:
    """A Unix socket: spraying from there must not lock every name."""
    settings.TRUSTED_PROXIES = 0
    assert source_of(request(None, connection="")) is None
    nowhere = Client(REMOTE_ADDR="")
    for number, _ in itertools.product(range(10), range(9)):
        sign_in(f"name{number}", "wrong", nowhere)
    assert sign_in("stella", RIGHT, nowhere).status_code == 302
