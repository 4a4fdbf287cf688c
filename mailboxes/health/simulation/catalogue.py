"""The scenarios by name, and one run of one of them. Pure."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta

from mailboxes.health.budget import UNKNOWN_HOST
from mailboxes.health.incidents.values import Word
from mailboxes.health.simulation import scenarios as s
from mailboxes.health.simulation.run import Words
from mailboxes.health.simulation.scenarios import FAULT_AT, Noise, Scenario, always, during, noisy, refuse
from mailboxes.health.simulation.world import Answer, Box, Population
from mailboxes.wire.values import Leg

REALLY_CHANGED = 0.01


def _some_change(boxes: list[Box], rng: random.Random, at: datetime) -> None:
    """One in a hundred customers really changes the password meanwhile."""
    for box in boxes:
        if Leg.OAUTH not in box.snapshot.legs and box.group == 0 and rng.random() < REALLY_CHANGED:
            box.revoked_at = at + timedelta(minutes=5) * rng.random()


def _one_changes(boxes: list[Box], _rng: random.Random, at: datetime) -> None:
    boxes[0].revoked_at = at


def _workspace_changes(boxes: list[Box], rng: random.Random, at: datetime) -> None:
    """The first tenth are one workspace, and all of it changes its passwords within five minutes."""
    for box in boxes[: len(boxes) // 10]:
        box.snapshot = replace(box.snapshot, workspace_id=1, domain="one.test")
        box.revoked_at = at + timedelta(minutes=5) * rng.random()


def _all_refused(boxes: list[Box], rng: random.Random, at: datetime) -> None:
    for box in boxes:
        if box.group == 0:
            box.revoked_at = at + timedelta(minutes=5) * rng.random()


def _policy(box: Box, leg: Leg, at: datetime, _rng: random.Random) -> Answer | None:
    return s.BASIC_OFF if leg is Leg.SMTP and box.is_refused(at) else None


def _named_truth(box: Box, leg: Leg, at: datetime, _rng: random.Random) -> Answer | None:
    return s.NAMED if leg is not Leg.OAUTH and box.is_refused(at) else None


def _waves(*starts_and_minutes: tuple[float, float], rule: s.Rule) -> s.Rule:
    def answer(box: Box, leg: Leg, at: datetime, rng: random.Random) -> Answer | None:
        for start, minutes in starts_and_minutes:
            begins = FAULT_AT + timedelta(hours=start)
            if begins <= at < begins + timedelta(minutes=minutes) and box.group == 0:
                return rule(box, leg, at, rng)
        return None

    return answer


def _part(share: float, rule: s.Rule) -> s.Rule:
    """Only this share of the mailboxes is served by the broken part of the provider."""
    return lambda box, leg, at, rng: rule(box, leg, at, rng) if box.snapshot.id % 100 < share * 100 else None


def _sometimes(share: float, rule: s.Rule) -> s.Rule:
    return lambda box, leg, at, rng: rule(box, leg, at, rng) if rng.random() < share else None


PASSWORDS = Population(oauth_share=0.0)
CONSENTS = Population(oauth_share=1.0)
TWENTY = Population(providers=20)
TENANT = Population(mailboxes=40, providers=3, oauth_share=0.0)
FIVE = Population(mailboxes=400, providers=5)
HOUR = 60.0
_ALL = (Leg.SMTP, Leg.IMAP, Leg.OAUTH)


def _scenarios() -> list[Scenario]:
    return [
        *_usual_days(),
        *_refusing_outages(),
        *_silent_outages(),
        *_faults_of_ours(),
        *_real_refusals(),
        *_many_real_refusals(),
        *_real_ones(),
    ]


def _usual_days() -> list[Scenario]:
    """Nothing fails, or what fails everywhere now and then."""
    return [
        Scenario("healthy", "Nothing fails.", noisy(Noise()), minutes=0, days=7),
        Scenario("noise", "Healthy servers fail now and then.", noisy(Noise(0.01, 0.0001)), minutes=0, days=30),
    ]


def _refusing_outages() -> list[Scenario]:
    """A provider refuses logins that are right."""
    day = 24 * HOUR
    return [
        Scenario("outage-535", "Every password is refused.", during(refuse(), 10), prepare=_some_change),
        Scenario("outage-535-smtp", "SMTP refuses every password.", during(refuse(Leg.SMTP), 10)),
        Scenario(
            "outage-imap-intermittent",
            "IMAP refuses three logins in ten, SMTP none.",
            during(refuse(Leg.IMAP, share=0.3), 3 * day),
            minutes=3 * day,
        ),
        Scenario(
            "outage-waves",
            "Three waves in 36 hours.",
            _waves((0, 60), (12, 45), (34, 142), rule=refuse()),
            minutes=34 * HOUR + 142,
        ),
        Scenario(
            "outage-21h",
            "21 hours of refused logins in a part of the provider.",
            during(_part(0.6, refuse()), 21 * HOUR),
            minutes=21 * HOUR,
        ),
        Scenario(
            "outage-invalid-grant", "Every refresh is refused.", during(refuse(Leg.OAUTH), 10), population=CONSENTS
        ),
    ]


def _silent_outages() -> list[Scenario]:
    """A provider does not answer, or not as it should."""
    return [
        Scenario("outage-refused", "The ports refuse.", during(always(s.NO_PORT), 10)),
        Scenario("outage-hang", "The servers say nothing.", during(always(s.SILENT), 10)),
        Scenario("outage-421", "The servers say: try again later.", during(always(s.BUSY), 10)),
        Scenario("outage-certificate", "The certificate has expired.", during(always(s.CERTIFICATE), 60), minutes=60),
        Scenario("outage-nxdomain", "The provider's names are gone.", during(always(s.NXDOMAIN), 60), minutes=60),
        Scenario(
            "outage-token-500",
            "The token endpoint fails.",
            during(always(s.TOKEN_500, Leg.OAUTH), 60),
            minutes=60,
            population=CONSENTS,
        ),
    ]


def _faults_of_ours() -> list[Scenario]:
    """What is our own fault, or would be."""
    return [
        Scenario(
            "client-expired",
            "The secret of our own OAuth client has expired.",
            during(always(s.CLIENT_EXPIRED, Leg.OAUTH), 60),
            minutes=60,
            population=CONSENTS,
        ),
        Scenario(
            "egress-cut",
            "Our own way out is cut.",
            during(always(s.NO_ROUTE, *_ALL), 20, group=None),
            minutes=20,
            population=FIVE,
        ),
        Scenario(
            "resolver-slow",
            "Our own name server answers half of the time.",
            during(_sometimes(0.5, always(s.NO_RESOLVER, *_ALL)), 20, group=None),
            minutes=20,
            population=FIVE,
        ),
        Scenario(
            "host-bans",
            "All passwords change at a host that bans after five refusals in ten minutes.",
            s.truth,
            minutes=8 * HOUR,
            population=Population(mailboxes=20, oauth_share=0.0, workspaces=2, refusals_allowed=UNKNOWN_HOST),
            prepare=_all_refused,
        ),
    ]


def _real_refusals() -> list[Scenario]:
    """Refusals of one mailbox or tenant that are meant."""
    return [
        Scenario(
            "tenant-switch",
            "A tenant switches SMTP AUTH off for an hour.",
            lambda box, leg, at, _rng: s.TENANT_OFF if leg is Leg.SMTP and _in_tenant(box) and _in_hour(at) else None,
            minutes=60,
            population=TENANT,
            prepare=lambda boxes, _rng, at: _tenant_off(boxes, at),
            named=True,
        ),
        Scenario(
            "real-refusal",
            "One customer changes the password.",
            s.truth,
            minutes=30,
            population=PASSWORDS,
            prepare=_one_changes,
        ),
        Scenario(
            "real-refusal-named",
            "One mailbox needs an app password from now on.",
            _named_truth,
            minutes=30,
            population=PASSWORDS,
            prepare=_one_changes,
            named=True,
        ),
    ]


def _many_real_refusals() -> list[Scenario]:
    """Refusals of very many that are meant."""
    return [
        Scenario(
            "policy-date",
            "The provider ends passwords; a person says an hour later that it is meant.",
            _policy,
            minutes=3 * HOUR,
            population=Population(mailboxes=3000, oauth_share=0.0),
            prepare=_all_refused,
            words=Words(Word.REAL, timedelta(hours=1)),
            named=True,
        ),
        Scenario(
            "mass-password-reset",
            "One workspace changes all its passwords.",
            s.truth,
            minutes=30,
            population=Population(mailboxes=10_000, oauth_share=0.0),
            prepare=_workspace_changes,
        ),
    ]


def _real_ones() -> list[Scenario]:
    """The eleven outages of INCIDENTS, 2,000 mailboxes each, and the planned end of passwords beside them."""
    big = Population(mailboxes=2000, providers=3)
    rows: list[tuple[str, str, s.Rule, float]] = [
        ("google-2020-12-14", "Login impossible for 47 minutes.", _sometimes(0.9, refuse(*_ALL)), 47),
        ("gmail-2020-12-15", "421 for 2 h 22 min.", _sometimes(0.6, always(s.BUSY)), 142),
        ("gmail-smtp-2023-01-26", "Errors and delays at SMTP AUTH.", _sometimes(0.5, refuse(Leg.SMTP)), 108),
        ("gmail-2024-07-30", "Errors and delays.", _sometimes(0.5, always(s.SILENT)), 185),
        ("gmail-2026-04-08", "Delays in sending.", _sometimes(0.3, always(s.BUSY, Leg.SMTP)), 490),
        ("azure-2020-09-28", "Sign-in and token errors.", _sometimes(0.8, always(s.TOKEN_500, Leg.OAUTH)), 178),
        ("azure-2021-03-15", "Valid tokens are refused.", _sometimes(0.7, refuse(*_ALL)), 865),
        ("exchange-2025-07-09", "Login failures, invalid licence.", _sometimes(0.62, always(s.LICENCE)), 1260),
        ("exchange-imap-2026-01-07", "Intermittent IMAP logins.", refuse(Leg.IMAP, share=0.3), 2880),
        ("yahoo-2026-01-21", "Too many requests at login.", _sometimes(0.8, refuse()), 240),
        ("exchange-2026-05-24", "Sign-in failures in a part.", _part(0.5, _sometimes(0.6, refuse())), 495),
    ]
    found = [
        Scenario(name, says, during(rule, minutes), minutes=minutes, population=big)
        for name, says, rule, minutes in rows
    ]
    planned = Scenario(
        "planned-end-of-passwords",
        "Passwords end on an announced day; a person says so.",
        _policy,
        minutes=3 * HOUR,
        population=Population(mailboxes=2000, providers=3, oauth_share=0.0),
        prepare=_all_refused,
        words=Words(Word.REAL, timedelta(minutes=30)),
        named=True,
    )
    return [*found, planned]


def _in_hour(at: datetime) -> bool:
    return FAULT_AT <= at < FAULT_AT + timedelta(hours=1)


def _in_tenant(box: Box) -> bool:
    return box.group == 0 and box.snapshot.workspace_id == 0


def _tenant_off(boxes: list[Box], at: datetime) -> None:
    for box in boxes:
        if _in_tenant(box):
            box.snapshot = replace(box.snapshot, domain="tenant.test", tenant="tenant.test")
            box.revoked_at, box.cured_at = at, at + timedelta(hours=1)


SCENARIOS: dict[str, Scenario] = {one.name: one for one in _scenarios()}
