"""Bounces in a mail server's own words, without the standard report: qmail, Exim, old Exchange, Gmail, Yahoo."""

from __future__ import annotations

import re

from mailboxes.inbox.addresses import addresses_in, is_mail_server
from mailboxes.inbox.automatic import plain_words
from mailboxes.inbox.decoding import one_line

_TOP_CHARS = 4000
_QUOTE = re.compile(
    r"^[> \t]{0,9}(?:message-id:|return-path:|received: |[-=_]{2,80}.{0,40}"
    r"(?:copy of (?:the|your)|below this line|(?:original|returned|undelivered|unsent) m))",
    re.IGNORECASE | re.MULTILINE,
)
_FINAL = re.compile(
    r"permanent (?:error|failure|fatal)|failed permanently|permanently failed|(?:have|i've) given up|giving up on"
)
_DELAYED = re.compile(
    r"message \S{1,60} delayed|delayed \d|could not be delivered (?:yet|for more than)|not yet been delivered"
    r"|will be retried|will (?:keep|continue) (?:to try|trying)|still being retried|this is a warning (?:message )?only"
    r"|(?:do|need) not (?:need to )?resend|delivery (?:is |has been |status notification \()?delay"
    r"|noch nicht zugestellt|erneut versucht"
)
_FAILED = re.compile(
    r"the qmail-send program|created automatically by mail delivery software|(?:could not|couldn't) be delivered"
    r"|did not reach (?:some or all of )?the (?:intended|following) recipient|address not found|message not delivered"
    r"|(?:wasn't|was not|not been)(?: able to be)? delivered|unable to deliver"
    r"|delivery has failed|delivery failed|delivery failure"
    r"|delivery to the following recipients?.{0,12} failed|undeliver(?:able|ed)|returned mail|returned to sender"
    r"|failure notice|message blocked|user unknown|delivery status notification \(failure|unzustellbar"
    r"|nicht zugestellt|n'a pas (?:pu )?etre remis|non remis|no se (?:pudo|ha podido) entregar|mancata consegna"
    r"|non recapitabile|onbestelbaar|nao (?:foi|pode ser) entregue"
)
_CODE = re.compile(r"(?<![\d.])(?:([45])\.\d{1,3}\.\d{1,3}(?![\d.])|([45])[0-5]\d(?=[ -]))")
_EMPTY_LINES = re.compile(r"\n[ \t\n]*\n")
_ITSELF = re.compile(r"^\s{0,9}<([^<>\s]{1,320})>:", re.MULTILINE)


def top_of(text: str) -> str:
    """What the server itself wrote, above the message that it returns."""
    quote = _QUOTE.search(text, 0, _TOP_CHARS)
    return text[: quote.start() if quote else _TOP_CHARS]


def outcome_word(subject: str, top: str) -> str:
    """ "failed", "delayed" or "": what has the last word comes first, then what says that it is not the end."""
    words = " ".join(plain_words(f"{subject}\n{top}").split())
    if _FINAL.search(words):
        return "failed"
    if _DELAYED.search(words):
        return "delayed"
    return "failed" if _FAILED.search(words) else ""


def code_outcome(top: str) -> str:
    """ "failed", "delayed" or "", by the class of the first reply or status that a server's text holds."""
    found = _CODE.search(top)
    return {"5": "failed", "4": "delayed"}[found.group(1) or found.group(2)] if found else ""


def recipient_in(top: str, own: str) -> str:
    """The address it is about: the one before a colon, else the first that is neither a server's nor `own`."""
    found = [address for before in _ITSELF.findall(top) for address in addresses_in(before)] + addresses_in(top)
    return next((address for address in found if address != own and not is_mail_server(address)), "")


def diagnostic_in(top: str, recipient: str, most: int) -> str:
    """The last paragraph about the recipient; where it holds no more than the address, the next one with it."""
    paragraphs = _EMPTY_LINES.split(top)
    about = [n for n, words in enumerate(paragraphs) if recipient and recipient in words.lower()]
    if not about:
        return ""
    at = about[-1]
    alone = len(paragraphs[at].strip()) <= len(recipient) + 4
    words = " ".join(paragraphs[at : at + 2 if alone else at + 1])
    return one_line(before(recipient).sub("", words, count=1), most)


def before(recipient: str) -> re.Pattern[str]:
    """Return what finds the address at the beginning of what is said about it."""
    return re.compile(rf"\A\s*[<'\"]?{re.escape(recipient)}[>'\"]?:?", re.IGNORECASE)
