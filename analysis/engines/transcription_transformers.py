"""Whisper weights in the form of the `transformers` library: any checkpoint of the family, in batches, on a GPU if there is one.

Loading is strict: safetensors only, no code from the model's directory, no network, no weight that the file does not hold. The
library's own long-form decoding is not used: windows, fallback by temperature and what may be believed are those of every engine
(text so far is never a condition of the next window). Words are timed by the attention of the heads that follow the sound.
"""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from faster_whisper.tokenizer import Tokenizer
from transformers import (
    GenerationConfig,
    GenerationMixin,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
    WhisperForConditionalGeneration,
)
from transformers.modeling_outputs import BaseModelOutput

from analysis.engines.transcription_alignment import align
from analysis.engines.transcription_decoding import (
    SAMPLED,
    Alignment,
    Device,
    Generated,
    ModelUnloadable,
    Search,
    Spectrogram,
    WhisperRuntime,
    load_tokenizer,
)

_REMOTE_CODE: Final = "auto_map"
"""The key by which a configuration asks for code of its own."""
_MULTILINGUAL_FROM: Final = 51_865
"""Tokens that a multilingual vocabulary has at least (openai/whisper model.py)."""
_FRAMES_PER_STATE: Final = 2
_STATES: Final = 1500


class TransformersWeights:
    """One loaded checkpoint. Whoever decodes holds it: what was stopped may still be at its last step when the next begins."""

    def __init__(self, model: Any, heads: Sequence[tuple[int, int]], languages: Sequence[tuple[int, str]]) -> None:
        """`heads` are the (layer, head) pairs that follow the sound; `languages` the tokens of languages with their names."""
        self._model = model
        self._heads = heads
        self._languages = languages
        self._free = threading.Lock()

    @classmethod
    def load(cls, directory: Path, *, device: Device) -> "TransformersWeights":
        """Loads float32 on a CPU and float16 on a GPU. Raises `ModelUnloadable`."""
        _require_no_remote_code(directory)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            loaded: Any = WhisperForConditionalGeneration.from_pretrained(
                directory,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                dtype=torch.float16 if device == "cuda" else torch.float32,
            )
        except Exception as problem:  # whatever a damaged or foreign directory makes the library raise
            raise ModelUnloadable(f"{directory} holds no Whisper model that can be loaded here: {problem}") from problem
        model, loading = loaded
        if loading["missing_keys"] or loading["mismatched_keys"]:
            raise ModelUnloadable(f"{directory} lacks weights: {sorted(loading['missing_keys'])[:1]}")
        heads = getattr(model.generation_config, "alignment_heads", None) or _later_heads(model.config)
        # What a checkpoint wants of decoding is not asked: every engine decodes alike.
        model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]  # it has no types
            decoder_start_token_id=model.config.decoder_start_token_id,
            eos_token_id=model.config.eos_token_id,
            pad_token_id=model.config.eos_token_id,
        )
        return cls(
            model.to(torch.device(device)).eval(),
            [(int(layer), int(head)) for layer, head in heads],
            _languages(directory),
        )

    @property
    def multilingual(self) -> bool:
        return int(self._model.config.vocab_size) >= _MULTILINGUAL_FROM

    @property
    def mels(self) -> int:
        return int(self._model.config.num_mel_bins)

    @property
    def lanes(self) -> int:
        """One: windows share the batch, not the threads."""
        return 1

    @property
    def device(self) -> str:
        return str(self._model.device.type)

    @property
    def compute_type(self) -> str:
        return str(self._model.dtype).removeprefix("torch.")

    @torch.inference_mode()
    def encode(self, spectrogram: Spectrogram) -> torch.Tensor:
        """(1, 1500, width), where the model is."""
        features = torch.from_numpy(spectrogram).to(self._model.device, self._model.dtype)
        states: torch.Tensor = self._model.model.encoder(features).last_hidden_state
        return states

    @torch.inference_mode()
    def languages(self, states: torch.Tensor) -> dict[str, float]:
        start = torch.tensor([[self._model.config.decoder_start_token_id]], device=self._model.device)
        tokens = [token for token, _ in self._languages]
        logits = self._logits(self._decoded(start, states)[0])[-1, tokens]
        return dict(zip((name for _, name in self._languages), logits.softmax(-1).tolist(), strict=True))

    def generate(self, states: Sequence[torch.Tensor], search: Search) -> list[Generated]:
        with self._free, torch.inference_mode():
            return self._generated(states, search)

    def align(
        self,
        states: Sequence[torch.Tensor],
        tokenizer: Tokenizer,
        texts: Sequence[Sequence[int]],
        frames: Sequence[int],
    ) -> list[Alignment]:
        with self._free, torch.inference_mode():
            return [
                self._aligned(one, tokenizer, text, min(_STATES, -(-count // _FRAMES_PER_STATE)))
                for one, text, count in zip(states, texts, frames, strict=True)
            ]

    def _generated(self, states: Sequence[torch.Tensor], search: Search) -> list[Generated]:
        batch = torch.cat(list(states))
        prompt = torch.tensor([list(search.prompt)] * len(states), device=self._model.device)
        count = SAMPLED if search.temperature else 1
        searching: dict[str, Any] = {"num_beams": search.beam_size, "do_sample": False}
        if search.temperature:
            searching = {
                "num_beams": 1,
                "do_sample": True,
                "temperature": search.temperature,
                "top_k": 0,
                "num_return_sequences": count,
            }
        sequences = GenerationMixin.generate(
            self._model,
            encoder_outputs=BaseModelOutput(last_hidden_state=batch),
            attention_mask=torch.ones(batch.shape[:2], dtype=torch.long, device=batch.device),
            decoder_input_ids=prompt,
            generation_config=GenerationConfig(max_new_tokens=search.longest, **searching),  # type: ignore[no-untyped-call]  # it has no types
            logits_processor=LogitsProcessorList([_Unspoken(search)]),
            stopping_criteria=StoppingCriteriaList([_Stopped(search)]),
        )
        texts = [_until(row[len(search.prompt) :].tolist(), search.eot) for row in sequences]
        judged = [self._judged(states[index // count], search, text) for index, text in enumerate(texts)]
        return [
            max(judged[first : first + count], key=lambda one: one.avg_logprob)
            for first in range(0, len(judged), count)
        ]

    def _judged(self, states: torch.Tensor, search: Search, text: Sequence[int]) -> Generated:
        """How likely the text is, its end mark included where it came to one, by one pass over the whole of it."""
        ended = len(text) < search.longest
        tokens = torch.tensor([*search.prompt, *text], device=self._model.device)
        hidden = self._decoded(tokens[None], states)[0]
        sot = search.prompt.index(search.sot)
        no_speech = float(self._logits(hidden[sot]).softmax(-1)[search.no_speech])
        wanted = torch.tensor([*text, search.eot] if ended else list(text), device=self._model.device)
        first = len(search.prompt) - 1
        logits = self._logits(hidden[first : first + len(wanted)])
        logits[:, list(search.suppressed)] = -torch.inf
        likely = logits.log_softmax(-1).gather(1, wanted[:, None])
        return Generated(tuple(text), float(likely.mean()), no_speech)

    def _aligned(self, states: torch.Tensor, tokenizer: Tokenizer, text: Sequence[int], length: int) -> Alignment:
        start = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        tokens = torch.tensor([[*start, *text, tokenizer.eot]], device=self._model.device)
        with self._attending() as asked:
            hidden = self._decoded(tokens, states)[0]
        attention = torch.stack([self._attention(layer, head, asked[layer], states) for layer, head in self._heads])
        # The step before a token is the one that looks for it.
        first = len(start) - 1
        rows = attention[:, first : first + len(text) + 1, :length]
        text_steps, time_steps = align(rows.float().cpu().numpy())
        logits = self._logits(hidden[first : first + len(text)])[:, : tokenizer.eot]
        said = torch.tensor(list(text), device=self._model.device)
        likely = logits.softmax(-1).gather(1, said[:, None])[:, 0]
        return Alignment(text_steps, time_steps, tuple(likely.tolist()))

    @contextmanager
    def _attending(self) -> Iterator[dict[int, torch.Tensor]]:
        """What each layer that has a head of the alignment asks of the sound, shape (1, tokens, width), during one pass."""
        asked: dict[int, torch.Tensor] = {}

        def keeper(layer: int) -> Any:
            def keep(_module: Any, args: Any, kwargs: Any) -> None:
                asked[layer] = args[0] if args else kwargs["hidden_states"]

            return keep

        layers = self._model.model.decoder.layers
        hooks = [
            layers[layer].encoder_attn.register_forward_pre_hook(keeper(layer), with_kwargs=True)
            for layer in {layer for layer, _ in self._heads}
        ]
        try:
            yield asked
        finally:
            for hook in hooks:
                hook.remove()

    def _attention(self, layer: int, head: int, asked: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """One head's weights over the sound, shape (tokens, 1500); faster attention kernels do not give them away."""
        module = self._model.model.decoder.layers[layer].encoder_attn
        part = slice(head * module.head_dim, (head + 1) * module.head_dim)
        queries = (module.q_proj(asked)[0, :, part] * module.scaling).float()
        keys = module.k_proj(states)[0, :, part].float()
        weights: torch.Tensor = (queries @ keys.T).softmax(-1)
        return weights

    def _decoded(self, tokens: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self._model.model.decoder(
            input_ids=tokens, encoder_hidden_states=states, use_cache=False
        ).last_hidden_state
        return hidden

    def _logits(self, hidden: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self._model.proj_out(hidden).float()
        return logits


class _Unspoken(LogitsProcessor):
    """Never a token that no text holds, and no blank or end at its very start (openai/whisper decoding.py)."""

    def __init__(self, search: Search) -> None:
        self._suppressed = list(search.suppressed)
        self._first = len(search.prompt)
        self._blank = [*search.blank, search.eot]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores = scores.clone()
        scores[:, self._suppressed] = -torch.inf
        if input_ids.shape[1] == self._first:
            scores[:, self._blank] = -torch.inf
        return scores


class _Stopped(StoppingCriteria):
    def __init__(self, search: Search) -> None:
        self._stopped = search.stopped

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_more: Any) -> torch.Tensor:
        return torch.full((len(input_ids),), self._stopped.is_set(), device=input_ids.device)


def load(directory: Path, *, device: Device) -> WhisperRuntime:
    """The checkpoint in `directory` (config.json, safetensors, tokenizer.json; generation_config.json for the heads that follow
    the sound). Raises `ModelUnloadable`."""
    tokenizer = load_tokenizer(directory)
    return WhisperRuntime(TransformersWeights.load(directory, device=device), tokenizer)


def _require_no_remote_code(directory: Path) -> None:
    """`trust_remote_code=False` alone is not enough: a known architecture would load without what it asks for."""
    try:
        configuration = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise ModelUnloadable(f"config.json of {directory} cannot be read: {problem}") from problem
    if not isinstance(configuration, dict) or _REMOTE_CODE in configuration:
        raise ModelUnloadable(f"{directory} wants to run code of its own, which is never done")


def _later_heads(config: Any) -> list[tuple[int, int]]:
    """All heads of the later half of the layers, where nobody measured which follow the sound (openai/whisper model.py)."""
    layers = range(config.decoder_layers // 2, config.decoder_layers)
    return [(layer, head) for layer in layers for head in range(config.decoder_attention_heads)]


def _languages(directory: Path) -> list[tuple[int, str]]:
    """The tokens between the start mark and the first task's."""
    tokenizer = load_tokenizer(directory)
    first, after = (tokenizer.token_to_id(mark) for mark in ("<|startoftranscript|>", "<|translate|>"))
    if first is None or after is None:
        raise ModelUnloadable(f"{directory} has a tokenizer without Whisper's marks")
    return [(token, str(tokenizer.id_to_token(token))) for token in range(first + 1, after)]


def _until(tokens: Sequence[int], end: int) -> list[int]:
    return list(tokens[: tokens.index(end)]) if end in tokens else list(tokens)
