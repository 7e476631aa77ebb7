"""Subtitles that players read: cues that fit a screen, text that is no markup, times that the format can say."""

import io
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import av
import pytest
from av.subtitles.subtitle import AssSubtitle
from hypothesis import given
from hypothesis import strategies as st

from analysis.reading import OpenedResult, ResultsView
from analysis.subtitles import COLUMNS, LINES, LONGEST, SHORTEST, cues, subrip, webvtt
from analysis.transcripts import Task, Transcript, assemble
from consent.vocabulary import Scope

LONG = (
    "It was not the first time that somebody had asked her, and she gave the answer that she always gave: there was nothing to be"
    " done about it before the spring, when the roads would open again. He nodded, put the letter back into his coat, and left."
)


def utterance(text: str, start: float = 0.0, *, each: float = 0.35, timed: bool = True) -> dict[str, Any]:
    """`each` is seconds per word."""
    words = text.split()
    return {
        "start": start,
        "end": start + each * len(words),
        "text": text,
        "words": [
            {"text": word, "start": start + each * index, "end": start + each * (index + 1), "probability": 0.9}
            for index, word in enumerate(words)
        ]
        if timed
        else [],
    }


def heard(
    *utterances: dict[str, Any],
    role: str = "customer",
    position: int = 0,
    channel: int = 0,
    scope: Scope = Scope.TRANSCRIBE,
) -> OpenedResult:
    return OpenedResult(
        f"r-{position}",
        scope,
        (scope,),
        (f"s-{position}",),
        (role,),
        (channel,),
        {},
        "d-1",
        datetime.now(UTC),
        {"utterances": list(utterances)},
        (position,),
    )


def transcript(*results: OpenedResult, several: bool = False, task: Task = Task.TRANSCRIBE) -> Transcript:
    return assemble(ResultsView("a-1", "c-1", 60.0, "d-1", results, ()), task, several=several)


def played(text: str, name: str) -> list[tuple[float, float, str]]:
    """What ffmpeg, which many players are built on, finds in a subtitle file: start, end, and the text in its own form."""
    found = []
    with av.open(io.BytesIO(text.encode()), mode="r", format=name) as container:
        (stream,) = container.streams.subtitles
        for packet in container.demux(stream):
            if packet.pts is None or packet.duration is None:
                continue
            for subtitle in packet.decode():
                assert isinstance(subtitle, AssSubtitle)
                said = subtitle.ass.decode().split(",", maxsplit=8)[-1]
                start = float(packet.pts * packet.time_base)
                found.append((start, start + float(packet.duration * packet.time_base), said))
    return found


def test_what_was_said_is_a_cue_with_its_times() -> None:
    said = transcript(heard(utterance("Good morning.", 3661.5, each=1.0)))

    assert webvtt(said) == "WEBVTT\n\n01:01:01.500 --> 01:01:03.500\nGood morning.\n"
    assert subrip(said) == "1\n01:01:01,500 --> 01:01:03,500\nGood morning.\n"


def test_nothing_said_is_a_file_without_cues() -> None:
    assert webvtt(transcript(heard())) == "WEBVTT\n"
    assert subrip(transcript(heard())) == ""


def test_a_long_utterance_is_cut_into_cues_that_can_be_read() -> None:
    said = transcript(heard(utterance(LONG)))
    shown = cues(said, names_in_text=False)

    assert " ".join(line for cue in shown for line in cue.lines) == LONG
    assert len(shown) >= 4
    for cue in shown:
        assert 1 <= len(cue.lines) <= LINES
        assert all(0 < len(line) <= COLUMNS for line in cue.lines)
        assert cue.end - cue.start <= LONGEST
    assert all(before.end <= after.start + 1e-9 for before, after in pairwise(shown))
    # Cues break where a sentence or a clause ends, if one does nearby.
    assert shown[0].lines[-1].endswith("asked her,")
    assert any(cue.lines[-1].endswith("open again.") for cue in shown)


def test_the_two_lines_of_a_cue_are_about_as_long_as_each_other() -> None:
    (cue,) = cues(transcript(heard(utterance("She said that there was nothing to be done now."))), names_in_text=False)
    assert cue.lines == ("She said that there was", "nothing to be done now.")


def test_a_word_shown_too_briefly_stays_for_a_second_unless_another_cue_begins() -> None:
    said = transcript(heard(utterance("Yes.", 1.0, each=0.2), utterance("No.", 1.6, each=0.2)))
    first, second = cues(said, names_in_text=False)
    assert (first.start, first.end) == (1.0, 1.6)
    assert (second.start, second.end) == (1.6, 1.6 + SHORTEST)


def test_speakers_are_named_by_role_and_place_where_there_are_several() -> None:
    call = transcript(
        heard(utterance("Good morning.", 0.0, each=1.0)),
        heard(utterance("Hello.", 1.0, each=1.0), role="employee", position=1, channel=1),
        several=True,
    )
    assert "<v customer 0>Good morning." in webvtt(call)
    assert "\nemployee 1: Hello.\n" in subrip(call)
    assert call.text == "customer 0: Good morning.\nemployee 1: Hello."
    alone = transcript(heard(utterance("Good morning.")))
    assert "customer" not in webvtt(alone) + subrip(alone) + alone.text


def test_a_name_takes_room_in_the_lines_that_it_leads() -> None:
    said = transcript(heard(utterance(LONG)), several=True)
    for cue in cues(said, names_in_text=True):
        assert cue.lines[0].startswith("customer 0: ")
        assert all(len(line) <= COLUMNS for line in cue.lines)


HOSTILE = "if a<b then <i>x --> y</i> & {\\an8} 00:00:01.000 --> 00:00:02.000"


def test_markup_in_what_was_said_is_shown_as_it_was_said() -> None:
    said = transcript(heard(utterance(HOSTILE, each=0.5)))
    for file, name in ((webvtt(said), "webvtt"), (subrip(said), "srt")):
        shown = played(file, name)
        # In SubStation Alpha, which ffmpeg gives: an escaped brace, an empty block, a line's end.
        text = " ".join(text for _, _, text in shown).replace("\\{{}", "{").replace("\\N", " ")
        plain = text.replace("\u2060", "").replace("\uff5b", "{").replace("\uff5d", "}")
        assert plain.split() == HOSTILE.split()
        assert shown[0][0] == 0.0
    assert webvtt(said).count("-->") == subrip(said).count("-->") == len(cues(said, names_in_text=False))


def test_lines_and_control_characters_in_what_was_said_do_not_break_the_file() -> None:
    said = transcript(heard(utterance("one\n\ntwo\x00\x1b three\u2028four")))
    assert webvtt(said).split("\n\n")[1].splitlines()[1:] == ["one two three four"]
    assert len(subrip(said).splitlines()) == 3


def test_without_word_times_a_segment_is_shared_out_by_the_length_of_its_text() -> None:
    shown = cues(transcript(heard(utterance(LONG, 10.0, timed=False))), names_in_text=False)
    assert " ".join(line for cue in shown for line in cue.lines) == LONG
    assert shown[0].start == 10.0
    assert shown[-1].end == pytest.approx(10.0 + 0.35 * len(LONG.split()), abs=0.001)
    assert all(before.end <= after.start + 1e-3 for before, after in pairwise(shown))


def test_a_script_without_spaces_is_broken_where_a_line_is_full() -> None:
    text = (
        "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
        "何でも薄暗いじめじめした所で泣いていた事だけは記憶している。"
    )
    piece = {"start": 0.0, "end": 20.0, "text": text, "words": []}
    shown = cues(transcript(heard(piece)), names_in_text=False)
    assert "".join(line for cue in shown for line in cue.lines) == text
    assert all(len(line) * 2 <= COLUMNS for cue in shown for line in cue.lines)
    timed = piece | {
        "words": [
            {"text": sign, "start": index * 0.25, "end": index * 0.25 + 0.25, "probability": None}
            for index, sign in enumerate(text)
        ]
    }
    shown = cues(transcript(heard(timed)), names_in_text=False)
    assert "".join(line for cue in shown for line in cue.lines) == text
    assert any(cue.lines[-1].endswith("。") for cue in shown)


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=120)


@given(said=st.lists(st.tuples(texts, st.floats(0.0, 90_000.0), st.floats(0.0, 40.0), st.booleans()), max_size=5))
def test_whatever_was_said_the_file_is_well_formed(said: list[tuple[str, float, float, bool]]) -> None:
    utterances = [
        {
            "start": start,
            "end": start + lasting,
            "text": text,
            "words": [{"text": text, "start": start, "end": start + lasting, "probability": 0.5}] if timed else [],
        }
        for text, start, lasting, timed in said
    ]
    whole = transcript(heard(*utterances), several=True)
    shown = cues(whole, names_in_text=False)
    assert all(cue.start < cue.end for cue in shown)
    assert [cue.start for cue in shown] == sorted(cue.start for cue in shown)
    blocks = webvtt(whole).removesuffix("\n").split("\n\n")
    assert blocks[0] == "WEBVTT"
    assert len(blocks) == 1 + len(shown)
    for block in blocks[1:]:
        timing, *lines = block.split("\n")
        start, end = timing.split(" --> ")
        assert len(start) == len(end) >= len("00:00:00.000") or start < end
        assert lines
        assert not any("-->" in line for line in lines)
    assert subrip(whole).count(" --> ") == len(cues(whole, names_in_text=True))
