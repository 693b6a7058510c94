"""Run a live Keras model, and trace each call of each LSTM in it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from itertools import count
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import GatewiseError, OptionError, WeightsWarning, join_names
from gatewise.interop.captured import Captured, difference
from gatewise.interop.conventions import iterate_arrays
from gatewise.interop.keras.live import import_keras, numbers, recurrent_layers, stored_lstm
from gatewise.interop.keras.states import read_state, write_state
from gatewise.layers import LSTM
from gatewise.layers.merging import merge
from gatewise.records.trace import LSTMTrace
from gatewise.showing import with_article


def capture(model: Any, *inputs: Any, **named: Any) -> tuple[Captured, ...]:
    """Run a live Keras model once and return the trace of each call of each LSTM in it.

    Parameters
    ----------
    model : keras.Model or layer
        With `LSTM`, `Bidirectional` LSTM or `RNN` layers of LSTM cells. It is left unchanged, except for the states of
        stateful layers, which advance as in any run.
    *inputs, **named
        The arguments of the call.

    Returns
    -------
    tuple of Captured
        In the order of the calls.

    Raises
    ------
    OptionError
        If it is not a Keras layer, there is no LSTM in it, it calls none of them, or one cannot be read.

    Warns
    -----
    WeightsWarning
        Of other layers called LSTM, such as a cell that is called by itself, which are not captured.
    """
    keras = import_keras()
    if not isinstance(model, keras.layers.Layer):
        raise OptionError(f"capture takes a Keras model, not {type(model).__name__}")
    layers_of = recurrent_layers(model)
    if not layers_of:
        late = "" if model.built else "; it is not built, so call it once if its layers are made then"
        raise OptionError(f"there is no LSTM layer in {model.name!r}{late}")
    captured: list[Captured] = []
    problems: list[GatewiseError] = []

    def watch(layer: Any, name: str) -> Callable[..., Any]:
        """Return a replacement of a Keras layer's `call` that also traces its LSTM."""
        original = layer.call
        order = count()

        def traced_call(sequences: Any, initial_state: Any = None, mask: Any = None, **more: Any) -> Any:
            """Run the Keras layer, then its LSTM on the same input, and keep the trace."""
            before = _initial_states(layer, initial_state)
            result = original(sequences, initial_state=initial_state, mask=mask, **more)
            try:
                trace, deviation, notes = _trace_call(layer, numbers(sequences), before, mask, result)
            except GatewiseError as problem:  # Keras would wrap it in many lines: it is raised after the run
                problems.append(problem)
                return result
            if more.get("training"):
                notes = (*notes, "it ran in training mode: its dropout is not in the trace")
            captured.append(Captured(name, next(order), trace, deviation, notes))
            return result

        return traced_call

    with ExitStack() as stack:
        for name, layers in layers_of.items():
            for layer in layers:
                own_call = {key: call for key, call in layer.__dict__.items() if key == "call"}
                stack.callback(layer.__dict__.update, own_call)
                stack.callback(layer.__dict__.pop, "call")  # called first
                layer.__dict__["call"] = watch(layer, name)
        model(*inputs, **named)
    if problems:
        raise problems[0]
    if others := _others_in(model, layers_of):
        warnings.warn(f"capture leaves something out: {others}", WeightsWarning, stacklevel=3)
    if not captured:
        raise OptionError(
            f"the model called none of its LSTMs, {', '.join(layers_of)}. Give an input that reaches one."
        )
    return tuple(captured)


def _others_in(model: Any, layers_of: Mapping[str, list[Any]]) -> str:
    """Return a clause that names the layers called LSTM of a live Keras model that are not captured; empty for none."""
    own = {id(part) for layers in layers_of.values() for layer in layers for part in layer._flatten_layers()}
    others = [
        f"{layer.name} is {with_article(type(layer).__name__)}"
        for layer in model._flatten_layers()
        if "LSTM" in type(layer).__name__ and not any(id(part) in own for part in layer._flatten_layers())
    ]
    return f"{join_names(others, 'and')}, which is not captured" if others else ""


def _initial_states(layer: Any, argument: Any) -> list[Array] | None:
    """Return the states from which a call of a Keras layer starts, h and c of each cell; None for zeros."""
    states = list(iterate_arrays(argument))
    if not states and layer.stateful:
        states = list(iterate_arrays(layer.states))
    return [numbers(state) for state in states] or None


def _trace_call(
    layer: Any, x: Array, before: list[Array] | None, mask: Any, result: Any
) -> tuple[LSTMTrace, float, tuple[str, ...]]:
    """Return the trace of a Keras layer's call, its difference from the layer's result, and notes on both."""
    stored = stored_lstm(layer)
    lstm, valid = stored.lstm, None
    if (steps := next(iterate_arrays(mask), None)) is not None:
        valid = np.asarray(import_keras().ops.convert_to_numpy(steps)).astype(bool).T
    state = None if before is None else read_state(before, lstm)
    trace = lstm.trace(x.swapaxes(0, 1), state, mask=valid, masked_output=stored.masked_output or "zeros")
    returned = [numbers(array) for array in iterate_arrays(result)]
    inner = layer.forward_layer if lstm.bidirectional else layer
    outputs = 2 if lstm.bidirectional and lstm.merge[-1] == "none" else 1
    expected, notes = _keras_outputs(lstm, trace, inner), []
    if layer.return_state:
        expected += iterate_arrays(write_state(trace.state))
    if x.dtype != numbers(returned[0]).dtype or "16" in str(inner.compute_dtype):
        notes.append(f"the model computes in {inner.compute_dtype}, the trace in {lstm.dtype}")
    if len(returned) < outputs or len(expected) != len(returned):
        notes.append("its output has another form than Keras' own")
        expected = expected[: len(returned)]
    return trace, difference(zip(expected, returned, strict=False)), tuple(notes)


def _keras_outputs(lstm: LSTM, trace: LSTMTrace, inner: Any) -> list[Array]:
    """Return a trace's outputs as its Keras layer does: batch first, in its order of steps, or the last alone."""
    if inner.return_sequences:
        y = trace.output.swapaxes(0, 1)
        if lstm.directions == ("backward",):
            y = y[:, ::-1]
    else:
        y = merge([state.h for state in trace.state[-1]], lstm.merge[-1])
    return [y[..., 0, :], y[..., 1, :]] if lstm.bidirectional and lstm.merge[-1] == "none" else [y]
