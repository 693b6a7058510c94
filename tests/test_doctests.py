"""Every example in a docstring does what it says."""

from __future__ import annotations

import doctest
import pkgutil
import sys
from importlib import import_module
from itertools import chain, groupby

import numpy as np
import pytest

import gatewise as gw

ENGINES = "gatewise.judge.adapters."  # each imports its engine, and has no examples
MODULES = sorted(
    [
        "gatewise",
        *(module.name for module in pkgutil.walk_packages(gw.__path__, "gatewise.") if "-" not in module.name),
    ],
    key=lambda name: name.rpartition("."),
)
MODULES = [name for name in MODULES if not name.startswith(ENGINES)]
NEEDS_TORCH = "gatewise.interop.formats.capture"
PACKAGES = groupby((name for name in MODULES if not name.endswith("__main__")), lambda name: name.rpartition(".")[0])


def examples(name):
    """Return the docstrings with examples in a module, `np` and `gw` being there."""
    found = doctest.DocTestFinder().find(import_module(name), extraglobs={"np": np, "gw": gw})
    return [one for one in found if one.examples]


def run(example):
    report: list[str] = []
    failed, _ = doctest.DocTestRunner().run(example, out=report.append)
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
    assert not failed, "".join(report)


@pytest.mark.parametrize("names", [pytest.param([*names], id=package) for package, names in PACKAGES])
def test_the_examples_of_a_package_s_modules_do_what_they_say(names):
    for example in chain.from_iterable(map(examples, names)):
        if example.name != NEEDS_TORCH:
            run(example)


@pytest.mark.peers
def test_the_example_that_needs_a_framework_does_what_it_says():
    run(next(example for example in examples("gatewise.interop.formats") if example.name == NEEDS_TORCH))


@pytest.mark.parametrize("where", [gw, gw.insight, gw.plot], ids=lambda module: module.__name__)
def test_every_public_name_has_an_example(where):
    things = {name: getattr(where, name) for name in dir(where) if not name.startswith("_")}
    assert not [name for name, thing in things.items() if not doctest.DocTestParser().get_examples(thing.__doc__)]


def test_there_are_examples_and_they_are_found():
    modules = ("gatewise.gates", "gatewise.cell", "gatewise.layers.stream")
    found = {example.name for name in modules for example in examples(name)}
    assert {"gatewise.gates.reorder", "gatewise.cell.LSTMCell", "gatewise.layers.stream.Stream"} <= found
