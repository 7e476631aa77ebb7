"""Of somebody who did not consent nothing lies anywhere in the clear after the job: no word, sample or embedding of their voice;
not in a table, a blob, a log, a temporary file or the broker, and not in what the worker printed.
"""

import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.engine_box import engines
from analysis.engines.clip import Clip, no_checkpoint
from analysis.engines.voices import VoiceEncoder
from analysis.models import Recording, Result
from analysis.states import AnalysisState
from benchmarks.corpora.conversations import Conversation
from consent import gate, voiceprints
from consent.models import Voiceprint
from consent.vocabulary import Action, Scope
from tests.analysis.sounds import wav
from tests.analysis.voiceprinted import WANTED, conversation, done, run, submit, two
from tests.factories import ACTOR, World
from tests.scanner import Scanner, cells
from voxgov import database_roles, embedded

pytestmark = [pytest.mark.models, pytest.mark.services]

PIECE = 24
"""Bytes of a needle: six float32 or twelve samples, which no chance repeats."""


def pieces(values: bytes, most: int) -> Iterator[bytes]:
    """Stretches from all over, as they are and in hexadecimal; those of zeros and repetitions say nothing."""
    every = [values[at : at + PIECE] for at in range(0, len(values) - PIECE + 1, 4)]
    telling = [piece for piece in every if len(set(piece)) > PIECE // 2]
    for piece in telling[:: max(1, len(telling) // most)]:
        yield piece
        yield piece.hex().encode()


def everything(var: Path) -> Iterator[tuple[str, bytes]]:
    server = embedded.EmbeddedPostgres(var, durable=False).server
    for name in (database_roles.DATABASE, database_roles.KEYS_DATABASE):
        with server.connect(name) as connection:
            yield from cells(connection)


def in_tables(var: Path, needles: Iterable[bytes]) -> set[str]:
    wanted = list(needles)
    return {f"{place}: {needle!r}" for place, value in everything(var) for needle in wanted if needle in value}


def said_in(text: bytes, words: Iterable[bytes]) -> set[bytes]:
    """Those of the words (in small letters) that stand in it as whole words."""
    return set(words) & set(re.findall(rb"[a-z]{5,}", text.lower()))


@pytest.fixture
def scanner(var: Path, superuser: Callable[[str], object]) -> Scanner:
    return Scanner(var, settle=lambda: superuser("CHECKPOINT"))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Every embedding of a window that the real encoder makes."""
    found: list[np.ndarray] = []
    original = VoiceEncoder.embed_windows

    def embed(self: VoiceEncoder, *heard: Any) -> np.ndarray:
        answer = original(self, *heard)
        found.extend(answer)
        return answer

    monkeypatch.setattr(VoiceEncoder, "embed_windows", embed)
    return found


def turns_of(talked: Conversation, speaker: str) -> np.ndarray:
    turns = [
        talked.sound[round(t.start * 16_000) : round(t.end * 16_000)] for t in talked.turns if t.speaker == speaker
    ]
    return np.concatenate(turns).astype(np.float32)


def words(samples: np.ndarray) -> set[bytes]:
    """The longer words that the real transcriber hears."""
    from analysis.engines.transcription import TranscriptionOptions

    box, clip = engines(), Clip(samples)
    found = box.transcriber.run(clip, box.activity.run(clip), TranscriptionOptions(), no_checkpoint)
    text = " ".join(utterance.text for utterance in found.utterances).lower()
    return {word.encode() for word in "".join(c if c.isalpha() else " " for c in text).split() if len(word) > 4}


def test_the_search_finds_what_is_planted_in_a_table_of_either_database(var: Path) -> None:
    server = embedded.EmbeddedPostgres(var, durable=False).server
    for name in (database_roles.DATABASE, database_roles.KEYS_DATABASE):
        planted = secrets.token_bytes(PIECE)
        with server.connect(name) as connection:
            connection.execute("CREATE TABLE planted (kept bytea, said text[], more jsonb)")
            connection.execute(
                "INSERT INTO planted VALUES (%s, %s, %s)",
                (planted * 500, [f"…{planted.hex()}…"], f'{{"deep": ["{planted.hex()}"]}}'),
            )
            connection.commit()
            try:
                found = in_tables(var, [planted, planted.hex().encode()])
                assert {place.partition(":")[0] for place in found} == {"planted.kept", "planted.said", "planted.more"}
            finally:
                connection.execute("DROP TABLE planted")
                connection.commit()


def test_of_whoever_is_masked_no_word_sample_or_embedding_lies_anywhere_in_the_clear(
    enrolled: World,
    data: Path,
    var: Path,
    scanner: Scanner,
    made: list[np.ndarray],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    world, talked = enrolled, conversation(data)
    theirs = turns_of(talked, "allison-smith")
    known = words(theirs) - words(turns_of(talked, "reader"))
    # What the service's own texts say anyway proves nothing.
    spoken = known - {word for _, value in everything(var) for word in said_in(value, known)}
    assert len(spoken) > 5
    made.clear()
    capfd.readouterr()
    caplog.clear()
    caplog.set_level(0)

    recording = submit(
        world, wav([talked.sound.astype(np.float32)]), *WANTED, people=two(world, world.another_subject())
    )
    view = done(recording)

    printed = "".join(capfd.readouterr()) + caplog.text + repr([record.__dict__ for record in caplog.records])
    assert Result.objects.filter(analysis__recording=recording).exists()
    assert Recording.objects.get(pk=recording.pk).kept_apart
    with engines().voices.held() as encoder:
        stranger = encoder.embed(theirs)
    assert stranger is not None
    of_them = [one for one in made if float(one @ stranger) > 0.8]
    assert len(of_them) > 20, "embeddings of the other voice were made, in memory"
    permit = gate.require(
        world.ask(Scope.IDENTIFY, jurisdiction="US-NY"), action=Action.READ, actor=ACTOR, partial=True
    )
    enrolment = voiceprints.open_of(permit, world.subject.code)
    assert enrolment is not None
    template = enrolment.template.values
    embeddings = [stranger.tobytes(), template, *(one.tobytes() for one in of_them[:: max(1, len(of_them) // 12)])]
    needles = [
        *(piece for one in embeddings for piece in pieces(one, 4)),
        *pieces(theirs.tobytes(), 12),
        *pieces((np.round(theirs * 32_767)).astype("<i2").tobytes(), 12),
        *pieces((theirs * 32_768).astype("<i2").tobytes(), 12),
        *(f"{value:.9g}".encode() for value in [*stranger[stranger > 0.01][:5].tolist()]),
    ]
    assert len(needles) > 100
    assert in_tables(var, needles) == set()
    assert {(place, word) for place, value in everything(var) for word in said_in(value, spoken)} == set()
    assert scanner.find(needles) == []
    log = printed.encode(errors="replace")
    assert not [needle for needle in needles if needle in log]
    assert said_in(log, spoken) == set()
    # Nor does whoever reads the results learn a word of theirs.
    assert said_in(repr(view.as_json()).encode(), spoken) == set()
    assert bytes(Voiceprint.objects.get(subject=world.subject).template).find(template[:PIECE]) == -1


def test_an_engine_that_breaks_over_a_voice_says_nothing_of_it(
    enrolled: World,
    data: Path,
    var: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The error's own message repeats every value; neither the log nor the job's row does, nor the trail."""
    shown: list[str] = []
    original = VoiceEncoder.embed_windows

    def break_over(self: VoiceEncoder, *heard: Any) -> np.ndarray:
        values = original(self, *heard)
        shown.extend(repr(float(value)) for value in values[0] if value > 0.01)
        raise ValueError(f"cannot go on with {values.tolist()}")

    recording = submit(
        enrolled,
        wav([conversation(data).sound[: 8 * 16_000].astype(np.float32)]),
        Scope.IDENTIFY,
        people=two(enrolled, enrolled.another_subject()),
    )
    monkeypatch.setattr(VoiceEncoder, "embed_windows", break_over)
    caplog.set_level(0)
    job = run(recording)
    assert (job.state, job.error_code, job.error_message) == (AnalysisState.FAILED, "internal_error", "")
    printed = "".join(capfd.readouterr()) + caplog.text + repr([record.__dict__ for record in caplog.records])
    assert len(shown) > 5
    assert "isolation.py" in printed
    assert not [value for value in shown if value in printed]
    assert in_tables(var, [value.encode() for value in shown if len(value) > 12]) == set()
