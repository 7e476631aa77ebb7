"""Receipts: signed, downloadable, checked offline without Django; whatever is altered, swapped or forged does not verify."""

import base64
import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.roles import Role
from audit.events import EventName
from consent import destruction, receipt, receipts, withdrawal
from consent.models import ConsentRecord, Ending
from consent.receipt import ReceiptInvalid
from consent.vocabulary import Scope
from tests.callers import Caller, Nobody
from tests.factories import ACTOR, World
from tests.people import events
from vault.keyring import RECEIPTS
from vault.keys import provider

ROOT = Path(__file__).parents[2]


def trusted() -> str:
    return receipt.key_id(provider().public_key(RECEIPTS))


def of(record: ConsentRecord) -> bytes:
    return receipts.of_consent(record, actor=ACTOR)


def check(file: Path, key: str) -> "subprocess.CompletedProcess[str]":
    """The verifier as anybody runs it, in an interpreter that would fail to import Django."""
    without = "import sys; sys.modules['django'] = None; from consent.receipt import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", without, str(file), "--key", key], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_a_receipt_is_the_whole_record_signed_in_canonical_form(world: World) -> None:
    record = world.consent(Scope.TRANSCRIBE)
    file = of(record)
    assert file == rfc8785.dumps(json.loads(file))
    found = receipt.verify(file, [trusted()])
    assert found["type"] == "consent"
    assert found["record"]["record_id"] == record.code
    assert found["receipt_id"] == found["record"]["receipt_id"]
    assert len(events(world, EventName.RECEIPT_ISSUED)) == 1


def test_the_published_key_set_checks_it_offline_without_django(world: World, tmp_path: Path) -> None:
    file, keys = tmp_path / "receipt.json", tmp_path / "keys.json"
    file.write_bytes(of(world.consent(Scope.TRANSCRIBE)))
    published = Nobody().get("/.well-known/voxgov-receipts.json")
    assert (published.status, published.kind) == (200, "application/jwk-set+json")
    keys.write_bytes(published.content)
    key = published.body["keys"][0]
    for argument in (str(keys), key["kid"], key["x"], base64.b64encode(provider().public_key(RECEIPTS)).decode()):
        answer = check(file, argument)
        assert answer.returncode == 0, answer.stderr
        assert answer.stdout.startswith("VALID\n")
        assert "scope     speech.transcribe: given" in answer.stdout


def test_the_verifier_says_what_is_wrong(world: World, tmp_path: Path) -> None:
    file = tmp_path / "receipt.json"
    content = of(world.consent(Scope.TRANSCRIBE))
    file.write_bytes(content.replace(b'"state":"given"', b'"state":"refused"'))
    altered = check(file, trusted())
    assert (altered.returncode, "was altered" in altered.stderr) == (1, True)
    file.write_bytes(content)
    stranger = receipt.key_id(bytes(32))
    assert check(file, stranger).returncode == 1
    assert check(tmp_path / "nothing.json", stranger).returncode == 2
    file.write_bytes(b"x" * 2_000_000)
    assert check(file, stranger).returncode == 1


def test_a_key_that_begins_with_a_dash_is_a_key(world: World, tmp_path: Path) -> None:
    file = tmp_path / "receipt.json"
    file.write_bytes(of(world.consent(Scope.TRANSCRIBE)))
    answer = check(file, "-" + trusted()[1:])
    assert (answer.returncode, "not trusted" in answer.stderr) == (1, True), answer.stderr


def test_a_receipt_by_another_key_that_travels_along_is_not_believed(world: World) -> None:
    forger = Ed25519PrivateKey.generate()
    body = receipt.verify(of(world.consent(Scope.TRANSCRIBE)), [trusted()])
    forged = receipt.signed(body, forger.public_key().public_bytes_raw(), forger.sign)
    with pytest.raises(ReceiptInvalid, match="not trusted"):
        receipt.verify(forged, [trusted()])
    whole = json.loads(forged)
    whole["signature"]["key_id"] = trusted()
    with pytest.raises(ReceiptInvalid, match="not the one whose id"):
        receipt.verify(rfc8785.dumps(whole), [trusted()])
    whole["signature"]["public_key"] = json.loads(of(world.consent(Scope.PROSODY)))["signature"]["public_key"]
    with pytest.raises(ReceiptInvalid, match="altered"):
        receipt.verify(rfc8785.dumps(whole), [trusted()])


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"receipt": {}, "signature": {}}',
        b"\xff",
        b"[" * 100_000,
        b'{"receipt": 1, "receipt": 2, "signature": {}}',
        b'{"receipt": {"version": 1}, "signature": {"public_key": "AA", "key_id": "x", "algorithm": "none", "value": ""}}',
    ],
)
def test_what_is_no_receipt_is_refused(text: bytes) -> None:
    with pytest.raises(ReceiptInvalid):
        receipt.verify(text, ["x"])


class Example:
    """A receipt made without the service, for mutation."""

    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = key.public_key().public_bytes_raw()
    file = receipt.signed({"type": "consent", "receipt_id": "r", "record": {"scopes": ["a"]}}, public, key.sign)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(Example.file) - 1), st.integers(1, 255))
def test_no_altered_byte_verifies(position: int, change: int) -> None:
    altered = bytearray(Example.file)
    altered[position] ^= change
    with pytest.raises(ReceiptInvalid):
        receipt.verify(bytes(altered), [receipt.key_id(Example.public)])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_no_noise_verifies_or_breaks_the_verifier(noise: bytes) -> None:
    with pytest.raises(ReceiptInvalid):
        receipt.verify(noise, [receipt.key_id(Example.public)])


def test_the_same_receipt_in_another_form_is_not_the_same_file() -> None:
    assert receipt.verify(Example.file, [receipt.key_id(Example.public)])["receipt_id"] == "r"
    with pytest.raises(ReceiptInvalid, match="canonical"):
        receipt.verify(json.dumps(json.loads(Example.file), indent=1).encode(), [receipt.key_id(Example.public)])


def test_the_key_id_is_the_thumbprint_of_rfc_8037() -> None:
    key = base64.urlsafe_b64decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    assert receipt.key_id(key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


# The receipt of a withdrawal


def ending_of(file: bytes) -> dict[str, Any]:
    return receipt.verify(file, [trusted()])


def test_a_withdrawal_gives_a_receipt_that_says_what_was_destroyed_and_until_when_backups_tell(world: World) -> None:
    record = world.consent(Scope.TRANSCRIBE, Scope.PROSODY)
    world.upload(b"audio" * 100, Scope.TRANSCRIBE)
    done = withdrawal.withdraw(world.subject, actor=ACTOR)
    ending = Ending.objects.get(code=done.code)
    before = ending_of(receipts.of_ending(ending, actor=ACTOR))
    assert {(c["record_id"], c["scope"], c["state"]) for c in before["closed"]} == {
        (record.code, "speech.transcribe", "withdrawn"),
        (record.code, "speech.prosody", "withdrawn"),
    }
    assert [order["done_at"] for order in before["destruction"]] == [None]
    destruction.carry_out(done.orders[0])
    after = ending_of(receipts.of_ending(ending, actor=ACTOR))["destruction"][0]
    assert after["done_at"] is not None
    assert after["destroyed"] == {"waiting_audio": 1}
    assert after["keys_destroyed"]
    assert datetime.fromisoformat(after["unrecoverable_from"]) > timezone.now() - timedelta(seconds=1)
    [event] = events(world, EventName.DATA_DESTROYED)
    detail = json.loads(bytes(event.entry))["detail"]
    assert detail["destroyed_waiting_audio"] == 1
    assert datetime.fromisoformat(detail["unrecoverable_from"]) == datetime.fromisoformat(after["unrecoverable_from"])


def test_where_a_key_serves_another_purpose_the_receipt_promises_nothing_about_backups(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    world.under_another_purpose(Scope.TRANSCRIBE).consent(Scope.TRANSCRIBE)
    done = withdrawal.withdraw(world.subject, purpose=world.purpose, actor=ACTOR)
    destruction.carry_out(done.orders[0])
    ending = Ending.objects.get(code=done.code)
    order = ending_of(receipts.of_ending(ending, actor=ACTOR))["destruction"][0]
    assert (order["keys_destroyed"], order["unrecoverable_from"]) == (False, None)


def test_an_erasure_gives_a_receipt_too_and_names_nobody_on_the_trail(world: World) -> None:
    from audit.models import EventReference

    world.consent(Scope.TRANSCRIBE)
    order = withdrawal.erase(world.subject, actor=ACTOR)
    destruction.carry_out(order.code)
    ending = Ending.objects.get(subject=world.subject)
    found = ending_of(receipts.of_ending(ending, actor=ACTOR))
    assert found["cause"] == "erasure"
    assert found["destruction"][0]["keys_destroyed"]
    assert not EventReference.objects.filter(code=world.subject.code).exists()


def test_receipts_are_downloaded_over_http_and_a_withdrawal_names_its_own(world: World) -> None:
    manager = Caller(world.project, Role.CONSENT_MANAGER)
    record = world.consent(Scope.TRANSCRIBE)
    given_ = manager.get(f"/v1/consents/{record.code}/receipt")
    assert (given_.status, given_.kind) == (200, "application/json")
    assert given_.headers["Content-Disposition"] == f'attachment; filename="receipt-{record.code}.json"'
    assert receipt.verify(given_.content, [trusted()])["type"] == "consent"
    code = manager.post(f"/v1/consents/{record.code}/withdraw", {}).body["code"]
    shown = manager.get(f"/v1/endings/{code}")
    assert shown.body["closed"][0]["scope"] == "speech.transcribe"
    file = manager.get(f"/v1/endings/{code}/receipt")
    assert receipt.verify(file.content, [trusted()])["ending_id"] == code
