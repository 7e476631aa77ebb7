"""What a sealed result is bound to, and the keys it needs: shared by the pipeline that seals and the reading that opens."""

from consent.vocabulary import Scope
from vault.context import Context as SealContext
from vault.keys import KeyName


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
