"""How far a measured figure may be from the true one: intervals of 95 %.

Wilson's for shares of separate trials (E. B. Wilson, 1927); Byar's for events in time (N. E. Breslow and N. E. Day, 1987); for
ratios of sums, such as a word error rate, and for statistics of pairs a percentile bootstrap over whole items (B. Efron, 1979),
because words of one clip are not separate trials.
"""

import math
import random
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

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


def byar(count: float, exposure: float) -> tuple[float, float]:
    """The interval of a rate: `count` separate events in so much time, per unit of it. None seen does not mean that none come."""
    if exposure <= 0:
        return 0.0, math.inf
    after = count + 1
    low = count * (1 - 1 / (9 * count) - Z / (3 * math.sqrt(count))) ** 3 if count else 0.0
    high = after * (1 - 1 / (9 * after) + Z / (3 * math.sqrt(after))) ** 3
    return max(0.0, low) / exposure, high / exposure


def bootstrap(items: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The interval of sum over sum of (part, whole) items, drawn again with replacement; the same each time it is asked."""
    if not items or sum(whole for _, whole in items) <= 0:
        return 0.0, math.inf
    return resampled(items, _ratio) or (0.0, math.inf)


def resampled(items: Sequence[T], statistic: Callable[[Sequence[T]], float | None]) -> tuple[float, float] | None:
    """The interval of any statistic of items, drawn again with replacement; None where it cannot be told from any draw."""
    chance = random.Random(SEED)  # noqa: S311 (statistics)
    drawn = (statistic(chance.choices(items, k=len(items))) for _ in range(RESAMPLES)) if items else ()
    found = sorted(value for value in drawn if value is not None)
    if not found:
        return None
    return found[int(0.025 * len(found))], found[min(len(found) - 1, int(0.975 * len(found)))]


def _ratio(items: Sequence[tuple[float, float]]) -> float | None:
    whole = sum(each for _, each in items)
    return sum(part for part, _ in items) / whole if whole > 0 else None
