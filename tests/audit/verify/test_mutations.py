"""Damaged bundles by the thousand: none is accepted, and nothing but a report or a typed error comes out.

A few hundred always; `VOXGOV_DRILL_ROUNDS` times 200 in the drill, 10,000 with the fifty rounds of `deploy/test --drills`.
"""

import io
import os
import random
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from audit.errors import BundleInvalid, LogInvalid
from audit.export import lines, manifest, proofs
from audit.export.container import ZipContainer
from audit.export.writing import pack
from audit.tlog import checkpoint, notes, proof, tiles
from audit.tlog.cosignatures import Witness
from audit.tlog.notes import Ed25519Signer
from audit.tlog.proof import LogProof
from audit.verify.bundle import verify_bundle
from audit.verify.report import Result
from audit.witness import request
from audit.witness.request import AddCheckpoint
from tests.audit.export.bundles import HONEST_TRUST, LOG_OF_FORTY
from tests.audit.verify.mutations import Files, MemoryContainer, damaged, loaded, resigned

ROUNDS = int(os.environ.get("VOXGOV_DRILL_ROUNDS", "5"))


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Files]:
    """The whole log, a part of it, and a filtered one."""
    directory = tmp_path_factory.mktemp("bundles")
    LOG_OF_FORTY.bundle(directory / "whole")
    LOG_OF_FORTY.bundle(directory / "part", 11, 37)
    LOG_OF_FORTY.bundle(directory / "filtered", 3, keep=lambda index: index % 2 == 0)
    return [loaded(directory / name) for name in ("whole", "part", "filtered")]


def attempt(original: Files, seed: int) -> str:
    """One damaged bundle; every second one signed anew by the log's own key. The name of the check that refused it."""
    chance = random.Random(seed)
    altered = damaged(original, chance)
    signed_anew = bool(seed % 2)
    if signed_anew:
        altered = resigned(altered)
    report = verify_bundle(MemoryContainer(altered), HONEST_TRUST)
    report.as_text()
    report.as_json()
    if report.result is Result.VERIFIED:
        assert signed_anew, f"seed {seed}: accepted without the log's signature"
        assert_says_the_same(original, altered, seed)
        return "accepted, saying the same"
    assert report.result is Result.NOT_VERIFIED
    return report.checks[-1].name


def assert_says_the_same(original: Files, altered: Files, seed: int) -> None:
    """The operator may sign another manifest and space out proofs.json; the log, its tables and its signatures stay."""
    assert altered.keys() == original.keys(), f"seed {seed}"
    for name in original.keys() - {manifest.MANIFEST, manifest.NOTE, manifest.PROOFS}:
        assert altered[name] == original[name], f"seed {seed}: {name}"
    assert proofs.parse(altered[manifest.PROOFS]) == proofs.parse(original[manifest.PROOFS]), f"seed {seed}"
    before, after = (manifest.parse(files[manifest.MANIFEST]) for files in (original, altered))
    for member in ("origin", "log", "start", "end", "entries", "left_out"):
        assert getattr(before, member) == getattr(after, member), f"seed {seed}: {member}"


def run(bundles: list[Files], count: int, first_seed: int) -> Counter[str]:
    return Counter(attempt(bundles[seed % 3], seed) for seed in range(first_seed, first_seed + count))


def test_undamaged_they_verify(bundles: list[Files]) -> None:
    for files in bundles:
        for same in (files, resigned(files)):
            assert verify_bundle(MemoryContainer(same), HONEST_TRUST).result is Result.VERIFIED


def test_damaged_bundles_are_refused(bundles: list[Files]) -> None:
    refused_by = run(bundles, 400, 0)
    assert {"manifest", "checkpoints", "proofs", "log", "contents"} <= refused_by.keys()


SIGNED = LOG_OF_FORTY.checkpoint()
PARSERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "note": (notes.parse, SIGNED),
    "signature lines": (lambda data: notes.parse_signature_lines(data.decode("latin-1")), SIGNED.split(b"\n\n")[1]),
    "verifier key": (lambda data: Witness.parse(data.decode("latin-1")), LOG_OF_FORTY.signer.verifier.vkey.encode()),
    "signer key": (lambda data: Ed25519Signer.parse(data.decode("latin-1")), LOG_OF_FORTY.signer.skey.encode()),
    "checkpoint": (checkpoint.parse_text, notes.parse(SIGNED).text),
    "signed checkpoint": (
        lambda data: checkpoint.open_checkpoint(data, HONEST_TRUST.keys, HONEST_TRUST.origin),
        SIGNED,
    ),
    "proof of an entry": (proof.parse, LogProof(3, (bytes(32),) * 6, SIGNED).encode()),
    "witness's request": (request.parse, AddCheckpoint(3, (bytes(32),) * 6, SIGNED).encode()),
    "tile's path": (lambda data: tiles.parse_path(data.decode("latin-1")), b"tile/0/x001/x234/067.p/3"),
    "entry bundle": (
        lambda data: tiles.decode_entries(data, tiles.Tile(-1, 0, 2)),
        tiles.encode_entries([b"abc", b"de"]),
    ),
    "proofs": (proofs.parse, proofs.Proofs((bytes(32),), (bytes(32),)).encode()),
    "line": (lambda data: lines.leaf_hashes([data], 7), lines.write(7, lines.LeftOut(bytes(32)), readable=False)[:-1]),
}


@pytest.mark.parametrize("name", PARSERS)
def test_whatever_is_read_is_read_or_refused_with_a_typed_error(name: str) -> None:
    parse, good = PARSERS[name]
    chance = random.Random(name)
    for _ in range(500):
        [data] = damaged({"x": good}, chance, bytes_only=True).values()
        for candidate in (data, chance.randbytes(chance.randrange(80))):
            with suppress(LogInvalid):
                parse(candidate)


@pytest.mark.drill
def test_damaged_bundles_are_refused_in_full(bundles: list[Files], capsys: pytest.CaptureFixture[str]) -> None:
    refused_by = run(bundles, ROUNDS * 200, 1_000_000)
    with capsys.disabled():
        print(f"\n  {ROUNDS * 200} damaged bundles, refused by {dict(refused_by.most_common())}")


@pytest.mark.drill
def test_damaged_archives_are_refused_or_read_the_same(bundles: list[Files], tmp_path: Path) -> None:
    directory = tmp_path / "b"
    directory.mkdir()
    for name, content in bundles[1].items():
        (directory / name).write_bytes(content)
    packed = io.BytesIO()
    pack(directory, packed)
    for seed in range(ROUNDS * 40):
        [data] = damaged({"b.zip": packed.getvalue()}, random.Random(seed), bytes_only=True).values()
        try:
            with closing(ZipContainer(io.BytesIO(data))) as files:
                report = verify_bundle(files, HONEST_TRUST)
                if report.result is Result.VERIFIED:
                    assert {name: b"".join(files.chunks(name)) for name in files.sizes} == bundles[1], f"seed {seed}"
        except BundleInvalid:
            continue
