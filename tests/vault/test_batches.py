"""Many small values under the same keys in one call: the same bytes as one by one, one look at the shred orders for all of them,
and all or nothing."""

import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vault.actors import Tenant
from tests.vault.test_sealing import restart
from vault import keys, sealing
from vault.context import Context
from vault.errors import KeyMissing, KeyShredded, SealBroken
from vault.models import DataKey


@pytest.fixture
def tenant() -> Tenant:
    return Tenant()


def values_of(tenant: Tenant, count: int, *subjects: str, kind: str = "note") -> list[tuple[Context, bytes]]:
    return [(tenant.context(*subjects, row=f"row-{n}", kind=kind), b"said %d" % n) for n in range(count)]


def sealed_values(tenant: Tenant, count: int, *subjects: str) -> list[tuple[Context, bytes]]:
    values = values_of(tenant, count, *subjects)
    sealed = sealing.seal_many(tenant.keys(*subjects), values)
    return [(context, one) for (context, _), one in zip(values, sealed, strict=True)]


def plaintexts(count: int) -> list[bytes]:
    return [b"said %d" % n for n in range(count)]


@dataclass
class Clock:
    """Stands in for `time` in the vault's face: each look at it is `step` seconds later; at the look `at`, `then` is done."""

    step: float
    at: int = 0
    then: Callable[[], object] = lambda: None
    looks: int = field(default=0, init=False)

    def monotonic(self) -> float:
        self.looks += 1
        if self.looks == self.at:
            self.then()
        return self.looks * self.step


@pytest.mark.parametrize("kind", ["note", "result"])
def test_what_a_batch_seals_opens_one_by_one_and_the_other_way_round(tenant: Tenant, kind: str) -> None:
    values, names = values_of(tenant, 20, kind=kind), tenant.keys()
    batch = sealing.seal_many(names, values)
    single = [sealing.seal(context, names, plaintext) for context, plaintext in values]
    assert [len(one) for one in batch] == [len(one) for one in single]
    assert len(set(batch)) == 20
    contexts = [context for context, _ in values]
    restart()
    assert [sealing.open(c, names, one) for c, one in zip(contexts, batch, strict=True)] == plaintexts(20)
    assert sealing.open_many(names, list(zip(contexts, single, strict=True))) == plaintexts(20)
    mixed = [(c, one) for c, *both in zip(contexts, batch, single, strict=True) for one in both]
    assert sealing.open_many(names, mixed) == [text for text in plaintexts(20) for _ in range(2)]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=300), st.integers(16_380, 16_390).map(bytes)), max_size=6))
def test_values_of_any_length_come_back_in_order(plain: list[bytes]) -> None:
    tenant = Tenant()
    contexts = [tenant.context(row=f"row-{n}") for n in range(len(plain))]
    sealed = sealing.seal_many(tenant.keys(), list(zip(contexts, plain, strict=True)))
    assert sealing.open_many(tenant.keys(), list(zip(contexts, sealed, strict=True))) == plain


def test_a_batch_of_a_conversation_needs_the_key_of_everybody_in_it(tenant: Tenant) -> None:
    people = (tenant.anna, tenant.ben)
    sealed = sealed_values(tenant, 5, *people)
    assert sealing.open_many(tenant.keys(*reversed(people)), sealed) == plaintexts(5)
    assert sealing.open(sealed[3][0], tenant.keys(*people), sealed[3][1]) == b"said 3"
    for one in people:
        with pytest.raises(KeyMissing):
            sealing.open_many(tenant.keys(one), sealed)
    tenant.shred(tenant.ben)
    with pytest.raises(KeyShredded):
        sealing.open_many(tenant.keys(*people), sealed)


def test_an_empty_batch_is_empty_and_makes_no_key(tenant: Tenant) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert sealing.seal_many(tenant.keys(), []) == []
        assert sealing.open_many(tenant.keys(), []) == []
    assert len(queries) == 0
    assert not DataKey.objects.filter(organization=tenant.code).exists()
    with pytest.raises(ValueError, match="its own organization"):
        sealing.seal_many([], [])


def test_one_value_of_another_organization_is_refused_before_anything_is_sealed(tenant: Tenant) -> None:
    other = Tenant()
    values = [*values_of(tenant, 3), *values_of(other, 1)]
    with pytest.raises(ValueError, match="its own organization"):
        sealing.seal_many(tenant.keys(), values)
    with pytest.raises(ValueError, match="its own organization"):
        sealing.open_many(tenant.keys(), values)
    with pytest.raises(ValueError, match="its own organization"):
        sealing.seal_many([*tenant.keys(), *other.keys()], values)
    assert not DataKey.objects.filter(organization__in=[tenant.code, other.code]).exists()


# --- one bad value fails the whole


@pytest.mark.parametrize("at", [0, 4, 9])
@pytest.mark.parametrize("damage", ["altered", "moved", "cut short", "nothing", "another version"])
def test_one_bad_value_fails_the_whole(tenant: Tenant, at: int, damage: str) -> None:
    sealed = sealed_values(tenant, 10)
    context, one = sealed[at]
    sealed[at] = {
        "altered": (context, one[:-1] + bytes([one[-1] ^ 1])),
        "moved": (replace(context, object_code="row-x"), one),
        "cut short": (context, one[:-1]),
        "nothing": (context, b""),
        "another version": (context, b"\x02" + one[1:]),
    }[damage]
    with pytest.raises(SealBroken):
        sealing.open_many(tenant.keys(), sealed)


@pytest.mark.parametrize("at", [0, 9])
def test_a_value_under_another_persons_key_fails_the_whole(tenant: Tenant, at: int) -> None:
    sealed = sealed_values(tenant, 10)
    sealed[at] = (tenant.context(), sealed_values(tenant, 1, tenant.ben)[0][1])
    with pytest.raises(KeyMissing):
        sealing.open_many(tenant.keys(), sealed)


@pytest.mark.parametrize("at", [0, 9])
def test_a_value_under_an_earlier_destroyed_key_fails_the_whole(tenant: Tenant, at: int) -> None:
    [old] = sealed_values(tenant, 1)
    tenant.shred(tenant.anna)
    sealed = sealed_values(tenant, 10)
    sealed[at] = old
    with pytest.raises(KeyShredded):
        sealing.open_many(tenant.keys(), sealed)


def test_a_batch_that_fails_shows_neither_a_key_nor_what_opened_before(tenant: Tenant) -> None:
    said = os.urandom(12).hex()
    context = tenant.context()
    one = sealing.seal(context, tenant.keys(), said.encode())
    with pytest.raises(SealBroken) as caught:
        sealing.open_many(tenant.keys(), [(context, one), (context, one), (context, one[:-1])])
    [held] = keys.for_sealing(tenant.keys())
    # The first frame is this test's own, which knows what was said.
    inner = [frame.f_locals for frame, _ in traceback.walk_tb(caught.value.__traceback__)][1:]
    assert any("values" in names for names in inner)
    assert said not in repr(inner)
    assert repr(held.key.reveal())[2:-1] not in repr(inner)


# --- shred orders


def test_the_orders_are_asked_once_for_a_batch(tenant: Tenant) -> None:
    for count in (1, 50):
        with CaptureQueriesContext(connection) as queries:
            sealed = sealed_values(tenant, count)
        assert len(queries) == 1 + (count == 1), "the first call makes the key, and asks once more after that"
        with CaptureQueriesContext(connection) as queries:
            sealing.open_many(tenant.keys(), sealed)
        assert len(queries) == 1


def test_an_order_between_two_batches_closes_the_second(tenant: Tenant) -> None:
    sealed = sealed_values(tenant, 3)
    assert sealing.open_many(tenant.keys(), sealed) == plaintexts(3)
    tenant.shred(tenant.anna)
    with pytest.raises(KeyShredded):
        sealing.open_many(tenant.keys(), sealed)
    again = sealed_values(tenant, 3)
    assert sealing.open_many(tenant.keys(), again) == plaintexts(3)


def test_an_order_before_the_first_value_closes_the_batch(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody orders after the call began and before it asked."""
    sealed = sealed_values(tenant, 3)
    monkeypatch.setattr(sealing, "time", Clock(0.0, at=1, then=lambda: tenant.shred(tenant.anna)))
    with pytest.raises(KeyShredded):
        sealing.open_many(tenant.keys(), sealed)


@pytest.mark.parametrize("at", [2, 7, 60])
def test_an_order_during_a_long_batch_closes_it_within_a_second(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    sealed = sealed_values(tenant, 100)
    clock = Clock(0.3, at=at, then=lambda: tenant.shred(tenant.anna))
    monkeypatch.setattr(sealing, "time", clock)
    with pytest.raises(KeyShredded):
        sealing.open_many(tenant.keys(), sealed)
    assert (clock.looks - at) * clock.step <= keys.CACHE_SECONDS + clock.step


def test_an_order_while_the_last_value_is_opened_gives_out_nothing_late(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One value took longer than a second: the orders are asked again before it is handed out."""
    sealed = sealed_values(tenant, 1)
    monkeypatch.setattr(sealing, "time", Clock(1.5, at=2, then=lambda: tenant.shred(tenant.anna)))
    with pytest.raises(KeyShredded):
        sealing.open_many(tenant.keys(), sealed)


def test_an_order_during_a_long_batch_ends_its_sealing_and_no_fresh_key_is_made(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed_values(tenant, 1)
    clock = Clock(0.3, at=5, then=lambda: tenant.shred(tenant.anna))
    monkeypatch.setattr(sealing, "time", clock)
    with pytest.raises(KeyShredded):
        sealed_values(tenant, 100)
    assert (clock.looks - clock.at) * clock.step <= keys.CACHE_SECONDS + clock.step
    assert DataKey.objects.filter(organization=tenant.code).count() == 1


def test_a_long_batch_without_an_order_asks_every_second_and_goes_on(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = sealed_values(tenant, 40)
    monkeypatch.setattr(sealing, "time", Clock(0.3))
    with CaptureQueriesContext(connection) as queries:
        assert sealing.open_many(tenant.keys(), sealed) == plaintexts(40)
    assert len(queries) == 1 + 40 // 4
