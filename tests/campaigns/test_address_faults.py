"""A burst of "no such user" from one domain suppresses nobody, and is no mailbox's risk (SPEC H9, recipients' twin)."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import pytest

from campaigns.choosing import choose
from campaigns.models import AddressFault, Lead, LeadMessage, Suppression
from campaigns.taking import take
from mailboxes.diagnosis.values import Reply
from mailboxes.health import risk
from mailboxes.health.rules import diagnose
from mailboxes.models import Mailbox, OutMessage, StaffAlarm
from mailboxes.outbox import claim, settling
from mailboxes.wire.letters import Delivery, Fate
from mailboxes.wire.values import Leg, Report, Stage, Step
from tests.campaigns.desk import arrive, ready, turn
from tests.make import START, make_workspace
from tests.post import make_campaign, run

pytestmark = pytest.mark.django_db


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def written_to(workspaces: int, each: int, domain: str = "lying.test") -> list[Lead]:
    """So many workspaces with so many leads each at this domain, the first step sent to all."""
    for space in range(workspaces):
        emails = [f"w{space}lead{number}@{domain}" for number in range(each)]
        run(make_campaign(ready(make_workspace()), emails), START)
    for number in range(each):
        turn(at(3 * number))
    return list(Lead.objects.filter(email__endswith=domain).order_by("id"))


def bounce(leads: list[Lead], now: datetime) -> None:
    """All come back, and are taken note of together."""
    for lead in leads:
        arrive(lead, now, proved=True)
    take(now)


def states() -> Counter[str]:
    return Counter(Lead.objects.values_list("state", flat=True))


def test_h9_a_burst_from_one_domain_holds_the_leads_and_suppresses_nobody_from_the_first_on() -> None:
    leads = written_to(3, 3)
    for number, lead in enumerate(leads):
        bounce([lead], at(20 + number))
    assert states() == {"held": 9}
    assert not Suppression.objects.exists()
    assert not OutMessage.objects.filter(bounced_at__isnull=False).exists()
    alarm = StaffAlarm.objects.get()
    assert (alarm.kind, alarm.key) == ("recipients_said_not_to_exist", "lying.test")


def test_h9_a_day_later_they_go_on_by_themselves() -> None:
    bounce(written_to(3, 2), at(20))
    take(at(20 + 60 * 23))
    assert states() == {"held": 6}
    take(at(20 + 60 * 25))
    assert states() == {"active": 6}


def test_h9_whoever_bounces_again_after_it_is_gone_be_it_in_a_burst() -> None:
    leads = written_to(3, 2)
    bounce(leads, at(20))
    take(at(20 + 60 * 25))
    for minutes in (0, 3):
        turn(at(60 * 26 + minutes))
    assert OutMessage.objects.filter(state="sent").count() == 12, "the same step once more"
    bounce(leads, at(60 * 30))
    assert states() == {"bounced": 6}
    assert Suppression.objects.count() == 6


def test_h9_what_is_kept_of_faults_goes_after_eight_days() -> None:
    bounce(written_to(3, 2), at(20))
    take(at(20 + 60 * 25))
    assert AddressFault.objects.count() == 6
    take(at(60 * 24 * 9))
    assert not AddressFault.objects.exists()


@pytest.mark.parametrize(("workspaces", "each"), [(1, 9), (2, 4), (4, 1)], ids=["one's bad list", "two", "too few"])
def test_k6_one_workspaces_bad_list_and_a_few_dead_addresses_are_no_burst(workspaces: int, each: int) -> None:
    bounce(written_to(workspaces, each), at(30))
    assert states() == {"bounced": workspaces * each}
    assert Suppression.objects.count() == workspaces * each


def test_k6_what_a_large_domain_usually_returns_at_this_hour_is_no_burst() -> None:
    leads = written_to(4, 2)
    usual = [
        AddressFault(
            lead=leads[0], workspace_id=leads[0].campaign.workspace_id, domain="lying.test", at=at(20 - 1440 * day)
        )
        for day in range(1, 8)
        for _times in range(3)
    ]
    AddressFault.objects.bulk_create(usual)
    bounce(leads, at(20))  # eight, where three an hour are usual
    assert states() == {"bounced": 8}


def test_h9_other_domains_are_judged_apart() -> None:
    bounce(written_to(3, 2), at(20))
    others = written_to(1, 1, "honest.test")
    bounce(others, at(25))
    assert Lead.objects.get(pk=others[0].pk).state == "bounced"


def test_h9_a_mailbox_that_rests_because_of_it_goes_on() -> None:
    leads = written_to(3, 2)
    mailbox = OutMessage.objects.filter(lead_message__lead=leads[0]).latest("id").mailbox
    out = LeadMessage.objects.filter(lead=leads[0]).latest("id").out
    OutMessage.objects.bulk_create(
        [
            OutMessage(
                mailbox=mailbox, purpose="campaign", recipient="x@y.test", subject="s", body="b", thread="t",
                message_id=f"<m{number}@x>", state="sent", sent_at=START, created_at=START, due_at=START,
                bounced_at=at(1) if number < 2 else None,
            )
            for number in range(50)
        ]
    )  # fmt: skip
    bounce(leads[:2], at(20))  # the third and fourth of 52
    assert risk.assess([mailbox.pk], at(20)) == set() and Mailbox.objects.get(pk=mailbox.pk).risk_until is not None
    bounce(leads[2:], at(21))
    assert Mailbox.objects.get(pk=mailbox.pk).risk_until is None
    assert OutMessage.objects.get(pk=out.pk).bounced_at is None


def test_h9_a_refusal_while_sending_counts_as_well() -> None:
    text = "550 5.1.1 The email account that you tried to reach does not exist"
    failed = Step(Stage.RCPT, False, 1, "550 5.1.1", text)
    refused = Delivery(Fate.NOT_SENT, Report(Leg.SMTP, (failed,)))
    found = diagnose(Reply(text=text, leg=Leg.SMTP, stage=Stage.RCPT, code="550 5.1.1"))
    for space in range(3):
        run(make_campaign(ready(make_workspace()), [f"w{space}l{number}@lying.test" for number in range(2)]), START)
    for number in range(2):
        now = at(3 * number)
        choose(1000, now)
        lease, rows = claim.claim(1000, now)
        claim.hand_over([row.pk for row in rows], lease, now)
        settling.write([(row, settling.settle(row, refused, found, now)) for row in rows], now)
        take(now)
    assert states() == {"held": 6}
