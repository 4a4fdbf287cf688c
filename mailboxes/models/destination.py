"""Where a stored secret may go: what was on the form when it was given (SPEC S7; SEC-1, SEC-2, SEC-13). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LEGS = ("smtp", "imap")
CLIENT_ADDRESSES = ("authorize_url", "token_url", "identity_url", "revoke_url")


class Astray(Exception):
    """The addresses of our registration are others than those its secret was given for. The text names it."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The addresses of the OAuth client {name} were changed without its secret. Nothing is sent there. "
            "Check them in the admin and enter the client secret again."
        )


def destination_of(mailbox: Mapping[str, Any], token_url: str = "") -> str:
    """Return the destination of a mailbox's secret as one line: workspace, and for each leg host and user name; of a
    grant its token address too. Port and security are no part of it: TLS with a verified name holds on every port.

    `mailbox` holds columns named as on Mailbox.
    """
    parts = [str(mailbox["workspace_id"])]
    for leg in _LEGS:
        host = str(mailbox[f"{leg}_host"] or "").lower().rstrip(".")
        user = str(mailbox[f"{leg}_username"] or mailbox["address"])
        parts += [host, user]
    return "\n".join([*parts, token_url])


def is_given_for(destination: str, mailbox: Mapping[str, Any], token_url: str = "") -> bool:
    """Return whether the secret that was given for `destination` may go where the mailbox's wanted legs lead now."""
    given, wanted = destination.split("\n"), destination_of(mailbox, token_url).split("\n")
    if len(given) != len(wanted) or given[0] != wanted[0] or given[-1] != wanted[-1]:
        return False
    pairs = {leg: slice(1 + 2 * place, 3 + 2 * place) for place, leg in enumerate(_LEGS)}
    return all(given[part] == wanted[part] for leg, part in pairs.items() if mailbox[f"wants_{leg}"])


def client_destination(client: Mapping[str, Any]) -> str:
    """Return the destination of our own registration's secret as lines. `client` holds columns named as on
    OAuthClient."""
    return "\n".join(str(client[name] or "") for name in CLIENT_ADDRESSES)
