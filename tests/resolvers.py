"""Resolvers for tests that are about something else than names."""

from __future__ import annotations

from dataclasses import dataclass

from mailboxes.wire.resolver import NameFault, Service


@dataclass
class OneAddress:
    """Every name has this one address; of no domain anything is known."""

    address: str

    async def addresses(self, host: str) -> list[str]:
        return [self.address]

    async def exchangers(self, domain: str) -> list[str]:
        raise NameFault("EAI_AGAIN", f"{domain}: nobody answers")

    async def name_servers(self, domain: str) -> list[str]:
        raise NameFault("EAI_AGAIN", f"{domain}: nobody answers")

    async def services(self, name: str) -> list[Service]:
        raise NameFault("EAI_AGAIN", f"{name}: nobody answers")
