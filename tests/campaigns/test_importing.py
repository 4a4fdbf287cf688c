"""Leads from a file (K1)."""

from __future__ import annotations

import pytest

from campaigns import importing
from campaigns.models import Step
from tests.campaigns.desk import ready
from tests.make import START, make_workspace
from tests.post import make_campaign

pytestmark = pytest.mark.django_db


# ---- import

FILE = (
    "Email;First name;Company\n"
    "ann@b.test;Ann;Elm\nANN@b.test;Ann;Elm\nnot an address;Bo;Elm\n;Cy;Elm\nünder@b.test;Dee;Elm\n"
    "fay@b.test;Fay\ngus@b.test;;Oak\n"
)


def test_k1_a_dry_run_says_what_is_wrong_with_each_row_and_changes_nothing() -> None:
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], [])
    Step.objects.filter(campaign=campaign, number=1).update(body="{{ first_name }}, {{ company|you }}")
    found = importing.read(FILE.encode(), campaign)
    assert [row.email for row in found.good] == ["ann@b.test", "fay@b.test"]
    faults = {row.line: row.fault for row in found.bad}
    assert sorted(faults) == [3, 4, 5, 6, 8]
    assert "twice" in faults[3] and "no email" in faults[4] and "missing" in faults[5] and "ASCII" in faults[6]
    assert "first_name" in faults[8]
    assert not campaign.leads.exists()


def test_k1_an_import_keeps_the_good_rows_in_their_order_and_twice_is_once() -> None:
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], ["old@b.test"])
    for _time in range(2):
        importing.keep(FILE.encode("utf-8-sig"), campaign, START)
    kept = [(lead.place, lead.email) for lead in campaign.leads.order_by("place")]
    assert kept == [(1, "old@b.test"), (2, "ann@b.test"), (3, "fay@b.test"), (4, "gus@b.test")]
    assert campaign.leads.get(email="ann@b.test").fields == {"first_name": "Ann", "company": "Elm"}


ENDLESS = b'email\n"' + b"x" * 200_000


@pytest.mark.parametrize(
    "data", [b"", b"name\nAnn\n", "email\nä".encode("latin-1"), b"email,email\n", b"email\n\0", ENDLESS]
)
def test_k1_a_file_that_cannot_be_read_is_refused_whole(data: bytes) -> None:
    [mailbox] = ready(make_workspace())
    with pytest.raises(importing.Unreadable):
        importing.read(data, make_campaign([mailbox], []))
