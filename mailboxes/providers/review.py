"""What looks wrong in settings before anything is tried (SPEC C4): a warning at the field, with the fix. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailboxes.providers.presets import Preset
from mailboxes.wire.values import Endpoint, Security

_UNBROKEN = re.compile(r"[A-Za-z]{16}")
_GROUPED = re.compile(r"[A-Za-z]{4}( [A-Za-z]{4}){3}")
_DASHED = re.compile(r"[a-z]{4}(-[a-z]{4}){3}")
_USUAL = {465: Security.SSL, 993: Security.SSL, 587: Security.STARTTLS, 143: Security.STARTTLS}
_LABELS = {Security.SSL: "SSL/TLS", Security.STARTTLS: "STARTTLS"}
_NOT_MAIL = {110: "POP3", 995: "POP3", 80: "webmail", 443: "webmail", 8080: "webmail", 2095: "webmail", 2096: "webmail"}


@dataclass(frozen=True, slots=True)
class Draft:
    """What was typed. A leg that is not wanted is None."""

    address: str
    smtp: Endpoint | None
    imap: Endpoint | None
    smtp_username: str = ""
    imap_username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Warned:
    """One warning: at which field of the form, and what to change."""

    field: str
    text: str


def review(draft: Draft, preset: Preset | None) -> list[Warned]:
    """Everything that looks wrong, in the order of the form."""
    return [*_hosts(draft, preset), *_ports(draft), *_usernames(draft, preset), *_password(draft, preset)]


def ungrouped(password: str) -> str:
    """An app password without the spaces it is shown with (FACTS B10); every other password as it is."""
    return password.replace(" ", "") if _GROUPED.fullmatch(password.strip()) else password


def _hosts(draft: Draft, preset: Preset | None) -> Iterator[Warned]:
    if draft.smtp is None or draft.imap is None:
        return
    smtp, imap = draft.smtp.host, draft.imap.host
    if _begins(smtp, "imap") and _begins(imap, "smtp"):
        yield Warned("smtp_host", f"The two hosts look swapped: put {imap} here and {smtp} below, at IMAP.")
    elif _begins(smtp, "imap", "pop"):
        yield Warned("smtp_host", f"{smtp} looks like a server for reading. The sending server is often smtp.…")
    elif _begins(imap, "smtp"):
        yield Warned("imap_host", f"{imap} looks like a server for sending. The reading server is often imap.…")
    elif _begins(imap, "pop"):
        yield Warned("imap_host", f"{imap} looks like a POP3 server. The IMAP server is often imap.…")
    elif smtp == imap and preset and preset.smtp and preset.imap and preset.smtp.host != preset.imap.host:
        words = f"{preset.name} has a server for each: {preset.smtp.host} sends, {preset.imap.host} reads."
        yield Warned("imap_host", words)


def _ports(draft: Draft) -> Iterator[Warned]:
    for leg, place, other in (("smtp", draft.smtp, (993, 143)), ("imap", draft.imap, (465, 587, 2525))):
        if place is None:
            continue
        right = "465 (SSL/TLS) or 587 (STARTTLS)" if leg == "smtp" else "993 (SSL/TLS) or 143 (STARTTLS)"
        if place.port in _NOT_MAIL:
            yield Warned(f"{leg}_port", f"{place.port} is a {_NOT_MAIL[place.port]} port. Use {right}.")
        elif place.port in other:
            yield Warned(
                f"{leg}_port", f"{place.port} is for {'reading' if leg == 'smtp' else 'sending'}. Use {right}."
            )
        elif _USUAL.get(place.port, place.security) is not place.security:
            usual = _LABELS[_USUAL[place.port]]
            yield Warned(f"{leg}_security", f"Port {place.port} is used with {usual}. Choose {usual}, or another port.")


def _usernames(draft: Draft, preset: Preset | None) -> Iterator[Warned]:
    if preset is None or not preset.full_address_login:
        return
    for leg, name in (("smtp", draft.smtp_username), ("imap", draft.imap_username)):
        if name and "@" not in name:
            yield Warned(f"{leg}_username", f"{preset.name} wants the whole address as user name: {draft.address}.")


def _password(draft: Draft, preset: Preset | None) -> Iterator[Warned]:
    if not draft.password:
        return
    if _GROUPED.fullmatch(draft.password.strip()):
        yield Warned("password", "The spaces of an app password are only for reading: it is tested without them.")
    elif draft.password != draft.password.strip():
        yield Warned("password", "There is a space before or after the password. If it is not part of it, remove it.")
    elif preset is not None and _takes_app_passwords_alone(preset) and not _may_be_app_password(draft.password, preset):
        where = f" Make one at {preset.app_password_url}." if preset.app_password_url else ""
        words = f"{preset.name} takes an app password here, not the ordinary one. This does not look like one.{where}"
        yield Warned("password", words)


def _takes_app_passwords_alone(preset: Preset) -> bool:
    return "app_password" in preset.auth and "password" not in preset.auth


def _may_be_app_password(password: str, preset: Preset) -> bool:
    """The shapes that are known: Google's 16 letters, Apple's four groups. Others are not judged."""
    if preset.family == "google":
        return bool(_UNBROKEN.fullmatch(password))
    return bool(_DASHED.fullmatch(password)) if preset.family == "icloud" else True


def _begins(host: str, *words: str) -> bool:
    return host.partition(".")[0].rstrip("0123456789-").endswith(words) or host.startswith(words)
