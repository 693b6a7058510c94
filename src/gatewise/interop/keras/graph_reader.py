"""Keras models as graphs: their wiring and masks, and one call of a layer as the table of layers reads it.

Masks are values of the graph: an Embedding or a Masking layer makes one, layers that Keras says support masks pass it
on, and an LSTM reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import FileError, OptionError, ShapeError, shown
from gatewise.files.budget import HostileFileError
from gatewise.interop.containers.lookups import Lookups
from gatewise.interop.keras.accounting import IDLE_SETTINGS, NESTED
from gatewise.interop.keras.bare_weights import Options
from gatewise.interop.keras.config import Layer, clean, compute_type, named_function
from gatewise.interop.keras.files import KerasTensor
from gatewise.network.graph import Builder, Graph, Unsupported

# The errors that a configuration raises if it lies.
MALFORMED = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, StopIteration)
FLOATS = ("", "float32", "float64")  # the types that layers may compute in
DEPTH = 50  # of a chain of layers whose calls are not in order
# Settings that restate a shape of the weights, act in training, or were read for the layers within a layer.
WITHOUT_EFFECT = NESTED | {
    *("dtype", "units", "output_dim", "filters", "kernel_size", "depth_multiplier", "rank", "num_heads", "value_dim"),
    *(
        "rate",
        "noise_shape",
        "stddev",
        "momentum",
        "renorm_momentum",
        "synchronized",
        "sparse",
        "l1",
        "l2",
        "flash_attention",
    ),
}
EPSILON = 1e-7  # of keras.config.epsilon()

Value = str  # the name of a value in the builder
Row = Callable[["LayerCall"], Any]
LAYERS: dict[str, Row] = {}
OPERATIONS: dict[str, Row] = {}  # of keras.ops
PASS_MASKS: set[str] = set()  # layers whose output has the mask of their input


class Weights(NamedTuple):
    """The arrays of each layer of a file, and why some layers' arrays cannot be told apart."""

    bound: Mapping[Layer, Sequence[KerasTensor]]
    problems: Mapping[Layer, str]


def reads(*kinds: str, masks: bool = False) -> Callable[[Row], Row]:
    """Add a row for these layers; with `masks`, the mask of their input passes through them."""

    def add(row: Row) -> Row:
        LAYERS.update(dict.fromkeys(kinds, row))
        PASS_MASKS.update(kinds if masks else ())
        return row

    return add


class ModelReader:
    """Reads one model into a builder; `masks` has the mask (batch, time) of values that have one."""

    def __init__(self, weights: Weights, options: Options) -> None:
        self.weights, self.options, self.build = weights, options, Builder(options.budget)
        self.masks: dict[Value, Value] = {}
        self.shapes: dict[Value, tuple[int | None, ...]] = {}  # as far as the file states them
        self.constants: dict[KerasTensor, Value] = {}

    def graph(self, root: Layer) -> Graph:
        """Return the graph of a model; FileError if its configuration is malformed."""
        try:
            layers = [child for _, child in root.children]
            if root.kind == "Functional":
                by_name = {layer.name: layer for layer in layers}
                inputs = [self._input(by_name[name]) for name, _, _ in histories(root.config["input_layers"])]
            else:
                inputs = [self._input(layers[0])]
            return self.build.graph(self.model(root, inputs, ""))
        except MALFORMED as problem:
            raise FileError(f"its configuration is malformed: {shown(repr(problem), 80)}") from None

    def _input(self, layer: Layer) -> Value:
        """Add an input of the model: an InputLayer, or the first layer of a Sequential that has none."""
        config = layer.config
        shape = config.get("batch_shape", config.get("batch_input_shape"))
        shape = shape.get("items", shape.get("value")) if isinstance(shape, dict) else shape
        alone = layer.kind == "InputLayer"
        dtype = config.get("dtype") if alone and isinstance(config.get("dtype"), str) else "float32"
        if layer.kind == "Embedding":
            dtype = "int64"
        name = self.build.input(layer.name if alone else "x", None if shape is None else [None, *shape[1:]], dtype)
        if shape is not None:
            self.shapes[name] = (None, *shape[1:])
        return name

    def model(self, root: Layer, inputs: Sequence[Value], path: str) -> list[Value]:
        """Return the outputs of a model, or of one within another, for its inputs."""
        if not root.is_keras:
            why = f"{root.name!r} is a model of a custom class, whose code is not in the file"
            return list(self.build.unknown(root.kind, why, *inputs, name=path or root.name))
        layers = [child for _, child in root.children]
        if root.kind != "Functional":
            values = list(inputs)
            for layer in layers:
                values = values if layer.kind == "InputLayer" else self.layer(layer, [values[0]], {}, path)
            return values
        by_name = {layer.name: layer for layer in layers}
        if len(by_name) < len(layers):
            raise HostileFileError("two of its layers have the same name")
        outputs: dict[tuple[str, int], list[Value]] = {}
        for (name, node, _), value in zip(histories(root.config["input_layers"]), inputs, strict=True):
            outputs[name, node] = [value]
        busy = set[tuple[str, int]]()

        def value_of(name: str, node: int, place: int) -> Value:
            key = name, node
            if key not in outputs:
                if key in busy or name not in by_name:
                    raise HostileFileError(f"its layer {shown(name, 60)!r} reads its own output, or does not exist")
                if node >= len(by_name[name].inbound or ()):
                    raise HostileFileError(f"its layer {shown(name, 60)!r} reads nothing, and is no input of the model")
                if len(busy) > len(by_name) * DEPTH:
                    raise FileError("its layers are nested too deeply")
                busy.add(key)
                args, kwargs = arguments_of(by_name[name].inbound[node], value_of, self.shapes)
                outputs[key] = self.layer(by_name[name], args, kwargs, path)
            return outputs[key][place]

        for layer in layers:  # which are listed in the order of their calls, so that few calls wait for others
            for node in range(0 if layer.kind == "InputLayer" else len(layer.inbound or ())):
                value_of(layer.name, node, 0)
        return [value_of(*history) for history in histories(root.config["output_layers"])]

    def layer(self, layer: Layer, args: list[Any], kwargs: Mapping[str, Any], path: str = "") -> list[Value]:
        """Return the outputs of a call of a layer, of a model or of an operation; unknown if it is not in the table."""
        name = f"{path}/{layer.name}" if path else layer.name
        read = args[0] if args and isinstance(args[0], list) else args
        values = [value for value in (*read, *flattened(kwargs.values())) if isinstance(value, str)]
        if layer.holds_layers:
            return self.model(layer, values, name)
        is_operation = layer.is_operation and (layer.kind in OPERATIONS or layer.kind not in LAYERS)
        table = OPERATIONS if is_operation else LAYERS
        with self.build.layer(name):
            try:
                if not layer.is_keras:
                    raise Unsupported("its class is not one of Keras' own, and its code is not in the file")
                if layer.kind not in table:
                    raise Unsupported("gatewise does not know the layer")
                if compute_type(layer) not in FLOATS:
                    raise Unsupported(f"Keras computes it in {compute_type(layer)}")
                call = LayerCall(self, layer, args, kwargs, name)
                outputs = table[layer.kind](call)
                call.require_settings_read()
            except (Unsupported, OptionError, ShapeError) as problem:
                return list(self.build.unknown(layer.kind, str(problem), *values, name=name))
        outputs = [outputs] if isinstance(outputs, str) else list(outputs)
        if call.mask and not is_operation and layer.kind in PASS_MASKS:
            self.masks.setdefault(outputs[0], call.mask)
        return outputs


def flattened(value: Any) -> list[Any]:
    """Return the items of lists within lists."""
    if isinstance(value, (list, tuple)) or (not isinstance(value, (str, dict)) and hasattr(value, "__iter__")):
        return [item for inner in value for item in flattened(inner)]
    return [value]


def histories(value: Any) -> list[tuple[str, int, int]]:
    """Return where values come from, each as (layer, call, output): in a list, a dictionary, or one alone."""
    if isinstance(value, dict):
        value = list(value.values())
    entries = [value] if value and isinstance(value[0], str) else value
    return [(clean(entry[0]), int(entry[1]), int(entry[2])) for entry in entries]


def arguments_of(
    inbound: Any, value_of: Callable[[str, int, int], Value], shapes: dict[Value, tuple[int | None, ...]]
) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a call, with values in place of tensors, as Keras 3 or an earlier one describes them."""
    if isinstance(inbound, list):
        entries = [inbound] if inbound and isinstance(inbound[0], str) else inbound
        tensors = [value_of(clean(entry[0]), entry[1], entry[2]) for entry in entries]
        named: dict[str, Any] = {}
        for entry in entries:
            named |= entry[3] if len(entry) > 3 and isinstance(entry[3], dict) else {}
        more = {name: _referred(value, value_of) for name, value in named.items() if value is not None}
        return [tensors] if len(tensors) > 1 else tensors, more

    def resolved(argument: Any) -> Any:
        if isinstance(argument, list):
            return [resolved(inner) for inner in argument]
        if not isinstance(argument, dict):
            return TextArgument(argument) if isinstance(argument, str) else argument
        config = argument.get("config")
        if argument.get("class_name") == "__keras_tensor__" and isinstance(config, dict):
            name, node, place = config["keras_history"]
            value = value_of(clean(name), node, place)
            if isinstance(config.get("shape"), list):
                shapes.setdefault(value, tuple(config["shape"]))
            return value
        if argument.get("class_name") == "__slice__" and isinstance(config, dict):
            return slice(config["start"], config["stop"], config["step"])
        if argument.get("class_name") == "__ellipsis__":
            return ...
        return {key: resolved(inner) for key, inner in argument.items()}

    return resolved(inbound["args"]), {
        key: resolved(argument) for key, argument in inbound["kwargs"].items() if argument is not None
    }


class TextArgument:
    """A text among the arguments of a call, which is no name of a value."""

    def __init__(self, text: str) -> None:
        self.text = text


def _referred(value: Any, value_of: Callable[[str, int, int], Value]) -> Any:
    """Return an argument by name of Keras 1 and 2, whose tensors are lists (layer, call, output)."""
    if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str):
        return value_of(clean(value[0]), value[1], value[2])
    return [_referred(item, value_of) for item in value] if isinstance(value, list) else value


class LayerCall:
    """One call of a layer: `x` is the first value that it reads, `values` all of them, `mask` that of its steps."""

    def __init__(
        self, reader: ModelReader, layer: Layer, args: list[Any], kwargs: Mapping[str, Any], path: str
    ) -> None:
        self.reader, self.build, self.layer, self.path = reader, reader.build, layer, path
        self.config = Lookups(layer.config)
        self.args, self.kwargs = args, dict(kwargs)
        self.values: list[Any] = args[0] if args and isinstance(args[0], list) else args
        self.mask = self._mask()

    def _mask(self) -> Value:
        """Return the mask of the call, empty if it has none; Unsupported if its inputs have different ones."""
        explicit = self.kwargs.pop("mask", None)
        self.kwargs.pop("training", None)
        if isinstance(explicit, list):
            raise Unsupported("it is given several masks")
        if explicit:
            return str(explicit)
        masks = {self.reader.masks.get(value, "") for value in self.values if isinstance(value, str)}
        if len(masks - {""}) > 1 or (len(masks) > 1 and self.layer.kind == "Concatenate"):
            raise Unsupported("its inputs have different masks")
        merged = len(masks) > 1 and len(self.values) > 1 and self.layer.kind in MERGES
        return "" if merged else next(iter(masks - {""}), "")

    @property
    def x(self) -> Value:
        """The first value that it reads."""
        if not self.values or not isinstance(self.values[0], str):
            raise Unsupported("it reads no value of the model")
        return str(self.values[0])

    def shape(self, value: Value) -> tuple[int | None, ...]:
        """Return the shape of a value, None where an axis is free."""
        if value not in self.reader.shapes:
            raise Unsupported("the file does not say which shape its input has")
        return self.reader.shapes[value]

    def require_no_more_arguments(self) -> None:
        """Refuse a call with arguments that nothing has read."""
        for name, value in self.kwargs.items():
            if value not in (None, False):
                raise Unsupported(f"gatewise does not know its argument {shown(name, 40)!r}")

    def require_settings_read(self) -> None:
        """Refuse a layer with a setting that nothing has read, unless it changes no number of a run."""
        for name, value in self.layer.config.items():
            known = name in self.config.looked_up | WITHOUT_EFFECT or IDLE_SETTINGS.fullmatch(name)
            if value is not None and not known:
                raise Unsupported(f"gatewise does not know its setting {shown(name, 40)!r}")

    def require_known_weights(self) -> None:
        """Refuse a layer whose arrays cannot be told apart."""
        if (problem := self.reader.weights.problems.get(self.layer)) is not None:
            raise Unsupported(problem)

    def weights(self, *names: str, of_training: Sequence[str] = ()) -> list[Array]:
        """Return the layer's arrays, one for each name; Unsupported if there are more or fewer.

        Arrays `of_training` may follow, and are not read.
        """
        self.require_known_weights()
        tensors = self.reader.weights.bound.get(self.layer, ())
        if len(tensors) not in (len(names), len(names) + len(of_training)):
            raise Unsupported(f"it has {len(tensors)} arrays, not {len(names)} ({', '.join(names) or 'none'})")
        return [tensor.read() for tensor in tensors[: len(names)]]

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a switch of the configuration."""
        return bool(self.config.get(name, default))

    def require(self, **settings: Any) -> None:
        """Refuse a configuration with other settings than these."""
        for name, value in settings.items():
            if self.config.get(name, value) not in (value, None):
                raise Unsupported(f"its {name} is {shown(str(self.config[name]), 40)}")

    def require_last_axis(self, default: Any = -1) -> None:
        """Refuse a layer whose axis is not that of the features."""
        axis = self.config.get("axis", default)
        last = [len(self.reader.shapes[self.x]) - 1] if self.x in self.reader.shapes else []
        if np.ravel(axis).tolist() not in ([-1], last):
            raise Unsupported(f"its axis is {shown(str(axis), 40)}, not the last")

    def add(self, op: str, *inputs: Any, **settings: Any) -> Any:
        """Add a node to the graph."""
        return self.build.add(op, *inputs, **settings)

    def activated(self, y: Value, key: str = "activation") -> Value:
        """Return a value after the activation that the configuration has under a key."""
        return self.activation(y, self.config.get(key))

    def activation(self, y: Value, described: Any) -> Value:
        """Return a value after an activation, by its name or as a layer."""
        try:
            name = named_function(described)
        except FileError as problem:
            raise Unsupported(str(problem)) from None
        if isinstance(name, dict):
            kind, config = str(name.get("class_name")), name.get("config")
            if kind not in ("ReLU", "LeakyReLU", "ELU", "Softmax"):
                raise Unsupported(f"its activation is {shown(kind, 40)}")
            layer = Layer(self.layer.name, kind, config if isinstance(config, dict) else {})
            return str(LAYERS[kind](LayerCall(self.reader, layer, [y], {}, self.path)))
        name = (name or "linear").removeprefix("keras>")
        if name == "linear":
            return y
        if name == "hard_sigmoid":
            hard_sigmoid = self.reader.options.version.hard_sigmoid()
            return str(self.add(name, y, alpha=hard_sigmoid.alpha, beta=0.5))
        if name not in ACTIVATIONS:
            raise Unsupported(f"its activation is {shown(name, 40)}")
        op, inputs, settings = ACTIVATIONS[name]
        return str(self.add(op, y, *inputs, **settings))


MERGES = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
SELU = {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}  # Klambauer et al. 2017
PLAIN = ("sigmoid", "tanh", "relu", "softplus", "softsign", "silu", "mish", "gelu")
ACTIVATIONS: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    **{name: (name, (), {}) for name in PLAIN},
    "swish": ("silu", (), {}),
    "exponential": ("exp", (), {}),
    "elu": ("elu", (), {"alpha": 1.0}),
    "selu": ("selu", (), SELU),
    "softmax": ("softmax", (), {"axis": -1}),
    "log_softmax": ("log_softmax", (), {"axis": -1}),
    "leaky_relu": ("leaky_relu", (), {"alpha": 0.2}),
    "relu6": ("clip", (np.float32(0), np.float32(6)), {}),
}
