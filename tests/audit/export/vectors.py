"""Makes docs/vectors/export-bundle.json (`python -m tests.audit.export.vectors`): small bundles for whoever writes another
verifier, under a key that is published and therefore good for nothing else."""

import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Final

from audit.tlog.cosignatures import ED25519, Cosigner
from audit.tlog.notes import Ed25519Signer, Note, parse
from tests.audit.entries import entry
from tests.audit.export.bundles import ORIGIN, Log

VECTORS: Final = Path(__file__).resolve().parents[3] / "docs" / "vectors" / "export-bundle.json"
WITNESS: Final = Cosigner("witness.example/w1", ED25519, bytes(range(32, 64)))
NAMES: Final = {
    "the whole log of three entries": (0, 3, None),
    "entries 3 to 6, those of even index left out": (3, 7, 2),
    "nothing, of an empty log": (0, 0, None),
}


def signer() -> Ed25519Signer:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def kept(step: int, index: int) -> bool:
    return bool(index % step)


def made() -> dict[str, Any]:
    log = Log([entry(number) for number in range(8)], signer())
    vectors = []
    with tempfile.TemporaryDirectory() as place:
        for number, (name, (start, end, step)) in enumerate(NAMES.items()):
            directory = Path(place) / str(number)
            log.bundle(directory, start, end, keep=partial(kept, step) if step else None)
            files = {file.name: file.read_bytes().decode() for file in sorted(directory.iterdir())}
            vectors.append({"name": name, "files": files})
    checkpoint = parse(log.checkpoint(7))
    cosigned = Note(checkpoint.text, (*checkpoint.signatures, WITNESS.cosign(checkpoint.text, 1_772_366_400)))
    return {
        "format": "voxgov export bundle, version 1 (docs/auditing.md)",
        "key": log.signer.verifier.vkey,
        "secret_key": log.signer.skey,
        "bundles": vectors,
        "earlier_checkpoint": log.checkpoint(5).decode(),
        "cosigned_checkpoint": cosigned.encode().decode(),
        "witness_key": WITNESS.witness.vkey,
    }


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(made(), indent=1, ensure_ascii=False) + "\n")
