"""Running the engines that a Permit names on the clips of one recording. Engines are imported and loaded when they are first
needed, once per process: a worker that only transcribes never loads torch.

Settings and the model manifest are read here, so that engines need neither.
"""

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from django.conf import settings

from analysis.engines.clip import Checkpoint, Clip, ModelIdentity, Samples, Stretch
from analysis.engines.manifest import Manifest, load_manifest
from analysis.plan import Hearing
from analysis.states import Stage
from consent.vocabulary import Scope

if TYPE_CHECKING:
    from analysis.engines.activity import SpeechActivity
    from analysis.engines.emotion import AcousticArousal
    from analysis.engines.nonverbal import NonverbalDetector
    from analysis.engines.prosody import ProsodyAnalyzer
    from analysis.engines.transcription import Transcriber

Checkpoints = Callable[[Stage, float, float], Checkpoint]
"""Makes the checkpoint for one stage, which spans a part of the job's progress."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one engine found on one hearing, before it is sealed. `rests_on` names every scope it was derived under."""

    hearing: Hearing
    scope: Scope
    rests_on: frozenset[Scope]
    body: dict[str, Any]
    model: ModelIdentity

    def as_json(self) -> bytes:
        return json.dumps(self.body, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()

    def model_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self.model)


class Engines:
    """The engines of this process, each loaded when it is first needed and its weights checked against the manifest."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest

    @cached_property
    def activity(self) -> "SpeechActivity":
        from analysis.engines.activity import SpeechActivity

        return SpeechActivity.load()

    @cached_property
    def transcriber(self) -> "Transcriber":
        from analysis.engines.transcription import Transcriber

        entry = self._manifest.model(settings.VOXGOV_ASR_MODEL)
        return Transcriber.load(
            entry.verified(settings.VOXGOV_MODELS_DIR), entry.identity(), threads=settings.VOXGOV_THREADS
        )

    @cached_property
    def nonverbal(self) -> "NonverbalDetector":
        from analysis.engines.nonverbal import NonverbalDetector

        entry = self._manifest.model("yamnet")
        return NonverbalDetector.load(entry.verified(settings.VOXGOV_MODELS_DIR), entry.identity())

    @cached_property
    def prosody(self) -> "ProsodyAnalyzer":
        from analysis.engines.prosody import ProsodyAnalyzer

        return ProsodyAnalyzer()

    @cached_property
    def emotion(self) -> "AcousticArousal":
        from analysis.engines.emotion import AcousticArousal

        return AcousticArousal()


@lru_cache(maxsize=1)
def engines() -> Engines:
    """This process's engines."""
    return Engines(load_manifest())


def listen(channels: Sequence[Samples], hearings: Sequence[Hearing], checkpoints: Checkpoints) -> list[Finding]:
    """Runs, on each hearing, the engines whose scopes it permits, and nothing else. Between 0.1 and 0.95 of the job."""
    found: list[Finding] = []
    span = 0.85 / max(1, len(hearings))
    for index, hearing in enumerate(hearings):
        start = 0.1 + index * span
        clip = Clip(_mix([channels[channel] for channel in hearing.channels]))
        found.extend(_hear(clip, hearing, checkpoints, start, span))
    return found


def _hear(clip: Clip, hearing: Hearing, checkpoints: Checkpoints, start: float, span: float) -> list[Finding]:
    box = engines()
    scopes = hearing.scopes

    def part(stage: Stage, first: float, last: float) -> Checkpoint:
        return checkpoints(stage, start + first * span, start + last * span)

    speech: Sequence[Stretch] = ()
    if scopes & {Scope.TRANSCRIBE, Scope.LANGUAGE, Scope.PROSODY, Scope.EMOTION}:
        speech = box.activity.run(clip, part(Stage.LISTENING, 0.0, 0.1))
    found: list[Finding] = []
    if scopes & {Scope.TRANSCRIBE, Scope.LANGUAGE}:
        found.extend(_transcribe(box, clip, speech, hearing, part(Stage.TRANSCRIBING, 0.1, 0.7)))
    if Scope.NONVERBAL in scopes:
        events = box.nonverbal.run(clip, part(Stage.SOUNDS, 0.7, 0.8))
        found.append(_finding(hearing, Scope.NONVERBAL, dataclasses.asdict(events), events.model))
    if Scope.PROSODY in scopes:
        prosody = box.prosody.run(clip, speech, part(Stage.PROSODY, 0.8, 0.9))
        found.append(_finding(hearing, Scope.PROSODY, dataclasses.asdict(prosody), prosody.model))
    if Scope.EMOTION in scopes:
        expressed = box.emotion.run(clip, speech, part(Stage.EXPRESSION, 0.9, 1.0))
        found.append(_finding(hearing, Scope.EMOTION, dataclasses.asdict(expressed), expressed.model))
    return found


def _transcribe(
    box: Engines, clip: Clip, speech: Sequence[Stretch], hearing: Hearing, checkpoint: Checkpoint
) -> list[Finding]:
    """One pass gives words and language; each is kept only under its own scope."""
    from analysis.engines.transcription import TranscriptionOptions

    transcript = box.transcriber.run(clip, speech, TranscriptionOptions(), checkpoint)
    body = dataclasses.asdict(transcript)
    language = {"language": body.pop("language"), "language_probability": body.pop("language_probability")}
    found = []
    if Scope.TRANSCRIBE in hearing.scopes:
        found.append(_finding(hearing, Scope.TRANSCRIBE, body, transcript.model))
    if Scope.LANGUAGE in hearing.scopes:
        found.append(_finding(hearing, Scope.LANGUAGE, language, transcript.model))
    return found


def _finding(hearing: Hearing, scope: Scope, body: dict[str, Any], model: ModelIdentity) -> Finding:
    body.pop("model", None)
    return Finding(hearing, scope, frozenset({scope}), body, model)


def _mix(channels: Sequence[Samples]) -> Samples:
    if len(channels) == 1:
        return channels[0]
    mixed: Samples = np.mean(np.stack(channels), axis=0, dtype=np.float32)
    return mixed
