"""A second, independent writer and reader of the sealed format, from docs/sealed-format.md and C2SP chunked-encryption alone: it
shares no code with `vault`. It makes docs/vectors/sealed-format.json (`python -m tests.vault.reference`)."""

import hashlib
import hmac
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VECTORS = Path(__file__).resolve().parents[2] / "docs" / "vectors" / "sealed-format.json"
CHUNK = 16384


def hkdf_expand(key: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869, section 2.3, with SHA-512."""
    output = block = b""
    number = 1
    while len(output) < length:
        block = hmac.digest(key, block + info + bytes([number]), "sha512")
        output += block
        number += 1
    return output[:length]


def prefixed(part: bytes) -> bytes:
    return len(part).to_bytes(4, "big") + part


def context_bytes(context: Mapping[str, Any], key_ids: Sequence[bytes]) -> bytes:
    subjects = sorted(context["subjects"])
    return (
        prefixed(b"\x01")
        + prefixed(context["organization"].encode())
        + prefixed(len(subjects).to_bytes(4, "big"))
        + b"".join(prefixed(subject.encode()) for subject in subjects)
        + b"".join(prefixed(context[name].encode()) for name in ("scope", "kind", "field", "object_code"))
        + prefixed(len(key_ids).to_bytes(4, "big"))
        + b"".join(prefixed(key_id) for key_id in key_ids)
    )


def input_key(keys: Sequence[bytes]) -> bytes:
    if len(keys) == 1:
        return keys[0]
    extracted = hmac.digest(bytes(64), b"".join(prefixed(key) for key in keys), "sha512")
    return hkdf_expand(extracted, b"voxgov/v1/several", 32)


def body_bytes(kind: str, plaintext: bytes) -> bytes:
    if kind != "result":
        return plaintext
    stream = zlib.compress(plaintext, 6)
    size = len(stream)
    exponent = size.bit_length() - 1
    low = exponent - exponent.bit_length()
    padded = -(-size >> low) << low
    return stream + bytes(padded - size)


def chunked(key: bytes, context: bytes, salt: bytes, message: bytes) -> bytes:
    derived = hkdf_expand(key, b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00" + salt + context, 76)
    aead, base, commitment = AESGCM(derived[:32]), derived[32:44], derived[44:]
    sealed = salt + commitment
    for number in range(len(message) // CHUNK + 1):
        nonce = bytes(a ^ b for a, b in zip(base, number.to_bytes(12, "big"), strict=True))
        sealed += aead.encrypt(nonce, message[number * CHUNK : (number + 1) * CHUNK], None)
    return sealed


def seal(keys: Mapping[bytes, bytes], context: Mapping[str, Any], salt: bytes, plaintext: bytes) -> bytes:
    ids = sorted(keys)
    header = bytes([1, len(ids)]) + b"".join(ids)
    key = input_key([keys[key_id] for key_id in ids])
    return header + chunked(key, context_bytes(context, ids), salt, body_bytes(context["kind"], plaintext))


def pattern(length: int) -> bytes:
    """The plaintext of the vectors: SHA-512 of each block number (8 bytes, big-endian), cut to length."""
    return b"".join(hashlib.sha512(n.to_bytes(8, "big")).digest() for n in range(length // 64 + 1))[:length]


def make_vectors() -> dict[str, Any]:
    one = {
        "organization": "org",
        "subjects": [],
        "scope": "work",
        "kind": "recording",
        "field": "r",
        "object_code": "b",
    }
    several = {**one, "subjects": ["zoë", "adam"], "scope": "audio.store"}
    result = {**several, "scope": "speech.transcribe", "kind": "result", "field": "sealed"}
    cases = [(f"one key, {length} bytes", one, 1, length) for length in (0, 1, 200, 16383, 16384, 16385, 49152)]
    cases += [("three keys, 1000 bytes", several, 3, 1000), ("two keys, 16384 bytes", several, 2, 16384)]
    cases += [("a result, compressed and padded, 3000 bytes", result, 2, 3000)]
    made = []
    for number, (name, context, count, length) in enumerate(cases):
        keys = {
            hashlib.sha256(f"id {number} {i}".encode()).digest()[:16]: hashlib.sha256(
                f"k {number} {i}".encode()
            ).digest()
            for i in range(count)
        }
        salt = hashlib.sha256(f"salt {number}".encode()).digest()[:24]
        plaintext = b"all work and no play " * 150 if context["kind"] == "result" else pattern(length)
        sealed = seal(keys, context, salt, plaintext[:length])
        made.append(
            {
                "name": name,
                "keys": {key_id.hex(): key.hex() for key_id, key in sorted(keys.items())},
                "context": context,
                "salt": salt.hex(),
                "plaintext_size": length,
                "plaintext_sha256": hashlib.sha256(plaintext[:length]).hexdigest(),
                **({"plaintext": plaintext[:length].hex()} if length <= 1000 or context["kind"] == "result" else {}),
                "sealed_size": len(sealed),
                "sealed_sha256": hashlib.sha256(sealed).hexdigest(),
                "sealed_start": sealed[: 2 + 16 * count + 56 + 16].hex(),
                **({"sealed": sealed.hex()} if len(sealed) < 2000 else {}),
            }
        )
    return {
        "format": "voxgov sealed format, version 1 (docs/sealed-format.md)",
        "plaintext": "Where it is not given: SHA-512 of the block number (8 bytes, big-endian) for each 64 bytes, cut to size.",
        "vectors": made,
    }


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(make_vectors(), indent=1, ensure_ascii=False) + "\n")
