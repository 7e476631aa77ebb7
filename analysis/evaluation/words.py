"""Words as they are compared: what was said, not how it is written; and how many edits lie between two texts."""

import unicodedata
from collections.abc import Sequence


def normalized(text: str) -> str:
    """Text as it is compared for the word error rate.

    Compatibility composed (NFKC) and in lower case; the titles Mr. and Mrs. spoken out; hyphens are spaces; apostrophes
    stay, all other punctuation goes. Nothing else: no numbers, spellings or fillers are evened out.
    """
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'").replace("-", " ")
    kept = "".join(character for character in text if character.isalnum() or character in " '")
    return " ".join({"mr": "mister", "mrs": "missus"}.get(word, word) for word in kept.split())


def edits(said: Sequence[str], written: Sequence[str]) -> int:
    """Words substituted, left out and invented: Levenshtein's distance between two sequences of words."""
    row = list(range(len(written) + 1))
    for number, word in enumerate(said, start=1):
        diagonal, row[0] = row[0], number
        for place, other in enumerate(written, start=1):
            diagonal, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, diagonal + (word != other))
    return row[-1]
