"""Nonverbal sounds found, missed and invented, by events. An item's truth is

    {"sounds": [{"label": "laughter", "start": 0.4, "end": 1.9}], "context": ["music"]}

`sounds` may be empty: speech without any tells how often something is invented. `start` and `end` (seconds) may be left out
together, where it is known only that the sound is in the clip; then every event of its label hits it. Otherwise events are
compared by how far they cover each other (Bilen et al. 2020, with 0.5 for both criteria): a reported event is right when half
of it lies in true sounds of its label, and a true sound is hit when right events cover half of it. `context` may be left out,
and is then not judged.

Where the engine is YAMNet, plain YAMNet hears the same clips in the same run.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from analysis.engines import nonverbal_choice
from analysis.engines.clip import no_checkpoint
from analysis.engines.sounds import NonverbalEngine, Sound, SoundEvent, Surrounding
from analysis.engines.yamnet import Yamnet
from analysis.evaluation import plain_yamnet
from analysis.evaluation.corpus import Corpus, CorpusInvalid, Item
from analysis.evaluation.hearing import hear
from analysis.evaluation.report import Kind, Measure, Outcome
from analysis.evaluation.task import Progress, Setup

SUFFIX_OF_PLAIN: Final = ", plain YAMNet"
_EVENTS: Final[Mapping[str, Measure]] = {
    "recall": Measure(Kind.SHARE, "True sounds that were found"),
    "precision": Measure(Kind.SHARE, "Reported events that are true"),
    "F1": Measure(Kind.RATIO, "2 hits / (2 hits + false alarms + misses)"),
    "false alarms per hour": Measure(
        Kind.RATE, "Reported events that are not true, per hour of sound", more_is_better=False
    ),
}
_CONTEXT: Final[Mapping[str, Measure]] = {
    "context found": Measure(Kind.SHARE, "Surroundings of a clip that were found"),
    "context invented": Measure(
        Kind.SHARE, "Surroundings that a clip does not have and that were found all the same", more_is_better=False
    ),
}
_COVERED: Final = 0.5
_HOUR: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class _True:
    """A sound that is there; somewhere in the clip where its times are not known."""

    label: Sound
    times: tuple[float, float] | None


def make(setup: Setup) -> "NonverbalTask":
    entry = setup.manifest().model(setup.sounds_model)
    engine = nonverbal_choice.load(entry, setup.models, allowed=setup.allowed)
    parameters = ", ".join(f"{name} {value:g}" for name, value in sorted(entry.parameters.items()))
    about = {"engine": f"{entry.name} {entry.version}, SHA-256 {entry.digest}", "parameters": parameters}
    if entry.engine != nonverbal_choice.YAMNET:
        return NonverbalTask(engine, None, about)
    plain = f"the same weights as published, threshold {plain_yamnet.THRESHOLD:g} for every sound"
    return NonverbalTask(engine, Yamnet.load(entry.verified(setup.models)), {**about, "plain YAMNet": plain})


@dataclass(frozen=True, slots=True)
class NonverbalTask:
    _engine: NonverbalEngine
    _plain: Yamnet | None
    _about: Mapping[str, str]

    @property
    def measures(self) -> Mapping[str, Measure]:
        plain = {f"{name}{SUFFIX_OF_PLAIN}": replace(measure, baseline=True) for name, measure in _EVENTS.items()}
        return {**_EVENTS, **(plain if self._plain else {}), **_CONTEXT}

    def about(self) -> Mapping[str, str]:
        return self._about

    def outcomes(self, corpus: Corpus, progress: Progress) -> Iterator[Outcome]:
        judged = [
            (item, item.audio, _sounds(item), _context(item))
            for item in corpus.items
            if item.audio is not None and not {"sounds", "context"}.isdisjoint(item.truth)
        ]
        if not judged:
            raise CorpusInvalid(
                "no item of this corpus has `audio` and `sounds` or `context`: it is none for nonverbal"
            )
        for number, (item, audio, sounds, context) in enumerate(judged, start=1):
            heard = hear(audio)
            found = [self._engine.run(clip, no_checkpoint) for clip in heard.clips]
            if sounds is not None:
                events = [event for each in found for event in each.events]
                yield from _judged(item, "", sounds, events, heard.duration)
                if self._plain is not None:
                    plain = [event for clip in heard.clips for event in plain_yamnet.events(self._plain, clip)]
                    yield from _judged(item, SUFFIX_OF_PLAIN, sounds, plain, heard.duration)
            if context is not None:
                around = {stretch.label for each in found for stretch in each.context}
                yield from _judged_context(item, context, around)
            progress(number / len(judged))


def _judged(
    item: Item, suffix: str, sounds: Sequence[_True], events: Sequence[SoundEvent], seconds: float
) -> Iterator[Outcome]:
    right = [event for event in events if _is_right(event, sounds)]
    abstained = bool(sounds) and not events

    def outcome(measure: str, part: float, whole: float, label: Sound) -> Outcome:
        return Outcome(item.id, f"{measure}{suffix}", part, whole, {**item.groups, "sound": label.value}, abstained)

    for sound in sounds:
        hit = _is_hit(sound, right)
        yield outcome("recall", float(hit), 1.0, sound.label)
        yield outcome("F1", 2.0 * hit, 2.0 if hit else 1.0, sound.label)
    for event in events:
        yield outcome("precision", float(event in right), 1.0, event.label)
        if event not in right:
            yield outcome("F1", 0.0, 1.0, event.label)
    false = len(events) - len(right)
    yield Outcome(item.id, f"false alarms per hour{suffix}", float(false), seconds / _HOUR, item.groups)


def _judged_context(item: Item, true: frozenset[Surrounding], found: set[Surrounding]) -> Iterator[Outcome]:
    for label in Surrounding:
        groups = {**item.groups, "context": label.value}
        measure = "context found" if label in true else "context invented"
        yield Outcome(item.id, measure, float(label in found), 1.0, groups)


def _is_right(event: SoundEvent, sounds: Sequence[_True]) -> bool:
    same = [sound for sound in sounds if sound.label is event.label]
    if any(sound.times is None for sound in same):
        return True
    covered = sum(_overlap(event, sound.times) for sound in same if sound.times is not None)
    return covered >= _COVERED * (event.end - event.start) and covered > 0


def _is_hit(sound: _True, right: Sequence[SoundEvent]) -> bool:
    same = [event for event in right if event.label is sound.label]
    if sound.times is None:
        return bool(same)
    start, end = sound.times
    return sum(_overlap(event, sound.times) for event in same) >= _COVERED * (end - start)


def _overlap(event: SoundEvent, times: tuple[float, float]) -> float:
    return max(0.0, min(event.end, times[1]) - max(event.start, times[0]))


def _sounds(item: Item) -> list[_True] | None:
    """None where the item does not say. Raises `CorpusInvalid`."""
    if "sounds" not in item.truth:
        return None
    listed = item.truth["sounds"]
    if not isinstance(listed, list):
        raise CorpusInvalid(f"{item.id}: `sounds` is a list")
    return [_sound(item, each) for each in listed]


def _sound(item: Item, given: Any) -> _True:
    try:
        label = Sound(given["label"])
        if set(given) == {"label"}:
            return _True(label, None)
        start, end = float(given["start"]), float(given["end"])
        if set(given) != {"label", "start", "end"} or not 0.0 <= start < end:
            raise ValueError("a sound has a label, and start before end")
    except (KeyError, TypeError, ValueError) as problem:
        raise CorpusInvalid(f"{item.id}: {given!r} is no sound ({problem})") from problem
    return _True(label, (start, end))


def _context(item: Item) -> frozenset[Surrounding] | None:
    """None where the item does not say. Raises `CorpusInvalid`."""
    if "context" not in item.truth:
        return None
    try:
        return frozenset(Surrounding(each) for each in item.truth["context"])
    except (TypeError, ValueError) as problem:
        raise CorpusInvalid(f"{item.id}: `context` is a list of {', '.join(Surrounding)}") from problem
