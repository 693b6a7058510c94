"""ONNX models of an LSTM: one node LSTM for each layer, or every gate of every step from standard operators.

The operator LSTM cannot say all that a `Variant` can; `plain_reason` says what it lacks. A graph of standard operators
follows `gatewise.equations` line by line in the body of a Scan, and has every variant.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from gatewise import gates as gate_names
from gatewise.activations import Activation
from gatewise.arrays import Array, size
from gatewise.errors import OptionError
from gatewise.interop import conventions
from gatewise.interop.onnx.constants import library
from gatewise.interop.onnx.lstm import ACTIVATIONS, DIRECTIONS, number
from gatewise.layers import LSTM
from gatewise.parameters import Parameters

OPSETS = (14, 22)
LARGEST = 2**31 - 2**24  # bytes of weights; protobuf's own limit, less all else
_ONNX_NAMES = {ours: name for name, (ours, _) in ACTIVATIONS.items()}
_DIRECTION = {directions: name for name, directions in DIRECTIONS.items()}


def model_of(lstm: LSTM, *, gates: bool, opset: int) -> Any:
    """Return the model; see `gatewise.interop.onnx.write`."""
    if not isinstance(lstm, LSTM):
        raise OptionError(f"write takes an LSTM, not {type(lstm).__name__}")
    if not OPSETS[0] <= size("opset", opset) <= OPSETS[1]:
        raise OptionError(f"opset must lie between {OPSETS[0]} and {OPSETS[1]}, but is {opset}")
    if not gates and (reason := plain_reason(lstm)):
        raise OptionError(f"ONNX's operator LSTM cannot express this LSTM: {reason}; with gates=True it can be written")
    if lstm.count * lstm.dtype.itemsize > LARGEST:
        raise OptionError(f"an ONNX file holds less than 2 GiB; this LSTM has {lstm.count:,} numbers of {lstm.dtype}")
    graph = _Graph(lstm.dtype)
    name, features = "X", lstm.input_size
    graph.input("X", ["time", "batch", features])
    for layer, row in enumerate(lstm.layers):
        end = f"_{layer}" if lstm.num_layers > 1 else ""
        outputs = (_steps if gates else _node)(graph, lstm, layer, name, end)
        name = _merged(graph, outputs, lstm.merge[layer], f"layer{end}", len(row))
    graph.node("Identity", [name], "Y")
    graph.output("Y", ["time", "batch", *((2,) if name.endswith("apart") else ()), lstm.output_size], first=True)
    return graph.model(opset)


def plain_reason(lstm: LSTM) -> str:
    """Say what ONNX's operator LSTM cannot express of an LSTM; nothing where it can be written."""
    for layer, row in enumerate(lstm.layers):
        for cell, direction in zip(row, lstm.directions, strict=True):
            where = f"layer {layer}, {direction}, has "
            p, variant = cell.parameters, cell.variant
            if p.projection is not None:
                return f"{where}a projection"
            for switch in ("cell_clip", "projection_clip"):
                if getattr(variant, switch) is not None:
                    return f"{where}{switch} = {getattr(variant, switch)}"
            if variant.coupling == "input=1-forget":
                return f"{where}coupling {variant.coupling!r}"
            if variant.layer_norm != "none":
                return f"{where}layer norm {variant.layer_norm!r}"
            if len({variant.activation(letter) for letter in variant.own.replace("g", "")}) > 1:
                return f"{where}different activations of its input, forget and output gate"
            for letter in "ifgoc":
                one = variant.activation(letter)
                if one.name not in _ONNX_NAMES:
                    return f"{where}the activation {one.name}"
            numbers = [one for letter in "igoc" for one in _constants(variant.activation(letter)) if one is not None]
            numbers += [] if variant.gate_clip is None else [variant.gate_clip]
            for constant in numbers:
                if p.dtype == np.float64 and number(constant) != constant:
                    return f"{where}the constant {constant!r}, which its 32-bit attributes do not hold exactly"
        first, last = row[0], row[-1]
        for what in ("hidden_size", "peephole", "coupling", "gate_clip"):
            values = [getattr(one if what == "hidden_size" else one.variant, what) for one in (first, last)]
            if values[0] != values[1]:
                return f"the directions of layer {layer} differ in {what}: {values[0]!r} and {values[1]!r}"
    return ""


def _constants(activation: Activation) -> tuple[float | None, float | None]:
    return activation.alpha, activation.beta


class _Graph:
    """A graph, or the body of a Scan, as it grows."""

    def __init__(self, dtype: Any, around: _Graph | None = None, prefix: str = "") -> None:
        self.onnx: Any = library("onnx")
        self.dtype, self.around, self.prefix = np.dtype(dtype), around, prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self._count = 0

    def _info(self, name: str, shape: list[str | int] | None) -> Any:
        helper = self.onnx.helper
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(self.dtype), shape)

    def input(self, name: str, shape: list[str | int] | None) -> str:
        self.inputs.append(self._info(name, shape))
        return name

    def output(self, name: str, shape: list[str | int] | None, *, first: bool = False) -> None:
        self.outputs.insert(0 if first else len(self.outputs), self._info(name, shape))

    def new(self, what: str) -> str:
        self._count += 1
        return f"{self.prefix}{what}_{self._count}"

    def constant(self, array: Any, name: str | None = None) -> str:
        """Hold an array, in the outermost graph; whole numbers stay what they are."""
        array = np.asarray(array)
        array = np.ascontiguousarray(array.astype(np.int64 if array.dtype.kind in "iu" else self.dtype)).reshape(
            array.shape
        )
        name = name or self.new("constant")
        outermost = self
        while outermost.around is not None:
            outermost = outermost.around
        outermost.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def node(self, operator: str, inputs: Iterable[str], *outputs: str, name: str = "", **attributes: Any) -> str:
        found = outputs or (self.new(operator.lower()),)
        self.nodes.append(self.onnx.helper.make_node(operator, list(inputs), list(found), name=name, **attributes))
        return found[0]

    def graph(self, name: str) -> Any:
        return self.onnx.helper.make_graph(self.nodes, name, self.inputs, self.outputs, self.constants)

    def model(self, opset: int) -> Any:
        helper = self.onnx.helper
        made = helper.make_model(
            self.graph("lstm"), producer_name="gatewise", opset_imports=[helper.make_opsetid("", opset)]
        )
        made.ir_version = 8 if opset < 20 else 10  # what runtimes of their time read
        return made

    # Numbers: each returns the name of its result.

    def add(self, a: str, b: str) -> str:
        return self.node("Add", [a, b])

    def sub(self, a: str, b: str) -> str:
        return self.node("Sub", [a, b])

    def mul(self, a: str, b: str) -> str:
        return self.node("Mul", [a, b])

    def clip(self, a: str, bound: float | None) -> str:
        return a if bound is None else self.node("Clip", [a, self.constant(-bound), self.constant(bound)])

    def standardized(self, q: str, epsilon: float, count: int) -> str:
        """Return q (batch, count) with mean 0 and variance 1 over its last axis."""
        share, last = self.constant(1 / count), self.constant([-1])

        def mean(a: str) -> str:
            return self.mul(self.node("ReduceSum", [a, last], keepdims=1), share)

        centred = self.sub(q, mean(q))
        deviation = self.node("Sqrt", [self.add(mean(self.mul(centred, centred)), self.constant(epsilon))])
        return self.node("Div", [centred, deviation])

    def activation(self, activation: Activation, a: str) -> str:
        """Return an activation of a; its constants are tensors, since attributes have 32 bits."""
        alpha, beta = (None if one is None else self.constant(one) for one in _constants(activation))
        one, zero = self.constant(1.0), self.constant(0.0)
        match activation.name:
            case "sigmoid" | "tanh":
                return self.node(activation.name.capitalize(), [a])
            case "relu":
                return self.node("Max", [a, zero])
            case "exponential":
                return self.node("Exp", [a])
            case "softsign":
                return self.node("Div", [a, self.add(one, self.node("Abs", [a]))])
            case "softplus":
                e = self.node("Exp", [self.node("Neg", [self.node("Abs", [a])])])
                return self.add(self.node("Max", [a, zero]), self.node("Log", [self.add(one, e)]))
            case "affine":
                return self.add(self.mul(str(alpha), a), str(beta))
            case "scaled_tanh":
                return self.mul(str(alpha), self.node("Tanh", [self.mul(str(beta), a)]))
            case "hard_sigmoid":
                return self.node("Clip", [self.add(self.mul(str(alpha), a), str(beta)), zero, one])
            case "leaky_relu":
                return self.add(self.node("Max", [a, zero]), self.mul(str(alpha), self.node("Min", [a, zero])))
            case "thresholded_relu":
                return self.node("Where", [self.node("Greater", [a, str(alpha)]), a, zero])
            case "elu" | "selu":
                low = self.mul(str(alpha), self.sub(self.node("Exp", [self.node("Min", [a, zero])]), one))
                whole = self.add(self.node("Max", [a, zero]), low)
                return whole if beta is None else self.mul(beta, whole)
        raise OptionError(f"there is no way to write the activation {activation.name} in ONNX")


def _merged(graph: _Graph, outputs: list[str], how: str, name: str, directions: int) -> str:
    """Return the name of a layer's output, its directions merged; ``none`` gives a name that ends in ``apart``."""
    if directions == 1:
        return outputs[0]
    if how == "concat":
        return graph.node("Concat", outputs, f"{name}_output", axis=2)
    if how in ("sum", "mul"):
        return graph.node("Add" if how == "sum" else "Mul", outputs, f"{name}_output")
    if how == "average":
        return graph.node("Mul", [graph.add(*outputs), graph.constant(0.5)], f"{name}_output")
    axis = graph.constant([2])
    parts = [graph.node("Unsqueeze", [one, axis]) for one in outputs]
    return graph.node("Concat", parts, f"{name}_apart", axis=2)


# One node for each layer.


def _node(graph: _Graph, lstm: LSTM, layer: int, x: str, end: str) -> list[str]:
    """Add a layer as a node LSTM; return the names of its directions' outputs."""
    cells = [cell.parameters for cell in lstm.layers[layer]]
    hidden, variant = cells[0].hidden_size, cells[0].variant
    stacked = [conventions.stacked("onnx", p) for p in cells]

    def held(name: str, arrays: Iterable[Any]) -> str:
        return graph.constant(np.stack(list(arrays)), f"{name}{end}")

    w, r = held("W", (one.input_weight for one in stacked)), held("R", (one.recurrent_weight for one in stacked))
    b = held("B", (np.concatenate([one.bias, np.zeros_like(one.bias)]) for one in stacked))
    inputs = [x, w, r, b, "", *(graph.input(f"{one}0{end}", [len(cells), "batch", hidden]) for one in "hc")]
    if variant.peephole == "full":
        inputs.append(held("P", (one.peephole for one in stacked)))
    activations = [p.variant.activation(letter) for p in cells for letter in "ogc"]
    attributes: dict[str, Any] = {"activations": [_ONNX_NAMES[one.name] for one in activations]}
    for place, letter in enumerate(("alpha", "beta")):
        values = [_constants(one)[place] for one in activations]
        if given := [one for one in values if one is not None]:
            attributes[f"activation_{letter}"] = given
    if variant.gate_clip is not None:
        attributes["clip"] = variant.gate_clip
    if variant.coupled:
        attributes["input_forget"] = 1
    raw = f"layer{end}_raw"
    graph.node(
        "LSTM",
        inputs,
        *(raw, f"hn{end}", f"cn{end}"),
        name=f"lstm{end}",
        hidden_size=hidden,
        direction=_DIRECTION[lstm.directions],
        **attributes,
    )
    for one in "hc":
        graph.output(f"{one}n{end}", [len(cells), "batch", hidden])
    if len(cells) == 1:
        return [graph.node("Squeeze", [raw, graph.constant([1])])]
    return [graph.node("Gather", [raw, graph.constant(place)], axis=1) for place in range(2)]


# Every gate.


def _steps(graph: _Graph, lstm: LSTM, layer: int, x: str, end: str) -> list[str]:
    """Add a layer as a Scan for each direction; return the names of the hidden states of every step."""
    finals: list[tuple[str, str]] = []
    outputs: list[str] = []
    row = lstm.layers[layer]
    sizes = {"h": [cell.recurrent_size for cell in row], "c": [cell.hidden_size for cell in row]}
    if any(len(set(one)) > 1 for one in sizes.values()):
        raise OptionError(f"the directions of layer {layer} have sizes {sizes}; ONNX's initial states need equal ones")
    given = {one: graph.input(f"{one}0{end}", [len(row), "batch", sizes[one][0]]) for one in "hc"}
    alone = lstm.num_layers * len(row) == 1
    for place, (cell, direction) in enumerate(zip(row, lstm.directions, strict=True)):
        suffix = "" if alone else f"_{layer}_{direction}"
        body = _Graph(graph.dtype, graph, f"cell_{layer}_{direction}_")
        results = _body(body, cell.parameters, f"cell{suffix}")
        start = [graph.node("Gather", [given[one], graph.constant(place)], axis=0) for one in "hc"]
        names = [f"{one}{suffix}" for one in (*gate_names.NAMES, "cell_state", "hidden_state")]
        final = (graph.new("final_h"), graph.new("final_c"))
        backward = int(direction == "backward")
        graph.node(
            "Scan",
            [*start, x],
            *(*final, *names),
            name=f"cell{suffix}",
            body=body.graph(f"cell{suffix}"),
            num_scan_inputs=1,
            scan_input_directions=[backward],
            scan_output_directions=[backward] * len(results),
        )
        for name in names:
            width = cell.recurrent_size if name == names[-1] else cell.hidden_size
            graph.output(name, ["time", "batch", width])
        finals.append(final)
        outputs.append(names[-1])
    for number_, one in enumerate("hc"):
        axis = graph.constant([0])
        parts = [graph.node("Unsqueeze", [final[number_], axis]) for final in finals]
        graph.node("Concat", parts, f"{one}n{end}", axis=0)
        graph.output(f"{one}n{end}", [len(row), "batch", sizes[one][0]])
    return outputs


def _body(body: _Graph, p: Parameters, name: str) -> list[str]:
    """Fill the body of a Scan with the equations of one step; return the names of what is kept of each step."""
    variant, hidden = p.variant, p.hidden_size
    h, c = body.input("h_prev", ["batch", p.recurrent_size]), body.input("c_prev", ["batch", hidden])
    x = body.input("x", ["batch", p.input_size])

    def row(array: Any) -> str:
        return body.constant(np.asarray(array).reshape(1, -1))

    s = _sums(body, p, h, x)

    def q(letter: str, seen: str) -> str:
        """The pre-activation of a gate whose peephole sees a cell state."""
        found = s[letter]
        if p.peephole is not None and letter in gate_names.PEEPHOLES:
            found = body.add(found, body.mul(row(gate_names.of(p.peephole, letter, gate_names.PEEPHOLES)), seen))
        if variant.layer_norm == "gates":
            gain = row(gate_names.of(np.asarray(p.norm_gain), letter))
            found = body.mul(gain, body.standardized(found, variant.epsilon or 0.0, hidden))
        if not _bias_comes_first(p):
            found = body.add(found, row(gate_names.of(p.bias, letter)))
        return body.activation(variant.activation(letter), body.clip(found, variant.gate_clip))

    made: dict[str, str] = {letter: q(letter, c) for letter in variant.own if letter != "o"}
    if variant.coupled:
        other = {"f": "i", "i": "f"}[variant.coupled]
        made[variant.coupled] = body.sub(body.constant(1.0), made[other])
    new = body.clip(body.add(body.mul(made["f"], c), body.mul(made["i"], made["g"])), variant.cell_clip)
    made["o"] = q("o", new)
    shown = new
    if p.cell_norm is not None:
        gain, bias = (row(one) for one in p.cell_norm)
        shown = body.add(body.mul(gain, body.standardized(new, variant.epsilon or 0.0, hidden)), bias)
    out = body.node("Mul", [made["o"], body.activation(variant.activation("c"), shown)], name=name)
    if p.projection is not None:
        out = body.clip(body.node("MatMul", [out, body.constant(p.projection.T)]), variant.projection_clip)
    body.node("Identity", [out], "h_next")
    body.node("Identity", [new], "c_next")
    results = [*(made[letter] for letter in "ifgo"), new, out]
    names = [body.node("Identity", [one], f"kept_{number_}") for number_, one in enumerate(results)]
    for one, width in zip(
        ("h_next", "c_next", *names), (p.recurrent_size, *[hidden] * 6, p.recurrent_size), strict=True
    ):
        body.output(one, ["batch", width])
    return names


def _bias_comes_first(p: Parameters) -> bool:
    """Say whether nothing stands between a gate's weighted sum and its bias: then one Add serves all gates."""
    return p.peephole is None and p.variant.layer_norm != "gates"


def _sums(body: _Graph, p: Parameters, h: str, x: str) -> dict[str, str]:
    """Return the weighted sum of each gate that has weights of its own, before its peephole, and its bias if that is
    not added here already.
    """
    own, hidden = p.variant.own, p.hidden_size
    places = [gate_names.LETTERS.index(letter) for letter in own]

    def product(weight: Array, name: str) -> str:
        return body.node("MatMul", [name, body.constant(weight[places].reshape(len(own) * hidden, -1).T)])

    if p.variant.layer_norm == "haste":
        gains = np.asarray(p.norm_gain)[:, places].reshape(2, 1, -1)
        epsilon, count = p.variant.epsilon or 0.0, len(own) * hidden
        u, w = product(p.recurrent_weight, h), product(p.input_weight, x)
        whole = body.add(
            body.mul(body.standardized(u, epsilon, count), body.constant(gains[0])),
            body.mul(body.standardized(w, epsilon, count), body.constant(gains[1])),
        )
    else:
        whole = product(p.weight, body.node("Concat", [h, x], axis=1))
    if _bias_comes_first(p):
        whole = body.add(whole, body.constant(p.bias[places].reshape(1, -1)))
    parts = [body.new(letter) for letter in own]
    body.node("Split", [whole, body.constant([hidden] * len(own))], *parts, axis=1)
    return dict(zip(own, parts, strict=True))
