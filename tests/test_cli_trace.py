"""gatewise trace: long tables and netCDF files, of every input."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
import xarray
from program import exit_code, folder_contents, output_of, refusal_of

import gatewise as gw
from gatewise.cli import printing
from gatewise.interop import trace_datasets

pytestmark = pytest.mark.usefixtures("here")

DAYS = np.arange("2001-01-01", 6, dtype="datetime64[D]")
ORDER = ["--axes", "time,batch,feature"]


def array(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def network():
    """Return a scaled network of two features with names, and units of what they measure."""
    labels = gw.Labels(
        features=("rain", "a,b"), outputs=("q",), measures={"rain": ("precipitation", "mm"), "q": ("discharge", "m3/s")}
    )
    scaling = {"inputs": gw.Scaling([1.0, 2], [3.0, 4]), "outputs": gw.Scaling([5.0], [2.0])}
    return gw.Network(gw.LSTM(2, 3, num_layers=2, rng=0), head=gw.Linear(array(1, 3)), labels=labels, **scaling)


def write_csv(x, path="x.csv"):
    rows = [f"{day},{a!r},{b!r}" for day, (a, b) in zip(DAYS, x.tolist(), strict=True)]
    Path(path).write_text("\n".join(['date,rain,"a,b"', *rows]), encoding="utf-8")


def read_table(path="t.csv"):
    return pandas.read_csv(path, keep_default_na=True)


def test_a_long_table_has_every_number_of_the_run_with_its_names_in_order_of_time(capsys):
    model, x = network(), array(6, 2)
    gw.save(model, "net.safetensors")
    write_csv(x)
    said = output_of(capsys, "trace", "net.safetensors", "x.csv", "-o", "t.csv")
    assert said.startswith("t.csv: lstm, 2 layers, forward, 6 steps of 1 sequence")
    table, trace = read_table(), model.trace(x)
    assert [*table.columns] == ["time", "sequence", "layer", "direction", "quantity", "unit", "value"]
    assert [*table["time"]] == sorted(table["time"])
    assert {*table["time"]} == {*map(str, DAYS)}
    for layer in range(2):
        cell = trace[layer]
        for quantity in cell.distinct():
            rows = table[(table.layer == layer) & (table.quantity == quantity)]
            wide = rows.pivot(index="time", columns="unit", values="value")
            np.testing.assert_array_equal(wide.to_numpy(np.float32), cell.quantity(quantity))
    own = table[table.layer.isna()]
    assert [*own[own.quantity == "y"].unit] == ["q"] * 6
    np.testing.assert_array_equal(own[own.quantity == "y"].value.to_numpy(np.float32), trace.output[:, 0])
    wide = own[own.quantity == "input"].pivot(index="time", columns="unit", values="value")
    np.testing.assert_array_equal(wide[["rain", "a,b"]].to_numpy(np.float32), x)
    count = 6 * (2 + 2 + 2 * 6 * 3 + 1)  # the network's input and the LSTM's, the quantities of two layers, y
    assert len(table) == count


def test_a_netcdf_file_has_every_number_of_the_run_with_names_dates_units_and_provenance(capsys):
    model, x = network(), array(6, 2)
    gw.save(model, "net.safetensors")
    write_csv(x)
    output_of(capsys, "trace", "net.safetensors", "x.csv", "-o", "t.nc")
    trace = model.trace(x)
    with xarray.open_dataset("t.nc") as data:
        for layer in range(2):
            for quantity in trace[layer].distinct():
                variable = data[f"layer_{layer}_forward_{quantity}"]
                assert variable.dims == ("time", "unit")
                np.testing.assert_array_equal(variable, trace[layer].quantity(quantity))
                assert variable.attrs["units"] == "1"
        np.testing.assert_array_equal(data["y"], trace.output)
        assert data["y"].attrs["units"] == "m3/s"
        np.testing.assert_array_equal(data["network_input"], x)
        assert [*data["network_feature_unit"].values] == ["mm", ""]
        np.testing.assert_allclose(data["input"], trace.lstm[0].input[:, 0], rtol=1e-6)
        assert [*data["network_feature"].values] == ["rain", "a,b"]
        assert (data["time"].values == DAYS).all()
        assert data.attrs["model_file"] == "net.safetensors"
        assert len(data.attrs["model_sha256"]) == 64
        assert "trace net.safetensors x.csv -o t.nc" in data.attrs["history"]


@pytest.mark.parametrize("suffix", [".csv", ".nc"])
def test_a_batch_with_lengths_and_less_that_is_kept(suffix, capsys):
    lstm, x = gw.LSTM(2, 3, bidirectional=True, merge="none", rng=0), array(6, 2, 2)
    gw.save(lstm, "m.safetensors")
    np.save("x.npy", x)
    less = ["--lengths", "6,4", "--keep", "forget_gate,cell_state", "--units", "0,2", "--every", "2"]
    output_of(capsys, "trace", "m.safetensors", "x.npy", "-o", f"t{suffix}", *ORDER, *less)
    trace = lstm.trace(x, lengths=[6, 4], keep=("forget_gate", "cell_state"), units=[0, 2], every=2)
    if suffix == ".csv":
        table = read_table()
        rows = table[(table.direction == "backward") & (table.quantity == "forget_gate")]
        wide = rows.pivot(index=["time", "sequence"], columns="unit", values="value")
        assert [*wide.columns.astype(int)] == [0, 2]
        got = wide.to_numpy(np.float32).reshape(3, 2, 2)
        np.testing.assert_array_equal(got, trace[0, "backward"].forget_gate)
        assert np.isnan(got[2, 1]).all()  # past the sequence's length
        got = table[table.quantity == "y"].value.to_numpy(np.float32).reshape(3, 2, 2, 3)
    else:
        with xarray.open_dataset("t.nc") as data:
            got = data["layer_0_backward_forget_gate"]
            assert got.dims == ("time", "batch", "unit")
            assert [*data["unit"].values] == [0, 2]
            assert [*data["time"].values] == [0, 2, 4]
            np.testing.assert_array_equal(got, trace[0, "backward"].forget_gate)
            got = data["y"].values
    np.testing.assert_array_equal(got, trace.output[::2])


@pytest.mark.parametrize("suffix", [".csv", ".nc"])
def test_tokens_and_an_output_at_the_end_of_a_sequence(suffix, capsys):
    model = gw.Network(gw.LSTM(2, 3, rng=0), embedding=array(7, 2), head=gw.Linear(array(2, 3)), reads="last")
    gw.save(model, "net.safetensors")
    tokens = np.random.default_rng(0).integers(0, 7, (5, 2))
    np.save("x.npy", tokens)
    output_of(capsys, "trace", "net.safetensors", "x.npy", "-o", f"t{suffix}", "--axes", "time,batch")
    if suffix == ".csv":
        table = read_table()
        got = table[table.quantity == "y"]
        assert got.time.isna().all()
        y, read = got.value.to_numpy(np.float32).reshape(2, 2), table[table.quantity == "token"].value.to_numpy()
    else:
        with xarray.open_dataset("t.nc") as data:
            y, read = data["y"].values, data["token"].values
    np.testing.assert_array_equal(y, model(tokens)[0])
    np.testing.assert_array_equal(read.reshape(5, 2), tokens)


def test_a_run_in_windows_has_the_outputs_of_all_of_them(capsys):
    model, x = network(), array(6, 2)
    model = gw.Network(model.lstm, head=model.head, labels=model.labels, windows=gw.network.Windows(4))
    gw.save(model, "net.safetensors")
    write_csv(x)
    for suffix in (".csv", ".nc"):
        output_of(capsys, "trace", "net.safetensors", "x.csv", "-o", f"t{suffix}")
    want = model.run_windows(x)[:, 0]
    table = read_table()
    rows = table[table.quantity == "series output"]
    assert [*rows.time] == [*map(str, DAYS)]
    np.testing.assert_array_equal(rows.value.to_numpy(np.float32), want)
    with xarray.open_dataset("t.nc") as data:
        np.testing.assert_array_equal(data["series_output"][:, 0], want)
        assert data.sizes["time"] == 4
        assert (data["series_time"].values == DAYS).all()


def test_what_cannot_be_written_is_said_before_the_run_and_leaves_nothing(capsys, monkeypatch):
    gw.save(gw.LSTM(2, 3, rng=0), "m.safetensors")
    np.save("x.npy", array(6, 2))
    command = ("trace", "m.safetensors", "x.npy", "-o")
    assert "must end in .safetensors, .npz, .csv or .nc" in refusal_of(capsys, *command, "t.x")
    monkeypatch.setattr(trace_datasets, "NETCDF_4", ())
    monkeypatch.setattr(trace_datasets, "write_netcdf", lambda *_: pytest.fail("it runs in vain"))
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    assert refusal_of(capsys, *command, "t.nc").endswith("needs SciPy: from a clone, pip install '.[plot]'")
    monkeypatch.setitem(sys.modules, "xarray", None)
    assert refusal_of(capsys, *command, "t.nc").endswith("newer: from a clone, pip install '.[xarray]'")


def test_what_a_long_table_takes_is_said_before_it_is_written_and_nothing_else_is_left(capsys, monkeypatch):
    gw.save(gw.LSTM(2, 3, rng=0), "m.safetensors")
    np.save("x.npy", array(6, 2))
    monkeypatch.setattr(printing, "LARGE", 100)
    before = folder_contents()
    assert exit_code(["trace", "m.safetensors", "x.npy", "-o", "t.csv"]) == 0
    assert "t.csv gets 138 rows, about 5.391 KiB" in capsys.readouterr().err
    assert len(read_table()) == 6 * (2 + 6 * 3 + 3)
    assert {*folder_contents()} == {*before, Path("t.csv")}


def test_a_variable_that_the_classic_format_cannot_hold_is_refused(capsys, monkeypatch):
    gw.save(gw.LSTM(2, 3, rng=0), "m.safetensors")
    np.save("x.npy", array(6, 2))
    monkeypatch.setattr(trace_datasets, "NETCDF_4", ())
    monkeypatch.setattr(trace_datasets, "LARGEST", 50)
    sentence = refusal_of(capsys, "trace", "m.safetensors", "x.npy", "-o", "t.nc")
    assert "takes 72 B, and a variable of t.nc takes 50 B at most" in sentence
