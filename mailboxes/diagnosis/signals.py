"""Takes the structure out of a reply: codes first, whatever client library wrapped them; words made readable last."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from mailboxes.diagnosis.values import Reply

READ_CHARS = 4000
_STAGES = {"banner": "greeting", "ehlo": "greeting", "helo": "greeting", "send": "data", "search": "select"}
_ENHANCED = re.compile(r"(?<![\d.])([245]\.\d{1,2}\.\d{1,3})(?![\d]|\.\d)")
_SMTP_FORMS = tuple(
    re.compile(form, re.IGNORECASE | re.MULTILINE)
    for form in (
        r"(?<![\d.])([245]\d\d)[ -]#?[245]\.\d{1,2}\.\d{1,3}",
        r"^[ \t]{0,9}([245]\d\d)(?:[ -]|$)",
        r"\(([245]\d\d),",
        r"(?:code|said|error|status|response|reply|server|login|rejected|failed|unexpected)\W{1,4}([245]\d\d)\b",
        r"[:(\[\"'>]\s{0,9}([245]\d\d)[ )\"'-]",
        r"\(([245]\d\d)\)",
    )
)
_SMTP_LIKE = re.compile(r"\b[45]\d\d[ -]\d?|\b[45]\.\d\.\d")
_GIVEN_SMTP = re.compile(r"([245]\d\d)\b")
_GIVEN_HTTP = re.compile(r"(?:HTTP )?([345]\d\d)\b")
_NUMBER = re.compile(r"\b\d{2,5}\b")
_IMAP_CODES = frozenset(
    "ALERT ALREADYEXISTS AUTHENTICATIONFAILED AUTHORIZATIONFAILED CANNOT CLIENTBUG CONTACTADMIN CORRUPTION EXPIRED"
    " EXPUNGEISSUED INUSE LIMIT NONEXISTENT NOPERM OVERQUOTA PRIVACYREQUIRED SERVERBUG TRYCREATE UNAVAILABLE"
    " WEBALERT SYS".split()
)
_BRACKETED = re.compile(r"\[([A-Z]{3,40}(?:/[A-Z]{1,40})?)(?:\s[^\[\]]*)?\]")
_IMAP_STATUS = re.compile(
    r"(?:^|[\s:'\"(*])(?:[A-Za-z]{0,4}\d{1,10}|\*)\s+(NO|BAD|BYE)\b|[\"'(](NO|BAD|BYE)[\"')]|^(NO|BAD|BYE)\b"
)
_OAUTH_ERRORS = (
    "invalid_grant invalid_client unauthorized_client access_denied interaction_required login_required"
    " consent_required account_selection_required admin_policy_enforced org_internal deleted_client disabled_client"
    " redirect_uri_mismatch disallowed_useragent invalid_scope invalid_request unsupported_grant_type"
    " unsupported_response_type temporarily_unavailable server_error internal_failure invalid_token"
    " insufficient_scope rate_limit_exceeded slow_down invalid_resource expired_token"
    " app_not_configured_for_user policy_enforced".split()
)
_OAUTH_ERROR = re.compile(r"(?<![a-z_])(" + "|".join(_OAUTH_ERRORS) + r")(?![a-z_])")
_OAUTH_FIELD = re.compile(r"error[\"']?\s*[:=]\s*[\"']?(" + "|".join(_OAUTH_ERRORS) + r")(?![a-z_])", re.IGNORECASE)
_AADSTS = re.compile(r"(?:AADSTS|[Ee]rror [Cc]ode: )(\d{4,8})")
_HTTP = re.compile(r"(?i)(?:http(?:/[\d.]+)?|error|status(?:[ _]?code)?|response|request failed)\W{1,12}([345]\d\d)\b")
_ERRNO = {
    "111": "econnrefused", "61": "econnrefused", "10061": "econnrefused",
    "110": "etimedout", "60": "etimedout", "10060": "etimedout",
    "101": "enetunreach", "51": "enetunreach", "10051": "enetunreach",
    "113": "ehostunreach", "65": "ehostunreach", "10065": "ehostunreach",
    "104": "econnreset", "54": "econnreset", "10054": "econnreset",
}  # fmt: skip
# .NET puts this sentence before whatever the server said; it names two causes and means neither.
_WRAPPER = re.compile(
    r"the smtp server requires a secure connection or the client (?:was|is) not authenticated\.?", re.IGNORECASE
)
_CODED_JSON = re.compile(r"\beyJ[A-Za-z0-9+/]{20,}={0,2}")
_BYTES = re.compile(r"(?:\\x[0-9a-f]{2}){2,}")
_HIGH_LATIN = re.compile(r"[\u00a1-\u00ff]{4,}")


@dataclass(frozen=True, slots=True)
class Signals:
    """What a rule may look at. Unknown parts are ""; `words` is lower case with single spaces."""

    leg: str
    stage: str
    provider: str
    smtp: str
    enhanced: str
    imap: str
    status: str
    oauth: str
    aadsts: str
    http: str
    words: str


def read(reply: Reply) -> Signals:
    """The signals of a reply. The given code counts before what the words repeat."""
    text = _WRAPPER.sub("", readable(reply.text[:READ_CHARS]))
    both = f"{reply.code}\n{text}"
    leg = reply.leg.lower()
    stage = reply.stage.lower()
    stage = _STAGES.get(stage, stage)
    oauth, aadsts = _oauth_error(reply.code, text), _first(_AADSTS, both)
    leg = leg or _guess_leg(reply.code, text, oauth=bool(oauth or aadsts))
    smtp, enhanced = _smtp(reply.code, text) if leg in ("smtp", "") else ("", "")
    imap, status = _imap(reply.code, text) if leg in ("imap", "") else ("", "")
    return Signals(
        leg=leg,
        stage=stage,
        provider=reply.provider.lower(),
        smtp=smtp,
        enhanced=enhanced,
        imap=imap,
        status=status,
        oauth=oauth if leg in ("oauth", "") else "",
        aadsts=aadsts,
        http=_http(reply.code, both) if leg == "oauth" else "",
        words=_words(reply.code, text, stage),
    )


def _guess_leg(code: str, text: str, *, oauth: bool) -> str:
    """Whose words these are, where nobody said: by their codes, then by the protocol's name."""
    lower = text.lower()
    if any(_imap(code, text)) or "imap" in lower:
        return "imap"
    if _SMTP_LIKE.search(text) and not oauth:
        return "smtp"
    if oauth:
        return "oauth"
    return "smtp" if "smtp" in lower else ""


def readable(text: str) -> str:
    """Base64 JSON (XOAUTH2's challenge) and Chinese that came as escaped or mis-decoded GBK bytes, made readable."""
    text = _CODED_JSON.sub(lambda run: _decoded(run.group()), text)
    text = _BYTES.sub(lambda run: _gbk(bytes.fromhex(run.group().replace("\\x", "")), run.group()), text)
    return _HIGH_LATIN.sub(lambda run: _gbk(run.group().encode("latin-1"), run.group()), text)


def _decoded(coded: str) -> str:
    try:
        return base64.b64decode(coded + "=" * (-len(coded) % 4)).decode()
    except ValueError:
        return coded


def _gbk(raw: bytes, fallback: str) -> str:
    for encoding in ("utf-8", "gbk"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return fallback


def _smtp(code: str, text: str) -> tuple[str, str]:
    enhanced = _first(_ENHANCED, code) or _first(_ENHANCED, text)
    given = _GIVEN_SMTP.match(code)
    if given:
        return given.group(1), enhanced
    found = next((hit for form in _SMTP_FORMS if (hit := _first(form, text))), "")
    return found or (enhanced[:1] + "99" if enhanced else ""), enhanced


def _imap(code: str, text: str) -> tuple[str, str]:
    words = code.upper().split()
    imap = next((word for word in words if word in _IMAP_CODES), "")
    status = next((word for word in words if word in ("NO", "BAD", "BYE")), "")
    if not imap:
        hits = [hit.split("/")[0] for hit in _BRACKETED.findall(text)]
        imap = next((hit for hit in hits if hit in _IMAP_CODES), "")
    if not status:
        found = _IMAP_STATUS.search(text)
        status = next(filter(None, found.groups()), "") if found else ""
    return imap, status


def _oauth_error(code: str, text: str) -> str:
    return _first(_OAUTH_ERROR, code) or _first(_OAUTH_FIELD, text).lower() or _first(_OAUTH_ERROR, text)


def _http(code: str, both: str) -> str:
    given = _GIVEN_HTTP.match(code)
    return given.group(1) if given else _first(_HTTP, both)


def _words(code: str, text: str, stage: str) -> str:
    names = [name for number in _NUMBER.findall(code) if (name := _ERRNO.get(number))]
    extra = names if stage in ("connect", "tls", "dns", "greeting", "") else []
    return " ".join(" ".join([code, text, *extra]).lower().replace("’", "'").split())


def _first(form: re.Pattern[str], text: str) -> str:
    found = form.search(text)
    return next(filter(None, found.groups()), "") if found else ""
