"""The quick engines of the tests are like the real ones in what matters around them: which hearings and scopes they answer, what
their findings rest on, and that consent is asked about in between."""

import json
import wave
from pathlib import Path

import numpy as np
import pytest

from analysis import listening
from analysis.engines.clip import Checkpoint, no_checkpoint
from analysis.listening import Finding
from analysis.plan import Hearing
from analysis.states import Stage
from consent.gate import Participant
from consent.law.states import require_no_state
from consent.vocabulary import ParticipantRole, Scope
from tests import quick_engines

pytestmark = pytest.mark.models
CUSTOMER, EMPLOYEE = Participant("a", ParticipantRole.CUSTOMER, 0), Participant("b", ParticipantRole.EMPLOYEE, 1)
EVERY = frozenset({Scope.DIARIZE, Scope.TRANSCRIBE, Scope.LANGUAGE, Scope.NONVERBAL, Scope.PROSODY, Scope.EMOTION})
CASES = [
    [Hearing((0,), (CUSTOMER,), EVERY), Hearing((1,), (EMPLOYEE,), frozenset({Scope.PROSODY}))],
    [Hearing((0, 1), (CUSTOMER, EMPLOYEE), frozenset({Scope.DIARIZE, Scope.LANGUAGE, Scope.NONVERBAL}))],
    [Hearing((1,), (EMPLOYEE,), frozenset({Scope.AUDIO_STORE}))],
    [],
]


def shape(findings: list[Finding]) -> list[tuple[Hearing, Scope, frozenset[Scope]]]:
    return [(found.hearing, found.scope, found.rests_on) for found in findings]


@pytest.mark.parametrize("hearings", CASES)
def test_quick_engines_answer_what_the_real_ones_answer(hearings: list[Hearing], data: Path) -> None:
    with wave.open(str(data / "librivox" / "sense_and_sensibility_01_austen_64kb-0870.wav")) as file:
        speech = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float32) / 32768
    asked: dict[str, set[Stage]] = {"real": set(), "quick": set()}

    def answers(name: str, listen: object) -> list[Finding]:
        def checkpoints(stage: Stage, start: float, end: float) -> Checkpoint:
            asked[name].add(stage)
            return no_checkpoint

        return listen([speech, speech], hearings, checkpoints)  # type: ignore[operator, no-any-return]

    real, quick = answers("real", listening.listen), answers("quick", quick_engines.listen)
    assert shape(quick) == shape(real)
    assert asked["quick"] <= asked["real"]
    for finding in (*real, *quick):
        require_no_state(finding.scope, finding.body)
        assert json.loads(finding.as_json()) is not None
        assert set(finding.model_json()) == set(quick[0].model_json())
