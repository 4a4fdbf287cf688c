"""TLS as a client: verifying, 1.2 or newer, and able to resume a session with a server that it has just met.

A resumed handshake costs a third of a full one (docs/benchmark.md). It shows no certificate, so a session is used
for ten minutes at most and never after its certificate's end: an expired or replaced one is seen soon enough.
"""

from __future__ import annotations

import math
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

RESUME_FOR_S = 600.0
MOST_KEPT = 4096


@dataclass
class Secured:
    """One connection's TLS over its two ends. `open` from the end of the handshake, `offered` with a kept session."""

    tls: ssl.SSLObject
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    place: tuple[str, int]
    offered: bool
    open: bool = False


class TlsClient:
    """One for the process: loading the authorities into a context costs as much as 10 to 50 checks.

    A session is kept by place (host and port, as verified) for `resume_for_s` seconds; 0 resumes nothing.
    `clock` returns seconds since the epoch.
    """

    def __init__(
        self, context: ssl.SSLContext, resume_for_s: float = RESUME_FOR_S, clock: Callable[[], float] = time.time
    ) -> None:
        self._context = context
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._resume_for_s = resume_for_s
        self._clock = clock
        # None where the server does not take its own sessions back: offering one costs a quarter of a handshake.
        self._kept: OrderedDict[tuple[str, int], tuple[ssl.SSLSession | None, float]] = OrderedDict()

    def begin(self, host: str, port: int) -> Secured:
        """A connection about to shake hands, offering the session that is kept of this place."""
        incoming, outgoing, place = ssl.MemoryBIO(), ssl.MemoryBIO(), (host, port)
        session, until = self._kept.get(place, (None, math.inf))
        if self._clock() >= until:
            del self._kept[place]
            session = None
        tls = self._context.wrap_bio(incoming, outgoing, server_hostname=host, session=session)
        return Secured(tls, incoming, outgoing, place, offered=session is not None)

    def keep(self, secured: Secured) -> None:
        """Remember a verified connection's session. TLS 1.3 sends it after the handshake: call this at the end.

        One that was resumed keeps its time: it must not outlive its certificate's last showing.
        """
        if secured.offered and not secured.tls.session_reused and secured.place in self._kept:
            self._kept[secured.place] = None, self._kept[secured.place][1]
        elif self._resume_for_s and not secured.tls.session_reused and secured.place not in self._kept:
            certificate = secured.tls.getpeercert() or {}
            ends = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
            self._kept[secured.place] = secured.tls.session, min(self._clock() + self._resume_for_s, ends)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)

    def forget(self, secured: Secured) -> None:
        """Meet this place anew: a handshake with it failed."""
        self._kept.pop(secured.place, None)


def tls_client(ca_file: Path | None = None, resume_for_s: float = RESUME_FOR_S) -> TlsClient:
    """A client that trusts the system's authorities, and besides them `ca_file` (the sandbox's throwaway one)."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return TlsClient(context, resume_for_s)
