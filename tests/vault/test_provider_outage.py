"""The service with its keys at a provider that goes away: nothing opens, nothing is half-written, and back again all goes on."""

from collections.abc import Iterator

import pytest
from django.conf import settings

from accounts.roles import Role
from consent.models import Subject
from consent.vocabulary import Scope
from tests import factories
from tests.callers import Caller, Nobody
from tests.vault.actors import Tenant
from tests.vault.places import DistantPlace
from tests.vault.test_sealing import restart
from vault import epochs, keys, sealing
from vault.errors import ProviderUnavailable
from vault.models import DataKey, Epoch
from voxgov import health


@pytest.fixture(autouse=True)
def chosen(distant: DistantPlace, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process keeps its keys there. What it wrapped there goes at the end: other tests know another provider."""
    before = set(DataKey.objects.values_list("pk", flat=True))
    monkeypatch.setattr(settings, "VOXGOV_KEY_PROVIDER", distant.settings)
    restart()
    provider = keys.provider()
    assert provider.ensure()
    newest = Epoch.objects.filter(retired_at=None).order_by("-number").first() or epochs.adopt(provider)
    provider.begin_epoch(newest.number)
    yield
    DataKey.objects.exclude(pk__in=before).delete()
    monkeypatch.undo()
    restart()


def test_what_is_sealed_opens_in_this_and_every_other_process(distant: DistantPlace) -> None:
    tenant = Tenant()
    sealed = sealing.seal(tenant.context(), tenant.keys(), b"said")
    assert sealing.open(tenant.context(), tenant.keys(), sealed) == b"said"
    restart()
    assert sealing.open(tenant.context(), tenant.keys(), sealed) == b"said"


def test_nothing_opens_and_nothing_is_made_while_the_provider_is_away(distant: DistantPlace) -> None:
    tenant = Tenant()
    sealed = sealing.seal(tenant.context(), tenant.keys(), b"said")
    restart()
    distant.wire.cut()
    rows = DataKey.objects.count()
    with pytest.raises(ProviderUnavailable):
        sealing.open(tenant.context(), tenant.keys(), sealed)
    with pytest.raises(ProviderUnavailable):
        sealing.seal(tenant.context(tenant.ben), tenant.keys(tenant.ben), b"x")
    assert DataKey.objects.count() == rows
    distant.wire.mend()
    assert sealing.open(tenant.context(), tenant.keys(), sealed) == b"said"
    sealing.seal(tenant.context(tenant.ben), tenant.keys(tenant.ben), b"x")
    assert DataKey.objects.count() == rows + 1


def test_the_api_says_when_to_come_back_and_writes_nothing(
    distant: DistantPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PROVIDER_EVERY", -1)
    world = factories.make_world()
    manager = Caller(world.project, Role.CONSENT_MANAGER)
    known = manager.post("/v1/subjects", {"external_reference": "CUSTOMER-1"})
    assert known.status == 201
    distant.wire.cut()
    people = Subject.objects.count()
    for path in ("/v1/subjects", "/v1/subjects/lookup"):
        answer = manager.post(path, {"external_reference": "CUSTOMER-2"})
        assert (answer.status, answer.kind) == (503, "application/problem+json")
        assert answer.body["code"] == "key_provider_unavailable"
        assert int(answer.headers["Retry-After"]) > 0
        assert str(distant.wire.port).encode() not in answer.content
    assert Subject.objects.count() == people
    assert Nobody().get("/health/ready").status == 503
    distant.wire.mend()
    assert manager.post("/v1/subjects", {"external_reference": "CUSTOMER-2"}).status == 201
    found = manager.post("/v1/subjects/lookup", {"external_reference": "CUSTOMER-1"})
    assert (found.status, found.body["code"]) == (200, known.body["code"])
    assert Nobody().get("/health/ready").status == 200


def test_a_withdrawal_does_not_wait_for_the_provider(distant: DistantPlace) -> None:
    world = factories.make_world()
    record = world.consent(Scope.TRANSCRIBE)
    manager = Caller(world.project, Role.CONSENT_MANAGER)
    restart()
    distant.wire.cut()
    assert manager.post(f"/v1/consents/{record.code}/withdraw").status == 200
    distant.wire.mend()
