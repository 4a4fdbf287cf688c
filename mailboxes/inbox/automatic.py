"""Messages that a machine sends in a person's name: out-of-office notes and other automatic replies (RFC 3834)."""

from __future__ import annotations

import re
import unicodedata

from mailboxes.inbox.decoding import header_text, one_line
from mailboxes.inbox.parts import Part, header, param, parts

# Without accents and in lower case. A word that may begin a person's subject too must be all that stands there.
_PHRASES = """
automatic reply|automated reply|automatic response|automated response|auto[- ]?reply|auto[- ]?response|autoresponder
out of (?:the )?office|ooo|i am out of (?:the )?office|i'm out of (?:the )?office|away from (?:the|my) (?:office|desk)
on vacation|vacation reply|on annual leave|on (?:parental|maternity|paternity) leave
automatische (?:antwort|ruckmeldung|abwesenheitsnotiz|nachricht|reactie)|autom\\. antwort
abwesenheits(?:notiz|meldung|benachrichtigung|nachricht|assistent)|abwesenheit|abwesend|nicht im (?:buro|haus)
reponse automatique|message automatique|(?:absence|absente?) du bureau|(?:message|notification|avis) d'absence|absence
respuesta automatica|mensaje automatico|fuera de (?:la )?oficina|ausente de la oficina|ausencia
risposta automatica|messaggio automatico|notifica automatica|fuori (?:sede|ufficio)|assenza dall'ufficio|assente
automatisch antwoord|afwezigheid(?:sbericht|smelding|sassistent)?|afwezig|niet op kantoor|buiten kantoor
resposta automatica|mensagem automatica|fora do escritorio|ausencia (?:do escritorio|temporaria)|ausente
"""
_AFTER = (
    r"\s*(?:$|[:;,.!()\[\]/|\u2013\u2014-]|(?:re|to|from|until|till|for|on|auf|auf ihre|vom|von|bis|de|du|del|jusqu"
    r"|hasta|a|dal|fino|van|tot|ate)\b)"
)
_SUBJECT = re.compile(rf"[\W_]*(?:{'|'.join(_PHRASES.split(chr(10))[1:-1])}){_AFTER}")
_REPLY_PREFIX = re.compile(r"(?:(?:re|aw|sv|antw|rif|res|r|tr|fwd?|wg)(?:\[\d{1,3}\])?\s?:\s?)*")
_MARKS = ("X-Autoreply", "X-Autorespond", "X-Auto-Reply", "X-Autoreply-From", "X-Vacation")


def is_automatic(message: Part) -> bool:
    """Whether a machine wrote it. A person's answer to an automatic reply, "Re: Automatic reply", is a person's."""
    if submitted_by_machine(message) or is_report(message):
        return True
    if any(header(message, name).lower() not in ("", "no") for name in _MARKS):
        return True
    return _precedence(message) == "auto_reply" or has_automatic_subject(message)


def has_automatic_subject(message: Part) -> bool:
    subject = plain_words(one_line(header_text(header(message, "Subject")), 200))
    # Exchange sets the first of these in its automatic replies; mail programs that people use never do.
    if header(message, "X-Auto-Response-Suppress") or _precedence(message) in ("bulk", "junk"):
        subject = _REPLY_PREFIX.sub("", subject, count=1)
    return bool(_SUBJECT.match(subject))


def _precedence(message: Part) -> str:
    return header(message, "Precedence").lower().replace("-", "_")


def submitted_by_machine(message: Part) -> bool:
    return header(message, "Auto-Submitted").partition(";")[0].strip().lower() not in ("", "no")


def is_report(message: Part) -> bool:
    """Delivery reports, read receipts and complaints (RFC 6522): whatever they say, no person wrote them."""
    return message.get_content_type() == "multipart/report" or bool(other_report(message))


def other_report(message: Part) -> str:
    """The kind of a report that is not about delivery: "disposition-notification" or "feedback-report"; else ""."""
    kinds = [part.get_content_type().removeprefix("message/").removeprefix("global-") for part in parts(message)]
    named = param(message, "report-type").lower()
    return next((kind for kind in ("disposition-notification", "feedback-report") if kind in (named, *kinds)), "")


def plain_words(text: str) -> str:
    """Lower case, no accents, straight quotes."""
    letters = unicodedata.normalize("NFKD", text.replace("’", "'"))
    return "".join(char for char in letters if not unicodedata.combining(char)).lower()
