"""The signed receipt of a consent or of its end, and its offline verifier: `python -m consent.receipt FILE --key KEY`. No Django.

A receipt file is canonical JSON (RFC 8785) of two members: `receipt`, what is said, and `signature`, Ed25519 (RFC 8032) over a
label and the canonical form of `receipt`. The key's id is its JWK thumbprint (RFC 7638, RFC 8037). The public key travels along,
and counts for nothing unless KEY, which comes from elsewhere, says that it is the right one: the key's id, the key itself, or a
file with the key set that the service publishes at `/.well-known/voxgov-receipts.json`.
"""

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

VERSION: Final = 1
ALGORITHM: Final = "Ed25519"
_LABEL: Final = b"voxgov/v1/consent-receipt\n"
_MOST: Final = 1024 * 1024
"""Bytes of the largest receipt that is read."""


class ReceiptInvalid(ValueError):
    """The file is no receipt, was altered, or was signed by another key."""


def signed(body: Mapping[str, Any], public_key: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """The receipt file: the body with its version, under a signature."""
    receipt = {**body, "version": VERSION}
    return _canonical(
        {
            "receipt": receipt,
            "signature": {
                "algorithm": ALGORITHM,
                "key_id": key_id(public_key),
                "public_key": _encode(public_key),
                "value": _encode(sign(_LABEL + _canonical(receipt))),
            },
        }
    )


def verify(file: bytes, trusted: Sequence[str]) -> dict[str, Any]:
    """The receipt, if it was signed by one of the trusted keys (each an id or a public key in base64url). Raises
    `ReceiptInvalid`."""
    try:
        whole = json.loads(file.decode("utf-8"), object_pairs_hook=_named_once)
        receipt, signature = whole["receipt"], whole["signature"]
        public_key = _decode(signature["public_key"])
        if (
            set(whole) != {"receipt", "signature"}
            or receipt["version"] != VERSION
            or signature["algorithm"] != ALGORITHM
        ):
            raise ReceiptInvalid("this is no receipt of a version that is known here")
        if signature["key_id"] != key_id(public_key):
            raise ReceiptInvalid("the key is not the one whose id is named")
        if not {key_id(public_key), _encode(public_key)} & {_plain(key) for key in trusted}:
            raise ReceiptInvalid(f"it was signed by the key {key_id(public_key)}, which is not trusted here")
        if file.strip() != _canonical(whole):
            raise ReceiptInvalid("the file is not in canonical form")
        Ed25519PublicKey.from_public_bytes(public_key).verify(_decode(signature["value"]), _LABEL + _canonical(receipt))
    except InvalidSignature:
        raise ReceiptInvalid("the signature does not verify: the receipt was altered") from None
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        if isinstance(error, ReceiptInvalid):
            raise
        raise ReceiptInvalid("this is no receipt") from None
    return dict(receipt)


def key_id(public_key: bytes) -> str:
    """RFC 7638 thumbprint of the key as a JWK (RFC 8037, appendix A.3), base64url."""
    required = {"crv": ALGORITHM, "kty": "OKP", "x": _encode(public_key)}
    return _encode(hashlib.sha256(_canonical(required)).digest())


def key_set(public_keys: Sequence[bytes]) -> dict[str, Any]:
    """What is published: the keys as a JWK set (RFC 7517)."""
    return {
        "keys": [
            {
                "kty": "OKP",
                "crv": ALGORITHM,
                "x": _encode(key),
                "kid": key_id(key),
                "use": "sig",
                "alg": "EdDSA",
            }
            for key in public_keys
        ]
    }


def keys_of(argument: str) -> list[str]:
    """The trusted keys that a command line names: a key, its id, or a file that holds a JWK or a JWK set. Raises
    `ReceiptInvalid`."""
    path = Path(argument)
    if not path.is_file():
        return [argument]
    try:
        found = json.loads(path.read_text())
        listed = found.get("keys", [found])
        return [str(key["x"]) for key in listed if key["kty"] == "OKP" and key["crv"] == ALGORITHM]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ReceiptInvalid(f"{argument} holds no key") from None


def summary(receipt: Mapping[str, Any]) -> list[str]:
    """What a receipt says, in a few lines."""
    lines = [f"receipt   {receipt['receipt_id']}", f"about     {receipt['type']}", f"issued    {receipt['issued_at']}"]
    if receipt["type"] == "consent":
        record = receipt["record"]
        lines.append(f"record    {record['record_id']}")
        lines += [f"scope     {scope['scope']}: {scope['state']} since {scope['since']}" for scope in record["scopes"]]
    else:
        lines.append(f"ended     {receipt['at']}, {receipt['cause']}")
        lines += [f"closed    {item['scope']}: {item['state']}" for item in receipt["closed"]]
        for order in receipt["destruction"]:
            gone = order["done_at"] or "under way"
            lines.append(f"destroyed {gone}; backups open nothing from {order['unrecoverable_from'] or '-'} on")
    return lines


def _joined(arguments: Sequence[str]) -> list[str]:
    """A key in base64url may begin with a dash, and is no option for that."""
    found: list[str] = []
    for argument in arguments:
        if found and found[-1] == "--key":
            found[-1] = f"--key={argument}"
        else:
            found.append(argument)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """0: valid. 1: not valid. 2: cannot be read."""
    parser = argparse.ArgumentParser(
        prog="python -m consent.receipt", description="Checks a receipt without the service that signed it."
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the receipt as it was downloaded")
    parser.add_argument(
        "--key", required=True, help="the key's id, the public key in base64url, or a file with the published key set"
    )
    given = parser.parse_args(_joined(sys.argv[1:] if arguments is None else arguments))
    try:
        with given.file.open("rb") as file:
            content = file.read(_MOST + 1)
    except OSError as error:
        print(f"{given.file} cannot be read: {error.strerror}", file=sys.stderr)
        return 2
    try:
        if len(content) > _MOST:
            raise ReceiptInvalid("the file is too large for a receipt")
        receipt = verify(content, keys_of(given.key))
    except ReceiptInvalid as error:
        print(f"NOT VALID: {error}", file=sys.stderr)
        return 1
    print("\n".join(["VALID", *summary(receipt)]))
    return 0


def _canonical(value: Any) -> bytes:
    return rfc8785.dumps(value)


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _decode(text: str) -> bytes:
    """One text for one value: the bits that base64 leaves over must be zero."""
    value = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _encode(value) != text:
        raise ReceiptInvalid("base64url in another form")
    return value


def _plain(key: str) -> str:
    """Base64 in either alphabet, with or without padding, as base64url without."""
    return key.strip().rstrip("=").replace("+", "-").replace("/", "_")


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ReceiptInvalid("a member is named twice")
    return found


if __name__ == "__main__":
    sys.exit(main())
