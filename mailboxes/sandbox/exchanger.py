"""The sandbox's mail exchanger: where mail for every domain arrives from outside, without a login (RFC 5321)."""

from __future__ import annotations

from mailboxes.sandbox.smtp_server import SmtpSession


class ExchangerSession(SmtpSession):
    """One connection. It offers STARTTLS, and takes mail for those alone whom the post office knows."""

    logged_in = True

    async def _ehlo(self) -> None:
        await self.say("250-sandbox.test", *([] if self.encrypted else ["250-STARTTLS"]), "250 8BITMIME")

    async def _rcpt(self, recipient: str) -> None:
        if recipient.lower() in self.account.refuses:
            await self.say(self.account.refuses[recipient.lower()])
        elif not self.post_office.knows(recipient):
            await self.say(f"550 5.1.1 <{recipient}>: Recipient address rejected: User unknown")
        else:
            self.recipients = (*self.recipients, recipient)
            await self.say("250 2.1.5 Ok")

    async def _accept(self, raw: bytes) -> None:
        self.account.seen["exchanger encrypted" if self.encrypted else "exchanger plain"] += 1
        self.post_office.deliver(self.sender or "", self.recipients, raw)
        await self.say("250 2.0.0 Ok: queued")
