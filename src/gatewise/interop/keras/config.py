"""Keras' configurations: layers by class and name, and the meaning of their words in each version of Keras."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gatewise.activations import KINDS, SIGMOID, TANH, Activation
from gatewise.errors import FileError, OptionError
from gatewise.files.budget import Budget
from gatewise.interop.containers.json_document import describe
from gatewise.network.limits import MAX_NODES
from gatewise.parameters import Variant

MERGES = {"concat": "concat", "sum": "sum", "mul": "mul", "ave": "average", "average": "average", None: "none"}
DEEPEST = 50  # layers within each other
OWN_MODULES = ("keras", "tensorflow", "tf_keras", "builtins")
MODELS = ("Sequential", "Functional", "Model")
LONGEST = 200  # characters of a name
LAYER, SETTING = 1000, 700  # bytes that a layer takes, and each of its settings


def clean(name: object) -> str:
    """Return a name from a Keras file as text that fits on a line; a value of another type is described."""
    text = str(name) if name is None or isinstance(name, (str, int, float)) else describe(name)
    line = text[:LONGEST]
    return line if line.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in line)


@dataclass(frozen=True, eq=False)
class Version:
    """A version of Keras: `text` is None if the file does not state it."""

    text: str | None
    numbers: tuple[int, ...]

    @classmethod
    def parse(cls, text: str | None) -> Version:
        """Return the version of Keras that a text states."""
        match = re.match(r"(\d{1,4})(?:\.(\d{1,4}))?(?:\.(\d{1,4}))?", text or "")
        if match is None:
            return cls(None, ())
        return cls(clean(text), tuple(int(number or 0) for number in match.groups()))

    @property
    def tensorflow(self) -> bool:
        """Whether it is the Keras within TensorFlow: marked so, or of a number that only this had."""
        return self.text is not None and ("-tf" in self.text or (2, 4) <= self.numbers < (3,))

    @property
    def major(self) -> int:
        """The generation: 1, 2 or 3; 0 if it is unknown, as in some files of Keras 1."""
        return self.numbers[0] if self.numbers else 0

    def __str__(self) -> str:
        return f"Keras {self.text}" if self.text else "Keras (version unknown)"

    def recurrent_activation(self) -> str:
        """Return the default of the gates' activation in this version of Keras."""
        if self.major >= 3 or not self.numbers:
            return "sigmoid"
        first_with_sigmoid = (2, 2, 4) if self.tensorflow else (2, 3)
        return "sigmoid" if self.numbers >= first_with_sigmoid else "hard_sigmoid"

    def hard_sigmoid(self) -> Activation:
        """Return the activation that `hard_sigmoid` names."""
        return Activation("hard_sigmoid", 1 / 6 if self.major >= 3 else 0.2, 0.5)


SLOPES = {"LeakyReLU": ("leaky_relu", 0.3), "ELU": ("elu", 1.0)}  # of layers, with their defaults
PLAIN = ("sigmoid", "tanh", "relu", "softsign", "softplus", "elu", "selu", "exponential")


def activation(config: Any, version: Version) -> Activation | None:
    """Return an activation of a Keras configuration, None for the identity; nothing in it is executed."""
    config = named_function(config)
    if config is None or config == "linear":
        return None
    if isinstance(config, str):
        name = config.removeprefix("keras>")
        if name in PLAIN:
            return Activation(name)
        if name == "hard_sigmoid":
            return version.hard_sigmoid()
        if name in ("leaky_relu", "leakyrelu"):
            return Activation("leaky_relu", 0.2)
        raise FileError(
            f"its activation {clean(config)!r} is not one that gatewise has ({', '.join(PLAIN)} and others)"
        )
    if isinstance(config, dict):
        return _activation_of_object(config)
    raise FileError(f"its activation is {clean(describe(config))}, which is not the name of one")


def named_function(config: Any) -> Any:
    """Return the name of the function that a Keras configuration gives as an object; what is no function as it is."""
    if not isinstance(config, dict):
        return config
    kind, inner = config.get("class_name"), config.get("config")
    module, registered = config.get("module"), config.get("registered_name")
    if (isinstance(module, str) and module.split(".")[0] not in OWN_MODULES) or ">" in str(registered):
        raise FileError(f"its activation {clean(registered or kind)!r} is a custom class or function")
    if kind == "Activation":
        return named_function(inner.get("activation") if isinstance(inner, dict) else None)
    return inner if kind == "function" and isinstance(inner, str) else config


def _activation_of_object(described: dict[str, Any]) -> Activation | None:
    """Return an activation that a Keras configuration describes as a layer."""
    kind, config = described.get("class_name"), described.get("config")
    settings = config if isinstance(config, dict) else {}
    slope = settings.get("negative_slope", settings.get("alpha"))
    if isinstance(slope, dict):  # an array, as Keras 2 writes one
        slope = slope.get("value")
    if not (slope is None or (isinstance(slope, (int, float)) and not isinstance(slope, bool))):
        raise FileError(f"its activation {clean(kind)!r} has the slope {clean(slope)}, which is not a number")
    try:
        if kind in SLOPES:
            name, default = SLOPES[kind]
            return Activation(name, float(default if slope is None else slope))
        if kind == "ReLU":
            if settings.get("max_value") is not None or settings.get("threshold"):
                raise FileError(
                    "its activation is a ReLU with a maximum or a threshold, which gatewise's ReLU does not have"
                )
            return Activation("leaky_relu", float(slope)) if slope else Activation("relu")
    except (OptionError, OverflowError) as problem:
        raise FileError(f"its activation {clean(kind)!r} is not supported: {problem}") from None
    if kind is None:  # of a lambda, Keras writes the code
        raise FileError("its activation is a function whose code is in the file, and is not read")
    raise FileError(f"its activation {clean(kind)!r} is not one that gatewise has")


def named_activation(name: Any, version: Version) -> Activation | None:
    """Return an activation by the name that a caller gives, in Keras' words or gatewise's."""
    if isinstance(name, Activation):
        return name
    if not isinstance(name, str):
        raise OptionError(f"an activation must be an Activation or its name, not {name!r}")
    if name == "hard_sigmoid" and not version.numbers:
        raise OptionError(
            "the file does not say its version, and hard_sigmoid changed: give hard_sigmoid:0.2,0.5 (Keras 1 and 2)"
            " or Activation('hard_sigmoid', 1 / 6, 0.5) (Keras 3)"
        )
    try:
        return activation(name, version)
    except FileError:
        if name.partition(":")[0] in KINDS:
            return Activation.parse(name)
        raise OptionError(f"there is no activation {name!r}; allowed: {', '.join(KINDS)}") from None


def variant_of(inner: Activation | None, outer: Activation | None) -> Variant:
    """Return the variant of a Keras LSTM: the candidate and output have the inner activation, the gates the outer."""
    identity = Activation("affine", 1.0, 0.0)
    gate, squash = outer or identity, inner or identity
    if (gate, squash) == (SIGMOID, TANH):
        return Variant()
    return Variant(
        input_activation=gate,
        forget_activation=gate,
        output_activation=gate,
        candidate_activation=squash,
        cell_activation=squash,
    )


# Layers.


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer of a configuration."""

    name: str
    kind: str  # its class without the module; "Sequential" or "Functional" for everything that holds layers
    config: dict[str, Any]
    is_keras: bool = True  # whether its class is Keras' own, as far as the file states
    children: tuple[tuple[str, Layer], ...] = ()  # the layers in it, by the attributes that hold them
    inbound: Any = None  # its inputs, as a functional model states them
    trainable: bool = True
    is_operation: bool = False  # whether it is a call of keras.ops, which shares names with layers

    @property
    def holds_layers(self) -> bool:
        """Whether it is a model of layers."""
        return self.kind in ("Sequential", "Functional")

    @property
    def cells(self) -> tuple[Layer, ...]:
        """The cells of a recurrent Keras layer, first to last; of a layer with a single cell, the layer itself."""
        if self.kind != "RNN":
            return (self,)
        (cell,) = (child for _, child in self.children)
        return tuple(child for _, child in cell.children) if cell.kind == "StackedRNNCells" else (cell,)

    @property
    def forward_layer(self) -> Layer:
        """The layer that runs forward in a Bidirectional; any other layer is itself."""
        return self.children[0][1] if self.kind == "Bidirectional" else self

    @property
    def returns_sequences(self) -> bool:
        """Whether a recurrent layer returns every step, not only the last."""
        return self.forward_layer.flag("return_sequences")

    def flag(self, name: str) -> bool:
        """Return a switch of its configuration."""
        return bool(self.config.get(name))

    def leaves(self) -> Iterator[Layer]:
        """Yield the Keras layers in this one that hold no others, in order."""
        if not self.children:
            yield self
        for _, child in self.children:
            yield from child.leaves()


def model(config: Any, budget: Budget) -> Layer:
    """Return the model that a Keras configuration describes; its layers are charged to a budget."""
    return _parse_layer(config, 0, budget)


def _parse_layer(described: Any, depth: int, budget: Budget, trainable: bool = True) -> Layer:
    """Return the layer that a Keras configuration describes, with the layers in it; `depth` are around it."""
    budget.count(1, "layers")
    budget.work(30, "its layers")
    budget.hold(LAYER + LONGEST * depth, 1, "its layers")  # with the names of the layers around it
    if depth > DEEPEST:
        raise FileError(f"its configuration nests more than {DEEPEST} layers")
    if not isinstance(described, dict) or not isinstance(described.get("class_name"), str):
        raise FileError(f"its configuration has {clean(describe(described))} in place of a layer")
    kind, config = described["class_name"].rpartition(">")[2], described.get("config")
    if isinstance(config, list):  # of a Sequential in Keras 1 and early 2
        config = {"layers": config}
    if not isinstance(config, dict):
        raise FileError(f"its configuration has {clean(describe(config))} for a {clean(kind)}")
    budget.hold(len(config), SETTING, "its layers")
    name = config.get("name", described.get("name"))
    trainable = trainable and config.get("trainable", True) is not False
    module, registered = described.get("module"), described.get("registered_name")
    # A class that somebody registered has its package before its name: Mine>LSTM.
    is_keras = ">" not in f"{described['class_name']}{registered}" and (
        (module is None and registered is None) or str(module).split(".")[0] in OWN_MODULES
    )
    children: list[tuple[str, Layer]] = []

    def add(attribute: str, inner: Any) -> None:
        children.append((attribute, _parse_layer(inner, depth + 1, budget, trainable)))

    layers = config.get("layers")
    if isinstance(layers, list):
        if len(layers) > MAX_NODES:
            raise FileError(f"a model of {len(layers):,} layers is too large; up to {MAX_NODES:,} are allowed")
        is_keras = is_keras and kind in MODELS
        kind = "Functional" if "input_layers" in config else "Sequential"
        for inner in layers:
            add("layers", inner)
    elif kind == "Bidirectional":
        add("forward_layer", config.get("layer"))
        backward, forward = config.get("backward_layer"), children[0][1]
        if backward is None:  # the same layer, with weights of its own, the other way round
            name_of_twin = f"backward_{forward.name.removeprefix('forward_')}"
            own = {"go_backwards": not forward.flag("go_backwards"), "name": name_of_twin}
            backward = config["layer"] | {"config": forward.config | own}
        add("backward_layer", backward)
    elif kind == "RNN":
        add("cell", config.get("cell"))
    elif kind == "StackedRNNCells":
        cells = config.get("cells")
        if not isinstance(cells, list) or not cells:
            raise FileError("its configuration has StackedRNNCells without a cell")
        for inner in cells:
            add("cells", inner)
    elif isinstance(config.get("layer"), dict) and "class_name" in config["layer"]:
        add("layer", config["layer"])
    inbound = described.get("inbound_nodes")
    # In HDF5, operations have no module, but unlike layers, no type either.
    typeless = module is None and isinstance(inbound, list) and isinstance((inbound or [0])[0], dict)
    is_operation = str(module).startswith("keras.src.ops") or (typeless and "dtype" not in config)
    label = clean(name or kind.lower())
    return Layer(label, clean(kind), config, is_keras, tuple(children), inbound, trainable, is_operation)


def compute_type(layer: Layer) -> str:
    """Return the type that a Keras layer computes in by its dtype policy; empty if it has none."""
    policy = layer.config.get("dtype")
    for _ in range(3):
        if isinstance(policy, dict):
            policy = policy.get("config", policy)
        if isinstance(policy, dict):
            policy = policy.get("name")
    name = policy if isinstance(policy, str) else ""
    return clean(name.removeprefix("mixed_"))


def masked_output(layer: Layer, version: Version) -> str:
    """Return the kind of a recurrent Keras layer's output at masked steps: zeros, or its last output repeated."""
    if layer.kind == "Bidirectional":
        zeros = layer.returns_sequences and (version.major >= 3 or version.tensorflow)
    else:
        zeros = layer.flag("zero_output_for_mask")
    return "zeros" if zeros else "repeat"
