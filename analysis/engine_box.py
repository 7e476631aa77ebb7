"""The engines of this process: which there are, which models of the manifest they run, and how each is made. They are imported
and loaded when they are first needed: a worker that only transcribes never loads torch.

Settings and the manifest are read here, so that engines need neither. How many fit into memory is `residents`; what is run on
which clip is `listening`.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, overload

from django.conf import settings

from analysis.engines.manifest import Manifest, ModelEntry, load_manifest, with_own
from analysis.residents import MEGABYTE, Residents

if TYPE_CHECKING:
    from analysis.engines.activity import SpeechActivity
    from analysis.engines.disfluency import DisfluencyReader
    from analysis.engines.emotion import EmotionEngine
    from analysis.engines.incongruence import WordingReader
    from analysis.engines.nonverbal import NonverbalDetector
    from analysis.engines.prosody import ProsodyAnalyzer
    from analysis.engines.states import StateAnalyzer
    from analysis.engines.transcription import Transcriber

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

    def run(self: "Handle[Runs[P, R]]", *args: P.args, **kwargs: P.kwargs) -> R:
        """The engine's own `run`. Raises `ModelProblem` too, where its weights may not be loaded."""
        with self._residents.using(self._name, self._load, weights=self._weights) as engine:
            return engine.run(*args, **kwargs)

    def warm(self) -> None:
        """Loads it, so that the next to run it need not wait."""
        with self._residents.using(self._name, self._load, weights=self._weights):
            pass


@dataclass(frozen=True, slots=True)
class Slot(Generic[E_co]):
    """One engine of the box. `module` is where it is defined; its model is `model`, or what the setting `setting` names."""

    make: "Callable[[Engines, ModelEntry], E_co]"
    module: str
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

        def load() -> E_co:
            return self.make(box, entry)

        # First, so that the code that an engine brings is not taken for its weights: it stays when they go.
        importlib.import_module(self.module)
        return Handle(box.residents, self.name, load, sum(file.size for file in entry.files))


def engine(
    module: str, *, model: str = "", setting: str = ""
) -> "Callable[[Callable[[Engines, ModelEntry], E]], Slot[E]]":
    """Makes a method that loads an engine from a manifest entry into the engine itself, under the method's name."""

    def of(make: "Callable[[Engines, ModelEntry], E]") -> Slot[E]:
        return Slot(make, module, model, setting)

    return of


class Engines:
    """The engines of one process, each loaded when it is first needed and its weights checked against the manifest."""

    def __init__(self, manifest: Manifest, residents: Residents) -> None:
        self.manifest = manifest
        self.residents = residents

    @classmethod
    def slots(cls) -> "Mapping[str, Slot[Any]]":
        """Every engine of the box by its name."""
        return {name: slot for name, slot in vars(cls).items() if isinstance(slot, Slot)}

    @engine("analysis.engines.activity", model="silero-vad")
    def activity(self, entry: ModelEntry) -> "SpeechActivity":
        from analysis.engines.activity import SpeechActivity

        return SpeechActivity.load()

    @engine("analysis.engines.transcription", setting="VOXGOV_ASR_MODEL")
    def transcriber(self, entry: ModelEntry) -> "Transcriber":
        from analysis.engines.transcription import Transcriber

        directory = entry.verified(settings.VOXGOV_MODELS_DIR)
        return Transcriber.load(directory, entry.identity(), threads=settings.VOXGOV_THREADS)

    @engine("analysis.engines.nonverbal", model="yamnet")
    def nonverbal(self, entry: ModelEntry) -> "NonverbalDetector":
        from analysis.engines.nonverbal import NonverbalDetector

        return NonverbalDetector.load(entry.verified(settings.VOXGOV_MODELS_DIR), entry.identity())

    @engine("analysis.engines.prosody", model="prosody")
    def prosody(self, entry: ModelEntry) -> "ProsodyAnalyzer":
        from analysis.engines.prosody import ProsodyAnalyzer

        return ProsodyAnalyzer()

    @engine("analysis.engines.disfluency", model="disfluency")
    def disfluency(self, entry: ModelEntry) -> "DisfluencyReader":
        from analysis.engines.disfluency import DisfluencyReader

        return DisfluencyReader()

    @engine("analysis.engines.emotion_choice", setting="VOXGOV_EMOTION_MODEL")
    def emotion(self, entry: ModelEntry) -> "EmotionEngine":
        from analysis.engines.emotion_choice import load

        return load(entry, settings.VOXGOV_MODELS_DIR)

    @engine("analysis.engines.states", model="acoustic-states")
    def states(self, entry: ModelEntry) -> "StateAnalyzer":
        from analysis.engines.states import StateAnalyzer

        return StateAnalyzer()

    @engine("analysis.engines.incongruence", model="wording-and-delivery")
    def wording(self, entry: ModelEntry) -> "WordingReader":
        from analysis.engines.incongruence import WordingReader

        return WordingReader()


@lru_cache(maxsize=1)
def engines() -> Engines:
    """This process's engines."""
    return Engines(manifest_in_force(), Residents(settings.VOXGOV_ENGINES_MB * MEGABYTE))


def manifest_in_force() -> Manifest:
    """The shipped models and the operator's own."""
    shipped = load_manifest()
    return with_own(shipped, Path(settings.VOXGOV_OWN_MODELS)) if settings.VOXGOV_OWN_MODELS else shipped
