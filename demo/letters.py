"""What the demo's mailboxes are for: campaigns with people who answer, are away or are gone, and a warm-up pool."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from datetime import datetime, time

from campaigns.models import Campaign, Lead, Step
from mailboxes.models import Mailbox, Workspace
from mailboxes.sandbox.account import Account
from mailboxes.sandbox.post_office import Person
from mailboxes.sandbox.server import Sandbox
from mailboxes.states import PauseReason
from warmup.models import Pool, PoolMember

POOL = "General warm-up"
LONELY = "one sender"
LEADS = 40
PEOPLE_AT = "people.test"
# Of a hundred people: how many are of each manner; the others are silent.
MANNERS = (("answers", 20), ("away", 5), ("gone", 8), ("slow", 3))
JUNK_PERCENT = 15
_NAMES = "Ada Bo Cy Dee Eli Fay Gus Hal Ivy Jo Kit Lou Max Nan Oz Pam Rae Sal Ty Uma".split()
_COMPANIES = "Alder Birch Cedar Dogwood Elm Fir Ginkgo Hazel".split()
_STEPS = (
    (
        "A question about {{ company|your work }}",
        "who reads the mail at {{ company|your company }}?\n\nBest regards",
    ),
    ("", "may I send you two pages about it?\n\nBest regards"),
    ("", "this is my last letter about it. All the best!"),
)


def put_to_work(workspaces: Iterable[Workspace], sandbox: Sandbox, now: datetime) -> None:
    """A campaign and a pool for everybody, and one campaign whose only mailbox is broken. Safe to do again."""
    pool = Pool.objects.get_or_create(name=POOL)[0]
    for workspace in workspaces:
        mailboxes = list(workspace.mailboxes.order_by("id"))
        _campaign(workspace, f"{workspace.name}: autumn", mailboxes[::2], now)
        members = [PoolMember(pool=pool, mailbox=mailbox, next_at=now) for mailbox in mailboxes]
        PoolMember.objects.bulk_create(members, ignore_conflicts=True)
    _campaign(workspace, f"{workspace.name}: {LONELY}", _broken(mailboxes, sandbox), now)
    for email in Lead.objects.values_list("email", flat=True):
        sandbox.people[email] = Person(_manner(email))
    for account in sandbox.accounts.values():
        account.junks = _is_junk


def _broken(mailboxes: list[Mailbox], sandbox: Sandbox) -> list[Mailbox]:
    """The first that needs a new password, or a new consent."""
    faults = ((one, sandbox.accounts[one.address].fault) for one in mailboxes)
    flagged = ((one, fault) for one, fault in faults if fault.is_of_the_secret)
    return [one for one, fault in flagged if fault.expect["pause_reason"] == PauseReason.AUTH_FAILURE][:1]


def _campaign(workspace: Workspace, name: str, mailboxes: list[Mailbox], now: datetime) -> None:
    campaign, is_new = Campaign.objects.get_or_create(workspace=workspace, name=name)
    campaign.mailboxes.set(mailboxes)
    if not is_new and campaign.steps.exists():
        return
    values = {"state": Campaign.State.RUNNING, "window_from": time(0), "window_to": time(0), "on_weekends": True}
    Campaign.objects.filter(pk=campaign.pk).update(**values)
    Step.objects.bulk_create([_step(campaign, at, *texts) for at, texts in enumerate(_STEPS, 1)])
    Lead.objects.bulk_create([_lead(campaign, place, now) for place in range(1, LEADS + 1)])


def _step(campaign: Campaign, number: int, subject: str, body: str) -> Step:
    text = f"Hello {{{{ first_name|there }}}},\n\n{body}"
    return Step(campaign=campaign, number=number, wait_days=1, subject=subject, body=text)


def _lead(campaign: Campaign, place: int, now: datetime) -> Lead:
    name, company = _NAMES[place % len(_NAMES)], _COMPANIES[(place + campaign.pk) % len(_COMPANIES)]
    email = f"{name.lower()}.{campaign.pk}{place:02}@{PEOPLE_AT}"
    return Lead(
        campaign=campaign, email=email, place=place, due_at=now, fields={"first_name": name, "company": company}
    )


def _manner(email: str) -> str:
    """Always the same of a person."""
    dice = zlib.crc32(email.encode()) % 100
    for manner, share in MANNERS:
        if dice < share:
            return manner
        dice -= share
    return "silent"


def _is_junk(raw: bytes) -> bool:
    """Some warm-up mail is taken for junk, as it goes in the beginning."""
    return b"X-Postmend:" in raw and zlib.crc32(raw) % 100 < JUNK_PERCENT


def remember(account: Account, now: datetime) -> None:
    """The sandbox forgets its mail when it ends: its folders are others after it."""
    for folder in account.folders:
        account.uid_validity[folder] = int(now.timestamp())
