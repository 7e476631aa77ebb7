"""Making a voiceprint from a voice, and telling whether a voice is the one that a voiceprint was made from.

It answers yes, no or unknown with the similarity that it rests on. A similarity is no proof: an imitation, a relative or a played
recording may come as near. Whose voiceprint it is, and whether it may be used, others know.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.engines.clip import SAMPLE_RATE, Clip, Stretch
from analysis.engines.linking import LEAST_COMPARED
from analysis.engines.voices import SAME_VOICE, STEP, WINDOW, Embedding, VoiceEncoder, similarity

LEAST_ENROLLED: Final = 6.0
"""Seconds of voice that a voiceprint is made from at least."""
OTHER_VOICE: Final = 0.72
"""Similarity below which a voice is another one: two readers had 0.40 to 0.72."""
ONE_VOICE: Final = 0.75
"""Similarity that the two halves of one voice's windows have, however they are halved; where it is less, somebody else may have
spoken too."""


class Match(StrEnum):
    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class NotEnrolled(StrEnum):
    """Why no voiceprint was made."""

    TOO_LITTLE_VOICE = "too_little_voice"
    SEVERAL_VOICES = "several_voices"
    """Parts of it differ more than one voice does."""


@dataclass(frozen=True, slots=True)
class Voice:
    """What was heard of one voice: its windows' embeddings, (windows, 256). For memory only."""

    windows: NDArray[np.float32]
    seconds: float
    """Of voice, silences left out."""

    def __repr__(self) -> str:
        return f"Voice(seconds={self.seconds:.1f})"

    @property
    def mean(self) -> Embedding | None:
        """None where there was not one window of voice."""
        if not len(self.windows):
            return None
        centre = self.windows.mean(axis=0)
        return np.asarray(centre / max(float(np.linalg.norm(centre)), 1e-6), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`score` is the similarity to the voiceprint, 0.0 to 1.0; None where there was too little voice to say."""

    matches: Match
    score: float | None


def hear_voice(clip: Clip, speech: Sequence[Stretch], encoder: VoiceEncoder) -> Voice:
    """The voice on a clip of one person; `speech` is its voice activity."""
    spoken = [clip.cut(stretch.start, stretch.end).samples for stretch in speech]
    voice = np.concatenate([np.zeros(0, np.float32), *spoken])
    starts = list(range(0, max(0, len(voice) - WINDOW + 1), STEP))
    return Voice(encoder.embed_windows(voice, starts, WINDOW), len(voice) / SAMPLE_RATE)


def enrol(voice: Voice) -> Embedding | NotEnrolled:
    """The template of a voice, or why there is none."""
    template = voice.mean
    if template is None or voice.seconds < LEAST_ENROLLED:
        return NotEnrolled.TOO_LITTLE_VOICE
    if _likeness_of_halves(voice.windows) < ONE_VOICE:
        return NotEnrolled.SEVERAL_VOICES
    return template


def compare(voice: Voice, template: Embedding) -> Comparison:
    """Whether the voice is the template's."""
    heard = voice.mean
    if heard is None or voice.seconds < LEAST_COMPARED:
        return Comparison(Match.UNKNOWN, None)
    score = similarity(heard, template)
    if score >= SAME_VOICE:
        return Comparison(Match.YES, score)
    return Comparison(Match.NO if score < OTHER_VOICE else Match.UNKNOWN, score)


def _likeness_of_halves(windows: NDArray[np.float32]) -> float:
    """The windows gathered around the two that are least alike: how alike these two heaps are."""
    alike = windows @ windows.T
    first, second = np.unravel_index(int(alike.argmin()), alike.shape)
    nearer = alike[first] >= alike[second]
    return similarity(windows[nearer].mean(axis=0), windows[~nearer].mean(axis=0)) if not nearer.all() else 1.0
