"""Importing existing consents from a file: checked without recording anything, asked for, approved by a second person, recorded row
by row in the background.

The rows lie sealed from the check to the end. Each row is one transaction that also moves the import's mark, and what a row became
is remembered by a blind index, so that a run may stop anywhere and the same row is recorded once. What a row says goes through
`granting` like any answer: `given_at` lies in the past, the gate opens from now on. Reading the file is `import_rows`.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import Project
from audit import trail
from audit.entry import Actor, ActorKind, ObjectKind, Reference
from audit.events import EventName
from consent import approving, granting, import_checks, representing, subjects
from consent.errors import ConsentError, ImportNotReady, InvalidRecord, SecondPersonNeeded, SubjectErased
from consent.import_checks import Lookup
from consent.import_rows import Problem, Row, read
from consent.models import ConsentRecord, GrantImport, ImportedRow, Representation, Subject
from consent.vocabulary import ImportState
from vault import sealing
from vault.errors import KeyShredded
from vault.models import KeyClass

KEPT_PROBLEMS: Final = 1000
"""How many problems a report lists; it counts all."""
DAYS: Final = 7
"""How long rows wait for a second person before the import is stopped."""
LEASE: Final = timedelta(seconds=60)
STRETCH: Final = timedelta(seconds=45)
"""How long one task works on an import before another may go on with it."""
REASON: Final = "import"
OPEN: Final = (ImportState.CHECKED, ImportState.WAITING, ImportState.RUNNING)

Progress = Callable[[int, int], None]
"""Told (rows done, rows in all)."""


def _silent(done: int, rows: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Report:
    """What an import of this file would do. Nothing was recorded."""

    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]
    row_count: int
    new_people: int
    repeated: int

    @property
    def wrong_rows(self) -> int:
        return len({problem.row for problem in self.problems})


def dry_run(project: Project, content: bytes, progress: Progress = _silent) -> Report:
    """Checks every row as recording it would. Raises `ImportUnreadable`."""
    total = max(content.count(b"\n") - 1, 1)
    lookup = Lookup(project)
    rows: list[Row] = []
    problems: list[Problem] = []
    seen: set[bytes] = set()
    newcomers: set[str] = set()
    count = repeated = 0
    for count, found in enumerate(read(content), 1):
        if isinstance(found, Row):
            print_ = import_checks.fingerprint(project, found)
            if print_ in seen or ImportedRow.objects.filter(project=project, fingerprint=print_).exists():
                repeated += 1
            seen.add(print_)
            checked = import_checks.check(lookup, found)
            problems += checked.problems
            rows.append(replace(found, known=checked.subject))
            if not checked.subject and found.external_reference:
                newcomers.add(found.external_reference)
        else:
            problems += found
        progress(min(count, total), total)
    return Report(tuple(rows), tuple(problems), count, len(newcomers), repeated)


def bring(project: Project, content: bytes, *, actor: Actor, progress: Progress = _silent) -> GrantImport:
    """Checks the file and keeps its rows, sealed, with the report. Records no consent. Raises `ImportUnreadable`."""
    report = dry_run(project, content, progress)
    sound = not report.problems and report.row_count > 0
    row = GrantImport(
        project=project,
        # Rows that will never be recorded are not kept.
        content=json.dumps([row.as_json() for row in report.rows]) if sound else None,
        sha256=hashlib.sha256(content).hexdigest(),
        rows=report.row_count,
        new_people=report.new_people,
        repeated=report.repeated,
        problems=[problem.as_json() for problem in report.problems[:KEPT_PROBLEMS]],
        problem_count=len(report.problems),
        mentions=sorted({row.known for row in report.rows if row.known}) if sound else [],
        asked_by_kind=actor.kind.value,
        asked_by_code=actor.code,
    )
    row.save(force_insert=True)
    return row


@transaction.atomic
def ask(brought: GrantImport, *, actor: Actor) -> GrantImport:
    """Asks a second person. Only whoever brought the file may. Raises `ImportNotReady`, `InvalidRecord`, `SecondPersonNeeded`."""
    row = _locked(brought)
    if row.state != ImportState.CHECKED:
        raise ImportNotReady("this import was asked for before, or has ended")
    if row.problem_count or not row.rows:
        raise InvalidRecord("file", "has rows that cannot be recorded: correct it and bring it again")
    if actor.code != row.asked_by_code:
        raise SecondPersonNeeded("whoever brought the file asks for it, so that somebody else approves")
    row.state = ImportState.WAITING.value
    row.save(update_fields=["state"])
    _record(EventName.IMPORT_ASKED, row, actor)
    return row


@transaction.atomic
def approve(asked: GrantImport, *, actor: Actor) -> GrantImport:
    """Lets it run, in the background. Raises `SecondPersonNeeded`, `AlreadyDecided`, `ImportNotReady`."""
    row = _locked(asked)
    if row.state != ImportState.WAITING:
        approving.require_open(row)
        raise ImportNotReady("nobody asked for this import yet, or it has ended")
    approving.approve(row, actor=actor)
    row.state = ImportState.RUNNING.value
    row.repeated = 0
    row.save(update_fields=["state", "repeated"])
    _record(EventName.IMPORT_APPROVED, row, actor)
    return row


@transaction.atomic
def turn_down(asked: GrantImport, *, actor: Actor) -> GrantImport:
    """Says no, or takes it back; its rows are destroyed. Raises `AlreadyDecided`, `ImportNotReady`."""
    row = _locked(asked)
    approving.require_open(row)
    if row.state not in (ImportState.CHECKED, ImportState.WAITING):
        raise ImportNotReady("this import has ended")
    approving.turn_down(row, actor=actor)
    _end(row, ImportState.TURNED_DOWN)
    _record(EventName.IMPORT_TURNED_DOWN, row, actor)
    return row


@transaction.atomic
def stop(row: GrantImport, reason: str) -> bool:
    """Ends an import whatever it was about to do, and destroys its rows; what is recorded stays. False when it had ended."""
    row = _locked(row)
    if row.state not in OPEN:
        return False
    _end(row, ImportState.STOPPED)
    _record(EventName.IMPORT_STOPPED, row, trail.system("import"), reason=reason)
    return True


def carry_out(progress: Progress = _silent) -> int:
    """Goes on with every approved import that nobody has in hand, and stops those that waited too long. Returns rows done."""
    long_ago = timezone.now() - timedelta(days=DAYS)
    for row in GrantImport.objects.filter(
        state__in=[ImportState.CHECKED.value, ImportState.WAITING.value], asked_at__lt=long_ago
    ):
        stop(row, "term")
    done = 0
    for row in GrantImport.objects.filter(state=ImportState.RUNNING.value).order_by("id"):
        if _claim(row):
            done += _run(row, progress)
    return done


def _claim(row: GrantImport) -> bool:
    now = timezone.now()
    free = GrantImport.objects.filter(pk=row.pk, state=ImportState.RUNNING.value).filter(
        Q(lease_until=None) | Q(lease_until__lt=now)
    )
    return bool(free.update(lease_until=now + LEASE))


def _run(row: GrantImport, progress: Progress) -> int:
    row = GrantImport.objects.select_related("project__organization").get(pk=row.pk)
    if row.content is None:
        return 0
    rows = [Row.from_json(body) for body in json.loads(row.content.text())]
    lookup = Lookup(row.project)
    until = timezone.now() + STRETCH
    done = 0
    for place, one in enumerate(rows[row.after :], row.after + 1):
        if not _step(row.pk, place, one, lookup):
            return done
        done += 1
        progress(place, len(rows))
        if timezone.now() > until:
            break
    _let_go(row, whole=row.after + done == len(rows))
    return done


def _step(import_id: int, place: int, one: Row, lookup: Lookup) -> bool:
    """One row and the mark, in one transaction. False when the import ended or somebody else went past."""
    with transaction.atomic():
        row = GrantImport.objects.select_for_update(of=("self",), no_key=True).get(pk=import_id)
        if row.state != ImportState.RUNNING or row.after != place - 1:
            return False
        print_ = import_checks.fingerprint(lookup.project, one)
        if ImportedRow.objects.filter(project=lookup.project, fingerprint=print_).exists():
            row.repeated += 1
        else:
            try:
                with transaction.atomic():
                    record = _answer(row, one, lookup)
                    ImportedRow.objects.create(
                        project=lookup.project, grant_import=row, record=record, fingerprint=print_
                    )
                row.recorded += 1
            except (ConsentError, KeyShredded) as refusal:
                row.failed += 1
                _note(row, one, refusal)
        row.after = place
        row.lease_until = timezone.now() + LEASE
        row.save(update_fields=["after", "recorded", "repeated", "failed", "problems", "problem_count", "lease_until"])
    return True


def _answer(row: GrantImport, one: Row, lookup: Lookup) -> ConsentRecord:
    actor = Actor(ActorKind(row.asked_by_kind), row.asked_by_code)
    purpose, notice = lookup.purpose(one.purpose), lookup.notice(one.notice)
    if purpose is None or notice is None:
        raise InvalidRecord("purpose" if purpose is None else "notice", "is not there any more")
    subject = _subject(one, lookup, actor)
    answer = import_checks.answer_of(one, notice, _representation(one, subject, actor))
    return granting.record_consent(lookup.project, subject, purpose, notice, answer, reason=REASON, actor=actor)


def _subject(one: Row, lookup: Lookup, actor: Actor) -> Subject:
    """Whom the row meant when it was checked; never somebody registered anew in the place of a person erased since."""
    if one.known or one.subject:
        found: Subject | None = Subject.objects.filter(project=lookup.project, code=one.known or one.subject).first()
        if found is None or found.erased_at is not None:
            raise SubjectErased("this person's data was erased")
        return found
    known: Subject | None = subjects.find_by_reference(lookup.project, one.external_reference)
    return (
        known
        if known is not None
        else subjects.register(lookup.project, external_reference=one.external_reference, actor=actor)
    )


def _representation(one: Row, subject: Subject, actor: Actor) -> Representation | None:
    """Whoever answered, registered with the first row that names them. One that was ended since lets nothing be recorded."""
    if one.represented is None:
        return None
    known = import_checks.representation_of(subject, one.represented)
    if known is not None:
        return known
    return representing.register(
        subject,
        relation=one.represented.relation,
        identity=one.represented.identity,
        proof_sha256=one.represented.proof_sha256,
        proof_reference=one.represented.proof_reference,
        of_child=one.represented.of_child,
        ends_at=one.represented.ends_at,
        actor=actor,
    )


def _note(row: GrantImport, one: Row, refusal: Exception) -> None:
    named = getattr(refusal, "problems", None) or [("", str(refusal))]
    found = [Problem(one.number, import_checks.column_of(name), message).as_json() for name, message in named]
    row.problem_count += len(found)
    row.problems = [*row.problems, *found][:KEPT_PROBLEMS]


def _let_go(row: GrantImport, *, whole: bool) -> None:
    with transaction.atomic():
        locked = _locked(row)
        if locked.state != ImportState.RUNNING:
            return
        if not whole:
            GrantImport.objects.filter(pk=row.pk).update(lease_until=None)
            return
        _end(locked, ImportState.DONE)
        _record(EventName.IMPORT_FINISHED, locked, trail.system("import"))


def _locked(row: GrantImport) -> GrantImport:
    found: GrantImport = (
        GrantImport.objects.select_for_update(of=("self",), no_key=True)
        .select_related("project__organization")
        .get(pk=row.pk)
    )
    return found


def _end(row: GrantImport, state: ImportState) -> None:
    """The caller holds the row's lock."""
    if row.content is not None:
        sealing.shred(
            row.project.organization.code, owner=row.code, key_class=KeyClass.RECORD, reason=f"import_{state.value}"
        )
    row.content = None
    row.mentions = []
    row.state = state.value
    row.lease_until = None
    row.finished_at = timezone.now()
    row.save(update_fields=["content", "mentions", "state", "lease_until", "finished_at"])


def stop_what_mentions(project: int, subject: str) -> int:
    """For an erasure: ends every open import in which the person is. The rest of such a file is brought again."""
    rows = GrantImport.objects.filter(
        project=project, state__in=[state.value for state in OPEN], mentions__contains=[subject]
    )
    return sum(stop(row, "erasure") for row in rows)


def _record(name: EventName, row: GrantImport, actor: Actor, reason: str = "") -> None:
    trail.record(
        name,
        organization=row.project.organization.code,
        actor=actor,
        objects=[Reference(ObjectKind.PROJECT, row.project.code)],
        reason=reason,
        detail={
            "import": row.code,
            "rows": row.rows,
            "recorded": row.recorded,
            "repeated": row.repeated,
            "failed": row.failed,
        },
    )
