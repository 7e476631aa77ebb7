"""Why a decode gave nothing, as the pipeline sees it: refused media, which stays refused, or a decoder that is not there now.

Messages are fixed sentences: nothing that media says about itself is repeated. The child's side never loads this module.
"""

from analysis.decoding.protocol import Refusal
from analysis.errors import AnalysisError


class MediaRefused(AnalysisError):
    """This recording cannot be decoded; trying again would end the same way."""

    code = "media_refused"
    says = "the recording cannot be decoded"

    def __init__(self) -> None:
        super().__init__(self.says)


class MediaEmpty(MediaRefused):
    code = "media_empty"
    says = "the recording holds no sound"


class MediaUnsupported(MediaRefused):
    """No permitted container, no permitted codec, not exactly one audio track, or one that changes its shape half-way."""

    code = "media_unsupported"
    says = (
        "the recording is not one audio track in a supported format "
        "(WAV, FLAC, MP3, Ogg, WebM or Matroska, MP4 or M4A, AAC, AMR)"
    )


class MediaDamaged(MediaRefused):
    code = "media_damaged"
    says = "too much of the recording is damaged"


class MediaTooLong(MediaRefused):
    code = "media_too_long"
    says = "the recording is longer than the limit"


class MediaTooManyChannels(MediaRefused):
    code = "media_too_many_channels"
    says = "the recording has more channels than the limit"


class MediaRateUnsupported(MediaRefused):
    code = "media_rate_unsupported"
    says = "the recording's sampling rate is outside the limits"


class MediaMemoryExceeded(MediaRefused):
    code = "media_memory_exceeded"
    says = "decoding the recording takes more memory than the limit"


class MediaInvalidSamples(MediaRefused):
    """Samples that are not numbers, are infinite, or lie absurdly far beyond full scale."""

    code = "media_invalid_samples"
    says = "the recording holds samples that are not sound: not a number, infinite, or far beyond full scale"


class MediaTimeout(MediaRefused):
    """CPU time or wall-clock time ran out."""

    code = "media_timeout"
    says = "decoding the recording takes longer than the limit"


class DecoderDied(MediaRefused):
    """The decoder crashed on this recording, or said what no decoder says."""

    code = "decoder_died"
    says = "the decoder did not survive the recording"


class DecoderUnavailable(AnalysisError):
    """The server does not start, is gone, or cannot lock its children up. Trying again may help."""

    code = "decoder_unavailable"
    transient = True


class DecoderKilled(DecoderUnavailable):
    """Somebody else ended the decoder: an operator, a shutdown, memory pressure on the machine."""

    code = "decoder_killed"


REFUSALS: dict[Refusal, type[MediaRefused]] = {
    Refusal.EMPTY: MediaEmpty,
    Refusal.UNSUPPORTED: MediaUnsupported,
    Refusal.DAMAGED: MediaDamaged,
    Refusal.TOO_LONG: MediaTooLong,
    Refusal.TOO_MANY_CHANNELS: MediaTooManyChannels,
    Refusal.RATE: MediaRateUnsupported,
    Refusal.MEMORY: MediaMemoryExceeded,
}
"""All refusals of the child but `Refusal.SANDBOX`, which is `DecoderUnavailable`."""
