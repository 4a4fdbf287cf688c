"""Every regular expression of ours, and for each the texts on which it could be slow.

An expression takes more than linear time only by a repetition without an upper bound, so hostile texts are made of
what each of them repeats and what stands before it.
"""

from __future__ import annotations

import ast
import importlib
import itertools
import pkgutil
import re
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import campaigns
import mailboxes
import warmup
from mailboxes.diagnosis.engine import RULES_FILE
from mailboxes.inbox import parts, worded

PACKAGES = (mailboxes, campaigns, warmup)
NOT_OURS = re.compile(r"\.(?:sandbox|migrations|management|__main__)\b")  # they meet no stranger's text
CANDIDATES = " \n\ta0-.2A\"'<>()[]{}\\&=?%:@+*,;/_|~é"
SHORT, LONG = (20, 60, 120, 250), 3000
MOST_SHORT_S = 0.01  # a linear one needs a hundredth of it
AT_ONCE_S, MOST_LONG_S = 0.001, 0.5  # what is quicker than the first is not measured any further
MOST_SAMPLES = 3
MOST_LETTERS = 8
_CLASSES = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}
_WITH_LETTERS = ("LITERAL", "RANGE")
_parser: Any = importlib.import_module("re._parser")
# What stands before a repetition, what it repeats, and how often.
SHAPES: tuple[Callable[[str, str, int], str], ...] = (
    lambda _before, body, size: body * size,
    lambda before, body, size: before + body * size,
    lambda before, body, size: (before + body) * size,
    lambda before, _body, size: before * size,
    lambda before, body, size: (before + body * 3) * size,
    lambda before, body, size: before * (size // 2) + body * (size // 2),
)
Found = tuple[str, "re.Pattern[str] | re.Pattern[bytes]", str]


@dataclass(frozen=True)
class Maker:
    """Makes a hostile text of any length, closed by a character that fits nowhere."""

    before: str
    body: str
    shape: int

    def __call__(self, size: int) -> str:
        return SHAPES[self.shape](self.before, self.body, size)[:size] + "\x01"


def modules() -> Iterator[Any]:
    """Each module that may meet a stranger's text."""
    for package in PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not NOT_OURS.search(found.name):
                yield importlib.import_module(found.name)


def expressions() -> Iterator[Found]:
    """Each expression: where it stands, itself, and the method that it is used by."""
    for module in modules():
        source = Path(module.__file__).read_text()
        for name, value in vars(module).items():
            for pattern in _patterns(value):
                used = re.findall(rf"\b{name}\.(match|fullmatch|search|sub|findall|finditer|split)\b", source)
                for method in dict.fromkeys(used or ["search"]):
                    yield f"{module.__name__}.{name}", pattern, method
    for table in itertools.chain.from_iterable(_rules().values()):
        for words in [*table.get("words", ()), *table.get("without", ())]:
            yield f"{RULES_FILE.name} {table['id']}", re.compile(words), "search"
    yield "parts.parameter", parts.parameter(b"x--"), "sub"
    yield "parts.delimiter", parts.delimiter(b"x--"), "sub"
    yield "worded.before", worded.before("a@b.test"), "sub"


def _rules() -> dict[str, list[dict[str, Any]]]:
    tables = tomllib.loads(RULES_FILE.read_text())
    return {"rule": tables["rule"], "variant": tables["variant"], "no_retry": [{"id": "no_retry"} | tables["no_retry"]]}


def _patterns(value: object) -> Iterator[re.Pattern[str] | re.Pattern[bytes]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, tuple | list | frozenset | set):
        for one in value:
            yield from _patterns(one)
    elif isinstance(value, dict):
        yield from _patterns(list(value.values()))


def built_in_functions(allowed: set[str]) -> list[str]:
    """Calls of `re` inside functions, which no walk over modules would find, but in the `allowed` builders."""
    found = []
    for module in modules():
        for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name not in allowed:
                found += [f"{module.__name__}.{node.name}" for one in ast.walk(node) if _is_re_call(one)]
    return found


def _is_re_call(node: ast.AST) -> bool:
    called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
    return called.startswith("re.") and called != "re.escape"


def hostile(pattern: re.Pattern[str] | re.Pattern[bytes]) -> list[Maker]:
    """Makers of hostile texts; none for an expression that repeats nothing without end."""
    tree = _parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    found = dict.fromkeys(_endless(list(tree), ""))
    return [Maker(before, body, shape) for before, body in found for shape in range(len(SHAPES))]


def _endless(nodes: list[Any], before: str) -> Iterator[tuple[str, str]]:
    """What is repeated without end, and what stands before it."""
    for place, (kind, value) in enumerate(nodes):
        for lead in _samples(nodes[:place]):
            for inner in _inside(kind, value):
                yield from _endless(list(inner), before + lead)
            if str(kind).endswith("_REPEAT") and value[1] is _parser.MAXREPEAT:
                for body in _samples(list(value[2]), MOST_LETTERS):
                    yield before + lead, body
                    if before:
                        yield lead, body


def _inside(kind: object, value: Any) -> list[Any]:
    name = str(kind)
    if name == "SUBPATTERN":
        return [value[-1]]
    if name == "BRANCH":
        return list(value[1])
    if name.endswith("_REPEAT"):
        return [value[2]]
    return [value[1]] if name in ("ASSERT", "ASSERT_NOT") else []


def _samples(nodes: list[Any], most: int = MOST_SAMPLES) -> list[str]:
    """Short texts that fit these nodes one after the other."""
    found = [""]
    for kind, value in nodes:
        found = [one + more for one in found for more in _one(str(kind), value, most)][:most]
    return found


def _one(kind: str, value: Any, most: int) -> list[str]:
    if kind == "LITERAL":
        return [chr(value)]
    if kind in ("ANY", "NOT_LITERAL", "IN"):
        return [char for char in CANDIDATES + _named(value) if _is_in(kind, value, char)][:most] or ["a"]
    if kind == "SUBPATTERN":
        return _samples(list(value[-1]), most)
    if kind == "BRANCH":
        return [one for branch in value[1] for one in _samples(list(branch), 1)][:most]
    if kind.endswith("_REPEAT"):
        times = max(value[0], min(1, value[1]))
        return [one * times for one in _samples(list(value[2]), most)]
    return [""]


def _named(value: Any) -> str:
    """The letters that a set names itself."""
    items = value if isinstance(value, list) else ()
    return "".join(chr(what[0] if str(name) == "RANGE" else what) for name, what in items if str(name) in _WITH_LETTERS)


def _is_in(kind: str, value: Any, char: str) -> bool:
    code = ord(char)
    if kind == "ANY":
        return char != "\n"
    if kind == "NOT_LITERAL":
        return bool(code != value)
    is_negated = str(value[0][0]) == "NEGATE"
    return any(_fits(str(name), what, code) for name, what in value) is not is_negated


def _fits(name: str, what: Any, code: int) -> bool:
    if name == "LITERAL":
        return bool(code == what)
    if name == "RANGE":
        return bool(what[0] <= code <= what[1])
    if name != "CATEGORY":
        return False
    kind = str(what).removeprefix("CATEGORY_").removeprefix("UNI_")
    is_in = re.fullmatch(_CLASSES[kind.removeprefix("NOT_")], chr(code)) is not None
    return is_in is not kind.startswith("NOT_")


def seconds(pattern: re.Pattern[Any], method: str, text: str) -> float:
    """CPU seconds of one use."""
    given: Any = text if isinstance(pattern.pattern, str) else text.encode("latin-1")
    use = getattr(pattern, method)
    began = time.process_time()
    if method == "sub":
        use(given[:0], given)
    elif method == "finditer":
        list(use(given))
    else:
        use(given)
    return time.process_time() - began


def slow_text(pattern: re.Pattern[Any], method: str) -> Maker | None:
    """The first maker of texts on which it takes worse than linear time."""
    return next((make for make in hostile(pattern) if is_slow(pattern, method, make)), None)


def is_slow(pattern: re.Pattern[Any], method: str, make: Maker) -> bool:
    """Whether it takes worse than linear time. Short texts first: what is exponential would never end."""
    for length in SHORT:
        if min(seconds(pattern, method, make(length)) for _try in range(2)) > MOST_SHORT_S:
            return True
    took_s = seconds(pattern, method, make(LONG))
    if took_s <= AT_ONCE_S or took_s > MOST_LONG_S:
        return took_s > MOST_LONG_S
    return all(_ratio(pattern, method, make) > 3 for _try in range(3))


def _ratio(pattern: re.Pattern[Any], method: str, make: Maker) -> float:
    """How much longer twice the text takes; 2 is linear, 4 quadratic."""
    short, long = (make(LONG * times) for times in (1, 2))
    once, twice = (min(seconds(pattern, method, text) for _try in range(2)) for text in (short, long))
    return twice / once
