"""What the auditor brings and believes: keys, the log's name, witnesses, an earlier checkpoint. None of it comes from the log."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from audit.errors import CheckImpossible, KeyInvalid, LogInvalid, NoteInvalid
from audit.tlog import cosignatures
from audit.tlog.checkpoint import SignedCheckpoint, open_checkpoint
from audit.tlog.cosignatures import Witness
from audit.tlog.notes import Ed25519Verifier, Note
from audit.verify.report import Check, Outcome


@dataclass(frozen=True, slots=True)
class Trust:
    """`keys` are the log's, past and present; at least `quorum` of `witnesses` must have cosigned; `since` is a signed note."""

    keys: tuple[Ed25519Verifier, ...]
    origin: str
    witnesses: tuple[Witness, ...] = ()
    quorum: int = 0
    since: bytes | None = None

    @classmethod
    def parse(
        cls,
        vkeys: Sequence[str],
        *,
        origin: str | None = None,
        witnesses: Sequence[str] = (),
        quorum: int | None = None,
        since: bytes | None = None,
    ) -> "Trust":
        """From the written forms. Without `origin` the log is named as its key is. Raises `CheckImpossible`."""
        try:
            keys = tuple(Ed25519Verifier.parse(vkey) for vkey in vkeys)
            known = tuple(Witness.parse(vkey) for vkey in witnesses)
        except KeyInvalid as error:
            raise CheckImpossible(str(error)) from error
        names = {key.name for key in keys}
        if len(names) != 1 and origin is None:
            raise CheckImpossible("the keys have different names: say with --origin which log is meant")
        needed = len(known) if quorum is None else quorum
        if not 0 <= needed <= len(known):
            raise CheckImpossible(f"{needed} of {len(known)} witnesses cannot be asked for")
        return cls(keys, origin or names.pop(), known, needed, since)

    def open_since(self) -> SignedCheckpoint | None:
        """The earlier checkpoint. Raises `CheckImpossible` unless it is one of this log."""
        if self.since is None:
            return None
        try:
            return open_checkpoint(self.since, self.keys, self.origin)
        except LogInvalid as error:
            raise CheckImpossible(f"the checkpoint given with --since cannot be used: {error}") from error

    def check_witnesses(self, note: Note) -> Check:
        """Raises `NoteInvalid` when too few cosigned or a cosignature is wrong, `CheckImpossible` where it cannot tell."""
        if not self.witnesses:
            return Check("witnesses", Outcome.NOT_CHECKED, "no witness was given (--witness)")
        try:
            found = cosignatures.cosignatures(note, self.witnesses)
        except KeyInvalid as error:
            raise CheckImpossible(str(error)) from error
        if len(found) < self.quorum:
            names = ", ".join(one.name for one in found) or "none"
            raise NoteInvalid(
                f"{self.quorum} of {len(self.witnesses)} witnesses were to cosign the checkpoint; these did: {names}"
            )
        said = ", ".join(f"{one.name} at {_time(one.timestamp)}" for one in found) or "none, and none was asked for"
        return Check("witnesses", Outcome.OK, f"cosigned by {said}")

    def limits(self) -> Iterator[str]:
        """What cannot be known for want of something that the auditor did not give."""
        if self.since is None and not self.quorum:
            yield (
                "That others were shown the same log. Without an earlier checkpoint (--since) or a witness's key (--witness), an "
                "operator who keeps two histories under one key looks like one who keeps one. Keep the checkpoint of this "
                "verification and give it to the next."
            )


def _time(timestamp: int) -> str:
    try:
        return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{timestamp} s after 1970"
