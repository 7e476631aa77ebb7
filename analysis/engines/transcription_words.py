"""From aligned words to utterances: punctuation joined to its word, times put back into the clip and kept to the speech.

Alignment by cross-attention lets a word beside a silence reach into it; voice activity knows better, so each word ends
and starts inside a stretch of speech. No model is called here.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from analysis.engines.clip import SAMPLE_RATE, Clip, Stretch
from analysis.engines.transcription_decoding import TokenTimes
from analysis.engines.transcription_windows import Window

_SENTENCE_ENDS = frozenset(".?!。？！؟।…")
_SENTENCE_PAUSE = 0.2
"""Seconds. A sentence that ends with at least this much silence ends the utterance."""
_PAUSE = 0.7
"""Seconds. So much silence ends the utterance wherever it falls."""
_REACH = 0.1
"""Seconds that a word may reach past its stretch: voice activity cuts soft first and last consonants."""
_STEP = 0.02
"""Seconds: one step of the alignment."""
_FRAME = 0.01
"""Seconds over which the level is looked at to find where a word begins to sound."""
_FEWEST_FRAMES = 6
_FAINTEST = 1e-6
"""Mean square that counts as silence: -60 dBFS."""


@dataclass(frozen=True, slots=True)
class PlacedWord:
    """A word with the white space and punctuation that belong to it; seconds in the clip; probability 0 to 1."""

    text: str
    start: float
    end: float
    probability: float


def place(times: TokenTimes, window: Window, clip: Clip) -> tuple[PlacedWord, ...]:
    """The window's words in the clip's time: in order, without overlap, each at least one step of the alignment long."""
    words = []
    for word in _joined(times):
        start, end = _in_speech(*window.in_clip(word.start, word.end), window.speech)
        if any(abs(start - stretch.start) < _REACH + _FRAME for stretch in window.speech):
            start = _onset(clip, start, end)
        words.append(replace(word, start=start, end=end))
    return _in_order(words, window.extent)


def utterances(words: Sequence[PlacedWord]) -> Iterator[tuple[PlacedWord, ...]]:
    """Words grouped by pauses and ends of sentences."""
    first = 0
    for index, (before, after) in enumerate(pairwise(words), start=1):
        pause = after.start - before.end
        ended = before.text.rstrip("\"'”’)]} ")[-1:] in _SENTENCE_ENDS
        if pause >= _PAUSE or (ended and pause >= _SENTENCE_PAUSE):
            yield tuple(words[first:index])
            first = index
    if words:
        yield tuple(words[first:])


def _joined(times: TokenTimes) -> list[PlacedWord]:
    """Words in the window's time; a piece without letter or digit joins the word before it, an opening one the next."""
    words: list[PlacedWord] = []
    opening = ""
    for text, start, end, probability in zip(times.words, times.starts, times.ends, times.probabilities, strict=True):
        if any(unicodedata.category(character)[0] in "LN" for character in text):
            words.append(PlacedWord(opening + text, start, end, probability))
            opening = ""
        elif text.startswith(" ") or not words:
            opening += text
        else:
            words[-1] = replace(words[-1], text=words[-1].text + text)
    if opening and words:
        words[-1] = replace(words[-1], text=words[-1].text + opening)
    return words


def _in_order(words: Sequence[PlacedWord], extent: Stretch) -> tuple[PlacedWord, ...]:
    """Overlaps taken away from the later word; where that leaves no room at the end, words move forward again."""
    shortest = min(_STEP, extent.duration / max(1, len(words)))
    earliest, latest = extent.start, extent.end
    placed: list[PlacedWord] = []
    for word in words:
        start = max(word.start, earliest)
        earliest = max(word.end, start + shortest)
        placed.append(replace(word, start=start, end=earliest))
    for index in reversed(range(len(placed))):
        end = min(placed[index].end, latest)
        latest = min(placed[index].start, end - shortest)
        placed[index] = replace(placed[index], start=latest, end=end)
    return tuple(placed)


def _onset(clip: Clip, start: float, end: float) -> float:
    """Where the first word after a pause begins to sound. Alignment and voice activity both put it too early.

    The first frame whose level in decibels is nearer to the loudest than to the quietest of the word's frames.
    """
    samples = clip.cut(start, end).samples
    size = round(_FRAME * SAMPLE_RATE)
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    if len(frames) < _FEWEST_FRAMES:
        return start
    levels = 10 * np.log10(np.mean(np.square(frames), axis=1) + _FAINTEST)
    lowest, highest = float(levels.min()), float(levels.max())
    return start + int(np.argmax(levels > (lowest + highest) / 2)) * _FRAME


def _in_speech(start: float, end: float, speech: Sequence[Stretch]) -> tuple[float, float]:
    """The part of a word that lies in the stretch it overlaps most; unchanged where it overlaps none."""

    def overlap(stretch: Stretch) -> float:
        return min(end, stretch.end) - max(start, stretch.start)

    best = max(speech, key=overlap)
    if overlap(best) <= 0:
        return start, end
    return max(start, best.start - _REACH), min(end, best.end + _REACH)
