"""The next revision of a scope of a consent record, made current. Every change of a grant's state goes through here."""

from audit.entry import Actor
from consent.models import ConsentRecord, CurrentGrant, Ending, Grant
from consent.vocabulary import GrantState, Scope


def revise(
    record: ConsentRecord,
    scope: Scope | str,
    state: GrantState,
    *,
    actor: Actor,
    reason: str = "",
    current: bool = True,
    ending: Ending | None = None,
    superseded_by: ConsentRecord | None = None,
) -> Grant:
    """Appends a revision; with `current` it is what the gate goes by. The caller holds the subject's lock and moves the epoch."""
    last = Grant.objects.filter(record=record, scope=scope).order_by("-revision").first()
    grant: Grant = Grant.objects.create(
        record=record,
        scope=str(scope),
        revision=1 if last is None else last.revision + 1,
        state=state.value,
        actor_kind=actor.kind.value,
        actor_code=actor.code,
        reason=reason,
        ending=ending,
        superseded_by=superseded_by,
    )
    if current:
        CurrentGrant.objects.update_or_create(
            subject=record.subject, purpose=record.purpose, scope=str(scope), defaults={"grant": grant}
        )
    return grant
