"""The encrypted column: every trap of its base, on whichever database runs (SPEC S1; PITFALLS section 1)."""

from __future__ import annotations

import json

import pytest
from cryptography.fernet import InvalidToken
from django.core import serializers
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.db import connection
from django.db.models import F, Value
from django.db.models.functions import Coalesce
from django.test import override_settings

from mailboxes.models import Credential
from tests.make import make_mailbox, secret
from tests.secrets import leaks, leaks_in_database

pytestmark = pytest.mark.django_db


def stored() -> bytes:
    with connection.cursor() as cursor:
        cursor.execute("SELECT password FROM mailboxes_credential")
        return bytes(cursor.fetchone()[0])


def test_s1_a_secret_is_ciphertext_in_the_table() -> None:
    credential = make_mailbox().credential
    assert credential.password is not None
    assert credential.password.encode() not in stored()


def test_bulk_update_keeps_the_secret_and_not_the_sql_around_it() -> None:
    credentials = [make_mailbox().credential for _ in range(3)]
    wanted = [secret() for _ in credentials]
    for credential, password in zip(credentials, wanted, strict=True):
        credential.password = password
    Credential.objects.bulk_update(credentials, ["password"])
    assert [Credential.objects.get(pk=one.pk).password for one in credentials] == wanted


def test_an_expression_in_update_keeps_the_secret() -> None:
    credential = make_mailbox().credential
    before = credential.password
    Credential.objects.update(imap_password=Coalesce(F("imap_password"), F("password")))
    assert Credential.objects.get(pk=credential.pk).imap_password == before


def test_a_value_in_update_is_encrypted() -> None:
    credential, new = make_mailbox().credential, secret()
    Credential.objects.update(password=Value(new, output_field=Credential._meta.get_field("password")))
    assert Credential.objects.get(pk=credential.pk).password == new


def test_null_and_empty_are_kept() -> None:
    credential = make_mailbox().credential
    Credential.objects.update(password=None, imap_password="")
    credential.refresh_from_db()
    assert (credential.password, credential.imap_password) == (None, "")
    assert Credential.objects.filter(password__isnull=True).count() == 1


@pytest.mark.parametrize("lookup", ["password", "password__contains", "password__startswith", "password__in"])
def test_nothing_can_be_looked_up(lookup: str) -> None:
    with pytest.raises(FieldError):
        list(
            Credential.objects.filter(**{lookup: ["x"] if lookup.endswith("in") and "contains" not in lookup else "x"})
        )


def test_no_transform_can_be_asked_of_it() -> None:
    with pytest.raises(FieldError):
        list(Credential.objects.filter(password__year=2026))


def test_a_wrong_key_raises() -> None:
    make_mailbox()
    with override_settings(FERNET_KEYS=["another"]), pytest.raises(InvalidToken):
        Credential.objects.get()


def test_keys_rotate_without_downtime() -> None:
    password = make_mailbox().credential.password
    with override_settings(FERNET_KEYS=["new", "tests-only-fernet-key-one"]):
        credential = Credential.objects.get()
        assert credential.password == password
        credential.save(update_fields=["password"])
    with override_settings(FERNET_KEYS=["new"]):
        assert Credential.objects.get().password == password


def test_without_keys_nothing_falls_back_to_the_secret_key() -> None:
    make_mailbox()
    with override_settings(FERNET_KEYS=[]), pytest.raises(ImproperlyConfigured):
        Credential.objects.get()


def test_only_text_is_taken() -> None:
    credential = make_mailbox().credential
    credential.password = 1234  # type: ignore[assignment]
    with pytest.raises(TypeError):
        credential.save()


def test_s1_dumpdata_shows_no_secret() -> None:
    make_mailbox()
    dumped = serializers.serialize("json", Credential.objects.all())
    assert leaks(dumped) == []
    assert json.loads(dumped)[0]["fields"]["password"] == "[secret]"


@pytest.mark.plants_a_secret
def test_s1_the_search_of_the_tables_finds_a_planted_secret() -> None:
    mailbox = make_mailbox()
    type(mailbox).objects.filter(pk=mailbox.pk).update(hold_reason=secret())
    assert [leak for leak in leaks_in_database() if leak.startswith("mailboxes_mailbox:")]
