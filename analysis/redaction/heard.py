"""A transcript made ready for recognizers: each word without its punctuation, what was said just before, and which words are gone.

Words that were found already, or that stand redacted in the transcript, are empty here, so that nothing finds them again.
"""

import re
from bisect import bisect_right
from collections.abc import Collection, Sequence
from typing import Final

from analysis.redaction.spans import DataType, Word

_OUTER: Final = ".,;:!?…\"'“”‘’„«»()[]{}¿¡—–"
_PLACEHOLDER: Final = re.compile(r"\[(?:" + "|".join(kind.name for kind in DataType) + r")\][.,;:!?…]*\Z")
_ENDS: Final = (".", "!", "?", "…", "。", "؟", "।")
RECENT: Final = 8.0
"""Seconds in which what somebody else said still counts as said just before."""
_QUESTION: Final = 12
"""Words of somebody else that are looked at."""


class Heard:
    """One transcript. `words` as they are; `bare` without outer punctuation; `lower` likewise in lower case."""

    def __init__(self, words: Sequence[Word], others: Sequence[Word] = ()) -> None:
        """`others` are what other people said in the same recording, in order of their start: the questions, mostly."""
        self.words = words
        self.taken = [_PLACEHOLDER.match(word.text) is not None for word in words]
        texts = ["" if taken else word.text.replace("’", "'") for word, taken in zip(words, self.taken, strict=True)]
        self.bare = [text.strip(_OUTER) for text in texts]
        self.lower = [bare.lower() for bare in self.bare]
        self.cased = any(self.taken) or any(bare[:1].isupper() for bare in self.bare)
        """Whether the transcript has capitals at all, as far as can be told: what is gone may have been the only ones."""
        self._others = others
        self._other_words = [word.text.strip(_OUTER).lower() for word in others]
        self._other_starts = [word.start for word in others]

    def __len__(self) -> int:
        return len(self.words)

    def ends_sentence(self, index: int) -> bool:
        """Whether a sentence ends with this word. Initials and titles end none."""
        text = self.words[index].text.rstrip("\"'”’)]")
        bare = self.lower[index]
        return text.endswith(_ENDS) and not (text.endswith(".") and (len(bare) == 1 or bare in ABBREVIATIONS))

    def begins_sentence(self, index: int) -> bool:
        return index == 0 or self.ends_sentence(index - 1)

    def comma_after(self, index: int) -> bool:
        return self.words[index].text.rstrip("\"'”’)]").endswith((",", ";", ":"))

    def breaks_after(self, index: int) -> bool:
        """Whether a sentence or a part of one ends with this word."""
        return self.ends_sentence(index) or self.comma_after(index)

    def before(self, index: int, count: int) -> list[str]:
        """The `count` words before this one in lower case, nearest last; before them what others said in the seconds before."""
        own = self.lower[max(0, index - count) : index]
        return [*self.asked(index), *own]

    def after(self, index: int, count: int) -> list[str]:
        return self.lower[index + 1 : index + 1 + count]

    def asked(self, index: int) -> list[str]:
        """What others said in the `RECENT` seconds before this word, in lower case."""
        now = self.words[index].start
        end = bisect_right(self._other_starts, now)
        nearest = range(max(0, end - _QUESTION), end)
        return [self._other_words[other] for other in nearest if self._others[other].end >= now - RECENT]

    def capital(self, index: int) -> bool:
        """Whether the word is written as a name is: a capital, then something that is not all capitals; or an initial."""
        bare = self.bare[index]
        if not bare or not bare[0].isupper():
            return False
        letters = [character for character in bare if character.isalpha()]
        return len(letters) == 1 or any(character.islower() for character in letters)


ABBREVIATIONS: Final = frozenset(
    {"mr", "mrs", "ms", "dr", "prof", "st", "ave", "rd", "jr", "sr", "no", "apt", "blvd", "hr", "fr"}
)


def cue_before(said: Sequence[str], cues: Collection[str]) -> int:
    """How many words back the nearest of the cues ends (1 is the last word); 0 where there is none. A cue may be several words."""
    text = " ".join(said)
    best = 0
    for cue in cues:
        at = _last(text, cue)
        if at >= 0:
            distance = text[at + len(cue) :].count(" ") + 1
            best = distance if best == 0 else min(best, distance)
    return best


def cue_in(said: Sequence[str], cues: Collection[str]) -> bool:
    text = " ".join(said)
    return any(_last(text, cue) >= 0 for cue in cues)


def _last(text: str, cue: str) -> int:
    """Where the cue stands last as whole words; -1 where it does not."""
    at = len(text)
    while (at := text.rfind(cue, 0, at)) >= 0:
        end = at + len(cue)
        if (at == 0 or text[at - 1] == " ") and (end == len(text) or text[end] == " "):
            return at
        at = end - 1
    return -1
