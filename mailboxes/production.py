"""What must be right before Postmend serves anybody: refuse to start otherwise (findings SEC-18, UX-1; SPEC O6)."""

from __future__ import annotations

import sys

from django.conf import settings
from django.core.checks import ERROR, run_checks


def refuse_bad_settings() -> None:
    """In production, end the process with the list of what `manage.py check --deploy` calls an error.

    Web servers that import `config.wsgi` run no checks of their own. Raises SystemExit with the text.
    """
    if not settings.PRODUCTION:
        return
    errors = [found for found in run_checks(include_deployment_checks=True) if found.level >= ERROR]
    if errors:
        listed = "\n".join(f"  {found.id}: {found.msg} {found.hint or ''}".rstrip() for found in errors)
        sys.exit(f"Postmend does not start with these settings:\n{listed}")
