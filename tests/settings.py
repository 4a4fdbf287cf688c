"""The project's settings with test keys, a far time zone for the machine's clock, and a fast password hasher."""

import os

os.environ.setdefault("SECRET_KEY", "tests-only-secret-key-not-used-elsewhere-0123456789")
os.environ.setdefault("FERNET_KEYS", "tests-only-fernet-key-one")
os.environ["TZ"] = "Asia/Tokyo"

from config.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
