"""`manage.py bench NAME [--json]`: runs one benchmark on services of its own and prints its figures.

A benchmark is a module `benchmarks.NAME` with `PACKAGES` (whose versions are printed) and `run(say) -> list[Figure]`. Its services
come from `voxgov/bench_services.py`, which `manage.py` asks first; this command is what runs beside them.
"""

import importlib
import json
import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from benchmarks.figures import as_json, as_table, machine
from voxgov import bench_services


class Command(BaseCommand):
    help = "Runs a benchmark beside the thing that it is compared with."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        bench_services.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if bench_services.INSIDE not in os.environ:
            raise CommandError("a benchmark runs on services of its own: start it with `python manage.py bench`")
        module = importlib.import_module(f"benchmarks.{options['name']}")
        figures = module.run(self.stderr.write)
        where = machine(module.PACKAGES)
        self.stdout.write(
            json.dumps(as_json(figures, where), indent=2) if options["json"] else as_table(figures, where)
        )
