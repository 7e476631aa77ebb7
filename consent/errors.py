"""Errors of the consent room. `code` is stable and part of the API; messages say what and where, never whose."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from consent.verdicts import Verdict


class ConsentError(Exception):
    """Base of all errors of this room."""

    code = "consent_error"


class ConsentDenied(ConsentError):
    """The gate said no. The denial is recorded (and, unless asked for otherwise, committed) before this is raised."""

    code = "consent_denied"

    def __init__(self, verdict: "Verdict", decision: str) -> None:
        missing = sorted({denial.scope for denial in verdict.denials})
        super().__init__(f"not permitted: {', '.join(missing)}")
        self.verdict = verdict
        self.decision = decision


class GateInsideTransaction(ConsentError):
    """`require` was called inside a transaction without saying so; a rollback there could lose the denial."""

    code = "gate_inside_transaction"


class PermitForged(ConsentError):
    """A Permit can only come from the gate."""

    code = "permit_forged"


class BeyondPermit(ConsentError):
    """Something was asked for that the Permit in hand does not name."""

    code = "beyond_permit"


class StateOutsideEmotion(BeyondPermit):
    """A result under another scope than `voice.emotion` says something about a person's state."""

    code = "state_outside_emotion"


class NoticeImmutable(ConsentError):
    """A published notice never changes; publish a new version."""

    code = "notice_immutable"


class NoticeNotPublished(ConsentError):
    """Consent can only be recorded under a published notice that is still valid for its purpose."""

    code = "notice_not_published"


class InvalidRecord(ConsentError):
    """A field of a consent record, purpose or notice is missing or contradicts another. `field` says which; `problems` says it
    of every field that is wrong."""

    code = "invalid_record"

    def __init__(self, field: str, message: str, *, also: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.field = field
        self.problems = ((field, message), *also)


class SubjectErased(ConsentError):
    """The person was erased; nothing can be recorded for them any more."""

    code = "subject_erased"


class SubjectRestricted(ConsentError):
    """The person's data is restricted: it is neither restricted twice nor destroyed by anybody else until that is lifted."""

    code = "subject_restricted"


class NotRestricted(ConsentError):
    """There is no restriction to lift."""

    code = "not_restricted"


class NothingToWithdraw(ConsentError):
    """No grant in force matches what was asked to be withdrawn."""

    code = "nothing_to_withdraw"


class PreviewInvalid(ConsentError):
    """What was counted before is not what this may begin: another preview's token, or one that is too old."""

    code = "preview_invalid"


class SelectionGrew(ConsentError):
    """More was granted since the selection was counted; count again."""

    code = "selection_grew"


class RepresentationEnded(ConsentError):
    """Whoever answered does not represent the person, or no longer does."""

    code = "representation_ended"


class SecondPersonNeeded(ConsentError):
    """What one person asked for, another person must approve."""

    code = "second_person_needed"


class AlreadyDecided(ConsentError):
    """What was asked for was approved or turned down before."""

    code = "already_decided"


class ImportUnreadable(ConsentError):
    """The file is no CSV in UTF-8 with the columns that an import takes."""

    code = "import_unreadable"


class ImportNotReady(ConsentError):
    """The import is not in the state that this needs."""

    code = "import_not_ready"


class BreachAmended(ConsentError):
    """Somebody else amended the register of breaches in between; look at it again."""

    code = "breach_amended"


class StatementNotExpected(ConsentError):
    """No spoken statement is awaited for this consent, or it came already."""

    code = "statement_not_expected"


class StatementTooLarge(ConsentError):
    """The clip is larger than a spoken statement may be."""

    code = "statement_too_large"


class StatementEmpty(ConsentError):
    """The body holds no bytes."""

    code = "statement_empty"


class StatementCutShort(ConsentError):
    """The body ended before Content-Length said it would; nothing was kept."""

    code = "statement_cut_short"


class StatementNotHeard(ConsentError):
    """The clip cannot be decoded, or is longer than a statement may be."""

    code = "statement_not_heard"


class DuplicateSubject(ConsentError):
    """Another subject of this project has the same external reference."""

    code = "duplicate_subject"


class HolderMissing(ConsentError):
    """An order names a kind of personal data that the inventory does not know."""

    code = "holder_missing"


class GateOutsideTransaction(ConsentError):
    """The locks that protect a commit were asked for outside a transaction."""

    code = "gate_outside_transaction"
