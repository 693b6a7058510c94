"""One step of a network as a program of the native engine: instructions on one array of numbers.

Every value is an array of places in that memory. What only moves numbers (transposing, slicing, padding, joining) is
done once, on the places: it costs nothing in a step, except where an instruction needs its numbers in a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from gatewise.engine import native
from gatewise.errors import OptionError, shown
from gatewise.layers import LSTM
from gatewise.network.dense import SMALL
from gatewise.network.graph import Node
from gatewise.network.operations import AnyArray
from gatewise.network.operations.products import MAX_COLUMNS, conv_windows, window_sizes
from gatewise.network.step_graph import StepGraph

Port = tuple[int, tuple[int, ...], int]  # its place, the shape of a step, and where in it the axis of time goes, or -1

MOVES = {
    *("reshape", "transpose", "swap", "move", "squeeze", "unsqueeze", "flatten", "expand", "tile", "split", "chunk"),
    *("slice", "flip", "gather", "pad", "concat", "stack"),
}
JOINS = ("concat", "stack")  # moves whose inputs are all numbers
SAME = ("identity", "cast", "cast_like")  # the type of their output is that of the program
PAIRS = ("add", "sub", "mul", "div", "pow", "maximum", "minimum", "prelu")
FUNCTIONS: dict[str, tuple[str, ...]] = {  # of one number, and the settings that they read
    **dict.fromkeys(("neg", "abs", "exp", "log", "log1p", "expm1", "sqrt", "reciprocal", "sin", "cos", "tan"), ()),
    **dict.fromkeys(("asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "erf", "sigmoid", "tanh"), ()),
    **dict.fromkeys(("relu", "softplus", "softsign", "silu", "gelu", "gelu_tanh", "mish", "hard_swish"), ()),
    **dict.fromkeys(("sign", "floor", "ceil", "round", "trunc"), ()),
    **dict.fromkeys(("leaky_relu", "elu", "celu", "thresholded_relu"), ("alpha",)),
    "selu": ("alpha", "gamma"),
    "hard_sigmoid": ("alpha", "beta"),
    "affine": ("alpha", "beta"),
}
ROWS = ("softmax", "log_softmax", "normalise")  # of each row, as many numbers
REDUCTIONS = tuple(f"reduce_{name}" for name in ("sum", "mean", "max", "min", "prod", "logsumexp", "norm2"))
MAX_PARTS = 8  # that are copied one by one, if they are short; more go by a table of places
LONG_PART = 16  # numbers that are copied faster together than by a table
MAX_GROUPS = 64  # of a convolution, each of which is a product
MAX_PORTS = 16


def native_program(step: StepGraph, batch_size: int | None, converter: Callable[..., Any]) -> Any:
    """Return a program of the native engine that computes a step; OptionError names what has no native form.

    ``converter(program, inputs)`` is called for inputs that are not taken as they are.
    """
    if native.MISSING is not None:
        raise OptionError(f"the native engine is not available: {native.MISSING}")
    for port in step.graph.inputs:
        kind = step.run.values[port.name].dtype
        if kind not in (np.float32, np.float64) or kind != step.run.values[step.graph.inputs[0].name].dtype:
            raise OptionError(f"the input {shown(port.name, 60)!r} holds {kind}, which has no native form")
    return _Writer(step, batch_size).program(converter)


class _Writer:
    """Writes the instructions of a step."""

    def __init__(self, step: StepGraph, batch_size: int | None) -> None:
        self.step, self.graph, self.batch_size = step, step.graph, batch_size
        self.values = step.run.values
        self.dtype = self.values[self.graph.inputs[0].name].dtype
        self.numbers: list[AnyArray] = []  # of the memory, in order
        self.size = 0
        self.places: dict[str, AnyArray] = {}
        self.rows: dict[bytes, int] = {}  # numbers that are in a row, by their places
        self.tables: list[AnyArray] = []
        self.matrices: list[tuple[AnyArray, AnyArray, bool]] = []
        self.instructions: list[tuple[Any, ...]] = []
        self.lstms: list[LSTM] = []

    def program(self, converter: Callable[..., Any]) -> Any:
        """Return the program."""
        carried = [state for state in self.step.states if not state.lstm]
        for state in carried:  # first, and side by side
            self.places[state.name] = self._own(state.initial.shape, state.initial)
        size = self.size
        for name in self.step.inputs:
            self.places[name] = self._own(self.values[name].shape)
        for node in self.graph.nodes:
            if (kind := next((k for n in node.outputs if (k := self._kind(n)) != self.dtype), None)) is not None:
                raise OptionError(f"{node.title} computes with {kind}, which has no native form")
            self._write(node)
        ends = self.graph.outputs[: len(self.step.outputs)]
        outputs = [
            self._port(name, end, axis) for (name, axis), end in zip(self.step.outputs.items(), ends, strict=True)
        ]
        inputs = [self._port(name, name, axis) for name, axis in self.step.inputs.items()]
        if max(len(inputs), len(outputs)) > MAX_PORTS:
            raise OptionError(f"the native engine streams up to {MAX_PORTS} inputs and outputs")
        after = dict(zip(self.step.states, self.graph.outputs[len(ends) :], strict=True))
        following = np.concatenate([np.zeros(0, np.int64), *(self._of(after[state]).reshape(-1) for state in carried)])
        if size and (following < size).any():  # of the state, which would be overwritten as it is read
            start = self._take(size)
            self._moved(following, start)
        else:
            start = self._in_a_row(following)
        return native.program(
            self.dtype,
            memory=np.concatenate([np.zeros(1, self.dtype), *(item.reshape(-1) for item in self.numbers)])[1:],
            lstms=[[row[0].parameters for row in lstm.layers] for lstm in self.lstms],
            matrices=self.matrices,
            places=self.tables,
            instructions=self.instructions,
            inputs=inputs,
            outputs=outputs,
            carried=(0, start, size),
            batch=1 if self.batch_size is None else self.batch_size,
            converter=converter,
        )

    def _kind(self, name: str) -> np.dtype[Any]:
        return self.values[name].dtype if name in self.values else self.dtype

    def _port(self, name: str, value: str, time: int | None) -> Port:
        """Return where a step of an input or an output is, and its axes as the caller has them."""
        batch = self.step.batch.get(name) if self.batch_size is None else None
        if time is not None and self.values[value].shape[time] != 1:
            raise OptionError(f"{shown(name, 60)!r} has several entries for each step, which has no native form")
        shape = tuple(size for axis, size in enumerate(self.values[value].shape) if axis not in (time, batch))
        at = -1 if time is None else time - (batch is not None and batch < time)
        return self._in_a_row(self._of(value)), shape, at

    # Memory.

    def _take(self, count: int) -> int:
        self.numbers.append(np.zeros(count, self.dtype))
        self.size += count
        return self.size - count

    def _own(self, shape: Sequence[int], numbers: AnyArray | None = None) -> AnyArray:
        """Return places of their own, which hold zeros or these numbers before the first step."""
        count = math.prod(shape)
        start = self._take(count)
        if numbers is not None:
            self.numbers[-1] = np.ascontiguousarray(np.broadcast_to(numbers, shape), self.dtype).reshape(-1)
        return np.arange(start, start + count).reshape(shape)

    def _of(self, name: str) -> AnyArray:
        """Return the places of a value; those of a constant are made when it is first read."""
        if name not in self.places:
            constant = self.graph.constants[name]
            self.places[name] = self._own(constant.shape, constant)
        return self.places[name]

    def _in_a_row(self, places: AnyArray) -> int:
        """Return where numbers are in a row; they are moved if they are not."""
        flat = places.reshape(-1)
        if not flat.size:
            return 0
        if (np.diff(flat) == 1).all():
            return int(flat[0])
        key = flat.tobytes()
        if key not in self.rows:
            self.rows[key] = self._take(flat.size)
            self._moved(flat, self.rows[key])
        return self.rows[key]

    def _moved(self, places: AnyArray, start: int) -> None:
        """Add instructions that move numbers into a row."""
        parts = np.split(places, np.flatnonzero(np.diff(places) != 1) + 1)
        if len(parts) <= MAX_PARTS or len(places) >= LONG_PART * len(parts):
            for part in parts:
                self._add("copy", int(part[0]) if part.size else 0, start, len(part))
                start += len(part)
        else:
            self.tables.append(np.ascontiguousarray(places, np.int64))
            self._add("move", 0, start, 0, item=len(self.tables) - 1)

    def _add(
        self, code: str, read: int, write: int, rows: int, depth: int = 0, *, other: int = 0, item: int = 0,
        alpha: float = 0.0, beta: float = 0.0,
    ) -> None:  # fmt: skip
        self.instructions.append((code, item, read, other, write, rows, depth, float(alpha), float(beta)))

    def _constant(self, node: Node, name: str) -> AnyArray:
        if name not in self.graph.constants:
            raise OptionError(f"{node.title} has no native form: {shown(name, 60)!r} is not a constant")
        return self.graph.constants[name]

    # Nodes.

    def _write(self, node: Node) -> None:
        """Add what a node does, and note the places of its outputs."""
        op, settings = node.op, node.settings
        shape = self.values[node.outputs[0]].shape
        if op in SAME:
            self.places[node.outputs[0]] = self._of(node.inputs[0])
        elif op in MOVES:
            self._move(node)
        elif op in PAIRS:
            self._set(node, self._pair(op, node.inputs[0], node.inputs[1], shape))
        elif op in FUNCTIONS:
            numbers = [settings[name] for name in FUNCTIONS[op]] + [0.0, 0.0]
            code = "scale" if op == "affine" else op
            self._set(node, self._function(code, self._of(node.inputs[0]), numbers[0], numbers[1]))
        elif op == "scaled_tanh":
            y = self._function("scale", self._of(node.inputs[0]), settings["beta"])
            self._set(node, self._function("scale", self._function("tanh", y), settings["alpha"]))
        elif op == "clip":
            y = self._of(node.inputs[0])
            for code, bound in zip(("maximum", "minimum"), node.inputs[1:], strict=False):
                y = self._pair(code, y, bound, shape) if bound else y
            self._set(node, y)
        elif op in (*ROWS, *REDUCTIONS):
            axes = settings["axis"] if "axis" in settings else settings.get("axes")
            self._set(node, self._rows(op, self._of(node.inputs[0]), axes, settings.get("epsilon", 0.0)))
        elif op == "linear":
            weight = self._constant(node, node.inputs[1])
            bias = self._constant(node, node.inputs[2]) if node.inputs[2:] and node.inputs[2] else None
            x = self._of(node.inputs[0])
            self._set(node, self._product(x.reshape(-1, x.shape[-1]), weight, bias, weight.size <= SMALL))
        elif op in ("matmul", "einsum"):
            self._contract(node)
        elif op == "conv":
            self._convolve(node)
        elif op in ("max_pool", "mean_pool"):
            x = self._of(node.inputs[0])
            windows = conv_windows(x, settings["kernel"], settings["strides"], settings["dilations"])
            self._set(node, self._rows(f"reduce_{op[:-5]}", windows, tuple(range(x.ndim, windows.ndim)), 0.0))
        elif op == "lstm":
            self._lstm(node)
        else:
            raise OptionError(f"{node.title} has no native form")

    def _set(self, node: Node, places: AnyArray) -> None:
        self.places[node.outputs[0]] = places.reshape(self.values[node.outputs[0]].shape)

    def _move(self, node: Node) -> None:
        count = len(node.inputs) if node.op in JOINS else 1
        arrays: list[AnyArray | None] = [self._of(name) for name in node.inputs[:count]]
        arrays += [self._constant(node, name) if name else None for name in node.inputs[count:]]
        if node.op == "pad":
            filling = self._constant(node, node.inputs[2]) if node.inputs[2:] and node.inputs[2] else np.zeros(())
            arrays[2:] = [self._own((), filling.reshape(()))]
        moved = node.row.forward(*arrays, **node.settings)
        for name, places in zip(node.outputs, moved if isinstance(moved, tuple) else (moved,), strict=True):
            self.places[name] = np.asarray(places)

    def _pair(self, code: str, left: str | AnyArray, right: str, shape: tuple[int, ...]) -> AnyArray:
        """Add a function of two numbers at each place of a shape."""
        exponent = self.graph.constants.get(right)
        if code == "pow" and exponent is not None and (exponent == 2).all():
            code, right = "mul", str(left)
        starts = []
        for value in (left, right):
            if isinstance(value, str) and value in self.graph.constants:
                starts.append(self._in_a_row(self._own(shape, self.graph.constants[value])))
            else:
                places = self._of(value) if isinstance(value, str) else value
                starts.append(self._in_a_row(np.broadcast_to(places, shape)))
        y = self._own(shape)
        self._add(code, starts[0], self._in_a_row(y), y.size, other=starts[1])
        return y

    def _function(self, code: str, x: AnyArray, alpha: float = 0.0, beta: float = 0.0) -> AnyArray:
        read, y = self._in_a_row(x), self._own(x.shape)
        self._add(code, read, self._in_a_row(y), y.size, alpha=alpha, beta=beta)
        return y

    def _rows(self, code: str, x: AnyArray, axes: Any, epsilon: float) -> AnyArray:
        """Add what is done to the numbers along some axes, at each place of the others."""
        along = tuple(range(x.ndim)) if axes is None else normalize_axis_tuple(axes, x.ndim)
        moved = np.moveaxis(x, along, range(-len(along), 0)) if along else x
        depth = math.prod(x.shape[axis] for axis in along)
        if not depth:
            raise OptionError("an operation on no numbers has no native form")
        rows, read = x.size // depth, self._in_a_row(moved)
        y = self._own(moved.shape if code in ROWS else (rows,))
        self._add(code, read, self._in_a_row(y), rows, depth, alpha=epsilon)
        return np.moveaxis(y, range(-len(along), 0), along) if code in ROWS and along else y

    def _product(self, x: AnyArray, weight: AnyArray, bias: AnyArray | None, small: bool = False) -> AnyArray:
        """Add W x + b for rows of places (rows, depth), and return those of (rows, outputs)."""
        if not x.size or not weight.size:
            raise OptionError("a product of no numbers has no native form")
        bias = np.zeros(len(weight)) if bias is None else bias
        arrays = [np.ascontiguousarray(item, self.dtype) for item in (weight, bias)]
        number = sum(1 for _, _, other in self.matrices if other == small)
        self.matrices.append((arrays[0], arrays[1], small))
        read, y = self._in_a_row(x), self._own((len(x), len(weight)))
        code = "small_matrix" if small else "matrix"
        self._add(code, read, self._in_a_row(y), len(x), x.shape[1], item=number)
        return y

    def _contract(self, node: Node) -> None:
        """Add a product of a value and a constant, by the letters of their axes."""
        shape = self.values[node.outputs[0]].shape
        terms, out = self._letters(node)
        fixed = [name in self.graph.constants for name in node.inputs]
        if sorted(fixed) != [False, True] or any(len(set(term)) < len(term) for term in terms):
            raise OptionError(f"{node.title} has no native form: it is not a product with a constant matrix")
        mine, theirs = terms[fixed.index(False)], terms[fixed.index(True)]
        shared = [letter for letter in mine if letter in theirs]
        if any(letter in out for letter in shared) or set(out) != set(mine) ^ set(theirs) or not shared:
            raise OptionError(f"{node.title} has no native form: it is not a product with a constant matrix")
        rest, added = ([letter for letter in term if letter in out] for term in (mine, theirs))
        x = self._of(node.inputs[fixed.index(False)])
        w = self._constant(node, node.inputs[fixed.index(True)])
        sizes = {**dict(zip(mine, x.shape, strict=True)), **dict(zip(theirs, w.shape, strict=True))}
        if any(sizes[letter] != size for letter, size in zip(mine, x.shape, strict=True)):
            raise OptionError(f"{node.title} has no native form: it repeats an axis")
        depth = math.prod(sizes[letter] for letter in shared)
        rows = x.transpose([mine.index(letter) for letter in rest + shared]).reshape(-1, depth)
        weight = w.transpose([theirs.index(letter) for letter in added + shared]).reshape(-1, depth)
        y = self._product(rows, weight, None).reshape([sizes[letter] for letter in rest + added])
        order = [(rest + added).index(letter) for letter in out]
        self.places[node.outputs[0]] = y.transpose(order).reshape(shape)

    def _letters(self, node: Node) -> tuple[list[str], str]:
        """Return the letters of the axes of a product of two arrays, and of its output."""
        if node.op == "einsum":
            left, out = node.settings["equation"].split("->")
            return left.split(","), out
        a, b = (np.ndim(self.values[n] if n in self.values else self.graph.constants[n]) for n in node.inputs)
        if a > 2 and b > 2:
            raise OptionError(f"{node.title} has no native form: it is not a product with a constant matrix")
        stacked = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: max(a, b, 2) - 2]
        row, column = "x" * (a > 1), "y" * (b > 1)
        left, right = stacked * (a > 2) + row + "z", stacked * (b > 2) + "z" + column
        return [left, right], stacked + row + column

    def _convolve(self, node: Node) -> None:
        """Add a convolution: a product with all its windows, for each group of channels."""
        x, w = self._of(node.inputs[0]), self._constant(node, node.inputs[1])
        bias = self._constant(node, node.inputs[2]) if node.inputs[2:] and node.inputs[2] else np.zeros(len(w))
        strides, dilations, groups = (node.settings[name] for name in ("strides", "dilations", "groups"))
        sizes = window_sizes(x, w.shape[2:], strides, dilations)
        batch, count, depth = len(x), math.prod(sizes), math.prod(w.shape[1:])
        if groups > MAX_GROUPS or batch * count * depth * groups > MAX_COLUMNS:
            raise OptionError(f"{node.title} is too large for the native stream")
        windows = conv_windows(x, w.shape[2:], strides, dilations)
        windows = windows.reshape(batch, groups, w.shape[1], count, -1).transpose(1, 0, 3, 2, 4)
        rows = windows.reshape(groups, batch * count, depth)
        weights, biases = w.reshape(groups, -1, depth), bias.reshape(groups, -1)
        y = np.stack([self._product(*parts) for parts in zip(rows, weights, biases, strict=True)])
        self._set(node, y.reshape(groups, batch, count, -1).transpose(1, 0, 3, 2))

    def _lstm(self, node: Node) -> None:
        lstm: LSTM = node.settings["lstm"]
        x = self._of(node.inputs[0])
        for row in lstm.layers:
            if (why := native.refusal(row[0].parameters)) is not None:
                raise OptionError(f"{node.title} has no native form: {why}")
        if lstm.dtype != self.dtype or x.shape[1] != (1 if self.batch_size is None else self.batch_size):
            raise OptionError(f"{node.title} has no native form among the others")
        read, y = self._in_a_row(x), self._own((1, x.shape[1], lstm.output_size))
        self.lstms.append(lstm)
        number = len(self.lstms) - 1
        self._add("lstm", read, self._in_a_row(y), 0, item=number)
        self._set(node, y)
        reads = {name for other in self.graph.nodes for name in other.inputs}
        reads |= set(self.graph.outputs[: len(self.step.outputs)])
        if not reads.isdisjoint(node.outputs[1:]):
            cell = lstm.layers[-1][0]
            h, c = (self._own((1, x.shape[1], size)) for size in (cell.recurrent_size, cell.hidden_size))
            self._add("state", 0, self._in_a_row(h), 0, other=self._in_a_row(c), item=number)
            self.places.update(zip(node.outputs[1:], (h, c), strict=False))
