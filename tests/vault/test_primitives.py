"""Published Wycheproof vectors for the primitives that the vault rests on, through the same library calls."""

import hmac
import json
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from tests.vault.reference import VECTORS

PUBLISHED: dict[str, list[dict[str, Any]]] = json.loads((VECTORS.parent / "wycheproof.json").read_text())


def published(name: str) -> list[dict[str, Any]]:
    [tests] = [tests for key, tests in PUBLISHED.items() if key.startswith(name)]
    return tests


def test_aes_256_gcm() -> None:
    tests = published("aes_gcm")
    for test in tests:
        key, nonce, aad, message, ciphertext, tag = (
            bytes.fromhex(test[name]) for name in ("key", "iv", "aad", "msg", "ct", "tag")
        )
        if test["result"] == "valid":
            assert AESGCM(key).encrypt(nonce, message, aad) == ciphertext + tag, test["tcId"]
            assert AESGCM(key).decrypt(nonce, ciphertext + tag, aad) == message, test["tcId"]
        else:
            with pytest.raises(InvalidTag):
                AESGCM(key).decrypt(nonce, ciphertext + tag, aad)
    assert len(tests) == 66


def test_hkdf_sha512() -> None:
    tests = published("hkdf")
    for test in tests:
        material, salt, info = (bytes.fromhex(test[name]) for name in ("ikm", "salt", "info"))
        if test["result"] == "valid":
            derived = HKDF(algorithm=SHA512(), length=test["size"], salt=salt, info=info).derive(material)
            assert derived.hex() == test["okm"], test["tcId"]
            extracted = hmac.digest(salt or bytes(64), material, "sha512")
            expanded = HKDFExpand(algorithm=SHA512(), length=test["size"], info=info).derive(extracted)
            assert expanded.hex() == test["okm"], test["tcId"]
        else:
            with pytest.raises(ValueError, match="larger than 16320"):
                HKDF(algorithm=SHA512(), length=test["size"], salt=salt, info=info)
    assert len(tests) == 21


def test_hmac_sha256() -> None:
    tests = published("hmac")
    for test in tests:
        made = hmac.new(bytes.fromhex(test["key"]), bytes.fromhex(test["msg"]), "sha256").hexdigest()
        assert (made == test["tag"]) == (test["result"] == "valid"), test["tcId"]
    assert len(tests) == 81
