"""Writing a log out as files: tiles, entry bundles and the checkpoint at the addresses of C2SP tlog-tiles, for any static server or
object storage to serve. Full tiles never change, so that a copy goes on where the last one ended; the checkpoint is written last.
"""

import os
from collections.abc import Callable
from pathlib import Path

from audit import proofs, stored_tree
from audit.errors import CheckpointsUnavailable
from audit.models import Log
from audit.tlog import tiles
from audit.tlog.checkpoint import parse_text
from audit.tlog.notes import parse
from audit.tlog.tiles import ENTRIES, WIDTH, Tile
from vault import durable


def publish(log: Log, to: Path, progress: Callable[[int], None] = lambda written: None) -> int:
    """Writes what is not there yet below `to`; returns how many files. Raises `CheckpointsUnavailable`, `TileInvalid`.

    One run at a time, which reads the checkpoint when its turn comes: an older one never takes the place of a newer one.
    """
    try:
        with durable.exclusive(to / ".lock"):
            return _publish(log, to, progress)
    except OSError as error:
        raise CheckpointsUnavailable(f"{to} cannot be written: {error.strerror}") from error


def _publish(log: Log, to: Path, progress: Callable[[int], None]) -> int:
    note = proofs.newest_checkpoint(log)
    if note is None:
        return 0
    size = parse_text(parse(note).text).size
    written = 0
    for tile in (*tiles.hash_tiles_between(0, size), *tiles.entry_tiles_between(0, size)):
        if tile.level == ENTRIES and tile.first < log.minimum_index:
            continue
        path = to / tile.path
        if tile.width == WIDTH and path.exists():
            continue
        _write(path, stored_tree.fetch(log, Tile(tile.level, tile.index, tile.width)))
        written += 1
        progress(written)
    _write(to / "checkpoint", note)
    return written + 1


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all: whoever serves the directory, which is why others may read it, never serves half a file."""
    draft = path.with_name(f".{path.name}.draft")
    path.parent.mkdir(parents=True, exist_ok=True)
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
