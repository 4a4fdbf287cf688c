"""Steps of our own advice as HTML: web addresses are links, `commands` code. Never for a server's words (FACTS D13)."""

from __future__ import annotations

import re

from django import template
from django.utils.html import Urlizer, escape
from django.utils.safestring import SafeString, mark_safe

register = template.Library()
_COMMAND = re.compile(r"`([^`]+)`")


class _WebLinks(Urlizer):
    """An address of a mailbox in a step is read, and not clicked."""

    @staticmethod
    def is_email_simple(value: str) -> bool:
        """Nothing is."""
        return False


_links = _WebLinks()


@register.filter
def linked(step: str) -> SafeString:
    """One step, escaped."""
    parts = _COMMAND.split(step)
    shown = [
        f"<code>{escape(part)}</code>" if at % 2 else _links(part, nofollow=True, autoescape=True)
        for at, part in enumerate(parts)
    ]
    return mark_safe("".join(shown))  # noqa: S308  # each part is escaped above
