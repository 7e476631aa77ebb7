"""YAMNet in torch gives the reference's scores, and refuses files that are not what they should be."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.engines.manifest import load_manifest
from analysis.engines.yamnet import CLASSES, PATCH_SAMPLES, Yamnet, YamnetUnloadable
from analysis.engines.yamnet_checkpoint import CheckpointUnreadable, read_tensors
from tests.analysis.engines.signals import noise, read
from voxgov.environment import models_dir

pytestmark = pytest.mark.models
INDEX, DATA = "variables.index", "variables.data-00000-of-00001"


@pytest.fixture(scope="module")
def directory() -> Path:
    return load_manifest().model("yamnet").verified(models_dir())


@pytest.fixture(scope="module")
def network(directory: Path) -> Yamnet:
    return Yamnet.load(directory)


def highest(network: Yamnet, path: Path, name: str) -> float:
    scores = network.reference_scores(read(path).samples)
    return float(scores[:, network.class_names.index(name)].max())


@pytest.mark.parametrize(
    ("path", "name", "score"),
    [
        ("human/baby-cry.wav", "Crying, sobbing", 0.995),
        ("human/baby-cry.wav", "Baby cry, infant cry", 0.956),
        ("human/cough-male.wav", "Cough", 0.991),
        ("human/cough-male.wav", "Throat clearing", 0.722),
        ("human/laugh-male2.wav", "Laughter", 0.362),
        ("librivox/sense_and_sensibility_01_austen_64kb-0870.wav", "Speech", 1.0),
    ],
)
def test_scores_are_those_of_the_reference(network: Yamnet, data: Path, path: str, name: str, score: float) -> None:
    assert highest(network, data / path, name) == pytest.approx(score, abs=0.005)


@pytest.mark.parametrize(("samples", "patches"), [(1, 1), (15_600, 1), (15_601, 2), (23_280, 2), (23_281, 3)])
def test_patches_stand_as_the_reference_places_them(network: Yamnet, samples: int, patches: int) -> None:
    assert network.reference_scores(np.zeros(samples, np.float32)).shape == (patches, CLASSES)


def test_silence_is_heard_as_silence(network: Yamnet) -> None:
    scores = network.reference_scores(np.zeros(PATCH_SAMPLES, np.float32))[0]
    assert network.class_names[int(scores.argmax())] == "Silence"


def test_a_patch_scores_the_same_alone_and_in_a_batch(network: Yamnet) -> None:
    magnitudes = network.mel_magnitudes(noise(3.0, -30.0).astype(np.float32))
    patches = magnitudes.unfold(0, 96, 48).transpose(1, 2)
    alone = np.concatenate([network.scores(patch[None]) for patch in patches])
    assert np.abs(network.scores(patches) - alone).max() < 1e-5


def test_loading_and_scoring_leave_the_number_of_threads_alone(directory: Path) -> None:
    before = torch.get_num_threads()
    Yamnet.load(directory).reference_scores(np.zeros(PATCH_SAMPLES, np.float32))
    assert torch.get_num_threads() == before


def test_the_checkpoint_holds_what_the_network_needs(directory: Path) -> None:
    tensors = read_tensors(directory / INDEX, directory / DATA)
    shapes = {name.split("/_yamnet/")[1]: array.shape for name, array in tensors.items() if "/_yamnet/" in name}
    assert shapes["layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE"] == (3, 3, 1, 32)
    assert shapes["layer_with_weights-54/kernel/.ATTRIBUTES/VARIABLE_VALUE"] == (1024, 521)
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 3_751_369


def copied(directory: Path, to: Path) -> Path:
    for name in (INDEX, DATA, "yamnet_class_map.csv"):
        shutil.copy(directory / name, to / name)
    return to


@pytest.mark.parametrize("at", [10, 2_000, 5_000, -60])
def test_a_changed_byte_in_the_index_is_refused(directory: Path, tmp_path: Path, at: int) -> None:
    spoiled = bytearray((copied(directory, tmp_path) / INDEX).read_bytes())
    spoiled[at] ^= 0x10
    (tmp_path / INDEX).write_bytes(spoiled)
    with pytest.raises(CheckpointUnreadable) as refused:
        read_tensors(tmp_path / INDEX, tmp_path / DATA)
    assert refused.value.code == "model_checkpoint_unreadable"


@pytest.mark.parametrize("name", [INDEX, DATA, "yamnet_class_map.csv"])
@pytest.mark.parametrize("length", [None, 0, 1_000])
def test_a_missing_or_truncated_file_is_a_typed_error(
    directory: Path, tmp_path: Path, name: str, length: int | None
) -> None:
    spoiled = copied(directory, tmp_path) / name
    if length is None:
        spoiled.unlink()
    else:
        spoiled.write_bytes(spoiled.read_bytes()[:length])
    with pytest.raises(YamnetUnloadable) as refused:
        Yamnet.load(tmp_path)
    assert refused.value.code == "nonverbal_model_unloadable"
