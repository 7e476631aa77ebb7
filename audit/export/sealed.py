"""A bundle sealed to one auditor's public key, so that it can travel by any way. In flat memory, both ways.

    voxgov-sealed/v1 LF | HPKE: encapsulated key (32) and sealed data key (32 + 16) | C2SP chunked encryption of the .zip

HPKE (RFC 9180, base mode: X25519, HKDF-SHA256, AES-256-GCM) carries a fresh data key; Cobblestone-256 (https://c2sp.org/chunked-encryption)
carries the bundle under it, and notices when the end is cut off. Who made the bundle is proved by its signatures, not by the seal.
"""

import base64
from typing import IO, Any, Final

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from audit.errors import BundleInvalid, CheckImpossible, KeyInvalid
from audit.tlog.notes import decode_base64

MAGIC: Final = b"voxgov-sealed/v1\n"
PUBLIC_PREFIX: Final = "voxgov-auditor-v1:"
SECRET_PREFIX: Final = "VOXGOV-AUDITOR-SECRET-V1:"  # noqa: S105 (a prefix, not a secret)
_INFO: Final = b"voxgov/v1/export"
_KEY_BYTES: Final = 32
_SEALED_KEY_BYTES: Final = 32 + _KEY_BYTES + 16
_CHUNK: Final = 1 << 20


def new_key() -> tuple[str, str]:
    """A fresh key pair for an auditor: the secret key's text, and the public key's to hand out."""
    private = X25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    return (
        SECRET_PREFIX + base64.b64encode(private.private_bytes_raw()).decode(),
        PUBLIC_PREFIX + base64.b64encode(public).decode(),
    )


def seal(source: IO[bytes], target: IO[bytes], public_key: str) -> None:
    """Seals everything in `source` to the auditor's public key. Raises `KeyInvalid`, `CheckImpossible`."""
    hpke, chunked = _library()
    recipient = X25519PublicKey.from_public_bytes(_decode_key(public_key, PUBLIC_PREFIX))
    data_key = chunked.Cobblestone256Encryptor.generate_key()
    header = MAGIC + _suite(hpke).encrypt(data_key, recipient, info=_INFO)
    encryptor = chunked.Cobblestone256Encryptor(data_key, header)
    target.write(header)
    while chunk := source.read(_CHUNK):
        target.write(encryptor.update(chunk))
    target.write(encryptor.finalize())


def unseal(source: IO[bytes], target: IO[bytes], secret_key: str) -> None:
    """Opens a sealed bundle into `target`, of which nothing may be used before this returned.

    Raises `BundleInvalid` if it is damaged or sealed to somebody else, `KeyInvalid`, `CheckImpossible`.
    """
    hpke, chunked = _library()
    private = X25519PrivateKey.from_private_bytes(_decode_key(secret_key, SECRET_PREFIX))
    header = source.read(len(MAGIC) + _SEALED_KEY_BYTES)
    if not header.startswith(MAGIC) or len(header) != len(MAGIC) + _SEALED_KEY_BYTES:
        raise BundleInvalid("not a sealed bundle of version 1")
    try:
        data_key = _suite(hpke).decrypt(header[len(MAGIC) :], private, info=_INFO)
    except (InvalidTag, ValueError) as error:
        raise BundleInvalid("the bundle is sealed to another key, or its header is damaged") from error
    try:
        decryptor = chunked.Cobblestone256Decryptor(data_key, header)
        while chunk := source.read(_CHUNK):
            target.write(decryptor.update(chunk))
        target.write(decryptor.finalize())
    except (InvalidTag, ValueError) as error:
        raise BundleInvalid("the sealed bundle is damaged or cut short") from error


def is_sealed(start: bytes) -> bool:
    """Whether a file that begins so is a sealed bundle."""
    return start.startswith(MAGIC)


def require_public_key(text: str) -> str:
    """An auditor's public key as it is handed out. Raises `KeyInvalid`."""
    _decode_key(text, PUBLIC_PREFIX)
    return text


def _decode_key(text: str, prefix: str) -> bytes:
    try:
        if not text.startswith(prefix):
            raise ValueError
        key = decode_base64(text.removeprefix(prefix))
        if len(key) != _KEY_BYTES:
            raise ValueError
    except ValueError:
        raise KeyInvalid(f"not an auditor's key: it begins with {prefix}") from None
    return key


def _suite(hpke: Any) -> Any:
    return hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def _library() -> tuple[Any, Any]:
    """Only sealed bundles need these, and older releases of the library, which can check all the rest, lack them."""
    try:
        from cryptography import cobblestone  # noqa: PLC0415
        from cryptography.hazmat.primitives import hpke  # noqa: PLC0415
    except (ImportError, UnsupportedAlgorithm) as error:
        raise CheckImpossible("sealed bundles need a newer release of the package cryptography") from error
    return hpke, cobblestone
