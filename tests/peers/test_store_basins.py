"""Several basins in one store: files of different dates, or a store, with a table of the basins' attributes."""

from __future__ import annotations

from pathlib import Path

import cases
import hydrology
import numpy as np
import program
import pytest

import gatewise as gw
from gatewise.cli import main
from tests.peers.test_store_resume import until_a_chunk_is_whole

pytestmark = pytest.mark.peers
xarray = pytest.importorskip("xarray")
pytest.importorskip("zarr")
pytest.importorskip("yaml")

RNG = np.random.default_rng(3)
CONFIG = hydrology.settings(seq_length=4)
DAYS = np.arange("2001-01-01", "2001-01-21", dtype="datetime64[D]")
ROWS = {"north": slice(0, 14), "south": slice(5, 20), "west": np.r_[2:9, 11:18]}  # the days that each basin has
TABLE = {"north": [3.0, 900.0, 5.0], "south": [40.0, 20.5, 1000.0], "west": [12.0, 100.0, 30.0]}
BASINS = [f"{basin}.csv" for basin in ROWS]
LABELS = gw.Labels(features=[*hydrology.DYNAMIC, *sorted(hydrology.STATIC)], outputs=["q", "e"])
NETWORK = gw.Network(
    gw.LSTM(6, 4, rng=1),
    head=gw.Linear(RNG.normal(size=(2, 4)).astype(np.float32)),
    inputs=gw.Scaling([1.0, 2.0, 0.0, 100.0, 10.0, 20.0], [3.0, 4.0, 1.0, 300.0, 200.0, 10.0]),
    labels=LABELS,
)


def series(basin: str) -> dict[str, np.ndarray]:
    """Return the series of a basin by name."""
    rng = np.random.default_rng(len(basin))
    return {name: rng.normal(1, 4, len(DAYS[ROWS[basin]])).round(2) for name in hydrology.DYNAMIC}


@pytest.fixture(autouse=True)
def files(here) -> None:
    """Work in a folder with a run, a network, a file for each basin, and a table of their attributes."""
    for basin in ROWS:
        columns = series(basin)
        lines = [f"date,other,{','.join(columns)}"]
        for day, *cells in zip(DAYS[ROWS[basin]], *columns.values(), strict=True):
            lines.append(f"{day},7,{','.join(map(str, cells))}")
        Path(f"{basin}.csv").write_text("\n".join(lines) + "\n")
    rows = [f"{basin},{','.join(map(str, values))}" for basin, values in TABLE.items()]
    Path("attributes.csv").write_text("\n".join([f"id,{','.join(hydrology.STATIC)}", *rows]) + "\n")
    gw.save(NETWORK, "network.safetensors")


def trace(*tokens: object) -> xarray.Dataset:
    """Run the command, and return the store that it writes."""
    main(["trace", *map(str, tokens), "-o", "gates.zarr"])
    return xarray.open_zarr("gates.zarr").load()


def test_files_of_basins_are_evaluated_in_windows_as_neuralhydrology_does(capsys):
    arrays, tables = hydrology.make_run(Path("run"), CONFIG)
    lines = Path("south.csv").read_text().splitlines()
    lines[8] = f"{lines[8].rpartition(',')[0]},"  # an empty cell costs its windows
    Path("south.csv").write_text("\n".join(lines))
    found = trace("run", *BASINS, "--attributes", "attributes.csv", "--keep", "forget_gate")
    said = capsys.readouterr()
    assert "20 steps of 3 sequences" in said.out
    assert said.err.count("north.csv and 2 more: other left out") == 1
    assert "south.csv: 1 number missing, so that the windows with them are NaN" in said.err
    assert "a number or a date is missing in 9 windows" in said.err  # 4 of south, and 5 of west
    assert found.basin.values.tolist() == [*ROWS]
    assert found.time.values.astype("datetime64[D]").tolist() == DAYS.tolist()
    assert found.y.attrs == {"long_name": "QObs", "units": "mm/d"}
    assert found.attrs["model_epoch"] == 1
    for basin, rows in ROWS.items():
        columns = {name: np.full(len(DAYS), np.nan) for name in hydrology.DYNAMIC}
        for name, values in series(basin).items():
            columns[name][rows] = values
        if basin == "south":
            columns[hydrology.DYNAMIC[-1]][12] = np.nan
        static = dict(zip(hydrology.STATIC, TABLE[basin], strict=True))
        for end in range(len(DAYS)):
            window = {name: values[max(0, end - 3) : end + 1] for name, values in columns.items()}
            y = found.y.sel(basin=basin).values[end]
            if end < 3 or np.isnan([*window.values()]).any():
                assert np.isnan(y).all()
                assert np.isnan(found.forget_gate.sel(basin=basin).values[end]).all()
            else:
                np.testing.assert_allclose(y, hydrology.answer(CONFIG, arrays, tables, window | static)[-1], rtol=2e-5)


def test_a_continuous_run_of_several_basins_is_that_of_each_alone():
    hydrology.make_run(Path("run"), CONFIG)
    found = trace("run", *BASINS, "--attributes", "attributes.csv", "--continuous")
    assert found.attrs["evaluation"] == "continuous, where the model is evaluated in windows of 4 steps"
    for basin, rows in ROWS.items():
        alone = gw.open_run("run", f"{basin}.csv", attributes="attributes.csv", continuous=True).trace
        np.testing.assert_array_equal(found.y.sel(basin=basin).values[rows], alone.output)


def test_files_of_basins_get_to_the_bit_what_each_gets_alone():
    found = trace("network.safetensors", *BASINS, "--attributes", "attributes.csv")
    for basin, rows in ROWS.items():
        alone = gw.open_run("network.safetensors", f"{basin}.csv", attributes="attributes.csv").trace
        there = np.zeros(len(DAYS), bool)
        there[rows] = True
        for name in ("y", "cell_state", "forget_gate"):
            numbers = found[name].sel(basin=basin).values
            expected = alone.output if name == "y" else alone.lstm[0].quantity(name)
            np.testing.assert_array_equal(numbers[there], expected)
            assert np.isnan(numbers[~there]).all()


@pytest.mark.parametrize("order", [("time", "basin", "feature"), ("basin", "feature", "time")])
def test_a_store_of_basins_with_a_table_gives_the_same(order, capsys):
    """At the days that all basins have, so that nothing is missing."""
    for basin in ROWS:
        head, *lines = Path(f"{basin}.csv").read_text().splitlines()
        Path(f"{basin}.csv").write_text("\n".join([head, *lines[:5]]).replace("2001-01-0", "2001-02-0"))
    dates = [np.loadtxt(name, str, delimiter=",", skiprows=1, usecols=0) for name in BASINS]
    first = Path("north.csv").read_text().splitlines()
    for name in BASINS:
        lines = Path(name).read_text().splitlines()
        rows = [f"{row.split(',')[0]},{line.partition(',')[2]}" for row, line in zip(first, lines, strict=True)]
        Path(name).write_text("\n".join(rows) + "\n")
    expected = trace("network.safetensors", *BASINS, "--attributes", "attributes.csv")
    raw = np.stack([np.loadtxt(name, delimiter=",", skiprows=1, usecols=(1, 2, 3, 4)) for name in BASINS], axis=1)
    names = {"time": dates[0].astype("datetime64[ns]"), "basin": [*ROWS], "feature": ["other", *hydrology.DYNAMIC]}
    data = xarray.DataArray(raw, names, ("time", "basin", "feature"), name="forcing")
    data.transpose(*order).to_dataset().to_zarr("x.zarr", zarr_format=2)
    found = trace("network.safetensors", "x.zarr", "--attributes", "attributes.csv")
    xarray.testing.assert_equal(found.transpose(*expected.dims), expected)
    for given in ("x.zarr", data, data.chunk(basin=2)):
        applied = gw.apply(NETWORK, given, attributes=Path("attributes.csv"))
        xarray.testing.assert_equal(applied.compute().transpose(*expected.dims), expected)
    alone = data.sel(basin=["south"])
    np.testing.assert_array_equal(gw.apply(NETWORK, alone, attributes="attributes.csv").y[:, 0], expected.y[:, 1])
    members = xarray.concat([data, 2 * data], "member")
    several = gw.apply(NETWORK, members, attributes="attributes.csv")
    np.testing.assert_array_equal(several.y.sel(member=0), expected.y)


def test_attributes_that_are_columns_and_tables_that_follow_each_other():
    Path("attributes.csv").write_text("id,slope,area\n" + "".join(f"{basin},1,2\n" for basin in ROWS))
    Path("more.csv").write_text(
        "id,name,area,elev_mean\n" + "".join(f"{basin},x,{n},7\n" for n, basin in enumerate(ROWS))
    )
    options = ["--attributes", "attributes.csv", "--attributes", "more.csv"]
    found = trace("network.safetensors", *BASINS, *options)
    for basin in ROWS:
        tables = ["attributes.csv", "more.csv"]
        alone = gw.open_run("network.safetensors", f"{basin}.csv", attributes=tables).trace
        np.testing.assert_array_equal(found.y.sel(basin=basin).values[ROWS[basin]], alone.output)
    for basin in ROWS:
        lines = Path(f"{basin}.csv").read_text().splitlines()
        Path(f"{basin}.csv").write_text("\n".join([f"{lines[0]},slope", *(f"{line},9" for line in lines[1:])]))
    found = trace("network.safetensors", *BASINS, *options)
    alone = gw.open_run("network.safetensors", "west.csv", attributes=["attributes.csv", "more.csv"]).trace
    np.testing.assert_array_equal(found.y.sel(basin="west").values[ROWS["west"]], alone.output)


def test_series_without_dates_or_names_begin_at_the_same_step_and_are_equally_long(capsys):
    gw.save(gw.LSTM(3, 4, rng=0), "lstm.safetensors")
    raw = {name: RNG.normal(size=(steps, 3)) for name, steps in (("a", 5), ("b", 5), ("c", 7))}
    for name, array in raw.items():
        np.save(f"{name}.npy", array)
    found = trace("lstm.safetensors", "a.npy", "b.npy")
    assert found.time.values.tolist() == [*range(5)]
    for name in "ab":
        expected = gw.load("lstm.safetensors").trace(raw[name]).output
        np.testing.assert_array_equal(found.y.sel(basin=name), expected)
    with pytest.raises(SystemExit):
        trace("lstm.safetensors", "a.npy", "c.npy")
    assert "c.npy has 7 steps, and a.npy 5: give dates" in capsys.readouterr().err


def test_an_ended_run_of_files_goes_on_only_with_the_same_files_and_tables(monkeypatch, capsys):
    from gatewise.chunked.task import Task

    whole, calls = Task.__call__, []

    def failing(task, *given, **more):
        calls.append(0)
        if len(calls) > 1:
            until_a_chunk_is_whole()
            raise gw.FileError("the disk is gone")
        return whole(task, *given, **more)

    command = ["trace", "network.safetensors", *BASINS, "--attributes", "attributes.csv", "-o", "gates.zarr"]
    main(command)
    expected = xarray.open_zarr("gates.zarr").load()
    with monkeypatch.context() as changed:
        changed.setattr(Task, "__call__", failing)
        assert program.exit_code(command) == 2
    table, file = Path("attributes.csv").read_text(), Path("west.csv").read_text()
    Path("attributes.csv").write_text(table.replace("30.0", "31.0"))
    assert "another --attributes: " in program.refusal_of(capsys, *command, "--resume")
    Path("attributes.csv").write_text(table)
    Path("west.csv").write_text(file.replace(",7,", ",8,"))
    assert "another input: " in program.refusal_of(capsys, *command, "--resume")
    Path("west.csv").write_text(file)
    swapped = [{"west.csv": "south.csv", "south.csv": "west.csv"}.get(token, token) for token in command]
    said = program.refusal_of(capsys, *swapped, "--resume")
    assert "another input: " in said
    assert " south, not " in said
    main([*command, "--resume"])
    xarray.testing.assert_identical(xarray.open_zarr("gates.zarr").load(), expected)


def edited(name: str, old: str, new: str) -> None:
    """Change a file."""
    Path(name).write_text(Path(name).read_text().replace(old, new))


def test_a_continuous_run_of_lagged_features_is_that_of_each_basin_alone(capsys):
    dynamic = [*hydrology.DYNAMIC, "pet_shift2"]
    lagged = {"static_attributes": None, "dynamic_inputs": dynamic, "lagged_features": {"pet": 2}}
    hydrology.make_run(Path("run"), hydrology.settings(seq_length=4, **lagged))
    found = trace("run", "north.csv", "south.csv", "--continuous")
    said = capsys.readouterr().err
    assert "2 steps left out, whose shifted features lie outside of the input" in said
    assert "standard deviations of QObs" in said
    for basin in ("north", "south"):
        alone = gw.open_run("run", f"{basin}.csv", continuous=True).trace
        y = found.y.sel(basin=basin).values[ROWS[basin]]
        np.testing.assert_array_equal(y[2:], alone.output)
        assert np.isnan(y[:2]).all()


def test_an_infinite_number_in_a_file_is_refused_by_name_with_its_value(capsys):
    hydrology.make_run(Path("run"), CONFIG)
    lines = Path("south.csv").read_text().splitlines()
    lines[8] = f"{lines[8].rpartition(',')[0]},inf"
    Path("south.csv").write_text("\n".join(lines))
    told = [
        program.refusal_of(capsys, "trace", "run", *files, "--attributes", "attributes.csv", "-o", output)
        for files, output in ((BASINS, "gates.zarr"), (["south.csv"], "trace.npz"))
    ]
    assert all("pet, of step 7 (counted from 0) in south.csv is inf" in said for said in told), told


REFUSED = {
    "two of one name": (lambda: (Path("a").mkdir(), Path("a/west.csv").write_text("")), ["a/west.csv"], "'west'"),
    "dates that go back": (
        lambda: edited("west.csv", "2001-01-05", "2001-01-03"),
        [],
        "west.csv has 2001-01-03 twice",
    ),
    "no dates": (lambda: edited("west.csv", "2001-", "day "), [], "west.csv and north.csv must both have dates"),
    "no row in the table": (lambda: edited("attributes.csv", "west", "east"), [], "no basin 'west'"),
    "no number in the table": (lambda: edited("attributes.csv", "100.0", "large"), [], "'large' for 'area'"),
    "no column": (lambda: edited("west.csv", "tmax", "tmin"), [], "west.csv has no column tmax(C)"),
    "no number": (lambda: edited("west.csv", ",7,", ",7,nan"), [], "west.csv"),
    "another column": (lambda: edited("south.csv", "other", "slope"), [], "south.csv has ", "the same features"),
    "no attribute": (lambda: edited("attributes.csv", "slope", "steepness"), [], "no column slope"),
    "lengths": (lambda: None, ["--lengths", "1,2,3"], "--lengths belongs to a .zarr store as input"),
    "axes": (lambda: None, ["--axes", "time,feature"], "--axes belongs to a .zarr store as input"),
    "a store among files": (lambda: None, ["x.zarr"], "must be a .npy, .npz, .csv or .nc file, not x.zarr"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_basins_that_do_not_fit_together_are_refused_in_one_sentence(name, capsys):
    change, more, *words = REFUSED[name]
    change()
    options = ["--attributes", "attributes.csv", "-o", "gates.zarr"]
    said = program.refusal_of(capsys, "trace", "network.safetensors", *BASINS, *more, *options)
    assert all(word in said for word in words), said


def test_attributes_go_with_names_on_both_sides():
    data = xarray.DataArray(np.ones((4, 3, 6)), {"basin": [*ROWS]}, ("time", "basin", "feature"))
    with cases.refusal("a model whose features have names", by=gw.OptionError):
        gw.apply(gw.LSTM(6, 4, rng=0), data, attributes="attributes.csv")
    with cases.refusal("data whose features have names", by=gw.OptionError):
        gw.apply(NETWORK, data, attributes="attributes.csv")
    named = data[..., :3].assign_coords(feature=hydrology.DYNAMIC)
    for unknown in (named.isel(basin=0, drop=True), named.drop_vars("basin")):
        with cases.refusal("a dimension of basins", "attributes.csv", by=gw.OptionError):
            gw.apply(NETWORK, unknown, attributes="attributes.csv")
