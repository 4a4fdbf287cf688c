"""The second factor of staff (SPEC S6): a time-based code (RFC 6238), its key encrypted like every secret."""

from __future__ import annotations

import secrets
import time
from base64 import b32encode
from typing import Any
from urllib.parse import quote, urlencode

from django.db import models, transaction
from django_otp.models import Device, ThrottlingMixin, TimestampMixin
from django_otp.oath import TOTP

from mailboxes.models.fields import SecretTextField

STEP_S = 30
TOLERANCE = 1  # steps before and after: a phone's clock may be half a minute off


class CodeDevice(TimestampMixin, ThrottlingMixin, Device):  # type: ignore[misc]  # the package ships no types
    """An authenticator app. A code is taken once; wrong ones make the next try wait longer."""

    key = SecretTextField(editable=False)
    last_step = models.BigIntegerField(default=-1)

    class Meta:
        verbose_name = "second factor"

    @staticmethod
    def new_key() -> str:
        """20 random bytes in hexadecimal (RFC 4226 section 4)."""
        return secrets.token_hex(20)

    @property
    def setup_url(self) -> str:
        """What the app reads from the QR code."""
        code = b32encode(bytes.fromhex(self.key or "")).decode()
        label = quote(f"Postmend:{self.user.get_username()}")
        return f"otpauth://totp/{label}?{urlencode({'secret': code, 'issuer': 'Postmend', 'digits': 6})}"

    def get_throttle_factor(self) -> int:
        """Seconds to wait after the first wrong code; doubled after each."""
        return 1

    def verify_token(self, token: Any) -> bool:
        """True for the code of now, once. Counts the wrong ones. Codes of one device are looked at one by one."""
        with transaction.atomic():
            locked: CodeDevice = CodeDevice.objects.select_for_update().get(pk=self.pk)
            return locked._verify(str(token))

    def _verify(self, token: str) -> bool:
        allowed, _why = self.verify_is_allowed()
        if not allowed:
            return False
        code = TOTP(bytes.fromhex(self.key or ""), step=STEP_S)
        code.time = time.time()
        is_number = token.isascii() and token.isdigit() and len(token) <= 6
        if not is_number or not code.verify(int(token), TOLERANCE, self.last_step + 1):
            self.throttle_increment()
            return False
        self.last_step = code.t()
        self.throttle_reset(commit=False)
        self.set_last_used_timestamp(commit=False)
        self.save(
            update_fields=["last_step", "throttling_failure_timestamp", "throttling_failure_count", "last_used_at"]
        )
        return True
