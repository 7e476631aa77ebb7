"""A real reading, redacted by what the real engine wrote: the engine hears no name in what is left, and the other words still."""

import wave
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings

from analysis.engines import transcription_choice
from analysis.engines.activity import SpeechActivity
from analysis.engines.clip import Clip, no_checkpoint
from analysis.engines.manifest import load_manifest
from analysis.engines.transcription import Transcriber, TranscriptionOptions
from analysis.redaction.blanking import Fill, Layout, blanked, stretches
from analysis.redaction.finding import find
from analysis.redaction.spans import DataType, Word

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def engine() -> Transcriber:
    return transcription_choice.load(load_manifest().model("whisper-base"), settings.VOXGOV_MODELS_DIR, threads=2)


def heard(engine: Transcriber, pcm: bytes) -> list[Word]:
    clip = Clip((np.frombuffer(pcm, dtype="<i2") / np.float32(32768)).astype(np.float32))
    transcript = engine.run(clip, SpeechActivity.load().run(clip, no_checkpoint), TranscriptionOptions(), no_checkpoint)
    return [Word(word.text, word.start, word.end) for one in transcript.utterances for word in one.words]


@pytest.mark.parametrize("fill", list(Fill))
def test_a_name_that_was_taken_out_cannot_be_heard_again(engine: Transcriber, data: Path, fill: Fill) -> None:
    with wave.open(str(data / "reading" / "sense_and_sensibility_0870-0890.wav")) as file:
        pcm = file.readframes(file.getnframes())
        layout = Layout(file.getnchannels(), file.getframerate(), file.getsampwidth())
    words = heard(engine, pcm)
    spans = find(words)
    assert [(span.type, words[span.words[-1]].text) for span in spans] == [(DataType.NAME, "Dashwood")]
    left = b"".join(blanked([pcm], layout, stretches(spans), fill))
    again = [word.text.lower().strip(".,") for word in heard(engine, left)]
    assert not {"dashwood", "john"} & set(again)
    outside = [w.text.lower().strip(".,") for at, w in enumerate(words) if not any(at in span.words for span in spans)]
    assert len(set(outside) & set(again)) >= 0.8 * len(set(outside))
