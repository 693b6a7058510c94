"""Pictures: what they show of a run, and that a visible change does not pass unseen."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import pyplot
from pictures import described, golden

import gatewise as gw
from gatewise.examples import latch


@pytest.fixture(autouse=True)
def agg(request):
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")


def held():
    cell, x, *_ = latch()
    return gw.LSTM.from_cells(cell).trace(x)[0]


def test_the_forget_gate_of_the_latch_is_drawn_as_it_was():
    golden("gates", gw.plot.gates(held()))


def test_a_record_is_drawn_as_the_trace_that_it_is_of():
    trace = gw.LSTM(2, 5, rng=0).trace(np.random.default_rng(0).normal(size=(6, 2, 2)))[0]
    record = gw.plot.data.gates(trace, "input_gate", sequence=1, sort="timescale")
    drawn = gw.plot.gates(trace, gate="input_gate", sequence=1, sort="timescale")
    assert described(drawn.figure) == described(gw.plot.gates(record).figure)
    assert record.to_dataframe().shape == (6, 6)
