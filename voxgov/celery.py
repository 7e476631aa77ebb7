"""The Celery application: two queues, a static schedule, and tasks of a few lines that live in `voxgov.tasks`."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voxgov.settings")

app = Celery("voxgov")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.imports = ("voxgov.tasks",)
app.conf.task_routes = {"analysis.run": {"queue": "model"}, "consent.statement": {"queue": "model"}}
app.conf.beat_schedule = {
    "ring again for waiting jobs": {"task": "analysis.sweep", "schedule": 5.0, "options": {"expires": 5}},
    "go on with withdrawals of many people's consent": {
        "task": "consent.bulk_withdrawals",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "carry out orders to destroy": {"task": "consent.destruction", "schedule": 5.0, "options": {"expires": 5}},
    "shred what was ordered shredded": {"task": "vault.shred", "schedule": 5.0, "options": {"expires": 5}},
    "ring for webhooks that are due": {"task": "audit.sweep", "schedule": 2.0, "options": {"expires": 2}},
    "write what the journal still lacks": {"task": "vault.journal", "schedule": 5.0, "options": {"expires": 5}},
    "rotate the keys when their days are over": {
        "task": "vault.rotate",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "ring again for spoken statements": {"task": "consent.statements", "schedule": 10.0, "options": {"expires": 10}},
    "revise consent under superseded notices": {
        "task": "consent.renewals",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "record consents that were approved for import": {
        "task": "consent.imports",
        "schedule": 2.0,
        "options": {"expires": 2},
    },
    "record that break-glass access is over": {
        "task": "accounts.break_glass",
        "schedule": 15.0,
        "options": {"expires": 15},
    },
    "end consent that is over": {"task": "consent.expiry", "schedule": 60.0, "options": {"expires": 60}},
    "say which breaches the authority was not told of in time": {
        "task": "consent.breaches",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "destroy what is past its term": {"task": "consent.retention", "schedule": 600.0, "options": {"expires": 600}},
    "destroy keys that nothing names": {"task": "vault.stray_keys", "schedule": 86400.0, "options": {"expires": 3600}},
    "ask witnesses to cosign": {"task": "audit.witnesses", "schedule": 10.0, "options": {"expires": 10}},
    "make exports that wait": {"task": "audit.exports", "schedule": 2.0, "options": {"expires": 2}},
    "delete exports past their term": {"task": "audit.expire", "schedule": 3600.0, "options": {"expires": 3600}},
    "prune logs that have a term": {"task": "audit.prune", "schedule": 86400.0, "options": {"expires": 3600}},
    "give up abandoned uploads": {"task": "analysis.tidy", "schedule": 60.0, "options": {"expires": 60}},
}


@worker_process_init.connect
def _warm_up(**_about: Any) -> None:
    """In each process that runs model jobs, whatever its pool."""
    if "model" in app.amqp.queues.consume_from:
        from analysis.engine_box import warm_up  # noqa: PLC0415 (Django is set up by now)

        warm_up()
