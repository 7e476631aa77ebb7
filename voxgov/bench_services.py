"""A benchmark's own database and broker under `var/bench`, so that it never meets real data. No Django here: nothing needs to be
configured for them, and a clone where nothing is configured has no settings before they run."""

import argparse
import os
import pkgutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import benchmarks
from voxgov.children import ChildProblem
from voxgov.embedded import embedded_services
from voxgov.environment import models_dir, surroundings

INSIDE: Final = "VOXGOV_BENCH"
"""Set in the environment of the process that measures."""
_ROOT: Final = Path(__file__).resolve().parent.parent
_NO_BENCHMARK: Final = (
    "engine_child",
    "figures",
    "gate_destruction",
    "gate_seed",
    "isolation",
    "raw_whisper",
    "rounds",
    "stage",
    "whisper_checkpoint",
    "worker",
    "audit_export",
    "audit_proofs",
    "audit_volume",
    "audit_writer",
    "audit_writing",
)


def names() -> list[str]:
    """Modules of `benchmarks` that have a `run`."""
    return sorted(
        module.name
        for module in pkgutil.iter_modules(benchmarks.__path__)
        if not module.ispkg and module.name not in _NO_BENCHMARK
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", choices=names(), help="which benchmark")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(arguments: Sequence[str]) -> int:
    """`manage.py bench` with these arguments beside services of its own; gives the exit status."""
    parser = argparse.ArgumentParser(prog="manage.py bench")
    add_arguments(parser)
    # What Django adds (--traceback and the like) it judges itself.
    parser.parse_known_args(arguments)
    var = _ROOT / "var" / "bench"
    try:
        with embedded_services(var) as found:
            own = {**found, "VOXGOV_VAR": str(var), "VOXGOV_MODELS": str(models_dir()), INSIDE: "1"}
            return _measure(arguments, surroundings(os.environ, own))
    except ChildProblem as problem:
        sys.stderr.write(f"{problem}\n")
        return 1


def _measure(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    manage = [sys.executable, str(_ROOT / "manage.py")]
    owner = {**environment, "VOXGOV_DB_ROLE": "owner"}
    for command in (
        ["vault", "init"],
        ["migrate", "--verbosity", "0"],
        ["migrate", "--verbosity", "0", "--database", "keys"],
    ):
        subprocess.run([*manage, *command], env=owner, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    return subprocess.run([*manage, "bench", *arguments], env=environment, check=False).returncode  # noqa: S603
