"""Campaigns for support staff."""

from campaigns.admin import campaign, leads, panel

__all__ = ["campaign", "leads", "panel"]
