"""KMS's own matters: aliases, the states of a key, credentials, and requests that are AWS's to the letter."""

import base64
import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from botocore.config import Config
from botocore.session import Session

from tests.vault.kms_server import CREDENTIALS, REGION, backend
from tests.vault.places import DistantPlace
from tests.vault.wire import Wire, http, says
from vault.errors import EpochDestroyed, ProviderUnavailable
from vault.format import InputKey
from vault.keyring import CERTIFICATES, SIGNING_PURPOSES
from vault.named_keys import KeyUse
from vault.provider import STANDING
from vault.provider_kms import KmsProvider

BINDING = b"whose key it is"


@pytest.fixture
def made(kms_keys: DistantPlace) -> KmsProvider:
    found = kms_keys.provider()
    assert isinstance(found, KmsProvider)
    assert found.ensure()
    return found


def key_of(place: DistantPlace, name: str) -> Any:
    """What the service holds under our alias, as its administrator sees it."""
    alias = f"alias/{place.settings['prefix']}/{name}"
    return next((key for key in backend().keys.values() if alias in key.aliases), None)


def keys_of(place: DistantPlace) -> list[Any]:
    mark = {"TagKey": "voxgov", "TagValue": place.settings["prefix"]}
    return [key for key in backend().keys.values() if mark in backend().tagger.list_tags_for_resource(key.id)["Tags"]]


def test_every_key_has_its_alias_its_use_and_its_tag(kms_keys: DistantPlace, made: KmsProvider) -> None:
    made.begin_epoch(2)
    signing = [f"signing-{purpose}" for purpose in SIGNING_PURPOSES]
    found = {name: key_of(kms_keys, name) for name in ("standing", "blind", *signing, "epoch-1", "epoch-2")}
    assert {name: (key.key_spec, key.key_usage) for name, key in found.items()} == {
        "standing": ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
        "blind": ("HMAC_256", "GENERATE_VERIFY_MAC"),
        **dict.fromkeys(signing, ("HMAC_256", "GENERATE_VERIFY_MAC")),
        "epoch-1": ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
        "epoch-2": ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
    }
    assert {key.id for key in found.values()} == {key.id for key in keys_of(kms_keys)}


@pytest.mark.parametrize("days", [7, 30])
def test_a_destroyed_epoch_is_out_of_use_at_once_and_deleted_after_the_days_that_were_set(
    kms_keys: DistantPlace, made: KmsProvider, days: int
) -> None:
    key = key_of(kms_keys, "epoch-1")
    made.begin_epoch(2)
    patient = KmsProvider(
        REGION, prefix=kms_keys.settings["prefix"], endpoint=kms_keys.wire.address, deletion_days=days
    )
    patient.destroy_epoch(1)
    assert patient.deletion_delay == timedelta(days=days)
    assert (key.key_state, key.enabled) == ("PendingDeletion", False)
    assert round((key.deletion_date.replace(tzinfo=UTC) - datetime.now(UTC)) / timedelta(days=1)) == days
    assert key_of(kms_keys, "epoch-1") is None


@pytest.mark.parametrize("days", [0, 6, 31])
def test_a_number_of_days_that_kms_does_not_take_is_refused(days: int) -> None:
    with pytest.raises(ValueError, match="7 to 30"):
        KmsProvider(REGION, deletion_days=days)


@pytest.mark.parametrize("state", ["Disabled", "PendingDeletion"])
def test_a_key_that_somebody_disabled_counts_as_destroyed(
    kms_keys: DistantPlace, made: KmsProvider, state: str
) -> None:
    wrapped = made.wrap(1, InputKey(b"k" * 32), BINDING)
    made.begin_epoch(2)
    key = key_of(kms_keys, "epoch-1")
    key.key_state, key.enabled = state, False
    assert made.epochs() == (2,)
    with pytest.raises(EpochDestroyed):
        made.unwrap(1, wrapped, BINDING)
    with pytest.raises(EpochDestroyed):
        made.wrap(1, InputKey(bytes(32)), BINDING)
    with pytest.raises(ValueError, match="no number is used twice"):
        made.begin_epoch(1)
    key.key_state, key.enabled = "Enabled", True
    assert made.unwrap(1, wrapped, BINDING).reveal() == b"k" * 32


@pytest.mark.parametrize("broke_off", ["after disabling", "after scheduling"])
def test_a_destruction_that_broke_off_is_gone_on_with(
    kms_keys: DistantPlace, made: KmsProvider, broke_off: str
) -> None:
    made.begin_epoch(2)
    key = key_of(kms_keys, "epoch-1")
    backend().disable_key(key.id)
    if broke_off == "after scheduling":
        backend().schedule_key_deletion(key.id, 7)
    assert made.epochs() == (2,)
    made.destroy_epoch(1)
    assert key.key_state == "PendingDeletion"
    assert key_of(kms_keys, "epoch-1") is None


def test_a_key_on_its_way_between_states_is_away_and_not_destroyed(kms_keys: DistantPlace, made: KmsProvider) -> None:
    wrapped = made.wrap(1, InputKey(bytes(32)), BINDING)
    key_of(kms_keys, "epoch-1").key_state = "Updating"
    with pytest.raises(ProviderUnavailable) as caught:
        made.unwrap(1, wrapped, BINDING)
    assert type(caught.value) is ProviderUnavailable


def test_a_standing_key_that_is_disabled_is_away_and_not_destroyed(kms_keys: DistantPlace, made: KmsProvider) -> None:
    backend().disable_key(key_of(kms_keys, "standing").id)
    with pytest.raises(ProviderUnavailable, match="disabled") as caught:
        made.wrap(STANDING, InputKey(bytes(32)), BINDING)
    assert type(caught.value) is ProviderUnavailable


def test_a_service_that_does_not_schedule_the_deletion_is_not_believed(
    kms_keys: DistantPlace, made: KmsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.begin_epoch(2)
    monkeypatch.setattr(type(backend()), "schedule_key_deletion", lambda self, *arguments: 0.0)
    with pytest.raises(ProviderUnavailable, match="does not say that it will"):
        made.destroy_epoch(1)
    assert key_of(kms_keys, "epoch-1").key_state == "Disabled"
    monkeypatch.undo()
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    made.destroy_epoch(1)
    assert key_of(kms_keys, "epoch-1") is None


def test_of_two_that_make_the_same_key_one_wins_and_the_others_is_given_back(
    kms_keys: DistantPlace, made: KmsProvider
) -> None:
    before = {key.id for key in keys_of(kms_keys)}
    winner = key_of(kms_keys, "epoch-1")
    made._make("epoch-1", KeyUse.WRAP)
    [spare] = [key for key in keys_of(kms_keys) if key.id not in before]
    assert key_of(kms_keys, "epoch-1") is winner
    assert spare.key_state == "PendingDeletion"


@pytest.mark.parametrize(("field", "value"), [("origin", "EXTERNAL"), ("key_spec", "HMAC_256")])
def test_a_key_that_somebody_made_before_is_taken_only_if_it_has_no_life_outside(
    kms_keys: DistantPlace, made: KmsProvider, field: str, value: str
) -> None:
    """Imported key material can be kept by who imported it, and be imported again."""
    setattr(key_of(kms_keys, "standing"), field, value)
    with pytest.raises(ProviderUnavailable, match="the KMS key for standing"):
        made.ensure()


def test_aliases_come_in_pages(kms_keys: DistantPlace, made: KmsProvider) -> None:
    prefix = kms_keys.settings["prefix"]
    asked: list[Any] = []

    def paged(wire: Wire, caller: socket.socket) -> None:
        while True:
            body = json.loads(wire.read_request(caller))
            if "Limit" not in body:
                caller.sendall(http(200, b'{"KeyMetadata": {"KeyState": "Enabled"}}'))
                continue
            asked.append(body.get("Marker"))
            number = len(asked)
            answer: dict[str, Any] = {"Aliases": [{"AliasName": f"alias/{prefix}/epoch-{number}", "TargetKeyId": "x"}]}
            answer |= {"Truncated": True, "NextMarker": f"page {number + 1}"} if number < 3 else {"Truncated": False}
            caller.sendall(http(200, json.dumps(answer).encode()))

    with kms_keys.wire.bent(paged):
        assert made.epochs() == (1, 2, 3)
    assert asked == [None, "page 2", "page 3"]


def test_pages_without_end_are_given_up(kms_keys: DistantPlace) -> None:
    def endless(wire: Wire, caller: socket.socket) -> None:
        while True:
            wire.read_request(caller)
            caller.sendall(http(200, b'{"Aliases": [], "Truncated": true, "NextMarker": "again"}'))

    found = kms_keys.hurried()
    began = time.monotonic()
    with kms_keys.wire.bent(endless), pytest.raises(ProviderUnavailable):
        found.epochs()
    assert time.monotonic() - began < 2


OPERATIONS: dict[str, tuple[Callable[[KmsProvider], object], Callable[[Any, str], object]]] = {
    "GenerateMac": (
        lambda provider: provider.sign(CERTIFICATES, b"message"),
        lambda client, alias: client.generate_mac(
            KeyId=f"{alias}/signing-certificates",
            MacAlgorithm="HMAC_SHA_256",
            Message=b"voxgov/v1/ed25519-seed/certificates",
        ),
    ),
    "Encrypt": (
        lambda provider: provider.wrap(3, InputKey(b"k" * 32), b"binding"),
        lambda client, alias: client.encrypt(
            KeyId=f"{alias}/epoch-3",
            Plaintext=b"k" * 32,
            EncryptionContext={"voxgov-epoch": "3", "voxgov-binding": sha256(b"binding").hexdigest()},
        ),
    ),
    "ListAliases": (lambda provider: provider.epochs(), lambda client, alias: client.list_aliases(Limit=100)),
}


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_a_request_is_the_one_that_awss_own_client_makes(
    kms_keys: DistantPlace, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Target, body, signed headers and, at the same second, the signature itself: moto does not look at it, and AWS does."""
    at = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *arguments, **named: at)
    ours, theirs = OPERATIONS[operation]
    client = Session().create_client(
        "kms",
        region_name=REGION,
        endpoint_url=kms_keys.wire.address,
        config=Config(retries={"total_max_attempts": 1}),
    )
    alias = f"alias/{kms_keys.settings['prefix']}"
    provider = kms_keys.hurried()
    assert isinstance(provider, KmsProvider)
    with kms_keys.wire.bent(says(http(500, b"{}"))):
        with pytest.raises(ProviderUnavailable):
            ours(provider)
        with pytest.raises(client.exceptions.ClientError):
            theirs(client, alias)
    (mine, my_body), (its, its_body) = [_parts(heard) for heard in kms_keys.wire.heard]
    assert my_body == its_body
    for name in ("host", "x-amz-target", "content-type", "x-amz-date", "x-amz-security-token", "authorization"):
        assert mine[name] == its[name]


def _parts(request: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    return {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in lines}, body


def test_the_body_names_no_person_and_no_value(kms_keys: DistantPlace) -> None:
    kms_keys.provider().ensure()
    found = kms_keys.hurried()
    with kms_keys.wire.bent(says(b"")):
        with pytest.raises(ProviderUnavailable):
            found.blind(b"customer 4711")
        with pytest.raises(ProviderUnavailable):
            found.wrap(1, InputKey(bytes(32)), b"customer 4711")
    for heard in kms_keys.wire.heard:
        assert b"4711" not in heard
        assert base64.b64encode(b"customer 4711") not in heard


def test_without_credentials_it_is_unavailable(kms_keys: DistantPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    found = kms_keys.provider()
    with pytest.raises(ProviderUnavailable, match="credentials"):
        found.epochs()
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    assert found.ensure()


def test_credentials_that_do_not_come_are_given_up(kms_keys: DistantPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(Session, "get_credentials", lambda self: over.wait(30) and None)
    found = kms_keys.hurried()
    began = time.monotonic()
    try:
        with pytest.raises(ProviderUnavailable, match="credentials"):
            found.wrap(1, InputKey(bytes(32)), BINDING)
        assert time.monotonic() - began < 2
    finally:
        over.set()


def test_a_chain_of_credentials_that_breaks_is_unavailable(
    kms_keys: DistantPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Session) -> object:
        raise RuntimeError("the program said: " + CREDENTIALS["AWS_SECRET_ACCESS_KEY"])

    monkeypatch.setattr(Session, "get_credentials", broken)
    with pytest.raises(ProviderUnavailable, match="credentials") as caught:
        kms_keys.provider().epochs()
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_settings_of_awss_that_make_no_sense_are_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobodys")
    with pytest.raises(ProviderUnavailable, match="nobodys"):
        KmsProvider(REGION)


@pytest.mark.parametrize(
    ("region", "address"),
    [
        ("eu-central-1", "https://kms.eu-central-1.amazonaws.com"),
        ("cn-north-1", "https://kms.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_the_address_is_the_regions_own(monkeypatch: pytest.MonkeyPatch, region: str, address: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://elsewhere.example")
    assert KmsProvider(region)._url == address


def test_the_chain_does_not_print_what_it_gets() -> None:
    for name in ("botocore.auth", "botocore.endpoint", "botocore.parsers"):
        assert logging.getLogger(name).level == logging.INFO
