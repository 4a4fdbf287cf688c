"""Credentials replaced on the same record: only credential fields change (SPEC R3)."""
