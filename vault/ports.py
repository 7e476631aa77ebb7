"""What this room asks of the rooms above it; `voxgov/wiring.py` plugs it in at start."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from vault.plugs import Plug

if TYPE_CHECKING:
    from vault.journal import Entry


class KeyEvents(Protocol):
    """Told what became of keys, so that the trail says it."""

    def destroyed(self, organization: str, owner: str, keys: Sequence[str], reason: str) -> None:
        """Inside the transaction that marks a shred order done: these keys are gone."""
        ...

    def epoch_begun(self, epoch: int) -> None:
        """New keys are about to be wrapped under this epoch. Told again where a rotation was cut off."""
        ...

    def epoch_destroyed(self, epoch: int) -> None:
        """No key was left under this epoch, and the provider destroyed its key. Told again where a rotation was cut off."""
        ...


class JournalReplay(Protocol):
    """Puts one entry of the journal, of a kind that the rooms above wrote, into force again. True when something had to be done."""

    def __call__(self, entry: "Entry") -> bool: ...


key_events: Plug[KeyEvents] = Plug("vault.KeyEvents")
journal_replay: Plug[JournalReplay] = Plug("vault.JournalReplay")
