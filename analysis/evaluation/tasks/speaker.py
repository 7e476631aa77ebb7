"""How well two clips are known to be of one voice. An item's truth is `{"speaker": NAME}`; names are those of the corpus.

Every clip is compared with every other one, as if the first had been enrolled. A clip with too little voice for an embedding counts
as an abstention, and is never accepted. Embeddings are compared in memory, and the report holds none.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Final

import numpy as np

from analysis.engines.manifest import load_manifest
from analysis.engines.voices import SAME_VOICE, Embedding, VoiceEncoder, similarity
from analysis.evaluation.corpus import Corpus, CorpusInvalid, Item
from analysis.evaluation.detection import PRIOR
from analysis.evaluation.report import Kind, Measure, Outcome
from analysis.evaluation.sound import decoded
from analysis.evaluation.task import Progress, Setup

MEASURES: Final[Mapping[str, Measure]] = {
    "equal error rate": Measure(
        Kind.EQUAL_ERROR, "Share of mistakes at the threshold where both kinds are as many", more_is_better=False
    ),
    "minimum detection cost": Measure(
        Kind.LEAST_COST,
        f"The least cost over all thresholds where {PRIOR:.0%} of trials are of one voice, as a share of always refusing",
        more_is_better=False,
    ),
    "same voice accepted": Measure(Kind.RATIO, "Pairs of one voice at or above the threshold that is shipped"),
    "another voice refused": Measure(Kind.RATIO, "Pairs of two voices below the threshold that is shipped"),
}
_NEVER: Final = -1.0
"""The similarity of what has no embedding."""


def make(setup: Setup) -> "SpeakerTask":
    entry = load_manifest().model("resemblyzer")
    return SpeakerTask(VoiceEncoder.load(entry.verified(setup.models), entry.identity()))


@dataclass(frozen=True, slots=True)
class SpeakerTask:
    _encoder: VoiceEncoder

    @property
    def measures(self) -> Mapping[str, Measure]:
        return MEASURES

    def about(self) -> Mapping[str, str]:
        model = self._encoder.identity
        return {"engine": f"{model.name} {model.version}, SHA-256 {model.digest}", "threshold": str(SAME_VOICE)}

    def outcomes(self, corpus: Corpus, progress: Progress) -> Iterator[Outcome]:
        clips = [(item, item.audio) for item in corpus.items if item.audio is not None and "speaker" in item.truth]
        if not clips:
            raise CorpusInvalid("no item of this corpus has `audio` and a `speaker`: it is none for speaker")
        heard = []
        for number, (item, audio) in enumerate(clips, start=1):
            heard.append((item, self._embedding(audio)))
            progress(number / len(clips))
        for (enrolled, one), (item, other) in permutations(heard, 2):
            yield from _judged(enrolled, one, item, other)

    def _embedding(self, audio: Path) -> Embedding | None:
        """Of all channels mixed."""
        return self._encoder.embed(np.mean(np.stack(decoded(audio).channels), axis=0, dtype=np.float32))


def _judged(enrolled: Item, one: Embedding | None, item: Item, other: Embedding | None) -> Iterator[Outcome]:
    """One trial; it counts for the voice that was enrolled, in the groups that both clips share."""
    voice = str(enrolled.truth["speaker"])
    same = str(item.truth["speaker"]) == voice
    groups = {name: value for name, value in item.groups.items() if enrolled.groups.get(name) == value}
    abstained = one is None or other is None
    score = _NEVER if one is None or other is None else similarity(one, other)
    for measure in ("equal error rate", "minimum detection cost"):
        yield Outcome(voice, measure, score, float(same), groups, abstained)
    measure, right = (
        ("same voice accepted", score >= SAME_VOICE) if same else ("another voice refused", score < SAME_VOICE)
    )
    yield Outcome(voice, measure, float(right), 1.0, groups, abstained)
