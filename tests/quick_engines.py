"""A decoder and engines that take no time, for tests of what surrounds them: hundreds of jobs under changing consent, where real
ones would take minutes. `tests/analysis/test_quick_engines.py` runs them and the real ones through the same cases.

Audio for them is made by `quick_audio`; it is opened from its sealed file all the same, and consent is checked at every stage.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import pytest

from analysis import decode, pipeline
from analysis.decode import DecodedAudio
from analysis.engines.clip import Checkpoint, ModelIdentity, Samples
from analysis.listening import Checkpoints, Finding
from analysis.plan import Hearing
from analysis.states import Stage
from consent.vocabulary import Scope
from vault.sealing import RangeReader

_MAGIC: Final = b"quick audio, channels: "
_MODEL: Final = ModelIdentity("quick", "1", "0" * 64, "Apache-2.0", "open", False)
_STAGES: Final = {
    Scope.DIARIZE: Stage.LISTENING,
    Scope.TRANSCRIBE: Stage.TRANSCRIBING,
    Scope.LANGUAGE: Stage.TRANSCRIBING,
    Scope.NONVERBAL: Stage.SOUNDS,
    Scope.PROSODY: Stage.PROSODY,
    Scope.EMOTION: Stage.EXPRESSION,
}

_ALONE: Final[frozenset[Scope]] = frozenset()
_WITH_WORDS: Final = frozenset({Scope.TRANSCRIBE})
_FOUND: Final = {
    **dict.fromkeys((Scope.DIARIZE, Scope.TRANSCRIBE, Scope.LANGUAGE, Scope.NONVERBAL), (_ALONE,)),
    Scope.PROSODY: (_ALONE, _WITH_WORDS),
    Scope.EMOTION: (_ALONE, _ALONE, _WITH_WORDS),
}
"""What else each finding of a scope rests on: what is found beside the words is a finding of its own."""


def quick_audio(channels: int = 1) -> bytes:
    return _MAGIC + str(channels).encode()


class QuickDecoder:
    """Reads from the sealed file how many channels there are; each holds a tenth of a second of nothing."""

    def decode(self, source: RangeReader, *, checkpoint: Checkpoint) -> DecodedAudio:
        said = source.read(0, source.size)
        assert said.startswith(_MAGIC)
        checkpoint(1.0)
        count = int(said.removeprefix(_MAGIC))
        silence = np.zeros(1600, dtype=np.float32)
        return DecodedAudio((silence,) * count, "wav", "pcm_s16le", 16_000, count, 0.1, 0.0, False)


def listen(channels: Sequence[Samples], hearings: Sequence[Hearing], checkpoints: Checkpoints) -> list[Finding]:
    """A finding for each hearing and each scope that it permits and an engine answers, in the real order."""
    found = []
    for hearing in hearings:
        assert all(channel < len(channels) for channel in hearing.channels)
        for scope, stage in _STAGES.items():
            if scope in hearing.scopes:
                checkpoints(stage, 0.1, 0.9)(1.0)
                for also in _FOUND[scope]:
                    if also <= hearing.scopes:
                        found.append(Finding(hearing, scope, frozenset({scope}) | also, {"heard": scope.value}, _MODEL))
    return found


@contextmanager
def quick_engines(pause: Callable[[], None] = lambda: None) -> Iterator[None]:
    """The pipeline of this process with these instead of the real ones; `pause` is called before each job is listened to."""

    def listen_after_a_pause(*heard: Any) -> list[Finding]:
        pause()
        return listen(*heard)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "server", QuickDecoder)
        patch.setattr(pipeline, "listen", listen_after_a_pause)
        yield
