"""Operations of TorchScript on numbers, sizes, truth values, texts and lists, which are no tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gatewise.errors import shown
from gatewise.interop.torch.program_reader import Word
from gatewise.interop.torch.script_calls import NUMBERS
from gatewise.interop.torch.script_state import MAX_ITEMS, Mismatch, ScriptState
from gatewise.interop.torch.script_values import UNKNOWN_TRUTH, RunSize, ScriptTensor, Unknown, Value
from gatewise.network.value_types import number_of, same

Builtin = Callable[[ScriptState, Sequence[Value]], Value]
DEVICE = Word("cpu")
LARGEST = 2**63
PACKING = ("pack_padded_sequence", "pack_sequence", "pad_packed_sequence", "PackedSequence")
PACKS = "it packs sequences of several lengths (PackedSequence), which is not supported"
SIZE_OPS = {"add": "add", "sub": "sub", "mul": "mul", "floordiv": "div"}
ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "floordiv": lambda a, b: a // b,
    "remainder": lambda a, b: a % b,
    "pow": lambda a, b: a**b if abs(b) < 64 else math.pow(a, b),
    "max": max,
    "min": min,
}
COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "lt": lambda a, b: a < b,
    "gt": lambda a, b: a > b,
    "le": lambda a, b: a <= b,
    "ge": lambda a, b: a >= b,
}


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, float))


def _combine(kind: str) -> Builtin:
    def combined(reader: ScriptState, places: Sequence[Value]) -> Value:
        places = _sizes_as_numbers(reader, places)
        if len(places) != 2 or any(isinstance(entry, ScriptTensor) for entry in places):
            return NotImplemented
        if all(map(_is_number, places)):
            try:
                outcome = ARITHMETIC[kind](*places)
            except (ArithmeticError, ValueError):
                raise reader.refusal(f"it computes {shown(kind, 20)} of numbers that have none") from None
            if isinstance(outcome, complex) or (isinstance(outcome, int) and abs(outcome) >= LARGEST):
                raise reader.refusal("it computes a number that is too large")
            return outcome
        if all(isinstance(entry, (int, RunSize)) for entry in places) and kind in SIZE_OPS:
            values = [entry.value if isinstance(entry, RunSize) else np.asarray(entry, np.int64) for entry in places]
            return reader.as_size(reader.build.add(SIZE_OPS[kind], *values))
        if kind == "add" and any(isinstance(entry, str) for entry in places):
            return "a text"
        if kind == "add" and all(isinstance(entry, list) for entry in places):
            return _bounded(reader, [*places[0], *places[1]])
        if kind == "mul" and isinstance(places[0], list) and isinstance(places[1], int):
            if len(places[0]) * max(0, places[1]) > MAX_ITEMS:
                raise reader.refusal(f"it makes a list of more than {MAX_ITEMS:,}")
            return places[0] * places[1]
        raise reader.refusal(f"it computes {shown(kind, 20)} of what is known in a run only")

    return combined


def is_size(reader: ScriptState, value: Value) -> bool:
    """Return whether a value is a size, or a tensor that is a known integer number."""
    if isinstance(value, ScriptTensor):
        known = reader.type_of(value)
        return known.dtype == "int64" and known.shape == () and reader.constant_of(value) is not None
    return isinstance(value, (int, RunSize)) and not isinstance(value, bool)


def _sizes_as_numbers(reader: ScriptState, places: Sequence[Value]) -> Sequence[Value]:
    """Return operands in which a tensor that is a known integer number, beside a size, is that number."""
    if not all(is_size(reader, entry) for entry in places) or all(isinstance(entry, ScriptTensor) for entry in places):
        return places
    return [reader.constant_of(entry) if isinstance(entry, ScriptTensor) else entry for entry in places]


def _bounded(reader: ScriptState, items: list[Value]) -> list[Value]:
    if len(items) > MAX_ITEMS:
        raise reader.refusal(f"it makes a list of more than {MAX_ITEMS:,}")
    reader.steps += len(items)
    return items


def _are_equal(reader: ScriptState, first: Value, second: Value) -> bool | Unknown:
    """Return whether two values that are no tensors are equal."""
    if isinstance(first, Unknown) or isinstance(second, Unknown):
        return UNKNOWN_TRUTH
    if isinstance(first, RunSize) or isinstance(second, RunSize):
        sizes = [
            reader.build.types[entry.value].content if isinstance(entry, RunSize) else entry
            for entry in (first, second)
        ]
        if any(entry is None or isinstance(entry, (tuple, str, float)) for entry in sizes):
            return UNKNOWN_TRUTH
        if same(*sizes):
            return True
        known = [number_of(entry) for entry in sizes]
        return known[0] == known[1] if None not in known else UNKNOWN_TRUTH
    if isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)):
        if len(first) != len(second):
            return False
        parts = [_are_equal(reader, entry, other) for entry, other in zip(first, second, strict=True)]
        return (
            False if False in parts else UNKNOWN_TRUTH if any(isinstance(entry, Unknown) for entry in parts) else True
        )
    if isinstance(first, ScriptTensor) or isinstance(second, ScriptTensor):
        return UNKNOWN_TRUTH
    return bool(first == second)


def _negated(value: bool | Unknown) -> bool | Unknown:
    return value if isinstance(value, Unknown) else not value


def _equal(reader: ScriptState, places: Sequence[Value]) -> Value:
    if len(places) != 2 or any(isinstance(entry, ScriptTensor) for entry in places):
        return NotImplemented
    return _are_equal(reader, *places)


def _unequal(reader: ScriptState, places: Sequence[Value]) -> Value:
    outcome = _equal(reader, places)
    return outcome if outcome is NotImplemented else _negated(outcome)


def _compare(kind: str) -> Builtin:
    def compared(reader: ScriptState, places: Sequence[Value]) -> Value:
        if len(places) != 2 or any(isinstance(entry, ScriptTensor) for entry in places):
            return NotImplemented
        return COMPARISONS[kind](*places) if all(map(_is_number, places)) else UNKNOWN_TRUTH

    return compared


def _not(reader: ScriptState, places: Sequence[Value]) -> Value:
    (value,) = _exactly(reader, places, 1)
    if isinstance(value, (bool, Unknown)):
        return _negated(value)
    return UNKNOWN_TRUTH


def _is(reader: ScriptState, places: Sequence[Value]) -> Value:
    first, second = _exactly(reader, places, 2)
    if isinstance(first, ScriptTensor) and isinstance(second, ScriptTensor):
        return first.value == second.value
    return first is second


def _is_not(reader: ScriptState, places: Sequence[Value]) -> Value:
    return not _is(reader, places)


def _contains(reader: ScriptState, places: Sequence[Value]) -> Value:
    items, item = _exactly(reader, places, 2)
    if not isinstance(items, (list, tuple, dict)):
        return UNKNOWN_TRUTH
    outcome = [_are_equal(reader, entry, item) for entry in items]
    return True if True in outcome else UNKNOWN_TRUTH if any(isinstance(entry, Unknown) for entry in outcome) else False


def _exactly(reader: ScriptState, places: Sequence[Value], count: int) -> Sequence[Value]:
    if len(places) != count:
        raise reader.refusal(f"it calls a function of {count} arguments with {len(places)}")
    return places


def _one_tensor(reader: ScriptState, places: Sequence[Value]) -> ScriptTensor:
    if not places or not isinstance(places[0], ScriptTensor):
        raise reader.refusal("it asks a property of what is no tensor")
    return places[0]


def _length(reader: ScriptState, places: Sequence[Value]) -> Value:
    (items,) = _exactly(reader, places, 1)
    if isinstance(items, ScriptTensor):
        return reader.size(reader.value_of(items), 0)
    if isinstance(items, (list, tuple, dict, str)) and not isinstance(items, RunSize):
        return len(items)
    raise reader.refusal("it asks for the length of what has none")


def _append(reader: ScriptState, places: Sequence[Value]) -> Value:
    items, item = _exactly(reader, places, 2)
    if not isinstance(items, list):
        raise reader.refusal("it appends to what is no list")
    items.append(item)
    _bounded(reader, items)
    reader.changes += 1
    return items


def _extend(reader: ScriptState, places: Sequence[Value]) -> Value:
    items, more = _exactly(reader, places, 2)
    if not isinstance(items, list) or not isinstance(more, (list, tuple)):
        raise reader.refusal("it appends to what is no list")
    _bounded(reader, [*items, *more])
    items.extend(more)
    reader.changes += 1
    return None


def _listed(reader: ScriptState, places: Sequence[Value]) -> Value:
    (items,) = _exactly(reader, places, 1)
    if not isinstance(items, (list, tuple)):
        raise reader.refusal("it makes a list of what is none")
    return _bounded(reader, [*items])


def _part(reader: ScriptState, places: Sequence[Value]) -> Value:
    """Return a part of a list; parts of tensors are the table's."""
    if not isinstance(places[0] if places else None, (list, tuple)):
        return NotImplemented
    if len(places) > 4 or not all(entry is None or isinstance(entry, int) for entry in places[1:]):
        raise reader.refusal("it takes a part of a list that only a run knows")
    bounds = [*places[1:], None, None, None]
    return _bounded(reader, [*places[0][bounds[0] : bounds[1] : bounds[2] or None]])


def _rank(reader: ScriptState, places: Sequence[Value]) -> Value:
    return reader.rank(reader.value_of(_one_tensor(reader, places)))


def _size(reader: ScriptState, places: Sequence[Value]) -> Value:
    value = reader.value_of(_one_tensor(reader, places))
    if len(places) == 1:
        return [reader.size(value, axis) for axis in range(reader.rank(value))]
    axis = _exactly(reader, places, 2)[1]
    if not isinstance(axis, int):
        raise reader.refusal("it asks for the size of an axis that only a run knows")
    return reader.size(value, axis)


def _is_floating(reader: ScriptState, places: Sequence[Value]) -> Value:
    dtype = reader.type_of(_one_tensor(reader, places)).dtype
    if dtype is None:
        raise reader.refusal("it asks for the type of a tensor, which only a run knows")
    return np.dtype(dtype).kind == "f"


def _dtype(reader: ScriptState, places: Sequence[Value]) -> Value:
    dtype = reader.type_of(_one_tensor(reader, places)).dtype
    if dtype not in NUMBERS:
        raise reader.refusal("it asks for the type of a tensor, which only a run knows")
    return NUMBERS[dtype]


def _whole(reader: ScriptState, places: Sequence[Value]) -> Value:
    (value,) = _exactly(reader, places, 1)
    if isinstance(value, RunSize):
        return value
    return _number(reader, value, int)


def _number(reader: ScriptState, value: Value, kind: type) -> Value:
    """Return a number, or a tensor that holds a known one, as a number of a kind."""
    if isinstance(value, ScriptTensor):
        value = reader.constant_of(value)
    if isinstance(value, Unknown) and kind is bool:
        return value
    if isinstance(value, str) and kind is float and value in ("inf", "-inf", "nan"):
        return float(value)
    if not _is_number(value) or (kind is int and isinstance(value, float) and not math.isfinite(value)):
        raise reader.refusal("it makes a number of what only a run knows")
    return kind(value)


def _floating(reader: ScriptState, places: Sequence[Value]) -> Value:
    return _number(reader, _exactly(reader, places, 1)[0], float)


def _boolean(reader: ScriptState, places: Sequence[Value]) -> Value:
    (value,) = _exactly(reader, places, 1)
    if isinstance(value, RunSize) or (isinstance(value, ScriptTensor) and reader.constant_of(value) is None):
        return UNKNOWN_TRUTH
    return _number(reader, value, bool)


def _all_or_any(function: Callable[[Sequence[bool]], bool]) -> Builtin:
    def combined(reader: ScriptState, places: Sequence[Value]) -> Value:
        if len(places) != 1 or not isinstance(places[0], list):
            return NotImplemented
        if not all(isinstance(entry, (bool, int)) for entry in places[0]):
            return UNKNOWN_TRUTH
        return function(places[0])

    return combined


def _negative(reader: ScriptState, places: Sequence[Value]) -> Value:
    (value,) = _exactly(reader, places, 1)
    return -value if _is_number(value) else _combine("sub")(reader, [0, value])


def _of_number(function: Callable[[float], Any]) -> Builtin:
    def computed(reader: ScriptState, places: Sequence[Value]) -> Value:
        if len(places) != 1 or not _is_number(places[0]):
            return NotImplemented
        try:
            return function(places[0])
        except (ArithmeticError, ValueError):
            raise reader.refusal("it computes a function of a number that has none") from None

    return computed


def _with_tensors(builtin: Builtin) -> Builtin:
    """Return a function that leaves calls with a tensor as the first argument to the table of operators."""

    def called(reader: ScriptState, places: Sequence[Value]) -> Value:
        return NotImplemented if places and isinstance(places[0], ScriptTensor) else builtin(reader, places)

    return called


def _known(value: Value) -> Builtin:
    return lambda reader, places: value


def _same(reader: ScriptState, places: Sequence[Value]) -> Value:
    return _exactly(reader, places, 1)[0]


def _raise(reader: ScriptState, places: Sequence[Value]) -> Value:
    text = places[0] if places and isinstance(places[0], str) else "an error"
    raise Mismatch(f"{reader.place}: it raises {shown(text, 100)!r}")


def _packs(reader: ScriptState, places: Sequence[Value]) -> Value:
    raise reader.refusal(PACKS)


OPERATORS: Mapping[str, Builtin] = {  # of torch
    **{kind: _combine(kind) for kind in ARITHMETIC},
    **{kind: _compare(kind) for kind in COMPARISONS},
    "eq": _equal,
    "ne": _unequal,
    "neg": _with_tensors(_negative),
    "__not__": _not,
    "__is__": _is,
    "__isnot__": _is_not,
    "__contains__": _contains,
    "len": _length,
    "append": _append,
    "extend": _extend,
    "list": _listed,
    "dim": _rank,
    "size": _size,
    "slice": _part,
    "is_floating_point": _is_floating,
    "device": _known(DEVICE),
    "format": _known("a message"),
    "warn": _known(None),
    "is_grad_enabled": _known(True),
    "str": _known("a text"),
    "is_autocast_enabled": _known(False),
    "is_scripting": _known(True),
    "Int": _whole,
    "Float": _floating,
    "IntImplicit": _whole,
    "FloatImplicit": _floating,
    "Bool": _boolean,
    "_pack_padded_sequence": _packs,
    "_pad_packed_sequence": _packs,
    "all": _all_or_any(all),
    "any": _all_or_any(any),
    "sqrt": _of_number(math.sqrt),
    "floor": _of_number(math.floor),
    "ceil": _of_number(math.ceil),
    "exp": _of_number(math.exp),
    "log": _of_number(math.log),
    "abs": _of_number(abs),
}
NAMED: Mapping[str, Builtin] = {
    "int": _whole,
    "float": _floating,
    "bool": _boolean,
    "ops.prim.NumToTensor": _same,
    "ops.prim.dtype": _dtype,
    "ops.prim.device": _known(DEVICE),
    "ops.prim.type": _known(DEVICE),
    "ops.prim.is_nested": _known(False),
    "ops.prim.is_cuda": _known(False),
    "ops.prim.requires_grad": _known(True),
    "ops.prim.RaiseException": _raise,
    "ops.prim.layout": _known(0),
    "ops.prim.is_quantized": _known(False),
    "ops.prim.is_sparse": _known(False),
}
