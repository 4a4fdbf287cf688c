"""A refused secret is known again without being kept (SPEC C6; FACTS D15): by a hash under our own key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

from mailboxes.diagnosis.categories import Category
from mailboxes.models import Credential, Mailbox, Trial
from mailboxes.models.credential import SECRETS
from mailboxes.reconnect.credentials import Password
from mailboxes.states import CredentialKind, Verdict

_OF_THE_SECRET = (Category.AUTH_FAILED.value, Category.APP_PASSWORD_REQUIRED.value)
_PLACE = ("smtp_host", "smtp_username", "imap_host", "imap_username")


def fingerprint(address: str, place: Mapping[str, Any], secret: Password) -> str:
    """The keyed hash of a secret at its place. The key is FERNET_KEYS' first: a rotation forgets all of them."""
    parts = [address.lower(), *(str(place.get(name, "")) for name in _PLACE), secret.password, secret.imap_password]
    key = settings.FERNET_KEYS[0]
    return salted_hmac("postmend.refused-secret", json.dumps(parts), secret=key, algorithm="sha256").hexdigest()


def refused_at(workspace_id: int, address: str, place: Mapping[str, Any], secret: Password) -> datetime | None:
    """When this very secret was refused here; None where it is not known to have been."""
    mark = fingerprint(address, place, secret)
    rows = Trial.objects.filter(workspace_id=workspace_id, address__iexact=address, fingerprint=mark)
    found = rows.filter(verdict=Verdict.REFUSED, category__in=_OF_THE_SECRET).order_by("-done_at").first()
    return found.done_at if found else None


def is_the_refused_one(mailbox: Mailbox, secret: Password) -> bool:
    """True where the mailbox stands refused with this very password stored."""
    if mailbox.category not in _OF_THE_SECRET or not secret.password:
        return False
    rows = Credential.objects.filter(mailbox=mailbox, kind=CredentialKind.PASSWORD).defer(*SECRETS)
    password = stored.opened("password") if (stored := rows.first()) else ""
    return bool(password) and constant_time_compare(password, secret.password)
