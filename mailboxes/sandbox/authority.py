"""A throwaway authority and certificates, good and bad."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import trustme
from OpenSSL import SSL

from mailboxes.wire.tls import RESUME_FOR_S, TlsClient


class Authority:
    """Issues certificates for host names; `kind` is "" or a fault's certificate."""

    def __init__(self) -> None:
        self._ca = trustme.CA(organization_name="Postmend sandbox")
        self._issuer = self._ca.create_child_ca()  # as public authorities do: a root issues no server's certificate
        self._other = trustme.CA(organization_name="Nobody in particular")
        self.context = lru_cache(maxsize=None)(self._context)

    def write(self, path: Path) -> None:
        """Write the authority's certificate, to be trusted by the clients."""
        self._ca.cert_pem.write_to_path(path)

    def client(self, resume_for_s: float = RESUME_FOR_S, clock: Callable[[], float] = time.time) -> TlsClient:
        """A client of ours that trusts this authority alone."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        self._ca.configure_trust(context)
        return TlsClient(context, resume_for_s, clock)

    def trusting(self) -> ssl.SSLContext:
        """A verifying context for clients of others that trusts this authority."""
        context = ssl.create_default_context()
        self._ca.configure_trust(context)
        return context

    def _context(self, host: str, kind: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if kind == "self_signed":
            with self._other.cert_pem.tempfile() as cert, self._other.private_key_pem.tempfile() as key:
                context.load_cert_chain(cert, key)
        else:
            self.certificate(host, kind).configure_cert(context)
        return context

    def certificate(self, host: str, kind: str = "") -> trustme.LeafCert:
        """A certificate with its key; `kind` is "", expired, wrong_name, or foreign: of an authority nobody trusts."""
        if kind == "foreign":
            return self._other.issue_cert(host)
        if kind == "expired":
            yesterday = datetime.now(UTC) - timedelta(days=1)
            return self._issuer.issue_cert(host, not_before=yesterday - timedelta(days=90), not_after=yesterday)
        if kind == "wrong_name":
            return self._issuer.issue_cert("mail.elsewhere.test")
        return self._issuer.issue_cert(host)
