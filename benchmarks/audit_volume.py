"""The log at a million events: an export in flat memory, and the offline verifier on it. Proofs are `audit_proofs`.

Filled by COPY with entries that differ in their event codes alone, sequenced and signed by the service's own code.
"""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from django.db import connection

from accounts import membership
from audit import entry, exports, sequencing, signing, trail
from audit.events import EventName
from audit.models import Export, Log
from benchmarks import audit_proofs
from benchmarks.figures import Figure, Say
from benchmarks.worker import ROOT
from vault.codes import new_code

EVENTS = int(os.environ.get("VOXGOV_BENCH_EVENTS", "1000000"))
_UNSIGNED = 16
"""Batches of events between two checkpoints."""
ACTOR = trail.system("bench")


def run(say: Say) -> list[Figure]:
    """The figures of `audit_proofs`, `export_peak_mb`, `verify_per_s`."""
    organization = membership.create_organization("Benchmark", actor=ACTOR)
    project = membership.create_project(organization, "Benchmark", actor=ACTOR)
    code = organization.code
    began = time.perf_counter()
    fill(code, EVENTS)
    say(f"{EVENTS:,} events written in {time.perf_counter() - began:.0f} s")
    began = time.perf_counter()
    batches = 0
    while sequencing.sequence(code):
        batches += 1
        if batches % _UNSIGNED == 0:
            signing.sign_newest(code)
    signing.sign_newest(code)
    rate = EVENTS / (time.perf_counter() - began)
    say(f"sequenced {rate:,.0f} a second")
    log = Log.objects.get(code=code)
    return [
        Figure(
            "sequenced_per_s",
            round(rate),
            "events/s",
            f"one sequencer, nobody writing; signed every {_UNSIGNED} batches",
        ),
        *audit_proofs.run(log, project, say),
        *_export(log, say),
    ]


def fill(code: str, count: int) -> None:
    """Events as the trail makes them, each with a code of its own."""
    placeholder = new_code()
    at = datetime.now(UTC)
    template = entry.compose(
        EventName.DECISION_ALLOWED,
        code=placeholder,
        log=code,
        at=at,
        actor=ACTOR,
        references=[],
        outcome="allow",
        reason="",
        request_id="",
        detail={"action": "read", "scopes": ["speech.transcribe"], "policy_epoch": 1},
    ).canonical
    columns = "code, log, at, name, actor_kind, actor_code, outcome, request_id, entry"
    with (
        psycopg.connect(os.environ["DATABASE_URL"]) as database,
        database.cursor() as cursor,
        cursor.copy(f"COPY audit_event ({columns}) FROM STDIN".encode()) as copy,
    ):
        for _ in range(count):
            one = new_code()
            name = EventName.DECISION_ALLOWED.value
            canonical = template.replace(placeholder.encode(), one.encode())
            copy.write_row((one, code, at, name, "system", "bench", "allow", "", canonical))
    with connection.cursor() as statement:
        statement.execute("ANALYZE audit_event")


def _export(log: Log, say: Say) -> list[Figure]:
    export = exports.order(log, start=0, end=None, filter_={}, recipient="", actor=ACTOR)
    began = time.perf_counter()
    child = subprocess.run(
        [sys.executable, "-m", "benchmarks.audit_export", export.code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - began
    peak = json.loads(child.stdout.splitlines()[-1])
    export = Export.objects.get(pk=export.pk)
    say(f"export: {seconds:.0f} s, peak {peak:.0f} MB, file {(export.size or 0) / 1e6:.0f} MB, {export.state}")
    report = _verify(exports.file_of(export), log)
    exports.file_of(export).unlink()
    beside = f"canonical form and fields: {report['contents']:,.0f} a second"
    return [
        Figure("export_peak_mb", round(peak, 1), "MB", f"{EVENTS:,} events in {seconds:.0f} s"),
        Figure("verify_per_s", round(report["log"]), "entries/s", beside),
    ]


def _verify(bundle: Path, log: Log) -> dict[str, float]:
    """Entries a second by the offline verifier, check by check, on one core."""
    with TemporaryDirectory() as work:
        done = subprocess.run(
            [sys.executable, "-m", "audit.verify", str(bundle), "--key", signing.verifier_key(log), "--json"],
            cwd=ROOT,
            env={"TMPDIR": work},
            capture_output=True,
            text=True,
            check=True,
        )
    report: dict[str, Any] = json.loads(done.stdout)
    return {check["name"]: check["entries"] / check["seconds"] for check in report["checks"] if check.get("seconds")}
