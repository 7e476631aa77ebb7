"""From judged items to a report: every measure with its interval, over all and for each group, abstentions counted, as Markdown
and as JSON.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

from analysis.evaluation.confidence import bootstrap, wilson
from analysis.evaluation.detection import Trial, equal_error_rate, least_cost, measured

ALL: Final = "all"


class Kind(StrEnum):
    """What a measure is, and so how its interval comes about."""

    SHARE = "share"
    """Successes among separate trials; Wilson's interval."""
    RATIO = "ratio"
    """A sum over a sum; bootstrap over items."""
    EQUAL_ERROR = "equal error"
    """Of scores: where as many are missed as wrongly accepted; bootstrap over items."""
    LEAST_COST = "least cost"
    """Of scores: the least detection cost over all thresholds; bootstrap over items."""


_HOW: Final = {Kind.SHARE: "Wilson"}
_OF_SCORES: Final = {Kind.EQUAL_ERROR: equal_error_rate, Kind.LEAST_COST: least_cost}


@dataclass(frozen=True, slots=True)
class Measure:
    """`means` says in a sentence what the figure is; `more_is_better` tells a reader which way is good."""

    kind: Kind
    means: str
    more_is_better: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """One judgement of one item. It counts `part` of `whole` towards a measure, in all of its groups.

    Towards a measure of scores, `part` is the score and `whole` 1.0 where it should be high, 0.0 where it should be low.

    `abstained`: the item got no answer; what that costs is in `part` and `whole`, and it is counted besides.
    """

    item: str
    measure: str
    part: float
    whole: float
    groups: Mapping[str, str] = field(default_factory=dict)
    abstained: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure over one group: `value` with its interval from `low` to `high`, from `part` over `whole` in so many items.

    Of scores, `whole` is how many there are, and `part` how many of them should be high.
    """

    measure: str
    group: str
    value: float | None
    low: float
    high: float
    part: float
    whole: float
    items: int
    abstained: int


@dataclass(frozen=True, slots=True)
class Report:
    """`about` says what was run on what: corpus, task, versions, parameters."""

    task: str
    about: Mapping[str, str]
    measures: Mapping[str, Measure]
    figures: tuple[Figure, ...]
    missed: tuple[str, ...]
    """Ids of items that were not wholly right, never what is in them."""

    def as_json(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "about": dict(self.about),
            "measures": {name: {"kind": one.kind.value, "means": one.means} for name, one in self.measures.items()},
            "figures": [_finite(asdict(figure)) for figure in self.figures],
            "missed": list(self.missed),
        }

    def as_markdown(self) -> str:
        lines = [f"# Evaluation: {self.task}", ""]
        lines += [f"- {name}: {value}" for name, value in self.about.items() if value]
        for name, measure in self.measures.items():
            better = "more is better" if measure.more_is_better else "less is better"
            how = _HOW.get(measure.kind, "bootstrap over items")
            lines += ["", f"## {name}", "", f"{measure.means} ({better}; 95 % interval, {how})", ""]
            lines += ["| group | value | interval | of | items | abstained |", "|---|---|---|---|---|---|"]
            lines += [_row(figure) for figure in self.figures if figure.measure == name]
        return "\n".join(lines) + "\n"


def summarize(
    task: str, about: Mapping[str, str], measures: Mapping[str, Measure], outcomes: Iterable[Outcome]
) -> Report:
    """Every measure over all outcomes and over each value of each group, in order of their names."""
    every = list(outcomes)
    figures = []
    for name, measure in measures.items():
        own = [outcome for outcome in every if outcome.measure == name]
        figures.append(_figure(name, ALL, measure, own))
        groups = sorted({(group, value) for outcome in own for group, value in outcome.groups.items()})
        for group, value in groups:
            within = [outcome for outcome in own if outcome.groups.get(group) == value]
            figures.append(_figure(name, f"{group}: {value}", measure, within))
    judged = [one for one in every if measures[one.measure].kind not in _OF_SCORES]
    missed = sorted(
        {one.item for one in judged if one.part != (one.whole if measures[one.measure].more_is_better else 0)}
    )
    return Report(task, about, measures, tuple(figures), tuple(missed))


def _figure(name: str, group: str, measure: Measure, outcomes: Sequence[Outcome]) -> Figure:
    if measure.kind in _OF_SCORES:
        return _figure_of_scores(name, group, measure, outcomes)
    part, whole = sum(one.part for one in outcomes), sum(one.whole for one in outcomes)
    by_item: dict[str, tuple[float, float]] = {}
    for one in outcomes:
        before = by_item.get(one.item, (0.0, 0.0))
        by_item[one.item] = (before[0] + one.part, before[1] + one.whole)
    low, high = wilson(part, whole) if measure.kind is Kind.SHARE else bootstrap(list(by_item.values()))
    return Figure(
        measure=name,
        group=group,
        value=part / whole if whole else None,
        low=low,
        high=high,
        part=part,
        whole=whole,
        items=len(by_item),
        abstained=len({one.item for one in outcomes if one.abstained}),
    )


def _figure_of_scores(name: str, group: str, measure: Measure, outcomes: Sequence[Outcome]) -> Figure:
    trials = [Trial(one.item, one.part, one.whole > 0) for one in outcomes]
    value, low, high = measured(trials, _OF_SCORES[measure.kind])
    return Figure(
        measure=name,
        group=group,
        value=value,
        low=low,
        high=high,
        part=sum(trial.same for trial in trials),
        whole=len(trials),
        items=len({trial.group for trial in trials}),
        abstained=len({one.item for one in outcomes if one.abstained}),
    )


def _row(figure: Figure) -> str:
    value = "no case" if figure.value is None else f"{figure.value:.3f}"
    interval = "" if figure.value is None else f"{figure.low:.3f} to {figure.high:.3f}"
    of = f"{figure.part:g} of {figure.whole:g}"
    return f"| {figure.group} | {value} | {interval} | {of} | {figure.items} | {figure.abstained} |"


def _finite(figure: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity: a bound that is not known is null."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in figure.items()
    }
