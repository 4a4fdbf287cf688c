"""Campaigns, a pool and inboxes over real sockets, with a mailbox that breaks in the middle (issue 5, "Shows")."""

from __future__ import annotations

import pytest

from campaigns.changes import pause
from campaigns.held import held
from campaigns.models import Campaign, Lead
from mailboxes.health.due import check_mailboxes
from mailboxes.health.outgoing import Outgoing
from mailboxes.models import InMessage, Mailbox, OutMessage
from mailboxes.reconnect.credentials import Password, replace
from mailboxes.sandbox import replies
from mailboxes.sandbox.server import Sandbox
from mailboxes.states import Source, Status
from tests.make import Clock, make_outgoing, secret
from tests.post import arrived, connect, make_campaign, make_people, make_pool, make_workers, read, rounds, run, work
from warmup.models import Exchange

pytestmark = pytest.mark.django_db


def certain(mailbox: Mailbox, outgoing: Outgoing, clock: Clock) -> None:
    """H4: the worker logs in once more, ten minutes after the first refusal."""
    clock.move(minutes=11)
    check_mailboxes([mailbox.pk], Source.CHECK, outgoing)


def reconnect(mailbox: Mailbox, password: str, outgoing: Outgoing) -> None:
    replace(mailbox, Password(password), acting_user=None, now=outgoing.clock())
    check_mailboxes([mailbox.pk], Source.SAVE_TEST, outgoing)


def test_k2_k4_r5_a_mailbox_breaks_and_nothing_is_lost_or_sent_twice(sandbox: Sandbox, clock: Clock) -> None:
    team = make_workers(sandbox, 3)
    mailboxes = [mailbox for mailbox, _account in team]
    strangers = [mailbox for mailbox, _account in make_workers(sandbox, 2)]
    outgoing = make_outgoing(sandbox, clock)
    connect([*mailboxes, *strangers], outgoing)
    people = make_people(sandbox, 12)
    campaign = make_campaign(mailboxes, people)
    make_pool([*mailboxes, *strangers], clock.now)
    run(campaign, clock.now)
    rounds(outgoing, clock, 2, minutes=3)
    broken, account = team[0]
    begun = list(Lead.objects.filter(home=broken).values_list("email", flat=True))
    assert begun

    old, account.password = account.password, secret()
    rounds(outgoing, clock, 2, minutes=3)
    certain(broken, outgoing, clock)
    assert Mailbox.objects.get(pk=broken.pk).status == Status.NEEDS_REAUTH
    assert old != account.password
    sent_by_it = account.seen["delivered"], OutMessage.objects.filter(mailbox=broken, sent_at__isnull=False).count()

    # A lead answers meanwhile, and the answer is read on a telephone.
    sandbox.answer(begun[0], account.address, "Yes, tell me more.")
    account.folders["INBOX"][-1].flags.add("\\Seen")
    rounds(outgoing, clock, 4, minutes=10)
    clock.move(days=1, hours=1)
    rounds(outgoing, clock, 3, minutes=3)
    assert OutMessage.objects.filter(mailbox=broken, sent_at__isnull=False).count() == sent_by_it[1]
    first_written = Lead.objects.filter(campaign=campaign).exclude(email__in=begun)
    assert not first_written.filter(state=Lead.State.NEW).exists()
    assert set(first_written.values_list("home", flat=True)) <= {one.pk for one in mailboxes[1:]}
    assert set(Lead.objects.filter(email__in=begun).values_list("step", flat=True)) == {1}

    reconnect(broken, account.password, outgoing)
    work(outgoing)
    assert not OutMessage.objects.filter(mailbox=broken, created_at__gte=clock.now).exists(), "the gap is read first"
    rounds(outgoing, clock, 20, minutes=10)
    answer = InMessage.objects.get(mailbox=broken, from_address=begun[0])
    assert answer.seen and answer.kind == InMessage.Kind.MESSAGE
    assert Lead.objects.get(email=begun[0]).state == Lead.State.REPLIED
    everybody = arrived(sandbox, people)
    assert set(everybody.values()) == {1}
    for email in people:
        assert len(arrived(sandbox, [email])) == (1 if email == begun[0] else 2), email


def test_k3_a_campaign_whose_only_mailbox_breaks_is_held_and_resumes(sandbox: Sandbox, clock: Clock) -> None:
    [(mailbox, account)] = make_workers(sandbox, 1)
    outgoing = make_outgoing(sandbox, clock)
    connect([mailbox], outgoing)
    people = make_people(sandbox, 3)
    campaign = make_campaign([mailbox], people, steps=1)
    run(campaign, clock.now)
    rounds(outgoing, clock, 1, minutes=3)
    account.password = secret()
    rounds(outgoing, clock, 1, minutes=3)
    certain(mailbox, outgoing, clock)
    campaign.refresh_from_db()
    assert campaign.state == Campaign.State.RUNNING
    assert "Reconnect required" in held([campaign], clock.now)[campaign.pk].reason
    assert held([campaign], clock.now)[campaign.pk].since is not None

    reconnect(mailbox, account.password, outgoing)
    read(outgoing)
    assert held([campaign], clock.now) == {}
    rounds(outgoing, clock, 4, minutes=3)
    assert sorted(arrived(sandbox, people).values()) == [1, 1, 1]


def test_k3_a_campaign_that_a_person_paused_does_not_resume_by_itself(sandbox: Sandbox, clock: Clock) -> None:
    [(mailbox, account)] = make_workers(sandbox, 1)
    outgoing = make_outgoing(sandbox, clock)
    connect([mailbox], outgoing)
    people = make_people(sandbox, 3)
    campaign = make_campaign([mailbox], people, steps=1)
    run(campaign, clock.now)
    account.password = secret()
    rounds(outgoing, clock, 1, minutes=3)
    pause(campaign, acting_user=None, now=clock.now)
    reconnect(mailbox, account.password, outgoing)
    read(outgoing)
    rounds(outgoing, clock, 4, minutes=3)
    assert arrived(sandbox, people) == {}
    assert Mailbox.objects.can_send(clock.now).filter(pk=mailbox.pk).exists()


def test_k6_answers_automatic_replies_and_bounces_reach_their_leads(sandbox: Sandbox, clock: Clock) -> None:
    [(mailbox, _account)] = make_workers(sandbox, 1)
    outgoing = make_outgoing(sandbox, clock)
    connect([mailbox], outgoing)
    manners = ["answers", "away", "gone", "slow", "silent"]
    people = [make_people(sandbox, 1, manner)[0] for manner in manners]
    campaign = make_campaign([mailbox], people)
    run(campaign, clock.now)
    rounds(outgoing, clock, 6, minutes=2)
    states = dict(Lead.objects.filter(campaign=campaign).values_list("email", "state"))
    assert [states[email] for email in people] == ["replied", "active", "bounced", "active", "active"]
    assert campaign.workspace.suppressions.get().email == people[2]
    clock.move(days=1, minutes=5)
    rounds(outgoing, clock, 6, minutes=2)
    written = [len(arrived(sandbox, [email])) for email in people]
    assert written == [1, 2, 1, 2, 2]


def test_sec7_m4_mail5_forged_reports_and_our_own_copies_end_nobodys_sequence(sandbox: Sandbox, clock: Clock) -> None:
    """An attacker who knows the leads' addresses reports them all; the owner writes from a phone."""
    [(mailbox, account)] = make_workers(sandbox, 1)
    outgoing = make_outgoing(sandbox, clock)
    connect([mailbox], outgoing)
    people = make_people(sandbox, 3)
    campaign = make_campaign([mailbox], people)
    run(campaign, clock.now)
    rounds(outgoing, clock, 4, minutes=2)
    assert sorted(len(arrived(sandbox, [email])) for email in people) == [1, 1, 1]
    forged = (b"From: x\nMessage-ID: <made-up@evil.test>\n\n", b"From: y\n\n")
    for email, original in zip(people, forged, strict=False):
        account.deliver(replies.bounce(email, account.address, original))
    sent = sandbox.post_office.arrived[-1].raw
    account.receive(sent)
    account.receive(replies.answer(account.address, account.address, "Did you see my mail?", sent))
    rounds(outgoing, clock, 2, minutes=5)
    states = dict(Lead.objects.filter(campaign=campaign).values_list("email", "state"))
    assert [states[email] for email in people] == ["held", "held", "active"]
    assert not campaign.workspace.suppressions.exists()
    assert not OutMessage.objects.filter(bounced_at__isnull=False).exists()
    clock.move(days=1, minutes=5)
    rounds(outgoing, clock, 4, minutes=2)
    assert [len(arrived(sandbox, [email])) for email in people] == [1, 1, 2]


def test_w1_warm_up_mail_is_found_opened_rescued_from_junk_and_answered(sandbox: Sandbox, clock: Clock) -> None:
    pairs = [make_workers(sandbox, 1)[0] for _number in range(3)]
    for _mailbox, account in pairs:
        account.junks = lambda raw: b"X-Postmend" in raw and b"In-Reply-To" not in raw
    outgoing = make_outgoing(sandbox, clock)
    connect([mailbox for mailbox, _account in pairs], outgoing)
    pool = make_pool([mailbox for mailbox, _account in pairs], clock.now, answered_percent=100)
    rounds(outgoing, clock, 30, minutes=30)
    exchanges = Exchange.objects.filter(sender__pool=pool)
    assert exchanges.filter(is_answer=False, placement="junk", answered=True).exists()
    assert exchanges.filter(is_answer=True, placement="inbox").exists()
    assert not InMessage.objects.exclude(kind=InMessage.Kind.WARMUP).exists()
    read(outgoing)
    for _mailbox, account in pairs:
        assert account.folders["Junk"] == []
        assert all("\\Seen" in message.flags for message in account.folders["INBOX"])
