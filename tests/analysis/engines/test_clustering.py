"""Clusters by average linkage: those that a plain search for the two most alike would make."""

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.engines.clustering import clusters


def around(directions: int, each: int, spread: float, seed: int = 3) -> NDArray[np.float32]:
    """`each` vectors of norm 1 near each of so many directions, one direction after another in turn."""
    chance = np.random.default_rng(seed)
    middles = np.eye(16)[:directions]
    drawn = np.tile(middles, (each, 1)) + chance.normal(0.0, spread, (each * directions, 16))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), dtype=np.float32)


def plainly(vectors: NDArray[np.float32], threshold: float) -> set[frozenset[int]]:
    """The two clusters most alike are merged, over and over."""
    pairs = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    found = [frozenset({index}) for index in range(len(vectors))]
    while len(found) > 1:
        alike, one, other = max(
            (float(pairs[np.ix_(sorted(a), sorted(b))].mean()), i, j)
            for i, a in enumerate(found)
            for j, b in enumerate(found[:i])
        )
        if alike < threshold:
            break
        found = [each for index, each in enumerate(found) if index not in (one, other)] + [found[one] | found[other]]
    return set(found)


@pytest.mark.parametrize("directions", [1, 2, 5])
def test_as_many_clusters_as_directions(directions: int) -> None:
    labels = clusters(around(directions, 30, 0.1), 0.5)
    assert labels.tolist() == list(range(directions)) * 30


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("threshold", [0.2, 0.45, 0.7])
def test_clusters_are_those_of_a_plain_search(seed: int, threshold: float) -> None:
    vectors = around(4, 6, 0.35, seed)
    labels = clusters(vectors, threshold)
    assert {frozenset(np.flatnonzero(labels == one).tolist()) for one in set(labels.tolist())} == plainly(
        vectors, threshold
    )


def test_nothing_has_no_cluster_and_one_vector_has_one() -> None:
    assert clusters(np.zeros((0, 16), np.float32), 0.5).tolist() == []
    assert clusters(around(1, 1, 0.0), 0.5).tolist() == [0]


def test_two_thousand_vectors_take_seconds() -> None:
    labels = clusters(around(3, 667, 0.1), 0.5)
    assert set(labels.tolist()) == {0, 1, 2}
