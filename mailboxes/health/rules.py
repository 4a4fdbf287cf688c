"""The rules in force: the shipped ones, or the operator's file (DIAGNOSIS_RULES_FILE)."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from mailboxes.diagnosis.categories import Category
from mailboxes.diagnosis.engine import RULES_FILE, Engine, engine
from mailboxes.diagnosis.values import Diagnosis, Reply


def diagnose(reply: Reply) -> Diagnosis:
    """The diagnosis by the rules in force."""
    return _engine().diagnose(reply)


def variant(category: Category, text: str) -> str:
    """What more these words say within a category; "" for nothing."""
    return _engine().variant(category, Reply(text))


def _engine() -> Engine:
    path = Path(settings.DIAGNOSIS_RULES_FILE) if settings.DIAGNOSIS_RULES_FILE else RULES_FILE
    return engine(path)
