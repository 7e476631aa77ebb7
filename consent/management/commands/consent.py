"""`manage.py consent renewals` carries out the revisions that material notices ask for, `manage.py consent withdrawals` goes on
with withdrawals of many people's consent: with progress, instead of waiting for the schedule. `manage.py consent import FILE`
checks a file of existing consents, and asks a second person to approve its import.
"""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.access import actor_of, may
from accounts.models import Project, User
from accounts.roles import Permission
from consent import bulk_withdrawal, importing, renewing
from consent.errors import ConsentError
from consent.models import BulkWithdrawal, GrantImport, RenewalRun

BAR = 30


class Command(BaseCommand):
    help = "Carries out what follows from consent, and takes in consents from elsewhere."

    def add_arguments(self, parser: ArgumentParser) -> None:
        kinds = parser.add_subparsers(dest="what", required=True)
        kinds.add_parser("renewals", help="revise consent that was given under superseded notices")
        kinds.add_parser("withdrawals", help="go on with bulk withdrawals that were begun")
        bring = kinds.add_parser("import", help="check a CSV file of existing consents and ask to have it imported")
        bring.add_argument("file", type=Path, help="CSV in UTF-8; docs/importing.md names its columns")
        bring.add_argument("--project", required=True, help="code of the project")
        bring.add_argument("--dry-run", action="store_true", help="only check")
        bring.add_argument("--as", dest="username", default="", help="who asks: somebody who manages consent there")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["what"] == "renewals":
            due = renewing.carry_out(self._renewed)
            self.stdout.write(f"{due} grants became due for renewal")
        elif options["what"] == "withdrawals":
            people = bulk_withdrawal.carry_out(self._withdrawn)
            self.stdout.write(f"consent of {people} people was withdrawn")
        else:
            self._import(**{name: options[name] for name in ("file", "project", "dry_run", "username")})

    def _withdrawn(self, row: BulkWithdrawal) -> None:
        self.stdout.write(f"{row.code}: {row.subjects_done} of {row.subjects_counted} people")

    def _renewed(self, run: RenewalRun) -> None:
        self.stdout.write(f"{run.series.name}, version {run.version}: {run.done} of {run.total}")

    def _import(self, *, file: Path, project: str, dry_run: bool, username: str) -> None:
        home = Project.objects.select_related("organization").filter(code=project).first()
        if home is None:
            raise CommandError("there is no project with this code")
        try:
            content = file.read_bytes()
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}") from error
        try:
            if dry_run:
                self._check(home, content)
            else:
                self._ask(home, content, username)
        except ConsentError as refusal:
            raise CommandError(str(refusal)) from refusal

    def _check(self, project: Project, content: bytes) -> None:
        report = importing.dry_run(project, content, self._progress)
        for problem in report.problems:
            self._say(problem.row, problem.column, problem.message)
        if report.problems:
            raise CommandError(f"{report.wrong_rows} of {report.row_count} rows cannot be recorded")
        self.stdout.write(
            f"{report.row_count} rows can be recorded; {report.repeated} were before; {report.new_people} people are new"
        )

    def _ask(self, project: Project, content: bytes, username: str) -> None:
        user = User.objects.filter(username=username, is_staff=True, is_active=True, api_client=None).first()
        if user is None or not may(user, Permission.MANAGE_CONSENT, project.pk):
            raise CommandError("say with --as who asks: somebody who manages consent in this project")
        brought: GrantImport = importing.bring(project, content, actor=actor_of(user), progress=self._progress)
        if brought.problem_count:
            for problem in brought.problems:
                self._say(problem["row"], problem["column"], problem["message"])
            raise CommandError(f"{brought.problem_count} problems: correct the file and bring it again")
        importing.ask(brought, actor=actor_of(user))
        self.stdout.write(
            f"import {brought.code}: {brought.rows} rows wait for a second person, who approves in the admin"
        )

    def _say(self, row: int, column: str, message: str) -> None:
        self.stdout.write(f"row {row}{', ' if column else ''}{column}: {message}")

    def _progress(self, done: int, rows: int) -> None:
        """A bar on the error stream; where nobody watches, one line for every tenth."""
        part = done * 100 // rows
        watched = getattr(self.stderr, "isatty", lambda: False)()
        if not watched and (part % 10 or part == (done - 1) * 100 // rows):
            return
        filled = BAR * done // rows
        bar = f"[{'#' * filled}{'.' * (BAR - filled)}] {part:3d} % {done}/{rows}"
        stream = sys.stderr if watched else self.stderr
        if watched:
            stream.write(f"\r{bar}" + ("\n" if done == rows else ""))
        else:
            stream.write(f"{bar}\n")
