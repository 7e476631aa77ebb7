"""Voice activity on real speech, on sounds that are no speech, and on probabilities with known answers."""

import hashlib
import importlib.metadata
import json
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.engines import activity
from analysis.engines.activity import BLOCK, FRAME, ActivityOptions, ActivityWeightsRefused, SpeechActivity, stretches
from analysis.engines.clip import SAMPLE_RATE, Clip, Samples

READINGS = Path(__file__).resolve().parents[2] / "data" / "librivox"
STEP = FRAME / SAMPLE_RATE


@pytest.fixture(scope="module")
def engine() -> SpeechActivity:
    return SpeechActivity.load()


def reading(path: Path) -> Samples:
    with wave.open(str(path)) as read:
        return np.frombuffer(read.readframes(read.getnframes()), "<i2").astype(np.float32) / np.float32(32_768)


def every_reading() -> list[Path]:
    return [READINGS / name for name in json.loads((READINGS / "transcripts.json").read_text())]


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), dtype=np.float32)


def tone(frequency: float, seconds: float) -> Samples:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)).astype(
        np.float32
    )


def noise(level: float, seconds: float) -> Samples:
    return np.random.default_rng(7).normal(0.0, level, round(seconds * SAMPLE_RATE)).astype(np.float32)


@pytest.mark.parametrize("path", every_reading(), ids=lambda path: path.stem[-4:])
def test_a_reading_is_speech_but_for_its_quiet_edges(engine: SpeechActivity, path: Path) -> None:
    clip = Clip(reading(path))
    found = engine.run(clip)
    assert found
    assert all(0.0 <= stretch.start < stretch.end <= clip.duration for stretch in found)
    assert sum(stretch.duration for stretch in found) > 0.75 * clip.duration
    loud = np.abs(clip.samples) > 0.1
    heard = np.zeros(len(clip.samples), dtype=bool)
    for stretch in found:
        heard[round(stretch.start * SAMPLE_RATE) : round(stretch.end * SAMPLE_RATE)] = True
    assert heard[loud].mean() > 0.99


def test_pauses_between_sentences_are_found_where_they_are(engine: SpeechActivity) -> None:
    first, second = (reading(path) for path in every_reading()[:2])
    alone = [engine.run(Clip(samples)) for samples in (first, second)]
    pause = 3.0
    found = engine.run(Clip(np.concatenate([first, silence(pause), second])))
    assert len(found) == len(alone[0]) + len(alone[1])
    gap = found[len(alone[0])].start - found[len(alone[0]) - 1].end
    edges = (len(first) / SAMPLE_RATE - alone[0][-1].end) + alone[1][0].start
    assert gap == pytest.approx(pause + edges, abs=0.1)


@pytest.mark.parametrize(
    "samples",
    [
        silence(20.0),
        noise(0.01, 20.0),
        noise(0.1, 20.0),
        noise(0.5, 20.0),
        tone(1_000, 20.0),
        tone(100, 20.0),
        silence(0.0),
    ],
    ids=["silence", "faint-noise", "noise", "loud-noise", "1-khz", "100-hz", "nothing"],
)
def test_no_speech_is_found_where_there_is_none(engine: SpeechActivity, samples: Samples) -> None:
    assert engine.run(Clip(samples)) == ()


def test_speech_in_noise_of_the_same_room_is_still_found(engine: SpeechActivity) -> None:
    clean = reading(every_reading()[0])
    noisy = clean + noise(float(np.sqrt(np.mean(clean**2))) / 10 ** (10 / 20), len(clean) / SAMPLE_RATE)
    found = sum(stretch.duration for stretch in engine.run(Clip(noisy.astype(np.float32))))
    assert found == pytest.approx(sum(stretch.duration for stretch in engine.run(Clip(clean))), rel=0.2)


def test_a_long_clip_is_heard_in_parts_with_a_checkpoint_after_each(engine: SpeechActivity) -> None:
    one = reading(every_reading()[0])
    long = np.tile(one, 10)
    fractions: list[float] = []
    together = engine.probabilities(Clip(long), fractions.append)
    assert len(fractions) == -(-len(long) // (BLOCK * FRAME)) == 5
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert len(together) == -(-len(long) // FRAME)


def test_where_the_parts_are_cut_changes_nothing(engine: SpeechActivity, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = Clip(reading(every_reading()[0]))
    whole = engine.probabilities(clip)
    monkeypatch.setattr(activity, "BLOCK", 7)
    assert engine.probabilities(clip) == pytest.approx(whole, abs=1e-4)


def test_a_checkpoint_that_raises_stops_the_engine(engine: SpeechActivity) -> None:
    class Withdrawn(Exception):
        pass

    heard: list[float] = []

    def stop(fraction: float) -> None:
        heard.append(fraction)
        raise Withdrawn

    with pytest.raises(Withdrawn):
        engine.run(Clip(silence(60.0)), stop)
    assert len(heard) == 1


def test_the_result_names_the_weights_it_came_from(engine: SpeechActivity) -> None:
    installed = importlib.metadata.distribution("silero-vad")
    weights = Path(str(installed.locate_file("silero_vad/data"))) / activity.WEIGHTS
    assert engine.model.digest == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert (engine.model.name, engine.model.version) == ("silero-vad", installed.version)
    assert not engine.model.validated


def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "WEIGHTS", "silero_vad_16k_op15.onnx")
    with pytest.raises(ActivityWeightsRefused, match="not the tested one"):
        SpeechActivity.load()
    monkeypatch.setattr(activity, "WEIGHTS", "no_such_weights.onnx")
    with pytest.raises(ActivityWeightsRefused, match="cannot be read"):
        SpeechActivity.load()


def test_loading_leaves_torch_and_its_threads_alone() -> None:
    script = (
        "import sys; from analysis.engines.activity import SpeechActivity; SpeechActivity.load();"
        "print('torch' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[3]
    ran = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, check=True, text=True)
    assert ran.stdout.strip() == "False"


@pytest.fixture(scope="module")
def torch_threads() -> Iterator[None]:
    """The reference implementation sets torch to one thread on import."""
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@given(
    probabilities=st.lists(st.sampled_from([0.0, 0.2, 0.34, 0.4, 0.49, 0.5, 0.7, 1.0]), max_size=120),
    cut=st.integers(0, FRAME - 1),
)
@settings(max_examples=300, deadline=None)
@pytest.mark.usefixtures("torch_threads")
def test_stretches_are_those_of_the_models_authors(probabilities: list[float], cut: int) -> None:
    from silero_vad.utils_vad import get_speech_timestamps_from_probs

    length = max(0, len(probabilities) * FRAME - cut)
    theirs = get_speech_timestamps_from_probs(probabilities, audio_length_samples=length)
    ours = stretches(
        np.asarray(probabilities, dtype=np.float32), length / SAMPLE_RATE, ActivityOptions(exit_threshold=0.35)
    )
    edges = [edge * SAMPLE_RATE for stretch in ours for edge in (stretch.start, stretch.end)]
    assert edges == pytest.approx([edge for one in theirs for edge in (one["start"], one["end"])], abs=1.0)


def test_options_do_what_they_say() -> None:
    said = np.asarray([0.0] * 10 + [0.9] * 10 + [0.0] * 5 + [0.9] * 10 + [0.0] * 10, dtype=np.float32)

    def frames(options: ActivityOptions) -> list[float]:
        found = stretches(said, len(said) * STEP, options)
        return [round(edge / STEP, 3) for stretch in found for edge in (stretch.start, stretch.end)]

    assert frames(ActivityOptions(padding=0.0)) == [10, 20, 25, 35]
    assert frames(ActivityOptions(padding=2 * STEP)) == [8, 22, 23, 37]
    assert frames(ActivityOptions(padding=0.0, shortest_silence=0.2)) == [10, 35]
    assert frames(ActivityOptions(shortest_speech=0.4)) == []
    assert frames(ActivityOptions(threshold=0.95)) == []
    assert frames(ActivityOptions(padding=1.0)) == [0, 22.5, 22.5, 45]


@pytest.mark.parametrize(
    "wrong", [{"threshold": 1.0}, {"exit_threshold": 0.6}, {"exit_threshold": 0.0}, {"padding": -0.1}]
)
def test_options_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"probabilities|durations"):
        ActivityOptions(**wrong)
