"""`manage.py vault init` makes the keyring, or adds what it lacks; `manage.py vault tidy` ends what crashes left behind."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from vault import keys, shredding, storage


class Command(BaseCommand):
    help = "Looks after the vault's keys and sealed files."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=["init", "tidy"])

    def handle(self, *args: Any, **options: Any) -> None:
        if options["what"] == "init":
            made = keys.provider().ensure()
            self.stdout.write("the key provider has what it needs" + ("" if made else " already"))
        else:
            self.stdout.write(f"keys destroyed after their order: {shredding.destroy_stray_keys()}")
            self.stdout.write(f"files removed that no row names: {storage.remove_orphans()}")
