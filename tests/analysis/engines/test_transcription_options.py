"""Options of transcription on real speech with the real weights: a prompt, hot words, and translation to English."""

import dataclasses
import io
import json
import shutil
import subprocess
import wave

import numpy as np
import pytest

from analysis.engines.activity import SpeechActivity
from analysis.engines.clip import SAMPLE_RATE, Clip, Samples, no_checkpoint
from analysis.engines.transcription import Transcriber, TranscriptionOptions, TranslationUnsupported
from analysis.evaluation.words import normalized
from benchmarks.raw_whisper import Spoken, word_error_rate
from tests.analysis.engines.test_transcription import ENGLISH, NOT_SPEECH, silence, text_of, whole

pytestmark = pytest.mark.models


def synthesized(voice: str, text: str) -> Clip:
    """Speech of espeak-ng, where it is installed."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("needs espeak-ng: apt-get install espeak-ng")
    spoken = subprocess.run(["espeak-ng", "-v", voice, "-s", "140", "--stdout", text], check=True, capture_output=True)
    with wave.open(io.BytesIO(spoken.stdout)) as file:
        rate, frames = file.getframerate(), file.readframes(-1)
    samples = np.frombuffer(frames, dtype="<i2").astype(np.float32) / 32768
    times = np.arange(int(len(samples) * SAMPLE_RATE / rate)) * rate / SAMPLE_RATE
    return Clip(np.interp(times, np.arange(len(samples)), samples).astype(np.float32))


@pytest.mark.parametrize("sound", NOT_SPEECH.values(), ids=NOT_SPEECH.keys())
def test_a_prompt_and_hot_words_do_not_come_out_as_words(base: Transcriber, sound: Samples) -> None:
    clip = Clip(sound)
    options = TranscriptionOptions(
        language="en",
        prompt="Thank you for calling Lindqvist and Partners, my name is Marianne Dashwood. How can I help you?",
        hot_words=("Elinor", "Norland Park"),
    )

    assert base.run(clip, whole(clip), options, no_checkpoint).utterances == ()


def test_hot_words_and_a_prompt_lead_to_their_spelling_and_lose_no_words(
    tiny: Transcriber, readings: tuple[Spoken, ...]
) -> None:
    def heard(options: TranscriptionOptions) -> list[str]:
        return [text_of(tiny.run(one.clip, whole(one.clip), options, no_checkpoint)) for one in readings]

    spoken = [one.words for one in readings]
    plain = heard(ENGLISH)
    led = heard(TranscriptionOptions(language="en", hot_words=("Dashwood", "Norland")))
    styled = heard(TranscriptionOptions(language="en", prompt="the late owner of this estate was a single man"))

    assert word_error_rate(spoken, led) <= word_error_rate(spoken, plain) + 0.02
    assert word_error_rate(spoken, styled) <= word_error_rate(spoken, plain) + 0.05
    # A prompt without capitals and full stops takes them from the text.
    assert sum(map(str.islower, "".join(styled))) / len("".join(styled)) > 0.0
    assert sum(text.count(".") for text in styled) < sum(text.count(".") for text in plain)


def test_a_prompt_that_the_decoder_repeats_instead_of_what_was_said_is_left_out(
    tiny: Transcriber, readings: tuple[Spoken, ...]
) -> None:
    one = readings[1]
    options = TranscriptionOptions(language="en", prompt="She spoke of the house. " * 80, hot_words=("Norland",) * 50)

    transcript = tiny.run(one.clip, whole(one.clip), options, no_checkpoint)

    assert word_error_rate([one.words], [text_of(transcript)]) <= 0.3
    assert transcript.model.parameters["prompt_given"] is True
    assert "house" not in text_of(transcript)
    assert "house" not in json.dumps(dataclasses.asdict(transcript.model))
    assert "house" not in repr(options)


def test_a_translation_of_english_is_what_was_said_and_has_no_times_for_its_words(
    base: Transcriber, activity: SpeechActivity, readings: tuple[Spoken, ...]
) -> None:
    options = TranscriptionOptions(task="translate")
    translated = [base.run(one.clip, activity.run(one.clip), options, no_checkpoint) for one in readings]

    assert word_error_rate([one.words for one in readings], [text_of(one) for one in translated]) <= 0.1
    for one, transcript in zip(readings, translated, strict=True):
        assert transcript.utterances
        assert all(utterance.words == () for utterance in transcript.utterances)
        assert all(0.0 <= piece.start < piece.end <= one.clip.duration for piece in transcript.utterances)


def test_speech_in_another_language_is_put_into_english(base: Transcriber, activity: SpeechActivity) -> None:
    clip = synthesized(
        "es", "Buenos días. Mañana voy a la escuela con mi hermana. El perro es grande y la casa es blanca."
    )
    speech = activity.run(clip)

    said = text_of(base.run(clip, speech, TranscriptionOptions(), no_checkpoint))
    english = normalized(text_of(base.run(clip, speech, TranscriptionOptions(task="translate"), no_checkpoint))).split()

    print(f"\n{said}\n{' '.join(english)}")
    assert "escuela" in normalized(said)
    assert {"school", "dog", "house"} & set(english)
    assert not {"escuela", "perro", "casa"} & set(english)


def test_a_model_that_knows_english_alone_refuses_to_translate(tiny: Transcriber) -> None:
    clip = Clip(silence(1.0))

    with pytest.raises(TranslationUnsupported) as refusal:
        tiny.run(clip, whole(clip), TranscriptionOptions(task="translate"), no_checkpoint)
    assert refusal.value.code == "transcription_translation_unsupported"
