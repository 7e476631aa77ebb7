"""Intervals, edits and reports: known values, and the same answer each time."""

import json
import math

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.evaluation.agreement import concordance, macro_f1
from analysis.evaluation.confidence import bootstrap, byar, resampled, wilson
from analysis.evaluation.report import Kind, Measure, Outcome, summarize
from analysis.evaluation.words import edits, normalized

MEASURES = {
    "recall": Measure(Kind.SHARE, "Found"),
    "error rate": Measure(Kind.RATIO, "Wrong words over words", more_is_better=False),
    "macro F1": Measure(Kind.AGREEMENT, "Mean F1", statistic=macro_f1),
}


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    # Newcombe (1998), Statistics in Medicine 17, table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_is_the_published_one(part: int, whole: int, low: float, high: float) -> None:
    assert list(wilson(part, whole)) == pytest.approx([low, high], abs=5e-5)


def test_nothing_tried_is_nothing_known() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert bootstrap([]) == (0.0, math.inf)
    assert byar(3, 0.0) == (0.0, math.inf)
    assert resampled([], macro_f1) is None


@pytest.mark.parametrize(("count", "low", "high"), [(0, 0.0, 3.689), (1, 0.025, 5.572), (10, 4.795, 18.391)])
def test_byars_interval_is_near_the_exact_one(count: int, low: float, high: float) -> None:
    # Garwood (1936): the exact limits.
    assert list(byar(count, 1.0)) == pytest.approx([low, high], abs=0.03)
    assert list(byar(count, 4.0)) == pytest.approx([low / 4, high / 4], abs=0.01)


def test_macro_f1_weighs_rare_labels_as_frequent_ones_and_counts_abstentions_as_misses() -> None:
    assert macro_f1([("a", "a"), ("a", "a"), ("a", "a"), ("b", "a")]) == pytest.approx((6 / 7 + 0) / 2)
    assert macro_f1([("a", "a"), ("b", None)]) == pytest.approx((1 + 0) / 2)
    assert macro_f1([("a", "a"), ("b", "b")]) == 1.0
    assert macro_f1([]) is None


def test_concordance_falls_with_an_offset_and_a_factor_that_a_correlation_would_not_see() -> None:
    assert concordance([(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]) == 1.0
    assert concordance([(1.0, 2.0), (2.0, 3.0), (3.0, 4.0)]) == pytest.approx(4 / 7)
    assert concordance([(1.0, 2.0), (2.0, 4.0), (3.0, 6.0)]) == pytest.approx(8 / 22)
    assert concordance([(1.0, 3.0), (2.0, 2.0), (3.0, 1.0), (9.0, None)]) == -1.0
    assert concordance([(1.0, 1.0), (2.0, None)]) is None
    assert concordance([(1.0, 1.0), (1.0, 1.0)]) is None


def test_the_bootstrap_holds_the_figure_narrows_with_items_and_repeats_itself() -> None:
    few = [(1.0, 10.0), (0.0, 12.0), (3.0, 9.0), (1.0, 11.0)]
    low, high = bootstrap(few)
    assert low <= 5 / 42 <= high
    narrow = bootstrap(few * 25)
    assert low < narrow[0] <= narrow[1] < high
    assert bootstrap(few) == (low, high)
    assert bootstrap([(1.0, 4.0)] * 6) == (0.25, 0.25)


@given(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=9), st.lists(st.sampled_from("abcd"), min_size=1, max_size=9)
)
def test_edits_are_those_of_another_implementation(said: list[str], written: list[str]) -> None:
    other = jiwer.process_words(" ".join(said), " ".join(written))
    assert edits(said, written) == other.substitutions + other.deletions + other.insertions


def test_words_are_compared_as_they_are_said() -> None:
    assert normalized("Mr. O’Neil’s well-known “Émile”, no. 5!") == "mister o'neil's well known émile no 5"
    assert edits([], ["a", "b"]) == 2
    assert edits(["a"], []) == 1


def test_a_report_has_every_group_counts_abstentions_and_names_what_was_missed() -> None:
    outcomes = [
        Outcome("one", "recall", 1, 1, {"kind": "a"}),
        Outcome("one", "recall", 0, 1, {"kind": "b"}),
        Outcome("two", "recall", 1, 1, {"kind": "b"}),
        Outcome("two", "error rate", 0, 5),
        Outcome("three", "error rate", 4, 4, {"length": "short"}, abstained=True),
    ]
    report = summarize("task", {"corpus": "c"}, MEASURES, outcomes)
    found = {(one.measure, one.group): one for one in report.figures}
    assert set(found) == {
        ("recall", "all"),
        ("recall", "kind: a"),
        ("recall", "kind: b"),
        ("error rate", "all"),
        ("error rate", "length: short"),
        ("macro F1", "all"),
    }
    whole = found["recall", "all"]
    assert whole.value == pytest.approx(2 / 3)
    assert (whole.part, whole.whole, whole.items, whole.abstained) == (2, 3, 2, 0)
    assert (whole.low, whole.high) == wilson(2, 3)
    assert found["error rate", "all"].abstained == found["error rate", "length: short"].abstained == 1
    assert report.missed == ("one", "three")
    body = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert body["figures"][0]["value"] == pytest.approx(2 / 3)
    text = report.as_markdown()
    assert "| kind: b | 0.500 |" in text
    assert "less is better" in text


def test_an_agreement_is_a_figure_of_pairs_with_an_interval_over_items() -> None:
    pairs = [("a", "a"), ("b", "b"), ("a", "b"), ("b", None)] * 5
    outcomes = [
        Outcome(
            str(number), "macro F1", float(said is not None), 1.0, {"half": str(number % 2)}, said is None, (true, said)
        )
        for number, (true, said) in enumerate(pairs)
    ]
    report = summarize("task", {}, MEASURES, outcomes)
    whole = next(one for one in report.figures if (one.measure, one.group) == ("macro F1", "all"))
    assert whole.value == pytest.approx(macro_f1(pairs))
    assert (whole.part, whole.whole, whole.abstained) == (15, 20, 5)
    assert whole.value is not None
    assert whole.low < whole.value < whole.high
    assert "bootstrap over items" in report.as_markdown()


def test_a_measure_without_a_case_says_so() -> None:
    report = summarize("task", {}, MEASURES, [])
    assert "no case" in report.as_markdown()
    assert json.loads(json.dumps(report.as_json(), allow_nan=False))["figures"][1]["high"] is None
