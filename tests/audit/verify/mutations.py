"""Bundles in memory, and the damage that chance does to them: the same seed gives the same damage."""

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from audit.errors import BundleInvalid
from audit.export import manifest
from tests.audit.export.bundles import SIGNER

Files = dict[str, bytes]


class MemoryContainer:
    """A `Container` over a dictionary."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self.sizes = {name: len(content) for name, content in files.items()}

    def chunks(self, name: str) -> Iterator[bytes]:
        if name not in self._files:
            raise BundleInvalid(f"{name} is missing")
        content = self._files[name]
        yield from (content[at : at + 4096] for at in range(0, len(content), 4096))

    def close(self) -> None:
        pass


def loaded(directory: Path) -> Files:
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def resigned(files: Files) -> Files:
    """The manifest brought up to date with the files and signed by the log itself, where it still can be read."""
    try:
        body = json.loads(files[manifest.MANIFEST])
        for name in body["files"]:
            content = files.get(name, b"")
            body["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        encoded = (json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
        return files | {
            manifest.MANIFEST: encoded,
            manifest.NOTE: manifest.sign(encoded, body["origin"], SIGNER),
        }
    except (ValueError, TypeError, KeyError):
        return files


def damaged(files: Files, chance: random.Random, *, bytes_only: bool = False) -> Files:
    """A copy of `files` with something else in it: bytes, and unless `bytes_only` lines or whole files."""
    kinds = _BYTES if bytes_only else _BYTES | _LINES
    while True:
        damage = chance.choices(list(kinds), weights=list(kinds.values()))[0]
        altered = damage(dict(files), chance)
        if altered != files:
            return altered


def _edit(files: Files, chance: random.Random, edit: Callable[[bytes], bytes], names: tuple[str, ...] = ()) -> Files:
    name = chance.choice(names or sorted(files))
    files[name] = edit(files[name])
    return files


def _change_byte(files: Files, chance: random.Random) -> Files:
    def edit(content: bytes) -> bytes:
        at = chance.randrange(len(content) or 1)
        change = 1 << chance.randrange(8) if chance.random() < 0.5 else chance.randrange(1, 256)
        return content[:at] + bytes(one ^ change for one in content[at : at + 1]) + content[at + 1 :]

    return _edit(files, chance, edit)


def _cut(files: Files, chance: random.Random) -> Files:
    return _edit(files, chance, lambda content: content[: chance.randrange(len(content) + 1)])


def _insert(files: Files, chance: random.Random) -> Files:
    def edit(content: bytes) -> bytes:
        at = chance.randrange(len(content) + 1)
        return (
            content[:at] + chance.choice((b"\n", b" ", b"0", b'"', b"}", b"\x00", b"\r", b"\xff", b"=")) + content[at:]
        )

    return _edit(files, chance, edit)


def _lose_bytes(files: Files, chance: random.Random) -> Files:
    def edit(content: bytes) -> bytes:
        at = chance.randrange(len(content) + 1)
        return content[:at] + content[at + chance.randrange(1, 40) :]

    return _edit(files, chance, edit)


def _move_bytes(files: Files, chance: random.Random) -> Files:
    def edit(content: bytes) -> bytes:
        first, second, third = sorted(chance.randrange(len(content) + 1) for _ in range(3))
        return content[:first] + content[second:third] + content[first:second] + content[third:]

    return _edit(files, chance, edit)


_LINED = (manifest.ENTRIES, manifest.TABLE, manifest.OCSF)


def _drop_line(files: Files, chance: random.Random) -> Files:
    def edit(content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        del lines[chance.randrange(len(lines))]
        return b"".join(lines)

    return _edit(files, chance, edit, _LINED)


def _double_line(files: Files, chance: random.Random) -> Files:
    def edit(content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))
        return b"".join(lines)

    return _edit(files, chance, edit, _LINED)


def _swap_lines(files: Files, chance: random.Random) -> Files:
    """In the entries half of the time with their numbers put right again."""
    name = chance.choice(_LINED)
    lines = files[name].splitlines(keepends=True)
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    if name == manifest.ENTRIES and chance.random() < 0.5:
        for at in (one, other):
            number = files[name].splitlines()[at].split(b",", 1)[0]
            lines[at] = number + b"," + lines[at].split(b",", 1)[1]
    files[name] = b"".join(lines)
    return files


def _exchange_files(files: Files, chance: random.Random) -> Files:
    one, other = chance.sample(sorted(files), 2)
    files[one], files[other] = files[other], files[one]
    return files


def _lose_file(files: Files, chance: random.Random) -> Files:
    name = chance.choice(sorted(files))
    content = files.pop(name)
    if chance.random() < 0.5:
        files[name + chance.choice((" ", "\u202e", ".bak", "/x"))] = content
    return files


_Damage = Callable[[Files, random.Random], Files]
_BYTES: dict[_Damage, int] = {_change_byte: 30, _cut: 5, _insert: 5, _lose_bytes: 5, _move_bytes: 5}
_LINES: dict[_Damage, int] = {_drop_line: 10, _double_line: 10, _swap_lines: 15, _exchange_files: 3, _lose_file: 2}
