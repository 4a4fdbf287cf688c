"""Steps' texts: `{{ first_name }}`, with a fallback as in `{{ first_name|there }}`. Nothing else is understood, so that
a customer's template can reach nothing else. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from django.core.exceptions import ValidationError

_PLACE = re.compile(r"\{\{\s*([a-z][a-z0-9_]{0,39})\s*(?:\|([^{}]{0,100}))?\}\}")
_BRACES = re.compile(r"\{\{|\}\}|\{%|%\}")


def names(template: str) -> set[str]:
    """The fields that a lead must have: those without a fallback."""
    return {name for name, fallback in _PLACE.findall(template) if not fallback}


def render(template: str, fields: Mapping[str, str]) -> str:
    """The text for one lead; a field that is missing gives its fallback, or nothing."""
    return _PLACE.sub(lambda found: (fields.get(found.group(1)) or found.group(2) or "").strip(), template)


def check_template(template: str) -> None:
    """Raises ValidationError for braces that would reach the recipient as they are."""
    left = _BRACES.search(_PLACE.sub("", template))
    if left is not None:
        raise ValidationError(
            f"“{left.group()}” names no field. Write it as in {{{{ first_name }}}} or {{{{ first_name|there }}}}."
        )
