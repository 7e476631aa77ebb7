"""Running the engines that a Permit names on the clips of one recording: what is run on which clip, in which order, and what each
finding rests on. Which engines there are, and when they are loaded, is `engine_box`.
"""

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from analysis.engine_box import Engines, engines
from analysis.engines.clip import Checkpoint, Clip, ModelIdentity, Samples, Stretch
from analysis.engines.masking import masked
from analysis.plan import Hearing
from analysis.states import Stage
from consent.vocabulary import Scope

if TYPE_CHECKING:
    from analysis.engines.pitch import Track
    from analysis.engines.transcription import Transcript
    from analysis.transcription_hints import Hints

_OF_SPEECH: Final = frozenset(
    {
        *(Scope.DIARIZE, Scope.TRANSCRIBE, Scope.TRANSLATE, Scope.LANGUAGE),
        *(Scope.PROSODY, Scope.EMOTION, Scope.ACCENT),
    }
)
"""What is answered where somebody speaks, and nowhere else."""

Checkpoints = Callable[[Stage, float, float], Checkpoint]
"""Makes the checkpoint for one stage, which spans a part of the job's progress."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one engine found on one hearing, before it is sealed. `rests_on` names every scope it was derived under; `made_from` is
    another finding that it says more about, and goes with, though that is about more people."""

    hearing: Hearing
    scope: Scope
    rests_on: frozenset[Scope]
    body: dict[str, Any]
    model: ModelIdentity
    made_from: "Finding | None" = None

    def as_json(self) -> bytes:
        return json.dumps(self.body, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()

    def model_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self.model)


def listen(
    channels: Sequence[Samples], hearings: Sequence[Hearing], checkpoints: Checkpoints, hints: "Hints"
) -> list[Finding]:
    """Runs, on each hearing, the engines whose scopes it permits, and nothing else. Between 0.1 and 0.95 of the job."""
    found: list[Finding] = []
    span = 0.85 / max(1, len(hearings))
    for index, hearing in enumerate(hearings):
        start = 0.1 + index * span
        found.extend(_hear(_clip(channels, hearing), hearing, checkpoints, start, span, hints=hints))
    return found


def _clip(channels: Sequence[Samples], hearing: Hearing) -> Clip:
    """What engines hear: the hearing's channels mixed and, where others share them, everything silenced that is not theirs."""
    mixed = mix(channels, hearing.channels)
    if hearing.only is None:
        return Clip(mixed)
    return Clip(masked(mixed, hearing.only.stretches))


def _hear(
    clip: Clip, hearing: Hearing, checkpoints: Checkpoints, start: float, span: float, *, hints: "Hints"
) -> list[Finding]:
    box = engines()
    scopes = hearing.scopes

    def part(stage: Stage, first: float, last: float) -> Checkpoint:
        return checkpoints(stage, start + first * span, start + last * span)

    speech: Sequence[Stretch] = ()
    if scopes & _OF_SPEECH:
        speech = box.activity.run(clip, part(Stage.LISTENING, 0.0, 0.05))
    found: list[Finding] = []
    if Scope.DIARIZE in scopes:
        found.append(_diarize(box, clip, speech, hearing, part(Stage.LISTENING, 0.05, 0.1)))
    transcript = None
    if scopes & {Scope.TRANSCRIBE, Scope.LANGUAGE}:
        until = 0.4 if Scope.TRANSLATE in scopes else 0.7
        transcript, heard = _transcribe(box, clip, speech, hearing, part(Stage.TRANSCRIBING, 0.1, until), hints=hints)
        found.extend(heard)
    if Scope.TRANSLATE in scopes:
        since = 0.1 if transcript is None else 0.4
        found.append(_translate(box, clip, speech, hearing, part(Stage.TRANSCRIBING, since, 0.7), hints=hints))
    # Words are for nobody who may not transcribe, whatever else they were recognized for.
    words = transcript if Scope.TRANSCRIBE in scopes else None
    if Scope.NONVERBAL in scopes:
        events = box.nonverbal.run(clip, part(Stage.SOUNDS, 0.7, 0.78))
        found.append(finding(hearing, Scope.NONVERBAL, dataclasses.asdict(events), events.model))
    if Scope.ACCENT in scopes:
        one_voice = len(hearing.people) == 1
        accent = box.accent.run(clip, speech, part(Stage.LISTENING, 0.78, 0.8), one_voice=one_voice)
        found.append(finding(hearing, Scope.ACCENT, dataclasses.asdict(accent), accent.model))
    if scopes & {Scope.PROSODY, Scope.EMOTION}:
        from analysis.engines.pitch import track

        # The most costly measurement, made once for every engine that rests on it.
        hertz = track(clip.samples, part(Stage.PROSODY, 0.8, 0.85))
        if Scope.PROSODY in scopes:
            found.extend(_measure(box, _Heard(clip, speech, hearing, hertz, words), part(Stage.PROSODY, 0.85, 0.9)))
        if Scope.EMOTION in scopes:
            voice = _Heard(clip, speech, hearing, hertz, words)
            found.extend(_express(box, voice, part(Stage.EXPRESSION, 0.9, 0.95), part(Stage.EXPRESSION, 0.95, 1.0)))
    return found


@dataclass(frozen=True, slots=True)
class _Heard:
    """What engines of one clip share. `words` only where `speech.transcribe` is permitted: what uses them rests on it too."""

    clip: Clip
    speech: Sequence[Stretch]
    hearing: Hearing
    hertz: "Track"
    words: "Transcript | None"

    @property
    def one_voice(self) -> bool:
        return len(self.hearing.people) == 1


def _measure(box: Engines, heard: _Heard, checkpoint: Checkpoint) -> list[Finding]:
    prosody = box.prosody.run(heard.clip, heard.speech, checkpoint, hertz=heard.hertz, one_voice=heard.one_voice)
    found = [finding(heard.hearing, Scope.PROSODY, dataclasses.asdict(prosody), prosody.model)]
    if heard.words is not None:
        words = [word for utterance in heard.words.utterances for word in utterance.words]
        broken = box.disfluency.run(words)
        body = dataclasses.asdict(broken)
        found.append(finding(heard.hearing, Scope.PROSODY, body, broken.model, Scope.TRANSCRIBE))
    return found


def _express(box: Engines, heard: _Heard, first: Checkpoint, second: Checkpoint) -> list[Finding]:
    """What is said of a state: by windows, against a baseline, and, where words are permitted, beside the wording."""
    from analysis.engines.emotion import valence_of, without_valence

    expressed = box.emotion.run(heard.clip, heard.speech, first, hertz=heard.hertz)
    arousal = dataclasses.asdict(without_valence(expressed))
    found = [finding(heard.hearing, Scope.EMOTION, arousal, expressed.model)]
    states = box.states.run(heard.clip, heard.speech, second, hertz=heard.hertz, one_voice=heard.one_voice)
    found.append(finding(heard.hearing, Scope.EMOTION, dataclasses.asdict(states), states.model))
    if heard.words is None:
        return found
    valence = valence_of(expressed)
    if valence is not None:
        body = dataclasses.asdict(valence)
        found.append(finding(heard.hearing, Scope.EMOTION, body, expressed.model, Scope.TRANSCRIBE))
    wording = box.wording.run(
        heard.clip, heard.words.utterances, heard.words.language, heard.hertz, one_voice=heard.one_voice
    )
    found.append(finding(heard.hearing, Scope.EMOTION, dataclasses.asdict(wording), wording.model, Scope.TRANSCRIBE))
    return found


def _diarize(box: Engines, clip: Clip, speech: Sequence[Stretch], hearing: Hearing, checkpoint: Checkpoint) -> Finding:
    """Who speaks when. Where one person may be heard, that is declared, and no embedding of anybody is made."""
    from analysis.engines.diarization import Diarizer
    from analysis.engines.turns import by_declaration

    if len(hearing.people) == 1:
        with box.activity.held() as activity:
            spoken = by_declaration(clip, speech, activity.model)
    else:
        with box.voices.held() as encoder:
            spoken = Diarizer(encoder).run(clip, speech, checkpoint)
    return finding(hearing, Scope.DIARIZE, dataclasses.asdict(spoken), spoken.model)


def _transcribe(
    box: Engines, clip: Clip, speech: Sequence[Stretch], hearing: Hearing, checkpoint: Checkpoint, *, hints: "Hints"
) -> "tuple[Transcript, list[Finding]]":
    """One pass gives words and language; each is kept only under its own scope. A language that was given was not heard."""
    from analysis.engines.transcription import TranscriptionOptions

    options = TranscriptionOptions(language=hints.language, prompt=hints.prompt, hot_words=hints.hot_words)
    transcript = box.transcriber.run(clip, speech, options, checkpoint)
    body = dataclasses.asdict(transcript)
    language = {
        "language": body.pop("language"),
        "language_probability": body.pop("language_probability"),
        "detected": hints.language is None,
    }
    found = []
    if Scope.TRANSCRIBE in hearing.scopes:
        found.append(finding(hearing, Scope.TRANSCRIBE, body, transcript.model))
    if Scope.LANGUAGE in hearing.scopes:
        found.append(finding(hearing, Scope.LANGUAGE, language, transcript.model))
    return transcript, found


def _translate(
    box: Engines, clip: Clip, speech: Sequence[Stretch], hearing: Hearing, checkpoint: Checkpoint, *, hints: "Hints"
) -> Finding:
    """A pass of its own, from the sound and not from the transcript, so that it rests on nothing else. Which language it was put
    into English from is not said: that is another scope's. The prompt is in that language, and left out."""
    from analysis.engines.transcription import TranscriptionOptions

    options = TranscriptionOptions(task="translate", language=hints.language, hot_words=hints.hot_words)
    translation = box.transcriber.run(clip, speech, options, checkpoint)
    body = {"utterances": [dataclasses.asdict(utterance) for utterance in translation.utterances]}
    return finding(hearing, Scope.TRANSLATE, body, translation.model)


def finding(hearing: Hearing, scope: Scope, body: dict[str, Any], model: ModelIdentity, *also: Scope) -> Finding:
    """`also` names the other scopes that it was derived under. What was cut out of a shared channel rests on `voice.identify`
    besides, and says what of it was heard."""
    body.pop("model", None)
    if hearing.only is not None:
        body["heard"] = hearing.only.as_json()
    return Finding(hearing, scope, frozenset({scope, *also, *hearing.besides}), body, model)


def mix(channels: Sequence[Samples], heard: Sequence[int]) -> Samples:
    """Those of the channels as one."""
    if len(heard) == 1:
        return channels[heard[0]]
    mixed: Samples = np.mean(np.stack([channels[channel] for channel in heard]), axis=0, dtype=np.float32)
    return mixed
