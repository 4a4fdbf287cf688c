"""One consent from the button to the test: bound to user, session, mailbox and return page (SPEC R2; FACTS D18).

What is under way stands in the session, without any token; social-auth keeps the state beside it and uses it up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from social_core.actions import do_auth
from social_core.exceptions import SocialAuthBaseException

from mailboxes.models import Credential, Mailbox, OAuthClient, Trial, Workspace
from mailboxes.models.credential import SECRETS
from mailboxes.providers.presets import by_address, by_id
from mailboxes.reconnect.credentials import NewGrant
from mailboxes.reconnect.oauth import backends, identity, refusals
from mailboxes.reconnect.oauth.identity import SignInAs
from mailboxes.reconnect.oauth.refusals import Refused, Why
from mailboxes.reconnect.oauth.registrations import Registration, registration
from mailboxes.reconnect.settings import SETTINGS, server_settings
from mailboxes.reconnect.trials import Wish, begin
from mailboxes.wire.values import is_among

VALID_FOR = timedelta(minutes=10)
_NO_NEXT = "postmend-takes-no-next"
_OF_THE_MAILBOX = ("wants_smtp", "wants_imap", "imap_folder")
_PRESETS = {"google": "google_workspace", "microsoft": "microsoft365"}


@dataclass(frozen=True, slots=True)
class Flow:
    """What the consent is for: it returns to the test of this very mailbox. `mailbox` 0 is a new one, of `address`."""

    provider: str
    user: int
    workspace: int
    mailbox: int
    address: str
    sign_in_as: str
    begun_at: str
    state: str = ""


def _key(provider: str) -> str:
    return f"postmend_consent_{provider}"


def start(request: HttpRequest, flow: Flow, redirect_uri: str) -> HttpResponse:
    """Send the browser to the provider. A consent begun before in this session is void from now on."""
    backend = backends.load(request, flow.provider, redirect_uri)
    request.session[f"{flow.provider}_login_hint"] = flow.address
    user: Any = request.user
    response: HttpResponse = do_auth(backend, redirect_name=_NO_NEXT, user=user)
    request.session[_key(flow.provider)] = asdict(flow) | {"state": backend.get_association_state()}
    return response


def under_way(request: HttpRequest, provider: str) -> Flow | None:
    """The consent that this session waits for."""
    kept = request.session.get(_key(provider))
    return Flow(**kept) if isinstance(kept, dict) else None


def finish(
    request: HttpRequest,
    provider: str,
    redirect_uri: str,
    *,
    mailbox_of: Callable[[Flow], tuple[Workspace, Mailbox | None]],
    source_ip: str | None,
    now: datetime,
) -> Trial:
    """Take the provider's answer and begin the test of the new grant. Raises Refused.

    `mailbox_of` gives the workspace and mailbox that the user may still act on. The state is used up whatever comes.
    """
    flow = under_way(request, provider)
    backend = backends.load(request, provider, redirect_uri)
    if flow is None or flow.user != request.user.pk or flow.state != request.GET.get("state"):
        raise Refused(Why.STATE)
    del request.session[_key(provider)]
    if now - datetime.fromisoformat(flow.begun_at) > VALID_FOR:
        request.session.pop(f"{provider}_state", None)
        raise Refused(Why.STATE)
    workspace, mailbox = mailbox_of(flow)
    taken = _Taken(flow, workspace, mailbox, source_ip, now)
    try:
        trial = backend.complete(user=request.user, taken=taken)
    except SocialAuthBaseException as error:
        raise refusals.of(error) from None
    assert isinstance(trial, Trial)
    return trial


@dataclass(frozen=True, slots=True)
class _Taken:
    """What the pipeline's one step is handed."""

    flow: Flow
    workspace: Workspace
    mailbox: Mailbox | None
    source_ip: str | None
    now: datetime


def keep_grant(
    backend: Any, user: AbstractBaseUser, response: Mapping[str, Any], taken: _Taken, **_: Any
) -> Trial | None:
    """The pipeline: identity, scopes and refresh token are judged before anything is stored; then the test begins."""
    known = registration(backend.name)
    assert known is not None
    who = identity.of(known.name, response)
    stored = Credential.objects.filter(mailbox=taken.mailbox).defer(*SECRETS).first() if taken.mailbox else None
    pinned = (stored.identity, stored.identity_name) if stored else ("", "")
    sign_in_as = SignInAs(taken.flow.sign_in_as)
    identity.check(
        who,
        mailbox_address=taken.flow.address,
        pinned=pinned[0],
        pinned_name=pinned[1],
        sign_in_as=sign_in_as,
    )
    _refuse_missing(known, response)
    if not response.get("refresh_token") and not (stored and stored.opened("refresh_token") and pinned[0]):
        raise Refused(Why.NO_REFRESH_TOKEN)
    grant = _grant(known, response, who, taken.now)
    place = _place(taken, known, who, sign_in_as)
    wish = Wish(
        taken.workspace,
        taken.flow.address,
        place,
        grant,
        taken.mailbox,
        taken.source_ip,
        must_arrive=not pinned[0] and sign_in_as is not SignInAs.OWNER,
        vouched_by=known.name if identity.vouched_address(known.name, response) == taken.flow.address.lower() else "",
    )
    return begin(wish, acting_user=user, now=taken.now)


def _refuse_missing(known: Registration, response: Mapping[str, Any]) -> None:
    if missing := known.missing(str(response.get("scope") or "")):
        raise Refused(Why.SCOPE_MISSING, permission=known.permission, detail=" ".join(missing))


def _grant(known: Registration, response: Mapping[str, Any], who: identity.Identity, now: datetime) -> NewGrant:
    lasts = response.get("expires_in")
    seconds = int(lasts) if isinstance(lasts, int | str) and str(lasts).isdigit() else 300
    return NewGrant(
        client=OAuthClient.objects.defer("client_secret").get(name=known.name),
        refresh_token=str(response.get("refresh_token") or ""),
        scopes=str(response.get("scope") or ""),
        identity=who.key,
        identity_name=who.sign_in,
        access_token=str(response["access_token"]),
        access_expires_at=now + timedelta(seconds=seconds),
    )


def _place(taken: _Taken, known: Registration, who: identity.Identity, sign_in_as: SignInAs) -> dict[str, Any]:
    """The provider's own servers, with the login names of who consented. Of a mailbox that is there its legs and folder
    stay, and its servers where access tokens may be sent to them; of a pinned one also its login names."""
    place = preset_place(_preset_of(taken.flow.address, known)) | identity.usernames(
        who, taken.flow.address, sign_in_as
    )
    mailbox = taken.mailbox
    if mailbox is None:
        return place
    stored = {name: getattr(mailbox, name) for name in (*SETTINGS, "provider")}
    place |= {name: stored[name] for name in _OF_THE_MAILBOX}
    if _may_be_told(mailbox, known.name):
        place |= {name: value for name, value in stored.items() if not name.endswith("_username")}
    if Credential.objects.filter(mailbox=mailbox, identity=who.key).exclude(identity="").exists():
        place |= {name: value for name, value in stored.items() if name.endswith("_username")}
    return place


def _preset_of(address: str, known: Registration) -> str:
    preset = by_address(address)
    return preset.id if preset is not None and preset.family == known.name else _PRESETS[known.name]


def _may_be_told(mailbox: Mailbox, provider: str) -> bool:
    """True where every server that is wanted may be told an access token of this registration."""
    hosts = OAuthClient.objects.values_list("mail_hosts", flat=True).get(name=provider).split()
    wanted = ((mailbox.wants_smtp, mailbox.smtp_host), (mailbox.wants_imap, mailbox.imap_host))
    return all(is_among(host, hosts) for is_wanted, host in wanted if is_wanted)


def preset_place(provider: str) -> dict[str, Any]:
    """A preset as settings."""
    preset = by_id(provider)
    assert preset is not None
    place: dict[str, Any] = {"provider": provider, "imap_folder": "INBOX"}
    for leg, endpoint in (("smtp", preset.smtp), ("imap", preset.imap)):
        place[f"wants_{leg}"] = endpoint is not None
        if endpoint is not None:
            place |= server_settings(leg, endpoint)
    return place
