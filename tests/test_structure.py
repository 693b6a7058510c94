"""How the packages lie: no circles, even of lazy imports, and files of a size to read."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import gatewise as gw

ROOT = Path(__file__).parent.parent
SOURCE = Path(gw.__file__).parent
MODULES = {".".join(path.relative_to(SOURCE.parent).with_suffix("").parts): path for path in SOURCE.rglob("*.py")}
SOURCES = sorted(
    path
    for folder in (ROOT / "src", ROOT / "native")
    for path in folder.rglob("*")
    if path.suffix in {".py", ".cpp", ".hpp"}
)
MAX_LINES, MAX_FUNCTION_LINES, MAX_TEST_LINES = 700, 90, 700
HOLDERS = (ast.stmt, ast.excepthandler, ast.match_case)  # what statements may lie in
BECAUSE = "left whole"  # what the first lines of a longer one say, and why


@cache
def statements(path: Path) -> tuple[ast.stmt, ...]:
    """Return the statements of a file, within one another too; no expression, of which there are many, has one."""
    found: list[ast.stmt] = []
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        for _, value in ast.iter_fields(waiting.pop()):
            inner = [one for one in value if isinstance(one, HOLDERS)] if isinstance(value, list) else []
            found += [one for one in inner if isinstance(one, ast.stmt)]
            waiting += inner
    return tuple(found)


@cache
def imported(module: str) -> set[str]:
    """Return the modules that a module imports, wherever in it: at its top, in a function, or for its types."""
    found = set()
    for node in statements(MODULES[module]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{module} imports by dots"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES or f"{inner}.__init__" in MODULES else node.module)
    names = {name if name in MODULES else f"{name}.__init__" for name in found if name.partition(".")[0] == "gatewise"}
    return {name for name in names if name in MODULES} - {module}


def test_no_two_files_import_each_other_in_a_circle():
    try:
        TopologicalSorter({module: imported(module) for module in MODULES}).prepare()
    except CycleError as circle:
        pytest.fail(" → ".join(reversed(circle.args[1])))


@pytest.mark.parametrize("module", [name for name in MODULES if name.endswith(".__init__")])
def test_a_package_is_imported_by_none_of_its_own_files(module):
    inside = module.removesuffix("__init__")
    assert [name for name in MODULES if name.startswith(inside) and module in imported(name)] == []


def test_modules_are_imported_by_name_in_the_tables_alone():
    """A circle of those could not be seen: names of modules stand where things are looked up by a format or a name."""
    tables = {"gatewise.__init__", "gatewise.showing", "gatewise.interop.formats"}
    found = {name for name, path in MODULES.items() if "import_module(" in path.read_text(encoding="utf-8")}
    own = {"gatewise.engine.native"}  # the extension, which has no source in Python
    assert {name for name in found - tables - own if '"gatewise' in MODULES[name].read_text(encoding="utf-8")} == set()


def test_containers_know_nothing_of_what_lies_in_them():
    """Only what all of gatewise rests on, and one another."""
    below = {
        "gatewise.errors",
        "gatewise.arrays",
        "gatewise.files.archives",
        "gatewise.files.budget",
        "gatewise.files.protecting",
        "gatewise.files.replacing",
    }
    inside = "gatewise.interop.containers."
    found = {name: imported(name) - below for name in MODULES if name.startswith(inside)}
    assert found
    assert {one for names in found.values() for one in names if not one.startswith(inside)} == set()


def test_no_package_has_the_name_of_a_public_function():
    packages = {path.parent.name for path in SOURCE.rglob("__init__.py")} - {"gatewise"}
    assert packages.isdisjoint(gw.__all__)


def python_functions(path: Path) -> Iterator[tuple[str, int, str]]:
    """Go through the functions of a file: their names, their lines without the docstring, and the docstring."""
    for node in statements(path):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            told = ast.get_docstring(node, clean=False)
            yield node.name, node.end_lineno - (node.body[0].end_lineno if told else node.lineno), told or ""


def native_functions(path: Path) -> Iterator[tuple[str, int, str]]:
    """Go through the functions of a formatted C++ file: their first lines, their lengths, and the line before them."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if re.search(r"\b(namespace|struct|class|enum|if|for|while|else|switch|do|return)\b|=", line):
            continue
        if opened := re.match(r"( *)\S.*\{$", line):
            ends = (n for n in range(number + 1, len(lines)) if lines[n].startswith(f"{opened[1]}}}"))
            end = next(ends, number + 1)  # what is no function may end otherwise
            yield line.strip(), end - number - 1, lines[number - 1]


@pytest.mark.skipif(not SOURCES, reason="the sources are not here")
def test_a_file_and_a_function_have_a_size_to_read():
    long, seen = [], 0
    for path in SOURCES:
        name, lines = path.relative_to(ROOT), path.read_text(encoding="utf-8").splitlines()
        if len(lines) > MAX_LINES and BECAUSE not in "\n".join(lines[:10]).lower():
            long.append(f"{name} has {len(lines)} lines")
        for function, length, told in (python_functions if path.suffix == ".py" else native_functions)(path):
            seen += 1
            if length > MAX_FUNCTION_LINES and BECAUSE not in told.lower():
                long.append(f"{name}: {function} has {length} lines")
    assert seen > 1000
    assert not long, "\n".join(long)


def test_a_file_of_tests_is_of_one_subject():
    sizes = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in ROOT.glob("tests/**/*.py")}
    assert sizes
    assert {name: size for name, size in sizes.items() if size > MAX_TEST_LINES} == {}
