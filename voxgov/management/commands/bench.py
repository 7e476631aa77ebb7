"""`manage.py bench NAME [--json]`: runs one benchmark on services of its own and prints its figures.

A benchmark is a module `benchmarks.NAME` with `PACKAGES` (whose versions are printed) and `run(say) -> list[Figure]`.
"""

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

import benchmarks
from benchmarks.figures import as_json, as_table, machine
from voxgov.embedded import embedded_services

_INSIDE = "VOXGOV_BENCH"


class Command(BaseCommand):
    help = "Runs a benchmark beside the thing that it is compared with."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", choices=sorted(names()), help="which benchmark")
        parser.add_argument("--json", action="store_true", help="print JSON instead of a table")

    def handle(self, *args: Any, **options: Any) -> None:
        if os.environ.get(_INSIDE):
            self._measure(options["name"], as_text=not options["json"])
        else:
            self._start_services_and_run(options["name"], options["json"])

    def _measure(self, name: str, *, as_text: bool) -> None:
        module = importlib.import_module(f"benchmarks.{name}")
        figures = module.run(self.stderr.write)
        where = machine(module.PACKAGES)
        self.stdout.write(as_table(figures, where) if as_text else json.dumps(as_json(figures, where), indent=2))

    def _start_services_and_run(self, name: str, as_json_text: bool) -> None:
        """A fresh database and broker under `var/bench`, so that a benchmark never meets real data."""
        root: Path = settings.BASE_DIR
        var = root / "var" / "bench"
        with embedded_services(var) as found:
            given = {name.removesuffix("_FILE") for name in found}
            environment = {
                **{name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in given},
                **found,
                "VOXGOV_VAR": str(var),
                "VOXGOV_MODELS": str(settings.VOXGOV_MODELS_DIR),
                _INSIDE: "1",
            }
            manage = [sys.executable, str(root / "manage.py")]
            owner = {**environment, "VOXGOV_DB_ROLE": "owner"}
            for command in (
                ["vault", "init"],
                ["migrate", "--verbosity", "0"],
                ["migrate", "--verbosity", "0", "--database", "keys"],
            ):
                subprocess.run([*manage, *command], env=owner, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
            done = subprocess.run(  # noqa: S603
                [*manage, "bench", name, *(["--json"] if as_json_text else [])], env=environment, check=False
            )
        if done.returncode:
            raise CommandError(f"the benchmark ended with status {done.returncode}")


def names() -> list[str]:
    """Modules of `benchmarks` that have a `run`."""
    return [
        module.name
        for module in pkgutil.iter_modules(benchmarks.__path__)
        if module.name not in ("figures", "raw_whisper", "worker", "audit_writer", "audit_writing")
    ]
