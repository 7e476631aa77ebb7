"""When a witness cosigns: the checks of `add-checkpoint`, in the order and with the answers that the specification gives them.

HTTP is spoken in `server`, what is remembered is kept in `state`.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from audit.errors import CheckpointInvalid, NoteInvalid, ProofInvalid, RequestInvalid
from audit.tlog import notes
from audit.tlog.checkpoint import Checkpoint, open_checkpoint, parse_text
from audit.tlog.cosignatures import Cosigner
from audit.tlog.merkle import verify_consistency
from audit.tlog.notes import Ed25519Verifier, Note
from audit.witness import request
from audit.witness.request import AddCheckpoint
from audit.witness.state import WitnessState

TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status, a body and its content type."""

    status: int
    body: bytes = b""
    content_type: str = TEXT


class Witness:
    """Cosigns for the logs whose keys it was given; the name of a key is the origin of its log."""

    def __init__(
        self,
        cosigners: Sequence[Cosigner],
        logs: Iterable[Ed25519Verifier],
        state: WitnessState,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cosigners = tuple(cosigners)
        self._state = state
        self._clock = clock
        self._logs: dict[str, list[Ed25519Verifier]] = {}
        for key in logs:
            self._logs.setdefault(key.name, []).append(key)
        self._locks: Mapping[str, threading.Lock] = {origin: threading.Lock() for origin in self._logs}

    def add_checkpoint(self, body: bytes) -> Answer:
        """Judges one request. Raises `CheckImpossible` if its memory fails; then nothing was cosigned."""
        try:
            asked = request.parse(body)
            origin = parse_text(notes.parse(asked.checkpoint).text).origin
        except (RequestInvalid, NoteInvalid, CheckpointInvalid) as error:
            return _refused(400, error)
        if origin not in self._logs:
            return Answer(404, b"unknown log\n")
        try:
            signed = open_checkpoint(asked.checkpoint, self._logs[origin], origin)
        except NoteInvalid as error:
            return _refused(403, error)
        except CheckpointInvalid as error:
            return _refused(422, error)
        if asked.old_size > signed.size:
            return Answer(400, b"the old size is larger than the checkpoint\n")
        # From comparing with the newest one to keeping the new one, nobody else may come between.
        with self._locks[origin]:
            newest = self._state.newest(origin)
            known = newest.size if newest else 0
            if asked.old_size != known:
                return Answer(409, f"{known}\n".encode(), request.SIZE_TYPE)
            try:
                _require_extension(newest, signed.checkpoint, asked)
            except ProofInvalid as error:
                return _refused(422, error)
            return Answer(200, self._cosign(origin, signed.note, signed.signed_by))

    def checkpoint(self, hashed: str) -> Answer:
        """The newest checkpoint of the log with this origin hash, for monitors."""
        note = self._state.note(hashed)
        return Answer(404, b"no checkpoint of such a log\n") if note is None else Answer(200, note)

    def _cosign(self, origin: str, note: Note, signed_by: Sequence[notes.Verifier]) -> bytes:
        timestamp = int(self._clock())
        lines = tuple(cosigner.cosign(note.text, timestamp) for cosigner in self._cosigners)
        known = {(key.name, key.key_id) for key in signed_by}
        by_the_log = tuple(one for one in note.signatures if (one.name, one.key_id) in known)
        self._state.keep(origin, Note(note.text, (*by_the_log, *lines)).encode())
        return "".join(line.line() for line in lines).encode()


def _require_extension(newest: Checkpoint | None, offered: Checkpoint, asked: AddCheckpoint) -> None:
    """Raises `ProofInvalid` unless the offered tree extends the newest one that was cosigned."""
    if newest is None:
        if asked.proof:
            raise ProofInvalid("nothing is known of this log yet, so there is nothing to prove")
        return
    verify_consistency(newest.size, offered.size, asked.proof, newest.root, offered.root)


def _refused(status: int, error: Exception) -> Answer:
    return Answer(status, f"{error}\n".encode("utf-8", "replace"))
