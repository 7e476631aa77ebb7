"""Conversations put together from readings of several voices, as a corpus for `manage.py evaluate DIRECTORY --task diarization`.

`python -m benchmarks.corpora.conversations DIRECTORY VOICES [--seed 7] [--each 4] [--speakers 1 2 3]` writes it. VOICES is a
directory with one directory of clips for each voice. Who spoke when is known from how the clips were put together and, inside of
them, from the level alone, so that the truth rests on no detector of speech that is being measured. Each conversation is written
clean, with white noise 10 dB below the speech, and as over a telephone.
"""

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from analysis.engines.clip import SAMPLE_RATE, Clip, Stretch
from analysis.engines.levels import rms_dbfs
from benchmarks.corpora.lines import Sound
from benchmarks.corpora.voices import CONDITIONS, Voices, read_voices, write

_SHORT_TURNS: Final = 0.2
"""Share of turns that are one phrase only."""
_TURN: Final = (2.5, 8.0)
"""Seconds of the others, at least."""
_GAP: Final = (0.1, 0.8)
"""Seconds from one turn to the next."""
_OVERLAPS: Final = 0.1
"""Share of turns that begin before the one before has ended."""
_OVERLAP: Final = (0.4, 1.2)
"""Seconds that they begin before."""
_LEVELS: Final = (-26.0, -20.0)
"""dBFS between which each voice has its level."""
_PAUSE: Final = 0.3
"""Seconds: a longer silence within a clip belongs to nobody's turn."""
_SHORTEST: Final = 0.2
"""Seconds of a phrase."""
_FRAME: Final = SAMPLE_RATE // 100
_BELOW_SPEECH: Final = 25.0
"""dB below a clip's loud parts at which its sound becomes silence, less where the room is louder than that."""


@dataclass(frozen=True, slots=True)
class Turn:
    """`speaker` speaks from `start` to `end`, seconds."""

    start: float
    end: float
    speaker: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """`sound` at 16 kHz, and its turns in order of start; where two overlap, both speak."""

    sound: Sound
    turns: tuple[Turn, ...]


def conversation(voices: Voices, chance: random.Random, seconds: float) -> Conversation:
    """Turns of all the voices in changing order until they last so many `seconds`, each voice at a level of its own."""
    left = {name: _shuffled(clips, chance) for name, clips in voices.items()}
    gains = {name: chance.uniform(*_LEVELS) for name in voices}
    pieces: list[tuple[int, Sound]] = []
    turns: list[Turn] = []
    order = sorted(voices)
    chance.shuffle(order)
    at = chance.uniform(*_GAP)
    speaker = order[0]
    while at < seconds or len({turn.speaker for turn in turns}) < len(voices):
        phrases = _turn(left[speaker], chance)
        begin, last = phrases[0][1].start, phrases[-1][1].end
        clip = phrases[0][0].cut(begin, last)
        sound = clip.samples.astype(np.float64) * 10 ** ((gains[speaker] - rms_dbfs(clip.samples)) / 20)
        pieces.append((round(at * SAMPLE_RATE), sound))
        turns += [Turn(at + each.start - begin, at + each.end - begin, speaker) for _, each in phrases]
        at += clip.duration
        others = [name for name in order if name != speaker]
        if others:
            # Whoever has not spoken yet comes before the others.
            silent = [name for name in others if name not in {turn.speaker for turn in turns}]
            speaker = chance.choice(silent or others)
            if chance.random() < _OVERLAPS and clip.duration > 2 * _OVERLAP[1]:
                at -= chance.uniform(*_OVERLAP)
                continue
        at += chance.uniform(*_GAP)
    mixed = np.zeros(max(start + len(sound) for start, sound in pieces) + SAMPLE_RATE // 2)
    for start, sound in pieces:
        mixed[start : start + len(sound)] += sound
    rounded = (Turn(round(turn.start, 3), round(turn.end, 3), turn.speaker) for turn in turns)
    return Conversation(mixed, tuple(sorted(rounded, key=lambda turn: turn.start)))


def corpus(directory: Path, voices: Voices, *, seed: int, each: int, speakers: Sequence[int], seconds: float) -> None:
    """Writes `each` conversations of each number of `speakers`, in each condition, and their manifest."""
    directory.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)
    items = []
    for count in speakers:
        for number in range(each):
            chosen = {name: voices[name] for name in chance.sample(sorted(voices), count)}
            made = conversation(chosen, chance, seconds)
            turns = [{"start": turn.start, "end": turn.end, "speaker": turn.speaker} for turn in made.turns]
            for name, spoil in CONDITIONS.items():
                file = f"{count}-speakers-{number}-{name.replace(' ', '-')}.wav"
                write(directory / file, spoil(made.sound))
                items.append({"audio": file, "groups": {"speakers": count, "sound": name}, "truth": {"turns": turns}})
    manifest = {
        "name": f"{len(items)} conversations of {len(voices)} voices, made with seed {seed}",
        "source": "benchmarks/corpora/conversations.py",
        "licence": "that of the clips",
        "items": items,
    }
    (directory / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _shuffled(clips: Sequence[Clip], chance: random.Random) -> list[tuple[Clip, list[Stretch]]]:
    """Clips in any order with their phrases, which are taken from the end; all of them come again when none is left."""
    order = [(clip, _phrases(clip)) for clip in clips]
    chance.shuffle(order)
    return order


def _phrases(clip: Clip) -> list[Stretch]:
    """What sounds between pauses, by the level of each 10 ms alone."""
    frames = clip.samples[: len(clip.samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    levels = 10 * np.log10(np.mean(np.square(frames, dtype=np.float64), axis=1) + 1e-12)
    room, loud = np.percentile(levels, [5, 95])
    sounding = np.flatnonzero(levels > max(loud - _BELOW_SPEECH, (room + loud) / 2 - _BELOW_SPEECH / 4))
    ends = np.flatnonzero(np.diff(sounding) > _PAUSE * 100)
    firsts, lasts = sounding[np.concatenate([[0], ends + 1])], sounding[np.concatenate([ends, [len(sounding) - 1]])]
    found = [
        Stretch(first / 100, (last + 1) / 100) for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True)
    ]
    return [phrase for phrase in found if phrase.duration >= _SHORTEST]


def _turn(left: list[tuple[Clip, list[Stretch]]], chance: random.Random) -> list[tuple[Clip, Stretch]]:
    """Phrases of one clip that follow each other, taken from it; a clip without further phrases goes to the end of the row."""
    wanted = 0.0 if chance.random() < _SHORT_TURNS else chance.uniform(*_TURN)
    clip, phrases = left[0]
    taken = [phrases.pop(0)]
    while phrases and taken[-1].end - taken[0].start < wanted:
        taken.append(phrases.pop(0))
    if not phrases:
        left.pop(0)
        left.append((clip, _phrases(clip)))
    return [(clip, each) for each in taken]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpora.conversations", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("voices", type=Path, help="directory with one directory of clips for each voice")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--each", type=int, default=4, help="conversations of each number of speakers")
    parser.add_argument("--speakers", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--seconds", type=float, default=60.0, help="length of a conversation, about")
    given = parser.parse_args()
    corpus(
        given.directory,
        read_voices(given.voices),
        seed=given.seed,
        each=given.each,
        speakers=given.speakers,
        seconds=given.seconds,
    )


if __name__ == "__main__":
    main()
