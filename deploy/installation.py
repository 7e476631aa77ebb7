"""Making `.venv` from the lock files: what `deploy/quickstart` and `deploy/test` do first. Standard library only.

A stamp with the digest of the lock files skips everything when nothing changed. An interrupted installation is noticed,
what it left half done is removed, and the next run goes on. Every failure is one sentence that says what to do.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = ROOT / "requirements"

RUNTIME, TESTS = ("base.lock", "torch.lock"), ("base.lock", "kms.lock", "test.lock", "torch.lock")
_STAMP, _BUSY = VENV / ".voxgov-installed", VENV / ".voxgov-installing"
_SPACE_TO_INSTALL, _SPACE_TO_RUN = 4_000_000_000, 300_000_000
"""Bytes. The environment takes 1.9 GB, the models 0.25 GB, the database 0.1 GB; the rest is for downloads on their way."""


class SetupFailed(Exception):
    """Something that the user can put right. The message is one sentence that says how."""


def var_dir() -> Path:
    """As `voxgov.environment.var_dir`, which cannot be imported before there is an environment."""
    given = os.environ.get("VOXGOV_VAR", "")
    return Path(given).expanduser().resolve() if given else ROOT / "var"


def install(locks: Sequence[str], *, log: Path) -> str:
    """Makes `.venv` hold exactly what `locks` pin; answers in a few words what it did. Raises `SetupFailed`."""
    wanted = _digest(locks)
    if _is_installed(wanted):
        require_space(_SPACE_TO_RUN)
        return "installed already"
    require_space(_SPACE_TO_INSTALL)
    with alone(ROOT / "var" / "setup.lock", "another installation runs"):
        if _is_installed(wanted):
            return "installed meanwhile"
        _make_venv(log)
        _STAMP.unlink(missing_ok=True)
        if _BUSY.exists():
            _remove_half_installed()
        _BUSY.touch()
        total = sum((REQUIREMENTS / name).read_text().count("==") for name in locks)
        print(f"  Packages   installing {total} into .venv (what pip says is in {log})", flush=True)
        # No dependency is resolved here: the locks are complete, and pip checks each file against its hash.
        hashed = [
            part for name in locks if name != "torch.lock" for part in ("--requirement", str(REQUIREMENTS / name))
        ]
        _pip(["install", "--no-deps", "--require-hashes", "--no-compile", *hashed], log, total)
        _pip(["install", "--no-compile", "--requirement", str(REQUIREMENTS / "torch.lock")], log, total)
        _pip(["check"], log, total)
        _STAMP.write_text("".join(f"{_digest(part)}\n" for part in (RUNTIME, TESTS) if set(part) <= set(locks)))
        _BUSY.unlink()
    return f"{total} installed"


def _is_installed(digest: str) -> bool:
    return PYTHON.exists() and _STAMP.exists() and digest in _STAMP.read_text().split()


def require_space(needed: int) -> None:
    """Raises `SetupFailed` unless `needed` bytes are free where the checkout and the data lie."""
    for place in {ROOT, _existing(var_dir())}:
        free = shutil.disk_usage(place).free
        if free < needed:
            raise SetupFailed(
                f"{place} has {free / 1e9:.1f} GB free and {needed / 1e9:.1f} GB are needed: free some space, "
                "or put the checkout on another disk, then run this again."
            )


@contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Waits until no other process does the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"  {what}: waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make_venv(log: Path) -> None:
    """A virtual environment of this Python, unless there is one that works."""
    works = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    if PYTHON.exists() and subprocess.run([str(PYTHON), "-c", works], capture_output=True, check=False).returncode == 0:
        return
    try:
        import ensurepip  # noqa: F401, PLC0415 (its absence is what we look for)
        import venv  # noqa: F401, PLC0415
    except ImportError:
        raise SetupFailed(
            f"{sys.executable} lacks the modules venv and ensurepip: install them (python3-venv on Debian and Ubuntu), "
            "or name another Python with PYTHON=/path/to/python3."
        ) from None
    status = _logged([sys.executable, "-m", "venv", "--clear", str(VENV)], log)
    if status != 0:
        raise SetupFailed(f"no virtual environment could be made in {VENV}: see {log}, then run this again.")


def _pip(arguments: Sequence[str], log: Path, total: int) -> None:
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", "--retries", "3", *arguments]
    before = log.stat().st_size if log.exists() else 0
    seen = 0

    def note(line: str) -> None:
        nonlocal seen
        if line.startswith(("Collecting ", "Requirement already satisfied")):
            seen += 1
            _progress(f"  Packages   {min(seen, total)} of {total}: {line.split()[1 if line[0] == 'C' else 3][:50]}")
        elif line.startswith("Installing collected"):
            _progress("  Packages   unpacking")

    status = _logged(command, log, note)
    _progress("")
    if status != 0:
        with log.open("rb") as file:
            file.seek(before)
            said = file.read().decode(errors="replace")
        raise SetupFailed(_explained(said, log))


def _explained(said: str, log: Path) -> str:
    """pip's complaint as one sentence."""
    if "No space left" in said or "Errno 28" in said:
        return "the disk filled up while packages were installed: free some space, then run this again."
    if "DO NOT MATCH THE HASHES" in said:
        return f"a package was corrupted on its way (its SHA-256 is not the locked one): run this again (see {log})."
    if any(mark in said for mark in ("onnection", "timed out", "name resolution", "SSLError", "ProxyError")):
        return f"the package index could not be reached: check the network, then run this again (see {log})."
    if "No matching distribution" in said:
        return f"a locked package does not exist for this Python or platform: try Python 3.11 to 3.13 (see {log})."
    return f"pip failed: see {log}, then run this again."


def _remove_half_installed() -> None:
    """Removes the record of each package that an interrupted installation left without some of its files.

    pip takes a package for installed once its metadata is there, whatever became of the rest.
    """
    for packages in VENV.glob("lib/python*/site-packages"):
        for left in packages.glob("~*"):
            shutil.rmtree(left, ignore_errors=True)
        for metadata in packages.glob("*.dist-info"):
            if not _is_whole(packages, metadata / "RECORD"):
                shutil.rmtree(metadata)


def _is_whole(packages: Path, record: Path) -> bool:
    try:
        lines = record.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    for line in lines:
        name, _, rest = line.removeprefix('"').partition('",' if line.startswith('"') else ",")
        size = rest.rpartition(",")[2]
        path = packages / name
        if not path.exists() and not name.endswith(".pyc"):
            return False
        if size.isdigit() and path.exists() and path.stat().st_size != int(size):
            return False
    return True


def _logged(command: Sequence[str], log: Path, note: Callable[[str], None] | None = None) -> int:
    """Runs a command with its output in `log`, each line also given to `note`; answers the exit status."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("a") as kept,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as child,
    ):
        assert child.stdout is not None
        kept.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {' '.join(command)}\n")
        try:
            for line in child.stdout:
                kept.write(line)
                if note is not None:
                    note(line)
        except BaseException:
            child.terminate()
            raise
    return child.returncode


def _progress(line: str) -> None:
    """A line that the next one overwrites; nothing where nobody watches."""
    if sys.stdout.isatty():
        print(f"\r\033[K{line}", end="", flush=True)


def _digest(locks: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for name in sorted(locks):
        digest.update((REQUIREMENTS / name).read_bytes())
    return digest.hexdigest()


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
