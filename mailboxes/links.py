"""Addresses for people outside, which never follow the Host header of a request (SPEC S6)."""

from __future__ import annotations

from django.conf import settings
from django.urls import reverse


def public_link(name: str, *args: object) -> str:
    """Return the whole address of a page of ours, as PUBLIC_URL says where we are reached."""
    return f"{settings.PUBLIC_URL}{reverse(name, args=args)}"
