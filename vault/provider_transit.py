"""The key provider in HashiCorp Vault's Transit secrets engine, or in a server that speaks the same calls, such as OpenBao. The
keys never leave it; each epoch is a Transit key of its own, named `PREFIX-epoch-N`. No Django here.

The calls are those of https://developer.hashicorp.com/vault/api-docs/secret/transit, with `associated_data`, which servers know
since Vault 1.13.
"""

import base64
import re
import ssl
import time
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from vault.deadline import Deadline
from vault.errors import ProviderUnavailable, ProviderWrongKey
from vault.format import InputKey
from vault.named_keys import BLIND, KeyUse, NamedKeys, epoch_name, signing_name
from vault.provider import STANDING
from vault.transport import Answer, Call, Hidden, Transport

_TYPES: Final[Mapping[KeyUse, str]] = {
    KeyUse.WRAP: "aes256-gcm96",
    # Every Transit key has an HMAC key beside its own.
    KeyUse.BLIND: "aes256-gcm96",
    KeyUse.SIGN: "ed25519",
}
_VERSION: Final = 1
"""Of the blind and signing keys. Somebody who rotates one in Transit would otherwise change every blind index."""

_CIPHERTEXT: Final = re.compile(rb"vault:v[1-9][0-9]*:[A-Za-z0-9+/]+={0,2}")
"""Stricter than Transit, which also takes version 0 for 1."""

_NOT_ITS_CIPHERTEXT: Final = ("invalid ciphertext", "message authentication failed")
"""In what Transit says to a ciphertext that is not the key's, was altered, or is bound to something else."""

_THROTTLED: Final = 429
_PAUSE: Final = 0.2
_TROUBLE: Final[Mapping[int, str]] = {
    _THROTTLED: "Transit is asked too much",
    503: "Vault is sealed or in maintenance",
}


class Token:
    """Vault's token: given once, or kept in a file that is read again whenever it changed, as agents renew it."""

    def __init__(self, value: str = "", file: Path | None = None) -> None:
        self._value = value
        self._file = file
        self._stamp: tuple[int, int, int] | None = None

    def __repr__(self) -> str:
        return "Token(...)"

    def read(self) -> str:
        """Raises `ProviderUnavailable`."""
        if self._file is not None:
            try:
                status = self._file.stat()
                stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
                if stamp != self._stamp:
                    self._value, self._stamp = self._file.read_text("ascii").strip(), stamp
            except (OSError, UnicodeDecodeError):
                self._value, self._stamp = "", None
        if not self._value or not self._value.isprintable() or not self._value.isascii():
            raise ProviderUnavailable("there is no token for Vault")
        return self._value


class TransitProvider(NamedKeys):
    """`address` is Vault's, without a path. May be shared by threads."""

    deletion_delay = timedelta(0)

    def __init__(
        self,
        address: str,
        token: Token,
        *,
        prefix: str = "voxgov",
        mount: str = "transit",
        namespace: str = "",
        certificates: Path | None = None,
        patience: timedelta = timedelta(seconds=5),
    ) -> None:
        super().__init__(patience)
        self._base = f"{address.rstrip('/')}/v1/{mount.strip('/')}"
        self._token = token
        self._prefix = prefix
        self._more = {"X-Vault-Request": "true", **({"X-Vault-Namespace": namespace} if namespace else {})}
        try:
            trust = ssl.create_default_context(cafile=certificates)
        except OSError as error:
            raise ProviderUnavailable(f"the certificates for Vault cannot be read: {error.strerror}") from error
        self._transport = Transport(trust)
        self._public_keys: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return "TransitProvider(...)"

    def ensure(self) -> bool:
        made = super().ensure()
        self._require_binding()
        return made

    def wrap(self, epoch: int, key: InputKey, binding: bytes) -> bytes:
        deadline = self._deadline()
        answer = self._ask(
            "POST",
            f"encrypt/{self._named(epoch_name(epoch))}",
            deadline,
            Hidden.of_json(
                {
                    "plaintext": _encoded(key.reveal()),
                    "associated_data": _encoded(binding),
                    # A token that may create keys would here bring a destroyed one back under its name. What this asks for is
                    # heeded only when a key is created, and cannot be had.
                    "convergent_encryption": True,
                }
            ),
        )
        if answer.status != 200:
            raise self._why_unusable(epoch, deadline) or _refused(answer)
        ciphertext = (answer.text("data", "ciphertext") or "").encode()
        return ciphertext if _CIPHERTEXT.fullmatch(ciphertext) else _nonsense()

    def unwrap(self, epoch: int, wrapped: bytes, binding: bytes) -> InputKey:
        if not _CIPHERTEXT.fullmatch(wrapped):
            raise ProviderWrongKey("a wrapped key is not Transit's")
        deadline = self._deadline()
        answer = self._ask(
            "POST",
            f"decrypt/{self._named(epoch_name(epoch))}",
            deadline,
            Hidden.of_json({"ciphertext": wrapped.decode("ascii"), "associated_data": _encoded(binding)}),
        )
        if answer.status == 200:
            return answer.key("data", "plaintext") or _nonsense()
        unusable = self._why_unusable(epoch, deadline)
        if unusable is None and _complains(answer, *_NOT_ITS_CIPHERTEXT):
            unusable = ProviderWrongKey("a wrapped key does not open under its epoch at this provider")
        raise unusable or _refused(answer)

    def blind(self, message: bytes) -> bytes:
        """Of the message's SHA-256: what is looked for does not leave this machine."""
        answer = self._ask(
            "POST",
            f"hmac/{self._named(BLIND)}/sha2-256",
            self._deadline(),
            Hidden.of_json({"input": _encoded(sha256(message).digest()), "key_version": _VERSION}),
        )
        return _versioned(answer, "hmac", size=32)

    def sign(self, purpose: str, message: bytes) -> bytes:
        deadline = self._deadline()
        public_key = self._public_key(purpose, deadline)
        answer = self._ask(
            "POST",
            f"sign/{self._named(signing_name(purpose))}",
            deadline,
            Hidden.of_json({"input": _encoded(message), "key_version": _VERSION}),
        )
        signature = _versioned(answer, "signature", size=64)
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
        except InvalidSignature:
            # The key may have been made anew since its public half was asked for.
            self._public_keys.pop(purpose, None)
            raise ProviderUnavailable("Transit signed with another key than the one it shows") from None
        return signature

    def public_key(self, purpose: str) -> bytes:
        return self._public_key(purpose, self._deadline())

    def _public_key(self, purpose: str, deadline: Deadline) -> bytes:
        known = self._public_keys.get(purpose)
        if known is None:
            answer = self._ask("GET", f"keys/{self._named(signing_name(purpose))}", deadline)
            if answer.status != 200:
                raise _refused(answer)
            known = answer.data("data", "keys", str(_VERSION), "public_key", size=32) or _nonsense()
            self._public_keys[purpose] = known
        return known

    def _there(self, deadline: Deadline) -> Mapping[str, bool]:
        answer = self._ask("LIST", "keys", deadline)
        # No keys at all is "not found" with nothing to say; an engine that is not there has something to say.
        names = answer.texts("errors") if answer.status == 404 else answer.texts("data", "keys")
        if answer.status not in (200, 404) or (answer.status == 404 and names):
            raise _refused(answer)
        if names is None:
            _nonsense()
        start = self._named("")
        return {name.removeprefix(start): True for name in names if name.startswith(start)}

    def _make(self, name: str, use: KeyUse) -> None:
        answer = self._ask("POST", f"keys/{self._named(name)}", self._deadline(), Hidden.of_json(_settings(use)))
        if answer.status not in (200, 204):
            raise _refused(answer)
        # Where a key had this name meanwhile, it stayed as it was.
        self._require_sound(name, use)

    def _require_sound(self, name: str, use: KeyUse) -> None:
        answer = self._ask("GET", f"keys/{self._named(name)}", self._deadline())
        if answer.status != 200:
            raise _refused(answer)
        if any(answer.value("data", setting) != value for setting, value in _settings(use).items()):
            raise ProviderUnavailable(f"the Transit key for {name} can be taken out of Vault, or is of another kind")

    def _destroy(self, name: str) -> None:
        path, deadline = f"keys/{self._named(name)}", self._deadline()
        allowed = self._ask("POST", f"{path}/config", deadline, Hidden.of_json({"deletion_allowed": True}))
        deleted = self._ask("DELETE", path, deadline)
        if name in self._there(deadline):
            refused = [answer for answer in (allowed, deleted) if answer.status >= 400]
            raise _refused(refused[0]) if refused else ProviderUnavailable("Transit still has a key that it deleted")

    def _require_binding(self) -> None:
        """A server that does not know `associated_data` ignores it, and would open a key for anybody."""
        wrapped = self.wrap(STANDING, InputKey.fresh(), b"one")
        try:
            self.unwrap(STANDING, wrapped, b"another")
        except ProviderWrongKey:
            return
        raise ProviderUnavailable("this Vault does not bind keys to their owners: it must be 1.13 or newer")

    def _named(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    def _ask(self, method: str, path: str, deadline: Deadline, body: Hidden | None = None) -> Answer:
        """An answer that is Vault's own: done (200, 204) or refused (400, 403, 404). Raises `ProviderUnavailable`."""
        answer = self._send(method, path, deadline, body)
        if answer.status == _THROTTLED and deadline.left > _PAUSE:
            time.sleep(_PAUSE)
            answer = self._send(method, path, deadline, body)
        if answer.status in (200, 204) or (
            answer.status in (400, 403, 404, 500) and answer.texts("errors") is not None
        ):
            return answer
        raise ProviderUnavailable(
            _TROUBLE.get(answer.status, f"Vault answers with {answer.status}, or something in its place does")
        )

    def _send(self, method: str, path: str, deadline: Deadline, body: Hidden | None) -> Answer:
        return self._transport.send(
            Call(method, f"{self._base}/{path}", {"X-Vault-Token": self._token.read(), **self._more}, body), deadline
        )


def _settings(use: KeyUse) -> Mapping[str, object]:
    """Of a key that never leaves Vault."""
    return {"type": _TYPES[use], "exportable": False, "allow_plaintext_backup": False, "derived": False}


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _versioned(answer: Answer, field: str, *, size: int) -> bytes:
    """`vault:v1:BASE64`, of so many bytes."""
    if answer.status != 200:
        raise _refused(answer)
    return answer.data("data", field, after=f"vault:v{_VERSION}:", size=size) or _nonsense()


def _complains(answer: Answer, *about: str) -> bool:
    return answer.status == 400 and any(word in said for said in answer.texts("errors") or () for word in about)


def _refused(answer: Answer) -> ProviderUnavailable:
    if answer.status == 403:
        return ProviderUnavailable("Vault refuses the token, or its policy does not allow this call")
    if answer.status == 404 or _complains(answer, "key not found"):
        return ProviderUnavailable("Transit has not this key, or is not where it should be: run `manage.py vault init`")
    return ProviderUnavailable(f"Transit refuses the call ({answer.status})")


def _nonsense() -> NoReturn:
    raise ProviderUnavailable("Transit answers what makes no sense")
