"""Where somebody speaks: Silero VAD over one channel, as stretches in seconds.

The weights are those inside the package `silero-vad`, run by onnxruntime in blocks of frames; what they gave for a frame (a
probability of speech) becomes stretches by a hysteresis that is written out here. The package's own code is not imported: on
import it sets torch to one thread for the whole process. What is said, and by whom, is for other engines.
"""

import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # the wheel ships no types
from numpy.typing import NDArray

from analysis.engines.clip import SAMPLE_RATE, Checkpoint, Clip, ModelIdentity, Samples, Stretch, no_checkpoint

PACKAGE = "silero-vad"
WEIGHTS = "silero_vad_16k_sequence.onnx"
WEIGHTS_SHA256 = "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85"
"""Of the file in silero-vad 6.2.3. Other weights are refused: the figures in the tests are of these."""

FRAME = 512
"""Samples for one probability: 32 ms. Given by the model."""

_CONTEXT = 64
"""Samples of the frame before that the model hears again."""

BLOCK = 512
"""Frames to one run of the model: 16.4 s of sound between two checkpoints."""

_STATE = (1, 1, 128)


class ActivityWeightsRefused(Exception):
    """The package's weights are missing, or are not the ones this engine was tested with."""

    code: ClassVar[str] = "activity_weights_refused"


@dataclass(frozen=True, slots=True)
class ActivityOptions:
    """How probabilities become stretches. The defaults are those of the model's authors."""

    threshold: float = 0.5
    """Probability from which a frame starts a stretch."""
    exit_threshold: float = 0.35
    """Probability below which a frame inside a stretch counts as silence."""
    shortest_speech: float = 0.25
    """Seconds; what is not longer, before padding, is dropped."""
    shortest_silence: float = 0.1
    """Seconds of silence that end a stretch; shorter gaps stay inside it."""
    padding: float = 0.03
    """Seconds added before and after each stretch; neighbours share a gap that is too small for both."""

    def __post_init__(self) -> None:
        if not 0.0 < self.exit_threshold <= self.threshold < 1.0:
            raise ValueError(
                "thresholds are probabilities, and the one to leave speech is not above the one to enter it"
            )
        if min(self.shortest_speech, self.shortest_silence, self.padding) < 0.0:
            raise ValueError("durations are not negative")


class SpeechActivity:
    """Silero VAD. One thread, about 2 MB of weights; holds no state between clips, so threads may share it."""

    def __init__(self, session: Any, model: ModelIdentity) -> None:
        self._session = session
        self.model = model

    @classmethod
    def load(cls) -> "SpeechActivity":
        """Loads the weights of the installed package. Raises `ActivityWeightsRefused`."""
        weights = _weights()
        digest = hashlib.sha256(weights).hexdigest()
        if digest != WEIGHTS_SHA256:
            raise ActivityWeightsRefused(f"{WEIGHTS} of {PACKAGE} is not the tested one (SHA-256 {digest})")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(weights, sess_options=options, providers=["CPUExecutionProvider"])
        return cls(
            session,
            ModelIdentity(
                name=PACKAGE,
                version=importlib.metadata.version(PACKAGE),
                digest=digest,
                licence="MIT",
                licence_class="permissive",
                validated=False,
            ),
        )

    def run(
        self, clip: Clip, checkpoint: Checkpoint = no_checkpoint, options: ActivityOptions | None = None
    ) -> tuple[Stretch, ...]:
        """Stretches of speech in order, none over another, inside the clip. Laughter may count. Raises what `checkpoint` raises."""
        probabilities = self.probabilities(clip, checkpoint)
        return stretches(probabilities, clip.duration, options or ActivityOptions())

    def probabilities(self, clip: Clip, checkpoint: Checkpoint = no_checkpoint) -> Samples:
        """Probability of speech (0.0-1.0) for each `FRAME` of the clip, the last one filled up with silence."""
        frames = -(-len(clip.samples) // FRAME)
        hidden = cell = np.zeros(_STATE, dtype=np.float32)
        found: list[NDArray[np.float32]] = [np.zeros(0, dtype=np.float32)]
        done = 0
        for block in _blocks(clip.samples):
            given, hidden, cell = self._session.run(
                ["speech_probs", "hn", "cn"], {"input": block, "h": hidden, "c": cell}
            )
            found.append(given.reshape(-1))
            done += len(block)
            checkpoint(done / frames)
        return np.concatenate(found)


def stretches(probabilities: Samples, duration: float, options: ActivityOptions) -> tuple[Stretch, ...]:
    """Stretches of speech from one probability for each `FRAME`, padded and kept within `duration` seconds."""
    step = FRAME / SAMPLE_RATE
    spoken = [
        (first * step, min(after * step, duration))
        for first, after in _spoken_frames(probabilities, options)
        if min(after * step, duration) - first * step > options.shortest_speech
    ]
    padded: list[Stretch] = []
    for index, (start, end) in enumerate(spoken):
        before = start - spoken[index - 1][1] if index else np.inf
        after = spoken[index + 1][0] - end if index + 1 < len(spoken) else np.inf
        padded.append(
            Stretch(
                max(0.0, start - min(options.padding, before / 2)), min(duration, end + min(options.padding, after / 2))
            )
        )
    return tuple(padded)


def _spoken_frames(probabilities: Samples, options: ActivityOptions) -> Iterator[tuple[int, int]]:
    """First frame of each stretch and the frame after its last."""
    patience = options.shortest_silence * SAMPLE_RATE
    start: int | None = None
    quiet: int | None = None
    for index, probability in enumerate(probabilities.tolist()):
        if probability >= options.threshold:
            start = index if start is None else start
            quiet = None
        elif start is not None and (probability < options.exit_threshold or quiet is not None):
            quiet = index if quiet is None else quiet
            if probability < options.exit_threshold and (index - quiet) * FRAME >= patience:
                yield start, quiet
                start = quiet = None
    if start is not None:
        yield start, len(probabilities)


def _blocks(samples: Samples) -> Iterator[NDArray[np.float32]]:
    """Shape (up to `BLOCK`, `_CONTEXT` + `FRAME`): frames, each with the end of the one before it in front."""
    context = np.zeros(_CONTEXT, dtype=np.float32)
    for first in range(0, len(samples), BLOCK * FRAME):
        part = samples[first : first + BLOCK * FRAME]
        frames = np.zeros((-(-len(part) // FRAME), FRAME), dtype=np.float32)
        frames.reshape(-1)[: len(part)] = part
        ends = np.vstack([context, frames[:, -_CONTEXT:]])
        context = ends[-1]
        yield np.hstack([ends[:-1], frames])


def _weights() -> bytes:
    """The package's weights, found without importing it."""
    package = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if package is None or not package.submodule_search_locations:
        raise ActivityWeightsRefused(f"the package {PACKAGE} is not installed")
    try:
        return (Path(package.submodule_search_locations[0]) / "data" / WEIGHTS).read_bytes()
    except OSError as error:
        raise ActivityWeightsRefused(f"{WEIGHTS} of {PACKAGE} cannot be read") from error
