"""Points on a job's way at which something happens in tests: each patches the pipeline so that the act is done there."""

from collections.abc import Callable
from typing import Any

import pytest

from analysis import audio, identifying, keeping, pipeline
from analysis.states import Stage

Act = Callable[[], None]
Point = Callable[[pytest.MonkeyPatch, Act], None]
Original = Callable[..., Any]
"""What is patched: it is called with whatever the pipeline gives."""


def before_claim(patch: pytest.MonkeyPatch, act: Act) -> None:
    act()


def while_decoding(patch: pytest.MonkeyPatch, act: Act) -> None:
    original: Original = audio.open_audio

    def opening(*args: object, **kwargs: object) -> object:
        act()
        return original(*args, **kwargs)

    patch.setattr(pipeline, "open_audio", opening)


def once_told_apart(patch: pytest.MonkeyPatch, act: Act) -> None:
    original: Original = identifying.tell_apart

    def telling(*args: object) -> object:
        found = original(*args)
        act()
        return found

    patch.setattr(pipeline, "tell_apart", telling)


def between_engines(patch: pytest.MonkeyPatch, act: Act) -> None:
    original = pipeline.Watch.checkpoint

    def checkpoint(self: pipeline.Watch, stage: Stage, start: float, end: float) -> object:
        if stage is Stage.PROSODY:
            act()
        return original(self, stage, start, end)

    patch.setattr(pipeline.Watch, "checkpoint", checkpoint)


def before_keeping(patch: pytest.MonkeyPatch, act: Act) -> None:
    """It is decided how the audio is to be kept, and not yet sealed."""
    original: Original = keeping.keep_audio

    def keep(*args: object, **kwargs: object) -> object:
        act()
        return original(*args, **kwargs)

    patch.setattr(pipeline, "keep_audio", keep)


def once_kept(patch: pytest.MonkeyPatch, act: Act) -> None:
    """The audio that is to be kept lies sealed on the disk, and nothing of it is committed."""
    original: Original = keeping.keep_audio

    def keep(*args: object, **kwargs: object) -> object:
        blob = original(*args, **kwargs)
        act()
        return blob

    patch.setattr(pipeline, "keep_audio", keep)


def before_commit(patch: pytest.MonkeyPatch, act: Act) -> None:
    original: Original = pipeline._commit

    def commit(*args: object) -> None:
        act()
        original(*args)

    patch.setattr(pipeline, "_commit", commit)
