"""`proofs.json`: that the tree at the end of a bundle's range extends the one at its start, and how to carry on from there.

`consistency` is the RFC 6962 proof between the two checkpoints. `frontier` are the perfect subtrees of the leaves before the range,
largest first: with them the root is computed over the whole range, from its own entries. Both are empty at the log's start.
"""

import json
from dataclasses import dataclass
from typing import Final

from audit.errors import BundleInvalid
from audit.export.manifest import PROOFS, strict_json
from audit.tlog.proof import decode_hashes, encode_hashes

MAX_PROOFS_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Proofs:
    consistency: tuple[bytes, ...]
    frontier: tuple[bytes, ...]

    def encode(self) -> bytes:
        body = {"consistency": encode_hashes(self.consistency), "frontier": encode_hashes(self.frontier)}
        return (json.dumps(body, indent=1) + "\n").encode()


def parse(data: bytes) -> Proofs:
    """Reads the file; what it proves is for the verifier. Raises `BundleInvalid`, `ProofInvalid`."""
    try:
        body = strict_json(data, {"consistency", "frontier"})
        for hashes in body.values():
            if type(hashes) is not list or any(type(one) is not str for one in hashes):
                raise ValueError("hashes are a list of texts")
    except ValueError as error:
        raise BundleInvalid(f"{PROOFS}: {error}") from error
    return Proofs(decode_hashes(body["consistency"]), decode_hashes(body["frontier"]))
