"""YAMNet as it is published, for comparison: patches every 0.48 s, levels as they are, one threshold for every sound.

The sounds are those that our own engine reports on the same weights.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from analysis.engines.clip import SAMPLE_RATE, Clip
from analysis.engines.nonverbal import THRESHOLDS
from analysis.engines.sounds import RULES, SoundEvent, columns
from analysis.engines.yamnet import FRAME_SAMPLES, PATCH_FRAMES, Yamnet

THRESHOLD: Final = 0.25
"""Near the lowest of ours, which favours it where sounds are soft."""
_HOP: Final = PATCH_FRAMES // 2 * FRAME_SAMPLES / SAMPLE_RATE
_PATCH: Final = PATCH_FRAMES * FRAME_SAMPLES / SAMPLE_RATE


def events(network: Yamnet, clip: Clip) -> Sequence[SoundEvent]:
    """An event lasts as long as patches follow each other in which the class reaches the threshold."""
    scores = network.reference_scores(clip.samples)
    found: list[SoundEvent] = []
    for rule in RULES:
        if rule.sound not in THRESHOLDS:
            continue
        places = columns(rule.classes, network.class_names)
        each = scores[:, places].max(axis=1)
        patches = np.flatnonzero(each >= THRESHOLD)
        for run in np.split(patches, np.flatnonzero(np.diff(patches) > 1) + 1):
            if len(run):
                start, end = float(run[0]) * _HOP, min(clip.duration, float(run[-1]) * _HOP + _PATCH)
                found.append(SoundEvent(rule.sound, start, end, float(each[run].max())))
    return found
