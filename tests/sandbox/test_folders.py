"""IMAPClient works in the sandbox's folders: they behave as a provider's do."""

from __future__ import annotations

from datetime import UTC, date, datetime

import imapclient
import pytest

from mailboxes.sandbox.account import Account
from mailboxes.sandbox.server import Sandbox
from tests.make import make_account
from tests.sandbox.clients import imap, raw, uids


@pytest.fixture
def account(sandbox: Sandbox) -> Account:
    return make_account(sandbox)


def filled(account: Account, count: int) -> None:
    for number in range(1, count + 1):
        account.deliver(raw(f"<{number}@example.test>"))


def ids(account: Account, folder: str) -> list[str]:
    return [message.message_id for message in account.folders[folder]]


def test_sent_and_junk_are_listed_with_their_use(sandbox: Sandbox, account: Account) -> None:
    with imap(sandbox, account) as client:
        assert [client.find_special_folder(use) for use in (b"\\Sent", b"\\Junk")] == ["Sent", "Junk"]


def test_the_new_capabilities_are_offered(sandbox: Sandbox, account: Account) -> None:
    with imap(sandbox, account) as client:
        assert all(client.has_capability(name) for name in ("SPECIAL-USE", "MOVE", "UIDPLUS"))


def test_a_folder_of_foreign_letters_is_created_and_opened(sandbox: Sandbox, account: Account) -> None:
    with imap(sandbox, account) as client:
        client.create_folder("Büro & Co")
        client.select_folder("Büro & Co")
        assert "Büro & Co" in account.folders and "Büro & Co" in [name for *_, name in client.list_folders()]


def test_select_tells_counts_validity_and_the_next_uid(sandbox: Sandbox, account: Account) -> None:
    filled(account, 2)
    with imap(sandbox, account) as client:
        told = client.select_folder("inbox")
    assert (told[b"EXISTS"], told[b"RECENT"], told[b"UIDVALIDITY"], told[b"UIDNEXT"]) == (2, 0, 1, 3)
    assert b"\\Seen" in told[b"FLAGS"] and told[b"READ-WRITE"]


def test_examine_refuses_changes(sandbox: Sandbox, account: Account) -> None:
    filled(account, 1)
    with imap(sandbox, account) as client:
        assert client.select_folder("INBOX", readonly=True)[b"READ-ONLY"]
        client.fetch([1], ["BODY[]"])
        with pytest.raises(imapclient.exceptions.IMAPClientError, match="READ-ONLY"):
            client.add_flags([1], [imapclient.SEEN])
    assert account.folders["INBOX"][0].flags == set()


def test_fetch_gives_every_item(sandbox: Sandbox, account: Account) -> None:
    filled(account, 1)
    kept = account.folders["INBOX"][0]
    kept.flags, kept.internal_date = {"\\Flagged"}, datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    with imap(sandbox, account, "INBOX") as client:
        client.normalise_times = False
        items = ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "BODY.PEEK[]"]
        told = client.fetch([1], items)[1]
    assert told[b"FLAGS"] == (b"\\Flagged",) and told[b"INTERNALDATE"] == kept.internal_date
    assert (told[b"RFC822.SIZE"], told[b"BODY[]"]) == (len(kept.raw), kept.raw)


def test_fetch_gives_the_beginning_of_a_message(sandbox: Sandbox, account: Account) -> None:
    filled(account, 1)
    with imap(sandbox, account, "INBOX") as client:
        assert client.fetch([1], ["BODY.PEEK[]<0.10>"])[1][b"BODY[]<0>"] == raw("<1@example.test>")[:10]


def test_peek_leaves_a_message_unread_and_body_marks_it(sandbox: Sandbox, account: Account) -> None:
    filled(account, 1)
    with imap(sandbox, account, "INBOX") as client:
        client.fetch([1], ["BODY.PEEK[]"])
        assert client.get_flags([1])[1] == ()
        client.fetch([1], ["BODY[]"])
        assert client.get_flags([1])[1] == (imapclient.SEEN,)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("2", [2]), ("1,3:4", [1, 3, 4]), ("4:*", [4, 5]), ("*", [5]), ("10:*", [5]), ("*:10", [5]), ("7:9", [])],
)
def test_a_set_of_uids_means_what_the_rfc_says(
    sandbox: Sandbox, account: Account, wanted: str, found: list[int]
) -> None:
    filled(account, 5)
    assert uids(sandbox, account, wanted) == found


def test_sequence_numbers_close_up_where_uids_stay(sandbox: Sandbox, account: Account) -> None:
    filled(account, 3)
    with imap(sandbox, account, "INBOX") as client:
        client.move([1], "Junk")
    assert uids(sandbox, account, "1", by_uid=False) == [2]


def test_search_since_counts_from_that_day_on(sandbox: Sandbox, account: Account) -> None:
    filled(account, 3)
    for message, day in zip(account.folders["INBOX"], (1, 2, 3), strict=True):
        message.internal_date = datetime(2026, 11, day, tzinfo=UTC)
    with imap(sandbox, account, "INBOX") as client:
        assert client.search(["SINCE", date(2026, 11, 2)]) == [2, 3]


def test_search_meets_all_criteria_at_once(sandbox: Sandbox, account: Account) -> None:
    filled(account, 3)
    account.folders["INBOX"][1].flags.add("\\Seen")
    with imap(sandbox, account, "INBOX") as client:
        assert client.search(["UNSEEN", "UID", "2:3"]) == [3]
        assert client.search(["HEADER", "Message-ID", "<2@example.test>", "UNSEEN"]) == []
        assert client.search("ALL") == [1, 2, 3]


def test_an_unknown_criterion_is_refused(sandbox: Sandbox, account: Account) -> None:
    with imap(sandbox, account, "INBOX") as client, pytest.raises(imapclient.exceptions.InvalidCriteriaError):
        client.search(["WHENEVER"])


def test_store_adds_removes_and_sets_flags(sandbox: Sandbox, account: Account) -> None:
    filled(account, 1)
    with imap(sandbox, account, "INBOX") as client:
        assert client.add_flags([1], ["\\seen", "$Known"])[1] == (b"$Known", b"\\Seen")
        assert client.remove_flags([1], ["$Known"])[1] == (b"\\Seen",)
        assert client.set_flags([1], [imapclient.FLAGGED], silent=True) is None
    assert account.folders["INBOX"][0].flags == {"\\Flagged"}


def test_a_move_takes_the_message_with_its_flags_and_date(sandbox: Sandbox, account: Account) -> None:
    account.deliver(raw(), "Junk")
    before = account.folders["Junk"][0]
    before.flags.add("\\Seen")
    with imap(sandbox, account, "Junk") as client:
        client.move([1], "INBOX")
    (after,) = account.folders["INBOX"]
    assert account.folders["Junk"] == []
    assert (after.raw, after.flags, after.internal_date) == (before.raw, before.flags, before.internal_date)


def test_a_move_to_no_folder_is_refused_and_loses_nothing(sandbox: Sandbox, account: Account) -> None:
    filled(account, 1)
    with (
        imap(sandbox, account, "INBOX") as client,
        pytest.raises(imapclient.exceptions.IMAPClientError, match="TRYCREATE"),
    ):
        client.move([1], "Nowhere")
    assert len(account.folders["INBOX"]) == 1


def test_a_uid_is_never_given_twice(sandbox: Sandbox, account: Account) -> None:
    filled(account, 2)
    with imap(sandbox, account, "INBOX") as client:
        client.move([1, 2], "Junk")
    assert account.deliver(raw()) == 3


def test_a_copy_leaves_the_message_where_it_was(sandbox: Sandbox, account: Account) -> None:
    filled(account, 1)
    with imap(sandbox, account, "INBOX") as client:
        client.copy([1], "Junk")
    assert ids(account, "INBOX") == ids(account, "Junk") == ["<1@example.test>"]


def test_expunge_takes_what_is_marked_and_uid_expunge_only_what_is_named(sandbox: Sandbox, account: Account) -> None:
    filled(account, 3)
    with imap(sandbox, account, "INBOX") as client:
        client.delete_messages([1, 2])
        client.uid_expunge([1])
        assert ids(account, "INBOX") == ["<2@example.test>", "<3@example.test>"]
        client.expunge()
    assert ids(account, "INBOX") == ["<3@example.test>"]


def test_append_keeps_bytes_flags_and_date(sandbox: Sandbox, account: Account) -> None:
    large = raw().replace(b"\n", b"\r\n") + "ä".encode() * 300_000
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    with imap(sandbox, account) as client:
        assert b"[APPENDUID 1 1]" in client.append("Sent", large, [imapclient.SEEN], when)
    (kept,) = account.folders["Sent"]
    assert (kept.raw, kept.flags, kept.internal_date) == (large, {"\\Seen"}, when)


def test_close_expunges_and_unselect_does_not(sandbox: Sandbox, account: Account) -> None:
    filled(account, 2)
    with imap(sandbox, account, "INBOX") as client:
        client.delete_messages([1])
        client.unselect_folder()
        assert len(account.folders["INBOX"]) == 2
        client.select_folder("INBOX")
        client.close_folder()
    assert ids(account, "INBOX") == ["<2@example.test>"]


def test_noop_tells_of_new_messages(sandbox: Sandbox, account: Account) -> None:
    filled(account, 1)
    with imap(sandbox, account, "INBOX") as client:
        filled(account, 1)
        assert client.noop()[1] == [(2, b"EXISTS")]


def test_what_another_session_moved_away_is_told_as_expunged(sandbox: Sandbox, account: Account) -> None:
    filled(account, 3)
    with imap(sandbox, account, "INBOX") as watching, imap(sandbox, account, "INBOX") as moving:
        moving.move([1, 3], "Junk")
        assert watching.noop()[1] == [(3, b"EXPUNGE"), (1, b"EXPUNGE")]


def test_renumbering_gives_another_validity_and_uids_from_one(sandbox: Sandbox, account: Account) -> None:
    filled(account, 3)
    with imap(sandbox, account, "INBOX") as client:
        client.move([1], "Junk")
    account.renumber("INBOX")
    with imap(sandbox, account) as client:
        told = client.select_folder("INBOX")
        assert (told[b"UIDVALIDITY"], told[b"UIDNEXT"], client.search()) == (2, 3, [1, 2])


def test_a_session_does_not_outlive_its_folders_numbering(sandbox: Sandbox, account: Account) -> None:
    filled(account, 1)
    with imap(sandbox, account, "INBOX") as client:
        account.renumber("INBOX")
        with pytest.raises(imapclient.exceptions.IMAPClientAbortError, match="UIDVALIDITY"):
            client.search()
