"""Prompts as a model has read them: keys and values computed once per prompt, then shared out to every row drawn from it.

`batches` cuts rows into batches that fit in memory. A `Context` reads the distinct prompts of one batch, padded on the left; `spread`
turns P prompts into R rows; `step` appends one token to each row, `extend` several; `keep` drops rows that have ended.

Two stores stand behind it. Models of the kinds in `PLAIN` attend to everything before a token, and an additive mask is
all they need to know about padding: they get columns for all tokens at the start (`Room`) and a ready mask, so that no step copies the
whole context or builds a mask, which on a small model is half of its time. All other models (windows, recurrent states,
distances read from the mask) get what transformers gives them, a DynamicCache, and batches of rows of equal length, in which nothing is padded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.cache_utils import Cache, DynamicLayer

from swarm.errors import InputError

PLAIN = frozenset({"llama", "qwen2", "qwen3", "gpt2"})
KV_BYTES = 640 * 2**20  # most memory for keys and values of one batch
LOGIT_BYTES = 192 * 2**20  # most memory for logits of one batch, when many positions of a row are wanted
PROMPT_TOKENS = 8192  # most prompt tokens read in one pass: bounds the activations


class Room(DynamicLayer):
    """One layer's keys and values, (rows, heads, columns, size), with columns set aside for tokens to come."""

    used = 0
    spacious = False

    def update(self, key_states: Tensor, value_states: Tensor, *args, **kwargs) -> tuple[Tensor, Tensor]:
        """Append columns; everything so far comes back, as views."""
        if not self.spacious:
            self.keys, self.values, self.is_initialized = key_states, value_states, True
            return key_states, value_states
        start, self.used = self.used, self.used + key_states.shape[-2]
        self.keys[:, :, start : self.used] = key_states
        self.values[:, :, start : self.used] = value_states
        return self.keys[:, :, : self.used], self.values[:, :, : self.used]

    def get_seq_length(self) -> int:
        """Columns in use."""
        return self.used if self.spacious else super().get_seq_length()

    def spread(self, owners: Tensor, room: int) -> None:
        """Make row i a copy of row owners[i], followed by `room` free columns."""
        self.used = self.keys.shape[-2]
        self.keys, self.values = _roomy(self.keys, owners, room), _roomy(self.values, owners, room)
        self.spacious = True


class Context:
    """The distinct prompts of a batch, and the rows that go on from them."""

    def __init__(self, model: nn.Module, prompts: list[list[int]], pad: int):
        """Read `prompts` (token ids, at least one each). `model` is a causal language model in eval mode, LoRA or not."""
        self.model = model.get_base_model() if hasattr(model, "get_base_model") else model
        self.device = next(self.model.parameters()).device
        self.plain = plain(self.model)
        self.cache = Cache(layer_class_to_replicate=Room) if self.plain else DynamicCache(config=self.model.config)
        ids, self.mask = padded(prompts, pad, self.device)
        positions = (self.mask.cumsum(1) - 1).clamp(min=0)
        self.logits = self._forward(ids, self.mask, positions, 1)[:, 0]
        self.next = positions[:, -1:] + 1

    def spread(self, owners: list[int], room: int) -> Tensor:
        """Go on with row i from prompt owners[i], with room for `room` tokens. Returns float32 logits (R, V) of their first token."""
        rows = torch.tensor(owners, device=self.device)
        self.next, self.mask = self.next[rows], self.mask[rows]
        if self.plain:
            for layer in self.cache.layers:
                layer.spread(rows, room)
            self.used = self.mask.shape[1]
            least = torch.finfo(self.model.dtype).min
            self.additive = torch.zeros(len(owners), 1, 1, self.used + room, dtype=self.model.dtype, device=self.device)
            self.additive[:, 0, 0, : self.used].masked_fill_(self.mask == 0, least)
        else:
            self.cache.batch_select_indices(rows)
        return self.logits[rows]

    def step(self, tokens: Tensor) -> Tensor:
        """Append one token per row, (R,); float32 logits (R, V) of the next ones."""
        if self.plain:
            self.used += 1
            mask = self.additive[..., : self.used]
        else:
            mask = self.mask = torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], 1)
        logits = self._forward(tokens[:, None], mask, self.next, 1)[:, 0]
        self.next = self.next + 1
        return logits

    def extend(self, tails: list[list[int]], pad: int, keep: int) -> Tensor:
        """Append a tail to each row, once, after `spread`; float32 logits (R, keep, V) at the last `keep` columns.

        Tails are padded on the left, between prompt and tail, so that their ends meet in the last column.
        """
        ids, mask = padded(tails, pad, self.device)
        positions = self.next + (mask.cumsum(1) - 1).clamp(min=0)
        return self._forward(ids, torch.cat([self.mask, mask], 1), positions, keep)

    def keep(self, rows: Tensor) -> None:
        """Go on with `rows` (indices, ascending) only."""
        if self.plain:
            self.additive = self.additive[rows]
        self.cache.batch_select_indices(rows)
        self.mask, self.next = self.mask[rows], self.next[rows]

    def _forward(self, ids: Tensor, mask: Tensor, positions: Tensor, keep: int) -> Tensor:
        output = self.model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=self.cache, use_cache=True, logits_to_keep=keep
        )
        return output.logits.float()


@dataclass(frozen=True)
class Rows:
    """One batch: `prompts` distinct, `owners[i]` the prompt of row i, `indices[i]` where row i came from."""

    prompts: list[list[int]]
    owners: list[int]
    indices: list[int]


def batches(model: nn.Module, prompts: list[list[int]], extra: list[int], rows: int, *, wanted: int = 1) -> Iterator[Rows]:
    """Cut rows into batches of at most `rows` rows that fit in memory.

    Row i continues `prompts[i]` by `extra[i]` tokens; equal prompts are read once. `wanted` is how many positions of a row need logits at
    a time. Prompts of like length come together, longest first, so that little is padded and a lack of memory shows at once.
    Raises InputError for an empty prompt, or one that leaves no room in the model's positions.
    """
    config = model.config.get_text_config()
    _check(prompts, extra, getattr(config, "max_position_embeddings", None))
    most = min(rows, LOGIT_BYTES // (4 * config.vocab_size * wanted))
    tokens = KV_BYTES // kv_bytes(model)
    padding = plain(model)
    seen: dict[tuple[int, ...], int] = {}
    firsts = [seen.setdefault(tuple(prompt), i) for i, prompt in enumerate(prompts)]
    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), 0 if padding else extra[i], firsts[i]))
    batch: dict[int, list[int]] = {}  # first index of a prompt → rows that continue it
    size = longest = tail = 0
    for i in order:
        uneven = not padding and (len(prompts[i]), extra[i]) != (longest, tail)
        tail = max(tail, extra[i])
        distinct = len(batch) + (firsts[i] not in batch)
        full = size >= most or (size + 1) * (longest + tail) > tokens or distinct * longest > PROMPT_TOKENS
        if batch and (full or uneven):
            yield _rows(prompts, batch)
            batch, size = {}, 0
        if not batch:
            longest, tail = len(prompts[i]), extra[i]  # the batch's first prompt is its longest
        batch.setdefault(firsts[i], []).append(i)
        size += 1
    if batch:
        yield _rows(prompts, batch)


def plain(model: nn.Module) -> bool:
    """Whether padding and an additive mask are safe: full attention throughout, in a kind of model that is tested for it."""
    config = model.config
    return config.model_type in PLAIN and config._attn_implementation == "sdpa" and not _slides(config)


def kv_bytes(model: nn.Module) -> int:
    """Bytes of keys and values that one token takes, over all layers."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * config.num_hidden_layers * heads * size * model.dtype.itemsize


def padded(rows: list[list[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids and mask (1 for a token, 0 for padding), both int64 of shape (rows, longest), padded on the left."""
    width = max(map(len, rows))
    ids = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    mask = (torch.arange(width, device=device) >= width - lengths[:, None]).long()
    return ids, mask


def _rows(prompts: list[list[int]], batch: dict[int, list[int]]) -> Rows:
    owners = [owner for owner, members in enumerate(batch.values()) for _ in members]
    return Rows([prompts[first] for first in batch], owners, [i for members in batch.values() for i in members])


def _check(prompts: list[list[int]], extra: list[int], limit: int | None) -> None:
    for prompt, more in zip(prompts, extra, strict=True):
        if not prompt:
            raise InputError("a prompt has no tokens", "give every question at least one character")
        if limit is not None and len(prompt) + more > limit:
            raise InputError(
                f"a prompt of {len(prompt)} tokens and {more} more exceed the model's {limit} positions",
                "shorten the prompt, lower max_tokens, or set model.max_length to what the model can hold",
            )


def _slides(config) -> bool:
    """Whether any layer attends to less than everything before a token."""
    kinds = getattr(config, "layer_types", None) or []
    return any(kind != "full_attention" for kind in kinds) or (not kinds and getattr(config, "sliding_window", None) is not None)


def _roomy(states: Tensor, owners: Tensor, room: int) -> Tensor:
    rows, heads, columns, size = len(owners), *states.shape[1:]
    new = states.new_empty(rows, heads, columns + room, size)
    new[:, :, :columns] = states[owners]
    return new
