"""What a pickle would have called is listed by gatewise inspect, as inert text, and never called."""

from __future__ import annotations

import json
import os
import pickle
import textwrap
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from cases import Calls
from keras_files import layer, sequential
from onnx import TensorProto, helper, numpy_helper, save
from program import exit_code

import gatewise as gw
from gatewise.cli.inspect import MOST_CALLS, wrapped
from gatewise.files.budget import Budget
from gatewise.interop import torch
from gatewise.interop.keras.config import model
from gatewise.interop.keras.inputs import inputs_of
from gatewise.interop.keras.layer_graph import graph_of
from gatewise.interop.torch import writing
from gatewise.render.text import clean

pytestmark = pytest.mark.usefixtures("here")


def inspected(capsys, path, code):
    """Return what is said of a file, and the same as JSON."""
    assert exit_code(["inspect", path, "--all"]) == code
    said = capsys.readouterr()
    assert said.err == ""
    assert exit_code(["inspect", path, "--json"]) == code
    return said.out, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_runs_code_is_told_by_what_it_would_have_called(protocol, capsys):
    Path("evil.pkl").write_bytes(pickle.dumps([Calls(os.system, "touch ran"), Calls(eval, "1 + 1")], protocol))
    said, found = inspected(capsys, "evil.pkl", 1)
    assert found["calls"] == ["posix.system" if os.name == "posix" else "nt.system", found["calls"][1]]
    assert found["calls"][1].endswith(".eval")
    assert "It holds no LSTM that can be read" in said
    head = "What unpickling the file would have called (gatewise calls nothing in it)"
    assert said.splitlines()[-3:] == [head, *(f"  {name}" for name in found["calls"])]
    assert not Path("ran").exists()


def test_a_checkpoint_lists_what_tensors_are_made_with(capsys):
    lstm = gw.LSTM(3, 2, rng=0)
    writing.write_archive("model.pt", torch.state_dict(lstm))
    said, found = inspected(capsys, "model.pt", 0)
    assert "torch._utils._rebuild_tensor_v2" in found["calls"]
    assert "  torch._utils._rebuild_tensor_v2\n" in said
    assert [one["num_parameters"] for one in found["lstms"]] == [lstm.num_parameters]


@pytest.mark.parametrize("path", ["model.safetensors", "model.onnx", "model.h5"])
def test_what_is_no_pickle_calls_nothing(path, capsys):
    gw.save(gw.LSTM(3, 2, rng=0), "model.safetensors")
    if path != "model.safetensors":
        assert exit_code(["convert", "model.safetensors", path]) == 0
        capsys.readouterr()
    said, found = inspected(capsys, path, 0)
    assert found["calls"] == []
    assert "unpickling" not in said


def test_what_is_no_part_of_tensors_stands_first_and_few_are_shown(capsys):
    ordinary = b"".join(b"ctorch\nf%d\n0" % number for number in range(100))
    Path("long.pkl").write_bytes(b"\x80\x02" + ordinary + b"cos\nsystem\n(S'touch ran'\ntR.")
    said, found = inspected(capsys, "long.pkl", 1)
    assert len(found["calls"]) == 101
    assert found["calls"][-1] == "os.system"
    lines = said.splitlines()
    assert lines[-MOST_CALLS - 1] == "  os.system"
    assert lines[-1] == f"  and {101 - MOST_CALLS} more, which --json lists"
    assert not Path("ran").exists()


def test_names_in_a_pickle_are_inert_text(capsys):
    name = "\x1b[31m\x07red\u202e"
    body = (
        b"\x80\x04" + b"".join(b"\x8c" + bytes([len(one.encode())]) + one.encode() for one in ("os", name)) + b"\x93."
    )
    Path("odd.pkl").write_bytes(body)
    said, found = inspected(capsys, "odd.pkl", 1)
    assert all(letter.isprintable() or letter == "\n" for letter in said)
    assert len(found["calls"]) == 1
    assert found["calls"][0].startswith("os.")


def test_names_are_listed_once_in_the_order_in_which_they_stand(capsys):
    Path("twice.pkl").write_bytes(pickle.dumps([Calls(os.getcwd), Calls(os.getcwd), OrderedDict(a=1)]))
    _, found = inspected(capsys, "twice.pkl", 1)
    assert found["calls"] == ["posix.getcwd" if os.name == "posix" else "nt.getcwd", "collections.OrderedDict"]


@pytest.mark.parametrize(
    ("holds", "words"),
    [
        ({"weight": 1}, "a dictionary of 1 key (weight)"),
        ({"a": 1, "b": 2, "c": 3, "d": 4}, "a dictionary of 4 keys (a, b, c …)"),
        ({"x" * 5000: 1, "two\nlines": 2}, f"a dictionary of 2 keys ({'x' * 40}…, two?lines)"),
        ([], "a list of 0 items"),
        ("text", "a text"),
        (None, "nothing"),
        (1.5, "a float"),
        (Path("a"), f"an object of pathlib.{type(Path()).__name__}"),
        (os.getcwd, f"the name {os.getcwd.__module__}.getcwd"),
    ],
    ids=lambda one: repr(one)[:20],
)
def test_the_exit_code_says_that_there_is_no_lstm_and_the_text_what_there_is(holds, words, capsys):
    Path("none.pkl").write_bytes(pickle.dumps(holds))
    said, found = inspected(capsys, "none.pkl", 1)
    assert found["lstms"] == []
    told = f"It holds no LSTM that can be read: it holds no tensors, but {words}."
    assert told in " ".join(said.split())


def test_the_inputs_of_the_whole_model_are_listed_with_their_types_sizes_and_axes(capsys):
    lstm = layer("LSTM", "lstm", units=3)
    for network, want in [
        ([layer("InputLayer", "pixels", batch_shape=[None, None, 2], dtype="uint8"), lstm], [None, 2, "uint8", True]),
        ([layer("InputLayer", "x", batch_input_shape=[4, 16, 2]), layer("Conv1D", "c"), lstm], [16, 2, None, False]),
        ([layer("Masking", "m", batch_input_shape=[None, 7, 2], dtype="float32"), lstm], [7, 2, "float32", True]),
        ([layer("Dense", "d", units=2, batch_input_shape=[None, 5]), layer("Reshape", "r"), lstm], [5, None, False]),
    ]:
        root = model(sequential(*network), Budget(10**6))
        (found,) = inputs_of(root, graph_of(root)[0])
        *sizes, dtype, stepwise = want
        assert found.shape == ("batch", *sizes)
        assert found.dtype == dtype
        assert found.axes == (("batch", "time", "feature") if stepwise else None)
    W, R = (np.zeros((1, 12, size), np.float32) for size in (2, 3))
    nodes = [
        helper.make_node("Cast", ["bytes"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["x"], ["turned"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["turned", "W", "R", "", "lengths"], ["y"], hidden_size=3),
    ]
    given = [
        helper.make_tensor_value_info("bytes", TensorProto.UINT8, ["sequences", None, 2]),
        helper.make_tensor_value_info("lengths", TensorProto.INT32, [1]),
    ]
    weights = [numpy_helper.from_array(array, name) for name, array in (("W", W), ("R", R))]
    out = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    save(helper.make_model(helper.make_graph(nodes, "g", given, out, weights)), "model.onnx")
    said, found = inspected(capsys, "model.onnx", 0)
    assert found["inputs"] == [
        {"name": "bytes", "shape": ["sequences", None, 2], "dtype": "uint8", "axes": ["batch", "time", "feature"]},
        {"name": "lengths", "shape": [1], "dtype": "int32", "axes": None},
    ]
    assert "  bytes (sequences, any, 2), uint8: the axes are batch, time, feature\n  lengths (1), int32\n" in said


@pytest.mark.parametrize("seed", range(20))
def test_lines_are_those_of_textwrap(seed):
    rng = np.random.default_rng(seed)
    letters = [*"aé- \t\n", "\N{NO-BREAK SPACE}", "\N{EM SPACE}", "\x1b", "\N{CJK UNIFIED IDEOGRAPH-672C}", ""]
    for length in (0, 1, 10, 64, 65, 66, 67, 68, 200):
        text = "".join(rng.choice(letters, length, p=[0.4, 0.1, 0.1, 0.2, *[0.2 / 7] * 7]))
        options = {"break_long_words": False, "break_on_hyphens": False}
        expected = textwrap.wrap(clean(text) or "(no name)", 80, initial_indent="  head       ", **options)
        assert wrapped(text, "  head       ", "") == expected


# One screen.


def wide_model(layers, lstms=1):
    """Write an ONNX model with many layers after its LSTMs, one of which gatewise lacks."""
    W, R = (np.zeros((1, 12, size), np.float32) for size in (2, 3))
    nodes = [helper.make_node("LSTM", ["x", "W", "R"], [f"h{n}"], hidden_size=3, name=f"rnn{n}") for n in range(lstms)]
    nodes += [
        helper.make_node("Tanh", [f"v{n - 1}" if n else "h0"], [f"v{n}"], name=f"/layer{n}/Tanh") for n in range(layers)
    ]
    nodes.append(helper.make_node("Frobnicate", [f"v{layers - 1}"], ["y"], name="strange"))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, None, 2])
    y = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("y", *(f"h{n}" for n in range(lstms)))
    ]
    weights = [numpy_helper.from_array(array, name) for name, array in (("W", W), ("R", R))]
    save(helper.make_model(helper.make_graph(nodes, "g", [x], y, weights)), "model.onnx")


@pytest.mark.parametrize(("layers", "lstms"), [(1, 1), (3, 2), (200, 1), (200, 30)])
def test_inspect_fits_a_screen_and_shows_all_on_request(layers, lstms, capsys):
    wide_model(layers, lstms)
    assert exit_code(["inspect", "model.onnx"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 40
    assert all(len(line) <= 80 for line in lines)
    assert "  x: input (*, *, 2), float32" in lines
    assert any("rnn0" in line and "LSTM(" in line for line in lines)
    assert "Left out, and it matters" in lines
    assert "strange: gatewise lacks Frobnicate" in " ".join(lines)
    assert lines[-2:] == [
        "Next: gatewise trace model.onnx x.csv -o trace.npz",
        "Everything in the file: gatewise inspect model.onnx --all",
    ]
    assert exit_code(["inspect", "model.onnx", "--all"]) == 0
    every = capsys.readouterr().out
    assert all(f"rnn{n}\n" in every for n in range(lstms))


def test_the_ledger_of_a_graph_has_what_no_node_of_it_uses(capsys):
    wide_model(3)
    assert exit_code(["inspect", "model.onnx", "--json"]) == 0
    ledger = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)["ledger"]}
    left_out = {name: entry["reason"] for name, entry in ledger.items() if entry["reason"]}
    assert [*left_out] == ["strange"]
    assert left_out["strange"] == "gatewise lacks Frobnicate: gatewise has no such operation"
    assert ledger["strange"]["effect"] == "nothing that needs its value can run"


def test_the_next_command_of_inspect_runs(capsys):
    assert exit_code(["inspect", "--example", "river"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("Next: gatewise "))
    assert exit_code(["inspect", *line.split()[3:]]) == 0
    assert line == "Next: gatewise report --example river"
