"""`manage.py rotate_keys`: every stored secret comes under the newest key while work goes on (SPEC S1, O7; SEC-12)."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection, connections, models
from django.utils import timezone

from mailboxes.models import AuditEntry, Candidate, CodeDevice, Credential, OAuthClient, Trial
from mailboxes.models.fields import SecretTextField, cipher
from tests.make import make_mailbox, make_workspace, secret
from tests.secrets import leaks

OLD, NEW, LOST = "tests-only-fernet-key-one", "tests-only-fernet-key-two", "tests-only-fernet-key-lost"
WRITERS, ROWS_EACH = 3, 15


@pytest.fixture(autouse=True)
def keys(settings: Any) -> Any:
    """Secrets of before are under the old key: a test puts the new one in front."""
    settings.FERNET_KEYS = [OLD]
    return settings


def rotate(*options: str) -> list[dict[str, Any]]:
    """Run the command; what it printed for programs. Progress goes elsewhere."""
    out, progress = io.StringIO(), io.StringIO()
    try:
        call_command("rotate_keys", "--json", *options, stdout=out, stderr=progress)
    finally:
        assert leaks(out.getvalue() + progress.getvalue()) == []
    return [json.loads(line) for line in out.getvalue().splitlines()]


def total(lines: list[dict[str, Any]], what: str) -> int:
    return sum(line.get(what, 0) for line in lines)


def tables() -> Iterator[tuple[type[models.Model], list[str]]]:
    for model in apps.get_models(include_auto_created=True):
        names = [field.name for field in model._meta.local_concrete_fields if isinstance(field, SecretTextField)]
        if names:
            yield model, names


def secrets_now() -> dict[tuple[str, Any, str], str]:
    """Every secret in the database, decrypted, by table, row and column."""
    return {
        (model._meta.label, row["pk"], name): row[name]
        for model, names in tables()
        for row in model._base_manager.values("pk", *names)
        for name in names
        if row[name] is not None
    }


def ciphertext(pk: int) -> bytes:
    with connection.cursor() as cursor:
        cursor.execute("SELECT password FROM mailboxes_credential WHERE id = %s", [pk])
        return bytes(cursor.fetchone()[0])


def write_as_it_was(pk: int, password: str, key: str = OLD) -> None:
    """What a process does that was not restarted yet: it encrypts with the key that it knows."""
    taken = connection.Database.Binary(cipher((key,)).encrypt(password.encode()))  # type: ignore[attr-defined]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE mailboxes_credential SET password = %s WHERE id = %s", [taken, pk])


def one_of_each() -> None:
    user = User.objects.create_user("staff")
    client = OAuthClient.objects.create(name="c", token_url="https://t.test", client_id="x", client_secret=secret())
    CodeDevice.objects.create(user=user, name="x", key=CodeDevice.new_key())
    mailbox = make_mailbox()
    Credential.objects.filter(mailbox=mailbox).update(
        imap_password=secret(), refresh_token=secret(), access_token=secret(), oauth_client=client
    )
    trial = Trial.objects.create(workspace=mailbox.workspace, address="a@b.test")
    Candidate.objects.create(
        trial=trial, expires_at=timezone.now(), password=secret(), imap_password=secret(), refresh_token=secret(),
        access_token=secret(),
    )  # fmt: skip


@pytest.mark.django_db
def test_sec12_s1_every_secret_of_every_table_comes_under_the_first_key(keys: Any) -> None:
    one_of_each()
    before = secrets_now()
    known = {(model._meta.label, name) for model, names in tables() for name in names}
    assert {(label, name) for label, _pk, name in before} == known, "this test lacks a column of secrets"
    keys.FERNET_KEYS = [NEW, OLD]
    assert total(rotate(), "done") == len(before)
    keys.FERNET_KEYS = [NEW]
    assert secrets_now() == before
    assert AuditEntry.objects.get(action="secrets encrypted anew").detail.startswith(f"{len(before)} ")


@pytest.mark.django_db
def test_sec12_o7_a_second_run_changes_nothing(keys: Any) -> None:
    credential = make_mailbox().credential
    keys.FERNET_KEYS = [NEW, OLD]
    rotate()
    before = ciphertext(credential.pk)
    again = rotate()
    assert (total(again, "done"), total(again, "current"), ciphertext(credential.pk)) == (0, 1, before)
    assert AuditEntry.objects.filter(action="secrets encrypted anew").count() == 1


@pytest.mark.django_db
def test_sec12_o7_a_run_that_was_cut_off_is_continued(keys: Any) -> None:
    workspace = make_workspace()
    for _ in range(5):
        make_mailbox(workspace=workspace)
    before = secrets_now()
    keys.FERNET_KEYS = [NEW, OLD]
    with pytest.raises(KeyboardInterrupt), connection.execute_wrapper(_Stopping(after=3)):
        rotate("--batch", "2")
    lines = rotate("--batch", "2")
    assert (total(lines, "done"), total(lines, "current")) == (2, 3)
    keys.FERNET_KEYS = [NEW]
    assert secrets_now() == before


class _Stopping:
    """Ctrl-C at a row's statement."""

    def __init__(self, after: int) -> None:
        self._left = after

    def __call__(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE"):
            if self._left == 0:
                raise KeyboardInterrupt
            self._left -= 1
        return execute(sql, *rest)


@pytest.mark.django_db
def test_sec12_what_no_key_opens_is_named_and_stops_nothing(keys: Any) -> None:
    lost, fine = make_mailbox().credential, make_mailbox().credential
    write_as_it_was(lost.pk, secret(), LOST)
    keys.FERNET_KEYS = [NEW, OLD]
    out = io.StringIO()
    with pytest.raises(CommandError, match="1 secret cannot be read"):
        call_command("rotate_keys", "--json", stdout=out, stderr=io.StringIO())
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert {"table": "mailboxes.Credential", "id": lost.pk, "unreadable_columns": ["password"]} in lines
    assert (total(lines, "done"), total(lines, "unreadable")) == (1, 1)
    keys.FERNET_KEYS = [NEW]
    assert Credential.objects.get(pk=fine.pk).password


@pytest.mark.django_db
def test_sec12_a_dry_run_counts_and_changes_nothing(keys: Any) -> None:
    credential = make_mailbox().credential
    before = ciphertext(credential.pk)
    keys.FERNET_KEYS = [NEW, OLD]
    assert total(rotate("--dry-run"), "done") == 1
    assert ciphertext(credential.pk) == before


@pytest.mark.django_db
def test_sec12_people_read_counts_and_progress(keys: Any) -> None:
    make_mailbox()
    keys.FERNET_KEYS = [NEW, OLD]
    out, progress = io.StringIO(), io.StringIO()
    call_command("rotate_keys", stdout=out, stderr=progress)
    assert "mailboxes.Credential: 1 encrypted anew, 0 already current, 0 unreadable" in out.getvalue()
    assert "mailboxes.Credential: 1 row" in progress.getvalue()


@pytest.mark.django_db
def test_sec12_a_batch_of_none_is_refused() -> None:
    with pytest.raises(CommandError, match="--batch"):
        rotate("--batch", "0")


@pytest.mark.django_db(transaction=True)
def test_sec12_rows_are_read_in_batches_and_written_one_by_one_outside_any_transaction(keys: Any) -> None:
    workspace = make_workspace()
    for _ in range(5):
        make_mailbox(workspace=workspace)
    keys.FERNET_KEYS = [NEW, OLD]
    seen: list[tuple[str, bool]] = []

    def look(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if "mailboxes_credential" in sql:
            seen.append((sql, connection.in_atomic_block))
        return execute(sql, *rest)

    with connection.execute_wrapper(look):
        rotate("--batch", "2")
    assert len([sql for sql, _atomic in seen if sql.startswith("UPDATE")]) == 5
    assert all(sql.startswith("UPDATE") or "LIMIT 2" in sql for sql, _atomic in seen)
    assert not any(atomic for _sql, atomic in seen)


@pytest.mark.django_db
@pytest.mark.parametrize("key", [NEW, OLD])
def test_sec12_a_secret_saved_between_reading_and_writing_is_never_overwritten(keys: Any, key: str) -> None:
    """Saved by a process with the new keys, and by one that was not restarted yet."""
    credential, saved, raced = make_mailbox().credential, secret(), list[str]()
    keys.FERNET_KEYS = [NEW, OLD]

    def save_first(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE") and not raced:
            raced.append(sql)
            write_as_it_was(credential.pk, saved, key)
        return execute(sql, *rest)

    with connection.execute_wrapper(save_first):
        rotate()
    assert raced
    keys.FERNET_KEYS = [NEW]
    assert Credential.objects.get(pk=credential.pk).password == saved


@pytest.mark.django_db(transaction=True)
def test_sec12_o7_under_load_nothing_is_lost(keys: Any) -> None:
    """Writers replace secrets all the while, some of them with the old key; the rotation runs again and again."""
    workspace = make_workspace()
    ids = [make_mailbox(workspace=workspace).credential.pk for _ in range(WRITERS * ROWS_EACH)]
    keys.FERNET_KEYS = [NEW, OLD]
    over, written, lost = threading.Event(), dict[int, str](), list[int]()
    writers = [_Writer(ids[number::WRITERS], number == 0, over, written, lost) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(4):
            rotate("--batch", str(len(ids)))
    finally:
        over.set()
        for writer in writers:
            writer.join()
    rotate()
    keys.FERNET_KEYS = [NEW]
    assert lost == []
    assert {pk: Credential.objects.get(pk=pk).password for pk in ids} == written


class _Writer(threading.Thread):
    """Replaces the secrets of its own rows again and again, and looks whether the one before is still there."""

    def __init__(
        self, mine: list[int], by_old_key: bool, over: threading.Event, written: dict[int, str], lost: list[int]
    ) -> None:
        super().__init__()
        self._mine, self._by_old_key, self._over, self._written, self._lost = mine, by_old_key, over, written, lost

    def run(self) -> None:
        try:
            while not self._over.is_set() or not set(self._mine) <= set(self._written):
                for pk in self._mine:
                    self._replace(pk)
        finally:
            connections.close_all()

    def _replace(self, pk: int) -> None:
        before, password = Credential.objects.get(pk=pk).password, secret()
        if self._written.get(pk, before) != before:
            self._lost.append(pk)
        if self._by_old_key:
            write_as_it_was(pk, password)
        else:
            Credential.objects.filter(pk=pk).update(password=password)
        self._written[pk] = password
