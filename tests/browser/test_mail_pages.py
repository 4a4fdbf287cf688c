"""The mail pages at desktop and phone width, with data and empty, and by axe (SPEC U5, I3, K1, W1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from mailboxes.models import OutMessage
from tests.browser.test_customer_pages import look
from tests.make import make_member, make_workspace
from tests.pages.mail import break_down, campaign_of, full_workspace, letter, working, written

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser-pages"), pytest.mark.django_db(transaction=True)]
__all__ = ["look"]  # the fixture


def visit(look_at: Callable[..., None], user: User, made: dict[str, Any]) -> None:
    campaign, message = made["campaign"], made["message"]
    for place in (
        "/inbox/", "/inbox/?kind=bounce", "/inbox/?q=gladly", "/inbox/?page=2", f"/inbox/{message.pk}/", "/campaigns/",
        f"/campaigns/{campaign.pk}/", f"/campaigns/{campaign.pk}/?state=held", f"/campaigns/{campaign.pk}/edit/",
        f"/campaigns/{campaign.pk}/leads/", "/campaigns/suppressed/", "/warm-up/",
    ):  # fmt: skip
        look_at(place, user)


def test_u5_with_mail_campaigns_and_warm_up(look: Callable[..., None]) -> None:
    made = full_workspace(rows=55)
    visit(look, make_member(made["workspace"]), made)


def test_u5_with_broken_mailboxes_and_a_waiting_answer(look: Callable[..., None]) -> None:
    made = full_workspace(rows=3)
    message = made["message"]
    answer = written(made["anna"], message.from_address, "reply", state="queued", sent_at=None)
    OutMessage.objects.filter(pk=answer.pk).update(thread=message.thread)
    for mailbox in (made["anna"], made["ben"]):
        break_down(mailbox)
    visit(look, make_member(made["workspace"]), made)


def test_u5_with_nothing(look: Callable[..., None]) -> None:
    user = make_member(make_workspace())
    for place in (
        "/inbox/",
        "/inbox/?q=zebra",
        "/campaigns/",
        "/campaigns/new/",
        "/campaigns/suppressed/",
        "/warm-up/",
    ):
        look(place, user)
    mailbox = working()
    message, campaign = letter(mailbox, text="", subject="", from_name=""), campaign_of(mailbox.workspace)
    campaign.steps.all().delete()
    owner = make_member(mailbox.workspace)
    for place in (
        f"/inbox/{message.pk}/",
        f"/campaigns/{campaign.pk}/",
        f"/campaigns/{campaign.pk}/leads/",
        "/warm-up/",
    ):
        look(place, owner)
