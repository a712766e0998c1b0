"""The trace of a canonical computation: every value that came about in it, and how.

    recorder = Recorder(before)
    with canonical(), recording(recorder):
        step(...)
    trace = recorder.trace(after)

A *value* is the words of one whole storage between two writes; a tensor is a view of one. An operator that writes part of a storage makes
a new value of it (UPDATE). Values are INITIAL (a tensor of the state before), MADE by a call, FINAL (a tensor of the state after), or GIVEN:
what no initial float had a part in (token ids, masks, rotary tables), and what an operator without a definition gave; these belong to the
question, and where two sides differ about them no contract can decide. The format is that of `swarm.proof.dispute_format`.

The first pass keeps only roots. A second one with `wanted` keeps the words of some values, from which `perform` runs one call's definition
again, instruction by instruction. `Lie` is how a cheat is played: it changes one word of one output, and the computation goes on with it.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgpack
import numpy as np
import torch
from torch.multiprocessing.reductions import StorageWeakRef

from swarm.keys import keccak
from swarm.proof import dispute_format as form
from swarm.proof.canonical import movers
from swarm.proof.canonical.definition import definitions
from swarm.proof.canonical.definition.codes import Code
from swarm.proof.canonical.definition.machine import Machine, View
from swarm.proof.canonical.plan import Planner

State = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Reading:
    """An operand: part of a value, in words."""

    value: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Writing:
    """An output: the new value, its words, and where in its storage the tensor lies. `base` is the value that it was written into, None where
    the tensor fills the whole storage."""

    value: int
    words: int
    base: int | None
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Call:
    """One operator. `inputs` are the distinct values that it reads, in order of use."""

    name: str
    attributes: dict[str, Any]
    operands: tuple[Reading | None, ...]
    outputs: tuple[Writing, ...]

    @functools.cached_property
    def inputs(self) -> tuple[int, ...]:
        read = [each.value for each in self.operands if each is not None] + [each.base for each in self.outputs if each.base is not None]
        return tuple(dict.fromkeys(read))


@dataclass(frozen=True)
class Value:
    """`kind` as in the format. INITIAL and FINAL have a `name`, FINAL a `source`, MADE is output `output` of call `call`."""

    kind: int
    words: int
    root: bytes
    name: str = ""
    source: int = -1
    call: int = -1
    output: int = -1


@dataclass(frozen=True)
class Program:
    """What a call's definition does: packed instructions, and which of them makes each output."""

    packed: tuple[bytes, ...]
    positions: tuple[int, ...]

    @functools.cached_property
    def root(self) -> bytes:
        return form.tree_root([keccak(each) for each in self.packed])


@dataclass
class Trace:
    """A computation. `heads` are the bytes before the words in each state tensor's digest, by name."""

    calls: list[Call] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    before: dict[str, int] = field(default_factory=dict)  # name -> head
    after: dict[str, int] = field(default_factory=dict)

    @property
    def said(self) -> form.Trace:
        """What a side posts of it."""
        return form.Trace(len(self.values), form.tree_root([keccak(each) for each in self.entries]), form.tree_root(self.roots))

    @property
    def roots(self) -> list[bytes]:
        return [value.root for value in self.values]

    @functools.cached_property
    def entries(self) -> list[bytes]:
        """How each value comes about, packed."""
        return [self._entry(value) for value in self.values]

    def program(self, call: int) -> Program:
        return program(self.calls[call], self.values)

    def _entry(self, value: Value) -> bytes:
        if value.kind == form.GIVEN:
            return form.given(value.words, value.root)
        if value.kind == form.INITIAL:
            return form.initial(value.words, *_place(self.before, value.name))
        if value.kind == form.FINAL:
            return form.final(value.words, *_place(self.after, value.name), value.source)
        made, inputs = self.program(value.call), self.calls[value.call].inputs
        sizes = [(number, self.values[number].words) for number in inputs]
        return form.made(value.words, made.positions[value.output], made.root, len(made.packed), sizes)


@dataclass(frozen=True)
class Lie:
    """Output `output` of call `call` has another word at row-major place `element`: its last bit is the other one."""

    call: int
    output: int = 0
    element: int = 0


class Done(Exception):
    """Everything wanted has been seen: the rest of the computation is not needed."""


@dataclass
class _Stored:
    """What is known of a storage. The reference keeps its key from being given to another."""

    reference: StorageWeakRef
    value: int
    item: int  # bytes of an element


class Recorder:
    """Hears of every operator under `ops.recording`. `before` are contiguous tensors that fill their storages.

    `wanted` are numbers of values whose `words` it keeps. With `until` it raises Done after that call.
    """

    def __init__(self, before: State, lie: Lie | None = None, wanted: Collection[int] = (), until: int | None = None):
        self._trace, self._lie, self._wanted, self._until = Trace(before=_heads(before)), lie, frozenset(wanted), until
        self._storages: dict[int, _Stored] = {}
        self._constants: dict[tuple[int, bytes], int] = {}
        self._pending: list[Reading | None] = []
        self.words: dict[int, np.ndarray] = {}
        for name in sorted(before, key=str.encode):
            self._keep(before[name], self._initial(name, before[name]))

    def trace(self, after: State) -> Trace:
        """What was heard, with the state that came of it. Call it once."""
        self._trace.after = _heads(after)
        for name in sorted(after, key=str.encode):
            source = self._read(after[name]).value
            words, root = self._trace.values[source].words, self._trace.values[source].root
            self._add(Value(form.FINAL, words, root, name, source), stored_words(after[name]))
        return self._trace

    # what `ops` and the mode tell

    def before(self, name: str, tensors: Mapping[str, torch.Tensor | None], attributes: Mapping[str, Any]) -> None:
        """An operator starts: what it reads is looked up now, since it may write over it."""
        self._pending = [None if each is None else self._read(each) for each in tensors.values()]

    def after(self, name: str, tensors: Mapping[str, Any], attributes: Mapping[str, Any], outputs: Sequence[torch.Tensor]) -> None:
        operands, self._pending = self._pending, []
        self._call(name, dict(attributes), operands, outputs)

    def moved(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        """Stock torch ran an operator that does no arithmetic on floats."""
        outputs = [each for each in (out if isinstance(out, list | tuple) else (out,)) if isinstance(each, torch.Tensor)]
        tensors = list(_tensors((args, kwargs)))
        if func in _EMPTY:
            _storage(out).fill(0)  # whatever lay there before would be part of the question
        if not outputs or _is_view(func, tensors, outputs) or all(self._is_constant(each) for each in (*tensors, *outputs)):
            return
        found = movers.lowered(func, args, kwargs, outputs[0], self._is_constant) if len(outputs) == 1 else None
        if found is not None:
            self._call(found.name, found.attributes, [self._read(each) for each in found.tensors], outputs)
        else:
            self._undefined(outputs)

    # values

    def _call(self, name: str, attributes: dict[str, Any], operands: list[Reading | None], outputs: Sequence[torch.Tensor]) -> None:
        if len({each.untyped_storage()._cdata for each in outputs}) != len(outputs):
            raise ValueError(f"{name} gives two tensors of one storage")
        number = len(self._trace.calls)
        if self._lie is not None and self._lie.call == number:
            _change(outputs[self._lie.output], self._lie.element)
        bases = [self._base(tensor) for tensor in outputs]
        writings = tuple(self._write(number, place, *each) for place, each in enumerate(zip(outputs, bases, strict=True)))
        self._trace.calls.append(Call(name, attributes, tuple(operands), writings))
        if number == self._until:
            raise Done

    def _base(self, tensor: torch.Tensor) -> int | None:
        """What an output was written into."""
        if _fills(tensor):
            return None
        known = self._known(tensor)
        return known.value if known else self._constant(_without(stored_words(tensor), tensor))

    def _write(self, call: int, output: int, tensor: torch.Tensor, base: int | None) -> Writing:
        words = stored_words(tensor)
        value = self._add(Value(form.MADE, len(words), form.value_root(words), call=call, output=output), words)
        self._keep(tensor, value)
        return Writing(value, len(words), base, tensor.storage_offset(), tuple(tensor.shape), tuple(tensor.stride()))

    def _undefined(self, outputs: Sequence[torch.Tensor]) -> None:
        """What no definition gives is given: storages that other floats had made become constants again."""
        for tensor in outputs:
            self._storages.pop(tensor.untyped_storage()._cdata, None)

    def _read(self, tensor: torch.Tensor) -> Reading:
        known = self._known(tensor)
        value = known.value if known else self._constant(stored_words(tensor))
        return Reading(value, tensor.storage_offset(), tuple(tensor.shape), tuple(tensor.stride()))

    def _initial(self, name: str, tensor: torch.Tensor) -> int:
        if not tensor.is_contiguous() or tensor.untyped_storage().nbytes() != tensor.nbytes:
            raise ValueError(f"{name} does not fill its storage")
        words = stored_words(tensor)
        return self._add(Value(form.INITIAL, len(words), form.value_root(words), name), words)

    def _constant(self, words: np.ndarray) -> int:
        """A given value; equal ones are one."""
        key = len(words), form.value_root(words)
        if key not in self._constants:
            self._constants[key] = self._add(Value(form.GIVEN, *key), words)
        return self._constants[key]

    def _add(self, value: Value, words: np.ndarray) -> int:
        number = len(self._trace.values)
        if number in self._wanted:
            self.words[number] = words.copy()
        self._trace.values.append(value)
        return number

    def _keep(self, tensor: torch.Tensor, value: int) -> None:
        storage = tensor.untyped_storage()
        self._storages[storage._cdata] = _Stored(StorageWeakRef(storage), value, tensor.element_size())

    def _known(self, tensor: torch.Tensor) -> _Stored | None:
        found = self._storages.get(tensor.untyped_storage()._cdata)
        return found if found is not None and found.item == tensor.element_size() else None

    def _is_constant(self, tensor: torch.Tensor) -> bool:
        return tensor.untyped_storage()._cdata not in self._storages


def program(call: Call, values: Sequence[Value]) -> Program:
    """The instructions of a call's definition."""
    planner = Planner()
    taken = {number: planner.reserve(values[number].words) for number in call.inputs}
    ends = _apply(planner, call, taken)
    sizes = [len(each) for each in planner.values]
    packed = tuple(form.instruction(each, sizes) for each in planner.instructions)
    return Program(packed, tuple(end - planner.taken for end in ends))


def perform(call: Call, words: Mapping[int, np.ndarray]) -> tuple[Machine, tuple[int, ...]]:
    """Run a call's definition on the words of its inputs. The machine's first values are `call.inputs`, in order; also the numbers of its outputs."""
    made = Machine()
    taken = {number: made.take(words[number]) for number in call.inputs}
    with np.errstate(all="ignore"):
        return made, _apply(made, call, taken)


def stored_words(tensor: torch.Tensor) -> np.ndarray:
    """The words of a tensor's whole storage, uint32: float32 by its bits, integers and truth values by their value."""
    whole = _storage(tensor)
    if tensor.dtype == torch.int64 and whole.size and not -(2**31) <= whole.min() <= whole.max() < 2**31:
        raise ValueError("an integer that does not fit 32 bits takes part in floats")
    return whole.view(np.uint32) if whole.itemsize == 4 else whole.astype(np.int32).view(np.uint32)


def _apply(made: Machine, call: Call, taken: Mapping[int, View]) -> tuple[int, ...]:
    """The definition, and after it what makes whole values of its results."""
    views = [None if each is None else _seen(taken[each.value], each) for each in call.operands]
    found = definitions()[call.name](made, *views, **call.attributes)
    outputs = found if isinstance(found, tuple) else (found,)
    return tuple(_finished(made, view, writing, taken) for view, writing in zip(outputs, call.outputs, strict=True))


def _finished(made: Machine, view: View, writing: Writing, taken: Mapping[int, View]) -> int:
    """The whole value that an output becomes: its words in the storage's order, or the old words with its own in their place."""
    view = view.expand(*writing.shape)
    if writing.base is not None:
        return made.update(_seen(taken[writing.base], writing), view).number
    order = sorted(range(len(writing.shape)), key=lambda axis: -writing.strides[axis])
    laid = view.permute(*order)
    is_whole = view.words is not None and view.number >= made.taken and laid.offset == 0 and laid.size == len(view.words)
    return laid.number if is_whole and laid.is_contiguous else made.map(Code.MOV, laid).number


def _seen(whole: View, part: Reading | Writing) -> View:
    return View(whole.number, whole.words, part.offset, part.shape, part.strides)


def _heads(state: State) -> dict[str, int]:
    """Name -> bytes before the words, as `swarm.learn.root.tensor_digest` has them."""
    return {name: len(msgpack.packb([name, str(t.dtype).removeprefix("torch."), list(t.shape)])) for name, t in state.items()}


def _place(heads: Mapping[str, int], name: str) -> tuple[int, int, int]:
    """Where a tensor stands in the state's tree: leaf, leaves (the scalars are the last), bytes of its head."""
    return sorted(heads, key=str.encode).index(name), len(heads) + 1, heads[name]


_EMPTY = {getattr(torch.ops.aten.empty, overload) for overload in torch.ops.aten.empty.overloads() if "names" not in overload}
_EMPTY |= {getattr(torch.ops.aten, name).default for name in ("empty_like", "empty_strided", "new_empty", "new_empty_strided", "empty_permuted")}
_KINDS = {torch.float32: np.float32, torch.int64: np.int64, torch.int32: np.int32, torch.bool: np.bool_, torch.uint8: np.uint8}


def _storage(tensor: torch.Tensor) -> np.ndarray:
    """The memory of a tensor's whole storage, as numpy's type: no torch operator is run."""
    if tensor.dtype not in _KINDS:
        raise ValueError(f"{tensor.dtype} takes part in floats")
    storage = tensor.untyped_storage()
    if not storage.nbytes():
        return np.empty(0, _KINDS[tensor.dtype])
    return np.frombuffer((ctypes.c_char * storage.nbytes()).from_address(storage.data_ptr()), _KINDS[tensor.dtype])


def _fills(tensor: torch.Tensor) -> bool:
    """Whether each word of the storage is one element."""
    wanted = 1
    for size, stride in sorted(zip(tensor.shape, tensor.stride(), strict=True), key=lambda axis: axis[1]):
        if size != 1 and stride != wanted:
            return False
        wanted *= size
    return tensor.storage_offset() == 0 and tensor.untyped_storage().nbytes() == wanted * tensor.element_size()


def _places(tensor: torch.Tensor) -> np.ndarray:
    """Where in the storage each element lies, row-major."""
    return View(0, None, tensor.storage_offset(), tuple(tensor.shape), tuple(tensor.stride())).array().reshape(-1)


def _without(words: np.ndarray, tensor: torch.Tensor) -> np.ndarray:
    """The words around a tensor in its storage: its own are +0, whatever they were before they were written over."""
    around = words.copy()
    around[_places(tensor)] = 0
    return around


def _change(tensor: torch.Tensor, element: int) -> None:
    whole = _storage(tensor)
    whole = whole.view(np.uint32) if whole.itemsize == 4 else whole
    whole[_places(tensor)[element]] ^= whole.dtype.type(1)


def _is_view(func: Any, tensors: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor]) -> bool:
    """Whether the outputs only show what was there."""
    there = {each.untyped_storage()._cdata for each in tensors}
    return not func._schema.is_mutable and all(each.untyped_storage()._cdata in there for each in outputs)


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    for value in values.values() if isinstance(values, dict) else values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list | tuple | dict):
            yield from _tensors(value)
