"""Epochs and wrapped keys (in the `keys` database), orders to shred them, and the sealed files.

Owners are opaque codes, without foreign keys.
"""

from typing import ClassVar

from django.contrib.postgres.indexes import GinIndex
from django.db import models


class KeyClass(models.TextChoices):
    """`subject`: one person and scope. `work`: one recording waiting for analysis. `record`: what nobody grants, by whom it is
    about: one person's identity and evidence, one webhook's secrets, what waits in one import, what is said of one breach."""

    SUBJECT = "subject"
    WORK = "work"
    RECORD = "record"


class Epoch(models.Model):
    """An epoch of the provider's key, by its number only: the key itself is in no database. In the `keys` database.

    New data keys are wrapped under the newest epoch that is not retired. Retired: no key is wrapped under it any more. Destroyed:
    no key was left under it, and the provider's key is gone.
    """

    number = models.IntegerField(primary_key=True)
    begun_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True)
    destroyed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"epoch {self.number}"


class DataKey(models.Model):
    """A random data key, wrapped under an epoch key at the provider. `generation` counts the shred orders before it."""

    id = models.UUIDField(primary_key=True)
    organization = models.CharField(max_length=36)
    key_class = models.CharField(max_length=16, choices=KeyClass.choices)
    owner = models.CharField(max_length=36)
    scope = models.CharField(max_length=32, blank=True)
    generation = models.IntegerField()
    epoch = models.IntegerField()
    wrapped = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["organization", "key_class", "owner", "scope", "generation"], name="one_key_per_generation"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["epoch", "id"], name="data_key_epoch")]

    def __str__(self) -> str:
        return str(self.id)


class ShredOrder(models.Model):
    """The order to destroy keys, written in the transaction that closes the gate. From that commit on they open nothing.

    An empty `scope` means every scope of the owner. Only `done_at` and `certificate` ever change.
    """

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True)
    organization = models.CharField(max_length=36)
    key_class = models.CharField(max_length=16, choices=KeyClass.choices)
    owner = models.CharField(max_length=36)
    scope = models.CharField(max_length=32, blank=True)
    reason = models.CharField(max_length=64)
    ordered_at = models.DateTimeField(auto_now_add=True)
    done_at = models.DateTimeField(null=True)
    certificate = models.JSONField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["owner", "key_class", "scope"], name="shred_order_owner"),
            models.Index(fields=["id"], name="shred_order_open", condition=models.Q(done_at=None)),
        ]

    def __str__(self) -> str:
        return self.code


class SealedBlob(models.Model):
    """A sealed file. The row exists only when the file is whole."""

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True)
    organization = models.CharField(max_length=36)
    key_class = models.CharField(max_length=16, choices=KeyClass.choices)
    owners = models.JSONField(help_text="Codes of every key owner; the blob goes when one of their keys does.")
    scope = models.CharField(max_length=32, blank=True)
    plaintext_size = models.BigIntegerField()
    sealed_size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64, help_text="Over the sealed bytes.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes: ClassVar = [GinIndex(fields=["owners"], name="sealed_blob_owners")]

    def __str__(self) -> str:
        return self.code


class JournalNote(models.Model):
    """What waits to be written to the journal: there from the commit of what it speaks of until the line is on the disk."""

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=32)
    body = models.JSONField()
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class JournalMark(models.Model):
    """How far the journal had got when this database last wrote to it; one row. A journal that is shorter was cut."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    number = models.BigIntegerField()

    def __str__(self) -> str:
        return str(self.number)
