"""The permit under which a spoken statement may be heard: only that clip, only transcription, as proof of consent. It grants
nothing else and rests on no grant, because it is there to find out whether there is one.
"""

from dataclasses import dataclass, field
from typing import Final

from consent.errors import BeyondPermit, PermitForged
from consent.vocabulary import Scope

BASIS: Final = "proof of consent (GDPR art. 7(1))"
MAX_SECONDS: Final = 60.0
_STATEMENTS: Final = object()


@dataclass(frozen=True, slots=True)
class EvidencePermit:
    """For one clip of one person. Only `statements` makes one."""

    statement: str
    subject: str
    organization: str
    basis: str = BASIS
    scope: Scope = Scope.TRANSCRIBE
    max_seconds: float = MAX_SECONDS
    source: object = field(repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if self.source is not _STATEMENTS:
            raise PermitForged("a permit to hear a statement comes from consent.statements and from nowhere else")

    def require_scope(self, scope: Scope) -> None:
        """Raises `BeyondPermit` for anything but transcription."""
        if scope is not self.scope:
            raise BeyondPermit("a statement is transcribed to compare it with the notice, and nothing else")


@dataclass(frozen=True, slots=True)
class Heard:
    """What was made out in a clip. `seconds` is how long it is; `model` says which model heard it."""

    text: str
    seconds: float
    model: dict[str, object]


def permit_for(statement: str, subject: str, organization: str) -> EvidencePermit:
    """For `statements` alone."""
    return EvidencePermit(statement, subject, organization, source=_STATEMENTS)
