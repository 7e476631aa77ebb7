"""What the decoder must give for honest media, and what it must withstand from all other media."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from analysis import decode
from analysis.decode import DecodedAudio, DecodeLimits, DecodeServer
from analysis.decoding.protocol import BLOCK
from tests.analysis import sounds
from tests.analysis.sounds import Media, encoded, float_wav, pitch, silent_flac, tone, wav, wav_header

ROOT = Path(__file__).resolve().parents[2]
READING = ROOT / "tests" / "data" / "librivox" / "sense_and_sensibility_01_austen_64kb-0870.wav"
STEREO = [tone(440, 2.0, 48_000), tone(1_000, 2.0, 48_000)]
MONO_8K = [tone(440, 2.0, 8_000)]
MONO_16K = [tone(440, 2.0)]


DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT2S">'
    '<Period><AdaptationSet mimeType="audio/wav"><Representation id="1" bandwidth="1"><BaseURL>{url}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>"
)


@pytest.fixture(scope="module")
def server() -> Iterator[DecodeServer]:
    with DecodeServer() as running:
        yield running


def decoded(server: DecodeServer, data: bytes, limits: DecodeLimits | None = None) -> DecodedAudio:
    return server.decode(Media(data), limits)


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


# What it gives


@pytest.mark.parametrize(
    ("container", "codec", "named", "channels", "rate", "sample_format"),
    [
        ("wav", "pcm_s16le", ("wav", "pcm_s16le"), STEREO, 48_000, "s16"),
        ("wav", "pcm_f32le", ("wav", "pcm_f32le"), STEREO, 48_000, "flt"),
        ("wav", "pcm_alaw", ("wav", "pcm_alaw"), MONO_8K, 8_000, "s16"),
        ("flac", "flac", ("flac", "flac"), STEREO, 48_000, "s16"),
        ("mp3", "libmp3lame", ("mp3", "mp3"), STEREO, 48_000, "s16p"),
        ("ogg", "libopus", ("ogg", "opus"), STEREO, 48_000, "flt"),
        ("webm", "libopus", ("matroska", "opus"), STEREO, 48_000, "flt"),
        ("mp4", "aac", ("mp4", "aac"), STEREO, 48_000, "fltp"),
        ("mov", "alac", ("mp4", "alac"), STEREO, 48_000, "s16p"),
        ("adts", "aac", ("aac", "aac"), STEREO, 48_000, "fltp"),
        ("amr", "libopencore_amrnb", ("amr", "amr_nb"), MONO_8K, 8_000, "s16"),
    ],
)
def test_each_format_gives_its_channels_apart_at_16_khz(
    server: DecodeServer,
    container: str,
    codec: str,
    named: tuple[str, str],
    channels: list[sounds.Floats],
    rate: int,
    sample_format: str,
) -> None:
    audio = decoded(server, encoded(container, codec, channels, rate, sample_format))
    assert (audio.container, audio.codec, audio.source_rate, audio.source_channels) == (*named, rate, len(channels))
    assert [round(pitch(channel)) for channel in audio.channels] == [440, 1_000][: len(channels)]
    assert audio.duration == pytest.approx(2.0, abs=0.03)
    assert all(channel.dtype == np.float32 and len(channel) == audio.duration * 16_000 for channel in audio.channels)
    assert not audio.truncated
    assert audio.filled == 0.0


def test_sound_at_16_khz_comes_through_bit_by_bit(server: DecodeServer) -> None:
    audio = decoded(server, READING.read_bytes())
    expected = np.frombuffer(READING.read_bytes()[44:], "<i2").astype(np.float32) / 32_768
    assert np.array_equal(audio.channels[0], expected)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 96_000])
def test_resampling_keeps_time_and_level(server: DecodeServer, rate: int) -> None:
    heard = tone(1_000, 3.0, rate)
    heard[: 2 * rate] = 0.0
    channel = decoded(server, wav([heard], rate)).channels[0]
    assert len(channel) == pytest.approx(48_000, abs=1)
    onset = int(np.argmax(np.abs(channel) > 0.05)) / 16_000
    assert onset == pytest.approx(2.0, abs=0.002)
    level = 20 * np.log10(np.sqrt(np.mean(channel[34_000:46_000] ** 2)) * np.sqrt(2) / 0.5)
    assert level == pytest.approx(0.0, abs=0.05)


def test_what_lies_above_the_new_range_does_not_fold_back(server: DecodeServer) -> None:
    channel = decoded(server, wav([tone(9_000, 2.0, 48_000)], 48_000)).channels[0][1_600:-1_600]
    assert 20 * np.log10(np.abs(channel).max() / 0.5) < -60


@pytest.mark.parametrize("made", [lambda c: wav(c, 48_000), lambda c: encoded("flac", "flac", c, 48_000, "s16")])
def test_eight_channels_stay_apart(server: DecodeServer, made: Callable[[list[sounds.Floats]], bytes]) -> None:
    pitches = [300 + 100 * number for number in range(8)]
    audio = decoded(server, made([tone(frequency, 1.0, 48_000) for frequency in pitches]))
    assert [round(pitch(channel)) for channel in audio.channels] == pitches


def test_channels_are_memory_of_the_caller_to_write_in(server: DecodeServer) -> None:
    first, second = decoded(server, wav([tone(440), tone(440)])).channels
    first[:] = 0.25
    assert second.max() == pytest.approx(0.5, abs=0.001)


def test_a_hole_in_the_time_stamps_becomes_silence_of_its_length(server: DecodeServer) -> None:
    audio = decoded(server, encoded("matroska", "flac", MONO_16K, 16_000, "s16", hole=0.75))
    assert audio.filled == pytest.approx(0.75, abs=0.07)
    assert audio.duration == pytest.approx(2.75, abs=0.07)
    quiet = np.abs(audio.channels[0]) < 1e-6
    assert int(quiet.sum()) / 16_000 == pytest.approx(0.75, abs=0.1)
    assert not audio.truncated


def test_sound_after_a_destroyed_stretch_stands_at_its_own_time(server: DecodeServer) -> None:
    late = tone(1_000, 10.0)
    late[: 9 * 16_000] = tone(440, 9.0, peak=0.05)
    data = bytearray(encoded("flac", "flac", [late], 16_000, "s16"))
    data[len(data) // 2 : len(data) // 2 + 600] = b"\xff" * 600
    audio = decoded(server, bytes(data))
    assert 0.1 < audio.filled < 1.0
    assert audio.duration == pytest.approx(10.0, abs=0.001)
    assert int(np.argmax(np.abs(audio.channels[0]) > 0.2)) / 16_000 == pytest.approx(9.0, abs=0.002)


def test_only_what_is_asked_for_is_read_and_progress_never_goes_back(server: DecodeServer) -> None:
    media, fractions = Media(wav([tone(440, 120.0)])), list[float]()
    server.decode(media, checkpoint=fractions.append)
    assert all(length <= BLOCK for _, length in media.reads)
    assert fractions == sorted(fractions)
    assert fractions[0] > 0.0
    assert fractions[-1] == 1.0


# What media may be


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"", decode.MediaEmpty),
        (wav([tone(440, 0.0)]), decode.MediaEmpty),
        (b"no sound at all\n" * 500, decode.MediaUnsupported),
        (np.random.default_rng(1).bytes(50_000), decode.MediaUnsupported),
        (wav([tone(0.1, 100, 1)], 1), decode.MediaRateUnsupported),
        (wav([tone(440, 0.1)] * 9), decode.MediaTooManyChannels),
        (wav([tone(440, 0.1)] * 1_024), decode.MediaTooManyChannels),
        (wav_header(65_535, 16_000, 1 << 20) + bytes(1 << 20), decode.MediaTooManyChannels),
        (float_wav([0.0, float("nan")] * 100), decode.MediaInvalidSamples),
        (float_wav([0.0, float("inf")] * 100), decode.MediaInvalidSamples),
        (float_wav([0.0, -float("inf")] * 100, 44_100), decode.MediaInvalidSamples),
        (float_wav([0.0, 1e30] * 100), decode.MediaInvalidSamples),
        (silent_flac(10, declared=(1 << 36) - 1), decode.MediaTooLong),
        (silent_flac(24 * 3600, declared=24 * 3600 * 16_000), decode.MediaTooLong),
        (sounds.video_only(), decode.MediaUnsupported),
        (encoded("matroska", "flac", MONO_16K, 16_000, "s16", tracks=2), decode.MediaUnsupported),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_media_that_is_no_recording_is_refused_for_good(
    server: DecodeServer, data: bytes, refusal: type[decode.MediaRefused]
) -> None:
    before = server.pid
    with pytest.raises(decode.MediaRefused) as refused:
        decoded(server, data)
    assert type(refused.value) is refusal
    assert not refused.value.transient
    assert server.pid == before
    assert decoded(server, wav(MONO_16K)).duration == 2.0


def test_full_scale_may_be_exceeded_by_what_recorders_write(server: DecodeServer) -> None:
    assert decoded(server, float_wav([0.0, 4.0] * 100)).channels[0].max() == 4.0


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{url}'\n",
        "[playlist]\nFile1={url}\nNumberOfEntries=1\n",
        DASH,
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\na=tool:{url}\n",
    ],
    ids=["hls", "concat", "pls", "dash", "sdp"],
)
def test_playlists_are_refused_whatever_they_point_to(server: DecodeServer, tmp_path: Path, playlist: str) -> None:
    other = tmp_path / "other.wav"
    other.write_bytes(wav(MONO_16K))
    for url in (str(other), other.as_uri(), "http://127.0.0.1:9/other.wav"):
        with pytest.raises(decode.MediaUnsupported):
            decoded(server, playlist.format(url=url).encode())
        with pytest.raises(decode.MediaUnsupported):
            decoded(server, playlist.format(url=url).encode() + wav(MONO_16K))


def test_a_container_that_points_to_another_file_never_gives_that_file(server: DecodeServer, tmp_path: Path) -> None:
    other = tmp_path / "other.wav"
    other.write_bytes(wav([tone(3_000, 2.0)]))
    own = encoded("mov", "pcm_s16le", MONO_16K, 16_000, "s16")
    audio = decoded(server, sounds.referring_mp4(own, str(other)))
    assert round(pitch(audio.channels[0])) == 440


@pytest.mark.parametrize(
    "tail", [b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", b"PK\x03\x04" + bytes(200), wav([tone(3_000)])]
)
def test_a_polyglot_is_read_as_its_first_face_and_nothing_else(server: DecodeServer, tail: bytes) -> None:
    plain = decoded(server, wav(MONO_16K)).channels[0]
    assert np.array_equal(decoded(server, wav(MONO_16K) + tail).channels[0][: len(plain)], plain)


@pytest.mark.parametrize("claimed", [0xFFFFFFFF, 0xFFFFFFF0, 0x7FFFF000, 0])
def test_a_header_that_was_never_finished_gives_what_is_there(server: DecodeServer, claimed: int) -> None:
    audio = decoded(server, wav_header(1, 16_000, claimed) + wav(MONO_16K)[44:])
    assert (audio.duration, audio.truncated) == (2.0, False)


def test_a_flac_of_unknown_length_is_decoded_to_its_end(server: DecodeServer) -> None:
    audio = decoded(server, silent_flac(60, declared=0))
    assert (audio.duration, audio.truncated) == (15 * 65_535 / 16_000, False)


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        (half(wav(MONO_16K)), 1.0),
        (wav_header(1, 16_000, 1_500_000_000) + wav(MONO_16K)[44:], 2.0),
        (silent_flac(20, declared=60 * 16_000), 5 * 65_535 / 16_000),
        (half(encoded("webm", "libopus", STEREO, 48_000, "flt")), 1.0),
        (encoded("adts", "aac", STEREO, 48_000, "fltp")[:-100], 2.0),
    ],
    ids=["wav", "claims-a-gigabyte", "flac", "webm", "last-frame"],
)
def test_a_recording_that_breaks_off_gives_what_is_there_and_says_so(
    server: DecodeServer, data: bytes, seconds: float
) -> None:
    audio = decoded(server, data)
    assert audio.truncated
    assert audio.duration == pytest.approx(seconds, abs=0.05)


def test_an_index_at_the_end_that_was_cut_off_is_refused(server: DecodeServer) -> None:
    whole = encoded("mp4", "aac", STEREO, 48_000, "fltp")
    with pytest.raises(decode.MediaUnsupported):
        decoded(server, half(whole))


def test_much_damage_is_refused_rather_than_analysed(server: DecodeServer) -> None:
    for container, codec, channels, rate, kind in (
        ("mp4", "aac", STEREO, 48_000, "fltp"),
        ("adts", "aac", STEREO, 48_000, "fltp"),
        ("amr", "libopencore_amrnb", MONO_8K, 8_000, "s16"),
    ):
        data = bytearray(encoded(container, codec, channels, rate, kind))
        middle = len(data) // 2
        data[middle : middle + 600] = b"\xff" * 600
        with pytest.raises(decode.MediaDamaged):
            decoded(server, bytes(data))


def test_a_recording_that_changes_its_shape_half_way_is_refused(server: DecodeServer) -> None:
    stereo = encoded("mp3", "libmp3lame", STEREO, 48_000, "s16p")
    mono = encoded("mp3", "libmp3lame", [tone(440, 2.0, 48_000)], 48_000, "s16p")
    with pytest.raises(decode.MediaUnsupported):
        decoded(server, stereo + mono)


@pytest.mark.parametrize(
    ("container", "codec", "sample_format"),
    [
        ("wav", "pcm_s16le", "s16"),
        ("flac", "flac", "s16"),
        ("mp3", "libmp3lame", "s16p"),
        ("ogg", "libopus", "flt"),
        ("webm", "libopus", "flt"),
        ("mp4", "aac", "fltp"),
        ("adts", "aac", "fltp"),
    ],
)
def test_broken_media_of_every_kind_end_in_sound_or_a_typed_refusal(
    server: DecodeServer, container: str, codec: str, sample_format: str
) -> None:
    before, dice = server.pid, np.random.default_rng(11)
    whole = encoded(container, codec, [channel[:24_000] for channel in STEREO], 48_000, sample_format)
    for _ in range(12):
        broken = bytearray(whole)
        for at in dice.integers(0, len(broken) if dice.random() < 0.5 else 400, size=int(dice.integers(1, 20))):
            broken[at] = dice.integers(0, 256)
        del broken[int(dice.integers(len(broken) // 2, len(broken) + 1)) :]
        try:
            audio = decoded(server, bytes(broken), DecodeLimits(max_duration=60.0, wall_clock=30.0))
        except decode.MediaRefused:
            continue
        assert all(np.isfinite(channel).all() for channel in audio.channels)
    assert server.pid == before
