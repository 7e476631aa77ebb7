"""How well scores tell two kinds of trials apart, whatever the threshold: equal error rate and minimum detection cost.

A trial is a score and whether it should be high. Intervals of 95 % come from drawing the groups of trials (all those of one
enrolled voice) again with replacement, because trials of one voice are not separate.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.evaluation.confidence import RESAMPLES, SEED

PRIOR: Final = 0.05
"""Share of trials that are of one voice, as the cost supposes it (VoxSRC); both mistakes cost the same."""

Weights = NDArray[np.float64]
Rates = NDArray[np.float64]
"""Shape (thresholds,)."""


@dataclass(frozen=True, slots=True)
class Trial:
    """`group` is whose trials are drawn together."""

    group: str
    score: float
    same: bool


def equal_error_rate(missed: Rates, accepted: Rates) -> float:
    """Where as many of the same are missed as others are accepted, between the two nearest thresholds."""
    after = int(np.argmax(missed >= accepted))
    before = max(0, after - 1)
    gap, next_gap = accepted[before] - missed[before], missed[after] - accepted[after]
    share = gap / (gap + next_gap) if gap + next_gap > 0 else 0.0
    return float(missed[before] + share * (missed[after] - missed[before]))


def least_cost(missed: Rates, accepted: Rates) -> float:
    """The least detection cost over all thresholds, as a share of what always answering the same would cost."""
    return float((PRIOR * missed + (1 - PRIOR) * accepted).min() / min(PRIOR, 1 - PRIOR))


def measured(trials: Sequence[Trial], statistic: Callable[[Rates, Rates], float]) -> tuple[float | None, float, float]:
    """`statistic` with its interval; None, and all that is possible, where one kind of trial is not there."""
    order = sorted(trials, key=lambda trial: trial.score)
    scores = np.array([trial.score for trial in order])
    same = np.array([trial.same for trial in order], bool)
    if same.all() or not same.any():
        return None, 0.0, 1.0
    # Trials of one score stand or fall together.
    ends = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    names, groups = np.unique([trial.group for trial in order], return_inverse=True)
    chance = np.random.default_rng(SEED)
    values = []
    for _ in range(RESAMPLES):
        weights = np.bincount(chance.integers(len(names), size=len(names)), minlength=len(names))[groups].astype(float)
        if weights[same].any() and weights[~same].any():
            values.append(statistic(*_rates(weights, same, ends)))
    low, high = np.percentile(values, [2.5, 97.5]).tolist()
    return statistic(*_rates(np.ones(len(same)), same, ends)), low, high


def _rates(weights: Weights, same: NDArray[np.bool_], ends: NDArray[np.intp]) -> tuple[Rates, Rates]:
    """Share of the same that is missed, and of others that is accepted, from accepting all to accepting none."""
    missed, refused = np.cumsum(weights * same), np.cumsum(weights * ~same)
    missed, refused = missed / missed[-1], refused / refused[-1]
    return np.append(0.0, missed[ends]), np.append(1.0, 1.0 - refused[ends])
