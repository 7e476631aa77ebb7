"""Hearing a spoken statement of consent in a model worker: decoding in the sandbox, speech, words; nothing else, and nothing kept.

What is done with the words is `consent.statements`.
"""

import dataclasses
from typing import Final

from analysis import decode
from analysis.decoding.errors import MediaRefused
from analysis.decoding.limits import DecodeLimits
from analysis.engine_box import engines
from analysis.engines.clip import Clip, no_checkpoint
from analysis.engines.transcription import LanguageUnsupported, TranscriptionOptions
from consent.errors import StatementNotHeard
from consent.evidence import EvidencePermit, Heard
from consent.vocabulary import Scope
from vault.sealing import RangeReader

GRACE: Final = 1.0
"""Seconds that a clip may be longer than its permit says: containers round up."""


def hear(permit: EvidencePermit, clip: RangeReader, language: str) -> Heard:
    """The words of the clip. `language` is a BCP 47 tag; one that the model does not know is detected instead."""
    permit.require_scope(Scope.TRANSCRIBE)
    limits = DecodeLimits(max_duration=permit.max_seconds + GRACE, max_channels=2)
    try:
        decoded = decode.server().decode(clip, limits)
    except MediaRefused as refused:
        raise StatementNotHeard(f"the clip is no statement: {refused.code}") from refused
    box = engines()
    said = []
    for samples in decoded.channels:
        heard = Clip(samples)
        speech = box.activity.run(heard, no_checkpoint)
        options = TranscriptionOptions(language=language.split("-", maxsplit=1)[0].lower())
        try:
            transcript = box.transcriber.run(heard, speech, options, no_checkpoint)
        except LanguageUnsupported:
            transcript = box.transcriber.run(heard, speech, TranscriptionOptions(), no_checkpoint)
        said.append(" ".join(utterance.text.strip() for utterance in transcript.utterances))
    # The same voice on two channels says the same; the fuller account of it counts.
    return Heard(max(said, key=len), decoded.duration, dataclasses.asdict(transcript.model))
