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
from mailboxes.models import AuditEntry, CheckState, Mailbox, StaffAlarm, StatusChange, Workspace
from mailboxes.models.sets import about_how_many
from mailboxes.wire.values import Leg, Stage
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


def test_h9_a_capped_mailbox_is_spared_further_logins_and_one_that_is_locked_all_of_them() -> None:
    boxes = scattered(MANY)
    now = refuse_all(boxes, 1)
    waiting = list(Mailbox.objects.filter(status="suspect"))
    assert {state_of(one).next_check_at for one in waiting} == {now + timedelta(hours=1)}
    locked = (Stage.AUTH, "535 5.7.8", "535 5.7.8 Your account is temporarily locked")
    record([evidence(waiting[0], Leg.SMTP, locked, at=now)], now=now)
    assert state_of(waiting[0]).next_check_at is None


def test_h9_ten_minutes_later_the_next_ones_are_flagged_without_a_login() -> None:
    now = refuse_all(scattered(MANY), 1)
    effects.look(now + timedelta(minutes=9))
    assert statuses() == {"needs_reauth": 20, "suspect": MANY - 20}
    effects.look(now + timedelta(minutes=11))
    assert statuses() == {"needs_reauth": MANY}
    assert not CheckState.objects.filter(flag_waits=True).exists()


def test_h9_flags_by_a_persons_word_leave_the_cap_to_others() -> None:
    StatusChange.objects.bulk_create(
        StatusChange(
            mailbox=one, number=90, at=at(11), from_status="suspect", to_status="needs_reauth", source="incident"
        )
        for one in scattered(25, tag="word")
    )
    refuse_all(scattered(5), 1)
    assert statuses()["needs_reauth"] == 5


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
    effects.look(now + timedelta(seconds=30))
    assert statuses() == {"needs_reauth": MANY}


def test_h9_the_caps_alarm_ends_half_an_hour_after_the_last_one() -> None:
    now = refuse_all(scattered(MANY), 1)
    effects.look(now + timedelta(minutes=11))  # the last ones are flagged
    effects.look(now + timedelta(minutes=29))
    assert StaffAlarm.objects.filter(kind="flag_cap", closed_at__isnull=True).exists()
    effects.look(now + timedelta(minutes=31))
    assert not StaffAlarm.objects.filter(kind="flag_cap", closed_at__isnull=True).exists()


def test_h9_the_number_of_mailboxes_is_counted_where_it_is_small() -> None:
    scattered(3)
    assert about_how_many(Mailbox) == 3
