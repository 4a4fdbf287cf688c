"""The interfaces that other programs rely on (SPEC O1, O3): their lines, their exit codes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from demo.post import COLUMNS
from mailboxes.diagnosis.engine import RULES_FILE
from mailboxes.health.due import check_due
from mailboxes.models import Heartbeat, StaffAlarm
from mailboxes.sandbox.faults import faults
from mailboxes.sandbox.server import Sandbox
from tests.make import Clock, make_mailbox, make_outgoing, make_sandbox_mailbox, register
from tests.ports import free_port
from tests.secrets import leaks


def run(*arguments: str, within_s: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
    names = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DJANGO_", "DATABASE_URL", "SECRET", "FERNET", "POSTMEND"))
    }
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=settings.BASE_DIR, env=names | environment, capture_output=True, text=True, timeout=within_s,
        check=False,
    )  # fmt: skip


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def call(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def through_the_sandbox(sandbox: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands' way out leads into the sandbox."""
    for module in ("mailboxes.management.commands.check_mailboxes", "mailboxes.management.commands.doctor"):
        monkeypatch.setattr(f"{module}.from_settings", lambda: make_outgoing(sandbox, clock))


@pytest.mark.xdist_group("demo-once")
def test_o1_demo_once_agrees_for_every_mailbox(tmp_path: Path) -> None:
    done = run("demo", "--once", "--json", LOG_LEVEL="DEBUG", POSTMEND_DATA_DIR=str(tmp_path))
    rows = lines(done.stdout)
    assert [row for row in rows if not row["ok"]] == []
    assert done.returncode == 0, done.stderr
    health = [row for row in rows if "fault" in row]
    assert {row["fault"] for row in health} >= set(faults())
    assert len(health) >= 60
    assert set(health[0]) == {"address", "fault", "expected_status", "status", "expected_category", "category", "ok"}
    mail = [row for row in rows if "of" in row]
    assert set(mail[0]) == set(COLUMNS)
    assert all(sum(row[name] for row in mail) for name in ("sent", "received", "answered", "bounced", "junk"))
    assert [row["of"] for row in mail if row["held"]] == ["Kestrel Labs: one sender"]


@pytest.mark.xdist_group("demo-mutated")
def test_o1_demo_once_notices_a_mutated_rule(tmp_path: Path) -> None:
    mutated = tmp_path / "rules.toml"
    rules = RULES_FILE.read_text(encoding="utf-8")
    wrong = rules.replace(
        'id = "smtp-5.4.5"\ncategory = "sending_limit"', 'id = "smtp-5.4.5"\ncategory = "auth_failed"'
    )
    wrong = wrong.replace(
        'id = "smtp-sending-quota"\ncategory = "sending_limit"', 'id = "smtp-sending-quota"\ncategory = "auth_failed"'
    )
    assert wrong != rules
    mutated.write_text(wrong, encoding="utf-8")
    done = run("demo", "--once", "--json", DIAGNOSIS_RULES_FILE=str(mutated), POSTMEND_DATA_DIR=str(tmp_path))
    assert done.returncode == 1
    assert [row["fault"] for row in lines(done.stdout) if not row["ok"]] == ["daily-limit"]


def test_diagnose_answers_a_program_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    rows = [{"id": "a", "leg": "smtp", "stage": "auth", "provider": None, "code": None, "text": "535 5.7.8 no"}]
    rows.append({"id": "b", "text": "AADSTS50173: revoked"})
    file.write_text("\n".join(json.dumps(row) for row in rows))
    found = lines(call("diagnose", "--jsonl", str(file)))
    assert [(row["id"], row["category"], row["needs_reconnect"]) for row in found] == [
        ("a", "auth_failed", True), ("b", "oauth_revoked", True),
    ]  # fmt: skip
    assert set(found[0]) == {"id", "category", "rule", "actor", "needs_reconnect", "transient"}


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"text": 3}', '"x"'])
def test_diagnose_names_the_line_that_is_wrong(tmp_path: Path, line: str) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text('{"text": "535 no"}\n' + line)
    with pytest.raises(CommandError, match="line 2"):
        call("diagnose", "--jsonl", str(file))


def test_diagnose_answers_a_person_with_steps() -> None:
    said = call("diagnose", "534-5.7.9 Application-specific password required", "--leg", "smtp", "--provider", "gmail")
    assert "app_password_required" in said
    assert "1. Open https://myaccount.google.com" in said


def test_diagnose_without_a_reply_says_how() -> None:
    with pytest.raises(CommandError, match="--jsonl"):
        call("diagnose")


@pytest.mark.django_db
def test_check_mailboxes_answers_one_object_a_line(sandbox: Sandbox, through_the_sandbox: None) -> None:
    good, _ = make_sandbox_mailbox(sandbox)
    bad, _ = make_sandbox_mailbox(sandbox, faults()["wrong-password"])
    said = call("check_mailboxes", good.address.upper(), bad.address, "--json")
    found = {row["address"]: row for row in lines(said)}
    assert found[good.address]["legs"] == {"smtp": True, "imap": True}
    assert (found[bad.address]["status"], found[bad.address]["category"]) == ("needs_reauth", "auth_failed")
    assert set(found[bad.address]) == {"address", "status", "legs", "category", "actor", "duration_ms"}
    assert leaks(said) == []


@pytest.mark.django_db
def test_check_mailboxes_due_leaves_the_refused_alone(sandbox: Sandbox, through_the_sandbox: None) -> None:
    bad, account = make_sandbox_mailbox(sandbox, faults()["wrong-password"])
    assert len(lines(call("check_mailboxes", "--due", "--json"))) == 1
    assert lines(call("check_mailboxes", "--due", "--json")) == []
    assert len(lines(call("check_mailboxes", "--all", "--json"))) == 1
    assert account.seen["smtp logins"] == 2
    assert bad.address in call("check_mailboxes", "--all")


@pytest.mark.django_db
@pytest.mark.parametrize("arguments", [(), ("--due", "--all"), ("nobody@example.test",)])
def test_check_mailboxes_refuses_a_wrong_call(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        call("check_mailboxes", *arguments)


@pytest.mark.django_db
def test_needs_reconnect_reports_who_must_act(sandbox: Sandbox, clock: Clock) -> None:
    bad, _ = make_sandbox_mailbox(sandbox, faults()["wrong-password"])
    make_sandbox_mailbox(sandbox)
    check_due(10, make_outgoing(sandbox, clock))
    (row,) = lines(call("needs_reconnect", "--json"))
    assert (row["address"], row["category"], row["actor"]) == (bad.address, "auth_failed", "customer")
    assert bad.address[:12] in call("needs_reconnect")


@pytest.mark.django_db
def test_doctor_fails_where_something_is_wrong(sandbox: Sandbox, through_the_sandbox: None) -> None:
    make_mailbox()
    StaffAlarm.objects.create(kind="oauth_client_misconfigured", key="ours", text="expired")
    out = io.StringIO()
    with pytest.raises(CommandError, match="failed"):
        call_command("doctor", "--json", "--host", "nowhere.example.test", stdout=out)
    found = {row["what"]: row["result"] for row in lines(out.getvalue())}
    assert (found["keys"], found["dns"], found["alarm"], found["queue"]) == ("ok", "fail", "fail", "warn")


@pytest.mark.django_db
def test_doctor_notices_a_silent_worker(sandbox: Sandbox, through_the_sandbox: None) -> None:
    Heartbeat.objects.create(name="postmend", at=timezone.now() - timedelta(minutes=10))
    out = io.StringIO()
    with pytest.raises(CommandError):
        call_command("doctor", "--json", "--host", "nowhere.example.test", stdout=out)
    assert {row["what"]: row["result"] for row in lines(out.getvalue())}["queue"] == "fail"


def test_the_wire_checks_a_mailbox_without_django(sandbox: Sandbox, tmp_path: Path) -> None:
    blocked = tmp_path / "django.py"
    blocked.write_text("raise ImportError('no Django here')")
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "MAILBOX_SECRET": "a-secret"}
    arguments = [sys.executable, "-m", "mailboxes.wire", "me@example.com", "--smtp", "localhost:25"]
    done = subprocess.run(
        arguments, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "smtp  dns       FAIL" in done.stdout
    assert done.stderr == ""


def oauth_findings() -> list[dict[str, Any]]:
    out = io.StringIO()
    with pytest.raises(CommandError):
        call_command("doctor", "--json", "--host", "nowhere.example.test", stdout=out)
    return [line for line in lines(out.getvalue()) if line["what"] == "oauth"]


@pytest.mark.django_db
def test_doctor_asks_the_token_endpoint_whether_it_knows_our_client(
    sandbox: Sandbox, through_the_sandbox: None
) -> None:
    client = register(sandbox, "microsoft")
    (found,) = oauth_findings()
    assert found["result"] == "ok" and "/oauth/microsoft/complete/" in found["text"]
    client.client_secret = "PmSecretXyz-of-yesterday"
    client.save()
    (found,) = oauth_findings()
    assert found["result"] == "fail" and "invalid_client" in found["text"] and not leaks(str(found))


@pytest.mark.django_db
@pytest.mark.parametrize(("days", "result"), [(-1, "fail"), (20, "warn"), (200, "ok")])
def test_doctor_warns_before_a_client_secret_ends(
    sandbox: Sandbox, through_the_sandbox: None, days: int, result: str
) -> None:
    client = register(sandbox, "google")
    client.secret_expires_on = timezone.now().date() + timedelta(days=days)
    client.scopes = "openid"
    client.save()
    scopes, ends, asked = oauth_findings()
    assert scopes["result"] == "fail" and "https://mail.google.com/" in scopes["text"]
    assert (ends["result"], asked["result"]) == (result, "ok")


@pytest.mark.xdist_group("demo-mend")
def test_r4_every_way_back_to_work_clears_its_badge_by_itself(tmp_path: Path) -> None:
    done = run("demo", "--mend", "--json", "--port", str(free_port()), within_s=500, POSTMEND_DATA_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(rows) == 3 and all(row["seconds"] is not None for row in rows)
