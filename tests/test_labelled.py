"""Traces as tables of xarray, with names on their axes."""

from __future__ import annotations

import sys

import cases
import numpy as np
import pytest
from stacks import BIDIRECTIONAL, LABELS

import gatewise as gw
from gatewise.records.keep import QUANTITIES


def test_a_table_names_its_axes_and_their_entries():
    run = cases.run_of("plain", time=5, valid="mask")
    trace = run.trace(labels=LABELS)
    table = trace.to_xarray()
    assert set(table.variables) - set(table.coords) == {*QUANTITIES, "input", "valid"} - {"unprojected_state"}
    assert table.forget_gate.dims == ("time", "batch", "unit")
    assert table.hidden_state.dims == ("time", "batch", "unit")
    assert table.input.dims == ("time", "batch", "feature")
    assert table.valid.dims == ("time", "batch")
    assert table.unit.values.tolist() == list(LABELS.units)
    assert table.feature.values.tolist() == list(LABELS.features)
    assert table.batch.values.tolist() == list(LABELS.sequences)
    assert table.time.values.tolist() == list(LABELS.times)
    assert table.attrs == {"direction": "forward", "engine": trace.engine}
    one = table.forget_gate.sel(time="day 3", batch="south", unit="w")
    np.testing.assert_array_equal(one, trace.forget_gate[3, 1, 2])
    np.testing.assert_array_equal(table.valid, run.valid)
    np.testing.assert_array_equal(table.input, run.x)


def test_a_table_of_a_projected_cell_tells_units_from_what_is_projected():
    table = cases.run_of("plain", projection="projected").trace().to_xarray()
    assert table.hidden_state.dims == ("time", "batch", "projected")
    assert table.unprojected_state.dims == ("time", "batch", "unit")
    assert dict(table.sizes) == {"time": 3, "batch": 3, "unit": 4, "projected": 3, "feature": 2}
    assert table.unit.values.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("valid", ["all valid", "mask"])
def test_a_table_of_less_keeps_the_names_of_what_is_left(valid):
    run = cases.run_of("plain", time=5, valid=valid)
    table = run.trace(keep="cell_state", units=[3, 1], every=2, labels=LABELS).to_xarray()
    assert table.unit.values.tolist() == ["z", "v"]
    assert table.time.values.tolist() == ["day 0", "day 2", "day 4"]
    np.testing.assert_array_equal(table.cell_state, run.trace().cell_state[::2, :, [3, 1]])
    bare = run.trace(keep="cell_state", units=[3, 1], every=2).to_xarray()
    assert bare.time.values.tolist() == [0, 2, 4]
    assert bare.unit.values.tolist() == [3, 1]
    assert "input" not in bare
    nothing = run.trace(keep=()).to_xarray()
    assert not set(nothing.variables) - {"valid", "time"}


def test_tables_of_an_lstm_go_by_layer_and_direction():
    trace = gw.LSTM(**BIDIRECTIONAL, num_layers=2, rng=0).trace(np.ones((3, 1, 2)))
    tables = trace.to_xarray()
    for (layer, direction), cell in trace.cells().items():
        table = tables[f"layer_{layer}/{direction}"]
        np.testing.assert_array_equal(table.candidate, cell.candidate)
        assert table.attrs["direction"] == direction
    np.testing.assert_array_equal(tables["output"].y, trace.output)


def test_without_xarray_one_sentence_tells_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with cases.refusal("xarray", "pip install '.[xarray]'", by=gw.MissingExtraError):
        cases.run_of("plain").trace().to_xarray()
