"""Keys show nowhere: not in a repr, a pickle, a traceback with the locals of every frame, a core dump, or a cache that forgets."""

import copy
import os
import pickle
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.vault import reference
from tests.vault.actors import Tenant
from tests.vault.test_sealing import restart
from vault import keyring, keys, sealing
from vault.errors import VaultError
from vault.format import Header, InputKey, combine, open_sealed, seal
from vault.key_cache import KeyCache
from vault.keys import HeldKey
from vault.provider_keyring import KeyringProvider
from vault.ranges import ChunkReader
from vault.stream import PIECE, OpenStream, SealStream

SECRET = bytes(range(100, 132))
FORMS = [repr(SECRET)[2:-1], SECRET.hex(), str(list(SECRET))[1:-1]]


def shows_nothing(text: str, *more: str) -> None:
    for form in [*FORMS, *more]:
        assert form not in text


def everything_in(error: BaseException) -> str:
    """What an error reporter that captures locals writes, along every chain of causes."""
    captured = traceback.TracebackException.from_exception(error, capture_locals=True)
    text = "".join(captured.format())
    for linked in (error.__cause__, error.__context__):
        if linked is not None:
            text += everything_in(linked) + repr(vars(linked))
    frame = error.__traceback__
    while frame is not None:
        text += repr(frame.tb_frame.f_locals)
        frame = frame.tb_next
    return text


def test_the_reporter_would_show_a_key_that_lies_about() -> None:
    """The check below can fail."""
    lying_about = SECRET
    try:
        raise ValueError(len(lying_about))
    except ValueError as error:
        assert FORMS[0] in everything_in(error)


@pytest.mark.parametrize(
    "holder",
    [
        InputKey(SECRET),
        HeldKey(bytes(16), InputKey(SECRET)),
        [InputKey(SECRET)],
        {"key": InputKey(SECRET)},
        keyring.Keyring(1, {1: InputKey(SECRET)}, InputKey(SECRET), {"x": InputKey(SECRET)}),
        KeyringProvider(Path("nowhere")),
        KeyCache[InputKey](1, 1),
        SealStream(InputKey(SECRET), b"context"),
        OpenStream(InputKey(SECRET), b"context"),
    ],
    ids=lambda holder: type(holder).__name__,
)
def test_the_repr_of_what_holds_a_key_shows_nothing(holder: object) -> None:
    shows_nothing(f"{holder} {holder!r} {holder:}" if not isinstance(holder, list | dict) else repr(holder))


@pytest.mark.parametrize("copier", [pickle.dumps, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("held", [InputKey(SECRET), HeldKey(bytes(16), InputKey(SECRET))], ids=["key", "held key"])
def test_a_key_is_neither_pickled_nor_copied(copier: Callable[[object], object], held: object) -> None:
    if copier is copy.copy and isinstance(held, HeldKey):
        return  # a shallow copy holds the same key object and no bytes
    with pytest.raises(TypeError, match="not serialized"):
        copier(held)


def test_a_key_has_no_attributes_to_list() -> None:
    assert not hasattr(InputKey(SECRET), "__dict__")


def failing_calls(tmp_path: Path) -> list[Callable[[], object]]:
    key, other = InputKey(SECRET), InputKey(bytes(32))
    context = Tenant().context()
    header = Header((bytes(16),))
    sealed = seal(other, header, context, b"x")
    good = seal(key, header, context, bytes(40_000))[header.size :]
    damaged = good[:-1] + bytes([good[-1] ^ 1])
    encoded = context.encode([bytes(16)])
    ring = tmp_path / "ring.json"
    import base64

    text = base64.b64encode(SECRET).decode()
    FORMS.append(text)
    ring.write_text(
        f'{{"version": 1, "current": 1, "epochs": {{"1": "{text}"}}, "blind": "{text}", "signing": {{}}, BROKEN'
    )
    ring.chmod(0o600)
    whole = tmp_path / "whole.json"
    whole.write_text(f'{{"version": 1, "current": 1, "epochs": {{"1": "{text}"}}, "blind": "{text}", "signing": {{}}}}')
    whole.chmod(0o600)
    full = tmp_path / "full.json"
    full.write_text(whole.read_text())
    full.chmod(0o600)
    (tmp_path / ".full.json.draft").mkdir()  # the draft cannot be made
    return [
        lambda: open_sealed(key, header, context, sealed),
        lambda: open_sealed(combine([key, other]), header, context, sealed),
        lambda: ChunkReader(key, encoded, lambda at, n: sealed[18:][at : at + n], len(sealed) - 18),
        lambda: ChunkReader(key, encoded, lambda at, n: damaged[at : at + n], len(damaged)),
        lambda: OpenStream(key, encoded).update(sealed[18:]),
        lambda: OpenStream(key, encoded).update(good[:56] + bytes(16400)),
        lambda: SealStream(key, encoded).update(bytes(PIECE * 2)),
        lambda: KeyringProvider(ring).epochs(),
        lambda: KeyringProvider(whole).unwrap(1, bytes(60), b"binding"),
        lambda: KeyringProvider(whole).unwrap(2, bytes(60), b"binding"),
        lambda: KeyringProvider(whole).wrap(7, key, b"binding"),
        lambda: KeyringProvider(whole).sign("nothing", b"x"),
        lambda: keyring.ensure(ring),
        lambda: keyring.begin_epoch(full, 2),
        lambda: keyring.destroy_epoch(whole, 1),
        lambda: combine([]),
    ]


@pytest.mark.parametrize("number", range(16))
def test_no_traceback_shows_a_key_even_with_all_locals(tmp_path: Path, number: int) -> None:
    call = failing_calls(tmp_path)[number]
    try:
        call()
    except (VaultError, ValueError) as error:
        # This test's own frame holds no key in the clear, only the callables.
        shows_nothing(everything_in(error))
    else:
        raise AssertionError("the call was to fail")


def test_no_traceback_of_range_reading_shows_the_key_derived_for_the_message() -> None:
    key, context = InputKey(SECRET), Tenant().context()
    header = Header((bytes(16),))
    encoded = context.encode(header.key_ids)
    stream = seal(key, header, context, bytes(40_000))[header.size :]
    for bound, damaged in [(encoded + b"elsewhere", stream), (encoded, stream[:-1] + bytes([stream[-1] ^ 1]))]:
        info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00" + stream[:24] + bound
        derived = reference.hkdf_expand(SECRET, info, 32)
        with pytest.raises(VaultError) as caught:
            ChunkReader(key, bound, lambda at, n, whole=damaged: whole[at : at + n], len(damaged))  # type: ignore[misc]
        frames = caught.value.__traceback__
        assert frames is not None
        inner = "".join(repr(f.f_locals) for f, _ in traceback.walk_tb(frames.tb_next))
        assert repr(derived)[2:-1] not in inner
        assert derived.hex() not in inner


def test_a_database_that_fails_while_a_key_is_made_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = Tenant()
    monkeypatch.setattr("secrets.token_bytes", lambda size: SECRET[:size])
    monkeypatch.setattr(keys, "KEYS_DATABASE", "no such database")
    with pytest.raises(Exception, match="no such database") as caught:
        sealing.seal(tenant.context(), tenant.keys(), b"x")
    shows_nothing(everything_in(caught.value).replace(SECRET[:16].hex(), "").replace(repr(SECRET[:16])[2:-1], ""))


def test_a_key_of_the_wrong_size_is_not_shown_by_its_refusal() -> None:
    try:
        InputKey(SECRET + b"x")
    except ValueError as error:
        frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
        shows_nothing(str(frames[-1].locals))


def test_log_lines_of_the_vault_hold_no_key(caplog: pytest.LogCaptureFixture) -> None:
    tenant = Tenant()
    with caplog.at_level("DEBUG"):
        sealed = sealing.seal(tenant.context(), tenant.keys(), b"said")
        restart()
        sealing.open(tenant.context(), tenant.keys(), sealed)
    [held] = keys.for_sealing(tenant.keys())
    raw = held.key.reveal()
    assert raw.hex() not in caplog.text
    assert repr(raw)[2:-1] not in caplog.text


def test_the_cache_forgets_by_itself() -> None:
    cache: KeyCache[InputKey] = KeyCache(0.05, 10)
    cache.put("name", InputKey(SECRET))
    assert cache.get("name") is not None
    deadline = time.monotonic() + 10
    while len(cache) and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    assert len(cache) == 0
    assert keys.CACHE_SECONDS <= 1.0


def test_the_cache_gives_no_entry_after_its_time() -> None:
    cache: KeyCache[InputKey] = KeyCache(-1.0, 10)
    cache.put("name", InputKey(SECRET))
    assert cache.get("name") is None


def test_the_cache_stays_small() -> None:
    cache: KeyCache[int] = KeyCache(5.0, 10)
    for number in range(100):
        cache.put(number, number)
    assert len(cache) <= 10
    cache.clear()


def test_a_forked_child_starts_without_keys() -> None:
    cache: KeyCache[InputKey] = KeyCache(60.0, 10)
    cache.put("name", InputKey(SECRET))
    child = os.fork()
    if child == 0:
        os._exit(0 if len(cache) == 0 and cache.get("name") is None else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert cache.get("name") is not None
    cache.clear()


def test_a_process_with_the_vault_leaves_no_core_dump() -> None:
    program = (
        "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'voxgov.settings'; import django; django.setup();"
        "import ctypes, resource; print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "(0, 0) 0"
