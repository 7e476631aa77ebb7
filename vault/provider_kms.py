"""The key provider in AWS KMS. Each epoch is a symmetric KMS key of its own under the alias `alias/PREFIX/epoch-N`; destroying it
disables the key at once and schedules its deletion. No Django here.

The calls are those of https://docs.aws.amazon.com/kms/latest/APIReference/. botocore finds the credentials and signs; the calls
go out through `vault.transport`, because botocore's client has no limit for a whole call, prints bodies at level DEBUG and
holds plaintext keys in the frames that its exceptions show.
"""

import base64
import logging
import ssl
import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final, NoReturn

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError
from botocore.session import Session
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.deadline import Deadline, within
from vault.errors import ProviderUnavailable, ProviderWrongKey, VaultError
from vault.format import InputKey
from vault.named_keys import BLIND, KeyUse, NamedKeys, epoch_name, signing_name
from vault.transport import Answer, Call, Hidden, Transport

# At DEBUG botocore prints the answers of the token service, credentials included, and the tokens that it signs with.
for _talkative in ("botocore.auth", "botocore.endpoint", "botocore.parsers"):
    logging.getLogger(_talkative).setLevel(logging.INFO)

DELETION_DAYS: Final = range(7, 31)
"""What KMS takes for `PendingWindowInDays`."""

_SPECS: Final[Mapping[KeyUse, tuple[str, str]]] = {
    KeyUse.WRAP: ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
    KeyUse.BLIND: ("HMAC_256", "GENERATE_VERIFY_MAC"),
    KeyUse.SIGN: ("HMAC_256", "GENERATE_VERIFY_MAC"),
}
_SEED: Final = b"voxgov/v1/ed25519-seed/"
_MAX_CIPHERTEXT: Final = 6144
"""Bytes that KMS takes; it would call more, or none, a malformed request and not a wrong ciphertext."""

_LEAVING: Final = ("PendingDeletion", "PendingReplicaDeletion")
_GONE: Final = ("Disabled", *_LEAVING)
"""States of a key that counts as destroyed: KMS uses it for nothing."""

_UNUSABLE: Final = ("NotFoundException", "DisabledException", "KMSInvalidStateException")
_NOT_ITS_CIPHERTEXT: Final = ("InvalidCiphertextException", "IncorrectKeyException")
_THROTTLED: Final = ("ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException")
_PAUSE: Final = 0.2


class KmsProvider(NamedKeys):
    """`endpoint` is an address other than the region's own, such as that of a private link. May be shared by threads."""

    def __init__(
        self,
        region: str,
        *,
        prefix: str = "voxgov",
        endpoint: str = "",
        deletion_days: int = DELETION_DAYS[0],
        certificates: Path | None = None,
        patience: timedelta = timedelta(seconds=5),
    ) -> None:
        super().__init__(patience)
        if deletion_days not in DELETION_DAYS:
            raise ValueError("KMS deletes a key after 7 to 30 days")
        self._region = region
        self._prefix = prefix
        self._days = deletion_days
        self.deletion_delay = timedelta(days=deletion_days)
        self._session = Session()
        self._url = endpoint or _endpoint(region)
        self._source: Credentials | None = None
        self._looking = threading.Lock()
        try:
            trust = ssl.create_default_context(cafile=certificates)
        except OSError as error:
            raise ProviderUnavailable(f"the certificates for KMS cannot be read: {error.strerror}") from error
        self._transport = Transport(trust)

    def __repr__(self) -> str:
        return "KmsProvider(...)"

    def wrap(self, epoch: int, key: InputKey, binding: bytes) -> bytes:
        deadline = self._deadline()
        answer = self._ask(
            "Encrypt",
            deadline,
            Hidden.of_json(
                {
                    "KeyId": self._alias(epoch_name(epoch)),
                    "Plaintext": _encoded(key.reveal()),
                    "EncryptionContext": _context(epoch, binding),
                }
            ),
        )
        if answer.status != 200:
            raise self._failure(answer, epoch, deadline)
        return answer.data("CiphertextBlob") or _nonsense()

    def unwrap(self, epoch: int, wrapped: bytes, binding: bytes) -> InputKey:
        if not 0 < len(wrapped) <= _MAX_CIPHERTEXT:
            raise ProviderWrongKey("a wrapped key is not KMS's")
        deadline = self._deadline()
        answer = self._ask(
            "Decrypt",
            deadline,
            Hidden.of_json(
                {
                    "KeyId": self._alias(epoch_name(epoch)),
                    "CiphertextBlob": _encoded(wrapped),
                    "EncryptionContext": _context(epoch, binding),
                }
            ),
        )
        if answer.status != 200:
            raise self._failure(answer, epoch, deadline)
        return answer.key("Plaintext") or _nonsense()

    def blind(self, message: bytes) -> bytes:
        """Of the message's SHA-256: what is looked for does not leave this machine."""
        return self._mac(BLIND, sha256(message).digest()).reveal()

    def sign(self, purpose: str, message: bytes) -> bytes:
        return self._signer(purpose).sign(message)

    def public_key(self, purpose: str) -> bytes:
        return self._signer(purpose).public_key().public_bytes_raw()

    def _signer(self, purpose: str) -> Ed25519PrivateKey:
        """The signing key, whose seed is a MAC by a KMS key and is kept nowhere. KMS has Ed25519 keys of its own, but signs
        no message over 4096 bytes with them."""
        seed = self._mac(signing_name(purpose), _SEED + purpose.encode())
        return Ed25519PrivateKey.from_private_bytes(seed.reveal())

    def _mac(self, name: str, message: bytes) -> InputKey:
        body = {"KeyId": self._alias(name), "MacAlgorithm": "HMAC_SHA_256", "Message": _encoded(message)}
        answer = self._ask("GenerateMac", self._deadline(), Hidden.of_json(body))
        if answer.status != 200:
            raise _refused(answer)
        return answer.key("Mac") or _nonsense()

    def _there(self, deadline: Deadline) -> Mapping[str, bool]:
        targets = self._targets(deadline)
        ends = {name: key for name, key in targets.items() if name != BLIND and not name.startswith("signing-")}
        return dict.fromkeys(targets, True) | {
            name: self._state(key, deadline) not in _GONE for name, key in ends.items()
        }

    def _make(self, name: str, use: KeyUse) -> None:
        deadline = self._deadline()
        spec, usage = _SPECS[use]
        made = self._done(
            "CreateKey",
            {
                "KeySpec": spec,
                "KeyUsage": usage,
                "Description": f"voxgov {self._prefix} {name}",
                "Tags": [{"TagKey": "voxgov", "TagValue": self._prefix}],
            },
            deadline,
        )
        key = made.text("KeyMetadata", "KeyId") or _nonsense()
        named = self._ask("CreateAlias", deadline, Hidden.of_json({"AliasName": self._alias(name), "TargetKeyId": key}))
        if named.status != 200:
            # Somebody else's key has the name already, or this one cannot have it: either way it serves nobody.
            self._done("ScheduleKeyDeletion", {"KeyId": key, "PendingWindowInDays": DELETION_DAYS[0]}, deadline)
            if _kind(named) != "AlreadyExistsException":
                raise _refused(named)

    def _require_sound(self, name: str, use: KeyUse) -> None:
        answer = self._done("DescribeKey", {"KeyId": self._alias(name)}, self._deadline())
        found = tuple(answer.text("KeyMetadata", field) for field in ("KeySpec", "KeyUsage", "Origin"))
        if found != (*_SPECS[use], "AWS_KMS"):
            raise ProviderUnavailable(f"the KMS key for {name} has a life outside KMS, or is of another kind")

    def _destroy(self, name: str) -> None:
        deadline = self._deadline()
        key = self._targets(deadline).get(name)
        if key is None:
            return
        if self._state(key, deadline) not in _GONE:
            # Before the deletion is asked for: should that be refused, the key is out of use all the same.
            self._done("DisableKey", {"KeyId": key}, deadline)
        if self._state(key, deadline) not in _LEAVING:
            self._done("ScheduleKeyDeletion", {"KeyId": key, "PendingWindowInDays": self._days}, deadline)
        if self._state(key, deadline) not in _LEAVING:
            raise ProviderUnavailable("KMS was told to delete a key and does not say that it will")
        # Last: by its alias a call that broke off is gone on with.
        self._done("DeleteAlias", {"AliasName": self._alias(name)}, deadline)

    def _targets(self, deadline: Deadline) -> Mapping[str, str]:
        """The ids of this installation's keys by name."""
        targets: dict[str, str] = {}
        page: dict[str, object] = {"Limit": 100}
        while True:
            answer = self._done("ListAliases", page, deadline)
            aliases = answer.value("Aliases")
            for alias in aliases if isinstance(aliases, list) else _nonsense():
                name, key = (
                    (alias.get("AliasName"), alias.get("TargetKeyId")) if isinstance(alias, dict) else (None, None)
                )
                if isinstance(name, str) and isinstance(key, str) and name.startswith(self._alias("")):
                    targets[name.removeprefix(self._alias(""))] = key
            if answer.value("Truncated") is not True:
                return targets
            page["Marker"] = answer.text("NextMarker") or _nonsense()

    def _state(self, key: str, deadline: Deadline) -> str:
        return self._done("DescribeKey", {"KeyId": key}, deadline).text("KeyMetadata", "KeyState") or _nonsense()

    def _failure(self, answer: Answer, epoch: int, deadline: Deadline) -> VaultError:
        if _kind(answer) in _NOT_ITS_CIPHERTEXT:
            return ProviderWrongKey("a wrapped key does not open under its epoch at this provider")
        unusable = self._why_unusable(epoch, deadline) if _kind(answer) in _UNUSABLE else None
        return unusable or _refused(answer)

    def _alias(self, name: str) -> str:
        return f"alias/{self._prefix}/{name}"

    def _done(self, operation: str, body: Mapping[str, object], deadline: Deadline) -> Answer:
        """For calls with nothing to hide. Raises `ProviderUnavailable` unless it was done."""
        answer = self._ask(operation, deadline, Hidden.of_json(body))
        if answer.status != 200:
            raise _refused(answer)
        return answer

    def _ask(self, operation: str, deadline: Deadline, body: Hidden) -> Answer:
        """An answer that is KMS's own: done (200), or refused for a reason. Raises `ProviderUnavailable`."""
        answer = self._transport.send(self._signed(operation, deadline, body), deadline)
        if _kind(answer) in _THROTTLED and deadline.left > _PAUSE:
            time.sleep(_PAUSE)
            answer = self._transport.send(self._signed(operation, deadline, body), deadline)
        if answer.status == 200 or _kind(answer):
            return answer
        raise ProviderUnavailable(f"KMS answers with {answer.status}, or something in its place does")

    def _signed(self, operation: str, deadline: Deadline, body: Hidden) -> Call:
        """AWS JSON 1.1, signed with version 4."""
        request = AWSRequest(
            "POST",
            self._url,
            headers={"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"TrentService.{operation}"},
            data=body.reveal(),
        )
        SigV4Auth(self._credentials(deadline), "kms", self._region).add_auth(request)
        return Call("POST", self._url, dict(request.headers.items()), body)

    def _credentials(self, deadline: Deadline) -> Credentials:
        """As they are now: those of a role change within hours. Raises `ProviderUnavailable`."""
        try:
            found = within(deadline.left, self._look_up)
        except TimeoutError:
            found = None
        if found is None:
            raise ProviderUnavailable("no AWS credentials are to be had")
        return found

    def _look_up(self) -> Credentials | None:
        try:
            with self._looking:
                if self._source is None:
                    self._source = self._session.get_credentials()
            frozen = None if self._source is None else self._source.get_frozen_credentials()
        except Exception:
            # The chain asks files, programs and services, and fails in all their ways; what it says may hold credentials.
            return None
        return None if frozen is None else Credentials(frozen.access_key, frozen.secret_key, frozen.token)


def _endpoint(region: str) -> str:
    """The region's own, as AWS's tools would have it. The keys are none: botocore looks for real ones where it gets none."""
    try:
        client = Session().create_client(
            "kms",
            region_name=region,
            aws_access_key_id="none",
            aws_secret_access_key="none",  # noqa: S106
            config=Config(ignore_configured_endpoint_urls=True),
        )
    except BotoCoreError as error:
        raise ProviderUnavailable(f"AWS's own settings make no sense: {error}") from error
    return str(client.meta.endpoint_url)


def _context(epoch: int, binding: bytes) -> dict[str, str]:
    """What KMS binds a wrapped key to, and CloudTrail shows: a digest over a random id among others, which tells nothing."""
    return {"voxgov-epoch": str(epoch), "voxgov-binding": sha256(binding).hexdigest()}


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _kind(answer: Answer) -> str:
    """The exception that KMS names; empty for none."""
    return (answer.text("__type") or "").rpartition("#")[2] if answer.status >= 400 else ""


def _refused(answer: Answer) -> ProviderUnavailable:
    return ProviderUnavailable(f"KMS refuses the call ({_kind(answer)})")


def _nonsense() -> NoReturn:
    raise ProviderUnavailable("KMS answers what makes no sense")
