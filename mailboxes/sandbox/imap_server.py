"""The sandbox's IMAP server."""

from __future__ import annotations

from mailboxes.sandbox.imap_commands import MailCommands
from mailboxes.sandbox.imap_words import LITERAL, Command, Refused, parse
from mailboxes.sandbox.open_folder import Renumbered
from mailboxes.sandbox.session import HangUp, Session
from mailboxes.wire.values import Security


class ImapSession(Session):
    """One IMAP connection."""

    leg = "imap"
    mail: MailCommands

    async def talk(self) -> None:
        self.mail = MailCommands(self.account)
        if self.fault.greeting:
            await self.say(self.fault.greeting)
            raise HangUp
        await self.say(f"* OK [CAPABILITY {self._capabilities()}] sandbox ready")
        while True:
            command = await self._read()
            try:
                await self._command(command)
            except Refused as refusal:
                await self.say(f"{command.tag} {refusal}")

    async def _read(self) -> Command:
        """The client's next command, with the literals that it announces."""
        parts, literals = [await self.line()], []
        while size := LITERAL.search(parts[-1]):
            await self.say("+ go on")
            literals.append(await self.reader.readexactly(int(size[1])))
            parts.append(await self.line())
        return parse("".join(parts), literals)

    def _capabilities(self) -> str:
        words = ["IMAP4rev1", "ID", "SASL-IR", "SPECIAL-USE", "MOVE", "UIDPLUS", "UNSELECT"]
        if self.encrypted:
            words += ["AUTH=PLAIN", "AUTH=XOAUTH2"]
        elif self.account.security is Security.STARTTLS:
            words += ["LOGINDISABLED"] + ([] if self.fault.no_starttls else ["STARTTLS"])
        return " ".join(words)

    async def _command(self, command: Command) -> None:
        tag, verb = command.tag, command.verb
        if verb == "CAPABILITY":
            await self.say(f"* CAPABILITY {self._capabilities()}", f"{tag} OK done")
        elif verb == "STARTTLS" and not self.encrypted:
            await self.say(f"{tag} OK begin TLS")
            await self.start_tls()
        elif verb in ("AUTHENTICATE", "LOGIN") and self.encrypted:
            await self._login(command)
        elif verb == "LOGOUT":
            await self.say("* BYE logging out", f"{tag} OK done")
            raise HangUp
        elif verb == "ID":
            await self.say("* ID NIL", f"{tag} OK done")
        elif self.logged_in:
            await self._logged_in_command(command)
        else:
            await self.say(f"{tag} OK done" if verb == "NOOP" else f"{tag} BAD not now")

    async def _logged_in_command(self, command: Command) -> None:
        if command.verb in ("SELECT", "EXAMINE") and self.fault.select:
            await self.say(self.fault.select.format(tag=command.tag))
            return
        try:
            reply = self.mail.reply(command)
        except Renumbered:
            await self.say("* BYE UIDVALIDITY has changed, log in again")
            raise HangUp from None
        await self.send(reply)

    async def _login(self, command: Command) -> None:
        if self.fault.connect == "close":
            raise HangUp
        fits = await self._fits(command)
        self.logged_in = fits and not self.fault.auth
        tag = command.tag
        refusal = self.fault.auth.format(tag=tag) or f"{tag} NO [AUTHENTICATIONFAILED] Authentication failed."
        await self.say(f"{tag} OK logged in" if self.logged_in else refusal)

    async def _fits(self, command: Command) -> bool:
        """Check the secret, by LOGIN or the mechanism that AUTHENTICATE names."""
        if command.verb == "LOGIN":
            self.account.seen["imap logins"] += 1
            return self.account.accepts(command.text(0), command.text(1))
        initial = command.text(1) if len(command.words) > 1 else await self._asked()
        if command.text(0).upper() != "XOAUTH2":
            return self.password_fits(initial)
        fits = self.token_fits(initial)
        if self.fault.challenge or not fits:
            await self.say(f"+ {self.challenge()}")
            await self.line()
        return fits

    async def _asked(self) -> str:
        await self.say("+ ")
        return await self.line()
