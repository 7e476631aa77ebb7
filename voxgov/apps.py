"""Start: plugs the rooms' ports and replaces Django's admin site by the governed one."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class VoxgovConfig(AppConfig):
    name = "voxgov"

    def ready(self) -> None:
        from voxgov import wiring  # noqa: PLC0415 (the rooms' models must be loaded first)

        wiring.plug_in()


class GovernedAdminConfig(AdminConfig):
    default_site = "voxgov.admin_site.GovernedAdminSite"
