"""How much personal data redaction finds, and how much else it takes away, over sentences with their truth written into them.

An item's truth is `{"sentences": FILE}`: marked text as in `analysis.evaluation.marked_text`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from analysis.evaluation import marked_text
from analysis.evaluation.corpus import Corpus, CorpusInvalid
from analysis.evaluation.marked_text import Sentence
from analysis.evaluation.report import Kind, Measure, Outcome
from analysis.evaluation.task import Progress, Setup
from analysis.redaction.finding import NAME, RECOGNIZERS, VERSION, find
from analysis.redaction.spans import Span, Word

MEASURES: Final[Mapping[str, Measure]] = {
    "recall": Measure(Kind.SHARE, "Pieces of personal data of which every word was taken out"),
    "precision": Measure(Kind.SHARE, "Spans taken out that hold personal data"),
    "right type": Measure(Kind.SHARE, "Pieces taken out wholly that were given their type"),
    "sentences left alone": Measure(Kind.SHARE, "Sentences without personal data of which nothing was taken out"),
    "words of personal data left": Measure(
        Kind.RATIO, "Its words that stayed, over all its words", more_is_better=False
    ),
    "other words taken out": Measure(Kind.RATIO, "Other words taken out, over all other words", more_is_better=False),
}
_EACH: Final = 0.4
"""Seconds from word to word: these sentences were never spoken."""


def make(_setup: Setup) -> "RedactionTask":
    return RedactionTask()


@dataclass(frozen=True, slots=True)
class RedactionTask:
    @property
    def measures(self) -> Mapping[str, Measure]:
        return MEASURES

    def about(self) -> Mapping[str, str]:
        names = ", ".join(recognizer.name for recognizer in RECOGNIZERS)
        return {"engine": f"{NAME} {VERSION}", "recognizers": names}

    def outcomes(self, corpus: Corpus, progress: Progress) -> Iterator[Outcome]:
        sentences = list(_sentences(corpus))
        for number, (sentence, groups) in enumerate(sentences, start=1):
            yield from _judged(sentence, groups)
            progress(number / len(sentences))


def _sentences(corpus: Corpus) -> Iterator[tuple[Sentence, Mapping[str, str]]]:
    named = [item for item in corpus.items if "sentences" in item.truth]
    if not named:
        raise CorpusInvalid("no item of this corpus names `sentences`: it is none for redaction")
    for item in named:
        path = corpus.file(str(item.truth["sentences"]))
        for sentence in marked_text.read(path.read_text(encoding="utf-8"), path.name):
            yield sentence, {**item.groups, **({"form": sentence.group} if sentence.group else {})}


def _judged(sentence: Sentence, groups: Mapping[str, str]) -> Iterator[Outcome]:
    words = [Word(text, place * _EACH, place * _EACH + 0.3) for place, text in enumerate(sentence.words)]
    spans = find(words)
    taken: dict[int, Span] = {index: span for span in spans for index in span.words}
    personal = {index for truth in sentence.truths for index in truth.words}
    place = sentence.place
    for truth in sentence.truths:
        found = all(index in taken for index in truth.words)
        kind = {**groups, "type": truth.type.value}
        yield Outcome(place, "recall", float(found), 1.0, kind)
        if found:
            right = all(taken[index].type is truth.type for index in truth.words)
            yield Outcome(place, "right type", float(right), 1.0, kind)
    for span in spans:
        holds = not personal.isdisjoint(span.words)
        yield Outcome(place, "precision", float(holds), 1.0, {**groups, "type": span.type.value})
    if not sentence.truths:
        yield Outcome(place, "sentences left alone", float(not spans), 1.0, groups)
    if personal:
        yield Outcome(place, "words of personal data left", len(personal - set(taken)), len(personal), groups)
    others = len(words) - len(personal)
    if others:
        yield Outcome(place, "other words taken out", len(set(taken) - personal), others, groups)
