"""gatewise trace from one zarr store to another: what is written, what is refused, and what an interrupt leaves."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import cases
import numpy as np
import program
import pytest

import gatewise as gw
from gatewise.chunked import computing
from gatewise.cli import main
from gatewise.interop.containers import zarr_stores

pytestmark = pytest.mark.peers
xarray = pytest.importorskip("xarray")
zarr = pytest.importorskip("zarr")

RNG = np.random.default_rng(5)
LSTM = gw.LSTM(3, 4, num_layers=2, rng=0)
V3 = "ignore:(Consolidated metadata|The data type):Warning"  # what zarr says of texts in its third format


def forcing(steps: int = 8, basins: int = 11) -> xarray.DataArray:
    """Return data with names on their axes."""
    coordinates = {
        "time": np.arange(steps) + np.datetime64("2001-01-01", "ns"),
        "basin": [f"b{place}" for place in range(basins)],
        "area": ("basin", np.arange(1.0 * basins)),
    }
    raw = RNG.normal(size=(steps, basins, 3))
    return xarray.DataArray(raw, dims=("time", "basin", "feature"), coords=coordinates, name="forcing")


@pytest.fixture(autouse=True)
def files(here) -> None:
    """Work in a folder with a model and a store."""
    gw.save(LSTM, "model.safetensors")
    forcing().to_dataset().to_zarr("x.zarr", zarr_format=2)


def assert_identical(found: xarray.Dataset, expected: xarray.Dataset) -> None:
    """Hold a store against what `apply` gives, but for the provenance, which has a command and a file."""
    unknown = dict.fromkeys(("history", "model_file", "model_sha256"))
    xarray.testing.assert_identical(found.assign_attrs(unknown), expected.assign_attrs(unknown))


def refused(capsys: pytest.CaptureFixture[str], *tokens: str) -> str:
    """Return the sentence with which a trace is refused."""
    return program.refusal_of(capsys, "trace", "model.safetensors", *tokens)


@pytest.mark.filterwarnings(V3)
@pytest.mark.parametrize("form", [2, 3])
def test_a_store_becomes_a_store_of_gates(form, capsys):
    data = forcing().transpose("basin", "feature", "time")
    data.to_dataset().chunk(time=3, basin=2).to_zarr("x.zarr", mode="w", zarr_format=form)
    main(["trace", "model.safetensors", "x.zarr", "-o", "gates.zarr"])
    said = capsys.readouterr().out
    assert said.startswith("gates.zarr: ")
    assert "8 steps of 11 sequences" in said
    found = xarray.open_zarr("gates.zarr").load()
    assert_identical(found, gw.apply(LSTM, data))
    assert found.attrs == {
        "Conventions": "CF-1.11",
        "source": f"gatewise {gw.__version__}",
        "history": "gatewise trace model.safetensors x.zarr -o gates.zarr",
        "model": repr(LSTM),
        "model_file": "model.safetensors",
        "model_sha256": hashlib.sha256(Path("model.safetensors").read_bytes()).hexdigest(),
        "engine": "native",
    }
    assert sorted(os.listdir()) == ["gates.zarr", "model.safetensors", "x.zarr"]


def test_options_are_those_of_other_traces(capsys):
    data = forcing()
    several = xarray.Dataset({"forcing": data, "other": 2 * data}).rename(time="day", feature="variable")
    several.to_zarr("x.zarr", mode="w", zarr_format=2)
    keep = ["--keep", "forget_gate,cell_state", "--units", "2,0", "--every", "3", "--layers", "1,0"]
    axes = ["--axes", "time,batch,feature", "--key", "other", "--lengths", ",".join(["8"] * 10 + ["5"])]
    states = RNG.normal(size=(2, 1, 4)).astype(np.float32)
    np.savez("state.npz", h0=states)
    main(["trace", "model.safetensors", "x.zarr", "-o", "gates.zarr", *keep, *axes, "--state", "state.npz"])
    start = tuple((gw.State(one[0], np.zeros(4)),) for one in states)
    expected = gw.apply(
        LSTM,
        (2 * data).rename(time="day", feature="variable"),
        keep=("forget_gate", "cell_state"),
        units=[2, 0],
        every=3,
        layer=[1, 0],
        lengths=[8] * 10 + [5],
        dims={"time": "day", "feature": "variable"},
        state=start,
    )
    assert_identical(xarray.open_zarr("gates.zarr").load(), expected)
    assert np.isnan(expected.cell_state.isel(basin=10, day=2)).all()
    main(["trace", "model.safetensors", "x.zarr", "-o", "gates.zarr", *axes, "--padding", "framework"])
    found = xarray.open_zarr("gates.zarr").load()
    assert (found.y.isel(basin=10, day=slice(5, None)) == 0).all()
    np.testing.assert_array_equal(found.cell_state[7, 10], found.cell_state[4, 10])


def test_a_network_puts_its_output_beside_its_gates():
    head = gw.Linear(RNG.normal(size=(1, 4)).astype(np.float32))
    network = gw.Network(gw.LSTM(3, 4, rng=0), head=head, reads="last")
    gw.save(network, "model.safetensors")
    main(["trace", "model.safetensors", "x.zarr", "-o", "gates.zarr", "--keep", "candidate"])
    found = xarray.open_zarr("gates.zarr").load()
    assert_identical(found, gw.apply(network, xarray.open_zarr("x.zarr").forcing.load(), keep="candidate"))
    assert found.y.dims == ("basin", "output")


def test_a_network_takes_its_features_by_name_out_of_more(capsys):
    weights = gw.Linear(RNG.normal(size=(3, 2)).astype(np.float32))
    network = gw.Network(
        gw.LSTM(3, 4, rng=0),
        branches=[gw.Branch([0, 1], [weights])],  # so that its LSTM has as many inputs as the data have features
        inputs=gw.Scaling([1.0, 2.0], [3.0, 4.0]),
        labels=gw.Labels(features=["snow", "rain"]),
    )
    gw.save(network, "model.safetensors")
    data = forcing().assign_coords(feature=["rain", "wind", "snow"])
    data.to_dataset().to_zarr("x.zarr", mode="w", zarr_format=2)
    main(["trace", "model.safetensors", "x.zarr", "-o", "gates.zarr"])
    assert_identical(xarray.open_zarr("gates.zarr").load(), gw.apply(network, data))
    capsys.readouterr()
    data.assign_coords(feature=["rain", "wind", "sun"]).to_dataset().to_zarr("x.zarr", mode="w", zarr_format=2)
    assert "no column snow" in refused(capsys, "x.zarr", "-o", "gates.zarr")


def test_the_option_of_a_cluster_is_refused_with_what_does_the_same(capsys):
    assert "in Python, gw.apply runs on the workers of a Client" in refused(
        capsys, "x.zarr", "-o", "two.zarr", "--cluster", "tcp://127.0.0.1:1"
    )
    assert not Path("two.zarr").exists()


def test_the_work_is_shown_by_chunks(monkeypatch):
    class Bar:
        def __init__(self, what, total):
            shown.append([what, total, 0])

        def __enter__(self):
            return lambda count: shown[-1].__setitem__(2, shown[-1][2] + count)

        def __exit__(self, *problem):
            pass

    shown: list[list] = []
    monkeypatch.setattr(computing, "working", Bar)
    main(["trace", "model.safetensors", "x.zarr", "-o", "gates.zarr"])
    ((what, total, done),) = shown
    assert what.startswith("tracing 8 steps of 11 sequences")
    assert f" in {total} chunks" in what
    assert total == done


SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # the children of a background job ignore it
from gatewise.chunked.task import Task
whole = Task.__call__
def slowly(self, *given, **more):
    open("began", "w").close()
    time.sleep(0.5)
    return whole(self, *given, **more)
Task.__call__ = slowly
from gatewise.__main__ import run_program
sys.argv[1:] = ["trace", "model.safetensors", "x.zarr", "-o", "gates.zarr", *sys.argv[1:]]
run_program()
"""


@pytest.mark.skipif(os.name != "posix", reason="an interrupt is sent as a signal")
def test_an_interrupt_leaves_what_was_there_and_nothing_else():
    main(["trace", "model.safetensors", "x.zarr", "-o", "gates.zarr", "--keep", "candidate"])
    before = sorted(os.listdir())
    with subprocess.Popen(
        [sys.executable, "-c", SLOW],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=program.environment(),
    ) as process:
        while not Path("began").exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    Path("began").unlink()
    assert sorted(os.listdir()) == before
    assert {*xarray.open_zarr("gates.zarr")} == {"candidate", "y"}


def spoiled(version: int, **changes) -> None:
    """Change what a store says of its data."""
    path = Path("x.zarr", "forcing", ".zarray" if version == 2 else "zarr.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


SPOILED = {
    "pickle": (2, {"filters": [{"id": "pickle", "protocol": 4}], "dtype": "|O"}, "pickled Python objects"),
    "pickle as compressor": (2, {"compressor": {"id": "pickle"}}, "pickled Python objects"),
    "pickle of 3": (3, {"codecs": [{"name": "numcodecs.pickle"}]}, "pickled Python objects"),
    "pickle in shards": (
        3,
        {"codecs": [{"name": "sharding_indexed", "configuration": {"codecs": ["pickle"], "index_codecs": []}}]},
        "pickled Python objects",
    ),
    "another codec": (2, {"filters": [{"id": "msgpack2"}]}, "'msgpack2'"),
    "no name": (2, {"filters": [{"id": ["pickle"]}]}, "a list of 1"),
    "objects": (2, {"dtype": "|O"}, "'|O'"),
    "objects by a codec": (2, {"filters": [{"id": "astype", "decode_dtype": "O", "encode_dtype": "<f8"}]}, "'O'"),
    "records": (2, {"dtype": [["a", "<f8"]]}, "a list of 1"),
    "a transformer": (3, {"storage_transformers": [{"name": "x"}]}, "storage transformers"),
    "deep": (2, {"attributes": 0, "shape": [8, 11, 10**13]}, "would unpack to"),
    "large chunks": (2, {"chunks": [8, 10**9, 10**9]}, "would unpack to"),
    "odd shape": (2, {"shape": [8, -11, 3]}, "makes no sense"),
    "no codecs": (3, {"codecs": "none"}, "must be a list"),
}


@pytest.mark.filterwarnings(V3)
@pytest.mark.parametrize("name", SPOILED)
def test_what_could_run_code_or_unpack_to_much_is_refused_before_it_is_read(name, capsys, monkeypatch):
    version, changes, *words = SPOILED[name]
    forcing().to_dataset().to_zarr("x.zarr", mode="w", zarr_format=version)
    spoiled(version, **changes)
    for opener in ("open_dataset", "open_zarr"):
        monkeypatch.setattr(xarray, opener, None)
    said = refused(capsys, "x.zarr", "-o", "gates.zarr")
    assert all(word in said for word in (*words, "'forcing'"))
    assert not Path("gates.zarr").exists()


def test_a_link_in_a_store_is_not_followed(capsys):
    forcing().to_dataset(name="other").to_zarr("y.zarr", zarr_format=2)
    Path("x.zarr", "other").symlink_to(Path("y.zarr", "other").absolute())
    assert "'other' is a link" in refused(capsys, "x.zarr", "-o", "gates.zarr")


def test_a_pickle_in_a_chunk_is_never_loaded(capsys):
    spoiled(2, filters=[{"id": "pickle", "protocol": 4}], dtype="|O", compressor=None)
    for chunk in Path("x.zarr", "forcing").glob("[0-9]*"):
        chunk.write_bytes(pickle.dumps(cases.Calls(os.mkdir, "run")))
    refused(capsys, "x.zarr", "-o", "gates.zarr")
    assert not Path("run").exists()


@pytest.mark.filterwarnings("ignore")  # of what xarray makes of numbers that are none
@pytest.mark.parametrize("version", [2, 3])
def test_a_spoiled_store_is_read_or_refused_in_one_sentence(version, capsys):
    forcing(3, 4).to_dataset().to_zarr("x.zarr", mode="w", zarr_format=version)
    files = sorted(path for path in Path("x.zarr").rglob("*") if path.is_file() and path.name != ".zmetadata")
    rng, ends = np.random.default_rng(version), set()
    for number in range(24):
        path = files[number % len(files)]
        before = path.read_bytes()
        spoiled = bytearray(before)
        if number % 3:
            for place in rng.integers(0, max(len(before), 1), 1 + number % 5):
                spoiled[place : place + 1] = rng.bytes(1)
        else:
            del spoiled[rng.integers(0, max(len(before), 1)) :]
        path.write_bytes(spoiled)
        ends.add(program.exit_code(["trace", "model.safetensors", "x.zarr", "-o", "gates.zarr"]))
        said = capsys.readouterr().err
        assert said.count("\n") <= 1, said
        assert len(said) < 520
        path.write_bytes(before)
        assert not [name for name in os.listdir() if name.endswith(".tmp")]
    assert ends == {0, 2}


def test_a_head_that_is_named_makes_the_outputs_of_a_store():
    torch = pytest.importorskip("torch")
    layers = {"lstm": torch.nn.LSTM(3, 4), "head": torch.nn.Linear(4, 2)}
    torch.save(torch.nn.ModuleDict(layers).state_dict(), "model.pt")
    main(["trace", "model.pt", "x.zarr", "-o", "gates.zarr", "--head", "head"])
    network = gw.load_network("model.pt", head="head")
    found = xarray.open_zarr("gates.zarr").load()
    assert_identical(found, gw.apply(network, xarray.open_zarr("x.zarr").forcing.load()))


def test_variables_that_are_called_as_the_features_are_the_features(capsys):
    data, names = forcing(), ["rain", "air", "snow"]
    each = {name: data.isel(feature=n).drop_vars("feature", errors="ignore") for n, name in enumerate(names)}
    each["rain"].attrs["units"] = "mm"
    together = {name: each[name] for name in reversed(names)} | {"other": 2 * each["air"]}
    xarray.Dataset(together).to_zarr("each.zarr", mode="w", zarr_format=2)
    network = gw.Network(LSTM, labels=gw.Labels(features=names))
    gw.save(network, "network.safetensors")
    main(["trace", "network.safetensors", "each.zarr", "-o", "gates.zarr"])
    told = capsys.readouterr().err
    assert "each.zarr: the features are its variables" in told
    assert "--key takes one variable alone" in told
    alike = data.assign_coords(feature=names)
    expected = gw.apply(network, alike)
    assert_identical(xarray.open_zarr("gates.zarr").load(), expected)
    assert_identical(gw.apply(network, "each.zarr").compute(), expected)
    run = gw.open_run("network.safetensors", "each.zarr")
    np.testing.assert_array_equal(run.trace.output, expected.y.transpose("time", "basin", ...).values)
    assert run.trace.labels.features == tuple(names)
    assert run.trace.labels.measures["rain"].unit == "mm"
    assert any("the features are its variables" in note for note in run.notes)
    with pytest.raises(gw.OptionError, match=r"each\.zarr holds 4 variables. Choose one with --key"):
        gw.open_run(LSTM, "each.zarr")
    xarray.Dataset({name: each[name] for name in names[:2]}).to_zarr("two.zarr", mode="w", zarr_format=2)
    with pytest.raises(gw.OptionError, match=r"has no column snow, which the model takes"):
        gw.open_run("network.safetensors", "two.zarr")


REFUSED = {
    "nothing": (["none.zarr", "-o", "gates.zarr"], "none.zarr: there is no such folder"),
    "a loop": (["loop.zarr", "-o", "gates.zarr"], "loop.zarr: it is a symbolic link that leads back to itself"),
    "no store": (["full.zarr", "-o", "gates.zarr"], "full.zarr: it is not a zarr store"),
    "an array": (["array.zarr", "-o", "gates.zarr"], "an array without named dimensions"),
    "no numbers": (["model.safetensors", "-o", "gates.zarr"], "must be a .npy, .npz, .csv or .nc file"),
    "several for a file": (["x.csv", "y.csv", "-o", "gates.npz"], "several inputs", "gates.npz must end in .zarr"),
    "two stores": (["x.zarr", "plain.zarr", "-o", "gates.zarr"], "x.zarr is a store. Trace it alone"),
    "itself": (["x.zarr", "-o", "x.zarr"], "x.zarr: this file is read; give the output another name"),
    "no such variable": (["x.zarr", "-o", "gates.zarr", "--key", "rain"], "'rain'", "forcing"),
    "odd axes": (["x.zarr", "-o", "gates.zarr", "--axes", "time,time,feature"], "'time,time,feature'"),
    "attributes": (
        ["x.zarr", "-o", "gates.zarr", "--attributes", "state.csv"],
        "attributes need a model whose features have names",
    ),
    "no attributes": (["x.zarr", "-o", "gates.zarr", "--attributes", "none.csv"], "none.csv: there is no such file"),
    "chunks of nothing": (["chunks.zarr", "-o", "gates.zarr"], "chunks.zarr: 'forcing' has chunks of the shape [0, 2]"),
    "no head": (
        ["x.zarr", "-o", "gates.zarr", "--reads", "last"],
        "--reads does not go with gates.zarr without --head",
    ),
    "a basin": (["x.zarr", "-o", "gates.zarr", "--basin", "b1"], "--basin", "not written to a .zarr store"),
    "no dimension of features": (
        ["plain.zarr", "-o", "gates.zarr"],
        "no dimension 'feature'; they have time, basin",
        "--axes time,b",
    ),
    "something else there": (["x.zarr", "-o", "full.zarr"], "not empty"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_store_is_refused_in_one_sentence(name, capsys):
    Path("full.zarr").mkdir()
    Path("loop.zarr").symlink_to("loop.zarr")
    for store in ("plain.zarr", "chunks.zarr"):
        forcing()[..., 0].to_dataset().to_zarr(store, zarr_format=2)
    chunks = Path("chunks.zarr", "forcing", ".zarray")
    chunks.write_text(json.dumps(json.loads(chunks.read_text()) | {"chunks": [0, 2]}))
    Path("state.csv").write_text("id,slope\nb1,3\n")
    zarr.save_array("array.zarr", np.zeros(3), zarr_format=2)
    Path("full.zarr", "mine.txt").write_text("mine")
    tokens, *words = REFUSED[name]
    said = refused(capsys, *tokens)
    assert all(word in said for word in words), said
    assert Path("full.zarr", "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("x.zarr", "link.zarr"),
        ("link.zarr", "x.zarr"),
        ("x.zarr", "x.zarr/gates.zarr"),
        ("x.zarr", "link.zarr/gates.npz"),
        ("gates.zarr.partial/store", "gates.zarr"),
    ],
)
def test_a_store_that_is_read_is_neither_replaced_nor_written_into(source, output, capsys):
    Path("link.zarr").symlink_to("x.zarr")
    Path("gates.zarr.partial").mkdir()
    forcing().to_dataset().to_zarr("gates.zarr.partial/store", zarr_format=2)
    before = contents()
    said = refused(capsys, source, "-o", output)
    assert "which is read" in said or "this file is read" in said
    assert contents() == before


def test_a_model_that_lies_in_an_older_store_is_not_lost(capsys):
    forcing().to_dataset().to_zarr("gates.zarr", zarr_format=2)
    gw.save(LSTM, "gates.zarr/model.safetensors")
    before = contents()
    assert program.exit_code(["trace", "gates.zarr/model.safetensors", "x.zarr", "-o", "gates.zarr"]) == 2
    assert "model.safetensors lies in it, which is read" in capsys.readouterr().err
    assert contents() == before


def contents():
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def test_without_what_reads_stores_one_sentence_tells_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with cases.refusal("zarr", "pip install '.[dask]'", by=gw.MissingExtraError):
        zarr_stores.open_variable(Path("x.zarr"))


def test_a_disk_without_room_is_refused(monkeypatch, capsys):
    class Full:
        free = 100

    monkeypatch.setattr("shutil.disk_usage", lambda path: Full)
    assert "100 B free" in refused(capsys, "x.zarr", "-o", "gates.zarr")
