"""Which engine of expressed emotion runs a manifest entry: the default without weights, categories, or dimensions."""

from pathlib import Path

from analysis.engines.emotion import LEAST_CONFIDENCE, AcousticArousal, EmotionEngine
from analysis.engines.manifest import ManifestInvalid, ModelEntry

ACOUSTIC, CATEGORIES, DIMENSIONS = "acoustic-arousal", "transformers-emotion", "transformers-dimensions"
ENGINES = frozenset({ACOUSTIC, CATEGORIES, DIMENSIONS})
"""Values of `engine` in the manifest."""


def load(entry: ModelEntry, models_dir: Path, *, allowed: frozenset[str] = frozenset()) -> EmotionEngine:
    """The engine of `entry`, its weights checked first. `threshold` and `temperature` are among the entry's parameters.

    `allowed` names the models whose restricted licence was accepted.

    Raises:
        ManifestInvalid: the entry is for another kind of engine.
        ModelProblem: its files are missing, not the ones named, or not licensed for this.
        EmotionModelUnloadable: its files hold no such model.
    """
    if entry.engine not in ENGINES:
        raise ManifestInvalid(f"{entry.name} is run by {entry.engine}, which is no engine of expressed emotion.")
    chosen = entry.parameters
    if entry.engine == ACOUSTIC:
        return AcousticArousal(threshold=chosen.get("threshold", LEAST_CONFIDENCE))
    directory, identity = entry.verified(models_dir, allowed=allowed), entry.identity()
    # Imported late: torch takes seconds, and a worker with the default engine never needs it.
    if entry.engine == CATEGORIES:
        from analysis.engines.emotion_transformers import TransformersEmotion  # noqa: PLC0415 (torch)

        return TransformersEmotion.load(
            directory,
            identity,
            threshold=chosen.get("threshold", 0.5),
            temperature=chosen.get("temperature", 1.0),
        )
    from analysis.engines.emotion_dimensions import TransformersDimensions  # noqa: PLC0415 (as above)

    return TransformersDimensions.load(directory, identity, threshold=chosen.get("threshold", 0.5))
