"""Seven hundred sounds of four hundred people, as a corpus for the task `nonverbal` of `manage.py evaluate`.

They are the sample of the Deeply Nonverbal Vocalization Dataset (https://github.com/deeplyinc/Nonverbal-Vocalization-Dataset,
CC BY-NC-ND 4.0): recorded by telephone by their own owners, one kind of sound in each clip. Nothing of it is in the repository:
its licence allows neither commerce nor changes. The thresholds of `analysis/engines/nonverbal.py` were chosen with one half of the
people, those whose SHA-256 (of the speaker in the file's name) is even; what is claimed is measured on the other half. Clone it,
then make a corpus of it where it lies:

    python -m benchmarks.corpora.vocalizations CLONE/dataset --half held-out

Lips, teeth, tongues, noses blown and yawns are none of the sounds that are reported: they are here for what is invented in them.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

SOUNDS: Final = {
    "coughing": "cough",
    "crying": "crying",
    "laughing": "laughter",
    "moaning": "moan",
    "panting": "breathing",
    "screaming": "scream",
    "sighing": "sigh",
    "sneezing": "sneeze",
    "throat-clearing": "throat clearing",
}
"""What a directory of the data set holds, and what it is called here."""
OTHERS: Final = (
    "lip-popping",
    "lip-smacking",
    "nose-blowing",
    "teeth-chattering",
    "teeth-grinding",
    "tongue-clicking",
    "yawning",
)
HALVES: Final = ("tuning", "held-out")
"""Of the people: with an even hash, and with an odd one."""


def corpus(dataset: Path, half: str | None = None) -> int:
    """Writes the manifest of all items, or of one half, into `dataset`; answers how many items it has.

    Raises `ValueError` where a directory is missing.
    """
    if missing := [name for name in (*SOUNDS, *OTHERS) if not (dataset / name).is_dir()]:
        raise ValueError(f"{dataset} has no {', '.join(missing)}")
    items = [item for name in (*SOUNDS, *OTHERS) for item in _items(dataset / name, half)]
    manifest = {
        "name": "Sounds of people, by telephone" + (f", {half} half" if half else ""),
        "source": "Deeply Nonverbal Vocalization Dataset, its open sample",
        "licence": "CC BY-NC-ND 4.0",
        "items": items,
    }
    (dataset / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return len(items)


def _half(speaker: str) -> str:
    return HALVES[hashlib.sha256(speaker.encode()).digest()[-1] % 2]


def _items(directory: Path, half: str | None) -> Iterator[dict[str, Any]]:
    """What was recorded indoors or outdoors, well or badly is in a file's name; the metadata says the same."""
    sound = SOUNDS.get(directory.name)
    for path in sorted(directory.glob("*.wav")):
        if half not in (None, _half(path.stem.split("_")[0])):
            continue
        noisy = path.stem.split("_")[-1] == "1"
        yield {
            "audio": f"{directory.name}/{path.name}",
            "groups": {"kind": directory.name, "noise": "noisy" if noisy else "quiet"},
            "truth": {"sounds": [{"label": sound}] if sound else []},
        }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpora.vocalizations", description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--half", choices=HALVES, help="only these people's sounds")
    given = parser.parse_args()
    print(f"{corpus(given.dataset, given.half)} items in {given.dataset}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
