"""What this room asks of the rooms above it; `voxgov/wiring.py` plugs it in at start."""

from typing import Protocol

from consent.evidence import EvidencePermit, Heard
from vault.plugs import Plug
from vault.sealing import RangeReader


class StatementTranscriber(Protocol):
    """Hears a spoken statement, in a worker that has the models."""

    def __call__(self, permit: EvidencePermit, clip: RangeReader, language: str) -> Heard:
        """`language` is the notice's BCP 47 tag. Raises `StatementNotHeard` for a clip that cannot be decoded or is longer than the
        permit allows; anything else is tried again."""
        ...


statement_transcriber: Plug[StatementTranscriber] = Plug("consent.StatementTranscriber")
