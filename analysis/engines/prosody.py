"""What can be measured about how something was said: pitch, level, rate, rhythm, pauses and phonation, per utterance and
for the whole clip, and how far an utterance lies from the same speaker's earlier ones.

Measured quantities only, resting on no transcript and no weights; anything said about a person's state is for `emotion`.
F0 is `pitch`, levels, pauses and syllables are `levels`, the end of an utterance is `intonation`, cycles are `phonation`,
fillers are `hesitation`; here they become one answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.engines import own_code
from analysis.engines.baseline import Baseline
from analysis.engines.clip import SAMPLE_RATE, Checkpoint, Clip, ModelIdentity, Samples, Stretch
from analysis.engines.hesitation import FilledPause, filled_pauses
from analysis.engines.intonation import Movement, final_movement
from analysis.engines.levels import pauses, rms_dbfs, syllable_nuclei, within
from analysis.engines.phonation import Phonation, Tally, tally
from analysis.engines.pitch import HOP_SECONDS, LOWEST, Track, semitones, track
from analysis.engines.rhythm import Rhythm, chains, rhythm

MODULES = (
    "baseline.py",
    "hesitation.py",
    "intonation.py",
    "levels.py",
    "phonation.py",
    "pitch.py",
    "prosody.py",
    "rhythm.py",
)
_VERSION = "2"
_FEWEST_VOICED = 10
"""Voiced frames (0.1 s) below which nothing is said about pitch."""
_PITCH_SHARE = 0.6
"""How much of the work F0 is, for the fraction that the checkpoint is told."""
_COMPARED = 1.0
"""Seconds: shorter utterances neither join the baseline nor are compared with it."""


@dataclass(frozen=True, slots=True)
class Pitch:
    """F0 over voiced frames. Hertz and semitones; all None where less than 0.1 s is voiced.

    `f0_range_semitones` is from the 5th to the 95th percentile (`f0_low_hz` to `f0_high_hz`), `f0_deviation_semitones`
    the standard deviation. `voiced_fraction` is the voiced part of the frames, 0.0 to 1.0.
    """

    voiced_fraction: float
    f0_median_hz: float | None
    f0_mean_hz: float | None
    f0_low_hz: float | None
    f0_high_hz: float | None
    f0_range_semitones: float | None
    f0_deviation_semitones: float | None


@dataclass(frozen=True, slots=True)
class Change:
    """How far an utterance lies from the same speaker's earlier ones in this recording, in standard deviations (`baseline`).

    Each is None where it could not be measured often enough. `baseline_seconds` is the speech compared with.
    """

    baseline_seconds: float
    f0: float | None
    f0_range: float | None
    level: float | None
    articulation_rate: float | None
    jitter: float | None
    harmonics_to_noise: float | None
    tilt: float | None


@dataclass(frozen=True, slots=True)
class SpokenUtterance:
    """One stretch of speech, `start` to `end` in seconds.

    `level_dbfs` is the RMS level without pauses (a sine at full scale has -3.01). Rates are syllable nuclei per second:
    `speech_rate` of the whole utterance, `articulation_rate` of it without its pauses. `final_semitones` is the last
    movement of pitch (negative falls) over `final_seconds`; both None where `final_movement` is unknown. `change` is None
    until there is enough earlier speech of one voice to compare with.
    """

    start: float
    end: float
    level_dbfs: float
    f0_median_hz: float | None
    f0_range_semitones: float | None
    final_semitones: float | None
    articulation_rate: float
    speech_rate: float
    syllables: int
    final_movement: Movement
    final_seconds: float | None
    pitch: Pitch
    phonation: Phonation
    rhythm: Rhythm
    change: Change | None


@dataclass(frozen=True, slots=True)
class Contour:
    """F0 every `hop` seconds from `start` on: hertz, rounded to 0.1, None where unvoiced or outside of speech."""

    start: float
    hop: float
    hertz: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class ProsodySummary:
    """The clip as a whole. Seconds; rates in syllables per second.

    `speech_rate` is from the first to the last sound of speech with pauses, `articulation_rate` without them. 0.0 where
    there is no speech; `level_dbfs` is then None. `compared` counts the utterances that have a `change`.
    """

    speech_seconds: float
    pause_seconds: float
    pauses: int
    filled_pauses: int
    filled_pause_seconds: float
    syllables: int
    speech_rate: float
    articulation_rate: float
    level_dbfs: float | None
    pitch: Pitch
    phonation: Phonation
    rhythm: Rhythm
    compared: int


@dataclass(frozen=True, slots=True)
class Prosody:
    """Utterances and pauses in order of start. `pauses` are silent, lie between sounds of speech and last 0.2 s or more."""

    utterances: tuple[SpokenUtterance, ...]
    pauses: tuple[Stretch, ...]
    filled_pauses: tuple[FilledPause, ...]
    contour: Contour
    summary: ProsodySummary
    model: ModelIdentity


class ProsodyAnalyzer:
    """The engine. It holds nothing but its identity; one may serve many clips side by side."""

    def __init__(self) -> None:
        self._identity = own_code.identity("prosody", _VERSION, MODULES)

    def run(
        self,
        clip: Clip,
        speech: Sequence[Stretch],
        checkpoint: Checkpoint,
        *,
        hertz: Track | None = None,
        one_voice: bool = True,
    ) -> Prosody:
        """Measures the utterances in `speech`; at most 20 s of audio are worked on between two calls of `checkpoint`.

        `hertz` is F0 of the whole clip where somebody has it already. Where more than one person may be heard
        (`one_voice` false) nothing is compared with a baseline, which would be nobody's own.
        """
        stretches = within(clip, speech)
        if hertz is None:
            hertz = track(clip.samples, lambda fraction: checkpoint(_PITCH_SHARE * fraction))
        hertz = np.where(_frames_in(stretches, len(hertz)), hertz, np.nan)
        silences = pauses(clip, stretches)
        measured: list[_Measured] = []
        usual = Baseline()
        for index, stretch in enumerate(stretches):
            measured.append(_measure(clip, stretch, silences, hertz, usual if one_voice else None))
            checkpoint(_PITCH_SHARE + (1 - _PITCH_SHARE) * (index + 1) / len(stretches))
        checkpoint(1.0)
        fillers = filled_pauses(clip, stretches, hertz)
        values = tuple(None if np.isnan(value) else round(value, 1) for value in hertz.tolist())
        return Prosody(
            utterances=tuple(each.utterance for each in measured),
            pauses=silences,
            filled_pauses=fillers,
            contour=Contour(0.0, HOP_SECONDS, values),
            summary=_summary(clip, stretches, silences, fillers=fillers, measured=measured, hertz=hertz),
            model=self._identity.ran_with(one_voice=one_voice),
        )


@dataclass(frozen=True, slots=True)
class _Measured:
    """An utterance with what the summary adds up."""

    utterance: SpokenUtterance
    tally: Tally
    intervals: tuple[tuple[float, ...], ...]


def frames_of(stretch: Stretch) -> slice:
    """The frames of a track whose centres lie in `stretch`."""
    return slice(int(np.ceil(stretch.start / HOP_SECONDS - 1e-6)), int(stretch.end / HOP_SECONDS + 1e-6) + 1)


def sounding(clip: Clip, stretch: Stretch, silences: Sequence[Stretch]) -> Samples:
    """The samples of `stretch` without the pauses in it."""
    pieces, start = [], stretch.start
    for silence in silences:
        if stretch.start <= silence.end and silence.start <= stretch.end:
            pieces.append(clip.cut(start, silence.start).samples)
            start = silence.end
    return np.concatenate([*pieces, clip.cut(start, stretch.end).samples])


def measure_pitch(hertz: Track) -> Pitch:
    """What a piece of the track says."""
    voiced = hertz[~np.isnan(hertz)]
    fraction = round(len(voiced) / len(hertz), 3) if len(hertz) else 0.0
    if len(voiced) < _FEWEST_VOICED:
        return Pitch(fraction, None, None, None, None, None, None)
    low, median, high = np.percentile(voiced, [5, 50, 95]).tolist()
    return Pitch(
        voiced_fraction=fraction,
        f0_median_hz=round(median, 1),
        f0_mean_hz=round(float(voiced.mean()), 1),
        f0_low_hz=round(low, 1),
        f0_high_hz=round(high, 1),
        f0_range_semitones=round(float(12 * np.log2(high / low)), 2),
        f0_deviation_semitones=round(float(semitones(voiced, median).std()), 2),
    )


def _frames_in(stretches: Sequence[Stretch], frames: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    inside = np.zeros(frames, bool)
    for stretch in stretches:
        inside[frames_of(stretch)] = True
    return inside


def _measure(
    clip: Clip, stretch: Stretch, silences: Sequence[Stretch], hertz: Track, usual: Baseline | None
) -> _Measured:
    own = hertz[frames_of(stretch)]
    samples = sounding(clip, stretch, silences)
    whole = clip.cut(stretch.start, stretch.end).samples
    pitch = measure_pitch(own)
    final = final_movement(own)
    nuclei = [stretch.start + time for time in syllable_nuclei(whole, own)]
    cycles = tally(whole, own)
    intervals = chains(nuclei, silences)
    utterance = SpokenUtterance(
        start=round(stretch.start, 3),
        end=round(stretch.end, 3),
        level_dbfs=round(rms_dbfs(samples), 2),
        f0_median_hz=pitch.f0_median_hz,
        f0_range_semitones=pitch.f0_range_semitones,
        final_semitones=final.semitones,
        articulation_rate=_rate(len(nuclei), len(samples) / SAMPLE_RATE),
        speech_rate=_rate(len(nuclei), stretch.duration),
        syllables=len(nuclei),
        final_movement=final.movement,
        final_seconds=final.seconds,
        pitch=pitch,
        phonation=cycles.phonation(),
        rhythm=rhythm(intervals),
        change=None,
    )
    if usual is not None and stretch.duration >= _COMPARED:
        measures = _compared(utterance)
        if usual.ready:
            change = Change(baseline_seconds=round(usual.seconds, 1), **usual.compare(measures))
            utterance = replace(utterance, change=change)
        usual.add(measures, len(samples) / SAMPLE_RATE)
    return _Measured(utterance, cycles, intervals)


def _compared(utterance: SpokenUtterance) -> dict[str, float | None]:
    """The measures of `Change`, in the units of `baseline`."""
    median, voice = utterance.f0_median_hz, utterance.phonation
    return {
        "f0": None if median is None else 12 * float(np.log2(median / LOWEST)),
        "f0_range": utterance.f0_range_semitones,
        "level": utterance.level_dbfs,
        "articulation_rate": utterance.articulation_rate,
        "jitter": voice.jitter_local_percent,
        "harmonics_to_noise": voice.harmonics_to_noise_db,
        "tilt": voice.tilt_db_per_octave,
    }


def _summary(
    clip: Clip,
    stretches: Sequence[Stretch],
    silences: Sequence[Stretch],
    *,
    fillers: Sequence[FilledPause],
    measured: Sequence[_Measured],
    hertz: Track,
) -> ProsodySummary:
    heard = [sounding(clip, stretch, silences) for stretch in stretches]
    samples = np.concatenate(heard) if heard else np.zeros(0, np.float32)
    spoken = len(samples) / SAMPLE_RATE
    silent = sum(silence.duration for silence in silences)
    syllables = sum(each.utterance.syllables for each in measured)
    return ProsodySummary(
        speech_seconds=round(spoken, 3),
        pause_seconds=round(silent, 3),
        pauses=len(silences),
        filled_pauses=len(fillers),
        filled_pause_seconds=round(sum(each.end - each.start for each in fillers), 3),
        syllables=syllables,
        speech_rate=_rate(syllables, spoken + silent),
        articulation_rate=_rate(syllables, spoken),
        level_dbfs=round(rms_dbfs(samples), 2) if len(samples) else None,
        pitch=measure_pitch(hertz[_frames_in(stretches, len(hertz))]),
        phonation=sum((each.tally for each in measured), Tally()).phonation(),
        rhythm=rhythm([chain for each in measured for chain in each.intervals]),
        compared=sum(each.utterance.change is not None for each in measured),
    )


def _rate(syllables: int, seconds: float) -> float:
    return round(syllables / seconds, 2) if seconds > 0 else 0.0
