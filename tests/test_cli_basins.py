"""The program on a run of NeuralHydrology: a basin's table, its columns by name, its attributes, and its dates."""

from __future__ import annotations

import cases
import hydrology
import numpy as np
import pytest
from agreement import assert_agree
from program import exit_code, output_of

import gatewise as gw
from gatewise.opening.basins import open_basins

pytest.importorskip("yaml")

STEPS, LENGTH = 30, 12
EMBEDDED = {"statics_embedding": {"hiddens": [2]}, "seq_length": LENGTH}
DATES = np.arange("1999-12-20", STEPS, dtype="datetime64[D]")


def table(basin, names, separator=",", mark="."):
    """Return a table of dates, some features in an order of their own, and two columns that no network takes."""
    lines = [separator.join(["date", *names, "QObs(mm/d)", "remark"])]
    for step in range(STEPS):
        cells = [repr(float(np.broadcast_to(basin[name], STEPS)[step])).replace(".", mark) for name in names]
        lines.append(separator.join([str(DATES[step]), *cells, "", "fine"]))
    return "\n".join(lines)


@pytest.fixture
def run(here):
    """Make a run and the files of a basin; return its configuration, and what its network gives."""
    config = hydrology.settings(**EMBEDDED)
    arrays, tables = hydrology.make_run(here / "run", config, epochs=(1, 2))
    basin = hydrology.basin_of(config, STEPS)
    (here / "whole.csv").write_text(table(basin, ["slope", "pet", *hydrology.DYNAMIC[:2], "elev_mean", "area"]))
    (here / "007.csv").write_text(table(basin, ["tmax(C)", "area", "pet", "prcp(mm/day)"], ";", ","))
    others = "\n".join(f"{name},1.5,0.5,clay,7" for name in ("006", "008"))
    rest = f"007,{basin['slope']!r},{basin['elev_mean']!r},clay,-9"
    (here / "attributes.csv").write_text(f"gauge_id,slope,elev_mean,geology,area\n{others}\n{rest}\n")
    return config, hydrology.window_answers(config, arrays, tables, basin, STEPS), basin


@pytest.mark.parametrize("name", ["whole.csv", "007.csv"])
def test_the_columns_of_a_basin_are_taken_by_name_and_its_attributes_by_its_id(run, name, capsys):
    options = ["--attributes", "attributes.csv"] if name == "007.csv" else []
    assert exit_code(["trace", "run", name, "-o", "trace.npz", "--set", "epoch=2", *options]) == 0
    told = capsys.readouterr().err
    assert "QObs(mm/d), remark left out" in told
    _, want, _ = run
    with np.load("trace.npz") as file:
        network = gw.load_network("run", epoch=2)
        got = network.outputs.undo(network.head(file["output"][:, 0]))
        assert list(file["names.times"]) == [*map(str, DATES[-LENGTH:])]
        assert list(file["series.times"]) == [*map(str, DATES)]
        hydrology.assert_series_agree(file["series.output"][:, 0], want)
    assert_agree({"y": np.maximum(got[-1], 0)}, {"y": want[-1]}, 2e-5)


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (["007.csv"], ["007.csv", "elev_mean, slope", "--attributes"]),
        (["007.csv", "--basin", "7"], ["--basin", "--attributes"]),
        (["007.csv", "--attributes", "attributes.csv", "--basin", "7"], ["no basin '7'", "006, 008, 007"]),
        (["whole.csv", "--attributes", "nowhere.csv"], ["nowhere.csv"]),
        (["whole.csv", "--attributes", "attributes.csv"], ["no basin 'whole'", "--basin"]),
        (["three.npy"], ["three.npy", "3 features", "prcp(mm/day)"]),
        (["gap.csv", "--continuous"], ["feature 1, tmax(C),", "step 3", "nan"]),
        (["short.csv"], ["short.csv", "11 steps", "windows of 12 steps", "--continuous"]),
        (["whole.csv", "--at", "4"], ["12 steps", "step 4", "before the first"]),
        (["whole.csv", "--at", "1999-01-01"], ["no step '1999-01-01'"]),
        (["whole.csv", "--state", "s.npz"], ["--state", "--continuous"]),
        (["twice.csv"], ["2 columns", "'pet'"]),
    ],
)
def test_what_a_basin_lacks_is_said_in_one_sentence(run, tokens, words, tmp_path, capsys):
    np.save("three.npy", np.ones((5, 3)))
    lines = (tmp_path / "whole.csv").read_text().split("\n")
    cells = lines[4].split(",")
    cells[4] = "nan"
    (tmp_path / "gap.csv").write_text("\n".join([*lines[:4], ",".join(cells), *lines[5:]]))
    (tmp_path / "short.csv").write_text("\n".join(lines[:12]))
    (tmp_path / "twice.csv").write_text("\n".join([lines[0].replace("remark", "pet"), *lines[1:]]))
    assert exit_code(["report", "run", *tokens]) != 0
    told = [line for line in capsys.readouterr().err.splitlines() if "left out" not in line]
    assert len(told) == 1
    for word in words:
        assert word in told[0]


def test_a_report_and_a_picture_have_dates_names_and_units(run, capsys, tmp_path):
    _, want, _ = run
    peak = int(np.nanargmax(want[:, 0]))
    told = output_of(capsys, "report", "run", "whole.csv", "--set", "epoch=2", "--at", str(DATES[peak]))
    assert f"{np.nanmax(want):.3g}" in told
    assert f"its value on {DATES[peak]}" in told
    assert "mm/d" in told
    assert exit_code(["plot", "run", "whole.csv", "--set", "epoch=2", "--kind", "activity", "-o", "states.csv"]) == 0
    assert exit_code(["page", "run", "whole.csv", "-o", "page.html"]) == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "QObs(mm/d)" in page
    assert '"measures":{"QObs(mm/d)":["QObs","mm/d"]}' in page  # what the cell reads is scaled, and has none
    assert str(DATES[-LENGTH]) in page
    assert str(DATES[-LENGTH - 1]) not in page


def test_a_walkthrough_is_of_the_scaled_features(run, capsys):
    _, _, basin = run
    shown = output_of(capsys, "walk", "--model", "run", "--x", "whole.csv", "--at", "13", "--format", "json")
    network = gw.load_network("run")
    x = np.stack([np.broadcast_to(basin[name], STEPS) for name in network.labels.features], axis=-1)
    assert repr(float(network.embed(x)[0][13, 0]))[:8] in shown


def test_attributes_need_a_network_with_names(run, tmp_path, capsys):
    gw.save(gw.LSTM(3, 2, rng=0), tmp_path / "bare.safetensors")
    assert exit_code(["report", "bare.safetensors", "whole.csv", "--attributes", "attributes.csv"]) != 0
    assert "--attributes needs a model whose file names its features" in capsys.readouterr().err


def test_a_basin_in_netcdf_is_taken_by_name_with_its_dates(run, tmp_path, capsys, monkeypatch):
    xarray = pytest.importorskip("xarray")
    config = hydrology.settings(dynamic_inputs=["prcp", "tmax(C)"], static_attributes=["slope", "area"], seq_length=1)
    arrays, tables = hydrology.make_run(tmp_path / "other", config)
    basin = hydrology.basin_of(config, STEPS)
    series = {name: ("date", basin[name]) for name in ("tmax(C)", "prcp")} | {"QObs": ("date", np.zeros(STEPS))}
    xarray.Dataset(series, coords={"date": DATES}).to_netcdf(tmp_path / "7.nc", engine="scipy")
    (tmp_path / "of 7.csv").write_text(f"id,area,slope\n7,{basin['area']!r},{basin['slope']!r}\n")
    tokens = ["trace", "other", "7.nc", "--attributes", "of 7.csv", "-o", "trace.npz"]
    assert exit_code(tokens) == 0
    assert "7.nc: QObs left out" in capsys.readouterr().err
    with np.load("trace.npz") as file:
        assert list(file["series.times"]) == [*map(str, DATES)]
        got = file["series.output"][:, 0]
    hydrology.assert_series_agree(got, hydrology.window_answers(config, arrays, tables, basin, STEPS))
    (tmp_path / "7.nc").write_bytes((tmp_path / "7.nc").read_bytes()[:100])
    monkeypatch.chdir(tmp_path / "other")
    assert exit_code(["report", ".", "../7.nc", "--attributes", "../of 7.csv"]) != 0
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert exit_code(["report", ".", "../whole.csv", "--attributes", "../of 7.csv"]) != 0
    assert "no column prcp" in capsys.readouterr().err


def test_the_lstm_of_a_run_is_verified_at_its_own_input_and_converted_without_the_scaling(run, capsys):
    x = np.random.default_rng(0).normal(size=(8, 1, 5)).astype(np.float32)  # three series, and two of the embedding
    np.savez("answers.npz", x=x, y=gw.load("run")(x)[0])
    assert exit_code(["verify", "run", "--io", "answers.npz"]) == 0
    assert "that outputs are those of windows" in (left := output_of(capsys, "convert", "run", "lstm.pt"))
    assert "the scaling of features, the scaling of outputs" in left


@pytest.mark.parametrize("written", ["compact", "other", "cut"])
def test_several_basins_have_dates_or_as_many_steps(written, here):
    pytest.importorskip("xarray")
    dates = [f"2000{day}" if written == "compact" else f"{day[2:]}/{day[:2]}/2000" for day in ("0101", "0102", "0104")]
    for place, days in (("a", dates), ("b", dates[: 3 - (written == "cut")])):
        (here / f"{place}.csv").write_text("\n".join(["date,p", *(f"{day},{n}" for n, day in enumerate(days))]))
    network = gw.Network(gw.LSTM(1, 2, rng=0), windows=gw.network.Windows(2))
    files = [here / "a.csv", here / "b.csv"]
    if written == "cut":
        with cases.refusal("b.csv has 2 steps, and", "a.csv 3: give dates", by=gw.FileError):
            open_basins(files, network, ())
        return
    data, _, notes = open_basins(files, network, ())
    assert (data.time.dtype.kind, len(notes)) == ("M" if written == "compact" else "i", 1)
    gap = "a.csv: 1 gap in time: 2000-01-02 to 2000-01-04 (1 step missing); 1 more file with gaps"
    assert (gap if written == "compact" else "and 1 more: '01/01/2000' is not read as a date") in notes[0]
