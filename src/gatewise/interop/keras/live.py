"""Live Keras models: their layers as configurations with weights, and the traces of their LSTMs as they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import GatewiseError, MissingExtraError, OptionError, reason
from gatewise.interop import conventions
from gatewise.interop.capture import Captured, difference
from gatewise.interop.keras.config import Layer, Version, model, zero_output
from gatewise.layers import LSTM
from gatewise.layers.stack import States
from gatewise.step import State
from gatewise.trace import LSTMTrace


def _keras() -> Any:
    try:
        import keras
    except ImportError:
        raise MissingExtraError("a live Keras model needs Keras 3: pip install keras, and a backend of it") from None
    return keras


def _numpy(tensor: Any) -> Array:
    found = np.asarray(_keras().ops.convert_to_numpy(tensor))
    return conventions.real(found)


@dataclass(frozen=True, eq=False)
class LiveTensor:
    """An array of a live layer, as `files.Tensor` is one of a file."""

    name: str
    variable: Any
    kind: str = "float32"

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return tuple(self.variable.shape)

    def read(self) -> Array:
        """Return its numbers as float32 or float64."""
        return _numpy(self.variable)


def _is_lstm(layer: Any) -> bool:
    keras = _keras()
    if isinstance(layer, keras.layers.Bidirectional):
        return all(_is_lstm(one) for one in (layer.forward_layer, layer.backward_layer))
    if isinstance(layer, keras.layers.RNN):
        cells = layer.cell.cells if isinstance(layer.cell, keras.layers.StackedRNNCells) else [layer.cell]
        return all(isinstance(cell, keras.layers.LSTMCell) for cell in cells)
    return False


def recurrent_layers(source: Any) -> dict[str, list[Any]]:
    """Return the LSTM layers of a live model by their names, which are those that a file of it has.

    A layer within a model bears the model's name too: model/layer. One within a TimeDistributed bears that one's name;
    those within a Bidirectional are not listed.
    """
    keras = _keras()
    found: dict[str, list[Any]] = {}
    seen = set[int]()

    def walk(layer: Any, name: str, prefix: str) -> None:
        if id(layer) in seen:
            return
        seen.add(id(layer))
        if _is_lstm(layer):
            found.setdefault(name, []).append(layer)
            return
        for child in layer._flatten_layers(recursive=False, include_self=False):
            if isinstance(layer, keras.layers.TimeDistributed):
                walk(child, name, f"{name}/")
            else:
                walk(child, f"{prefix}{child.name}", f"{prefix}{child.name}/")

    walk(source, source.name, "")
    return found


def model_layer(source: Any, name: str | None) -> Any:
    """Return the LSTM layer that is meant: the given one, or one of a model.

    Raises
    ------
    OptionError
        If there is none, or there are several and none is named.
    """
    keras = _keras()
    if not isinstance(source, keras.layers.Layer):
        raise OptionError(f"read takes a Keras layer, a model or a path, not {type(source).__name__}")
    by_name = recurrent_layers(source)
    layers = [one for key, same in by_name.items() for one in same if name in (None, key)]
    if len(layers) != 1:
        names = ", ".join(repr(key) for key in by_name) or "none"
        raise OptionError(f"there are {len(layers)} LSTM layers to read in {source.name!r}; it has {names}")
    if not layers[0].built:
        raise OptionError(f"the layer {layers[0].name!r} has no weights yet: build it, or call it once")
    return layers[0]


def live_tensors(layer: Any) -> tuple[Layer, dict[Layer, tuple[Any, ...]], Version]:
    """Return a live layer as a configuration, with the weights of its cells."""
    keras = _keras()
    version = Version.parse(keras.__version__)
    try:
        described = model(keras.saving.serialize_keras_object(layer))
    except (GatewiseError, TypeError, ValueError, NotImplementedError) as problem:
        raise OptionError(f"the layer {layer.name!r} cannot be described: {reason(problem)}") from None
    bound: dict[Layer, tuple[Any, ...]] = {}
    sides = [layer]
    wanted = [described]
    if described.kind == "Bidirectional":
        sides, wanted = [layer.forward_layer, layer.backward_layer], [child for _, child in described.children]
    for side, one in zip(sides, wanted, strict=True):
        cells = side.cell.cells if isinstance(side.cell, keras.layers.StackedRNNCells) else [side.cell]
        for cell, leaf in zip(cells, one.cells, strict=True):
            _require_keras_activations(layer.name, cell, leaf)
            names = ("kernel", "recurrent_kernel", "bias")
            variables = [getattr(cell, name) for name in names if getattr(cell, name, None) is not None]
            bound[leaf] = tuple(
                LiveTensor(f"{layer.name}/{name}", variable) for name, variable in zip(names, variables, strict=False)
            )
    return described, bound, version


def _require_keras_activations(name: str, cell: Any, described: Layer) -> None:
    """Raise OptionError for a function of somebody's own: its configuration has no more of it than its name."""
    activations = _keras().activations
    for kind in ("activation", "recurrent_activation"):
        word = described.config.get(kind)
        if isinstance(word, dict) and word.get("class_name") == "function":
            word = word.get("config")
        if isinstance(word, str) and getattr(activations, word, activations.linear) is not getattr(cell, kind):
            raise OptionError(f"cannot read {name!r}: its {kind} {word!r} is a function of its own")


# What a model does as it runs.


def capture(model: Any, *inputs: Any, **named: Any) -> tuple[Captured, ...]:
    """Run a live Keras model once and return the trace of each call of each LSTM in it.

    Parameters
    ----------
    model : keras.Model or layer
        With `LSTM`, `Bidirectional` LSTM or `RNN` layers of LSTM cells. It is left as it was, but for the states of
        stateful layers, which move on as in any run.
    *inputs, **named
        What it is called with.

    Returns
    -------
    tuple of Captured
        In the order of the calls.

    Raises
    ------
    OptionError
        If it is not a Keras layer, or an LSTM in it cannot be read.
    """
    from gatewise.interop.keras import read

    keras = _keras()
    if not isinstance(model, keras.layers.Layer):
        raise OptionError(f"capture takes a Keras model, not {type(model).__name__}")
    seen: list[Captured] = []
    problems: list[GatewiseError] = []
    restored: list[tuple[Any, dict[str, Any]]] = []

    def watch(layer: Any, name: str) -> Callable[..., Any]:
        original = layer.call
        numbers = count()

        def call(sequences: Any, initial_state: Any = None, mask: Any = None, **more: Any) -> Any:
            before = _initial(layer, initial_state)
            result = original(sequences, initial_state=initial_state, mask=mask, **more)
            try:
                trace, off, notes = _seen(layer, read(layer), _numpy(sequences), before, mask, result)
            except GatewiseError as problem:  # Keras would make many lines of it: it is raised after the run
                problems.append(problem)
                return result
            if more.get("training"):
                notes = (*notes, "it ran as in training: noise of its dropout is not in the trace")
            seen.append(Captured(name, next(numbers), trace, off, notes))
            return result

        return call

    try:
        for name, layers in recurrent_layers(model).items():
            for layer in layers:
                restored.append((layer, {key: layer.__dict__[key] for key in ("call",) if key in layer.__dict__}))
                layer.__dict__["call"] = watch(layer, name)
        model(*inputs, **named)
    finally:
        for layer, before in restored:
            del layer.__dict__["call"]
            layer.__dict__.update(before)
    if problems:
        raise problems[0]
    return tuple(seen)


def _flat(given: Any) -> Iterator[Any]:
    if isinstance(given, (list, tuple)):
        for one in given:
            yield from _flat(one)
    elif given is not None:
        yield given


def _initial(layer: Any, given: Any) -> list[Array] | None:
    """Return what a call starts from, h and c of each cell; None for zeros."""
    states = list(_flat(given))
    if not states and layer.stateful:
        states = list(_flat(layer.states))
    return [_numpy(one) for one in states] or None


def _nested(lstm: LSTM, flat: list[Array]) -> States:
    pairs = [State(*flat[n : n + 2]) for n in range(0, len(flat), 2)]
    count = len(lstm.directions)
    return tuple(tuple(pairs[n : n + count]) for n in range(0, len(pairs), count))


def _seen(
    layer: Any, lstm: LSTM, x: Array, before: list[Array] | None, mask: Any, result: Any
) -> tuple[LSTMTrace, float, tuple[str, ...]]:
    described, _, version = live_tensors(layer)
    live = None
    if (given := next(_flat(mask), None)) is not None:
        live = np.asarray(_keras().ops.convert_to_numpy(given)).astype(bool).T
    way = "zeros" if zero_output(described, version) else "repeat"
    state = None if before is None else _nested(lstm, before)
    trace = lstm.trace(x.swapaxes(0, 1), state, mask=live, masked_output=way)
    given_back = [_numpy(one) for one in _flat(result)]
    inner = layer.forward_layer if described.kind == "Bidirectional" else layer
    outputs = 2 if lstm.bidirectional and lstm.merge[-1] == "none" else 1
    own, notes = _as_keras(lstm, trace, inner), []
    wanted = [*own, *(part for one in trace.state for end in one for part in end)] if layer.return_state else own
    if x.dtype != _numpy(given_back[0]).dtype or "16" in str(inner.compute_dtype):
        notes.append(f"the model computes in {inner.compute_dtype}, the trace in {lstm.dtype}")
    if len(given_back) < outputs or len(wanted) != len(given_back):
        notes.append("what it put out has another form than Keras' own")
        wanted = wanted[: len(given_back)]
    return trace, difference(zip(wanted, given_back, strict=False)), tuple(notes)


def _as_keras(lstm: LSTM, trace: LSTMTrace, inner: Any) -> list[Array]:
    """Return a trace's outputs as the layer puts them out: batch first, in its own order, or the last alone."""
    from gatewise.layers.merging import merge

    if inner.return_sequences:
        y = trace.output.swapaxes(0, 1)
        if lstm.directions == ("backward",):
            y = y[:, ::-1]
    else:
        y = merge([one.h for one in trace.state[-1]], lstm.merge[-1])
    return [y[..., 0, :], y[..., 1, :]] if lstm.bidirectional and lstm.merge[-1] == "none" else [y]
