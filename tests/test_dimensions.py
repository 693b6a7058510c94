"""An array of xarray's is read by position only where the names of its dimensions say the same."""

from __future__ import annotations

import subprocess
import sys

import cases
import numpy as np
import pytest
from program import environment

import gatewise as gw

xarray = pytest.importorskip("xarray")

LSTM = gw.LSTM(4, 4, num_layers=2, rng=0)
CELL = gw.LSTMCell(4, 4, rng=0)
NETWORK = gw.Network(LSTM, head=gw.Linear(np.ones((4, 4), np.float32), np.zeros(4, np.float32)))
SCALED = gw.Network(LSTM, inputs=gw.Scaling(np.zeros(4), np.full(4, 2.0)))
TOKENS = gw.Network(gw.LSTM(4, 4, rng=0), embedding=np.eye(4, dtype=np.float32))
LAST = gw.Network(LSTM, head=gw.Linear(np.ones((4, 4), np.float32), np.zeros(4, np.float32)), reads="last")
X = np.random.default_rng(0).normal(size=(4, 4, 4))  # any order of its axes fits
Y = LSTM(X)[0]


def labelled(*dims, array=X):
    return xarray.DataArray(array[(0,) * (array.ndim - len(dims))], dims=dims)


READERS = {  # of an input (time, batch, feature)
    "a call": LSTM,
    "a trace": LSTM.trace,
    "a network": NETWORK,
    "a network's trace": NETWORK.trace,
    "a network with a scaling": SCALED,
    "a network's stream": lambda x: SCALED.stream(4).push(x),
    "a plain network's stream": lambda x: NETWORK.stream(4).push(x),
    "a stream": lambda x: LSTM.stream(4).push(x),
    "the reference's stream": lambda x: LSTM.stream(4, engine="reference").push(x),
    "a gradient": lambda x: gw.backward(LSTM.trace(X), x),
    "a network's gradient": lambda x: gw.backward(NETWORK.trace(X), x),
    "verification": lambda x: gw.verify(LSTM, x, Y),
    "verification of a network": lambda x: gw.verify(NETWORK, x, NETWORK(X)[0]),
    "verification of an output": lambda x: gw.verify(LSTM, X, x),
    "a variable": lambda x: LSTM(x.variable),
}
OTHERS = {  # and what is read on other axes
    "a sequence": (LSTM, ("time", "feature")),
    "a sequence's gradient": (lambda dy: gw.backward(LSTM.trace(X[0]), dy), ("time", "feature")),
    "a block of a stream": (lambda x: LSTM.stream().push(x), ("time", "feature")),
    "a step of a stream": (lambda x: LSTM.stream(4).push(x), ("batch", "feature")),
    "tokens": (lambda x: TOKENS(x.astype(int) * 0), ("time", "batch")),
    "tokens of a stream": (lambda x: TOKENS.stream(4).push(x.astype(int) * 0), ("time", "batch")),
    "tokens to verify": (lambda x: gw.verify(TOKENS, x.astype(int) * 0, X), ("time", "batch")),
    "a mask": (lambda mask: LSTM(X, mask=mask > 0), ("time", "batch")),
    "a state": (lambda h: LSTM(X, [[(h, X[0])], [(X[0], X[0])]]), ("batch", "feature")),
    "a gradient of the last output": (lambda dy: gw.backward(LAST.trace(X), dy), ("batch", "feature")),
    "another order": (lambda x: gw.verify(LSTM, x, Y.swapaxes(0, 1), axes=("batch", "time", "feature")), None),
}


@pytest.mark.parametrize("way", READERS)
def test_an_array_whose_dimensions_say_another_order_is_refused(way):
    READERS[way](labelled("time", "batch", "feature"))
    READERS[way](labelled("day", "basin", "variable"))  # which say nothing
    for dims in (("batch", "time", "feature"), ("basin", "time", "feature"), ("time", "feature", "basin")):
        with pytest.raises(gw.OptionError, match=f"has the dimensions {', '.join(dims)}, but") as caught:
            READERS[way](labelled(*dims))
        cases.one_sentence(caught.value)


@pytest.mark.parametrize("way", OTHERS)
def test_what_is_read_on_other_axes_is_held_to_those(way):
    read, dims = OTHERS[way]
    dims = dims or ("batch", "time", "feature")
    read(labelled(*dims))
    with pytest.raises(gw.OptionError, match="has the dimensions") as caught:
        read(labelled(*dims[::-1]))
    cases.one_sentence(caught.value)


def test_an_input_that_is_opened_goes_by_the_names():
    run = gw.open_run(LSTM, labelled("batch", "feature", "time"))
    np.testing.assert_array_equal(run.trace.output, LSTM(X.transpose(2, 0, 1))[0])


def test_a_batch_in_the_place_of_features_is_refused():
    for ask in (LSTM, LSTM.trace, NETWORK, lambda x: CELL.step(x)):
        with pytest.raises((gw.OptionError, gw.ShapeError)):
            ask(labelled("time", "batch"))


def test_names_are_looked_at_without_importing_xarray():
    code = "import sys, numpy, gatewise as gw; gw.LSTM(2, 3, rng=0)([[1, 2]]); print('xarray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_names_of_dimensions_count_in_any_case():
    with cases.refusal("Batch, Time, Feature", by=gw.OptionError):
        LSTM(labelled("Batch", "Time", "Feature"))
    assert LSTM(labelled("Time", "Batch", "Feature"))[0].tobytes() == LSTM(X)[0].tobytes()
