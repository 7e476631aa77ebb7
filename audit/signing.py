"""Signing a log's checkpoint: only what extends the last one that was signed, which is also the one kept outside the database.

The key is the provider's, for the purpose "log"; the log's origin is its name in the signature. Who sequences is `sequencing`.
"""

from dataclasses import dataclass

from django.db import transaction
from django.db.models import Exists, OuterRef

from audit import outside, stored_tree
from audit.errors import LogInconsistent, TileInvalid
from audit.models import Leaf, Log, SignedCheckpoint
from audit.sequencing import hold
from audit.tlog.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from audit.tlog.checkpoint import SignedCheckpoint as Opened
from audit.tlog.notes import Ed25519Verifier
from vault.keyring import LOG
from vault.keys import provider


@dataclass(frozen=True, slots=True)
class ProviderSigner:
    """A `notes.Signer` whose private key stays at the key provider."""

    name: str

    @property
    def verifier(self) -> Ed25519Verifier:
        return Ed25519Verifier(self.name, provider().public_key(LOG))

    @property
    def key_id(self) -> bytes:
        return self.verifier.key_id

    def sign(self, text: bytes) -> bytes:
        return provider().sign(LOG, text)


def verifier_key(log: Log) -> str:
    """What an outsider needs to check this log: its vkey. Raises `ProviderUnavailable`."""
    return ProviderSigner(log.origin).verifier.vkey


def sign(log: Log) -> bool:
    """Signs the log as it stands, if it grew since the last checkpoint. True when it did.

    Raises `LogInconsistent` rather than sign what does not extend the last checkpoint; `ProviderUnavailable`,
    `CheckpointsUnavailable`.
    """
    with transaction.atomic():
        if not hold(log.code):
            return False
        size = stored_tree.size_of(log)
        if not size or SignedCheckpoint.objects.filter(log=log, size=size).exists():
            return False
        require_extends(log)
        signer = ProviderSigner(log.origin)
        note = sign_checkpoint(Checkpoint(log.origin, size, stored_tree.root(log, size)), signer)
        # Outside first: a checkpoint that anybody could have seen is never one that a restored database does not meet again.
        outside.keep(log.code, log.generation, note)
        SignedCheckpoint.objects.create(log=log, size=size, note=note)
    return True


def sign_newest(code: str) -> bool:
    """`sign` for the generation of the log that events go to."""
    log = Log.objects.filter(code=code).order_by("-generation").first()
    return log is not None and sign(log)


def logs_to_sign() -> list[str]:
    """Codes of the logs that grew since their last checkpoint: a crash came between leaves and signature."""
    signed = SignedCheckpoint.objects.filter(log=OuterRef("log"), size=OuterRef("index") + 1)
    last = Leaf.objects.order_by("log", "-index").distinct("log").values("pk")
    return list(Leaf.objects.filter(pk__in=last).exclude(Exists(signed)).values_list("log__code", flat=True))


def require_extends(log: Log) -> None:
    """Raises `LogInconsistent` unless the log in the database extends the last checkpoint outside it.

    The database is read after what it is compared with: a sequencer that works meanwhile can only make it longer.
    """
    signed_before = SignedCheckpoint.objects.filter(log=log).exists()
    kept = last_outside(log)
    if kept is None:
        if signed_before:
            raise LogInconsistent(f"{log.origin}: the checkpoint outside the database is gone")
        return
    size = stored_tree.size_of(log)
    if kept.size > size:
        raise LogInconsistent(
            f"{log.origin}: the database has {size} entries, and a checkpoint was signed over {kept.size}"
        )
    try:
        root = stored_tree.root(log, kept.size)
    except TileInvalid as error:
        raise LogInconsistent(f"{log.origin}: {error}") from error
    if root != kept.root:
        raise LogInconsistent(f"{log.origin}: the first {kept.size} entries are not those that were signed")


def last_outside(log: Log) -> Opened | None:
    """The checkpoint outside the database, its signature verified. Raises a `LogInvalid`, `CheckpointsUnavailable`."""
    note = outside.last(log.code, log.generation)
    return None if note is None else open_checkpoint(note, [ProviderSigner(log.origin).verifier], log.origin)
