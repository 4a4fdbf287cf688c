"""The sandbox's SMTP submission server."""

from __future__ import annotations

import base64

from mailboxes.sandbox.session import HangUp, Session
from mailboxes.wire.values import Security


class SmtpSession(Session):
    """One SMTP connection. What is accepted for a known account arrives in its INBOX (`post`)."""

    leg = "smtp"
    rcpt: tuple[str, ...] = ()

    async def talk(self) -> None:
        if self.fault.greeting:
            await self.say(self.fault.greeting)
            raise HangUp
        await self.say("220 sandbox.test ESMTP ready")
        while True:
            verb, _, rest = (await self.line()).partition(" ")
            await self._command(verb.upper(), rest)

    async def _command(self, verb: str, rest: str) -> None:
        if verb in ("EHLO", "HELO"):
            await self._ehlo()
        elif verb == "STARTTLS" and self._offers_starttls():
            await self.say("220 2.0.0 Ready to start TLS")
            await self.start_tls()
        elif verb == "AUTH" and self.encrypted:
            await self._auth(*rest.partition(" ")[::2])
        elif verb == "MAIL" and self.logged_in:
            await self.say(self.fault.mail.format(address=self.account.address) or "250 2.1.0 Ok")
        elif verb == "RCPT" and self.logged_in:
            self.rcpt = (*self.rcpt, rest.partition("<")[2].partition(">")[0])
            await self.say("250 2.1.5 Ok")
        elif verb == "DATA" and self.rcpt:
            await self._data()
        elif verb == "QUIT":
            await self.say("221 2.0.0 Bye")
            raise HangUp
        else:
            await self.say("503 5.5.1 Bad sequence of commands")

    async def _ehlo(self) -> None:
        lines = ["250-sandbox.test", "250-8BITMIME"]
        if self._offers_starttls():
            lines.append("250-STARTTLS")
        if self.encrypted:
            lines.append("250-AUTH PLAIN LOGIN XOAUTH2")
        await self.say(*lines, "250 ENHANCEDSTATUSCODES")

    def _offers_starttls(self) -> bool:
        return self.account.security is Security.STARTTLS and not self.encrypted and not self.fault.no_starttls

    async def _auth(self, mechanism: str, initial: str) -> None:
        if self.fault.connect == "close":
            raise HangUp
        if mechanism.upper() == "XOAUTH2":
            fits = self.token_fits(initial)
            if self.fault.challenge or not fits:
                await self.say(f"334 {self.challenge()}")
                await self.line()
        else:
            fits = self.password_fits(initial or await self._asked(mechanism.upper()))
        self.logged_in = fits and not self.fault.auth
        refusal = self.fault.auth or "535 5.7.8 Error: authentication failed"
        await self.say("235 2.7.0 Authentication successful" if self.logged_in else refusal)

    async def _asked(self, mechanism: str) -> str:
        if mechanism == "PLAIN":
            await self.say("334 ")
            return await self.line()
        await self.say("334 VXNlcm5hbWU6")
        username = base64.b64decode(await self.line()).decode()
        await self.say("334 UGFzc3dvcmQ6")
        password = base64.b64decode(await self.line()).decode()
        return base64.b64encode(f"\0{username}\0{password}".encode()).decode()

    async def _data(self) -> None:
        await self.say("354 End data with <CR><LF>.<CR><LF>")
        raw = (await self.reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n.")
        if self.fault.data:
            await self.say(self.fault.data)
        else:
            self.post(raw)
            await self.say("250 2.0.0 Ok: queued")
        self.rcpt = ()

    def post(self, raw: bytes) -> None:
        """Hand the message to its recipients; the sandbox puts its post office here."""
        self.account.deliver(raw)
