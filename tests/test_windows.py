"""Windows: each output comes from steps of its own, as arrays worked out by hand and traces of each window say."""

from __future__ import annotations

import cases
import hydrology
import numpy as np
import pytest
from native_subjects import needs_native

import gatewise as gw
from gatewise.network import Windows
from gatewise.network.windows import lagged, window_batches, window_ends
from gatewise.records.times import time_breaks

yaml = pytest.importorskip("yaml")
LENGTH, STEPS = 6, 25


def network(**options):
    """Return a network of three features with two outputs, evaluated in windows of six steps."""
    rng = np.random.default_rng(1)
    head = gw.Linear(np.float32(rng.normal(size=(2, 5))), np.float32(rng.normal(size=2)))
    scaling = gw.Scaling(np.arange(3.0), np.full(3, 2.0))
    return gw.Network(gw.LSTM(3, 5, rng=0), head=head, inputs=scaling, windows=Windows(LENGTH), **options)


def series(*shape):
    return np.random.default_rng(2).normal(size=(STEPS, *shape, 3))


@needs_native
@pytest.mark.parametrize("most", [2**22, 300])
@pytest.mark.parametrize("batch", [(), (2,)])
def test_each_output_is_the_last_one_of_a_trace_of_its_window_whatever_the_batches(batch, most, monkeypatch):
    monkeypatch.setattr("gatewise.network.windows.MAX_NUMBERS", most)
    model, x = network(), series(*batch)
    y = model.run_windows(x)
    assert y.shape == (STEPS, *batch, 2)
    assert np.isnan(y[: LENGTH - 1]).all()
    for end in range(LENGTH - 1, STEPS):
        np.testing.assert_array_equal(y[end], model.trace(x[end + 1 - LENGTH : end + 1]).output[-1])
    assert np.abs(y - model(x)[0])[LENGTH:].max() > 0.01  # a run that starts once is another one


@pytest.mark.parametrize("model", ["cudalstm", "customlstm"])
def test_outputs_of_a_run_of_neuralhydrology_are_what_its_arrays_give_for_each_window(model, tmp_path):
    config = hydrology.settings(model=model, seq_length=LENGTH, predict_last_n=2)
    arrays, tables = hydrology.make_run(tmp_path / "run", config)
    basin = hydrology.basin_of(config, STEPS)
    run = gw.load_network(tmp_path / "run")
    x = np.stack([np.broadcast_to(basin[name], STEPS) for name in run.labels.features], axis=-1)
    y = run.run_windows(x)
    hydrology.assert_series_agree(y, hydrology.window_answers(config, arrays, tables, basin, STEPS))


def test_a_missing_number_or_date_costs_the_windows_that_contain_it():
    x = series(2)
    x[10, 1, 2] = np.nan
    dates = np.delete(np.arange("2000-01-01", STEPS + 1, dtype="datetime64[D]"), 20)  # 2000-01-21 is missing
    ends = window_ends(x, LENGTH, time_breaks(dates))
    first = [*range(LENGTH - 1, 20)]
    assert np.flatnonzero(ends[:, 0]).tolist() == first
    assert np.flatnonzero(ends[:, 1]).tolist() == [t for t in first if not 10 <= t < 10 + LENGTH]
    y = network().run_windows(x, ends)
    np.testing.assert_array_equal(np.isfinite(y).all(-1), ends)
    np.testing.assert_array_equal(y[ends], network().run_windows(np.nan_to_num(x))[ends])


@pytest.mark.parametrize(
    ("dates", "breaks"),
    [
        (["2000-01-01", "2000-01-02", "2000-01-04", "2000-01-05", "2000-01-06"], [2]),
        (["2000-01-01", "2000-01-02", "2000-01-04", "2000-01-06", "2000-01-08"], [2, 3, 4]),  # most of them are gaps
        (["2000-01-01", "2000-02-01", "2000-03-01", "2000-04-01"], []),  # months are as regular as they can be
        (["2000-01-01", "2000-01-02", "2000-01-02", "2000-01-03", "2000-01-04"], [2]),
        (["2000-01-01", "2000-01-02", "2000-01-03", "2000-01-01"], [3]),
    ],
)
def test_dates_break_where_they_do_not_go_on(dates, breaks):
    found = time_breaks(np.array(dates, "datetime64[D]"))
    assert ([] if found is None else np.flatnonzero(found).tolist()) == breaks
    assert time_breaks(dates) is None  # names


@pytest.mark.parametrize("steps", [0, 2, -1, 9])
def test_a_lag_reads_so_many_steps_before_and_not_beyond_a_break(steps):
    column, breaks = np.arange(6.0), np.array([0, 0, 0, 1, 0, 0], bool)
    got = lagged(column, steps, breaks)
    for t in range(6):
        inside = 0 <= t - steps < 6 and (t < 3) == (t - steps < 3)
        assert got[t] == t - steps if inside else np.isnan(got[t])


def test_a_series_with_names_keeps_its_axes_and_its_gaps():
    xarray = pytest.importorskip("xarray")
    dates = np.delete(np.arange("2000-01-01", STEPS + 1, dtype="datetime64[D]"), 20)
    x = xarray.DataArray(series(2), {"time": dates}, ("time", "batch", "feature"))
    want = network().run_windows(x.values, np.repeat(window_ends(x, LENGTH, time_breaks(dates))[:, :1], 2, axis=1))
    assert np.isnan(want[20:]).all()
    np.testing.assert_array_equal(network().run_windows(x), want)
    np.testing.assert_array_equal(
        network().run_windows(x.transpose("batch", "feature", "time")).transpose(2, 0, 1), want
    )


def test_batches_have_every_window_once():
    x = series(2)
    ends = window_ends(x, LENGTH)
    pieces = [*window_batches(x, ends, LENGTH, 2**20)]
    assert len(pieces) == ends.sum()  # more numbers than fit: one window at a time
    seen = {(int(t), int(n)) for times, sequences, _ in pieces for t, n in zip(times, sequences, strict=True)}
    assert seen == {(t, n) for t in range(LENGTH - 1, STEPS) for n in range(2)}
    assert all(windows.shape == (LENGTH, 1, 3) for _, _, windows in pieces)


def test_windows_are_stored_with_a_network(tmp_path):
    windows = Windows(4, {"rain_shift1": ("rain", 1)})
    model = gw.Network(gw.LSTM(3, 5, rng=0), windows=windows)
    gw.save(model, tmp_path / "net.safetensors")
    assert gw.load_network(tmp_path / "net.safetensors").windows == windows
    assert "in windows of 4 steps" in repr(model)


def test_what_has_no_windows_is_said():
    with cases.refusal("run_windows", "windows", by=gw.OptionError):
        gw.Network(gw.LSTM(3, 5, rng=0)).run_windows(series())
    with cases.refusal("(time, batch, 3)", "(25, 2)", by=gw.ShapeError):
        network().run_windows(series()[:, :2])
    early = np.ones(STEPS, bool)
    with cases.refusal("6 steps ends at step 0", "before the first one", by=gw.OptionError):
        network().run_windows(series(), early)
    for ends in (early[:-1], early[:, None], early.astype(int)):
        with cases.refusal("ends must be boolean, of shape (25,)", by=gw.ShapeError):
            network().run_windows(series(), ends)
    with cases.refusal("windows", "reads", by=gw.OptionError):
        gw.Network(gw.LSTM(3, 5, rng=0), reads="last", windows=Windows(2))
    assert np.isnan(network().run_windows(series()[: LENGTH - 1])).all()
    assert network().run_windows(series()[:0]).shape == (0, 2)


LAGS = {
    "a shift": ({"lagged_features": {"pet": 1}}, "pet_shift1", ("pet", 1)),
    "one of several shifts": ({"lagged_features": {"pet": [0, 3]}}, "pet_shift3", ("pet", 3)),
    "a copy": ({"duplicate_features": ["pet"]}, "pet_copy1", ("pet", 0)),
    "one of several copies": ({"duplicate_features": {"pet": 2}}, "pet_copy2", ("pet", 0)),
    "a copy of its only feature": ({"duplicate_features": "pet"}, "pet_copy1", ("pet", 0)),
    "a shifted copy": (
        {"duplicate_features": "pet", "lagged_features": {"pet_copy1": 2}},
        "pet_copy1_shift2",
        ("pet", 2),
    ),
    "another shift": ({"lagged_features": {"pet": [2]}}, "pet_shift3", None),
    "another copy": ({"duplicate_features": {"pet": 1}}, "pet_copy2", None),
    "a column of that name": ({}, "pet_shift1", None),
}


@pytest.mark.parametrize("kind", LAGS)
def test_shifted_and_copied_features_are_those_of_the_configuration(kind, tmp_path):
    changes, name, want = LAGS[kind]
    hydrology.make_run(tmp_path / "run", hydrology.settings(dynamic_inputs=["pet", name], **changes))
    windows = gw.load_network(tmp_path / "run").windows
    assert windows.lags == ({} if want is None else {name: want})
    assert windows.steps == 365


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seq_length": None}, ["seq_length", "None"]),
        ({"predict_last_n": 0}, ["predict_last_n", "0"]),
        ({"lagged_features": ["pet"]}, ["lagged_features", "dictionary"]),
        ({"duplicate_features": {"pet": "x"}, "dynamic_inputs": ["pet_copy1"]}, ["duplicate_features", "'x'"]),
    ],
)
def test_windows_that_cannot_be_are_refused(changes, words, tmp_path):
    hydrology.make_run(tmp_path / "run", hydrology.settings(**changes))
    with cases.refusal(*words):
        gw.load_network(tmp_path / "run")
