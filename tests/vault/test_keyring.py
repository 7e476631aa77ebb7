"""The keyring file and its provider: one writer, whole files, epochs that come and go."""

import base64
import gc
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from vault import keyring
from vault.errors import EpochDestroyed, KeyringInvalid, ProviderUnavailable, ProviderWrongKey
from vault.format import InputKey
from vault.keyring import CERTIFICATES
from vault.provider import STANDING
from vault.provider_keyring import HOLD_SECONDS, KeyringProvider

BINDING = b"whose key it is"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "secrets" / "keyring.json"
    assert keyring.ensure(made)
    return made


def now(path: Path) -> KeyringProvider:
    """A provider as a fresh process has it."""
    return KeyringProvider(path)


def test_it_is_made_once_for_its_owner_alone(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    before = path.read_bytes()
    assert not keyring.ensure(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir() if entry.suffix == ".draft"] == []


def test_every_key_in_it_is_another_one(path: Path) -> None:
    ring = json.loads(path.read_text())
    keys = [*ring["epochs"].values(), ring["blind"], *ring["signing"].values()]
    assert len(set(keys)) == len(keys) == 3 + len(keyring.SIGNING_PURPOSES)
    assert all(len(base64.b64decode(key)) == 32 for key in keys)


def test_a_keyring_from_before_a_signing_purpose_existed_gets_the_key_and_keeps_the_others(path: Path) -> None:
    ring = json.loads(path.read_text())
    wrapped = now(path).wrap(1, InputKey(bytes(32)), BINDING)
    del ring["signing"]
    path.write_text(json.dumps(ring))
    with pytest.raises(KeyringInvalid, match="vault init"):
        now(path).sign(CERTIFICATES, b"x")
    assert keyring.ensure(path)
    now(path).sign(CERTIFICATES, b"x")
    assert now(path).unwrap(1, wrapped, BINDING).reveal() == bytes(32)


def test_a_wrapped_key_opens_for_its_binding_and_epoch_only(path: Path) -> None:
    provider = now(path)
    wrapped = provider.wrap(1, InputKey(b"k" * 32), BINDING)
    assert b"k" * 32 not in wrapped
    assert provider.unwrap(1, wrapped, BINDING).reveal() == b"k" * 32
    keyring.begin_epoch(path, 2)
    for epoch, sealed, binding in [
        (1, wrapped, b"somebody else's"),
        (2, wrapped, BINDING),
        (1, wrapped[:-1], BINDING),
        (1, b"", BINDING),
    ]:
        with pytest.raises(ProviderWrongKey):
            now(path).unwrap(epoch, sealed, binding)
    for at in range(len(wrapped)):
        altered = bytearray(wrapped)
        altered[at] ^= 1
        with pytest.raises(ProviderWrongKey):
            provider.unwrap(1, bytes(altered), BINDING)


def test_a_new_epoch_wraps_and_the_old_one_still_opens(path: Path) -> None:
    wrapped = now(path).wrap(1, InputKey(bytes(32)), BINDING)
    keyring.begin_epoch(path, 2)
    assert now(path).epochs() == (1, 2)
    assert now(path).unwrap(1, wrapped, BINDING).reveal() == bytes(32)


def test_a_destroyed_epoch_opens_nothing_and_its_key_is_in_no_file(path: Path) -> None:
    wrapped = now(path).wrap(1, InputKey(bytes(32)), BINDING)
    key = json.loads(path.read_text())["epochs"]["1"]
    keyring.begin_epoch(path, 2)
    for _ in range(2):
        keyring.destroy_epoch(path, 1)
    with pytest.raises(EpochDestroyed):
        now(path).unwrap(1, wrapped, BINDING)
    for file in path.parent.iterdir():
        assert key.encode() not in file.read_bytes()


def test_behind_a_symbolic_link_the_file_itself_is_rewritten(path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "keyring.json"
    link.symlink_to(path)
    key = json.loads(path.read_text())["epochs"]["1"]
    keyring.begin_epoch(link, 2)
    keyring.destroy_epoch(link, 1)
    assert link.is_symlink()
    assert key not in path.read_text()
    assert now(path).epochs() == (2,)


def test_a_key_that_a_hard_link_would_keep_is_not_called_destroyed(path: Path, tmp_path: Path) -> None:
    keyring.begin_epoch(path, 2)
    (tmp_path / "copy").hardlink_to(path)
    with pytest.raises(KeyringInvalid, match="hard link"):
        keyring.destroy_epoch(path, 1)
    (tmp_path / "copy").unlink()
    keyring.destroy_epoch(path, 1)
    assert now(path).epochs() == (2,)


def test_an_idle_process_holds_no_key(path: Path) -> None:
    provider = now(path)
    provider.wrap(1, InputKey(bytes(32)), BINDING)
    blind = base64.b64decode(json.loads(path.read_text())["blind"])

    def held() -> bool:
        # By type and not by isinstance, which asks proxies of things that are gone.
        rings = [thing for thing in gc.get_objects() if type(thing) is keyring.Keyring]
        return any(ring.blind.reveal() == blind for ring in rings)

    assert held()
    deadline = time.monotonic() + 10
    while held():
        assert time.monotonic() < deadline, "the epoch keys are still in memory"
        time.sleep(0.1)


def test_the_current_epoch_is_not_destroyed(path: Path) -> None:
    for epoch in (1, STANDING):
        with pytest.raises(ValueError, match="begin another epoch first"):
            keyring.destroy_epoch(path, epoch)
    assert now(path).epochs() == (1,)


def test_beginning_an_epoch_twice_makes_one_and_a_destroyed_number_is_never_used_again(path: Path) -> None:
    keyring.begin_epoch(path, 2)
    wrapped = now(path).wrap(2, InputKey(bytes(32)), BINDING)
    keyring.begin_epoch(path, 2)
    assert now(path).unwrap(2, wrapped, BINDING).reveal() == bytes(32)
    keyring.destroy_epoch(path, 1)
    with pytest.raises(ValueError, match="no number is used twice"):
        keyring.begin_epoch(path, 1)
    assert now(path).epochs() == (2,)


def test_the_standing_key_outlives_every_epoch(path: Path) -> None:
    wrapped = now(path).wrap(STANDING, InputKey(b"j" * 32), BINDING)
    keyring.begin_epoch(path, 2)
    keyring.destroy_epoch(path, 1)
    assert now(path).unwrap(STANDING, wrapped, BINDING).reveal() == b"j" * 32


def test_a_running_process_sees_a_rewrite_within_a_second(path: Path) -> None:
    assert HOLD_SECONDS <= 1.0
    provider = KeyringProvider(path, hold_seconds=0.2)
    wrapped = provider.wrap(1, InputKey(bytes(32)), BINDING)
    keyring.begin_epoch(path, 2)
    provider.wrap(2, InputKey(bytes(32)), BINDING)  # a new epoch at once
    keyring.begin_epoch(path, 3)
    keyring.destroy_epoch(path, 1)
    time.sleep(0.3)
    with pytest.raises(EpochDestroyed):
        provider.unwrap(1, wrapped, BINDING)


def test_yesterdays_keyring_is_refused_by_a_running_process(path: Path) -> None:
    yesterday = path.read_bytes()
    keyring.begin_epoch(path, 2)
    provider = now(path)
    assert provider.epochs() == (1, 2)
    path.write_bytes(yesterday)
    with pytest.raises(KeyringInvalid, match="earlier epoch"):
        provider.epochs()
    with pytest.raises(ProviderWrongKey, match="older than the database"):
        now(path).unwrap(2, bytes(60), BINDING)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"current": 9},
        {"epochs": {}},
        {"epochs": {"1": "short"}},
        {"epochs": {"1": base64.b64encode(bytes(16)).decode()}},
        {"blind": None},
        {"blind": ""},
        {"signing": ["x"]},
    ],
    ids=str,
)
def test_what_is_no_keyring_is_refused(path: Path, change: dict[str, object]) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(KeyringInvalid):
        now(path).epochs()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "{}"])
def test_a_damaged_keyring_is_refused_and_never_replaced(path: Path, text: str) -> None:
    path.write_text(text)
    attempts: list[Callable[[], object]] = [
        lambda: now(path).epochs(),
        lambda: keyring.ensure(path),
        lambda: keyring.begin_epoch(path, 2),
    ]
    for attempt in attempts:
        with pytest.raises(KeyringInvalid):
            attempt()
    assert path.read_text() == text


def test_a_keyring_that_others_can_read_is_refused(path: Path) -> None:
    for mode in (0o640, 0o604, 0o620, 0o601):
        path.chmod(mode)
        with pytest.raises(KeyringInvalid, match="0600"):
            now(path).epochs()
        with pytest.raises(KeyringInvalid):
            keyring.begin_epoch(path, 2)


def test_a_missing_keyring_is_not_made_by_reading(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    with pytest.raises(ProviderUnavailable):
        now(path).epochs()
    assert not path.exists()


def test_many_processes_make_one_keyring(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "keyring.json"
    program = (
        "import sys; from pathlib import Path; from vault import keyring; print(keyring.ensure(Path(sys.argv[1])))"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    answers = sorted(child.communicate(timeout=60)[0].strip() for child in children)
    assert answers == ["False", "False", "False", "True"]


def test_writers_at_once_lose_no_epoch(path: Path) -> None:
    found: list[int] = []

    def begin_the_next() -> None:
        for epoch in range(2, 10):
            keyring.begin_epoch(path, epoch)
            now(path).wrap(epoch, InputKey(bytes(32)), BINDING)
            found.append(epoch)

    threads = [threading.Thread(target=begin_the_next) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 * 8
    assert now(path).epochs() == tuple(range(1, 10))


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_crash_while_writing_leaves_the_old_keyring(path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    before = path.read_bytes()

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os if step == "fsync" else Path, step, full)
        with pytest.raises(ProviderUnavailable, match="No space left"):
            keyring.begin_epoch(path, 2)
    assert path.read_bytes() == before
    keyring.begin_epoch(path, 2)
    assert now(path).epochs() == (1, 2)


def test_a_signature_verifies_under_the_public_key(path: Path) -> None:
    provider = now(path)
    signature = provider.sign(CERTIFICATES, b"message")
    Ed25519PublicKey.from_public_bytes(provider.public_key(CERTIFICATES)).verify(signature, b"message")
    with pytest.raises(KeyringInvalid):
        provider.sign("another purpose", b"message")


def test_the_blind_key_survives_every_rewrite(path: Path) -> None:
    before = now(path).blind(b"value")
    keyring.begin_epoch(path, 2)
    keyring.destroy_epoch(path, 1)
    assert now(path).blind(b"value") == before
