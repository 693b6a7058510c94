"""The words of the source: names that say something, docstrings that answer, and one class for each name."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

SRC = Path(__file__).parent.parent / "src" / "gatewise"
EMPTY = re.compile("one|found|given|told|said|made|wanted|taken|seen|kept|shown|what|whole|own")
RUNS = frozenset({"Trace", "LSTMTrace", "NetworkTrace"})
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@cache
def modules() -> dict[Path, ast.Module]:
    """Return the syntax tree of every module."""
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in SRC.rglob("*.py")}


@cache
def nodes() -> tuple[tuple[Path, ast.AST], ...]:
    """Return the functions, classes, variables and calls of every module; walked through once, which takes longest."""
    kinds = (*FUNCTIONS, ast.ClassDef, ast.Name, ast.Call)
    return tuple(
        (path, node) for path, module in modules().items() for node in ast.walk(module) if isinstance(node, kinds)
    )


def names(node: ast.AST) -> Iterator[str]:
    """Yield the names that a node binds: of a function and its arguments, or of a variable."""
    if isinstance(node, FUNCTIONS):
        yield node.name.lstrip("_")
        yield from (argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs))
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id


def empty_names() -> list[str]:
    bound = ((path, name) for path, node in nodes() for name in names(node))
    return [f"{path.relative_to(SRC)}: {name}" for path, name in bound if EMPTY.fullmatch(name)]


def questions() -> list[str]:
    """Return the functions whose docstring begins with a question."""
    return [
        f"{path.relative_to(SRC)}: {node.name}"
        for path, node in nodes()
        if isinstance(node, FUNCTIONS) and re.match(r"Return (what|which|how)\b", ast.get_docstring(node) or "")
    ]


def modules_of_what() -> list[str]:
    return [str(path) for path, module in modules().items() if (ast.get_docstring(module) or "").startswith("What ")]


def classes_of_one_name() -> list[str]:
    """Return the names that classes of several modules have."""
    places = defaultdict(set)
    for path, node in nodes():
        if isinstance(node, ast.ClassDef):
            places[node.name].add(path)
    return [name for name, paths in places.items() if len(paths) > 1]


def kinds_of_runs() -> list[str]:
    """Return the places that ask which kind of run a value is."""
    return [
        f"{path.relative_to(SRC)}:{node.lineno}"
        for path, node in nodes()
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "isinstance"
        and RUNS & {name.id for name in ast.walk(node.args[1]) if isinstance(name, ast.Name)}
    ]


LIMITS = {empty_names: 249, questions: 39, modules_of_what: 4, classes_of_one_name: 4, kinds_of_runs: 10}


def test_there_are_few():
    """One test for all counts, since the modules are gone through once for each process."""
    places = {count: count() for count in LIMITS}
    many = {
        count.__name__: Counter(place.partition(":")[0] for place in places[count])
        for count in LIMITS
        if len(places[count]) > LIMITS[count]
    }
    assert not many, "; ".join(
        f"{sum(files.values())} {name}, most of them in {files.most_common(10)}" for name, files in many.items()
    )


def test_names_of_every_kind_are_counted():
    """The counts would be of nothing if no name were seen."""
    code = "def _one(found, /, told, *, said):\n    taken = [whole for whole in told]\n    seen: int = 1"
    bound = [name for node in ast.walk(ast.parse(code)) for name in names(node)]
    assert sorted(bound) == ["found", "one", "said", "seen", "taken", "told", "whole"]
