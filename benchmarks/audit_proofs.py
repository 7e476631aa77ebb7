"""Proofs from a log at a million events, as an auditor's program gets them: by the API from a real web process, one request after
another on one connection. Beside them, what the same web process takes for an answer that says nothing; and the functions alone.
"""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from statistics import median, quantiles
from typing import Final
from uuid import UUID

from accounts import membership
from accounts.models import Project
from accounts.roles import Role
from audit import proofs
from audit.models import Event, Log, SignedCheckpoint
from benchmarks.figures import Figure, Say
from benchmarks.stage import ACTOR
from benchmarks.worker import ROOT, START_PATIENCE
from voxgov.supervisor import free_port

PROOFS: Final = 2000
_WARM: Final = 50
"""Requests before the clock counts, as many as both threads and connections need to be there."""


def run(log: Log, project: Project, say: Say) -> list[Figure]:
    """`proof_p99_ms`, `proof_api_p99_ms`, `consistency_api_p99_ms`."""
    events = _events(log)
    alone = _timed(lambda number: proofs.of_event(Event.objects.get(pk=events[number][0])), PROOFS)
    sizes = list(SignedCheckpoint.objects.filter(log=log).order_by("size").values_list("size", flat=True))
    pairs = [*pairwise(sizes), *((old, sizes[-1]) for old in sizes[:-1])]
    client = membership.create_client(project, "auditor's program", [Role.AUDITOR], actor=ACTOR)
    token = membership.issue_token(client, actor=ACTOR).secret
    with _web() as connection:

        def get(path: str) -> bytes:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}", "Host": "localhost"})
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != http.HTTPStatus.OK:
                raise RuntimeError(f"{path} was answered {answer.status}")
            return body

        def inclusion(number: int) -> None:
            get(f"/v1/audit/events/{events[number][1]}/proof")

        def consistency(number: int) -> None:
            old, new = pairs[number % len(pairs)]
            get(f"/v1/audit/log/{log.generation}/consistency?old={old}&new={new}")

        if json.loads(get(f"/v1/audit/events/{events[0][1]}/proof"))["size"] != sizes[-1]:
            raise RuntimeError("the proof does not lead to the newest checkpoint")
        nothing = _timed(lambda _: get("/health/live"), PROOFS)
        included = _timed(inclusion, PROOFS)
        consistent = _timed(consistency, PROOFS)
    beside = f"health/live from the same process: p50 {median(nothing):.2f}, p99 {_p99(nothing):.2f} ms"
    figures = [
        Figure("proof_p99_ms", round(_p99(alone), 2), "ms", f"without HTTP; p50 {median(alone):.2f} ms"),
        Figure("proof_api_p99_ms", round(_p99(included), 2), "ms", f"p50 {median(included):.2f} ms; {beside}"),
        Figure(
            "consistency_api_p99_ms", round(_p99(consistent), 2), "ms", f"p50 {median(consistent):.2f} ms; {beside}"
        ),
    ]
    for figure in figures:
        say(f"{figure.name} {figure.value} ms ({figure.baseline})")
    return figures


def _events(log: Log) -> list[tuple[int, UUID]]:
    """Keys and codes of events spread over the whole log."""
    rows = Event.objects.filter(log=log.code).order_by("id").values_list("id", "code")
    first, count = rows[0][0], rows.count()
    wanted = [first + number * (count // PROOFS) for number in range(PROOFS)]
    return list(rows.filter(pk__in=wanted))


def _timed(ask: Callable[[int], object], count: int) -> list[float]:
    """Milliseconds of each call."""
    for number in range(min(_WARM, count)):
        ask(number)
    times = []
    for number in range(count):
        began = time.perf_counter()
        ask(number)
        times.append((time.perf_counter() - began) * 1000)
    return times


def _p99(times: list[float]) -> float:
    return quantiles(times, n=100)[98]


@contextmanager
def _web() -> Iterator[http.client.HTTPConnection]:
    """A connection to the web process as the supervisor starts it, but one process: so that every request finds it warm."""
    port = free_port(0)
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "voxgov.wsgi:application", "--bind", f"127.0.0.1:{port}"),
            *("--worker-class", "gthread", "--workers", "1", "--threads", "16", "--preload", "--no-control-socket"),
        ],
        cwd=ROOT,
        env=os.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        _await(connection)
        yield connection
    finally:
        connection.close()
        server.terminate()
        server.wait(30)


def _await(connection: http.client.HTTPConnection) -> None:
    deadline = time.monotonic() + START_PATIENCE
    while True:
        try:
            connection.connect()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
