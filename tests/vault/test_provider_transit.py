"""Transit's own matters: tokens, policies, names, and keys that somebody else made or took away."""

import base64
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.vault.places import DistantPlace
from tests.vault.transit_server import CREATOR, TOKEN, Key, TransitServer
from tests.vault.wire import says
from vault.errors import EpochDestroyed, ProviderUnavailable, ProviderWrongKey
from vault.format import InputKey
from vault.keyring import CERTIFICATES, SIGNING_PURPOSES
from vault.provider import STANDING
from vault.provider_transit import Token, TransitProvider

BINDING = b"whose key it is"


def provider(server: TransitServer, token: str = TOKEN, **more: str) -> TransitProvider:
    return TransitProvider(server.address, Token(token), **more)  # type: ignore[arg-type]  # prefix, mount, namespace


@pytest.fixture
def made(transit: TransitServer) -> TransitProvider:
    found = provider(transit)
    assert found.ensure()
    return found


def test_every_key_has_its_name_and_none_can_be_taken_out(transit: TransitServer, made: TransitProvider) -> None:
    made.begin_epoch(2)
    assert {name: key.type for name, key in transit.keys.items()} == {
        "voxgov-standing": "aes256-gcm96",
        "voxgov-blind": "aes256-gcm96",
        **{f"voxgov-signing-{purpose}": "ed25519" for purpose in SIGNING_PURPOSES},
        "voxgov-epoch-1": "aes256-gcm96",
        "voxgov-epoch-2": "aes256-gcm96",
    }
    assert not any(
        key.exportable or key.allow_plaintext_backup or key.deletion_allowed for key in transit.keys.values()
    )
    assert made.deletion_delay == timedelta(0)


def test_a_destroyed_epochs_key_is_gone_from_the_server(transit: TransitServer, made: TransitProvider) -> None:
    made.begin_epoch(2)
    made.destroy_epoch(1)
    assert "voxgov-epoch-1" not in transit.keys
    assert "DELETE /v1/transit/keys/voxgov-epoch-1" in transit.asked


def test_a_destruction_that_broke_off_is_gone_on_with(transit: TransitServer, made: TransitProvider) -> None:
    made.begin_epoch(2)
    transit.keys["voxgov-epoch-1"].deletion_allowed = True
    assert made.epochs() == (1, 2)
    made.destroy_epoch(1)
    assert made.epochs() == (2,)


def test_a_server_that_says_deleted_and_keeps_the_key_is_not_believed(
    transit: TransitServer, made: TransitProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.begin_epoch(2)
    monkeypatch.setattr(transit, "keys", KeysThatStay(transit.keys))
    with pytest.raises(ProviderUnavailable, match="still has a key"):
        made.destroy_epoch(1)


class KeysThatStay(dict[str, Key]):
    def __delitem__(self, name: str) -> None:
        pass


def test_a_token_that_may_create_keys_brings_no_destroyed_epoch_back(transit: TransitServer) -> None:
    """Vault creates a key that somebody encrypts under, where the token may."""
    almighty = provider(transit, CREATOR)
    almighty.ensure()
    almighty.begin_epoch(2)
    almighty.destroy_epoch(1)
    with pytest.raises(EpochDestroyed):
        almighty.wrap(1, InputKey(bytes(32)), BINDING)
    with pytest.raises(ProviderWrongKey):
        almighty.wrap(9, InputKey(bytes(32)), BINDING)
    assert almighty.epochs() == (2,)
    assert "voxgov-epoch-1" not in transit.keys


def test_a_file_with_the_token_is_read_again_when_it_changes(transit: TransitServer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    found = TransitProvider(transit.address, Token(file=file))
    with pytest.raises(ProviderUnavailable, match="no token"):
        found.ensure()
    file.write_text(f"{TOKEN}\n")
    assert found.ensure()
    transit.tokens["hvs.renewed"] = transit.tokens.pop(TOKEN)
    with pytest.raises(ProviderUnavailable, match="refuses the token"):
        found.blind(b"x")
    draft = tmp_path / "draft"
    draft.write_text("hvs.renewed")
    draft.replace(file)
    assert len(found.blind(b"x")) == 32


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines", b"\xff\xfe", "naïve".encode()])
def test_a_file_that_holds_no_token_is_none(transit: TransitServer, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(ProviderUnavailable, match="no token"):
        TransitProvider(transit.address, Token(file=tmp_path / "token")).epochs()
    assert transit.asked == []


@pytest.mark.parametrize("value", ["", "two\nlines", "naïve"])
def test_a_token_that_is_none_is_not_sent(transit: TransitServer, value: str) -> None:
    with pytest.raises(ProviderUnavailable, match="no token"):
        TransitProvider(transit.address, Token(value)).epochs()
    assert transit.asked == []


def test_an_expired_token_is_unavailable_and_says_so(transit: TransitServer, made: TransitProvider) -> None:
    wrapped = made.wrap(1, InputKey(bytes(32)), BINDING)
    transit.tokens.clear()
    for attempt in (lambda: made.unwrap(1, wrapped, BINDING), made.epochs, lambda: made.destroy_epoch(1)):
        with pytest.raises(ProviderUnavailable, match="refuses the token") as caught:
            attempt()
        assert type(caught.value) is ProviderUnavailable


def test_a_sealed_vault_is_unavailable_until_it_is_opened(transit: TransitServer, made: TransitProvider) -> None:
    wrapped = made.wrap(1, InputKey(b"k" * 32), BINDING)
    transit.sealed = True
    with pytest.raises(ProviderUnavailable, match="sealed") as caught:
        made.unwrap(1, wrapped, BINDING)
    assert type(caught.value) is ProviderUnavailable
    transit.sealed = False
    assert made.unwrap(1, wrapped, BINDING).reveal() == b"k" * 32


def test_an_engine_that_is_not_mounted_is_unavailable(transit: TransitServer) -> None:
    for lost in (provider(transit, mount="elsewhere"), provider(transit, namespace="nobodys")):
        for attempt in (lost.ensure, lost.epochs, lambda found=lost: found.wrap(1, InputKey(bytes(32)), BINDING)):
            with pytest.raises(ProviderUnavailable) as caught:
                attempt()
            assert type(caught.value) is ProviderUnavailable


@pytest.fixture
def divided() -> Iterator[TransitServer]:
    server = TransitServer(namespace="team/voice")
    yield server
    server.close()


def test_a_namespace_is_named_with_every_call(divided: TransitServer) -> None:
    found = provider(divided, namespace="team/voice")
    assert found.ensure()
    assert found.unwrap(1, found.wrap(1, InputKey(b"k" * 32), BINDING), BINDING).reveal() == b"k" * 32


def test_the_keys_of_others_beside_ours_are_none_of_ours(transit: TransitServer) -> None:
    for name in ("epoch-9", "voxgov-epoch-x", "voxgov-epoch-007", "voxgov-epoch--1", "voxgov2-epoch-8", "orders"):
        transit.keys[name] = Key("aes256-gcm96")
    made, other = provider(transit), provider(transit, prefix="voxgov-test")
    made.ensure()
    made.begin_epoch(2)
    other.ensure()
    assert made.epochs() == (1, 2)
    assert other.epochs() == (1,)
    wrapped = made.wrap(1, InputKey(bytes(32)), BINDING)
    with pytest.raises(ProviderWrongKey):
        other.unwrap(1, wrapped, BINDING)


@pytest.mark.parametrize(
    "key",
    [Key("aes256-gcm96", exportable=True), Key("aes256-gcm96", allow_plaintext_backup=True), Key("ed25519")],
    ids=["exportable", "in backups", "of another kind"],
)
def test_a_key_that_somebody_made_before_is_taken_only_if_it_stays_where_it_is(
    transit: TransitServer, key: Key
) -> None:
    transit.keys["voxgov-standing"] = key
    for _ in range(2):
        with pytest.raises(ProviderUnavailable, match="the Transit key for standing"):
            provider(transit).ensure()


def test_a_server_that_does_not_bind_is_refused_each_time(transit: TransitServer) -> None:
    """Vault before 1.13 ignores `associated_data`, and would open anybody's key for anybody."""
    transit.binds = False
    for _ in range(2):
        with pytest.raises(ProviderUnavailable, match=r"1\.13"):
            provider(transit).ensure()


@pytest.mark.parametrize(
    ("lost", "call"),
    [
        ("blind", lambda provider: provider.blind(b"x")),
        ("standing", lambda provider: provider.wrap(STANDING, InputKey(bytes(32)), BINDING)),
    ],
)
def test_a_lost_key_that_older_data_rests_on_is_not_made_anew(
    transit: TransitServer, made: TransitProvider, lost: str, call: Callable[[TransitProvider], object]
) -> None:
    del transit.keys[f"voxgov-{lost}"]
    with pytest.raises(ProviderUnavailable, match=f"the {lost} key is gone"):
        provider(transit).ensure()
    with pytest.raises(ProviderUnavailable) as caught:
        call(made)
    assert not isinstance(caught.value, EpochDestroyed)
    assert f"voxgov-{lost}" not in transit.keys


def test_a_first_start_that_broke_off_is_gone_on_with(transit: TransitServer) -> None:
    provider(transit).ensure()
    for name in ("voxgov-epoch-1", "voxgov-signing-certificates"):
        del transit.keys[name]
        assert provider(transit).ensure()
    assert not provider(transit).ensure()


def test_a_vault_put_back_to_an_earlier_epoch_is_refused_by_a_running_process(
    transit: TransitServer, made: TransitProvider
) -> None:
    yesterday = dict(transit.keys)
    made.begin_epoch(2)
    assert made.epochs() == (1, 2)
    transit.keys = yesterday
    with pytest.raises(ProviderUnavailable, match="earlier epoch"):
        made.epochs()
    assert provider(transit).epochs() == (1,)


def test_a_signing_key_that_was_made_anew_is_noticed(transit: TransitServer, made: TransitProvider) -> None:
    before = made.public_key(CERTIFICATES)
    transit.keys["voxgov-signing-certificates"] = Key("ed25519")
    with pytest.raises(ProviderUnavailable, match="another key"):
        made.sign(CERTIFICATES, b"x")
    made.sign(CERTIFICATES, b"x")
    assert made.public_key(CERTIFICATES) != before


def test_what_is_looked_for_does_not_leave_this_machine(transit_keys: DistantPlace) -> None:
    found = transit_keys.hurried()
    with transit_keys.wire.bent(says(b"")), pytest.raises(ProviderUnavailable):
        found.blind(b"customer 4711")
    [heard] = transit_keys.wire.heard
    assert b"4711" not in heard
    assert base64.b64encode(b"customer 4711") not in heard
