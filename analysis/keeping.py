"""Sealing a recording's audio again to be kept: under the keys of those it is kept for, without the voices of the others."""

from collections.abc import Iterator, Sequence

from analysis import rendition
from analysis.audio import find_blob, kept_context, kept_keys
from analysis.engines.clip import Checkpoint, Samples
from analysis.engines.masking import masked
from analysis.listening import mix
from analysis.models import Recording
from analysis.plan import Hearing, Keeping
from analysis.submission import audio_context
from consent.gate import Permit
from consent.vocabulary import Scope
from vault import sealing
from vault.codes import new_code
from vault.keys import KeyName
from vault.models import SealedBlob


def keep_audio(
    recording: Recording,
    permit: Permit,
    keeping: Keeping,
    channels: Sequence[Samples],
    checkpoint: Checkpoint,
    *,
    hearings: Sequence[Hearing],
) -> SealedBlob:
    """Seals the audio again under the keys of those it is kept for; the caller saves the blob's row with the recording.

    As uploaded where nobody is left out; otherwise the decoded channels, without those that are to be silent, and on those that are
    kept apart only what the `hearings` that were told apart say is theirs.
    """
    subjects = tuple(sorted(person.subject for person in keeping.people))
    for subject in subjects:
        permit.require_pair(subject, Scope.AUDIO_STORE)
        if keeping.apart:
            permit.require_pair(subject, Scope.IDENTIFY)
    organization = recording.project.organization.code
    if keeping.as_uploaded:
        pieces = _as_uploaded(recording, organization)
        size = max(1, recording.size or 1)
    else:
        pieces = rendition.wav(_apart(channels, keeping, hearings), keeping.silent)
        size = len(channels) * len(channels[0]) * 2
    code = new_code()
    done = 0
    with sealing.seal_stream(
        kept_context(organization, subjects, recording.code, code), kept_keys(organization, subjects), code=code
    ) as writer:
        for piece in pieces:
            writer.write(piece)
            done += len(piece)
            checkpoint(min(1.0, done / size))
        return writer.finish()


def _apart(channels: Sequence[Samples], keeping: Keeping, hearings: Sequence[Hearing]) -> list[Samples]:
    """The channels; in place of those to be kept apart what was heard of them, and of that only the stretches that were told apart
    under `audio.store`. What was heard is the mix: a voice that is faint in it, or cancels out, may be loud on one channel."""
    found = list(channels)
    for channel in sorted(keeping.apart):
        told = [
            (hearing.channels, hearing.only)
            for hearing in hearings
            if channel in hearing.channels and hearing.only is not None and Scope.AUDIO_STORE in hearing.scopes
        ]
        stretches = [stretch for _, only in told for stretch in only.stretches]
        heard = mix(channels, told[0][0]) if told else channels[channel]
        found[channel] = masked(heard, stretches)
    return found


def _as_uploaded(recording: Recording, organization: str) -> Iterator[bytes]:
    waiting = find_blob(recording.waiting_audio)
    return sealing.open_stream(
        audio_context(organization, recording.code, waiting.code), [KeyName.work(organization, recording.code)], waiting
    )
