"""A withdrawal by somebody with a thousand recordings, for `bench gate`: how long until refused, and until destroyed.

Each recording was uploaded, and has the results that its consent allows and kept audio, sealed and saved as the pipeline does; no
engine ran, because what they find makes no difference here.
"""

import io
import os
import time

from django.db import transaction

from analysis import claiming, tidying
from analysis.keeping import keep_audio
from analysis.models import Analysis, Recording, Result
from analysis.plan import Keeping
from analysis.sealed_results import result_context, result_keys
from analysis.states import AnalysisState
from analysis.submission import gate_request
from audit.events import EventName
from benchmarks.figures import Figure, Say
from benchmarks.stage import ACTOR, Stage
from consent import destruction, gate, withdrawal
from consent.models import DestructionOrder, Subject
from consent.vocabulary import Action, Scope
from vault import sealing, shredding
from vault.codes import new_code
from vault.models import SealedBlob, ShredOrder
from voxgov.celery import app

RECORDINGS = int(os.environ.get("VOXGOV_BENCH_RECORDINGS", "1000"))
AUDIO = bytes(64 * 1024)
FOUND = b'{"segments":[' + b'{"start":0.0,"end":1.5,"text":"what was said"},' * 20 + b"{}]}"
_EVERY = "carry out orders to destroy"


def run(stage: Stage, say: Say) -> list[Figure]:
    """`withdraw_refused_s`, `withdraw_destroyed_s`."""
    person = stage.consenting()
    began = time.perf_counter()
    for _ in range(RECORDINGS):
        _analysed(stage, person)
    shredding.carry_out_orders()
    results = Result.objects.filter(participants__subject=person).count()
    say(f"{RECORDINGS:,} recordings with {results:,} results made in {time.perf_counter() - began:.0f} s")
    began = time.perf_counter()
    orders = withdrawal.withdraw(person, actor=ACTOR).orders
    refused = time.perf_counter() - began
    if gate.evaluate(stage.ask([person.code], stage.scopes)).granted:
        raise RuntimeError("the gate is open after a withdrawal")
    worked = time.perf_counter()
    for order in orders:
        destruction.carry_out(order)
    took = time.perf_counter() - worked
    _require_gone(person, orders)
    wait = float(app.conf.beat_schedule[_EVERY]["schedule"])
    say(
        f"withdrawn: refused in {refused:.3f} s, destroyed in {took:.2f} s of work after at most {wait:.0f} s of waiting"
    )
    beside = f"{RECORDINGS:,} recordings with kept audio, {results:,} results"
    return [
        Figure("withdraw_refused_s", round(refused, 4), "s", beside),
        Figure(
            "withdraw_destroyed_s",
            round(refused + wait + took, 2),
            "s",
            f"{took:.2f} s of work, and the whole {wait:.0f} s until the schedule looks",
        ),
    ]


def _analysed(stage: Stage, person: Subject) -> None:
    """One recording as the pipeline leaves it."""
    recording = stage.upload(person, io.BytesIO(AUDIO).read, len(AUDIO))
    organization = stage.project.organization.code
    job = Analysis.objects.get(recording=recording)
    held = claiming.claim(job.code)
    assert held is not None
    request = gate_request(recording)
    permit = gate.require(request, action=Action.COMMIT, actor=ACTOR, object_code=job.code)
    how = Keeping(people=request.participants, silent=frozenset())
    blob = keep_audio(recording, permit, how, [], lambda fraction: None, hearings=())
    people = list(recording.participants.all())
    with transaction.atomic():
        for scope in set(stage.scopes) - {Scope.AUDIO_STORE}:
            code = new_code()
            result = Result.objects.create(
                code=code,
                analysis=job,
                scope=scope.value,
                rests_on=[scope.value],
                channels=[0],
                sealed=sealing.seal(
                    result_context(organization, (person.code,), scope, code),
                    result_keys(organization, (person.code,), frozenset({scope})),
                    FOUND,
                ),
                model={"name": "none"},
                decision=permit.decision,
                input_commitment=blob.sha256,
            )
            result.participants.set(people)
        blob.save()
        Recording.objects.filter(pk=recording.pk).update(kept_audio=blob.code)
        claiming.finish(held, AnalysisState.DONE, EventName.RESULTS_COMMITTED, decision=permit.decision)
    tidying.dispose_of_waiting_audio(recording.pk)


def _require_gone(person: Subject, orders: tuple[str, ...]) -> None:
    undone = DestructionOrder.objects.filter(code__in=orders, done_at=None).count()
    undone += ShredOrder.objects.filter(owner=person.code, done_at=None).count()
    left = Result.objects.filter(participants__subject=person).count()
    left += Recording.objects.filter(participants__subject=person).exclude(kept_audio="").count()
    left += SealedBlob.objects.filter(owners__contains=[person.code]).count()
    if undone or left:
        raise RuntimeError(f"after a withdrawal {undone} orders are open and {left} things are left")
