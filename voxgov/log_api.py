"""The signed log over HTTP: checkpoints, tiles and entry bundles as C2SP tlog-tiles has them, and proofs made on request.

The log is that of the caller's organization; `generation` is 1 until a backup was restored. `audit/log/{generation}/` is what a
tlog client wants as its prefix, with the API's token. Hashes say nothing about anybody and are served unrecorded; reading entries
is recorded.
"""

import base64
from collections.abc import Sequence
from typing import Any, Final

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import ApiView, operation
from accounts.api_fields import QueryParameters
from accounts.roles import Permission
from audit import proofs, stored_tree, trail
from audit.entry import ObjectKind, Reference
from audit.errors import TileInvalid
from audit.events import EventName
from audit.models import Event, Log
from audit.tlog import tiles
from audit.tlog.tiles import ENTRIES

FOREVER: Final = "private, max-age=31536000, immutable"


class LogSerializer(serializers.Serializer[Any]):
    generation = serializers.IntegerField()
    origin = serializers.CharField()
    vkey = serializers.CharField(help_text="The verifier key of the log's checkpoints (C2SP signed-note).")
    entries = serializers.IntegerField(help_text="Events that have their place.")
    signed = serializers.IntegerField(help_text="Entries under the newest checkpoint.")
    waiting = serializers.IntegerField(help_text="Events that have no place yet; 0 for older generations.")


class LogsSerializer(serializers.Serializer[Any]):
    results = LogSerializer(many=True)


class ProofSerializer(serializers.Serializer[Any]):
    origin = serializers.CharField()
    generation = serializers.IntegerField()
    index = serializers.IntegerField()
    size = serializers.IntegerField(help_text="Entries under the checkpoint that the proof leads to.")
    leaf_hash = serializers.CharField(help_text="Hexadecimal.")
    hashes = serializers.ListField(child=serializers.CharField(), help_text="RFC 6962 audit path, base64.")
    checkpoint = serializers.CharField(help_text="The signed note, verbatim.")
    tlog_proof = serializers.CharField(help_text="All of it as one file (c2sp.org/tlog-proof@v1).")


class ConsistencyParameters(QueryParameters):
    old = serializers.IntegerField(min_value=1, help_text="Size of an earlier checkpoint.")
    new = serializers.IntegerField(min_value=1, required=False, help_text="Size of a later one; the newest by default.")


class ConsistencySerializer(serializers.Serializer[Any]):
    origin = serializers.CharField()
    old = serializers.IntegerField()
    new = serializers.IntegerField()
    hashes = serializers.ListField(child=serializers.CharField(), help_text="RFC 6962 consistency proof, base64.")
    old_checkpoint = serializers.CharField()
    new_checkpoint = serializers.CharField()


class LogView(ApiView):
    """Base: finds a generation of the caller's own log."""

    def log(self, generation: int) -> Log:
        found = Log.objects.filter(code=self.organization, generation=generation).first()
        if found is None:
            raise NotFound("no such log here")
        return found

    @property
    def organization(self) -> str:
        return str(self.project.organization.code)


class Logs(LogView):
    @operation(
        "audit_logs_list",
        summary="List the generations of the organization's log and how each stands",
        permission=Permission.READ_LOG,
        answer=LogsSerializer,
    )
    def get(self, request: Request) -> Response:
        return Response({"results": [_described(one) for one in proofs.standings(self.organization)]})


class LogCheckpoint(LogView):
    @operation(
        "audit_checkpoint_read",
        summary="Read the newest signed checkpoint",
        permission=Permission.READ_LOG,
        answer=None,
        media="text/plain",
    )
    def get(self, request: Request, generation: int) -> HttpResponse:
        note = proofs.newest_checkpoint(self.log(generation))
        if note is None:
            raise NotFound("nothing was signed yet")
        return HttpResponse(note, content_type="text/plain; charset=utf-8")


class LogTile(LogView):
    cache_control = FOREVER

    @operation(
        "audit_tile_read",
        summary="Read a hash tile or an entry bundle",
        description="Paths are those of C2SP tlog-tiles: tile/0/x001/067, tile/entries/000.p/12. What was signed is served.",
        permission=Permission.READ_LOG,
        answer=None,
        media="application/octet-stream",
    )
    def get(self, request: Request, generation: int, tile: str) -> HttpResponse:
        log = self.log(generation)
        try:
            asked = tiles.parse_path(f"tile/{tile}")
            proofs.require_signed(log, asked)
            content = stored_tree.fetch(log, asked)
        except TileInvalid as problem:
            raise NotFound("the log has no such tile") from problem
        if asked.level == ENTRIES:
            self._record(asked.width)
        return HttpResponse(content, content_type="application/octet-stream")

    def _record(self, entries: int) -> None:
        trail.record_alone(
            EventName.TRAIL_READ,
            organization=self.organization,
            actor=self.actor,
            objects=[Reference(ObjectKind.LOG, self.organization)],
            detail={"events": entries, "searched_by": ["bundle"]},
        )


class EventProof(LogView):
    @operation(
        "audit_proof_read",
        summary="Prove that an event is in the signed log",
        description="409 `event_not_signed` for an event that no checkpoint covers yet; that takes a moment, try again.",
        permission=Permission.READ_LOG,
        answer=ProofSerializer,
    )
    def get(self, request: Request, code: str) -> Response:
        event = Event.objects.filter(log=self.organization, code=code).only("pk").first()
        if event is None:
            raise NotFound("no such thing here")
        found = proofs.of_event(event)
        return Response(
            {
                "origin": found.origin,
                "generation": found.generation,
                "index": found.proof.index,
                "size": found.size,
                "leaf_hash": found.leaf.hex(),
                "hashes": _encoded(found.proof.hashes),
                "checkpoint": found.proof.checkpoint.decode(),
                "tlog_proof": found.proof.encode().decode(),
            }
        )


class LogConsistency(LogView):
    @operation(
        "audit_consistency_read",
        summary="Prove that one checkpoint extends another",
        permission=Permission.READ_LOG,
        answer=ConsistencySerializer,
        query=ConsistencyParameters,
    )
    def get(self, request: Request, generation: int) -> Response:
        log = self.log(generation)
        found = proofs.between(log, self.query["old"], self.query.get("new"))
        if found is None:
            raise NotFound("no checkpoint of that size was signed")
        return Response(
            {
                "origin": log.origin,
                "old": found.old_size,
                "new": found.new_size,
                "hashes": _encoded(found.hashes),
                "old_checkpoint": found.old_checkpoint.decode(),
                "new_checkpoint": found.new_checkpoint.decode(),
            }
        )


def _described(one: proofs.Standing) -> dict[str, Any]:
    return {
        "generation": one.generation,
        "origin": one.origin,
        "vkey": one.vkey,
        "entries": one.entries,
        "signed": one.signed,
        "waiting": one.waiting,
    }


def _encoded(hashes: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(one).decode() for one in hashes]
