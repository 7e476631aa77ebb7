"""Dynamic time warping over attention: the cheapest path is found, and a diagonal of attention gives the times that made it."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.engines.transcription_alignment import align, cheapest_path


def slowly(cost: np.ndarray) -> float:
    """The cost of the cheapest path, by the definition (Sakoe and Chiba 1978)."""
    total = np.full(cost.shape, np.inf)
    for row, column in product(*map(range, cost.shape)):
        before = [
            total[up, back]
            for up, back in ((row - 1, column - 1), (row - 1, column), (row, column - 1))
            if up >= 0 and back >= 0
        ]
        total[row, column] = cost[row, column] + (min(before) if before else 0.0)
    return float(total[-1, -1])


@given(st.integers(1, 8), st.integers(1, 12), st.integers(0, 1000))
def test_the_path_is_the_cheapest_there_is(rows: int, columns: int, seed: int) -> None:
    cost = np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)
    text, time = cheapest_path(cost)
    assert (text[0], time[0], text[-1], time[-1]) == (0, 0, rows - 1, columns - 1)
    steps = set(zip(np.diff(text).tolist(), np.diff(time).tolist(), strict=True))
    assert steps <= {(1, 1), (1, 0), (0, 1)}
    assert cost[text, time].sum() == pytest.approx(slowly(cost), abs=1e-4)


def test_tokens_begin_where_attention_moves_on_to_them() -> None:
    begins = [0, 30, 45, 90, 140]
    attention = np.full((3, len(begins), 160), 1e-3, dtype=np.float32)
    for token, (first, last) in enumerate(zip(begins, [*begins[1:], 160], strict=True)):
        attention[:, token, first:last] = 1.0
    attention += np.random.default_rng(5).uniform(0.0, 0.1, attention.shape).astype(np.float32)
    text, time = align(attention / attention.sum(axis=2, keepdims=True))
    found = time[np.diff(text, prepend=-1) > 0]
    assert np.abs(found - begins).max() <= 2


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 5, 3), (1, 6, 2)])
def test_sound_with_fewer_steps_than_tokens_still_has_a_path(shape: tuple[int, int, int]) -> None:
    text, time = align(np.ones(shape, dtype=np.float32))
    assert (text[-1], time[-1]) == (shape[1] - 1, shape[2] - 1)
