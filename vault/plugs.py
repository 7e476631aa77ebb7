"""A plug: the one way in which a lower room gets something from above. Missing plugs stop the start."""

from typing import Generic, TypeVar

Face = TypeVar("Face")

_declared: list["Plug[object]"] = []


class PlugMissing(RuntimeError):
    """A port was used, or the service started, before `voxgov/wiring.py` plugged it in."""

    code = "plug_missing"


class Plug(Generic[Face]):
    """Holds the implementation of one port, set once at start."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._face: Face | None = None
        _declared.append(self)  # type: ignore[arg-type]  # the list only asks for names

    def insert(self, face: Face) -> None:
        self._face = face

    @property
    def face(self) -> Face:
        if self._face is None:
            raise PlugMissing(f"{self.name} has no implementation: voxgov/wiring.py must plug it in")
        return self._face

    @property
    def filled(self) -> bool:
        return self._face is not None


def require_all() -> None:
    """Raises `PlugMissing` naming every port that nobody filled."""
    missing = [plug.name for plug in _declared if not plug.filled]
    if missing:
        raise PlugMissing(f"no implementation for {', '.join(missing)}: voxgov/wiring.py must plug it in")
