"""Which sound each token of a text was: dynamic time warping over cross-attention (openai/whisper timing.py). No model here.

Plain numpy over the weights of a few attention heads. CTranslate2 does this by itself; the library `transformers` does it inside
its own decoding, which is not used.
"""

import numpy as np
from numpy.typing import NDArray

_WIDTH = 7
"""Time steps over which the median is taken: single peaks are noise."""

Steps = NDArray[np.int64]


def align(attention: NDArray[np.float32]) -> tuple[Steps, Steps]:
    """`attention` has shape (heads, tokens, time steps), each row a distribution over time. The cheapest monotone path through it:
    token and time step of each of its points, from the first of both to the last of both."""
    spread = attention.std(axis=1, keepdims=True)
    normal = (attention - attention.mean(axis=1, keepdims=True)) / np.where(spread > 0.0, spread, 1.0)
    return cheapest_path(-_smoothed(normal).mean(axis=0))


def cheapest_path(cost: NDArray[np.float32]) -> tuple[Steps, Steps]:
    """Dynamic time warping through `cost`, shape (rows, columns): the steps are one row down, one column on, or both."""
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    came = np.zeros((rows, columns), dtype=np.int8)
    for diagonal in range(rows + columns - 1):
        # All points of one diagonal at once: each needs only those of the two before it.
        row = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        column = diagonal - row
        before = np.stack([total[row, column], total[row, column + 1], total[row + 1, column]])
        best = before.argmin(axis=0)
        came[row, column] = best
        total[row + 1, column + 1] = cost[row, column] + before[best, np.arange(len(row))]
    path = [(rows - 1, columns - 1)]
    while path[-1] != (0, 0):
        row, column = path[-1]
        step = came[row, column]
        path.append((row - (step != 2), column - (step != 1)))
    text_steps, time_steps = np.array(path[::-1], dtype=np.int64).T
    return text_steps, time_steps


def _smoothed(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """The running median along time, mirrored at the ends."""
    half = _WIDTH // 2
    if weights.shape[-1] <= half:
        return weights
    padded = np.pad(weights, ((0, 0), (0, 0), (half, half)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WIDTH, axis=-1)
    smoothed: NDArray[np.float32] = np.median(windows, axis=-1)
    return smoothed
