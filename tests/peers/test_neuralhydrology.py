"""Runs that NeuralHydrology trained, held against what it computes itself in its evaluations."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from agreement import assert_agree
from peers import neuralhydrology_runs as runs
from program import exit_code

import gatewise as gw

pytestmark = pytest.mark.peers
if find_spec("neuralhydrology") is None:
    pytest.skip("neuralhydrology is not installed", allow_module_level=True)

CLOSE = 2e-5  # float32, two runtimes that sum in different orders


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Let NeuralHydrology train its models, and return where they and their answers are."""
    found = tmp_path_factory.mktemp("neuralhydrology")
    program = subprocess.run([sys.executable, runs.__file__, str(found)], capture_output=True, text=True)
    assert program.returncode == 0, program.stderr[-3000:]
    return found


def table(folder, basin, names):
    """Return the dates of a basin, and its features as a network takes them."""
    lines = (folder / f"{basin}.csv").read_text().splitlines()
    heads = lines[0].split(",")[1:]
    numbers = np.array([[float(cell or "nan") for cell in line.split(",")[1:]] for line in lines[1:]])
    rows = (folder / "attributes" / "attributes.csv").read_text().splitlines()
    attributes = dict(
        zip(rows[0].split(","), next(row for row in rows if row.startswith(basin)).split(","), strict=True)
    )
    columns = [numbers[:, heads.index(name)] if name in heads else float(attributes[name]) for name in names]
    x = np.stack([np.broadcast_to(column, len(numbers)) for column in columns], axis=-1)
    return np.array([line.split(",")[0][:10] for line in lines[1:]], "datetime64[D]"), x


@pytest.mark.parametrize("name", [name for name in runs.MODELS if name != "lagged"])
def test_the_network_of_a_run_gives_what_neuralhydrology_computes(name, folder):
    network = gw.load_network(folder / name)
    targets = runs.MODELS[name].get("target_variables", [runs.Q])
    clipped = runs.MODELS[name].get("clip_targets_to_zero", [])
    with np.load(folder / f"{name}.npz") as file:
        answers = dict(file)
    assert network.labels.outputs == tuple(targets)
    for basin in runs.BASINS[:-1]:
        dates, x = table(folder, basin, network.labels.features)
        ends = np.searchsorted(dates, answers[f"{basin}: date"]) + 1
        samples = np.stack([x[end - runs.LENGTH : end] for end in ends], axis=1)
        y, _ = network(samples)
        want = np.stack([answers[f"{basin}: {target}"][:, 0] for target in targets], axis=-1)
        least = [0 if target in clipped else -np.inf for target in targets]
        assert_agree({"y": y[-1]}, {"y": np.maximum(want, least)}, CLOSE)  # its metrics clip, its results do not
        assert np.ptp(want) > 0.01


def agree(got, want):
    """Compare outputs that are NaN where a window has a gap."""
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    assert_agree({"y": np.nan_to_num(got)}, {"y": np.nan_to_num(want)}, CLOSE)


@pytest.mark.parametrize("basin", runs.BASINS)
@pytest.mark.parametrize("name", runs.MODELS)
def test_outputs_of_a_basin_are_those_of_its_evaluation(name, basin, folder, tmp_path, capsys):
    targets = runs.MODELS[name].get("target_variables", [runs.Q])
    clipped = runs.MODELS[name].get("clip_targets_to_zero", [])
    least = [0 if target in clipped else -np.inf for target in targets]
    with np.load(folder / f"{name}.npz") as file:
        dates = file[f"{basin}: date"]
        saved = np.stack([file[f"{basin}: {target}"] for target in targets], axis=-1)  # (date, predicted, target)
    want = np.maximum(saved, least)
    assert np.isnan(want).any() == (basin == runs.BASINS[-1])
    attributes = folder / "attributes" / "attributes.csv"
    run = gw.open_run(folder / name, folder / f"{basin}.csv", attributes=attributes)
    places = np.searchsorted(np.array(run.series.times), dates)
    agree(run.series.outputs[places, 0], want[:, -1])
    agree(run.series.network.run_windows(run.series.x)[places, 0], want[:, -1])
    options = [] if name == "custom" else ["--attributes", str(attributes)]
    tokens = ["trace", str(folder / name), str(folder / f"{basin}.csv"), "-o", str(tmp_path / "t.npz"), *options]
    assert exit_code([*tokens, "--at", str(dates[5])]) == 0
    with np.load(tmp_path / "t.npz") as file:
        agree(file["series.output"][places, 0], want[:, -1])
        agree(file["network.output"][-1, 0], want[5, -1])
    assert (f"{runs.LENGTH} of " in capsys.readouterr().err) == (basin == runs.BASINS[-1] and name != "lagged")


@pytest.mark.parametrize("name", ["plain", "lagged"])
def test_apply_gives_each_basin_the_outputs_of_its_evaluation(name, folder):
    xarray = pytest.importorskip("xarray")
    network = gw.load_network(folder / name)
    columns = network.windows.columns(network.labels.features)
    tables = [table(folder, basin, columns) for basin in runs.BASINS]
    coordinates = {"time": tables[0][0].astype("datetime64[ns]"), "basin": [*runs.BASINS], "feature": [*columns]}
    x = np.stack([numbers for _, numbers in tables], axis=1)
    result = gw.apply(network, xarray.DataArray(x, coordinates, ("time", "basin", "feature")), keep="cell_state")
    with np.load(folder / f"{name}.npz") as file:
        for basin in runs.BASINS:
            want = file[f"{basin}: {runs.Q}"][:, -1]
            got = result.y.sel(basin=basin, time=file[f"{basin}: date"]).sel(output=runs.Q)
            agree(got.values, np.maximum(want, 0 if name == "plain" else -np.inf))


@pytest.mark.parametrize("name", ["plain", "embedded"])
def test_a_continuous_run_is_another_hydrograph_and_says_how_far_it_is(name, folder):
    attributes = folder / "attributes" / "attributes.csv"
    arguments = folder / name, folder / "south.csv"
    series = gw.open_run(*arguments, attributes=attributes).series
    once = gw.open_run(*arguments, attributes=attributes, continuous=True)
    windows, outputs = series.outputs[runs.LENGTH - 1 :, 0], once.trace.output[runs.LENGTH - 1 :]
    apart = np.abs(outputs - windows).mean(0) / windows.std(0)
    assert apart.min() > 1e-3
    for name, difference in zip(once.labels.outputs, apart, strict=True):
        assert f"{difference:.2g} standard deviations of {name}" in once.notes[-1]


@pytest.mark.parametrize("name", runs.MODELS)
def test_a_scaler_that_pandas_and_xarray_pickled_is_the_one_in_yaml(name, folder, tmp_path):
    for part in ("config.yml", "model_epoch001.pt"):
        (tmp_path / part).write_bytes((folder / name / part).read_bytes())
    (tmp_path / "train_data").mkdir()
    (tmp_path / "train_data" / "train_data_scaler.p").write_bytes((folder / f"{name}.p").read_bytes())
    got, want = gw.load_network(tmp_path), gw.load_network(folder / name)
    for one, other in ((got.inputs, want.inputs), (got.outputs, want.outputs)):
        np.testing.assert_array_equal(one.center, other.center)
        np.testing.assert_array_equal(one.scale, other.scale)


def test_what_customlstm_returns_under_the_names_of_gates_are_their_preactivations(folder):
    with np.load(folder / "gates.npz") as file:
        theirs = {name: array.swapaxes(0, 1) for name, array in file.items()}
    trace = gw.load(folder / "plain").trace(theirs["x"])[0]
    gates = {"i": "input_gate", "f": "forget_gate", "g": "candidate", "o": "output_gate"}
    got = {letter: trace.preactivation(name) for letter, name in gates.items()}
    assert_agree(got, {letter: theirs[letter] for letter in gates}, CLOSE)
    for letter, name in gates.items():
        assert np.abs(theirs[letter] - getattr(trace, name)).max() > 0.1
    assert theirs["f"].max() > 1  # as no gate is
    assert_agree({"h": trace.hidden_state, "c": trace.cell_state}, {"h": theirs["h_n"], "c": theirs["c_n"]}, CLOSE)


@pytest.mark.parametrize("file", ["south.csv", "time_series/south.nc"])
def test_one_command_traces_a_basin_of_its_tables_or_its_netcdf(file, folder, tmp_path, capsys):
    attributes = folder / "attributes" / "attributes.csv"
    tokens = ["trace", folder / "embedded", folder / file, "--attributes", attributes, "-o", tmp_path / "t.npz"]
    assert exit_code(list(map(str, tokens))) == 0
    assert "QObs(mm d-1), SWE left out" in capsys.readouterr().err
    network = gw.load_network(folder / "embedded")
    dates, x = table(folder, "south", network.labels.features)
    with np.load(tmp_path / "t.npz") as file:
        assert list(file["names.times"]) == [*map(str, dates[-runs.LENGTH :])]
        assert_agree({"x": file["input"][:, 0]}, {"x": network.embed(x)[0][-runs.LENGTH :]}, CLOSE)
