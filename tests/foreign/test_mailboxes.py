"""A mailbox of ours on Dovecot and Postfix, from broken to connected, by the batch that production runs."""

from __future__ import annotations

import pytest

from mailboxes.health.due import check_mailboxes
from mailboxes.health.outgoing import Outgoing
from mailboxes.models import Mailbox
from mailboxes.reconnect.credentials import Password, replace
from mailboxes.states import Source
from mailboxes.wire.runner import Bounds
from tests.foreign.conftest import Foreign
from tests.foreign.postfix import Postfix
from tests.foreign.test_postfix import place
from tests.make import START, Clock, make_mailbox, secret

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("foreign")]


def checked(mailbox: Mailbox, outgoing: Outgoing) -> Mailbox:
    check_mailboxes([mailbox.pk], Source.ASKED, outgoing)
    return Mailbox.objects.get(pk=mailbox.pk)


def test_h4_a_changed_password_is_flagged_and_the_new_one_clears_it(
    foreign: Foreign, postfix: Postfix, clock: Clock
) -> None:
    login, smtp, imap = foreign.login(), place(postfix), foreign.place("imap")
    connector = foreign.connector(foreign.dovecot.ports | postfix.ports)
    outgoing = Outgoing(mail=connector, tokens=connector, bounds=Bounds(), clock=clock)
    mailbox = make_mailbox(
        address=login.username, smtp_host=smtp.host, smtp_port=smtp.port, imap_host=imap.host, imap_port=imap.port
    )
    replace(mailbox, Password(login.secret), acting_user=None, now=START)
    clock.move(minutes=1)
    assert checked(mailbox, outgoing).status == "connected"

    changed = secret()
    foreign.dovecot.change(login.username, changed)
    clock.move(minutes=60)
    broken = checked(mailbox, outgoing)
    assert (broken.status, broken.category, broken.needs_reconnect) == ("suspect", "auth_failed", False)
    clock.move(minutes=10.5)  # H4: certain by now
    broken = checked(mailbox, outgoing)
    assert (broken.status, broken.category, broken.needs_reconnect) == ("needs_reauth", "auth_failed", True)

    replace(mailbox, Password(changed), acting_user=None, now=clock.move(minutes=1))
    clock.move(minutes=1)
    assert checked(mailbox, outgoing).status == "connected"
