"""The Whisper weights of the model pack, rebuilt from CTranslate2's format into a directory that `transformers` loads.

CTranslate2 keeps every tensor of the checkpoint, attention's projections joined into one; only `proj_out` is absent, which is tied
to the embeddings. The format is described in `analysis/engines/carriers.py`.
"""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import Tokenizer

Tensor = NDArray[np.float16]

_LATEST_FIRST = 50
"""Of the first time in a window, in steps of 0.02 s."""
_LONGEST = 448
"""Tokens that the decoder has positions for."""

_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_PLACES = {
    "position_encodings/encodings": "embed_positions.weight",
    "embeddings/weight": "embed_tokens.weight",
    "conv1/weight": "conv1.weight",
    "conv1/bias": "conv1.bias",
    "conv2/weight": "conv2.weight",
    "conv2/bias": "conv2.bias",
}


def rebuilt(source: Path, target: Path) -> Path:
    """Writes config.json, generation_config.json, tokenizer.json and model.safetensors (float16) of `source` into `target`."""
    target.mkdir(parents=True, exist_ok=True)
    variables = _variables((source / "model.bin").read_bytes())
    tensors: dict[str, Tensor] = {}
    for half in ("encoder", "decoder"):
        tensors |= _half(half, variables)
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    end, start = (tokenizer.token_to_id(mark) for mark in ("<|endoftext|>", "<|startoftranscript|>"))
    layers = {
        half: 1 + max(int(name.split(".")[3]) for name in tensors if f"{half}.layers." in name)
        for half in ("encoder", "decoder")
    }
    vocabulary, width = tensors["model.decoder.embed_tokens.weight"].shape
    heads = int(variables["encoder/num_heads"])
    config = {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "vocab_size": vocabulary,
        "num_mel_bins": tensors["model.encoder.conv1.weight"].shape[1],
        "d_model": width,
        "encoder_layers": layers["encoder"],
        "decoder_layers": layers["decoder"],
        "encoder_attention_heads": heads,
        "decoder_attention_heads": heads,
        "encoder_ffn_dim": tensors["model.encoder.layers.0.fc1.weight"].shape[0],
        "decoder_ffn_dim": tensors["model.decoder.layers.0.fc1.weight"].shape[0],
        "decoder_start_token_id": start,
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "dtype": "float16",
    }
    (target / "config.json").write_text(json.dumps(config))
    (target / "generation_config.json").write_text(json.dumps(_generation(source, tokenizer)))
    (target / "tokenizer.json").write_bytes((source / "tokenizer.json").read_bytes())
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    return target


def _generation(source: Path, tokenizer: Tokenizer) -> dict[str, Any]:
    """What the library asks for besides the weights when it decodes: tokens by their meaning, and those never to be chosen."""
    kept = json.loads((source / "config.json").read_text())
    end, start = (tokenizer.token_to_id(mark) for mark in ("<|endoftext|>", "<|startoftranscript|>"))
    config = {
        "alignment_heads": kept["alignment_heads"],
        "begin_suppress_tokens": kept["suppress_ids_begin"],
        "suppress_tokens": kept["suppress_ids"],
        "bos_token_id": end,
        "decoder_start_token_id": start,
        "eos_token_id": end,
        "is_multilingual": tokenizer.token_to_id("<|transcribe|>") is not None and bool(kept.get("lang_ids")),
        "max_initial_timestamp_index": _LATEST_FIRST,
        "max_length": _LONGEST,
        "no_timestamps_token_id": tokenizer.token_to_id("<|notimestamps|>"),
        "pad_token_id": end,
        "prev_sot_token_id": tokenizer.token_to_id("<|startofprev|>"),
    }
    if config["is_multilingual"]:
        config["lang_to_id"] = {tokenizer.id_to_token(number): number for number in kept["lang_ids"]}
        config["task_to_id"] = {task: tokenizer.token_to_id(f"<|{task}|>") for task in ("transcribe", "translate")}
    return config


def _variables(data: bytes) -> dict[str, Tensor]:
    def text(offset: int) -> tuple[str, int]:
        (length,) = struct.unpack_from("<H", data, offset)
        return data[offset + 2 : offset + 1 + length].decode(), offset + 2 + length

    _, offset = text(4)
    (count,) = struct.unpack_from("<I", data, offset + 4)
    offset += 8
    found = {}
    for _ in range(count):
        name, offset = text(offset)
        rank = data[offset]
        shape = struct.unpack_from(f"<{rank}I", data, offset + 1)
        offset += 1 + 4 * rank
        kind, length = struct.unpack_from("<BI", data, offset)
        offset += 5
        found[name] = np.frombuffer(data[offset : offset + length], _TYPES[kind]).reshape(shape)
        offset += length
    return found


def _half(half: str, variables: dict[str, Tensor]) -> dict[str, Tensor]:
    tensors = {}
    for name, value in variables.items():
        if not name.startswith(f"{half}/"):
            continue
        place = name.removeprefix(f"{half}/")
        if place in _PLACES:
            tensors[_PLACES[place]] = value
        elif place.startswith("layer_norm/"):
            tensors[f"layer_norm.{_side(place)}"] = value
        elif place.startswith("layer_"):
            layer, rest = place.removeprefix("layer_").split("/", maxsplit=1)
            tensors |= {f"layers.{layer}.{key}": part for key, part in _layer(rest, value).items()}
    return {f"model.{half}.{key}": np.ascontiguousarray(part) for key, part in tensors.items()}


def _layer(place: str, value: Tensor) -> dict[str, Tensor]:
    side = _side(place)
    block, part = place.split("/")[:2]
    if block == "ffn":
        key = {"layer_norm": "final_layer_norm", "linear_0": "fc1", "linear_1": "fc2"}[part]
        return {f"{key}.{side}": value}
    attention = {"self_attention": "self_attn", "attention": "encoder_attn"}[block]
    if part == "layer_norm":
        return {f"{attention}_layer_norm.{side}": value}
    joined = {
        ("self_attention", "linear_0"): ("q_proj", "k_proj", "v_proj"),
        ("self_attention", "linear_1"): ("out_proj",),
        ("attention", "linear_0"): ("q_proj",),
        ("attention", "linear_1"): ("k_proj", "v_proj"),
        ("attention", "linear_2"): ("out_proj",),
    }[block, part]
    parts = zip(joined, np.split(value, len(joined)), strict=True)
    # Whisper's keys have no bias; CTranslate2 joins zeros in their place.
    return {f"{attention}.{key}.{side}": piece for key, piece in parts if (key, side) != ("k_proj", "bias")}


def _side(place: str) -> str:
    return {"beta": "bias", "gamma": "weight"}.get(end := place.rsplit("/", maxsplit=1)[-1], end)
