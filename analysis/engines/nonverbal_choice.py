"""Which engine of nonverbal sounds runs a manifest entry: YAMNet, or an audio classifier of the `transformers` library."""

from pathlib import Path

from analysis.engines.manifest import ManifestInvalid, ModelEntry
from analysis.engines.sounds import NonverbalEngine

YAMNET, TRANSFORMERS = "yamnet", "transformers-sounds"
ENGINES = frozenset({YAMNET, TRANSFORMERS})
"""Values of `engine` in the manifest."""


def load(entry: ModelEntry, models_dir: Path, *, allowed: frozenset[str] = frozenset()) -> NonverbalEngine:
    """The engine of `entry`, its weights checked first. What its parameters may be is `nonverbal_transformers.Looking`'s.

    `allowed` names the models whose restricted licence was accepted.

    Raises:
        ManifestInvalid: the entry is for another kind of engine, or has a parameter that its engine does not take.
        ModelProblem: its files are missing, not the ones named, or not licensed for this.
        YamnetUnloadable, NonverbalModelUnloadable: its files hold no such model.
    """
    if entry.engine not in ENGINES:
        raise ManifestInvalid(f"{entry.name} is run by {entry.engine}, which is no engine of nonverbal sounds.")
    if entry.engine == YAMNET:
        from analysis.engines.nonverbal import NonverbalDetector  # noqa: PLC0415 (torch)

        if entry.parameters:
            raise ManifestInvalid(f"{entry.name} has parameters, of which its engine takes none.")
        return NonverbalDetector.load(entry.verified(models_dir, allowed=allowed), entry.identity())
    from analysis.engines.nonverbal_transformers import Looking, TransformersSounds  # noqa: PLC0415 (as above)

    try:
        looking = Looking.of(entry.parameters)
    except ValueError as problem:
        raise ManifestInvalid(f"{entry.name}: {problem}.") from problem
    return TransformersSounds.load(entry.verified(models_dir, allowed=allowed), entry.identity(), looking)
