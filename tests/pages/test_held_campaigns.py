"""A campaign is held whenever none of its mailboxes can send, and says why (SPEC K3)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns.held import held, where_held
from campaigns.models import Campaign
from mailboxes.models import Mailbox
from tests.pages.customers import customer, text
from tests.pages.mail import campaign_of, working

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("resting_until", "At its sending limit"),
        ("risk_until", "Too many bounces"),
        ("throttled_until", "Its mail server wants a pause"),
    ],
)
def test_k3_a_campaign_whose_mailboxes_all_rest_is_held_with_the_reason(column: str, words: str) -> None:
    mailbox = working()
    campaign = campaign_of(mailbox.workspace, mailbox, leads=1, state="running")
    assert held([campaign]) == {}
    later = timezone.now() + timedelta(hours=1)
    Mailbox.objects.filter(pk=mailbox.pk).update(**{column: later})
    page = text(customer(mailbox.workspace).get(f"/campaigns/{campaign.pk}/"))
    assert ">Held<" in page and f"cannot send at the moment ({words})" in page
    assert list(where_held(Campaign.objects.all())) == [campaign]


def test_k3_a_campaign_whose_mailbox_reads_the_gap_first_says_so() -> None:
    mailbox = working()
    campaign = campaign_of(mailbox.workspace, mailbox, leads=1, state="running")
    Mailbox.objects.filter(pk=mailbox.pk).update(status_since=timezone.now() + timedelta(minutes=1))
    assert "Reads first what has arrived" in held([campaign])[campaign.pk].reason


def test_k3_one_mailbox_that_can_send_is_enough() -> None:
    mailbox = working()
    rests = working(mailbox.workspace)
    Mailbox.objects.filter(pk=rests.pk).update(resting_until=timezone.now() + timedelta(hours=1))
    campaign = campaign_of(mailbox.workspace, mailbox, rests, leads=1, state="running")
    assert held([campaign]) == {} and not where_held(Campaign.objects.all()).exists()
