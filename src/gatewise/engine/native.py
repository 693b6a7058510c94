"""The native engine: the C++ kernels of `native/`, in float32 and float64, on as many threads as are allowed.

It runs every variant except layer norm and the rarer nonlinearities. Each sum starts with the bias, then adds the
products of the input and then those of the hidden state, one after another: a run split into pieces, a batch taken one
sequence at a time and any number of threads give the same bits. Subnormal numbers count as zero. `native/README.md`
explains what the kernels compute, and how.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from gatewise.activations import KINDS, Activation
from gatewise.arrays import Array, Mask, quiet
from gatewise.equations import NO_DROPOUT, DropoutMasks
from gatewise.errors import OptionError, one_of
from gatewise.gates import LETTERS
from gatewise.parameters import ARRAYS, SWITCHES, Parameters, Variant
from gatewise.records.edits import Edit
from gatewise.records.gradients import Gradients
from gatewise.records.keep import Keep
from gatewise.records.step import State
from gatewise.records.trace import Trace

MISSING: str | None = None
_native: Any = None
try:
    if os.environ.get("GATEWISE_KERNEL") == "none":
        MISSING = "GATEWISE_KERNEL=none turns it off"
    else:
        _native = import_module("gatewise._native")
except ModuleNotFoundError as problem:
    MISSING = (
        f"the extension gatewise._native is missing ({problem}); installing gatewise with a C++ compiler builds it"
    )
except ImportError as problem:
    MISSING = f"the extension gatewise._native cannot be loaded ({problem})"

NAME = "native"
MOST_THREADS = 1024
KEPT = {"gates": "gates", "cell_state": "cells", "unprojected_state": "unprojected"}  # arrays of a trace, as fields
MASKS = {"recurrent": "recurrent_mask", "zoneout_cell": "zoneout_cell", "zoneout_hidden": "zoneout_hidden"}  # as fields
_packed: WeakKeyDictionary[Parameters, dict[str, Any]] = WeakKeyDictionary()
_refusals: WeakKeyDictionary[Parameters, str | None] = WeakKeyDictionary()


def refusal(parameters: Parameters) -> str | None:
    """Return the reason why this engine cannot run a cell, or None."""
    if MISSING is not None:
        return MISSING
    if parameters not in _refusals:  # asked at every call: a variant takes longer to hash
        _refusals[parameters] = _variant_refusal(parameters.variant)
    return _refusals[parameters]


def _variant_refusal(variant: Variant) -> str | None:
    """Return a sentence that names a switch or nonlinearity that the native engine lacks, or None."""
    for switch, value in variant.differences().items():
        if switch not in switches() and not isinstance(value, Activation):
            return f"only the reference engine supports {switch.replace('_', ' ')}"
    for letter in variant.own + "c":
        if (name := variant.activation(letter).name) not in nonlinearities():
            return f"only the reference engine supports the nonlinearity {name}"
    return None


@cache
def switches() -> tuple[str, ...]:
    """Return the switches that the extension's cells take, beside the nonlinearities."""
    signature = _native.CellFloat32.__init__.__doc__
    return tuple(switch.name for switch in SWITCHES if f" {switch.name}: " in signature)


@cache
def nonlinearities() -> tuple[str, ...]:
    """Return the names of the nonlinearities that the native kernels have."""

    def is_known(name: str) -> bool:
        """Return whether the native kernels have a nonlinearity of this name."""
        nothing = np.empty(0, np.float32)
        try:
            _native.apply(kernels()[0], name, 1.0, 0.0, nothing, nothing)
        except ValueError:
            return False
        return True

    return tuple(filter(is_known, KINDS))


@cache
def kernels() -> tuple[str, ...]:
    """Return the kernels that this machine can run, fastest first."""
    return tuple(_native.kernels()) if MISSING is None else ()


def kernel() -> str:
    """Return the name of the kernel in use: the fastest, or the one that GATEWISE_KERNEL names."""
    name = os.environ.get("GATEWISE_KERNEL")
    return one_of("GATEWISE_KERNEL", name, kernels()) if name else kernels()[0]


def num_threads() -> int:
    """Return the largest number of threads of a run."""
    _apply_environment()
    return int(_native.threads())


def set_num_threads(count: int) -> None:
    """Set the largest number of threads of a run."""
    if count > MOST_THREADS:
        raise OptionError(f"the number of threads must be at most {MOST_THREADS}, not {count}")
    if MISSING is None:
        _apply_environment()
        _native.set_threads(count)


@cache
def _apply_environment() -> None:
    """Apply GATEWISE_NUM_THREADS to the native engine, once, before the first run."""
    value = os.environ.get("GATEWISE_NUM_THREADS")
    if not value:
        return
    if not (value.isdecimal() and 1 <= int(value) <= MOST_THREADS):
        raise OptionError(f"GATEWISE_NUM_THREADS must be an integer from 1 to {MOST_THREADS}, not {value!r}")
    _native.set_threads(int(value))


def packed(parameters: Parameters, dropout: DropoutMasks | None = None) -> Any:
    """Return a native cell with its weights packed for the kernel in use; it is cached with the parameters."""
    _apply_environment()
    name = kernel()
    if dropout is not None and dropout.weight is not None:
        dropped = np.concatenate([parameters.recurrent_weight * dropout.weight, parameters.input_weight], axis=-1)
        return _pack_cell(parameters, name, dropped)
    cells = _packed.setdefault(parameters, {})
    if name not in cells:
        cells[name] = _pack_cell(parameters, name, parameters.weight)
    return cells[name]


def stream(cells: Sequence[Parameters], batch: int | None, converter: Callable[[Any, Any, Any, Any], Array]) -> Any:
    """Return a native stream through stacked cells.

    Its ``push(x, *, mask=None, out=None)`` reads a C-contiguous array of the cells' dtype without a mask directly; for
    any other input it returns ``converter(stream, x, mask, out)``. ``predict`` is the same through what a network has
    around its LSTM, as ``surround`` was given it.
    """
    kind = _native.StreamFloat32 if cells[0].dtype == np.float32 else _native.StreamFloat64
    return kind([packed(p) for p in cells], 1 if batch is None else batch, batch is not None, converter)


def program(dtype: np.dtype[Any], lstms: Sequence[Sequence[Parameters]], **parts: Any) -> Any:
    """Return a native program of one step of a network: see `native/program.hpp` for its parts.

    Its ``push(*inputs)`` reads C-contiguous arrays of this type directly, a step or a block of steps of each; for any
    other inputs it returns ``converter(program, inputs)``.
    """
    kind = _native.ProgramFloat32 if dtype == np.float32 else _native.ProgramFloat64
    return kind(kernel=kernel(), lstms=[[packed(p) for p in cells] for cells in lstms], **parts)


def linear(x: Array, weight: Array, bias: Array) -> Array:
    """Return W x + b for C-contiguous rows; each row is summed alone, so that no bit depends on the other rows."""
    y = np.empty((len(x), len(weight)), x.dtype)
    _native.linear(x, weight, bias, y)
    return y


def _pack_cell(p: Parameters, name: str, weight: Array) -> Any:
    """Return the native cell of some parameters, its weights packed for the kernel `name`."""
    variant = p.variant
    cell = _native.CellFloat32 if p.dtype == np.float32 else _native.CellFloat64
    activations = []
    for letter in LETTERS + "c":
        activation = variant.activation(letter if letter in variant.own + "c" else "i" if letter == "f" else "f")
        activations.append((activation.name, activation.alpha or 0.0, activation.beta or 0.0))
    return cell(
        name,
        weight,
        p.bias,
        p.peephole,
        p.projection,
        activations,
        **{name: _plain_switch(getattr(variant, name)) for name in switches() if name not in ARRAYS},
    )


def _plain_switch(value: str | float | None) -> str | float:
    """Return a switch as the extension takes it: the word before any =, and infinity for no bound."""
    return value.partition("=")[0] if isinstance(value, str) else math.inf if value is None else value


@quiet
def run(
    parameters: Parameters,
    x: Array,
    initial: State,
    hidden: Array,
    *,
    reverse: bool,
    valid: Mask | None,
    dropout: DropoutMasks,
    keep: Keep,
    arrays: dict[str, Array],
    edits: Sequence[Edit] = (),
) -> State:
    """Run a cell over time; see `gatewise.engine.reference.run`. `gatewise.engine.choose` lets no edits come here."""
    c = np.array(initial.c, order="C")
    cell = packed(parameters, dropout)
    record = _kernel_record(cell.ForwardRecord, x, initial, reverse, valid, dropout)
    record.h, record.c = hidden, c
    if arrays:
        record.every, record.places = min(keep.every, max(len(x), 1)), keep.places
        if keep.units is not None:
            record.units = list(keep.units)
        for name, field in KEPT.items():
            if name in arrays:
                setattr(record, field, arrays[name])
    cell.forward(record)
    if (states := arrays.get("hidden_state")) is not None and states is not hidden:
        units = slice(None) if keep.units is None or parameters.projection is not None else list(keep.units)
        states[...] = hidden[:: keep.every, :, units]
    last = hidden[0 if reverse else -1] if len(hidden) else initial.h
    return State(last.copy(), c)


@quiet
def backward(trace: Trace, dhidden: Array, dfinal: State, out: Gradients | None = None) -> Gradients:
    """Return the gradients of a loss; see `gatewise.engine.reference.backward`."""
    trace.require_unedited("the native engine")
    p, dropout, x, arrays = trace.parameters, trace.dropout, trace.require("a gradient"), trace.arrays
    total = Gradients.zeros(p, len(dhidden), dhidden.shape[1], out)
    dh, dc = total.state
    dh[...], dc[...] = dfinal
    cell = packed(p, dropout)
    record = _kernel_record(cell.BackwardRecord, x, trace.initial, trace.direction == "backward", trace.valid, dropout)
    record.h, record.c0 = _contiguous(arrays["hidden_state"]), _contiguous(trace.initial.c)
    record.gates, record.cells = _contiguous(arrays["gates"]), _contiguous(arrays["cell_state"])
    record.unprojected = _contiguous(arrays.get("unprojected_state", arrays["hidden_state"]))
    record.dhidden = _contiguous(dhidden)
    record.dh, record.dc, record.dx = dh, dc, total.x
    record.dweight, record.dbias = total.weight, total.bias
    record.dpeephole, record.dprojection = (total.parameters.get(name) for name in ("peephole", "projection"))
    cell.backward(record)
    if dropout.weight is not None:
        total.weight[..., : p.recurrent_size] *= dropout.weight
    if dropout.input is not None:
        np.multiply(total.x, dropout.input, out=total.x)
    return total


def _kernel_record(
    kind: Callable[[], Any], x: Array, initial: State, reverse: bool, valid: Mask | None, dropout: DropoutMasks
) -> Any:
    """Return a record for a native kernel with the fields that the forward and backward passes read."""
    record = kind()
    record.x = _contiguous(x if dropout.input is None else x * dropout.input)
    record.h0 = _contiguous(initial.h)
    if reverse:
        record.reverse = True
    if valid is not None:
        record.valid = _contiguous(valid)
    if dropout is not NO_DROPOUT:
        for name, field in MASKS.items():
            if (mask := getattr(dropout, name)) is not None:
                setattr(record, field, _contiguous(mask))
    return record


def _contiguous(array: Any) -> Any:
    return None if array is None else np.ascontiguousarray(array)
