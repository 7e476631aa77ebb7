"""What providers that hold keys under names have in common: which name is whose key, what is made first, and which epoch may
begin or end. How a key is made, listed, used and destroyed is each provider's own. No Django here."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final

from vault.deadline import Deadline
from vault.errors import EpochDestroyed, ProviderUnavailable, ProviderWrongKey, VaultError
from vault.keyring import FIRST, SIGNING_PURPOSES
from vault.provider import STANDING

BLIND: Final = "blind"
_EPOCH: Final = re.compile(r"epoch-([1-9][0-9]{0,8})")


class KeyUse(StrEnum):
    WRAP = "wrap"
    BLIND = "blind"
    SIGN = "sign"


def epoch_name(epoch: int) -> str:
    return "standing" if epoch == STANDING else f"epoch-{epoch}"


def signing_name(purpose: str) -> str:
    """Raises `ProviderUnavailable` for a purpose that nobody declared."""
    if purpose not in SIGNING_PURPOSES:
        raise ProviderUnavailable(f"no signing key is for {purpose!r}")
    return f"signing-{purpose}"


class NamedKeys(ABC):
    """The half of a `KeyProvider` that makes and ends keys. Names here are without the installation's prefix."""

    def __init__(self, patience: timedelta) -> None:
        self._patience = patience
        self._newest = 0

    @abstractmethod
    def _there(self, deadline: Deadline) -> Mapping[str, bool]:
        """Every key of this installation by its name, asked afresh; False for one that can be used no more. Raises
        `ProviderUnavailable`."""

    @abstractmethod
    def _make(self, name: str, use: KeyUse) -> None:
        """Makes the key unless it is there; two at once make one. Raises `ProviderUnavailable`."""

    @abstractmethod
    def _require_sound(self, name: str, use: KeyUse) -> None:
        """Somebody else may have made a key under this name. Raises `ProviderUnavailable` unless it is as `_make` makes it."""

    @abstractmethod
    def _destroy(self, name: str) -> None:
        """Destroys the key and makes sure of it; goes on where an earlier call broke off. Raises `ProviderUnavailable`."""

    def ensure(self) -> bool:
        there = self._there(self._deadline())
        begun = _newest(there) > 0
        made = False
        # The epoch comes last: where there is one, there was a blind and a standing key, and a fresh one in their place would
        # answer for what only the lost one can open or find.
        for name, use in _FIRST_KEYS.items():
            if name in there:
                self._require_sound(name, use)
            elif begun and use is not KeyUse.SIGN:
                raise ProviderUnavailable(f"the {name} key is gone from the key provider, and what rests on it with it")
            else:
                self._make(name, use)
                made = True
        if not begun:
            self._make(epoch_name(FIRST), KeyUse.WRAP)
        return made or not begun

    def epochs(self) -> tuple[int, ...]:
        seen = self._newest
        there = self._there(self._deadline())
        if _newest(there) < seen:
            raise ProviderUnavailable("the key provider went back to an earlier epoch")
        self._newest = max(self._newest, _newest(there))
        return tuple(sorted(number for name, usable in there.items() if usable and (number := _number(name))))

    def begin_epoch(self, epoch: int) -> None:
        there = self._there(self._deadline())
        usable = there.get(epoch_name(epoch))
        if usable:
            self._require_sound(epoch_name(epoch), KeyUse.WRAP)
        elif usable is False or epoch <= _newest(there):
            raise ValueError(f"epoch {epoch} was destroyed; no number is used twice")
        else:
            self._make(epoch_name(epoch), KeyUse.WRAP)
        self._newest = max(self._newest, epoch)

    def destroy_epoch(self, epoch: int) -> None:
        there = self._there(self._deadline())
        newest = max(self._newest, _newest(there))
        if epoch in (newest, STANDING):
            raise ValueError("the newest epoch and the standing key are not destroyed: begin another epoch first")
        if epoch > newest:
            # That it is not here says nothing about where it is.
            raise ProviderWrongKey(f"epoch {epoch} was never at this key provider")
        if epoch_name(epoch) in there:
            self._destroy(epoch_name(epoch))

    def _deadline(self) -> Deadline:
        return Deadline(self._patience)

    def _why_unusable(self, epoch: int, deadline: Deadline) -> VaultError | None:
        """What is wrong with an epoch's key, by the provider's own list; None when it is there and can be used."""
        there = self._there(deadline)
        usable = there.get(epoch_name(epoch))
        if usable:
            return None
        if epoch == STANDING and usable is None:
            return ProviderWrongKey("the standing key is not at this key provider: it is another one, or not made yet")
        if epoch == STANDING:
            return ProviderUnavailable("the standing key is disabled at the key provider")
        if usable is False or epoch < _newest(there):
            return EpochDestroyed(f"epoch {epoch} was destroyed at the key provider")
        return ProviderWrongKey(
            f"epoch {epoch} is not at this key provider: it is older than the database, or another one"
        )


_FIRST_KEYS: Final[Mapping[str, KeyUse]] = {
    epoch_name(STANDING): KeyUse.WRAP,
    BLIND: KeyUse.BLIND,
    **{signing_name(purpose): KeyUse.SIGN for purpose in SIGNING_PURPOSES},
}


def _number(name: str) -> int | None:
    found = _EPOCH.fullmatch(name)
    return int(found[1]) if found else None


def _newest(there: Mapping[str, bool]) -> int:
    return max((_number(name) or 0 for name in there), default=0)
