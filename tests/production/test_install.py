"""docs/production.md, followed literally: from the code to a signed-in first user and a running worker (O6; UX-1)."""

from __future__ import annotations

import base64
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from django_otp.oath import totp

from tests.ports import free_port
from tests.production import guide
from tests.production.browser import Browser

PASSWORD = "the-first-user-signs-in"
PATIENCE_S = 120  # for a package that has to be fetched
# Stands in for the command of the same name, which needs root: the same account at the database, by its name.
RUNUSER = '#!/bin/sh\n[ "$1" = -u ] && [ "$3" = -- ] || exit 64\nPGUSER=$2; export PGUSER; shift 3; exec "$@"\n'
_NO_NETWORK = re.compile("Temporary failure in name resolution|Connection(Error| refused)|No matching distribution")


@dataclass
class Machine:
    """The folder that stands in for the machine's, and how its commands see the world."""

    home: Path
    env: dict[str, str]
    port: int

    def run(self, block: guide.Block) -> tuple[int, str]:
        """Run a block of the page as it stands, at a terminal. Returns its exit code and what it said."""
        keyboard, screen = pty.openpty()
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", block.text], cwd=self.home, env=self.env, start_new_session=True,
            stdin=screen, stdout=screen, stderr=screen,
        )  # fmt: skip
        os.close(screen)
        said = _sit_there(keyboard)
        return process.wait(PATIENCE_S), said

    def command(self, unit: str) -> str:
        """What systemd starts, in our folder and on our port."""
        found = guide.unit(unit)
        assert found["WorkingDirectory"] == guide.HOME
        return (
            found["ExecStart"].replace(guide.HOME, str(self.home)).replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")
        )

    def database(self, question: str) -> int:
        """The one number that answers the question."""
        place = {name: self.env[f"PG{name.upper()}"] for name in ("host", "port", "user")}
        with psycopg.connect(dbname="postmend", **place) as connection:  # type: ignore[arg-type]  # of its options
            row = connection.execute(question.encode()).fetchone()
        return int(row[0]) if row else 0


def _sit_there(keyboard: int) -> str:
    """Type the password whenever it is asked for, until all is said."""
    said = ""
    with os.fdopen(keyboard, "r+b", buffering=0) as terminal:
        while select.select([terminal], [], [], PATIENCE_S)[0]:
            try:
                said += terminal.read(4096).decode(errors="replace")
            except OSError:  # the other side is closed
                return said
            if re.search(r"Password( \(again\))?: $", said):
                terminal.write(f"{PASSWORD}\n".encode())
                said += "\n"
    raise AssertionError(f"nothing happens any more after: {said[-500:]}")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """An empty PostgreSQL server, with its own superuser alone."""
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        pytest.skip("PostgreSQL's programs are not installed")
    process = subprocess.Popen(
        [guide.ROOT / "scripts" / "with-postgres", "sh", "-c", "echo $DATABASE_URL; cat"],
        env=guide.environment(POSTGRES_OWNER="postgres"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdin is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()


@pytest.fixture(scope="module")
def machine(server: str, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """The page followed up to its first user."""
    folder = tmp_path_factory.mktemp("machine")
    programs = folder / "bin"
    programs.mkdir()
    # Debian 12's python3 is one that we support; the one on this machine's path may be older.
    python = f'#!/bin/sh\nexec "{sys.base_prefix}/bin/python3" "$@"\n'
    for name, text in (("runuser", RUNUSER), ("python3", python)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    [*_, newest] = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    where = urlsplit(server)
    env = guide.environment(
        PATH=os.pathsep.join([str(programs), str(newest), os.environ["PATH"]]),
        PGHOST=str(where.hostname), PGPORT=str(where.port), PGUSER="postmend",
    )  # fmt: skip
    made = Machine(guide.copy_of_the_code(folder), env, free_port())
    for block in guide.blocks():
        if block.word == "run":
            code, said = made.run(block)
            if code and "pip install" in block.text and _NO_NETWORK.search(said):
                pytest.skip("the packages cannot be had: no package registry is reached")
            assert code == 0, f"{block.text}\n{said}"
    return made


@pytest.fixture(scope="module")
def web(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The web process as its unit starts it."""
    log = tmp_path_factory.mktemp("web") / "log"
    with guide.running(machine.command("postmend-web"), machine.home, machine.env, log) as process:
        guide.wait_until(lambda: guide.listens(machine.port), process, 60, "the web process does not listen")
        yield Browser(machine.port)


def sign_in(browser: Browser) -> None:
    """Password, then the second factor, which is set up at the first sign-in."""
    page = browser.send(browser.get("/sign-in/"), username="you@example.com", password=PASSWORD)
    assert "authenticator app" in page.text, page
    found = re.search(r"<code>([A-Z2-7]+)</code>", page.text)
    assert found is not None
    assert browser.send(page, code=f"{totp(base64.b32decode(found[1])):06d}").status == 200


@pytest.fixture(scope="module")
def customer(machine: Machine) -> str:
    """A customer, whom staff would add in the admin; their name."""
    name = "owner@customer.test"
    code = (
        "from django.contrib.auth.models import User; from mailboxes.models import Membership, Workspace;"
        f"user = User.objects.create_user('{name}', password='{PASSWORD}');"
        "Membership.objects.create(user=user, workspace=Workspace.objects.create(name='W'))"
    )
    command = [f"{machine.home}/.venv/bin/python", "manage.py", "shell", "-c", code]
    subprocess.run(command, cwd=machine.home, env=machine.env, check=True, capture_output=True)
    return name


@pytest.mark.xdist_group("install")
def test_o6_ux1_whoever_follows_the_page_signs_in_and_every_page_has_its_styles(
    machine: Machine, web: Browser, customer: str
) -> None:
    pages = [web.get("/sign-in/"), web.get("/admin/login/"), web.get("/help/")]
    sign_in(web)
    pages.append(web.get("/admin/"))
    theirs = Browser(machine.port)
    theirs.send(theirs.get("/sign-in/"), username=customer, password=PASSWORD)
    pages.append(theirs.get("/mailboxes/"))
    assert [(page.path, page.status) for page in pages] == [
        ("/sign-in/", 200), ("/admin/login/", 200), ("/help/", 200), ("/admin/", 200), ("/mailboxes/", 200),
    ]  # fmt: skip
    for page in pages:
        styles = web.styles(page)
        assert styles and set(styles.values()) == {200}, (page.path, styles)
        assert all(re.search(r"\.[0-9a-f]{12}\.css$", path) for path in styles), "collected ones"


@pytest.mark.xdist_group("install")
def test_o6_the_worker_of_the_page_gives_a_sign_of_life(machine: Machine, tmp_path: Path) -> None:
    beats = "SELECT count(*) FROM mailboxes_heartbeat"
    [doctor] = [block for block in guide.blocks() if block.word == "doctor"]
    with guide.running(machine.command("postmend-worker"), machine.home, machine.env, tmp_path / "log") as process:
        guide.wait_until(lambda: machine.database(beats) == 1, process, 60, (tmp_path / "log").read_text())
        _code, said = machine.run(doctor)
    for what in ("keys", "clock", "queue"):
        assert re.search(rf"^ok +{what} ", said, re.MULTILINE), said
    assert not re.search(r"^fail +(settings|keys|clock|queue|oauth)", said, re.MULTILINE), said
    assert machine.database(beats) == 0, "one that was stopped is not missed"


@pytest.mark.xdist_group("install")
def test_o6_keys_are_made_for_this_machine_and_are_its_users_alone(machine: Machine) -> None:
    path = machine.home / ".env"
    values = dict(line.split("=", 1) for line in path.read_text().splitlines())
    assert path.stat().st_mode & 0o077 == 0
    assert len(values["SECRET_KEY"]) >= 50 and len(values["FERNET_KEYS"]) >= 50
    assert values["SECRET_KEY"] != values["FERNET_KEYS"]


@pytest.mark.xdist_group("install")
def test_o6_the_web_server_reads_the_static_files_that_were_collected(machine: Machine) -> None:
    static = machine.home / ".postmend" / "static"
    assert (static / "staticfiles.json").is_file()
    files = list(static.rglob("*.css"))
    assert files and all(path.stat().st_mode & 0o004 for path in files)
    assert all(path.stat().st_mode & 0o005 == 0o005 for path in [static, *static.rglob("*")] if path.is_dir())


@pytest.mark.xdist_group("install")
@pytest.mark.parametrize("config", ["--config gunicorn.conf.py", ""])
def test_o6_gunicorn_reads_its_settings_in_the_units_folder_and_nowhere_else(
    machine: Machine, tmp_path: Path, config: str
) -> None:
    command = machine.command("postmend-web")
    assert "--config gunicorn.conf.py" in command
    printed = [*command.replace("--config gunicorn.conf.py", config).split(), "--print-config"]
    there = subprocess.run(printed, cwd=machine.home, env=machine.env, capture_output=True, text=True, check=False)
    assert re.search(r"worker_class += config\.web\.SteadyWorker", there.stdout), there.stderr
    assert re.search(r"logger_class += config\.accesslog\.KeylessLogger", there.stdout)
    elsewhere = subprocess.run(printed, cwd=tmp_path, env=machine.env, capture_output=True, text=True, check=False)
    assert "SteadyWorker" not in elsewhere.stdout
    if config:
        assert elsewhere.returncode != 0 and "gunicorn.conf.py" in elsewhere.stderr


def test_o6_each_block_says_who_runs_it_and_what_is_left_out_says_so() -> None:
    for block in guide.blocks():
        if block.language != "bash":
            assert block.word.startswith("/etc/"), block
        elif block.word == "root":
            assert block.text.startswith("# as root, not in the test\n"), block
        else:
            assert re.match("# as (root|postmend)\n", block.text), block
    page = (guide.ROOT / "docs" / "production.md").read_text()
    assert page.count("```") == 2 * len(guide.blocks()), "every block has its word"
