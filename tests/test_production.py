"""Nothing starts on settings that leak or fail (SEC-18, UX-1), and cleaning up keeps the keys (UX-13)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.core.checks import run_checks

GOOD = {
    "PRODUCTION": True,
    "KEYS_ARE_LOCAL": False,
    "ALLOWED_HOSTS": ["mail.example.test"],
    "FERNET_KEYS": ["k" * 43],
    "SECRET_KEY": "s" * 60,
    "EMAIL_BACKEND": "mailboxes.outbox.operator.EmailBackend",
    "MAIL_EHLO_NAME": "out.example.test",
    "PUBLIC_URL": "https://mail.example.test",
}


def errors(settings: Any, folder: Path, **changed: Any) -> set[str]:
    (folder / "staticfiles.json").write_text("{}")
    for name, value in (GOOD | {"STATIC_ROOT": folder} | changed).items():
        setattr(settings, name, value)
    return {str(found.id) for found in run_checks() if str(found.id).startswith("mailboxes.E")}


def test_sec18_good_settings_pass(settings: Any, tmp_path: Path) -> None:
    assert errors(settings, tmp_path) == set()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"ALLOWED_HOSTS": ["*"]}, "mailboxes.E009"),
        ({"FERNET_KEYS": ["a"]}, "mailboxes.E010"),
        ({"SECRET_KEY": "short"}, "mailboxes.E010"),
        ({"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}, "mailboxes.E011"),
        ({"MAIL_EHLO_NAME": "[127.0.0.1]"}, "mailboxes.E012"),
        ({"STATIC_ROOT": Path("/nonexistent")}, "mailboxes.E013"),
    ],
)
def test_sec18_ux1_each_bad_setting_is_named(
    settings: Any, tmp_path: Path, changed: dict[str, Any], expected: str
) -> None:
    assert errors(settings, tmp_path, **changed) == {expected}


@pytest.mark.parametrize("command", [["-c", "import config.wsgi"], ["manage.py", "worker"]])
def test_sec18_web_server_and_worker_refuse_to_start(tmp_path: Path, command: list[str]) -> None:
    names = {key: value for key, value in os.environ.items() if key not in ("DJANGO_SETTINGS_MODULE", "DATABASE_URL")}
    bad = {
        "PRODUCTION": "true", "SECRET_KEY": "s" * 60, "FERNET_KEYS": "a", "ALLOWED_HOSTS": "*",
        "MAIL_ALLOWED_NETWORKS": "0.0.0.0/0", "POSTMEND_DATA_DIR": str(tmp_path),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, *command], cwd=project.BASE_DIR, env=names | bad, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode != 0
    for number in ("E005", "E009", "E010", "E011", "E012", "E013"):
        assert f"mailboxes.{number}" in done.stderr


def test_ux13_cleaning_up_keeps_keys_and_data() -> None:
    said = subprocess.run(["make", "-n", "clean"], cwd=project.BASE_DIR, capture_output=True, text=True, check=True)
    assert ".postmend" not in said.stdout
    unsure = subprocess.run(["make", "erase-keys-and-data"], cwd=project.BASE_DIR, capture_output=True, check=False)
    assert unsure.returncode != 0


def test_sec19_the_data_folder_and_the_database_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    (folder / "db.sqlite3").touch(mode=0o644)
    code = (
        "import django; django.setup(); from django.db import connection;"
        "cursor = connection.cursor(); cursor.execute('CREATE TABLE t (a int)');"
        "import os; from django.conf import settings; names = os.listdir(settings.DATA_DIR);"
        "print(*sorted(f'{n}:{oct((settings.DATA_DIR / n).stat().st_mode & 0o77)}' for n in names if n != 'static'))"
    )
    given = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "FERNET_KEYS")}
    given |= {"POSTMEND_DATA_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, check=True)
    found = dict(part.rsplit(":", 1) for part in done.stdout.split())
    assert {"db.sqlite3", "db.sqlite3-wal", "db.sqlite3-shm"} <= set(found)
    assert set(found.values()) == {"0o0"}
    assert folder.stat().st_mode & 0o77 == 0
