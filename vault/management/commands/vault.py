"""`manage.py vault init | rotate | status | recover | tidy`: looks after the key provider, the keys and the sealed files."""

import dataclasses
import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder

from vault import journal, keys, recovery, rotation, status, storage, stray
from vault.errors import VaultError

_BAR = 30


class Command(BaseCommand):
    help = "Looks after the vault: its key provider, its keys and its sealed files."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_subparsers(dest="what", required=True)
        what.add_parser("init", help="make what the key provider and the journal lack; safe to repeat")
        what.add_parser(
            "rotate", help="begin an epoch, move every key to it, destroy the old one; goes on where it was cut off"
        )
        shown = what.add_parser("status", help="where epochs, keys, orders, files and the journal stand")
        shown.add_argument("--json", action="store_true", help="print JSON")
        shown.add_argument("--check", action="store_true", help="exit with 1 when something needs attention")
        what.add_parser("recover", help="after a database was restored: replay the journal, find the surviving keys")
        what.add_parser("drop-lost", help="give up keys that recover found no way to open; their data is lost already")
        what.add_parser("tidy", help="end what crashes left behind")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['what'].replace('-', '_')}")(options)
        except VaultError as problem:
            raise CommandError(f"{problem} ({problem.code})") from problem

    def _init(self, options: dict[str, Any]) -> None:
        # Where there is a journal, keys were made: a new keyring in place of a lost one would open nothing that they sealed.
        if journal.begun():
            journal.require_this_provider()
        made = [keys.provider().ensure(), journal.ensure()]
        self.stdout.write("key provider and journal " + ("are ready" if any(made) else "were ready already"))

    def _rotate(self, options: dict[str, Any]) -> None:
        done = rotation.rotate(self._progress)
        self.stdout.write("")
        gone = ", ".join(map(str, done.destroyed)) or "none"
        self.stdout.write(f"keys are under epoch {done.epoch}; {done.moved} moved; epochs destroyed: {gone}")

    def _status(self, options: dict[str, Any]) -> None:
        found = status.look()
        if options["json"]:
            body = {**dataclasses.asdict(found), "concerns": list(found.concerns())}
            self.stdout.write(json.dumps(body, indent=2, cls=DjangoJSONEncoder))
        else:
            for line in status.lines(found):
                self.stdout.write(line)
        if options["check"] and any(found.concerns()):
            raise CommandError("something needs attention")

    def _recover(self, options: dict[str, Any]) -> None:
        recovery.recover(self.stdout.write)

    def _drop_lost(self, options: dict[str, Any]) -> None:
        self.stdout.write(f"keys given up: {recovery.drop_lost()}")

    def _tidy(self, options: dict[str, Any]) -> None:
        self.stdout.write(f"keys destroyed after their order: {stray.destroy_stray_keys()}")
        self.stdout.write(f"files removed that no row names: {storage.remove_orphans()}")

    def _progress(self, moved: int, total: int) -> None:
        share = moved / total if total else 1.0
        bar = "#" * round(share * _BAR)
        self.stdout.write(f"\r  [{bar:<{_BAR}}] {moved:,} of {total:,} keys", ending="")
        self.stdout.flush()
