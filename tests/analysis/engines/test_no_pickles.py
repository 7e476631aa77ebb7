"""No code that a checkpoint brings ever runs: pickles are refused by every engine, and no engine has a way to open one."""

import ast
import io
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from analysis.engines.emotion_dimensions import TransformersDimensions
from analysis.engines.emotion_transformers import TransformersEmotion
from analysis.engines.transcription_ctranslate2 import CTranslate2Weights
from analysis.engines.yamnet import Yamnet
from tests.analysis.engines.checkpoints import tiny
from tests.analysis.engines.test_emotion import IDENTITY
from tests.analysis.engines.test_emotion_dimensions import mean_pooled
from tests.conftest import ROOT


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[[Path, str], int], tuple[Path, str]]:
        return Path.write_text, (self.target, "code of a checkpoint ran")


def plain(payload: Payload) -> bytes:
    return pickle.dumps(payload)


def torchs(payload: Payload) -> bytes:
    """As `torch.save` writes it: a pickle in an archive."""
    content = io.BytesIO()
    torch.save({"weights": torch.zeros(1), "payload": payload}, content)
    return content.getvalue()


def categories(directory: Path, content: bytes) -> None:
    tiny(directory, ["angry", "calm"])
    (directory / "model.safetensors").unlink()
    (directory / "pytorch_model.bin").write_bytes(content)
    TransformersEmotion.load(directory, IDENTITY, device="cpu")


def categories_in_disguise(directory: Path, content: bytes) -> None:
    tiny(directory, ["angry", "calm"])
    (directory / "model.safetensors").write_bytes(content)
    TransformersEmotion.load(directory, IDENTITY, device="cpu")


def dimensions(directory: Path, content: bytes) -> None:
    mean_pooled(directory)
    (directory / "model.safetensors").write_bytes(content)
    TransformersDimensions.load(directory, IDENTITY, device="cpu")


def whisper(directory: Path, content: bytes) -> None:
    directory.mkdir()
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.json"):
        (directory / name).write_bytes(content)
    CTranslate2Weights.load(directory, device="cpu", threads=1)


def yamnet(directory: Path, content: bytes) -> None:
    directory.mkdir()
    for name in ("variables.index", "variables.data-00000-of-00001", "yamnet_class_map.csv"):
        (directory / name).write_bytes(content)
    Yamnet.load(directory)


@pytest.mark.parametrize("pickled", [plain, torchs])
@pytest.mark.parametrize("load", [categories, categories_in_disguise, dimensions, whisper, yamnet])
def test_a_pickled_checkpoint_is_refused_and_nothing_in_it_runs(
    load: Callable[[Path, bytes], None], pickled: Callable[[Payload], bytes], tmp_path: Path
) -> None:
    target = tmp_path / "ran"
    with pytest.raises(Exception) as refused:
        load(tmp_path / "model", pickled(Payload(target)))
    assert type(refused.value).__module__.startswith("analysis.engines."), refused.value
    assert not target.exists()


def test_the_payload_would_run_where_a_pickle_is_opened(tmp_path: Path) -> None:
    pickle.loads(plain(Payload(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


def test_no_engine_can_open_a_pickle_or_run_code_of_a_model() -> None:
    """`torch.load` opens pickles unless it is told otherwise, in words, where it is called."""
    found = []
    for path in sorted((ROOT / "analysis").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name.split(".")[0] for alias in node.names} | {str(getattr(node, "module", ""))}
                found += [f"{path.name}: imports {name}" for name in names & {"pickle", "joblib", "dill", "marshal"}]
            if isinstance(node, ast.Call):
                said = {keyword.arg: getattr(keyword.value, "value", None) for keyword in node.keywords}
                called = ast.unparse(node.func)
                if called == "torch.load" and said.get("weights_only") is not True:
                    found.append(f"{path.name}:{node.lineno}: torch.load without weights_only=True")
                if called in {"torch.jit.load", "torch.hub.load"}:
                    found.append(f"{path.name}:{node.lineno}: {called}")
                found += [
                    f"{path.name}:{node.lineno}: {word}"
                    for word in ("allow_pickle", "trust_remote_code")
                    if said.get(word) not in (None, False)
                ]
    assert found == []
