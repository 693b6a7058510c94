"""Graph: a network as a list of named nodes, each an operation of the table, and arrays under names.

Each value has a name, and is made once. Axes are those of the file that a graph was read from.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from gatewise.arrays import array_of, require_memory
from gatewise.errors import CapacityError, FileError, GatewiseError, OptionError, ShapeError, reason, shown
from gatewise.layers import LSTM
from gatewise.network.limits import MAX_NODES, NODE, STEPS, Limits, RunLimits, sharing
from gatewise.network.operations import OPERATIONS, AnyArray, Operation

FLOAT: np.dtype[Any] = np.dtype(np.float32)
MAX_SIZE = 2**63 - 1  # of one axis
MAX_AXES = 32  # of one value
MAX_OUTPUTS = 10_000  # of one node
PROBLEMS = (ValueError, IndexError, TypeError, OverflowError, ZeroDivisionError, NotImplementedError, MemoryError)


class Unsupported(Exception):
    """What a reader raises for a node that it cannot express; the text is half a sentence that says why."""


@dataclass(frozen=True)
class Node:
    """One operation in a graph.

    Attributes
    ----------
    name : str
    op : str
        A key of the table of operations.
    inputs : tuple of str
        The names of the values that it reads; an empty one is left out.
    outputs : tuple of str
        The names of the values that it makes.
    settings : mapping
    layer : str
        The layer of the file that the node belongs to; by default none.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    layer: str = ""

    @property
    def row(self) -> Operation:
        """The row of the table."""
        return OPERATIONS[self.op]

    @property
    def title(self) -> str:
        """The node in an error's sentence."""
        return f"node {shown(self.name, 60)!r} ({self.settings['kind'] if self.op == 'unknown' else self.op})"

    def __str__(self) -> str:
        settings = ", ".join(f"{key}={value!r}" for key, value in self.settings.items())
        read = ", ".join(name or "-" for name in self.inputs)
        return f"{', '.join(self.outputs)} = {self.op}({read}{', ' * bool(settings)}{settings})"


@dataclass(frozen=True)
class Input:
    """An input of a graph.

    Attributes
    ----------
    name : str
    shape : tuple of int or None, or None
        The size of each axis; None where it is free. None if not even the number of axes is known.
    dtype : numpy dtype
    """

    name: str
    shape: tuple[int | None, ...] | None = None
    dtype: np.dtype[Any] = FLOAT

    def read(self, value: Any) -> AnyArray:
        """Return a value as an array of the input's type; ShapeError or OptionError if it does not fit."""
        array = array_of(self.name, value)
        if array.dtype.kind not in "fiub":
            raise OptionError(f"{self.name} must hold numbers, not {array.dtype}")
        if array.dtype.kind == "f" and self.dtype.kind != "f":
            raise OptionError(f"{self.name} must be {self.dtype}, not {array.dtype}")
        if self.shape is not None and (
            array.ndim != len(self.shape)
            or any(size not in (None, local) for size, local in zip(self.shape, array.shape, strict=True))
        ):
            raise ShapeError(f"{self.name} has shape {array.shape}; it must be {self.shape_in_words}")
        with np.errstate(all="ignore"):
            return array.astype(self.dtype, copy=False)

    @property
    def shape_in_words(self) -> str:
        """The shape as it is printed, with any size as *."""
        sizes = ["*" if size is None else str(size) for size in self.shape or ()]
        return f"({', '.join(sizes)}{',' * (len(sizes) == 1)})" if self.shape is not None else "of any shape"


@dataclass(frozen=True, eq=False)
class Graph:
    """A network: inputs, arrays and nodes, each after those whose values it reads.

    Attributes
    ----------
    inputs : tuple of Input
    constants : mapping of str to array
    nodes : tuple of Node
    outputs : tuple of str
        The names of the values that the network returns.
    output_names : tuple of str
        What the file calls them; by default the names of the values.

    Raises
    ------
    OptionError
        If a name is unknown or used twice, an operation or a setting is unknown, or a node reads a later one.
    CapacityError
        If there are more nodes or larger arrays than gatewise computes with.
    """

    inputs: tuple[Input, ...]
    constants: Mapping[str, AnyArray]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    output_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.output_names:
            object.__setattr__(self, "output_names", self.outputs)
        if len(self.nodes) > MAX_NODES:
            raise CapacityError(f"a graph of {len(self.nodes):,} nodes is too large; up to {MAX_NODES:,} are allowed")
        numbers = sum(math.prod(array.shape) for array in self.constants.values())
        require_memory(numbers, 8, "the arrays of the graph")
        names = [port.name for port in self.inputs] + list(self.constants)
        known = set(names)
        if len(known) < len(names) or "" in known:
            raise OptionError(f"two values of the graph are named {shown(_twice(names), 60)!r}")
        titles = set[str]()
        for node in self.nodes:
            _require_row(node)
            if node.name in titles:
                raise OptionError(f"two nodes of the graph are named {shown(node.name, 60)!r}")
            titles.add(node.name)
            for name in node.inputs:
                if name and name not in known:
                    reads = {value: each.inputs for each in self.nodes for value in each.outputs}
                    raise OptionError(
                        f"{node.title} reads {shown(name, 60)!r}, {why_unknown(name, node.outputs, reads)}"
                    )
            for name in node.outputs:
                if name in known or not name:
                    raise OptionError(f"two values of the graph are named {shown(name, 60)!r}")
                known.add(name)
        for name in self.outputs:
            if name not in known:
                raise OptionError(f"the graph has no value {shown(name, 60)!r}, which is to be an output")

    @cached_property
    def makers(self) -> Mapping[str, Node]:
        """The node that makes each value."""
        return {name: node for node in self.nodes for name in node.outputs}

    @cached_property
    def layers(self) -> Mapping[str, str]:
        """The last value of each layer of the file."""
        return {node.layer: node.outputs[0] for node in self.nodes if node.layer}

    @cached_property
    def num_parameters(self) -> int:
        """The numbers in its arrays and LSTMs."""
        arrays = sum(array.size for array in self.constants.values())
        return arrays + sum(lstm.num_parameters for lstm in self.lstms.values())

    @cached_property
    def lstms(self) -> Mapping[str, LSTM]:
        """The LSTM of each node that is one, in the order in which they run."""
        return {node.name: node.settings["lstm"] for node in self.nodes if node.op == "lstm"}

    def __str__(self) -> str:
        lines = [f"{port.name}: {port.dtype} {port.shape_in_words}" for port in self.inputs]
        lines += [f"{name} = {array.dtype} {array.shape}" for name, array in self.constants.items()]
        return "\n".join([*lines, *map(str, self.nodes), f"return {', '.join(self.outputs)}"])


def why_unknown(name: str, reader: Collection[str], reads: Mapping[str, Sequence[str]]) -> str:
    """Return why a node cannot read a name that no earlier node makes, as a clause.

    `reader` holds the outputs of that node. `reads` has the inputs of the node behind each value.
    """
    if name not in reads:
        return "which no node makes"
    waiting, visited = [name], set[str]()
    while waiting:
        value = waiting.pop()
        if value in reader:
            return "which depends on its own output: the graph has a circle"
        if value not in visited:
            visited.add(value)
            waiting += [each for each in reads[value] if each in reads]
    return "which a later node makes"


def _twice(names: Sequence[str]) -> str:
    visited = set[str]()
    return next((name for name in names if name in visited or visited.add(name)), "")  # type: ignore[func-returns-value]


def _require_row(node: Node) -> None:
    """Raise OptionError unless the table has the node's operation, and that has the node's settings and inputs."""
    if node.op not in OPERATIONS:
        raise OptionError(f"node {shown(node.name, 60)!r} has the unknown operation {shown(node.op, 60)!r}")
    if not 1 <= len(node.outputs) <= MAX_OUTPUTS:
        raise OptionError(f"{node.title} has {len(node.outputs)} outputs")
    try:
        node.row.require(len(node.inputs), node.settings)
    except TypeError as problem:
        raise OptionError(f"{node.title}: {problem}") from None


def evaluate(node: Node, arrays: Sequence[AnyArray | None], limits: Limits) -> tuple[AnyArray, ...]:
    """Return the outputs of a node for arrays, None where an input is left out.

    Raise ShapeError if the arrays do not fit it, OptionError if the operation is unknown.
    """
    with naming(node, arrays), np.errstate(all="ignore"):
        charge(node, arrays, limits)
        with sharing(limits) if node.row.has_body else nullcontext():
            results = node.row.forward(*arrays, **node.settings)
        return _outputs(node, results)


def record(node: Node, arrays: Sequence[AnyArray | None], limits: Limits) -> tuple[tuple[AnyArray, ...], Any]:
    """Return the outputs of a node that keeps a record, and the record."""
    assert node.row.record is not None
    with naming(node, arrays), np.errstate(all="ignore"):
        charge(node, arrays, limits)
        with sharing(limits) if node.row.has_body else nullcontext():
            results, record = node.row.record(*arrays, **node.settings)
        return _outputs(node, results), record


def charge(node: Node, arrays: Sequence[AnyArray | None], limits: Limits) -> None:
    """Take what a node will need off the limits, before it runs."""
    for place, array in enumerate(arrays):
        if array is None and place < node.row.arity[0] and node.op not in ("choose", "unknown"):
            raise ValueError("it lacks an input")
    cost = node.row.cost(*arrays, **node.settings)
    limits.hold(cost.numbers, 8, node.title)
    limits.work(NODE + cost.steps // STEPS, node.title)


def _outputs(node: Node, results: Any) -> tuple[AnyArray, ...]:
    outputs = tuple(np.asarray(item) for item in (results if isinstance(results, tuple) else (results,)))
    if len(outputs) < len(node.outputs):
        raise ValueError(f"it makes {len(outputs)} values, not {len(node.outputs)}")
    if max(array.ndim for array in outputs) > MAX_AXES:
        raise ValueError(f"it makes more than {MAX_AXES} axes")
    return outputs[: len(node.outputs)]


@contextmanager
def naming(node: Node, arrays: Sequence[AnyArray | None]) -> Iterator[None]:
    """Raise problems of NumPy as an error that names the node and the shapes that it was given."""
    try:
        yield
    except (CapacityError, FileError):
        raise
    except GatewiseError as problem:
        raise type(problem)(f"{node.title}: {problem}") from None
    except MemoryError:
        raise CapacityError(f"{node.title} would take more memory than is available") from None
    except PROBLEMS as problem:
        shapes = ", ".join("-" if array is None else str(array.shape) for array in arrays)
        raise ShapeError(f"{node.title} cannot take arrays of {shown(shapes, 100)}: {reason(problem)}") from None


class Builder:
    """Builds a graph node by node. A node whose inputs are all arrays is computed at once, and becomes an array.

    Parameters
    ----------
    limits : Limits, optional
        What folding may take: the `Budget` of the file that is read.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.inputs: list[Input] = []
        self.constants: dict[str, AnyArray] = {}
        self.nodes: list[Node] = []
        self.limits: Limits = RunLimits(0, 0) if limits is None else limits
        self._layer = ""
        self._taken = {""}
        self._numbers: dict[str, int] = {}

    def fresh(self, stem: str) -> str:
        """Return a name that no value has yet, and take it."""
        name = stem or "value"
        while name in self._taken:
            self._numbers[stem] = self._numbers.get(stem, 0) + 1
            name = f"{stem}_{self._numbers[stem]}"
        self._taken.add(name)
        return name

    @contextmanager
    def layer(self, name: str) -> Iterator[None]:
        """Let the nodes that are added inside belong to a layer of the file; their names begin with its name."""
        outer, self._layer = self._layer, name
        try:
            yield
        finally:
            self._layer = outer

    def input(self, name: str, shape: Sequence[int | None] | None = None, dtype: Any = np.float32) -> str:
        """Add an input, and return its name; OptionError if its shape is none."""
        sizes = [] if shape is None else [size for size in shape if size is not None]
        if any(isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= MAX_SIZE for size in sizes):
            raise OptionError(
                f"the input {shown(name, 60)!r} has the shape {shown(str(shape), 60)}, which is not a shape"
            )
        self.inputs.append(Input(self.fresh(name), None if shape is None else tuple(shape), np.dtype(dtype)))
        return self.inputs[-1].name

    def constant(self, value: Any, name: str = "") -> str:
        """Add an array, and return its name."""
        name = self.fresh(name or (f"{self._layer}.constant" if self._layer else "constant"))
        self.constants[name] = np.asarray(value)
        return name

    def value(self, name: str) -> AnyArray | None:
        """Return the array of a name; None if it is known in a run only, or the name is empty."""
        return self.constants.get(name)

    def add(self, op: str, *inputs: Any, name: str = "", outputs: int = 1, **settings: Any) -> Any:
        """Add a node, and return the name of its output, or a tuple of names if there are several.

        Parameters
        ----------
        op : str
            A key of the table.
        *inputs : str or array
            Names of values, empty if left out; an array becomes a constant.
        name : str
            Of the node and its first output; by default that of the layer, or of the operation.
        outputs : int
        **settings
            Of the operation.

        Raises
        ------
        OptionError
            If the table lacks the operation, or the operation the setting.
        ShapeError
            If it is folded, and the arrays do not fit it.
        """
        label = name or (f"{self._layer}.{op}" if self._layer else op)
        read = tuple(item if isinstance(item, str) else self.constant(item, f"{label}.in") for item in inputs)
        label = self.fresh(label)
        more = ("h", "c") if op == "lstm" else range(1, outputs)
        results = (label, *(self.fresh(f"{label}.{part}") for part in more))
        node = Node(label, op, read, results, settings, self._layer)
        _require_row(node)
        if op not in ("lstm", "unknown") and all(not name or name in self.constants for name in read):
            arrays = evaluate(node, [self.constants.get(name) for name in read], self.limits)
            self.constants |= dict(zip(results, arrays, strict=True))
        else:
            if len(self.nodes) >= MAX_NODES:
                raise CapacityError(f"a graph of more than {MAX_NODES:,} nodes is too large")
            self.nodes.append(node)
        return results[0] if len(results) == 1 else results

    def rename(self, value: str, name: str) -> str:
        """Give a value that was made last another name if that is free; return the name that it has."""
        if name in self._taken:
            return value
        if value in self.constants:
            self.constants[name] = self.constants.pop(value)
        elif self.nodes and self.nodes[-1].outputs[0] == value:
            node = self.nodes[-1]
            outputs = (name, *(name + array[len(value) :] for array in node.outputs[1:]))  # see `add`
            self.nodes[-1] = replace(node, name=name, outputs=outputs)
            self._taken.update(outputs)
        else:
            return value
        self._taken.add(name)
        return name

    def unknown(self, kind: str, why: str, *inputs: str, name: str = "", outputs: int = 1) -> tuple[str, ...]:
        """Add a node that stands for an operation that the table lacks; return the names of its outputs."""
        results = self.add("unknown", *inputs, name=name or kind, outputs=outputs, kind=shown(kind, 60), why=why)
        return (results,) if isinstance(results, str) else tuple(results)

    def graph(self, outputs: Iterable[str], *, names: Iterable[str] = ()) -> Graph:
        """Return the graph of these outputs, without nodes that they do not need.

        `names` are what the file calls the outputs. LSTMs are kept, with what they need, even if no output needs them.
        """
        ends = tuple(outputs)
        needed, remaining = set(ends), list[Node]()
        for node in reversed(self.nodes):
            if node.op == "lstm" or needed & set(node.outputs):
                remaining.append(node)
                needed.update(node.inputs)
        constants = {name: array for name, array in self.constants.items() if name in needed}
        return Graph(tuple(self.inputs), constants, tuple(reversed(remaining)), ends, tuple(names))
