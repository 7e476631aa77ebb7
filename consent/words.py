"""Plain words for what the vocabulary calls by its terms, for everything that people read. No rule lives here."""

from collections.abc import Mapping
from typing import Final

from consent.vocabulary import Action, Context, Scope

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

PEOPLE_WORDS: Final[Mapping[str, str]] = {
    Context.SUPPORT: "customers and others who call, and the employees who speak with them",
    Context.HEALTHCARE: "patients, those who call for them, and the staff who speak with them",
    Context.EMPLOYMENT: "employees, candidates, and those who interview them",
    Context.EDUCATION: "pupils and students, and those who teach them",
    Context.RESEARCH: "people who take part in research, and those who interview them",
    Context.ACCESSIBILITY: "people who use a voice as a means of access",
    Context.PERSONAL: "people who record themselves, and those who speak with them",
    Context.MEDIA: "people who speak in broadcasts and publications",
    Context.UNKNOWN: "people of whom nothing is stated",
}
"""Who is heard in each context: the categories of data subjects (GDPR art. 30(1)(c))."""
