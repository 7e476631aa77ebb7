"""Plugs what lower rooms asked for in their `ports.py`. A port that nobody fills stops the start."""

from collections.abc import Mapping, Sequence

from django.db import transaction

from accounts import membership
from accounts.models import ApiClient, Organization, User
from analysis import backlog, deletion, purpose_use, voice_model
from audit import ports as audit_ports
from audit import trail
from audit.entry import ObjectKind, Reference
from audit.events import EventName
from consent import ports as consent_ports
from consent import restoring
from consent.evidence import EvidencePermit, Heard
from vault import plugs
from vault import ports as vault_ports
from vault.journal import Entry
from vault.sealing import RangeReader
from voxgov import celery


def plug_in() -> None:
    """Fills every port; raises `PlugMissing` for one that is left."""
    celery.app.set_default()  # the rooms ring through whatever application is current
    audit_ports.name_resolver.insert(_names)
    vault_ports.key_events.insert(KeyTrail())
    vault_ports.journal_replay.insert(_replay)
    consent_ports.statement_transcriber.insert(_hear_statement)
    consent_ports.work_counter.insert(backlog.count)
    consent_ports.use_reader.insert(purpose_use.read)
    consent_ports.voice_model.insert(voice_model.digest)
    plugs.require_all()


def _replay(entry: Entry) -> bool:
    """Each room puts its own kinds of journal entries into force again."""
    replays = {deletion.DELETED: deletion.replay, membership.REVOKED: membership.replay}
    return replays.get(entry.kind, restoring.replay)(entry)


def _hear_statement(permit: EvidencePermit, clip: RangeReader, language: str) -> Heard:
    from analysis import spoken_statements  # noqa: PLC0415 (it loads the models; only model workers call this)

    return spoken_statements.hear(permit, clip, language)


def _names(codes: Sequence[str]) -> Mapping[str, str]:
    found = dict(User.objects.filter(code__in=codes, api_client=None).values_list("code", "username"))
    found.update(ApiClient.objects.filter(code__in=codes).values_list("code", "name"))
    return found


class KeyTrail:
    """Records key events of the vault in the trail."""

    def destroyed(self, organization: str, owner: str, keys: Sequence[str], reason: str) -> None:
        trail.record(
            EventName.KEY_DESTROYED,
            organization=organization,
            actor=trail.system("shredding"),
            # Which keys is in the order's certificate; here it would tie the entry to their owner for good.
            reason=reason,
            detail={"keys": len(keys)},
        )

    def epoch_begun(self, epoch: int) -> None:
        self._in_every_log(EventName.KEY_EPOCH_BEGUN, epoch)

    def epoch_destroyed(self, epoch: int) -> None:
        self._in_every_log(EventName.KEY_EPOCH_DESTROYED, epoch)

    def _in_every_log(self, name: EventName, epoch: int) -> None:
        """An epoch wraps the keys of every organization, so each log says what became of it."""
        with transaction.atomic():
            for organization in Organization.objects.order_by("pk").values_list("code", flat=True):
                trail.record(
                    name,
                    organization=organization,
                    actor=trail.system("rotation"),
                    objects=[Reference(ObjectKind.ORGANIZATION, organization)],
                    detail={"epoch": epoch},
                )
