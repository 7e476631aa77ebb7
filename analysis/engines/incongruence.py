"""Valence of wording, how an utterance is delivered, and a marker where the two disagree: "I'm fine" said falling.

Wording is `polarity`. Delivery is a mean of cues in the directions in which speech that sounds glad and speech that sounds
sad differ (Juslin and Laukka 2003, table 7): final movement and liveliness of pitch, and, once there is a baseline of the
same voice, pitch, level and rate. An ordinary statement also ends falling, but over a lively contour; only a falling, narrow
one stands against pleasant words, and only a rising, wide one against unpleasant words. Questions are left out. The marker
says that two pieces of evidence point different ways, and gives both: irony, tiredness, a bad line or politeness look the
same. It says nothing about truthfulness, and is validated against nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from analysis.engines import own_code
from analysis.engines.baseline import Baseline
from analysis.engines.clip import Clip, ModelIdentity, Stretch
from analysis.engines.disfluency import SpokenWord
from analysis.engines.emotion import UNKNOWN, Score
from analysis.engines.intonation import FinalMovement, Movement, final_movement
from analysis.engines.levels import rms_dbfs, syllable_nuclei
from analysis.engines.pitch import HOP_SECONDS, LOWEST, Track
from analysis.engines.polarity import polarity

MODULES = (
    "baseline.py",
    "disfluency.py",
    "emotion.py",
    "incongruence.py",
    "intonation.py",
    "levels.py",
    "pitch.py",
    "polarity.py",
)
LANGUAGE = "en"
"""The one language whose wording is judged."""
WORDING, DELIVERY = 0.5, 0.55
"""How far wording (-1 to 1) and delivery (-1 to 1) must lie on opposite sides."""
FLAT = 2.0
"""Semitones of F0 range up to which an utterance that ends level is called flat."""
_ORDINARY_RANGE, _RANGE_UNIT = 6.0, 4.0
"""Semitones of F0 range (5th to 95th percentile) of an ordinary short utterance, and how much more or less counts as one."""
_FINAL_UNIT = 4.0
"""Semitones of final movement that count as one: a full fall ('t Hart 1981)."""
_DEVIATIONS = 2.0
"""Standard deviations from the speaker's own that count as one."""
_FEWEST_VOICED = 15
MOST_CONFIDENCE = 0.5


class Shape(StrEnum):
    """How pitch goes over an utterance."""

    FALLING = "falling"
    RISING = "rising"
    FLAT = "flat"
    LIVELY = "lively"


class SpokenUtterance(Protocol):
    """Words between two pauses or ends of sentences."""

    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...
    @property
    def text(self) -> str: ...
    @property
    def words(self) -> Sequence[SpokenWord]: ...


@dataclass(frozen=True, slots=True)
class WordingWindow:
    """`valence` from 0.0 (unpleasant) to 1.0, of the words alone; None and "unknown" where none of them is known.

    `wording_evidence` are the words that decided.
    """

    start: float
    end: float
    label: str
    valence: float | None
    confidence: float
    wording_evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Delivery:
    """`shape` may be "unknown"; `value` from -1.0 (subdued) to 1.0 (bright), None where pitch tells too little."""

    start: float
    end: float
    shape: str
    value: float | None
    final_semitones: float | None
    range_semitones: float | None
    cues: tuple[Score, ...]


@dataclass(frozen=True, slots=True)
class Incongruence:
    """Wording and delivery that disagree, with both pieces of evidence."""

    start: float
    end: float
    label: str
    confidence: float
    valence: float
    wording_evidence: tuple[str, ...]
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class WordingSummary:
    """ "unknown" counts utterances with no known word, or no shape."""

    wording_windows: int
    wording_unknown: int
    wording_valence_mean: float | None
    delivery_unknown: int
    incongruences: int


@dataclass(frozen=True, slots=True)
class WordingAndDelivery:
    """In order of start; one `wording` and one `delivery` for each utterance."""

    wording: tuple[WordingWindow, ...]
    delivery: tuple[Delivery, ...]
    incongruences: tuple[Incongruence, ...]
    summary: WordingSummary
    model: ModelIdentity


class WordingReader:
    """The engine. It reads words that were permitted, so its answers rest on that permission too. Not validated."""

    def __init__(self) -> None:
        self._identity = own_code.identity("wording-and-delivery", "1", MODULES)

    def run(
        self, clip: Clip, spoken: Sequence[SpokenUtterance], language: str, hertz: Track, *, one_voice: bool = True
    ) -> WordingAndDelivery:
        """`hertz` is F0 of the whole clip every 10 ms. In a language other than English all wording is unknown."""
        usual = Baseline()
        wordings, deliveries, markers = [], [], []
        for each in spoken:
            wording = _wording(each, judged=language == LANGUAGE)
            delivery = deliver(clip, Stretch(each.start, each.end), hertz, usual if one_voice else None)
            wordings.append(wording)
            deliveries.append(delivery)
            marker = _marker(wording, delivery)
            if marker is not None and not each.text.rstrip().endswith("?"):
                markers.append(marker)
        return WordingAndDelivery(
            wording=tuple(wordings),
            delivery=tuple(deliveries),
            incongruences=tuple(markers),
            summary=_summary(wordings, deliveries, len(markers)),
            model=self._identity.ran_with(one_voice=one_voice),
        )


def deliver(clip: Clip, span: Stretch, hertz: Track, usual: Baseline | None) -> Delivery:
    """How one utterance is said. It joins `usual` afterwards; None compares with nothing."""
    own = hertz[round(span.start / HOP_SECONDS) : round(span.end / HOP_SECONDS) + 1]
    voiced = own[~np.isnan(own)]
    final = final_movement(own)
    if len(voiced) < _FEWEST_VOICED:
        return Delivery(round(span.start, 3), round(span.end, 3), UNKNOWN, None, None, None, ())
    low, high = np.percentile(voiced, [5, 95]).tolist()
    spread = 12 * float(np.log2(high / low))
    samples = clip.cut(span.start, span.end).samples
    measures: dict[str, float | None] = {
        "f0": 12 * float(np.log2(np.median(voiced) / LOWEST)),
        "level": rms_dbfs(samples),
        "articulation_rate": len(syllable_nuclei(samples, own)) / max(span.duration, 0.1),
    }
    cues = {"liveliness": (spread - _ORDINARY_RANGE) / _RANGE_UNIT}
    if final.semitones is not None:
        cues["final movement"] = final.semitones / _FINAL_UNIT
    if usual is not None:
        distances: Mapping[str, float | None] = usual.compare(measures) if usual.ready else {}
        cues |= {name: value / _DEVIATIONS for name, value in distances.items() if value is not None}
        usual.add(measures, span.duration)
    scores = tuple(Score(name, round(min(1.0, max(-1.0, value)), 3)) for name, value in cues.items())
    return Delivery(
        start=round(span.start, 3),
        end=round(span.end, 3),
        shape=_shape(final, spread),
        value=round(sum(score.value for score in scores) / len(scores), 3) if len(scores) > 1 else None,
        final_semitones=final.semitones,
        range_semitones=round(spread, 2),
        cues=scores,
    )


def _shape(final: FinalMovement, spread: float) -> str:
    if final.movement is Movement.FALL:
        return Shape.FALLING
    if final.movement is Movement.RISE:
        return Shape.RISING
    if final.movement is Movement.UNKNOWN:
        return UNKNOWN
    return Shape.FLAT if spread <= FLAT else Shape.LIVELY


def _wording(spoken: SpokenUtterance, *, judged: bool) -> WordingWindow:
    found = polarity([spoken.text]) if judged else None
    start, end = round(spoken.start, 3), round(spoken.end, 3)
    if found is None or found.value is None:
        return WordingWindow(start, end, UNKNOWN, None, 0.0, ())
    label = "pleasant" if found.value > 0 else "unpleasant" if found.value < 0 else "mixed"
    confidence = round(MOST_CONFIDENCE * abs(found.value), 3)
    return WordingWindow(start, end, label, round(0.5 + found.value / 2, 3), confidence, found.evidence)


def _marker(wording: WordingWindow, delivery: Delivery) -> Incongruence | None:
    if wording.valence is None or delivery.value is None:
        return None
    said = 2 * wording.valence - 1
    if abs(said) < WORDING or abs(delivery.value) < DELIVERY or said * delivery.value > 0:
        return None
    return Incongruence(
        start=wording.start,
        end=wording.end,
        label="pleasant words, subdued delivery" if said > 0 else "unpleasant words, bright delivery",
        confidence=round(MOST_CONFIDENCE * min(abs(said), abs(delivery.value)), 3),
        valence=wording.valence,
        wording_evidence=wording.wording_evidence,
        delivery=delivery,
    )


def _summary(wordings: Sequence[WordingWindow], deliveries: Sequence[Delivery], markers: int) -> WordingSummary:
    known = [(each.valence, each.end - each.start) for each in wordings if each.valence is not None]
    seconds = sum(weight for _, weight in known)
    return WordingSummary(
        wording_windows=len(wordings),
        wording_unknown=len(wordings) - len(known),
        wording_valence_mean=round(sum(value * weight for value, weight in known) / seconds, 3) if seconds else None,
        delivery_unknown=sum(each.shape == UNKNOWN for each in deliveries),
        incongruences=markers,
    )
