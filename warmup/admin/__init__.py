"""Warm-up for support staff."""

from warmup.admin import exchanges, members, panel, pools

__all__ = ["exchanges", "members", "panel", "pools"]
