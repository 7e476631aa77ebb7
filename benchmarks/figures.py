"""What a benchmark reports: figures, each beside the thing it is compared with in the same run. No Django here."""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

Say = Callable[[str], None]
"""Shows one line of progress."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. `ratio` is value over baseline, or how many times better; the text of `baseline` says which thing."""

    name: str
    value: float
    unit: str
    baseline: str = ""
    ratio: float | None = None


def machine(packages: Sequence[str]) -> Mapping[str, str]:
    """Where the figures were measured: processor, cores, Python and the versions that matter."""
    return {
        "processor": _processor(),
        "cores": str(_cores()),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in packages},
    }


def as_json(figures: Sequence[Figure], where: Mapping[str, str]) -> dict[str, Any]:
    return {"figures": [asdict(figure) for figure in figures], "machine": dict(where)}


def as_table(figures: Sequence[Figure], where: Mapping[str, str]) -> str:
    """The same for reading: figure, value, unit, compared with, ratio."""
    rows = [("figure", "value", "unit", "compared with", "ratio")]
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.3f}"
        rows.append((figure.name, f"{figure.value:,.4g}", figure.unit, figure.baseline, ratio))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*lines, "", ", ".join(f"{name} {value}" for name, value in where.items())])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
    except OSError:
        return platform.processor() or "unknown"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
