"""The project's settings with test keys, a far time zone on the machine's clock, and a fast password hasher."""

import os
import tempfile
import zlib

os.environ.setdefault("SECRET_KEY", "tests-only-secret-key-not-used-elsewhere-0123456789")
os.environ.setdefault("FERNET_KEYS", "tests-only-fernet-key-one")
# A folder for each checkout: two runs at once would take each other's database away.
os.environ.setdefault(
    "POSTMEND_DATA_DIR",
    os.path.join(tempfile.gettempdir(), f"postmend-tests-{os.getuid()}-{zlib.crc32(__file__.encode())}"),
)

from config.settings import *  # noqa: F403
from config.settings import DATA_DIR, DATABASES, MIDDLEWARE

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, so that the processes which some tests kill can open it too.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "tests.sqlite3")}
MAIL_RESOLVER = "127.0.0.1:9"  # nobody answers there: a test that needs names passes the sandbox's
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGGING["loggers"]["mailboxes"] = {"level": "DEBUG"}  # type: ignore[index]  # noqa: F405
MIDDLEWARE.insert(0, "tests.secrets.NoSecretInPages")
