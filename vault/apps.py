from django.apps import AppConfig


class VaultConfig(AppConfig):
    name = "vault"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from vault import core_dumps  # noqa: PLC0415 (as Django wants it: nothing is loaded before the registry is)

        core_dumps.disable()
