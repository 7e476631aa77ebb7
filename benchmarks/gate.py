"""The gate at a million grants: `evaluate` beside a bare read by primary key and `require` beside one committed row, both through
the same ORM in the same run; then a withdrawal by somebody with a thousand recordings, and a material notice over everything.

Calls that are compared take turns, one by one, each about people drawn at random; medians count.
"""

import os
import random
import time
from collections.abc import Callable, Sequence
from statistics import median, quantiles

from django.db.models import Max, Min

from benchmarks import gate_destruction, gate_seed
from benchmarks.figures import Figure, Say
from benchmarks.stage import ACTOR, Stage
from consent import gate, publishing, renewing
from consent.models import Decision, Grant, Subject
from consent.vocabulary import Action, Scope

PACKAGES = ("django", "psycopg")
GRANTS = int(os.environ.get("VOXGOV_BENCH_GRANTS", "1000000"))
SCOPES = (Scope.AUDIO_STORE, Scope.TRANSCRIBE, Scope.LANGUAGE, Scope.PROSODY, Scope.EMOTION)
ASKED = (Scope.TRANSCRIBE, Scope.EMOTION)
"""One scope that only needs consent, and the one that most rules of law have a say in."""
CALLS = int(os.environ.get("VOXGOV_BENCH_CALLS", "2000"))
WARM_UP = 50
SAMPLE = 200
RENEWAL_BATCHES = 20


def run(say: Say) -> list[Figure]:
    """Each part's figures, the notice last: it closes the gate for everybody."""
    stage = Stage(SCOPES)
    began = time.perf_counter()
    gate_seed.fill(stage, [stage.purpose, stage.make_purpose("bench, too")], GRANTS)
    say(f"{GRANTS:,} grants written in {time.perf_counter() - began:.0f} s")
    people = list(Subject.objects.filter(project=stage.project).values_list("code", flat=True))
    return [
        *_evaluate(stage, people, say),
        *_require(stage, people, say),
        *gate_destruction.run(stage, say),
        *_notice(stage, people, say),
    ]


def _evaluate(stage: Stage, people: Sequence[str], say: Say) -> list[Figure]:
    """`gate_p50_over_select` and its parts."""
    first, last = Grant.objects.aggregate(first=Min("pk"), last=Max("pk")).values()

    def ask(count: int) -> Callable[[], object]:
        request = stage.ask(random.sample(people, count), ASKED)
        return lambda: _require_allowed(gate.evaluate(request))

    def select() -> Callable[[], object]:
        number = random.randint(first, last)
        return lambda: Grant.objects.get(pk=number)

    took = _in_turns({"select": select, "one": lambda: ask(1), "eight": lambda: ask(8)}, CALLS)
    bare = median(took["select"])
    beside = f"a bare SELECT by primary key, p50 {_ms(bare)}, p99 {_ms(_p99(took['select']))}"
    figures = []
    for name, prefix, who in (("one", "gate", "1 participant"), ("eight", "gate_8", "8 participants")):
        p50, p99 = median(took[name]), _p99(took[name])
        say(f"evaluate, {who}: p50 {_ms(p50)}, p99 {_ms(p99)}; {beside}")
        figures += [
            Figure(f"{prefix}_p50_ms", round(p50 * 1000, 3), "ms", f"{who}, {len(ASKED)} scopes"),
            Figure(f"{prefix}_p99_ms", round(p99 * 1000, 3), "ms", f"{who}, {len(ASKED)} scopes"),
            Figure(f"{prefix}_p50_over_select", round(p50 / bare, 2), "ratio", beside, round(p50 / bare, 2)),
        ]
    return figures


def _require(stage: Stage, people: Sequence[str], say: Say) -> list[Figure]:
    """`require_over_one_insert`: beside the decision's row alone, inserted and committed."""
    rows: list[Decision] = []

    def ask() -> Callable[[], object]:
        request = stage.ask(random.sample(people, 1), ASKED)
        return lambda: gate.require(request, action=Action.READ, actor=ACTOR)

    def insert() -> Callable[[], object]:
        if not rows:
            rows.append(Decision.objects.filter(project=stage.project).latest("id"))
        same = {
            field.attname: getattr(rows[0], field.attname)
            for field in Decision._meta.concrete_fields
            if field.name not in ("id", "code", "at")
        }
        return lambda: Decision.objects.create(**same)

    took = _in_turns({"require": ask, "insert": insert}, CALLS)
    p50, bare = median(took["require"]), median(took["insert"])
    beside = f"the decision's row alone, committed, p50 {_ms(bare)}, p99 {_ms(_p99(took['insert']))}"
    say(f"require: p50 {_ms(p50)}, p99 {_ms(_p99(took['require']))}; {beside}")
    return [
        Figure("require_p50_ms", round(p50 * 1000, 3), "ms", "1 participant, 2 scopes"),
        Figure("require_over_one_insert", round(p50 / bare, 2), "ratio", beside, round(p50 / bare, 2)),
    ]


def _notice(stage: Stage, people: Sequence[str], say: Say) -> list[Figure]:
    """`notice_closed_s`: from the call that publishes to its return, when no grant under the older version opens anything."""
    draft = stage.draft()
    began = time.perf_counter()
    publishing.publish_notice(draft, actor=ACTOR)
    closed = time.perf_counter() - began
    still_open = sum(gate.evaluate(stage.ask([person], ASKED)).allowed for person in random.sample(people, SAMPLE))
    if still_open:
        raise RuntimeError(f"the gate is open for {still_open} of {SAMPLE} people under a superseded notice")
    began = time.perf_counter()
    revised = renewing.carry_out(batches=RENEWAL_BATCHES)
    rate = revised / (time.perf_counter() - began)
    say(f"a material notice: closed in {closed:.3f} s; {rate:,.0f} grants revised a second afterwards")
    return [
        Figure("notice_closed_s", round(closed, 4), "s", f"{GRANTS:,} grants; {SAMPLE} people drawn at random denied"),
        Figure("renewals_per_s", round(rate), "grants/s", f"the first {revised:,} revisions that follow"),
    ]


def _in_turns(makers: dict[str, Callable[[], Callable[[], object]]], calls: int) -> dict[str, list[float]]:
    """Seconds of each call; what it is about is prepared outside the clock."""
    took: dict[str, list[float]] = {name: [] for name in makers}
    for number in range(calls + WARM_UP):
        for name, make in makers.items():
            call = make()
            began = time.perf_counter()
            call()
            if number >= WARM_UP:
                took[name].append(time.perf_counter() - began)
    return took


def _require_allowed(verdict: gate.Verdict) -> None:
    if not verdict.allowed:
        raise RuntimeError(f"the gate denied: {verdict.denials}")


def _p99(values: Sequence[float]) -> float:
    return quantiles(values, n=100)[98]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3f} ms"
