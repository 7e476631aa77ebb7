"""How well answers agree with what is true, over pairs of both; an answer of None is an abstention."""

from collections.abc import Sequence

Value = str | float
Pair = tuple[Value, Value | None]
"""What is true, and what was answered."""


def macro_f1(pairs: Sequence[Pair]) -> float | None:
    """The mean over the true classes of 2 hits / (2 hits + false alarms + misses): rare classes weigh as much as frequent ones.

    An abstention is a miss of its class and no false alarm of another. None without pairs.
    """
    classes = sorted({true for true, _ in pairs}, key=str)
    if not classes:
        return None
    scores = []
    for each in classes:
        hits = sum(true == each == said for true, said in pairs)
        others = sum((true == each) != (said == each) for true, said in pairs)
        scores.append(2 * hits / (2 * hits + others))
    return sum(scores) / len(scores)


def concordance(pairs: Sequence[Pair]) -> float | None:
    """Lin's concordance correlation coefficient (L. I. Lin, 1989), -1.0 to 1.0, of the pairs with an answer.

    Unlike a correlation it falls when answers are off by a constant or a factor. None for fewer than two answers, and where neither
    truth nor answers vary.
    """
    known = [(float(true), float(said)) for true, said in pairs if said is not None]
    if len(known) < 2:
        return None
    first, second = (sum(values) / len(known) for values in zip(*known, strict=True))
    together = sum((true - first) * (said - second) for true, said in known)
    apart = sum((true - first) ** 2 + (said - second) ** 2 for true, said in known) + len(known) * (first - second) ** 2
    return 2 * together / apart if apart > 0 else None
