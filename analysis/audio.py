"""The audio of a recording at rest: opening it by range for the decoder, and keeping it under its participants' keys.

Waiting audio lies under the work key; kept audio under every participant's `audio.store` key, so that each of them can end it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analysis import deletion, rendition
from analysis.engines.clip import Checkpoint, Samples
from analysis.errors import AudioGone
from analysis.models import Recording
from analysis.plan import Keeping
from analysis.submission import audio_context
from consent.gate import Permit
from consent.vocabulary import Scope
from vault import sealing
from vault.codes import new_code
from vault.context import Context
from vault.keys import KeyName
from vault.models import SealedBlob
from vault.sealing import RangeReader


@dataclass(frozen=True, slots=True)
class WaitingAudio:
    """A recording's audio, readable by range, and the commitment that results name as their input."""

    source: RangeReader
    commitment: str


def open_audio(recording: Recording, permit: Permit) -> WaitingAudio:
    """Opens the audio for whoever holds a Permit on this recording. Raises `AudioGone`, vault errors."""
    recording.refresh_from_db()
    organization = recording.project.organization.code
    if recording.waiting_audio:
        blob = _blob(recording.waiting_audio)
        context = audio_context(organization, recording.code, blob.code)
        keys = [KeyName.work(organization, recording.code)]
    elif recording.kept_audio:
        blob = _blob(recording.kept_audio)
        subjects = _kept_for(recording)
        for subject in subjects:
            permit.require_pair(subject, Scope.AUDIO_STORE)
        if deletion.is_kept_audio_doomed(recording):
            raise AudioGone("the audio of this recording is ordered destroyed")
        context = kept_context(organization, subjects, recording.code, blob.code)
        keys = kept_keys(organization, subjects)
    else:
        raise AudioGone("the audio of this recording is not here")
    return WaitingAudio(source=sealing.open_range(context, keys, blob), commitment=blob.sha256)


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
    waiting = _blob(recording.waiting_audio)
    return sealing.open_stream(
        audio_context(organization, recording.code, waiting.code), [KeyName.work(organization, recording.code)], waiting
    )


def kept_context(organization: str, subjects: tuple[str, ...], recording: str, blob: str) -> Context:
    return Context(
        organization=organization,
        subjects=subjects,
        scope=Scope.AUDIO_STORE.value,
        kind="recording",
        field=recording,
        object_code=blob,
    )


def kept_keys(organization: str, subjects: tuple[str, ...]) -> list[KeyName]:
    return [KeyName.subject(organization, subject, Scope.AUDIO_STORE.value) for subject in subjects]


def _kept_for(recording: Recording) -> tuple[str, ...]:
    """Whose keys the kept audio needs: everyone's in the recording but those whom it leaves out."""
    people = recording.participants.filter(in_kept_audio=True).select_related("subject")
    return tuple(sorted(person.subject.code for person in people))


def _blob(code: str) -> SealedBlob:
    blob: SealedBlob | None = SealedBlob.objects.filter(code=code).first()
    if blob is None:
        raise AudioGone("the audio of this recording is not here")
    return blob
