"""Look at settings, keys, clock, DNS, the way out, queue, OAuth clients and alarms. Exit 1 where one fails."""

from __future__ import annotations

import asyncio
import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from cryptography.fernet import InvalidToken
from django.core.checks import ERROR, run_checks
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone
from OpenSSL import SSL

from mailboxes.health.outgoing import from_settings
from mailboxes.health.retention import RETIRED_AFTER
from mailboxes.health.targets import wire_client
from mailboxes.models import Credential, Heartbeat, OAuthClient, StaffAlarm, Workspace
from mailboxes.models.destination import Astray
from mailboxes.reconnect.oauth.registrations import registration
from mailboxes.wire.addresses import normal_host
from mailboxes.wire.recorder import Recorder
from mailboxes.wire.resolver import NameFault
from mailboxes.wire.tokens import refresh
from mailboxes.wire.values import Endpoint, Leg, Security, WireFault

SKEW = timedelta(seconds=30)
BEAT_WITHIN = timedelta(seconds=60)
SAMPLE = 200
EXPIRES_SOON_DAYS = 30
Finding = tuple[str, str, str]  # what, ok | warn | fail, words


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true")
        parser.add_argument(
            "--host", default="smtp.gmail.com", help="mail host that name resolution and port are tried on"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        looks: tuple[Callable[[], Iterator[Finding]], ...] = (
            _settings, _keys, _clock, lambda: _way_out(options["host"]), _queue, _oauth_clients, _alarms, _versions,
        )  # fmt: skip
        findings = [finding for look in looks for finding in look()]
        for what, level, words in findings:
            line = json.dumps({"what": what, "result": level, "text": words})
            self.stdout.write(line if options["json"] else f"{level:5} {what:14} {words}")
        failed = [what for what, level, _words in findings if level == "fail"]
        if failed:
            raise CommandError(f"{len(failed)} failed: {', '.join(failed)}")


def _settings() -> Iterator[Finding]:
    messages = run_checks()
    for found in messages:
        yield (
            "settings",
            "fail" if found.level >= ERROR else "warn",
            f"{found.id} {found.msg} {found.hint or ''}".strip(),
        )
    if not messages:
        yield "settings", "ok", "all system checks pass"


def _keys() -> Iterator[Finding]:
    """A sample: every row would be a scan."""
    unreadable = 0
    ids = list(Credential.objects.order_by("-id").values_list("id", flat=True)[:SAMPLE])
    for key in ids:
        try:
            Credential.objects.get(id=key)
        except InvalidToken:
            unreadable += 1
    level = "fail" if unreadable else "ok"
    yield "keys", level, f"{len(ids) - unreadable} of the newest {len(ids)} credentials can be decrypted"


def _clock() -> Iterator[Finding]:
    if connection.vendor != "postgresql":
        yield "clock", "ok", "one machine: clock and database are the same"
        return
    row = Workspace.objects.order_by().annotate(at=Now()).values_list("at", flat=True).first()
    skew = abs(timezone.now() - row) if row else timedelta(0)
    yield "clock", "ok" if skew < SKEW else "fail", f"{skew.total_seconds():.1f} s from the database's clock"


def _way_out(host: str) -> Iterator[Finding]:
    connector = from_settings().mail

    async def look() -> list[Finding]:
        try:
            found = await connector.resolver.addresses(normal_host(host))
        except NameFault as fault:
            return [("dns", "fail", fault.text)]
        resolved: Finding = ("dns", "ok", f"{host} has {len(found)} addresses")
        try:
            channel = await connector.open(Endpoint(host, 465, Security.SSL), Recorder(Leg.SMTP))
        except WireFault as fault:
            return [resolved, ("egress", "fail", f"{host}:465 {fault.stage}: {fault.text}")]
        channel.close()
        return [resolved, ("egress", "ok", f"{host}:465 answers with a valid certificate")]

    yield from asyncio.run(look())


def _queue() -> Iterator[Finding]:
    beats = list(Heartbeat.objects.filter(at__gte=timezone.now() - RETIRED_AFTER).order_by("name"))
    if not beats:
        yield "queue", "warn", "no worker has run for a day: start `manage.py worker`"
    for beat in beats:
        age = timezone.now() - beat.at
        level = "ok" if age < BEAT_WITHIN else "fail"
        yield "queue", level, f"worker {beat.name}: last sign of life {age.total_seconds():.0f} s ago"


def _oauth_clients() -> Iterator[Finding]:
    """Complete, its scopes enough, its secret not near its end, and not refused by its token endpoint."""
    clients = list(OAuthClient.objects.defer("client_secret"))
    if not clients:
        yield "oauth", "ok", "no OAuth client is set up"
    for client in clients:
        try:
            whole = OAuthClient.objects.get(pk=client.pk)
        except InvalidToken:
            yield "oauth", "fail", f"{client.name}: no key opens its secret: see FERNET_KEYS"
            continue
        yield from _looked_at(whole)


def _looked_at(client: OAuthClient) -> Iterator[Finding]:
    if client.is_astray:
        yield "oauth", "fail", str(Astray(client.name))
        return
    if not client.client_secret or not client.client_id:
        yield "oauth", "fail", f"{client.name}: client id or secret is missing"
        return
    known = registration(client.name)
    if known is not None and client.scopes and (missing := known.missing(client.scopes)):
        yield "oauth", "fail", f"{client.name}: its scopes lack {' '.join(missing)}"
    if known is not None and not client.mail_hosts:
        yield "oauth", "warn", f"{client.name}: its access tokens may be sent to any mail server; set its mail hosts"
    if client.secret_expires_on is not None:
        left = (client.secret_expires_on - timezone.now().date()).days
        level = "fail" if left < 0 else "warn" if left <= EXPIRES_SOON_DAYS else "ok"
        yield "oauth", level, f"{client.name}: its secret ends on {client.secret_expires_on}, in {left} days"
    yield _asked(client)


def _asked(client: OAuthClient) -> Finding:
    """Ask with a refresh token that nobody has: a client that is known is told that the grant is not."""
    step = asyncio.run(refresh(wire_client(client), "a-token-that-nobody-has", from_settings().tokens)).report.failed
    code = step.code if step is not None else ""
    if code.split(" ")[0] in ("invalid_grant", "invalid_request"):
        path = reverse("consent-complete", args=[client.name]) if registration(client.name) else "none"
        return "oauth", "ok", f"{client.name}: its endpoint answers and does not refuse us; redirect path {path}"
    return "oauth", "fail", f"{client.name}: its token endpoint says {code or 'yes to a made-up token'}"


def _alarms() -> Iterator[Finding]:
    for alarm in StaffAlarm.objects.filter(closed_at__isnull=True):
        yield "alarm", "fail", f"{alarm.kind} {alarm.key}: {alarm.text[:120]}"


def _versions() -> Iterator[Finding]:
    words = SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode()
    yield "tls", "ok", f"{words}, of the cryptography package: a newer package brings a newer one"
