"""Consent records, the revisions of their scopes, what ended them, and how often they were used. Append-only, but for which
revision is current and for the work on a spoken statement."""

from collections.abc import Sequence
from typing import ClassVar

from django.db import models

from accounts.models import Project
from accounts.roles import Permission
from consent.models.notices import Notice, Purpose
from consent.models.people import Representation, Subject, in_record_of
from consent.models.scoping import ScopedQuerySet, choices
from consent.vocabulary import AgeBand, EndCause, EvidenceMethod, GrantState, Scope, StatementState
from vault.codes import new_code
from vault.context import Context as SealContext
from vault.fields import SealedField
from vault.keys import KeyName


class ConsentRecord(models.Model):
    """What one person was shown and answered, once: the fixed part of an ISO/IEC TS 27560 record. Append-only."""

    view_permission: ClassVar = Permission.VIEW_CONSENT

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="consent_records")
    subject = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="consent_records")
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="consent_records")
    notice = models.ForeignKey(Notice, on_delete=models.PROTECT, related_name="consent_records")
    explicit = models.BooleanField(help_text="GDPR art. 9: special-category scopes open for explicit consent only.")
    given_at = models.DateTimeField(help_text="When the person answered, as asserted.")
    registered_at = models.DateTimeField(auto_now_add=True, help_text="When it was recorded here; the gate opens then.")
    expires_at = models.DateTimeField(null=True, blank=True)
    until_event = models.CharField(max_length=64, blank=True, help_text="Holds until this event is reported.")
    uses = models.PositiveIntegerField(null=True, help_text="For how many recordings it holds; empty: for any number.")
    jurisdiction = models.CharField(
        max_length=16, default="unknown", help_text="Where the person is protected: ISO 3166."
    )
    covers_recorded_from = models.DateTimeField(
        null=True, blank=True, help_text="Set when the person also named earlier recordings: those from this time on."
    )
    age_band = models.CharField(max_length=16, choices=choices(AgeBand), default=AgeBand.UNSTATED.value)
    representation = models.ForeignKey(
        Representation,
        on_delete=models.PROTECT,
        null=True,
        related_name="consent_records",
        help_text="Who answered, where it was not the person.",
    )
    evidence_method = models.CharField(max_length=32, choices=choices(EvidenceMethod))
    evidence_sha256 = models.CharField(max_length=64, help_text="SHA-256 of exactly what was shown.")
    evidence_origin = SealedField(
        null=True, editable=False, help_text="Where the answer came from; sealed under the subject's record key."
    )

    objects = ScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return self.code

    def sealed_in(self, field: str) -> tuple[SealContext, Sequence[KeyName]]:
        return in_record_of(self.subject, "consent", field, self.code)


class Ending(models.Model):
    """One act or moment that ended grants of one person: a withdrawal, an erasure, a term, an event. Append-only; what it closed
    are the grants that name it, and its receipt says what was destroyed."""

    view_permission: ClassVar = Permission.VIEW_CONSENT

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="endings")
    subject = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="endings")
    cause = models.CharField(max_length=16, choices=choices(EndCause))
    state = models.CharField(max_length=16, choices=choices(GrantState))
    consent_epoch = models.BigIntegerField()
    actor_kind = models.CharField(max_length=16)
    actor_code = models.CharField(max_length=64)
    at = models.DateTimeField(auto_now_add=True)

    objects = ScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return self.code


class Grant(models.Model):
    """One revision of one scope of a consent record. Append-only: a change is a new revision."""

    view_permission: ClassVar = Permission.VIEW_CONSENT
    project_path: ClassVar = "record__project"

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    record = models.ForeignKey(ConsentRecord, on_delete=models.PROTECT, related_name="grants")
    scope = models.CharField(max_length=32, choices=choices(Scope))
    revision = models.IntegerField()
    state = models.CharField(max_length=16, choices=choices(GrantState))
    at = models.DateTimeField(auto_now_add=True)
    actor_kind = models.CharField(max_length=16)
    actor_code = models.CharField(max_length=64)
    reason = models.CharField(max_length=200, blank=True)
    superseded_by = models.ForeignKey(
        ConsentRecord,
        on_delete=models.PROTECT,
        null=True,
        related_name="superseded",
        help_text="The record that answers for this scope now, with state `superseded`.",
    )
    ending = models.ForeignKey(
        "Ending",
        on_delete=models.PROTECT,
        null=True,
        related_name="grants",
        help_text="What ended it, with such a state.",
    )

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["record", "scope", "revision"], name="one_grant_per_revision"),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.state}"


class LostEnding(models.Model):
    """What the journal says had ended in a database whose backup does not even know that there was a grant: whatever the person
    had answered before opens nothing when it is recorded again. Append-only."""

    id = models.BigAutoField(primary_key=True)
    subject = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="lost_endings")
    purpose = models.CharField(max_length=36, help_text="Its code; the purpose may have gone with the backup, too.")
    scope = models.CharField(max_length=32, choices=choices(Scope))
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["subject", "purpose", "scope", "at"], name="one_lost_ending"),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.at.isoformat()}"


class GrantUse(models.Model):
    """One use of a record that holds for a number of recordings: which recording, and the how manieth. Append-only, and unique, so
    that no use is made twice whoever races."""

    id = models.BigAutoField(primary_key=True)
    record = models.ForeignKey(ConsentRecord, on_delete=models.PROTECT, related_name="used")
    number = models.PositiveIntegerField(help_text="From 1.")
    object_code = models.CharField(max_length=36, help_text="The recording.")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["record", "number"], name="one_recording_per_use"),
            models.UniqueConstraint(fields=["record", "object_code"], name="one_use_per_recording"),
        ]

    def __str__(self) -> str:
        return f"use {self.number} of {self.record_id}"


class CurrentGrant(models.Model):
    """Which revision counts now: one row per subject, purpose and scope."""

    id = models.BigAutoField(primary_key=True)
    subject = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="current_grants")
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="current_grants")
    scope = models.CharField(max_length=32, choices=choices(Scope))
    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["subject", "purpose", "scope"], name="one_current_grant"),
        ]

    def __str__(self) -> str:
        return f"{self.scope} of {self.subject_id}"


class SpokenStatement(models.Model):
    """A clip in which a person says that they consent, and the job that compares it with the notice's required phrase.

    The clip is sealed under the person's record key. Of what was heard, only the ratio and a hash are kept.
    """

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    record = models.OneToOneField(ConsentRecord, on_delete=models.PROTECT, related_name="statement")
    blob = models.CharField(max_length=36)
    state = models.CharField(max_length=16, choices=choices(StatementState), default=StatementState.WAITING.value)
    ratio = models.FloatField(null=True, help_text="Share of the required phrase that was heard, 0.0 to 1.0.")
    transcript_sha256 = models.CharField(max_length=64, blank=True)
    seconds = models.FloatField(null=True)
    model = models.JSONField(null=True, help_text="Name, version, digest and licence of the model that heard it.")
    fencing_token = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    due_at = models.DateTimeField(auto_now_add=True)
    rung_at = models.DateTimeField(null=True)
    attempts = models.IntegerField(default=0)
    received_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["due_at"],
                name="statement_unfinished",
                condition=models.Q(state__in=[StatementState.WAITING.value, StatementState.RUNNING.value]),
            ),
        ]

    def __str__(self) -> str:
        return self.code
