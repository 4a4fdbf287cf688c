"""The one encrypted column type (SPEC S1). PITFALLS section 1 says what its base does wrong; tests hold each repair."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from fernet_fields import EncryptedTextField as BaseEncryptedTextField
from fernet_fields import hkdf

from mailboxes.wire.masking import MASK

if TYPE_CHECKING:  # the package ships no types; as a column it is a TextField
    _Base = models.TextField[str | None, str | None]
else:
    _Base = BaseEncryptedTextField


class SecretTextField(_Base):
    """Text, encrypted with FERNET_KEYS: the first key encrypts, all decrypt. A wrong key raises InvalidToken.

    Only `isnull` may look it up. It never falls back to SECRET_KEY, and expressions
    (`bulk_update`, `Coalesce`) encrypt the value and not the SQL around it.
    """

    @property
    def keys(self) -> tuple[str, ...]:
        """FERNET_KEYS as they are now. Raises ImproperlyConfigured without any."""
        keys = tuple(getattr(settings, "FERNET_KEYS", None) or ())
        if not keys:
            raise ImproperlyConfigured("FERNET_KEYS is empty: set one key or more, the newest first.")
        return keys

    @property
    def fernet(self) -> MultiFernet:
        """The cipher for the present keys."""
        return cipher(self.keys)

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        """Encrypt a text; leave expressions alone."""
        if hasattr(value, "as_sql"):
            return value
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{self.name} takes text only")
        return super().get_db_prep_save(value, connection)

    def get_transform(self, lookup_name: str) -> Any:
        """Nothing can be asked of ciphertext."""
        raise FieldError(f"{self.name} is encrypted: {lookup_name} cannot be asked of it")

    def value_to_string(self, obj: models.Model) -> str:
        """What serializers (dumpdata) get: never the secret."""
        return MASK if self.value_from_object(obj) else ""


@lru_cache(maxsize=8)
def cipher(keys: tuple[str, ...]) -> MultiFernet:
    """Return the cipher for these keys of FERNET_KEYS."""
    return MultiFernet([Fernet(hkdf.derive_fernet_key(key)) for key in keys])
