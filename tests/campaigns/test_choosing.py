"""Who is written to, by whom, when; what stops it (K1, K2, K5, K6, H1). The database, and no network."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from itertools import pairwise

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from campaigns import importing
from campaigns.changes import CannotStart, pause, start, unsubscribe
from campaigns.choosing import choose
from campaigns.models import Campaign, Lead, LeadMessage, Step, Suppression
from campaigns.taking import take
from campaigns.tokens import opens_url, unsubscribe_url
from mailboxes.health import risk
from mailboxes.health.record import record
from mailboxes.models import InboxState, InMessage, Mailbox, OutMessage, Pace, Workspace
from mailboxes.outbox import claim, settling, unknown
from mailboxes.reconnect.removal import remove
from mailboxes.wire.letters import Delivery, Fate
from mailboxes.wire.values import Leg, Report, Stage
from mailboxes.wire.values import Step as WireStep
from tests.make import IMAP_REFUSED, START, caught_up, evidence, make_mailbox, make_workspace
from tests.post import make_campaign, run

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
SENT = Delivery(Fate.SENT, Report(Leg.SMTP, (WireStep(Stage.DATA, True, 1),)))


def ready(workspace: Workspace, amount: int = 1) -> list[Mailbox]:
    """Connected mailboxes, all read."""
    made = [make_mailbox(workspace=workspace) for _number in range(amount)]
    record([evidence(one, leg) for one in made for leg in (Leg.SMTP, Leg.IMAP)], now=START)
    for one in made:
        caught_up(one)
    return made


def leads(amount: int) -> list[str]:
    return [f"lead{number}@people.test" for number in range(amount)]


def deliver(now: datetime) -> int:
    """What is queued is sent, without a server."""
    InboxState.objects.update(complete_at=now)
    lease, rows = claim.claim(1000, now)
    claim.hand_over([row.pk for row in rows], lease, now)
    settling.write([(row, settling.settle(row, SENT, None, now)) for row in rows], now)
    take(now)
    return len(rows)


def turn(now: datetime) -> int:
    InboxState.objects.update(complete_at=now)
    choose(1000, now)
    return deliver(now)


def test_k5_messages_of_a_mailbox_are_spaced_with_jitter() -> None:
    [mailbox] = ready(make_workspace())
    run(make_campaign([mailbox], leads(30), steps=1, spacing_minutes=10), START)
    moments = [START + timedelta(seconds=30 * number) for number in range(400)]
    sent = [moment for moment in moments if turn(moment)]
    waits = {(after - before) / timedelta(minutes=1) for before, after in pairwise(sent)}
    assert len(sent) > 10 and 7 <= min(waits) < max(waits) <= 13.5 and len(waits) > 3


def test_e12_time_away_earns_no_credit() -> None:
    [mailbox] = ready(make_workspace())
    run(make_campaign([mailbox], leads(30), steps=1, spacing_minutes=10), START)
    turn(START)
    back = START + 5 * DAY
    assert [turn(back + timedelta(minutes=minute)) for minute in range(6)] == [1, 0, 0, 0, 0, 0]


def test_k5_the_daily_limit_counts_over_all_campaigns_of_a_mailbox() -> None:
    workspace = make_workspace()
    [mailbox] = ready(workspace)
    for number in range(2):
        run(make_campaign([mailbox], [f"{number}-{one}" for one in leads(9)], steps=1, daily_limit=5), START)
    sent = sum(turn(START + timedelta(minutes=3 * number)) for number in range(20))
    assert sent == 5
    assert turn(START + DAY) == 1


def test_k5_nothing_goes_out_of_the_window() -> None:
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], leads(2), steps=1, window_from=time(8), window_to=time(11), zone="Asia/Tokyo")
    run(campaign, START)  # 21:00 there
    assert turn(START) == 0
    assert turn(START + timedelta(hours=12)) == 1  # 9:00 there


def test_k2_leads_are_shared_fairly_between_mailboxes() -> None:
    mailboxes = ready(make_workspace(), 4)
    run(make_campaign(mailboxes, leads(40), steps=1), START)
    for number in range(12):
        turn(START + timedelta(minutes=3 * number))
    homes = [Lead.objects.filter(home=one).count() for one in mailboxes]
    assert sum(homes) == 40 and max(homes) - min(homes) <= 1


@pytest.mark.parametrize(("days", "after", "moves"), [(0, 0, True), (3, 2, False), (3, 3.1, True), (None, 80, False)])
def test_k2_a_conversation_moves_when_its_mailbox_is_away_too_long(days: int | None, after: float, moves: bool) -> None:
    one, other = ready(make_workspace(), 2)
    campaign = make_campaign([one, other], leads(1), move_after_days=days)
    run(campaign, START)
    turn(START)
    home = Lead.objects.get().home
    assert home is not None
    broken = START + 2 * DAY
    record([evidence(home, Leg.IMAP, IMAP_REFUSED, at=broken)], now=broken)
    turn(broken + after * DAY)
    lead = Lead.objects.get()
    assert (lead.step == 2, lead.home != home) == (moves, moves)


def test_c9_k2_conversations_of_a_removed_mailbox_move_at_once(support: User) -> None:
    one, other = ready(make_workspace(), 2)
    run(make_campaign([one, other], leads(1), move_after_days=None), START)
    turn(START)
    home = Lead.objects.get().home
    assert home is not None
    remove(home, acting_user=support, now=START)
    turn(START + DAY + timedelta(minutes=3))
    lead = Lead.objects.get()
    assert lead.step == 2 and lead.home in (one, other) and lead.home != home


def test_k2_what_waits_for_a_broken_mailbox_goes_to_others_where_nobody_was_written_to_yet() -> None:
    one, other = ready(make_workspace(), 2)
    run(make_campaign([one, other], leads(2), steps=1), START)
    choose(10, START)
    assert OutMessage.objects.filter(state="queued").count() == 2
    later = START + timedelta(minutes=3)
    record([evidence(one, Leg.IMAP, IMAP_REFUSED, at=later)], now=later)
    for number in range(4):
        turn(later + timedelta(minutes=3 * number))
    assert set(OutMessage.objects.filter(state="sent").values_list("mailbox", flat=True)) == {other.pk}
    assert Lead.objects.filter(state="finished", home=other).count() == 2
    assert OutMessage.objects.filter(state="cancelled").count() == 1


def test_k1_a_follow_up_stands_in_the_conversation_and_a_new_subject_begins_another() -> None:
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], leads(1), steps=2)
    Step.objects.create(campaign=campaign, number=3, wait_days=1, subject="Something else", body="Bye.")
    run(campaign, START)
    for day in range(3):
        turn(START + day * (DAY + timedelta(minutes=1)))
    first, second, third = OutMessage.objects.order_by("id")
    assert (second.in_reply_to, second.thread, second.subject) == (
        first.message_id,
        first.thread,
        f"Re: {first.subject}",
    )
    assert (third.in_reply_to, third.thread) == ("", third.message_id)


def test_k3_pausing_takes_back_what_has_not_gone_and_resuming_goes_on_once() -> None:
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], leads(1), steps=1)
    run(campaign, START)
    choose(10, START)
    pause(campaign, acting_user=None, now=START)
    assert deliver(START) == 0
    start(campaign, acting_user=None, now=START)
    later = START + timedelta(minutes=3)
    assert turn(later) == 1
    assert LeadMessage.objects.get().out.state == "sent"


@pytest.mark.parametrize("lacks", ["step", "mailbox", "leads"])
def test_k1_a_campaign_that_lacks_something_is_not_started(lacks: str) -> None:
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], leads(1))
    {"step": campaign.steps, "mailbox": campaign.mailboxes, "leads": campaign.leads}[lacks].all().delete()
    with pytest.raises(CannotStart, match=lacks):
        start(campaign, acting_user=None, now=START)
    campaign.refresh_from_db()
    assert campaign.state == Campaign.State.DRAFT


def test_s3_an_address_that_no_server_takes_keeps_nobody_else_waiting() -> None:
    mailboxes = ready(make_workspace(), 2)
    campaign = make_campaign(mailboxes, ['"a<b"@people.test', "ann@people.test"], steps=1)
    run(campaign, START)
    turn(START)
    states = dict(Lead.objects.values_list("email", "state"))
    assert states == {'"a<b"@people.test': "refused", "ann@people.test": "finished"}
    assert "plain address" in Lead.objects.get(state="refused").note
    found = importing.read(b'email\n"""c<d""@people.test"\n', campaign)
    assert [row.fault for row in found.bad] == ["This is no email address."]


# ---- unsubscribing


def test_k5_unsubscribing_takes_one_post_without_cookie_whatever_the_mailboxes_state() -> None:
    workspace = make_workspace()
    [mailbox] = ready(workspace)
    campaigns = [make_campaign([mailbox], ["ann@people.test"]) for _number in range(2)]
    for one in campaigns:
        run(one, START)
    turn(START)
    choose(10, START + timedelta(minutes=3))
    message = OutMessage.objects.get(state="sent")
    url = message.headers["List-Unsubscribe"].strip("<>")
    assert message.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    Mailbox.objects.update(status="needs_reauth")
    strict = Client(enforce_csrf_checks=True)
    path = "/" + url.split("/", 3)[3]
    assert strict.get(path).status_code == 200
    assert not Suppression.objects.exists(), "looking does nothing"
    for _time in range(2):
        done = strict.post(path, {"List-Unsubscribe": "One-Click"})
        assert (done.status_code, done.cookies) == (200, {})
    assert Suppression.objects.get().email == "ann@people.test"
    assert set(Lead.objects.values_list("state", flat=True)) == {"unsubscribed"}
    assert not OutMessage.objects.filter(state="queued").exists()


def test_k5_a_made_up_unsubscribe_address_is_told_politely() -> None:
    assert Client().get("/unsubscribe/1:made-up/").status_code == 404
    assert Client().post("/unsubscribe/1:made-up/").status_code == 404


def test_k5_whoever_is_suppressed_is_written_to_by_no_campaign_of_the_workspace() -> None:
    workspace = make_workspace()
    [mailbox] = ready(workspace)
    Suppression.objects.create(workspace=workspace, email="lead0@people.test")
    run(make_campaign([mailbox], leads(2), steps=1), START)
    for number in range(4):
        turn(START + timedelta(minutes=3 * number))
    assert list(OutMessage.objects.values_list("recipient", flat=True)) == ["lead1@people.test"]


def test_k5_somebody_who_unsubscribed_stays_so_when_they_answer() -> None:
    [mailbox] = ready(make_workspace())
    run(make_campaign([mailbox], leads(1)), START)
    turn(START)
    unsubscribe(Lead.objects.get(), START)
    InMessage.objects.create(
        mailbox=mailbox, identity="1", kind="message", role="inbox", uid=1, thread="t", arrived_at=START,
        answers=OutMessage.objects.get(), waits_for="campaign",
    )  # fmt: skip
    assert take(START) == 1
    assert Lead.objects.get().state == "unsubscribed"


def test_k7_opens_are_counted_only_where_the_campaign_wants_it() -> None:
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], leads(1))
    lead = campaign.leads.get()
    path = "/" + opens_url(lead).split("/", 3)[3]
    assert Client().get(path)["Content-Type"] == "image/gif"
    assert Lead.objects.get().opened_at is None
    Campaign.objects.update(track_opens=True)
    Mailbox.objects.update(status="error")
    Client().get(path)
    assert Lead.objects.get().opened_at is not None
    assert Client().get("/opened/nonsense.gif").status_code == 200
    run(campaign, START)
    Mailbox.objects.update(status="connected")
    turn(START)
    message = OutMessage.objects.get()
    assert path in message.html and unsubscribe_url(lead) in message.html


# ---- risk


def bounced(mailbox: Mailbox, sent: int, back: int, purpose: str = "campaign") -> None:
    OutMessage.objects.bulk_create(
        OutMessage(
            mailbox=mailbox, purpose=purpose, recipient=f"{number}@b.test", subject="s", body="b", state="sent",
            message_id=f"<{purpose}-{number}@x.test>", thread="t", sent_at=START, on_wire_at=START,
            bounced_at=START if number < back else None,
        )
        for number in range(sent)
    )  # fmt: skip


@pytest.mark.parametrize(("sent", "back", "rests"), [(49, 20, False), (50, 2, False), (50, 3, True), (100, 5, False)])
def test_k6_over_five_per_cent_of_fifty_rest_the_mailbox_as_a_risk(sent: int, back: int, rests: bool) -> None:
    [mailbox] = ready(make_workspace())
    bounced(mailbox, sent, back)
    assert bool(risk.assess([mailbox.pk], START)) is rests
    mailbox.refresh_from_db()
    assert (mailbox.status, mailbox.needs_reconnect) == ("connected", False)
    assert Mailbox.objects.can_send(START).exists() is not rests
    caught_up(mailbox, START + DAY)
    assert Mailbox.objects.can_send(START + DAY).exists()


def test_h1_risk_is_assessed_only_where_the_connection_holds() -> None:
    [mailbox] = ready(make_workspace())
    bounced(mailbox, 60, 30)
    record([evidence(mailbox, Leg.IMAP, IMAP_REFUSED, at=START + DAY)], now=START + DAY)
    assert risk.assess([mailbox.pk], START + DAY) == set()


def test_w2_warm_up_mail_that_comes_back_is_nobodys_risk() -> None:
    [mailbox] = ready(make_workspace())
    bounced(mailbox, 60, 30, purpose="warmup")
    assert risk.assess([mailbox.pk], START) == set()


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


# ---- cost


def statements(queries: CaptureQueriesContext) -> int:
    """How many there were; many rows go in in pieces where the database bounds its parameters (SQLite): one of them."""
    texts = [query["sql"] for query in queries]
    inserts = {text.split("(")[0] for text in texts if text.startswith("INSERT")}
    return len([text for text in texts if not text.startswith("INSERT")]) + len(inserts)


def test_choosing_claiming_and_settling_cost_the_same_queries_for_ten_and_a_thousand() -> None:
    counts = []
    for amount in (10, 1000):
        workspace = make_workspace()
        made = Mailbox.objects.bulk_create(
            Mailbox(workspace=workspace, address=f"m{amount}-{n}@x.test", status="connected", status_since=START)
            for n in range(amount)
        )
        InboxState.objects.bulk_create(InboxState(mailbox=one, complete_at=START) for one in made)
        Pace.objects.bulk_create(Pace(mailbox=one, next_send_at=START) for one in made)
        run(make_campaign(made, [f"{amount}-{one}" for one in leads(amount)], steps=1), START)
        with CaptureQueriesContext(connection) as queries:
            assert choose(2000, START) == amount
            assert deliver(START) == min(amount, 1000)
        counts.append(statements(queries))
    assert counts[0] == counts[1]


# ---- what a review found


def on_wire(now: datetime) -> OutMessage:
    """The one message that waits is handed over to its server."""
    lease, [row] = claim.claim(10, now)
    claim.hand_over([row.pk], lease, now)
    return row


def put_off(row: OutMessage, now: datetime) -> None:
    step = WireStep(Stage.RCPT, False, 1, "450 4.2.0", "450 4.2.0 later")
    again = settling.Settled("queued", now, text=step.text)
    settling.write([(row, again)], now)


@pytest.mark.parametrize("leaves", ["unsubscribes", "is paused"])
def test_k5_k3_what_comes_back_from_the_wire_goes_out_no_more_where_it_was_taken_back(leaves: str) -> None:
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], leads(1), steps=1)
    run(campaign, START)
    choose(10, START)
    row = on_wire(START)
    if leaves == "unsubscribes":
        unsubscribe(Lead.objects.get(), START)
    else:
        pause(campaign, acting_user=None, now=START)
    put_off(row, START)
    take(START)
    assert OutMessage.objects.get().state == "cancelled"
    assert turn(START + timedelta(hours=1)) == 0
    assert Lead.objects.get().state == ("unsubscribed" if leaves == "unsubscribes" else "new")


def test_k4_an_unknown_message_of_somebody_who_left_is_not_sent_again() -> None:
    [mailbox] = ready(make_workspace())
    run(make_campaign([mailbox], leads(1), steps=1), START)
    choose(10, START)
    row = on_wire(START)
    settling.write([(row, settling.Settled("unknown"))], START)
    unsubscribe(Lead.objects.get(), START)
    unknown.missing([row.message_id], START + timedelta(hours=1))
    assert OutMessage.objects.get().state == "cancelled"


def test_k5_a_refusal_that_comes_late_leaves_who_unsubscribed_as_they_are() -> None:
    [mailbox] = ready(make_workspace())
    run(make_campaign([mailbox], leads(1), steps=1), START)
    choose(10, START)
    row = on_wire(START)
    unsubscribe(Lead.objects.get(), START)
    settling.write([(row, settling.Settled("refused", text="550 5.1.1 no"))], START)
    take(START)
    assert Lead.objects.get().state == "unsubscribed"


def test_k1_a_subject_that_its_fields_make_too_long_is_cut() -> None:
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], leads(1), steps=1)
    Step.objects.filter(campaign=campaign).update(subject="{{ company }} {{ company }}")
    Lead.objects.update(fields={"company": "x" * 500})
    run(campaign, START)
    assert turn(START) == 1
    assert len(OutMessage.objects.get().subject) == 500


def test_k5_a_campaign_at_its_limit_does_not_keep_another_ones_conversations_waiting() -> None:
    workspace = make_workspace()
    [mailbox] = ready(workspace)
    small = make_campaign([mailbox], ["small@people.test"], daily_limit=2)
    large = make_campaign([mailbox], ["large@people.test"])
    for one in (small, large):
        run(one, START)
    turn(START)
    turn(START + timedelta(minutes=3))
    Lead.objects.update(due_at=START)
    assert turn(START + timedelta(minutes=6)) == 1
    assert OutMessage.objects.order_by("-id")[0].recipient == "large@people.test"
