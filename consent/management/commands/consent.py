"""`manage.py consent renewals` carries out the revisions that material notices ask for, `manage.py consent withdrawals` goes on
with withdrawals of many people's consent: with progress, instead of waiting for the schedule."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from consent import bulk_withdrawal, renewing
from consent.models import BulkWithdrawal, RenewalRun


class Command(BaseCommand):
    help = "Carries out what follows from consent, by hand."

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_subparsers(dest="what", required=True)
        what.add_parser("renewals", help="revise consent that was given under superseded notices")
        what.add_parser("withdrawals", help="go on with bulk withdrawals that were begun")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["what"] == "withdrawals":
            people = bulk_withdrawal.carry_out(self._withdrawn)
            self.stdout.write(f"consent of {people} people was withdrawn")
        else:
            due = renewing.carry_out(self._progress)
            self.stdout.write(f"{due} grants became due for renewal")

    def _withdrawn(self, row: BulkWithdrawal) -> None:
        self.stdout.write(f"{row.code}: {row.subjects_done} of {row.subjects_counted} people")

    def _progress(self, run: RenewalRun) -> None:
        self.stdout.write(f"{run.series.name}, version {run.version}: {run.done} of {run.total}")
