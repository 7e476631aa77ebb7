"""What is known of a model, for whoever chooses or answers for it: its state on this machine, and its card.

Everything on a card stands in the manifest; nothing is added here.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from analysis.engines.manifest import LicenceRefused, ModelDigestMismatch, ModelEntry, ModelMissing, Source


class State(StrEnum):
    """How a model lies on this machine. `INSTALLED` says that names and sizes are right, `VERIFIED` that digests are."""

    BUILT_IN = "built in"
    MISSING = "missing"
    INCOMPLETE = "incomplete"
    INSTALLED = "installed"
    VERIFIED = "verified"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Condition:
    """`reason` is a sentence that says what to do, where the state wants something done."""

    state: State
    reason: str = ""


def seen(entry: ModelEntry, models_dir: Path) -> Condition:
    """What a look at names and sizes tells; no file is read."""
    if entry.modules:
        return Condition(State.BUILT_IN)
    try:
        directory = entry.directory(models_dir)
    except ModelMissing as missing:
        return Condition(State.MISSING, str(missing))
    sizes = {file: _size(directory / file.path) for file in entry.files}
    if not any(size is not None for size in sizes.values()):
        return Condition(State.MISSING, f"fetch it with python manage.py models pull {entry.name}.")
    wrong = [file.path for file, size in sizes.items() if size != file.size]
    if wrong:
        again = f"fetch it again with python manage.py models pull {entry.name}."
        return Condition(State.INCOMPLETE, f"{', '.join(wrong)} is not there or not whole: {again}")
    return Condition(State.INSTALLED)


def verified(entry: ModelEntry, models_dir: Path) -> Condition:
    """What reading every file again tells."""
    found = seen(entry, models_dir)
    if found.state in {State.BUILT_IN, State.MISSING}:
        return found
    try:
        entry.checked(models_dir, anew=True)
    except ModelMissing as missing:
        return Condition(State.INCOMPLETE, str(missing))
    except ModelDigestMismatch as mismatch:
        return Condition(State.WRONG, str(mismatch))
    return Condition(State.VERIFIED)


def is_allowed(entry: ModelEntry, allowed: frozenset[str]) -> bool:
    """Whether its licence lets it be loaded here."""
    try:
        entry.require_licence(allowed)
    except LicenceRefused:
        return False
    return True


def as_json(entry: ModelEntry) -> dict[str, Any]:
    """The card for programs."""
    return {
        "name": entry.name,
        "task": entry.task,
        "engine": entry.engine,
        "version": entry.version,
        "digest": entry.digest,
        "licence": entry.licence,
        "licence_class": entry.licence_class.value,
        "scopes": list(entry.scopes),
        "languages": list(entry.languages),
        "intended_use": entry.intended_use,
        "limits": list(entry.limits),
        "validated": entry.validated,
        "parameters": dict(entry.parameters),
        "figures": [
            {"name": figure.name, "value": figure.value, "unit": figure.unit, "command": figure.command}
            for figure in entry.figures
        ],
        "files": [{"path": file.path, "sha256": file.sha256, "size": file.size} for file in entry.files],
        "modules": list(entry.modules),
        "sources": [{"place": _place(source), "fetched": source.fetchable} for source in entry.sources],
    }


def as_markdown(entry: ModelEntry) -> str:
    """The card for people."""
    judged = "compared with human judgement" if entry.validated else "not compared with human judgement"
    lines = [
        f"# {entry.name}",
        "",
        f"{entry.task[:1].upper()}{entry.task[1:]}, by {entry.engine}, version {entry.version}.",
        "",
        f"- Intended use: {entry.intended_use}",
        f"- May be used for: {', '.join(entry.scopes)}",
        f"- Validated: {'yes' if entry.validated else 'no'}; its output was {judged}",
        f"- Languages: {'any' if entry.languages == ('*',) else ', '.join(entry.languages)}",
        f"- Licence: {entry.licence} (class: {entry.licence_class})",
        f"- Digest: `{entry.digest}`",
        *(f"- Parameter: {name} {value:g}" for name, value in entry.parameters.items()),
        "",
        "## Known limits",
        "",
        *(f"- {limit}" for limit in entry.limits),
    ]
    if entry.figures:
        lines += ["", "## Figures", "", "| figure | value | printed by |", "|---|---|---|"]
        lines += [
            f"| {figure.name} | {figure.value:g} {figure.unit} | `{figure.command}` |" for figure in entry.figures
        ]
    if entry.files:
        lines += ["", "## Files", "", "| file | bytes | SHA-256 |", "|---|---|---|"]
        lines += [f"| {file.path} | {file.size:,} | `{file.sha256}` |" for file in entry.files]
    if entry.modules:
        lines += ["", "## Made of", "", *(f"- `analysis/engines/{module}`" for module in entry.modules)]
    if entry.sources:
        lines += ["", "## Sources, in order", ""]
        lines += [
            f"{number}. {_place(source)}{'' if source.fetchable else ' (for the record: nothing is fetched from there)'}"
            for number, source in enumerate(entry.sources, start=1)
        ]
    if entry.installed:
        lines += ["", f"Its files come with the package `{entry.installed}`."]
    return "\n".join(lines) + "\n"


def _place(source: Source) -> str:
    if source.packages:
        return "packages " + ", ".join(f"{package.name} {package.version}" for package in source.packages)
    if source.directory:
        return f"directory {source.directory}"
    return f"hub {source.hub}" + (f" at {source.revision}" if source.revision else "")


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
