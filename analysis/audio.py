"""The audio of a recording at rest: opening it by range, for the decoder and for whoever reads what is kept. `keeping` seals it.

Waiting audio lies under the work key; kept audio under every participant's `audio.store` key, so that each of them can end it.
"""

from dataclasses import dataclass

from analysis import deletion
from analysis.errors import AudioGone
from analysis.models import Recording
from analysis.submission import audio_context
from consent.gate import Permit
from consent.vocabulary import Scope
from vault import sealing
from vault.context import Context
from vault.keys import KeyName
from vault.models import SealedBlob
from vault.sealing import RangeReader


@dataclass(frozen=True, slots=True)
class WaitingAudio:
    """A recording's audio, readable by range, and the commitment that results name as their input. Of what was kept: the subjects
    whose voice was left out of it, and the scopes besides `audio.store` that it was made under."""

    source: RangeReader
    commitment: str
    left_out: frozenset[str] = frozenset()
    besides: frozenset[Scope] = frozenset()


def open_audio(recording: Recording, permit: Permit) -> WaitingAudio:
    """Opens the audio for whoever holds a Permit on this recording. Raises `AudioGone`, vault errors."""
    recording.refresh_from_db()
    if not recording.waiting_audio:
        return open_kept_audio(recording, permit)
    organization = recording.project.organization.code
    blob = find_blob(recording.waiting_audio)
    context = audio_context(organization, recording.code, blob.code)
    keys = [KeyName.work(organization, recording.code)]
    return WaitingAudio(source=sealing.open_range(context, keys, blob), commitment=blob.sha256)


def open_kept_audio(recording: Recording, permit: Permit) -> WaitingAudio:
    """Opens what is kept under `audio.store`. Raises `AudioGone`, `BeyondPermit`, vault errors."""
    if not recording.kept_audio:
        raise AudioGone("the audio of this recording is not here")
    organization = recording.project.organization.code
    blob = find_blob(recording.kept_audio)
    subjects = _kept_for(recording)
    for subject in subjects:
        for scope in recording.kept_scopes:
            permit.require_pair(subject, scope)
    if deletion.is_kept_audio_doomed(recording):
        raise AudioGone("the audio of this recording is ordered destroyed")
    context = kept_context(organization, subjects, recording.code, blob.code)
    keys = kept_keys(organization, subjects)
    left_out = recording.participants.filter(in_kept_audio=False).values_list("subject__code", flat=True)
    return WaitingAudio(
        source=sealing.open_range(context, keys, blob),
        commitment=blob.sha256,
        left_out=frozenset(left_out),
        besides=frozenset(recording.kept_scopes) - {Scope.AUDIO_STORE},
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


def find_blob(code: str) -> SealedBlob:
    blob: SealedBlob | None = SealedBlob.objects.filter(code=code).first()
    if blob is None:
        raise AudioGone("the audio of this recording is not here")
    return blob
