"""What sealed data is bound to. A context is authenticated, never stored: who opens must already know it. No Django here."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

FORMAT_VERSION = 1
_length = struct.Struct(">I").pack


@dataclass(frozen=True, slots=True)
class Context:
    """Where a piece of sealed data belongs. Moved to another row, field, tenant, subject or scope, it does not open."""

    organization: str
    subjects: tuple[str, ...]
    scope: str
    kind: str
    field: str
    object_code: str

    def encode(self, key_ids: Sequence[bytes], version: int = FORMAT_VERSION) -> bytes:
        """Every part length-prefixed (4 bytes, big-endian), tuples prefixed by their count: one encoding per context."""
        encoded = []
        for part in (
            bytes((version,)),
            self.organization.encode(),
            _length(len(self.subjects)),
            *[subject.encode() for subject in sorted(self.subjects)],
            self.scope.encode(),
            self.kind.encode(),
            self.field.encode(),
            self.object_code.encode(),
            _length(len(key_ids)),
            *key_ids,
        ):
            encoded.append(_length(len(part)))
            encoded.append(part)
        return b"".join(encoded)
