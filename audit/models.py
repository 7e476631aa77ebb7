"""The event table and the signed log over it (append-only), the deletable side table of salts, the queue of events that have no
leaf yet, and the webhooks that read the log. No foreign key leads out of this room."""

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from vault.codes import new_code
from vault.context import Context
from vault.fields import SealedField
from vault.keys import KeyName


class ExportState(StrEnum):
    """`expired`: the file is gone because its term was over; ordered again, it is the same but for the time it was made."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"


class Event(models.Model):
    """One audit event. The columns beside `entry` repeat parts of it for searching; `entry` is what counts.

    Append-only: the application's database role holds no UPDATE, DELETE or TRUNCATE on this table.
    """

    id = models.BigAutoField(primary_key=True)
    code = models.UUIDField(unique=True, editable=False)
    log = models.CharField(max_length=36, help_text="Code of the organization whose log this is.")
    at = models.DateTimeField()
    name = models.CharField(max_length=64)
    actor_kind = models.CharField(max_length=16)
    actor_code = models.CharField(max_length=64)
    outcome = models.CharField(max_length=16, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    entry = models.BinaryField(help_text="Canonical JSON (RFC 8785), schema version 1.")

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["log", "-id"]),
            models.Index(fields=["log", "name", "-id"]),
            models.Index(fields=["log", "actor_code", "-id"]),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.code}"


class EventReference(models.Model):
    """Opens one blinded object of one event. Rows go at erasure; the log still verifies without them."""

    id = models.BigAutoField(primary_key=True)
    # Written in one statement with its event, which is never deleted but with it: a constraint would ask again for every row.
    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="references", db_constraint=False)
    log = models.CharField(max_length=36)
    kind = models.CharField(max_length=16)
    code = models.CharField(max_length=64)
    salt = models.BinaryField(max_length=32)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["log", "kind", "code", "event"])]

    def __str__(self) -> str:
        return f"{self.kind} of event {self.event_id}"


class Unsequenced(models.Model):
    """An event that has no leaf yet: put here by a trigger in the event's own transaction, taken away with its leaf's.

    That is the anti-join of events and leaves, kept instead of computed: no cursor over ids could be, because a transaction with
    a lower id may commit later.
    """

    event = models.OneToOneField(
        Event, on_delete=models.PROTECT, primary_key=True, related_name="+", db_constraint=False
    )
    log = models.CharField(max_length=36)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["log", "event"], name="unsequenced_log")]

    def __str__(self) -> str:
        return f"event {self.event_id}"


class Log(models.Model):
    """A signed log: one for each organization, and a further generation, under another origin, after a restored backup."""

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, help_text="Code of the organization.")
    generation = models.IntegerField()
    origin = models.CharField(max_length=255, unique=True)
    minimum_index = models.BigIntegerField(
        default=0, editable=False, help_text="Entries below it were pruned; their hashes stay in the tiles."
    )
    begun_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["code", "generation"], name="one_log_per_generation")]

    def __str__(self) -> str:
        return self.origin


class Leaf(models.Model):
    """Where an event stands in its log, and the hash of its entry (RFC 6962, section 2.1). Indexes have no gap."""

    # Both are checked by triggers, `leaves_follow` once for a batch and `leaves_keep` when events go; the constraint below is an
    # index over the log, too.
    event = models.OneToOneField(
        Event, on_delete=models.PROTECT, primary_key=True, related_name="leaf", db_constraint=False
    )
    log = models.ForeignKey(Log, on_delete=models.PROTECT, related_name="leaves", db_constraint=False, db_index=False)
    index = models.BigIntegerField()
    hash = models.BinaryField(max_length=32)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["log", "index"], name="one_leaf_per_index")]

    def __str__(self) -> str:
        return f"leaf {self.index}"


class FullTile(models.Model):
    """256 hashes of one level and the root over them, once there are so many. Narrower tiles are read out of the level below."""

    id = models.BigAutoField(primary_key=True)
    log = models.ForeignKey(Log, on_delete=models.PROTECT, related_name="tiles")
    level = models.SmallIntegerField()
    index = models.BigIntegerField()
    hashes = models.BinaryField(max_length=8192)
    root = models.BinaryField(max_length=32)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["log", "level", "index"], name="one_tile_per_place")]

    def __str__(self) -> str:
        return f"tile {self.level}/{self.index}"


class SignedCheckpoint(models.Model):
    """A checkpoint as it was signed, cosignatures aside. The last of each log is also kept outside the database."""

    id = models.BigAutoField(primary_key=True)
    log = models.ForeignKey(Log, on_delete=models.PROTECT, related_name="checkpoints")
    size = models.BigIntegerField()
    note = models.BinaryField()
    signed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["log", "size"], name="one_checkpoint_per_size")]

    def __str__(self) -> str:
        return f"checkpoint {self.size}"


class Cosignature(models.Model):
    """What a witness answered: that a checkpoint extends everything that it saw of this log before."""

    id = models.BigAutoField(primary_key=True)
    checkpoint = models.ForeignKey(SignedCheckpoint, on_delete=models.PROTECT, related_name="cosignatures")
    witness = models.CharField(max_length=255, help_text="Name of the witness's key.")
    line = models.TextField(help_text="The signature line, verbatim.")
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["checkpoint", "witness"], name="one_cosignature_per_witness"),
        ]

    def __str__(self) -> str:
        return f"{self.witness} on checkpoint {self.checkpoint_id}"


class Export(models.Model):
    """An export bundle that somebody ordered. The row is the job; the file lies under its code until its term is over."""

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    log = models.ForeignKey(Log, on_delete=models.PROTECT, related_name="exports")
    start = models.BigIntegerField(help_text="Size of the earlier checkpoint; 0 begins with the log.")
    end = models.BigIntegerField(help_text="Size of the later checkpoint.")
    filter = models.JSONField(
        default=dict, help_text="Field to accepted values; what does not match is left out as hashes."
    )
    recipient = models.CharField(
        max_length=200, blank=True, help_text="Auditor's public key that the bundle is sealed to."
    )
    actor_kind = models.CharField(max_length=16)
    actor_code = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    state = models.CharField(max_length=16, choices=[(state.value, state.value) for state in ExportState])
    done_entries = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    attempts = models.IntegerField(default=0)
    finished_at = models.DateTimeField(null=True)
    size = models.BigIntegerField(null=True, help_text="Bytes of the file.")
    sha256 = models.CharField(max_length=64, blank=True)
    error_code = models.CharField(max_length=64, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["log", "-id"], name="export_recent")]

    def __str__(self) -> str:
        return self.code

    @property
    def progress(self) -> float:
        """0 to 1."""
        if self.state == ExportState.DONE:
            return 1.0
        return min(0.99, self.done_entries / max(1, self.end - self.start))


class Webhook(models.Model):
    """An address to which the events of one log are sent, in the log's order, and the place up to which that was done.

    `turn` moves with every claim and with every change, so that a worker which holds the webhook finds out at its next write.
    """

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    log = models.CharField(max_length=36, help_text="Code of the organization whose log it reads.")
    url = models.CharField(max_length=2000)
    names = ArrayField(
        models.CharField(max_length=64), help_text="Names of the events that are sent; empty: every event."
    )
    enabled = models.BooleanField(default=True)
    disabled_reason = models.CharField(max_length=16, blank=True)
    disabled_at = models.DateTimeField(null=True)
    generation = models.IntegerField(help_text="Of the log, as is `index`: the last entry that was sent or left out.")
    index = models.BigIntegerField(help_text="-1 before the first entry of the generation.")
    failures = models.IntegerField(default=0, help_text="How often in a row the next event could not be delivered.")
    failing_since = models.DateTimeField(null=True)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    last_outcome = models.CharField(max_length=16, blank=True)
    last_attempt_at = models.DateTimeField(null=True)
    last_delivered_at = models.DateTimeField(null=True)
    ping = models.CharField(max_length=36, blank=True, help_text="Id of a test message that waits to be sent.")
    served_at = models.DateTimeField(null=True, help_text="When a worker last took it up.")
    lease_until = models.DateTimeField(null=True)
    turn = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["log", "-id"], name="webhook_log"),
            models.Index(fields=["next_attempt_at"], name="webhook_due", condition=models.Q(enabled=True)),
        ]

    def __str__(self) -> str:
        return self.code


class WebhookSecret(models.Model):
    """What one webhook's messages are signed with. All that have not expired sign, so that a rotation interrupts nobody."""

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="secrets")
    secret = SealedField()
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.code

    def sealed_in(self, field: str) -> tuple[Context, Sequence[KeyName]]:
        webhook = self.webhook
        context = Context(webhook.log, (), "", "webhook_secret", field, self.code)
        return context, [KeyName.record(webhook.log, webhook.code)]


class WebhookDelivery(models.Model):
    """One attempt to send one message; the newest of each webhook are kept, for who looks why something does not arrive."""

    id = models.BigAutoField(primary_key=True)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    message = models.CharField(max_length=36, help_text="Code of the event, or id of the test message.")
    test = models.BooleanField(default=False)
    generation = models.IntegerField(null=True)
    index = models.BigIntegerField(null=True)
    attempt = models.IntegerField()
    at = models.DateTimeField()
    milliseconds = models.IntegerField()
    outcome = models.CharField(max_length=16)
    status = models.IntegerField(null=True, help_text="HTTP status of the answer; empty where none came.")

    class Meta:
        indexes: ClassVar = [models.Index(fields=["webhook", "-id"], name="webhook_deliveries")]

    def __str__(self) -> str:
        return f"{self.outcome} {self.message}"
