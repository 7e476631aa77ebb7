"""`manage.py audit recover | status`: what to do after a backup was restored, and how the logs stand."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit import continuing, standing
from audit.errors import AuditError
from vault.errors import VaultError


class Command(BaseCommand):
    help = "Looks after the signed logs."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_subparsers(dest="what", required=True)
        what.add_parser("status", help="how each log stands; exit with 1 when the service is or should be closed")
        what.add_parser(
            "recover", help="after a backup was restored: replay the journal, continue the logs, open the service"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['what']}")()
        except (AuditError, VaultError) as problem:
            raise CommandError(f"{problem} ({problem.code})") from problem

    def _status(self) -> None:
        for line in continuing.describe():
            self.stdout.write(line)
        reasons = list(standing.objections())
        for reason in reasons:
            self.stdout.write(f"! {reason}")
        if reasons:
            raise CommandError("run `manage.py audit recover`")
        standing.require_open()

    def _recover(self) -> None:
        continuing.recover(self.stdout.write)
