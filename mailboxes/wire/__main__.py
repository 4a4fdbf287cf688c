"""Check one mailbox from the command line, without Django: `python -m mailboxes.wire --help`.

The password or access token is read from the variable MAILBOX_SECRET, or asked for; never an argument.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from mailboxes.wire.addresses import AddressPolicy
from mailboxes.wire.connector import Connector
from mailboxes.wire.resolver import DnsResolver
from mailboxes.wire.runner import check
from mailboxes.wire.tls import tls_client
from mailboxes.wire.values import Endpoint, LegTarget, Login, Report, SecretKind, Security, Target


def main(argv: list[str] | None = None) -> int:
    """Print each step of each leg; 0 where every leg passed, 1 where one failed, 2 for a wrong call."""
    options = _parser().parse_args(argv)
    reports = asyncio.run(check(_target(options), _connector(options)))
    if options.json:
        print(json.dumps([asdict(report) for report in reports]))
    else:
        _print(reports)
    return 0 if all(report.ok for report in reports) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mailboxes.wire", description=__doc__)
    parser.add_argument("username")
    parser.add_argument("--smtp", metavar="HOST:PORT[:ssl|starttls]")
    parser.add_argument("--imap", metavar="HOST:PORT[:ssl|starttls]")
    parser.add_argument("--folder", default="INBOX")
    parser.add_argument("--access-token", action="store_true", help="the secret is an OAuth access token")
    parser.add_argument("--ca-file", type=Path, help="trust this authority besides the system's")
    parser.add_argument("--json", action="store_true")
    return parser


def _target(options: argparse.Namespace) -> Target:
    if not (options.smtp or options.imap):
        _parser().error("name at least one of --smtp and --imap")
    secret = os.environ.get("MAILBOX_SECRET") or getpass.getpass("Password or access token: ")
    kind = SecretKind.ACCESS_TOKEN if options.access_token else SecretKind.PASSWORD
    login = Login(options.username, secret, kind)
    smtp, imap = (LegTarget(_endpoint(place), login) if place else None for place in (options.smtp, options.imap))
    return Target(smtp=smtp, imap=imap, folder=options.folder)


def _endpoint(place: str) -> Endpoint:
    host, _, rest = place.partition(":")
    port, _, security = rest.partition(":")
    if not port.isdigit():
        _parser().error(f"{place!r}: write HOST:PORT, as in smtp.example.com:465")
    implied = "ssl" if int(port) in (465, 993) else "starttls"
    return Endpoint(host, int(port), Security(security or implied))


def _connector(options: argparse.Namespace) -> Connector:
    return Connector(resolver=DnsResolver(), policy=AddressPolicy(), tls=tls_client(options.ca_file))


def _print(reports: tuple[Report, ...]) -> None:
    for report in reports:
        for step in report.steps:
            mark = "ok  " if step.ok else "FAIL"
            words = " ".join(step.text.split())
            print(f"{report.leg:5} {step.stage:9} {mark} {step.elapsed_ms:6} ms  {words}")


if __name__ == "__main__":
    sys.exit(main())
