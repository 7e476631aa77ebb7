"""The signed certificate of a carried-out shred order: which keys are gone, how many files went with them, and when.

Canonical JSON (RFC 8785) under Ed25519 (RFC 8032); whoever has the public key from elsewhere can check it without this service.
No Django here.
"""

import base64
from collections.abc import Callable, Mapping
from typing import Any, Final

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from vault.errors import VaultError

VERSION: Final = 1
_LABEL: Final = b"voxgov/v1/shred-certificate\n"


class CertificateInvalid(VaultError):
    """A certificate does not carry a valid signature by the expected key."""

    code = "certificate_invalid"


def signed(body: Mapping[str, Any], public_key: bytes, sign: Callable[[bytes], bytes]) -> dict[str, Any]:
    """The certificate: `body` with the version, the public key and the signature over both."""
    whole = {**body, "version": VERSION, "public_key": base64.b64encode(public_key).decode()}
    return {**whole, "signature": base64.b64encode(sign(_message(whole))).decode()}


def verify(certificate: Mapping[str, Any], public_key: bytes) -> None:
    """Raises `CertificateInvalid`."""
    body = {name: value for name, value in certificate.items() if name != "signature"}
    try:
        if base64.b64decode(body["public_key"], validate=True) != public_key or body["version"] != VERSION:
            raise CertificateInvalid("the certificate is by another key, or of another version")
        signature = base64.b64decode(certificate["signature"], validate=True)
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, _message(body))
    except (InvalidSignature, KeyError, TypeError, ValueError) as error:
        raise CertificateInvalid("the certificate's signature does not verify") from error


def _message(body: Mapping[str, Any]) -> bytes:
    return _LABEL + rfc8785.dumps(dict(body))
