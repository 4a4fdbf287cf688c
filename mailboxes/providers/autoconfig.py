"""A domain's autoconfig document as endpoints (FACTS C5; draft-ietf-mailmaint-autoconfig). Hostile XML is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree as SafeTree
from defusedxml.common import DefusedXmlException

from mailboxes.wire.addresses import MAIL_PORTS, Refused, normal_host
from mailboxes.wire.values import Endpoint, Security

_PORTS = frozenset(str(port) for port in MAIL_PORTS)
_SECURITY = {"SSL": Security.SSL, "STARTTLS": Security.STARTTLS}


@dataclass(frozen=True, slots=True)
class Autoconfig:
    """What the document offers, its placeholders filled in. User names are "" where it says nothing."""

    smtp: Endpoint | None
    imap: Endpoint | None
    smtp_username: str = ""
    imap_username: str = ""


def parse(document: bytes, address: str) -> Autoconfig | None:
    """The first usable server of each kind; None for a document that offers none. Cleartext servers are passed over."""
    try:
        root = SafeTree.fromstring(document, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return None
    smtp = next(_servers(root, "outgoingServer", "smtp", address), None)
    imap = next(_servers(root, "incomingServer", "imap", address), None)
    if smtp is None and imap is None:
        return None
    none = (None, "")
    return Autoconfig((smtp or none)[0], (imap or none)[0], (smtp or none)[1], (imap or none)[1])


def _servers(root: Element, tag: str, kind: str, address: str) -> Iterator[tuple[Endpoint, str]]:
    for server in root.iter(tag):
        if server.get("type") != kind:
            continue
        place = _endpoint(server, address)
        if place is not None:
            yield place, _filled(server.findtext("username") or "", address)


def _endpoint(server: Element, address: str) -> Endpoint | None:
    security = _SECURITY.get((server.findtext("socketType") or "").strip().upper())
    port = (server.findtext("port") or "").strip()
    if security is None or port not in _PORTS:
        return None
    try:
        return Endpoint(normal_host(_filled(server.findtext("hostname") or "", address)), int(port), security)
    except Refused:
        return None


def _filled(text: str, address: str) -> str:
    local, _, domain = address.rpartition("@")
    names = {"%EMAILADDRESS%": address, "%EMAILLOCALPART%": local, "%EMAILDOMAIN%": domain}
    for name, value in names.items():
        text = text.replace(name, value)
    return text.strip()[:254]
