"""What this room asks of the rooms above it; `voxgov/wiring.py` plugs it in at start."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from consent.evidence import EvidencePermit, Heard
from consent.verdicts import GateRequest
from vault.plugs import Plug
from vault.sealing import RangeReader


class StatementTranscriber(Protocol):
    """Hears a spoken statement, in a worker that has the models."""

    def __call__(self, permit: EvidencePermit, clip: RangeReader, language: str) -> Heard:
        """`language` is the notice's BCP 47 tag. Raises `StatementNotHeard` for a clip that cannot be decoded or is longer than the
        permit allows; anything else is tried again."""
        ...


statement_transcriber: Plug[StatementTranscriber] = Plug("consent.StatementTranscriber")


@dataclass(frozen=True, slots=True)
class Work:
    """Unfinished jobs that would be closed, and whether all of them were looked at."""

    closed: int
    complete: bool


class WorkCounter(Protocol):
    """Counts the unfinished jobs that a change of policy would close."""

    def __call__(
        self, project: int, purposes: Collection[str], would_close: Callable[[GateRequest], bool], at_most: int, /
    ) -> Work:
        """`would_close` is asked about the question that each job poses to the gate; `at_most` of them are."""
        ...


work_counter: Plug[WorkCounter] = Plug("consent.WorkCounter")


@dataclass(frozen=True, slots=True, order=True)
class ModelUse:
    """One model that made results which are held, under one scope."""

    scope: str
    name: str
    version: str
    digest: str
    licence: str
    validated: bool


@dataclass(frozen=True, slots=True)
class Use:
    """What is held under one purpose: the roles in which people spoke, and the models that heard them, each once, in order."""

    roles: tuple[str, ...] = ()
    models: tuple[ModelUse, ...] = ()


class UseReader(Protocol):
    """Says what a project's purposes were used for, for the record of processing."""

    def __call__(self, project: int, /) -> Mapping[str, Use]:
        """By code of the purpose; one that nothing is held under may be missing."""
        ...


use_reader: Plug[UseReader] = Plug("consent.UseReader")


class VoiceModel(Protocol):
    """Says by which model voices are told apart now."""

    def __call__(self) -> str:
        """The model's digest: SHA-256, hex."""
        ...


voice_model: Plug[VoiceModel] = Plug("consent.VoiceModel")
