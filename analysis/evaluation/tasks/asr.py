"""Word error rate of the transcription engine over clips whose words are known. An item's truth is `{"text": WORDS}`.

Clips go through the same decoding, voice activity and engine as recordings do. A clip in which the engine heard no words counts as
an abstention, and all its words as left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from analysis.engines import transcription_choice
from analysis.engines.activity import SpeechActivity
from analysis.engines.clip import no_checkpoint
from analysis.engines.transcription import Transcriber, TranscriptionOptions
from analysis.evaluation.corpus import Corpus, CorpusInvalid
from analysis.evaluation.hearing import hear
from analysis.evaluation.report import Kind, Measure, Outcome
from analysis.evaluation.task import Progress, Setup
from analysis.evaluation.words import edits, normalized

MEASURES: Final[Mapping[str, Measure]] = {
    "word error rate": Measure(
        Kind.RATIO, "Words substituted, left out and invented, over words spoken", more_is_better=False
    ),
    "clips without an error": Measure(Kind.SHARE, "Clips of which every word is right"),
}
_LENGTHS: Final = ((5.0, "under 5 s"), (15.0, "5 to 15 s"), (60.0, "15 to 60 s"))


def make(setup: Setup) -> "AsrTask":
    entry = setup.manifest().model(setup.asr_model)
    identity = entry.identity()
    transcriber = transcription_choice.load(entry, setup.models, threads=setup.threads, allowed=setup.allowed)
    model = f"{identity.name} {identity.version}, SHA-256 {identity.digest}"
    return AsrTask(transcriber, SpeechActivity.load(), model)


@dataclass(frozen=True, slots=True)
class AsrTask:
    _transcriber: Transcriber
    _activity: SpeechActivity
    _model: str

    @property
    def measures(self) -> Mapping[str, Measure]:
        return MEASURES

    def about(self) -> Mapping[str, str]:
        return {"engine": self._model, "compared": "NFKC, lower case, no punctuation; Mr. and Mrs. spoken out"}

    def outcomes(self, corpus: Corpus, progress: Progress) -> Iterator[Outcome]:
        spoken = [(item, item.audio) for item in corpus.items if item.audio is not None and "text" in item.truth]
        if not spoken:
            raise CorpusInvalid("no item of this corpus has `audio` and a `text`: it is none for asr")
        for number, (item, audio) in enumerate(spoken, start=1):
            text, seconds = self._heard(audio)
            groups = {**item.groups, "length": _length(seconds)}
            said, written = normalized(str(item.truth["text"])).split(), normalized(text).split()
            wrong = edits(said, written)
            yield Outcome(item.id, "word error rate", wrong, len(said), groups, abstained=not written)
            yield Outcome(item.id, "clips without an error", float(wrong == 0), 1.0, groups, abstained=not written)
            progress(number / len(spoken))

    def _heard(self, audio: Path) -> tuple[str, float]:
        """The words of all channels, one after another, and the clip's seconds."""
        heard = hear(audio)
        texts = []
        for clip in heard.clips:
            speech = self._activity.run(clip, no_checkpoint)
            transcript = self._transcriber.run(clip, speech, TranscriptionOptions(), no_checkpoint)
            texts += [utterance.text for utterance in transcript.utterances]
        return " ".join(texts), heard.duration


def _length(seconds: float) -> str:
    return next((name for limit, name in _LENGTHS if seconds < limit), "over 60 s")
