"""What records say of themselves: sizes, what is kept, the dtype, and the first numbers where they are few."""

from __future__ import annotations

import re

import numpy as np
import pytest

import gatewise as gw
from gatewise.interop.contents import Contents, Refused, StoredLayer, StoredLSTM
from gatewise.showing import counted, nth


def records(time=3, batch=1, inputs=2, hidden=1, layers=1, dtype=np.float32, bidirectional=False):
    """Return one record of each kind, of a run of these sizes."""
    lstm = gw.LSTM(inputs, hidden, num_layers=layers, bidirectional=bidirectional, dtype=dtype, rng=0)
    network = gw.Network(lstm, head=gw.Linear(np.ones((1, lstm.output_size), dtype)))
    x = np.random.default_rng(0).normal(size=(time, batch, inputs))
    whole = network.trace(x)
    found = {"LSTM": lstm, "Network": network, "NetworkTrace": whole, "LSTMTrace": whole.lstm}
    found |= {"Trace": whole.lstm[0, "forward"], "Step": whole.lstm[0, "forward"].step(0)}
    found["NetworkGradients"] = gw.backward(whole, np.ones_like(whole.output))
    found["LSTMGradients"] = found["NetworkGradients"].lstm
    found["Gradients"] = found["LSTMGradients"][0, "forward"]
    found["DropoutMasks"] = gw.DropoutMasks(input=np.ones((time, batch, inputs), dtype))
    return found


SIZES = [
    {},
    {"layers": 2, "bidirectional": True, "dtype": np.float64},
    {"time": 400, "batch": 30, "inputs": 40, "hidden": 128},
    {"inputs": 1, "time": 1},
]


@pytest.mark.parametrize("sizes", SIZES)
def test_a_record_is_a_few_short_lines_and_says_its_precision(sizes):
    dtype = np.dtype(sizes.get("dtype", np.float32)).name
    for name, record in records(**sizes).items():
        lines = repr(record).splitlines()
        assert name in lines[0], lines[0]
        assert len(lines) <= 12, name
        assert dtype in repr(record) or name == "DropoutMasks"
        assert not re.search(r"\b1 \w+s\b(?! kept)", repr(record)), repr(record)  # one step is no "1 steps"


def test_the_first_numbers_of_small_arrays_are_shown_and_no_others():
    for record in (small := records()), records(**SIZES[2]):
        trace = record["Trace"]
        for name in ("forget_gate", "cell_state"):
            line = next(line for line in repr(trace).splitlines() if name in line)
            numbers = re.findall(r"-?\d\.\d+", line)
            expected = [f"{number:.4g}" for number in trace.quantity(name).flat[:4]] if record is small else []
            assert numbers == expected, line


@pytest.mark.parametrize(
    ("less", "words"),
    [
        ({}, "everything kept"),
        ({"every": 2}, "all quantities of every 2nd step kept"),
        ({"units": [0, 2]}, "all quantities of 2 units kept"),
        ({"keep": ["cell_state", "forget_gate"]}, "forget_gate and cell_state kept"),
        ({"keep": "forget_gate", "units": [1], "every": 3}, "forget_gate of 1 unit of every 3rd step kept"),
        ({"keep": []}, "nothing kept"),
    ],
)
def test_a_trace_says_all_that_it_kept(less, words):
    trace = gw.LSTM(2, 3, num_layers=2, rng=0).trace(np.ones((5, 2)), **less)
    assert repr(trace).splitlines()[0].endswith(f", {words}")


def test_a_trace_on_file_is_not_read_for_its_repr(tmp_path):
    trace = gw.LSTM(4, 32, rng=0).trace(np.ones((100, 2, 4)), out=tmp_path / "trace")
    assert "(100, 2, 32)" in repr(trace[0])
    assert not re.search(r"\d\.\d", repr(trace[0]))


def test_what_is_in_a_file_is_listed_by_name():
    lstm = gw.LSTM(2, 3, rng=0)
    parts = tuple(StoredLayer(f"part{n}", "linear layer", (2, 3), lambda: np.ones((2, 3))) for n in range(30))
    refused = (Refused("gru", "it is none"),)
    found = tuple(StoredLSTM(f"lstm{n}", lstm, "as it is", "there") for n in range(7))
    lines = repr(Contents("a\nb", "Format 1", found, parts, refused, calls=("os.system",))).splitlines()
    assert lines[0] == "<Contents: a?b, Format 1"
    assert lines[1:7:5] == [f"  lstm0: {lstm!r}", "  and 2 more LSTMs"]
    assert lines[7].startswith("  other layers (30): 'part0', 'part1', ")
    assert lines[8:] == ["  not to be read (1): 'gru'", "  called by unpickling (1): 'os.system'>"]
    assert max(map(len, lines)) < 300
    assert "0x" not in repr(parts[0])
    assert repr(Contents("a", "Format 1")) == "<Contents: a, Format 1\n  it holds no weights>"


@pytest.mark.parametrize(("count", "words"), [(0, "0 steps"), (1, "1 step"), (2, "2 steps"), (1_000, "1,000 steps")])
def test_what_is_counted_is_said_as_it_is_spoken(count, words):
    assert counted(count, "step") == words


def test_ordinals_have_the_endings_of_english():
    words = {1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 12: "12th", 13: "13th", 21: "21st", 112: "112th"}
    assert {number: nth(number) for number in words} == words
