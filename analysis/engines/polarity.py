"""Whether words sound pleasant or unpleasant: a short list of English words, and what a negation does to them.

Written for this project from everyday words about how somebody is or likes something; +1 is pleasant, -1 unpleasant.
Nobody was asked to rate them. It knows no irony, no idiom and no other language: what it does not know is unknown. How the
words were said is for `incongruence`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_PLEASANT = """
    amazing awesome beautiful best better brilliant calm cheerful comfortable delighted easy enjoy enjoyed excellent
    excited fantastic fine fun glad good grateful great happy helpful hope hopeful ideal impressed kind like liked love loved
    lovely lucky nice okay ok perfect pleasant pleased pleasure proud relaxed relieved safe satisfied smooth splendid super
    superb thankful thrilled welcome well wonderful
"""
_UNPLEASANT = """
    afraid alone angry annoyed annoying anxious ashamed awful bad badly boring broken complain complaint confused cried
    cry depressed depressing desperate disappointed disappointing disaster disgusting dreadful exhausted fail failed failure
    fault frightened frustrated frustrating furious hate hated hopeless horrible hurt hurts ill impossible lonely lost
    miserable miss nervous pain painful poor problem problems ridiculous rude sad scared sick sorry stressed stupid terrible
    tired ugly unacceptable unfair unhappy upset useless worried worry worse worst wrong
"""
_NEGATIONS = "not no never nothing nobody none neither nor without hardly cannot"
PLEASANT, UNPLEASANT, NEGATIONS = (frozenset(words.split()) for words in (_PLEASANT, _UNPLEASANT, _NEGATIONS))
_REACH = 3
"""Words after a negation whose polarity it turns round."""
_WORD = re.compile(r"[a-z]+(?:['’][a-z]+)?")


@dataclass(frozen=True, slots=True)
class Polarity:
    """`value` from -1.0 to 1.0, the mean over `evidence`, the words that decided; None where no word is known."""

    value: float | None
    evidence: tuple[str, ...]


def polarity(texts: Sequence[str]) -> Polarity:
    """Of the words of one utterance in order. A negation is shown with the word that it turned round."""
    words = [match for text in texts for match in _WORD.findall(text.lower())]
    values: list[int] = []
    evidence: list[str] = []
    for index, word in enumerate(words):
        value = 1 if word in PLEASANT else -1 if word in UNPLEASANT else 0
        if not value:
            continue
        negation = next((each for each in reversed(words[max(0, index - _REACH) : index]) if _negates(each)), None)
        values.append(-value if negation else value)
        evidence.append(f"{negation} {word}" if negation else word)
    return Polarity(round(sum(values) / len(values), 3) if values else None, tuple(evidence))


def _negates(word: str) -> bool:
    return word in NEGATIONS or word.replace("’", "'").endswith("n't")
