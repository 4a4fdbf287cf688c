"""Ports for servers that tests start."""

from __future__ import annotations

import random
import socket

# Below those that systems give away by themselves (Linux: from 32768): nobody takes one before its server does.
_PORTS = range(20_000, 32_000)
_given: set[int] = set()


def free_port() -> int:
    """Return a port that nobody listens on, another one at each call. Not by the seeded dice that pytest's other
    workers have as well."""
    for port in random.SystemRandom().sample(_PORTS, 200):
        with socket.socket() as probe:
            if port not in _given and probe.connect_ex(("127.0.0.1", port)) != 0:
                _given.add(port)
                return port
    raise AssertionError("no free port found")
