"""The connector's battery through the mailbox form: a clear error at the field, and nothing stored (SPEC S2, S3)."""

from __future__ import annotations

import pytest
from django.test import Client

from mailboxes.models import AuditEntry, Credential, Mailbox
from tests.admin.test_mailbox_admin import add, change, errors, working
from tests.wire.battery import BREAKS, HOSTS, PORTS

pytestmark = pytest.mark.django_db
NAMED = {"smtp_host": "smtp.example.com", "imap_host": "imap.example.com"}


@pytest.mark.parametrize("field", ["smtp_host", "imap_host"])
@pytest.mark.parametrize("host", HOSTS)
def test_s2_a_host_that_is_no_plain_name_is_refused_at_its_field(support_client: Client, field: str, host: str) -> None:
    found = errors(add(support_client, **NAMED | {field: host}))
    assert "host" in found[field] or "at most 253" in found[field]
    assert not Mailbox.objects.exists() and not Credential.objects.exists()


@pytest.mark.parametrize("field", ["smtp_port", "imap_port"])
@pytest.mark.parametrize("port", [*PORTS, -1])
def test_s2_a_port_that_is_not_for_mail_is_refused_at_its_field(support_client: Client, field: str, port: int) -> None:
    assert field in errors(add(support_client, **NAMED | {field: port}))
    assert not Mailbox.objects.exists() and not Credential.objects.exists()


@pytest.mark.parametrize(
    "field", ["new_password", "new_imap_password", "smtp_username", "imap_username", "imap_folder"]
)
@pytest.mark.parametrize("attack", BREAKS, ids=ascii)
def test_s3_a_control_character_is_refused_at_its_field(support_client: Client, field: str, attack: str) -> None:
    answer = add(support_client, **NAMED | {field: f"a{attack}b"})
    assert answer.status_code == 400 if attack == "\0" else field in errors(answer)  # no page reads a NUL (SEC-21)
    assert not Mailbox.objects.exists() and not Credential.objects.exists()


@pytest.mark.parametrize("value", ["127.0.0.1", "smtp.example.com:25"])
def test_s2_a_stored_mailbox_stays_as_it_is(support_client: Client, value: str) -> None:
    mailbox = working()
    before, entries = Mailbox.objects.filter(pk=mailbox.pk).values().get(), AuditEntry.objects.count()
    assert "smtp_host" in errors(change(support_client, mailbox, smtp_host=value))
    assert Mailbox.objects.filter(pk=mailbox.pk).values().get() == before
    assert AuditEntry.objects.count() == entries
