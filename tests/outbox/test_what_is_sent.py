"""Every kind of message that Postmend sends, as servers get it: whatever they offer (SRV-5, CODE-2)."""

from __future__ import annotations

import asyncio
from email.utils import formataddr

import pytest
from django.core.mail import EmailMultiAlternatives

from mailboxes.health.messages import to_itself
from mailboxes.health.targets import load
from mailboxes.models import CheckState, Mailbox, OutMessage
from mailboxes.outbox import operator, queue
from mailboxes.sandbox.faults import Fault, LegFault
from mailboxes.sandbox.post_office import Person
from mailboxes.wire.clean import BadText
from mailboxes.wire.runner import check
from tests.linter import faults, name_of, read, text_of
from tests.make import START
from tests.outbox.conftest import Desk
from tests.post import make_campaign, make_people, run, work
from tests.wire.test_mime import ODD, SCRIPTS

pytestmark = pytest.mark.django_db
OFFERS = {
    "nothing": (), "8BITMIME": ("8BITMIME",), "all": ("8BITMIME", "SMTPUTF8", "SIZE 10240000"), "SIZE alone": ("SIZE",),
}  # fmt: skip


def named(desk: Desk, name: str) -> None:
    Mailbox.objects.update(sender_name=name)
    desk.mailbox.refresh_from_db()


def got(desk: Desk) -> bytes:
    """The last message that the server took."""
    return desk.sandbox.post_office.arrived[-1].raw


@pytest.fixture(params=OFFERS.values(), ids=list(OFFERS))
def offering(desk: Desk, request: pytest.FixtureRequest) -> Desk:
    desk.account.smtp_offers = request.param
    return desk


@pytest.mark.parametrize("words", SCRIPTS.values(), ids=SCRIPTS)
def test_srv5_a_persons_message_of_any_script_is_right_whatever_the_server_offers(offering: Desk, words: str) -> None:
    named(offering, words)
    [person] = make_people(offering.sandbox, 1)
    body = f"{words * 9}\n{ODD}{words}\n"
    draft = queue.Draft(offering.mailbox, "reply", person, f"Re: {words * 3}", body, START, follows=("<a@b.test>",) * 9)
    [row] = queue.put([draft], offering.clock.now)
    offering.send()
    assert (offering.state(row), faults(got(offering))) == ("sent", [])
    message = read(got(offering))
    assert (message["Subject"], text_of(message)) == (f"Re: {words * 3}", body)
    assert name_of(got(offering)) == (words, offering.mailbox.address)


def test_srv5_a_campaigns_steps_are_right_with_links_and_pages(offering: Desk) -> None:
    named(offering, SCRIPTS["devanagari"])
    campaign = make_campaign([offering.mailbox], make_people(offering.sandbox, 1), track_opens=True)
    campaign.steps.filter(number=1).update(subject=SCRIPTS["arabic"], body=f"{SCRIPTS['greek']}\n\n{ODD}")
    run(campaign, offering.clock.now)
    work(offering.outgoing)
    row = OutMessage.objects.get()
    message = read(got(offering))
    assert (row.state, faults(got(offering))) == ("sent", [])
    assert message["List-Unsubscribe"] == row.headers["List-Unsubscribe"]
    assert message["X-Postmend"] == row.headers["X-Postmend"]
    assert text_of(message) == row.body and text_of(message, "html").strip() == row.html
    offering.clock.move(days=2)
    offering.read()
    work(offering.outgoing)
    assert faults(got(offering)) == []
    assert read(got(offering))["References"] == row.message_id


def test_srv5_warm_up_is_right(offering: Desk) -> None:
    draft = queue.Draft(offering.mailbox, "warmup", make_people(offering.sandbox, 1)[0], "Lunch?", "Today?\n", START)
    queue.put([draft], offering.clock.now)
    offering.send()
    assert faults(got(offering)) == []
    read(got(offering))


def test_srv5_the_test_message_to_oneself_is_right(offering: Desk) -> None:
    [subject] = load([offering.mailbox.pk], offering.clock.now)
    reports = asyncio.run(check(subject.target("", to_itself(subject)), offering.outgoing.mail))
    assert all(report.ok for report in reports)
    assert faults(got(offering)) == []
    assert read(got(offering))["To"] == offering.mailbox.address


# ---- what a server offers


@pytest.mark.parametrize(("offers", "state"), [((), "refused"), (("8BITMIME", "SMTPUTF8"), "sent")])
def test_srv5_an_address_of_another_script_goes_where_smtputf8_is_offered_and_else_is_refused_clearly(
    desk: Desk, offers: tuple[str, ...], state: str
) -> None:
    desk.account.smtp_offers = offers
    desk.sandbox.post_office.people["андрей@people.test"] = Person()
    row = desk.put("андрей@people.test")
    desk.send()
    found = OutMessage.objects.get(pk=row.pk)
    assert (found.state, desk.status()) == (state, "connected")
    if state == "sent":
        assert faults(got(desk), utf8=True) == []
    else:
        assert "SMTPUTF8" in found.text
        assert desk.taken(row) == 0
        state_now = CheckState.objects.get(mailbox=desk.mailbox)
        assert state_now.smtp["last_ok"] == desk.clock.now.isoformat(), "the login worked"


@pytest.mark.parametrize(("size", "state"), [("", "sent"), (" 0", "sent"), (" 50000", "sent"), (" 900", "refused")])
def test_srv5_a_message_larger_than_the_server_takes_is_not_sent_and_said(desk: Desk, size: str, state: str) -> None:
    desk.account.smtp_offers = (f"SIZE{size}",)
    [row] = queue.put([queue.Draft(desk.mailbox, "reply", "ann@x.test", "Hello", "word " * 300, START)], START)
    desk.send()
    found = OutMessage.objects.get(pk=row.pk)
    assert (found.state, "at most 900" in found.text) == (state, state == "refused")
    assert desk.status() == "connected"


def test_srv5_an_international_domain_is_written_to_by_its_a_label(desk: Desk) -> None:
    people = desk.sandbox.post_office.people
    people["ann@xn--bcher-kva.example"] = Person()
    row = desk.put("ann@bücher.example")
    desk.send()
    assert (desk.state(row), len(people["ann@xn--bcher-kva.example"].received)) == ("sent", 1)
    assert faults(got(desk)) == []


# ---- the operator's mail


def test_srv5_the_operators_mail_has_the_same_builder() -> None:
    words, to = SCRIPTS["cyrillic"], ["ann@x.test", "Bob <bob@bücher.example>"]
    mail = EmailMultiAlternatives(
        words, f"{words}\n{ODD}", formataddr((words, "no-reply@x.test")), to, headers={"X-A": "b"}
    )
    mail.attach_alternative(f"<p>{words}</p>", "text/html")
    made = list(operator.letters(mail))
    assert [one.recipient for one in made] == ["ann@x.test", "bob@xn--bcher-kva.example"]
    for one in made:
        message = read(one.body)
        assert (faults(one.body), message["Subject"], message["X-A"]) == ([], words, "b")
        assert text_of(message, "html").strip() == f"<p>{words}</p>"
    mail.subject = "a\nBcc: eve@x.test"
    with pytest.raises(BadText):
        list(operator.letters(mail))


# ---- the reply to the message


@pytest.mark.parametrize("reply", ["150 wait", "354 go on", "000 what", "999 what", "thank you"])
def test_srv7_what_is_no_refusal_after_the_dot_leaves_it_unknown_and_not_sent_again(desk: Desk, reply: str) -> None:
    desk.sandbox.set_fault(desk.account.address, Fault("odd", "Odd", smtp=LegFault(data=reply)))
    row = desk.put()
    desk.send()
    assert desk.state(row) == "unknown"


@pytest.mark.parametrize(("reply", "state"), [("452 4.3.1 later", "queued"), ("552 5.3.4 too large", "refused")])
def test_srv7_a_refusal_after_the_dot_is_one(desk: Desk, reply: str, state: str) -> None:
    desk.sandbox.set_fault(desk.account.address, Fault("no", "No", smtp=LegFault(data=reply)))
    row = desk.put()
    desk.send()
    assert desk.state(row) == state
