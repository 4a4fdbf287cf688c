"""Is the address its mailbox's own? A one-time code that comes by the domain's MX tells (SPEC C10)."""
