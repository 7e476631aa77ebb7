"""Packing the speech of a clip into windows of at most thirty seconds, and finding the way back to the clip's own time.

Whisper pays for thirty seconds of encoder whatever it is given (Radford et al. 2022, section 2.2), so windows are filled:
long silences are left out, pauses that carry meaning stay, and a cut falls where the speaker paused. Here live plain
arithmetic over seconds and samples; no model is called.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from analysis.engines.clip import SAMPLE_RATE, Clip, Samples, Stretch

WINDOW_SECONDS = 30.0
"""What the model looks at in one go."""
_MARGIN = 0.2
"""Seconds of the clip kept before and after each stretch: voice activity cuts soft first and last consonants. More did harm:
on the LibriVox clips with up to a second of noise around them 1.8 % of the words were wrong at 0.2, and 3.2 % at 0.7."""
_KEPT_PAUSE = 1.0
"""Seconds. A longer pause is left out of the window except for its margins."""
_FILLED = 0.75
"""A window this full may end at the next good pause instead of being filled to the brim."""
_REMNANT = 0.3
"""Seconds of speech after an aligned word that may still be that word."""
_QUIET_FRAME = 0.05
"""Seconds over which the level is looked at to find where to cut speech that never pauses."""
_SHORTEST = 0.5
"""Seconds. Less than this is filled up with silence: the spectrogram needs more than one frame."""
_QUIET, _LIFTED = -35.0, -25.0
"""dBFS (RMS). A stretch quieter than the first is lifted to the second: beside a voice thirty decibels louder, or alone
at that level, Whisper leaves it out."""
_GREATEST_LIFT = 50.0
"""Decibels. More would be lifting the noise of the converter."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the clip inside a window: `duration` seconds from `source` (in the clip) lie at `offset` (in the window)."""

    offset: float
    source: float
    duration: float


@dataclass(frozen=True, slots=True)
class Window:
    """Up to `WINDOW_SECONDS` of the clip with the speech in it (`speech`, in the clip's time, in order)."""

    pieces: tuple[Piece, ...]
    speech: tuple[Stretch, ...]

    @property
    def duration(self) -> float:
        """Seconds of sound in the window."""
        return self.pieces[-1].offset + self.pieces[-1].duration

    @property
    def extent(self) -> Stretch:
        """From the first to the last moment of the clip that is in the window."""
        return Stretch(self.pieces[0].source, self.pieces[-1].source + self.pieces[-1].duration)

    @property
    def spoken(self) -> float:
        """Seconds of speech in the window."""
        return sum(stretch.duration for stretch in self.speech)

    def samples(self, clip: Clip) -> Samples:
        """The window's sound, quiet stretches lifted, filled up with silence to `_SHORTEST`."""
        sound = np.concatenate([clip.cut(piece.source, piece.source + piece.duration).samples for piece in self.pieces])
        for stretch, around in zip(self.speech, _with_margins(self.speech, self.extent), strict=True):
            gain = _gain(clip.cut(stretch.start, stretch.end).samples)
            if gain > 1.0:
                start = round(self._in_window(around.start) * SAMPLE_RATE)
                part = sound[start : start + round(around.duration * SAMPLE_RATE)]
                np.clip(part * np.float32(gain), -1.0, 1.0, out=part)
        missing = round(_SHORTEST * SAMPLE_RATE) - len(sound)
        return np.pad(sound, (0, missing)) if missing > 0 else sound

    def in_clip(self, start: float, end: float) -> tuple[float, float]:
        """Seconds in the window to seconds in the clip. What crosses a left-out silence belongs where its middle lies."""
        middle = (start + end) / 2
        piece = next((piece for piece in reversed(self.pieces) if piece.offset <= middle), self.pieces[0])
        first, last = piece.source, piece.source + piece.duration
        return (
            min(max(piece.source + start - piece.offset, first), last),
            min(max(piece.source + end - piece.offset, first), last),
        )

    def _in_window(self, moment: float) -> float:
        piece = next((piece for piece in reversed(self.pieces) if piece.source <= moment), self.pieces[0])
        return max(0.0, piece.offset + moment - piece.source)

    def after(self, moment: float, clip: Clip) -> tuple["Window", ...]:
        """What is spoken after `moment` (seconds in the clip), in windows of its own; a remnant of a word is nothing."""
        rest = [Stretch(max(stretch.start, moment), stretch.end) for stretch in self.speech]
        return pack(
            clip,
            [stretch for stretch in rest if stretch.duration >= _REMNANT],
            within=Stretch(moment, max(moment, self.extent.end)),
        )


@dataclass(frozen=True, slots=True)
class _Atom:
    """A stretch that is not cut further, with its margins."""

    start: float
    end: float
    speech: Stretch


def pack(clip: Clip, speech: Sequence[Stretch], *, within: Stretch | None = None) -> tuple[Window, ...]:
    """Windows over `speech` in order of time, none of them reaching out of `within` (the clip unless given).

    Where stretches overlap, the later gives way; what lies outside is cut off; where nothing is left there is no window.
    """
    atoms = _atoms(clip, speech, within or Stretch(0.0, clip.duration))
    windows: list[Window] = []
    while atoms:
        count = _how_many(atoms)
        windows.append(_window(atoms[:count]))
        atoms = atoms[count:]
    return tuple(windows)


def _atoms(clip: Clip, speech: Sequence[Stretch], within: Stretch) -> list[_Atom]:
    stretches: list[Stretch] = []
    for stretch in sorted(speech, key=lambda stretch: stretch.start):
        start = max(stretch.start, stretches[-1].end if stretches else within.start)
        end = min(stretch.end, within.end)
        if end > start:
            stretches.extend(_cut(clip, Stretch(start, end)))
    around = _with_margins(stretches, within)
    return [_Atom(wide.start, wide.end, stretch) for wide, stretch in zip(around, stretches, strict=True)]


def _with_margins(speech: Sequence[Stretch], within: Stretch) -> list[Stretch]:
    """Each stretch with its margins, up to the middle of a pause that is too short for both."""
    edges = [within.start, *((before.end + after.start) / 2 for before, after in pairwise(speech)), within.end]
    return [
        Stretch(max(stretch.start - _MARGIN, edges[index]), min(stretch.end + _MARGIN, edges[index + 1]))
        for index, stretch in enumerate(speech)
    ]


def _gain(samples: Samples) -> float:
    """By what to multiply a stretch of speech; 1.0 for speech that is loud enough, and for nothing at all."""
    power = float(np.mean(np.square(samples))) if len(samples) else 0.0
    level = 10 * float(np.log10(power)) if power > 0.0 else 0.0
    return float(10 ** (min(_LIFTED - level, _GREATEST_LIFT) / 20)) if level < _QUIET else 1.0


def _cut(clip: Clip, stretch: Stretch) -> list[Stretch]:
    """Speech that never pauses, cut where it is quietest in the last third of each window."""
    limit = WINDOW_SECONDS - 2 * _MARGIN
    cut: list[Stretch] = []
    while stretch.duration > limit:
        earliest = stretch.start + limit * 2 / 3
        moment = earliest + _quietest(clip.cut(earliest, stretch.start + limit).samples)
        cut.append(Stretch(stretch.start, moment))
        stretch = Stretch(moment, stretch.end)
    return [*cut, stretch]


def _quietest(samples: Samples) -> float:
    """Seconds from the start of `samples` to the middle of the quietest frame."""
    size = round(_QUIET_FRAME * SAMPLE_RATE)
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    return float((int(np.argmin(np.mean(np.square(frames), axis=1))) + 0.5) * _QUIET_FRAME)


def _how_many(atoms: Sequence[_Atom]) -> int:
    """How many atoms go into the next window: all if they fit, else up to the widest pause of a well-filled window."""
    filled = 0.0
    best, widest = 1, -1.0
    for index, atom in enumerate(atoms):
        filled += atom.end - atom.start + (_kept(atoms[index - 1], atom) if index else 0.0)
        if filled > WINDOW_SECONDS:
            return best
        pause = atoms[index + 1].speech.start - atom.speech.end if index + 1 < len(atoms) else 0.0
        if filled < _FILLED * WINDOW_SECONDS or pause >= widest:
            best, widest = index + 1, (pause if filled >= _FILLED * WINDOW_SECONDS else -1.0)
    return len(atoms)


def _kept(before: _Atom, after: _Atom) -> float:
    """Seconds of silence kept between two atoms beyond their margins."""
    pause = after.start - before.end
    return pause if pause + 2 * _MARGIN <= _KEPT_PAUSE else 0.0


def _window(atoms: Sequence[_Atom]) -> Window:
    pieces = [Piece(0.0, atoms[0].start, atoms[0].end - atoms[0].start)]
    for before, after in pairwise(atoms):
        last = pieces[-1]
        pause = after.start - before.end
        if pause <= _kept(before, after):
            pieces[-1] = Piece(last.offset, last.source, after.end - last.source)
        else:
            pieces.append(Piece(last.offset + last.duration, after.start, after.end - after.start))
    return Window(tuple(pieces), tuple(atom.speech for atom in atoms))
