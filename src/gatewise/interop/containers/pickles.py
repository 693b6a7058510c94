"""Pickles as inert data: their objects are described, and nothing in them is ever imported or called.

A pickle is a program for a small stack machine (PEP 3154, and the standard library's `pickletools`, which splits it
into operations here). This machine does the same with one difference: where a pickle names a class or a function,
it leaves a `GlobalName`; where it calls one, a `PickledObject` that records the call.
"""

from __future__ import annotations

import codecs
import io
import pickletools
import struct
import warnings
from collections.abc import Iterator
from functools import partialmethod
from typing import Any, BinaryIO, NamedTuple, cast

from gatewise.errors import FileError, reason
from gatewise.files.budget import Budget


class GlobalName(NamedTuple):
    """The name of a class or a function."""

    module: str
    name: str


class PersistentId(NamedTuple):
    """An object outside the pickle, under an identity that only its program knows."""

    identity: Any


class PickledObject:
    """An object that a pickle would have built by a call of `maker`, mostly a `GlobalName`, with `args`.

    `state` would have been set afterwards, `items` appended, and `pairs` set by key.
    """

    __slots__ = ("args", "items", "maker", "pairs", "state")

    def __init__(self, maker: Any, args: Any) -> None:
        self.maker, self.args, self.state = maker, args, None
        self.items: list[Any] = []
        self.pairs: dict[Any, Any] = {}

    def made_by(self, *names: str) -> bool:
        """Return whether its maker has one of these full names."""
        return full_name(self) in names


def full_name(value: Any) -> str:
    """Return the full name of a class or a function, or of what made an object; empty if a pickle does not say."""
    maker = value.maker if isinstance(value, PickledObject) else value
    return ".".join(maker) if isinstance(maker, GlobalName) else ""


_MAPPINGS = {("collections", "OrderedDict"), ("collections", "defaultdict"), ("builtins", "dict")}
OPERATIONS = "operations of pickles"
LONGEST = 1000  # characters of the full name of a class
SOME = 1000  # operations that are counted at once
_KEYS = (str, int, float, bytes)
_MARK = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_MAKERS: dict[str, Any] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_SET": list, "EMPTY_TUPLE": tuple}
_BY_CODE = {operation.code: operation for operation in pickletools.opcodes}
_IGNORED = {"PROTO", "FRAME", "READONLY_BUFFER"}


def read_pickle(
    file: BinaryIO,
    budget: Budget,
    names: dict[str, None] | None = None,
    references: list[PersistentId] | None = None,
) -> Any:
    """Return the content of the next pickle in a file, and leave the file at its end.

    Each operation, and each copied entry, counts as an element of structure. `names` receives the full names of the
    classes and functions that unpickling would import, in order; `references`, its objects outside the pickle.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # escapes in a text that only old Pythons wrote
            machine = _Machine(budget, {} if names is None else names, [] if references is None else references)
            return machine.run(_BoundedFile(file))
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, struct.error, RecursionError) as problem:
        raise FileError(
            f"it is not an intact pickle ({reason(problem) if isinstance(problem, ValueError) else 'it is malformed'})"
        ) from None


class _BoundedFile:
    """The rest of a file; a request for more bytes than it has takes no memory."""

    def __init__(self, file: BinaryIO) -> None:
        at = file.tell()
        self.file, self.end = file, file.seek(0, io.SEEK_END)
        file.seek(at)
        self.readline, self.tell = file.readline, file.tell

    def read(self, count: int) -> bytes:
        return self.file.read(max(0, min(count, self.end - self.file.tell())))


def _split_operations(file: _BoundedFile) -> Iterator[tuple[str, Any]]:
    """Yield the operations of a pickle with their arguments, as `pickletools.genops`, but read bytes as Latin-1.

    Python 2 wrote the bytes of arrays so, as texts with escapes, where genops takes ASCII only.
    """
    while code := file.read(1):
        operation = _BY_CODE.get(code.decode("latin-1"))
        if operation is None:
            raise ValueError(f"the operation {code!r} is not known")
        if operation.name == "STRING":
            yield operation.name, _unquote_text(file.readline())
        else:
            yield operation.name, None if operation.arg is None else operation.arg.reader(cast(BinaryIO, file))
    raise ValueError("it has no end")


def _unquote_text(line: bytes) -> str:
    """Return the text in a line of a pickle: in quotes, with escapes."""
    quoted = line.rstrip(b"\n").strip()
    if len(quoted) < 2 or quoted[:1] not in b"'\"" or quoted[:1] != quoted[-1:]:
        raise ValueError("a text has no quotes")
    return codecs.escape_decode(quoted[1:-1])[0].decode("latin-1")


class _Machine:
    def __init__(self, budget: Budget, names: dict[str, None], references: list[PersistentId]) -> None:
        self.budget = budget
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.names, self.references = names, references

    def run(self, file: _BoundedFile) -> Any:
        """Return the content of a pickle, whose operations build it on a stack; none imports or calls anything."""
        for number, (operation, argument) in enumerate(_split_operations(file)):
            if number % SOME == 0:
                self.budget.count(SOME, OPERATIONS)
            if operation == "STOP":
                return self.stack.pop()
            if operation in _IGNORED:
                continue
            if operation in _MAKERS:
                self.stack.append(_MAKERS[operation]())
            elif operation in _CONSTANTS:
                self.stack.append(_CONSTANTS[operation])
            elif (method := getattr(self, f"_{operation.lower()}", None)) is not None:
                method(argument)
            elif argument is not None:  # a number or a string is its own value
                self.stack.append(argument)
            else:
                raise ValueError(f"the operation {operation} is not known")
        raise ValueError("it has no end")

    def pop_to_mark(self) -> list[Any]:
        """Remove and return the objects above the last mark of the stack on which a pickle is read."""
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise ValueError("a mark is missing")
        objects = self.stack[place + 1 :]
        del self.stack[place:]
        return objects

    def _mark(self, _: Any) -> None:
        self.stack.append(_MARK)

    def _pop(self, _: Any) -> None:
        self.stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self.pop_to_mark()

    def _dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    # Memo

    def _memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _put(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    _binput = _long_binput = _put

    def _get(self, place: int) -> None:
        self.stack.append(self.memo[place])

    _binget = _long_binget = _get

    # Containers

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self.pop_to_mark()))

    def _tuple_of(self, count: int, _: Any) -> None:
        if len(self.stack) < count:
            raise ValueError("the stack is empty")
        self.stack[-count:] = [tuple(self.stack[-count:])]

    _tuple1, _tuple2 = partialmethod(_tuple_of, 1), partialmethod(_tuple_of, 2)
    _tuple3 = partialmethod(_tuple_of, 3)

    def _list(self, _: Any) -> None:
        self.stack.append(self.pop_to_mark())

    _frozenset = _list

    def _dict(self, _: Any) -> None:
        entries: dict[Any, Any] = {}
        self.set_pairs(entries, self.pop_to_mark())
        self.stack.append(entries)

    def _append(self, _: Any) -> None:
        self.append_all([self.stack.pop()])

    def _appends(self, _: Any) -> None:
        self.append_all(self.pop_to_mark())

    _additems = _appends

    def _setitem(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.set_pairs(self.stack[-1], [key, value])

    def _setitems(self, _: Any) -> None:
        values = self.pop_to_mark()
        self.set_pairs(self.stack[-1], values)

    def append_all(self, values: list[Any]) -> None:
        """Append values to the list, or to the described object, on top of a pickle's stack."""
        target = self.stack[-1]
        if isinstance(target, PickledObject):
            target = target.items
        if not isinstance(target, list):
            raise ValueError(f"something is appended to a {type(target).__name__}")
        target.extend(values)

    def set_pairs(self, target: Any, values: list[Any]) -> None:
        """Set keys and values, in turn, in a dictionary or a described object, as a pickle asks for."""
        if isinstance(target, PickledObject):
            target = target.pairs
        if not isinstance(target, dict) or len(values) % 2:
            raise ValueError(f"keys are set in a {type(target).__name__}")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if key is None or isinstance(key, _KEYS):  # nested tuples may be endless, and no weights are under them
                target[key] = value

    def copy_entries(self, entries: dict[Any, Any], target: dict[Any, Any]) -> None:
        """Copy the entries of one dictionary into another; a file can repeat this for a few bytes."""
        self.budget.count(len(entries), OPERATIONS)
        target.update(entries)

    # Imports and calls

    def add_global(self, module: str, name: str) -> GlobalName:
        """Return the name of a class or a function in a pickle, which is recorded and never imported."""
        if len(module) + len(name) > LONGEST:
            raise ValueError(f"the name of a class or a function has {len(module) + len(name)} characters")
        self.budget.hold(len(module) + len(name), 2, "the names of its classes")
        self.names[f"{module}.{name}"] = None
        return GlobalName(module, name)

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self.stack.append(self.add_global(module, name))

    def _stack_global(self, _: Any) -> None:
        """Put a class's or a function's name on the stack, from its parts there (a pickle's STACK_GLOBAL)."""
        name, module = self.stack.pop(), self.stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise ValueError("a name is not a string")
        self.stack.append(self.add_global(module, name))

    def _inst(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self.call(self.add_global(module, name), tuple(self.pop_to_mark()))

    def _obj(self, _: Any) -> None:
        maker, *args = self.pop_to_mark()
        self.call(maker, tuple(args))

    def _reduce(self, _: Any) -> None:
        args, maker = self.stack.pop(), self.stack.pop()
        self.call(maker, args)

    _newobj = _reduce

    def _newobj_ex(self, _: Any) -> None:
        """Describe an object that a pickle makes with keyword arguments (NEWOBJ_EX)."""
        keywords, args, maker = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.call(maker, args)
        if isinstance(self.stack[-1], PickledObject) and isinstance(keywords, dict):
            self.copy_entries(keywords, self.stack[-1].pairs)

    def _ext1(self, code: int) -> None:
        self.stack.append(self.add_global("an extension", str(code)))

    _ext2 = _ext4 = _ext1

    def call(self, maker: Any, args: Any) -> None:
        """Put the result of a call in a pickle on the stack: a real dictionary, or else an object that is described."""
        if isinstance(maker, GlobalName) and maker in _MAPPINGS:
            entries: dict[Any, Any] = {}
            source = args[-1] if isinstance(args, tuple) and args else None
            if isinstance(source, list):  # pairs, as Python 2 wrote them
                self.budget.count(len(source), OPERATIONS)
                for pair in source:
                    if isinstance(pair, (list, tuple)) and len(pair) == 2:
                        self.set_pairs(entries, list(pair))
            elif isinstance(source, dict):
                self.copy_entries(source, entries)
            self.stack.append(entries)
        else:
            self.stack.append(PickledObject(maker, args))

    def _build(self, _: Any) -> None:
        """Give the state on a pickle's stack to the described object below it (BUILD)."""
        state = self.stack.pop()
        if isinstance(self.stack[-1], PickledObject):
            self.stack[-1].state = state
        elif self.stack[-1] is _MARK:
            raise ValueError("a state belongs to no object")

    def _persid(self, identity: Any) -> None:
        self.references.append(PersistentId(identity))
        self.stack.append(self.references[-1])

    def _binpersid(self, _: Any) -> None:
        self._persid(self.stack.pop())


def as_bytes(value: Any, budget: Budget) -> bytes | None:
    """Return the bytes that an object in a pickle describes, in every form that Python has written, or None."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, (bytearray, str)):
        budget.hold(len(value), 1, "an array in a pickle")
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, str):  # written by Python 2, and read as Latin-1
        try:
            return value.encode("latin-1")
        except UnicodeEncodeError:
            return None
    if isinstance(value, PickledObject) and value.made_by("_codecs.encode") and isinstance(value.args, tuple):
        return as_bytes(value.args[0], budget) if value.args[1:] == ("latin1",) else None
    if isinstance(value, PickledObject) and value.made_by("builtins.bytes", "__builtin__.bytes"):
        return b"" if not value.args else None
    return None
