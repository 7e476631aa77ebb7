"""How far a measured figure may be from the true one: intervals of 95 %.

Wilson's for shares of separate trials (E. B. Wilson, 1927); for ratios of sums, such as a word error rate, a percentile bootstrap
over whole items (B. Efron, 1979), because words of one clip are not separate trials.
"""

import math
import random
from collections.abc import Sequence
from typing import Final

Z: Final = 1.959964
"""Of the normal distribution, for 95 %."""
RESAMPLES: Final = 2000
SEED: Final = 0


def wilson(part: float, whole: float) -> tuple[float, float]:
    """The interval of `part` successes in `whole` trials. 0.0 to 1.0 where nothing was tried."""
    if whole <= 0:
        return 0.0, 1.0
    share = part / whole
    spread = Z * math.sqrt(share * (1 - share) / whole + Z * Z / (4 * whole * whole))
    middle, scale = share + Z * Z / (2 * whole), 1 + Z * Z / whole
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def bootstrap(items: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The interval of sum over sum of (part, whole) items, drawn again with replacement; the same each time it is asked."""
    if not items or sum(whole for _, whole in items) <= 0:
        return 0.0, math.inf
    chance = random.Random(SEED)  # noqa: S311 (statistics)
    ratios = []
    for _ in range(RESAMPLES):
        drawn = chance.choices(items, k=len(items))
        whole = sum(each for _, each in drawn)
        if whole > 0:
            ratios.append(sum(part for part, _ in drawn) / whole)
    ratios.sort()
    return ratios[int(0.025 * len(ratios))], ratios[min(len(ratios) - 1, int(0.975 * len(ratios)))]
