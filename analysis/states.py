"""The states of recordings and jobs, and the stages that a running job reports. No Django here."""

from enum import StrEnum


class RecordingState(StrEnum):
    """`CLOSED`: somebody in it was erased; no audio and no job any more, the others' results stay readable."""

    AWAITING_AUDIO = "awaiting_audio"
    RECEIVING = "receiving"
    COMPLETE = "complete"
    CLOSED = "closed"
    DELETED = "deleted"


class AnalysisState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DENIED = "denied"


UNFINISHED = frozenset({AnalysisState.QUEUED, AnalysisState.RUNNING})


class Stage(StrEnum):
    WAITING = "waiting"
    DECODING = "decoding"
    LISTENING = "listening"
    TRANSCRIBING = "transcribing"
    SOUNDS = "sounds"
    PROSODY = "prosody"
    EXPRESSION = "expression"
    COMMITTING = "committing"
    FINISHED = "finished"
