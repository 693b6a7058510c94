"""What an LSTM is: its cells and sizes, how it is made, and of what it cannot be."""

from __future__ import annotations

import cases
import numpy as np
import pytest
from stacks import random_lstm

import gatewise as gw
from gatewise.layers.merging import MERGES, merge, merged_size


def cell(inputs=2, hidden=3, dtype=np.float64):
    return gw.LSTMCell(inputs, hidden, rng=0, dtype=dtype)


# What it is.


def test_an_lstm_of_cells_holds_those_cells():
    cells = [(cell(), cell()), (cell(6), cell(6))]
    lstm = gw.LSTM.from_cells(cells)
    assert lstm[0, "forward"] is cells[0][0]
    assert lstm[1, "backward"] is cells[1][1] is lstm[-1, "backward"]
    single = gw.LSTM.from_cells(cell().parameters, direction="backward")
    assert (single.directions, single.num_layers, single.bidirectional) == (("backward",), 1, False)
    np.testing.assert_array_equal(
        gw.LSTM.from_cells([cell().parameters])[0].parameters.weight, cell().parameters.weight
    )


def test_an_lstm_tells_its_sizes():
    lstm = gw.LSTM(2, 4, num_layers=2, bidirectional=True, projection_size=3, rng=0)
    assert (lstm.input_size, lstm.hidden_size, lstm.output_size, lstm.num_layers) == (2, 4, 6, 2)
    assert (lstm.bidirectional, lstm.dtype) == (True, np.float32)
    first, second = 4 * 4 * (3 + 2 + 1) + 3 * 4, 4 * 4 * (3 + 6 + 1) + 3 * 4
    assert lstm.num_parameters == 2 * (first + second)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "LSTM(input_size=2, hidden_size=3, dtype=float64)"),
        ({"num_layers": 2}, "LSTM(input_size=2, hidden_size=3, num_layers=2, dtype=float64)"),
        (
            {"bidirectional": True, "merge": "sum"},
            "LSTM(input_size=2, hidden_size=3, bidirectional=True, merge='sum', dtype=float64)",
        ),
        ({"direction": "backward"}, "LSTM(input_size=2, hidden_size=3, direction='backward', dtype=float64)"),
    ],
)
def test_an_lstm_says_what_it_is(options, text):
    assert repr(random_lstm(**options)) == text


def test_every_cell_of_a_new_lstm_is_drawn_anew():
    lstm = gw.LSTM(3, 3, num_layers=2, rng=0)
    assert (lstm[0].parameters.weight != lstm[1].parameters.weight).all()
    both = gw.LSTM(3, 3, bidirectional=True, rng=0)
    assert (both[0, "forward"].parameters.weight != both[0, "backward"].parameters.weight).all()
    again = gw.LSTM(3, 3, num_layers=2, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(again[1].parameters.weight, lstm[1].parameters.weight)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_another_precision_keeps_everything_else(dtype):
    labels = gw.Labels(units=("a", "b", "c"))
    cells = [(gw.LSTMCell.from_parameters(cell().parameters, labels), cell())]
    lstm = gw.LSTM.from_cells(cells, merge="sum").astype(dtype)
    assert (lstm.dtype, lstm.merge, lstm.directions) == (dtype, ("sum",), cases.DIRECTIONS)
    assert lstm[0, "forward"].labels == labels
    np.testing.assert_array_equal(lstm[0, "forward"].parameters.weight, cell().parameters.weight.astype(dtype))
    y, state = lstm(np.zeros((2, 1, 2)))
    assert y.dtype == state[0][1].c.dtype == dtype
    single = gw.LSTM.from_cells(cell(), direction="backward").astype(dtype)
    assert single.directions == ("backward",)
    with pytest.raises(gw.OptionError):
        lstm.astype("int8")


def test_merges_are_what_their_names_say():
    a, b = np.array([[1.0, 2.0]]), np.array([[3.0, 5.0]])
    found = {how: merge([a, b], how).tolist() for how in MERGES}
    assert found == {
        "concat": [[1, 2, 3, 5]],
        "sum": [[4, 7]],
        "mul": [[3, 10]],
        "average": [[2, 3.5]],
        "none": [[[1, 2], [3, 5]]],
    }
    for how in MERGES:
        assert merge([a], how) is a
        assert merged_size(how, [2, 2]) == (4 if how == "concat" else 2)


# What is refused.


@pytest.mark.parametrize(
    ("options", "kind", "parts"),
    [
        ({"num_layers": 0}, gw.OptionError, ["num_layers", "at least 1", "0"]),
        ({"num_layers": 1.0}, gw.OptionError, ["num_layers", "integer", "1.0"]),
        ({"direction": "sideways"}, gw.OptionError, ["direction", "'sideways'", "forward, backward"]),
        ({"direction": "backward", "bidirectional": True}, gw.OptionError, ["direction", "bidirectional"]),
        ({"merge": "glue"}, gw.OptionError, ["merge", "'glue'", "concat"]),
        ({"merge": ["sum", "sum"]}, gw.ShapeError, ["2 merges", "1 layer"]),
        ({"merge": 5}, gw.OptionError, ["merge", "5"]),
        ({"merge": "none", "num_layers": 2, "bidirectional": True}, gw.OptionError, ["'none'", "last layer"]),
        ({"dtype": None}, gw.OptionError, ["dtype", "None"]),
        ({"bidirectional": "forward"}, gw.OptionError, ["bidirectional", "'forward'"]),
    ],
)
def test_a_wrong_lstm_is_refused_in_one_sentence(options, kind, parts):
    with cases.refusal(*parts, by=kind):
        random_lstm(**options)


@pytest.mark.parametrize(
    ("cells", "options", "kind", "parts"),
    [
        ([], {}, gw.ShapeError, ["layers"]),
        ([[]], {}, gw.ShapeError, ["layers"]),
        ([(cell(), cell(), cell())], {}, gw.ShapeError, ["one cell each, or two"]),
        ([(cell(), cell()), cell(6)], {}, gw.ShapeError, ["one cell each, or two"]),
        ([cell(), cell(2)], {}, gw.ShapeError, ["layer 1", "2 features", "3"]),
        ([(cell(), cell()), (cell(3), cell(3))], {}, gw.ShapeError, ["layer 1", "3 features", "6"]),
        ([(cell(2), cell(1))], {}, gw.ShapeError, ["layer 0", "1 feature,", "gets 2"]),
        ([cell(), cell(3, dtype=np.float32)], {}, gw.ShapeError, ["layer 1", "float32", "float64"]),
        ([(cell(), cell(hidden=4))], {"merge": "sum"}, gw.ShapeError, ["layer 0", "[3, 4]", "'sum'"]),
        ([(cell(), cell(hidden=4))], {"merge": "none"}, gw.ShapeError, ["layer 0", "[3, 4]", "'none'"]),
        ([cell()], {"direction": "sideways"}, gw.OptionError, ["'sideways'"]),
        ([cell()], {"merge": "glue"}, gw.OptionError, ["'glue'"]),
        ([5], {}, gw.GatewiseError, ["LSTMCell or Parameters", "int"]),
        (["cell"], {}, gw.OptionError, ["LSTMCell or Parameters", "str"]),
        (5, {}, gw.GatewiseError, ["LSTMCell or Parameters", "int"]),
    ],
)
def test_cells_that_do_not_fit_together_are_refused_in_one_sentence(cells, options, kind, parts):
    with cases.refusal(*parts, by=kind):
        gw.LSTM.from_cells(cells, **options)
