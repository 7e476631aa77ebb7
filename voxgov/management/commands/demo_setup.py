"""`manage.py demo_setup`: the demo organization with its project, two API clients and an administrator, made once.

Tokens and the administrator's password go to one file (mode 0600) and are shown nowhere else.
"""

import json
import secrets
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from accounts import membership
from accounts.models import Organization, Project, User
from accounts.roles import Role
from audit import trail
from voxgov import environment

ACTOR = trail.system("quickstart")


class Command(BaseCommand):
    help = "Creates the demo organization and writes its credentials to a file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--credentials", type=Path, required=True, help="file to write (mode 0600)")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["credentials"]
        if path.exists() and self._still_there(path):
            self.stdout.write("demo organization is there already")
            return
        with transaction.atomic():
            credentials = self._make()
            # Written inside the transaction: without its file the organization would be one that nobody can enter.
            environment.write_private(path, json.dumps(credentials, indent=2))
        self.stdout.write(f"demo organization made; credentials are in {path}")

    def _still_there(self, path: Path) -> bool:
        try:
            code = json.loads(path.read_text())["organization"]
        except (OSError, ValueError, KeyError):
            return False
        return Organization.objects.filter(code=code).exists()

    def _make(self) -> dict[str, str]:
        organization = membership.create_organization("Demo organization", actor=ACTOR)
        project = membership.create_project(organization, "Demo project", actor=ACTOR)
        application = membership.create_client(
            project, "demo application", [Role.OPERATOR, Role.CONSENT_MANAGER], actor=ACTOR
        )
        auditor = membership.create_client(project, "demo auditor", [Role.AUDITOR], actor=ACTOR)
        password = secrets.token_urlsafe(12)
        return {
            "organization": organization.code,
            "project": project.code,
            "application_token": membership.issue_token(application, actor=ACTOR).secret,
            "auditor_token": membership.issue_token(auditor, actor=ACTOR).secret,
            "administrator": self._administrator(organization, project, password).username,
            "administrator_password": password,
        }

    def _administrator(self, organization: Organization, project: Project, password: str) -> User:
        username = "demo" if not User.objects.filter(username="demo").exists() else f"demo-{organization.code[-6:]}"
        user = User(username=username, organization=organization, is_staff=True)
        user.set_password(password)
        user.save()
        for role in (
            Role.ADMINISTRATOR,
            Role.CONSENT_MANAGER,
            Role.DATA_PROTECTION_OFFICER,
        ):
            membership.add_member(user, project, role, actor=ACTOR)
        return user
