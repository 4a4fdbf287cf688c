"""A whole visit to a mailbox: deeds, folders read, Sent looked into, in one session. The inbox must open; Junk and Sent
may be missing, or refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mailboxes.wire.clean import clean
from mailboxes.wire.connector import Connector
from mailboxes.wire.conversation import attempt, conversation, secrets_of
from mailboxes.wire.imap import ImapSession, expect_ok, quoted
from mailboxes.wire.imap_fetch import Reading, search
from mailboxes.wire.imap_read import MOST_MESSAGES, Progress, open_folder, read_folder, unless_refused
from mailboxes.wire.imap_reply import READING, ImapParser
from mailboxes.wire.masking import mask
from mailboxes.wire.recorder import Recorder
from mailboxes.wire.utf7 import encode_folder
from mailboxes.wire.values import Leg, LegTarget, Limits, Stage, WireFault
from mailboxes.wire.visits import Cursor, Deed, DeedKind, FolderRead, Role, Visit, VisitPlan

FOLDER_CHARS = 255
_KNOWN_NAMES = {
    Role.JUNK: ("junk", "spam", "junk email", "junk e-mail", "bulk mail", "bulk", "inbox.junk", "inbox.spam"),
    Role.SENT: ("sent", "sent items", "sent mail", "sent messages", "inbox.sent", "inbox/sent", "inbox.sent messages"),
}  # fmt: skip


@dataclass
class _Yield:
    """What a visit has brought so far: a connection that breaks later takes nothing of it away."""

    folders: list[FolderRead] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    found: frozenset[str] | None = None
    places: dict[Role, str] = field(default_factory=dict)
    reading: Progress | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def keep(self, reason: str) -> bool:
        """Keep what the folder that was being read has brought; True where a message was being asked for."""
        reading, self.reading = self.reading, None
        was_asking = reading is not None and bool(reading.asked)
        if reading is not None and was_asking:
            reading.blame(reason)
        if reading is not None and (was_asking or reading.messages):
            self.folders.append(reading.read())
        return was_asking


async def visit(wanted: LegTarget, plan: VisitPlan, connector: Connector) -> Visit:
    """Visit the mailbox within the connector's limits. Never raises for the server's fault."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    brought = _Yield(secrets=secrets_of(wanted))

    async def talk(recorder: Recorder) -> None:
        parser = ImapParser(wider(connector.limits), READING, keep_literals=True)
        async with conversation(wanted, parser, connector, recorder) as say:
            session = ImapSession(wanted.endpoint.security)
            await say(session.open())
            await say(session.authenticate(wanted.login))
            try:
                await say(_errands(session, plan, brought))
            except WireFault as fault:
                # One message that cannot be fetched says nothing of the mailbox: the login and the folder passed.
                if not brought.keep(f"{fault.code} {fault.text}"):
                    raise

    recorder = await attempt(Leg.IMAP, wanted, began + connector.limits.total_s, talk)
    brought.keep("no answer within the time of a visit")
    report = recorder.report(round((loop.time() - began) * 1000))
    folders = tuple(_cleaned(folder, brought.secrets) for folder in brought.folders)
    return Visit(report, folders, tuple(brought.done), brought.found, brought.places)


def _cleaned(folder: FolderRead, secrets: tuple[str, ...]) -> FolderRead:
    """The folder with a reason for what did not come that is fit to keep: it may be the server's own words."""
    if folder.unread is None:
        return folder
    return replace(folder, unread=replace(folder.unread, reason=clean(folder.unread.reason, secrets)))


def wider(limits: Limits) -> Limits:
    """Limits for reading: lists of UIDs make long lines, and messages are literals (bytes)."""
    return replace(limits, line_bytes=2_097_152, reply_bytes=16_777_216, literal_bytes=524_288)


def _errands(session: ImapSession, plan: VisitPlan, brought: _Yield) -> Reading[None]:
    places = {Role.INBOX: plan.inbox, **(yield from _places(session, plan, brought.secrets))}
    brought.places = places
    for deed in plan.deeds:
        if deed.role in places and (yield from unless_refused(_do(session, deed, places))):
            brought.done.append(deed.key)
    for role in (Role.INBOX, Role.JUNK):
        if role in places and (role is Role.INBOX or places[role] != plan.inbox):
            yield from _read(session, role, places[role], plan, brought)
    if plan.sought and Role.SENT in places:
        brought.found = yield from unless_refused(_found(session, places[Role.SENT], plan.sought))


def _places(session: ImapSession, plan: VisitPlan, secrets: tuple[str, ...]) -> Reading[Mapping[Role, str]]:
    """Junk and Sent: as they are known, or as the server lists them. A name that holds a secret is left out."""
    if plan.places is not None:
        return plan.places
    listed = yield from unless_refused(session.folders())
    named = named_folders(listed or {}, plan.inbox)
    return {role: name for role, name in named.items() if mask(name, secrets) == name}


def named_folders(listed: Mapping[str, str], inbox: str) -> dict[Role, str]:
    """Junk and Sent among the server's folders: by attribute (RFC 6154), else by the names that are usual."""
    places = {}
    listed = {name: words for name, words in listed.items() if len(name) <= FOLDER_CHARS and name.isprintable()}
    for role, names in _KNOWN_NAMES.items():
        told = [name for name, attributes in listed.items() if f"\\{role.value}" in attributes.split()]
        usual = [name for wanted in names for name in listed if name.lower() == wanted]
        if found := [name for name in told + usual if name != inbox]:
            places[role] = found[0]
    return places


def _read(session: ImapSession, role: Role, folder: str, plan: VisitPlan, brought: _Yield) -> Reading[None]:
    new = Cursor(role, folder, 0, 0, plan.since, plan.oldest)
    known = next((one for one in plan.cursors if one.folder == folder), new)
    cursor = replace(known, role=role)
    if sum(len(one.messages) for one in brought.folders) >= MOST_MESSAGES:
        # What one visit has brought is enough: the rest waits for the next one, at once.
        brought.folders.append(FolderRead(cursor, cursor.uidvalidity, cursor.last_uid, (), complete=False))
        return
    progress = brought.reading = Progress(cursor, cursor.uidvalidity, cursor.last_uid)
    reading = _finished(session, cursor, progress)
    read = (yield from reading) if role is Role.INBOX else (yield from unless_refused(reading))
    brought.reading = None
    brought.folders += [progress.read()] if read else []


def _finished(session: ImapSession, cursor: Cursor, progress: Progress) -> Reading[bool]:
    yield from read_folder(session, cursor, progress)
    return True


def _do(session: ImapSession, deed: Deed, places: Mapping[Role, str]) -> Reading[bool]:
    """Mark the message as read, and move it out of junk where that is the deed; one that is gone needs nothing."""
    yield from open_folder(session, places[deed.role])
    uids = yield from session.search_message(deed.message_id)
    if not uids:
        return True
    chosen = ",".join(str(uid) for uid in uids).encode()
    yield from _told(session, b"UID STORE " + chosen + b" +FLAGS.SILENT (\\Seen)")
    if deed.kind is DeedKind.RESCUE and deed.role is not Role.INBOX:
        yield from _move(session, chosen, quoted(encode_folder(places[Role.INBOX])))
    return True


def _move(session: ImapSession, chosen: bytes, target: bytes) -> Reading[None]:
    """By MOVE (RFC 6851), or copy and delete; without UIDPLUS the deleted one stays marked, since EXPUNGE alone would
    also take what others have marked."""
    yield from session.ask_capabilities(Stage.READ)
    if "MOVE" in session.capabilities:
        yield from _told(session, b"UID MOVE " + chosen + b" " + target)
        return
    yield from _told(session, b"UID COPY " + chosen + b" " + target)
    yield from _told(session, b"UID STORE " + chosen + b" +FLAGS.SILENT (\\Deleted)")
    if "UIDPLUS" in session.capabilities:
        yield from _told(session, b"UID EXPUNGE " + chosen)


def _told(session: ImapSession, command: bytes) -> Reading[None]:
    *_, final = yield from session.command(Stage.READ, command)
    expect_ok(final, Stage.READ)


def _found(session: ImapSession, folder: str, sought: tuple[str, ...]) -> Reading[frozenset[str]]:
    yield from open_folder(session, folder)
    found = []
    for message_id in sought:
        term = quoted(message_id)
        found += [message_id] if (yield from search(session, b"HEADER Message-ID " + term)) else []
    return frozenset(found)
