"""What parent, server and child say to each other. Nothing here reads media or enters a sandbox.

Three sockets. *Control* (parent to server, one message per packet): a `Start` as JSON with the descriptors of the other two and
of the shared memory. *Job* (child to parent): requests for bytes, then one outcome; the parent trusts none of it. *Supervision*
(server to parent): how the child ended. Closing supervision tells the server to kill the child.
"""

import json
import struct
from dataclasses import asdict, dataclass
from enum import IntEnum, StrEnum

from analysis.decoding.limits import DecodeLimits

READY = b"ready"
"""The server's first words on the control socket."""

MESSAGE = struct.Struct("!BI")
"""Kind and length of what follows, child to parent."""

READ = struct.Struct("!QI")
"""Offset and length that the child asks for; the answer is `LENGTH` and so many bytes."""

LENGTH = struct.Struct("!I")
ENDED = struct.Struct("!ii")
"""Exit code and signal of the child, server to parent; one of them is 0."""

BLOCK = 256 * 1024
"""Bytes the child asks for at a time."""

OUT_OF_MEMORY = 72
"""Exit code of a child that had no memory left even to say so."""

MESSAGE_LIMIT = 4 * 1024
CONTROL_LIMIT = 16 * 1024


class Kind(IntEnum):
    READ = 1
    DECODED = 2
    REFUSED = 3
    PROBED = 4


class Operation(StrEnum):
    DECODE = "decode"
    PROBE = "probe"


class Refusal(StrEnum):
    """Why the child gives no samples. Words come from the parent: nothing that media can say goes further than this."""

    EMPTY = "media_empty"
    UNSUPPORTED = "media_unsupported"
    DAMAGED = "media_damaged"
    TOO_LONG = "media_too_long"
    TOO_MANY_CHANNELS = "media_too_many_channels"
    RATE = "media_rate_unsupported"
    MEMORY = "media_memory_exceeded"
    SANDBOX = "decoder_unavailable"


class Refused(Exception):
    """The media cannot be decoded; `refusal` says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


CONTAINERS = {
    "wav": "wav",
    "flac": "flac",
    "mp3": "mp3",
    "ogg": "ogg",
    "matroska,webm": "matroska",
    "mov,mp4,m4a,3gp,3g2,mj2": "mp4",
    "aac": "aac",
    "amr": "amr",
}
"""libavformat's names of the demuxers that may run, and ours. No playlist, no image sequence, nothing that opens another file."""

CODECS = frozenset(
    {
        *("pcm_u8", "pcm_s8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be"),
        *("pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be", "pcm_alaw", "pcm_mulaw", "adpcm_ms", "adpcm_ima_wav"),
        *("gsm_ms", "flac", "alac", "mp3", "vorbis", "opus", "aac", "amr_nb", "amr_wb"),
    }
)
"""libavcodec's names of the codecs that may run."""

DECODERS = frozenset(
    CODECS - {"amr_nb", "amr_wb"} | {"mp3float", "libopus", "amrnb", "amrwb", "libopencore_amrnb", "libopencore_amrwb"}
)
"""libavcodec's names of the decoders of those codecs."""


@dataclass(frozen=True, slots=True)
class Start:
    """What the server is asked to fork a child for. `size` is that of the media in bytes."""

    operation: Operation
    size: int
    limits: DecodeLimits

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def parse(cls, raw: bytes) -> "Start":
        body = json.loads(raw)
        return cls(Operation(body["operation"]), int(body["size"]), DecodeLimits(**body["limits"]))


@dataclass(frozen=True, slots=True)
class Facts:
    """What the child says of the media it decoded; `frames` at `SAMPLE_RATE`, per channel."""

    container: str
    codec: str
    source_rate: int
    channels: int
    frames: int
    filled: float
    truncated: bool

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def parse(cls, raw: bytes, limits: DecodeLimits) -> "Facts":
        """Raises `ValueError` (or a subclass) for anything that an honest child would not say."""
        body = json.loads(raw)
        if not isinstance(body, dict) or set(body) != set(cls.__slots__):
            raise ValueError("not the facts of a decode")
        numbers = [body["source_rate"], body["channels"], body["frames"]]
        if any(type(number) is not int for number in numbers) or type(body["truncated"]) is not bool:
            raise ValueError("facts of the wrong type")
        if not isinstance(body["filled"], int | float) or not 0.0 <= body["filled"] <= limits.max_duration:
            raise ValueError("more silence filled in than there is time")
        if body["container"] not in CONTAINERS.values() or body["codec"] not in CODECS:
            raise ValueError("a container or codec that is not permitted")
        facts = cls(**body)
        if not limits.min_source_rate <= facts.source_rate <= limits.max_source_rate:
            raise ValueError("a source rate outside the limits")
        if not 1 <= facts.channels <= limits.max_channels or not 1 <= facts.frames <= limits.max_frames(facts.channels):
            raise ValueError("more samples than the limits permit")
        return facts
