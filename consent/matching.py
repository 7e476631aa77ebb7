"""How much of a required phrase was said: words compared with words, whatever stands before and after. Pure; no Django here.

It must rather miss a consent than find one. A word of refusal that the phrase does not have makes everything else count for
nothing.
"""

import re
import unicodedata
from typing import Final

FEWEST_WORDS: Final = 4
THRESHOLD: Final = 0.8
"""Of the phrase's words, the share that must have been heard, in order."""

REFUSALS: Final = frozenset(
    {
        *("no", "not", "dont", "never", "nor", "neither", "refuse", "decline", "object", "wont", "cannot", "cant"),
        *("nein", "nicht", "kein", "keine", "keinen", "nie", "niemals", "ablehnen"),
        *("non", "pas", "jamais", "aucun", "aucune", "refuse"),
        *("nunca", "tampoco", "rechazo", "niego", "nao", "não"),
        *("niet", "geen", "nooit", "nej", "inte", "aldrig", "ikke", "nie", "ei"),
    }
)
"""Words by which people say no, in the languages whose notices are written most."""


_NO_SPACES: Final = (("\u0e00", "\u0eff"), ("\u3040", "\u30ff"), ("\u4e00", "\u9fff"))
"""Scripts that set no spaces between words: Thai and Lao, kana, Chinese characters."""


def words(text: str) -> list[str]:
    """The words of a text without case, accents of apostrophes or punctuation; single characters where a script has no spaces."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("'", "").replace("’", "")
    found: list[str] = []
    for word in re.findall(r"\w+", plain):
        found.extend(word if _without_spaces(word) else [word])
    return found


def ratio(phrase: str, heard: str) -> float:
    """Share of the phrase's words that were heard in order and together, 0.0 to 1.0; 0.0 where a refusal was heard.

    One minus the edit distance between the phrase and the stretch of words that is nearest to it, over the phrase's length.
    """
    wanted, said = words(phrase), words(heard)
    if not wanted or (set(said) & REFUSALS) - set(wanted):
        return 0.0
    # Sellers' algorithm: an edit distance whose alignment may begin and end anywhere in what was said.
    row = [0] * (len(said) + 1)
    for number, word in enumerate(wanted, start=1):
        before, row = row, [number]
        for position, other in enumerate(said, start=1):
            row.append(min(before[position - 1] + (word != other), before[position] + 1, row[position - 1] + 1))
    return max(0.0, 1.0 - min(row) / len(wanted))


def _without_spaces(word: str) -> bool:
    return any(first <= letter <= last for letter in word for first, last in _NO_SPACES)
