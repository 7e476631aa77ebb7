"""Engines stay in memory within the worker's budget: loaded once, the least recently used let go, one at work never, and what is
let go is really free."""

import subprocess
import sys
import weakref
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from analysis.residents import MEGABYTE, Residents
from tests.conftest import ROOT

Weights = NDArray[np.float64]


def of(megabytes: int) -> Callable[[], Weights]:
    """Loads an engine of so many megabytes, every page of which was written to."""
    return lambda: np.ones(megabytes * MEGABYTE // 8)


def use(residents: Residents, name: str, megabytes: int) -> "weakref.ref[Weights]":
    with residents.using(name, of(megabytes), weights=megabytes * MEGABYTE) as engine:
        return weakref.ref(engine)


def test_an_engine_is_loaded_when_it_is_first_used_and_once() -> None:
    residents = Residents(budget=0)
    loads: list[str] = []

    def load() -> str:
        loads.append("loaded")
        return "engine"

    assert residents.sizes == {}
    for _ in range(3):
        with residents.using("one", load, weights=0) as engine:
            assert engine == "engine"
    assert loads == ["loaded"]


def test_the_least_recently_used_engine_goes_where_another_would_not_fit_beside_it() -> None:
    residents = Residents(budget=105 * MEGABYTE)
    first, second = use(residents, "first", 40), use(residents, "second", 40)
    again = use(residents, "first", 40)
    assert again() is first() is not None

    third = use(residents, "third", 40)

    assert list(residents.sizes) == ["first", "third"]
    assert first() is not None
    assert second() is None
    assert third() is not None


def test_without_a_budget_nothing_is_let_go() -> None:
    residents = Residents(budget=0)
    kept = [use(residents, str(number), 20) for number in range(6)]
    assert all(engine() is not None for engine in kept)


def test_an_engine_at_work_stays_and_goes_when_it_is_idle_again() -> None:
    residents = Residents(budget=60 * MEGABYTE)
    with residents.using("at work", of(40), weights=40 * MEGABYTE) as engine:
        working = weakref.ref(engine)
        del engine
        other = use(residents, "other", 40)
        assert working() is not None
        assert other() is None, "of two that do not fit, the idle one goes"
        with residents.using("at work", of(40), weights=40 * MEGABYTE) as same:
            assert same is working()
            del same
    assert list(residents.sizes) == ["at work"]
    use(residents, "other", 40)
    assert working() is None
    assert list(residents.sizes) == ["other"]


ALONE = """
from analysis.residents import MEGABYTE, Residents, resident_memory
from tests.analysis.test_residents import use

residents = Residents(budget=150 * MEGABYTE)
use(residents, "first", 1)
before = resident_memory()
use(residents, "large", 120)
large = resident_memory() - before
use(residents, "small", 40)
print("took", large, resident_memory() - before)
"""


def test_what_is_let_go_is_handed_back_to_the_system() -> None:
    """In a process of its own: here other tests' memory comes and goes."""
    done = subprocess.run([sys.executable, "-c", ALONE], cwd=ROOT, capture_output=True, text=True, check=True)
    large, small = map(int, done.stdout.partition("took")[2].split())
    assert large == pytest.approx(120 * MEGABYTE, rel=0.1)
    assert small == pytest.approx(40 * MEGABYTE, rel=0.2)


def test_an_engine_counts_with_what_it_took_in_memory_where_that_is_more_than_its_files() -> None:
    residents = Residents(budget=100 * MEGABYTE)
    with residents.using("grows", of(80), weights=10 * MEGABYTE):
        assert residents.sizes["grows"] == pytest.approx(80 * MEGABYTE, rel=0.1)
    use(residents, "other", 30)
    assert list(residents.sizes) == ["other"], "together they took more than the budget"
    with residents.using("grows", of(80), weights=10 * MEGABYTE):
        assert list(residents.sizes) == ["grows"], "what it takes was known before it was loaded again"


def test_an_engine_without_weights_counts_nothing_and_stays() -> None:
    residents = Residents(budget=30 * MEGABYTE)
    with residents.using("code", lambda: "engine", weights=0):
        pass
    use(residents, "large", 50)
    assert residents.sizes == {"code": 0}


def test_an_engine_larger_than_the_budget_works_alone_and_the_log_says_so() -> None:
    residents = Residents(budget=30 * MEGABYTE)
    with capture_logs() as logs:
        use(residents, "large", 50)
    assert ("engines_over_budget", "warning") in {(entry["event"], entry["log_level"]) for entry in logs}
    assert residents.sizes == {}


def test_an_engine_that_cannot_be_loaded_leaves_nothing_and_is_tried_anew() -> None:
    residents = Residents(budget=0)

    def fail() -> Weights:
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"), residents.using("one", fail, weights=0):
        pass
    assert residents.sizes == {}
    assert use(residents, "one", 1)() is not None


def test_an_engine_that_fails_at_work_is_idle_afterwards() -> None:
    residents = Residents(budget=50 * MEGABYTE)
    with pytest.raises(ValueError, match="of the clip"), residents.using("one", of(40), weights=40 * MEGABYTE):
        raise ValueError("of the clip")
    use(residents, "other", 40)
    assert list(residents.sizes) == ["other"]
