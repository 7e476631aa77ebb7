"""What a sealed result is bound to, whose consent it rests on, and the keys it needs: shared by the pipeline that seals and the
reading that opens."""

from collections.abc import Iterator
from dataclasses import dataclass

from consent.vocabulary import Scope
from vault.context import Context as SealContext
from vault.keys import KeyName


@dataclass(frozen=True, slots=True)
class Lineage:
    """Whose consent to what a result rests on: of everyone it is about (subject codes), for every scope it was derived under; and
    what the result rests on that it was made from."""

    subjects: tuple[str, ...]
    rests_on: frozenset[Scope]
    made_from: "Lineage | None" = None

    def parts(self) -> Iterator["Lineage"]:
        yield self
        if self.made_from is not None:
            yield from self.made_from.parts()

    def keys(self, organization: str) -> list[KeyName]:
        """Losing any one of them closes it."""
        names = [key for part in self.parts() for key in result_keys(organization, part.subjects, part.rests_on)]
        return list(dict.fromkeys(names))


def result_context(organization: str, subjects: tuple[str, ...], scope: Scope, code: str) -> SealContext:
    return SealContext(
        organization=organization,
        subjects=subjects,
        scope=scope.value,
        kind="result",
        field="sealed",
        object_code=code,
    )


def result_keys(organization: str, subjects: tuple[str, ...], rests_on: frozenset[Scope]) -> list[KeyName]:
    """Every person's key for every scope that the result was derived under: losing any one of them closes it."""
    return [KeyName.subject(organization, subject, scope.value) for subject in subjects for scope in sorted(rests_on)]
