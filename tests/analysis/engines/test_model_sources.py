"""Models from a hub and from a directory: only what the manifest names by digest comes in, an interrupted download goes on, and an
error says what could not be reached."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis.engines import model_pack
from analysis.engines.hub import Hub
from analysis.engines.manifest import FetchFailed, LicenceRefused, ManifestInvalid, ModelEntry, load_manifest
from tests.analysis.engines.hub_server import HubServer, hub_server
from tests.analysis.engines.test_manifest import WEIGHTS, model_table, written

REVISION = "0123456789abcdef0123456789abcdef01234567"
AT_HUB = {"hub": "someone/a-model", "revision": REVISION}


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with hub_server() as server:
        server.files["someone/a-model", REVISION, "weights"] = WEIGHTS
        yield server


def entry_of(place: Path, *sources: dict[str, Any], files: dict[str, bytes] | None = None, **other: Any) -> ModelEntry:
    files = files or {"weights": WEIGHTS}
    return load_manifest(written(place, {"m": model_table(files, list(sources)) | other})).model("m")


def pull(entry: ModelEntry, place: Path, server: HubServer | None = None, **other: Any) -> str:
    """What was said; the model lies under `place / "models"`."""
    said = io.StringIO()
    hub = Hub(endpoint=server.address, **other) if server is not None else Hub(offline=True)
    model_pack.pull([entry], place / "models", out=said, hub=hub)
    return said.getvalue()


def weights(place: Path) -> Path:
    return place / "models" / "m" / "weights"


def test_a_model_comes_from_a_hub_at_the_revision_that_is_named(tmp_path: Path, hub: HubServer) -> None:
    said = pull(entry_of(tmp_path, AT_HUB), tmp_path, hub)
    assert weights(tmp_path).read_bytes() == WEIGHTS
    assert "downloading weights of someone/a-model" in said
    assert list((tmp_path / "models" / ".cache").iterdir()) == []


def test_nothing_but_the_files_that_are_named_is_asked_for(tmp_path: Path, hub: HubServer) -> None:
    files = {"weights": WEIGHTS, "deep/config.json": b"{}"}
    hub.files["someone/a-model", REVISION, "deep/config.json"] = b"{}"
    hub.files["someone/a-model", REVISION, "modeling.py"] = b"print('code')"
    pull(entry_of(tmp_path, AT_HUB, files=files), tmp_path, hub)
    assert sorted(hub.asked) == [("deep/config.json", 0), ("weights", 0)]
    assert (tmp_path / "models" / "m" / "deep" / "config.json").read_bytes() == b"{}"


def test_a_download_that_broke_off_goes_on_where_it_stopped(tmp_path: Path, hub: HubServer) -> None:
    entry = entry_of(tmp_path, AT_HUB)
    hub.breaks_off_after = 6000
    with pytest.raises(FetchFailed, match=hub.address):
        pull(entry, tmp_path, hub)
    assert not weights(tmp_path).exists()
    hub.breaks_off_after = None
    pull(entry, tmp_path, hub)
    assert hub.asked == [("weights", 0), ("weights", 6000)]
    assert weights(tmp_path).read_bytes() == WEIGHTS


def test_a_hub_that_knows_no_ranges_is_read_from_the_start(tmp_path: Path, hub: HubServer) -> None:
    entry = entry_of(tmp_path, AT_HUB)
    hub.breaks_off_after = 6000
    with pytest.raises(FetchFailed):
        pull(entry, tmp_path, hub)
    hub.breaks_off_after, hub.knows_ranges = None, False
    pull(entry, tmp_path, hub)
    assert weights(tmp_path).read_bytes() == WEIGHTS


@pytest.mark.parametrize("other", [WEIGHTS[:-1] + b"?", WEIGHTS[:-1], WEIGHTS + b"more"])
def test_another_file_at_the_hub_than_named_is_not_put_in_place_and_not_kept(
    tmp_path: Path, hub: HubServer, other: bytes
) -> None:
    entry = entry_of(tmp_path, AT_HUB)
    hub.files["someone/a-model", REVISION, "weights"] = other
    with pytest.raises(FetchFailed):
        pull(entry, tmp_path, hub)
    assert not weights(tmp_path).exists()
    hub.files["someone/a-model", REVISION, "weights"] = WEIGHTS
    pull(entry, tmp_path, hub)
    assert weights(tmp_path).read_bytes() == WEIGHTS


def test_a_hub_out_of_reach_is_named_and_the_next_source_is_tried(tmp_path: Path, hub: HubServer) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "weights").write_bytes(WEIGHTS)
    entry = entry_of(tmp_path, AT_HUB, {"directory": str(tmp_path / "copy")})
    gone = HubServer()
    gone.address = "http://127.0.0.1:9"  # the port of "discard", which nobody listens on
    said = pull(entry, tmp_path, gone)
    assert "http://127.0.0.1:9 was not reached" in said and "Trying the next source" in said
    assert weights(tmp_path).read_bytes() == WEIGHTS


def test_every_source_that_failed_is_in_the_error(tmp_path: Path, hub: HubServer) -> None:
    hub.files.clear()
    entry = entry_of(tmp_path, AT_HUB, {"directory": str(tmp_path / "nowhere")})
    with pytest.raises(FetchFailed) as refused:
        pull(entry, tmp_path, hub)
    assert refused.value.code == "model_fetch_failed"
    assert "has no such file" in str(refused.value)
    assert str(tmp_path / "nowhere") in str(refused.value)


def test_a_machine_that_is_kept_from_the_hub_says_so_and_asks_nothing(tmp_path: Path, hub: HubServer) -> None:
    with pytest.raises(FetchFailed, match="HF_HUB_OFFLINE"):
        pull(entry_of(tmp_path, AT_HUB), tmp_path, hub, offline=True)
    assert hub.asked == []


def test_a_model_behind_a_licence_needs_a_token(tmp_path: Path, hub: HubServer) -> None:
    entry = entry_of(tmp_path, AT_HUB)
    hub.wants_token = "of the operator"
    with pytest.raises(FetchFailed, match="accept the model's licence"):
        pull(entry, tmp_path, hub)
    pull(entry, tmp_path, hub, token="of the operator")
    assert weights(tmp_path).read_bytes() == WEIGHTS


def test_the_hub_is_set_as_its_own_tools_are() -> None:
    hub = Hub.of({"HF_ENDPOINT": "https://hub.example.org", "HF_TOKEN": "secret", "HF_HUB_OFFLINE": "1"})
    assert (hub.endpoint, hub.token, hub.offline) == ("https://hub.example.org", "secret", True)
    assert "secret" not in repr(hub)
    assert Hub.of({}) == Hub()


def test_a_hub_id_without_a_revision_is_for_the_record(tmp_path: Path, hub: HubServer) -> None:
    with pytest.raises(FetchFailed, match="no source that can be fetched"):
        pull(entry_of(tmp_path, {"hub": "someone/a-model"}), tmp_path, hub)
    assert hub.asked == []


def test_a_model_comes_from_a_directory_checked_like_any_other(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "weights").write_bytes(WEIGHTS[:-1] + b"?")
    entry = entry_of(tmp_path, {"directory": str(copy)})
    with pytest.raises(FetchFailed, match="another SHA-256"):
        pull(entry, tmp_path)
    (copy / "weights").write_bytes(WEIGHTS)
    pull(entry, tmp_path)
    assert weights(tmp_path).read_bytes() == WEIGHTS


def test_a_restricted_licence_is_not_even_downloaded(tmp_path: Path, hub: HubServer) -> None:
    entry = entry_of(tmp_path, AT_HUB, licence_class="non-commercial")
    with pytest.raises(LicenceRefused, match="add m to VOXGOV_ALLOWED_MODELS"):
        pull(entry, tmp_path, hub)
    assert hub.asked == []


@pytest.mark.parametrize(
    "source",
    [
        {"hub": "someone/a-model", "revision": "main"},
        {"revision": REVISION},
        {"directory": "relative/path"},
        {"hub": "someone/a-model", "directory": "/srv/models"},
        {},
    ],
)
def test_a_source_that_pins_nothing_or_is_two_at_once_is_refused(tmp_path: Path, source: dict[str, str]) -> None:
    with pytest.raises(ManifestInvalid):
        entry_of(tmp_path, source)


def test_the_digest_in_the_test_is_that_of_the_weights(tmp_path: Path) -> None:
    entry = entry_of(tmp_path, AT_HUB)
    assert entry.files[0].sha256 == hashlib.sha256(WEIGHTS).hexdigest()
