"""What more the words say within a category: the window of a limit, the kind of a block (SPEC H13, H14)."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailboxes.diagnosis.advice import Place, advise
from mailboxes.diagnosis.categories import Category
from mailboxes.diagnosis.engine import BadRule, engine
from mailboxes.diagnosis.values import Reply

BLOCKS = {
    "sign_in": [
        "534-5.7.14 <https://accounts.google.com/signin/continue?sarp=1&scc=1> Please log in via your web browser",
        "* NO [WEBALERT https://accounts.google.com/signin/continue] Web login required.",
        "[AUTHORIZATIONFAILED] (#MBR1240) Please verify your account by going to https://login.yahoo.com",
        "Access to your account has been temporarily restricted as Yandex suspects it may have been hacked.",
    ],
    "spam": [
        "550 5.1.8 Access denied, bad outbound sender AS(42004)",
        "550 5.7.501 Access denied, spam abuse detected",
        "554 5.1.8 Email Outgoing Blocked.",
        "550 Sorry, your account has been blocked for sending spam",
        "550 5.4.6 Unusual sending activity detected",
        "A1 NO [CONTACTADMIN] This account has been locked on suspicion of abuse.",
    ],
    "policy": ["A1 NO [CONTACTADMIN] This account has been administratively locked."],
    "billing": [
        "502 5.7.0 Your SMTP account is not yet activated. Please contact us to request activation",
        "535 5.7.0 Account suspended: unpaid invoice",
    ],
    "third_party": [
        "554 5.7.1 Disabled by user from hPanel",
        "NO SELECT Unsafe Login. Please contact kefu@188.com for help",
        "535 5.7.0 Access by third-party applications is disabled for this account",
    ],
    "place": ["525 5.7.1 Unauthorized IP address", "A0002 NO [ALERT] country blocked"],
    "gone": ['{"error":"invalid_grant","error_description":"Account has been deleted"}'],
    "suspended": ["552 Your account has been suspended. Please contact us to reactivate", "550 user is locked."],
    "full": ["554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException.MapiExceptionShutoffQuota"],
}
CASES = [(kind, text) for kind, texts in BLOCKS.items() for text in texts]


@pytest.mark.parametrize(("kind", "text"), CASES)
def test_h14_a_block_is_told_by_its_kind(kind: str, text: str) -> None:
    assert engine().variant(Category.PROVIDER_BLOCK, Reply(text)) == kind


def test_h14_each_kind_of_block_has_steps_of_its_own() -> None:
    kinds = [one.id for one in engine().variants if one.category is Category.PROVIDER_BLOCK]
    place = Place("a@example.com", "Example")
    steps = {kind: advise(Category.PROVIDER_BLOCK, place, kind).steps for kind in ["", *kinds]}
    assert len(set(steps.values())) == len(kinds) + 1
    assert all("Press “Check again”" in " ".join(found) for found in steps.values())


def test_h14_a_brands_own_steps_for_a_kind_win() -> None:
    general, zoho = (Place("a@example.com", "Zoho", family) for family in ("", "zoho"))
    assert "UnblockMe" in " ".join(advise(Category.PROVIDER_BLOCK, zoho, "spam").steps)
    assert "UnblockMe" not in " ".join(advise(Category.PROVIDER_BLOCK, general, "spam").steps)


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("550 5.4.5 Daily user sending quota exceeded.", "day"),
        ("Domain example.net has exceeded the max emails per hour (123/100) allowed.", "hour"),
        ("Sender Hourly Quota Exceeded", "hour"),
        ("462 Daily send limit reached. Please try again tomorrow", "day"),
        ("450 4.7.1 Too many messages per minute", "minute"),
        ("554 Your account has exceeded its relay quota", ""),
    ],
)
def test_h13_a_limit_names_its_window(text: str, window: str) -> None:
    assert engine().variant(Category.SENDING_LIMIT, Reply(text, "smtp")) == window


def test_a_variant_that_is_not_well_formed_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('[[variant]]\nid = "bad"\ncategory = "provider_block"\nwords = ["("]\n')
    with pytest.raises(BadRule, match="variant 'bad'"):
        engine(file)
