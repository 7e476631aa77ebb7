"""A corpus: a directory with `manifest.json` and the files that it names. What is true of an item is its task's to understand.

    {"name": "...", "source": "...", "licence": "...",
     "items": [{"id": "...", "audio": "clip.wav", "groups": {"speaker": "a"}, "truth": {"text": "what is said"}}],
     "transcripts": "transcripts.json"}

`id`, `audio` and `groups` may be left out. `transcripts`, which may be left out as well, is a JSON object of audio files and what
is said in them: items of their own where `items` does not name them. A member that is not known here is refused.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

MANIFEST: Final = "manifest.json"
_MEMBERS: Final = {"name", "source", "licence", "items", "transcripts"}
_ITEM_MEMBERS: Final = {"id", "audio", "groups", "truth"}


class CorpusInvalid(ValueError):
    """The directory is no corpus, or not one for this task; the message says what to correct."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to be judged. `audio` is a file that exists; `groups` are the names and values that figures are split by."""

    id: str
    audio: Path | None
    groups: Mapping[str, str]
    truth: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Corpus:
    directory: Path
    name: str
    source: str
    licence: str
    items: tuple[Item, ...] = field(repr=False)

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Raises `CorpusInvalid`."""
        manifest = _object(directory / MANIFEST)
        _only(manifest, _MEMBERS, MANIFEST)
        listed = manifest.get("items", [])
        if not isinstance(listed, list):
            raise CorpusInvalid(f"{MANIFEST}: `items` is a list")
        items = [_item(directory, number, entry) for number, entry in enumerate(listed, start=1)]
        if "transcripts" in manifest:
            items = _with_transcripts(directory, str(manifest["transcripts"]), items)
        if not items:
            raise CorpusInvalid(f"{MANIFEST} names no items")
        codes = [item.id for item in items]
        if len(set(codes)) != len(codes):
            raise CorpusInvalid(f"{MANIFEST} gives one id to two items")
        name, source, licence = (str(manifest.get(name, "")) for name in ("name", "source", "licence"))
        return cls(directory, name, source, licence, tuple(items))

    def file(self, name: str) -> Path:
        """A file of the corpus. Raises `CorpusInvalid` for one that is not there, or outside the directory."""
        return _inside(self.directory, name)


def _item(directory: Path, number: int, entry: Any) -> Item:
    where = f"{MANIFEST}, item {number}"
    if not isinstance(entry, dict):
        raise CorpusInvalid(f"{where} is no object")
    _only(entry, _ITEM_MEMBERS, where)
    groups, truth = entry.get("groups", {}), entry.get("truth", {})
    if not isinstance(groups, dict) or not isinstance(truth, dict):
        raise CorpusInvalid(f"{where}: `groups` and `truth` are objects")
    audio = _inside(directory, str(entry["audio"])) if "audio" in entry else None
    code = str(entry.get("id") or (entry["audio"] if audio else number))
    return Item(code, audio, {str(name): str(value) for name, value in groups.items()}, truth)


def _with_transcripts(directory: Path, name: str, items: list[Item]) -> list[Item]:
    said = _object(_inside(directory, name))
    known = {item.audio: item for item in items if item.audio is not None}
    for file, text in said.items():
        audio = _inside(directory, file)
        item = known.pop(audio, None)
        if item is None:
            items.append(Item(file, audio, {}, {"text": str(text)}))
        else:
            items[items.index(item)] = Item(item.id, audio, item.groups, {"text": str(text), **item.truth})
    return items


def _object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CorpusInvalid(f"{path.name} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CorpusInvalid(f"{path.name} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise CorpusInvalid(f"{path.name} is no JSON object")
    return found


def _only(found: dict[str, Any], known: set[str], where: str) -> None:
    if unknown := sorted(set(found) - known):
        raise CorpusInvalid(f"{where}: {unknown[0]!r} is not known")


def _inside(directory: Path, name: str) -> Path:
    path = (directory / name).resolve()
    if not path.is_relative_to(directory.resolve()):
        raise CorpusInvalid(f"{name} lies outside the corpus")
    if not path.is_file():
        raise CorpusInvalid(f"{name} is not there")
    return path
