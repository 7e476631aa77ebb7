"""Sound as bad lines and rooms leave it: a telephone, and noise at a known distance below the speech."""

import av
import numpy as np
from numpy.typing import NDArray

from analysis.engines.clip import SAMPLE_RATE

Sound = NDArray[np.float64]
"""Shape (samples,) at `SAMPLE_RATE`, full scale is ±1.0."""


def telephone(sound: Sound) -> Sound:
    """8 kHz, 300 to 3,400 Hz with slopes as of a filter, an idle line's noise, G.711 mu-law, and back to 16 kHz."""
    hertz = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    passed = np.clip((hertz - 150) / 150, 0.0, 1.0) * np.clip((3_900 - hertz) / 500, 0.0, 1.0)
    narrow = np.fft.irfft(np.fft.rfft(sound) * np.sin(np.pi / 2 * passed), len(sound))[::2]
    narrow = narrow + white_noise(len(narrow), -65.0)
    coder, decoder = (av.CodecContext.create("pcm_mulaw", mode) for mode in ("w", "r"))
    for context in (coder, decoder):
        context.sample_rate, context.layout = 8_000, "mono"
    coder.format = av.AudioFormat("s16")
    frame = av.AudioFrame.from_ndarray(
        (narrow.clip(-1, 1) * 32_767).astype(np.int16)[None], format="s16", layout="mono"
    )
    frame.sample_rate = 8_000
    heard = [
        piece.to_ndarray()[0] / 32_768
        for packet in [*coder.encode(frame), *coder.encode(None)]
        for piece in decoder.decode(packet)
    ]
    received = np.concatenate(heard)
    return np.asarray(np.fft.irfft(2 * np.fft.rfft(received), 2 * len(received)))


def white_noise(samples: int, dbfs: float, seed: int = 1) -> Sound:
    return np.asarray(np.random.default_rng(seed).normal(0.0, 10 ** (dbfs / 20), samples))
