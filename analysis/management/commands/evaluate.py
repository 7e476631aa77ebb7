"""`manage.py evaluate CORPUS --task TASK [--json] [--missed]`: measures an engine against what is known of a corpus.

CORPUS is a directory with `manifest.json` (`analysis/evaluation/corpus.py`). No service needs to run. The report goes to standard
output, as Markdown or as JSON; the progress bar to standard error.
"""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from analysis.engine_box import allowed_models
from analysis.engines.manifest import ModelProblem
from analysis.evaluation.corpus import Corpus, CorpusInvalid
from analysis.evaluation.marked_text import MarkedTextInvalid
from analysis.evaluation.task import TASKS, Setup, evaluate, make

_BAR: Final = 30


class Command(BaseCommand):
    help = "Measures an engine on a corpus and prints its figures with confidence intervals."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("corpus", type=Path, help="directory with manifest.json")
        parser.add_argument("--task", required=True, choices=sorted(TASKS))
        parser.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
        parser.add_argument("--missed", action="store_true", help="name the items that were not wholly right, too")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["task"]
        setup = Setup(
            models=settings.VOXGOV_MODELS_DIR,
            asr_model=settings.VOXGOV_ASR_MODEL,
            threads=settings.VOXGOV_THREADS,
            sounds_model=settings.VOXGOV_SOUNDS_MODEL,
            emotion_model=settings.VOXGOV_EMOTION_MODEL,
            own_models=Path(settings.VOXGOV_OWN_MODELS) if settings.VOXGOV_OWN_MODELS else None,
            allowed=allowed_models(),
        )
        try:
            corpus = Corpus.read(options["corpus"])
            report = evaluate(name, make(name, setup), corpus, self._progress)
        except (CorpusInvalid, MarkedTextInvalid, ModelProblem) as problem:
            raise CommandError(str(problem)) from problem
        self._progress(None)
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json(), indent=2))
            return
        self.stdout.write(report.as_markdown())
        if options["missed"]:
            self.stdout.write("\n".join(["## Not wholly right", "", *(f"- {item}" for item in report.missed)]))

    def _progress(self, fraction: float | None) -> None:
        """A bar where somebody looks at it; None takes it away."""
        if not self.stderr.isatty():
            return
        done = 0 if fraction is None else round(fraction * _BAR)
        bar = "" if fraction is None else f"  [{'#' * done}{'.' * (_BAR - done)}] {fraction:4.0%}"
        self.stderr.write(f"\r\033[K{bar}", ending="")
        self.stderr.flush()
