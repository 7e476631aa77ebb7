"""Seven hundred sounds of four hundred people, as a corpus for the task `nonverbal` of `manage.py evaluate`.

They are the sample of the Deeply Nonverbal Vocalization Dataset (https://github.com/deeplyinc/Nonverbal-Vocalization-Dataset,
CC BY-NC-ND 4.0): recorded by telephone by their own owners, one kind of sound in each clip. Nothing of it is in the repository, and
no threshold was chosen with it: its licence allows neither commerce nor changes. Clone it, then make a corpus of it where it lies:

    python -m benchmarks.corpora.vocalizations CLONE/dataset

Lips, teeth, tongues, noses blown and yawns are none of the sounds that are reported: they are here for what is invented in them.
"""

import argparse
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

def corpus(dataset: Path) -> int:
    """Writes the manifest into `dataset`; answers how many items it has. Raises `ValueError` where a directory is missing."""
    if missing := [name for name in (*SOUNDS, *OTHERS) if not (dataset / name).is_dir()]:
        raise ValueError(f"{dataset} has no {', '.join(missing)}")
    items = [item for name in (*SOUNDS, *OTHERS) for item in _items(dataset / name)]
    manifest = {
        "name": "Sounds of people, by telephone",
        "source": "Deeply Nonverbal Vocalization Dataset, its open sample",
        "licence": "CC BY-NC-ND 4.0",
        "items": items,
    }
    (dataset / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return len(items)


def _items(directory: Path) -> Iterator[dict[str, Any]]:
    """What was recorded indoors or outdoors, well or badly is in a file's name; the metadata says the same."""
    sound = SOUNDS.get(directory.name)
    for path in sorted(directory.glob("*.wav")):
        noisy = path.stem.split("_")[-1] == "1"
        yield {
            "audio": f"{directory.name}/{path.name}",
            "groups": {"kind": directory.name, "noise": "noisy" if noisy else "quiet"},
            "truth": {"sounds": [{"label": sound}] if sound else []},
        }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpora.vocalizations", description=__doc__)
    parser.add_argument("dataset", type=Path)
    given = parser.parse_args()
    print(f"{corpus(given.dataset)} items in {given.dataset}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
