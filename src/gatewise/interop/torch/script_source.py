"""The code of a TorchScript archive as functions and methods, each parsed when it is first called; none is run."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatewise.errors import FileError, shown
from gatewise.files.budget import Budget
from gatewise.interop.containers import zips

MAX_CODE = 300_000  # characters that are parsed
TREE = 150  # bytes that a parsed character takes, at most
DEFINITION = re.compile(r"^(?:class|def) (\w+)\(", re.MULTILINE)
METHOD = re.compile(r"^  def (\w+)\(", re.MULTILINE)
CONSTANT = re.compile(r"^  (\w+) : Final\[\w+\] = (.+)$", re.MULTILINE)
BROKEN = (SyntaxError, ValueError, TypeError, AttributeError, MemoryError, RecursionError)  # what ast raises


@dataclass(frozen=True)
class Place:
    """Where code stands: a member of the archive, and a line of it."""

    member: str
    line: int

    def __str__(self) -> str:
        return f"line {self.line} of {shown(self.member, 80)}"


@dataclass(frozen=True)
class SourceText:
    """A piece of code, and where it begins."""

    text: str
    place: Place


@dataclass(frozen=True)
class SourceFunction:
    """A parsed function: its arguments with their types and defaults, and its statements."""

    name: str
    arguments: tuple[tuple[str, str, ast.expr | None], ...]
    body: tuple[ast.stmt, ...]
    place: Place

    def at(self, node: ast.AST) -> Place:
        """Return where a part of it stands."""
        return Place(self.place.member, self.place.line + getattr(node, "lineno", 1) - 1)


class ScriptSource:
    """The functions and classes of an archive by their whole names."""

    def __init__(self, archive: zips.ZipMembers, folder: str, budget: Budget) -> None:
        self.budget, self._parsed = budget, 0
        self.functions: dict[str, SourceText] = {}
        self.classes: dict[str, SourceText] = {}
        self._known: dict[str, SourceFunction] = {}
        for member in archive.names:
            if member.startswith(folder) and member.endswith(".py"):
                module = member[len(folder) : -len(".py")].replace("/", ".")
                self._split(archive.member(member).decode(errors="replace"), module, member[len(folder) - 5 :])

    def _split(self, text: str, module: str, member: str) -> None:
        """Take the classes and functions of a member."""
        starts = [*DEFINITION.finditer(text)]
        self.budget.count(len(starts), "definitions in its code")
        line, last = 1, 0
        for place, match in enumerate(starts):
            line, last = line + text.count("\n", last, match.start()), match.start()
            end = starts[place + 1].start() if place + 1 < len(starts) else len(text)
            piece = SourceText(text[match.start() : end], Place(member, line))
            (self.classes if match[0].startswith("class") else self.functions)[f"{module}.{match[1]}"] = piece

    def has_method(self, kind: str, name: str) -> bool:
        """Return whether a class has a method."""
        text = self.classes.get(kind)
        return text is not None and f"\n  def {name}(" in text.text

    def constants(self, kind: str) -> Mapping[str, Any]:
        """Return the constants of a class: numbers, truth values and texts."""
        outcome: dict[str, Any] = {}
        for name, text in CONSTANT.findall(self.classes[kind].text) if kind in self.classes else ():
            try:
                outcome[name] = ast.literal_eval(text[:200])
            except BROKEN:
                continue
        return outcome

    def function(self, name: str) -> SourceFunction:
        """Return a function by its whole name."""
        if name not in self.functions:
            raise FileError(f"its code calls {shown(name)}, which it does not define")
        return self._function(name, self.functions[name])

    def method(self, kind: str, name: str) -> SourceFunction:
        """Return the method of a class."""
        text = self.classes.get(kind, SourceText("", Place("its code", 1)))
        for match in METHOD.finditer(text.text):
            if match[1] == name:
                end = METHOD.search(text.text, match.end())
                place = Place(text.place.member, text.place.line + text.text.count("\n", 0, match.start()))
                piece = text.text[match.start() + 2 : None if end is None else end.start()]
                return self._function(f"{kind}.{name}", SourceText(piece, place))
        raise FileError(f"its code calls {shown(name, 40)} of {shown(kind)}, which it does not define")

    def _function(self, name: str, text: SourceText) -> SourceFunction:
        """Return a function, parsed once."""
        if name in self._known:
            return self._known[name]
        self._parsed += len(text.text)
        if self._parsed > MAX_CODE:
            raise FileError(f"its forward has more than {MAX_CODE:,} characters of code")
        self.budget.hold(len(text.text), TREE, "its code")
        self.budget.work(3 * len(text.text), "parsing its code")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # escapes in a text
                tree: Any = ast.parse(text.text).body[0]
            parts = tree.args
            passed = [*(None for _ in range(len(parts.args) - len(parts.defaults))), *parts.defaults]
            arguments = tuple(
                (entry.arg, "" if entry.annotation is None else ast.unparse(entry.annotation), default)
                for entry, default in zip(parts.args, passed, strict=True)
            )
            body = tuple(tree.body)
        except BROKEN as problem:
            line = problem.lineno if isinstance(problem, SyntaxError) else None
            where = Place(text.place.member, text.place.line + (line or 1) - 1)
            raise FileError(f"{where} is not code of TorchScript, or is nested too deeply") from None
        self._known[name] = SourceFunction(name, arguments, body, text.place)
        return self._known[name]
