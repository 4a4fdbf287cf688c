"""Encrypt stored secrets anew with the first of FERNET_KEYS, while everything else goes on working (SPEC S1; SEC-12).

Ciphertext is exchanged for ciphertext: the column type takes no part, since it would encrypt what is encrypted already.
Each row is a statement of its own that writes only where the old ciphertext still stands. So a secret saved meanwhile
is never overwritten, a run that is cut off is simply run again, and no lock is held.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.fernet import InvalidToken
from django.apps import apps
from django.conf import settings
from django.db import connection, models
from django.db.models import ExpressionWrapper, F, Q

from mailboxes.models.fields import SecretTextField, cipher

Tokens = dict[str, bytes]  # ciphertexts by column
TRIES = 20  # a row that is written this often between our reading and our writing is left for the next run


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row with secrets that no key opens."""

    pk: Any
    columns: tuple[str, ...]


@dataclass(slots=True)
class Counts:
    """How many rows were looked at; how many of their secrets were encrypted anew, current already, or unreadable; and
    how many rows changed too often to be written."""

    rows: int = 0
    done: int = 0
    current: int = 0
    unreadable: int = 0
    busy: int = 0

    def add(self, other: Counts) -> None:
        """Add the other's counts to these."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class Batch:
    """What became of one batch of rows."""

    counts: Counts = field(default_factory=Counts)
    unreadable: list[Unreadable] = field(default_factory=list)


def tables() -> list[tuple[type[models.Model], list[str]]]:
    """Return every model that holds secrets, with the names of their fields."""
    found = []
    for model in apps.get_models(include_auto_created=True):
        names = [one.name for one in model._meta.local_concrete_fields if isinstance(one, SecretTextField)]
        if names:
            found.append((model, names))
    return found


def rotate(model: type[models.Model], names: Sequence[str], size: int, *, write: bool) -> Iterator[Batch]:
    """Encrypt this model's secrets anew, batch by batch by primary key. Without `write`, only count."""
    rows = _raw(model, names).order_by("pk")
    found = list(rows[:size])
    while found:
        batch = Batch()
        for pk, *values in found:
            _settle(model, pk, _tokens(names, values), batch, write=write)
        yield batch
        found = list(rows.filter(pk__gt=found[-1][0])[:size])


def looked_at(tokens: Tokens, keys: tuple[str, ...]) -> tuple[Tokens, list[str]]:
    """Return what is to be written in place of these ciphertexts, and the columns that no key opens. Pure."""
    fresh, unreadable = {}, []
    for name, token in tokens.items():
        try:
            cipher(keys[:1]).decrypt(token)
        except InvalidToken:
            try:
                fresh[name] = cipher(keys).rotate(token)
            except InvalidToken:
                unreadable.append(name)
    return fresh, unreadable


def _settle(model: type[models.Model], pk: Any, tokens: Tokens, batch: Batch, *, write: bool) -> None:
    batch.counts.rows += 1
    for _ in range(TRIES):
        fresh, unreadable = looked_at(tokens, tuple(settings.FERNET_KEYS))
        if not fresh or not write or _exchange(model, pk, tokens, fresh):
            _count(batch, pk, tokens, fresh, unreadable)
            return
        tokens = _again(model, pk, list(tokens))  # somebody saved one meanwhile, or deleted the row
    batch.counts.busy += 1


def _count(batch: Batch, pk: Any, tokens: Tokens, fresh: Tokens, unreadable: list[str]) -> None:
    batch.counts.done += len(fresh)
    batch.counts.unreadable += len(unreadable)
    batch.counts.current += len(tokens) - len(fresh) - len(unreadable)
    if unreadable:
        batch.unreadable.append(Unreadable(pk, tuple(unreadable)))


def _raw(model: type[models.Model], names: Sequence[str]) -> models.QuerySet[Any, tuple[Any, ...]]:
    """Keys and ciphertexts as the database keeps them, of rows that hold any."""
    as_kept = [ExpressionWrapper(F(name), output_field=models.BinaryField()) for name in names]
    some = Q(*((f"{name}__isnull", False) for name in names), _connector=Q.OR)
    return model._base_manager.filter(some).values_list("pk", *as_kept)


def _again(model: type[models.Model], pk: Any, names: Sequence[str]) -> Tokens:
    row = _raw(model, names).filter(pk=pk).first()
    return _tokens(names, row[1:]) if row else {}


def _tokens(names: Sequence[str], values: Sequence[Any]) -> Tokens:
    return {name: bytes(value) for name, value in zip(names, values, strict=True) if value is not None}


def _exchange(model: type[models.Model], pk: Any, old: Tokens, fresh: Tokens) -> bool:
    """Write the fresh ciphertexts where the old ones still stand. Returns whether they did."""
    columns = {name: _column(model, name) for name in fresh}
    assignments = ", ".join(f"{column} = %s" for column in columns.values())
    conditions = " AND ".join(f"{column} = %s" for column in [_column(model, "pk"), *columns.values()])
    # Only names of our own table and columns are put in; all values are parameters.
    sql = f"UPDATE {_quote(model._meta.db_table)} SET {assignments} WHERE {conditions}"  # noqa: S608
    binary: Any = connection.Database.Binary  # type: ignore[attr-defined]  # each driver has its own
    with connection.cursor() as cursor:
        cursor.execute(sql, [*map(binary, fresh.values()), pk, *(binary(old[name]) for name in columns)])
        return bool(cursor.rowcount)


def _column(model: type[models.Model], name: str) -> str:
    found = model._meta.pk if name == "pk" else model._meta.get_field(name)
    return _quote(str(found.column))  # type: ignore[union-attr]


def _quote(name: str) -> str:
    return connection.ops.quote_name(name)
