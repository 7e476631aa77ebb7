"""By which model voices are told apart. A voiceprint serves the model that made it and no other."""

from functools import lru_cache
from typing import Final

NAME: Final = "resemblyzer"
"""Its entry in the model manifest."""


@lru_cache(maxsize=1)
def digest() -> str:
    """SHA-256 (hex) of its weights, as the manifest names them."""
    from analysis.engines.manifest import load_manifest  # noqa: PLC0415 (numpy, which web processes do without until then)

    return load_manifest().model(NAME).digest
