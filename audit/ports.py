"""What this room asks of the rooms above it; `voxgov/wiring.py` plugs them in at start."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from vault.plugs import Plug


class NameResolver(Protocol):
    """Gives display names for actor codes, to viewers who may see them; unknown codes are simply absent."""

    def __call__(self, codes: Sequence[str]) -> Mapping[str, str]: ...


name_resolver: Plug[NameResolver] = Plug("audit.NameResolver")
