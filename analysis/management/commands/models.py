"""`manage.py models list | pull | verify | card`: the models that there are, and getting, checking and describing them.

No service needs to run. What a model is stands in the manifest (`analysis/engines/models.toml`, and the operator's own).
"""

import dataclasses
import json
import os
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TextIO, cast

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from analysis.engine_box import Engines, allowed_models, manifest_in_force
from analysis.engines import model_card, model_pack
from analysis.engines.hub import Hub
from analysis.engines.manifest import Manifest, ModelEntry, ModelProblem, Source
from analysis.engines.model_card import Condition, State

_SOUND: Final = frozenset({State.BUILT_IN, State.VERIFIED})


class Command(BaseCommand):
    help = "Lists, fetches, checks and describes the models that engines run."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_subparsers(dest="what", required=True)
        listed = what.add_parser("list", help="every model, how it lies here, and which setting uses it")
        listed.add_argument("--json", action="store_true", help="print JSON instead of a table")
        pulled = what.add_parser("pull", help="fetch models; goes on where it was cut off")
        pulled.add_argument("names", nargs="*", metavar="NAME")
        pulled.add_argument("--pack", help="every model of a pack: default or test")
        pulled.add_argument(
            "--from", dest="directory", type=Path, help="look into this directory, or NAME under it, before any source"
        )
        verify = what.add_parser("verify", help="read every file again; exit with 1 where one is not the file named")
        verify.add_argument("names", nargs="*", metavar="NAME", help="all, unless named")
        verify.add_argument("--json", action="store_true", help="print JSON instead of a table")
        card = what.add_parser("card", help="what a model is for, what it can not do, and what it is made of")
        card.add_argument("name", metavar="NAME")
        card.add_argument("--json", action="store_true", help="print JSON instead of Markdown")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['what']}")(manifest_in_force(), options)
        except ModelProblem as problem:
            raise CommandError(f"{problem} ({problem.code})") from problem

    def _list(self, manifest: Manifest, options: dict[str, Any]) -> None:
        users = _users()
        rows: list[dict[str, Any]] = [
            {
                "name": entry.name,
                "task": entry.task,
                "engine": entry.engine,
                "version": entry.version,
                "licence_class": entry.licence_class.value,
                "allowed": model_card.is_allowed(entry, allowed_models()),
                "state": model_card.seen(entry, settings.VOXGOV_MODELS_DIR).state.value,
                "size": entry.size,
                "used_by": users.get(entry.name, ""),
            }
            for entry in manifest.models.values()
        ]
        if options["json"]:
            self.stdout.write(json.dumps(rows, indent=2))
            return
        shown = [("name", "task", "engine", "licence", "state", "MB", "used by", "version")]
        for row in rows:
            licence = row["licence_class"] if row["allowed"] else f"{row['licence_class']}, refused"
            size = f"{row['size'] / 1e6:.1f}" if row["size"] else ""
            shown.append(
                (row["name"], row["task"], row["engine"], licence, row["state"], size, row["used_by"], row["version"])
            )
        self._table(shown)

    def _pull(self, manifest: Manifest, options: dict[str, Any]) -> None:
        if bool(options["names"]) == bool(options["pack"]):
            raise CommandError("name the models to pull, or a pack of them with --pack")
        entries = manifest.pack(options["pack"]) if options["pack"] else [manifest.model(n) for n in options["names"]]
        if options["directory"] is not None:
            entries = [_from(entry, options["directory"].expanduser().resolve()) for entry in entries]
        self.stdout.ending = ""  # a bar is drawn over itself
        models_dir = settings.VOXGOV_MODELS_DIR
        fetched = model_pack.pull(
            entries, models_dir, out=cast("TextIO", self.stdout), hub=Hub.of(os.environ), allowed=allowed_models()
        )
        self.stdout.write(f"{fetched} fetched, {len(entries)} complete in {models_dir}\n")

    def _verify(self, manifest: Manifest, options: dict[str, Any]) -> None:
        users = _users()
        entries = [manifest.model(name) for name in options["names"]] or list(manifest.models.values())
        found = {entry.name: model_card.verified(entry, settings.VOXGOV_MODELS_DIR) for entry in entries}
        wanted = set(options["names"]) or set(users)
        bad = {name: condition for name, condition in found.items() if _is_bad(condition, needed=name in wanted)}
        if options["json"]:
            shown = [{"name": e.name, "digest": e.digest, **dataclasses.asdict(found[e.name])} for e in entries]
            self.stdout.write(json.dumps(shown, indent=2))
        else:
            rows = [(entry.name, found[entry.name].state.value, entry.digest) for entry in entries]
            self._table([("name", "state", "digest"), *rows])
            for name, condition in bad.items():
                self.stderr.write(f"{name}: {condition.reason}")
        if bad:
            raise CommandError(f"not as the manifest names them: {', '.join(bad)}")

    def _card(self, manifest: Manifest, options: dict[str, Any]) -> None:
        entry = manifest.model(options["name"])
        card = model_card.as_json(entry)
        self.stdout.write(json.dumps(card, indent=2) if options["json"] else model_card.as_markdown(entry))

    def _table(self, rows: Sequence[Sequence[str]]) -> None:
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            self.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _users() -> dict[str, str]:
    """Model names, and what makes a worker load each: a setting, or the engine that runs no other."""
    users: dict[str, str] = {}
    for slot in Engines.slots().values():
        users[slot.model_name] = slot.setting or f"engine {slot.name}"
    return users


def _is_bad(condition: Condition, *, needed: bool) -> bool:
    """What is not there at all is only missed where somebody needs it."""
    return condition.state not in _SOUND and (needed or condition.state is not State.MISSING)


def _from(entry: ModelEntry, directory: Path) -> ModelEntry:
    own = directory / entry.name
    place = Source(directory=str(own if own.is_dir() else directory))
    return dataclasses.replace(entry, sources=(place, *entry.sources))
