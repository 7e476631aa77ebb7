"""Nonverbal sounds by YAMNet: where the network looks, what is done to the sound before, and the threshold of each sound.

Four things differ from plain YAMNet, because short and soft sounds matter here; what they gain is printed by
`python -m pytest -s tests/analysis/engines/test_nonverbal.py`. Steady noise is subtracted from the spectrum (Boll 1979). Each patch
is brought to one level before the logarithm (the network was trained on quieter sound than a close microphone gives).
Patches stand every 0.24 s instead of 0.48 s, and every 0.06 s where something was heard, so that a short sound is met at its
best place. And each sound has its own threshold, since "Speech" outweighs everything that happens beside it. For context the
network hears the sound as it is: what is steady is what context is about.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.engines.clip import SAMPLE_RATE, Checkpoint, Clip, ModelIdentity, Samples
from analysis.engines.sound_events import DIGITAL_SILENCE, QUIET_SHARE, TINY, Grid, events, levels, stretches
from analysis.engines.sounds import RULES, SURROUNDINGS, NonverbalEvents, Sound, Surrounding, columns
from analysis.engines.yamnet import (
    FRAME_SAMPLES,
    PATCH_FRAMES,
    PATCH_SAMPLES,
    WINDOW_SAMPLES,
    Yamnet,
    YamnetUnloadable,
)

THRESHOLDS: Final[Mapping[Sound, float]] = {
    Sound.LAUGHTER: 0.20,
    Sound.GIGGLE: 0.20,
    Sound.CRYING: 0.30,
    Sound.SIGH: 0.70,
    Sound.GASP: 0.70,
    Sound.BREATHING: 0.40,
    Sound.COUGH: 0.30,
    Sound.THROAT_CLEARING: 0.15,
    Sound.SNEEZE: 0.70,
    Sound.SNIFF: 0.20,
    Sound.GROAN: 0.85,
    Sound.SCREAM: 0.20,
    Sound.WHISPER: 0.20,
    Sound.APPLAUSE: 0.20,
}
"""Of every sound that YAMNet tells from others. Its class "Wail, moan" does not: coughs, sneezes and screams reach 0.6 in it."""
RIVALRY: Final[Mapping[Sound, float]] = {
    **THRESHOLDS,
    Sound.COUGH: 0.65,
    Sound.BREATHING: 0.20,
    Sound.GASP: 0.80,
    Sound.SNEEZE: 0.35,
}
"""Scores that weigh the same where sounds of one family compete. YAMNet calls panting a gasp rather than breathing, and a throat
that is cleared a cough."""
CONTEXT_THRESHOLDS: Final[Mapping[Surrounding, float]] = {Surrounding.MUSIC: 0.50, Surrounding.BACKGROUND: 0.20}
"""Clean speech stays at 0.09 and 0.02 in them."""

_FINE = 6
"""Frames from one place to the next where something was heard: 0.06 s."""
_COARSE = 4
"""Elsewhere only every fourth of these places is looked at: every 0.24 s."""
_CONTEXT = 16
"""For context every sixteenth: every 0.96 s, so that patches just touch."""
_PLACE_SECONDS = _FINE * FRAME_SAMPLES / SAMPLE_RATE
_PATCH_SECONDS = PATCH_FRAMES * FRAME_SAMPLES / SAMPLE_RATE
_MARGIN = PATCH_FRAMES // 2 * FRAME_SAMPLES
"""Samples of silence put before and after the clip, so that sounds at its edges are seen whole."""
_GRID = Grid(_PLACE_SECONDS, _PATCH_SECONDS, _MARGIN / SAMPLE_RATE)
_CONTEXT_GRID = Grid(_CONTEXT * _PLACE_SECONDS, _PATCH_SECONDS, _MARGIN / SAMPLE_RATE)
_SHORTEST_CONTEXT = 2.0
"""Seconds. What is shorter is a noise and not what surrounds somebody."""
_BATCH_PLACES = 480
"""Places per batch: 28.8 s of audio between two calls of the checkpoint."""

_HEARD = 0.25
"""A place whose score reaches this part of the threshold is looked at closely, together with its neighbours."""

_LEVEL = -20.0
"""dBFS that the loudest frame of each patch is brought to."""
_MOST_GAIN, _LEAST_GAIN = 20.0, -30.0
"""dB."""
_SILENCE = -60.0
"""dBFS. A patch without a frame this loud is not amplified: what is in it is noise."""

_QUIET = 30.0
"""dB that the room must lie below the loudest frame."""
_QUIET_FRAMES = 20
"""Fewer of them (0.2 s) are not enough to know the room by."""
_SUBTRACTED = 2.0
"""How often the mean magnitude of the room is taken off each mel band."""


class NonverbalDetector:
    """The engine. One may serve many clips, one after another or side by side."""

    def __init__(self, network: Yamnet, identity: ModelIdentity) -> None:
        wanted = [name for rule in RULES for name in rule.classes]
        wanted += [name for names in SURROUNDINGS.values() for name in names]
        if missing := set(wanted) - set(network.class_names):
            raise YamnetUnloadable(f"YAMNet's class map lacks {', '.join(sorted(missing))}")
        self._network = network
        chosen = [*THRESHOLDS.items(), *CONTEXT_THRESHOLDS.items()]
        thresholds = {f"threshold {name}": value for name, value in chosen}
        thresholds |= {f"rivalry {name}": value for name, value in RIVALRY.items() if value != THRESHOLDS[name]}
        self._identity = identity.ran_with(place_seconds=_PLACE_SECONDS, **thresholds)
        self._columns = {
            rule.sound: columns(rule.classes, network.class_names) for rule in RULES if rule.sound in THRESHOLDS
        }
        self._surroundings = {name: columns(each, network.class_names) for name, each in SURROUNDINGS.items()}
        self._thresholds = np.array([THRESHOLDS[sound] for sound in self._columns])

    @classmethod
    def load(cls, directory: Path, identity: ModelIdentity) -> "NonverbalDetector":
        """Loads YAMNet's checkpoint and class map from `directory`.

        Raises:
            YamnetUnloadable: they are missing, damaged, or do not belong together.
        """
        return cls(Yamnet.load(directory), identity)

    def run(self, clip: Clip, checkpoint: Checkpoint) -> NonverbalEvents:
        """The sounds in `clip`; at most thirty seconds of audio are looked at between two calls of `checkpoint`."""
        if not len(clip.samples):
            checkpoint(1.0)
            return NonverbalEvents((), (), self._identity)
        padded = np.pad(clip.samples, (_MARGIN, _MARGIN + PATCH_SAMPLES))
        batches = list(self._batches(padded, checkpoint))
        scores = np.concatenate([sounds for sounds, _ in batches])
        around = np.concatenate([surroundings for _, surroundings in batches])
        return NonverbalEvents(
            events(
                dict(zip(self._columns, scores.T, strict=True)),
                THRESHOLDS,
                levels(padded),
                _GRID,
                clip.duration,
                rivalry=RIVALRY,
            ),
            stretches(
                dict(zip(self._surroundings, around.T, strict=True)),
                CONTEXT_THRESHOLDS,
                _CONTEXT_GRID,
                clip.duration,
                _SHORTEST_CONTEXT,
            ),
            self._identity,
        )

    def _batches(
        self, padded: Samples, checkpoint: Checkpoint
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Scores of sounds (places, sounds), 0.0 at places not looked at, and of context (every sixteenth place, 2)."""
        places = (len(padded) - PATCH_SAMPLES) // (_FINE * FRAME_SAMPLES) + 1
        for first in range(0, places, _BATCH_PLACES):
            count = min(_BATCH_PLACES, places - first)
            start = first * _FINE * FRAME_SAMPLES
            end = start + (count - 1) * _FINE * FRAME_SAMPLES + PATCH_SAMPLES
            spectrum = self._network.mel_magnitudes(padded[start:end])
            yield self._sounds(padded[start:end], spectrum, count), self._context(spectrum)
            checkpoint((first + count) / places)

    @torch.inference_mode()
    def _sounds(self, samples: Samples, spectrum: Tensor, places: int) -> NDArray[np.float32]:
        """Coarsely, then closely where something was heard."""
        frames = torch.from_numpy(samples).unfold(0, WINDOW_SAMPLES, FRAME_SAMPLES)
        heard = 10 * torch.log10(frames.square().mean(dim=1) + TINY)
        loudest = heard.unfold(0, PATCH_FRAMES, _FINE).amax(dim=1)
        gain = (_LEVEL - loudest).clamp(_LEAST_GAIN, _MOST_GAIN) * (loudest > _SILENCE)
        patches = _without_room(spectrum, heard).unfold(0, PATCH_FRAMES, _FINE).transpose(1, 2)

        def look(where: NDArray[np.intp]) -> NDArray[np.float32]:
            chosen = torch.from_numpy(where)
            scored = self._network.scores(patches[chosen] * (10 ** (gain[chosen] / 20))[:, None, None])
            return np.stack([scored[:, each].max(axis=1) for each in self._columns.values()], axis=1)

        scores = np.zeros((places, len(self._columns)), np.float32)
        coarse = np.arange(0, places, _COARSE)
        scores[coarse] = look(coarse)
        near = np.convolve((scores >= _HEARD * self._thresholds).any(axis=1), np.ones(2 * _COARSE + 1), mode="same")
        near = near[:places] > 0
        near[coarse] = False
        closely = np.flatnonzero(near)
        if len(closely):
            scores[closely] = look(closely)
        return scores

    @torch.inference_mode()
    def _context(self, spectrum: Tensor) -> NDArray[np.float32]:
        scored = self._network.scores(spectrum.unfold(0, PATCH_FRAMES, _CONTEXT * _FINE).transpose(1, 2))
        return np.stack([scored[:, each].max(axis=1) for each in self._surroundings.values()], axis=1)


def _without_room(spectrum: Tensor, heard: Tensor) -> Tensor:
    """The mel magnitudes (frames, 64) less the steady noise that is heard while nobody makes a sound."""
    sounding = torch.nonzero(heard > DIGITAL_SILENCE).flatten()
    quiet = sounding[heard[sounding].argsort()[: int(QUIET_SHARE * len(sounding))]]
    if len(quiet) < _QUIET_FRAMES or heard[quiet].max() > heard.max() - _QUIET:
        return spectrum
    return (spectrum - _SUBTRACTED * spectrum[quiet].mean(dim=0)).clamp(min=0.0)
