"""Where keys can be held, for tests that every provider must pass: each place makes providers as fresh processes have them."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from tests.vault.kms_server import REGION
from tests.vault.transit_server import TOKEN, TransitServer
from tests.vault.wire import Wire
from vault.provider import KeyProvider
from vault.provider_keyring import KeyringProvider
from vault.provider_kms import KmsProvider
from vault.provider_transit import Token, TransitProvider

PATIENCE = timedelta(seconds=5)
HURRY = timedelta(seconds=0.4)
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Place:
    kind: str
    provider: Callable[[], KeyProvider]


@dataclass(frozen=True)
class DistantPlace(Place):
    """One that is reached over a network."""

    wire: Wire
    hurried: Callable[[], KeyProvider]
    """One with little patience: `HURRY`."""
    settings: dict[str, str] = field(repr=False)
    """As `voxgov/key_settings.py` makes them."""


def keyring_place(directory: Path) -> Place:
    path = directory / "secrets" / "keyring.json"
    return Place("keyring", lambda: KeyringProvider(path))


@contextmanager
def transit_place(server: TransitServer) -> Iterator[DistantPlace]:
    wire = Wire(server.port)
    settings = {
        "kind": "transit",
        "address": wire.address,
        "token": TOKEN,
        "token_file": "",
        "certificates": "",
        "namespace": "",
        "mount": "transit",
        "prefix": "voxgov",
        "patience": "1",
    }

    def provider(patience: timedelta = PATIENCE) -> KeyProvider:
        return TransitProvider(wire.address, Token(TOKEN), patience=patience)

    yield DistantPlace("transit", provider, wire, lambda: provider(HURRY), settings)
    wire.cut()


@contextmanager
def kms_place(port: int) -> Iterator[DistantPlace]:
    """With keys of its own in a server that others use as well."""
    wire = Wire(port)
    prefix = f"place{next(_numbers)}"
    settings = {
        "kind": "kms",
        "region": REGION,
        "endpoint": wire.address,
        "deletion_days": "7",
        "certificates": "",
        "prefix": prefix,
        "patience": "1",
    }

    def provider(patience: timedelta = PATIENCE) -> KeyProvider:
        return KmsProvider(REGION, prefix=prefix, endpoint=wire.address, patience=patience)

    yield DistantPlace("kms", provider, wire, lambda: provider(HURRY), settings)
    wire.cut()
