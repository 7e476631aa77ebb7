"""The speaker encoder: the reference's numbers, what it refuses to load, and how far apart real voices lie.

`python -m pytest -s tests/analysis/engines/test_voices.py` prints the similarities that `docs/hearing.md` shows.
"""

import pickle
import shutil
from collections.abc import Callable
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.engines.clip import Clip, Samples
from analysis.engines.manifest import ModelDigestMismatch, load_manifest
from analysis.engines.voices import (
    MINIMUM,
    SAME_VOICE,
    SIZE,
    STEP,
    WEIGHTS,
    WINDOW,
    VoiceEncoder,
    VoiceEncoderUnloadable,
    mel_filters,
    similarity,
)
from benchmarks.corpora.lines import Sound, telephone, white_noise
from tests.analysis.engines.signals import noise, read
from tests.analysis.engines.voices import real_voices
from voxgov.environment import models_dir

pytestmark = pytest.mark.models


PASSED = ("noise 10 dB below", "telephone", "-40 dBFS")
"""Where some pairs of two voices reach the threshold: noise becomes a part of every voice, and a line takes from each of them."""


@pytest.fixture(scope="module")
def directory() -> Path:
    return load_manifest().model("resemblyzer").verified(models_dir())


@pytest.fixture(scope="module")
def encoder(directory: Path) -> VoiceEncoder:
    return VoiceEncoder.load(directory, load_manifest().model("resemblyzer").identity())


@pytest.fixture(scope="module")
def heard(data: Path) -> dict[str, list[Clip]]:
    return real_voices(data)


def spoiled(clip: Clip, how: Callable[[Sound], Sound]) -> Samples:
    return how(clip.samples.astype(np.float64)).clip(-1.0, 1.0).astype(np.float32)


def noisy(sound: Sound) -> Sound:
    return sound + white_noise(len(sound), 10 * float(np.log10(np.mean(np.square(sound)))) - 10.0)


def level(dbfs: float) -> Callable[[Sound], Sound]:
    return lambda sound: sound * 10 ** (dbfs / 20) / np.sqrt(np.mean(np.square(sound)))


CONDITIONS: dict[str, Callable[[Sound], Sound]] = {
    "clean": lambda sound: sound,
    "noise 10 dB below": noisy,
    "telephone": telephone,
    "-40 dBFS": level(-40.0),
    "-10 dBFS, clipped": level(-10.0),
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_threshold_keeps_a_voice_and_parts_voices_in_good_sound(
    encoder: VoiceEncoder, heard: dict[str, list[Clip]], condition: str
) -> None:
    embedded = {
        name: [encoder.embed(spoiled(clip, CONDITIONS[condition])) for clip in clips] for name, clips in heard.items()
    }
    vectors = {name: [one for one in found if one is not None] for name, found in embedded.items()}
    assert {name: len(found) for name, found in vectors.items()} == {name: len(clips) for name, clips in heard.items()}
    same = [similarity(a, b) for found in vectors.values() for a, b in combinations(found, 2)]
    others = [
        similarity(a, b) for one, other in combinations(vectors, 2) for a, b in product(vectors[one], vectors[other])
    ]
    print(f"\n| {condition} | {min(same):.2f} to {max(same):.2f} | {min(others):.2f} to {max(others):.2f} |", end="")
    assert min(same) >= SAME_VOICE
    assert (max(others) < SAME_VOICE) == (condition not in PASSED)


def test_an_embedding_has_norm_one_and_no_value_below_zero(encoder: VoiceEncoder, heard: dict[str, list[Clip]]) -> None:
    embedding = encoder.embed(heard["reader"][0].samples)
    assert embedding is not None
    assert embedding.shape == (SIZE,)
    assert embedding.dtype == np.float32
    assert np.linalg.norm(embedding) == pytest.approx(1.0, abs=1e-5)
    assert embedding.min() >= 0.0
    assert similarity(embedding, embedding) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(0, np.float32),
        np.zeros(80_000, np.float32),
        noise(5.0, -30.0).astype(np.float32),
    ],
    ids=["nothing", "silence", "noise"],
)
def test_of_no_voice_nothing_is_said(encoder: VoiceEncoder, samples: Samples) -> None:
    assert encoder.embed(samples) is None


def test_of_less_voice_than_the_minimum_nothing_is_said(encoder: VoiceEncoder, heard: dict[str, list[Clip]]) -> None:
    speech = heard["reader"][0]
    assert encoder.embed(speech.cut(0.5, 0.5 + MINIMUM - 0.2).samples) is None
    # Silence around it does not make it longer.
    silence = np.zeros(48_000, np.float32)
    assert encoder.embed(np.concatenate([silence, speech.cut(0.5, 1.5).samples, silence])) is None
    assert encoder.embed(speech.cut(0.5, 0.5 + 2 * MINIMUM).samples) is not None


def test_silence_within_speech_changes_little(encoder: VoiceEncoder, heard: dict[str, list[Clip]]) -> None:
    speech = heard["allison-smith"][0].samples
    whole, parted = encoder.embed(speech), encoder.embed(np.insert(speech, 64_000, np.zeros(48_000, np.float32)))
    assert whole is not None
    assert parted is not None
    assert similarity(whole, parted) > 0.97


def test_a_window_embeds_the_same_alone_and_among_others(encoder: VoiceEncoder, heard: dict[str, list[Clip]]) -> None:
    samples = heard["reader"][0].samples
    starts = list(range(0, len(samples) - WINDOW, STEP))
    together = encoder.embed_windows(samples, starts, WINDOW)
    assert together.shape == (len(starts), SIZE)
    for start, vector in zip(starts, together, strict=True):
        assert np.abs(encoder.embed_windows(samples, [start], WINDOW)[0] - vector).max() < 1e-5


def test_windows_may_be_none_and_may_reach_beyond_the_end(encoder: VoiceEncoder) -> None:
    assert encoder.embed_windows(np.zeros(0, np.float32), [], WINDOW).shape == (0, SIZE)
    beyond = encoder.embed_windows(noise(1.0, -20.0).astype(np.float32), [0, 8_000, 160_000], WINDOW)
    assert np.isfinite(beyond).all()


def test_the_mel_filters_are_those_of_the_reference() -> None:
    """librosa 0.11 `filters.mel(sr=16000, n_fft=400, n_mels=40)`."""
    filters = mel_filters()[:, [0, 5, 10, 20, 39]]
    assert filters.argmax(axis=0).tolist() == [2, 11, 20, 44, 185]
    assert filters.max(axis=0) == pytest.approx([0.012405, 0.01333, 0.011879, 0.007192, 0.001725], abs=1e-6)
    assert mel_filters().sum(axis=0)[[0, 10, 39]] == pytest.approx([0.024809, 0.024809, 0.024979], abs=1e-6)


def test_embeddings_are_those_of_the_reference(encoder: VoiceEncoder, data: Path) -> None:
    """The highest six values of its first and fourth partial, whose spectra librosa 0.11 made, without any change of level."""
    samples = read(data / "librivox" / "sense_and_sensibility_01_austen_64kb-0870.wav").samples
    first, fourth = encoder.embed_windows(samples, [0, 3 * STEP], WINDOW)
    highest = [162, 119, 35, 58, 89, 16]
    assert first.argsort()[::-1][:6].tolist() == highest
    assert first[highest] == pytest.approx([0.253047, 0.225061, 0.206997, 0.206655, 0.201616, 0.198445], abs=1e-5)
    assert fourth[highest] == pytest.approx([0.291598, 0.240476, 0.125217, 0.107698, 0.224538, 0.202393], abs=1e-5)


def test_loading_and_embedding_leave_the_number_of_threads_alone(directory: Path, encoder: VoiceEncoder) -> None:
    before = torch.get_num_threads()
    VoiceEncoder.load(directory, encoder.identity).embed_windows(np.zeros(WINDOW, np.float32), [0], WINDOW)
    assert torch.get_num_threads() == before


def test_the_result_names_the_model(encoder: VoiceEncoder) -> None:
    assert (encoder.identity.name, encoder.identity.validated) == ("resemblyzer", False)
    assert encoder.identity.digest == load_manifest().model("resemblyzer").digest


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, ...]]:
        return Path.touch, (self.mark,)  # type: ignore[return-value]


def test_code_in_the_weights_is_not_run(encoder: VoiceEncoder, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    torch.save({"model_state": Hostile(mark)}, tmp_path / WEIGHTS)
    with pytest.raises(VoiceEncoderUnloadable) as refused:
        VoiceEncoder.load(tmp_path, encoder.identity)
    assert refused.value.code == "voice_model_unloadable"
    assert not mark.exists()
    # As bare as pickle makes it, too.
    (tmp_path / WEIGHTS).write_bytes(pickle.dumps({"model_state": Hostile(mark)}, protocol=2))
    with pytest.raises(VoiceEncoderUnloadable):
        VoiceEncoder.load(tmp_path, encoder.identity)
    assert not mark.exists()


@pytest.mark.parametrize("length", [None, 0, 1_000, 9_000_000])
def test_missing_and_truncated_weights_are_a_typed_error(
    directory: Path, encoder: VoiceEncoder, tmp_path: Path, length: int | None
) -> None:
    if length is not None:
        (tmp_path / WEIGHTS).write_bytes((directory / WEIGHTS).read_bytes()[:length])
    with pytest.raises(VoiceEncoderUnloadable):
        VoiceEncoder.load(tmp_path, encoder.identity)


@pytest.mark.parametrize(
    "states", [{}, {"lstm.weight_ih_l0": torch.zeros(3, 3)}, [], {"model_state": torch.zeros(2)}], ids=str
)
def test_another_network_is_refused(encoder: VoiceEncoder, tmp_path: Path, states: object) -> None:
    torch.save({"model_state": states}, tmp_path / WEIGHTS)
    with pytest.raises(VoiceEncoderUnloadable):
        VoiceEncoder.load(tmp_path, encoder.identity)


def test_changed_weights_are_refused_before_they_are_read(directory: Path, tmp_path: Path) -> None:
    own = tmp_path / "resemblyzer"
    own.mkdir()
    shutil.copy(directory / WEIGHTS, own / WEIGHTS)
    spoilt = bytearray((own / WEIGHTS).read_bytes())
    spoilt[-1] ^= 1
    (own / WEIGHTS).write_bytes(spoilt)
    with pytest.raises(ModelDigestMismatch):
        load_manifest().model("resemblyzer").verified(tmp_path)
