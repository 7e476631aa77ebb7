"""The identity of an engine that is nothing but its own code: measurements and documented formulas, without weights.

Its digest is taken over its sources in the same form as `manifest` takes that of models without weights: SHA-256 over one
line `sha256  file name` per module, in order of name.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from analysis.engines.clip import ModelIdentity


def identity(name: str, version: str, modules: Sequence[str]) -> ModelIdentity:
    """`modules` are the names of all source files in this directory that decide what the engine says."""
    lines = [
        f"{hashlib.sha256(Path(__file__).with_name(module).read_bytes()).hexdigest()}  {module}\n"
        for module in sorted(modules)
    ]
    return ModelIdentity(
        name=name,
        version=version,
        digest=hashlib.sha256("".join(lines).encode()).hexdigest(),
        licence="Apache-2.0",
        licence_class="permissive",
        validated=False,
    )
