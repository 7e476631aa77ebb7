"""Whether a decoded text may be believed: thresholds, what calls for another try, and where a loop begins. No model here.

Whisper invents: "Thank you." on music, "I'm sorry." on a cough, one phrase without end on speech that it cannot follow.
What is more likely invented than heard is not reported.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Tried in turn where beam search failed: Radford et al. 2022, section 4.5, as are the first two thresholds below."""
COMPRESSION_LIMIT = 2.4
"""zlib ratio of the text above which it repeats itself."""
LOGPROB_LIMIT = -1.0
"""Average log-probability per token below which a text is unlikely to the model itself."""
NO_SPEECH_LIMIT = 0.25
"""Above it, sound is doubted to be speech: an unlikely or repeating text is then none, and no other is drawn for.

Whisper's own 0.6 lets through what its small models invent on music, animals and laughter (0.3 to 0.6 there with the base
weights). Read speech under noise that left half of its words wrong stayed below 0.12, and its log-probability above -0.9.
"""
CERTAIN_LOGPROB = -0.7
"""Average log-probability that a text on doubted sound needs. On silence the base weights say "you" at -0.9 to -1.1, on
laughs "ha" from -1.05: a margin, because the last digits differ between processors.
"""
FASTEST_SPEECH = 45
"""Characters per second; English is read at fifteen. What is faster was not spoken."""

_ROUNDS = 3
"""A phrase said so often without pause, in a text without end, is a loop."""
_WORD = re.compile(r"\w+")
_SHORTEST_LOOP = 6
"""Tokens that are the same again before a loop is called one: people say "very very very"."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What was decoded from `seconds` of sound. `avg_logprob` is per token, natural logarithm, 0 at best.

    `endless` says that the text was cut off at the most tokens that the sound can hold; `echo` that it says nothing that the
    prompt did not.
    """

    tokens: tuple[int, ...]
    text: str
    seconds: float
    avg_logprob: float
    no_speech_probability: float
    temperature: float
    endless: bool = False
    echo: bool = False

    @property
    def unlikely(self) -> bool:
        return self.avg_logprob < LOGPROB_LIMIT

    @property
    def rushed(self) -> bool:
        return len(self.text) > FASTEST_SPEECH * self.seconds

    @property
    def repeats(self) -> bool:
        raw = self.text.encode()
        return len(raw) > COMPRESSION_LIMIT * len(zlib.compress(raw))

    @property
    def doubted(self) -> bool:
        return self.no_speech_probability > NO_SPEECH_LIMIT

    @property
    def invented(self) -> bool:
        """Sound that may be no speech, and a text that is less than certain."""
        return self.doubted and self.avg_logprob < CERTAIN_LOGPROB

    @property
    def failed(self) -> bool:
        """Whether to draw at a temperature what beam search did not find. For unlikely words on doubted sound: no."""
        return self.repeats or self.rushed or (self.unlikely and not self.doubted)

    @property
    def is_text(self) -> bool:
        """Whether it may be reported. People do repeat themselves; a loop on doubted sound is not people."""
        return bool(self.text) and not (
            self.unlikely or self.rushed or self.invented or (self.repeats and self.doubted)
        )


def is_echo(text: str, prompt: str) -> bool:
    """Whether all words of `text` stand in `prompt` one after another. Whisper repeats a prompt on sound that is no speech, and one
    that repeats itself on speech too: what it was given counts only where it is heard without it."""
    said, given = _WORD.findall(text.casefold()), _WORD.findall(prompt.casefold())
    return bool(said) and any(given[at : at + len(said)] == said for at in range(len(given) - len(said) + 1))


def before_loop(tokens: Sequence[int]) -> tuple[int, ...]:
    """`tokens` up to where a phrase that goes round `_ROUNDS` times was first said; all of them where none does."""
    end = len(tokens)
    for period in range(1, len(tokens) // _ROUNDS + 1):
        same = 0
        for index in range(len(tokens) - period):
            same = same + 1 if tokens[index] == tokens[index + period] else 0
            if same >= max((_ROUNDS - 1) * period, _SHORTEST_LOOP):
                end = min(end, index + 1 - same + period)
                break
    return tuple(tokens[:end])
