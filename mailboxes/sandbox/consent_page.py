"""The consent page of the sandbox's OAuth provider."""

from __future__ import annotations

from html import escape

_TITLES = {"google": "Sandbox sign-in, in Google's manner", "microsoft": "Sandbox sign-in, in Microsoft's manner"}
_KEPT = ("client_id", "redirect_uri", "state", "scope", "code_challenge", "code_challenge_method")
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:30rem;margin:3rem auto;padding:0 1rem}"
    "input[type=email]{width:100%;font:inherit;padding:.5rem;box-sizing:border-box}"
    "button{font:inherit;padding:.6rem 1.2rem;margin-right:.5rem}label{display:block;margin:.6rem 0}"
)


def is_tickable(scope: str) -> bool:
    """True for what a person may leave out: mail, not the sign-in itself."""
    return scope.startswith("https://")


def render(flavour: str, asked: dict[str, str], fault: str = "") -> str:
    """The page as HTML. `asked` holds the request's parameters."""
    kept = "".join(f'<input type="hidden" name="{name}" value="{escape(asked.get(name, ""))}">' for name in _KEPT)
    boxes = "".join(
        f'<label><input type="checkbox" name="ticked" value="{escape(scope)}" checked> {escape(scope)}</label>'
        for scope in asked.get("scope", "").split()
        if is_tickable(scope)
    )
    account = escape(asked.get("account") or asked.get("login_hint", ""))
    words = f'<p role="alert"><strong>{escape(fault)}</strong></p>' if fault else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{_TITLES[flavour]}</title><style>{_STYLE}</style><h1>{_TITLES[flavour]}</h1>{words}"
        f'<form method="post" action="/{flavour}/authorize">{kept}'
        f'<label>Account <input type="email" name="account" value="{account}" required></label>'
        f"<p>Postmend wants to:</p>{boxes}"
        f'<button name="decision" value="allow">Allow</button> <button name="decision" value="cancel">Cancel</button>'
        f"</form></html>"
    )
