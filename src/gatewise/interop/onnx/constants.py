"""What is constant in an ONNX graph: tensors, and what a few operators make of them, found when asked for.

Names are looked up in the graph itself, then in the graphs around it. An operator is computed with NumPy after the
size of its result is known; all results of a file together may take 64 times the bytes of its constants.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import require_memory
from gatewise.errors import FileError, MissingExtraError, reason

AnyArray = npt.NDArray[Any]
DEEPEST = 100  # how many operators may stand one behind another, and graphs inside one another
NODES = 200_000  # how many nodes are looked at in one file, those of its functions at every call
GROWTH = 64  # how many times the bytes of a file's constants all that is computed from them may take …
LEAST = 2**24  # … or so many bytes, where that is more
TYPES = (
    *("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "BOOL"),
    *("INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "INT64", "UINT64"),
)


class NotConstant(Exception):
    """Something that has no value in the file: half a sentence that says why, after its name."""


def library(name: str) -> Any:
    """Return a module of the package that reads ONNX, or of the one that runs it.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        return import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        extra = "gatewise[onnx]" if package == "onnx" else package
        raise MissingExtraError(
            f'this needs the package {package}, which is not installed: pip install "{extra}"'
        ) from None


class Attributes:
    """The attributes of a node, by name; inside a function those that it takes over from its caller.

    Of the call of a function, `defaults` are those that hold where the caller gives none.
    """

    def __init__(self, node: Any, given: Attributes | None = None, defaults: Iterable[Any] = ()) -> None:
        self._of: dict[str, Any] = {one.name: one for one in defaults}
        for one in node.attribute:
            if not one.ref_attr_name:
                self._of[one.name] = one
            elif given is not None and one.ref_attr_name in given._of:
                self._of[one.name] = given._of[one.ref_attr_name]

    def __contains__(self, name: str) -> bool:
        return name in self._of

    def names(self) -> set[str]:
        """Return the names of all that are given."""
        return set(self._of)

    def get(self, name: str, field: str, default: Any = None) -> Any:
        """Return the attribute that has its value in a field: i, f, s, t, ints, floats, strings."""
        if name not in self._of:
            return default
        one = self._of[name]
        kinds = one.DESCRIPTOR.enum_types_by_name["AttributeType"].values_by_number
        wanted = {"i": "INT", "f": "FLOAT", "s": "STRING", "t": "TENSOR"}.get(field, field.upper())
        if one.type and (one.type not in kinds or kinds[one.type].name != wanted):  # the oldest files give no type
            raise NotConstant(f"its attribute {name} is not of type {wanted}")
        value = getattr(one, field)
        return list(value) if field.endswith("s") and field != "s" else value

    def graphs(self) -> list[tuple[str, Any]]:
        """Return the graphs among them, by name."""
        found = []
        for name, one in self._of.items():
            if one.HasField("g"):
                found.append((name, one.g))
            found += [(f"{name}[{number}]", graph) for number, graph in enumerate(one.graphs)]
        return found


class File:
    """What all graphs of one file share.

    Parameters
    ----------
    model : onnx.ModelProto
    path : path, optional
        Where it lies: tensors that lie outside it are looked for beside it.
    omitted : mapping of str to array
        Values of the model's inputs, by name.
    """

    def __init__(self, model: Any, path: str | os.PathLike[str] | None, omitted: Mapping[str, AnyArray]) -> None:
        self.onnx: Any = library("onnx")
        self.numpy_helper = library("onnx.numpy_helper")
        self.model, self.omitted = model, omitted
        self.beside = None if path is None else Path(os.path.abspath(path)).parent
        self._functions = {(one.domain, one.name, one.overload): one for one in model.functions}
        versions = [one.version for one in model.opset_import if one.domain in ("", "ai.onnx")]
        self.opset = int(versions[0]) if versions else 1
        self._visits, self._outside = 0, set[str]()
        self._left = max(LEAST, GROWTH * (model.ByteSize() + sum(one.nbytes for one in omitted.values())))
        self._types = {
            number: np.dtype(self.onnx.helper.tensor_dtype_to_np_dtype(number))
            for number in (getattr(self.onnx.TensorProto, name) for name in TYPES)
        }

    def visit(self, nodes: int) -> None:
        """Count nodes that are going to be looked at."""
        self._visits += nodes
        if self._visits > NODES:
            raise FileError(f"it has more than {NODES:,} nodes, those of its functions counted at every call")

    def function(self, node: Any) -> Any | None:
        """Return the function of the file that a node calls, if it calls one."""
        domain = "" if node.domain == "ai.onnx" else node.domain
        return self._functions.get((domain, node.op_type, node.overload))

    def dtype(self, number: int) -> np.dtype[Any]:
        """Return ONNX's type of that number as NumPy's."""
        if number not in self._types:
            raise NotConstant(f"it is of ONNX's type {number}, which is not read")
        found: np.dtype[Any] = self._types[number]
        return found

    def spend(self, count: int, itemsize: int) -> None:
        """Take so many numbers off what the file may take in all."""
        self._left -= count * itemsize
        if self._left < 0:
            raise NotConstant(f"its constants would grow to more than {GROWTH} times the file")
        require_memory(count, itemsize, "a constant of the ONNX file")

    def array(self, tensor: Any) -> AnyArray:
        """Return a tensor of the file, read-only where it lies in the file as it is."""
        dims, dtype = tuple(tensor.dims), self.dtype(tensor.data_type)
        if any(one < 0 for one in dims) or len(dims) > 32:
            raise NotConstant(f"its dimensions {dims[:8]} are not allowed")
        count = math.prod(dims)
        # Older versions of the package call bfloat16 float32, whose numbers it makes of it.
        itemsize = 2 if tensor.data_type == self.onnx.TensorProto.BFLOAT16 else dtype.itemsize
        if tensor.data_location == self.onnx.TensorProto.EXTERNAL:
            return self._external(tensor, count * itemsize)
        if tensor.HasField("raw_data") and len(tensor.raw_data) != count * itemsize:
            raise NotConstant(
                f"its shape {dims} of {dtype} takes {count * itemsize} bytes; the file has {len(tensor.raw_data)}"
            )
        return self._to_array(tensor, "")

    def _external(self, tensor: Any, needed: int) -> AnyArray:
        """Return a tensor whose numbers lie in a file beside the model; the onnx package refuses ways out of there."""
        if self.beside is None:
            raise NotConstant("its numbers lie in another file; read the model from its path")
        copy = self.onnx.TensorProto()
        copy.CopyFrom(tensor)
        given = {one.key: one.value for one in tensor.external_data}
        location, length = given.get("location", ""), given.get("length", str(needed))
        if length != str(needed):
            raise NotConstant(f"its shape takes {needed} bytes; {length[:20]} are given in {location!r}")
        require_memory(needed, 1, "a tensor beside the ONNX file")
        del copy.external_data[:]
        for key, value in {**given, "length": length}.items():
            copy.external_data.add(key=key, value=value)
        try:
            size = os.stat(self.beside / location).st_size if location else -1
        except (OSError, ValueError):
            size = -1
        if size < needed:
            raise NotConstant(f"its numbers lie in {location!r} beside the file, which is not there or too short")
        if location not in self._outside:  # its bytes are constants of the file as well
            self._outside.add(location)
            self._left += GROWTH * size
        return self._to_array(copy, str(self.beside))

    def _to_array(self, tensor: Any, folder: str) -> AnyArray:
        try:
            found: AnyArray = self.numpy_helper.to_array(tensor, folder)
        except (ValueError, TypeError, OSError, RuntimeError, OverflowError, self.onnx.checker.ValidationError) as one:
            raise NotConstant(f"its numbers cannot be read ({reason(one)})") from None
        return found


class Scope:
    """The names of one graph, or of one call of a function.

    Parameters
    ----------
    file : File
    nodes, initializers : sequence of protos
    inputs : iterable of str
        Names that come from outside.
    sparse : iterable of str
        Names of initializers that are sparse, which are not read.
    parent : Scope, optional
        The graph around it.
    bound : mapping, optional
        What a function's inputs are called where it is called: (scope, name).
    attributes : Attributes, optional
        What a function is called with.
    way : tuple of str
        How one gets here from the main graph.
    carried : mapping of str to str, optional
        Of the body of a Scan: which of its outputs each state that comes in is at the next step.
    backward : bool
        Of the body of a Scan: whether it goes through its sequence from the end.
    """

    def __init__(
        self,
        file: File,
        nodes: Sequence[Any],
        initializers: Iterable[Any] = (),
        inputs: Iterable[str] = (),
        sparse: Iterable[str] = (),
        parent: Scope | None = None,
        bound: Mapping[str, tuple[Scope, str]] | None = None,
        attributes: Attributes | None = None,
        way: tuple[str, ...] = (),
        carried: Mapping[str, str] | None = None,
        backward: bool = False,
    ) -> None:
        self.file, self.parent, self.way, self.attributes, self.nodes = file, parent, way, attributes, nodes
        self.carried, self.backward = dict(carried or {}), backward
        self.inputs, self.sparse, self.bound = set(inputs), set(sparse), dict(bound or {})
        self.held = {one.name: one for one in initializers}
        self.made = {name: (node, place) for node in nodes for place, name in enumerate(node.output) if name}
        self._known: dict[str, AnyArray | NotConstant | None] = {}  # None: being asked for

    def owner(self, name: str) -> tuple[Scope, str]:
        """Return the scope that a name belongs to, and what it is called there."""
        scope: Scope | None = self
        for _ in range(2 * DEEPEST):
            if scope is None:
                raise NotConstant(f"there is nothing of the name {name!r}")
            if name in scope.bound:
                scope, name = scope.bound[name]
            elif any(name in names for names in (scope.held, scope.made, scope.inputs, scope.sparse)):
                return scope, name
            else:
                scope = scope.parent
        raise NotConstant(f"the name {name!r} is nested too deeply")

    def source(self, name: str) -> tuple[Scope, Any, int] | None:
        """Return the node that makes a name, with its scope and the place of the output, if one does."""
        try:
            scope, name = self.owner(name)
        except NotConstant:
            return None
        return (scope, *scope.made[name]) if name in scope.made and name not in scope.held else None

    def value(self, name: str, depth: int = 0) -> AnyArray:
        """Return the value of a name.

        Raises
        ------
        NotConstant
            If it has none in the file.
        """
        scope, name = self.owner(name)
        if depth > DEEPEST:
            raise NotConstant(f"it is made in more than {DEEPEST} steps")
        if name in scope._known:
            known = scope._known[name]
            if known is None:
                raise NotConstant(f"{name!r} is made of itself")
            if isinstance(known, NotConstant):
                raise NotConstant(*known.args)
            return known
        scope._known[name] = None
        try:
            found = scope._found(name, depth)
        except NotConstant as problem:
            scope._known[name] = problem
            raise
        scope._known[name] = found
        return found

    def _found(self, name: str, depth: int) -> AnyArray:
        if self.parent is None and name in self.inputs and name in self.file.omitted:
            return self.file.omitted[name]
        if name in self.held:
            return self.file.array(self.held[name])
        if name in self.sparse:
            raise NotConstant(f"it is sparse ({name!r}), which is not read")
        if name not in self.made:
            raise NotConstant(f"it comes from the input {name!r}")
        node, place = self.made[name]
        if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
            raise NotConstant(f"it comes from a node {node.op_type} ({node.name or name!r})")
        inputs = [self.value(one, depth + 1) if one else None for one in node.input]
        try:
            return OPERATORS[node.op_type](Call(self.file, node, Attributes(node, self.attributes), inputs, place))
        except (ValueError, IndexError, TypeError, OverflowError) as problem:
            raise NotConstant(f"{node.op_type} cannot be computed ({reason(problem)})") from None


class Call:
    """One operator with the values that it is given."""

    def __init__(
        self, file: File, node: Any, attributes: Attributes, inputs: list[AnyArray | None], place: int
    ) -> None:
        self.file, self.node, self.attributes, self.inputs, self.place = file, node, attributes, inputs, place

    def input(self, number: int) -> AnyArray:
        """Return an input that must be there."""
        if number >= len(self.inputs) or (found := self.inputs[number]) is None:
            raise NotConstant(f"{self.node.op_type} lacks its input {number}")
        return found

    def ints(self, attribute: str, number: int, default: list[int] | None = None) -> list[int] | None:
        """Return whole numbers that are an attribute in older opsets, and an input in newer ones."""
        if attribute in self.attributes:
            found: list[int] = self.attributes.get(attribute, "ints")
            return found
        if number < len(self.inputs) and (array := self.inputs[number]) is not None:
            if array.dtype.kind not in "iu" or array.size > 1024:
                raise NotConstant(f"{self.node.op_type} is given {attribute} of type {array.dtype}")
            return [int(one) for one in array.reshape(-1)]
        return default

    def room(self, count: int, itemsize: int) -> None:
        """Ask for the memory that the result takes."""
        self.file.spend(count, itemsize)


def _constant(call: Call) -> AnyArray:
    get = call.attributes.get
    if "value" in call.attributes:
        return call.file.array(get("value", "t"))
    for name, field, dtype in (
        *(("value_float", "f", np.float32), ("value_floats", "floats", np.float32)),
        *(("value_int", "i", np.int64), ("value_ints", "ints", np.int64)),
    ):
        if name in call.attributes:
            return np.asarray(get(name, field), dtype)
    raise NotConstant(f"it is a Constant with {', '.join(sorted(call.attributes.names())) or 'no value'}")


def _squeeze(call: Call) -> AnyArray:
    axes = call.ints("axes", 1)
    return np.squeeze(call.input(0), None if axes is None else tuple(axes))


def _unsqueeze(call: Call) -> AnyArray:
    axes = call.ints("axes", 1) or []
    return np.expand_dims(call.input(0), tuple(axes))


def _reshape(call: Call) -> AnyArray:
    array, shape = call.input(0), call.ints("shape", 1)
    if shape is None:
        raise NotConstant("Reshape lacks its shape")
    if not call.attributes.get("allowzero", "i", 0):
        shape = [array.shape[place] if one == 0 else one for place, one in enumerate(shape)]
    call.room(array.size, array.itemsize)
    return array.reshape(shape)


def _transpose(call: Call) -> AnyArray:
    return np.transpose(call.input(0), call.attributes.get("perm", "ints"))


def _slice(call: Call) -> AnyArray:
    array = call.input(0)
    starts, ends = call.ints("starts", 1), call.ints("ends", 2)
    if starts is None or ends is None or len(starts) != len(ends):
        raise NotConstant("Slice lacks its bounds")
    axes = call.ints("axes", 3) or list(range(len(starts)))
    steps = call.ints("steps", 4) or [1] * len(starts)
    where = [slice(None)] * array.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        where[axis] = slice(start, end, step)
    return array[tuple(where)]


def _split(call: Call) -> AnyArray:
    array, axis = call.input(0), call.attributes.get("axis", "i", 0)
    length, parts = array.shape[axis], call.ints("split", 1)
    if parts is None:
        count = call.attributes.get("num_outputs", "i", len(call.node.output))
        if not 0 < count <= len(call.node.output):
            raise NotConstant(f"Split has {len(call.node.output)} outputs, and says that there are {count}")
        each = -(-length // count)
        parts = [each] * (count - 1) + [length - each * (count - 1)]
    if sum(parts) != length or min(parts) < 0:
        raise NotConstant(f"Split cannot cut {length} into {parts[:8]}")
    start = sum(parts[: call.place])
    return np.moveaxis(np.moveaxis(array, axis, 0)[start : start + parts[call.place]], 0, axis)


def _concat(call: Call) -> AnyArray:
    arrays = [call.input(number) for number in range(len(call.inputs))]
    call.room(sum(one.size for one in arrays), max(one.itemsize for one in arrays))
    if len({one.dtype for one in arrays}) > 1:
        raise NotConstant("Concat is given several types")
    return np.concatenate(arrays, call.attributes.get("axis", "i", 1))


def _cast(call: Call) -> AnyArray:
    dtype, array = call.file.dtype(call.attributes.get("to", "i", 0)), call.input(0)
    call.room(array.size, dtype.itemsize)
    with np.errstate(all="ignore"):
        return array.astype(dtype)


def _expand(call: Call) -> AnyArray:
    array, wanted = call.input(0), call.ints("shape", 1) or []
    shape = np.broadcast_shapes(array.shape, tuple(wanted)) if all(one >= 0 for one in wanted) else ()
    call.room(math.prod(shape), array.itemsize)
    return np.broadcast_to(array, shape)


def _constant_of_shape(call: Call) -> AnyArray:
    shape = call.ints("shape", 0) or []
    value = np.zeros(1, np.float32)
    if "value" in call.attributes:
        value = call.file.array(call.attributes.get("value", "t"))
    if any(one < 0 for one in shape) or value.size != 1:
        raise NotConstant("ConstantOfShape is given what it does not allow")
    call.room(math.prod(shape), value.itemsize)
    return np.full(shape, value.reshape(-1)[0], value.dtype)


OPERATORS: dict[str, Callable[[Call], AnyArray]] = {
    "Constant": _constant,
    "Identity": lambda call: call.input(0),
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Slice": _slice,
    "Split": _split,
    "Concat": _concat,
    "Cast": _cast,
    "Expand": _expand,
    "ConstantOfShape": _constant_of_shape,
}
