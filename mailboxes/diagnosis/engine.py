"""Reply to diagnosis: the first rule of rules.toml that fits. Specific rules stand before general ones."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from mailboxes.diagnosis.categories import MATRIX, Actor, Category, Course
from mailboxes.diagnosis.signals import Signals, read
from mailboxes.diagnosis.values import Diagnosis, Reply

RULES_FILE = Path(__file__).with_name("rules.toml")
# Where this is not known of a reply, a rule that asks for it may still fit: its other conditions decide.
_CODE = re.compile(r"[0-9x.]+")
_MAY_BE_UNKNOWN = ("leg", "stage")
_CONDITIONS = tuple(field.name for field in fields(Signals) if field.name != "words")
_ANSWERS = ("actor", "needs_reconnect", "transient", "course")


class BadRule(ValueError):
    """A rule of the file is not well-formed; the text names the rule and the fault."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of rules.toml. All conditions must hold; within one, any value will do."""

    id: str
    category: Category
    conditions: tuple[tuple[str, re.Pattern[str]], ...]
    words: re.Pattern[str] | None
    without: re.Pattern[str] | None
    answers: Mapping[str, Any]
    strict: bool = False

    def fits(self, signals: Signals) -> bool:
        """True where every condition holds."""
        for name, pattern in self.conditions:
            value = getattr(signals, name)
            if not value and name in _MAY_BE_UNKNOWN and not self.strict:
                continue
            if not pattern.fullmatch(value):
                return False
        if self.words and not self.words.search(signals.words):
            return False
        return not (self.without and self.without.search(signals.words))

    def diagnosis(self, signals: Signals) -> Diagnosis:
        """The matrix row of the category, with what this rule knows better."""
        traits = MATRIX[self.category]
        # About one recipient or one message the reply's own class decides (SPEC D1: "by the reply").
        transient = traits.transient or (traits.course is Course.IGNORED and signals.smtp.startswith("4"))
        return Diagnosis(
            category=self.category,
            rule=self.id,
            actor=Actor(self.answers.get("actor", traits.actor)),
            needs_reconnect=self.answers.get("needs_reconnect", traits.needs_reconnect),
            transient=self.answers.get("transient", transient),
            course=Course(self.answers.get("course", traits.course)),
            cured_elsewhere=traits.cured_elsewhere,
        )


@dataclass(frozen=True, slots=True)
class Variant:
    """What words mean within a category, whichever rule found it."""

    id: str
    category: Category
    words: re.Pattern[str]


class Engine:
    """Ordered rules, and variants of their categories; made once and used for every reply."""

    def __init__(
        self, rules: Iterable[Rule], variants: Iterable[Variant] = (), no_retry: re.Pattern[str] | None = None
    ) -> None:
        self.rules = tuple(rules)
        self.no_retry = no_retry
        self.variants = tuple(variants)
        ids = [rule.id for rule in self.rules]
        for twice in {name for name in ids if ids.count(name) > 1}:
            raise BadRule(f"rule {twice!r} stands twice: give each rule an id of its own")

    def diagnose(self, reply: Reply) -> Diagnosis:
        """The diagnosis of the first rule that fits; `unknown` where none does."""
        signals = read(reply)
        fitting = (rule for rule in self.rules if rule.fits(signals))
        found = next(fitting, _NO_RULE).diagnosis(signals)
        if found.course is Course.REFUSAL and self.no_retry is not None and self.no_retry.search(signals.words):
            found = replace(found, no_retry=True)
        return replace(found, variant=self._variant(found.category, signals)) if self.variants else found

    def variant(self, category: Category, reply: Reply) -> str:
        """What more the words of a reply say, within the category that was found for it; "" for nothing."""
        return self._variant(category, read(reply))

    def _variant(self, category: Category, signals: Signals) -> str:
        kinds = (one for one in self.variants if one.category is category)
        return next((one.id for one in kinds if one.words.search(signals.words)), "")


_NO_RULE = Rule("no-rule", Category.UNKNOWN, (), None, None, {})


@cache
def engine(path: Path = RULES_FILE) -> Engine:
    """The engine of a rules file. Raises BadRule, with the rule's id, for a file that is not well-formed."""
    with path.open("rb") as file:
        tables = tomllib.load(file)
    rules, variants = tables.get("rule", []), tables.get("variant", [])
    no_retry = _search(tables.get("no_retry", {}).get("words"))
    return Engine(map(_rule, rules), map(_variant, variants), no_retry)


def _variant(table: dict[str, Any]) -> Variant:
    try:
        words = _search(table["words"])
        assert words is not None
        return Variant(table["id"], Category(table["category"]), words)
    except (AssertionError, KeyError, ValueError, re.error) as error:
        raise BadRule(f"variant {table.get('id', '(without id)')!r} is not well-formed: {error}") from None


def _rule(table: dict[str, Any]) -> Rule:
    name = table.get("id", "(without id)")
    foreign = set(table) - {"id", "category", "words", "without", "note", "strict", *_CONDITIONS, *_ANSWERS}
    if foreign:
        raise BadRule(f"rule {name!r} has unknown keys: {', '.join(sorted(foreign))}")
    try:
        return Rule(
            id=table["id"],
            category=Category(table["category"]),
            conditions=tuple((key, _any_of(table[key])) for key in _CONDITIONS if key in table),
            words=_search(table.get("words")),
            without=_search(table.get("without")),
            answers={key: table[key] for key in _ANSWERS if key in table},
            strict=table.get("strict", False),
        )
    except (KeyError, ValueError, re.error) as error:
        raise BadRule(f"rule {name!r} is not well-formed: {error}") from None


def _any_of(values: str | list[str]) -> re.Pattern[str]:
    """Codes as written, with x for any digit: "5xx", "x.7.8"; "" fits where the signal is absent."""
    listed = [values] if isinstance(values, str) else values
    return re.compile(
        "|".join(re.escape(value).replace("x", r"[0-9]") if _is_code(value) else value for value in listed)
    )


def _is_code(value: str) -> bool:
    return bool(_CODE.fullmatch(value))


def _search(patterns: list[str] | None) -> re.Pattern[str] | None:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns)) if patterns else None
