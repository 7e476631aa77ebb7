"""Durable events end to end: recorded in a transaction of their own, given their place in the log, signed.

Eight writer processes and one sequencer process on the embedded PostgreSQL with full durability. Beside it, the same writers insert
the same rows with plain statements into tables of the same shape, without a log. Rounds alternate.
"""

import json
import subprocess
import sys
import time
from statistics import quantiles
from typing import Any

from django.db import connection

from audit.models import Log, SignedCheckpoint, Unsequenced
from benchmarks import audit_volume, audit_writing
from benchmarks.figures import Figure, Say
from benchmarks.worker import ROOT
from vault.codes import new_code

PACKAGES = ("django", "psycopg", "cryptography", "rfc8785")
WRITERS = 8
SECONDS = 10.0
ROUNDS = 2
STARTING = 10.0
"""Seconds that eight processes on two cores get to start."""
_LAGS = """
SELECT extract(epoch FROM min(checkpoint.signed_at) - event.at)
FROM audit_leaf AS leaf JOIN audit_event AS event ON event.id = leaf.event_id
JOIN audit_signedcheckpoint AS checkpoint ON checkpoint.log_id = leaf.log_id AND checkpoint.size > leaf.index
WHERE leaf.log_id = %s AND checkpoint.size <= leaf.index + 20000 GROUP BY event.id
"""


def run(say: Say) -> list[Figure]:
    """The log while it is written, then the log at a million events."""
    return [*_written(say), *audit_volume.run(say)]


def _written(say: Say) -> list[Figure]:
    """`events_per_s`, `events_over_insert`, `lag_p99_s`."""
    rates: dict[str, list[float]] = {"trail": [], "insert": []}
    lags: list[float] = []
    sequencer = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "sequencer"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    audit_writing.make_plain_tables()
    try:
        for number in range(ROUNDS):
            for way in ("insert", "trail"):
                code = new_code()
                count, began = _write(way, code)
                if way == "trail":
                    _await_signed(code, count)
                    lags.extend(_lags(code))
                rates[way].append(count / (time.time() - began))
                say(f"round {number + 1}, {way}: {count:,} events, {rates[way][-1]:,.0f} a second")
    finally:
        sequencer.terminate()
        sequencer.wait(30)
    best = {way: max(values) for way, values in rates.items()}
    beside = f"plain INSERTs by the same writers: {best['insert']:,.0f} a second"
    return [
        Figure("events_per_s", round(best["trail"]), "events/s", beside, best["trail"] / best["insert"]),
        Figure("events_over_insert", round(best["trail"] / best["insert"], 3), "ratio", beside),
        Figure("lag_p99_s", round(quantiles(lags, n=100)[98], 3), "s", "recorded to signed"),
    ]


def _write(way: str, code: str) -> tuple[int, float]:
    """Runs the writers for `SECONDS`: how many events they committed, and when they began."""
    start = time.time() + STARTING
    writers = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.audit_writer", way, code, str(start), str(SECONDS)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(WRITERS)
    ]
    return sum(json.loads(writer.communicate()[0]) for writer in writers), start


def _await_signed(code: str, count: int) -> None:
    while not SignedCheckpoint.objects.filter(log__code=code, size=count).exists():
        time.sleep(0.02)
    assert not Unsequenced.objects.filter(log=code).exists()


def _lags(code: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(_LAGS, [Log.objects.get(code=code).pk])
        return [float(row[0]) for row in cursor.fetchall()]
