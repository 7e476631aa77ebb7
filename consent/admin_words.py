"""Plain words for what the consent room calls by its terms, for people who read the admin. No rule lives here."""

from collections.abc import Mapping
from typing import Final

from accounts.admin_display import Tone
from consent.records import ScopeState
from consent.vocabulary import GrantState, Scope
from consent.words import SCOPE_WORDS

STATE_WORDS: Final[Mapping[str, str]] = {
    GrantState.REQUESTED: "was asked for",
    GrantState.GIVEN: "was permitted",
    GrantState.REFUSED: "was refused",
    GrantState.WITHDRAWN: "was withdrawn",
    GrantState.EXPIRED: "ended by its own term",
    GrantState.SUPERSEDED: "was answered anew",
    GrantState.INVALIDATED: "turned out never to have been consent",
    GrantState.RENEWAL_DUE: "must be asked for again",
}

REASON_WORDS: Final[Mapping[str, str]] = {
    "erasure": "the person was erased",
    "withdrawal": "consent was withdrawn",
}

_TONES: Final[Mapping[str, Tone]] = {
    GrantState.GIVEN: Tone.GOOD,
    GrantState.REFUSED: Tone.BAD,
    GrantState.WITHDRAWN: Tone.BAD,
}


def scope_words(scope: str) -> str:
    return SCOPE_WORDS.get(scope, scope)


def scope_choices(scopes: object = None) -> list[tuple[str, str]]:
    """Choices of a form, in the order of the vocabulary; all scopes, or those named."""
    wanted = None if scopes is None else set(scopes)  # type: ignore[call-overload]  # any iterable of words
    return [(s.value, f"{s.value} – {scope_words(s.value)}") for s in Scope if wanted is None or s.value in wanted]


def state_tone(state: str) -> Tone:
    return _TONES.get(state, Tone.ENDED)


def scope_badge(scope: ScopeState) -> tuple[str, Tone]:
    """A scope with its state: given but no longer in force says so."""
    if scope.state == GrantState.GIVEN and not scope.in_force:
        return f"{scope.scope}: no longer in force", Tone.ENDED
    return f"{scope.scope}: {scope.state.replace('_', ' ')}", state_tone(scope.state)
