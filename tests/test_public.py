"""The public face: the names that the package gives out, and what importing it costs."""

from __future__ import annotations

import inspect
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

import gatewise as gw

NAMES = [
    "LSTM",
    "Activation",
    "CapacityError",
    "Engine",
    "FileError",
    "GatewiseError",
    "Gradients",
    "LSTMCell",
    "LSTMGradients",
    "LSTMTrace",
    "Labels",
    "Linear",
    "Masks",
    "MissingExtraError",
    "Network",
    "NotKeptError",
    "OptionError",
    "Parameters",
    "ShapeError",
    "State",
    "Step",
    "Stream",
    "Trace",
    "Variant",
    "WeightsWarning",
    "backward",
    "check",
    "engines",
    "inspect",
    "load",
    "load_network",
    "load_trace",
    "save",
    "set_num_threads",
    "verify",
    "walk",
]


def test_the_public_names_are_these_and_no_others():
    assert sorted(gw.__all__) == sorted(NAMES)
    assert len(set(gw.__all__)) == len(gw.__all__)
    assert dir(gw) == sorted([*NAMES, "__version__"])


def test_every_class_and_function_in_the_package_s_namespace_is_public():
    """What is imported there is given out; nothing else lies about."""
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


def test_importing_gatewise_costs_numpy_alone():
    loaded = run("import sys, gatewise; print(*{name.partition('.')[0] for name in sys.modules})")
    assert {"gatewise", "numpy"} <= set(loaded)
    foreign = {"safetensors", "rich", "cyclopts", "xarray", "torch", "pandas", "matplotlib", "h5py", "onnx", "sklearn"}
    assert not foreign & set(loaded)


@pytest.mark.parametrize("name", ["load", "load_network", "load_trace", "save"])
def test_a_heavy_name_is_imported_when_it_is_asked_for(name):
    there = "'gatewise.interop' in sys.modules"
    code = f"import sys, gatewise; print({there}); gatewise.{name}; print({there})"
    assert run(code) == ["False", "True"]


def test_a_star_import_brings_the_public_names():
    names = [name for name in NAMES if name != "walk"]
    code = f"from gatewise import {', '.join(names)}; print(*[name for name in {names} if name in globals()])"
    assert run(code) == names


def test_the_version_is_the_one_of_the_distribution():
    project = Path(__file__).parent.parent / "pyproject.toml"
    assert tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"] == gw.__version__


def test_types_are_shipped_with_the_package():
    assert files("gatewise").joinpath("py.typed").is_file()
