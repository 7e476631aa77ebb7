"""Sounds that people make beside words, and what is heard around them: names, rules, and what an engine answers.

Here lives which AudioSet classes stand for which sound, one table for every engine. A sound is reported as a sound: nothing
says why somebody made it, or of what it is a sign. What is heard around people (music, noise) is context and no event of
anybody. The engines are `nonverbal` (YAMNet) and `nonverbal_transformers`; how scores become events is `sound_events`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from analysis.engines.clip import Checkpoint, Clip, ModelIdentity


class Sound(StrEnum):
    """The sounds that are reported. AudioSet has no class of its own for a sob, a breath in and a breath out: they are reported
    by models alone that tell them apart; otherwise they are crying and breathing."""

    LAUGHTER = "laughter"
    GIGGLE = "giggle"
    CRYING = "crying"
    SOB = "sob"
    SIGH = "sigh"
    GASP = "gasp"
    BREATHING = "breathing"
    BREATH_IN = "breath in"
    BREATH_OUT = "breath out"
    COUGH = "cough"
    THROAT_CLEARING = "throat clearing"
    SNEEZE = "sneeze"
    SNIFF = "sniff"
    GROAN = "groan"
    MOAN = "moan"
    SCREAM = "scream"
    WHISPER = "whisper"
    APPLAUSE = "applause"


class Surrounding(StrEnum):
    """What is heard around people. The place itself is not inferred: traffic, a crowd and a hiss are all background."""

    MUSIC = "music"
    BACKGROUND = "background"


@dataclass(frozen=True, slots=True)
class Rule:
    """How one sound is found.

    `classes` are its AudioSet display names (the highest score counts), `others` what collections beside AudioSet call it;
    all are compared without regard to case. Of two events of one family, the weaker is dropped when the stronger covers
    more than half of it: a network gives the members of a family high scores together. What is shorter than `shortest`
    (seconds) is not reported.
    """

    sound: Sound
    classes: tuple[str, ...]
    others: tuple[str, ...]
    family: str
    shortest: float = 0.1


RULES = (
    Rule(
        Sound.LAUGHTER,
        ("Laughter", "Belly laugh", "Chuckle, chortle", "Snicker", "Baby laughter"),
        ("laugh", "laughing"),
        "outburst",
    ),
    Rule(Sound.GIGGLE, ("Giggle",), ("giggling",), "outburst"),
    Rule(Sound.CRYING, ("Crying, sobbing", "Baby cry, infant cry", "Whimper"), ("cry", "crying"), "outburst"),
    Rule(Sound.SOB, (), ("sob", "sobbing"), "outburst"),
    # A sigh is a long breath; most of what was wrongly taken for one in speech is a consonant.
    Rule(Sound.SIGH, ("Sigh",), ("sighing",), "breath", shortest=0.4),
    Rule(Sound.GASP, ("Gasp",), ("gasping",), "breath"),
    Rule(Sound.BREATHING, ("Breathing", "Pant"), ("breath", "panting"), "breath"),
    Rule(Sound.BREATH_IN, (), ("breath in", "breathing in", "inhale", "inhalation", "inspiration"), "breath"),
    Rule(Sound.BREATH_OUT, (), ("breath out", "breathing out", "exhale", "exhalation", "expiration"), "breath"),
    Rule(Sound.COUGH, ("Cough",), ("coughing",), "outburst"),
    Rule(Sound.THROAT_CLEARING, ("Throat clearing",), ("throat-clearing", "throatclearing"), "outburst"),
    Rule(Sound.SNEEZE, ("Sneeze",), ("sneezing",), "outburst"),
    Rule(Sound.SNIFF, ("Sniff",), ("sniffing", "sniffle"), "sniff"),
    Rule(Sound.GROAN, ("Groan",), ("groaning",), "breath"),
    Rule(Sound.MOAN, ("Wail, moan",), ("moan", "moaning"), "breath"),
    Rule(Sound.SCREAM, ("Screaming",), ("scream",), "outburst"),
    Rule(Sound.WHISPER, ("Whispering",), ("whisper",), "whisper"),
    Rule(Sound.APPLAUSE, ("Applause", "Clapping"), ("clap",), "applause"),
)
"""One rule per sound, in the order of `Sound`."""

SURROUNDINGS: dict[Surrounding, tuple[str, ...]] = {
    Surrounding.MUSIC: ("Music", "Musical instrument", "Background music"),
    Surrounding.BACKGROUND: (
        "Hubbub, speech noise, speech babble",
        "Chatter",
        "Crowd",
        "Noise",
        "Environmental noise",
        "Static",
        "Hum",
        "Mains hum",
        "White noise",
        "Pink noise",
        "Vehicle",
        "Traffic noise, roadway noise",
        "Wind",
        "Wind noise (microphone)",
        "Rain",
        "Water",
        "Television",
        "Radio",
    ),
}
"""AudioSet display names of each surrounding; the highest score counts."""


@dataclass(frozen=True, slots=True)
class SoundEvent:
    """A sound from `start` to `end` (seconds in the clip). `score` is the highest score in it, 0.0 to 1.0, not calibrated."""

    label: Sound
    start: float
    end: float
    score: float


@dataclass(frozen=True, slots=True)
class ContextStretch:
    """What is heard around people from `start` to `end` (seconds). `score` as in `SoundEvent`."""

    label: Surrounding
    start: float
    end: float
    score: float


@dataclass(frozen=True, slots=True)
class NonverbalEvents:
    """Events and context, each in order of start; sounds of different families may overlap, and context overlaps anything."""

    events: tuple[SoundEvent, ...]
    context: tuple[ContextStretch, ...]
    model: ModelIdentity


class NonverbalEngine(Protocol):
    """What every engine of nonverbal sounds does."""

    def run(self, clip: Clip, checkpoint: Checkpoint) -> NonverbalEvents: ...


def columns(names: Iterable[str], class_names: Sequence[str]) -> list[int]:
    """The places of `names` among a model's labels; those that it does not have are left out."""
    wanted = {name.casefold() for name in names}
    return [index for index, name in enumerate(class_names) if name.casefold() in wanted]
