"""Which library runs the weights of a manifest entry: CTranslate2 through faster-whisper's format, or `transformers`."""

from pathlib import Path

from analysis.engines.manifest import ManifestInvalid, ModelEntry
from analysis.engines.transcription import Transcriber
from analysis.engines.transcription_decoding import Device

CTRANSLATE2, TRANSFORMERS = "faster-whisper", "transformers-whisper"
"""Values of `engine` in the manifest."""


def load(
    entry: ModelEntry,
    models_dir: Path,
    *,
    device: Device = "auto",
    threads: int,
    allowed: frozenset[str] = frozenset(),
) -> Transcriber:
    """The engine of `entry`, its weights checked first. `allowed` names the models whose restricted licence was accepted.

    Raises:
        ManifestInvalid: the entry is for another kind of engine.
        ModelProblem: its files are missing, not the ones named, or not licensed for this.
        ModelUnloadable: its files hold no such model.
    """
    # Each library is imported late: torch takes seconds, and a worker with the default engine never needs it.
    if entry.engine == CTRANSLATE2:
        from analysis.engines import transcription_ctranslate2  # noqa: PLC0415 (ctranslate2)

        directory = entry.verified(models_dir, allowed=allowed)
        runtime = transcription_ctranslate2.load(directory, device=device, threads=threads)
    elif entry.engine == TRANSFORMERS:
        from analysis.engines import transcription_transformers  # noqa: PLC0415 (torch)

        runtime = transcription_transformers.load(entry.verified(models_dir, allowed=allowed), device=device)
    else:
        raise ManifestInvalid(f"{entry.name} is run by {entry.engine}, which is no engine of transcription.")
    return Transcriber(runtime, entry.identity())
