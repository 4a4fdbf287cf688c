"""An IMAP server that nobody would want, over real TLS: it answers each command by a function."""

from __future__ import annotations

import socket
from collections.abc import Callable

from tests.wire.talker import Talker

Answer = Callable[[str, str], bytes]  # a tag and the rest of the line, to all the bytes that are said


class ImapPeer(Talker):
    """Use as a context manager. It hangs up after an answer that begins with BYE, and after an empty one. `lines` are
    the commands that it heard."""

    answer: Answer
    lines: list[str]

    def _talk(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        connection.sendall(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n")
        with connection.makefile("rb") as heard:
            for line in heard:
                tag, _, command = line.decode().strip().partition(" ")
                self.lines.append(command)
                said = self.answer(tag, command)
                connection.sendall(said)
                if not said or said.startswith(b"* BYE"):
                    return


def folder(uids: dict[int, bytes], exists: int | None = None, uidnext: int = 100) -> dict[str, bytes]:
    """What a server says to everything but FETCH, `uids` being its messages."""
    return {
        "AUTHENTICATE": b"",
        "LIST": b'* LIST () "/" INBOX\r\n',
        "SELECT": f"* {len(uids) if exists is None else exists} EXISTS\r\n"
        f"* OK [UIDVALIDITY 7] valid\r\n* OK [UIDNEXT {uidnext}] next\r\n".encode(),
        "UID SEARCH": b"* SEARCH " + " ".join(map(str, uids)).encode() + b"\r\n",
    }
