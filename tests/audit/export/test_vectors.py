"""The published bundles: they verify, and the writer still makes them byte for byte, whatever Python and Unicode it runs on."""

import json
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature

from audit.tlog import cosignatures, notes
from audit.tlog.cosignatures import Witness
from audit.verify.bundle import verify_bundle
from audit.verify.report import Result
from audit.verify.trust import Trust
from tests.audit.export import reference, vectors
from tests.audit.verify.mutations import MemoryContainer

PUBLISHED: dict[str, Any] = json.loads(vectors.VECTORS.read_text())


def test_the_writer_makes_the_published_bundles() -> None:
    assert vectors.made() == PUBLISHED


@pytest.mark.parametrize("vector", PUBLISHED["bundles"], ids=lambda vector: vector["name"])
def test_the_published_bundles_verify(vector: dict[str, Any]) -> None:
    files = MemoryContainer({name: text.encode() for name, text in vector["files"].items()})
    assert verify_bundle(files, Trust.parse([PUBLISHED["key"]])).result is Result.VERIFIED
    since = PUBLISHED["earlier_checkpoint"].encode()
    continued = verify_bundle(files, Trust.parse([PUBLISHED["key"]], since=since)).result is Result.VERIFIED
    assert continued == ("checkpoint.from" in vector["files"])


@pytest.mark.parametrize("vector", PUBLISHED["bundles"], ids=lambda vector: vector["name"])
def test_a_verifier_written_from_the_documentation_alone_agrees(vector: dict[str, Any]) -> None:
    files = {name: text.encode() for name, text in vector["files"].items()}
    reference.require_whole(files, PUBLISHED["key"])
    for name, content in files.items():
        with pytest.raises((AssertionError, InvalidSignature, ValueError)):
            reference.require_whole(files | {name: b"0" + content}, PUBLISHED["key"])


def test_the_published_cosignature_verifies() -> None:
    witness = Witness.parse(PUBLISHED["witness_key"])
    note = notes.parse(PUBLISHED["cosigned_checkpoint"].encode())
    assert [one.timestamp for one in cosignatures.cosignatures(note, [witness])] == [1_772_366_400]
