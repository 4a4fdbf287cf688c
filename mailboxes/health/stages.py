"""A leg's report as it is kept for a page: each stage, passed or failed, with the server's words."""

from __future__ import annotations

from typing import Any

from mailboxes.wire.values import Report


def steps_of(report: Report) -> dict[str, Any]:
    """The leg and its steps as JSON."""
    steps = [
        {"stage": step.stage.value, "ok": step.ok, "ms": step.elapsed_ms, "text": step.text} for step in report.steps
    ]
    return {"leg": report.leg.value, "steps": steps}
