"""Parameters and traces as named arrays and plain data: what `storage` writes.

Every convention that another program must know to use the numbers is named in the header, under ``conventions``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from gatewise.arrays import Array, size
from gatewise.equations import DropoutMasks
from gatewise.errors import FileError, GatewiseError, OptionError, ShapeError, one_of
from gatewise.parameters import ARRAYS, Parameters, Variant
from gatewise.records.edits import Edit, states_apart
from gatewise.records.keep import DIRECTIONS, Keep
from gatewise.records.labels import Labels
from gatewise.records.step import State
from gatewise.records.trace import Trace

FORMAT = 1
CONVENTIONS = {
    "gate_order": "input, forget, candidate, output",
    "weight": "(gate, hidden, recurrent + input); columns act on [h; x]",
    "bias": "(gate, hidden); one bias",
    "peephole": "(input, forget, output; hidden)",
    "projection": "(recurrent, hidden)",
    "norm_gain": "(gate, hidden), or (recurrent, input; gate, hidden)",
    "cell_norm": "(gain, bias; hidden)",
    "sequences": "(time, batch, feature)",
    "gates": "after their nonlinearities",
}
Arrays = dict[str, Any]
Header = dict[str, Any]
T = TypeVar("T")


def header(kind: str, **content: Any) -> Header:
    """Return a file's header."""
    return {"format": FORMAT, "kind": kind, "conventions": CONVENTIONS, **content}


def checked(path: str, head: Mapping[str, Any], build: Callable[[], T]) -> T:
    """Return the result of `build`, which reads gatewise's own file; any error in the content becomes one FileError."""
    if head.get("format") != FORMAT:
        raise FileError(f"{path} has format {head.get('format')!r}; this version reads format {FORMAT}")
    if head.get("conventions") != CONVENTIONS:
        raise FileError(f"{path} has conventions that format {FORMAT} does not have")
    try:
        return build()
    except GatewiseError as problem:
        raise FileError(f"{path} does not hold what its header says: {problem}") from None
    except KeyError as problem:
        raise FileError(f"{path} does not hold what its header says: {problem} is missing") from None
    except (TypeError, ValueError, AttributeError, IndexError, OverflowError) as problem:
        raise FileError(f"{path} does not hold what its header says ({type(problem).__name__}: {problem})") from None


def parameters_record(p: Parameters, prefix: str) -> tuple[Arrays, Header]:
    """Return a cell's arrays, their names beginning with `prefix`, and its switches."""
    return {f"{prefix}{name}": array for name, array in p.arrays().items()}, p.variant.to_json()


def parameters_from(arrays: Mapping[str, Array], prefix: str, variant: Mapping[str, Any]) -> Parameters:
    """Return a cell's parameters from the arrays of a file, as `parameters_record` named them."""
    own_arrays: Arrays = {name: arrays[f"{prefix}{name}"] for name in ARRAYS if f"{prefix}{name}" in arrays}
    missing = {"weight", "bias"} - set(own_arrays)
    if missing:
        raise KeyError(f"{prefix}{sorted(missing)[0]}")
    for name, array in own_arrays.items():
        if array.dtype.kind != "f":
            raise OptionError(f"{prefix}{name} holds {array.dtype}; it must hold floats")
    return Parameters(variant=Variant.from_json(variant), **own_arrays)


def trace_record(trace: Trace, prefix: str = "") -> tuple[Arrays, Header]:
    """Return the trace of one cell as named arrays and plain data for a file."""
    arrays, head = record_before_run(trace, prefix)
    arrays |= {f"{prefix}{name}": array for name, array in trace.arrays.items()}
    arrays |= _state(trace.final, f"{prefix}final.")
    if trace.input is not None:
        arrays[f"{prefix}input"] = trace.input
    return arrays, head


def record_before_run(trace: Trace, prefix: str) -> tuple[Arrays, Header]:
    """Return the part of a trace's file that is known before its run: arrays of its arguments, and all plain data."""
    arrays, variant = parameters_record(trace.parameters, f"{prefix}parameters.")
    arrays |= {f"{prefix}dropout.{name}": array for name, array in trace.dropout.arrays().items()}
    arrays |= _state(trace.initial, f"{prefix}initial.")
    if trace.valid is not None:
        arrays[f"{prefix}valid"] = trace.valid
    arrays |= {f"{prefix}edits.{n}": edit.value for n, edit in enumerate(trace.edits) if edit.action != "clamp"}
    keep = trace.keep
    return arrays, {
        "variant": variant,
        "num_steps": trace.num_steps,
        "start": trace.start,
        "direction": trace.direction,
        "engine": trace.engine,
        "keep": {"quantities": list(keep.quantities), "units": keep.units and list(keep.units), "every": keep.every},
        "labels": trace.labels.to_json(),
        **({"edits": [edit.to_json() for edit in trace.edits]} if trace.edits else {}),
    }


def _state(state: State, prefix: str) -> Arrays:
    return {f"{prefix}hidden_state": state.h, f"{prefix}cell_state": state.c}


def trace_from(
    arrays: Mapping[str, Array], head: Mapping[str, Any], prefix: str = "", *, batched: bool = True
) -> Trace:
    """Return the trace of one cell from the arrays and the header of a file, as `trace_record` made them."""
    p = parameters_from(arrays, f"{prefix}parameters.", head["variant"])
    keep = Keep(tuple(head["keep"]["quantities"]), head["keep"]["units"], head["keep"]["every"])
    time = size("the time of a trace", head["num_steps"], least=0)
    batch = len(take_array(arrays, f"{prefix}initial.cell_state", (None, p.hidden_size)))
    names = {name for name in vars(DropoutMasks()) if f"{prefix}dropout.{name}" in arrays}
    dropout = DropoutMasks(**{name: arrays[f"{prefix}dropout.{name}"] for name in names}).fit(p, time, batch)
    initial, final = (
        State(
            take_array(arrays, f"{prefix}{when}.hidden_state", (batch, p.recurrent_size)),
            take_array(arrays, f"{prefix}{when}.cell_state", (batch, p.hidden_size)),
        )
        for when in ("initial", "final")
    )
    valid = None
    if f"{prefix}valid" in arrays:
        valid = take_array(arrays, f"{prefix}valid", (time, batch), kind="b")
    edits = tuple(
        Edit.from_json(data, arrays.get(f"{prefix}edits.{n}")).settled(p, time, batch)
        for n, data in enumerate(head.get("edits", ()))
    )
    labels = Labels.from_json(head["labels"])
    labels.require(features=p.input_size, units=p.hidden_size, sequences=batch, times=time)
    return Trace(
        parameters=p,
        initial=initial,
        final=final,
        num_steps=time,
        arrays={
            name: take_array(arrays, f"{prefix}{name}", shape)
            for name, shape in keep.shapes(p, time, batch, dropout, apart=states_apart(edits)).items()
        },
        input=take_array(arrays, f"{prefix}input", (time, batch, p.input_size)) if keep.everything else None,
        direction=one_of("direction", head["direction"], DIRECTIONS),
        valid=valid,
        dropout=dropout,
        keep=keep,
        engine=str(head["engine"]),
        labels=labels,
        start=size("the start of a trace", head["start"], least=0),
        edits=edits,
        batched=bool(batched),
    ).locked()


def take_array(arrays: Mapping[str, Any], name: str, shape: tuple[int | None, ...], *, kind: str = "f") -> Any:
    """Return the array `name` of a file, which must have a shape (None: any length) and a kind of numbers."""
    array = arrays[name]
    fits = len(array.shape) == len(shape) and all(b in (None, a) for a, b in zip(array.shape, shape, strict=True))
    if not fits:
        raise ShapeError(f"{name} has shape {array.shape}; it must be {str(shape).replace('None', 'any')}")
    if array.dtype.kind != kind:
        kinds = {"b": "booleans", "f": "floats", "i": "integers"}
        raise OptionError(f"{name} holds {array.dtype}; it must hold {kinds[kind]}")
    return array
