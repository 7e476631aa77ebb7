"""`deploy/quickstart [--check]`: from a bare clone to a running voxgov that has shown what it does. Standard library only.

Makes `.venv`, fetches the models, then becomes `voxgov.supervisor`, which starts the database, the broker, web, workers and
scheduler, runs the demo the first time, and keeps everything running until Ctrl-C. Each part skips what is done already.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from installation import PYTHON, ROOT, RUNTIME, SetupFailed, install, var_dir


def main() -> int:
    parser = argparse.ArgumentParser(prog="deploy/quickstart", description="Installs, starts and shows voxgov.")
    parser.add_argument(
        "--check", action="store_true", help="run the demo, stop, and exit 0 only if every step was right"
    )
    parser.add_argument("--demo", action="store_true", help="run the demo again, although it ran before")
    parser.add_argument("--no-demo", action="store_true", help="only start")
    parser.add_argument(
        "--port", type=int, default=8000, help="wanted port of 127.0.0.1; another is taken if it is not free"
    )
    parser.add_argument("--verbose", action="store_true", help="show what the services say")
    given = parser.parse_args()
    os.umask(0o022)
    var = var_dir()
    log = var / "log" / "setup.log"
    print("voxgov quickstart", flush=True)
    try:
        step("Python", lambda: f"{sys.version.split()[0]} ({sys.executable})")
        step("Packages", lambda: install(RUNTIME, log=log))
        fetch_models(var / "models", "default")
    except SetupFailed as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"\n{error.filename or var} cannot be used ({error.strerror}): correct that, then run this again.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("\nStopped; run this again to go on.", file=sys.stderr)
        return 130
    command = [str(PYTHON), "-m", "voxgov.supervisor", "--var", str(var), "--port", str(given.port)]
    command += ["--demo", "always" if given.demo else "never" if given.no_demo else "first"]
    command += ["--check"] if given.check else []
    command += ["--verbose"] if given.verbose else []
    os.chdir(ROOT)
    sys.stdout.flush()
    return os.execv(command[0], command)  # noqa: S606 (it replaces us, so that one process owns everything)


def step(name: str, work: Callable[[], str]) -> None:
    """Runs one part and prints its line: name, what it did, seconds."""
    started = time.monotonic()
    print(f"  {name:<10} {work():<48} {time.monotonic() - started:6.1f} s", flush=True)


def fetch_models(models: Path, pack: str) -> None:
    """Raises `SetupFailed`; the fetching program has then said why in one sentence."""
    command = [str(PYTHON), "-m", "analysis.engines.model_pack", "--models", str(models), "--pack", pack]
    status = subprocess.call(command, cwd=ROOT)
    if status == 130:
        raise KeyboardInterrupt
    if status != 0:
        raise SetupFailed("The models are not complete: do what the line above says, then run this again.")


if __name__ == "__main__":
    sys.exit(main())
