"""Whether confidence means what it says: temperature scaling, the calibration error, and the threshold to abstain below.

Temperature scaling divides logits by one number, found on labelled speech by maximum likelihood; it changes no answer,
only how sure it is (Guo et al. 2017). The expected calibration error is the mean distance between confidence and the part
that was right, over bins of confidence (Naeini, Cooper and Hauskrecht 2015). Where nobody labelled speech like yours,
nothing is calibrated, and results say `validated: false`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 10
_COLDEST, _HOTTEST, _STEPS = 0.05, 20.0, 60
_ROUNDS = 3
"""The search narrows to a neighbourhood of the best value so many times."""


@dataclass(frozen=True, slots=True)
class Abstention:
    """Below `threshold` the answer is unknown. `answered` and `right` (of those) are parts of 1.0 on the given speech."""

    threshold: float
    answered: float
    right: float


def probabilities(logits: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Softmax of logits (windows, labels) at a temperature above 0.0."""
    scaled = logits / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    answer: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return answer


def temperature(logits: NDArray[np.float64], truth: NDArray[np.int_]) -> float:
    """The temperature with the greatest likelihood of `truth` (label indices), 0.05 to 20."""
    low, high = np.log(_COLDEST), np.log(_HOTTEST)
    best = 0.0
    for _ in range(_ROUNDS):
        tried = np.linspace(low, high, _STEPS)
        losses = [_loss(logits, truth, float(np.exp(value))) for value in tried]
        at = int(np.argmin(losses))
        best = float(tried[at])
        low, high = float(tried[max(0, at - 1)]), float(tried[min(_STEPS - 1, at + 1)])
    return float(np.exp(best))


def expected_calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """0.0 (confidence is the part that is right) to 1.0, over ten bins of equal width; 0.0 for nothing."""
    if not len(confidence):
        return 0.0
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = (
        (place == index).sum() * abs(confidence[place == index].mean() - right[place == index].mean())
        for index in np.unique(place)
    )
    return float(sum(gaps) / len(confidence))


def abstention(confidence: NDArray[np.float64], right: NDArray[np.bool_], precision: float) -> Abstention | None:
    """The lowest threshold at which `precision` of the answers are right; None where none reaches it."""
    order = np.argsort(-confidence, kind="stable")
    sure, correct = confidence[order], right[order]
    share = np.cumsum(correct) / np.arange(1, len(sure) + 1)
    # Equal confidence is answered together or not at all.
    last = np.append(sure[1:] != sure[:-1], True) if len(sure) else np.zeros(0, bool)
    reached = np.flatnonzero((share >= precision) & last)
    if not len(reached):
        return None
    at = int(reached[-1])
    return Abstention(float(sure[at]), (at + 1) / len(sure), float(share[at]))


def _loss(logits: NDArray[np.float64], truth: NDArray[np.int_], at: float) -> float:
    chosen = probabilities(logits, at)[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(chosen, 1e-300)).mean())
