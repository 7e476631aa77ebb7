"""`manage.py audit status | recover | publish`: how the logs stand, what to do after a backup was restored, and a log as files."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit import continuing, publishing, standing
from audit.errors import AuditError
from audit.models import Log
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

        published = what.add_parser(
            "publish", help="write a log's tiles, bundles and checkpoint as files; goes on where it ended"
        )
        published.add_argument("log", help="code of the organization")
        published.add_argument("to", type=Path, help="directory, the prefix of a tlog-tiles log")
        published.add_argument("--generation", type=int, help="of the log; the newest by default")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['what']}")(options)
        except (AuditError, VaultError) as problem:
            raise CommandError(f"{problem} ({problem.code})") from problem

    def _status(self, options: dict[str, Any]) -> None:
        for line in continuing.describe():
            self.stdout.write(line)
        reasons = list(standing.objections())
        for reason in reasons:
            self.stdout.write(f"! {reason}")
        if reasons:
            raise CommandError("run `manage.py audit recover`")
        standing.require_open()

    def _recover(self, options: dict[str, Any]) -> None:
        continuing.recover(self.stdout.write)

    def _publish(self, options: dict[str, Any]) -> None:
        logs = Log.objects.filter(code=options["log"]).order_by("-generation")
        if options["generation"] is not None:
            logs = logs.filter(generation=options["generation"])
        log = logs.first()
        if log is None:
            raise CommandError("there is no such log")
        count = publishing.publish(log, options["to"], self._progress)
        self.stdout.write(f"\r{log.origin}: {count} files written below {options['to']}")

    def _progress(self, written: int) -> None:
        if written % 100 == 0:
            self.stdout.write(f"\r  {written:,} files", ending="")
            self.stdout.flush()
