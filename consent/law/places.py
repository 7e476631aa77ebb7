"""Jurisdictions as ISO 3166 codes, and what each could be: `US` may be any of its states, `unknown` may be anywhere.

That is how the strictest rule wins: a rule holds wherever a place may lie inside its territory. No Django here.
"""

import re
from collections.abc import Collection
from typing import Final

UNKNOWN: Final = "unknown"
PATTERN: Final = r"^([A-Z]{2}(-[A-Z0-9]{1,3})?|unknown)$"
"""An ISO 3166-1 country, an ISO 3166-2 subdivision, or `unknown`."""

EEA: Final = frozenset(
    (
        *(
            "AT",
            "BE",
            "BG",
            "CY",
            "CZ",
            "DE",
            "DK",
            "EE",
            "ES",
            "FI",
            "FR",
            "GR",
            "HR",
            "HU",
            "IE",
            "IS",
            "IT",
            "LI",
            "LT",
        ),
        *("LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK"),
    )
)
"""The European Union with Iceland, Liechtenstein and Norway, where the GDPR applies."""


def is_place(word: str) -> bool:
    return re.fullmatch(PATTERN, word) is not None


def may_lie_in(place: str, territory: str) -> bool:
    """Whether somebody of whom only `place` is known may be in `territory`."""
    if UNKNOWN in (place, territory):
        return True
    return place == territory or place.startswith(f"{territory}-") or territory.startswith(f"{place}-")


def any_may_lie_in(places: Collection[str], territories: Collection[str]) -> bool:
    """Whether any of the places may lie in any of the territories. No place at all is as good as `unknown`."""
    return any(may_lie_in(place, territory) for place in places or (UNKNOWN,) for territory in territories)


def all_lie_in(places: Collection[str], territories: Collection[str]) -> bool:
    """Whether every place is known to lie in one of the territories. No place at all does not."""
    return bool(places) and all(
        any(place == territory or place.startswith(f"{territory}-") for territory in territories) for place in places
    )
