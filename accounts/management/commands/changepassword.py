"""Django's `manage.py changepassword`, with the change on the trail."""

from typing import Any

from django.contrib.auth.management.commands import changepassword
from django.core.management.base import CommandError
from django.db import transaction

from accounts import people
from accounts.models import User
from audit import trail

ACTOR = trail.system("command-line")


class Command(changepassword.Command):
    def handle(self, *args: Any, **options: Any) -> str | None:
        if not options["username"]:
            raise CommandError("say whose: nobody signs in by the name of an account of this machine")
        with transaction.atomic():
            done = super().handle(*args, **options)
            changed = User.objects.select_related("organization").get(username=options["username"])
            people.record_password_change(changed, ACTOR)
        return done
