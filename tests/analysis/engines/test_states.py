"""Stress and tone shift against the speaker's own baseline, and wording beside delivery: told apart, and abstained from."""

import json
from dataclasses import asdict, dataclass, field

import numpy as np
import pytest

from analysis.engines import disfluency, incongruence, states
from analysis.engines.baseline import SHORTEST
from analysis.engines.clip import SAMPLE_RATE, Clip, Stretch, no_checkpoint
from analysis.engines.emotion import UNKNOWN
from analysis.engines.incongruence import WordingAndDelivery, WordingReader
from analysis.engines.pitch import track
from analysis.engines.polarity import polarity
from analysis.engines.states import Direction, StateAnalyzer, States, StressLabel
from consent.errors import StateOutsideEmotion
from consent.law.states import require_no_state
from consent.vocabulary import Scope
from tests.analysis.engines.signals import at_level, clip, glide, silence, voice


def spoken(hertz: float, dbfs: float, seconds: float = 4.0, rate: float = 4.0, movement: float = -2.0) -> np.ndarray:
    """A voice with syllables, a moving pitch and a known level."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    wave = hertz * 2 ** (movement * np.sin(2 * np.pi * 0.5 * time) / 12)
    opening = 0.08 + 0.92 * np.sin(np.pi * rate * time) ** 2
    phase = 2 * np.pi * np.cumsum(wave) / SAMPLE_RATE
    # More harmonics than `voice` has: its spectrum ends where tilt is still measured.
    sound = sum(np.sin(harmonic * phase) / harmonic * (harmonic * wave < 7_000) for harmonic in range(1, 70))
    return at_level(np.asarray(sound) * opening, dbfs)


def talk(*pieces: np.ndarray) -> tuple[Clip, list[Stretch]]:
    sound, speech, at = [], [], 0.0
    for piece in pieces:
        sound += [piece, silence(1.0)]
        speech.append(Stretch(at, at + len(piece) / SAMPLE_RATE))
        at += len(piece) / SAMPLE_RATE + 1.0
    return clip(np.concatenate(sound)), speech


def states_of(*pieces: np.ndarray, one_voice: bool = True) -> States:
    return StateAnalyzer().run(*talk(*pieces), no_checkpoint, one_voice=one_voice)


USUAL = [spoken(120.0, -22.0)] * 7


def test_stress_is_unknown_until_there_is_enough_of_the_same_voice_and_counted_as_such() -> None:
    found = states_of(*USUAL)
    needed = int(np.ceil(SHORTEST / 4.0))
    assert [window.label for window in found.stress] == [UNKNOWN] * needed + [StressLabel.USUAL] * (7 - needed)
    assert all((window.index, window.confidence) == (None, 0.0) for window in found.stress[:needed])
    assert (found.summary.stress_unknown, found.summary.stress_usual, found.summary.stress_raised) == (
        needed,
        7 - needed,
        0,
    )
    assert found.stress[-1].index == pytest.approx(0.5, abs=0.05)
    assert found.tone_shifts == ()


def test_a_short_recording_says_nothing_about_stress() -> None:
    found = states_of(*USUAL[:3], spoken(200.0, -10.0))
    assert {window.label for window in found.stress} == {UNKNOWN}
    assert (found.summary.stress_index_mean, found.tone_shifts) == (None, ())


def test_a_voice_that_rises_and_grows_louder_raises_the_index_by_documented_measures() -> None:
    found = states_of(*USUAL, spoken(165.0, -14.0, rate=5.5))
    last = found.stress[-1]
    assert last.label == StressLabel.RAISED
    assert last.index is not None and last.index > 0.75
    assert {cue.name for cue in last.cues} <= set(states.STRESS_WEIGHTS)
    assert {"f0", "level"} <= {cue.name for cue in last.cues}
    assert 0.0 < last.confidence <= states.MOST_CONFIDENCE
    assert found.model.validated is False


def test_a_lower_and_softer_voice_lowers_it() -> None:
    last = states_of(*USUAL, spoken(100.0, -30.0)).stress[-1]
    assert last.index is not None and last.index < 0.3


def test_a_gain_in_pitch_alone_is_no_tone_shift() -> None:
    assert states_of(*USUAL, spoken(128.0, -22.0)).tone_shifts == ()


def test_a_tone_shift_is_the_moment_and_so_is_the_way_back() -> None:
    found = states_of(*USUAL, spoken(165.0, -14.0), spoken(165.0, -14.0), *USUAL[:2], spoken(95.0, -31.0))
    assert [shift.direction for shift in found.tone_shifts] == [Direction.RAISED, Direction.BACK, Direction.LOWERED]
    assert [shift.start for shift in found.tone_shifts] == pytest.approx([35.0, 45.0, 55.0], abs=0.1)
    assert found.summary.tone_shifts == 3


def test_where_two_may_be_heard_all_of_it_is_unknown() -> None:
    found = states_of(*USUAL, spoken(165.0, -14.0), one_voice=False)
    assert (found.summary.stress_unknown, found.summary.stress_windows, found.tone_shifts) == (8, 8, ())


def test_without_speech_there_is_nothing() -> None:
    found = StateAnalyzer().run(clip(silence(2.0)), [], no_checkpoint)
    assert (found.stress, found.tone_shifts, found.summary.stress_windows) == ((), (), 0)


def test_the_checkpoint_is_asked_and_can_stop_it() -> None:
    asked: list[float] = []
    StateAnalyzer().run(*talk(*USUAL), asked.append)
    assert asked == sorted(asked) and asked[-1] == 1.0 and len(asked) > 7


# Wording and delivery


@dataclass(frozen=True)
class Word:
    text: str
    start: float = 0.0
    end: float = 0.0


@dataclass(frozen=True)
class Utterance:
    start: float
    end: float
    text: str
    words: tuple[Word, ...] = field(default=())


FINE, BAD = "I'm fine.", "It was terrible."
MOVEMENTS = {"falling": -5.0, "rising": 5.0, "flat": 0.0}


def said(text: str, movement: float, *, language: str = "en", wide: float = 0.0) -> WordingAndDelivery:
    """The words over a contour that may go up by `wide` semitones before it moves to its end."""
    contour = np.concatenate([glide(120.0, wide, 0.5), glide(120.0 * 2 ** (wide / 12), movement, 0.5)])
    sound = clip(np.concatenate([silence(0.3), voice(contour), silence(0.3)]))
    return WordingReader().run(
        sound, [Utterance(0.3, 1.3, text)], language, track(sound.samples, no_checkpoint), one_voice=True
    )


@pytest.mark.parametrize("shape", MOVEMENTS)
def test_the_same_words_said_flat_falling_and_rising_are_told_apart(shape: str) -> None:
    found = said(FINE, MOVEMENTS[shape])
    assert [delivery.shape for delivery in found.delivery] == [shape]
    assert found.wording[0].valence == 1.0


def test_fine_said_falling_is_marked_with_both_pieces_of_evidence() -> None:
    (marker,) = said(FINE, -6.0).incongruences
    assert marker.label == "pleasant words, subdued delivery"
    assert marker.wording_evidence == ("fine",)
    assert marker.delivery.final_semitones == pytest.approx(-6.0, abs=0.6)
    assert {cue.name for cue in marker.delivery.cues} == {"final movement", "liveliness"}
    assert (marker.start, marker.end) == (0.3, 1.3)
    assert 0.0 < marker.confidence <= incongruence.MOST_CONFIDENCE


def test_fine_said_rising_or_flat_or_over_a_lively_fall_is_not() -> None:
    for found in (said(FINE, 5.0), said(FINE, 0.0), said(FINE, -10.0, wide=12.0)):
        assert found.incongruences == ()


def test_unpleasant_words_said_brightly_are_marked_and_said_falling_are_not() -> None:
    (marker,) = said(BAD, 11.0).incongruences
    assert (marker.label, marker.wording_evidence) == ("unpleasant words, bright delivery", ("terrible",))
    assert said(BAD, -6.0).incongruences == ()


def test_a_question_is_left_out() -> None:
    assert said("Was it terrible?", 11.0).incongruences == ()


@pytest.mark.parametrize(("text", "language"), [("The parcel came on Monday.", "en"), (FINE, "de"), (FINE, "unknown")])
def test_words_that_are_not_known_are_unknown_and_counted(text: str, language: str) -> None:
    found = said(text, -6.0, language=language)
    assert (found.wording[0].label, found.wording[0].valence) == (UNKNOWN, None)
    assert (found.summary.wording_unknown, found.summary.wording_valence_mean, found.incongruences) == (1, None, ())


def test_without_voice_the_delivery_is_unknown_and_nothing_is_marked() -> None:
    quiet = clip(silence(2.0))
    found = WordingReader().run(quiet, [Utterance(0.2, 1.5, FINE)], "en", track(quiet.samples, no_checkpoint))
    assert (found.delivery[0].shape, found.summary.delivery_unknown, found.incongruences) == (UNKNOWN, 1, ())


@pytest.mark.parametrize(
    ("text", "value", "evidence"),
    [
        ("I'm fine, thanks", 1.0, ("fine",)),
        ("That is not good", -1.0, ("not good",)),
        ("It wasn't bad at all", 1.0, ("wasn't bad",)),
        ("No problem", 1.0, ("no problem",)),
        ("Good food but terrible service", 0.0, ("good", "terrible")),
        ("The train leaves at nine", None, ()),
        ("", None, ()),
    ],
)
def test_polarity_is_that_of_known_words_and_negation_turns_it_round(
    text: str, value: float | None, evidence: tuple[str, ...]
) -> None:
    found = polarity([text])
    assert (found.value, found.evidence) == (value, evidence)


# The law and the books


@pytest.mark.parametrize(
    "body",
    [asdict(states_of(*USUAL[:1])), asdict(said(FINE, -6.0))],
    ids=["states", "wording"],
)
def test_nothing_of_a_state_can_be_put_under_another_scope(body: dict[str, object]) -> None:
    json.dumps(body, allow_nan=False)
    for scope in set(Scope) - {Scope.EMOTION}:
        with pytest.raises(StateOutsideEmotion):
            require_no_state(scope, body)
        for member in set(body) - {"model"}:
            if body[member]:
                with pytest.raises(StateOutsideEmotion):
                    require_no_state(scope, {member: body[member]})


def test_disfluencies_are_no_state() -> None:
    words = [Word("I"), Word("I"), Word("think")]
    require_no_state(Scope.PROSODY, asdict(disfluency.DisfluencyReader().run(words)))
