"""The times of zarr stores and of chunks of Dask: checked, sorted and reported as those of every other format are."""

from __future__ import annotations

import shutil
from pathlib import Path

import cases
import numpy as np
import pytest
from program import exit_code, refusal_of

import gatewise as gw
from gatewise.errors import DataWarning

xarray = pytest.importorskip("xarray")
pytest.importorskip("zarr")
pytest.importorskip("dask")

from timed import DISORDERS, GAP, KINDS, NAMES, NETWORK, STEPS, VALUES, dataset, text  # noqa: E402

V3 = "ignore:(Consolidated metadata|The data type):Warning"  # what zarr says of texts in its third format
WAY_OUT = "--sort-time (in Python sort_time=True)"
KEPT = np.delete(np.arange(STEPS), GAP)
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings(V3)]


def store(path, times, places, version=2, basins=3):
    """Write a store with a variable for each feature, at these steps of a series for each of some basins."""
    series = dataset(None, KINDS[times][places], VALUES[places])
    scaled = [series * (1 + basin) for basin in range(basins)]
    data = xarray.concat(scaled, "basin").assign_coords(basin=[f"b{n}" for n in range(basins)])
    data.to_zarr(path, mode="w", zarr_format=version)
    return path


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("times", KINDS)
def test_a_store_is_refused_sorted_and_reported_by_its_times(times, version, here):
    gw.save(NETWORK, "m.safetensors")
    whole = gw.apply(NETWORK, store("x.zarr", times, slice(None), version)).compute()
    for places, words in DISORDERS.values():
        store("y.zarr", times, places, version)
        for call in (lambda: gw.apply(NETWORK, "y.zarr"), lambda: gw.open_run("m.safetensors", "y.zarr")):
            with cases.refusal(f"y.zarr {words}", WAY_OUT, by=(gw.OptionError, gw.FileError)):
                call()
        xarray.testing.assert_equal(gw.apply(NETWORK, "y.zarr", sort_time=True).compute(), whole)
        run = gw.open_run("m.safetensors", "y.zarr", sort_time=True)
        np.testing.assert_array_equal(run.trace.output[:, 1], whole.y.sel(basin="b1").transpose("time", "output"))
    store("y.zarr", times, KEPT, version)
    gap = f"1 gap in time: {text(KINDS[times][GAP.start - 1])} to {text(KINDS[times][GAP.stop])} (3 steps missing)"
    assert gw.open_run("m.safetensors", "y.zarr").notes[-1].endswith(f"y.zarr: {gap}")
    with pytest.warns(DataWarning, match="1 gap in time"):
        gw.apply(NETWORK, "y.zarr")
    with cases.refusal(gap, "--strict"):
        gw.open_run("m.safetensors", "y.zarr", strict=True)
    store("y.zarr", times, [0, 1, 1, 2], version)
    with cases.refusal("twice, in step 1 and step 2", by=gw.OptionError):
        gw.apply(NETWORK, "y.zarr", sort_time=True)


def test_of_chunks_the_coordinate_of_the_steps_alone_is_read(here):
    dask = pytest.importorskip("dask.array")

    def unread(*_, **__):
        raise AssertionError("a chunk was read")

    numbers = dask.from_array(VALUES[:, None]).map_blocks(unread, dtype=float, meta=VALUES[:0, None])
    coordinates = {"time": KINDS["days"].astype("datetime64[ns]"), "feature": list(NAMES)}
    data = xarray.DataArray(numbers, coordinates, ("time", "basin", "feature"))
    assert gw.apply(NETWORK, data).y.shape == (STEPS, 1, 3)
    assert gw.apply(NETWORK, data[::-1], sort_time=True).y.time[0] == data.time[0]
    with cases.refusal("the data runs backwards in time", by=gw.OptionError):
        gw.apply(NETWORK, data[::-1])


def test_sorted_chunks_give_the_numbers_of_sorted_data_to_the_bit(here):
    data = xarray.open_zarr(store("x.zarr", "hours", slice(None))).to_dataarray("feature").transpose("time", ...)
    expected = gw.apply(NETWORK, data.compute())
    for places, _ in DISORDERS.values():
        for basins in (1, 2, 3):
            chunks = data.isel(time=places).chunk(time=-1, basin=basins, feature=-1)
            xarray.testing.assert_equal(gw.apply(NETWORK, chunks, sort_time=True).compute(), expected)


def test_the_command_sorts_stores_and_basins_and_reports_their_gaps(here, capsys):
    gw.save(NETWORK.replace(time_step="1D"), "m.safetensors")
    for name, places in (("ok", slice(None)), ("back", DISORDERS["backwards"][0]), ("gap", KEPT)):
        store(f"{name}.zarr", "days", places)
        for basin in ("a", "b"):
            folder = Path(name)
            folder.mkdir(exist_ok=True)
            rows = zip(KINDS["days"][places], VALUES[places], strict=True)
            lines = [",".join(["date", *NAMES]), *(",".join(map(str, (day, *numbers))) for day, numbers in rows)]
            (folder / f"{basin}.csv").write_text("\n".join(lines))
    for inputs in (lambda name: [f"{name}.zarr"], lambda name: [f"{name}/a.csv", f"{name}/b.csv"]):

        def tokens(name, *options, inputs=inputs):
            return ["trace", "m.safetensors", *inputs(name), "-o", f"out-{name}.zarr", *options]

        assert "runs backwards in time" in (words := refusal_of(capsys, *tokens("back")))
        assert WAY_OUT in words
        assert exit_code(tokens("ok")) == exit_code(tokens("back", "--sort-time")) == exit_code(tokens("gap")) == 0
        errors = capsys.readouterr().err
        assert errors.count("1 gap in time: 2001-03-01 to 2001-03-05 (3 steps missing)") == 1
        with xarray.open_zarr("out-ok.zarr") as ok, xarray.open_zarr("out-back.zarr") as back:
            xarray.testing.assert_equal(ok, back)
        assert "--strict" in refusal_of(capsys, *tokens("gap", "--strict"))
        for name in ("ok", "back", "gap"):
            shutil.rmtree(f"out-{name}.zarr")
    store("hours.zarr", "hours", slice(None))
    assert "a step of 1 hour" in refusal_of(capsys, "trace", "m.safetensors", "hours.zarr", "-o", "o.zarr")
    words = refusal_of(capsys, "trace", "m.safetensors", "ok.zarr", "-o", "o.zarr", "--sort-time", "--lengths", "3,3,3")
    assert "--lengths does not go with --sort-time" in words


def test_a_feature_of_a_store_in_days_since_a_date_is_a_number_and_its_units_are_compared(here, capsys):
    ages = np.arange(10.0, 10 + STEPS)
    labels = gw.Labels(features=NAMES, measures={"rain": ("rain", "mm/d"), "temp": ("age", "days since 2000-01-01")})
    network = NETWORK.replace(labels=labels)
    gw.save(network, "m.safetensors")
    series = dataset(None, KINDS["days"], np.stack([VALUES[:, 0], ages], axis=-1))
    series["temp"].attrs["units"], series["rain"].attrs["units"] = "days since 2000-01-01", "mm/h"
    expected = network(np.stack([VALUES[:, 0], ages], axis=-1))[0]
    for version in (2, 3):
        series.to_zarr("x.zarr", mode="w", zarr_format=version)
        run = gw.open_run("m.safetensors", "x.zarr")
        np.testing.assert_array_equal(run.trace.output, expected)
        assert run.notes[-1].endswith("x.zarr: the model was trained on other units: rain in mm/d, not mm/h")
        assert [*map(str, run.labels.times)] == [*map(str, KINDS["days"])]
        with pytest.warns(DataWarning, match="rain in mm/d, not mm/h"):
            np.testing.assert_array_equal(gw.apply(network, "x.zarr").y.values, expected)
    assert exit_code(["trace", "m.safetensors", "x.zarr", "-o", "o.zarr"]) == 0
    assert capsys.readouterr().err.count("rain in mm/d, not mm/h") == 1
