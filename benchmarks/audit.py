"""Durable events end to end: recorded in a transaction of their own, given their place in the log, signed.

Eight writer processes and one sequencer process on the embedded PostgreSQL with full durability. Beside it, the same writers insert
the same rows with plain statements, as many of them in as many round trips, into tables of the same shape, without a log. Ways take
turns; of each its fastest round counts.
"""

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
    """`events_per_s`, `events_over_insert`, both again for events within transactions, `lag_p99_s`."""
    rates: dict[str, float] = dict.fromkeys(audit_writing.WAYS, 0.0)
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
            for way in audit_writing.WAYS:
                code = new_code()
                count, began = _write(way, code)
                if way.startswith("trail"):
                    _await_signed(code, count)
                    lags.extend(_lags(code))
                rate = count / (time.time() - began)
                rates[way] = max(rates[way], rate)
                say(f"round {number + 1}, {way}: {count:,} events, {rate:,.0f} a second")
    finally:
        sequencer.terminate()
        sequencer.wait(30)
    return [
        *_beside("events", rates["trail-alone"], rates["plain-alone"]),
        *_beside("events_within", rates["trail-within"], rates["plain-within"]),
        Figure("lag_p99_s", round(quantiles(lags, n=100)[98], 3), "s", "recorded to signed"),
    ]


def _beside(name: str, trail: float, plain: float) -> list[Figure]:
    beside = f"plain INSERTs by the same writers: {plain:,.0f} a second"
    return [
        Figure(f"{name}_per_s", round(trail), "events/s", beside, trail / plain),
        Figure(f"{name}_over_insert", round(trail / plain, 3), "ratio", beside),
    ]


def _write(way: str, code: str) -> tuple[int, float]:
    """Runs the writers for `SECONDS`: how many events they committed, and when they began, all at once."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.audit_writer", way, code, str(SECONDS)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(WRITERS)
    ]
    for writer in writers:
        _line(writer)
    began = time.time()
    for writer in writers:
        _told(writer)
    return sum(int(_line(writer)) for writer in writers), began


def _line(writer: "subprocess.Popen[str]") -> str:
    assert writer.stdout is not None
    return writer.stdout.readline()


def _told(writer: "subprocess.Popen[str]") -> None:
    assert writer.stdin is not None
    writer.stdin.write("begin\n")
    writer.stdin.flush()


def _await_signed(code: str, count: int) -> None:
    while not SignedCheckpoint.objects.filter(log__code=code, size=count).exists():
        time.sleep(0.02)
    assert not Unsequenced.objects.filter(log=code).exists()


def _lags(code: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(_LAGS, [Log.objects.get(code=code).pk])
        return [float(row[0]) for row in cursor.fetchall()]
