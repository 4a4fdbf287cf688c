"""Incidents through the one door and the database, and what people read of them (SPEC H9, UX-3)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from mailboxes import clock, tasks
from mailboxes.health import versions
from mailboxes.health.explaining import explain
from mailboxes.health.incidents import effects, store
from mailboxes.health.incidents.values import Word
from mailboxes.health.record import record
from mailboxes.models import (
    AuditEntry,
    CheckState,
    Incident,
    LoginCount,
    LoginSample,
    Mailbox,
    OAuthClient,
    StaffAlarm,
    Version,
)
from mailboxes.reconnect.credentials import NewGrant, replace
from mailboxes.wire.values import Leg, Stage
from tests.make import BAD_CLIENT, REFUSED, START, evidence, make_mailbox, make_workspace, refuse, secret, state_of
from tests.pages.customers import customer

pytestmark = pytest.mark.django_db
NO_ROUTE = (Stage.CONNECT, "ENETUNREACH", "network is unreachable")


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def park(size: int, *, workspaces: int = 4, provider: str = "gmail", tag: str = "") -> list[Mailbox]:
    """Connected mailboxes of a provider, in several workspaces and mail domains."""
    spaces = [make_workspace() for _ in range(workspaces)]
    made = [
        make_mailbox(
            workspace=spaces[number % workspaces], provider=provider, address=f"a{number}{tag}@d{number % 7}{tag}.test"
        )
        for number in range(size)
    ]
    record([evidence(one, leg) for one in made for leg in (Leg.SMTP, Leg.IMAP)], now=START)
    return list(Mailbox.objects.filter(pk__in=[one.pk for one in made]).order_by("pk"))


def refuse_once(boxes: list[Mailbox], minutes: float) -> None:
    record([evidence(one, Leg.SMTP, REFUSED, at=at(minutes)) for one in boxes], now=at(minutes))


def statuses(boxes: list[Mailbox]) -> set[str]:
    return set(Mailbox.objects.filter(pk__in=[one.pk for one in boxes]).values_list("status", flat=True))


def open_incident(boxes: list[Mailbox], minutes: float = 1) -> Incident:
    refuse_once(boxes, minutes)
    return Incident.objects.get(phase="open")


def test_h9_a_wave_over_workspaces_opens_one_incident_and_flags_nobody() -> None:
    boxes = park(10)
    found = open_incident(boxes)
    assert (found.scope, found.leg, found.failure_class) == ("provider:google", "smtp", "login")
    assert (found.mailboxes, found.workspaces, found.started_at) == (10, 4, at(1))
    assert found.examples == [[REFUSED[2], 10]]
    for minutes in (3, 12, 14, 40):
        refuse_once(boxes, minutes)
    assert statuses(boxes) == {"suspect"}
    assert not Mailbox.objects.needing_reconnect().exists()


def test_h9_a_wave_of_one_workspace_is_flagged_as_one_case_and_is_no_incident() -> None:
    others = park(6, tag="o")
    boxes = park(10, workspaces=1)
    for minutes in (1, 2.25, 11.3):
        record([evidence(one, leg, at=at(minutes)) for one in others for leg in (Leg.SMTP, Leg.IMAP)], now=at(minutes))
        refuse_once(boxes, minutes)
    assert not Incident.objects.exists()
    assert statuses(boxes) == {"needs_reauth"}


def test_h9_those_flagged_in_the_quarter_of_an_hour_before_return_to_suspect() -> None:
    boxes = park(10)
    flagged_at = refuse(boxes[0], at=at(1))
    assert statuses(boxes[:1]) == {"needs_reauth"}
    later = (flagged_at - START) / timedelta(minutes=1) + 2
    refuse_once(boxes[1:], later)
    assert Incident.objects.filter(phase="open").exists()
    assert statuses(boxes) == {"suspect"}


def test_h9_the_end_tries_each_held_mailbox_once_within_minutes_and_a_pass_puts_it_back_to_work() -> None:
    boxes = park(10)
    open_incident(boxes)
    others = park(300, workspaces=5, tag="well")
    for minutes in (13, 14):
        record([evidence(one, Leg.SMTP, at=at(minutes)) for one in others], now=at(minutes))
    assert effects.look(at(14)) == 1
    assert not Incident.objects.exclude(phase="closed").exists()
    dues = [state_of(one).next_check_at for one in boxes]
    assert all(due is not None and at(14) <= due <= at(22) for due in dues) and len(set(dues)) > 5
    record([evidence(one, leg, at=at(20)) for one in boxes for leg in (Leg.SMTP, Leg.IMAP)], now=at(20))
    assert statuses(boxes) == {"connected"}


def test_h9_a_real_refusal_in_an_incident_is_flagged_after_it() -> None:
    boxes = park(10)
    row = open_incident(boxes)
    Incident.objects.filter(pk=row.pk).update(phase="closed", changed_at=at(30))
    for minutes in (31, 32.25):
        refuse_once(boxes[:1], minutes)
    assert statuses(boxes[:1]) == {"suspect"}
    refuse_once(boxes[:1], 41.5)
    assert statuses(boxes[:1]) == {"needs_reauth"}


def test_h9_a_candidate_pulls_the_checks_of_ten_others_forward() -> None:
    boxes = park(40)
    CheckState.objects.update(next_check_at=at(50))
    record([evidence(one, Leg.SMTP, at=at(1)) for one in boxes[3:]], now=at(1))
    CheckState.objects.update(next_check_at=at(50))
    refuse_once(boxes[:4], 2)
    assert Incident.objects.get().phase == "candidate"
    assert CheckState.objects.filter(next_check_at=at(2)).count() == 10


@pytest.mark.parametrize(("word", "status"), [(Word.REAL, "needs_reauth"), (Word.RELEASE, "suspect")])
def test_h9_a_persons_word_flags_the_held_ones_or_lets_them_go_one_by_one(
    word: Word, status: str, support: User
) -> None:
    boxes = park(10)
    row = open_incident(boxes)
    effects.say(row, word, acting_user_id=support.pk, now=at(5))
    assert statuses(boxes) == {status}
    assert AuditEntry.objects.filter(action=f"incident: {word.value}", actor=support).count() == 1
    for minutes in (6, 7.25, 16.5):
        refuse_once(boxes, minutes)
    assert statuses(boxes) == {"needs_reauth"}


def test_h9_no_way_out_to_several_providers_is_our_own_fault_and_moves_nobody() -> None:
    boxes = [one for name in ("gmail", "yahoo", "zoho_com") for one in park(4, provider=name, tag=name[0])]
    for minutes in (1, 1.2, 2, 3, 9, 20):
        now = at(minutes)
        record([evidence(one, leg, NO_ROUTE, at=now) for one in boxes for leg in (Leg.SMTP, Leg.IMAP)], now=now)
    assert statuses(boxes) == {"connected"}
    assert Incident.objects.get(phase="open").ours
    assert StaffAlarm.objects.get(closed_at__isnull=True).kind == "our_own_fault"


def test_h9_a_mistyped_password_says_nothing_of_a_provider() -> None:
    never_worked = [make_mailbox(provider="gmail") for _ in range(10)]
    refuse_once(never_worked, 1)
    assert not LoginSample.objects.exists() and not Incident.objects.exists()
    assert statuses(never_worked) == {"needs_reauth"}


def test_h9_an_open_incident_keeps_no_sample_of_each_failure() -> None:
    boxes = park(10)
    open_incident(boxes)
    before = LoginSample.objects.count()
    refuse_once(boxes, 5)
    assert LoginSample.objects.count() == before
    assert LoginCount.objects.filter(failure_class="login").count() >= 2


def test_h9_over_a_day_staff_are_told_once() -> None:
    boxes = park(10)
    row = open_incident(boxes)
    Incident.objects.filter(pk=row.pk).update(opened_at=at(-1500), word="hold")
    effects.look(at(10))
    effects.look(at(11))
    alarm = StaffAlarm.objects.get(kind="incident_over_a_day")
    assert (alarm.times_seen, "10 mailboxes" in alarm.text) == (1, True)


def test_h9_whoever_is_held_reads_that_there_is_nothing_to_do() -> None:
    boxes = park(10)
    open_incident(boxes)
    mailbox = Mailbox.objects.get(pk=boxes[0].pk)
    client = customer(mailbox.workspace)
    for url in (reverse("mailboxes"), reverse("mailbox", args=[mailbox.pk])):
        shown = client.get(url).content.decode()
        assert "Gmail has a problem at the moment. There is nothing for you to do." in shown
        assert "Reconnect Required" not in shown
    shown = client.get(reverse("mailbox", args=[mailbox.pk])).content.decode()
    assert "Did you change the password today?" in shown and "Update credentials" in shown


def test_h9_a_mailbox_of_another_provider_is_not_explained() -> None:
    boxes = park(10)
    open_incident(boxes)
    other = park(1, provider="yahoo", tag="y")
    for minutes in (2, 3.25):
        refuse_once(other, minutes)
    assert explain(list(Mailbox.objects.filter(pk=other[0].pk))) == {}


def test_ux3_our_expired_client_is_said_to_be_ours(support_client: Client) -> None:
    boxes = park(10)
    assert boxes and store.active() == []
    mailbox = make_mailbox(provider="outlook_com")
    mailbox = _with_grant(mailbox)
    record([evidence(mailbox, Leg.OAUTH, BAD_CLIENT)], now=START)
    words = "We have a problem with our connection to Outlook.com"
    shown = customer(mailbox.workspace).get(reverse("mailbox", args=[mailbox.pk])).content.decode()
    assert words in shown and "nothing for you to do" in shown and "Saved, and being checked" not in shown
    staff = support_client.get(reverse("admin:mailboxes_mailbox_change", args=[mailbox.pk])).content.decode()
    assert words in staff and "not yet proved" not in staff


def _with_grant(mailbox: Mailbox) -> Mailbox:
    values = {"token_url": "https://login.example.test/token", "client_secret": secret()}
    client = OAuthClient.objects.register("ours", values)
    replace(mailbox, NewGrant(client, secret()), acting_user=None, now=START)
    return Mailbox.objects.get(pk=mailbox.pk)


@pytest.mark.parametrize("word", ["hold", "release", "real"])
def test_h9_staff_decide_on_the_incidents_page(support_client: Client, word: str) -> None:
    row = open_incident(park(10))
    page = reverse("admin:mailboxes_incident_change", args=[row.pk])
    shown = support_client.get(page).content.decode()
    assert "Gmail" in shown or "google" in shown
    assert "First failure" in shown and REFUSED[2] in shown
    assert support_client.get(reverse(f"admin:incident_{word}", args=[row.pk])).status_code == 405
    assert support_client.post(reverse(f"admin:incident_{word}", args=[row.pk])).status_code == 302
    row.refresh_from_db()
    assert row.word == word


def test_h9_the_list_and_the_first_page_show_what_is_open(support_client: Client) -> None:
    open_incident(park(10))
    for url in (reverse("admin:mailboxes_incident_changelist"), reverse("admin:index")):
        assert "logins are refused (SMTP)" in support_client.get(url).content.decode()


def test_h9_a_wave_right_after_a_new_version_of_ours_is_ours_and_moves_nobody() -> None:
    boxes = park(10)
    Version.objects.create(fingerprint="old", began_at=at(-10_000))
    versions.note(at(-10))
    for minutes in (1, 2.25, 12):
        refuse_once(boxes, minutes)
    assert Incident.objects.get(phase="open").ours
    assert "new version of ours" in StaffAlarm.objects.get(kind="our_own_fault").text
    assert "needs_reauth" not in statuses(boxes)


@pytest.mark.parametrize(("began", "others"), [(-40, 1), (-10, 0)], ids=["half an hour ago", "the first one"])
def test_h9_an_old_version_and_the_first_one_are_not_suspected(began: float, others: int) -> None:
    boxes = park(10)
    for number in range(others):
        Version.objects.create(fingerprint=f"old{number}", began_at=at(-10_000))
    versions.note(at(began))
    assert not open_incident(boxes).ours


def test_h9_a_worker_writes_its_version_down_once() -> None:
    tasks.beat()
    tasks.beat()
    assert [row.fingerprint for row in Version.objects.all()] == [versions.fingerprint()]


def test_h9_while_our_way_out_is_cut_a_connected_mailboxs_owner_reads_that_it_is_ours() -> None:
    boxes = [one for name in ("gmail", "yahoo", "zoho_com") for one in park(4, provider=name, tag=name[0])]
    for minutes in (1, 1.2, 2):
        record([evidence(one, Leg.SMTP, NO_ROUTE, at=at(minutes)) for one in boxes], now=at(minutes))
    assert statuses(boxes) == {"connected"}
    shown = customer(boxes[0].workspace).get(reverse("mailbox", args=[boxes[0].pk])).content.decode()
    assert "We have a problem with our own connection" in shown and "Everything works" not in shown


def test_ux3_while_our_client_is_expired_a_connected_mailboxs_owner_reads_that_it_is_ours() -> None:
    mailbox = _with_grant(make_mailbox(provider="outlook_com"))
    record([evidence(mailbox, leg) for leg in Leg], now=START)
    record([evidence(mailbox, Leg.OAUTH, BAD_CLIENT, at=at(5))], now=at(5))
    assert statuses([mailbox]) == {"connected"}
    shown = customer(mailbox.workspace).get(reverse("mailbox", args=[mailbox.pk])).content.decode()
    assert "We have a problem with our connection to Outlook.com" in shown and "Everything works" not in shown


def test_ux3_one_customers_directory_without_our_app_says_nothing_to_the_others() -> None:
    mailbox, other = (_with_grant(make_mailbox(provider="outlook_com")) for _ in range(2))
    record([evidence(one, leg) for one in (mailbox, other) for leg in Leg], now=START)
    record([evidence(mailbox, Leg.OAUTH, BAD_CLIENT, at=at(5))], now=at(5))
    assert explain(list(Mailbox.objects.filter(pk=other.pk))) == {}
    record([evidence(mailbox, Leg.OAUTH, at=at(9))], now=at(9))
    assert explain(list(Mailbox.objects.filter(pk=mailbox.pk))) == {}


def test_x6_whoever_waits_since_a_host_blocks_our_address_reads_that_it_is_ours() -> None:
    blocked, other = make_mailbox(provider="gmail"), make_mailbox(provider="yahoo")
    record([evidence(one, leg) for one in (blocked, other) for leg in (Leg.SMTP, Leg.IMAP)], now=START)
    banned = (Stage.GREETING, "554", "554 Your IP address has been blocked")
    record([evidence(blocked, Leg.SMTP, banned, at=at(5))], now=at(5))
    Mailbox.objects.filter(pk=blocked.pk).update(throttled_until=clock.now() + timedelta(minutes=20))
    shown = customer(blocked.workspace).get(reverse("mailbox", args=[blocked.pk])).content.decode()
    assert "Gmail does not let us in at the moment. There is nothing for you to do." in shown
    assert explain(list(Mailbox.objects.filter(pk=other.pk))) == {}


def test_h9_where_one_provider_is_silent_a_few_of_the_others_are_asked_at_once() -> None:
    silent = park(10)
    others = [*park(6, provider="yahoo", tag="y"), *park(6, provider="zoho_com", tag="z")]
    record([evidence(one, Leg.SMTP, at=at(0.5)) for one in others], now=at(0.5))
    CheckState.objects.update(next_check_at=at(50))
    record([evidence(one, Leg.SMTP, NO_ROUTE, at=at(1)) for one in silent], now=at(1))
    assert CheckState.objects.filter(mailbox__in=others, next_check_at=at(1)).count() == 4


def test_h9_where_logins_are_refused_nobody_elses_are_tried() -> None:
    refused, others = park(10), park(6, provider="yahoo", tag="y")
    CheckState.objects.update(next_check_at=at(50))
    refuse_once(refused, 1)
    assert not CheckState.objects.filter(mailbox__in=others, next_check_at=at(1)).exists()
