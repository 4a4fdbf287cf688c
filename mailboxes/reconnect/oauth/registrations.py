"""Our registrations at Google and Microsoft: endpoints and scopes (SPEC C1; FACTS A1 to A4, A23, A24)."""

from __future__ import annotations

from dataclasses import dataclass

from mailboxes.models import OAuthClient

GOOGLE, MICROSOFT = "google", "microsoft"


@dataclass(frozen=True, slots=True)
class Registration:
    """What is known of a provider before anything is set up. Without the `needed` scopes mail does not work."""

    name: str
    title: str
    authorize_url: str
    token_url: str
    identity_url: str
    revoke_url: str
    needed: tuple[str, ...]
    beside: tuple[str, ...]
    extra: tuple[tuple[str, str], ...]
    permission: str
    mail_hosts: tuple[str, ...]

    @property
    def scopes(self) -> tuple[str, ...]:
        """All that is asked for."""
        return (*self.needed, *self.beside)

    def missing(self, granted: str) -> list[str]:
        """The needed scopes that are not among the granted ones. Microsoft spells the host in two ways (FACTS A24)."""
        have = {_plain(scope) for scope in granted.split()}
        return [scope for scope in self.needed if _plain(scope) not in have]


_REGISTRATIONS = {
    GOOGLE: Registration(
        name=GOOGLE,
        title="Google",
        authorize_url="https://accounts.google.com/o/oauth2/v2/auth",
        token_url="https://oauth2.googleapis.com/token",  # an address
        identity_url="https://openidconnect.googleapis.com/v1/userinfo",
        revoke_url="https://oauth2.googleapis.com/revoke",
        needed=("https://mail.google.com/",),
        beside=("openid", "email"),
        extra=(("access_type", "offline"), ("prompt", "consent"), ("include_granted_scopes", "false")),
        permission="Read, compose, send, and permanently delete all your email from Gmail",
        mail_hosts=("smtp.gmail.com", "imap.gmail.com"),
    ),
    MICROSOFT: Registration(
        name=MICROSOFT,
        title="Microsoft",
        authorize_url="https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
        token_url="https://login.microsoftonline.com/common/oauth2/v2.0/token",  # an address
        identity_url="https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration",
        revoke_url="",
        needed=(
            "https://outlook.office.com/IMAP.AccessAsUser.All",
            "https://outlook.office.com/SMTP.Send",
        ),
        beside=("offline_access", "openid", "email", "profile"),
        extra=(("prompt", "consent"),),
        permission="Read and write access to your mail (IMAP) and send mail (SMTP)",
        mail_hosts=("smtp.office365.com", "smtp-mail.outlook.com", "outlook.office365.com"),
    ),
}


def registration(name: str) -> Registration | None:
    """The provider of this name; None for another word."""
    return _REGISTRATIONS.get(name)


def for_family(family: str) -> Registration | None:
    """The sign-in for a provider's brand, where we are registered there; None otherwise."""
    known = _REGISTRATIONS.get(family)
    return known if known and client(known.name) is not None else None


def client(name: str) -> OAuthClient | None:
    """Our registration as it was set up, without its secret."""
    return OAuthClient.objects.filter(name=name).exclude(client_id="").defer("client_secret").first()


def _plain(scope: str) -> str:
    return scope.lower().rstrip("/").replace("outlook.office365.com", "outlook.office.com")
