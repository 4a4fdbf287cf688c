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
        make_private(folder)
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


def make_private(folder: Path, database: str = "") -> None:
    """Make `folder` and the SQLite file `database` readable by their owner alone (SEC-19). SQLite gives its -wal and
    -shm files the mode of the database. What belongs to another user is left as its owner set it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = Path(database)
    if file.is_absolute() and file.parent.is_dir():
        file.touch(mode=0o600)
    for path, mode in ((folder, 0o700), (file, 0o600)):
        for one in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
            if one.is_absolute() and one.exists() and one.stat().st_uid == os.geteuid():
                one.chmod(mode)
