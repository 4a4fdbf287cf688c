"""What goes into a check and what comes out: frozen values, no behaviour beyond their own shape."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Leg(StrEnum):
    """A check has up to three legs, each with its own result."""

    SMTP = "smtp"
    IMAP = "imap"
    OAUTH = "oauth"


class Stage(StrEnum):
    """How far a leg came. SMTP's "send" of the SPEC is kept apart as mail, rcpt and data:
    the same reply means other things there (FACTS E11)."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    GREETING = "greeting"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    SELECT = "select"
    READ = "read"
    TOKEN = "token"


class Security(StrEnum):
    """Implicit TLS, or a required upgrade (RFC 8314). There is no third way."""

    SSL = "ssl"
    STARTTLS = "starttls"


class SecretKind(StrEnum):
    """What the secret of a login is."""

    PASSWORD = "password"
    ACCESS_TOKEN = "access_token"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a leg connects to."""

    host: str
    port: int
    security: Security


def is_among(host: str, hosts: Iterable[str]) -> bool:
    """True for one of the hosts, or one below a domain written with a leading dot."""
    name = host.lower()
    return any(name == one or (one.startswith(".") and name.endswith(one)) for one in hosts)


@dataclass(frozen=True, slots=True)
class Login:
    """A user name and its secret. The secret never shows in a repr.

    It goes to `hosts` alone, a leading dot standing for a whole domain; to any where there are none.
    """

    username: str
    secret: str = field(repr=False)
    kind: SecretKind = SecretKind.PASSWORD
    hosts: tuple[str, ...] = ()

    def may_go_to(self, host: str) -> bool:
        """True where this host may be told the secret."""
        return not self.hosts or is_among(host, self.hosts)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one attempt may take. Seconds and bytes (FACTS D5)."""

    dns_s: float = 8.0
    connect_s: float = 10.0
    command_s: float = 20.0
    total_s: float = 30.0
    line_bytes: int = 16_384
    reply_bytes: int = 262_144
    literal_bytes: int = 65_536


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of a leg: passed or failed, how long it took, and the server's words, cleaned.

    `code` is the machine-readable part: an SMTP code with its enhanced code, an IMAP response
    code or status, an OAuth error, or the name of a local fault ("ECONNREFUSED").
    """

    stage: Stage
    ok: bool
    elapsed_ms: int
    code: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """The result of one leg: its steps in order. The last one failed, or all passed.

    `ended_ms` is the time from the beginning of the mailbox's check to the end of this leg; `folders` is the server's
    own list, where it was asked for.
    """

    leg: Leg
    steps: tuple[Step, ...]
    ended_ms: int = 0
    folders: tuple[str, ...] = ()

    @property
    def failed(self) -> Step | None:
        """The failed step, or None."""
        return next((step for step in self.steps if not step.ok), None)

    @property
    def ok(self) -> bool:
        """True where every step passed, and there was one."""
        return bool(self.steps) and self.failed is None

    @property
    def duration_ms(self) -> int:
        """Milliseconds spent on all steps."""
        return sum(step.elapsed_ms for step in self.steps)


@dataclass(frozen=True, slots=True)
class LegTarget:
    """One leg to be checked: where, and as whom."""

    endpoint: Endpoint
    login: Login


@dataclass(frozen=True, slots=True)
class Letter:
    """One message to one recipient, as it goes out. It can be asked for again by its Message-ID."""

    sender: str
    recipient: str
    message_id: str
    body: bytes = field(repr=False)

    @property
    def needs_utf8(self) -> bool:
        """Whether an address holds what is no ASCII: a server must offer SMTPUTF8 for it (RFC 6531)."""
        return not (self.sender + self.recipient).isascii()


@dataclass(frozen=True, slots=True)
class Target:
    """One mailbox to be checked. A leg that is not wanted is None.

    `one_refusal_is_enough`: where SMTP refuses the login, IMAP is not asked.
    """

    smtp: LegTarget | None
    imap: LegTarget | None
    folder: str = "INBOX"
    message: Letter | None = None
    list_folders: bool = False
    one_refusal_is_enough: bool = False


class WireFault(Exception):
    """A leg ended here: the stage, a code and the words as they came. `Recorder.failed` cleans both on the way out."""

    def __init__(self, stage: Stage, code: str, text: str) -> None:
        super().__init__(f"{stage}: {code} {text}")
        self.stage = stage
        self.code = code
        self.text = text
