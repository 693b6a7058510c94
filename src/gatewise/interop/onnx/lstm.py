"""A node of ONNX's operator LSTM as an `LSTM`.

Its gates come in the order i, o, f, g; two biases, for the input's and the recurrent sums, are added; the peepholes
come in the order i, o, f. `clip` bounds the pre-activation of each gate, its peephole and its bias in it, and nothing
else: neither the cell state before the output nor the gates of a coupled cell after 1 - i, in onnxruntime too. The
specification's sentence, "applied to the input of activations", also covers the cell state before h.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

import numpy as np

from gatewise.activations import Activation
from gatewise.arrays import Array
from gatewise.errors import shown
from gatewise.interop import conventions
from gatewise.interop.containers.tensors import to_float
from gatewise.interop.contents import StoredLSTM
from gatewise.interop.onnx.attributes import Attributes, NotConstant, text_of
from gatewise.interop.onnx.edges import origin
from gatewise.interop.onnx.file import AnyArray, OnnxFile
from gatewise.interop.onnx.operators import MOVING
from gatewise.interop.onnx.scopes import OnnxNode, OnnxScope
from gatewise.layers import LSTM
from gatewise.layers.stack import States
from gatewise.parameters import Parameters, Variant
from gatewise.records.step import State

ATTRIBUTES = {
    *("activation_alpha", "activation_beta", "activations", "clip", "direction", "hidden_size", "input_forget"),
    *("layout", "output_sequence"),
}
DIRECTIONS = {"forward": ("forward",), "reverse": ("backward",), "bidirectional": ("forward", "backward")}
APART = "the operator puts the directions on an axis of their own; here they are concatenated"
OUTSIDE = "it starts from a state that the file does not hold"
OF_ZEROS = {*MOVING, "Tile"}  # operators that make zeros of zeros
MOST_STEPS = 64  # operators that are followed back to zeros
QUANTISED = "DynamicQuantizeLSTM"
QUANTISED_OPERATOR = (QUANTISED, "com.microsoft")
# gatewise's name of each activation and its constants. ONNX has no defaults for Affine and ScaledTanh, and where that
# of ThresholdedRelu is 1, onnxruntime computes with 0 in an LSTM: those have to be in the file.
ACTIVATIONS: dict[str, tuple[str, dict[str, float | None]]] = {
    "Sigmoid": ("sigmoid", {}),
    "Tanh": ("tanh", {}),
    "Relu": ("relu", {}),
    "Softsign": ("softsign", {}),
    "Softplus": ("softplus", {}),
    "HardSigmoid": ("hard_sigmoid", {"alpha": 0.2, "beta": 0.5}),
    "LeakyRelu": ("leaky_relu", {"alpha": 0.01}),
    "ThresholdedRelu": ("thresholded_relu", {"alpha": None}),
    "Elu": ("elu", {"alpha": 1.0}),
    "Affine": ("affine", {"alpha": None, "beta": None}),
    "ScaledTanh": ("scaled_tanh", {"alpha": None, "beta": None}),
}
_BY_NAME = {name.lower(): name for name in ACTIVATIONS}  # onnxruntime ignores the case


class NodeOfLSTM(Protocol):
    """What is read of a node: the arrays of its inputs by their roles, and its attributes."""

    operator: str

    @property
    def attributes(self) -> Attributes:
        """Its attributes."""

    @property
    def file(self) -> OnnxFile:
        """The file that it is in."""

    def constant(self, role: str) -> AnyArray | None:
        """Return the array of an input; None where it is left out."""


def lstm_of(node: NodeOfLSTM, notes: list[str], merge: str = "concat") -> tuple[LSTM, bool]:
    """Return the LSTM of an ONNX node, and whether the batch is its first axis; NotConstant if it cannot be read."""
    attributes = node.attributes
    if unknown := sorted(attributes.names() - ATTRIBUTES):
        raise NotConstant(f"it has an attribute {shown(unknown[0])!r}, which the operator does not have")
    directions = DIRECTIONS.get(text_of(attributes.get("direction", "s", b"forward")))
    if directions is None:
        raise NotConstant(f"its direction is {text_of(attributes.get('direction', 's'))!r}, not one of {[*DIRECTIONS]}")
    arrays = _weight_arrays(node, len(directions), notes)
    hidden = arrays["R"].shape[2]
    if attributes.get("hidden_size", "i", hidden) != hidden:
        raise NotConstant(f"its hidden_size is {attributes.get('hidden_size', 'i')}; its R is for {hidden} units")
    variants = _direction_variants(attributes, len(directions), "P" in arrays, notes)
    if node.file.clip == "all":
        variants = [replace(variant, output_clip=variant.gate_clip) for variant in variants]
    cells = [_direction_parameters(arrays, position, hidden, variant) for position, variant in enumerate(variants)]
    layout = attributes.get("layout", "i", 0)
    if layout not in (0, 1):
        raise NotConstant(f"its layout is {layout}; allowed: 0 and 1")
    return LSTM.from_cells([cells], direction=directions[0], merge=merge), bool(layout)


def read_node(node: OnnxNode, name: str) -> StoredLSTM:
    """Return the LSTM of an ONNX node under that name; NotConstant if a weight or an attribute cannot be read."""
    quantised, notes = node.operator == QUANTISED, list[str]()
    lstm, layout = lstm_of(node, notes)
    cells = [cell.parameters for cell in lstm.layers[0]]
    if len(cells) == 2:
        notes.append(APART)
    lengths = _stored_lengths(node, notes)
    state = _stored_state(node, lstm, int(layout), notes)
    warns = (_quantisation_sentence(cells),) if quantised else ()
    notes += warns
    domain = "com.microsoft" if quantised else f"opset {node.scope.file.opset}"
    return StoredLSTM(
        name,
        lstm,
        f"ONNX {node.operator} ({domain}): gates i o f g, two biases, which are summed",
        " → ".join([*node.scope.path, f"node {node.label!r}"]),
        tuple(notes),
        state,
        layout,
        warns=warns,
        eight_bits=quantised,
        lengths=lengths,
    )


def number(value: float) -> float:
    """Return a float32 of the file as the shortest decimal that is the same float32: 0.2, not 0.20000000298."""
    return float(str(np.float32(value)))


# The numbers.


def _weight_arrays(node: NodeOfLSTM, directions: int, notes: list[str]) -> dict[str, Array]:
    """Return an ONNX LSTM's W, R and, if there, B and P, in shapes that fit each other, as float32 or float64."""
    quantised = node.operator == QUANTISED
    arrays: dict[str, AnyArray] = {}
    for name in ("W", "R", "B", "P"):
        array = node.constant(name)
        if array is not None:
            arrays[name] = _dequantise_weights(node, name, array, directions) if quantised and name in "WR" else array
    for name in ("W", "R"):
        if name not in arrays:
            raise NotConstant(f"it lacks its {name}")
        if arrays[name].ndim != 3 or 0 in arrays[name].shape:
            raise NotConstant(f"its {name} has shape {arrays[name].shape}; it must have three axes")
    hidden, inputs = arrays["R"].shape[2], arrays["W"].shape[2]
    shapes = {
        "W": (directions, 4 * hidden, inputs),
        "R": (directions, 4 * hidden, hidden),
        "B": (directions, 8 * hidden),
        "P": (directions, 3 * hidden),
    }
    types = {name: array.dtype.name for name, array in arrays.items()}
    if len(set(types.values())) > 1 or types["W"] not in ("float16", "bfloat16", "float32", "float64"):
        raise NotConstant(f"its arrays are of types {types}; they must be of one floating-point type")
    for name, array in arrays.items():
        if array.shape != shapes[name]:
            raise NotConstant(f"its {name} has shape {array.shape}; it must be {shapes[name]}")
    # Many nodes may share one array, but each cell gets a copy, and narrow numbers become float32 first.
    narrow = types["W"] in ("float16", "bfloat16")
    node.file.hold((1 + narrow) * sum(array.size for array in arrays.values()), 8 if types["W"] == "float64" else 4)
    if narrow:
        notes.append(f"its weights are stored as {types['W']}; gatewise computes in float32")
    return {name: to_float(array) for name, array in arrays.items()}


def _direction_parameters(arrays: dict[str, Array], direction: int, hidden: int, variant: Variant) -> Parameters:
    """Return the parameters of one direction of an ONNX LSTM, by its position."""
    biases = arrays["B"][direction].reshape(2, 4 * hidden) if "B" in arrays else []
    peephole = arrays["P"][direction] if "P" in arrays else None
    w, r = arrays["W"][direction], arrays["R"][direction]
    return conventions.parameters("onnx", w, r, list(biases), peephole=peephole, variant=variant)


def _direction_variants(attributes: Attributes, directions: int, peepholes: bool, notes: list[str]) -> list[Variant]:
    """Return the variant of each direction's cell, by the attributes of an ONNX LSTM."""
    stated_names = attributes.get("activations", "strings", [])
    names = [text_of(name) for name in stated_names] or ["Sigmoid", "Tanh", "Tanh"] * directions
    if len(names) != 3 * directions:
        raise NotConstant(f"it has {len(names)} activations; it must have {3 * directions}")
    constants = {letter: list(attributes.get(f"activation_{letter}", "floats", [])) for letter in ("alpha", "beta")}
    # Each list has a value for each activation that has such a constant, in their order, as onnxruntime reads them.
    activations = [_next_activation(name, constants) for name in names]
    if unused := [f"activation_{letter}" for letter, values in constants.items() if values]:
        notes.append(f"it has more {' and '.join(unused)} than its activations use; onnxruntime ignores the rest")
    clip, coupled = attributes.get("clip", "f"), attributes.get("input_forget", "i", 0)
    return [
        Variant(
            peephole="full" if peepholes else "none",
            coupling="forget=1-input" if coupled else "none",
            gate_clip=None if clip is None else number(clip),
            input_activation=gate,
            forget_activation=gate,
            output_activation=gate,
            candidate_activation=candidate,
            cell_activation=cell,
        )
        for gate, candidate, cell in (activations[start : start + 3] for start in range(0, len(activations), 3))
    ]


def _next_activation(name: str, constants: dict[str, list[float]]) -> Activation:
    """Return an activation by its name in ONNX; its constants are the next of each list, and are taken from it."""
    if name.lower() not in _BY_NAME:
        raise NotConstant(f"it has an activation {name!r}; known: {', '.join(ACTIVATIONS)}")
    kind, defaults = ACTIVATIONS[_BY_NAME[name.lower()]]
    values: dict[str, float] = {}
    for letter, default in defaults.items():
        if constants[letter]:
            values[letter] = number(constants[letter].pop(0))
        elif default is not None:
            values[letter] = default
        else:
            raise NotConstant(f"its {name} has no {letter} in activation_{letter}; runtimes differ in their default")
    return Activation(kind, **values)


# Lengths and initial states.


def _stored_lengths(node: OnnxNode, notes: list[str]) -> tuple[int, ...] | None:
    """Return the lengths of an ONNX LSTM's sequences if the file holds them; a note says where they come from."""
    if not node.input("sequence_lens"):
        return None
    lengths = None
    with suppress(NotConstant):
        lengths = node.constant("sequence_lens")
    source = "it takes the lengths of its sequences: give them as lengths=…"
    if lengths is not None:
        if lengths.ndim != 1 or lengths.dtype.kind not in "iu":
            raise NotConstant(f"its sequence_lens are {lengths.dtype} of shape {lengths.shape}, not integers (batch,)")
        source = f"the file fixes the lengths of its sequences: {lengths.flat[:8].tolist()}"
    notes.append(
        f"{source}; the final state of a sequence of length 0 is the initial one in gatewise, zeros in onnxruntime"
    )
    return None if lengths is None else tuple(map(int, lengths))


def _stored_state(node: OnnxNode, lstm: LSTM, layout: int, notes: list[str]) -> States | None:
    """Return an ONNX LSTM's initial state if the file holds it; a note names one that comes in as the model runs."""
    directions, hidden = len(lstm.directions), lstm.hidden_size
    arrays: dict[str, Array] = {}
    missing: list[str] = []
    for name in ("initial_h", "initial_c"):
        try:
            array = _repeated_state(node, name)
            if array is not None and not array.any():
                continue
            array = node.constant(name) if array is None else array
        except NotConstant as problem:
            if not is_zeros(node.scope, node.input(name)):
                missing.append(str(problem))
            continue
        if array is not None:
            array = array.swapaxes(0, 1) if layout == 1 and array.ndim == 3 else array
            if array.ndim != 3 or array.shape[::2] != (directions, hidden):
                raise NotConstant(f"its {name} has shape {array.shape}; it must be ({directions}, batch, {hidden})")
            node.scope.file.hold(4 * array.size, lstm.dtype.itemsize)  # both kinds of it, and zeros for the other part
            arrays[name] = to_float(array).astype(lstm.dtype)
    if missing:
        notes.append(f"{OUTSIDE} ({'; '.join(missing)})")
    shapes = {array.shape for array in arrays.values()}
    if missing or len(shapes) > 1 or not any(array.any() for array in arrays.values()):
        return None  # zeros, for so many sequences as were there when the file was written, are no state
    zeros = np.zeros_like(next(iter(arrays.values())))
    h, c = arrays.get("initial_h", zeros), arrays.get("initial_c", zeros)
    return (tuple(State(h[position], c[position]) for position in range(directions)),)


def _repeated_state(node: OnnxNode, name: str) -> AnyArray | None:
    """Return the one state in the file that an ONNX graph repeats for all sequences, (directions, 1, ·), or None."""
    source = node.scope.source(node.input(name))
    if source is None or not source.node.is_standard or source.node.operator not in ("Expand", "Tile"):
        return None
    try:
        array = source.node.scope.value(source.node.inputs[0])
    except (NotConstant, IndexError):
        return None
    array = array.reshape((1,) * (3 - array.ndim) + array.shape)
    batch = array.shape[0 if node.attributes.get("layout", "i", 0) == 1 else 1]
    return array if array.ndim == 3 and batch == 1 else None


def is_zeros(scope: OnnxScope, name: str) -> bool:
    """Say whether a name in an ONNX graph is zeros, also of a shape computed as the model runs: a missing state."""
    for _ in range(MOST_STEPS):
        try:
            scope, name = origin(scope, name)
            source = scope.source(name)
            node = None if source is None else source.node
            if node is not None and node.is_standard and node.operator == "ConstantOfShape":
                tensor = node.attributes.get("value", "t")
                array = np.zeros(1) if tensor is None else scope.file.array(tensor)
            elif node is not None and node.is_standard and node.operator in OF_ZEROS and node.inputs:
                scope, name = node.scope, node.inputs[0]
                continue
            else:
                array = scope.value(name)
        except NotConstant:
            return False
        scope.file.budget.work(array.size // 256, "looking for zeros")
        return not array.any()
    return False


# The quantised kind.


def _dequantise_weights(node: NodeOfLSTM, name: str, array: AnyArray, directions: int) -> AnyArray:
    """Return (W - zero point) · scale, its axes exchanged: ONNX's quantised LSTM has inputs before gates.

    Scales and zero points are one for each direction, or one for each direction and column.
    """
    if array.ndim != 3 or array.dtype.name not in ("int8", "uint8"):
        raise NotConstant(f"its {name} is {array.dtype} of shape {array.shape}; it must be int8 or uint8 of three axes")
    scale, zero = node.constant(f"{name}_scale"), node.constant(f"{name}_zero_point")
    if scale is None or scale.dtype != np.float32:
        raise NotConstant(f"it lacks its {name}_scale in float32")
    if zero is None:
        zero = np.zeros(scale.shape, array.dtype)
    allowed = {(directions,), (directions, array.shape[2])} | ({(), (1,)} if directions == 1 else set())
    if scale.shape not in allowed or zero.shape not in allowed or zero.dtype != array.dtype:
        raise NotConstant(
            f"its {name}_scale of shape {scale.shape} and {name}_zero_point of {zero.dtype} {zero.shape} do not fit its"
            f" {name} of {array.dtype} {array.shape}"
        )

    def per_column(values: AnyArray) -> AnyArray:
        return values.reshape(directions, 1, -1)

    node.file.hold(3 * array.size, 4)  # as integers, as numbers, and with the axes exchanged
    numbers = (array.astype(np.int32) - per_column(zero.astype(np.int32))).astype(np.float32) * per_column(scale)
    return np.ascontiguousarray(numbers.swapaxes(1, 2))


def _quantisation_sentence(cells: Sequence[Parameters]) -> str:
    """Return a sentence on the error of an 8-bit ONNX LSTM: runtimes also round inputs and hidden states.

    Before each product it rounds the input, and the hidden state, to 256 steps over their range at that moment. One
    rounding is off by half a step at most, and by a step / √12 on average; in a sum of products, independent roundings
    add by the root of the sum of the squares of the weights. The hidden state is between -1 and 1: 2/255 a step.
    """

    def typical_error(weights: list[Array]) -> float:
        return max(float(np.sqrt(np.square(array, dtype=np.float64).sum(-1).max())) for array in weights) / (
            255 * 12**0.5
        )

    of_h = 2 * typical_error([cell.recurrent_weight for cell in cells])
    of_x = typical_error([cell.input_weight for cell in cells])
    return (
        "its weights are 8-bit integers, which are dequantised; its runtime also rounds the input and the hidden state"
        f" to 8 bits at every step, so its pre-activations differ from gatewise's by about {of_x:.2g} times the range"
        f" of the input and {of_h:.2g} times that of the hidden state, in the unit with the largest weights; on x86"
        " without VNNI its sums may saturate, too, unless weights were quantised with reduce_range"
    )
