"""Who spoke when: turns of speech by voice, on one channel, without knowing how many voices there are.

Windows of speech become embeddings (`voices`), embeddings become clusters (`clustering`), and each tenth of a second goes to the
voice that it is most like, along the path that changes voice only where that pays (Viterbi). Speech that is like two voices alike,
or like none, is said to be somebody's, and no more: unknown is an answer. Where two speak at once, it mostly sounds like the louder
one, and is said to be theirs: overlap is not found. What is answered is declared in `turns`.

Embeddings are biometric templates: they are made, compared and dropped in here, and no number of one is in the answer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.engines.clip import SAMPLE_RATE, Checkpoint, Clip, Stretch
from analysis.engines.clustering import clusters
from analysis.engines.levels import within
from analysis.engines.turns import UNKNOWN, Basis, Diarization, Turn, label, summary
from analysis.engines.voices import FRAME, SIZE, WINDOW, VoiceEncoder

_BRIDGED: Final = 0.3
"""Seconds of silence that do not part two stretches of speech."""
_STEP: Final = 0.1
"""Seconds: turns begin and end on this grid, or where speech does."""
_HOP: Final = 0.4
"""Seconds from one window to the next."""
_SHORTEST_WINDOW: Final = 0.5
"""Seconds: of a shorter stretch no embedding is made; it goes with what surrounds it."""
_LONG: Final = 1.0
"""Seconds of a window that voices are learnt from, unless there are only shorter ones."""
_ROUNDED: Final = 10 * FRAME
"""Samples: the lengths of shorter windows are multiples of it, so that many can be embedded at once."""
_ALIKE: Final = 0.65
"""Mean similarity between the windows of two clusters from which they are one voice; chosen, as the seconds below, on conversations
of five LibriSpeech readers (`docs/hearing.md` has the figures of five others)."""
_LEAST_SPEECH: Final = 2.4
"""Seconds that a voice is heard in all; of less, it is none: windows over a change of voice make small clusters of their own."""
_CHANGE: Final = 0.6
"""What a change of voice costs, in similarity times steps."""
_CHANGE_AT_PAUSE: Final = 0.2
"""The same where speech pauses."""
_SURE: Final = 0.02
"""Lead in similarity over the next voice, without which a step is nobody's for sure."""
_ANOTHER: Final = 0.6
"""What similarity to another voice is expected where only one is heard."""
_CLEAR: Final = 0.2
"""Lead that counts as wholly clear."""
_LEAST_LIKE: Final = 0.5
"""Similarity to a voice, without which a step is not its."""
_UNSURE: Final = 0.5
"""Seconds that such steps last before it is said."""
_ROUNDS: Final = 3
"""Times that turns are found anew after the voices were learnt anew from them."""
_BATCH: Final = 120
"""Windows per batch: under a minute of sound between two calls of the checkpoint."""
_MOST: Final = 2_000
"""Windows that are clustered; of more, every second, third or further one is."""

_Vectors = NDArray[np.float32]
"""Shape (count, 256)."""
_Scores = NDArray[np.floating]
"""Shape (steps, voices): similarities."""


@dataclass(frozen=True, slots=True)
class _Window:
    """Where an embedding is made, in samples of the clip."""

    start: int
    length: int


class Diarizer:
    """The engine. It holds nothing but the encoder; one may serve many clips, one after another or side by side."""

    def __init__(self, encoder: VoiceEncoder) -> None:
        self._encoder = encoder

    def run(self, clip: Clip, speech: Sequence[Stretch], checkpoint: Checkpoint) -> Diarization:
        """Turns within `speech`. Less than a minute of speech is worked on between two calls of `checkpoint`."""
        stretches = list(_bridged(within(clip, speech)))
        windows = [_windows(stretch) for stretch in stretches]
        vectors = self._embedded(clip, [window for own in windows for window in own], checkpoint)
        turns = tuple(_turns(stretches, _assigned(stretches, windows, vectors)))
        checkpoint(1.0)
        return Diarization(turns, summary(turns, Basis.VOICE), self._encoder.identity)

    def _embedded(self, clip: Clip, windows: Sequence[_Window], checkpoint: Checkpoint) -> _Vectors:
        """An embedding for each window."""
        found = np.zeros((len(windows), SIZE), np.float32)
        for first in range(0, len(windows), _BATCH):
            batch = windows[first : first + _BATCH]
            begin, end = batch[0].start, max(window.start + window.length for window in batch)
            for length in {window.length for window in batch}:
                same = [index for index, window in enumerate(batch) if window.length == length]
                starts = [batch[index].start - begin for index in same]
                found[[first + index for index in same]] = self._encoder.embed_windows(
                    clip.samples[begin:end], starts, length
                )
            checkpoint((first + len(batch)) / len(windows))
        return found


def _bridged(speech: Sequence[Stretch]) -> Iterator[Stretch]:
    """Stretches without the short silences between them."""
    before: Stretch | None = None
    for stretch in speech:
        if before is not None and stretch.start - before.end < _BRIDGED:
            before = Stretch(before.start, stretch.end)
            continue
        if before is not None:
            yield before
        before = stretch
    if before is not None:
        yield before


def _windows(stretch: Stretch) -> list[_Window]:
    """Where a stretch of speech is looked at; its last window ends with it. One shorter than `WINDOW` has one of its own length."""
    start, end = round(stretch.start * SAMPLE_RATE), round(stretch.end * SAMPLE_RATE)
    if end - start < _SHORTEST_WINDOW * SAMPLE_RATE:
        return []
    if end - start < WINDOW:
        return [_Window(start, (end - start) // _ROUNDED * _ROUNDED)]
    hop = round(_HOP * SAMPLE_RATE)
    return [_Window(at, WINDOW) for at in (*range(start, end - WINDOW, hop), end - WINDOW)]


@dataclass(frozen=True, slots=True)
class _Assigned:
    """For each step of all stretches: whose it is (-1: nobody's for sure), and its lead in similarity over other voices."""

    voices: NDArray[np.intp]
    leads: NDArray[np.float64]


def _assigned(stretches: Sequence[Stretch], windows: Sequence[Sequence[_Window]], vectors: _Vectors) -> _Assigned:
    firsts = np.cumsum([0, *(len(own) for own in windows)])
    steps = [
        _over_steps(stretch, own, vectors[first : first + len(own)])
        for stretch, own, first in zip(stretches, windows, firsts, strict=False)
    ]
    begins = np.cumsum([0, *(len(own) for own in steps)])[:-1]
    every = np.concatenate([np.zeros((0, SIZE), np.float32), *steps])
    voices = _voices([window for own in windows for window in own], vectors)
    if not len(voices):
        return _Assigned(np.full(len(every), -1, np.intp), np.zeros(len(every)))
    for _ in range(_ROUNDS):
        scores = every @ voices.T
        path = _path(scores, begins)
        voices = _of_norm_one(np.stack([every[path == one].mean(axis=0) for one in np.unique(path)]))
    return _doubted(scores, path)


def _over_steps(stretch: Stretch, windows: Sequence[_Window], vectors: _Vectors) -> _Vectors:
    """Vectors of each step of a stretch, between those of the windows around it; zero where it has no window."""
    count = _steps(stretch)
    if not windows:
        return np.zeros((count, SIZE), np.float32)
    centres = [(window.start + window.length / 2) / SAMPLE_RATE for window in windows]
    at = np.interp(stretch.start + (np.arange(count) + 0.5) * _STEP, centres, np.arange(len(centres)))
    before = np.floor(at).astype(int)
    after = np.minimum(before + 1, len(centres) - 1)
    share = (at - before)[:, None].astype(np.float32)
    return np.asarray(vectors[before] * (1 - share) + vectors[after] * share)


def _voices(windows: Sequence[_Window], vectors: _Vectors) -> _Vectors:
    """The mean vector of each voice, (voices, 256): of clusters that are large enough, or of the largest."""
    long = [index for index, window in enumerate(windows) if window.length >= _LONG * SAMPLE_RATE]
    whole = long or list(range(len(windows)))
    chosen = vectors[whole[:: -(-len(whole) // _MOST) or 1]]
    labels = clusters(chosen, _ALIKE)
    sizes = np.bincount(labels)
    least = min(_LEAST_SPEECH / _HOP * len(chosen) / max(1, len(whole)), sizes.max(initial=0))
    return _of_norm_one(np.array([chosen[labels == one].mean(axis=0) for one in np.flatnonzero(sizes >= least)]))


def _path(scores: _Scores, begins: NDArray[np.intp]) -> NDArray[np.intp]:
    """The voice of each step, along the path with the highest sum of similarities less what changes cost."""
    costs = np.full(len(scores), _CHANGE)
    costs[begins] = _CHANGE_AT_PAUSE
    best = scores[0]
    came = np.zeros(scores.shape, np.intp)
    stay = np.arange(scores.shape[1])
    for step in range(1, len(scores)):
        other = int(best.argmax())
        changes = best[other] - costs[step] > best
        came[step] = np.where(changes, other, stay)
        best = np.where(changes, best[other] - costs[step], best) + scores[step]
    path = np.zeros(len(scores), np.intp)
    path[-1] = best.argmax()
    for step in range(len(scores) - 1, 0, -1):
        path[step - 1] = came[step, path[step]]
    return path


def _doubted(scores: _Scores, path: NDArray[np.intp]) -> _Assigned:
    """The path, without steps that for a while are hardly more like their voice than like another, or not like it at all."""
    own = scores[np.arange(len(path)), path]
    others = scores.copy()
    others[np.arange(len(path)), path] = -np.inf
    leads = own - np.maximum(others.max(axis=1, initial=-np.inf), _ANOTHER)
    unsure = (leads < _SURE) | (own < _LEAST_LIKE)
    voices = path.copy()
    for first, after in _runs(unsure):
        if (after - first) * _STEP >= _UNSURE:
            voices[first:after] = -1
    return _Assigned(voices, leads)


def _turns(stretches: Sequence[Stretch], assigned: _Assigned) -> Iterator[Turn]:
    """Steps of one voice that follow each other within a stretch, as turns; voices are numbered as they appear."""
    numbers: dict[int, int] = {}
    at = 0
    for stretch in stretches:
        count = _steps(stretch)
        edges = np.append(stretch.start + np.arange(count) * _STEP, stretch.end)
        voices, leads = assigned.voices[at : at + count], assigned.leads[at : at + count]
        at += count
        changes = [0, *(np.flatnonzero(np.diff(voices)) + 1).tolist(), count]
        for first, after in pairwise(changes):
            voice = int(voices[first])
            known = voice >= 0
            speaker = label(numbers.setdefault(voice, len(numbers))) if known else UNKNOWN
            confidence = float(np.clip(leads[first:after].mean() / _CLEAR, 0.0, 1.0)) if known else 0.0
            yield Turn(round(float(edges[first]), 3), round(float(edges[after]), 3), speaker, round(confidence, 3))


def _steps(stretch: Stretch) -> int:
    return max(1, round(stretch.duration / _STEP))


def _of_norm_one(vectors: NDArray[np.floating]) -> _Vectors:
    """Each row with norm 1."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9), dtype=np.float32)


def _runs(flags: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """First index and the one after the last of each run of true values."""
    changes = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    yield from zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True)
