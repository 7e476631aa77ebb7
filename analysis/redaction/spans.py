"""What recognizers are given and what they answer: words with times, spans of words with a type. What finds them is elsewhere."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from analysis.redaction.heard import Heard


class DataType(StrEnum):
    """Kinds of personal data."""

    NAME = "name"
    EMAIL = "email"
    PHONE = "phone"
    CARD = "card"
    """A payment card number that passes the Luhn check and has a known issuer's prefix and length."""
    IBAN = "iban"
    NATIONAL_ID = "national_id"
    ADDRESS = "address"
    BIRTH_DATE = "birth_date"
    IDENTIFIER = "identifier"
    """A number that the speaker calls a card, an account, a passport or a secret code, whatever its form."""

    @property
    def placeholder(self) -> str:
        """What stands in redacted text where the words were."""
        return f"[{self.name}]"


@dataclass(frozen=True, slots=True)
class Word:
    """One word as a transcript has it, with its punctuation. Seconds, 0 <= start <= end."""

    text: str
    start: float
    end: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start) and math.isfinite(self.end) and 0.0 <= self.start <= self.end):
            raise ValueError("a word needs a start and an end, in order")


@dataclass(frozen=True, slots=True)
class Found:
    """What one recognizer found: the words from `first` to `last`, both included. `score` is 0.0 to 1.0, not calibrated."""

    type: DataType
    first: int
    last: int
    score: float


@dataclass(frozen=True, slots=True)
class Span:
    """Personal data in a transcript. `words` are indices into its words, one after another; seconds are those of the words."""

    type: DataType
    start: float
    end: float
    words: range
    score: float
    recognizer: str


class Recognizer(Protocol):
    """Anything that finds personal data in words. It may be called several times over one transcript, and it must not answer
    words that `heard.taken` says are found already."""

    @property
    def name(self) -> str: ...

    def find(self, heard: "Heard", /) -> Iterable[Found]: ...
