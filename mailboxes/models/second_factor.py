"""The second factor of staff (SPEC S6): a time-based code (RFC 6238), its key encrypted like every secret; and recovery
codes for who has lost the phone."""

from __future__ import annotations

import secrets
import time
from base64 import b32encode
from typing import Any
from urllib.parse import quote, urlencode

from cryptography.fernet import InvalidToken
from django.contrib.auth.models import User
from django.db import models, transaction
from django_otp.models import Device, DeviceManager, ThrottlingMixin, TimestampMixin
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken

from mailboxes.models.fields import SecretTextField
from mailboxes.models.hashes import keyed_hashes

STEP_S = 30
TOLERANCE = 1  # steps before and after: a phone's clock may be half a minute off
MOST_DOUBLINGS = 10  # of one second: a wait of 512 s at most
RECOVERY_CODES = 10


class BoundedWait:
    """Wrong codes make the next try wait longer: 1 s, 2 s, 4 s, and never more than nine minutes."""

    throttling_failure_count: int

    def get_throttle_factor(self) -> int:
        """Seconds to wait after the first wrong code; doubled after each."""
        return 1

    def verify_is_allowed(self) -> Any:
        """Whether a code is looked at now."""
        self.throttling_failure_count = min(self.throttling_failure_count, MOST_DOUBLINGS)
        return super().verify_is_allowed()  # type: ignore[misc]  # of the package's mixin


class KeyedDeviceManager(DeviceManager):  # type: ignore[misc]  # the package ships no types
    """Leaves the key alone until a code is looked at: whoever is signed in stays so, whatever became of FERNET_KEYS."""

    def get_queryset(self) -> models.QuerySet[CodeDevice]:
        """All, without their keys."""
        rows: models.QuerySet[CodeDevice] = super().get_queryset().defer("key")
        return rows


class CodeDevice(BoundedWait, TimestampMixin, ThrottlingMixin, Device):  # type: ignore[misc]  # the package ships no types
    """An authenticator app. A code is taken once; wrong ones make the next try wait longer."""

    key = SecretTextField(editable=False)
    last_step = models.BigIntegerField(default=-1)

    objects = KeyedDeviceManager()

    class Meta:
        verbose_name = "second factor"

    @staticmethod
    def new_key() -> str:
        """20 random bytes in hexadecimal (RFC 4226 section 4)."""
        return secrets.token_hex(20)

    @property
    def is_readable(self) -> bool:
        """False where the key of FERNET_KEYS that encrypts it is lost: no code can be looked at."""
        try:
            return bool(self.key)
        except InvalidToken:
            return False

    @property
    def setup_url(self) -> str:
        """What the app reads from the QR code."""
        code = b32encode(bytes.fromhex(self.key or "")).decode()
        label = quote(f"Postmend:{self.user.get_username()}")
        return f"otpauth://totp/{label}?{urlencode({'secret': code, 'issuer': 'Postmend', 'digits': 6})}"

    def verify_token(self, token: Any) -> bool:
        """True for the code of now, once. Counts the wrong ones. Codes of one device are looked at one by one."""
        with transaction.atomic():
            locked: CodeDevice = CodeDevice.objects.select_for_update().get(pk=self.pk)
            return locked.is_readable and locked._verify(str(token))

    def _verify(self, token: str) -> bool:
        allowed, _why = self.verify_is_allowed()
        if not allowed:
            return False
        code = TOTP(bytes.fromhex(self.key or ""), step=STEP_S)
        code.time = time.time()
        is_number = token.isascii() and token.isdigit() and len(token) <= 6
        if not is_number or not code.verify(int(token), TOLERANCE, self.last_step + 1):
            self.throttle_increment(commit=False)
            self.save(update_fields=["throttling_failure_timestamp", "throttling_failure_count"])
            return False
        self.last_step = code.t()
        self.throttle_reset(commit=False)
        self.set_last_used_timestamp(commit=False)
        self.save(
            update_fields=["last_step", "throttling_failure_timestamp", "throttling_failure_count", "last_used_at"]
        )
        return True


class RecoveryCodes(BoundedWait, StaticDevice):  # type: ignore[misc]  # the package ships no types
    """Ten codes, each of which stands in for the authenticator app once. Kept as keyed hashes of 64 bits, which is what
    the package's column takes; FERNET_KEYS has no part in them."""

    class Meta:
        proxy = True

    @classmethod
    def renew(cls, user: User) -> list[str]:
        """New codes, which are shown once; the ones before end."""
        codes = [f"{secrets.token_hex(3)}-{secrets.token_hex(3)}" for _ in range(RECOVERY_CODES)]
        with transaction.atomic():
            User.objects.select_for_update(no_key=True).get(pk=user.pk)
            cls.objects.filter(user=user).delete()
            device = cls.objects.create(user=user, name="Recovery codes", confirmed=True)
            StaticToken.objects.bulk_create([StaticToken(device=device, token=_hashes(code)[0]) for code in codes])
        return codes

    @classmethod
    def left(cls, user: User) -> int:
        """How many are not used yet."""
        count: int = StaticToken.objects.filter(device__user=user).count()
        return count

    def verify_token(self, token: Any) -> bool:
        """True for a code that is left, once. Tries are looked at one by one."""
        with transaction.atomic():
            locked: RecoveryCodes = RecoveryCodes.objects.select_for_update().get(pk=self.pk)
            hashes = _hashes(str(token))
            kept = locked.token_set.filter(token__in=hashes).values_list("token", flat=True).first()
            taken: bool = super(RecoveryCodes, locked).verify_token(kept or hashes[0])
            return taken


def _hashes(code: str) -> list[str]:
    letters = "".join(code.split()).replace("-", "").lower()
    return [found[:16] for found in keyed_hashes("postmend.recovery-code", letters)]
