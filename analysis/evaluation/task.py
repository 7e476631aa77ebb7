"""What a task of `manage.py evaluate` is. A new one is a module of `tasks` with `make(setup)`, and one line in `TASKS`."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from analysis.engines.manifest import Manifest, load_manifest, with_own
from analysis.evaluation.corpus import Corpus
from analysis.evaluation.report import Measure, Outcome, Report, summarize

TASKS: Final[Mapping[str, str]] = {
    "asr": "analysis.evaluation.tasks.asr",
    "diarization": "analysis.evaluation.tasks.diarization",
    "emotion": "analysis.evaluation.tasks.emotion",
    "nonverbal": "analysis.evaluation.tasks.nonverbal",
    "redaction": "analysis.evaluation.tasks.redaction",
    "speaker": "analysis.evaluation.tasks.speaker",
}
"""Name and module; a module is imported when its task is asked for, and its models with it."""

Progress = Callable[[float], None]
"""Told the fraction done, 0.0 to 1.0."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a task may need to load its engine. `own_models` is a manifest of one's own models, beside those that are shipped;
    `allowed` names the models whose restricted licence was accepted."""

    models: Path
    asr_model: str
    threads: int
    sounds_model: str = "yamnet"
    emotion_model: str = "acoustic-arousal"
    own_models: Path | None = None
    allowed: frozenset[str] = frozenset()

    def manifest(self) -> Manifest:
        """Raises `ManifestInvalid`."""
        shipped = load_manifest()
        return with_own(shipped, self.own_models) if self.own_models is not None else shipped


class Task(Protocol):
    """Runs the real engine over a corpus and judges what came of it."""

    @property
    def measures(self) -> Mapping[str, Measure]: ...

    def about(self) -> Mapping[str, str]:
        """Names, versions and parameters of what is measured."""
        ...

    def outcomes(self, corpus: Corpus, progress: Progress) -> Iterator[Outcome]:
        """Raises `CorpusInvalid` for a corpus that has no truth for this task."""
        ...


def make(name: str, setup: Setup) -> Task:
    """The task of that name. Raises `KeyError`, and what loading its engine raises."""
    module = importlib.import_module(TASKS[name])
    task: Task = module.make(setup)
    return task


def evaluate(name: str, task: Task, corpus: Corpus, progress: Progress) -> Report:
    """Raises `CorpusInvalid` and what the engine raises."""
    outcomes = list(task.outcomes(corpus, progress))
    about = {"corpus": corpus.name, "source": corpus.source, "licence": corpus.licence, "items": str(len(corpus.items))}
    return summarize(name, {**about, **task.about()}, task.measures, outcomes)
