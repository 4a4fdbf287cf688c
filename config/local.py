"""Keys for a checkout without any environment: made once, kept in the data folder, refused in production."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path


def local_keys(folder: Path) -> dict[str, str]:
    """Return the keys kept in `folder`, making them at first use (readable by the owner alone)."""
    path = folder / "keys.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        keys = {"SECRET_KEY": secrets.token_urlsafe(48), "FERNET_KEY": secrets.token_urlsafe(32)}
        draft = folder / f"keys.{os.getpid()}.json"
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(keys))
        try:
            os.link(draft, path)  # fails where another process was first: its keys stand
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    keys = json.loads(path.read_text())
    return {name: str(value) for name, value in keys.items()}
