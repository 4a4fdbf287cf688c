"""The rules file and the advice as data (SPEC D2, D3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailboxes.diagnosis.advice import Action, Place, action, advise
from mailboxes.diagnosis.categories import MATRIX, Actor, Category, Course
from mailboxes.diagnosis.engine import RULES_FILE, BadRule, engine
from mailboxes.diagnosis.values import Reply
from tests.diagnosis.test_given import diagnose, rows


def test_d1_the_matrix_has_a_row_for_each_of_the_26_categories() -> None:
    assert len(Category) == 26
    assert set(MATRIX) == set(Category)


def test_d1_needs_reconnect_follows_from_a_refusal() -> None:
    assert {c for c, t in MATRIX.items() if t.needs_reconnect} == {
        c for c, t in MATRIX.items() if t.course is Course.REFUSAL
    }


def test_d2_no_category_but_unknown_is_without_a_rule() -> None:
    assert {rule.category for rule in engine().rules} == set(Category)


def test_d2_an_unreadable_reply_is_unknown_and_flags_nobody() -> None:
    found = engine().diagnose(Reply("Qx-17 zilch", leg="smtp", stage="auth"))
    assert (found.category, found.needs_reconnect, found.rule) == (Category.UNKNOWN, False, "no-rule")


@pytest.mark.parametrize("words", ["NO Qx-17 zilch", "A1 NO something else entirely"])
def test_h6_a_bare_imap_no_is_no_refusal_of_a_password(words: str) -> None:
    assert engine().diagnose(Reply(words, leg="imap", stage="auth")).category is Category.UNKNOWN


@pytest.mark.parametrize(
    "page",
    [
        "<html><title>503 Service Unavailable</title>No server is available.</html>",
        "upstream connect error: no healthy endpoint for this grant type",
        "",
    ],
)
def test_d2_a_failing_token_endpoint_is_no_fault_of_ours_whatever_its_page_says(page: str) -> None:
    found = engine().diagnose(Reply(page, leg="oauth", stage="token", code="HTTP 503"))
    assert found.category is Category.TEMPORARY


@pytest.mark.parametrize("stage", ["greeting", "auth"])
@pytest.mark.parametrize(
    ("leg", "words"),
    [
        ("smtp", "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using a list of hosts"),
        ("smtp", "421 4.7.0 Your IP has been temporarily banned: too many failed logins"),
        ("smtp", "550-Your IP 192.0.2.3 is blacklisted"),
        ("imap", "* BYE Your host has been banned"),
        ("imap", "A1 NO [ALERT] Too many invalid passwords from your address"),
    ],
)
def test_x6_a_ban_of_our_address_is_our_fault_and_never_a_customers(leg: str, words: str, stage: str) -> None:
    found = engine().diagnose(Reply(words, leg=leg, stage=stage))
    assert (found.course, found.actor, found.needs_reconnect) == (Course.OURS, Actor.OPERATOR, False)


def test_d1_too_many_connections_is_no_ban() -> None:
    found = engine().diagnose(Reply("421 Too many connections from your IP", leg="smtp", stage="greeting"))
    assert (found.category, found.course) == (Category.RATE_LIMITED, Course.THROTTLED)


def test_d2_most_rules_are_met_by_a_labelled_reply() -> None:
    met = {diagnose(row).rule for row in rows("given.jsonl") + rows("field.jsonl")}
    assert len(met) >= 0.7 * len(engine().rules)


def test_d2_a_malformed_rule_is_named(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('[[rule]]\nid = "mine"\ncategory = "no_such"\n')
    with pytest.raises(BadRule, match="'mine'"):
        engine(file)


def test_d2_a_rule_with_a_foreign_key_is_named(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('[[rule]]\nid = "mine"\ncategory = "temporary"\ntypo = 1\n')
    with pytest.raises(BadRule, match="typo"):
        engine(file)


def test_d2_two_rules_of_one_id_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('[[rule]]\nid = "mine"\ncategory = "temporary"\n' * 2)
    with pytest.raises(BadRule, match="twice"):
        engine(file)


def test_d2_a_long_text_is_read_in_bounded_time() -> None:
    assert engine().diagnose(Reply("auth " * 200_000 + "x", leg="smtp", stage="auth"))


def test_d2_chinese_words_are_read_however_they_were_mangled() -> None:
    words = "请使用授权码登录".encode("gbk")
    for text in (f"535 Error: {words!r}", "535 Error: " + words.decode("latin-1")):
        assert engine().diagnose(Reply(text, leg="smtp", stage="auth")).category is Category.APP_PASSWORD_REQUIRED


@pytest.mark.parametrize("category", list(Category))
@pytest.mark.parametrize("oauth", [False, True])
def test_d3_every_cause_has_a_sentence_an_action_and_steps(category: Category, oauth: bool) -> None:
    advice = advise(category, Place("a@example.com", "Gmail", "google", "smtp.gmail.com", oauth))
    assert advice.happened.endswith(".")
    assert advice.steps
    assert "{" not in advice.happened + "".join(advice.steps)


@pytest.mark.parametrize(
    ("category", "family", "oauth", "expected"),
    [
        (Category.AUTH_FAILED, "google", False, Action.UPDATE_CREDENTIALS),
        (Category.OAUTH_REVOKED, "google", True, Action.RECONNECT_GOOGLE),
        (Category.OAUTH_REVOKED, "microsoft", True, Action.RECONNECT_MICROSOFT),
        (Category.TENANT_SMTP_DISABLED, "microsoft", True, Action.CHECK_AGAIN),
        (Category.AUTH_FAILED, "ovh", False, Action.UPDATE_CREDENTIALS),
        (Category.TLS_CERTIFICATE, "", False, Action.CHECK_SETTINGS),
        (Category.TIMEOUT, "", False, Action.WAIT),
    ],
)
def test_r1_the_action_follows_provider_and_credential(
    category: Category, family: str, oauth: bool, expected: Action
) -> None:
    assert action(category, Place("a@example.com", family=family, oauth=oauth)) is expected


def test_d2_the_shipped_rules_load() -> None:
    assert RULES_FILE.exists()
    assert len(engine().rules) > 100
