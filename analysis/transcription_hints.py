"""What a client says to help recognize the words of one job: the language, a prompt, hot words.

They may name people, so they lie sealed under the recording's work key, as its waiting audio does, and go with its last job. Logs,
events, the broker and results know at most that there were some.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from django.conf import settings

from analysis.engine_box import manifest_in_force
from analysis.errors import HintsWithoutWords, LanguageUnsupported, ScopeWithoutEngine
from analysis.models import Analysis, Recording, TranscriptionHints
from consent.gate import Permit
from consent.vocabulary import Scope
from vault import sealing
from vault.codes import new_code
from vault.context import Context
from vault.keys import KeyName

LONGEST_PROMPT: Final = 1000
"""Characters. The decoder takes some 200 tokens, in English about 150 words; of a longer prompt the last."""
MOST_HOT_WORDS: Final = 50
LONGEST_HOT_WORD: Final = 60
"""Characters."""
WORDS: Final = frozenset({Scope.TRANSCRIBE, Scope.TRANSLATE})
"""What hints can help with."""


@dataclass(frozen=True, slots=True)
class Hints:
    """`language` is that of the speech, a code like "en"; None: it is detected. The texts stay out of its `repr`."""

    language: str | None = None
    prompt: str = field(default="", repr=False)
    hot_words: tuple[str, ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        return bool(self.language or self.prompt or self.hot_words)


NO_HINTS: Final = Hints()


def require_usable(hints: Hints, scopes: Collection[Scope]) -> None:
    """Raises `HintsWithoutWords` where nothing is asked that they help with, `LanguageUnsupported` for a language that the model in
    force does not know, `ScopeWithoutEngine` where a translation is asked of one that knows English alone."""
    if hints and not WORDS & set(scopes):
        raise HintsWithoutWords(f"transcription options are for {' and '.join(sorted(WORDS))}, which is not asked for")
    if not hints.language and Scope.TRANSLATE not in scopes:
        return
    languages = manifest_in_force().model(settings.VOXGOV_ASR_MODEL).languages
    if hints.language and hints.language not in languages:
        raise LanguageUnsupported("the model of this installation does not know that language")
    if Scope.TRANSLATE in scopes and set(languages) == {"en"}:
        raise ScopeWithoutEngine(
            f"the model of this installation knows English alone: nothing answers {Scope.TRANSLATE}"
        )


def keep(recording: Recording, hints: Hints, *, analysis: Analysis | None = None) -> None:
    """Seals them for a job, or, before there is one, for the first job of the recording. Nothing is kept of none."""
    if not hints:
        return
    code = new_code()
    organization = recording.project.organization.code
    plain = json.dumps({"language": hints.language, "prompt": hints.prompt, "hot_words": hints.hot_words})
    TranscriptionHints.objects.create(
        code=code,
        recording=recording,
        analysis=analysis,
        sealed=sealing.seal(_context(organization, code), [KeyName.work(organization, recording.code)], plain.encode()),
    )


def hand_over(recording: Recording, analysis: Analysis) -> None:
    """What was said with the recording is for its first job."""
    TranscriptionHints.objects.filter(recording=recording, analysis=None).update(analysis=analysis)


def of_job(analysis: int, recording: Recording, permit: Permit) -> Hints:
    """The job's own; none where the Permit opens nobody's words. Raises vault errors."""
    if not any(pair.scope in WORDS for pair in permit.granted):
        return NO_HINTS
    row = TranscriptionHints.objects.filter(analysis=analysis).first()
    if row is None:
        return NO_HINTS
    organization = recording.project.organization.code
    keys = [KeyName.work(organization, recording.code)]
    said = json.loads(sealing.open(_context(organization, row.code), keys, bytes(row.sealed)))
    return Hints(said["language"], said["prompt"], tuple(said["hot_words"]))


def _context(organization: str, code: str) -> Context:
    return Context(
        organization=organization,
        subjects=(),
        scope="work",
        kind="transcription_hints",
        field="sealed",
        object_code=code,
    )
