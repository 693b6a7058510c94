"""The state of a reader that follows the code of TorchScript: the graph so far, and the objects of the file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gatewise.errors import FileError, shown
from gatewise.files.budget import Budget
from gatewise.interop.containers.pickles import PickledObject, full_name
from gatewise.interop.containers.tensors import Tensor
from gatewise.interop.refusals import reading
from gatewise.interop.torch.program_reader import Word
from gatewise.interop.torch.script_source import Place, ScriptSource
from gatewise.interop.torch.script_values import Memory, RunSize, ScriptModule, ScriptTensor, Value
from gatewise.layers import LSTM
from gatewise.network.graph import Unsupported
from gatewise.network.value_types import SizeOfAxis, TypedBuilder, ValueType, number_of

MAX_DEPTH = 40  # of calls within calls, and lists within lists
MAX_ITEMS = 10_000  # of a list
STEP = 8  # microseconds that an expression takes, at most
OPERATOR = 120  # and an operator
PIECE = 64  # expressions that are charged at once
FOLLOWING = "following its code"
WRAPPERS = ("restore_type_tag", "build_intlist", "build_doublelist", "build_boollist", "build_tensorlist")


class Mismatch(Exception):
    """What does not fit the ranks that inputs are taken to have; the text says where."""


class KeepsState(FileError):
    """The code changes a tensor of the file, which the next call would read."""


class WholeNumbers(Exception):
    """An input that was taken to hold floating-point numbers holds whole ones: it is read as places."""


class ValueDtypes:
    """The types of the graph's values by their names, as the rows of the table ask for them."""

    def __init__(self, build: TypedBuilder) -> None:
        self.build = build

    def get(self, name: str) -> str | None:
        """Return the type of a value; None if it is not known."""
        return self.build.types[name].dtype


class ScriptState:
    """The graph so far, and what the file holds; `describe` returns the tensor of an object in its pickle."""

    def __init__(
        self,
        source: ScriptSource,
        describe: Callable[[PickledObject], Tensor | None],
        constants: Any,
        budget: Budget,
    ) -> None:
        self.source, self.describe, self.constants, self.budget = source, describe, constants, budget
        self.build = TypedBuilder(budget)
        self.dtypes = ValueDtypes(self.build)
        self.place = Place("its code", 1)
        self.zeros: set[str] = set()  # the values that are zeros of a size known in a run only
        self.sizes: set[str] = set()  # the values that are single sizes
        self.lstms: dict[tuple[str, ...], LSTM] = {}
        self.attributes: dict[tuple[str, str], Value] = {}
        self.stored: dict[Any, ScriptTensor] = {}  # tensors of the file, by their place in it
        self.steps = self.depth = self.changes = 0

    def plain(self, value: Value) -> Any:
        """Return a value as a row of the table takes it."""
        if isinstance(value, ScriptTensor):
            return self.value_of(value)
        if isinstance(value, RunSize):
            return value.value
        if isinstance(value, (list, tuple)):
            return [self.plain(entry) for entry in value]
        if isinstance(value, str):
            return value if isinstance(value, Word) else Word(value)
        if value is None or isinstance(value, (bool, int, float)):
            return value
        raise Unsupported("one of its arguments is known in a run only, or is no tensor and no number")

    def value_of(self, tensor: ScriptTensor) -> str:
        """Return the value in the graph that a tensor has; refuse one that was changed through another."""
        if tensor.is_stale:
            raise self.refusal("it reads a tensor that was changed in place through another one")
        return tensor.value

    def refusal(self, why: str) -> FileError:
        """Return the error that the code at hand cannot be followed."""
        return FileError(f"{self.place}: {why}")

    def charge(self) -> None:
        """Take one expression off the budget."""
        self.steps += 1
        if self.steps % PIECE == 0:
            self.budget.work(PIECE * STEP, f"{FOLLOWING} ({self.place})")

    def attribute(self, module: ScriptModule, name: str) -> Value:
        """Return an attribute of a module."""
        key = module.path, name
        if key not in self.attributes:
            state: dict[Any, Any] = module.node.state if isinstance(module.node.state, dict) else {}
            kind = full_name(module.node)
            if name in state:
                outcome = self.stored_value(state[name], f"{module.path}.{name}".removeprefix("."))
            elif name in (constants := self.source.constants(kind)):
                outcome = constants[name]
            else:
                raise self.refusal(f"{shown(module.path or 'the module', 60)} has no {shown(name, 60)}")
            self.attributes[key] = outcome
        return self.attributes[key]

    def stored_value(self, raw: Any, path: str, depth: int = 0) -> Value:
        """Return the object of a pickle at a path."""
        if depth > MAX_DEPTH:
            raise self.refusal("it reads what is nested too deeply")
        self.charge()
        if isinstance(raw, PickledObject):
            if (inner := unwrapped(raw)) is not raw:
                return self.stored_value(inner, path, depth + 1)
            tensor = self.describe(raw)
            return ScriptModule(path, raw) if tensor is None else self.stored_tensor(raw, tensor, path)
        if isinstance(raw, (list, tuple)):
            if len(raw) > MAX_ITEMS:
                raise self.refusal(f"it reads a list of more than {MAX_ITEMS:,}")
            return type(raw)(self.stored_value(entry, f"{path}.{n}", depth + 1) for n, entry in enumerate(raw))
        if raw is None or isinstance(raw, (bool, int, float, str)):
            return raw
        raise self.refusal(f"it reads {shown(path, 60)}, which is no tensor, no module and no number")

    def stored_tensor(self, raw: PickledObject, tensor: Tensor, path: str) -> ScriptTensor:
        """Return a tensor of the file, read once: several names may stand for one."""
        arguments = raw.args if isinstance(raw.args, tuple) else ()
        identity = getattr(arguments[0], "identity", None) if arguments else None
        described = identity if isinstance(identity, tuple) and len(identity) > 4 else None
        key: Any = id(raw)
        if described is not None:
            key = str(described[2]), str(arguments[1:4]), path.startswith("CONSTANTS")
        if key not in self.stored:
            with reading(f"its tensor {shown(path, 60)!r}", FileError):
                array = tensor.stored_array()
            if described is not None and full_name(described[1]).endswith("BoolStorage"):
                array = array.astype(bool)
            self.stored[key] = ScriptTensor(self.build.constant(array, path), Memory(stored=path))
        return self.stored[key]

    def size(self, value: str, axis: int) -> int | RunSize:
        """Return the size of an axis of a value."""
        shape = self.build.types[value].shape
        if shape is not None:
            if not -len(shape) <= axis < len(shape):
                raise Mismatch(f"{self.place}: a tensor of {len(shape)} axes has no axis {axis}")
            if (number := number_of(shape[axis])) is not None:
                return number
        outcome = self.build.add("gather", self.build.add("shape", value), np.array(axis, np.int64), axis=0)
        return self.as_size(outcome)

    def as_size(self, value: str) -> int | RunSize:
        """Return a value that is a single size."""
        content = self.build.types[value].content
        if isinstance(content, (int, SizeOfAxis)) and (number := number_of(content)) is not None:
            return number
        self.sizes.add(value)
        return RunSize(value)

    def rank(self, value: str) -> int:
        """Return the number of axes of a value."""
        shape = self.build.types[value].shape
        if shape is None:
            raise self.refusal("it asks for the number of axes of a tensor, which only a run knows")
        return len(shape)

    def type_of(self, tensor: ScriptTensor) -> ValueType:
        """Return the type of a tensor."""
        return self.build.types[self.value_of(tensor)]

    def constant_of(self, tensor: ScriptTensor) -> Any:
        """Return the number of a tensor that is known and holds one; None if it is not."""
        array = self.build.value(self.value_of(tensor))
        return array.item() if array is not None and array.size == 1 else None


def unwrapped(raw: Any) -> Any:
    """Return the content of an object of a pickle that only states the type of a list or a dictionary."""
    is_wrapper = isinstance(raw, PickledObject) and full_name(raw).rpartition(".")[2] in WRAPPERS
    return raw.args[0] if is_wrapper and isinstance(raw.args, tuple) and raw.args else raw
