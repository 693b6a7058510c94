"""Small ONNX files that are made to be expensive end in an answer or a sentence, and in little memory."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

import pytest
from pairwise import pairs

import gatewise as gw
from gatewise.files.budget import WORK

onnx = pytest.importorskip("onnx")

import onnx_models as models  # noqa: E402
from onnx_hostile import HOSTILE  # noqa: E402
from onnx_reading import small  # noqa: E402

ALL = WORK
ALLOWED = 500  # MB that the process may ever have taken, Python and its packages included
LONG = "would take too long"
# What is said of each: a sentence about the file, or about the last LSTM that is refused; or how many LSTMs are found.
SAID = {
    "shared zeros": "64 MiB are allowed",
    "shared states": "64 MiB are allowed",
    "constants of a function": "64 MiB are allowed",
    "numbers of a function": "",
    "doubling": "64 MiB are allowed",
    "zeros expanded": "64 MiB are allowed",
    "huge shapes": "64 MiB are allowed",
    "cells": "64 MiB are allowed",
    "products": LONG,
    "numbers as text": "one floating-point type",
    "one chain": 600,
    "one trunk": LONG,
    "many outputs": 3000,
    "deep identities": LONG,
    "long names": LONG,
    "long directions": LONG,
    "long lists": LONG,
    "many attributes": LONG,
    "many inputs of a function": LONG,
    "calls of calls": LONG,
    "deep graphs": LONG,
    "deep calls": LONG,
    "many graphs": LONG,
    "pieces": "too many pieces",
    "adds": LONG,
    "splits": LONG,
    "same names": "not supported",
}


def _read(path: Path):
    """Return how many LSTMs are found, and what is said of those that are not."""
    try:
        contents = gw.inspect(path)
    except gw.GatewiseError as problem:
        return 0, str(problem)
    return len(contents.found), contents.refused[-1].reason if contents.refused else ""


FEW = ("constants of a function", "huge shapes", "pieces", "deep calls")


def _work(folder: Path) -> None:
    """Read every file of a folder, and print what came of it."""
    from held import held

    from gatewise.files import budget

    warnings.simplefilter("error")
    said = {}
    for name in (name for name in HOSTILE if (folder / f"{name}.onnx").exists()):
        # A fifth of what may be, for those that it stops: they end the same way.
        budget.WORK = budget.Limit(0, 200_000) if SAID[name] == LONG else ALL
        said[name] = _read(folder / f"{name}.onnx")
    print(json.dumps([held() / 2**20, said]))


@pytest.mark.parametrize("names", [FEW, pytest.param(tuple(HOSTILE), marks=pytest.mark.peers)], ids=("few", "all"))
def test_files_that_are_made_to_be_expensive_end_in_an_answer_or_a_sentence(names, tmp_path):
    for name in names:
        data = HOSTILE[name]()
        assert len(data) < 5 * 10**6
        (tmp_path / f"{name}.onnx").write_bytes(data)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    worked = subprocess.run(
        [sys.executable, __file__, tmp_path], env=environment, capture_output=True, text=True, check=False
    )
    assert not worked.returncode, worked.stderr
    most, said = json.loads(worked.stdout)
    assert said.keys() == set(names)
    assert most < ALLOWED
    for name, (found, words) in said.items():
        expected = SAID[name]
        assert found == expected if isinstance(expected, int) else expected in words, (name, found, words)
        assert len(words) <= 500, name


def texts(message):
    """Give every text of a message: the message that has it, and its field."""
    for field, value in message.ListFields():
        if field.message_type is not None:
            for one in value if hasattr(value, "add") else [value]:
                yield from texts(one)
        elif field.type in (field.TYPE_STRING, field.TYPE_BYTES):
            yield message, field


def asked(path):
    """Give every sentence that is said of a file."""
    asks = [lambda: gw.inspect(path), lambda: gw.inspect(path, nothing=0)]
    with contextlib.suppress(gw.GatewiseError):
        contents = gw.inspect(path)
        yield from (one.reason for one in contents.refused)
        yield from (note for one in contents.found for note in (one.name, one.where, *one.notes))
        names = [None, "other", *(one.name for one in contents.refused)]
        asks += [partial(contents.pick, name) for name in names]
    for ask in asks:
        try:
            ask()
        except gw.GatewiseError as problem:
            yield str(problem)


TEXTS = {"long": "n" * 1_000_000, "control": "\x1b[2J\n\r\0\u202e" * 30, "letters": "é" * 3000}


@pairs(case=TEXTS, wrapped=["no", "function"], thin=True)
def test_what_is_said_is_short_and_fit_for_a_line_whatever_is_named_so(case, wrapped, tmp_path):
    text = TEXTS[case]
    whole = models.lstm_model(small(), how="reshape", wrapped=wrapped, hidden_size=4, direction="forward")
    path, said = tmp_path / "model.onnx", 0
    for number in range(len([*texts(whole)])):
        model = onnx.ModelProto()
        model.CopyFrom(whole)
        message, field = [*texts(model)][number]
        value = text if field.type == field.TYPE_STRING else text.encode()
        if hasattr(getattr(message, field.name), "append"):
            getattr(message, field.name)[0] = value
        else:
            setattr(message, field.name, value)
        path.write_bytes(model.SerializeToString())
        for sentence in asked(path):
            assert len(sentence) <= 501, (field.name, sentence)  # one of them says that it is cut
            assert sentence.isprintable(), (field.name, sentence)
            said += 1
    assert said > 50


if __name__ == "__main__":
    _work(Path(sys.argv[1]))
