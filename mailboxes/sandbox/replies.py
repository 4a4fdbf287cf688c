"""Messages that people and mail servers send back: answers, out-of-office notes, delivery status reports."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.parser import BytesHeaderParser
from email.policy import SMTP
from email.utils import format_datetime, make_msgid

_WHOLE_LINES = SMTP.clone(max_line_length=998)  # folding would rewrite a long Message-ID
_IDS = re.compile(r"<[^<>\s]+>")


def answer(person: str, account: str, text: str, to_message: bytes = b"") -> bytes:
    """What a person writes to an account; in the thread of `to_message` where that is given."""
    message, subject = _reply(person, account, to_message)
    known = subject.lower().startswith("re:") or not to_message
    message["Subject"] = (subject or "Hello") if known else f"Re: {subject}"
    message.set_content(f"{text}\n")
    return message.as_bytes()


def away(person: str, account: str, to_message: bytes) -> bytes:
    """An out-of-office note (RFC 3834)."""
    message, subject = _reply(person, account, to_message)
    message["Subject"] = f"Automatic reply: {subject}"
    message["Auto-Submitted"] = "auto-replied"
    message.set_content("I am out of the office and will read your message when I am back.\n")
    return message.as_bytes()


def bounce(recipient: str, account: str, to_message: bytes) -> bytes:
    """The report that a message could not be delivered, since the recipient is unknown (RFC 3464)."""
    diagnosis = f"smtp; 550 5.1.1 <{recipient}>: Recipient address rejected: User unknown"
    words = f"Your message to {recipient} could not be delivered: there is no such mailbox.\n"
    return _report(recipient, account, to_message, "failed", "5.1.1", diagnosis, words)


def delay(recipient: str, account: str, to_message: bytes) -> bytes:
    """The report that a message is still waiting to be delivered."""
    diagnosis = "smtp; 451 4.4.1 No answer from host"
    words = (
        f"Your message to {recipient} has not been delivered yet. It will be tried again; you need not send it again.\n"
    )
    return _report(recipient, account, to_message, "delayed", "4.4.1", diagnosis, words)


def _reply(person: str, account: str, to_message: bytes) -> tuple[EmailMessage, str]:
    """An empty message in the thread of another, and the other's subject."""
    message = _letter(person, account, person)
    headers = BytesHeaderParser().parsebytes(to_message)
    subject = str(make_header(decode_header(str(headers.get("Subject", "")))))
    if message_ids := _IDS.findall(str(headers.get("Message-ID", ""))):
        message["In-Reply-To"] = message_ids[0]
        message["References"] = " ".join([*_IDS.findall(str(headers.get("References", ""))), message_ids[0]])
    return message, " ".join(subject.split())


def _letter(sender: str, account: str, own: str) -> EmailMessage:
    """An empty message with a Message-ID at the domain of the address `own`."""
    message = EmailMessage(policy=_WHOLE_LINES)
    message["From"], message["To"] = sender, account
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid(domain=own.rpartition("@")[2] or "sandbox.test")
    return message


def _report(
    recipient: str, account: str, to_message: bytes, action: str, status: str, diagnosis: str, words: str
) -> bytes:
    """A multipart/report: words, delivery status, the headers of the message that it is about."""
    report = _letter("Mail Delivery System <MAILER-DAEMON@sandbox.test>", account, recipient)
    report["Return-Path"] = "<>"
    report["Auto-Submitted"] = "auto-replied"
    report["Subject"] = "Undelivered Mail Returned to Sender" if action == "failed" else "Delayed Mail"
    report["MIME-Version"] = "1.0"
    report["Content-Type"] = 'multipart/report; report-type="delivery-status"'
    text = EmailMessage(policy=_WHOLE_LINES)
    text.set_content(words)
    for_recipient = {
        "Final-Recipient": f"rfc822; {recipient}", "Action": action, "Status": status, "Diagnostic-Code": diagnosis
    }  # fmt: skip
    blocks: list[Message | str] = [_headers({"Reporting-MTA": "dns; sandbox.test"}), _headers(for_recipient)]
    headers = re.split(rb"\r?\n\r?\n", to_message, maxsplit=1)[0].decode("ascii", "replace")
    report.set_payload([text, _part("message/delivery-status", blocks), _part("text/rfc822-headers", f"{headers}\r\n")])
    return report.as_bytes()


def _headers(values: dict[str, str]) -> Message:
    block = Message(policy=_WHOLE_LINES)
    for name, value in values.items():
        block[name] = value
    return block


def _part(kind: str, payload: list[Message | str] | str) -> Message:
    part = _headers({"Content-Type": kind})
    part.set_payload(payload)
    return part
