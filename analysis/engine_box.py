"""The engines of this process: which there are, which models of the manifest they run, and how each is made. They are imported
and loaded when they are first needed: a worker that only transcribes never loads torch.

Settings and the manifest are read here, so that engines need neither. How many fit into memory is `residents`; what is run on
which clip is `listening`.
"""

import importlib
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, overload

import structlog
from django.conf import settings

from analysis import voice_model
from analysis.engines.manifest import (
    Manifest,
    ManifestInvalid,
    ModelEntry,
    ModelScopeRefused,
    load_manifest,
    with_own,
)
from analysis.residents import MEGABYTE, Residents
from consent.vocabulary import Scope

if TYPE_CHECKING:
    from analysis.engines.accent import TransformersAccent
    from analysis.engines.activity import SpeechActivity
    from analysis.engines.disfluency import DisfluencyReader
    from analysis.engines.emotion import EmotionEngine
    from analysis.engines.incongruence import WordingReader
    from analysis.engines.linking import SpeakerLinker
    from analysis.engines.prosody import ProsodyAnalyzer
    from analysis.engines.sounds import NonverbalEngine
    from analysis.engines.states import StateAnalyzer
    from analysis.engines.transcription import Transcriber
    from analysis.engines.voices import VoiceEncoder

log = structlog.get_logger(__name__)

P = ParamSpec("P")
R = TypeVar("R")
E = TypeVar("E")
R_co = TypeVar("R_co", covariant=True)
E_co = TypeVar("E_co", covariant=True)


class Runs(Protocol[P, R_co]):
    """What every engine is: one verb."""

    def run(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


class Handle(Generic[E_co]):
    """An engine that is in memory while it runs, and may leave it in between: whoever keeps a handle keeps no weights."""

    def __init__(self, residents: Residents, name: str, load: Callable[[], E_co], weights: int) -> None:
        self._residents = residents
        self._name = name
        self._load = load
        self._weights = weights

    def held(self) -> AbstractContextManager[E_co]:
        """The engine itself, in memory until this ends; who keeps it longer keeps its memory from being freed.

        Raises `ModelProblem` where its weights may not be loaded.
        """
        return self._residents.using(self._name, self._load, weights=self._weights)

    def run(self: "Handle[Runs[P, R]]", *args: P.args, **kwargs: P.kwargs) -> R:
        """The engine's own `run`."""
        with self.held() as engine:
            return engine.run(*args, **kwargs)

    def warm(self) -> None:
        """Loads it, so that the next to run it need not wait."""
        with self.held():
            pass


@dataclass(frozen=True, slots=True)
class Slot(Generic[E_co]):
    """One engine of the box. `module` is where it is defined, `serves` the scopes that it is run for; its model is `model`, or
    what the setting `setting` names.
    """

    make: "Callable[[Engines, ModelEntry], E_co]"
    module: str
    serves: frozenset[Scope]
    model: str
    setting: str

    @property
    def name(self) -> str:
        return self.make.__name__

    @property
    def model_name(self) -> str:
        return str(getattr(settings, self.setting)) if self.setting else self.model

    @overload
    def __get__(self, box: None, owner: type) -> "Slot[E_co]": ...

    @overload
    def __get__(self, box: "Engines", owner: type) -> Handle[E_co]: ...

    def __get__(self, box: "Engines | None", owner: type) -> "Slot[E_co] | Handle[E_co]":
        if box is None:
            return self
        entry = box.manifest.model(self.model_name)
        entry.require_licence(box.allowed)
        if not self.serves & set(entry.scopes):
            raise ModelScopeRefused(
                f"{entry.name} may be used for {', '.join(entry.scopes)}, none of which {self.name} is run for: "
                f"name another model in {self.setting}."
            )

        def load() -> E_co:
            return self.make(box, entry)

        # First, so that the code that an engine brings is not taken for its weights: it stays when they go.
        importlib.import_module(self.module)
        return Handle(box.residents, self.name, load, entry.size)


def engine(
    module: str, *serves: Scope, model: str = "", setting: str = ""
) -> "Callable[[Callable[[Engines, ModelEntry], E]], Slot[E]]":
    """Makes a method that loads an engine from a manifest entry into the engine itself, under the method's name."""

    def of(make: "Callable[[Engines, ModelEntry], E]") -> Slot[E]:
        return Slot(make, module, frozenset(serves), model, setting)

    return of


class Engines:
    """The engines of one process, each loaded when it is first needed and its weights checked against the manifest."""

    def __init__(self, manifest: Manifest, residents: Residents, allowed: frozenset[str] = frozenset()) -> None:
        """`allowed` names the models whose restricted licence the operator accepted."""
        self.manifest = manifest
        self.residents = residents
        self.allowed = allowed

    @classmethod
    def slots(cls) -> "Mapping[str, Slot[Any]]":
        """Every engine of the box by its name, but those whose setting names no model: they are off."""
        return {name: slot for name, slot in vars(cls).items() if isinstance(slot, Slot) and slot.model_name}

    def warm(self, scopes: Iterable[Scope]) -> None:
        """Loads the engines that answer these scopes, so that the first recording need not wait for them."""
        wanted = frozenset(scopes)
        for name, slot in self.slots().items():
            if slot.serves & wanted:
                getattr(self, name).warm()

    def weights(self, entry: ModelEntry) -> Path:
        """The directory to load a model from, every file in it checked. Raises `ModelProblem`."""
        return entry.verified(settings.VOXGOV_MODELS_DIR, allowed=self.allowed)

    @engine(
        "analysis.engines.activity",
        Scope.DIARIZE,
        Scope.IDENTIFY,
        Scope.TRANSCRIBE,
        Scope.TRANSLATE,
        Scope.LANGUAGE,
        Scope.PROSODY,
        Scope.EMOTION,
        Scope.ACCENT,
        model="silero-vad",
    )
    def activity(self, entry: ModelEntry) -> "SpeechActivity":
        from analysis.engines.activity import SpeechActivity

        self.weights(entry)
        return SpeechActivity.load()

    @engine(
        "analysis.engines.transcription_choice",
        Scope.TRANSCRIBE,
        Scope.TRANSLATE,
        Scope.LANGUAGE,
        setting="VOXGOV_ASR_MODEL",
    )
    def transcriber(self, entry: ModelEntry) -> "Transcriber":
        from analysis.engines.transcription_choice import load

        return load(entry, settings.VOXGOV_MODELS_DIR, threads=settings.VOXGOV_THREADS, allowed=self.allowed)

    @engine("analysis.engines.voices", Scope.DIARIZE, Scope.IDENTIFY, model=voice_model.NAME)
    def voices(self, entry: ModelEntry) -> "VoiceEncoder":
        from analysis.engines.voices import VoiceEncoder

        return VoiceEncoder.load(self.weights(entry), entry.identity())

    @engine("analysis.engines.linking", Scope.IDENTIFY, model="linking")
    def linking(self, entry: ModelEntry) -> "SpeakerLinker":
        from analysis.engines.linking import SpeakerLinker

        return SpeakerLinker()

    @engine("analysis.engines.nonverbal_choice", Scope.NONVERBAL, setting="VOXGOV_SOUNDS_MODEL")
    def nonverbal(self, entry: ModelEntry) -> "NonverbalEngine":
        from analysis.engines.nonverbal_choice import load

        return load(entry, settings.VOXGOV_MODELS_DIR, allowed=self.allowed)

    @engine("analysis.engines.accent", Scope.ACCENT, setting="VOXGOV_ACCENT_MODEL")
    def accent(self, entry: ModelEntry) -> "TransformersAccent":
        from analysis.engines.accent import load

        return load(entry, settings.VOXGOV_MODELS_DIR, allowed=self.allowed)

    @engine("analysis.engines.prosody", Scope.PROSODY, model="prosody")
    def prosody(self, entry: ModelEntry) -> "ProsodyAnalyzer":
        from analysis.engines.prosody import ProsodyAnalyzer

        return ProsodyAnalyzer()

    @engine("analysis.engines.disfluency", Scope.PROSODY, model="disfluency")
    def disfluency(self, entry: ModelEntry) -> "DisfluencyReader":
        from analysis.engines.disfluency import DisfluencyReader

        return DisfluencyReader()

    @engine("analysis.engines.emotion_choice", Scope.EMOTION, setting="VOXGOV_EMOTION_MODEL")
    def emotion(self, entry: ModelEntry) -> "EmotionEngine":
        from analysis.engines.emotion_choice import load

        return load(entry, settings.VOXGOV_MODELS_DIR, allowed=self.allowed)

    @engine("analysis.engines.states", Scope.EMOTION, model="acoustic-states")
    def states(self, entry: ModelEntry) -> "StateAnalyzer":
        from analysis.engines.states import StateAnalyzer

        return StateAnalyzer()

    @engine("analysis.engines.incongruence", Scope.EMOTION, model="wording-and-delivery")
    def wording(self, entry: ModelEntry) -> "WordingReader":
        from analysis.engines.incongruence import WordingReader

        return WordingReader()


@lru_cache(maxsize=1)
def engines() -> Engines:
    """This process's engines. Raises `ModelProblem`."""
    return Engines(manifest_in_force(), Residents(settings.VOXGOV_ENGINES_MB * MEGABYTE), allowed_models())


def manifest_in_force() -> Manifest:
    """The shipped models and the operator's own. Raises `ManifestInvalid`."""
    manifest = load_manifest()
    if settings.VOXGOV_OWN_MODELS:
        manifest = with_own(manifest, Path(settings.VOXGOV_OWN_MODELS))
    for entry in manifest.models.values():
        unknown = set(entry.scopes) - set(Scope)
        if unknown:
            raise ManifestInvalid(f"{entry.name} may be used for {', '.join(sorted(unknown))}, which is no scope.")
    return manifest


def allowed_models() -> frozenset[str]:
    """The models whose restricted licence the operator accepted, by name."""
    return frozenset(settings.VOXGOV_ALLOWED_MODELS)


def warm_up() -> None:
    """Loads, beside whatever else the worker does, what `VOXGOV_WARM_UP` names. The first job waits for what it needs of it."""
    if settings.VOXGOV_WARM_UP:
        threading.Thread(target=_warm, name="warm-up", daemon=True).start()


def _warm() -> None:
    try:
        engines().warm(Scope(scope) for scope in settings.VOXGOV_WARM_UP)
    except Exception as error:  # the job that needs the engine says it again, with a code, in its own row
        log.exception("warm_up_failed", code=getattr(error, "code", "internal_error"))
