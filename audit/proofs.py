"""Proofs made from the stored tree: that an event is under a checkpoint, that one checkpoint extends another, and how a log stands.

Reads only, a handful of rows whatever the size of the log. What a proof is, and how it is checked, is in `tlog`.
"""

from dataclasses import dataclass
from typing import Final

from django.db import connection

from audit import signing, stored_tree, witnessing
from audit.errors import EventNotSigned, TileInvalid
from audit.models import Event, Log, SignedCheckpoint, Unsequenced
from audit.tlog.proof import LogProof
from audit.tlog.proving import prove_consistency, prove_inclusion
from audit.tlog.tiles import HEIGHT, Tile

_PLACE: Final = """
SELECT log.id, log.generation, log.origin, leaf.index, leaf.hash, newest.size, newest.note,
    ARRAY(SELECT line FROM audit_cosignature WHERE checkpoint_id = newest.id ORDER BY id)
FROM audit_leaf AS leaf JOIN audit_log AS log ON log.id = leaf.log_id LEFT JOIN LATERAL (
    SELECT id, size, note FROM audit_signedcheckpoint WHERE log_id = log.id ORDER BY size DESC LIMIT 1
) AS newest ON true
WHERE leaf.event_id = %s
"""
"""Where an event stands, and the newest checkpoint of its log with the cosignatures that came so far."""


@dataclass(frozen=True, slots=True)
class EventProof:
    """That the event with this leaf hash is in the log; `size` is that of the checkpoint in the proof."""

    origin: str
    generation: int
    leaf: bytes
    size: int
    proof: LogProof


@dataclass(frozen=True, slots=True)
class Consistency:
    """That the tree of `new_size` entries extends that of `old_size`, both signed."""

    old_size: int
    new_size: int
    hashes: tuple[bytes, ...]
    old_checkpoint: bytes
    new_checkpoint: bytes


@dataclass(frozen=True, slots=True)
class Standing:
    """One generation of a log: entries in the tree, entries under the newest checkpoint, events that wait."""

    generation: int
    origin: str
    vkey: str
    entries: int
    signed: int
    waiting: int


def of_event(event: Event) -> EventProof:
    """The proof under the newest checkpoint. Raises `EventNotSigned`."""
    with connection.cursor() as cursor:
        cursor.execute(_PLACE, [event.pk])
        row = cursor.fetchone()
    if row is None:
        raise EventNotSigned("the event has no place in the log yet")
    log, generation, origin, index, leaf, size, note, cosignatures = row
    if size is None or size <= index:
        raise EventNotSigned("no checkpoint covers the event yet")
    hashes = prove_inclusion(index, size, stored_tree.signed_reader(Log(id=log, origin=origin), size))
    checkpoint = witnessing.joined(bytes(note), cosignatures)
    return EventProof(origin, generation, bytes(leaf), size, LogProof(index, tuple(hashes), checkpoint))


def between(log: Log, old: int, new: int | None) -> Consistency | None:
    """The proof between two checkpoints by their sizes, the newest unless said; None where no such checkpoint was signed."""
    checkpoints = SignedCheckpoint.objects.filter(log=log)
    earlier = checkpoints.filter(size=old).first()
    later = checkpoints.order_by("-size").first() if new is None else checkpoints.filter(size=new).first()
    if earlier is None or later is None or later.size < earlier.size:
        return None
    hashes = prove_consistency(earlier.size, later.size, stored_tree.signed_reader(log, later.size))
    old_note, new_note = witnessing.with_cosignatures(earlier), witnessing.with_cosignatures(later)
    return Consistency(earlier.size, later.size, tuple(hashes), old_note, new_note)


def newest_checkpoint(log: Log) -> bytes | None:
    """The signed note over most entries, with the cosignatures that came so far; None before the first."""
    found = SignedCheckpoint.objects.filter(log=log).order_by("-size").prefetch_related("cosignatures").first()
    return None if found is None else witnessing.with_cosignatures(found)


def require_signed(log: Log, tile: Tile) -> None:
    """Raises `TileInvalid` for a tile that reaches beyond what the newest checkpoint covers."""
    if tile.first + tile.width > _signed(log) >> (HEIGHT * max(tile.level, 0)):
        raise TileInvalid(f"{tile.path} reaches beyond the newest checkpoint")


def standings(code: str) -> list[Standing]:
    """Every generation of the log, oldest first. Raises `ProviderUnavailable`."""
    logs = list(Log.objects.filter(code=code).order_by("generation"))
    waiting = Unsequenced.objects.filter(log=code).count()
    return [
        Standing(
            generation=log.generation,
            origin=log.origin,
            vkey=signing.verifier_key(log),
            entries=stored_tree.size_of(log),
            signed=_signed(log),
            waiting=waiting if log is logs[-1] else 0,
        )
        for log in logs
    ]


def _signed(log: Log) -> int:
    size = SignedCheckpoint.objects.filter(log=log).order_by("-size").values_list("size", flat=True).first()
    return size or 0
