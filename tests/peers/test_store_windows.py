"""Stores of a network that is evaluated in windows: each step is the last one of its window, and gaps are counted."""

from __future__ import annotations

from pathlib import Path

import hydrology
import numpy as np
import pytest
from program import exit_code

import gatewise as gw

pytestmark = pytest.mark.peers
pytest.importorskip("yaml")
pytest.importorskip("dask")
pytest.importorskip("zarr")
xarray = pytest.importorskip("xarray")

STEPS, LENGTH = 30, 8


@pytest.fixture
def x(here):
    config = hydrology.settings(seq_length=LENGTH, static_attributes=None)
    hydrology.make_run(here / "run", config)
    numbers = np.random.default_rng(0).normal(1, 4, (STEPS, 5, 3))
    numbers[12, 3, 1] = np.nan
    coordinates = {"basin": [*"abcde"], "feature": hydrology.DYNAMIC}
    data = xarray.DataArray(numbers, coordinates, ("time", "basin", "feature"), name="forcing")
    data.to_dataset().to_zarr(here / "in.zarr", zarr_format=2)
    return numbers


def test_each_step_of_a_store_is_the_last_one_of_its_window(x, capsys):
    assert exit_code(["trace", "run", "in.zarr", "-o", "out.zarr", "--keep", "forget_gate"]) == 0
    notes = capsys.readouterr().err
    assert "the last one of a window of 8 steps" in notes
    assert "missing in 8 windows" in notes
    network = gw.load_network("run")
    with xarray.open_zarr("out.zarr") as store:
        np.testing.assert_array_equal(store.y.transpose("time", "basin", "output"), network.run_windows(x))
        last = network.trace(x[-LENGTH:, 0]).lstm[0].forget_gate[-1]
        np.testing.assert_array_equal(store.forget_gate.sel(basin="a")[-1], last)
        assert store.windows_not_whole.values.tolist() == [0, 0, 0, LENGTH, 0]
        assert store.attrs["evaluation"] == "in windows of 8 steps, each from the initial state"


def test_a_continuous_run_is_named_in_its_store(x, capsys):
    assert exit_code(["trace", "run", "in.zarr", "-o", "out.zarr", "--continuous"]) == 0
    network = gw.load_network("run")
    series, once = network.run_windows(x)[..., 0], network.trace(x).output[..., 0]
    both = np.isfinite(series) & np.isfinite(once)
    apart = np.abs(once - series)[both].mean() / series[both].std()
    notes = capsys.readouterr().err
    assert "the last one of a window" not in notes
    measured = f"measured at {both.sum()} of {both.sum()} windows of 5 of 5 sequences"
    assert f"off theirs by {apart:.2g} standard deviations of QObs(mm/d) on average, {measured}" in notes
    with xarray.open_zarr("out.zarr") as store:
        once = gw.load_network("run").trace(x[:, :3]).output
        np.testing.assert_array_equal(store.y.transpose("time", "basin", "output")[:, :3], once)
        assert store.attrs["evaluation"] == "continuous, where the model is evaluated in windows of 8 steps"
    assert exit_code(["trace", "run", "in.zarr", "-o", "out.zarr", "--at", "3"]) == 2
    assert "--at" in capsys.readouterr().err


def test_a_store_of_one_sequence_is_traced(x):
    data = xarray.DataArray(x[:, 0], {"feature": hydrology.DYNAMIC}, ("time", "feature"), name="forcing")
    data.to_dataset().to_zarr("one.zarr", zarr_format=2)
    assert exit_code(["trace", "run", "one.zarr", "-o", "out.zarr"]) == 0
    with xarray.open_zarr("out.zarr") as store:
        np.testing.assert_array_equal(store.y, gw.load_network("run").run_windows(x[:, 0]))


def test_the_difference_is_measured_where_windows_are(x, capsys, monkeypatch):
    """Not only in the first sequence, which has none here, and at not more windows than in an opened run."""
    from gatewise.opening import windows

    monkeypatch.setattr(windows, "MOST_COMPARED", 6)
    x[:, 0] = np.nan
    coordinates = {"basin": [*"abcde"], "feature": hydrology.DYNAMIC}
    data = xarray.DataArray(x, coordinates, ("time", "basin", "feature"), name="forcing")
    data.to_dataset().to_zarr("in.zarr", zarr_format=2, mode="w")
    assert exit_code(["trace", "run", "in.zarr", "-o", "out.zarr", "--continuous", "--every", "2"]) == 0
    assert "measured at 6 of 35 windows of 5 of 5 sequences" in capsys.readouterr().err
    assert exit_code(["trace", "run", "in.zarr", "-o", "out.zarr", "--continuous", "--every", "29"]) == 0
    assert "measured at 3 of 3 windows" in capsys.readouterr().err
    assert exit_code(["trace", "run", "in.zarr", "-o", "out.zarr", "--continuous", "--every", "40"]) == 0
    assert "at no step that it has is a window of 5 of 5 sequences whole" in capsys.readouterr().err


def test_windows_past_the_end_of_a_sequence_are_not_told_as_missing(x, capsys):
    assert exit_code(["trace", "run", "in.zarr", "-o", "out.zarr", "--lengths", "30,20,10,12,0"]) == 0
    assert "missing" not in capsys.readouterr().err


def test_features_as_wide_as_the_lstm_behind_an_embedding_are_refused(x, capsys):
    config = hydrology.settings(seq_length=LENGTH, statics_embedding={"hiddens": [2]})
    hydrology.make_run(Path("embedded"), config)
    width = gw.load_network("embedded").lstm.input_size
    data = xarray.DataArray(np.ones((STEPS, 2, width)), dims=("time", "basin", "feature"), name="forcing")
    data.to_dataset().to_zarr("wide.zarr", zarr_format=2)
    assert exit_code(["trace", "embedded", "wide.zarr", "-o", "out.zarr"]) == 2
    assert f"the data have {width} features; the model reads {width + 1}" in capsys.readouterr().err
