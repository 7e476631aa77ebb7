"""The Whisper weights at work, whatever library runs them: encode once, detect the language, decode with fallback, align words.

Each window is encoded once, and language, text and word times all come from that one encoding. What a library has to do for
that is `Weights`; `transcription_ctranslate2` and `transcription_transformers` do it. Whether a text may be believed is
`transcription_judging`; what the windows are and what becomes of the words is decided elsewhere.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import tokenizers
from faster_whisper.audio import pad_or_trim
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

from analysis.engines.clip import Parameter, Samples
from analysis.engines.transcription_judging import (
    COMPRESSION_LIMIT,
    LOGPROB_LIMIT,
    NO_SPEECH_LIMIT,
    TEMPERATURES,
    Hypothesis,
    before_loop,
    is_echo,
)

Device = Literal["auto", "cpu", "cuda"]
Task = Literal["transcribe", "translate"]
Spectrogram = NDArray[np.float32]
"""Shape (1, mels, 3000): thirty seconds of log-mel frames."""

SAMPLED = 5
"""Candidates drawn at each temperature above zero, the best of which is kept."""
_LONGEST = 224
"""Tokens of text decoded at most: half of the decoder's positions (openai/whisper decoding.py)."""
_LONGEST_PROMPT = 218
"""Tokens that may have been said before, at most: what the longest text and the marks leave of 448 positions."""
_TOKENS_PER_SECOND = 50
"""No script needs more for the fastest speech; a loop is stopped there instead of at `_LONGEST`."""
_PULSE = 0.5
"""Seconds between two looks at whether the work is still wanted."""
_FRAMES_PER_SECOND = 100
_TIMES_PER_SECOND = 50
_WINDOW_FRAMES = 3000
_INSIDE_WORDS = "-'’‐"


class ModelUnloadable(Exception):
    """The directory holds no Whisper model in the engine's format that this machine can load."""

    code: ClassVar[str] = "transcription_model_unloadable"


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """One window after the encoder, in the weights' own form, and the seconds of sound in it."""

    states: Any
    duration: float

    @property
    def frames(self) -> int:
        """Frames of the spectrogram that are not padding."""
        return max(1, min(_WINDOW_FRAMES, ceil(self.duration * _FRAMES_PER_SECOND)))

    @property
    def longest(self) -> int:
        """Text tokens that may come out of it."""
        return min(_LONGEST, ceil(self.duration * _TOKENS_PER_SECOND) + 30)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of every window of a run. `prompt` and `hot_words` are text that is given to the decoder as if it had been
    said before: it is led to their spellings. Of both together the last tokens that fit count, hot words first."""

    language: str
    task: Task = "transcribe"
    beam_size: int = 5
    prompt: str = field(default="", repr=False)
    hot_words: tuple[str, ...] = field(default=(), repr=False)

    @property
    def said_before(self) -> str:
        return " ".join(part for part in (", ".join(self.hot_words), self.prompt.strip()) if part)

    def without_prompt(self) -> "Request":
        return replace(self, prompt="", hot_words=())


@dataclass(frozen=True, slots=True)
class Search:
    """How to decode. A `temperature` of 0.0 is beam search; above, `SAMPLED` candidates are drawn and the likeliest is kept.

    `prompt` are the tokens before the text, `suppressed` those that no text holds, `blank` those that none begins with, `longest`
    how many it may have. The mark `sot` is where `no_speech` is read off. Decoding may end early once `stopped` is set.
    """

    prompt: tuple[int, ...] = field(repr=False)
    sot: int
    no_speech: int
    eot: int
    suppressed: tuple[int, ...]
    blank: tuple[int, ...]
    beam_size: int
    temperature: float
    longest: int
    stopped: threading.Event


@dataclass(frozen=True, slots=True)
class Generated:
    """`sequence` are the tokens without the end mark; `avg_logprob` counts that mark too where there is one."""

    sequence: tuple[int, ...]
    avg_logprob: float
    no_speech_probability: float


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """The path of dynamic time warping over cross-attention: text step (0 to tokens) by time step (of 20 ms), and each token's
    probability."""

    text_steps: NDArray[np.int64]
    time_steps: NDArray[np.int64]
    probabilities: tuple[float, ...]


class Weights(Protocol):
    """Loaded Whisper weights. `lanes` is how many batches they decode side by side; `mels` the height of a spectrogram;
    `compute_type` the numbers that they count in."""

    @property
    def multilingual(self) -> bool: ...

    @property
    def mels(self) -> int: ...

    @property
    def lanes(self) -> int: ...

    @property
    def device(self) -> str: ...

    @property
    def compute_type(self) -> str: ...

    def encode(self, spectrogram: Spectrogram) -> Any:
        """The encoder's states for one window, in a form that the other methods take."""

    def languages(self, states: Any) -> dict[str, float]:
        """The probability of each language's token, such as `<|en|>`."""

    def generate(self, states: Sequence[Any], search: Search) -> list[Generated]: ...

    def align(
        self, states: Sequence[Any], tokenizer: Tokenizer, texts: Sequence[Sequence[int]], frames: Sequence[int]
    ) -> list[Alignment]:
        """Where each token of each text was said; `frames` are how many of the spectrogram's are not padding."""


@dataclass(frozen=True, slots=True)
class TokenTimes:
    """The text of one window cut into words: `words[i]` lasts from `starts[i]` to `ends[i]`, seconds in the window."""

    words: tuple[str, ...]
    starts: tuple[float, ...]
    ends: tuple[float, ...]
    probabilities: tuple[float, ...]


class WhisperRuntime:
    """One set of loaded weights. Calls from several threads are allowed; those of one run need not wait for another's."""

    def __init__(self, weights: Weights, tokenizer: tokenizers.Tokenizer) -> None:
        self._weights = weights
        self._tokenizer = tokenizer
        self._features = FeatureExtractor(feature_size=weights.mels)
        self._speaking: dict[tuple[str, Task], Tokenizer] = {}
        self.parameters: Mapping[str, Parameter] = {
            "device": weights.device,
            "compute_type": weights.compute_type,
            "logprob_limit": LOGPROB_LIMIT,
            "no_speech_limit": NO_SPEECH_LIMIT,
            "compression_limit": COMPRESSION_LIMIT,
        }
        """What decides, beside the weights, what comes out of them."""

    @property
    def multilingual(self) -> bool:
        return self._weights.multilingual

    def knows(self, language: str) -> bool:
        """Whether the weights have a token for `language`, a code like "en"."""
        if not self.multilingual:
            return language == "en"
        token = self._tokenizer.token_to_id(f"<|{language}|>")
        first, after = (self._tokenizer.token_to_id(mark) for mark in ("<|startoftranscript|>", "<|translate|>"))
        if token is None or first is None or after is None:
            return False
        return bool(first < token < after)

    def encode(self, samples: Samples) -> Encoded:
        """`samples` are at most thirty seconds at 16 kHz."""
        features = pad_or_trim(self._features(samples)[:, :-1], _WINDOW_FRAMES)
        states = self._weights.encode(np.ascontiguousarray(features[np.newaxis], dtype=np.float32))
        return Encoded(states, len(samples) / self._features.sampling_rate)

    def languages(self, encoded: Encoded) -> dict[str, float]:
        """The probability of each language, from the encoding alone."""
        if not self.multilingual:
            return {"en": 1.0}
        return {token[2:-2]: probability for token, probability in self._weights.languages(encoded.states).items()}

    def decode(
        self, windows: Sequence[Encoded], request: Request, pulse: Callable[[], None] = lambda: None
    ) -> list[tuple[Hypothesis, TokenTimes | None]]:
        """Text and word times of each window, in order; no times where there is no text.

        A batch whose texts fail one temperature after another takes minutes on a busy machine. `pulse` is called every
        `_PULSE` seconds meanwhile, in the caller's thread; what it raises ends this at once, and nothing that is not under
        way by then is begun.
        """
        count = max(1, min(self._weights.lanes, len(windows)))
        groups = [windows[lane::count] for lane in range(count)]
        stopped = threading.Event()
        pool = ThreadPoolExecutor(count)
        try:
            lanes = [pool.submit(self._decode, group, request, stopped) for group in groups]
            while wait(lanes, timeout=_PULSE, return_when=FIRST_EXCEPTION).not_done:
                for failed in (lane for lane in lanes if lane.done()):
                    failed.result()
                pulse()
            decoded = [lane.result() for lane in lanes]
        finally:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
        return [decoded[index % count][index // count] for index in range(len(windows))]

    def _decode(
        self, windows: Sequence[Encoded], request: Request, stopped: threading.Event
    ) -> list[tuple[Hypothesis, TokenTimes | None]]:
        hypotheses = self._generate(windows, request, stopped, 0.0)
        for index, window in enumerate(windows):
            if hypotheses[index].echo:
                (hypotheses[index],) = self._generate([window], request.without_prompt(), stopped, 0.0)
            if hypotheses[index].failed:
                hypotheses[index] = self.fall_back(window, request, hypotheses[index], stopped)
        if stopped.is_set():
            return []  # nobody waits for it any more
        spoken = [index for index, hypothesis in enumerate(hypotheses) if hypothesis.is_text]
        times = self._align([windows[index] for index in spoken], request, [hypotheses[index] for index in spoken])
        placed = dict(zip(spoken, times, strict=True))
        return [(hypothesis, placed.get(index)) for index, hypothesis in enumerate(hypotheses)]

    def fall_back(
        self, window: Encoded, request: Request, first: Hypothesis, stopped: threading.Event | None = None
    ) -> Hypothesis:
        """The first success at a rising temperature; where there is none, `first` up to where it ran into a loop."""
        stopped = stopped or threading.Event()
        for temperature in TEMPERATURES:
            if stopped.is_set():
                return first
            (found,) = self._generate([window], request, stopped, temperature)
            if not found.failed and found.is_text and not found.echo:
                return found
        if not first.endless or first.doubted:
            return first
        tokens = before_loop(first.tokens)
        text = self._tokenizer_for(request).decode(list(tokens)).strip()
        return replace(first, tokens=tokens, text=text, endless=False)

    def _generate(
        self, windows: Sequence[Encoded], request: Request, stopped: threading.Event, temperature: float
    ) -> list[Hypothesis]:
        tokenizer = self._tokenizer_for(request)
        search = Search(
            prompt=(*_led_to(request, tokenizer), *tokenizer.sot_sequence, tokenizer.no_timestamps),
            sot=tokenizer.sot,
            no_speech=tokenizer.no_speech,
            eot=tokenizer.eot,
            suppressed=_unspeakable(tokenizer),
            blank=tuple(tokenizer.encode(" ")),
            beam_size=request.beam_size,
            temperature=temperature,
            longest=max(window.longest for window in windows),
            stopped=stopped,
        )
        results = self._weights.generate([window.states for window in windows], search)
        return [
            _hypothesis(result, window, search, tokenizer, request)
            for result, window in zip(results, windows, strict=True)
        ]

    def _align(
        self, windows: Sequence[Encoded], request: Request, hypotheses: Sequence[Hypothesis]
    ) -> list[TokenTimes]:
        if not windows:
            return []
        tokenizer = self._tokenizer_for(request)
        aligned = self._weights.align(
            [window.states for window in windows],
            tokenizer,
            [hypothesis.tokens for hypothesis in hypotheses],
            [window.frames for window in windows],
        )
        return [
            _token_times(result, hypothesis, tokenizer) for result, hypothesis in zip(aligned, hypotheses, strict=True)
        ]

    def _tokenizer_for(self, request: Request) -> Tokenizer:
        spoken = (request.language, request.task)
        if spoken not in self._speaking:
            self._speaking[spoken] = Tokenizer(
                self._tokenizer, self.multilingual, task=request.task, language=request.language
            )
        return self._speaking[spoken]


def load_tokenizer(directory: Path) -> tokenizers.Tokenizer:
    """Raises `ModelUnloadable`."""
    try:
        return tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    except Exception as error:  # the library raises bare Exception
        raise ModelUnloadable(f"{directory} has no tokenizer that can be read: {error}") from error


def _led_to(request: Request, tokenizer: Tokenizer) -> list[int]:
    """The mark and the tokens of what the decoder is to take for said before; nothing where nothing was given."""
    hot = tokenizer.encode(" " + ", ".join(request.hot_words))[:_LONGEST_PROMPT] if request.hot_words else []
    room = _LONGEST_PROMPT - len(hot)
    prompt = tokenizer.encode(" " + request.prompt.strip())[-room:] if request.prompt.strip() and room else []
    return [tokenizer.sot_prev, *hot, *prompt] if hot or prompt else []


def _unspeakable(tokenizer: Tokenizer) -> tuple[int, ...]:
    """Tokens that are no speech: brackets and musical notes, and the prompt's own marks (openai/whisper decoding.py)."""
    marks = (
        tokenizer.transcribe,
        tokenizer.translate,
        tokenizer.sot,
        tokenizer.sot_prev,
        tokenizer.sot_lm,
        tokenizer.no_speech,
    )
    return tuple(sorted({*tokenizer.non_speech_tokens, *(mark for mark in marks if mark is not None)}))


def _hypothesis(
    result: Generated, window: Encoded, search: Search, tokenizer: Tokenizer, request: Request
) -> Hypothesis:
    tokens = tuple(token for token in result.sequence if token < tokenizer.eot)
    text = tokenizer.decode(list(tokens)).strip()
    return Hypothesis(
        tokens=tokens,
        text=text,
        seconds=window.duration,
        avg_logprob=result.avg_logprob,
        no_speech_probability=result.no_speech_probability,
        temperature=search.temperature,
        endless=len(result.sequence) >= search.longest,
        echo=is_echo(text, request.said_before),
    )


def _token_times(result: Alignment, hypothesis: Hypothesis, tokenizer: Tokenizer) -> TokenTimes:
    """Word times where the path of the alignment goes on to the word's first token (openai/whisper timing.py)."""
    begins = result.time_steps[np.diff(result.text_steps, prepend=-1) > 0] / _TIMES_PER_SECOND
    words, sizes = _words(hypothesis.tokens, tokenizer)
    edges = np.cumsum([0, *sizes])
    return TokenTimes(
        words=words,
        starts=tuple(begins[edges[:-1]].tolist()),
        ends=tuple(begins[edges[1:]].tolist()),
        probabilities=tuple(
            float(np.mean(result.probabilities[first:last])) for first, last in pairwise(edges.tolist())
        ),
    )


def _words(tokens: Sequence[int], tokenizer: Tokenizer) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The words with their white space, and how many tokens each has; what follows a hyphen inside a word is part of it."""
    words: list[str] = []
    sizes: list[int] = []
    for word, piece in zip(*tokenizer.split_to_word_tokens([*tokens, tokenizer.eot]), strict=True):
        if piece[0] == tokenizer.eot:
            break
        if words and len(word) > 1 and word[0] in _INSIDE_WORDS:
            words[-1] += word
            sizes[-1] += len(piece)
        else:
            words.append(word)
            sizes.append(len(piece))
    return tuple(words), tuple(sizes)
