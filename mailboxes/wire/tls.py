"""TLS as a client: verifying, 1.2 or newer, and able to resume a session with a server that it has just met.

pyOpenSSL over memory buffers (decision 0006). A resumed handshake costs half of a full one. It shows no certificate,
so a session is used for ten minutes at most and never after its certificate's end: an expired or replaced one is seen
soon enough.
"""

from __future__ import annotations

import ssl
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import verify_certificate_hostname

RESUME_FOR_S = 600.0
MOST_KEPT = 4096
CHUNK = 65_536
# X509_V_ERR numbers (OpenSSL, verify(1)) in its own words: what people and rules read.
_WORDS = {
    9: "certificate is not yet valid",
    10: "certificate has expired",
    18: "self-signed certificate",
    19: "self-signed certificate in certificate chain",
    20: "unable to get local issuer certificate",
    21: "unable to verify the first certificate",
    23: "certificate revoked",
    26: "unsuitable certificate purpose",
    66: "EE certificate key too weak",
    68: "CA signature digest algorithm too weak",
}


class TlsFault(Exception):
    """TLS failed: `code` names the fault, the text says it."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass
class _Verdict:
    """What OpenSSL said of the certificates; `seen` none where a session was resumed."""

    seen: bool = False
    number: int = 0


@dataclass
class Secured:
    """One connection's TLS. `open` from the end of the handshake, `offered` with a kept session."""

    tls: SSL.Connection
    place: tuple[str, int]
    offered: bool
    verdict: _Verdict = field(default_factory=_Verdict)
    open: bool = False
    verifies: bool = True

    def __post_init__(self) -> None:
        self.tls.set_app_data(self.verdict)

    def shake_hands(self) -> bool:
        """As far as what has come allows; True at its end, with the certificate verified. Raises TlsFault."""
        try:
            self.tls.do_handshake()
        except SSL.WantReadError:
            return False
        except SSL.Error as error:
            raise _fault(self.verdict, error) from None
        if self.verifies and not self.resumed:
            self._verify_name()
        self.open = True
        return True

    def _verify_name(self) -> None:
        """The chain was verified in the handshake; a resumed session is kept under the name it was verified for."""
        certificate = self.tls.get_peer_certificate(as_cryptography=True)
        if certificate is None or not _is_for(certificate, self.place[0]):
            text = f"certificate verify failed: Hostname mismatch, certificate is not valid for '{self.place[0]}'."
            raise TlsFault("CERTIFICATE_VERIFY_FAILED", text)

    @property
    def resumed(self) -> bool:
        """True where the server took the offered session back."""
        return self.offered and not self.verdict.seen

    def feed(self, data: bytes) -> None:
        """Take what has come from the server."""
        self.tls.bio_write(data)

    def waiting(self) -> bytes:
        """What is to be sent to the server."""
        parts = []
        with suppress(SSL.WantReadError):
            while True:
                parts.append(self.tls.bio_read(CHUNK))
        return b"".join(parts)

    def encrypt(self, data: bytes) -> bytes:
        """What is to be sent for this."""
        self.tls.sendall(data)
        return self.waiting()

    def decrypt(self) -> bytes | None:
        """What can be read by now; b"" for nothing yet, None at the server's goodbye. Raises TlsFault."""
        try:
            return self.tls.recv(CHUNK)
        except SSL.WantReadError:
            return b""
        except (SSL.ZeroReturnError, SSL.SysCallError):
            return None
        except SSL.Error as error:
            raise _fault(self.verdict, error) from None


class TlsClient:
    """One for the process: loading the authorities into a context costs as much as 10 to 50 checks.

    A session is kept by place (host and port, as verified) for `resume_for_s` seconds; 0 resumes nothing.
    `clock` returns seconds since the epoch.
    """

    def __init__(
        self,
        context: SSL.Context,
        resume_for_s: float = RESUME_FOR_S,
        clock: Callable[[], float] = time.time,
        *,
        verifies: bool = True,
    ) -> None:
        if verifies:
            context.set_verify(SSL.VERIFY_PEER, _verified)
        else:
            context.set_verify(SSL.VERIFY_NONE)
        self._verifies = verifies
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        # OpenSSL's own cache would strike a session off after its first use.
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        self._context = context
        self._resume_for_s = resume_for_s
        self._clock = clock
        # None where the server does not take its own sessions back: it is offered none until the time is over.
        self._kept: OrderedDict[tuple[str, int], tuple[SSL.Session | None, float]] = OrderedDict()

    def begin(self, host: str, port: int) -> Secured:
        """A connection about to shake hands, offering the session that is kept of this place."""
        place = (host, port)
        session, until = self._kept.get(place, (None, float("inf")))
        if self._clock() >= until:
            del self._kept[place]
            session = None
        tls = SSL.Connection(self._context, None)
        tls.set_connect_state()
        tls.set_tlsext_host_name(host.encode("ascii"))
        if session is not None:
            tls.set_session(session)
        return Secured(tls, place, offered=session is not None, verifies=self._verifies)

    def keep(self, secured: Secured) -> None:
        """Remember a verified connection's session. TLS 1.3 sends it after the handshake: call this at the end.

        One that was resumed keeps its time: it must not outlive its certificate's last showing.
        """
        # Without this, freeing the connection marks its session as one that must not be used again.
        secured.tls.set_shutdown(SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN)
        if secured.offered and not secured.resumed and secured.place in self._kept:
            self._kept[secured.place] = None, self._kept[secured.place][1]
        elif self._resume_for_s and not secured.resumed and secured.place not in self._kept:
            certificate, session = secured.tls.get_peer_certificate(as_cryptography=True), secured.tls.get_session()
            if certificate is None or session is None:
                return
            ends = certificate.not_valid_after_utc.timestamp()
            self._kept[secured.place] = session, min(self._clock() + self._resume_for_s, ends)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)

    def forget(self, secured: Secured) -> None:
        """Meet this place anew: a handshake with it failed."""
        self._kept.pop(secured.place, None)


def tls_client(ca_file: Path | None = None, resume_for_s: float = RESUME_FOR_S) -> TlsClient:
    """A client that trusts the system's authorities, and besides them `ca_file` (the sandbox's throwaway one)."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_default_verify_paths()
    paths = ssl.get_default_verify_paths()  # where this Python finds the system's, should OpenSSL look elsewhere
    if paths.cafile or paths.capath:
        context.load_verify_locations(paths.cafile, paths.capath)
    if ca_file is not None:
        context.load_verify_locations(str(ca_file))
    return TlsClient(context, resume_for_s)


def opportunistic_client() -> TlsClient:
    """A client for mail exchangers alone, which often show no valid certificate: encryption against listeners, as all
    mail servers do it among each other (RFC 7435). No secret of a customer's goes this way."""
    return TlsClient(SSL.Context(SSL.TLS_CLIENT_METHOD), resume_for_s=0, verifies=False)


@lru_cache(MOST_KEPT)
def _is_for(certificate: x509.Certificate, host: str) -> bool:
    """True where the certificate names this host (RFC 6125, by service-identity)."""
    try:
        verify_certificate_hostname(certificate, host)
    except (VerificationError, CertificateError):
        return False
    return True


def _verified(connection: SSL.Connection, _certificate: crypto.X509, number: int, _depth: int, ok: int) -> bool:
    """OpenSSL's own verdict, unchanged; what stood against it is remembered for people."""
    verdict = connection.get_app_data()
    verdict.seen = True
    if not ok:
        verdict.number = number
    return bool(ok)


def _fault(verdict: _Verdict, error: SSL.Error) -> TlsFault:
    if isinstance(error, SSL.SysCallError):
        return TlsFault("SSL_ERROR", "TLS failed: the server closed the connection")
    if verdict.number:
        words = _WORDS.get(verdict.number, f"verification error {verdict.number}")
        return TlsFault("CERTIFICATE_VERIFY_FAILED", f"certificate verify failed: {words}")
    reason = ""
    with suppress(IndexError, TypeError):
        reason = str(error.args[0][-1][-1])
    return TlsFault(reason.upper().replace(" ", "_") or "SSL_ERROR", f"TLS failed: {reason or 'ssl error'}")
