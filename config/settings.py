"""One settings file. Works from a checkout with no environment at all; PRODUCTION=true demands the rest.

Values come from the environment or `.env`; `NAME_FILE` reads a secret from a file. See docs/settings.md.
"""

from __future__ import annotations

import ipaddress
import platform
from datetime import datetime
from pathlib import Path

import django_stubs_ext
import environ
from django.templatetags.static import static
from django.urls import reverse_lazy

from config.local import local_keys, make_private
from mailboxes.wire.tls import RESUME_FOR_S
from mailboxes.wire.values import Limits

django_stubs_ext.monkeypatch()
BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.FileAwareEnv()
env.read_env(BASE_DIR / ".env")

PRODUCTION = env.bool("PRODUCTION", default=False)
DEBUG = False
DATA_DIR = Path(env.str("POSTMEND_DATA_DIR", default=str(BASE_DIR / ".postmend")))

_given_keys = env.list("FERNET_KEYS", default=[])
_given_secret = env.str("SECRET_KEY", default="")
KEYS_ARE_LOCAL = not (_given_keys and _given_secret)
_local = local_keys(DATA_DIR) if KEYS_ARE_LOCAL and not PRODUCTION else {}
SECRET_KEY = _given_secret or _local.get("SECRET_KEY", "")
# Signed with one of these: links in mail that is out, sessions, recovery codes. They are still taken.
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
FERNET_KEYS = _given_keys or [key for key in [_local.get("FERNET_KEY", "")] if key]

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
_behind_proxy = env.bool("BEHIND_TLS_PROXY", default=False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _behind_proxy else None
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=1 if _behind_proxy else 0)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = PRODUCTION
SECURE_HSTS_SECONDS = 31_536_000 if PRODUCTION else 0
SESSION_COOKIE_SAMESITE = "Lax"

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_q",
    "django_otp",
    "django_otp.plugins.otp_static",
    "social_django",
    "mailboxes",
    "campaigns",
    "warmup",
    "demo",
]
MIDDLEWARE = [
    "config.bodies.SmallBodies",
    "config.odd.OddValues",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.headers.ContentSecurityPolicy",
    "mailboxes.pages.failures.SignInAgain",
    "mailboxes.pages.second_factor.Gate",
    "mailboxes.pages.signing_in.SignInThrottle",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    make_private(DATA_DIR, str(DATABASES["default"]["NAME"]))
    # Without IMMEDIATE and WAL, readers that turn writers fail at once under load (PITFALLS section 3).
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
WHITENOISE_USE_FINDERS = not PRODUCTION
if PRODUCTION:
    STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    }
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AUTHENTICATION_BACKENDS = ["mailboxes.pages.signing_in.ThrottledBackend"]
CSRF_FAILURE_VIEW = "mailboxes.pages.failures.csrf_failure"
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "sign-in"
STAFF_SECOND_FACTOR = env.bool("STAFF_SECOND_FACTOR", default=PRODUCTION)
PASSWORD_RESET_TIMEOUT = 3600  # seconds
vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
if vars()["EMAIL_BACKEND"] == "django.core.mail.backends.smtp.EmailBackend":
    EMAIL_BACKEND = "mailboxes.outbox.operator.EmailBackend"  # the same transport, with the builder of all our mail
EMAIL_TIMEOUT = 20  # seconds: a worker sends some, well inside the task's time
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Postmend <postmend@localhost>")

# Consent at Google and Microsoft. Faults are ours to tell: nothing of them is raised to an error page.
SOCIAL_AUTH_RAISE_EXCEPTIONS = False

# The way out to mail servers. The three last are for the sandbox and tests: a system check refuses them in production.
MAIL_LIMITS = Limits(
    connect_s=env.float("CONNECT_DEADLINE_S", default=10.0),
    command_s=env.float("COMMAND_DEADLINE_S", default=20.0),
    total_s=env.float("CHECK_DEADLINE_S", default=25.0),
)
TLS_RESUME_S = env.float("TLS_RESUME_S", default=RESUME_FOR_S)
# Codes that confirm an address (SPEC C10) go to the domain's mail servers ourselves ("direct", port 25 out), or by the
# server of EMAIL_URL ("relay").
_HAS_RELAY = vars()["EMAIL_BACKEND"] == "mailboxes.outbox.operator.EmailBackend"
CODE_MAIL = env.str("CODE_MAIL", default="relay" if _HAS_RELAY else "direct")
MAIL_EXCHANGER_PORT = env.int("MAIL_EXCHANGER_PORT", default=25)  # another one for the sandbox alone
MAIL_EHLO_NAME = env.str("EHLO_NAME", default="[127.0.0.1]")
MAIL_RESOLVER = env.str("MAIL_RESOLVER", default="")
MAIL_ALLOWED_NETWORKS = tuple(ipaddress.ip_network(net) for net in env.list("MAIL_ALLOWED_NETWORKS", default=[]))
MAIL_ALLOWED_PORTS = frozenset(int(port) for port in env.list("MAIL_ALLOWED_PORTS", default=[]))
MAIL_CA_FILE = env.str("MAIL_CA_FILE", default="")
DIAGNOSIS_RULES_FILE = env.str("DIAGNOSIS_RULES_FILE", default="")
# A JSON object of `mailboxes.health.thresholds` in seconds; `manage.py simulate` shows what a change would do.
HEALTH_THRESHOLDS = env.str("HEALTH_THRESHOLDS", default="")
DISCONNECTED_AFTER_HOURS = env.float("DISCONNECTED_AFTER_HOURS", default=24.0)
# Where people outside reach this site: links in campaign mail begin with it.
PUBLIC_URL = env.str("PUBLIC_URL", default="http://127.0.0.1:8000").rstrip("/")
# What the upper apps do with mail, the most urgent first (`mailboxes.inbox.plugs`).
MAIL_APPS = ["campaigns.mail", "warmup.mail"]
# How fast waiting and calendars pass for sending: 1 in earnest; the demo is in a hurry (`mailboxes.outbox.tempo`).
MAIL_SPEED = env.float("MAIL_SPEED", default=1.0)
MAIL_SPEED_FROM = datetime.fromisoformat(env.str("MAIL_SPEED_FROM", default="2026-01-01T00:00:00+00:00"))
KEEP_FAILURES_DAYS = env.float("KEEP_FAILURES_DAYS", default=30.0)
KEEP_CHANGES_DAYS = env.float("KEEP_CHANGES_DAYS", default=400.0)
KEEP_ROLLUPS_DAYS = env.float("KEEP_ROLLUPS_DAYS", default=60.0)

# Mail that is new in a folder and arrived so many days before the last reading was moved or imported there: no answer.
READ_BACK_DAYS = env.float("READ_BACK_DAYS", default=30.0)
KEEP_MAIL_DAYS = env.float("KEEP_MAIL_DAYS", default=400.0)
KEEP_WARMUP_DAYS = env.float("KEEP_WARMUP_DAYS", default=30.0)

CHECK_BATCH = env.int("CHECK_BATCH", default=200)
CHECKS_UNDER_WAY = env.int("CHECKS_UNDER_WAY", default=250)
CHECKS_PER_HOST = env.int("CHECKS_PER_HOST", default=20)
# What a batch has not begun after all but one of these deadlines is left for a later batch.
BATCH_DEADLINES = 2
# A task takes no new batch after so many seconds.
TAKE_FOR_S = 20.0

_workers = env.int("WORKERS", default=9)
Q_CLUSTER = {
    # Machines that share a database must not share a queue's name: the host's is its own.
    "name": env.str("POSTMEND_WORKER", default=platform.node() or "postmend"),
    "orm": "default",
    "broker_class": "mailboxes.broker.OwnTasksBroker",  # runs our own functions alone
    # A schedule could run anything past the broker: the supervisor rings for what comes by the clock.
    "scheduler": False,
    "workers": _workers,
    "queue_limit": _workers,
    "bulk": 1,
    "timeout": 120,  # a batch, and the half minute in which it waits for a database that restarts
    "retry": 300,
    "max_attempts": 3,
    "save_limit": -1,
    "catch_up": False,
    "poll": 0.5,
    "label": "Queue",
}

UNFOLD = {
    "SITE_TITLE": "Postmend",
    "SITE_HEADER": "Postmend",
    "SITE_SUBHEADER": "Mailbox connections",
    "SITE_SYMBOL": "mark_email_read",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "mailboxes.admin.dashboard.context",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("postmend/icon.svg")},
    ],
    "STYLES": [lambda request: static("postmend/admin.css")],
    "SCRIPTS": [
        lambda request: static("postmend/failures.js"),
        lambda request: static("postmend/copy.js"),
    ],
    "ACCOUNT": {"navigation": [{"title": "Recovery codes", "link": reverse_lazy("recovery-codes")}]},
    "SIDEBAR": {"show_search": False, "navigation": "mailboxes.admin.navigation.sidebar"},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "filters": {"no keys": {"()": "config.logs.NoKeysInPaths"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["no keys"]}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="WARNING")},
    "loggers": {"mailboxes": {"level": env.str("LOG_LEVEL", default="INFO")}},
}
DEFAULT_EXCEPTION_REPORTER_FILTER = "config.errors.SecretFreeFilter"
