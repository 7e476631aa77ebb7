"""Kept audio without personal data: the gate, the spans in the recording's transcripts, then the samples with a tone over them.

Only what is kept under `audio.store` is read, and only where every voice in it was transcribed and each of those transcripts may be
opened. A plain WAV file goes through as it lies, in flat memory. Anything else is decoded in the sandbox first, one recording at a
time and up to `LONGEST_DECODED`, because its samples lie in memory until the last of them is sent.
"""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Final, Self

from django.db import transaction

from analysis.audio import open_kept_audio
from analysis.errors import AudioGone, RecordingDeleted, RedactionImpossible, RedactionTooLong, RedactionUnavailable
from analysis.models import Recording, Result
from analysis.reading import OpenedResult, open_all
from analysis.redacting import find_in, require_transcribed
from analysis.redaction import waves
from analysis.redaction.blanking import Fill, Layout, blanked, stretches
from analysis.redaction.spans import Span
from analysis.states import AnalysisState, RecordingState
from analysis.submission import gate_request
from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import accesses, gate
from consent.errors import ConsentDenied
from consent.gate import Permit
from consent.vocabulary import Action, Scope
from vault.sealing import RangeReader

LONGEST_DECODED: Final = 2 * 3600.0
"""Seconds times channels of audio that is decoded to be redacted: 64 kB of memory each."""
SAME: Final = 0.05
"""Seconds by which a WAV file's length may differ from what was decoded, to be taken for what the engines heard."""

_decoding = threading.BoundedSemaphore(1)


class RedactedAudio:
    """A WAV file of `size` bytes, in pieces. Close it when it is not read to its end."""

    def __init__(self, layout: Layout, length: int, pieces: Iterator[bytes], done: Callable[[], None]) -> None:
        self._head = waves.header(layout, length)
        self._pad = bytes(length % 2)
        self._pieces = pieces
        self._done = done
        self._closed = False
        self._step = self._run()
        self.size = len(self._head) + length + len(self._pad)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._step)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._step.close()
            self._done()

    def _run(self) -> Generator[bytes, None, None]:
        yield self._head
        yield from self._pieces
        if self._pad:
            yield self._pad


def read_audio(recording: Recording, *, fill: Fill, actor: Actor) -> RedactedAudio:
    """Opens the recording's kept audio, redacted. That it was read is on the trail before the first byte leaves.

    Raises `ConsentDenied`, `AudioGone`, `RecordingDeleted`, `RedactionImpossible`, `RedactionTooLong`, `RedactionUnavailable`,
    vault errors; while it is iterated, vault errors, which end it.
    """
    if recording.state == RecordingState.DELETED:
        raise RecordingDeleted("the recording was deleted, and its audio with it")
    if not recording.kept_audio:
        raise AudioGone("the audio of this recording is not kept")
    denied: ConsentDenied | None = None
    with transaction.atomic():
        try:
            keeping = _require(recording, recording.kept_scopes, actor, partial=False)
            words = _require(recording, [Scope.TRANSCRIBE, *recording.kept_scopes[1:]], actor, partial=True)
        except ConsentDenied as denial:
            denied = denial
        else:
            _require_kept_for_all(recording, keeping)
            spans = _spans(recording, words)
            source = open_kept_audio(recording, keeping).source
            try:
                _record(recording, keeping, words, actor, fill)
            except BaseException:
                source.close()
                raise
    if denied is not None:
        raise denied
    try:
        return _redacted(recording, source, spans, fill)
    except BaseException:
        source.close()
        raise


def _require(recording: Recording, scopes: Sequence[Scope], actor: Actor, *, partial: bool) -> Permit:
    return gate.require(
        gate_request(recording, scopes, told_apart=True),
        action=Action.READ,
        actor=actor,
        object_code=recording.code,
        partial=partial,
        caller_commits=True,
    )


def _require_kept_for_all(recording: Recording, keeping: Permit) -> None:
    """Raises `AudioGone` where somebody who is in the kept audio no longer lets it be kept: it waits for its destruction."""
    within = recording.participants.filter(in_kept_audio=True).select_related("subject")
    if not all(keeping.allows(person.subject.code, scope) for person in within for scope in recording.kept_scopes):
        raise AudioGone("somebody who is heard in it no longer lets it be kept")


def _spans(recording: Recording, permit: Permit) -> list[Span]:
    """From every finished transcript of the recording; what was heard once and again counts each time."""
    if recording.channels is None:
        raise RedactionImpossible("nobody knows yet what is on the channels of this recording")
    rows = Result.objects.filter(
        analysis__recording=recording, analysis__state=AnalysisState.DONE.value, scope=Scope.TRANSCRIBE.value
    )
    opened: list[OpenedResult]
    opened, _ = open_all(list(rows.prefetch_related("participants__subject").order_by("id")), permit)
    require_transcribed(opened, _audible(recording, recording.channels))
    return [located.span for located in find_in(opened).spans]


def _audible(recording: Recording, channels: int) -> set[tuple[int, str]]:
    """Who may be heard on which channel of what is kept. Whoever was declared on a channel that is not there may be on any."""
    people = {
        person: person.subject.code
        for person in recording.participants.select_related("subject")
        if person.in_kept_audio
    }
    return {
        (channel, code)
        for person, code in people.items()
        for channel in range(channels)
        if person.channel in (None, channel) or person.channel >= channels
    }


def _redacted(recording: Recording, source: RangeReader, spans: list[Span], fill: Fill) -> RedactedAudio:
    plain = waves.parse(source)
    taken = stretches(spans)
    if plain is not None and _is_what_was_heard(plain, recording):
        pieces = blanked(plain.pieces(source), plain.layout, taken, fill)
        return RedactedAudio(plain.layout, plain.length, pieces, source.close)
    return _decoded(source, taken, fill)


def _is_what_was_heard(plain: waves.Wave, recording: Recording) -> bool:
    return plain.layout.channels == recording.channels and abs(plain.duration - (recording.duration or 0.0)) <= SAME


def _decoded(source: RangeReader, taken: list[tuple[float, float]], fill: Fill) -> RedactedAudio:
    # They bring numpy, which web processes do without until somebody asks for this.
    from analysis import decode, rendition  # noqa: PLC0415 (numpy)
    from analysis.engines.clip import SAMPLE_RATE  # noqa: PLC0415 (numpy)

    if not _decoding.acquire(blocking=False):
        raise RedactionUnavailable("another recording is being decoded to be redacted: come back later")
    try:
        limits = decode.DecodeLimits(max_channel_seconds=LONGEST_DECODED)
        channels = decode.server().decode(source, limits).channels
        layout = Layout(len(channels), SAMPLE_RATE, 2)
        pieces = blanked(rendition.frames(channels, ()), layout, taken, fill)
        audio = RedactedAudio(layout, len(channels[0]) * layout.frame, pieces, _decoding.release)
    except BaseException as error:
        _decoding.release()
        if isinstance(error, decode.MediaTooLong):
            raise RedactionTooLong("audio in this format is too long to be redacted while a client waits") from error
        if isinstance(error, decode.DecoderUnavailable):
            raise RedactionUnavailable("the audio cannot be decoded now: come back later") from error
        if isinstance(error, decode.MediaRefused):
            raise RedactionImpossible("the audio cannot be decoded to be redacted") from error
        raise
    source.close()
    return audio


def _record(recording: Recording, keeping: Permit, words: Permit, actor: Actor, fill: Fill) -> None:
    """Names whoever is heard in it: their words were opened, too, to find what is to be left out."""
    epochs = {**keeping.consent_epochs, **words.consent_epochs}
    within = recording.participants.filter(in_kept_audio=True).values_list("subject__code", flat=True)
    people = sorted(within)
    trail.record(
        EventName.AUDIO_READ,
        organization=keeping.organization,
        actor=actor,
        objects=[
            Reference(ObjectKind.RECORDING, recording.code),
            Reference(ObjectKind.DECISION, keeping.decision),
            Reference(ObjectKind.DECISION, words.decision),
            *[Reference(ObjectKind.SUBJECT, code, epochs[code]) for code in people],
        ],
        detail={
            "redacted": True,
            "fill": fill.value,
            accesses.OPENED: accesses.opened(people, {(code, Scope.AUDIO_STORE.value) for code in people}),
        },
    )
