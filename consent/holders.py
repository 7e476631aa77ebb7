"""The consent room's own entries in the inventory of personal data, and the fields below it that hold none.

After erasure what stays readable of a grant is: subject code, purpose, scope, notice hash, state, times, evidence hash.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

from accounts.models import Project
from audit import trail
from consent import inventory, iso27560, records
from consent.breach_holder import BreachHolder
from consent.import_holder import ImportHolder
from consent.inventory import Category, Target
from consent.models import (
    BulkWithdrawal,
    ConsentRecord,
    Decision,
    Representation,
    RestrictedRole,
    RoleChange,
    SpokenStatement,
    Subject,
)
from consent.not_personal import declare_fields_that_hold_nothing_personal
from consent.replays import ReplayHolder
from consent.staff import StaffHolder
from consent.voiceprints import VoiceprintHolder
from vault import sealing
from vault.models import SealedBlob


class IdentityHolder:
    """Who a subject is outside voxgov: the sealed external reference and its blind index."""

    name = "identity"
    category = Category.IDENTITY
    fields = frozenset({"consent.Subject.external_reference", "consent.Subject.external_index"})

    def _rows(self, target: Target) -> QuerySet[Subject]:
        if not target.whole_person:
            return Subject.objects.none()
        return Subject.objects.filter(project=target.project, code=target.subject, external_index__isnull=False)

    def count(self, target: Target) -> int:
        return self._rows(target).count()

    def export(self, target: Target) -> Iterator[Mapping[str, object]]:
        for row in self._rows(target):
            yield {"subject": row.code, "registered_at": row.created_at}

    def destroy(self, target: Target) -> int:
        return self._rows(target).update(external_reference=None, external_index=None)

    def destroy_due(self, project: int, made_before: datetime, limit: int) -> int:
        return 0


class RestrictionHolder:
    """Whether a person's data is restricted, and why. It goes in the transaction of the erasure."""

    name = "restriction"
    category = Category.IDENTITY
    fields = frozenset(
        f"consent.Subject.{name}" for name in ("restricted_at", "restriction_ground", "restriction_lifted_at")
    )

    def _rows(self, target: Target) -> QuerySet[Subject]:
        if not target.whole_person:
            return Subject.objects.none()
        marked = Q(restricted_at__isnull=False) | Q(restriction_lifted_at__isnull=False)
        return Subject.objects.filter(marked, project=target.project, code=target.subject)

    def count(self, target: Target) -> int:
        return self._rows(target).count()

    def export(self, target: Target) -> Iterator[Mapping[str, object]]:
        for row in self._rows(target):
            yield {
                "restricted_at": row.restricted_at,
                "ground": row.restriction_ground,
                "lifted_at": row.restriction_lifted_at,
            }

    def destroy(self, target: Target) -> int:
        return self._rows(target).update(restricted_at=None, restriction_ground="", restriction_lifted_at=None)

    def destroy_due(self, project: int, made_before: datetime, limit: int) -> int:
        return 0


class RepresentationHolder:
    """Who acts for a person: sealed identity and proof, and the day on which a child comes of age."""

    name = "representation"
    category = Category.IDENTITY
    fields = frozenset(
        f"consent.Representation.{name}"
        for name in (
            *("code", "subject", "relation", "of_child", "identity", "proof_sha256", "proof_reference"),
            *("began_at", "ends_at", "ended_at"),
        )
    )

    def _rows(self, target: Target) -> QuerySet[Representation]:
        if not target.whole_person:
            return Representation.objects.none()
        rows = Representation.objects.filter(project=target.project, subject__code=target.subject)
        return rows.filter(identity__isnull=False)

    def count(self, target: Target) -> int:
        return self._rows(target).count()

    def export(self, target: Target) -> Iterator[Mapping[str, object]]:
        for row in self._rows(target).order_by("id"):
            yield {
                "representation": row.code,
                "relation": row.relation,
                "began_at": row.began_at,
                "ends_at": row.ends_at,
            }

    def destroy(self, target: Target) -> int:
        """The row stays, because records name it, and says no more than when it began."""
        return self._rows(target).update(identity=None, proof_reference=None, ends_at=None, relation="")

    def destroy_due(self, project: int, made_before: datetime, limit: int) -> int:
        return 0


class RoleHolder:
    """In which roles the law denied something about a person, and which they were approved in since."""

    name = "roles"
    category = Category.IDENTITY
    fields = frozenset(
        {
            *(f"consent.RestrictedRole.{name}" for name in ("subject", "role", "denied_at")),
            *(
                f"consent.RoleChange.{name}"
                for name in ("subject", "role", "asked_at", "approved_at", "turned_down_at")
            ),
        }
    )

    def count(self, target: Target) -> int:
        if not target.whole_person:
            return 0
        return sum(
            model.objects.filter(subject__project=target.project, subject__code=target.subject).count()
            for model in (RestrictedRole, RoleChange)
        )

    def export(self, target: Target) -> Iterator[Mapping[str, object]]:
        for denied in RestrictedRole.objects.filter(subject__project=target.project, subject__code=target.subject):
            yield {"denied_in_role": denied.role, "at": denied.denied_at}
        for change in RoleChange.objects.filter(project=target.project, subject__code=target.subject):
            yield {"role": change.role, "asked_at": change.asked_at, "approved_at": change.approved_at}

    def destroy(self, target: Target) -> int:
        if not target.whole_person:
            return 0
        return sum(_call("SELECT consent_forget_roles(%s)", target.subject))

    def destroy_due(self, project: int, made_before: datetime, limit: int) -> int:
        return 0


class ConsentHolder:
    """Consent records and their grants. Proof of consent stays (GDPR art. 7(1), 17(3)(e)); the evidence's origin is sealed under
    the record key and ends with it."""

    name = "consent"
    category = Category.CONSENT
    fields = frozenset(
        {
            "consent.Subject.code",
            "consent.Subject.consent_epoch",
            "consent.Subject.created_at",
            "consent.Subject.erased_at",
            "consent.ConsentRecord.code",
            "consent.ConsentRecord.subject",
            "consent.ConsentRecord.explicit",
            "consent.ConsentRecord.given_at",
            "consent.ConsentRecord.registered_at",
            "consent.ConsentRecord.expires_at",
            "consent.ConsentRecord.until_event",
            "consent.ConsentRecord.uses",
            "consent.ConsentRecord.jurisdiction",
            "consent.ConsentRecord.covers_recorded_from",
            "consent.ConsentRecord.age_band",
            "consent.ConsentRecord.representation",
            "consent.ConsentRecord.evidence_method",
            "consent.ConsentRecord.evidence_sha256",
            "consent.ConsentRecord.evidence_origin",
            "consent.Grant.code",
            "consent.Grant.state",
            "consent.Grant.scope",
            "consent.Grant.at",
            "consent.Grant.reason",
            "consent.Grant.superseded_by",
            "consent.Grant.ending",
            *(f"consent.Ending.{name}" for name in ("code", "subject", "cause", "state", "consent_epoch", "at")),
            *(f"consent.LostEnding.{name}" for name in ("subject", "scope", "at")),
            *(f"consent.GrantUse.{name}" for name in ("record", "object_code", "at")),
            "consent.CurrentGrant.subject",
            "consent.CurrentGrant.scope",
            "consent.CurrentGrant.grant",
            "consent.DestructionOrder.subject",
        }
    )

    def _rows(self, target: Target) -> QuerySet[ConsentRecord]:
        return ConsentRecord.objects.filter(project=target.project, subject__code=target.subject)

    def count(self, target: Target) -> int:
        return self._rows(target).count()

    def export(self, target: Target) -> Iterator[Mapping[str, object]]:
        """The whole records, as ISO/IEC TS 27560 structures them."""
        for view in records.describe(list(records.readable(self._rows(target)).order_by("id"))):
            yield iso27560.as_json(view)

    def destroy(self, target: Target) -> int:
        """The bare record is proof and stays; the record key goes with the erasure's shred order, and a database function, which
        checks that the person was erased, takes out what says more of them than that."""
        if not target.whole_person:
            return 0
        bared: int = sum(_call("SELECT consent_bare_records(%s)", target.subject))
        forgotten: int = sum(_call("SELECT consent_forget_uses(%s)", target.subject))
        return bared + forgotten

    def destroy_due(self, project: int, made_before: datetime, limit: int) -> int:
        return 0


class BulkWithdrawalHolder:
    """Who is named one by one in a withdrawal of many people's consent, until that is done."""

    name = "bulk_withdrawals"
    category = Category.CONSENT
    fields = frozenset({"consent.BulkWithdrawal.subjects"})

    def _rows(self, target: Target) -> QuerySet[BulkWithdrawal]:
        if not target.whole_person:
            return BulkWithdrawal.objects.none()
        return BulkWithdrawal.objects.filter(project=target.project, subjects__contains=[target.subject])

    def count(self, target: Target) -> int:
        return self._rows(target).count()

    def export(self, target: Target) -> Iterator[Mapping[str, object]]:
        for row in self._rows(target).order_by("id"):
            yield {"bulk_withdrawal": row.code, "asked_at": row.asked_at}

    def destroy(self, target: Target) -> int:
        """An empty list would mean everybody: what is left of the selection of one person is somebody who is nobody."""
        gone = 0
        for row in self._rows(target).select_for_update(no_key=True):
            row.subjects = [code for code in row.subjects if code != target.subject] or ["erased"]
            row.save(update_fields=["subjects"])
            gone += 1
        return gone

    def destroy_due(self, project: int, made_before: datetime, limit: int) -> int:
        return 0


class StatementHolder:
    """Clips in which a person said that they consent, and what was made of them. Proof, until the person is erased."""

    name = "statements"
    category = Category.CONSENT
    fields = frozenset(
        f"consent.SpokenStatement.{name}"
        for name in (
            *("code", "record", "blob", "state", "ratio", "transcript_sha256", "seconds", "model"),
            *("received_at", "finished_at", "attempts", "due_at"),
        )
    )

    def _rows(self, target: Target) -> QuerySet[SpokenStatement]:
        if not target.whole_person:
            return SpokenStatement.objects.none()
        return SpokenStatement.objects.filter(record__project=target.project, record__subject__code=target.subject)

    def count(self, target: Target) -> int:
        return self._rows(target).count()

    def export(self, target: Target) -> Iterator[Mapping[str, object]]:
        for row in self._rows(target).select_related("record").order_by("id"):
            yield {
                "consent": row.record.code,
                "received_at": row.received_at,
                "state": row.state,
                "seconds": row.seconds,
            }

    def destroy(self, target: Target) -> int:
        for blob in SealedBlob.objects.filter(code__in=self._rows(target).values("blob")):
            sealing.discard(blob)
        deleted, _ = self._rows(target).delete()
        return deleted

    def destroy_due(self, project: int, made_before: datetime, limit: int) -> int:
        return 0


class DecisionHolder:
    """What the gate decided about a person."""

    name = "decisions"
    category = Category.DECISIONS
    fields = frozenset(
        {
            f"consent.Decision.{name}"
            for name in (
                *(
                    "code",
                    "object_code",
                    "subjects",
                    "request",
                    "granted",
                    "denials",
                    "obligations",
                    "rules",
                    "citations",
                    "allowed",
                ),
                *("action", "at"),
            )
        }
    )

    def _rows(self, target: Target) -> QuerySet[Decision]:
        if not target.whole_person:
            return Decision.objects.none()
        return Decision.objects.filter(project=target.project, subjects__contains=[target.subject])

    def count(self, target: Target) -> int:
        return self._rows(target).count()

    def export(self, target: Target) -> Iterator[Mapping[str, object]]:
        for row in Decision.objects.filter(project=target.project, subjects__contains=[target.subject]).order_by("id"):
            yield {"decision": row.code, "action": row.action, "allowed": row.allowed, "at": row.at}

    def destroy(self, target: Target) -> int:
        """The application may not delete decisions; a database function may, after checking that the person was erased."""
        if not target.whole_person:
            return 0
        return sum(_call("SELECT consent_prune_decisions(%s)", target.subject))

    def destroy_due(self, project: int, made_before: datetime, limit: int) -> int:
        """The salts that tie log entries to a decision go with it, in the caller's transaction."""
        pruned = _call("SELECT consent_prune_old_decisions(%s, %s, %s)", project, made_before, limit)
        if pruned:
            trail.forget(Project.objects.select_related("organization").get(pk=project).organization.code, pruned)
        return len(pruned)


def _call(statement: str, *values: str | int | datetime) -> list[Any]:
    """The one column that a database function answers with."""
    with connection.cursor() as cursor:
        cursor.execute(statement, list(values))
        return [row[0] for row in cursor.fetchall()]


def declare_all() -> None:
    """Declares this room's holders, and the fields of this room and those below that hold nothing personal."""
    for holder in (
        IdentityHolder(),
        RestrictionHolder(),
        RepresentationHolder(),
        RoleHolder(),
        ConsentHolder(),
        BulkWithdrawalHolder(),
        StatementHolder(),
        DecisionHolder(),
        VoiceprintHolder(),
        ImportHolder(),
        BreachHolder(),
        ReplayHolder(),
        StaffHolder(),
    ):
        inventory.declare(holder)
    declare_fields_that_hold_nothing_personal()
