"""The last cap: whatever went wrong with the rules, so many flags in ten minutes and no more (SPEC H9)."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from mailboxes.health.incidents import effects
from mailboxes.health.incidents.cap import counted
from mailboxes.health.record import record
from mailboxes.health.thresholds import DEFAULT
from mailboxes.models import AuditEntry, Mailbox, StaffAlarm, Workspace
from mailboxes.models.sets import about_how_many
from mailboxes.wire.values import Leg
from tests.make import CERTAIN_AFTER, REFUSED, START, evidence, make_mailbox, make_workspace, state_of

pytestmark = pytest.mark.django_db
MANY = 27


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def scattered(size: int, workspace: Workspace | None = None, tag: str = "") -> list[Mailbox]:
    """Each of its own host: no incident explains them together."""
    made = [
        make_mailbox(
            workspace=workspace or make_workspace(),
            address=f"a@own{number}{tag}.test",
            smtp_host=f"smtp.own{number}{tag}.test",
            imap_host=f"imap.own{number}{tag}.test",
        )
        for number in range(size)
    ]
    record([evidence(one, leg) for one in made for leg in (Leg.SMTP, Leg.IMAP)], now=START)
    return made


def refuse_all(boxes: list[Mailbox], minutes: float) -> datetime:
    for after in CERTAIN_AFTER:
        now = at(minutes) + after
        record([evidence(one, Leg.SMTP, REFUSED, at=now) for one in boxes], now=now)
    return at(minutes) + CERTAIN_AFTER[-1]


def statuses() -> Counter[str]:
    return Counter(Mailbox.objects.values_list("status", flat=True))


def test_h9_no_more_than_twenty_are_flagged_at_once_and_the_others_stay_out_of_work() -> None:
    refuse_all(scattered(MANY), 1)
    assert statuses() == {"needs_reauth": 20, "suspect": MANY - 20}
    alarm = StaffAlarm.objects.get(kind="flag_cap", closed_at__isnull=True)
    assert alarm.times_seen == MANY - 20


def test_h9_a_capped_mailbox_is_tried_again_ten_minutes_later_and_not_at_once() -> None:
    now = refuse_all(scattered(MANY), 1)
    waiting = Mailbox.objects.filter(status="suspect")
    due = [state_of(one).next_check_at for one in waiting]
    assert all(at is not None and 8 <= (at - now) / timedelta(minutes=1) <= 12 for at in due)


def test_h9_ten_minutes_later_the_next_twenty_may_be_flagged() -> None:
    now = refuse_all(scattered(MANY), 1)
    later = now + timedelta(minutes=11)
    record([evidence(one, Leg.SMTP, REFUSED, at=later) for one in Mailbox.objects.filter(status="suspect")], now=later)
    assert statuses() == {"needs_reauth": MANY}


def test_h9_a_single_workspaces_wave_is_not_capped_and_leaves_the_cap_to_others() -> None:
    alone = scattered(MANY, make_workspace(), tag="w")
    others = scattered(5)
    refuse_all([*alone, *others], 1)
    assert statuses() == {"needs_reauth": MANY + 5}
    assert not StaffAlarm.objects.filter(kind="flag_cap").exists()


def test_h9_two_in_a_hundred_of_very_many_are_let_through() -> None:
    few, many = Counter({str(number): 1 for number in range(30)}), Counter({"one": 400, "two": 3})
    assert counted(few, DEFAULT) == 30
    assert counted(many, DEFAULT) == 3


def test_h9_staff_lift_the_cap_and_the_rest_is_flagged(admin_client: Client, admin_user: User) -> None:
    now = refuse_all(scattered(MANY), 1)
    StaffAlarm.objects.update(opened_at=now)
    alarm = StaffAlarm.objects.get(kind="flag_cap")
    listed = reverse("admin:mailboxes_staffalarm_changelist")
    admin_client.post(listed, {"action": "lift_cap", "_selected_action": [alarm.pk]})
    assert AuditEntry.objects.get(action="cap on flags lifted").actor == admin_user
    again = now + timedelta(seconds=30)
    record([evidence(one, Leg.SMTP, REFUSED, at=again) for one in Mailbox.objects.filter(status="suspect")], now=again)
    assert statuses() == {"needs_reauth": MANY}


def test_h9_the_caps_alarm_ends_half_an_hour_after_the_last_one() -> None:
    now = refuse_all(scattered(MANY), 1)
    effects.look(now + timedelta(minutes=29))
    assert StaffAlarm.objects.filter(kind="flag_cap", closed_at__isnull=True).exists()
    effects.look(now + timedelta(minutes=31))
    assert not StaffAlarm.objects.filter(kind="flag_cap", closed_at__isnull=True).exists()


def test_h9_the_number_of_mailboxes_is_counted_where_it_is_small() -> None:
    scattered(3)
    assert about_how_many(Mailbox) == 3
