"""Programs of torch.export as graphs: their names, and one operator as the table of ATen's operators reads it.

A program states the type and the shape of every value. So each operand is cast as ATen promotes it, and the sizes that
an export fixed stay fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gatewise.errors import FileError, OptionError, ShapeError, shown
from gatewise.files.budget import Budget, HostileFileError
from gatewise.interop.containers.tensors import Tensor
from gatewise.interop.refusals import reading
from gatewise.interop.torch.program_graph import DTYPES, GRAPH, at, list_at
from gatewise.layers import LSTM
from gatewise.network.graph import Builder, Graph, Unsupported, why_unknown

# The errors that a document raises if it lies.
MALFORMED = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, StopIteration)
MAX_DEPTH = 20  # of blocks within blocks
NO_GRAD = "higher_order.wrap_with_set_grad_enabled"
# Arguments that change no number of a network that is not being trained.
WITHOUT_EFFECT = {
    *("device", "pin_memory", "layout", "memory_format", "non_blocking", "copy", "cudnn_enable", "cudnn_enabled"),
    *("p", "momentum", "has_biases", "dropout", "padding_idx", "scale_grad_by_freq", "sparse", "implicit"),
}
CHECKS = ("_assert", "sym_constrain", "_operator.")  # operators without outputs, which only check sizes

# Operators whose output may share its numbers with their first input; and those whose output is that very tensor.
VIEWS = {
    *("view", "reshape", "_unsafe_view", "view_as", "flatten", "unflatten", "permute", "transpose", "swapaxes"),
    *("swapdims", "t", "numpy_T", "unsqueeze", "squeeze", "select", "slice", "expand", "expand_as", "chunk", "split"),
    *("split_with_sizes", "unbind", "contiguous", "to", "type_as", "dropout", "feature_dropout", "detach", "alias"),
}
SAME = {"detach", "detach_", "alias"}

Value = str  # the name of a value in the builder
Row = Callable[["OperatorNode"], Any]


class Word(str):
    """A text among arguments, which is no name of a value."""


class ProgramReader:
    """Reads one program into a builder; `names` has the values of the program's names."""

    def __init__(self, weights: Mapping[str, Tensor], budget: Budget) -> None:
        self.weights, self.budget, self.build = weights, budget, Builder(budget)
        self.names: dict[str, Value] = {}
        self.stored: dict[str, str] = {}  # the name of the tensor behind a name that nothing has read yet
        self.dtypes: dict[str, str] = {}  # of the program's tensors, by their names
        self.shapes: dict[str, tuple[int | None, ...]] = {}  # of these, None where an axis is free
        self.same: dict[str, str] = {}  # of a name of the very tensor that another name has, that name
        self.sharing: dict[str, set[str]] = {}  # of a tensor that may share its numbers with others, all of these
        self.zeros: set[Value] = set()  # the values that are zeros of a size known in a run only
        self.lstms: dict[tuple[Value, ...], LSTM] = {}

    def graph(self, document: Any) -> Graph:
        """Return the graph of a program; FileError if the document is not one."""
        try:
            module = document["graph_module"]
            values = at(module, "graph", "tensor_values") or {}
            for spec in module["signature"]["input_specs"]:
                self._add_input(spec, values)
            self.read(module["graph"])
            specs = module["signature"]["output_specs"]
            if changed := next((kind for spec in specs for kind in spec if kind != "user_output"), None):
                raise FileError(f"it has an output of the kind {shown(changed, 40)}: it changes its buffers or inputs")
            return self.build.graph(self.value(spec["user_output"]["arg"]["as_tensor"]["name"]) for spec in specs)
        except MALFORMED as problem:
            raise FileError(f"its program is not one of torch.export: {shown(repr(problem), 80)}") from None

    def _add_input(self, spec: Any, values: Mapping[str, Any]) -> None:
        ((kind, about),) = spec.items()
        if kind == "user_input" and "as_tensor" in about["arg"]:
            name = about["arg"]["as_tensor"]["name"]
            sizes, dtype = at(values.get(name), "sizes"), DTYPES.get(at(values.get(name), "dtype"), "float32")
            if dtype == "bfloat16":
                raise FileError(f"its input {shown(name, 60)!r} is bfloat16, which NumPy does not have")
            shape = None if sizes is None else [size.get("as_int") for size in sizes]
            self.names[name] = self.build.input(name, shape, dtype)
        elif kind in ("parameter", "buffer", "tensor_constant"):
            stored, name = about[f"{kind}_name"], about["arg"]["name"]
            if stored not in self.weights:
                raise FileError(f"it has no tensor {shown(stored, 60)!r}, which its program reads")
            self.stored[name] = stored
        elif kind != "constant_input" and not (kind == "user_input" and "as_tensor" not in about["arg"]):
            raise FileError(f"it takes a {shown(kind, 40)}, which is not supported")

    def read(self, graph: Any, depth: int = 0) -> None:
        """Read the nodes of a graph, each after those whose outputs it reads."""
        if depth > MAX_DEPTH:
            raise FileError(f"its blocks are nested more than {MAX_DEPTH} deep")
        for name, about in (at(graph, "tensor_values") or {}).items():
            if (dtype := DTYPES.get(at(about, "dtype"))) is not None:
                self.dtypes[name] = dtype
            self.shapes[name] = tuple(size.get("as_int") for size in list_at(about, "sizes"))
        self._require_order(graph)
        for node in graph["nodes"]:
            self.budget.work(1 + len(node["inputs"]), GRAPH)
            target = node["target"].removeprefix("torch.ops.").removeprefix("aten.")
            outputs = [name for output in node["outputs"] for name in names_in(output)]
            if not outputs and target.startswith(CHECKS):
                continue
            if target == NO_GRAD:
                self._read_block(node, outputs, depth)
                continue
            module = module_path(at(node, "metadata", "nn_module_stack"))
            if module:
                with self.build.layer(module):
                    values = self._values(node, target, outputs, module)
            else:
                values = self._values(node, target, outputs, module)
            if is_in_place(target):
                self._write(node, outputs, values[0], depth)
                continue
            self.names |= zip(outputs, values, strict=False)
            kind = target.partition(".")[0]
            if kind in VIEWS or kind not in TABLE:
                self._share([*names_in(node["inputs"][0]["arg"]), *outputs] if node["inputs"] else outputs)
            if kind in SAME:
                self.same[outputs[0]] = self._first(node["inputs"][0]["arg"])

    def _require_order(self, graph: Any) -> None:
        """Raise HostileFileError unless each name is made once, by a node before those that read it."""
        reads: dict[str, list[str]] = {}
        for node in graph["nodes"]:
            inputs = [name for argument in node["inputs"] for name in names_in(argument["arg"])]
            for name in (name for output in node["outputs"] for name in names_in(output)):
                if name in reads:
                    raise HostileFileError(f"it has two values named {shown(name, 60)!r}")
                reads[name] = inputs
        made = set[str]()
        for node in graph["nodes"]:
            outputs = [name for output in node["outputs"] for name in names_in(output)]
            for name in (name for argument in node["inputs"] for name in names_in(argument["arg"])):
                if name in reads and name not in made:
                    why = why_unknown(name, outputs, reads)
                    raise HostileFileError(f"its {shown(node['target'], 60)} reads {shown(name, 60)!r}, {why}")
            made.update(outputs)

    def _first(self, argument: Any) -> str:
        """Return the first name of a tensor among an argument: of several that the very tensor has, the first."""
        name = next(iter(names_in(argument)), "")
        return self.same.get(name, name)

    def _share(self, names: Sequence[str]) -> None:
        """Note that tensors may share their numbers."""
        groups = sorted({id(group): group for name in names if (group := self.sharing.get(name))}.values(), key=len)
        largest = groups.pop() if groups else set[str]()
        for group in groups:
            self.budget.work(len(group), GRAPH)
            self.sharing |= dict.fromkeys(group, largest)
            largest |= group
        self.sharing |= dict.fromkeys(names, largest)
        largest.update(names)

    def _write(self, node: Any, outputs: Sequence[str], value: Value, depth: int) -> None:
        """Give a tensor that an operator changes its new value; others that share its numbers become unknown."""
        target = node["target"].removeprefix("torch.ops.").removeprefix("aten.")
        if depth:
            raise FileError(f"its {shown(target, 60)} changes a value in place within a block")
        name = self._first(node["inputs"][0]["arg"])
        sharing = self.sharing.get(name, set())
        self.budget.work(len(sharing), GRAPH)
        for other in sharing:
            if self.same.get(other, other) != name:
                why = f"it changes {shown(name, 60)} in place, which shares its numbers with {shown(other, 60)}"
                (self.names[other],) = self.build.unknown(target, why, value)
        self.names[name] = value
        for other in outputs:
            self.same[other] = name
            self._share([name, other])

    def _read_block(self, node: Any, outputs: Sequence[str], depth: int) -> None:
        """Read a block under torch.no_grad(), whose names are its own."""
        arguments = [argument["arg"] for argument in node["inputs"]]
        inner = next(argument["as_graph"]["graph"] for argument in arguments if "as_graph" in argument)
        sources = [argument["as_tensor"]["name"] for argument in arguments if "as_tensor" in argument]
        inputs = [self.value(name) for name in sources]
        outside = self.names, self.same, self.sharing, self.dtypes, self.shapes
        self.names = {**self.names, **zip_names((name for port in inner["inputs"] for name in names_in(port)), inputs)}
        self.same, self.sharing, self.dtypes, self.shapes = {}, {}, {}, {}
        self.read(inner, depth + 1)
        outputs_inside = [self.value(name) for port in inner["outputs"] for name in names_in(port)]
        self.names, self.same, self.sharing, self.dtypes, self.shapes = outside
        self.names |= zip_names(outputs, outputs_inside)
        self._share([*sources, *outputs])

    def _values(self, node: Any, target: str, outputs: Sequence[str], module: str) -> Sequence[Value]:
        """Return the values of a node's outputs; those that cannot be expressed are unknown."""
        kind = target if target.startswith("_operator") else target.rpartition(".")[0] or target
        try:
            if kind not in TABLE:
                raise Unsupported("gatewise does not know the operator")
            call = OperatorNode(self, node, kind, outputs, module)
            values = TABLE[kind](call)
            call.require_read()
        except (Unsupported, OptionError, ShapeError) as problem:
            inputs = [self.value(name) for argument in node["inputs"] for name in names_in(argument["arg"])]
            return self.build.unknown(target, str(problem), *inputs, outputs=max(1, len(outputs)))
        return [values] if isinstance(values, str) else values

    def value(self, name: str) -> Value:
        """Return the value of a name in the program; a weight becomes a constant when it is first read."""
        name = self.same.get(name, name)
        if name not in self.names and name in self.stored:
            stored = self.stored[name]
            tensor = self.weights[stored]
            with reading(f"its tensor {shown(stored, 60)!r}", FileError):
                array = tensor.stored_array()
            boolean = self.dtypes.get(name) == "bool"
            self.names[name] = self.build.constant(array.astype(bool) if boolean else array, stored)
        return self.names[name]

    def argument(self, described: Mapping[str, Any]) -> Any:
        """Return an argument: a number, a truth value, a text, the name of a value, None, or a list of these."""
        ((kind, value),) = described.items()
        if kind == "as_tensor":
            return self.value(value["name"])
        if kind in ("as_sym_int", "as_sym_float", "as_sym_bool"):
            return self._symbolic(value)
        if kind == "as_tensors":
            return [self.value(item["name"]) for item in value]
        if kind == "as_optional_tensors":
            return [self.value(item["as_tensor"]["name"]) if "as_tensor" in item else None for item in value]
        if kind == "as_sym_ints":
            return [self._symbolic(item) for item in value]
        if kind == "as_float":
            return float(value)  # which may be the text Infinity or NaN
        if kind == "as_string":
            return Word(value)
        if kind == "as_scalar_type":
            return Word(DTYPES.get(value, "an unknown type"))
        return None if kind == "as_none" else value

    def _symbolic(self, value: Mapping[str, Any]) -> Any:
        return self.value(value["as_name"]) if "as_name" in value else next(iter(value.values()))


def is_in_place(target: str) -> bool:
    """Say whether an operator changes its first input: ``add_``, ``fill_``, ``__iand__`` and others."""
    kind = target.partition(".")[0]
    return kind != "detach_" and (kind.startswith("__i") if kind.endswith("__") else kind.endswith("_"))


def zip_names(names: Any, values: Sequence[Value]) -> dict[str, Value]:
    """Return values by names, as many as both have."""
    return dict(zip(names, values, strict=False))


def names_in(argument: Any) -> list[str]:
    """Return the names of the tensors and sizes in an argument or an output."""
    ((kind, value),) = argument.items()
    if kind in ("as_tensors", "as_sym_ints", "as_optional_tensors"):
        parts = [part.get("as_tensor", part) if isinstance(part, dict) else {} for part in value]
        return [name for part in parts if isinstance(name := part.get("name", part.get("as_name")), str)]
    name = value.get("name", value.get("as_name")) if isinstance(value, dict) else None
    return [name] if isinstance(name, str) and kind != "as_graph" else []


def module_path(stack: Any) -> str:
    """Return the path of the innermost module in the stack that a node's metadata have; empty if there is none."""
    last = stack.rpartition(";")[2].split(",") if isinstance(stack, str) else []
    return str(last[1]) if len(last) > 2 else ""


class OperatorNode:
    """One node: its arguments by their names, each of which is read or refused."""

    def __init__(self, reader: ProgramReader, node: Any, kind: str, outputs: Sequence[str], module: str) -> None:
        self.reader, self.build, self.kind, self.outputs, self.module = reader, reader.build, kind, outputs, module
        self.arguments = {argument["name"]: reader.argument(argument["arg"]) for argument in node["inputs"]}
        self.described = {argument["name"]: names_in(argument["arg"]) for argument in node["inputs"]}
        self.known = set(WITHOUT_EFFECT)

    def get(self, name: str, default: Any = None) -> Any:
        """Return an argument; the default if it is missing or None."""
        self.known.add(name)
        value = self.arguments.get(name)
        return default if value is None else value

    def needed(self, name: str) -> Any:
        """Return an argument that must be there."""
        value = self.get(name)
        if value is None:
            raise Unsupported(f"it lacks {name}")
        return value

    @property
    def x(self) -> Value:
        """The first argument, which ATen calls self or input."""
        return str(self.needed("input" if "input" in self.arguments else "self"))

    def flag(self, name: str) -> bool:
        """Return an argument that is true or false; false if it is missing."""
        return bool(self.get(name, False))

    def require_read(self) -> None:
        """Refuse a node with an argument that nothing has read."""
        for name, value in self.arguments.items():
            if name not in self.known and value is not None:
                raise Unsupported(f"gatewise does not know its argument {name!r}")

    def add(self, op: str, *inputs: Any, **settings: Any) -> Any:
        """Add a node to the graph."""
        return self.build.add(op, *inputs, **settings)

    def dtype(self, name: str) -> str | None:
        """Return the type of a tensor among the arguments; None if it is none."""
        described = self.described.get(name) or [""]
        return self.reader.dtypes.get(described[0])

    def shape(self, name: str) -> tuple[int | None, ...] | None:
        """Return the sizes of a tensor among the arguments, None where one is free; None if they are unknown."""
        described = self.described.get(name) or [""]
        return self.reader.shapes.get(described[0])

    @property
    def output_dtype(self) -> str:
        """The type of the first output, as the program states it."""
        if self.outputs[0] not in self.reader.dtypes:
            raise Unsupported("the program does not state the type of its output")
        return self.reader.dtypes[self.outputs[0]]

    def operand(self, name: str, dtype: str) -> Any:
        """Return an argument, a number or a value, in a type."""
        value = self.needed(name)
        if not isinstance(value, str):
            return np.asarray(value, dtype)
        return value if self.dtype(name) in (None, dtype) else self.add("cast", value, dtype=dtype)

    def operands(self) -> tuple[Any, Any]:
        """Return `self` and `other` in the type in which ATen combines them."""
        kinds = [self.dtype("self"), self.dtype("other")]
        if self.output_dtype != "bool":
            dtype = self.output_dtype
        else:  # a comparison, in the type of its tensors; of a tensor and a number, of the tensor
            tensors = [kind for kind in kinds if kind is not None]
            integers = all(not isinstance(self.arguments.get(name), float) for name in ("self", "other"))
            dtype = str(np.result_type(*tensors)) if tensors else "int64"
            if np.dtype(dtype).kind != "f" and not integers:
                dtype = "float32"
        return self.operand("self", dtype), self.operand("other", dtype)

    def axes(self, name: str = "dim") -> tuple[int, ...] | None:
        """Return one axis or several; None if no axis is given."""
        value = self.get(name)
        return None if value is None or value == [] else tuple(np.ravel(value).tolist())

    def sizes(self, sizes: Sequence[Any]) -> Any:
        """Return sizes as an array, or as a value if some are known in a run only."""
        if not any(isinstance(size, str) for size in sizes):
            return np.array(sizes, np.int64)
        scalar = np.array([1], np.int64)
        parts = [self.add("reshape", s, scalar) if isinstance(s, str) else np.array([s], np.int64) for s in sizes]
        return self.add("concat", *parts, axis=0)

    def spatial(self, name: str, rank: int, default: int) -> tuple[int, ...]:
        """Return an argument that has one number for each spatial axis, or one for all."""
        value = self.get(name)
        return tuple(np.broadcast_to(default if value in (None, []) else value, rank).tolist())

    def pad_last(self, x: Value, pads: Sequence[int], value: Any = None, mode: str = "constant") -> Value:
        """Return `x` with more before and after its last axes, given in ATen's order: the last axis first."""
        if not any(pads):
            return x
        rank = self.add("shape", self.add("shape", x))
        rest = self.add("fill", self.add("sub", rank, np.array([len(pads) // 2])), np.array(0))
        before, after = (np.array(pads[place::2][::-1], np.int64) for place in (0, 1))
        filling = [] if value is None else [np.asarray(value)]
        return str(self.add("pad", x, self.add("concat", rest, before, rest, after, axis=0), *filling, mode=mode))


TABLE: dict[str, Row] = {}


def reads(*kinds: str) -> Callable[[Row], Row]:
    """Add a row for these operators."""

    def add(row: Row) -> Row:
        TABLE.update(dict.fromkeys(kinds, row))
        return row

    return add
