"""Exact conversions between two published forms of the same weights: a second carrier yields the first one's bytes.

Each conversion is named in `models.toml` and its result must have the SHA-256 that the manifest names: a mistake here
cannot change what is loaded, it can only make a source useless. Fetching and unpacking is `model_pack.py`.
"""

import json
import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType

_FIRST_TIMESTAMP, _TIMESTAMPS, _TIMESTAMP_STEP = 50_364, 1_501, 0.02
"""Whisper's multilingual vocabulary: <|0.00|> to <|30.00|>, openai/whisper tokenizer.py."""
_NO_SPEECH = 50_362


def with_alibi_flags(weights: bytes) -> bytes:
    """CTranslate2 weights (format 6) as a newer converter writes them: with the decoder's two ALiBi flags, both false.

    The format: version, specification name, revision, number of variables; each variable is a name with its length
    before it (uint16, NUL included), rank (uint8), dimensions (uint32), type (uint8), number of bytes (uint32) and the
    bytes, in order of name; then the aliases (ctranslate2/specs/model_spec.py, `Model._serialize`).
    """
    version, spec, offset = struct.unpack_from("<I", weights)[0], *_string(weights, 4)
    revision, count = struct.unpack_from("<II", weights, offset)
    offset += 8
    if version != 6:
        raise ValueError(f"CTranslate2 format 6 was expected, not {version}")
    flags = {
        b"decoder/alibi_use_positive_positions\0": b"\0",
        b"decoder/scale_alibi\0": b"\0",
    }
    pieces = [struct.pack("<I", version), _counted(spec), struct.pack("<II", revision, count + len(flags))]
    pending = sorted(flags.items())
    for _ in range(count):
        start = offset
        name, offset = _string(weights, offset)
        rank = weights[offset]
        offset += 1 + 4 * rank
        (length,) = struct.unpack_from("<I", weights, offset + 1)
        offset += 5 + length
        while pending and pending[0][0] < name:
            pieces.append(_flag(*pending.pop(0)))
        pieces.append(weights[start:offset])
    pieces += [_flag(*flag) for flag in pending]
    return b"".join([*pieces, weights[offset:]])


def with_timestamp_tokens(tokenizer: bytes) -> bytes:
    """Whisper's `tokenizer.json` with its 1,501 timestamp tokens, the first merge and the modern layout of merges."""
    document = json.loads(tokenizer)
    for token in document["added_tokens"]:
        if token["id"] == _NO_SPEECH:
            token["content"] = "<|nospeech|>"
    document["added_tokens"] += [
        {
            "id": _FIRST_TIMESTAMP + index,
            "content": f"<|{index * _TIMESTAMP_STEP:.2f}|>",
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": True,
            "special": False,
        }
        for index in range(_TIMESTAMPS)
    ]
    model = document["model"]
    vocabulary, merges = model.pop("vocab"), model.pop("merges")
    del vocabulary["<|endoftext|>"]
    model |= {"byte_fallback": False, "ignore_merges": False, "vocab": vocabulary}
    model["merges"] = [["Ġ", "t"], *(merge.split(" ") for merge in merges)]
    return json.dumps(document, indent=2, ensure_ascii=False).encode()


def vocabulary_as_json(vocabulary: bytes) -> bytes:
    """Whisper's `vocabulary.txt` (a token a line) as `vocabulary.json`."""
    words = vocabulary.decode().split("\n")[:-1]
    words[_NO_SPEECH] = "<|nospeech|>"
    return json.dumps(words, indent=2).encode()


CONVERSIONS: Mapping[str, Callable[[bytes], bytes]] = MappingProxyType(
    {
        "with_alibi_flags": with_alibi_flags,
        "with_timestamp_tokens": with_timestamp_tokens,
        "vocabulary_as_json": vocabulary_as_json,
    }
)


def _string(data: bytes, offset: int) -> tuple[bytes, int]:
    (length,) = struct.unpack_from("<H", data, offset)
    return data[offset + 2 : offset + 2 + length], offset + 2 + length


def _counted(name: bytes) -> bytes:
    return struct.pack("<H", len(name)) + name


def _flag(name: bytes, value: bytes) -> bytes:
    """A scalar (rank 0) of type 1 (int8)."""
    return _counted(name) + b"\0" + b"\1" + struct.pack("<I", len(value)) + value
