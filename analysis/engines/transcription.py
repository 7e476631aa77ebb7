"""Words and language of a clip, by Whisper: the face of the engine and what it answers.

Only speech is transcribed: the stretches are given, silence never reaches the model. Packing speech into windows is
`transcription_windows`, the weights at work are `transcription_decoding`, what may be believed is `transcription_judging`,
words and utterances are `transcription_words`. Which library runs the weights is chosen in `transcription_choice`.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from analysis.engines.clip import Checkpoint, Clip, ModelIdentity, Parameter, Stretch
from analysis.engines.transcription_decoding import Encoded, Request, Task, WhisperRuntime
from analysis.engines.transcription_judging import Hypothesis
from analysis.engines.transcription_windows import Window, pack
from analysis.engines.transcription_words import PlacedWord, place, utterances

UNKNOWN_LANGUAGE = "unknown"

_CERTAIN_LANGUAGE = 0.5
"""A language this likely in one window is not looked for in the next."""
_LANGUAGE_WINDOWS = 3
_UNHEARD = 1.5
"""Seconds of speech after a window's last word that are decoded again by themselves: the text broke off."""
_ENCODING_SHARE = 0.5
"""How much of a window's work its encoding is, for the fraction that the checkpoint is told."""


class LanguageUnsupported(ValueError):
    """The model does not know the language that was asked for."""

    code: ClassVar[str] = "transcription_language_unsupported"


class TranslationUnsupported(ValueError):
    """The model knows no language but English: it would write down what was said, and call it a translation."""

    code: ClassVar[str] = "transcription_translation_unsupported"


@dataclass(frozen=True, slots=True)
class Word:
    """Seconds in the clip; probability from 0 to 1, the mean over the word's tokens, not calibrated."""

    text: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True, slots=True)
class Utterance:
    """Words between two pauses or ends of sentences. Seconds in the clip.

    `avg_logprob` (natural logarithm, per token), `no_speech_probability` (0 to 1) and `temperature` (0.0 where beam search
    succeeded) are those of the window that the utterance was decoded in. `words` is empty where none were asked for, and in a
    translation, whose words stand in another order than what was said.
    """

    start: float
    end: float
    text: str
    words: tuple[Word, ...]
    avg_logprob: float
    no_speech_probability: float
    temperature: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """`language` is a code like "en", or "unknown" (probability 0.0) where there were no words. Utterances are in order."""

    language: str
    language_probability: float
    utterances: tuple[Utterance, ...]
    model: ModelIdentity


@dataclass(frozen=True, slots=True)
class TranscriptionOptions:
    """How to transcribe. `language`, of the speech, None means detect it; `batch_size` is in windows of up to thirty seconds.

    The task `translate` gives English text instead; English speech is written down as it is. `prompt` and `hot_words` lead the
    decoder to spellings: see `Request`.
    """

    task: Task = "transcribe"
    language: str | None = None
    prompt: str = field(default="", repr=False)
    hot_words: tuple[str, ...] = field(default=(), repr=False)
    beam_size: int = 5
    batch_size: int = 8
    word_times: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.beam_size <= 20:
            raise ValueError(f"beam_size is 1 to 20, not {self.beam_size}")
        if not 1 <= self.batch_size <= 64:
            raise ValueError(f"batch_size is 1 to 64, not {self.batch_size}")

    def as_parameters(self) -> dict[str, Parameter]:
        """What a result says of how it was made. They lie in the clear: of the language, which says something about who speaks,
        of a prompt and of hot words only that they were given."""
        return {
            "task": self.task,
            "beam_size": self.beam_size,
            "batch_size": self.batch_size,
            "language_given": self.language is not None,
            "prompt_given": bool(self.prompt),
            "hot_words_given": bool(self.hot_words),
        }


class TranscriptionEngine(Protocol):
    """What every transcription engine does, whatever runs its weights."""

    def run(
        self, clip: Clip, speech: Sequence[Stretch], options: TranscriptionOptions, checkpoint: Checkpoint
    ) -> Transcript: ...


class Transcriber:
    """The engine on Whisper weights. One may serve many clips, one after another."""

    def __init__(self, runtime: WhisperRuntime, identity: ModelIdentity) -> None:
        self._runtime = runtime
        self._identity = identity

    def run(
        self, clip: Clip, speech: Sequence[Stretch], options: TranscriptionOptions, checkpoint: Checkpoint
    ) -> Transcript:
        """The words spoken in `speech`; `checkpoint` is called between windows, and twice a second while a batch is decoded.

        Raises:
            LanguageUnsupported: `options.language` is not one of the model's.
            TranslationUnsupported: a translation is asked of a model that knows English alone.
        """
        if options.task == "translate" and not self._runtime.multilingual:
            raise TranslationUnsupported(f"{self._identity.name} knows no language but English: it does not translate.")
        if options.language is not None and not self._runtime.knows(options.language):
            raise LanguageUnsupported(f"{self._identity.name} does not transcribe {options.language!r}.")
        run = _Run(self._runtime, clip, pack(clip, speech), options, checkpoint)
        found = run.utterances()
        checkpoint(1.0)
        language, probability = (run.language, run.language_probability) if found else (UNKNOWN_LANGUAGE, 0.0)
        made = self._identity.ran_with(**options.as_parameters(), **self._runtime.parameters)
        return Transcript(language, probability, found, made)


class _Run:
    """One clip on its way through the model."""

    def __init__(
        self,
        runtime: WhisperRuntime,
        clip: Clip,
        windows: Sequence[Window],
        options: TranscriptionOptions,
        checkpoint: Checkpoint,
    ) -> None:
        self._runtime = runtime
        self._clip = clip
        self._waiting = deque(windows)
        self._options = options
        self._checkpoint = checkpoint
        self._total = len(windows)
        self._done = 0.0
        self._reached = 0.0
        # The words of a translation are not said in their order: only its utterances have times, and where its last word was
        # aligned says nothing about how much of the speech it covers.
        self._in_order = options.task == "transcribe"
        self.language = options.language or UNKNOWN_LANGUAGE
        self.language_probability = 1.0 if options.language else 0.0

    def utterances(self) -> tuple[Utterance, ...]:
        found: list[Utterance] = []
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(self._options.batch_size, len(self._waiting)))]
            encoded = [self._encode(window) for window in batch]
            if self.language == UNKNOWN_LANGUAGE:
                self._detect(encoded)
            self._checkpoint(self._fraction())
            decoded = self._runtime.decode(encoded, self._request(), self._pulse)
            for window, (hypothesis, times) in zip(batch, decoded, strict=True):
                words = place(times, window, self._clip) if times else ()
                found.extend(self._utterances(words, hypothesis))
                if words and self._in_order:
                    self._hear_out(window, words)
            self._done += len(batch) * (1 - _ENCODING_SHARE)
        return tuple(sorted(found, key=lambda utterance: utterance.start))

    def _request(self) -> Request:
        options = self._options
        return Request(self.language, options.task, options.beam_size, options.prompt, options.hot_words)

    def _encode(self, window: Window) -> Encoded:
        self._checkpoint(self._fraction())
        encoded = self._runtime.encode(window.samples(self._clip))
        self._done += _ENCODING_SHARE
        return encoded

    def _pulse(self) -> None:
        self._checkpoint(self._fraction())

    def _fraction(self) -> float:
        """Never falls, though windows may be added on the way."""
        self._reached = max(self._reached, self._done / self._total)
        return self._reached

    def _detect(self, encoded: Sequence[Encoded]) -> None:
        """The likeliest language on average over the first windows, stopping at one that leaves no doubt."""
        seen: dict[str, float] = {}
        count = 0
        for window in encoded[:_LANGUAGE_WINDOWS]:
            count += 1
            languages = self._runtime.languages(window)
            for language, probability in languages.items():
                seen[language] = seen.get(language, 0.0) + probability
            if max(languages.values()) > _CERTAIN_LANGUAGE:
                break
        self.language = max(seen, key=lambda language: seen[language])
        self.language_probability = seen[self.language] / count

    def _utterances(self, words: Sequence[PlacedWord], hypothesis: Hypothesis) -> list[Utterance]:
        return [
            Utterance(
                start=round(spoken[0].start, 3),
                end=round(spoken[-1].end, 3),
                text="".join(word.text for word in spoken).strip(),
                words=tuple(
                    Word(word.text.strip(), round(word.start, 3), round(word.end, 3), round(word.probability, 4))
                    for word in (spoken if self._options.word_times and self._in_order else ())
                ),
                avg_logprob=hypothesis.avg_logprob,
                no_speech_probability=hypothesis.no_speech_probability,
                temperature=hypothesis.temperature,
            )
            for spoken in utterances(words)
        ]

    def _hear_out(self, window: Window, words: Sequence[PlacedWord]) -> None:
        """Queues the speech after the last word once more where the text broke off before it."""
        rest = window.after(words[-1].end, self._clip)
        if _UNHEARD <= sum(again.spoken for again in rest) <= window.spoken - _UNHEARD:
            self._waiting.extend(rest)
            self._total += len(rest)
