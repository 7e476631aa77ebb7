from django.apps import AppConfig


class ConsentConfig(AppConfig):
    name = "consent"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from consent import holders  # noqa: PLC0415 (models must be loaded first)

        holders.declare_all()
