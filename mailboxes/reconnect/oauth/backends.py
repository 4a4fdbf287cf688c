"""The stock Google and Microsoft backends, told where our registration stands and sent through our one way out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import requests
from cryptography.fernet import InvalidToken
from django.http import HttpResponse
from social_core.backends.azuread_tenant import AzureADV2TenantOAuth2
from social_core.backends.google import GoogleOAuth2
from social_core.backends.oauth import BaseOAuth2PKCE
from social_core.exceptions import AuthProviderError
from social_core.utils import http_error
from social_django.models import DjangoStorage
from social_django.strategy import DjangoStrategy

from mailboxes.clock import now
from mailboxes.health import alarms
from mailboxes.health.outgoing import from_settings
from mailboxes.health.targets import tell_of_astray, wire_client
from mailboxes.models import OAuthClient
from mailboxes.models.destination import Astray
from mailboxes.reconnect.oauth.refusals import Refused, Why
from mailboxes.reconnect.oauth.registrations import Registration, registration
from mailboxes.wire.http import HttpRequest, fetch
from mailboxes.wire.recorder import Recorder
from mailboxes.wire.values import Leg, WireFault


class Strategy(DjangoStrategy):
    """Settings of the two backends come from our registration's row: one secret, referenced and never copied."""

    def setting(self, name: str, default: Any = None, backend: Any = None) -> Any:
        """A setting by social-auth's name for it."""
        known = registration(backend.name) if backend is not None else None
        if known is None:
            return super().setting(name, default, backend)
        values = self._values(known, name)
        return values[name] if name in values else super().setting(name, default, backend)

    def authenticate(self, backend: Any, **kwargs: Any) -> Any:
        """Hand the consent to our pipeline. Django's sign-in takes no part: nobody is signed in by a consent."""
        ours = {"strategy": self, "storage": self.storage, "backend": backend}
        return backend.run_authentication(self.request, **kwargs | ours)

    def _values(self, known: Registration, name: str) -> dict[str, Any]:
        fixed = {
            "SCOPE": list(known.scopes),
            "IGNORE_DEFAULT_SCOPE": True,
            "AUTH_EXTRA_ARGUMENTS": dict(known.extra),
            "USE_PKCE": True,
            "PIPELINE": ["mailboxes.reconnect.oauth.flows.keep_grant"],
        }
        if name in fixed:
            return fixed
        row = OAuthClient.objects.defer("client_secret").get(name=known.name)
        return {
            "KEY": row.client_id,
            "SECRET": _secret(row),
            "AUTHORIZATION_URL": row.authorize_url or known.authorize_url,
            "ACCESS_TOKEN_URL": row.token_url or known.token_url,
            "IDENTITY_URL": row.identity_url or known.identity_url,
            "OPENID_CONFIGURATION_URL": row.identity_url or known.identity_url,
        }


def _secret(ours: OAuthClient) -> str:
    """S7: the secret, for its own addresses. Raises Refused where they were changed without it, or no key opens it."""
    try:
        return wire_client(ours).client_secret
    except Astray:
        tell_of_astray(ours.name, now())
        raise Refused(Why.OURS, detail="its addresses were changed without its secret") from None
    except InvalidToken:
        text = f"No key opens the secret of the OAuth client {ours.name}: see FERNET_KEYS."
        alarms.open_alarm(alarms.UNREADABLE, ours.name, text, 1, now())
        raise Refused(Why.OURS, detail="its secret cannot be read") from None


class _Ours(BaseOAuth2PKCE[HttpResponse]):
    """What both share: a grant for a signed-in user's mailbox and never a login; every request by our connector."""

    ASSOCIATION_ONLY = True

    def auth_extra_arguments(self) -> dict[str, str]:
        """Consent forced, so that a refresh token comes; the address as a hint."""
        hint = self.strategy.session_get(f"{self.name}_login_hint")
        return super().auth_extra_arguments() | ({"login_hint": hint} if hint else {})

    def request(self, url: str, *, method: str = "GET", **wanted: Any) -> requests.Response:
        """One request through the connector that judges every address (SPEC S2). Raises as the stock one does."""
        headers = dict(wanted.get("headers") or {})
        body = urlencode(wanted["data"]).encode() if wanted.get("data") else b""
        asked = HttpRequest(method, _with_query(url, wanted.get("params")), headers, body)
        stage = wanted.get("stage", "user_info")
        try:
            answer = asyncio.run(fetch(asked, from_settings().tokens, Recorder(Leg.OAUTH)))
        except WireFault as fault:
            code = "timeout" if fault.code == "ETIMEDOUT" else "connection_failed"
            raise AuthProviderError(self, code=code, stage=stage) from None
        response = requests.Response()
        response.status_code = answer.status
        response._content = answer.body
        response.headers.update(answer.headers)
        try:
            response.raise_for_status()
        except requests.HTTPError as error:
            raise http_error(self, error, stage=stage) from None
        return response


class GoogleMailbox(_Ours, GoogleOAuth2[HttpResponse]):
    """Google's consent. The identity is read from user info."""

    name = "google"

    def user_data(self, access_token: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Who consented. Raises AuthResponseError for an address that Google has not verified."""
        claims = self.get_json(self.setting("IDENTITY_URL"), headers={"Authorization": f"Bearer {access_token}"})
        self.validate_email_verified(claims)
        return claims


class MicrosoftMailbox(_Ours, AzureADV2TenantOAuth2[HttpResponse]):
    """Microsoft's consent, work and personal accounts. The identity is read from the signed ID token."""

    name = "microsoft"


def load(request: Any, provider: str, redirect_uri: str | None = None) -> Any:
    """The backend of a provider for this request. `redirect_uri` is a path of ours."""
    strategy = Strategy(DjangoStorage, request)
    kind = {"google": GoogleMailbox, "microsoft": MicrosoftMailbox}[provider]
    return kind(strategy, redirect_uri=redirect_uri)


def _with_query(url: str, params: Mapping[str, str] | None) -> str:
    if not params:
        return url
    return url + ("&" if "?" in url else "?") + urlencode(params)
