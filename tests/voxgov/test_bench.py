"""`manage.py bench` needs nothing configured, and the vault's benchmark measures what it names. How fast is no test's business."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from benchmarks import vault as vault_bench
from vault import keys
from vault.errors import VaultError
from vault.models import DataKey
from voxgov import bench_services

ROOT = Path(__file__).resolve().parent.parent.parent


def bench(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`manage.py bench` as on a clone where nothing was ever started."""
    bare = {"PATH": os.environ["PATH"], "VOXGOV_VAR": str(tmp_path)}
    command = [sys.executable, str(ROOT / "manage.py"), "bench", *arguments]
    return subprocess.run(command, env=bare, capture_output=True, text=True, check=False)


def test_bench_says_what_there_is_where_nothing_is_configured(tmp_path: Path) -> None:
    said = bench(tmp_path, "--help")
    assert said.returncode == 0
    assert {"pipeline", "vault"} <= set(bench_services.names())
    assert ",".join(bench_services.names()) in said.stdout


def test_an_unknown_benchmark_is_refused_before_anything_starts(tmp_path: Path) -> None:
    said = bench(tmp_path, "nothing")
    assert said.returncode == 2
    assert "invalid choice: 'nothing'" in said.stderr
    assert not list(tmp_path.iterdir())


def test_every_benchmark_on_offer_has_a_run() -> None:
    for name in bench_services.names():
        assert "\ndef run(say: Say) -> list[Figure]:" in (ROOT / "benchmarks" / f"{name}.py").read_text()


def test_nothing_is_measured_on_the_services_of_somebody_else() -> None:
    assert bench_services.INSIDE not in os.environ
    with pytest.raises(CommandError, match="services of its own"):
        call_command("bench", "vault")


def give_up_what_other_tests_broke() -> None:
    """A benchmark runs on a database of its own; in this one there are keys that were altered on purpose, which nothing moves."""
    for row in DataKey.objects.all():
        try:
            keys.provider().unwrap(row.epoch, bytes(row.wrapped), keys.binding_of(row))
        except VaultError:
            row.delete()


def test_the_vaults_benchmark_runs_and_names_its_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MESSAGES", "STREAM_ROUNDS", "RECORD_ROUNDS", "SINGLE_RECORDS", "COLD_ROUNDS", "FILE_ROUNDS"):
        monkeypatch.setattr(vault_bench, name, 1)
    monkeypatch.setattr(vault_bench, "MESSAGE_CHUNKS", 8)
    monkeypatch.setattr(vault_bench, "RECORDS", 5)
    monkeypatch.setattr(vault_bench, "FILE_SIZE", vault_bench.FILE_WARM_UP)
    monkeypatch.setattr(vault_bench, "ROTATED", 20)
    give_up_what_other_tests_broke()
    figures = {figure.name: figure for figure in vault_bench.run(lambda line: None)}
    assert {
        "seal_over_raw",
        "open_over_raw",
        "file_seal_mb_per_s",
        "file_open_mb_per_s",
        "file_memory_growth_mb",
        "records_per_s",
        "opened_records_per_s",
        "cold_open_ms",
        "rotated_keys_per_s",
    } <= set(figures)
    assert all(figure.value > 0 for name, figure in figures.items() if name != "file_memory_growth_mb")
    assert all(figure.baseline for figure in figures.values())
