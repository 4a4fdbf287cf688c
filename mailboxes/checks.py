"""System checks with ids: a bad setting is told at the start, with its fix, and never at night."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from mailboxes.models.restarts import RESTART_S


@register(Tags.security)
def check_keys(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Secrets have keys of their own (SPEC S1)."""
    keys = list(settings.FERNET_KEYS or ())
    if not keys or not all(keys):
        hint = "Set FERNET_KEYS to one key or more, separated by commas, the newest first."
        return [Error("FERNET_KEYS is empty.", hint=hint, id="mailboxes.E001")]
    if {settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS} & set(keys):
        return [Error("FERNET_KEYS holds SECRET_KEY.", hint="Make a key of its own.", id="mailboxes.E002")]
    if settings.PRODUCTION and settings.KEYS_ARE_LOCAL:
        hint = "Set SECRET_KEY and FERNET_KEYS (or SECRET_KEY_FILE and FERNET_KEYS_FILE)."
        return [Error("The keys were made up for a local run.", hint=hint, id="mailboxes.E003")]
    return []


@register()
def check_queue_times(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """deadline < timeout < retry, and retry long enough for what is queued before (PITFALLS section 3)."""
    queue = settings.Q_CLUSTER
    deadline_s = settings.TAKE_FOR_S + settings.MAIL_LIMITS.total_s * settings.BATCH_DEADLINES + RESTART_S
    timeout, retry = queue["timeout"], queue["retry"]
    needed = timeout * (queue["queue_limit"] / queue["workers"] + 1)
    if deadline_s < timeout < retry and retry > needed:
        return []
    text = f"deadline {deadline_s} s < timeout {timeout} s < retry {retry} s (over {needed:.0f} s) does not hold."
    return [Error(text, hint="Shorten CHECK_DEADLINE_S or lengthen Q_CLUSTER's times.", id="mailboxes.E004")]


@register()
def check_workers(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """One worker each for checks asked for, tests, sending, reading and the sign of life, one at least for what is
    due."""
    if settings.Q_CLUSTER["workers"] >= 6:
        return []
    return [Error("A worker machine needs six workers.", hint="Set WORKERS to 6 or more.", id="mailboxes.E007")]


@register(Tags.security)
def check_public_url(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Links in campaign mail lead here; one-click unsubscribe demands https (RFC 8058)."""
    if not settings.PRODUCTION or settings.PUBLIC_URL.startswith("https://"):
        return []
    hint = "Set PUBLIC_URL to where people outside reach this site, as in https://mail.example.com."
    return [Error("PUBLIC_URL does not begin with https://.", hint=hint, id="mailboxes.E008")]


@register(Tags.security)
def check_open_networks(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Private networks are opened for the sandbox only (SPEC S2)."""
    opened = settings.MAIL_ALLOWED_NETWORKS or settings.MAIL_ALLOWED_PORTS or settings.MAIL_CA_FILE
    if not opened:
        return []
    if settings.PRODUCTION:
        hint = "Unset MAIL_ALLOWED_NETWORKS, MAIL_ALLOWED_PORTS and MAIL_CA_FILE."
        return [Error("Mail hosts on private networks are allowed.", hint=hint, id="mailboxes.E005")]
    return [Warning("Mail hosts on private networks are allowed (sandbox).", id="mailboxes.W001")]


@register()
def check_time_zone(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The app runs in UTC."""
    if settings.USE_TZ and settings.TIME_ZONE == "UTC":
        return []
    return [Error("TIME_ZONE is not UTC.", hint="Leave TIME_ZONE and USE_TZ alone.", id="mailboxes.E006")]


LEAST_KEY = 32  # characters: a made-up word is no key


@register(Tags.security)
def check_production(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """What works on a laptop and leaks, lies or fails elsewhere (SEC-18, UX-1)."""
    if not settings.PRODUCTION:
        return []
    console = settings.EMAIL_BACKEND.endswith(("console.EmailBackend", "dummy.EmailBackend"))
    signing = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    short = any(len(key) < LEAST_KEY for key in (*settings.FERNET_KEYS, *signing))
    faults = [
        ("*" in settings.ALLOWED_HOSTS, "E009", "ALLOWED_HOSTS is open to every name.", "Name the site's own hosts."),
        (
            short,
            "E010",
            "A key is too short.",
            f"Make each of SECRET_KEY, SECRET_KEY_FALLBACKS and FERNET_KEYS {LEAST_KEY} characters or more.",
        ),
        (
            console,
            "E011",
            "Mail to users goes to the console.",
            "Set EMAIL_URL, as in smtp+tls://user:password@host:587.",
        ),
        (
            settings.MAIL_EHLO_NAME == "[127.0.0.1]",
            "E012",
            "EHLO_NAME is the loopback address: many servers refuse it.",
            "Set EHLO_NAME to this machine's public name.",
        ),
        (
            not (settings.STATIC_ROOT / "staticfiles.json").is_file(),
            "E013",
            "The static files are not collected: every page would fail.",
            "Run manage.py collectstatic --noinput.",
        ),
    ]
    return [Error(text, hint=hint, id=f"mailboxes.{number}") for is_so, number, text, hint in faults if is_so]
