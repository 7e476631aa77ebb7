"""Files that hold one secret key: made new, readable to their owner alone, never overwritten. No Django here."""

import os
from pathlib import Path
from typing import Final

from audit.errors import CheckImpossible

_MAX_BYTES: Final = 16 * 1024


def write_secret(path: Path, secret: str) -> None:
    """Raises `CheckImpossible` if there is a file already, or none can be made."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secret + "\n")
    except OSError as error:
        raise CheckImpossible(f"{path}: {error.strerror}") from error


def read_secret(path: Path) -> str:
    """Raises `CheckImpossible`."""
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES).decode("ascii", "replace").strip()
    except OSError as error:
        raise CheckImpossible(f"{path}: {error.strerror}") from error
