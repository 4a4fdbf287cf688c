"""Signed addresses in campaign mail: they work without a login, whatever became of the mailbox (RFC 8058, K5, K7)."""

from __future__ import annotations

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.urls import reverse

from campaigns.models import Lead


def unsubscribe_url(lead: Lead) -> str:
    """Where this lead unsubscribes, by one click."""
    return _address("unsubscribe", lead)


def opens_url(lead: Lead) -> str:
    """The picture by which an open is counted."""
    return _address("opened", lead)


def lead_of(token: str, what: str) -> Lead | None:
    """Whom the token is for; None where it is none of ours, or the lead is gone."""
    try:
        key = int(_signer(what).unsign(token))
    except (BadSignature, ValueError):
        return None
    return Lead.objects.select_related("campaign__workspace").filter(pk=key).first()


def _address(what: str, lead: Lead) -> str:
    return f"{settings.PUBLIC_URL}{reverse(what, args=[_signer(what).sign(str(lead.pk))])}"


def _signer(what: str) -> Signer:
    return Signer(salt=f"postmend.{what}")
