"""What gatewise advises exists: each command, option and function that one of its texts has in it."""

from __future__ import annotations

import re
from functools import cache, reduce
from importlib.util import find_spec

import pytest
from messages import messages

import gatewise as gw
from gatewise.cli import COMMANDS, app

SAID = [message for message in messages() if " " in message.text]
# What follows the name where no command is meant: gatewise does something, or is a kind of thing.
OTHER_WORDS = (
    r"calls|can|cannot|computed|computes|does|draws|from|has"
    r"|keeps|key|knows|lacks|leaves|marking|never|reads|walkthrough|with|writes"
)


@cache
def options() -> set[str]:
    """Return every option of a command."""
    arguments = (one for name in COMMANDS for one in app[name].assemble_argument_collection())
    return {name for one in arguments for name in one.names if name.startswith("--")} | {"--help", "--help-all"}


def found(pattern: str) -> list[object]:
    """Return a test's parameters: each match of a pattern in a text, under its place in the source."""
    cases = {}
    for message in SAID:
        for match in re.findall(pattern, message.text):
            cases[match] = pytest.param(match, id=f"{match} in {message.path}:{message.line}")
    return list(cases.values())


def test_texts_are_found_with_their_places_and_docstrings_are_not():
    assert len(SAID) > 1000
    assert sum(message.raised for message in SAID) > 1000
    assert not any(message.text.startswith("What gatewise advises exists") for message in SAID)
    assert any(message.text == "cannot read …: it is empty" and message.raised for message in SAID)


@pytest.mark.parametrize("command", found(r"(?<![\w./`'-])gatewise ([a-z]+)\b"))
def test_a_command_in_a_text_exists(command):
    assert command in COMMANDS or re.fullmatch(OTHER_WORDS, command)


@pytest.mark.parametrize("option", found(r"(?<![\w-])(--[a-z][a-z-]+[a-z])\b"))
def test_an_option_in_a_text_exists(option):
    assert option in options()


@pytest.mark.parametrize("name", found(r"\b(?:gatewise|gw)((?:\.[a-z_]+)+)\b"))
def test_a_module_or_function_in_a_text_exists(name):
    try:
        reduce(getattr, name.split(".")[1:], gw)
    except AttributeError:  # of the package's own texts, which name modules; nobody imported this one yet
        assert find_spec(f"gatewise{name}") is not None


@pytest.mark.parametrize("suffix", [".onnx", ".pt", ".pth", ".keras", ".h5"])
def test_the_function_that_save_advises_writes_the_file(suffix, tmp_path):
    lstm, path = gw.LSTM(2, 3, rng=0), tmp_path / f"z{suffix}"
    with pytest.raises(gw.OptionError) as caught:
        gw.save(lstm, path)
    (advised,) = re.findall(r"gatewise\.([\w.]+)", str(caught.value))
    reduce(getattr, advised.split("."), gw)(lstm, path)
    assert gw.load(path).num_parameters == lstm.num_parameters
