"""What the engine is asked and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from mailboxes.diagnosis.categories import Actor, Category, Course


@dataclass(frozen=True, slots=True)
class Reply:
    """A failure to be read: the words, and what is known of where they were said. Unknown parts are ""."""

    text: str
    leg: str = ""
    stage: str = ""
    provider: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Evidence turned into a cause. `course` says how it may move a mailbox's leg (SPEC D1).

    `variant` is what more the words say within the category: the window of a limit, the kind of a block; often "".
    `no_retry`: the provider says that attempts are the reason. `cross_checked`: the other leg accepts the secret (X3).
    """

    category: Category
    rule: str
    actor: Actor
    needs_reconnect: bool
    transient: bool
    course: Course
    cured_elsewhere: bool = False
    variant: str = ""
    no_retry: bool = False
    cross_checked: bool = False
