"""The engines of a process: each runs the model that the manifest or a setting names, they share one budget of memory, and what
they find says which model found it, and with what."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.test import override_settings

from analysis.engine_box import Engines, engines, manifest_in_force
from analysis.engines.clip import no_checkpoint
from analysis.engines.manifest import ModelUnknown, load_manifest
from analysis.engines.nonverbal import THRESHOLDS
from analysis.engines.sounds import Sound
from analysis.engines.transcription import TranscriptionOptions
from analysis.listening import listen
from analysis.plan import Hearing
from analysis.residents import MEGABYTE, Residents, resident_memory
from analysis.transcription_hints import NO_HINTS
from benchmarks.raw_whisper import librivox
from benchmarks.worker import Worker
from consent.gate import Participant
from consent.vocabulary import ParticipantRole, Scope
from tests.conftest import ROOT

ENGINED = frozenset({Scope.TRANSCRIBE, Scope.LANGUAGE, Scope.NONVERBAL, Scope.PROSODY, Scope.EMOTION})


def box(budget: int = 0) -> Engines:
    return Engines(load_manifest(), Residents(budget))


def test_every_engine_runs_a_model_of_the_manifest_and_says_which_setting_chooses_it() -> None:
    slots = Engines.slots()
    manifest = load_manifest()
    assert {"activity", "transcriber", "nonverbal", "prosody", "emotion"} <= set(slots)
    for name, slot in slots.items():
        assert slot.name == name
        assert slot.serves & set(manifest.model(slot.model_name).scopes)
    assert slots["transcriber"].setting == "VOXGOV_ASR_MODEL"
    with override_settings(VOXGOV_EMOTION_MODEL=""):
        assert "emotion" not in Engines.slots(), "a setting that names no model turns its engine off"
    with override_settings(VOXGOV_ASR_MODEL="whisper-tiny-en"):
        assert slots["transcriber"].model_name == "whisper-tiny-en"


def test_a_model_that_is_not_in_the_manifest_is_refused_by_name() -> None:
    with override_settings(VOXGOV_ASR_MODEL="whisper-enormous"), pytest.raises(ModelUnknown, match="whisper-enormous"):
        _ = box().transcriber


def test_the_operators_own_models_are_in_force_beside_the_shipped(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    shipped = load_manifest()
    own.write_text("schema = 1\n[models]\n", encoding="utf-8")
    with override_settings(VOXGOV_OWN_MODELS=str(own)):
        assert set(manifest_in_force().models) == set(shipped.models)


def test_a_process_has_one_box() -> None:
    assert engines() is engines()


def test_a_box_that_nobody_uses_loads_no_library_of_any_engine() -> None:
    code = """
import os, sys
import django
django.setup()
from analysis.engine_box import engines
engines()
print(sorted({"torch", "ctranslate2", "onnxruntime", "transformers"} & set(sys.modules)))
"""
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_only_the_engines_of_the_scopes_that_are_named_are_warmed() -> None:
    cold = box()
    cold.warm([Scope.EMOTION])
    assert set(cold.residents.sizes) == {"activity", "emotion", "states", "wording"}
    cold.warm([])
    assert len(cold.residents.sizes) == 4


def test_an_engine_can_be_held_for_more_than_one_call() -> None:
    engined, clip = box(), librivox()[0].clip
    with engined.activity.held() as activity:
        assert activity.model.name == "silero-vad"
        assert activity.run(clip) == engined.activity.run(clip, no_checkpoint)


@pytest.mark.services
@pytest.mark.models
@pytest.mark.parametrize(("queue", "warmed"), [("model", True), ("light", False)])
def test_a_model_worker_begins_to_load_what_is_named_when_it_starts(var: Path, queue: str, *, warmed: bool) -> None:
    log = var / "log" / f"warm-{queue}.log"
    with Worker(log, {"VOXGOV_WARM_UP": "voice.nonverbal"}, queue=queue):
        began = time.monotonic()
        while b"engine_loaded" not in log.read_bytes() and time.monotonic() - began < (60.0 if warmed else 3.0):
            time.sleep(0.1)
    said = log.read_text()
    assert ("engine_loaded" in said and "nonverbal" in said) is warmed, said


@pytest.mark.models
def test_real_engines_share_the_budget_and_the_memory_of_one_let_go_is_free() -> None:
    clip = librivox()[0].clip
    for _ in range(2):  # what the libraries keep for good is there after the first
        unlimited = box()
        speech = unlimited.activity.run(clip, no_checkpoint)
        unlimited.nonverbal.run(clip, no_checkpoint)
        unlimited.transcriber.run(clip, speech, TranscriptionOptions(), no_checkpoint)
    sizes = unlimited.residents.sizes
    del unlimited
    engined = box(budget=sizes["transcriber"] + sizes["nonverbal"] // 2)
    engined.nonverbal.run(clip, no_checkpoint)

    words = engined.transcriber.run(clip, speech, TranscriptionOptions(), no_checkpoint)

    assert words.utterances
    assert list(engined.residents.sizes) == ["transcriber"], "the least recently used went"
    size = engined.residents.sizes["transcriber"]
    assert size >= 75 * MEGABYTE, "base has 74 million weights, a byte each"
    full = resident_memory()

    engined.nonverbal.run(clip, no_checkpoint)

    assert "transcriber" not in engined.residents.sizes
    assert full - resident_memory() >= 0.4 * size, "the sounds took some of it, and the weights are less than half"
    assert engined.transcriber.run(clip, speech, TranscriptionOptions(), no_checkpoint).utterances == words.utterances


@pytest.mark.models
def test_every_finding_names_model_digest_version_and_parameters() -> None:
    customer = Participant("a", ParticipantRole.CUSTOMER, 0)
    samples = librivox()[0].clip.samples
    found = listen([samples], [Hearing((0,), (customer,), ENGINED)], lambda *_: no_checkpoint, NO_HINTS)
    assert {finding.scope for finding in found} == ENGINED
    for finding in found:
        model = json.loads(json.dumps(finding.model_json(), allow_nan=False))
        assert model["name"] in load_manifest().models
        assert model["version"]
        assert len(model["digest"]) == 64
        assert len(json.dumps(model)) < 1500
    by_name = {finding.model.name: finding.model.parameters for finding in found}
    assert by_name["whisper-base"]["beam_size"] == 5
    assert str(by_name["whisper-base"]["compute_type"]).startswith("int8")
    assert by_name["yamnet"]["threshold sneeze"] == pytest.approx(THRESHOLDS[Sound.SNEEZE])
    assert by_name["acoustic-arousal"]["threshold"] == pytest.approx(0.15)
    assert by_name["prosody"] == {"one_voice": True}
    assert by_name["disfluency"] == {}
