"""Installing: one sentence for each thing that can go wrong, and no half-installed package taken for a whole one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


@pytest.fixture
def installation(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`deploy/installation.py`, which is no part of a package."""
    monkeypatch.syspath_prepend(str(DEPLOY))
    import installation

    return installation


@pytest.mark.parametrize("command", ["quickstart", "test"])
def test_without_a_new_enough_python_there_is_one_sentence(tmp_path: Path, command: str) -> None:
    for name in ("dirname", "sh"):
        found = shutil.which(name)
        assert found is not None
        (tmp_path / name).symlink_to(found)
    for name in ("python3", "python3.11"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    ended = _run([str(DEPLOY / command)], {"PATH": str(tmp_path)}, tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "voxgov needs Python 3.11 or newer and found none: install one, or name it with PYTHON=/path/to/python3."
    ]


@pytest.mark.parametrize("command", ["quickstart", "test"])
def test_the_commands_work_from_any_directory_and_under_a_path_with_spaces(tmp_path: Path, command: str) -> None:
    place = tmp_path / "a clone" / "deploy"
    shutil.copytree(DEPLOY, place)
    ended = _run([str(place / command), "--help"], {"PATH": os.environ["PATH"], "PYTHON": sys.executable}, tmp_path)
    assert ended.returncode == 0
    assert ended.stdout.startswith(f"usage: deploy/{command}")


@pytest.mark.parametrize("command", ["quickstart", "test"])
def test_an_unknown_option_is_refused(tmp_path: Path, command: str) -> None:
    ended = _run([str(DEPLOY / command), "--chek"], {"PATH": os.environ["PATH"], "PYTHON": sys.executable}, tmp_path)
    assert ended.returncode == 2


def test_too_little_space_is_one_sentence_with_both_figures(installation: ModuleType) -> None:
    with pytest.raises(installation.SetupFailed, match=r"GB free and 1000000000\.0 GB are needed: free some space"):
        installation.require_space(10**18)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk filled up"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "corrupted on its way"),
        ("NewConnectionError: Failed to establish a new connection", "could not be reached: check the network"),
        ("Temporary failure in name resolution", "could not be reached: check the network"),
        ("ERROR: No matching distribution found for numpy==9", "does not exist for this Python"),
        ("something else", "pip failed"),
    ],
)
def test_what_pip_says_becomes_one_sentence_that_says_what_to_do(
    installation: ModuleType, said: str, sentence: str
) -> None:
    explained = installation._explained(said, Path("setup.log"))
    assert sentence in explained
    assert "\n" not in explained


def test_without_a_network_the_installation_ends_with_that_sentence(
    installation: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(installation, "PYTHON", Path(sys.executable))
    target = ["--target", str(tmp_path), "--no-deps", "no-such-package-here==1.0"]
    with pytest.raises(installation.SetupFailed, match="check the network"):
        installation._pip(["install", "--retries", "1", *target], tmp_path / "setup.log", 1)


def test_a_package_that_an_interruption_left_in_pieces_is_not_taken_for_installed(
    installation: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "VENV", tmp_path)
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    for name in ("whole", "short", "missing", "unrecorded"):
        metadata = packages / f"{name}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (packages / f"{name}.py").write_text("content")
        (metadata / "METADATA").write_text("Name: x")
        (metadata / "RECORD").write_text(f'{name}.py,sha256=x,7\n"odd, {name}.txt",sha256=x,3\n')
        (packages / f"odd, {name}.txt").write_text("odd")
    (packages / "short.py").write_text("cont")
    (packages / "missing.py").unlink()
    (packages / "unrecorded-1.0.dist-info" / "RECORD").unlink()
    (packages / "~orch").mkdir()
    installation._remove_half_installed()
    assert sorted(path.name for path in packages.glob("*.dist-info")) == ["whole-1.0.dist-info"]
    assert not (packages / "~orch").exists()


def test_the_locks_pin_and_hash_every_package_and_name_no_host_or_path(installation: ModuleType) -> None:
    for name in ("base.lock", "kms.lock", "test.lock"):
        text = (ROOT / "requirements" / name).read_text()
        packages = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert packages
        assert all("==" in package for package in packages)
        assert text.count("==") == len(packages)
        assert "://" not in text and "--index" not in text and "--find-links" not in text and " @ " not in text
        for block in text.split("\n")[2:]:
            assert block == "" or "==" in block or block.strip().startswith("--hash=sha256:")
    assert (ROOT / "requirements" / "torch.lock").read_text().endswith("torch==2.13.0\n")
    assert set(installation.RUNTIME) < set(installation.TESTS)


def test_a_change_of_any_lock_file_is_noticed(
    installation: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    monkeypatch.setattr(installation, "REQUIREMENTS", tmp_path / "requirements")
    before = installation._digest(installation.RUNTIME)
    with (tmp_path / "requirements" / "torch.lock").open("a") as lock:
        lock.write("# another line\n")
    assert installation._digest(installation.RUNTIME) != before


def _run(command: list[str], environment: dict[str, str], place: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=place)
