"""Subjects, notices, purposes, consent records and their revisions, decisions, and orders to destroy.

Append-only by the application's database role: Notice (once published, by trigger), ConsentRecord, Grant, Decision.
Rules live in `gate`, `law`, `granting`, `withdrawal`, `publishing`; nothing here decides anything.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from accounts.access import projects_with
from accounts.models import Project
from accounts.roles import Permission
from consent.vocabulary import (
    AgeBand,
    Context,
    EndCause,
    EvidenceMethod,
    GrantState,
    Ground,
    LawfulBasis,
    ParticipantRole,
    RepresentativeRelation,
    RetentionClass,
    Right,
    Scope,
    StatementState,
)
from vault.codes import new_code
from vault.context import Context as SealContext
from vault.fields import SealedField
from vault.keys import KeyName


class ScopedQuerySet(models.QuerySet[Any]):
    """Rows of projects in which the viewer holds the model's `view_permission`; nothing when unsure."""

    project_path: ClassVar[str] = "project"

    def visible_to(self, user: Any) -> Self:
        permission: Permission = self.model.view_permission
        path: str = getattr(self.model, "project_path", "project")
        return self.filter(**{f"{path}__in": projects_with(user, permission)})


def _choices(words: Any) -> list[tuple[str, str]]:
    return [(word.value, word.value) for word in words]


class Subject(models.Model):
    """A person whose voice it is, known by an opaque code. `consent_epoch` moves with each change of their grants."""

    view_permission: ClassVar = Permission.VIEW_CONSENT

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="subjects")
    external_reference = models.BinaryField(
        null=True, editable=False, help_text="Sealed under the subject's record key; empty when none was given."
    )
    external_index = models.BinaryField(
        max_length=32, null=True, editable=False, help_text="Blind index of the external reference."
    )
    consent_epoch = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    erased_at = models.DateTimeField(null=True, editable=False)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "external_index"], name="one_subject_per_reference"),
        ]

    def __str__(self) -> str:
        return self.code


class RestrictedRole(models.Model):
    """A role in which the law denied something about a person that it would not have denied in another. Append-only."""

    id = models.BigAutoField(primary_key=True)
    subject = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="restricted_roles")
    role = models.CharField(max_length=16, choices=_choices(ParticipantRole))
    denied_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["subject", "role"], name="one_restriction_per_role"),
        ]

    def __str__(self) -> str:
        return self.role


class RoleChange(models.Model):
    """Somebody asks that a person count in another role than the one in which they were denied; a second person approves.

    Append-only but for the approval.
    """

    view_permission: ClassVar = Permission.VIEW_CONSENT

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="role_changes")
    subject = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="role_changes")
    role = models.CharField(max_length=16, choices=_choices(ParticipantRole), help_text="The role from now on.")
    asked_by_kind = models.CharField(max_length=16)
    asked_by_code = models.CharField(max_length=64)
    asked_at = models.DateTimeField(auto_now_add=True)
    approved_by_code = models.CharField(max_length=64, blank=True)
    approved_at = models.DateTimeField(null=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_second_person_approves", condition=~models.Q(approved_by_code=models.F("asked_by_code"))
            ),
        ]

    def __str__(self) -> str:
        return self.code


class NoticeSeries(models.Model):
    """The versions of one notice. `least_valid_version` closes the gate for every grant on an older version, in one row."""

    view_permission: ClassVar = Permission.VIEW_CONSENT

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="notice_series")
    name = models.CharField(max_length=120)
    least_valid_version = models.IntegerField(default=1, editable=False)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["project", "name"], name="one_series_per_name")]

    def __str__(self) -> str:
        return self.name


class Notice(models.Model):
    """One version of a notice in one language: exactly the text that a person is shown before consenting."""

    view_permission: ClassVar = Permission.VIEW_CONSENT

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="notices")
    series = models.ForeignKey(NoticeSeries, on_delete=models.PROTECT, related_name="notices")
    version = models.IntegerField()
    language = models.CharField(max_length=35, help_text="BCP 47 language tag.")
    title = models.CharField(max_length=200)
    text = models.TextField()
    required_phrase = models.CharField(
        max_length=500, blank=True, help_text="What a person says to consent by voice, word for word."
    )
    material = models.BooleanField(help_text="A material version ends the validity of every older version.")
    sha256 = models.CharField(max_length=64, editable=False, help_text="Over the canonical form (RFC 8785).")
    created_at = models.DateTimeField(auto_now_add=True)
    published_at = models.DateTimeField(null=True, editable=False)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["series", "version", "language"], name="one_notice_per_version_and_language"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.series_id}/{self.version} {self.language}"


class RenewalRun(models.Model):
    """How far the revisions that follow one material version have come. The gate does not wait for it."""

    id = models.BigAutoField(primary_key=True)
    series = models.ForeignKey(NoticeSeries, on_delete=models.PROTECT, related_name="renewals")
    version = models.IntegerField()
    total = models.BigIntegerField(null=True, help_text="Grants to revise, counted when the first batch begins.")
    done = models.BigIntegerField(default=0)
    after = models.BigIntegerField(default=0, help_text="The mark: rows up to here are done.")
    begun_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["series", "version"], name="one_run_per_version"),
        ]

    def __str__(self) -> str:
        return f"renewal {self.series_id}/{self.version}"


class Purpose(models.Model):
    """Why voices are processed: lawful basis, the scopes and contexts it may use, who receives the results."""

    view_permission: ClassVar = Permission.VIEW_CONSENT

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="purposes")
    series = models.ForeignKey(NoticeSeries, on_delete=models.PROTECT, related_name="purposes")
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    lawful_basis = models.CharField(max_length=32, choices=_choices(LawfulBasis))
    scopes = ArrayField(models.CharField(max_length=32, choices=_choices(Scope)))
    contexts = ArrayField(models.CharField(max_length=32, choices=_choices(Context)))
    recipients = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    jurisdictions = ArrayField(
        models.CharField(max_length=16), default=list, help_text="Where it is meant for: ISO 3166."
    )
    parties = models.JSONField(default=list, help_text="Controllers and others: name, address, contact, role, type.")
    storage_locations = ArrayField(
        models.CharField(max_length=16), default=list, help_text="Where data lies: ISO 3166."
    )
    withdrawal_method = models.CharField(max_length=500, blank=True, help_text="How people withdraw.")
    retention_class = models.CharField(
        max_length=16, choices=_choices(RetentionClass), default=RetentionClass.STANDARD.value
    )
    collection_method = models.CharField(max_length=500, blank=True)
    processing_method = models.CharField(max_length=500, blank=True)
    processing_locations = ArrayField(models.CharField(max_length=16), default=list, blank=True)
    geographic_restrictions = models.CharField(max_length=500, blank=True)
    rights = ArrayField(models.CharField(max_length=16, choices=_choices(Right)), default=list)
    supervisory_authority = models.CharField(max_length=500, blank=True)
    optional_scopes = ArrayField(models.CharField(max_length=32, choices=_choices(Scope)), default=list, blank=True)
    ground = models.CharField(
        max_length=16,
        choices=_choices(Ground),
        default=Ground.NONE.value,
        help_text="Why emotion at work or in education, as the impact assessment documents (EU AI Act art. 5(1)(f)).",
    )
    deidentified = models.BooleanField(default=False, help_text="Whether results are handed on as de-identified.")
    high_risk = models.BooleanField(default=False, help_text="By its scopes and contexts (GDPR art. 35(3)).")
    dpia_reference = models.CharField(max_length=200, blank=True, help_text="Where the impact assessment stands.")
    active = models.BooleanField(default=True)
    changed_at = models.DateTimeField(null=True, editable=False, help_text="When it was last opened or closed.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "name"], name="one_purpose_per_name"),
            models.CheckConstraint(
                name="high_risk_needs_assessment",
                condition=models.Q(active=False) | models.Q(high_risk=False) | ~models.Q(dpia_reference=""),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Representation(models.Model):
    """Somebody who lawfully acts for a subject: a parent or guardian of a child, a representative of an adult.

    Who they are is sealed under the subject's record key. `ends_at` is the day of majority for a child. Of a row only the end
    ever changes, and what erasure takes.
    """

    view_permission: ClassVar = Permission.VIEW_CONSENT

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="representations")
    subject = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="representations")
    relation = models.CharField(max_length=32, choices=_choices(RepresentativeRelation))
    of_child = models.BooleanField(help_text="Ends at majority at the latest.")
    identity = SealedField(null=True, editable=False, help_text="Who the representative is.")
    proof_sha256 = models.CharField(max_length=64, help_text="SHA-256 of the document that proves it.")
    proof_reference = SealedField(null=True, editable=False, help_text="Where the proof is kept.")
    began_at = models.DateTimeField(auto_now_add=True)
    ends_at = models.DateTimeField(null=True, help_text="Majority, or the end of the mandate.")
    ended_at = models.DateTimeField(null=True, editable=False, help_text="When somebody ended it before its time.")

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_child_comes_of_age",
                condition=models.Q(of_child=False) | models.Q(ends_at__isnull=False) | models.Q(identity__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.code

    def sealed_in(self, field: str) -> tuple[SealContext, Sequence[KeyName]]:
        organization, subject = self.project.organization.code, self.subject.code
        context = SealContext(
            organization=organization,
            subjects=(subject,),
            scope="record",
            kind="representation",
            field=field,
            object_code=self.code,
        )
        return context, [KeyName.record(organization, subject)]


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
    age_band = models.CharField(max_length=16, choices=_choices(AgeBand), default=AgeBand.UNSTATED.value)
    representation = models.ForeignKey(
        Representation,
        on_delete=models.PROTECT,
        null=True,
        related_name="consent_records",
        help_text="Who answered, where it was not the person.",
    )
    evidence_method = models.CharField(max_length=32, choices=_choices(EvidenceMethod))
    evidence_sha256 = models.CharField(max_length=64, help_text="SHA-256 of exactly what was shown.")
    evidence_origin = models.BinaryField(
        null=True, editable=False, help_text="Where the answer came from; sealed under the subject's record key."
    )

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
    scope = models.CharField(max_length=32, choices=_choices(Scope))
    revision = models.IntegerField()
    state = models.CharField(max_length=16, choices=_choices(GrantState))
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


class Ending(models.Model):
    """One act or moment that ended grants of one person: a withdrawal, an erasure, a term, an event. Append-only; what it closed
    are the grants that name it, and its receipt says what was destroyed."""

    view_permission: ClassVar = Permission.VIEW_CONSENT

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="endings")
    subject = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="endings")
    cause = models.CharField(max_length=16, choices=_choices(EndCause))
    state = models.CharField(max_length=16, choices=_choices(GrantState))
    consent_epoch = models.BigIntegerField()
    actor_kind = models.CharField(max_length=16)
    actor_code = models.CharField(max_length=64)
    at = models.DateTimeField(auto_now_add=True)

    objects = ScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return self.code


class SpokenStatement(models.Model):
    """A clip in which a person says that they consent, and the job that compares it with the notice's required phrase.

    The clip is sealed under the person's record key. Of what was heard, only the ratio and a hash are kept.
    """

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    record = models.OneToOneField(ConsentRecord, on_delete=models.PROTECT, related_name="statement")
    blob = models.CharField(max_length=36)
    state = models.CharField(max_length=16, choices=_choices(StatementState), default=StatementState.WAITING.value)
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
    scope = models.CharField(max_length=32, choices=_choices(Scope))
    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["subject", "purpose", "scope"], name="one_current_grant"),
        ]

    def __str__(self) -> str:
        return f"{self.scope} of {self.subject_id}"


class Decision(models.Model):
    """The gate's recorded answer. Append-only; rows about an erased person go with their data."""

    view_permission: ClassVar = Permission.VIEW_DECISION

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="decisions")
    action = models.CharField(max_length=16)
    object_code = models.CharField(max_length=36, blank=True, help_text="The recording or analysis, when there is one.")
    allowed = models.BooleanField()
    subjects = ArrayField(models.CharField(max_length=36), help_text="Codes of everyone it was about.")
    request = models.JSONField(help_text="What was asked: purpose, context, roles, scopes, recording time.")
    granted = models.JSONField(help_text="Per participant and scope: the grant revision that it rests on.")
    denials = models.JSONField(help_text="Per participant and scope: reason, rule, remedy.")
    obligations = models.JSONField(default=list, help_text="What must be done besides; participants by position.")
    rules = ArrayField(
        models.CharField(max_length=48), default=list, help_text="The rules of law that what is granted was judged by."
    )
    policy_epoch = models.BigIntegerField()
    rule_set = models.CharField(max_length=128)
    actor_kind = models.CharField(max_length=16)
    actor_code = models.CharField(max_length=64)
    at = models.DateTimeField(auto_now_add=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            GinIndex(fields=["subjects"], name="decision_subjects"),
            models.Index(fields=["object_code"], name="decision_object"),
            models.Index(fields=["project", "-id"], name="decision_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {'allowed' if self.allowed else 'denied'}"


class DestructionOrder(models.Model):
    """What must go: written in the transaction that closes the gate, carried out by a resumable worker.

    Empty `scopes` mean the whole person. `purpose` limits the order to results made under it. Until `done_at` is set the data
    is already unreadable, because the gate is closed and the vault checks its own orders.
    """

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    organization = models.CharField(max_length=36)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+")
    subject = models.CharField(max_length=36, help_text="Code; the order outlives the row.")
    purpose = models.CharField(max_length=36, blank=True)
    scopes = ArrayField(models.CharField(max_length=32), default=list)
    reason = models.CharField(max_length=32)
    ending = models.ForeignKey(Ending, on_delete=models.PROTECT, null=True, related_name="orders")
    ordered_at = models.DateTimeField(auto_now_add=True)
    done_at = models.DateTimeField(null=True)
    destroyed = models.JSONField(default=dict, help_text="Counts per kind of data, from the inventory.")
    shreds = ArrayField(models.CharField(max_length=36), default=list, help_text="The vault's orders for its keys.")
    unrecoverable_from = models.DateTimeField(
        null=True, help_text="When backups open nothing of it any more; empty while a key is still needed elsewhere."
    )

    def __str__(self) -> str:
        return f"{self.reason} {self.code}"


class RetentionSchedule(models.Model):
    """One published version of how long a project keeps what. Append-only; the newest is what the public reads."""

    id = models.BigAutoField(primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="retention_schedules")
    version = models.IntegerField()
    terms = models.JSONField(help_text="Days per category.")
    sha256 = models.CharField(max_length=64, help_text="Over project, version, terms and the rule of destruction.")
    published_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "version"], name="one_schedule_per_version"),
        ]

    def __str__(self) -> str:
        return f"schedule {self.version}"


class RetentionPolicy(models.Model):
    """For one project and one category of data: how many days it is kept after it was made. None: the category's default."""

    view_permission: ClassVar = Permission.VIEW_CONSENT

    id = models.BigAutoField(primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="retention_policies")
    category = models.CharField(max_length=32)
    days = models.PositiveIntegerField()

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "category"], name="one_policy_per_category")
        ]

    def __str__(self) -> str:
        return f"{self.category}: {self.days} days"
