"""YAMNet in torch: from 16 kHz samples to the scores of 521 AudioSet classes per patch of 0.96 s.

The network, its features and its constants are those of the reference (tensorflow/models, research/audioset/yamnet,
Plakal and Ellis 2020: MobileNet v1 on log-mel patches, trained on AudioSet, Gemmeke et al. 2017); the weights come from
its TensorFlow checkpoint. Which classes matter to us, and what counts as an event, is decided in `nonverbal`.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from analysis.engines.clip import SAMPLE_RATE, Samples
from analysis.engines.yamnet_checkpoint import CheckpointUnreadable, Tensors, read_tensors

PATCH_FRAMES = 96
"""Frames that the network looks at in one go."""
FRAME_SAMPLES = 160
"""From one frame to the next: 10 ms."""
WINDOW_SAMPLES = 400
"""Samples under the Hann window of one frame: 25 ms."""
PATCH_SAMPLES = WINDOW_SAMPLES + (PATCH_FRAMES - 1) * FRAME_SAMPLES
"""Samples of one patch: 0.975 s."""
CLASSES = 521

_FFT = 512
_MEL_BANDS = 64
_MEL_LOW, _MEL_HIGH = 125.0, 7_500.0
_LOG_OFFSET = 0.001
_EPSILON = 1e-4
_PREFIX = "layer-1/layer/_func/_yamnet/layer_with_weights-"
_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
"""Of the thirteen depthwise convolutions, in order."""


class YamnetUnloadable(Exception):
    """The directory holds no YAMNet checkpoint and class map that belong together."""

    code: ClassVar[str] = "nonverbal_model_unloadable"


@dataclass(frozen=True, slots=True)
class _Layer:
    """A convolution with its batch normalization folded in: `weight` (out, in / groups, height, width), `bias` (out,)."""

    weight: Tensor
    bias: Tensor
    stride: int
    groups: int


class Yamnet:
    """The loaded network. It holds no state between calls; calls from several threads are allowed."""

    def __init__(self, layers: tuple[_Layer, ...], dense: tuple[Tensor, Tensor], class_names: tuple[str, ...]) -> None:
        self._layers = layers
        self._dense = dense
        self._window = torch.hann_window(WINDOW_SAMPLES, periodic=True)
        self._mel = torch.from_numpy(_mel_weights())
        self.class_names = class_names

    @classmethod
    def load(cls, directory: Path) -> "Yamnet":
        """Reads `variables.index`, `variables.data-00000-of-00001` and `yamnet_class_map.csv`.

        Raises:
            YamnetUnloadable: a file is missing or damaged, or a tensor is missing or has another shape.
        """
        try:
            tensors = read_tensors(directory / "variables.index", directory / "variables.data-00000-of-00001")
            with (directory / "yamnet_class_map.csv").open(newline="", encoding="utf-8") as rows:
                names = tuple(row["display_name"] for row in csv.DictReader(rows))
            layers = tuple(_layers(tensors))
            dense = (_tensor(tensors, "54/kernel"), _tensor(tensors, "54/bias"))
        except (CheckpointUnreadable, OSError, KeyError, ValueError) as problem:
            raise YamnetUnloadable(f"YAMNet cannot be loaded: {problem}") from problem
        if len(names) != CLASSES or dense[0].shape != (1024, CLASSES) or dense[1].shape != (CLASSES,):
            raise YamnetUnloadable("YAMNet's class map and weights do not belong together")
        return cls(layers, dense, names)

    @torch.inference_mode()
    def mel_magnitudes(self, samples: Samples) -> Tensor:
        """Magnitudes in 64 mel bands, float32 (frames, 64), proportional to the samples.

        Frame i covers samples 160 i to 160 i + 400; samples for one frame at least are needed.
        """
        frames = torch.from_numpy(samples).unfold(0, WINDOW_SAMPLES, FRAME_SAMPLES)
        magnitudes: Tensor = torch.fft.rfft(frames * self._window, n=_FFT).abs() @ self._mel
        return magnitudes

    @torch.inference_mode()
    def scores(self, patches: Tensor) -> NDArray[np.float32]:
        """Scores from 0.0 to 1.0, float32 (patches, 521), of patches of mel magnitudes (patches, 96, 64).

        The classes are not exclusive, and a score is no calibrated probability.
        """
        state = torch.log(patches + _LOG_OFFSET).unsqueeze(1).contiguous(memory_format=torch.channels_last)
        for layer in self._layers:
            if layer.weight.shape[-1] == 3:
                # TensorFlow's "same": what padding a stride of two needs on even sizes goes behind and below.
                state = nn.functional.pad(state, (0, 1, 0, 1) if layer.stride == 2 else (1, 1, 1, 1))
            state = nn.functional.conv2d(state, layer.weight, layer.bias, layer.stride, groups=layer.groups).relu_()
        kernel, bias = self._dense
        answer: NDArray[np.float32] = torch.sigmoid(state.mean(dim=(2, 3)) @ kernel + bias).numpy()
        return answer

    def reference_scores(self, samples: Samples) -> NDArray[np.float32]:
        """Scores as the reference places its patches: from the start, every 0.48 s, the end padded with silence."""
        hop = PATCH_FRAMES // 2 * FRAME_SAMPLES
        further = max(0, -(-(len(samples) - PATCH_SAMPLES) // hop))
        padded = np.pad(samples, (0, PATCH_SAMPLES + further * hop - len(samples)))
        patches = self.mel_magnitudes(padded).unfold(0, PATCH_FRAMES, PATCH_FRAMES // 2).transpose(1, 2)
        return self.scores(patches)


def _layers(tensors: Tensors) -> list[_Layer]:
    """One ordinary convolution, then thirteen pairs of depthwise and pointwise; layer 2 k is normalized by 2 k + 1."""
    layers = [_layer(tensors, 0, "kernel", stride=2)]
    for pair, stride in enumerate(_STRIDES):
        layers.append(_layer(tensors, 4 * pair + 2, "depthwise_kernel", stride=stride))
        layers.append(_layer(tensors, 4 * pair + 4, "kernel", stride=1))
    return layers


def _layer(tensors: Tensors, number: int, kind: str, *, stride: int) -> _Layer:
    kernel = _tensor(tensors, f"{number}/{kind}")
    depthwise = kind == "depthwise_kernel"
    # TensorFlow keeps (height, width, in, out), and (height, width, in, 1) for depthwise convolutions.
    weight = kernel.permute(2, 3, 0, 1) if depthwise else kernel.permute(3, 2, 0, 1)
    scale = 1 / torch.sqrt(_tensor(tensors, f"{number + 1}/moving_variance") + _EPSILON)
    bias = _tensor(tensors, f"{number + 1}/beta") - _tensor(tensors, f"{number + 1}/moving_mean") * scale
    folded = (weight * scale[:, None, None, None]).contiguous(memory_format=torch.channels_last)
    return _Layer(folded, bias, stride, groups=len(weight) if depthwise else 1)


def _tensor(tensors: Tensors, name: str) -> Tensor:
    return torch.from_numpy(tensors[_PREFIX + name + _SUFFIX])


def _mel_weights() -> NDArray[np.float32]:
    """Triangles on the mel scale, (257, 64), as `tf.signal.linear_to_mel_weight_matrix` makes them; bin 0 counts nowhere."""

    def mel(hertz: NDArray[np.float64] | float) -> NDArray[np.float64]:
        return np.asarray(1127.0 * np.log1p(np.asarray(hertz) / 700.0))

    bins = mel(np.linspace(0.0, SAMPLE_RATE / 2, _FFT // 2 + 1)[1:])[:, None]
    edges = np.linspace(mel(_MEL_LOW), mel(_MEL_HIGH), _MEL_BANDS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    weights = np.maximum(0.0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
    return np.pad(weights, ((1, 0), (0, 0))).astype(np.float32)
