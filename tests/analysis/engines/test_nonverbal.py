"""Sounds of people on real recordings: what is found, what is missed, and that speech, tones and noise are no sounds.

The tables below were measured; they are asserted whole, so that a gain or a loss is seen. Weak points stand in them.
`python -m pytest -s tests/analysis/engines/test_nonverbal.py` prints the rows that `docs/hearing.md` shows.
"""

from pathlib import Path

import numpy as np
import pytest

from analysis.engines.clip import SAMPLE_RATE, Clip, no_checkpoint
from analysis.engines.manifest import load_manifest
from analysis.engines.nonverbal import THRESHOLDS, NonverbalDetector
from analysis.engines.sounds import RULES, Sound, SoundEvent, Surrounding
from analysis.engines.yamnet import Yamnet, YamnetUnloadable
from analysis.evaluation import plain_yamnet
from tests.analysis.engines.signals import clip, noise, read, silence, voice
from voxgov.environment import models_dir

pytestmark = pytest.mark.models

# clip: (what it is, what is reported, what plain YAMNet reports)
TABLE: dict[str, tuple[Sound, set[Sound], set[Sound]]] = {
    "baby-cry.wav": (Sound.CRYING, {Sound.CRYING}, {Sound.CRYING}),
    "cough-male.wav": (Sound.COUGH, {Sound.COUGH}, {Sound.COUGH, Sound.THROAT_CLEARING}),
    "cough-female.wav": (Sound.COUGH, {Sound.LAUGHTER}, set()),  # missed, and taken for a laugh
    "laugh-female.wav": (Sound.LAUGHTER, {Sound.LAUGHTER}, set()),
    "laugh-male1.wav": (Sound.LAUGHTER, {Sound.LAUGHTER}, set()),
    "laugh-male2.wav": (Sound.LAUGHTER, {Sound.LAUGHTER}, {Sound.LAUGHTER}),
    "laugh-male3.wav": (
        Sound.LAUGHTER,
        {Sound.THROAT_CLEARING},
        set(),
    ),  # missed; its last burst is taken for a cleared throat
    "scream-female.wav": (
        Sound.SCREAM,
        set(),
        set(),
    ),  # missed: screams of under a second, cut off in their midst
    "scream-male1.wav": (Sound.SCREAM, {Sound.GROAN}, {Sound.GROAN}),  # missed
    "scream-male2.mp3": (Sound.SCREAM, set(), {Sound.GROAN}),  # missed
    "sneeze-female.wav": (Sound.SNEEZE, set(), set()),  # missed: a voiced, theatrical sneeze
    "sneeze-male.wav": (Sound.SNEEZE, {Sound.GROAN, Sound.SCREAM}, set()),  # missed: the same
}
ROOMS = 3
# The same clips from 2.0 s on in three rooms whose noise has -60 dBFS: in how many the sound is found, what else is reported
# in any of them, and in how many plain YAMNet finds the sound.
IN_A_ROOM: dict[str, tuple[int, set[Sound], int]] = {
    "baby-cry.wav": (3, set(), 3),
    "cough-male.wav": (3, set(), 3),
    "cough-female.wav": (2, {Sound.LAUGHTER}, 0),
    "laugh-female.wav": (3, set(), 0),
    "laugh-male1.wav": (3, {Sound.THROAT_CLEARING}, 0),
    "laugh-male2.wav": (3, set(), 3),
    "laugh-male3.wav": (3, {Sound.COUGH}, 0),
    "scream-female.wav": (1, set(), 0),
    "scream-male1.wav": (3, {Sound.GROAN}, 0),
    "scream-male2.mp3": (3, set(), 3),
    "sneeze-female.wav": (0, set(), 0),
    "sneeze-male.wav": (0, {Sound.GROAN, Sound.SCREAM}, 0),
}


@pytest.fixture(scope="module")
def directory() -> Path:
    return load_manifest().model("yamnet").verified(models_dir())


@pytest.fixture(scope="module")
def detector(directory: Path) -> NonverbalDetector:
    return NonverbalDetector.load(directory, load_manifest().model("yamnet").identity())


@pytest.fixture(scope="module")
def network(directory: Path) -> Yamnet:
    return Yamnet.load(directory)


def heard(detector: NonverbalDetector, sound: Clip) -> tuple[SoundEvent, ...]:
    return detector.run(sound, no_checkpoint).events


@pytest.mark.parametrize("name", TABLE)
def test_hits_and_misses_on_real_sounds_are_the_measured_ones(
    detector: NonverbalDetector, network: Yamnet, data: Path, name: str
) -> None:
    sound = read(data / "human" / name)
    ours = {event.label for event in heard(detector, sound)}
    plain = {event.label for event in plain_yamnet.events(network, sound)}
    print(f"\n| {name} | {TABLE[name][0]} | {listed(plain)} | {listed(ours)} |", end="")
    assert (ours, plain) == TABLE[name][1:]


def listed(sounds: set[Sound]) -> str:
    return ", ".join(sorted(sounds)) or "nothing"


def test_more_sounds_are_found_than_by_plain_yamnet() -> None:
    hits = sum(what in found for what, found, _ in TABLE.values())
    plain = sum(what in found for what, _, found in TABLE.values())
    assert (hits, plain, len(TABLE)) == (5, 3, 12)
    found = sum(rooms for rooms, _, _ in IN_A_ROOM.values())
    plainly = sum(rooms for _, _, rooms in IN_A_ROOM.values())
    assert (found, plainly, ROOMS * len(IN_A_ROOM)) == (27, 12, 36)


@pytest.mark.parametrize("name", IN_A_ROOM)
def test_sounds_in_a_room_are_found_as_measured_and_where_they_are(
    detector: NonverbalDetector, network: Yamnet, data: Path, name: str
) -> None:
    sound = read(data / "human" / name)
    start = 2 * SAMPLE_RATE
    found, others, plain = 0, set(), 0
    for seed in range(1, ROOMS + 1):
        room = noise(3.0 + sound.duration, -60.0, seed)
        room[start : start + len(sound.samples)] += sound.samples
        events = heard(detector, clip(room))
        found += any(event.label is TABLE[name][0] for event in events)
        others |= {event.label for event in events} - {TABLE[name][0]}
        plain += any(event.label is TABLE[name][0] for event in plain_yamnet.events(network, clip(room)))
        assert all(event.start >= 1.9 and event.end <= 2.0 + sound.duration + 0.1 for event in events)
    print(f"\n| {name}, in a room | {TABLE[name][0]} | {plain} of {ROOMS} | {found} of {ROOMS} |", end="")
    assert (found, others, plain) == IN_A_ROOM[name]


@pytest.mark.parametrize(
    ("name", "within"), [("baby-cry.wav", 0.2), ("cough-male.wav", 0.2), ("laugh-male2.wav", 0.35)]
)
def test_an_event_begins_and_ends_with_its_sound(
    detector: NonverbalDetector, data: Path, name: str, within: float
) -> None:
    sound = read(data / "human" / name)
    room = noise(3.0 + sound.duration, -70.0)
    start = 2 * SAMPLE_RATE
    room[start : start + len(sound.samples)] += sound.samples
    event = max(heard(detector, clip(room)), key=lambda event: event.score)
    assert (event.start, event.end) == pytest.approx((2.0, 2.0 + sound.duration), abs=within)


@pytest.mark.parametrize("gain", [0, -10])
def test_a_sound_between_words_is_found_there(detector: NonverbalDetector, data: Path, gain: float) -> None:
    speech = read(data / "librivox" / "sense_and_sensibility_01_austen_64kb-0870.wav").samples
    crying = read(data / "human" / "baby-cry.wav")
    cut = 3 * SAMPLE_RATE
    mixed = np.concatenate([speech[:cut], crying.samples * 10 ** (gain / 20), speech[cut:]])
    (event,) = heard(detector, clip(mixed))
    assert event.label is Sound.CRYING
    assert (event.start, event.end) == pytest.approx((3.0, 3.0 + crying.duration), abs=0.35)


@pytest.mark.parametrize("number", ["0870", "0880", "0890", "0920", "0930"])
@pytest.mark.parametrize("gain", [0, -25])
def test_clean_read_speech_holds_no_sounds(detector: NonverbalDetector, data: Path, number: str, gain: float) -> None:
    speech = read(data / "librivox" / f"sense_and_sensibility_01_austen_64kb-{number}.wav")
    found = detector.run(clip(speech.samples * 10 ** (gain / 20)), no_checkpoint)
    assert (found.events, found.context) == ((), ())


def test_read_speech_in_noise_of_ten_decibels_below_it_holds_no_sounds(detector: NonverbalDetector, data: Path) -> None:
    speech = read(data / "librivox" / "sense_and_sensibility_01_austen_64kb-0920.wav").samples
    assert heard(detector, clip(speech + noise(len(speech) / SAMPLE_RATE, -33.0))) == ()


@pytest.mark.parametrize(
    "sound",
    [
        silence(3.0),
        noise(3.0, -20.0),
        noise(3.0, -60.0),
        noise(3.0, -80.0),
        voice(np.full(3 * SAMPLE_RATE, 150.0)),
        np.sin(2 * np.pi * 1_000 * np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE) * 0.3,
        silence(0.0),
        np.ones(10),
    ],
    ids=["silence", "noise", "faint noise", "fainter noise", "buzz", "tone", "nothing", "ten samples"],
)
def test_silence_tones_and_noise_hold_no_sounds(detector: NonverbalDetector, sound: np.ndarray) -> None:
    assert heard(detector, clip(sound)) == ()


def test_sounds_that_yamnet_does_not_tell_from_others_are_not_reported() -> None:
    assert set(Sound) - set(THRESHOLDS) == {Sound.SOB, Sound.MOAN, Sound.BREATH_IN, Sound.BREATH_OUT}


def around(detector: NonverbalDetector, sound: Clip) -> list[tuple[Surrounding, float, float]]:
    context = detector.run(sound, no_checkpoint).context
    return [(stretch.label, stretch.start, stretch.end) for stretch in context]


def test_music_and_noise_are_context_and_no_events_of_anybody(detector: NonverbalDetector, data: Path) -> None:
    music, hiss = read(data / "human" / "music-guitar.mp3"), clip(noise(6.0, -30.0))
    for sound, label in ((music, Surrounding.MUSIC), (hiss, Surrounding.BACKGROUND)):
        ((found, start, end),) = around(detector, sound)
        assert found is label
        assert (start, end) == pytest.approx((0.0, sound.duration), abs=1.0)
        assert heard(detector, sound) == ()


def test_a_party_of_people_who_talk_is_missed(detector: NonverbalDetector, data: Path) -> None:
    assert around(detector, read(data / "human" / "party-noise.wav")) == []


def test_music_behind_speech_is_context_while_it_plays(detector: NonverbalDetector, data: Path) -> None:
    speech = read(data / "reading" / "sense_and_sensibility_0870-0890.wav").samples.copy()
    music = read(data / "human" / "music-guitar.mp3").samples
    start = 6 * SAMPLE_RATE
    speech[start : start + len(music)] += music
    ((label, first, last),) = around(detector, clip(speech))
    assert label is Surrounding.MUSIC
    assert (first, last) == pytest.approx((6.0, 6.0 + len(music) / SAMPLE_RATE), abs=1.5)


def test_the_checkpoint_is_asked_at_least_every_thirty_seconds(detector: NonverbalDetector) -> None:
    asked: list[float] = []
    detector.run(clip(noise(65.0, -80.0)), asked.append)
    assert len(asked) >= 3
    assert asked == sorted(asked)
    assert asked[-1] == 1.0


def test_a_checkpoint_that_raises_stops_the_engine(detector: NonverbalDetector) -> None:
    class Withdrawn(Exception):
        pass

    def refuse(_fraction: float) -> None:
        raise Withdrawn

    with pytest.raises(Withdrawn):
        detector.run(clip(noise(1.0, -50.0)), refuse)


def test_each_sound_has_one_rule_and_says_nothing_about_health() -> None:
    assert [rule.sound for rule in RULES] == list(Sound)
    assert all(0.0 < threshold < 1.0 for threshold in THRESHOLDS.values())
    assert not {"ill", "sick", "disease", "asthma", "wheeze", "snoring"} & {sound.value for sound in Sound}


def test_a_class_map_without_our_classes_is_refused(network: Yamnet) -> None:
    class Foreign(Yamnet):
        def __init__(self) -> None:
            self.class_names = tuple(name for name in network.class_names if name != "Sneeze")

    with pytest.raises(YamnetUnloadable, match="Sneeze"):
        NonverbalDetector(Foreign(), load_manifest().model("yamnet").identity())


def test_the_result_names_its_model(detector: NonverbalDetector) -> None:
    model = detector.run(clip(silence(1.0)), no_checkpoint).model
    assert (model.name, model.validated) == ("yamnet", False)
    assert model.digest == load_manifest().model("yamnet").digest
