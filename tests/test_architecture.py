"""The house's rules that no linter knows: sizes, the one writer, no signals, no machine's paths."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.test import override_settings

ROOT = Path(settings.BASE_DIR)
SKIPPED = {
    ".venv",
    ".git",
    ".postmend",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    "__pycache__",
    "pictures",
}
FILES = [path for path in ROOT.rglob("*") if path.is_file() and not SKIPPED & set(path.relative_to(ROOT).parts)]
SOURCES = [path for path in FILES if path.suffix == ".py" and "migrations" not in path.parts]
PRODUCTION = [
    path
    for path in SOURCES
    if path.relative_to(ROOT).parts[0] in ("mailboxes", "campaigns", "warmup", "config", "demo")
]


def test_no_file_has_more_than_400_lines() -> None:
    assert [path for path in SOURCES if len(path.read_text().splitlines()) > 400] == []


def test_no_function_has_more_than_40_lines() -> None:
    long = []
    for path in PRODUCTION:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or 0) - node.lineno + 1
                long += [f"{path.name}:{node.name}: {size}"] if size > 40 else []
    assert long == []


def test_h8_the_status_has_one_writer() -> None:
    writes = re.compile(r"\.status\s*=[^=]|update\([^)]*\bstatus=|\"status\": after")
    writers = {path.name for path in PRODUCTION if "sandbox" not in path.parts and writes.search(path.read_text())}
    assert writers == {"transition.py"}


def test_there_are_no_signals() -> None:
    found = [path for path in PRODUCTION if re.search(r"@receiver|post_save|pre_save|\.connect\(", path.read_text())]
    assert found == []


def test_no_save_is_overridden() -> None:
    assert [path for path in PRODUCTION if "def save(self" in path.read_text()] == []


def test_no_file_names_a_machines_path_or_an_index() -> None:
    bad = re.compile(r"(?<![\w.])/(?:work|root|home)/|index-url|files\.pythonhosted")
    texts = {".py", ".md", ".toml", ".txt", ".html", ".css", ".js", ".cfg", ""}
    found = [
        path for path in FILES
        if path.suffix in texts and path != Path(__file__) and bad.search(path.read_text(errors="ignore"))
    ]  # fmt: skip
    assert found == []


def ids() -> set[str]:
    return {str(message.id) for message in run_checks()}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"FERNET_KEYS": []}, "mailboxes.E001"),
        ({"FERNET_KEYS": ["x"], "SECRET_KEY": "x"}, "mailboxes.E002"),
        ({"PRODUCTION": True, "KEYS_ARE_LOCAL": True}, "mailboxes.E003"),
        ({"BATCH_DEADLINES": 9}, "mailboxes.E004"),
        ({"Q_CLUSTER": {"workers": 3, "queue_limit": 3, "timeout": 90, "retry": 300}}, "mailboxes.E007"),
        ({"PRODUCTION": True, "MAIL_ALLOWED_PORTS": frozenset({2025})}, "mailboxes.E005"),
        ({"MAIL_ALLOWED_PORTS": frozenset({2025})}, "mailboxes.W001"),
        ({"TIME_ZONE": "Asia/Tokyo"}, "mailboxes.E006"),
    ],
)
def test_a_bad_setting_is_a_system_check(values: dict[str, object], expected: str) -> None:
    with override_settings(**values):
        assert expected in ids()


def test_the_shipped_settings_pass() -> None:
    assert ids() == set()


def test_srv5_one_builder_makes_every_message_that_is_sent() -> None:
    """What goes on the wire is a Letter, and the operator's mail has our transport: no other code composes."""
    made = re.compile(r"\bLetter\(|MIMEText|MIMEMultipart|email\.message import EmailMessage$|SMTP\(", re.MULTILINE)
    files = [path for place in ("mailboxes", "campaigns", "warmup", "config") for path in (ROOT / place).rglob("*.py")]
    found = {
        str(path.relative_to(ROOT)) for path in files if "sandbox" not in path.parts and made.search(path.read_text())
    }
    assert found == {"mailboxes/wire/mime.py"}
    settings = (ROOT / "config" / "settings.py").read_text()
    assert 'EMAIL_BACKEND = "mailboxes.outbox.operator.EmailBackend"' in settings
