"""Pickles as inert data: what a pickle would build is described, and nothing in it is ever imported or called.

A pickle is a program for a small stack machine (PEP 3154, and the standard library's `pickletools`, which splits it
into operations here). This machine does the same with one difference: where a pickle names a class or a function,
it leaves a `Global`, and where it calls one, an `Object` that records what would have been called with which arguments.
"""

from __future__ import annotations

import codecs
import io
import pickletools
import struct
import warnings
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, cast

from gatewise.errors import FileError, reason
from gatewise.files.budget import Budget


class Global(NamedTuple):
    """The name of a class or a function."""

    module: str
    name: str


class Persistent(NamedTuple):
    """Something stored outside of the pickle, under an identity that only its program knows."""

    identity: Any


class Object:
    """What a pickle would have made.

    Attributes
    ----------
    maker : object
        What it would have called: a `Global` mostly.
    args : object
        With what: a tuple mostly.
    state : object
        What it would have been given after that, or None.
    items : list
        What would have been appended.
    pairs : dict
        What would have been set by key.
    """

    __slots__ = ("args", "items", "maker", "pairs", "state")

    def __init__(self, maker: Any, args: Any) -> None:
        self.maker, self.args, self.state = maker, args, None
        self.items: list[Any] = []
        self.pairs: dict[Any, Any] = {}

    def made_by(self, *names: str) -> bool:
        """Say whether its maker has one of these full names."""
        return isinstance(self.maker, Global) and ".".join(self.maker) in names


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


def read(file: BinaryIO, budget: Budget, named: dict[str, None] | None = None) -> Any:
    """Return what the next pickle in a file describes, and leave the file behind its end.

    Parameters
    ----------
    file : binary file
    budget : Budget
        Each operation is an element of structure, and so is each entry of what is copied.
    named : dict of str, optional
        Takes the full names of the classes and functions that unpickling would import, and mostly call, in their order.

    Raises
    ------
    FileError
        If it is not an intact pickle, or has too many operations.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # escapes in a text that only old Pythons wrote
            return _Machine(budget, {} if named is None else named).run(_Rest(file))
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, struct.error, RecursionError) as problem:
        raise FileError(
            f"it is not an intact pickle ({reason(problem) if isinstance(problem, ValueError) else 'it is malformed'})"
        ) from None


class _Rest:
    """The rest of a file: who asks for more bytes than it has takes no memory for them."""

    def __init__(self, file: BinaryIO) -> None:
        at = file.tell()
        self.file, self.end = file, file.seek(0, io.SEEK_END)
        file.seek(at)
        self.readline, self.tell = file.readline, file.tell

    def read(self, count: int) -> bytes:
        return self.file.read(max(0, min(count, self.end - self.file.tell())))


def _operations(file: _Rest) -> Iterator[tuple[str, Any]]:
    """Split a pickle into operations with their arguments, as `pickletools.genops` does, and read bytes as Latin-1.

    Python 2 wrote the bytes of arrays so, as texts with escapes, where genops takes ASCII only.
    """
    while code := file.read(1):
        operation = _BY_CODE.get(code.decode("latin-1"))
        if operation is None:
            raise ValueError(f"the operation {code!r} is not known")
        if operation.name == "STRING":
            yield operation.name, _text(file.readline())
        else:
            yield operation.name, None if operation.arg is None else operation.arg.reader(cast(BinaryIO, file))
    raise ValueError("it has no end")


def _text(line: bytes) -> str:
    """Return the text of a line: in quotes, with escapes."""
    quoted = line.rstrip(b"\n").strip()
    if len(quoted) < 2 or quoted[:1] not in b"'\"" or quoted[:1] != quoted[-1:]:
        raise ValueError("a text has no quotes")
    return codecs.escape_decode(quoted[1:-1])[0].decode("latin-1")


class _Machine:
    def __init__(self, budget: Budget, named: dict[str, None]) -> None:
        self.budget = budget
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.named = named

    def run(self, file: _Rest) -> Any:
        for number, (name, argument) in enumerate(_operations(file)):
            if number % SOME == 0:
                self.budget.count(SOME, OPERATIONS)
            if name == "STOP":
                return self.stack.pop()
            if name in _IGNORED:
                continue
            if name in _MAKERS:
                self.stack.append(_MAKERS[name]())
            elif name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name])
            elif (does := getattr(self, f"_{name.lower()}", None)) is not None:
                does(argument)
            elif argument is not None:  # a number or a string is its own value
                self.stack.append(argument)
            else:
                raise ValueError(f"the operation {name} is not known")
        raise ValueError("it has no end")

    def marked(self) -> list[Any]:
        """Take the objects above the last mark."""
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise ValueError("a mark is missing")
        found = self.stack[place + 1 :]
        del self.stack[place:]
        return found

    def _mark(self, _: Any) -> None:
        self.stack.append(_MARK)

    def _pop(self, _: Any) -> None:
        self.stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self.marked()

    def _dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    # Places of its own.

    def _memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _put(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    _binput = _long_binput = _put

    def _get(self, place: int) -> None:
        self.stack.append(self.memo[place])

    _binget = _long_binget = _get

    # Containers.

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self.marked()))

    def _tuple1(self, _: Any) -> None:
        self._last(1)

    def _tuple2(self, _: Any) -> None:
        self._last(2)

    def _tuple3(self, _: Any) -> None:
        self._last(3)

    def _last(self, count: int) -> None:
        if len(self.stack) < count:
            raise ValueError("the stack is empty")
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def _list(self, _: Any) -> None:
        self.stack.append(self.marked())

    def _frozenset(self, _: Any) -> None:
        self.stack.append(self.marked())

    def _dict(self, _: Any) -> None:
        found: dict[Any, Any] = {}
        self.set_pairs(found, self.marked())
        self.stack.append(found)

    def _append(self, _: Any) -> None:
        value = self.stack.pop()
        self.append_all(self.stack[-1], [value])

    def _appends(self, _: Any) -> None:
        values = self.marked()
        self.append_all(self.stack[-1], values)

    _additems = _appends

    def _setitem(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.set_pairs(self.stack[-1], [key, value])

    def _setitems(self, _: Any) -> None:
        values = self.marked()
        self.set_pairs(self.stack[-1], values)

    def append_all(self, target: Any, values: list[Any]) -> None:
        if isinstance(target, Object):
            target = target.items
        if not isinstance(target, list):
            raise ValueError(f"something is appended to a {type(target).__name__}")
        target.extend(values)

    def set_pairs(self, target: Any, values: list[Any]) -> None:
        if isinstance(target, Object):
            target = target.pairs
        if not isinstance(target, dict) or len(values) % 2:
            raise ValueError(f"keys are set in a {type(target).__name__}")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if key is None or isinstance(key, _KEYS):  # nested tuples may be endless, and no weights are under them
                target[key] = value

    def copy(self, entries: dict[Any, Any], target: dict[Any, Any]) -> None:
        """Take the entries of one dictionary into another: an operation that a file can repeat for a few bytes."""
        self.budget.count(len(entries), OPERATIONS)
        target.update(entries)

    # What would import or call something.

    def name(self, module: str, name: str) -> Global:
        if len(module) + len(name) > LONGEST:
            raise ValueError(f"the name of a class or a function has {len(module) + len(name)} characters")
        self.budget.hold(len(module) + len(name), 2, "the names of its classes")
        self.named[f"{module}.{name}"] = None
        return Global(module, name)

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self.stack.append(self.name(module, name))

    def _stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise ValueError("a name is not a string")
        self.stack.append(self.name(module, name))

    def _inst(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self.make(self.name(module, name), tuple(self.marked()))

    def _obj(self, _: Any) -> None:
        maker, *args = self.marked()
        self.make(maker, tuple(args))

    def _reduce(self, _: Any) -> None:
        args, maker = self.stack.pop(), self.stack.pop()
        self.make(maker, args)

    _newobj = _reduce

    def _newobj_ex(self, _: Any) -> None:
        named, args, maker = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.make(maker, args)
        if isinstance(self.stack[-1], Object) and isinstance(named, dict):
            self.copy(named, self.stack[-1].pairs)

    def _ext1(self, code: int) -> None:
        self.stack.append(self.name("an extension", str(code)))

    _ext2 = _ext4 = _ext1

    def make(self, maker: Any, args: Any) -> None:
        if isinstance(maker, Global) and maker in _MAPPINGS:
            found: dict[Any, Any] = {}
            given = args[-1] if isinstance(args, tuple) and args else None
            if isinstance(given, list):  # pairs, as Python 2 wrote them
                self.budget.count(len(given), OPERATIONS)
                for pair in given:
                    if isinstance(pair, (list, tuple)) and len(pair) == 2:
                        self.set_pairs(found, list(pair))
            elif isinstance(given, dict):
                self.copy(given, found)
            self.stack.append(found)
        else:
            self.stack.append(Object(maker, args))

    def _build(self, _: Any) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Object):
            self.stack[-1].state = state
        elif self.stack[-1] is _MARK:
            raise ValueError("a state belongs to no object")

    def _persid(self, identity: str) -> None:
        self.stack.append(Persistent(identity))

    def _binpersid(self, _: Any) -> None:
        self.stack.append(Persistent(self.stack.pop()))


def as_bytes(found: Any, budget: Budget) -> bytes | None:
    """Return the bytes that an object in a pickle stands for, in every form that Python has written, or None."""
    if isinstance(found, bytes):
        return found
    if isinstance(found, (bytearray, str)):
        budget.hold(len(found), 1, "an array in a pickle")
    if isinstance(found, bytearray):
        return bytes(found)
    if isinstance(found, str):  # written by Python 2, and read as Latin-1
        try:
            return found.encode("latin-1")
        except UnicodeEncodeError:
            return None
    if isinstance(found, Object) and found.made_by("_codecs.encode") and isinstance(found.args, tuple):
        return as_bytes(found.args[0], budget) if found.args[1:] == ("latin1",) else None
    if isinstance(found, Object) and found.made_by("builtins.bytes", "__builtin__.bytes"):
        return b"" if not found.args else None
    return None
