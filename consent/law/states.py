"""A statement about a person's state is emotion, whatever engine made it: found under any other scope it is refused. No Django.

Measured quantities (pitch, pauses, rate, jitter) say nothing about a state and are what `speech.prosody` is for.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from consent.errors import StateOutsideEmotion
from consent.vocabulary import Scope

_NAMES: Final = """
    affect agitation anger anxiety arousal attitude boredom calmness confidence_of_speaker congruence deception delivery
    depression disgust distress dominance emotion emotions engagement excitement expressed expression fatigue fear
    frustration happiness incongruence incongruences intent interest irritation joy mood nervousness polarity sadness sarcasm
    satisfaction sentiment sincerity state states stress stress_index stress_index_mean stress_raised stress_unknown
    stress_usual stress_windows surprise tension tone tone_shift tone_shifts trust valence wording wording_evidence
    wording_valence_mean
"""
STATES: Final = frozenset(_NAMES.split())
"""Names under which a result would say something about a state."""


def require_no_state(scope: Scope, result: Mapping[str, Any]) -> None:
    """Raises `StateOutsideEmotion` when a result that is not emotion has a member that speaks of a state, at any depth."""
    if scope is Scope.EMOTION:
        return
    found = sorted({name for name in _names(result) if name.lower() in STATES})
    if found:
        raise StateOutsideEmotion(f"a result under {scope} speaks of {', '.join(found)}, which is voice.emotion")


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name)
            yield from _names(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _names(inner)
