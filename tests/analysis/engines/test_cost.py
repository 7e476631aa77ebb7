"""What the engines of voice cost beside real time: all of them together must leave room for the words.

`python -m pytest -s tests/analysis/engines/test_cost.py` prints the rows that `docs/hearing.md` shows.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis.engines.activity import SpeechActivity
from analysis.engines.clip import Clip, no_checkpoint
from analysis.engines.diarization import Diarizer
from analysis.engines.emotion import AcousticArousal
from analysis.engines.manifest import load_manifest
from analysis.engines.pitch import track
from analysis.engines.prosody import ProsodyAnalyzer
from analysis.engines.states import StateAnalyzer
from analysis.engines.voices import VoiceEncoder
from tests.analysis.engines.signals import read
from voxgov.environment import models_dir


def test_the_engines_of_voice_together_run_ten_times_faster_than_real_time(data: Path) -> None:
    once = read(data / "reading" / "sense_and_sensibility_0870-0890.wav")
    sound = Clip(np.tile(once.samples, 2))
    speech = SpeechActivity.load().run(sound)
    hertz = track(sound.samples, no_checkpoint)
    parts: dict[str, Callable[[], object]] = {
        "F0, once for all": lambda: track(sound.samples, no_checkpoint),
        "prosody": lambda: ProsodyAnalyzer().run(sound, speech, no_checkpoint, hertz=hertz),
        "expressed arousal": lambda: AcousticArousal().run(sound, speech, no_checkpoint, hertz=hertz),
        "stress and tone shift": lambda: StateAnalyzer().run(sound, speech, no_checkpoint, hertz=hertz),
    }
    total = 0.0
    for name, part in parts.items():
        start = time.process_time()
        part()
        spent = (time.process_time() - start) / sound.duration
        total += spent
        print(f"\n| {name} | {1_000 * spent:.1f} | {1 / spent:.0f} |", end="")
    assert total < 0.1


@pytest.mark.models
def test_telling_voices_apart_runs_ten_times_faster_than_real_time(data: Path) -> None:
    entry = load_manifest().model("resemblyzer")
    encoder = VoiceEncoder.load(entry.verified(models_dir()), entry.identity())
    once = read(data / "reading" / "sense_and_sensibility_0870-0890.wav")
    sound = Clip(np.tile(once.samples, 4))
    speech = SpeechActivity.load().run(sound)
    start = time.process_time()
    Diarizer(encoder).run(sound, speech, no_checkpoint)
    spent = (time.process_time() - start) / sound.duration
    print(f"\n| diarization | {1_000 * spent:.1f} | {1 / spent:.0f} |", end="")
    assert spent < 0.1
