"""What every key provider does, each against the real thing: a file, Transit's calls, KMS's calls."""

import threading
from collections.abc import Callable

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.vault.places import Place
from vault.errors import EpochDestroyed, ProviderUnavailable, ProviderWrongKey
from vault.format import InputKey
from vault.keyring import CERTIFICATES
from vault.provider import STANDING

BINDING = b"whose\x00key\x00it is"


@pytest.fixture(autouse=True)
def made(place: Place) -> None:
    assert place.provider().ensure()


def test_what_is_there_is_not_made_again(place: Place) -> None:
    wrapped = place.provider().wrap(1, InputKey(b"k" * 32), BINDING)
    blind, public_key = place.provider().blind(b"x"), place.provider().public_key(CERTIFICATES)
    assert not place.provider().ensure()
    assert place.provider().epochs() == (1,)
    assert place.provider().unwrap(1, wrapped, BINDING).reveal() == b"k" * 32
    assert place.provider().blind(b"x") == blind
    assert place.provider().public_key(CERTIFICATES) == public_key


def test_epochs_come_in_rising_order(place: Place) -> None:
    for epoch in (2, 3, 9, 10, 11):
        place.provider().begin_epoch(epoch)
    assert place.provider().epochs() == (1, 2, 3, 9, 10, 11)


def test_a_wrapped_key_opens_for_its_binding_and_epoch_only(place: Place) -> None:
    provider = place.provider()
    provider.begin_epoch(2)
    wrapped = provider.wrap(1, InputKey(b"k" * 32), BINDING)
    assert b"k" * 32 not in wrapped
    assert provider.unwrap(1, wrapped, BINDING).reveal() == b"k" * 32
    assert provider.wrap(1, InputKey(b"k" * 32), BINDING) != wrapped
    for epoch, sealed, binding in [
        (1, wrapped, b"somebody else's"),
        (1, wrapped, b""),
        (2, wrapped, BINDING),
        (STANDING, wrapped, BINDING),
        (1, wrapped[:-1], BINDING),
        (1, wrapped[:20], BINDING),
        (1, wrapped + b"x", BINDING),
        (1, b"", BINDING),
        (1, b"x" * 60, BINDING),
        (1, b"x" * 10_000, BINDING),
    ]:
        with pytest.raises(ProviderWrongKey):
            provider.unwrap(epoch, sealed, binding)


def test_a_wrapped_key_that_was_altered_anywhere_does_not_open(place: Place) -> None:
    provider = place.provider()
    wrapped = provider.wrap(1, InputKey(bytes(32)), BINDING)
    for at in range(len(wrapped)):
        altered = bytearray(wrapped)
        altered[at] ^= 1
        with pytest.raises(ProviderWrongKey):
            provider.unwrap(1, bytes(altered), BINDING)


def test_a_key_may_be_bound_to_nothing(place: Place) -> None:
    wrapped = place.provider().wrap(1, InputKey(b"k" * 32), b"")
    assert place.provider().unwrap(1, wrapped, b"").reveal() == b"k" * 32
    with pytest.raises(ProviderWrongKey):
        place.provider().unwrap(1, wrapped, BINDING)


def test_a_destroyed_epoch_opens_nothing_and_the_others_go_on(place: Place) -> None:
    first = place.provider().wrap(1, InputKey(b"1" * 32), BINDING)
    place.provider().begin_epoch(2)
    second = place.provider().wrap(2, InputKey(b"2" * 32), BINDING)
    for _ in range(2):
        place.provider().destroy_epoch(1)
        assert place.provider().epochs() == (2,)
        with pytest.raises(EpochDestroyed):
            place.provider().unwrap(1, first, BINDING)
        with pytest.raises(EpochDestroyed):
            place.provider().wrap(1, InputKey(bytes(32)), BINDING)
    assert place.provider().unwrap(2, second, BINDING).reveal() == b"2" * 32


def test_wrapping_under_a_destroyed_epoch_does_not_bring_it_back(place: Place) -> None:
    place.provider().begin_epoch(2)
    place.provider().destroy_epoch(1)
    with pytest.raises(EpochDestroyed):
        place.provider().wrap(1, InputKey(bytes(32)), BINDING)
    assert place.provider().epochs() == (2,)


def test_the_newest_epoch_and_the_standing_key_are_not_destroyed(place: Place) -> None:
    for epoch in (1, STANDING):
        with pytest.raises(ValueError, match="begin another epoch first"):
            place.provider().destroy_epoch(epoch)
    assert place.provider().epochs() == (1,)


def test_the_standing_key_outlives_every_epoch_and_is_none(place: Place) -> None:
    wrapped = place.provider().wrap(STANDING, InputKey(b"j" * 32), BINDING)
    place.provider().begin_epoch(2)
    place.provider().destroy_epoch(1)
    assert STANDING not in place.provider().epochs()
    assert place.provider().unwrap(STANDING, wrapped, BINDING).reveal() == b"j" * 32


def test_beginning_an_epoch_twice_makes_one_and_a_destroyed_number_is_never_used_again(place: Place) -> None:
    place.provider().begin_epoch(2)
    wrapped = place.provider().wrap(2, InputKey(b"k" * 32), BINDING)
    place.provider().begin_epoch(2)
    assert place.provider().unwrap(2, wrapped, BINDING).reveal() == b"k" * 32
    place.provider().destroy_epoch(1)
    with pytest.raises(ValueError, match="no number is used twice"):
        place.provider().begin_epoch(1)
    assert place.provider().epochs() == (2,)


def test_an_epoch_of_another_provider_is_neither_used_nor_called_destroyed(place: Place) -> None:
    wrapped = place.provider().wrap(1, InputKey(bytes(32)), BINDING)
    attempts: list[Callable[[], object]] = [
        lambda: place.provider().wrap(7, InputKey(bytes(32)), BINDING),
        lambda: place.provider().unwrap(7, wrapped, BINDING),
    ]
    for attempt in attempts:
        with pytest.raises(ProviderWrongKey):
            attempt()
    assert place.provider().epochs() == (1,)


def test_a_running_process_sees_an_epoch_that_another_began(place: Place) -> None:
    running = place.provider()
    assert running.epochs() == (1,)
    place.provider().begin_epoch(2)
    assert running.epochs() == (1, 2)
    wrapped = running.wrap(2, InputKey(b"k" * 32), BINDING)
    assert place.provider().unwrap(2, wrapped, BINDING).reveal() == b"k" * 32


def test_a_blind_value_is_the_same_each_time_and_another_for_another_message(place: Place) -> None:
    values = {message: place.provider().blind(message) for message in (b"", b"a", b"b", b"a" * 100_000)}
    assert {len(value) for value in values.values()} == {32}
    assert len(set(values.values())) == len(values)
    place.provider().begin_epoch(2)
    place.provider().destroy_epoch(1)
    assert {message: place.provider().blind(message) for message in values} == values


@pytest.mark.parametrize("message", [b"x", b"", b"long" * 5_000])
def test_a_signature_verifies_under_the_public_key(place: Place, message: bytes) -> None:
    signature = place.provider().sign(CERTIFICATES, message)
    public_key = place.provider().public_key(CERTIFICATES)
    assert (len(signature), len(public_key)) == (64, 32)
    Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    with pytest.raises(InvalidSignature):
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message + b"!")


def test_there_is_a_signing_key_for_declared_purposes_only(place: Place) -> None:
    for purpose in ("another purpose", "../epoch-1", ""):
        with pytest.raises(ProviderUnavailable):
            place.provider().sign(purpose, b"message")
        with pytest.raises(ProviderUnavailable):
            place.provider().public_key(purpose)


def test_threads_share_a_provider(place: Place) -> None:
    provider = place.provider()
    provider.begin_epoch(2)
    opened: list[bytes] = []
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(5):
                key, epoch = bytes([number, turn]) * 16, 1 + turn % 2
                wrapped = provider.wrap(epoch, InputKey(key), bytes([number]))
                assert provider.unwrap(epoch, wrapped, bytes([number])).reveal() == key
                assert provider.epochs() == (1, 2)
                opened.append(key)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(set(opened)) == 40


def test_several_that_make_the_same_epoch_at_once_make_one(place: Place) -> None:
    failed: list[BaseException] = []

    def begin() -> None:
        try:
            place.provider().begin_epoch(2)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=begin) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    wrapped = place.provider().wrap(2, InputKey(b"k" * 32), BINDING)
    assert place.provider().unwrap(2, wrapped, BINDING).reveal() == b"k" * 32
    assert place.provider().epochs() == (1, 2)


def test_a_provider_shows_nothing_of_itself(place: Place) -> None:
    assert repr(place.provider()).endswith("Provider(...)")
