"""`deploy/test [--quick | --drills] [-- pytest arguments]`: every check that a change must pass. Standard library only.

Installs the test tools, fetches the test models, then runs each check, all of them even when one fails, with its time.
Offline once installed. `--quick` is the inner loop: ruff, and pytest without what starts processes or loads models.
`--drills` runs each kill drill in full (fifty rounds) and nothing else.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass

from installation import PYTHON, ROOT, TESTS, SetupFailed, install
from run_quickstart import fetch_models, step

VAR = ROOT / "var" / "test"
QUICK = "not drill and not services and not models"
SIDE_BY_SIDE = ("-n", "logical", "--maxprocesses", "4", "--dist", "worksteal")
"""A process for each core, each with servers of its own. What starts processes itself or loads models runs alone."""


@dataclass(frozen=True)
class Check:
    """One command. `beside` is true for one that reads settings: it runs beside the embedded servers."""

    name: str
    command: tuple[str, ...]
    beside: bool = False


@dataclass(frozen=True)
class Result:
    """How a check went; `counted` is pytest's own last line."""

    name: str
    passed: bool
    seconds: float
    counted: str

    @property
    def word(self) -> str:
        return "passed" if self.passed else "FAILED"


def checks(*, quick: bool, drills: bool, pytest_arguments: list[str]) -> list[Check]:
    python = str(PYTHON)
    tool = str(PYTHON.parent)
    quickly = (python, "-m", "pytest", "-m", QUICK, *SIDE_BY_SIDE)
    if drills:
        return [Check("pytest, drills", (python, "-m", "pytest", "-m", "drill", "-s", *pytest_arguments))]
    style = [
        Check("ruff check", (f"{tool}/ruff", "check", "--quiet", ".")),
        Check("ruff format", (f"{tool}/ruff", "format", "--check", "--quiet", ".")),
    ]
    if quick:
        return [*style, Check("pytest, quick", (*quickly, *pytest_arguments))]
    schema = str(VAR / "openapi.yaml")
    return [
        *style,
        Check("import-linter", (f"{tool}/lint-imports", "--no-cache")),
        Check("mypy --strict", (python, "-m", "mypy", "."), beside=True),
        Check("makemigrations", (python, "manage.py", "makemigrations", "--check", "--dry-run"), beside=True),
        Check(
            "OpenAPI schema",
            (python, "manage.py", "spectacular", "--validate", "--fail-on-warn", "--file", schema),
            beside=True,
        ),
        Check("OpenAPI 3.1", (python, "-m", "openapi_spec_validator", schema)),
        Check("pytest, quick", (*quickly, *pytest_arguments)),
        Check("pytest, others", (python, "-m", "pytest", "-m", f"not ({QUICK})", *pytest_arguments)),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="deploy/test", description="Runs every check that a change must pass.")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--quick", action="store_true", help="ruff, and pytest without drills, services and models")
    which.add_argument("--drills", action="store_true", help="each kill drill in full, and nothing else")
    parser.add_argument("pytest", nargs="*", metavar="ARGUMENT", help="for pytest, after --")
    given = parser.parse_args()
    os.umask(0o022)
    print("voxgov test", flush=True)
    try:
        step("Packages", lambda: install(TESTS, log=ROOT / "var" / "log" / "setup.log"))
        if not given.quick:
            fetch_models(ROOT / "var" / "models", "test")
    except SetupFailed as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"\n{error.filename} cannot be used ({error.strerror}): correct that, then run this again.", file=sys.stderr
        )
        return 1
    except KeyboardInterrupt:
        print("\nStopped; run this again to go on.", file=sys.stderr)
        return 130
    if not given.quick and not given.drills and not chromium():
        print(
            "  Browser    no Chromium: the admin's walk-through is skipped; apt-get install chromium, or VOXGOV_CHROMIUM=PATH"
        )
    VAR.mkdir(parents=True, exist_ok=True)
    environment = surroundings(drills=given.drills)
    results: list[Result] = []
    try:
        for check in checks(quick=given.quick, drills=given.drills, pytest_arguments=given.pytest):
            results.append(run(check, environment))
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    return summary(results)


def surroundings(*, drills: bool) -> dict[str, str]:
    """What the checks see: data of their own, the shared models, no model hub, and none of the caller's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith(("DATABASE_URL", "BROKER_URL"))}
    return {
        **kept,
        **({"VOXGOV_DRILL_ROUNDS": "50"} if drills else {}),
        "VOXGOV_VAR": str(VAR),
        "VOXGOV_MODELS": str(ROOT / "var" / "models"),
        "DJANGO_SETTINGS_MODULE": "voxgov.settings",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
        "PYTHONDONTWRITEBYTECODE": "",  # whoever forbids it makes every process compile every module
    }


def chromium() -> str:
    """As `tests.walkthrough.chromium`, which needs what is installed only now."""
    names = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
    return os.environ.get("VOXGOV_CHROMIUM", "") or next((found for name in names if (found := shutil.which(name))), "")


def run(check: Check, environment: dict[str, str]) -> Result:
    print(f"\n== {check.name}", flush=True)
    started = time.monotonic()
    command = list(check.command)
    if check.beside:
        command = [str(PYTHON), "-m", "voxgov.embedded", "--var", str(VAR), "--", *command]
    status, last = passed_on(command, environment)
    result = Result(check.name, status == 0, time.monotonic() - started, last if "pytest" in check.name else "")
    print(f"== {check.name}: {result.word} in {result.seconds:.1f} s", flush=True)
    return result


def passed_on(command: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Runs a command, its output passed on as it comes; answers its exit status and its last line."""
    last, unfinished = b"", b""
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
    ) as child:
        assert child.stdout is not None
        while chunk := child.stdout.read(1 << 16):
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            *lines, unfinished = (unfinished + chunk).split(b"\n")
            last = next((line for line in reversed(lines) if line.strip()), last)
    return child.returncode, (unfinished or last).decode(errors="replace").strip()


def summary(results: list[Result]) -> int:
    """One line per check, then how many passed and what pytest counted."""
    print()
    for result in results:
        print(f"  {result.name:<16} {result.word:<8} {result.seconds:7.1f} s  {result.counted}".rstrip())
    failed = [result.name for result in results if not result.passed]
    counted = "; ".join(f"{result.name}: {result.counted}" for result in results if result.counted)
    print(f"{len(results) - len(failed)} of {len(results)} checks passed" + (f"; {counted}" if counted else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
