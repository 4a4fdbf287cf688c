"""Which version of ours runs since when: a wave that begins right after a new one is taken for our own fault (H9)."""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import cache
from pathlib import Path

from django.conf import settings

from mailboxes.health.thresholds import Thresholds
from mailboxes.models import Version

ROOMS = ("mailboxes", "campaigns", "warmup", "config")
KINDS = (".py", ".toml")


@cache
def fingerprint() -> str:
    """Return what tells this version's code and rules from another's: a digest of their files, read once a process."""
    digest = hashlib.sha256()
    for room in ROOMS:
        for path in sorted((Path(settings.BASE_DIR) / room).rglob("*")):
            if path.suffix in KINDS:
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:40]


def note(now: datetime) -> None:
    """Write down when this version began; a worker says so with its first sign of life. One query."""
    Version.objects.get_or_create(fingerprint=fingerprint(), defaults={"began_at": now})


def is_new(now: datetime, numbers: Thresholds) -> bool:
    """Return whether a version began lately; the first one of an installation has none to be worse than."""
    edge = now - numbers.new_version_suspect_for
    began = list(Version.objects.order_by("-began_at").values_list("began_at", flat=True)[:2])
    return len(began) > 1 and began[0] > edge
