"""Speaks to mail servers and token endpoints. Pure asyncio: no Django, no settings, no clock of its own."""
