"""`manage.py vault init`: makes the keyring, once."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from vault.provider import create_keyring


class Command(BaseCommand):
    help = "Looks after the vault's keys."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=["init"])

    def handle(self, *args: Any, **options: Any) -> None:
        made = create_keyring(settings.VOXGOV_KEYRING)
        self.stdout.write(f"{settings.VOXGOV_KEYRING} {'made' if made else 'is there already'}")
