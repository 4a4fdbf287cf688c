"""Error reports without local variables of ours: a secret may stand in one (SPEC S1; FACTS D25)."""

from __future__ import annotations

from collections.abc import ItemsView
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter


class SecretFreeFilter(SafeExceptionReporterFilter):
    """Keeps the trace, drops every frame's variables."""

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, str]:
        """Only the names of what was posted."""
        return dict.fromkeys(request.POST, "[not kept]") if request is not None else {}

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: FrameType) -> ItemsView[str, Any]:
        """No variable of any frame."""
        return dict[str, Any]().items()
