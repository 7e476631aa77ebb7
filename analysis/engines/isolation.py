"""One person's voice on a channel that others share: which stretches are theirs beyond doubt.

What is kept is decided against the person: where a window of speech does not match their template clearly enough, or matches the
other voices almost as well, or touches a window that does not match, it is silenced. Much of what they said is lost at changes of
speaker; nothing of somebody else is to be kept. Whose template it is and whether it may be used, others know; the silencing itself
is in `masking`.

Embeddings, those of other voices included, live in this module's local variables and nowhere else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis.engines.clip import SAMPLE_RATE, Checkpoint, Clip, ModelIdentity, Stretch, no_checkpoint
from analysis.engines.voices import WINDOW, Embedding, VoiceEncoder

STEP: Final = 0.16
"""Seconds: how finely it is decided, and from one window to the next."""

_AT_ONCE: Final = 256
"""Windows between two checkpoints: 41 s of speech."""


@dataclass(frozen=True, slots=True)
class IsolationOptions:
    """How sure it must be. What the defaults leave of anybody else in mixed readings is in `docs/hearing.md`."""

    threshold: float = 0.82
    """Least similarity of a whole window (1.6 s) to the template."""
    short_threshold: float = 0.6
    """Least similarity of a short window (0.64 s): it is less sure of anything, but shows a word put in."""
    margin: float = 0.05
    """By which every whole window must be more similar to the template than to any other voice on the channel."""
    short_margin: float = 0.0
    """The same for short windows."""
    edge: float = 0.32
    """Seconds given up where a kept stretch ends inside speech."""
    shortest: float = 0.8
    """Seconds; shorter kept stretches are silenced too."""
    another: float = 0.6
    """Similarity below which a window is taken for another voice."""
    alike: float = 0.8
    """Similarity from which two such windows count as of one voice."""


SHORT: Final = 64 * 160
"""Samples of a short window: 0.64 s."""


@dataclass(frozen=True, slots=True)
class Isolation:
    """What of a channel is the person's: stretches in order, none over another; everything else is silenced. `similarity` is the
    median over the windows inside them, 0.0 to 1.0; None where nothing was kept."""

    stretches: tuple[Stretch, ...]
    similarity: float | None
    options: IsolationOptions
    model: ModelIdentity

    @property
    def seconds(self) -> float:
        return sum(stretch.duration for stretch in self.stretches)

    def as_json(self) -> dict[str, Any]:
        """For the results that were made from it. Holds no embedding."""
        return {
            "stretches": [{"start": round(one.start, 3), "end": round(one.end, 3)} for one in self.stretches],
            "seconds": round(self.seconds, 3),
            "similarity": None if self.similarity is None else round(self.similarity, 3),
            "threshold": self.options.threshold,
            "margin": self.options.margin,
            "voice_model": {"name": self.model.name, "version": self.model.version, "digest": self.model.digest},
        }


def isolate(
    clip: Clip,
    speech: Sequence[Stretch],
    template: Embedding,
    encoder: VoiceEncoder,
    checkpoint: Checkpoint = no_checkpoint,
    *,
    options: IsolationOptions | None = None,
) -> Isolation:
    """The stretches of `speech` (voice activity, in order) in which nobody but the template's owner speaks, as far as can be told.

    Raises what `checkpoint` raises.
    """
    options = options or IsolationOptions()
    spoken = _spoken(clip, speech)
    long = _Windows(clip, spoken, encoder, WINDOW, lambda done: checkpoint(done / 2))
    short = _Windows(clip, spoken, encoder, SHORT, lambda done: checkpoint(0.5 + done / 2))
    others = _other_voices(long, template, options)
    theirs = (
        spoken
        & long.agree(long.matches(template, others, options.threshold, options.margin), len(spoken))
        & short.agree(short.matches(template, others, options.short_threshold, options.short_margin), len(spoken))
    )
    kept = tuple(_stretches(theirs, spoken, clip.duration, options))
    return Isolation(kept, long.similarity_within(theirs, template), options, encoder.identity)


class _Windows:
    """Windows of one length over the steps of a clip, and the embedding of each that is at least half speech."""

    def __init__(
        self, clip: Clip, spoken: NDArray[np.bool_], encoder: VoiceEncoder, length: int, checkpoint: Checkpoint
    ) -> None:
        self._steps = round(length / SAMPLE_RATE / STEP)
        voiced = np.concatenate([[0], np.cumsum(spoken)])
        last = max(1, len(spoken) - self._steps + 1)
        ends = np.minimum(np.arange(last) + self._steps, len(spoken))
        self._starts = np.flatnonzero(voiced[ends] - voiced[:last] >= self._steps / 2)
        found = [np.zeros((0, 256), np.float32)]
        for first in range(0, len(self._starts), _AT_ONCE):
            begins = self._starts[first : first + _AT_ONCE]
            # Only the stretch that these windows lie in is transformed.
            low = _sample(int(begins[0]))
            part = clip.samples[low : _sample(int(begins[-1])) + length]
            found.append(encoder.embed_windows(part, [_sample(int(begin)) - low for begin in begins], length))
            checkpoint(min(1.0, (first + _AT_ONCE) / len(self._starts)))
        self.embeddings = np.concatenate(found)

    def matches(
        self, template: Embedding, others: Sequence[Embedding], threshold: float, margin: float
    ) -> NDArray[np.bool_]:
        """Which windows are as similar to the template as `threshold`, and by `margin` more than to any other voice."""
        similar = self.embeddings @ template
        good: NDArray[np.bool_] = similar >= threshold
        for other in others:
            good &= similar - self.embeddings @ other >= margin
        return good

    def agree(self, good: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
        """The steps on which a window lies, and no window that is not good."""
        asked, bad = np.zeros(steps + 1, np.int64), np.zeros(steps + 1, np.int64)
        for starts, counted in ((self._starts, asked), (self._starts[~good], bad)):
            np.add.at(counted, starts, 1)
            np.add.at(counted, np.minimum(starts + self._steps, steps), -1)
        agreed: NDArray[np.bool_] = (np.cumsum(asked)[:steps] > 0) & (np.cumsum(bad)[:steps] == 0)
        return agreed

    def similarity_within(self, theirs: NDArray[np.bool_], template: Embedding) -> float | None:
        """The median over windows whose middle is one of these steps."""
        middles = np.minimum(self._starts + self._steps // 2, len(theirs) - 1)
        inside = self.embeddings[theirs[middles]] if len(middles) else self.embeddings
        return float(np.clip(np.median(inside @ template), 0.0, 1.0)) if len(inside) else None


def _other_voices(windows: _Windows, template: Embedding, options: IsolationOptions) -> list[Embedding]:
    """One embedding for each voice that is clearly not the template's: windows gathered around the first that stands apart."""
    rest = windows.embeddings[windows.embeddings @ template < options.another]
    voices: list[Embedding] = []
    while len(rest):
        near = rest @ rest[0] >= options.alike
        centre = rest[near].mean(axis=0)
        voices.append(np.asarray(centre / max(float(np.linalg.norm(centre)), 1e-6), dtype=np.float32))
        rest = rest[~near]
    return voices


def _spoken(clip: Clip, speech: Sequence[Stretch]) -> NDArray[np.bool_]:
    """For each step of the clip, whether there is speech in it."""
    found = np.zeros(int(np.ceil(clip.duration / STEP)), np.bool_)
    for stretch in speech:
        found[int(stretch.start / STEP) : int(np.ceil(stretch.end / STEP))] = True
    return found


def _stretches(
    theirs: NDArray[np.bool_], spoken: NDArray[np.bool_], duration: float, options: IsolationOptions
) -> Iterator[Stretch]:
    """Runs of steps as seconds, shorter by the edge wherever speech goes on beyond them."""
    changes = np.flatnonzero(np.diff(np.concatenate([[False], theirs, [False]]).astype(np.int8)))
    for first, after in zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True):
        start = first * STEP + (options.edge if first and spoken[first - 1] else 0.0)
        end = after * STEP - (options.edge if after < len(spoken) and spoken[after] else 0.0)
        end = min(end, duration)
        if end - start >= options.shortest:
            yield Stretch(start, end)


def _sample(step: int) -> int:
    return round(step * STEP * SAMPLE_RATE)
