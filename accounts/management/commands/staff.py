"""`manage.py staff break-glass NAME`: everything in the organization for one person, for minutes, recorded. `manage.py staff
reset-second-factor NAME`: for the administrator who lost theirs when nobody else can take it away.
"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import break_glass, second_factor
from accounts.causes import Cause
from accounts.errors import AccountsError
from accounts.models import User
from audit import trail

ACTOR = trail.system("command-line")


class Command(BaseCommand):
    help = "Emergencies of people who sign in to the admin."

    def add_arguments(self, parser: ArgumentParser) -> None:
        kinds = parser.add_subparsers(dest="what", required=True)
        glass = kinds.add_parser("break-glass", help="give one person every permission, for minutes")
        glass.add_argument("username")
        glass.add_argument("--minutes", type=int, default=15, help=f"1 to {break_glass.MOST_MINUTES}")
        glass.add_argument("--cause", choices=[cause.value for cause in Cause], required=True)
        glass.add_argument(
            "--explanation", required=True, help="why, in words; kept beside the trail, which has its hash"
        )
        reset = kinds.add_parser("reset-second-factor", help="take a lost second factor away")
        reset.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.select_related("organization").filter(username=options["username"]).first()
        if user is None:
            raise CommandError("nobody signs in by this name")
        if options["what"] == "reset-second-factor":
            gone = second_factor.reset(user, actor=ACTOR)
            self.stdout.write("taken away; another is set up at the next sign-in" if gone else "there was none")
            return
        try:
            glass = break_glass.break_(
                user,
                minutes=options["minutes"],
                cause=Cause(options["cause"]),
                explanation=options["explanation"],
                actor=ACTOR,
            )
        except AccountsError as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(f"open until {glass.ends_at:%Y-%m-%d %H:%M:%S} UTC; whatever is done meanwhile is recorded")
