"""What this room asks of the rooms above it; `voxgov/wiring.py` plugs it in at start."""

from collections.abc import Sequence
from typing import Protocol

from vault.plugs import Plug


class KeyEvents(Protocol):
    """Told, inside the transaction that marks a shred order done, which keys were destroyed."""

    def destroyed(self, organization: str, owner: str, keys: Sequence[str], reason: str) -> None: ...


key_events: Plug[KeyEvents] = Plug("vault.KeyEvents")
