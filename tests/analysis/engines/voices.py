"""Real voices for the tests: the reader of the LibriVox clips and three speakers of prompts, and conversations made from them."""

import random
from pathlib import Path

from analysis.engines.clip import Clip
from benchmarks.corpora.conversations import Conversation, conversation
from benchmarks.corpora.voices import Voices, read_voices
from tests.analysis.engines.signals import read


def real_voices(data: Path) -> dict[str, list[Clip]]:
    """Clips of 5 s and more by voice; four voices, two to four clips each."""
    readings = [read(path) for path in sorted((data / "librivox").glob("*.wav"))]
    voices = {name: list(clips) for name, clips in read_voices(data / "voices").items()}
    return {"reader": [clip for clip in readings if clip.duration >= 5.0], **voices}


def talk(voices: Voices, *names: str, seed: int = 1, seconds: float = 40.0) -> Conversation:
    """The same for the same seed."""
    return conversation({name: voices[name] for name in names}, random.Random(seed), seconds)
