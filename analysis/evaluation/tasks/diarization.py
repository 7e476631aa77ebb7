"""How well it is found who spoke when. An item's truth is `{"turns": [{"start": 0.0, "end": 1.5, "speaker": NAME}, ...]}`, seconds.

Turns of two speakers may overlap; names are those of the corpus. Channels are mixed, whatever they are: telling voices apart is
what is measured. A clip in which no turn is found counts as an abstention. How errors are counted is said in
`analysis.evaluation.speaking`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from analysis.engines.activity import SpeechActivity
from analysis.engines.clip import Clip, ModelIdentity, no_checkpoint
from analysis.engines.diarization import Diarizer
from analysis.engines.manifest import load_manifest
from analysis.engines.turns import UNKNOWN
from analysis.engines.voices import VoiceEncoder
from analysis.evaluation.corpus import Corpus, CorpusInvalid, Item
from analysis.evaluation.report import Kind, Measure, Outcome
from analysis.evaluation.sound import decoded
from analysis.evaluation.speaking import Spoken, errors
from analysis.evaluation.task import Progress, Setup

COLLAR: Final = 0.25
"""Seconds around true beginnings and ends that the second figure leaves out, as is usual."""

MEASURES: Final[Mapping[str, Measure]] = {
    "diarization error rate": Measure(
        Kind.RATIO, "Speech missed, invented and given to the wrong speaker, over speech", more_is_better=False
    ),
    "diarization error rate, collar": Measure(
        Kind.RATIO, f"The same without {COLLAR} s around each true beginning and end", more_is_better=False
    ),
    "missed": Measure(Kind.RATIO, "Speech that was not found, over speech", more_is_better=False),
    "false alarm": Measure(Kind.RATIO, "Speech that was not there, over speech", more_is_better=False),
    "confused": Measure(
        Kind.RATIO, "Speech given to the wrong speaker or to nobody, over speech", more_is_better=False
    ),
    "unknown": Measure(
        Kind.RATIO, "Speech of which it is said that it is nobody's for sure, over speech", more_is_better=False
    ),
    "number of speakers": Measure(Kind.SHARE, "Clips in which as many voices were found as speak"),
}


def make(setup: Setup) -> "DiarizationTask":
    entry = load_manifest().model("resemblyzer")
    encoder = VoiceEncoder.load(entry.verified(setup.models), entry.identity())
    return DiarizationTask(Diarizer(encoder), SpeechActivity.load(), entry.identity())


@dataclass(frozen=True, slots=True)
class DiarizationTask:
    _diarizer: Diarizer
    _activity: SpeechActivity
    _model: ModelIdentity

    @property
    def measures(self) -> Mapping[str, Measure]:
        return MEASURES

    def about(self) -> Mapping[str, str]:
        return {"engine": f"{self._model.name} {self._model.version}, SHA-256 {self._model.digest}"}

    def outcomes(self, corpus: Corpus, progress: Progress) -> Iterator[Outcome]:
        clips = [(item, item.audio) for item in corpus.items if item.audio is not None and "turns" in item.truth]
        if not clips:
            raise CorpusInvalid("no item of this corpus has `audio` and `turns`: it is none for diarization")
        for number, (item, audio) in enumerate(clips, start=1):
            yield from _judged(item, _true(item), self._found(audio))
            progress(number / len(clips))

    def _found(self, audio: Path) -> list[Spoken]:
        clip = Clip(np.mean(np.stack(decoded(audio).channels), axis=0, dtype=np.float32))
        found = self._diarizer.run(clip, self._activity.run(clip), no_checkpoint)
        return [Spoken(turn.start, turn.end, None if turn.speaker == UNKNOWN else turn.speaker) for turn in found.turns]


def _true(item: Item) -> list[Spoken]:
    """Raises `CorpusInvalid`."""
    given: Any = item.truth["turns"]
    try:
        return [Spoken(float(turn["start"]), float(turn["end"]), str(turn["speaker"])) for turn in given]
    except (KeyError, TypeError, ValueError) as error:
        raise CorpusInvalid(f"{item.id}: `turns` have start, end (seconds) and speaker each") from error


def _judged(item: Item, true: Sequence[Spoken], found: Sequence[Spoken]) -> Iterator[Outcome]:
    whole, inner = errors(true, found), errors(true, found, COLLAR)
    unknown = sum(turn.end - turn.start for turn in found if turn.speaker is None)
    right = len(_voices(found)) == len(_voices(true))
    abstained = not found
    for measure, part, of in (
        ("diarization error rate", whole.total, whole.speech),
        ("diarization error rate, collar", inner.total, inner.speech),
        ("missed", whole.missed, whole.speech),
        ("false alarm", whole.false_alarm, whole.speech),
        ("confused", whole.confused, whole.speech),
        ("unknown", unknown, whole.speech),
        ("number of speakers", float(right), 1.0),
    ):
        yield Outcome(item.id, measure, part, of, item.groups, abstained)


def _voices(turns: Sequence[Spoken]) -> set[str]:
    return {turn.speaker for turn in turns if turn.speaker is not None}
