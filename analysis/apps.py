from django.apps import AppConfig


class AnalysisConfig(AppConfig):
    name = "analysis"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from analysis import holders, redacting  # noqa: PLC0415 (models must be loaded first)

        holders.declare_all()
        redacting.recognizers()  # one that is named and not there stops the start
