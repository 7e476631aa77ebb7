"""Logs for tests of what reads them: events recorded, given their place and signed over."""

from django.db import transaction

from audit import sequencing, signing, trail
from audit.entry import ObjectKind, Reference
from audit.events import EventName
from audit.models import Event, Log

ACTOR = trail.system("tests")


def record(log: str, count: int = 1, *, name: EventName = EventName.SUBJECT_REGISTERED, subject: str = "") -> list[str]:
    """Codes of the events, in their order."""
    about = [Reference(ObjectKind.SUBJECT, subject)] if subject else []
    with transaction.atomic():
        return [
            trail.record(name, organization=log, actor=ACTOR, objects=about, detail={"number": number})
            for number in range(count)
        ]


def sequence(log: str) -> None:
    while sequencing.sequence(log):
        pass


def sign(log: str) -> Log:
    sequence(log)
    signing.sign_newest(log)
    return Log.objects.filter(code=log).order_by("-generation")[0]


def continued(log: str) -> Log:
    """A further generation, as recovery begins it; its first events are whatever is recorded next."""
    with transaction.atomic():
        sequencing.hold(log, wait=True)
        generation = Log.objects.filter(code=log).count() + 1
        return sequencing.begin(log, generation)


def codes_of(log: str) -> list[str]:
    """Every event of the log, in the order of its leaves."""
    rows = Event.objects.filter(log=log, leaf__isnull=False).order_by("leaf__log__generation", "leaf__index")
    return [str(code) for code in rows.values_list("code", flat=True)]
