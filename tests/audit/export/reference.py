"""A second verifier of bundles, from docs/auditing.md and the C2SP and RFC texts alone: it shares no code with `audit`.

It says no more than yes, or which assertion does not hold.
"""

import base64
import csv
import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def require_signed(note: bytes, vkey: str) -> list[str]:
    """The lines of a signed note's text, once the key's signature under it is verified."""
    name, _, encoded = vkey.split("+", 2)
    key = base64.b64decode(encoded)
    identity = sha256(name.encode() + b"\n" + key)[:4]
    head, _, signatures = note.rpartition(b"\n\n")
    text = head + b"\n"
    signed = 0
    for line in signatures.decode().split("\n")[:-1]:
        dash, signer, value = line.split(" ")
        signature = base64.b64decode(value)
        if (dash, signer, signature[:4]) == ("—", name, identity):
            Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature[4:], text)
            signed += 1
    assert signed
    return text.decode().split("\n")[:-1]


def root(edge: list[tuple[int, bytes]]) -> bytes:
    """The root over perfect subtrees, each with its number of leaves, largest first."""
    if not edge:
        return sha256(b"")
    hashes = [one for _, one in edge]
    while len(hashes) > 1:
        right, left = hashes.pop(), hashes.pop()
        hashes.append(sha256(b"\x01" + left + right))
    return hashes[0]


def require_whole(files: Mapping[str, bytes], vkey: str) -> None:
    """Everything but the OCSF events, of which it compares the entry and the leaf hash."""
    origin = vkey.split("+", maxsplit=1)[0]
    manifest = json.loads(files["manifest.json"])
    assert require_signed(files["manifest.note"], vkey) == [
        "voxgov.export/v1",
        f"origin {origin}",
        f"sha256 {hashlib.sha256(files['manifest.json']).hexdigest()}",
    ]
    assert (manifest["format"], manifest["origin"], manifest["log"]) == (
        "voxgov.export/v1",
        origin,
        origin.split("/")[-1],
    )
    assert files.keys() == {"manifest.json", "manifest.note", *manifest["files"]}
    for name, listed in manifest["files"].items():
        assert listed == {"bytes": len(files[name]), "sha256": hashlib.sha256(files[name]).hexdigest()}
    start, end = manifest["from"], manifest["to"]
    proofs = json.loads(files["proofs.json"])
    edge = [(1 << bit, b"") for bit in reversed(range(start.bit_length())) if start >> bit & 1]
    edge = [(width, base64.b64decode(one)) for (width, _), one in zip(edge, proofs["frontier"], strict=True)]
    if start:
        assert root(edge) == base64.b64decode(require_checkpoint(files["checkpoint.from"], vkey, start))
    rows = list(csv.reader(io.StringIO(files["entries.csv"].decode(), newline="")))[1:]
    events = [json.loads(line) for line in files["ocsf.jsonl"].splitlines()]
    left_out = 0
    for index, line in enumerate(files["entries.jsonl"].split(b"\n")[:-1], start):
        said = json.loads(line)
        assert said["index"] == index
        if "leaf" in said:
            leaf = base64.b64decode(said["leaf"])
            left_out += 1
        else:
            entry = line.removeprefix(b'{"index":%d,"entry":' % index).removesuffix(b"}")
            leaf = sha256(b"\x00" + entry)
            require_row(rows.pop(0), index, leaf, said["entry"])
            event = events.pop(0)
            assert (event["raw_data"].encode(), event["raw_data_hash"]["value"]) == (entry, leaf.hex())
            assert said["entry"]["log"] == manifest["log"]
        edge.append((1, leaf))
        while len(edge) > 1 and edge[-1][0] == edge[-2][0]:
            (_, right), (width, left) = edge.pop(), edge.pop()
            edge.append((2 * width, sha256(b"\x01" + left + right)))
    assert not rows
    assert not events
    assert sum(width for width, _ in edge) == end
    assert (manifest["entries"], manifest["left_out"]) == (end - start - left_out, left_out)
    assert root(edge) == base64.b64decode(require_checkpoint(files["checkpoint.to"], vkey, end))


def require_checkpoint(note: bytes, vkey: str, size: int) -> str:
    """The root, in base64."""
    origin, said, root_hash = require_signed(note, vkey)
    assert (origin, said) == (vkey.split("+", maxsplit=1)[0], str(size))
    return root_hash


def require_row(row: list[str], index: int, leaf: bytes, entry: dict[str, Any]) -> None:
    """For text that needs no escaping."""
    objects = [
        f"{one['kind']} {one.get('code', one.get('blind'))}" + (f" (epoch {one['epoch']})" if "epoch" in one else "")
        for one in entry["objects"]
    ]
    detail = json.dumps(entry["detail"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    members = [entry[name] for name in ("at", "name", "outcome", "reason")]
    actor = [entry["actor"]["kind"], entry["actor"]["code"]]
    assert row == [
        str(index),
        *members,
        *actor,
        "; ".join(objects),
        detail,
        entry["request"],
        entry["event"],
        leaf.hex(),
    ]
