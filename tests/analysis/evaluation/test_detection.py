"""Equal error rate and detection cost of scores whose answer can be counted by hand."""

import numpy as np
import pytest

from analysis.evaluation.detection import PRIOR, Trial, equal_error_rate, least_cost, measured


def trials(same: list[float], others: list[float]) -> list[Trial]:
    return [Trial(f"voice {index % 4}", score, True) for index, score in enumerate(same)] + [
        Trial(f"voice {index % 4}", score, False) for index, score in enumerate(others)
    ]


def test_scores_that_do_not_overlap_make_no_mistake() -> None:
    apart = trials([0.8, 0.9, 0.85, 0.95], [0.1, 0.2, 0.3, 0.4])
    assert measured(apart, equal_error_rate) == (0.0, 0.0, 0.0)
    assert measured(apart, least_cost) == (0.0, 0.0, 0.0)


def test_the_equal_error_rate_is_where_both_mistakes_are_as_many() -> None:
    # From 0.5 on, one of five of the same is missed and one of five others is accepted.
    value, low, high = measured(trials([0.9, 0.8, 0.7, 0.6, 0.3], [0.5, 0.2, 0.1, 0.1, 0.0]), equal_error_rate)
    assert value == pytest.approx(0.2)
    assert low <= 0.2 <= high


def test_scores_that_say_nothing_are_wrong_half_of_the_time() -> None:
    drawn = np.random.default_rng(5).random(4_000).tolist()
    value, low, high = measured(trials(drawn[:2_000], drawn[2_000:]), equal_error_rate)
    assert value == pytest.approx(0.5, abs=0.03)
    assert low < 0.5 < high
    assert measured(trials([0.5, 0.5], [0.5, 0.5]), equal_error_rate)[0] == pytest.approx(0.5)


def test_the_least_cost_is_never_more_than_always_refusing() -> None:
    assert measured(trials([0.1, 0.2], [0.8, 0.9]), least_cost)[0] == 1.0


def test_wrong_acceptance_costs_as_often_as_it_is_supposed_to_come() -> None:
    # Accepting one other of ten costs (1 - prior) / 10 / prior, missing one of two of the same costs a half: the second is less.
    value = measured(trials([0.9, 0.4], [0.5] + [0.1] * 9), least_cost)[0]
    assert value == pytest.approx(min(0.5, (1 - PRIOR) / PRIOR / 10))


def test_one_kind_of_trial_alone_gives_no_figure() -> None:
    assert measured(trials([0.9, 0.8], []), equal_error_rate) == (None, 0.0, 1.0)


def test_the_same_trials_give_the_same_interval() -> None:
    some = trials([0.9, 0.8, 0.3, 0.7], [0.5, 0.2, 0.6, 0.1])
    assert measured(some, equal_error_rate) == measured(some, equal_error_rate)
