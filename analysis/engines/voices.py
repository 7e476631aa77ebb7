"""Voices as vectors: a speaker encoder that puts speech of one voice close together and speech of different voices apart.

Here live the network, its mel front end, and what a similarity means. Who spoke when, and whose voice it is, are for others.
An embedding is a biometric template: it is answered in memory, and nothing here writes, logs or serializes one.

Network, features and constants are those of Resemblyzer 0.1.4 (Jemine 2019), after Wan et al. 2018, "Generalized end-to-end loss
for speaker verification": three LSTM layers over 1.6 s of speech, a linear layer, ReLU, norm 1. The weights are its own, read
without running pickled code. Voice is found by Silero VAD, where Resemblyzer uses WebRTC's.
"""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from analysis.engines.activity import SpeechActivity
from analysis.engines.clip import SAMPLE_RATE, Clip, ModelIdentity, Samples

Embedding = NDArray[np.float32]
"""Shape (256,), float32, no value below zero, L2 norm 1."""

WEIGHTS: Final = "pretrained.pt"

FRAME: Final = 160
"""Samples from one frame to the next: 10 ms."""
WINDOW: Final = 160 * FRAME
"""Samples that the network was trained on at a time: 1.6 s."""
STEP: Final = 77 * FRAME
"""Samples from one window of an utterance to the next: 0.77 s, the reference's 1.3 windows a second in whole frames."""
SIZE: Final = 256
"""Values of an embedding."""
MINIMUM: Final = 1.6
"""Seconds of voice; of less, nothing is said."""
SAME_VOICE: Final = 0.8
"""Similarity from which two embeddings count as of one voice. Of pairs of clips of ten readers it accepted 86 % of one voice and
none of two; one in 107 of two over a telephone, one in 26 in noise 10 dB below (`docs/hearing.md`)."""

_COVERED: Final = 0.75
"""Share of a window that an utterance's end must fill; a last window with less is left out."""
_FFT: Final = 400
_BANDS: Final = 40
_LAYERS: Final = 3
_LEVEL: Final = -30.0
"""dBFS. Quieter speech is raised to it, louder is left as it is: as the network was trained, and it hears levels."""
_TINY: Final = 1e-6
"""Keeps the gain of silence finite: -120 dBFS."""
_BATCH: Final = 64
"""Windows per run of the network: 10 MB of its states."""
_FRAMES_AT_ONCE: Final = 6_000
"""Frames per Fourier transform: a minute, 10 MB."""


class VoiceEncoderUnloadable(Exception):
    """The directory holds no weights of this network."""

    code: ClassVar[str] = "voice_model_unloadable"


class VoiceEncoder:
    """The loaded network. It holds no state between calls; calls from several threads are allowed."""

    def __init__(self, lstm: nn.LSTM, linear: nn.Linear, activity: SpeechActivity, identity: ModelIdentity) -> None:
        self._lstm = lstm
        self._linear = linear
        self._activity = activity
        self._hann = torch.hann_window(_FFT, periodic=True)
        self._filters = torch.from_numpy(mel_filters())
        self.identity = identity

    @classmethod
    def load(cls, files: Path, identity: ModelIdentity) -> "VoiceEncoder":
        """Reads `pretrained.pt` in the directory `files`, whose digests were checked before (`ModelEntry.verified`).

        Raises:
            VoiceEncoderUnloadable: it is missing or damaged, asks for code to be run, or holds another network.
            ActivityWeightsRefused: see `SpeechActivity.load`.
        """
        lstm = nn.LSTM(_BANDS, SIZE, _LAYERS, batch_first=True)
        linear = nn.Linear(SIZE, SIZE)
        try:
            states = torch.load(files / WEIGHTS, map_location="cpu", weights_only=True)["model_state"]
            for name, layer in (("lstm", lstm), ("linear", linear)):
                layer.load_state_dict({key: states[f"{name}.{key}"] for key in layer.state_dict()})
        except (OSError, EOFError, KeyError, TypeError, ValueError, RuntimeError, pickle.UnpicklingError) as problem:
            raise VoiceEncoderUnloadable(f"the speaker encoder cannot be loaded: {problem}") from problem
        return cls(lstm.eval(), linear.eval(), SpeechActivity.load(), identity)

    def embed(self, samples: Samples) -> Embedding | None:
        """The voice heard in `samples`, silences left out; None where there are less than `MINIMUM` seconds of voice.

        It takes one voice for granted: of several, the answer lies between them.
        """
        clip = Clip(samples)
        spoken = [clip.cut(stretch.start, stretch.end).samples for stretch in self._activity.run(clip)]
        voice = np.concatenate([np.zeros(0, np.float32), *spoken])
        if len(voice) < MINIMUM * SAMPLE_RATE:
            return None
        starts = [start for start in range(0, len(voice), STEP) if len(voice) - start >= _COVERED * WINDOW]
        return _of_norm_one(self.embed_windows(voice, starts, WINDOW).mean(axis=0))

    @torch.inference_mode()
    def embed_windows(self, samples: Samples, starts: Sequence[int], length: int) -> NDArray[np.float32]:
        """An embedding for each window of `length` samples, float32 (windows, 256), each of norm 1.

        `starts` are samples, rounded down to frames; what lies beyond the end is silence. Silence is not left out, and has an
        embedding that means nothing. Takes 16 kB of memory for a second of `samples`.
        """
        frames = max(1, length // FRAME)
        spectrum = self._spectrum(samples, max(starts, default=0) // FRAME + frames)
        energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
        found = [np.zeros((0, SIZE), np.float32)]
        for first in range(0, len(starts), _BATCH):
            begins = [start // FRAME for start in starts[first : first + _BATCH]]
            gains = torch.tensor([_gain(energy, begin * FRAME, length) for begin in begins])
            windows = torch.stack([spectrum[begin : begin + frames] for begin in begins])
            found.append(self._embedded(windows * gains.square()[:, None, None]))
        return np.concatenate(found)

    def _embedded(self, windows: Tensor) -> NDArray[np.float32]:
        """Of mel windows (windows, frames, 40)."""
        _, (hidden, _) = self._lstm(windows)
        raw = torch.relu(self._linear(hidden[-1]))
        answer: NDArray[np.float32] = (raw / raw.norm(dim=1, keepdim=True).clamp(min=_TINY)).numpy()
        return answer

    def _spectrum(self, samples: Samples, frames: int) -> Tensor:
        """Power in 40 mel bands, no logarithm, float32 (frames, 40); frame i stands around sample 160 i, beyond is silence."""
        beyond = max(0, frames * FRAME + _FFT - len(samples))
        padded = torch.from_numpy(np.pad(samples, (_FFT // 2, beyond)))
        every = padded.unfold(0, _FFT, FRAME)[:frames]
        parts = (every[first : first + _FRAMES_AT_ONCE] for first in range(0, frames, _FRAMES_AT_ONCE))
        return torch.cat([torch.fft.rfft(part * self._hann).abs().square() @ self._filters for part in parts])


def similarity(a: Embedding, b: Embedding) -> float:
    """Cosine of the angle between two embeddings, -1.0 to 1.0; this network's are never below zero."""
    return float(np.clip(np.dot(a, b) / max(np.linalg.norm(a) * np.linalg.norm(b), _TINY), -1.0, 1.0))


def mel_filters() -> NDArray[np.float32]:
    """Triangles of equal area from 0 to 8 kHz, (201, 40), on the mel scale of Slaney 1998 (Auditory Toolbox).

    It is linear up to 1 kHz and logarithmic above: what librosa's `filters.mel(sr=16000, n_fft=400, n_mels=40)` makes.
    """
    corner, per_mel, octave_step = 1_000.0, 200.0 / 3, np.log(6.4) / 27
    mels = np.linspace(0.0, corner / per_mel + np.log(SAMPLE_RATE / 2 / corner) / octave_step, _BANDS + 2)
    edges = np.where(mels < corner / per_mel, mels * per_mel, corner * np.exp(octave_step * (mels - corner / per_mel)))
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    bins = np.linspace(0.0, SAMPLE_RATE / 2, _FFT // 2 + 1)[:, None]
    triangles = np.maximum(0.0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
    return np.asarray(triangles * 2 / (high - low), dtype=np.float32)


def _gain(energy: NDArray[np.float64], start: int, length: int) -> float:
    """What the samples of a window are multiplied by; `energy` is the running sum of their squares."""
    end = min(start + length, len(energy) - 1)
    level = np.sqrt((energy[end] - energy[min(start, end)]) / length)
    return float(max(1.0, 10 ** (_LEVEL / 20) / max(level, _TINY)))


def _of_norm_one(vector: NDArray[np.float32]) -> Embedding:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), _TINY), dtype=np.float32)
