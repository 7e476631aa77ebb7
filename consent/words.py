"""Plain words for what the vocabulary calls by its terms, for everything that people read. No rule lives here."""

from collections.abc import Mapping
from typing import Final

from consent.vocabulary import Action, Scope

SCOPE_WORDS: Final[Mapping[str, str]] = {
    Scope.AUDIO_STORE: "keep the audio",
    Scope.TRANSCRIBE: "write down what was said",
    Scope.TRANSLATE: "translate what was said",
    Scope.LANGUAGE: "recognize the language",
    Scope.PROSODY: "measure pitch, pauses and pace",
    Scope.DIARIZE: "tell the speakers apart",
    Scope.LIVE: "listen while it happens",
    Scope.NONVERBAL: "note sounds such as laughter or coughing",
    Scope.EMOTION: "estimate the emotion expressed",
    Scope.IDENTIFY: "recognize the person by voice",
    Scope.ACCENT: "estimate the accent",
    Scope.AGGREGATE: "count it in statistics",
    Scope.SHARE: "share it with others",
    Scope.TRAIN: "train models with it",
}

ACTION_WORDS: Final[Mapping[str, str]] = {
    Action.SUBMIT: "submit a recording",
    Action.UPLOAD: "upload its audio",
    Action.ENQUEUE: "queue an analysis",
    Action.CLAIM: "start an analysis",
    Action.CONTINUE: "go on with an analysis",
    Action.COMMIT: "keep the results",
    Action.READ: "read the results",
}
