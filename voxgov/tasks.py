"""Celery's tasks: an id in, one call. Idempotent and acknowledged late; the database row is the job.

What destroys or moves anything asks first whether the service is open: over a database that went back, what looks like a leftover
may be somebody's only copy. Orders to shred and the journal go on: they only end what somebody ordered ended.
"""

from celery import shared_task
from django.db import close_old_connections

from accounts import break_glass
from analysis import claiming, tidying
from audit import delivery, exports, pruning, standing, witnessing
from consent import breaches, bulk_withdrawal, destruction, expiring, importing, renewing, retention, statements
from vault import journal, rotation, shredding, stray


@shared_task(name="analysis.run")
def run_analysis(code: str) -> None:
    from analysis import pipeline  # noqa: PLC0415 (it loads the models; only model workers may)

    close_old_connections()
    pipeline.run(code)


@shared_task(name="analysis.sweep")
def sweep_analyses() -> None:
    claiming.sweep()


@shared_task(name="analysis.tidy")
def tidy_recordings() -> None:
    standing.require_open()
    tidying.tidy()


@shared_task(name="audit.sweep")
def sweep_webhooks() -> None:
    delivery.sweep()


@shared_task(name=delivery.DELIVER)
def deliver_to_webhook(code: str) -> None:
    delivery.deliver(code)


@shared_task(name="consent.destruction")
def carry_out_destruction() -> None:
    standing.require_open()
    destruction.carry_out_orders()


@shared_task(name=statements.HEAR)
def hear_statement(code: str) -> None:
    close_old_connections()
    statements.hear(code)


@shared_task(name="consent.statements")
def sweep_statements() -> None:
    statements.sweep()


@shared_task(name="consent.renewals")
def carry_out_renewals() -> None:
    standing.require_open()
    renewing.carry_out()


@shared_task(name="consent.bulk_withdrawals")
def carry_out_bulk_withdrawals() -> None:
    bulk_withdrawal.carry_out()


@shared_task(name="consent.imports")
def carry_out_imports() -> None:
    standing.require_open()
    importing.carry_out()


@shared_task(name="consent.expiry")
def end_what_is_over() -> None:
    standing.require_open()
    expiring.sweep()


@shared_task(name="consent.breaches")
def record_overdue_breaches() -> None:
    breaches.sweep()


@shared_task(name="consent.retention")
def sweep_retention() -> None:
    standing.require_open()
    retention.sweep()


@shared_task(name="vault.shred")
def shred_keys() -> None:
    shredding.carry_out_orders()


@shared_task(name="vault.stray_keys")
def destroy_stray_keys() -> None:
    standing.require_open()
    stray.destroy_stray_keys()


@shared_task(name="vault.rotate")
def rotate_keys() -> None:
    standing.require_open()
    rotation.rotate_if_due()


@shared_task(name="vault.journal")
def write_journal() -> None:
    journal.flush()


@shared_task(name="accounts.break_glass")
def record_ended_break_glass() -> None:
    break_glass.close_over()


@shared_task(name="audit.prune")
def prune_logs() -> None:
    standing.require_open()
    pruning.prune_what_is_due()


@shared_task(name="audit.exports")
def make_exports() -> None:
    standing.require_open()
    exports.make_what_is_due()


@shared_task(name="audit.expire")
def expire_exports() -> None:
    standing.require_open()
    exports.expire()


@shared_task(name="audit.witnesses")
def ask_witnesses() -> None:
    witnessing.ask_all()
