"""The sandbox's OAuth provider, in Google's and Microsoft's manner: consent page, PKCE, rotation, revocation (RFC 6749,
7636, 7009)."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from mailboxes.sandbox import consent_page
from mailboxes.sandbox.account import Account
from mailboxes.sandbox.http_server import Answered, Asked

LIFETIME_S = 3600
CODE_LIFETIME_S = 60
KEY_ID = "sandbox-key-1"
FLAVOURS = ("google", "microsoft")
_NEEDED = ("client_id", "redirect_uri", "state", "code_challenge")


@dataclass(frozen=True)
class _Code:
    account: Account
    redirect_uri: str
    challenge: str
    scopes: tuple[str, ...]
    until: float


class OAuthProvider:
    """`clients` maps a client id to its secret; `base_url` is where it is reached over TLS."""

    def __init__(self, accounts: Callable[[], Iterable[Account]], clients: dict[str, str]) -> None:
        self._accounts = accounts
        self.clients = clients
        self.requests = 0  # of any kind, whoever asked
        self.base_url = ""
        self._codes: dict[str, _Code] = {}
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def respond(self, asked: Asked) -> Answered:
        """One request. Paths begin with the flavour: /google/authorize, /microsoft/token, …"""
        flavour, _, place = asked.path.strip("/").partition("/")
        known = {
            ("GET", "authorize"): self._authorize,
            ("POST", "authorize"): self._decide,
            ("POST", "token"): self._token,
            ("GET", "userinfo"): self._userinfo,
            ("POST", "revoke"): self._revoke,
            ("GET", ".well-known/openid-configuration"): self._configuration,
            ("GET", "keys"): self._keys,
        }
        self.requests += 1
        found = known.get((asked.method, place))
        return found(flavour, asked) if found and flavour in FLAVOURS else Answered(404, "{}")

    def forget(self, account: Account) -> None:
        """The owner, or an administrator, takes all consents back."""
        account.end_grants()

    # ---- the consent page

    def _authorize(self, flavour: str, asked: Asked) -> Answered:
        fault = self._bad_request(flavour, asked.query)
        if fault:
            return Answered(400, fault, "text/plain")
        return Answered(200, consent_page.render(flavour, asked.query), "text/html; charset=utf-8")

    def _bad_request(self, flavour: str, asked: dict[str, str]) -> str:
        redirect = urlsplit(asked.get("redirect_uri", ""))
        if not all(asked.get(name) for name in _NEEDED):
            return "invalid_request: client_id, redirect_uri, state and code_challenge are needed"
        if asked["client_id"] not in self.clients:
            return "invalid_client"
        if redirect.hostname not in ("127.0.0.1", "localhost") or redirect.path != f"/oauth/{flavour}/complete/":
            return "redirect_uri_mismatch"
        return "" if asked.get("code_challenge_method") == "S256" else "invalid_request: S256 is needed"

    def _decide(self, flavour: str, asked: Asked) -> Answered:
        form = asked.form
        fault = self._bad_request(flavour, form)
        account = self._by_sign_in(form.get("account", ""))
        if fault:
            return Answered(400, fault, "text/plain")
        if form.get("decision") != "allow":
            return _back(form, {"error": "access_denied", "error_description": "The user said no."})
        if account is None:
            return Answered(200, consent_page.render(flavour, form, "No such account."), "text/html; charset=utf-8")
        if account.consent == "admin":
            words = "AADSTS90094: An administrator must grant consent."
            return _back(form, {"error": "access_denied", "error_description": words})
        code = secrets.token_urlsafe(24)
        wanted = form.get("scope", "").split()
        given = [scope for scope in wanted if scope in asked.ticked or not consent_page.is_tickable(scope)]
        self._codes[code] = _Code(
            account, form["redirect_uri"], form["code_challenge"], tuple(given), time.time() + CODE_LIFETIME_S
        )
        return _back(form, {"code": code})

    # ---- the token endpoint

    def _token(self, flavour: str, asked: Asked) -> Answered:
        form = asked.form
        if self.clients.get(form.get("client_id", "")) != form.get("client_secret", ""):
            return _refusal(401, "invalid_client")
        if form.get("grant_type") == "authorization_code":
            return self._exchange(flavour, form)
        return self._refresh(form)

    def _exchange(self, flavour: str, form: dict[str, str]) -> Answered:
        code = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        fits = code and code.redirect_uri == form.get("redirect_uri") and code.challenge == challenge
        if code is None or not fits or code.until < time.time():
            return _refusal(400, "invalid_grant", "The code is used, expired, or not for this request.")
        account = code.account
        account.mended()
        if account.fault.token is not None:
            return Answered(account.fault.token.status, account.fault.token.body)
        answer = self._tokens(account) | {"scope": " ".join(code.scopes)}
        if account.consent != "no-refresh-token":
            answer["refresh_token"] = account.new_refresh_token()
        return Answered(200, json.dumps(answer | {"id_token": self._id_token(flavour, form["client_id"], account)}))

    def _refresh(self, form: dict[str, str]) -> Answered:
        token = form.get("refresh_token", "")
        account = next((one for one in self._accounts() if one.knows(token)), None)
        if account is None:
            return _refusal(400, "invalid_grant", "Bad Request")
        account.seen["refreshes"] += 1
        if account.fault.token is not None:
            return Answered(account.fault.token.status, account.fault.token.body)
        if not account.takes_refresh(token):
            return _refusal(400, "invalid_grant", "Token has been expired or revoked.")
        answer = self._tokens(account) | {"scope": "mail"}
        if account.rotation:
            answer["refresh_token"] = account.rotated(token)
        return Answered(200, json.dumps(answer))

    def _tokens(self, account: Account) -> dict[str, Any]:
        return {"access_token": account.new_access_token(), "expires_in": LIFETIME_S, "token_type": "Bearer"}

    def _revoke(self, _flavour: str, asked: Asked) -> Answered:
        account = next((one for one in self._accounts() if one.knows(asked.form.get("token", ""))), None)
        if account is None:
            return _refusal(400, "invalid_token")
        account.seen["revocations"] += 1
        self.forget(account)
        return Answered(200, "{}")

    # ---- who it is

    def _userinfo(self, _flavour: str, asked: Asked) -> Answered:
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        account = next((one for one in self._accounts() if token in one.access_tokens), None)
        if account is None:
            return _refusal(401, "invalid_token")
        return Answered(200, json.dumps({"sub": account.subject, "email": account.sign_in, "email_verified": True}))

    def _id_token(self, flavour: str, client_id: str, account: Account) -> str:
        now = int(time.time())
        claims = {
            "iss": f"{self.base_url}/{flavour}/{account.tenant}/v2.0", "aud": client_id, "sub": account.subject,
            "tid": account.tenant, "oid": account.subject, "preferred_username": account.sign_in,
            "email": account.address, "iat": now, "nbf": now, "exp": now + LIFETIME_S,
        }  # fmt: skip
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": KEY_ID})

    def _configuration(self, flavour: str, _asked: Asked) -> Answered:
        top = f"{self.base_url}/{flavour}"
        return Answered(200, json.dumps({"issuer": f"{top}/{{tenantid}}/v2.0", "jwks_uri": f"{top}/keys"}))

    def _keys(self, _flavour: str, _asked: Asked) -> Answered:
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return Answered(200, json.dumps({"keys": [key | {"kid": KEY_ID, "use": "sig", "alg": "RS256"}]}))

    def _by_sign_in(self, name: str) -> Account | None:
        return next((one for one in self._accounts() if one.sign_in == name.strip().lower()), None)


def _refusal(status: int, error: str, words: str = "") -> Answered:
    return Answered(status, json.dumps({"error": error, "error_description": words}))


def _back(form: dict[str, str], answer: dict[str, str]) -> Answered:
    """Back to the application, with the state."""
    url = f"{form['redirect_uri']}?{urlencode(answer | {'state': form['state']})}"
    return Answered(302, "", "text/plain", {"Location": url})
