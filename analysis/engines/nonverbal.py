"""Sounds that people make beside words, as events: laughter, crying, coughs and the like, by YAMNet.

Here live which AudioSet classes stand for which sound, the threshold of each, where the network looks, and how its
scores become events. A sound is reported as a sound: nothing here says why somebody made it. The network itself is
`yamnet`.

Four things differ from plain YAMNet, because short and soft sounds matter here; what they gain is asserted by
`tests/analysis/engines/test_nonverbal.py`. Steady noise is subtracted from the spectrum (Boll 1979). Each patch is
brought to one level before the logarithm (the network was trained on quieter sound than a close microphone gives).
Patches stand every 0.24 s instead of 0.48 s, and every 0.06 s where something was heard, so that a short sound is met
at its best place. And each sound has its own threshold, since "Speech" outweighs everything that happens beside it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.engines.clip import SAMPLE_RATE, Checkpoint, Clip, ModelIdentity, Samples
from analysis.engines.yamnet import (
    FRAME_SAMPLES,
    PATCH_FRAMES,
    PATCH_SAMPLES,
    WINDOW_SAMPLES,
    Yamnet,
    YamnetUnloadable,
)

_Scores = NDArray[np.float32]
"""Shape (places, sounds), 0.0 to 1.0."""

_FINE = 6
"""Frames from one place to the next where something was heard: 0.06 s."""
_COARSE = 4
"""Elsewhere only every fourth of these places is looked at: every 0.24 s."""
_PLACE_SECONDS = _FINE * FRAME_SAMPLES / SAMPLE_RATE
_PATCH_SECONDS = PATCH_FRAMES * FRAME_SAMPLES / SAMPLE_RATE
_MARGIN = PATCH_FRAMES // 2 * FRAME_SAMPLES
"""Samples of silence put before and after the clip, so that sounds at its edges are seen whole."""
_BATCH_PLACES = 480
"""Places per batch: 28.8 s of audio between two calls of the checkpoint."""

_HEARD = 0.25
"""A place whose score reaches this part of the threshold is looked at closely, together with its neighbours."""
_RELEASE = 0.5
"""An event that reached its threshold lasts while the score stays above this part of it."""

_LEVEL = -20.0
"""dBFS that the loudest frame of each patch is brought to."""
_MOST_GAIN, _LEAST_GAIN = 20.0, -30.0
"""dB."""
_SILENCE = -60.0
"""dBFS. A patch without a frame this loud is not amplified: what is in it is noise."""

_QUIET_SHARE = 0.1
"""The quietest tenth of the frames of a batch is taken for the room."""
_QUIET = 30.0
"""dB that the room must lie below the loudest frame."""
_QUIET_FRAMES = 20
"""Fewer of them (0.2 s) are not enough to know the room by."""
_SUBTRACTED = 2.0
"""How often the mean magnitude of the room is taken off each mel band."""

_DIGITAL_SILENCE = -100.0
"""dBFS. Frames below it are no room, but padding or a muted line."""
_TINY = 1e-12
"""Keeps logarithms of silence finite: -120 dB."""

_REACH = 0.3
"""Seconds that an event may grow beyond what the patches say, while the sound goes on."""
_FALL = 20.0
"""dB below its loudest frame at which a sound has begun or ended."""
_ABOVE_ROOM = 6.0
"""dB above the quietest tenth of the clip that a sound has at least."""
_BRIDGE = 0.25
"""Seconds of quiet that do not end a sound."""


class Sound(StrEnum):
    """The sounds that are reported."""

    LAUGHTER = "laughter"
    GIGGLE = "giggle"
    CRYING = "crying"
    SIGH = "sigh"
    GASP = "gasp"
    BREATHING = "breathing"
    COUGH = "cough"
    THROAT_CLEARING = "throat clearing"
    SNEEZE = "sneeze"
    SNIFF = "sniff"
    GROAN = "groan"
    SCREAM = "scream"
    WHISPER = "whisper"


@dataclass(frozen=True, slots=True)
class Rule:
    """How one sound is found: its AudioSet classes (the highest score counts), its threshold (0.0 to 1.0), its family.

    Of two events of one family, the weaker is dropped when the stronger covers more than half of it: the network gives
    the members of a family high scores together. Strength is how far a score lies from its threshold towards 1.0.
    """

    sound: Sound
    classes: tuple[str, ...]
    threshold: float
    family: str

    def strength(self, score: float) -> float:
        """0.0 at the threshold, 1.0 at the highest score."""
        return (score - self.threshold) / (1 - self.threshold)


RULES = (
    Rule(Sound.LAUGHTER, ("Laughter", "Belly laugh", "Chuckle, chortle", "Snicker", "Baby laughter"), 0.25, "outburst"),
    Rule(Sound.GIGGLE, ("Giggle",), 0.30, "outburst"),
    Rule(Sound.CRYING, ("Crying, sobbing", "Baby cry, infant cry", "Whimper"), 0.50, "outburst"),
    Rule(Sound.SIGH, ("Sigh",), 0.45, "breath"),
    Rule(Sound.GASP, ("Gasp",), 0.35, "breath"),
    Rule(Sound.BREATHING, ("Breathing", "Pant"), 0.35, "breath"),
    Rule(Sound.GROAN, ("Groan",), 0.60, "breath"),
    Rule(Sound.COUGH, ("Cough",), 0.25, "outburst"),
    Rule(Sound.THROAT_CLEARING, ("Throat clearing",), 0.40, "outburst"),
    Rule(Sound.SNEEZE, ("Sneeze",), 0.35, "outburst"),
    Rule(Sound.SNIFF, ("Sniff",), 0.30, "sniff"),
    Rule(Sound.SCREAM, ("Screaming",), 0.35, "scream"),
    Rule(Sound.WHISPER, ("Whispering",), 0.40, "whisper"),
)
"""One rule per sound. Read speech and spoken commands stay at 0.03 and below in all of them; music stays below every
threshold but that of coughs, which beatboxing reached with 0.44."""


@dataclass(frozen=True, slots=True)
class SoundEvent:
    """A sound from `start` to `end` (seconds in the clip). `score` is the highest score in it, 0.0 to 1.0, not calibrated."""

    label: Sound
    start: float
    end: float
    score: float


@dataclass(frozen=True, slots=True)
class NonverbalEvents:
    """Events in order of start; sounds of different families may overlap."""

    events: tuple[SoundEvent, ...]
    model: ModelIdentity


class NonverbalDetector:
    """The engine. One may serve many clips, one after another or side by side."""

    def __init__(self, network: Yamnet, identity: ModelIdentity) -> None:
        missing = {name for rule in RULES for name in rule.classes} - set(network.class_names)
        if missing:
            raise YamnetUnloadable(f"YAMNet's class map lacks {', '.join(sorted(missing))}")
        self._network = network
        thresholds = {f"threshold {rule.sound}": rule.threshold for rule in RULES}
        self._identity = identity.ran_with(place_seconds=_PLACE_SECONDS, **thresholds)
        self._columns = [[network.class_names.index(name) for name in rule.classes] for rule in RULES]

    @classmethod
    def load(cls, directory: Path, identity: ModelIdentity) -> "NonverbalDetector":
        """Loads YAMNet's checkpoint and class map from `directory`.

        Raises:
            YamnetUnloadable: they are missing, damaged, or do not belong together.
        """
        return cls(Yamnet.load(directory), identity)

    def run(self, clip: Clip, checkpoint: Checkpoint) -> NonverbalEvents:
        """The sounds in `clip`; at most thirty seconds of audio are looked at between two calls of `checkpoint`."""
        if not len(clip.samples):
            checkpoint(1.0)
            return NonverbalEvents((), self._identity)
        padded = np.pad(clip.samples, (_MARGIN, _MARGIN + PATCH_SAMPLES))
        scores = self._scores(padded, checkpoint)
        levels = _levels(padded)
        events = [event for index, rule in enumerate(RULES) for event in _events(rule, scores[:, index], levels)]
        return NonverbalEvents(tuple(_in_clip(_strongest(events), clip.duration)), self._identity)

    def _scores(self, padded: Samples, checkpoint: Checkpoint) -> _Scores:
        places = (len(padded) - PATCH_SAMPLES) // (_FINE * FRAME_SAMPLES) + 1
        batches = []
        for first in range(0, places, _BATCH_PLACES):
            count = min(_BATCH_PLACES, places - first)
            start = first * _FINE * FRAME_SAMPLES
            end = start + (count - 1) * _FINE * FRAME_SAMPLES + PATCH_SAMPLES
            batches.append(self._batch(padded[start:end], count))
            checkpoint((first + count) / places)
        return np.concatenate(batches)

    @torch.inference_mode()
    def _batch(self, samples: Samples, places: int) -> _Scores:
        """Scores at `places` places: coarsely, then closely where something was heard. Places not looked at score 0."""
        frames = torch.from_numpy(samples).unfold(0, WINDOW_SAMPLES, FRAME_SAMPLES)
        levels = 10 * torch.log10(frames.square().mean(dim=1) + _TINY)
        loudest = levels.unfold(0, PATCH_FRAMES, _FINE).amax(dim=1)
        gain = (_LEVEL - loudest).clamp(_LEAST_GAIN, _MOST_GAIN) * (loudest > _SILENCE)
        spectrum = _without_room(self._network.mel_magnitudes(samples), levels)
        patches = spectrum.unfold(0, PATCH_FRAMES, _FINE).transpose(1, 2)

        def look(where: NDArray[np.intp]) -> _Scores:
            chosen = torch.from_numpy(where)
            scored = self._network.scores(patches[chosen] * (10 ** (gain[chosen] / 20))[:, None, None])
            return np.stack([scored[:, columns].max(axis=1) for columns in self._columns], axis=1)

        scores = np.zeros((places, len(RULES)), np.float32)
        coarse = np.arange(0, places, _COARSE)
        scores[coarse] = look(coarse)
        heard = (scores >= [_HEARD * rule.threshold for rule in RULES]).any(axis=1)
        near = np.convolve(heard, np.ones(2 * _COARSE + 1), mode="same")[:places] > 0
        near[coarse] = False
        closely = np.flatnonzero(near)
        if len(closely):
            scores[closely] = look(closely)
        return scores


def _without_room(spectrum: Tensor, levels: Tensor) -> Tensor:
    """The mel magnitudes (frames, 64) less the steady noise that is heard while nobody makes a sound."""
    sounding = torch.nonzero(levels > _DIGITAL_SILENCE).flatten()
    quiet = sounding[levels[sounding].argsort()[: int(_QUIET_SHARE * len(sounding))]]
    if len(quiet) < _QUIET_FRAMES or levels[quiet].max() > levels.max() - _QUIET:
        return spectrum
    return (spectrum - _SUBTRACTED * spectrum[quiet].mean(dim=0)).clamp(min=0.0)


def _levels(samples: Samples) -> NDArray[np.float64]:
    """dBFS of each 10 ms of `samples`."""
    whole = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    levels: NDArray[np.float64] = 10 * np.log10(np.mean(np.square(whole, dtype=np.float64), axis=1) + _TINY)
    return levels


def _events(rule: Rule, scores: NDArray[np.float32], levels: NDArray[np.float64]) -> Iterator[SoundEvent]:
    """Events of one sound, in the time of the padded clip, in order."""
    found: list[SoundEvent] = []
    heard = levels[levels > _DIGITAL_SILENCE]
    room = float(np.percentile(heard, 100 * _QUIET_SHARE)) if len(heard) else _DIGITAL_SILENCE
    for first, last in _runs(scores >= _RELEASE * rule.threshold):
        score = float(scores[first : last + 1].max())
        if score < rule.threshold:
            continue
        start, end = _edges(first * _PLACE_SECONDS, last * _PLACE_SECONDS, levels, room)
        if found and start - found[-1].end < _BRIDGE:
            before = found.pop()
            start, end, score = before.start, max(before.end, end), max(before.score, score)
        found.append(SoundEvent(rule.sound, start, end, score))
    return iter(found)


def _runs(flags: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """First and last index of each run of true values."""
    changes = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    for first, after in changes.reshape(-1, 2).tolist():
        yield first, after - 1


def _edges(first: float, last: float, levels: NDArray[np.float64], room: float) -> tuple[float, float]:
    """From where the patches stood (starts of the first and the last, seconds) to where the sound itself begins and ends.

    Patches that hold a short sound whole have just that sound in common; those of a long one begin and end in its
    midst. From there the edges move to where the level falls, but never past what the patches saw.
    """
    start, end = min(last, first + _PATCH_SECONDS / 2), max(first + _PATCH_SECONDS, last + _PATCH_SECONDS / 2)
    earliest = round(max(first, start - _REACH) * 100)
    latest = min(round(min(last + _PATCH_SECONDS, end + _REACH) * 100), len(levels))
    first_core, last_core = round(start * 100), round(end * 100)
    span = levels[earliest:latest]
    # Of the loud pieces, those belong to the sound that the core touches; a core that missed it takes the loudest.
    pieces: list[list[int]] = []
    core = float(levels[first_core:last_core].max())
    loudest = core if core >= room + _ABOVE_ROOM else float(span.max())
    quietest = max(loudest - _FALL, min(room + _ABOVE_ROOM, loudest))
    for begin, final in _runs(span >= quietest):
        if pieces and begin - pieces[-1][1] <= _BRIDGE * 100:
            pieces[-1][1] = final
        else:
            pieces.append([begin, final])
    peak = int(span.argmax())
    touching = [piece for piece in pieces if first_core - earliest <= piece[1] and piece[0] < last_core - earliest] or [
        piece for piece in pieces if piece[0] <= peak <= piece[1]
    ]
    return (touching[0][0] + earliest) / 100, (touching[-1][1] + 1 + earliest) / 100


def _strongest(events: Sequence[SoundEvent]) -> Iterator[SoundEvent]:
    """The events without those that a stronger one of the same family covers by more than half."""
    rules = {rule.sound: rule for rule in RULES}
    kept: list[SoundEvent] = []
    for event in sorted(events, key=lambda event: rules[event.label].strength(event.score), reverse=True):
        rivals = (other for other in kept if rules[other.label].family == rules[event.label].family)
        half = (event.end - event.start) / 2
        if all(min(event.end, other.end) - max(event.start, other.start) <= half for other in rivals):
            kept.append(event)
    return iter(kept)


def _in_clip(events: Iterator[SoundEvent], duration: float) -> Iterator[SoundEvent]:
    """Events in the clip's own time, in order of start."""
    lead = _MARGIN / SAMPLE_RATE
    for event in sorted(events, key=lambda event: (event.start, event.end)):
        start, end = max(0.0, event.start - lead), min(duration, event.end - lead)
        if start < end:
            yield SoundEvent(event.label, round(start, 3), round(end, 3), round(event.score, 4))
