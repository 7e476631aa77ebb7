"""Sealing a recording's audio again to be kept: under the keys of those it is kept for, without the channels of the others."""

from collections.abc import Iterator, Sequence

from analysis import rendition
from analysis.audio import find_blob, kept_context, kept_keys
from analysis.engines.clip import Checkpoint, Samples
from analysis.models import Recording
from analysis.plan import Keeping
from analysis.submission import audio_context
from consent.gate import Permit
from consent.vocabulary import Scope
from vault import sealing
from vault.codes import new_code
from vault.keys import KeyName
from vault.models import SealedBlob


def keep_audio(
    recording: Recording, permit: Permit, keeping: Keeping, channels: Sequence[Samples], checkpoint: Checkpoint
) -> SealedBlob:
    """Seals the audio again under the keys of those it is kept for; the caller saves the blob's row with the recording.

    As uploaded where nobody is left out; otherwise the decoded channels, without those that are to be silent.
    """
    subjects = tuple(sorted(person.subject for person in keeping.people))
    for subject in subjects:
        permit.require_pair(subject, Scope.AUDIO_STORE)
    organization = recording.project.organization.code
    pieces = rendition.wav(channels, keeping.silent) if keeping.silent else _as_uploaded(recording, organization)
    size = len(channels) * len(channels[0]) * 2 if keeping.silent else max(1, recording.size or 1)
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


def _as_uploaded(recording: Recording, organization: str) -> Iterator[bytes]:
    waiting = find_blob(recording.waiting_audio)
    return sealing.open_stream(
        audio_context(organization, recording.code, waiting.code), [KeyName.work(organization, recording.code)], waiting
    )
