"""What people do on Django's own pages leaves a row in the audit log, whatever the table (SPEC S9)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.contrib.admin.models import LogEntry
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from mailboxes.models import AuditEntry


class Audited:
    """Mixed into every admin. Django calls these where it writes its own log, which lives and dies with the user."""

    writes_own_audit = False  # True where what saves a row leaves the audit row too
    audited_values: tuple[str, ...] = ()  # fields whose values are written down; of others only the names

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """Keep in what way the form differs: the message alone has only names."""
        vars(request)["audit_detail"] = changes(form, self.audited_values)
        return super().construct_change_message(request, form, formsets, add)  # type: ignore[misc]  # an admin's

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """A new row."""
        if not self.writes_own_audit:
            self._audit(request, [obj], "added", _words(message))
        return super().log_addition(request, obj, message)  # type: ignore[misc]

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """A changed row, or a user's password that staff set."""
        if not self.writes_own_audit:
            self._audit(request, [obj], "changed", _words(message))
        return super().log_change(request, obj, message)  # type: ignore[misc]

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """Rows that are about to go."""
        self._audit(request, queryset, "removed", "")
        return super().log_deletions(request, queryset)  # type: ignore[misc]

    def _audit(self, request: HttpRequest, rows: Iterable[Model], did: str, words: str) -> None:
        kind = str(self.opts.verbose_name)  # type: ignore[attr-defined]
        detail = vars(request).get("audit_detail") or words
        AuditEntry.objects.bulk_create(
            AuditEntry(
                actor_id=request.user.pk, action=f"{kind} {did}"[:40], target=str(row)[:254], detail=detail[:500],
                at=timezone.now(),
            )
            for row in rows
        )  # fmt: skip


def changes(form: Any, shown: tuple[str, ...]) -> str:
    """What the form changes, as in "email: a@x.test → b@x.test; groups: +Support; password"."""
    return "; ".join(
        f"{name}: {_change(form.initial.get(name), form.cleaned_data.get(name))}" if name in shown else name
        for name in form.changed_data
    )


def _change(before: Any, after: Any) -> str:
    if isinstance(after, QuerySet):
        old, new = {str(row) for row in before or ()}, {str(row) for row in after}
        return " ".join([*(f"+{name}" for name in sorted(new - old)), *(f"−{name}" for name in sorted(old - new))])
    return f"{_shown(before)} → {_shown(after)}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value not in (None, "") else "nothing"


def _words(message: Any) -> str:
    if isinstance(message, str):
        return message
    return LogEntry(change_message=json.dumps(message)).get_change_message()
