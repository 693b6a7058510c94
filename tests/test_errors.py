"""Errors are one line of at most 500 characters, whatever a path or a file says; what the text shows has no orders."""

from __future__ import annotations

import codecs
import os
import pickle
import re
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import gatewise as gw
from gatewise import errors
from gatewise.errors import LONGEST, GatewiseError

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
KINDS = (
    *(GatewiseError, gw.ShapeError, gw.OptionError, errors.NotKeptError, gw.FileError, errors.CapacityError),
    *(errors.MissingExtraError, gw.WeightsWarning),
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "text",
    ["a" * 10_000, "\udcff" * 10_000, "\ud800" * 499, "a\nb" * 400, "\N{LATIN SMALL LETTER O WITH DIAERESIS}" * 501],
)
def test_a_message_is_one_line_of_500_characters_that_can_be_written(kind, text):
    found = str(kind(text))
    assert len(found) == LONGEST
    assert found[-1] == "…"
    assert found.splitlines() == [found]
    found.encode()


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_of_500_characters_stays_as_it_is_also_in_another_process(kind):
    text = "0123456789" * 50
    assert str(pickle.loads(pickle.dumps(kind(text)))) == text


@pytest.mark.parametrize("package", errors.PACKAGES)
def test_an_optional_package_is_missed_with_the_command_that_installs_it(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(gw.MissingExtraError) as caught, errors.importing(package, "this needs"):
        import_module(package)
    name, extra = errors.PACKAGES[package]
    command = f"pip install {package}" if extra is None else f"from a clone, pip install '.[{extra}]'"
    assert str(caught.value) == f"this needs {name}: {command}"
    if extra is not None:
        brought = " ".join(PROJECT["optional-dependencies"][extra]).replace("pyyaml", "yaml")
        assert re.search(rf"\b{package}\b", brought)


def test_an_optional_package_that_lacks_one_itself_says_which():
    with (
        pytest.raises(gw.MissingExtraError, match=r"Keras 3 .*, which cannot be imported \(No module named 'jax'\)"),
        errors.importing("keras", "this needs"),
    ):
        raise ModuleNotFoundError("No module named 'jax'", name="jax")


def test_names_are_joined_as_in_a_sentence_and_a_long_list_says_how_many_it_leaves_out():
    join = errors.join_names
    assert join([]) == ""
    assert join(["a"], "and") == "a"
    assert join(["a", "b"], "or") == "a or b"
    assert join("abc") == "a, b, c"
    assert join("abc", "and", most=3) == "a, b and c"
    assert join("abcde", "and", most=3) == "a, b and 3 more"
    assert join(range(1, 2001), most=2, separator="; ") == "1; and 1,999 more"


def test_a_path_that_is_not_utf_8_is_spelled_out():
    path = os.fsdecode(b"/nowhere/gr\xfc\xdfe.pt")
    with pytest.raises(gw.FileError) as caught:
        gw.load(path)
    assert str(caught.value) == r"cannot read /nowhere/gr\xfc\xdfe.pt: there is no such file"


def test_the_names_of_facts_are_cleaned_in_text_as_their_values_are():
    step = gw.LSTMCell(2, 1, rng=0).step(np.zeros(2), gw.State(np.zeros(1), np.zeros(1)))
    text = gw.walk(step, facts={"a\x1b[31mb\n": "c\x1b[0m", "日本": "wide", "short": "narrow"}).render("text")
    assert "\x1b" not in text
    lines = [line for line in text.splitlines() if line.rstrip().endswith(("wide", "narrow"))]
    assert [line.split()[0] for line in lines] == ["日本", "short"]
    assert lines[0].index("wide") + 2 == lines[1].index("narrow")  # two letters that take two columns each


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_line_with_many_letters_that_a_terminal_has_not_is_spelled_out_to_its_end(encoding):
    from gatewise.render.text import spell_out

    codecs.register_error("gatewise.spell_out", spell_out)
    assert ("a → b → 日本 → " * 3).encode(encoding, "gatewise.spell_out") == b"a -> b -> ?? -> " * 3
