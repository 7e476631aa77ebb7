"""Transcription on real speech with the real weights: words, times, language, and nothing where nobody spoke."""

import dataclasses
import json
import time
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from analysis.engines import transcription_ctranslate2
from analysis.engines.activity import SpeechActivity
from analysis.engines.clip import SAMPLE_RATE, Clip, Samples, Stretch, no_checkpoint
from analysis.engines.manifest import load_manifest
from analysis.engines.transcription import (
    LanguageUnsupported,
    Transcriber,
    Transcript,
    TranscriptionEngine,
    TranscriptionOptions,
    Word,
)
from analysis.engines.transcription_ctranslate2 import CTranslate2Weights
from analysis.engines.transcription_decoding import ModelUnloadable, Request, WhisperRuntime, load_tokenizer
from analysis.engines.transcription_judging import TEMPERATURES, Hypothesis
from analysis.evaluation.words import normalized
from benchmarks.raw_whisper import Spoken, joined, word_error_rate
from voxgov.environment import models_dir

pytestmark = pytest.mark.models

HUMAN = Path(__file__).resolve().parents[2] / "data" / "human"
ENGLISH = TranscriptionOptions(language="en")
BEAM_OF_ONE = TranscriptionOptions(language="en", beam_size=1)


def text_of(transcript: Transcript) -> str:
    return " ".join(utterance.text for utterance in transcript.utterances)


def words_of(transcript: Transcript) -> list[Word]:
    return [word for utterance in transcript.utterances for word in utterance.words]


def samples_of(path: Path) -> Samples:
    resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
    with av.open(str(path)) as container:
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in [*frames, *resampler.resample(None)]])


def whole(clip: Clip) -> list[Stretch]:
    return [Stretch(0.0, clip.duration)]


def together(*parts: Samples) -> Clip:
    return Clip(np.concatenate(parts).astype(np.float32))


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), dtype=np.float32)


def hiss(seconds: float, level: float) -> Samples:
    return np.random.default_rng(7).normal(0.0, level, round(seconds * SAMPLE_RATE)).astype(np.float32)


def hum(seconds: float) -> Samples:
    """Mains hum: 50 Hz with its harmonics, and a little hiss."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tones = sum(np.sin(2 * np.pi * 50 * harmonic * time) / harmonic for harmonic in (1, 2, 3, 5, 7))
    return np.asarray(0.05 * tones, dtype=np.float32) + hiss(seconds, 0.002)


def chords(seconds: float) -> Samples:
    """Plucked chords, one each half second, with a drum of noise on every beat."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    beat = time % 0.5
    roots = np.array([220.0, 174.6, 196.0, 261.6])[(time // 2.0).astype(int) % 4]
    notes = sum(np.sin(2 * np.pi * roots * ratio * time) for ratio in (1.0, 1.26, 1.5, 2.0))
    drum = np.random.default_rng(3).normal(0.0, 1.0, len(time)) * np.exp(-beat * 40)
    return np.asarray(0.08 * notes * np.exp(-beat * 4) + 0.1 * drum, dtype=np.float32)


def test_at_most_five_words_in_a_hundred_are_wrong_on_the_librivox_clips(
    base: Transcriber, activity: SpeechActivity, readings: tuple[Spoken, ...]
) -> None:
    transcripts = [
        base.run(one.clip, activity.run(one.clip), TranscriptionOptions(), no_checkpoint) for one in readings
    ]

    assert word_error_rate([one.words for one in readings], [text_of(one) for one in transcripts]) <= 0.05
    assert {transcript.language for transcript in transcripts} == {"en"}
    assert min(transcript.language_probability for transcript in transcripts) > 0.9


def test_words_are_in_order_inside_the_clip_and_carry_their_model(
    base: Transcriber, activity: SpeechActivity, readings: tuple[Spoken, ...]
) -> None:
    for one in readings:
        transcript = base.run(one.clip, activity.run(one.clip), ENGLISH, no_checkpoint)
        words = words_of(transcript)

        model = transcript.model
        assert dataclasses.replace(model, parameters={}) == load_manifest().model("whisper-base").identity()
        assert (model.parameters["beam_size"], model.parameters["device"]) == (5, "cpu")
        assert str(model.parameters["compute_type"]).startswith("int8")
        assert model.parameters["language_given"] is True, "and not which: parameters are kept in the clear"
        assert words[0].start >= 0.0
        assert words[-1].end <= one.clip.duration
        assert all(word.start < word.end and 0.0 <= word.probability <= 1.0 for word in words)
        assert all(before.end <= after.start for before, after in pairwise(words))
        for utterance in transcript.utterances:
            assert (utterance.start, utterance.end) == (utterance.words[0].start, utterance.words[-1].end)
            assert utterance.text.split() == [word.text for word in utterance.words]


def test_three_seconds_of_silence_before_the_speech_move_every_word_by_three_seconds(
    base: Transcriber, activity: SpeechActivity, readings: tuple[Spoken, ...]
) -> None:
    shifts: list[float] = []
    for one in readings:
        later = together(silence(3.0), one.clip.samples)
        first = words_of(base.run(one.clip, activity.run(one.clip), ENGLISH, no_checkpoint))
        moved = words_of(base.run(later, activity.run(later), ENGLISH, no_checkpoint))
        for here, there, count in SequenceMatcher(
            None, [word.text for word in first], [word.text for word in moved], autojunk=False
        ).get_matching_blocks():
            for before, after in zip(first[here : here + count], moved[there : there + count], strict=True):
                shifts += [after.start - before.start, after.end - before.end]

    assert len(shifts) >= 2 * 0.85 * sum(len(one.words.split()) for one in readings)
    # One edge in fifty may fall on the other side of a breath; none is a third of a second off.
    off = [abs(shift - 3.0) for shift in shifts]
    assert sum(error > 0.15 for error in off) <= len(off) // 50
    assert max(off) < 0.33


def test_words_begin_and_end_where_somebody_speaks_and_not_in_the_silence_between(
    base: Transcriber, activity: SpeechActivity, readings: tuple[Spoken, ...]
) -> None:
    clip = together(readings[1].clip.samples, silence(4.0), readings[4].clip.samples)
    speech = activity.run(clip)

    words = words_of(base.run(clip, speech, ENGLISH, no_checkpoint))

    assert words
    for word in words:
        assert any(stretch.start - 0.1 <= word.start and word.end <= stretch.end + 0.1 for stretch in speech), word


def test_silence_gives_an_empty_transcript_and_the_weights_are_not_touched() -> None:
    entry = load_manifest().model("whisper-tiny-en")
    directory = entry.verified(models_dir())
    weights = CTranslate2Weights.load(directory, device="cpu", threads=1)
    transcriber = Transcriber(WhisperRuntime(weights, load_tokenizer(directory)), entry.identity())
    for half in (weights._encoder, weights._decoder):
        half.unload_model()
    clip = Clip(silence(2.0))

    nothing = transcriber.run(clip, [], TranscriptionOptions(), no_checkpoint)
    assert (nothing.language, nothing.language_probability, nothing.utterances) == ("unknown", 0.0, ())
    with pytest.raises(RuntimeError, match="No model"):
        transcriber.run(clip, whole(clip), TranscriptionOptions(), no_checkpoint)


NOT_SPEECH = {
    "silence": silence(6.0),
    "hiss": hiss(6.0, 0.02),
    "loud hiss": hiss(6.0, 0.2),
    "music": chords(12.0),
    "long music": chords(40.0),
    "hum": hum(8.0),
}


@pytest.mark.parametrize("sound", NOT_SPEECH.values(), ids=NOT_SPEECH.keys())
def test_no_word_is_invented_on_what_is_wrongly_taken_for_speech(base: Transcriber, sound: Samples) -> None:
    clip = Clip(sound)

    transcript = base.run(clip, whole(clip), TranscriptionOptions(), no_checkpoint)

    assert transcript.utterances == ()
    assert (transcript.language, transcript.language_probability) == ("unknown", 0.0)


@pytest.mark.parametrize("sound", NOT_SPEECH.values(), ids=NOT_SPEECH.keys())
def test_voice_activity_finds_no_speech_in_it_so_that_the_weights_are_not_asked(
    activity: SpeechActivity, sound: Samples
) -> None:
    assert not activity.run(Clip(sound))


def test_no_word_is_invented_on_coughs_sneezes_and_laughs_and_crying_is_at_most_an_exclamation(
    base: Transcriber,
) -> None:
    heard = {}
    for path in sorted(HUMAN.glob("*.wav")):
        clip = Clip(samples_of(path))
        heard[path.stem] = text_of(base.run(clip, whole(clip), ENGLISH, no_checkpoint))

    assert {name for name, text in heard.items() if text} <= {"baby-cry"}
    # Where beam search failed a text is drawn, another each time: "Ahhh!", "Aah! Aah!", "Waa!".
    assert len(set(normalized(heard["baby-cry"]).split())) <= 2


def test_a_voice_forty_decibels_below_another_is_heard_though_the_text_broke_off_before_it(
    base: Transcriber, readings: tuple[Spoken, ...]
) -> None:
    loud, quiet = readings[0], readings[3]
    clip = together(loud.clip.samples, silence(0.75), quiet.clip.samples * 0.01)
    clip = Clip(clip.samples + hiss(clip.duration, 1e-4)[: len(clip.samples)])
    begin = loud.clip.duration + 0.75

    transcript = base.run(
        clip, [Stretch(0.2, loud.clip.duration - 0.2), Stretch(begin, clip.duration - 0.1)], ENGLISH, no_checkpoint
    )

    assert word_error_rate([f"{loud.words} {quiet.words}"], [text_of(transcript)]) <= 0.1


def test_speech_that_never_pauses_is_cut_without_losing_words(base: Transcriber, readings: tuple[Spoken, ...]) -> None:
    spoken = [*readings, *readings]
    clip = together(*(one.clip.samples for one in spoken))

    transcript = base.run(clip, whole(clip), ENGLISH, no_checkpoint)

    assert clip.duration > 45
    assert word_error_rate([" ".join(one.words for one in spoken)], [text_of(transcript)]) <= 0.08


def test_a_long_recording_in_batches_has_the_words_that_it_has_window_by_window(
    tiny: Transcriber, activity: SpeechActivity, readings: tuple[Spoken, ...]
) -> None:
    long = joined(readings, 130.0)
    speech = activity.run(long.clip)

    batched = tiny.run(long.clip, speech, ENGLISH, no_checkpoint)
    single = tiny.run(long.clip, speech, TranscriptionOptions(language="en", batch_size=1), no_checkpoint)

    assert word_error_rate([text_of(single)], [text_of(batched)]) <= 0.01
    assert word_error_rate([long.words], [text_of(batched)]) <= 0.1
    ends = [utterance.end for utterance in batched.utterances]
    assert all(before <= after.start for before, after in zip(ends, batched.utterances[1:], strict=False))


def test_words_without_times_are_the_same_words(tiny: Transcriber, readings: tuple[Spoken, ...]) -> None:
    clip = readings[0].clip

    timed = tiny.run(clip, whole(clip), ENGLISH, no_checkpoint)
    plain = tiny.run(clip, whole(clip), TranscriptionOptions(language="en", word_times=False), no_checkpoint)

    assert all(utterance.words == () for utterance in plain.utterances)
    assert [(one.start, one.end, one.text) for one in plain.utterances] == [
        (one.start, one.end, one.text) for one in timed.utterances
    ]


def test_the_checkpoint_is_called_before_each_window_and_each_batch_with_a_fraction_that_never_falls(
    tiny: Transcriber, activity: SpeechActivity, readings: tuple[Spoken, ...]
) -> None:
    long = joined(readings, 100.0)
    fractions: list[float] = []

    tiny.run(long.clip, activity.run(long.clip), TranscriptionOptions(beam_size=1, batch_size=2), fractions.append)

    assert len(fractions) >= 4 + 2 + 1  # windows, batches and the end
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)


def test_what_the_checkpoint_raises_stops_the_run_before_the_next_batch(
    tiny: Transcriber, readings: tuple[Spoken, ...]
) -> None:
    class Withdrawn(Exception):
        pass

    calls: list[float] = []

    def withdrawn_at_the_second_call(fraction: float) -> None:
        calls.append(fraction)
        if len(calls) == 2:
            raise Withdrawn

    with pytest.raises(Withdrawn):
        tiny.run(readings[0].clip, whole(readings[0].clip), BEAM_OF_ONE, withdrawn_at_the_second_call)
    assert len(calls) == 2


def slow_runtime(monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[float]:
    """Each call of the model takes that long; gives the temperatures that were tried."""
    generate = WhisperRuntime._generate
    tried: list[float] = []

    def slowly(self: WhisperRuntime, *args: Any) -> list[Hypothesis]:
        tried.append(args[-1])
        time.sleep(seconds)
        # Every text is unlikely, so that every temperature is tried.
        return [dataclasses.replace(one, avg_logprob=-5.0, no_speech_probability=0.0) for one in generate(self, *args)]

    monkeypatch.setattr(WhisperRuntime, "_generate", slowly)
    return tried


def test_while_a_batch_is_decoded_the_checkpoint_goes_on_being_called(
    tiny: Transcriber, readings: tuple[Spoken, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_runtime(monkeypatch, 0.8)
    at = [time.monotonic()]
    fractions: list[float] = []

    def checkpoint(fraction: float) -> None:
        at.append(time.monotonic())
        fractions.append(fraction)

    tiny.run(readings[0].clip, whole(readings[0].clip), BEAM_OF_ONE, checkpoint)

    assert at[-1] - at[0] > 0.8 * len(TEMPERATURES)
    assert len(fractions) > 2 * len(TEMPERATURES) * 0.8
    assert fractions == sorted(fractions)


def test_what_the_checkpoint_raises_ends_a_batch_that_is_being_decoded_and_nothing_more_of_it_is_begun(
    tiny: Transcriber, readings: tuple[Spoken, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Withdrawn(Exception):
        pass

    tried = slow_runtime(monkeypatch, 3.0)
    withdrawn_at: list[float] = []

    def withdrawn_during_the_decoding(fraction: float) -> None:
        if tried:
            withdrawn_at.append(time.monotonic())
            raise Withdrawn

    with pytest.raises(Withdrawn):
        tiny.run(readings[0].clip, whole(readings[0].clip), BEAM_OF_ONE, withdrawn_during_the_decoding)
    assert time.monotonic() - withdrawn_at[0] < 1.0
    time.sleep(4.0)
    assert tried == [0.0]


def test_where_beam_search_failed_a_rising_temperature_finds_the_words(readings: tuple[Spoken, ...]) -> None:
    directory = load_manifest().model("whisper-tiny-en").verified(models_dir())
    runtime = transcription_ctranslate2.load(directory, device="cpu", threads=1)
    spoken, noise = runtime.encode(readings[1].clip.samples), runtime.encode(hiss(6.0, 0.02))
    looped = Hypothesis((11, 12, *[21, 22] * 40), "ah oh " * 40, 6.0, -0.1, 0.1, 0.0, endless=True)

    found = runtime.fall_back(spoken, Request("en"), looped)
    nothing = runtime.fall_back(noise, Request("en"), looped)

    assert found.temperature in TEMPERATURES
    assert not found.repeats
    assert word_error_rate([readings[1].words], [found.text]) <= 0.3
    assert (nothing.temperature, nothing.tokens) == (0.0, (11, 12, 21, 22))


def test_a_given_language_is_not_guessed_at_and_one_the_model_lacks_is_refused(
    base: Transcriber, tiny: Transcriber, readings: tuple[Spoken, ...]
) -> None:
    clip = readings[1].clip

    transcript = tiny.run(clip, whole(clip), BEAM_OF_ONE, no_checkpoint)

    assert (transcript.language, transcript.language_probability) == ("en", 1.0)
    for transcriber, language in ((tiny, "de"), (base, "xx"), (base, "transcribe"), (base, "")):
        with pytest.raises(LanguageUnsupported) as refusal:
            transcriber.run(clip, whole(clip), TranscriptionOptions(language=language), no_checkpoint)
        assert refusal.value.code == "transcription_language_unsupported"


@pytest.mark.parametrize("options", [{"beam_size": 0}, {"beam_size": 21}, {"batch_size": 0}, {"batch_size": 65}])
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is 1 to"):
        TranscriptionOptions(**options)


def test_a_directory_without_whole_weights_is_refused_and_nothing_is_looked_for_elsewhere(tmp_path: Path) -> None:
    source = load_manifest().model("whisper-tiny-en").verified(models_dir())
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (tmp_path / name).write_bytes((source / name).read_bytes())

    with pytest.raises(ModelUnloadable) as missing:
        transcription_ctranslate2.load(tmp_path, device="cpu", threads=1)
    (tmp_path / "model.bin").write_bytes((source / "model.bin").read_bytes()[:1000])
    with pytest.raises(ModelUnloadable):
        transcription_ctranslate2.load(tmp_path, device="cpu", threads=1)
    assert missing.value.code == "transcription_model_unloadable"


def test_a_transcript_is_plain_json(tiny: Transcriber, readings: tuple[Spoken, ...]) -> None:
    engine: TranscriptionEngine = tiny
    clip = readings[1].clip

    transcript = engine.run(clip, whole(clip), BEAM_OF_ONE, no_checkpoint)
    body = json.loads(json.dumps(dataclasses.asdict(transcript), allow_nan=False))

    assert body["utterances"][0]["words"][0].keys() == {"text", "start", "end", "probability"}
