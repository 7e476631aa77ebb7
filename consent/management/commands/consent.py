"""`manage.py consent renewals`: carries out the revisions that material notices ask for, with progress, instead of waiting for the
schedule."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from consent import renewing
from consent.models import RenewalRun


class Command(BaseCommand):
    help = "Carries out what follows from consent, by hand."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_subparsers(dest="what", required=True).add_parser(
            "renewals", help="revise consent that was given under superseded notices"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        due = renewing.carry_out(self._progress)
        self.stdout.write(f"{due} grants became due for renewal")

    def _progress(self, run: RenewalRun) -> None:
        self.stdout.write(f"{run.series.name}, version {run.version}: {run.done} of {run.total}")
