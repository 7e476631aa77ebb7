"""Whisper weights in CTranslate2's format, as faster-whisper and its hub repositories have them.

On a CPU, one decoder step is too small to be shared among threads (two threads took a third longer than one on the same
clips), so the encoder uses all threads on one window, and decoding runs windows side by side, one thread each.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

from analysis.engines.transcription_decoding import (
    SAMPLED,
    Alignment,
    Device,
    Generated,
    ModelUnloadable,
    Search,
    Spectrogram,
    WhisperRuntime,
    load_tokenizer,
)

_SHARED_ABOVE = 300_000_000
"""Bytes of weights above which encoder and decoder share one copy and one set of threads, to save memory."""

States = NDArray[np.floating[Any]]
"""Shape (1, 1500, width), on the CPU."""


class CTranslate2Weights:
    """Encoder and decoder, which may be one."""

    def __init__(self, encoder: Any, decoder: Any, lanes: int) -> None:
        self._encoder = encoder
        self._decoder = decoder
        self._lanes = lanes

    @classmethod
    def load(cls, directory: Path, *, device: Device, threads: int) -> "CTranslate2Weights":
        """Loads int8 weights on a CPU and float16 on a GPU. Raises `ModelUnloadable`."""
        if device == "auto":
            device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
        try:
            apart = device == "cpu" and threads > 1 and (directory / "model.bin").stat().st_size <= _SHARED_ABOVE
            encoder = _whisper(directory, device, threads, 1)
            decoder = _whisper(directory, device, 1, threads) if apart else encoder
        except (OSError, RuntimeError, ValueError) as error:
            raise ModelUnloadable(f"{directory} holds no Whisper model that can be loaded here: {error}") from error
        return cls(encoder, decoder, threads if apart else 1)

    @property
    def multilingual(self) -> bool:
        return bool(self._encoder.is_multilingual)

    @property
    def mels(self) -> int:
        return int(self._encoder.n_mels)

    @property
    def lanes(self) -> int:
        return self._lanes

    @property
    def device(self) -> str:
        return str(self._encoder.device)

    @property
    def compute_type(self) -> str:
        return str(self._encoder.compute_type)

    def encode(self, spectrogram: Spectrogram) -> States:
        return np.asarray(self._encoder.encode(_view(spectrogram), to_cpu=True))

    def languages(self, states: States) -> dict[str, float]:
        (found,) = self._encoder.detect_language(_view(states))
        return {token: float(probability) for token, probability in found}

    def generate(self, states: Sequence[States], search: Search) -> list[Generated]:
        searching: dict[str, Any] = {"beam_size": search.beam_size}
        if search.temperature:
            searching = {
                "beam_size": 1,
                "num_hypotheses": SAMPLED,
                "sampling_topk": 0,
                "sampling_temperature": search.temperature,
            }
        results = self._decoder.generate(
            _joined(states),
            [list(search.prompt)] * len(states),
            # CTranslate2 gives the text half of this, or what the prompt but for its last token leaves (src/models/whisper.cc).
            max_length=search.longest + max(search.longest, len(search.prompt) - 1),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=list(search.suppressed),
            **searching,
        )
        return [_generated(result) for result in results]

    def align(
        self,
        states: Sequence[States],
        tokenizer: Tokenizer,
        texts: Sequence[Sequence[int]],
        frames: Sequence[int],
    ) -> list[Alignment]:
        aligned = self._decoder.align(
            _joined(states), tokenizer.sot_sequence, [list(text) for text in texts], list(frames)
        )
        found = []
        for one in aligned:
            text_steps, time_steps = np.array(one.alignments).T
            found.append(Alignment(text_steps, time_steps, tuple(one.text_token_probs)))
        return found


def load(directory: Path, *, device: Device, threads: int) -> WhisperRuntime:
    """The weights in `directory` (model.bin, config.json, tokenizer.json, vocabulary). Raises `ModelUnloadable`."""
    return WhisperRuntime(CTranslate2Weights.load(directory, device=device, threads=threads), load_tokenizer(directory))


def _whisper(directory: Path, device: Device, intra_threads: int, inter_threads: int) -> Any:
    return ctranslate2.models.Whisper(
        str(directory),
        device=device,
        compute_type="int8" if device == "cpu" else "float16",
        intra_threads=intra_threads,
        inter_threads=inter_threads,
    )


def _generated(result: Any) -> Generated:
    sequence = tuple(result.sequences_ids[0])
    # The score is divided by the length; the end token, which counts, is not in the sequence.
    avg_logprob = float(result.scores[0]) * len(sequence) / (len(sequence) + 1)
    return Generated(sequence, avg_logprob, float(result.no_speech_prob))


def _view(array: NDArray[Any]) -> Any:
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(array))


def _joined(states: Sequence[States]) -> Any:
    return _view(np.concatenate(states))
