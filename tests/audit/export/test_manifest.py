"""The manifest: read strictly, signed so that its signature is good for nothing else."""

import json
from typing import Any

import pytest

from audit.errors import BundleInvalid, CheckpointInvalid, NoteInvalid
from audit.export import manifest, proofs
from audit.export.manifest import FileDigest, Manifest
from audit.tlog import notes
from audit.tlog.checkpoint import open_checkpoint
from audit.tlog.notes import Ed25519Signer
from tests.audit.export.bundles import ORIGIN, SIGNER
from tests.audit.tlog.reference import leaf

FILES = {name: FileDigest(1, "0" * 64) for name in manifest.names(0)}
GOOD = Manifest(ORIGIN, "o", 0, 9, {"name": ("a", "b")}, 4, 5, "2026-03-01T12:00:00Z", "tests", FILES)
BODY: dict[str, Any] = json.loads(GOOD.encode())


def test_a_manifest_comes_back() -> None:
    assert manifest.parse(GOOD.encode()) == GOOD
    assert BODY["format"] == "voxgov.export/v1"
    assert (BODY["from"], BODY["to"]) == (0, 9)


def test_its_signature_is_bound_to_it_and_to_the_log() -> None:
    encoded = GOOD.encode()
    note = manifest.sign(encoded, ORIGIN, SIGNER)
    assert manifest.verify(note, encoded, [SIGNER.verifier], ORIGIN) == (SIGNER.verifier,)
    for data, keys, origin in (
        (encoded + b" ", [SIGNER.verifier], ORIGIN),
        (encoded, [SIGNER.verifier], "another.example/log"),
        (encoded, [Ed25519Signer.generate(ORIGIN).verifier], ORIGIN),
    ):
        with pytest.raises((BundleInvalid, NoteInvalid)):
            manifest.verify(note, data, keys, origin)


def test_its_signature_is_no_checkpoint_and_no_checkpoint_is_one_of_a_manifest() -> None:
    for origin in (ORIGIN, "7", "voxgov.export/v1"):
        note = manifest.sign(GOOD.encode(), origin, SIGNER)
        with pytest.raises(CheckpointInvalid):
            open_checkpoint(note, [SIGNER.verifier], notes.parse(note).text.split(b"\n")[0].decode())


@pytest.mark.parametrize(
    "change",
    [
        {"format": "voxgov.export/v2"},
        {"more": 1},
        {"origin": ""},
        {"origin": None},
        {"origin": "a\nb"},
        {"origin": "\ud800"},
        {"from": -1},
        {"from": 1},
        {"from": True},
        {"from": 10},
        {"to": 2**63},
        {"to": "9"},
        {"entries": 5},
        {"left_out": 4},
        {"filter": {}},
        {"filter": []},
        {"filter": {"name": []}},
        {"filter": {"name": "a"}},
        {"filter": {"name": [1]}},
        {"filter": {"": ["a"]}},
        {"made_at": "2026-03-01"},
        {"made_at": "2026-02-30T12:00:00Z"},
        {"made_at": "2026-03-01T12:00:00+00:00"},
        {"made_by": "x" * 5000},
        {"files": {}},
        {"files": []},
        {"files": {**BODY["files"], "more": {"bytes": 1, "sha256": "0" * 64}}},
        {"files": {**BODY["files"], "ocsf.jsonl": None}},
        {"files": {**BODY["files"], "ocsf.jsonl": {"bytes": 1}}},
        {"files": {**BODY["files"], "ocsf.jsonl": {"bytes": -1, "sha256": "0" * 64}}},
        {"files": {**BODY["files"], "ocsf.jsonl": {"bytes": 1, "sha256": "A" * 64}}},
        {"files": {**BODY["files"], "ocsf.jsonl": {"bytes": 1, "sha256": "0" * 64, "more": 1}}},
    ],
)
def test_a_manifest_that_says_anything_else_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BundleInvalid):
        manifest.parse(json.dumps({**BODY, **change}).encode())


HOSTILE = [
    b"",
    b"[]",
    b"null",
    b"\xff",
    b"{" * 100_000,
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"9" * 5000,
    b"NaN",
]


@pytest.mark.parametrize("data", [*HOSTILE, GOOD.encode().replace(b'"to"', b'"to": 9,\n "to"'), GOOD.encode() + b"{}"])
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(BundleInvalid):
        manifest.parse(data)


def test_a_list_with_a_member_twice_is_refused() -> None:
    encoded = GOOD.encode()
    twice = encoded.replace(b'"bytes": 1,', b'"bytes": 2, "bytes": 1,', 1)
    assert json.loads(twice) == json.loads(encoded)
    with pytest.raises(BundleInvalid, match="a member stands twice"):
        manifest.parse(twice)


@pytest.mark.parametrize(
    "data",
    [
        *HOSTILE,
        b"{}",
        b'{"consistency":[]}',
        b'{"consistency":[],"frontier":{}}',
        b'{"consistency":[1],"frontier":[]}',
        b'{"consistency":[],"frontier":[],"more":[]}',
        b'{"consistency":[],"consistency":[],"frontier":[]}',
    ],
)
def test_what_are_no_proofs_is_refused(data: bytes) -> None:
    with pytest.raises(BundleInvalid):
        proofs.parse(data)


def test_proofs_come_back() -> None:
    written = proofs.Proofs((leaf(1), leaf(2)), (leaf(3),))
    assert proofs.parse(written.encode()) == written
