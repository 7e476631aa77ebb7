"""Places that hold keys, and the servers behind them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vault import kms_server
from tests.vault.places import DistantPlace, Place, keyring_place, kms_place, transit_place
from tests.vault.transit_server import TransitServer


@pytest.fixture
def transit() -> Iterator[TransitServer]:
    server = TransitServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def kms_port() -> Iterator[int]:
    with kms_server.kms_server() as port:
        yield port


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in kms_server.CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def transit_keys(transit: TransitServer) -> Iterator[DistantPlace]:
    with transit_place(transit) as place:
        yield place


@pytest.fixture
def kms_keys(kms_port: int, credentials: None) -> Iterator[DistantPlace]:
    with kms_place(kms_port) as place:
        yield place


@pytest.fixture(params=["transit", "kms"])
def distant(request: pytest.FixtureRequest) -> DistantPlace:
    """Each provider that is reached over a network."""
    place: DistantPlace = request.getfixturevalue(f"{request.param}_keys")
    return place


@pytest.fixture(params=["keyring", "transit", "kms"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Each provider that there is."""
    if request.param == "keyring":
        return keyring_place(tmp_path)
    found: Place = request.getfixturevalue(f"{request.param}_keys")
    return found
