"""The code of a TorchScript module as a graph: its forward is followed, statement by statement, and never run.

Straight code is followed, with `if` on what is known before a run, loops of a known length, and calls of the methods of
submodules. Checks that only raise an error are taken to pass. Anything else is refused, with its line.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gatewise.errors import OptionError, ShapeError, shown
from gatewise.interop.containers.pickles import full_name
from gatewise.interop.torch import script_builtins
from gatewise.interop.torch.program_reader import MALFORMED
from gatewise.interop.torch.script_calls import ALIASES, ScriptCall, arguments_of
from gatewise.interop.torch.script_source import SourceFunction
from gatewise.interop.torch.script_state import (
    FOLLOWING,
    MAX_DEPTH,
    OPERATOR,
    KeepsState,
    Mismatch,
    ScriptState,
    WholeNumbers,
)
from gatewise.interop.torch.script_values import (
    UNKNOWN_TRUTH,
    GlobalPath,
    Memory,
    RunSize,
    ScriptModule,
    ScriptTensor,
    Unknown,
    Value,
)
from gatewise.network.graph import Unsupported

# Operators whose result shares the memory of their first argument, and those whose results have a part of it each.
VIEWS = {
    *("select", "slice", "view", "transpose", "permute", "expand", "squeeze", "unsqueeze", "t", "unflatten", "view_as"),
    *("expand_as", "swapaxes", "swapdims", "numpy_T", "detach", "alias", "contiguous", "reshape", "flatten", "to"),
    *("type_as", "dropout", "feature_dropout", "narrow", "pad"),
}
PARTS = {"chunk", "split", "split_with_sizes", "unbind"}
SPECIAL = {"torch", "ops", "__torch__", "CONSTANTS", "int", "float", "bool", "inf", "nan"}
INDICES = {"embedding": "indices", "index_select": "index", "gather": "index", "index": "indices"}


class ScriptReader(ScriptState):
    """Follows the code of one file into a builder."""

    # Statements.

    def call_method(
        self, module: ScriptModule, name: str, arguments: Sequence[Value], named: Mapping[str, Value]
    ) -> Value:
        """Return the value of a call of a module's method; its nodes belong to the module."""
        function = self.source.method(full_name(module.node), name)
        with self.build.layer(module.path):
            return self.call_function(function, [module, *arguments], named, module.path)

    def call_function(
        self, function: SourceFunction, arguments: Sequence[Value], named: Mapping[str, Value], path: str
    ) -> Value:
        """Return the value of a call of a function, which runs within the module at a path."""
        names = [name for name, _, _ in function.arguments]
        if len(arguments) > len(names) or not {*named} <= {*names[len(arguments) :]}:
            raise self.refusal(f"it calls {shown(function.name, 80)} with arguments that it does not take")
        passed = dict(zip(names, arguments, strict=False)) | dict(named)
        for name, _, default in function.arguments:
            if name not in passed:
                if default is None:
                    raise self.refusal(f"it calls {shown(function.name, 80)} without {shown(name, 40)}")
                passed[name] = self.literal(default)
        if self.depth >= MAX_DEPTH:
            raise self.refusal(f"it has calls within calls, more than {MAX_DEPTH} deep")
        outer = self.place
        self.depth += 1
        outcome = CallFrame(self, function, passed, path).run(function.body)
        self.depth -= 1
        self.place = outer
        return None if outcome is None else outcome[0]

    def literal(self, node: ast.expr) -> Value:
        """Return a default: a number, a truth value, a text, or None."""
        try:
            return ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            raise self.refusal("a default is no number and no text") from None

    # Operators.

    def operator(
        self, kind: str, places: Sequence[Value], named: Mapping[str, Value], count: int | None, path: str
    ) -> Value:
        """Return the results of an operator of ATen: a tensor, or a tuple or a list of `count` of them."""
        self.budget.work(OPERATOR, f"{FOLLOWING} ({self.place})")
        kind = ALIASES.get(kind, kind)
        base = ALIASES.get(kind.removesuffix("_"), kind.removesuffix("_"))
        in_place = kind.endswith("_") and not kind.startswith("__")
        if in_place and not (places and isinstance(places[0], ScriptTensor)):
            raise self.refusal(f"it calls {shown(kind, 60)} on no tensor")
        if in_place and (stored := places[0].memory.stored):
            raise KeepsState(f"{self.place}: it changes {shown(stored, 60)}, which the next call would read")
        if base == "narrow" and len(places) == 4 and isinstance(places[2], int) and isinstance(places[3], int):
            base, places = "slice", [*places[:3], places[2] + places[3]]
        passed = [*places, *named.values()]
        try:
            arguments = arguments_of(base, places, named, lambda entry: isinstance(entry, ScriptTensor))
            call = ScriptCall(self, f"{base}_" if in_place else base, arguments, path, count)
            self._require_places(call)
            values: Sequence[str] = call.make()
        except ShapeError as problem:
            raise Mismatch(f"{self.place}: {problem}") from None
        except (Unsupported, OptionError) as problem:
            values = self._unknown(kind, str(problem), passed, count)
            base = "" if base not in PARTS else base
        except MALFORMED:
            raise Mismatch(f"{self.place}: {shown(kind, 60)} has arguments that do not fit it") from None
        if in_place:
            places[0].replace(values[0])
            return places[0]
        source = next((entry for entry in passed if isinstance(entry, ScriptTensor)), None)
        memory = source.memory if source is not None and base in VIEWS else None
        if base in PARTS:
            return [ScriptTensor(entry, Memory(None if source is None else source.memory)) for entry in values]
        tensors = [ScriptTensor(entry, memory) for entry in values]
        return tensors[0] if len(tensors) == 1 else tuple(tensors)

    def _unknown(self, kind: str, why: str, passed: Sequence[Value], count: int | None) -> Sequence[str]:
        """Add a node that stands for an operator that gatewise cannot express."""
        inputs, waiting = list[str](), list(passed)
        while waiting:
            entry = waiting.pop(0)
            if isinstance(entry, (list, tuple)) and not isinstance(entry, RunSize):
                waiting = [*entry, *waiting]
            elif isinstance(entry, ScriptTensor):
                inputs.append(self.value_of(entry))
        return self.build.unknown(kind, f"{why} ({self.place})", *inputs, outputs=count or 1)

    def _require_places(self, call: ScriptCall) -> None:
        """Raise WholeNumbers if an operator takes places from an input that is taken to hold other numbers."""
        for value in call.described.get(INDICES.get(call.kind, ""), ()):
            known = self.build.types[value]
            if known.dtype is None or np.dtype(known.dtype).kind != "f":
                continue
            makers = {name: node for node in self.build.nodes for name in node.outputs}
            while value in makers and makers[value].inputs:
                value = makers[value].inputs[0]
            if value in {port.name for port in self.build.inputs}:
                raise WholeNumbers(value)
            raise Unsupported("its places are no whole numbers")


class CallFrame:
    """One call of a function: its variables, and the path of the module that it belongs to."""

    def __init__(self, reader: ScriptReader, function: SourceFunction, names: dict[str, Value], path: str) -> None:
        self.reader, self.function, self.names, self.path = reader, function, names, path

    def run(self, statements: Sequence[ast.stmt]) -> tuple[Value] | None:
        """Follow statements; return the value that they return, in a tuple, or None if they go on."""
        reader = self.reader
        for place, statement in enumerate(statements):
            reader.place = self.function.at(statement)
            reader.charge()
            match statement:
                case ast.Return(expression):
                    return (None if expression is None else self.value(expression),)
                case ast.Assign([target], expression) | ast.AnnAssign(target, _, ast.expr() as expression):
                    following = statements[place + 1] if place + 1 < len(statements) else None
                    self.assign(target, self.value(expression, _count_of(target, following)))
                case ast.Expr(expression):
                    self.value(expression)
                case ast.If(test, body, other):
                    if (outcome := self.branch(self.truth(self.value(test)), body, other)) is not None:
                        return outcome
                case ast.For() | ast.While():
                    if (outcome := self.loop(statement)) is not None:
                        return outcome
                case ast.Pass():
                    continue
                case _:
                    raise reader.refusal(f"it has a statement {type(statement).__name__}, which is not read")
        return None

    def assign(self, target: ast.expr, value: Value) -> None:
        """Let a variable, or several, stand for a value."""
        match target:
            case ast.Name(name):
                self.names[name] = value
            case ast.Tuple(targets):
                if not isinstance(value, (tuple, list)) or len(value) != len(targets):
                    raise self.reader.refusal(f"it takes {len(targets)} values from what does not have so many")
                for entry, part in zip(targets, value, strict=True):
                    self.assign(entry, part)
            case ast.Attribute(_, name):
                place = self.reader.place
                raise KeepsState(f"{place}: it stores {shown(name, 60)} in a module, which the next call would read")
            case _:
                raise self.reader.refusal("it assigns to what is no variable")

    def truth(self, value: Value) -> bool | Unknown:
        """Return whether a condition holds."""
        if isinstance(value, ScriptTensor):
            value = self.reader.constant_of(value)
            return UNKNOWN_TRUTH if value is None else bool(value)
        if isinstance(value, RunSize):
            return UNKNOWN_TRUTH
        if isinstance(value, (bool, int, float)):
            return bool(value)
        if isinstance(value, Unknown):
            return UNKNOWN_TRUTH
        raise self.reader.refusal("its condition is no truth value")

    def branch(self, test: bool | Unknown, body: Sequence[ast.stmt], other: Sequence[ast.stmt]) -> tuple[Value] | None:
        """Follow the branch that is taken; of an unknown condition, the one that does not raise an error."""
        if isinstance(test, bool):
            return self.run(body if test else other)
        if _raises(body) != _raises(other):
            return self.run(other if _raises(body) else body)
        return self.both(body, other)

    def both(self, body: Sequence[ast.stmt], other: Sequence[ast.stmt]) -> tuple[Value] | None:
        """Follow both branches of an unknown condition, which may only set truth values and texts."""
        reader, place, outer = self.reader, self.reader.place, self.names
        nodes, changes, ends = len(reader.build.nodes), reader.changes, []
        for branch in (body, other):
            self.names = {**outer}
            returned = self.run(branch)
            ends.append(self.names)
            if returned is not None or len(reader.build.nodes) != nodes or reader.changes != changes:
                reader.place = place
                raise reader.refusal("it branches on a condition that only a run knows")
        self.names = outer
        reader.place = place
        for name in ends[0].keys() & ends[1].keys():
            first, second = ends[0][name], ends[1][name]
            if first is second or (
                type(first) is type(second) and isinstance(first, (int, float, str)) and first == second
            ):
                outer[name] = first
            elif all(isinstance(entry, (bool, str, Unknown)) for entry in (first, second)):
                outer[name] = UNKNOWN_TRUTH
            else:
                raise reader.refusal("it branches on a condition that only a run knows")
        return None

    def loop(self, statement: ast.For | ast.While) -> tuple[Value] | None:
        """Follow a loop whose length is known, once for each of its rounds."""
        reader, place = self.reader, self.reader.place
        if isinstance(statement, ast.While):
            while True:
                test = self.truth(self.value(statement.test))
                if isinstance(test, Unknown):
                    raise reader.refusal("it loops while a condition holds that only a run knows")
                if not test:
                    return None
                if (outcome := self.run(statement.body)) is not None:
                    return outcome
                reader.place = place
        match statement.iter:
            case ast.Call(ast.Name("range"), arguments, []) if 1 <= len(arguments) <= 3:
                bounds = [self.value(entry) for entry in arguments]
            case _:
                raise reader.refusal("it loops over what is no range of numbers")
        if not all(isinstance(entry, int) for entry in bounds) or (len(bounds) == 3 and not bounds[2]):
            raise reader.refusal("it loops as often as only a run knows, for example over the steps of an input")
        for number in range(*bounds):
            self.assign(statement.target, number)
            if (outcome := self.run(statement.body)) is not None:
                return outcome
        return None

    # Expressions.

    def value(self, node: ast.expr, count: int | None = None) -> Value:
        """Return the value of an expression; `count` is how many values are taken from it, if that is known."""
        self.reader.charge()
        match node:
            case ast.Name(name):
                return self.name(name)
            case ast.Constant(value):
                return self.constant(value)
            case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as number)):
                return self.constant(-number)
            case ast.Tuple(parts):
                return tuple(self.value(part) for part in parts)
            case ast.List(parts):
                return [self.value(part) for part in parts]
            case ast.Dict(keys, values):
                computed = [
                    (None if key is None else self.value(key), self.value(entry))
                    for key, entry in zip(keys, values, strict=True)
                ]
                if all(isinstance(key, (str, int)) for key, _ in computed):
                    return dict(computed)
            case ast.Attribute(inner, name):
                return self.attribute(self.value(inner), name)
            case ast.Subscript(inner, index):
                return self.item(self.value(inner), self.value(index))
            case ast.IfExp(test, body, other):
                truth = self.truth(self.value(test))
                if isinstance(truth, bool):
                    return self.value(body if truth else other)
                raise self.reader.refusal("it branches on a condition that only a run knows")
            case ast.Call():
                return self.call(node, count)
        raise self.reader.refusal(f"it has an expression {type(node).__name__}, which is not read")

    def constant(self, value: Any) -> Value:
        """Return a number, a truth value, a text or None in the code."""
        if value is None or isinstance(value, (bool, str, float)):
            return value
        if isinstance(value, int) and -(2**63) <= value < 2**64:
            return value
        raise self.reader.refusal("it has a constant that is not read")

    def name(self, name: str) -> Value:
        """Return the value of a name."""
        if name in self.names:
            return self.names[name]
        if name in ("inf", "nan"):
            return float(name)
        if name in SPECIAL:
            return GlobalPath(name)
        raise self.reader.refusal(f"it reads {shown(name, 60)}, which has no value")

    def attribute(self, owner: Value, name: str) -> Value:
        """Return an attribute of a module, or the longer name of something global."""
        if isinstance(owner, GlobalPath):
            if owner.name == "CONSTANTS":
                return self.stored_constant(name)
            return GlobalPath(f"{owner.name}.{name}")
        if isinstance(owner, ScriptModule):
            return self.reader.attribute(owner, name)
        raise self.reader.refusal(f"it reads {shown(name, 60)} of what is no module")

    def stored_constant(self, name: str) -> Value:
        """Return a tensor among the constants of the file."""
        held, place = self.reader.constants, name[1:]
        if not name.startswith("c") or not place.isdecimal() or len(place) > 6 or not isinstance(held, (list, tuple)):
            raise self.reader.refusal(f"it reads a constant {shown(name, 40)}, which the file does not have")
        if int(place) >= len(held):
            raise self.reader.refusal(f"it reads a constant {shown(name, 40)}, which the file does not have")
        return self.reader.stored_value(held[int(place)], f"CONSTANTS.{name}")

    def item(self, owner: Value, index: Value) -> Value:
        """Return an item of a list, a tuple or a dictionary."""
        if isinstance(owner, dict) and isinstance(index, (str, int)) and index in owner:
            return owner[index]
        is_sequence = isinstance(owner, (list, tuple)) and not isinstance(owner, RunSize)
        if is_sequence and isinstance(index, int) and -len(owner) <= index < len(owner):
            return owner[index]
        raise self.reader.refusal("it reads an item that is not there, or whose place only a run knows")

    def call(self, node: ast.Call, count: int | None) -> Value:
        """Return the value of a call."""
        reader = self.reader
        match node.func:
            case ast.Name("getattr") if len(node.args) == 2 and isinstance(node.args[1], ast.Constant):
                return self.attribute(self.value(node.args[0]), str(node.args[1].value))
            case ast.Name("annotate" | "unchecked_cast") if len(node.args) == 2:
                return self.value(node.args[1], count)
            case ast.Name("uninitialized"):
                return None
            case ast.Name("isinstance"):
                raise reader.refusal("it asks for the type of a value, which is not read")
        if any(isinstance(entry, ast.Starred) for entry in node.args) or any(
            entry.arg is None for entry in node.keywords
        ):
            raise reader.refusal("it has an expression Starred, which is not read")
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        owner = self.value(node.func.value if isinstance(node.func, ast.Attribute) else node.func)
        places = [self.value(entry) for entry in node.args]
        named = {str(entry.arg): self.value(entry.value) for entry in node.keywords}
        if isinstance(owner, ScriptModule):
            return reader.call_method(owner, method, places, named)
        if not isinstance(owner, GlobalPath):
            raise reader.refusal(f"it calls {shown(method or 'a value', 60)} of what is no module")
        name = f"{owner.name}.{method}" if method else owner.name
        if name.startswith("__torch__."):
            if name.rpartition(".")[2] in script_builtins.PACKING:
                raise reader.refusal(script_builtins.PACKS)
            if name in reader.source.classes:
                raise reader.refusal(f"it makes an object of {shown(name, 80)}, which is not read")
            return reader.call_function(reader.source.function(name), places, named, self.path)
        if name in script_builtins.NAMED:
            return script_builtins.NAMED[name](reader, places)
        prefix, _, kind = name.rpartition(".")
        if prefix == "torch":
            rounded = kind == "div" and len(places) == 2 and named.keys() == {"rounding_mode"}
            if rounded and all(script_builtins.is_size(reader, entry) for entry in places):
                kind, named = "floordiv", {}
            if kind in script_builtins.OPERATORS and not named:
                outcome = script_builtins.OPERATORS[kind](reader, places)
                if outcome is not NotImplemented:
                    return outcome
            return reader.operator(kind, places, named, count, self.path)
        raise reader.refusal(f"it calls {shown(name, 80)}, which gatewise does not know")


def _count_of(target: ast.expr, following: ast.stmt | None) -> int | None:
    """Return the number of values that a statement takes, or the one after it; None if they do not say."""
    match target, following:
        case ast.Tuple(targets), _:
            return len(targets)
        case ast.Name(name), ast.Assign([ast.Tuple(targets)], ast.Name(read)) if read == name:
            return len(targets)
    return None


def _raises(statements: Sequence[ast.stmt]) -> bool:
    """Return whether statements end by raising an error."""
    for statement in statements:
        match statement:
            case ast.Expr(ast.Call(ast.Attribute(_, "RaiseException"))) | ast.Raise():
                return True
    return False
