"""What a verification found, for a stranger to read and for programs. Which checks there are is decided elsewhere."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from audit.export.visible import visible

MAX_RANGES: Final = 1000
_SHOWN_RANGES: Final = 20
_WIDTH: Final = 100


class Outcome(StrEnum):
    OK = "ok"
    FAILED = "failed"
    NOT_CHECKED = "not_checked"


class Result(StrEnum):
    """The whole: exit status 0, 1 or 2."""

    VERIFIED = "verified"
    NOT_VERIFIED = "not_verified"
    NOT_CHECKED = "not_checked"

    @property
    def status(self) -> int:
        return list(Result).index(self)


_MARKS: Final = {Outcome.OK: "ok", Outcome.FAILED: "FAILED", Outcome.NOT_CHECKED: "not checked"}
_HEADLINES: Final = {
    Result.VERIFIED: "VERIFIED",
    Result.NOT_VERIFIED: "NOT VERIFIED: do not rely on it",
    Result.NOT_CHECKED: "NOT CHECKED",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One check and a sentence on what it found. `seconds` and `entries` where it went through all entries."""

    name: str
    outcome: Outcome
    says: str
    seconds: float | None = None
    entries: int | None = None

    def as_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {"name": self.name, "outcome": self.outcome.value, "says": self.says}
        if self.seconds is not None:
            body |= {"seconds": round(self.seconds, 3), "entries": self.entries}
        return body


@dataclass(slots=True)
class IndexRanges:
    """Indexes in rising order, kept as ranges (first and last): the count of all, and the first thousand ranges."""

    count: int = 0
    ranges: list[tuple[int, int]] = field(default_factory=list)
    complete: bool = True

    def add(self, index: int) -> None:
        self.count += 1
        if self.complete and self.ranges and self.ranges[-1][1] == index - 1:
            self.ranges[-1] = (self.ranges[-1][0], index)
        elif self.complete and len(self.ranges) < MAX_RANGES:
            self.ranges.append((index, index))
        else:
            self.complete = False

    def __str__(self) -> str:
        shown = ", ".join(
            str(first) if first == last else f"{first} to {last}" for first, last in self.ranges[:_SHOWN_RANGES]
        )
        return shown + (" and more" if len(self.ranges) > _SHOWN_RANGES or not self.complete else "")


@dataclass(slots=True)
class Report:
    """Facts about what was examined, the checks in order, and what the whole comes to.

    `checkpoint` is the newest signed checkpoint met, as it was written; worth keeping once the whole is verified.
    """

    subject: str
    facts: dict[str, Any] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    left_out: IndexRanges = field(default_factory=IndexRanges)
    limits: list[str] = field(default_factory=list)
    checkpoint: bytes = b""

    @property
    def result(self) -> Result:
        outcomes = {check.outcome for check in self.checks}
        if Outcome.FAILED in outcomes:
            return Result.NOT_VERIFIED
        return Result.VERIFIED if Outcome.OK in outcomes else Result.NOT_CHECKED

    def as_json(self) -> dict[str, Any]:
        return {
            "result": self.result.value,
            "subject": self.subject,
            **self.facts,
            "checks": [check.as_json() for check in self.checks],
            "left_out": {
                "count": self.left_out.count,
                "ranges": self.left_out.ranges,
                "ranges_complete": self.left_out.complete,
            },
            "limits": self.limits,
        }

    def as_text(self) -> str:
        """Nothing from the bundle reaches the terminal but what can be seen as itself."""
        lines = [f"{self.subject}: {_HEADLINES[self.result]}", ""]
        for name, value in self.facts.items():
            lines += _wrapped(f"{name.replace('_', ' '):<14}", _as_words(value))
        if self.left_out.count:
            lines += _wrapped(f"{'left out':<14}", f"{self.left_out.count} entries: {self.left_out}")
        lines.append("")
        for check in self.checks:
            rate = ""
            if check.seconds and check.entries:
                rate = f" ({check.entries:,} entries in {check.seconds:.2f} s, {check.entries / check.seconds:,.0f} a second)"
            lines += _wrapped(f"[{_MARKS[check.outcome]}] ".ljust(14), f"{check.name}: {check.says}{rate}")
        if self.limits:
            lines += ["", "What this does not show:"]
            for limit in self.limits:
                lines += _wrapped("- ", limit)
        return "\n".join(visible(line) for line in lines) + "\n"


def _as_words(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {', '.join(map(str, one))}" for key, one in value.items()) or "none"
    return str(value)


def _wrapped(head: str, text: str) -> list[str]:
    """`text` behind `head`, broken at spaces, its later lines indented to match."""
    lines, line = [], head
    for word in visible(text).split(" "):
        if len(line) + len(word) > _WIDTH and line.strip() and line != head:
            lines.append(line.rstrip())
            line = " " * len(head)
        line += word + " "
    return [*lines, line.rstrip()]
