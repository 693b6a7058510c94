"""The public names of the package, what they return, and what importing it costs."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from types import ModuleType

import pytest
from pairwise import thinned

import gatewise as gw

NAMES = list(gw.PUBLIC)
FOREIGN = {"safetensors", "rich", "cyclopts", "xarray", "torch", "pandas", "matplotlib", "h5py", "onnx", "sklearn"}


PACKAGES = ("examples", "insight", "interop", "plot")


def test_the_public_names_and_packages_are_listed_and_nothing_else():
    assert gw.__all__ == NAMES
    assert dir(gw) == sorted([*NAMES, *PACKAGES, "__version__"])
    assert len([name for name in dir(gw) if not name.startswith("_")]) <= 61


@pytest.mark.parametrize("package", [gw.insight, gw.plot])
def test_a_package_of_questions_or_pictures_lists_those_and_no_helper_module(package):
    assert dir(package) == sorted(package.__all__)
    modules = {name for name in dir(package) if inspect.ismodule(getattr(package, name))}
    assert modules <= {"data"}  # the records that pictures draw


def test_type_checkers_read_the_names_of_the_table_where_it_says_that_they_lie():
    tree = ast.parse(Path(gw.__file__).read_text(encoding="utf-8"))
    blocks = [node.body for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    found = {}
    for node in itertools.chain(*blocks):
        for alias in node.names:
            assert alias.asname == alias.name  # else a strict checker takes it for private
            found[alias.name] = node.module
    assert found == gw.PUBLIC


def test_every_class_and_function_in_the_package_s_namespace_is_public():
    """What lies there is given out; nothing else lies about."""
    found = {
        name
        for name, thing in vars(gw).items()
        if not name.startswith("_") and (inspect.isclass(thing) or inspect.isfunction(thing))
    }
    assert found - set(NAMES) <= {"import_module", "Any"}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "walk"])
def test_every_name_is_there_and_explains_itself(name):
    thing = getattr(gw, name)
    assert thing.__name__ == name or name == "save"
    assert len((thing.__doc__ or "").split()) >= 3
    assert not (thing.__doc__ or "").startswith(f"{name}(")  # what a dataclass says for want of words


@pytest.mark.parametrize("name", [name for name in NAMES if name[0].isupper() and not name.endswith("Error")])
def test_every_method_of_a_public_class_explains_itself(name):
    for member, thing in vars(getattr(gw, name)).items():
        if not member.startswith("_") and (callable(thing) or isinstance(thing, (property, classmethod))):
            assert inspect.getdoc(thing), f"{name}.{member}"


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("Error")])
def test_every_error_is_one_of_gatewise_s_and_one_of_python_s(name):
    error = getattr(gw, name)
    assert issubclass(error, gw.GatewiseError)
    builtin = {
        "ShapeError": ValueError,
        "OptionError": ValueError,
        "NotKeptError": LookupError,
        "FileError": OSError,
        "CapacityError": MemoryError,
        "MissingExtraError": ImportError,
        "GatewiseError": Exception,
    }[name]
    assert issubclass(error, builtin)
    assert str(error("one sentence")) == "one sentence"


def test_a_name_that_does_not_exist_is_missed_by_name():
    with pytest.raises(AttributeError, match="module 'gatewise' has no attribute 'GRU'"):
        _ = gw.GRU


def run(code):
    """Run code in a Python of its own, with this one's paths and none of what it has imported."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_program_begins_without_questions_graphs_and_pictures():
    """What a command needs is imported when it runs, so that help and small commands begin at once."""
    loaded = run("import gatewise.cli, sys; print(*[name for name in sys.modules if name.startswith('gatewise.')])")
    for package in ("gatewise.insight", "gatewise.plot", "gatewise.reporting", "gatewise.network.graph"):
        assert not [name for name in loaded if name == package or name.startswith(f"{package}.")]


@pytest.mark.thorough
def test_every_documented_module_of_a_public_package_is_there_after_import_gatewise_alone():
    reference = (Path(__file__).parents[1] / "docs/reference.md").read_text(encoding="utf-8")
    modules = re.findall(r"^api/(gatewise\.[\w.]+)$", reference, re.MULTILINE)
    modules = [name for name in modules if name.split(".")[1] in PACKAGES]
    assert {"gatewise.interop.torch", "gatewise.plot.data"} <= set(modules)
    for name in modules:
        names = getattr(import_module(name), "__all__", [])
        used = "".join(f"{name}.{each}; " for each in names)
        assert run(f"import gatewise; {used}print({name}.__name__)") == [name]
    assert {"keras", "onnx", "torch"} <= set(dir(gw.interop))
    code = "import gatewise, sys; gatewise.interop; print('gatewise.interop.torch.live' in sys.modules)"
    assert run(code) == ["False"]


def test_importing_gatewise_costs_nothing_a_run_numpy_alone_and_a_package_is_there_when_it_is_asked_for():
    code = f"""
import sys, gatewise
print("numpy" in sys.modules)
lstm = gatewise.LSTM(3, 2, rng=0)
lstm([[1, 2, 3]]), lstm([[[1, 2, 3]]], axes=["batch", "time", "feature"])
gatewise.backward(lstm.trace([[1, 2, 3]], axes="time,feature"), [[1, 2]])
print(*sys.modules, *[getattr(gatewise, name).__name__ for name in {PACKAGES}])
"""
    before, *loaded = run(code)
    assert loaded[-len(PACKAGES) :] == [f"gatewise.{name}" for name in PACKAGES]
    assert before == "False"
    loaded = {name.partition(".")[0] for name in loaded}
    assert {"gatewise", "numpy"} <= loaded
    assert not FOREIGN & loaded


def test_a_name_is_imported_when_it_is_first_asked_for_and_kept_and_a_star_brings_all():
    code = """
import sys, gatewise
print(*[name for name in sys.modules if name.startswith("gatewise.")])
for name, module in gatewise.PUBLIC.items():
    before = name in vars(gatewise)
    getattr(gatewise, name)
    print(name, before, module in sys.modules, name in vars(gatewise))
from gatewise import *
print(*[name for name in gatewise.__all__ if name in globals()])
"""
    assert run(code) == [*(word for name in NAMES for word in (name, "False", "True", "True")), *NAMES]


@pytest.mark.parametrize("name", thinned(["check", "load", "verify", "walk"]))
def test_a_name_far_above_the_cell_is_not_imported_with_it(name):
    there = f"'{gw.PUBLIC[name]}' in sys.modules"
    code = f"import sys, gatewise; gatewise.LSTM; print({there}); gatewise.{name}; print({there})"
    assert run(code) == ["False", "True"]


def test_the_version_is_the_one_of_the_distribution():
    project = Path(__file__).parent.parent / "pyproject.toml"
    assert tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"] == gw.__version__


def test_types_are_shipped_with_the_package():
    assert files("gatewise").joinpath("py.typed").is_file()


# What public names return.

PLACES = (
    "gatewise",
    "gatewise.c_header",
    "gatewise.grading",
    "gatewise.insight",
    "gatewise.interop",
    "gatewise.network",
    "gatewise.opening",
    "gatewise.walkthrough",
    "gatewise.symbolic",
)  # packages whose `__all__` gives out types


def named_in(annotation: object, module: ModuleType) -> set[type]:
    """Return the classes of gatewise that an annotation names, as it stands in a module."""
    found = set()
    for word in re.findall(r"[A-Za-z_]\w*", str(annotation)):
        thing = getattr(module, word, None)
        alias = re.findall(r"(gatewise[\w.]*)\.(\w+)", str(thing)) if not inspect.isclass(thing) else []
        candidates = [thing, *(getattr(sys.modules.get(where), name, None) for where, name in alias)]
        found |= {one for one in candidates if inspect.isclass(one) and one.__module__.startswith("gatewise")}
    return found


def returned_by(thing: object) -> set[type]:
    """Return the classes of gatewise that a function returns, or that a class's public members hold and return."""
    if not inspect.isclass(thing):
        functions = [*getattr(thing, "registry", {}).values(), inspect.unwrap(thing)]
        return {
            one
            for function in functions
            for one in named_in(getattr(function, "__annotations__", {}).get("return", ""), inspect.getmodule(function))
        }
    found, module = set(), inspect.getmodule(thing)
    for name, member in vars(thing).items():
        if name.startswith("_") and name not in ("__call__", "__getitem__", "__iter__"):
            continue
        inner = member.fget if isinstance(member, property) else getattr(member, "func", member)
        function = inspect.unwrap(getattr(inner, "__func__", inner)) if callable(inner) or inner is not member else None
        if inspect.isfunction(function):
            found |= named_in(function.__annotations__.get("return", ""), inspect.getmodule(function))
    for name, annotation in vars(thing).get("__annotations__", {}).items():
        found |= set() if name.startswith("_") else named_in(annotation, module)
    return found


def test_what_public_names_return_is_of_exported_types():

    exported = {getattr(import_module(place), name) for place in PLACES for name in import_module(place).__all__}
    todo = [getattr(gw, name) for name in NAMES]
    seen, missing = [], set()
    while todo:
        thing = todo.pop()
        if any(thing is one for one in seen):
            continue
        seen.append(thing)
        for one in returned_by(thing):
            todo += [one, *(base for base in one.__mro__[1:] if base.__module__.startswith("gatewise"))]
            if one not in exported:
                missing.add(f"{one.__module__}.{one.__name__}")
    assert not missing
    assert len(seen) > 60
