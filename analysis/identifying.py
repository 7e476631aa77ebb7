"""Whose voice is whose: telling a consenting person from others on a shared channel, saying which speaker of its turns they are,
verifying a voice against the voiceprint of whoever it is said to be, and making voiceprints that were asked for. Each under a
Permit for `voice.identify` of that person.

Templates are opened here and leave only as what the commit seals; embeddings of anybody else never leave the engine's own frame.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis import voice_model
from analysis.engine_box import engines
from analysis.engines.clip import Clip, ModelIdentity, Samples
from analysis.engines.linking import LEAST_COMPARED
from analysis.engines.turns import Turn
from analysis.errors import ConsentChanged
from analysis.listening import Checkpoints, Finding, finding, mix
from analysis.plan import Hearing, Shared
from analysis.states import Stage
from consent import voiceprints
from consent.gate import Permit
from consent.vocabulary import Scope
from consent.voiceprints import Enrolled, Template
from vault.errors import KeyShredded

if TYPE_CHECKING:
    from analysis.engines.recognition import Voice
    from analysis.engines.voices import Embedding

_BEGUN, _APART, _RECOGNIZED = 0.1, 0.12, 0.15
"""Where this lies in the job's progress: before anything else is heard."""


@dataclass(frozen=True, slots=True)
class Recognized:
    """What is said about whose voice it is; the templates to be kept, and all those (subject codes) whose wish to be enrolled was
    answered, with a template or with the reason why there is none."""

    findings: tuple[Finding, ...]
    templates: Mapping[str, Template]
    answered: frozenset[str]


def tell_apart(
    channels: Sequence[Samples], shared: Sequence[Shared], permit: Permit, checkpoints: Checkpoints
) -> list[Hearing]:
    """What may be heard of each of these people alone; of whom it is not obliged, where there is a voiceprint to do it by. Raises
    `ConsentChanged` where one that the job rests on went meanwhile, what the checkpoints raise, vault errors."""
    hearings = []
    for one in shared:
        box = engines()
        enrolled = _known_by(permit, one.person.subject, obliged=one.obliged)
        if enrolled is None or not _serves(enrolled, box.manifest.model(voice_model.NAME).identity()):
            if one.obliged:
                raise ConsentChanged("the voiceprint that the job rests on is not there any more")
            continue
        from analysis.engines.isolation import isolate  # torch, once somebody is to be told apart

        with box.voices.held() as encoder:
            clip = Clip(mix(channels, one.channels))
            checkpoint = checkpoints(Stage.LISTENING, _BEGUN, _APART)
            speech = box.activity.run(clip, checkpoint)
            only = isolate(clip, speech, _embedding(enrolled), encoder, checkpoint)
        hearings.append(Hearing(one.channels, (one.person,), one.scopes, only, frozenset({Scope.IDENTIFY})))
    return hearings


def recognize(
    channels: Sequence[Samples],
    hearings: Sequence[Hearing],
    permit: Permit,
    enrol: Collection[str],
    checkpoints: Checkpoints,
) -> Recognized:
    """Verifies each voice that is heard alone under `voice.identify`, and makes the templates of those who are to be enrolled (by
    subject code). Raises what the checkpoints raise, vault errors."""
    findings = []
    templates: dict[str, Template] = {}
    answered = set()
    for hearing in hearings:
        if Scope.IDENTIFY not in hearing.scopes or len(hearing.people) != 1:
            continue
        box = engines()
        subject = hearing.people[0].subject
        enrolled = _known_by(permit, subject, obliged=hearing.only is not None)
        with box.voices.held() as encoder:
            if hearing.only is not None:
                summary = _found_again(hearing, enrolled)
            else:
                from analysis.engines.recognition import hear_voice  # torch, once somebody is to be recognized

                clip = Clip(mix(channels, hearing.channels))
                checkpoint = checkpoints(Stage.LISTENING, _APART, _RECOGNIZED)
                voice = hear_voice(clip, box.activity.run(clip, checkpoint), encoder)
                checkpoint(1.0)
                summary = _verified(voice, enrolled, encoder.identity)
                if subject in enrol and subject not in answered:
                    made, summary["enrolment"] = _enrolled(voice, encoder.identity)
                    answered.add(subject)
                    if made is not None:
                        templates[subject] = made
            findings.append(finding(hearing, Scope.IDENTIFY, {"summary": summary}, encoder.identity))
    return Recognized(tuple(findings), templates, frozenset(answered))


def _known_by(permit: Permit, subject: str, *, obliged: bool) -> Enrolled | None:
    """The voiceprint of this person. One that is ordered destroyed is none any more, unless what is done is only allowed by it."""
    try:
        return voiceprints.open_of(permit, subject)
    except KeyShredded:
        if obliged:
            raise
        return None


def link(hearings: Sequence[Hearing], found: Sequence[Finding]) -> list[Finding]:
    """Which speaker of the turns on a shared channel each person is who was told apart there: a finding about that person alone,
    under `voice.identify` and `speech.diarize`, that is made from the turns. Of people who would be the same speaker it is one
    finding about all of them, because it says something of each."""
    links = []
    for turns in found:
        if turns.scope is not Scope.DIARIZE or len(turns.hearing.people) == 1:
            continue
        apart = [
            (hearing.people[0], hearing.only)
            for hearing in hearings
            if hearing.only is not None and hearing.channels == turns.hearing.channels
        ]
        if not apart:
            continue
        spoken = [Turn(**turn) for turn in turns.body["turns"]]
        voices = [only.stretches for _, only in apart]
        answer = engines().linking.run(spoken, voices, len(turns.hearing.people))
        voice = apart[0][1].as_json()["voice_model"]
        for one in answer.links:
            summary = asdict(one)
            people = tuple(apart[position][0] for position in summary.pop("voices"))
            links.append(
                Finding(
                    replace(turns.hearing, people=people),
                    Scope.IDENTIFY,
                    frozenset({Scope.IDENTIFY, Scope.DIARIZE}),
                    {"summary": summary, "voice_model": voice},
                    answer.model,
                    made_from=turns,
                )
            )
    return links


def _verified(voice: "Voice", enrolled: Enrolled | None, model: ModelIdentity) -> dict[str, Any]:
    """Whether the voice is the one that was enrolled; unknown, with the reason, where that cannot be told."""
    from analysis.engines.recognition import Match, compare

    summary = _summary(enrolled, round(voice.seconds, 3))
    if enrolled is None:
        return {**summary, "reason": "not_enrolled"}
    if not _serves(enrolled, model):
        return {**summary, "reason": "enrolled_by_another_model"}
    found = compare(voice, _embedding(enrolled))
    summary["matches"] = found.matches.value
    if found.score is None:
        return {**summary, "reason": "too_little_voice"}
    summary["score"] = round(found.score, 3)
    if found.matches is Match.UNKNOWN:
        summary["reason"] = "too_little_voice" if voice.seconds < LEAST_COMPARED else "undecided"
    return summary


def _found_again(hearing: Hearing, enrolled: Enrolled | None) -> dict[str, Any]:
    """On a shared channel only whether the voice was found there: what does not match is not theirs, and is nobody's to judge."""
    assert hearing.only is not None
    summary = _summary(enrolled, round(hearing.only.seconds, 3))
    if hearing.only.similarity is not None:
        summary["score"] = round(hearing.only.similarity, 3)
    if hearing.only.seconds >= LEAST_COMPARED:
        return {**summary, "matches": "yes"}
    return {**summary, "reason": "too_little_voice"}


def _summary(enrolled: Enrolled | None, seconds: float) -> dict[str, Any]:
    from analysis.engines.voices import SAME_VOICE

    return {
        "matches": "unknown",
        "reason": None,
        "score": None,
        "threshold": SAME_VOICE,
        "seconds": seconds,
        "enrolled_at": None if enrolled is None else enrolled.made_at.isoformat(),
    }


def _enrolled(voice: "Voice", model: ModelIdentity) -> tuple[Template | None, dict[str, Any]]:
    """A template of the voice, if it makes one, and what is said about that."""
    from analysis.engines.recognition import NotEnrolled, enrol

    made = enrol(voice)
    if isinstance(made, NotEnrolled):
        return None, {"enrolled": False, "reason": made.value}
    template = Template(made.astype(np.float32).tobytes(), model.name, model.digest, round(voice.seconds, 3))
    return template, {"enrolled": True, "reason": None}


def _serves(enrolled: Enrolled, model: ModelIdentity) -> bool:
    return enrolled.template.model_digest == model.digest


def _embedding(enrolled: Enrolled) -> "Embedding":
    return np.frombuffer(enrolled.template.values, np.float32)
