"""Parameters and traces as named arrays and plain data: what `storage` writes.

Every convention that another program must know to use the numbers is named in the header, under ``conventions``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from gatewise.arrays import Array
from gatewise.errors import FileError, GatewiseError
from gatewise.parameters import ARRAYS, Masks, Parameters, Variant
from gatewise.step import Labels, State
from gatewise.trace import DIRECTIONS, Keep, LSTMTrace, Trace

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


def checked(what: str, head: Mapping[str, Any], build: Callable[[], T]) -> T:
    """Return what `build` makes of a file's content; whatever is wrong with the content becomes one FileError."""
    if head.get("format") != FORMAT:
        raise FileError(f"{what} has format {head.get('format')!r}; this version reads format {FORMAT}")
    if head.get("conventions") != CONVENTIONS:
        raise FileError(f"{what} names other conventions than format {FORMAT} has")
    try:
        return build()
    except FileError:
        raise
    except GatewiseError as problem:
        raise FileError(f"{what} does not hold what its header says: {problem}") from None
    except KeyError as problem:
        raise FileError(f"{what} does not hold what its header says: {problem} is missing") from None
    except (TypeError, ValueError, AttributeError, IndexError) as problem:
        raise FileError(f"{what} does not hold what its header says ({type(problem).__name__}: {problem})") from None


def parameters_record(p: Parameters, prefix: str) -> tuple[Arrays, Header]:
    """Return a cell's arrays, their names beginning with `prefix`, and its switches."""
    return {f"{prefix}{name}": array for name, array in p.arrays().items()}, p.variant.to_json()


def parameters_from(arrays: Mapping[str, Array], prefix: str, variant: Mapping[str, Any]) -> Parameters:
    """Return the parameters that `parameters_record` took apart."""
    found: Arrays = {name: arrays[f"{prefix}{name}"] for name in ARRAYS if f"{prefix}{name}" in arrays}
    missing = {"weight", "bias"} - set(found)
    if missing:
        raise KeyError(f"{prefix}{sorted(missing)[0]}")
    return Parameters(variant=Variant.from_json(variant), **found)


def trace_record(trace: Trace, prefix: str = "") -> tuple[Arrays, Header]:
    """Return one cell's trace as arrays and plain data."""
    arrays, variant = parameters_record(trace.parameters, f"{prefix}parameters.")
    arrays |= {f"{prefix}{name}": array for name, array in trace.arrays.items()}
    arrays |= {f"{prefix}masks.{name}": array for name, array in trace.masks.arrays().items()}
    for when in ("initial", "final"):
        state = getattr(trace, when)
        arrays |= {f"{prefix}{when}.hidden_state": state.h, f"{prefix}{when}.cell_state": state.c}
    if trace.input is not None:
        arrays[f"{prefix}input"] = trace.input
    if trace.live is not None:
        arrays[f"{prefix}live"] = trace.live
    keep, labels = trace.keep, trace.labels
    return arrays, {
        "variant": variant,
        "direction": trace.direction,
        "engine": trace.engine,
        "keep": {"quantities": list(keep.quantities), "units": keep.units and list(keep.units), "every": keep.every},
        "labels": {name: value and list(value) for name, value in vars(labels).items()},
    }


def trace_from(arrays: Mapping[str, Array], head: Mapping[str, Any], prefix: str = "") -> Trace:
    """Return the trace that `trace_record` took apart."""
    p = parameters_from(arrays, f"{prefix}parameters.", head["variant"])
    keep = Keep(tuple(head["keep"]["quantities"]), head["keep"]["units"], head["keep"]["every"])
    if head["direction"] not in DIRECTIONS:
        raise FileError(f"there is no direction {head['direction']!r}")
    states = [
        State(arrays[f"{prefix}{w}.hidden_state"], arrays[f"{prefix}{w}.cell_state"]) for w in ("initial", "final")
    ]
    batch = states[0].h.shape[0]
    sizes = {"h": (batch, p.recurrent_size), "c": (batch, p.hidden_size)}
    x, live = arrays.get(f"{prefix}input"), arrays.get(f"{prefix}live")
    kept = {name: arrays[f"{prefix}{name}"] for name in keep.shapes(p, 0, 0)}
    if x is not None:
        time = x.shape[0]
    elif live is not None:
        time = live.shape[0]
    else:
        time = max((array.shape[0] for array in kept.values()), default=0) * keep.every
    shapes = {name: (array.shape, keep.shapes(p, time, batch)[name]) for name, array in kept.items()}
    shapes |= {f"{name} of a state": (getattr(s, name).shape, sizes[name]) for s in states for name in ("h", "c")}
    if x is not None:
        shapes["input"] = (x.shape, (time, batch, p.input_size))
    if live is not None:
        shapes["live"] = (live.shape, (time, batch))
    for name, (found, expected) in shapes.items():
        if found != expected:
            raise FileError(f"{prefix}{name} has shape {found}; it must be {expected}")
    masks = {name: arrays[f"{prefix}masks.{name}"] for name in vars(Masks()) if f"{prefix}masks.{name}" in arrays}
    return Trace(
        parameters=p,
        initial=states[0],
        final=states[1],
        arrays=kept,
        input=x,
        direction=head["direction"],
        live=None if live is None else live.astype(bool),
        masks=Masks(**masks).fit(p, time, batch),
        keep=keep,
        engine=str(head["engine"]),
        labels=Labels(**head["labels"]),
    )


def lstm_trace_record(trace: LSTMTrace) -> tuple[Arrays, Header]:
    """Return the traces of an LSTM as arrays and a file's header."""
    arrays: Arrays = {"output": trace.output}
    layers: list[dict[str, Header]] = []
    for number, layer in enumerate(trace.layers):
        layers.append({})
        for direction, cell in layer.items():
            found, layers[-1][direction] = trace_record(cell, f"layers.{number}.{direction}.")
            arrays |= found
    return arrays, header(
        "lstm_trace",
        layers=layers,
        merge=list(trace.merge),
        masked_output=trace.masked_output,
        batched=trace.batched,
    )


def lstm_trace_from(arrays: Mapping[str, Array], head: Mapping[str, Any]) -> LSTMTrace:
    """Return the traces that `lstm_trace_record` took apart."""
    layers = tuple(
        {direction: trace_from(arrays, cell, f"layers.{number}.{direction}.") for direction, cell in layer.items()}
        for number, layer in enumerate(head["layers"])
    )
    if not layers or not all(layers):
        raise FileError("there is no layer")
    return LSTMTrace(layers, arrays["output"], tuple(head["merge"]), head["masked_output"], bool(head["batched"]))
