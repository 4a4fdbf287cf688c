"""Tests are limited per address, user, workspace, host and source, and the limit is told (SPEC S4, U3)."""

from __future__ import annotations

from typing import Any

import pytest

from mailboxes.models import Candidate, Trial, Workspace
from mailboxes.reconnect.credentials import Password
from mailboxes.reconnect.limits import (
    PER_ADDRESS,
    PER_HOST,
    PER_SOURCE,
    PER_USER,
    PER_WORKSPACE,
    Limited,
    Window,
)
from mailboxes.reconnect.trials import Wish, begin
from tests.make import START, Clock, make_member, make_workspace, secret

pytestmark = pytest.mark.django_db


def place(host: str) -> dict[str, Any]:
    return {"wants_smtp": True, "smtp_host": f"smtp.{host}", "wants_imap": True, "imap_host": f"imap.{host}"}


def wish(workspace: Workspace, number: int, **same: str) -> Wish:
    """The test number so-and-so: all differs from the one before, but what is the same."""
    return Wish(
        workspace,
        same.get("address", f"box{number}@example.test"),
        place(same.get("host", f"host{number}.test")),
        Password(secret()),
        source_ip=same.get("source", f"203.0.113.{number % 250}"),
    )


@pytest.mark.parametrize(
    ("window", "same", "whose"),
    [
        (PER_ADDRESS, {"address": "anna@example.test"}, "of this mailbox"),
        (PER_USER, {}, "by you"),
        (PER_HOST, {"host": "one.test"}, "of this mail server"),
        (PER_SOURCE, {"source": "198.51.100.7"}, "from your network"),
    ],
)
def test_s4_one_test_too_many_is_refused_and_the_wait_is_told(
    window: Window, same: dict[str, str], whose: str, clock: Clock
) -> None:
    workspace = make_workspace()
    me = make_member(workspace)
    for number in range(window.most):
        user = me if not same or "address" in same else make_member(workspace)
        begin(wish(workspace, number, **same), acting_user=user, now=clock())
    before = Trial.objects.count()
    with pytest.raises(Limited) as limited:
        begin(wish(workspace, 900, **same), acting_user=me, now=clock())
    assert whose in limited.value.words(clock()) and "try again in" in limited.value.words(clock())
    assert limited.value.until == START + window.within
    assert Trial.objects.count() == Candidate.objects.count() == before, "nothing of it is kept"
    clock.move(seconds=window.within.total_seconds())
    begin(wish(workspace, 900, **same), acting_user=me, now=clock())


def test_s4_a_workspace_has_its_number_of_tests_a_day(clock: Clock) -> None:
    workspace = make_workspace()
    for number in range(PER_WORKSPACE.most):
        begin(wish(workspace, number), acting_user=make_member(workspace), now=clock())
    with pytest.raises(Limited, match="in your workspace"):
        begin(wish(workspace, 901), acting_user=make_member(workspace), now=clock())


def test_s4_tests_that_passed_do_not_count_against_the_person(clock: Clock) -> None:
    workspace = make_workspace()
    me = make_member(workspace)
    for number in range(PER_USER.most):
        begin(wish(workspace, number), acting_user=me, now=clock())
    Trial.objects.update(verdict="passed")
    begin(wish(workspace, 902), acting_user=me, now=clock())
