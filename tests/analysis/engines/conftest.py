"""What tests of several engines hear with, loaded once for each module."""

import pytest

from analysis.engines import transcription_choice
from analysis.engines.activity import SpeechActivity
from analysis.engines.manifest import load_manifest
from analysis.engines.transcription import Transcriber
from benchmarks.raw_whisper import Spoken, librivox
from voxgov.environment import models_dir


def load(name: str) -> Transcriber:
    return transcription_choice.load(load_manifest().model(name), models_dir(), device="cpu", threads=2)


@pytest.fixture(scope="module")
def base() -> Transcriber:
    return load("whisper-base")


@pytest.fixture(scope="module")
def tiny() -> Transcriber:
    return load("whisper-tiny-en")


@pytest.fixture(scope="module")
def activity() -> SpeechActivity:
    return SpeechActivity.load()


@pytest.fixture(scope="module")
def readings() -> tuple[Spoken, ...]:
    return librivox()
