"""Whole models run on their own inputs by their frameworks, and what a file and an input make of it: a report."""

from __future__ import annotations

import re
import sys
import warnings
from importlib.resources import files
from pathlib import Path

import keras
import numpy as np
import onnx
import pandas
import pytest
import torch
import xarray
from program import exit_code
from scipy.io import wavfile

import gatewise as gw

pytestmark = [
    pytest.mark.peers,
    pytest.mark.usefixtures("here"),
    pytest.mark.filterwarnings("ignore"),  # what frameworks say about themselves
]

SILERO = files("silero_vad.data")


class Net(torch.nn.Module):
    """A convolution, an LSTM, and a head."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv1d(2, 3, 3, padding=1)
        self.rnn = torch.nn.LSTM(3, 4, batch_first=True)
        self.head = torch.nn.Linear(4, 1)

    def forward(self, x):
        y, _ = self.rnn(self.conv(x.transpose(1, 2)).transpose(1, 2))
        return self.head(y)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().eval()


def rain(days=30):
    """Write a table of two features with dates, and return its numbers."""
    x = np.random.default_rng(0).gamma(0.5, 1.0, (days, 2))
    dates = np.datetime64("2001-01-01") + np.arange(days)
    rows = [f"{date},{a},{b}" for date, (a, b) in zip(dates, x, strict=True)]
    Path("x.csv").write_text("date,rain,warmth\n" + "\n".join(rows) + "\n")
    return x, dates


def onnx_file(net, path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, torch.zeros(1, 5, 2), path, dynamo=False, input_names=["x"], **options)


def test_a_torchscript_model_and_a_table_have_a_report(net, capsys):
    x, dates = rain()
    torch.jit.script(net).save("model.pt")
    (seen,) = gw.capture(net, torch.from_numpy(x[None]).float())
    made = gw.open_run("model.pt", "x.csv")
    np.testing.assert_allclose(made.trace.lstm.output, seen.trace.output, atol=1e-6)
    assert made.trace[0].labels.times == tuple(dates)
    assert exit_code(["report", "model.pt", "x.csv", "-o", "report.html"]) == 0
    said = capsys.readouterr()
    assert "x.csv is taken as the input of the whole model, which PyTorch runs" in said.err
    assert "2001-01-01 to 2001-01-30" in Path("report.html").read_text(encoding="utf-8")


def test_an_onnx_model_and_a_table_have_a_report(net, capsys):
    x, dates = rain()
    onnx_file(net, "model.onnx", dynamic_axes={"x": {1: "time"}})
    (seen,) = gw.capture(net, torch.from_numpy(x[None]).float())
    made = gw.open_run("model.onnx", "x.csv")
    np.testing.assert_allclose(made.trace.lstm.output, seen.trace.output, atol=1e-6)
    assert made.trace[0].labels.times == tuple(dates)
    assert exit_code(["report", "model.onnx", "x.csv", "-o", "report.html"]) == 0
    np.save("own.npy", np.ones((5, 1, 3)))
    assert "own.npy is taken as the input of the LSTM" in gw.open_run("model.onnx", "own.npy").interpretation


def test_an_input_that_fits_both_is_refused_until_it_is_said_whose_it_is(net):
    class Wide(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = torch.nn.LSTM(2, 4, batch_first=True)

        def forward(self, x):
            return self.rnn(torch.tanh(x))[0]

    rain()
    onnx_file(Wide().eval(), "model.onnx", dynamic_axes={"x": {1: "time"}})
    with pytest.raises(gw.OptionError, match=r"fits both .*--input-of lstm or --input-of model"):
        gw.open_run("model.onnx", "x.csv")
    own, whole = (gw.open_run("model.onnx", "x.csv", input_of=kind) for kind in ("lstm", "model"))
    assert "the input of the LSTM" in own.interpretation
    assert "which onnxruntime runs" in whole.interpretation
    assert np.abs(own.trace.output - whole.trace.output).max() > 1e-3


def test_a_keras_model_and_a_table_have_a_report(capsys):
    x, _ = rain()
    keras.utils.set_random_seed(0)
    given = keras.Input((None, 2))
    hidden = keras.layers.Conv1D(3, 3, padding="same")(given)
    model = keras.Model(given, keras.layers.Dense(1)(keras.layers.LSTM(4, return_sequences=True)(hidden)))
    model.save("model.keras")
    (seen,) = gw.capture(model, x[None].astype(np.float32))
    np.testing.assert_allclose(gw.open_run("model.keras", "x.csv").trace.lstm.output, seen.trace.output, atol=1e-6)
    assert exit_code(["report", "model.keras", "x.csv", "-o", "report.html"]) == 0
    assert "which gatewise runs" in capsys.readouterr().err
    plain = keras.Sequential([keras.Input((None, 2)), keras.layers.LSTM(4), keras.layers.Dense(1)])
    plain.save("plain.keras")  # which gatewise runs by itself, with the head
    made = gw.open_run("plain.keras", "x.csv")
    assert isinstance(made.trace, gw.NetworkTrace)
    np.testing.assert_allclose(made.trace.output[None], plain.predict(x[None], verbose=0), atol=1e-6)


def speech(seconds=1.5, rate=16000):
    """Write a sound of 24 bits, a chirp with pauses, and return its samples."""
    t = np.arange(int(seconds * rate)) / rate
    sound = (0.5 * np.sin(2 * np.pi * (200 + 400 * t) * t) * (np.sin(6 * t) > 0)).astype(np.float32)
    wavfile.write("x.wav", rate, sound)
    return sound


def test_speech_runs_through_the_models_that_silero_ships(capsys):
    sound = speech()
    sequence = gw.open_run(SILERO / "silero_vad_16k_sequence.onnx", "x.wav", frames="576,512")
    script = gw.open_run(SILERO / "silero_vad.jit", "x.wav", frames="512")  # which keeps its state from call to call
    frames = -(-len(sound) // 512)
    assert sequence.trace.num_steps == script.trace.num_steps == frames
    assert sequence.trace[0].labels.times[:2] == ("0 s", "0.032 s")
    np.testing.assert_allclose(script.trace.output[:-1], sequence.trace.lstm.output[:-1], atol=5e-3)
    tokens = ["report", str(SILERO / "silero_vad_16k_sequence.onnx"), "x.wav", "--frames", "576,512", "-o", "r.html"]
    assert exit_code(tokens) == 0
    assert "(1 step" not in Path("r.html").read_text(encoding="utf-8")


def test_what_a_model_cannot_be_given_is_refused_in_a_sentence(net):
    rain()
    speech()
    torch.jit.script(net).save("model.pt")
    onnx_file(net, "model.onnx", dynamic_axes={"x": {1: "time"}})
    torch.save(net.state_dict(), "weights.pt")
    np.save("wide.npy", np.ones((4, 7)))
    np.savez("named.npz", x=np.ones((1, 4, 2)), y=np.ones(3))
    for call, words in (
        (lambda: gw.open_run("model.onnx", "wide.npy"), "the whole model takes x (1, time, 2)"),
        (lambda: gw.open_run("model.pt", "wide.npy"), "the TorchScript model cannot run at these inputs"),
        (lambda: gw.open_run("weights.pt", "x.csv"), "the LSTM takes 3"),
        (lambda: gw.open_run("weights.pt", "x.csv", input_of="model"), "does not hold how its model is computed"),
        (
            lambda: gw.open_run("model.onnx", "x.csv", axes="time,feature", input_of="model"),
            "--axes is for the input of an LSTM",
        ),
        (lambda: gw.open_run("model.onnx", "named.npz"), "has no input 'y'"),
        (lambda: gw.open_run("model.pt", "x.csv", name="other"), "no LSTM 'other'"),
        (
            lambda: gw.open_run(SILERO / "silero_vad_16k_sequence.onnx", "x.wav"),
            "the whole model takes input (sequence_length, 576)",
        ),
    ):
        with pytest.raises(gw.GatewiseError) as problem:
            call()
        assert words in str(problem.value)
        assert "\n" not in str(problem.value)


def test_without_its_framework_a_model_is_missed_in_a_sentence(net, monkeypatch):
    rain()
    torch.jit.script(net).save("model.pt")
    onnx_file(net, "model.onnx", dynamic_axes={"x": {1: "time"}})
    by_onnxruntime = gw.open_run("model.onnx", "x.csv").trace.output
    graph = onnx.load("model.onnx")
    next(node for node in graph.graph.node if node.op_type == "Conv").domain = "unheard"
    onnx.save(graph, "unheard.onnx")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(gw.MissingExtraError, match=r"the LSTM takes 3; .*onnxruntime"):
            gw.open_run("unheard.onnx", "x.csv")
    for name, file in (("torch", "model.pt"), ("onnxruntime", "model.onnx")):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            made = gw.open_run(file, "x.csv")
        assert "which gatewise runs" in made.interpretation
        np.testing.assert_allclose(made.trace.output, by_onnxruntime, atol=1e-6)


class Tagger(torch.nn.Module):
    """Two bidirectional layers between an embedding and a head; what is `bent` is no plain chain of these."""

    def __init__(self, bent=False):
        super().__init__()
        self.bent = bent
        self.embedding = torch.nn.Embedding(20, 3, padding_idx=0)
        self.lstm = torch.nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True)
        self.head = torch.nn.Linear(8, 5)

    def forward(self, tokens):
        x = self.embedding(tokens)
        y, _ = self.lstm(torch.sin(x) if self.bent else x)
        return self.head(y)


@pytest.mark.parametrize("dynamo", [False, True])
def test_each_layer_of_a_model_that_ran_has_a_run(dynamo):
    torch.manual_seed(0)
    net = Tagger(bent=True).eval()
    tokens = torch.randint(1, 20, (3, 7))
    np.save("tokens.npy", tokens.numpy())
    torch.onnx.export(net, (tokens,), "model.onnx", dynamo=dynamo)
    made = gw.open_run("model.onnx", "tokens.npy")
    (seen,) = gw.capture(net, tokens)
    runs = {run.name: run.trace for run in (made, *made.others)}
    names = [*gw.load_network("model.onnx").lstms]
    assert {*runs} == {*names}
    for (layer, way), cell in seen.trace.cells().items():
        np.testing.assert_allclose(runs[names[layer]].lstm[0, way].forget_gate, cell.forget_gate, atol=1e-6)
    np.testing.assert_allclose(made.trace.output, net(tokens).detach().numpy().swapaxes(0, 1), atol=1e-6)
    alone = gw.open_run("model.onnx", "tokens.npy", name=names[0])
    assert (alone.name, alone.others) == (names[0], ())


def test_layers_of_a_state_dict_are_named_at_the_command_line():
    torch.manual_seed(0)
    net = Tagger().eval()
    tokens = torch.randint(1, 20, (3, 7))
    np.save("tokens.npy", tokens.numpy())
    torch.save(net.state_dict(), "state.pt")
    made = gw.open_run("state.pt", "tokens.npy", embedding="embedding", head="head", axes="batch,time")
    with torch.no_grad():
        np.testing.assert_allclose(made.trace.output, net(tokens).numpy().swapaxes(0, 1), atol=1e-6)
    assert exit_code(["report", "state.pt", "tokens.npy", "--embedding", "embedding", "--head", "no"]) == 2


INTEGERS = {
    "uint8": [0, 200, 255],
    "int8": [-128, 3, 127],
    "int16": [-3, 0, 300],
    "int32": [0, 7, -9],
    "bool": [0, 1, 1],
}


class Counts(torch.nn.Module):
    """An LSTM on integers, in whose own type the first operation wraps around."""

    def __init__(self, wraps):
        super().__init__()
        self.wraps = wraps
        self.rnn = torch.nn.LSTM(1, 4, batch_first=True)

    def forward(self, x):
        x = x + x if self.wraps else x
        return self.rnn(x.float() / 100)[0]


@pytest.mark.parametrize("kind", INTEGERS)
def test_integers_are_passed_in_the_type_that_the_model_declares(kind):
    x = np.array(INTEGERS[kind]).astype(kind).reshape(1, 3, 1)
    torch.manual_seed(0)
    net = Counts(kind not in ("bool", "int32")).eval()
    (seen,) = gw.capture(net, torch.from_numpy(x))
    np.save("x.npy", x)
    np.savez("x.npz", x=x)
    torch.jit.script(net).save("model.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, torch.from_numpy(x), "model.onnx", dynamo=False, input_names=["x"])
    keras.utils.set_random_seed(0)
    taken = keras.Input((None, 1), dtype=kind)
    keras.Model(taken, keras.layers.LSTM(4)(keras.ops.cast(taken, "float32") / 100)).save("model.keras")
    for path in ("model.pt", "model.onnx", "model.keras"):
        for given in ("x.npy", "x.npz", x):
            made = gw.open_run(path, given, input_of="model")
            want = x.astype(np.float32) / 100 if path == "model.keras" else seen.trace[0].input
            np.testing.assert_allclose(made.trace.lstm[0].input.reshape(-1), np.reshape(want, -1), rtol=1e-6)


def test_a_number_that_the_type_of_the_model_s_input_lacks_is_refused():
    net = Counts(False).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, torch.zeros(1, 3, 1, dtype=torch.uint8), "model.onnx", dynamo=False, input_names=["x"])
    for wrong, words in [(300, "from 0 to 255 (uint8), and 300 is not"), (-1, "-1"), (0.5, "0.5")]:
        with pytest.raises(gw.OptionError, match=re.escape(words)):
            gw.open_run("model.onnx", np.full((1, 3, 1), wrong), input_of="model")


def test_the_lstm_of_a_whole_model_that_ran_is_verified(net, capsys):
    x, _ = rain()
    torch.jit.script(net).save("model.pt")
    onnx_file(net, "model.onnx", dynamic_axes={"x": {1: "time"}})
    with torch.no_grad():
        steps = net.conv(torch.from_numpy(x[None]).float().transpose(1, 2)).transpose(1, 2)
        y = net.rnn(steps)[0].numpy()
    np.save("y.npy", y)
    np.save("last.npy", y[:, -1])
    np.save("wrong.npy", y + np.float32(0.01))
    np.save("whole.npy", net.head(torch.from_numpy(y)).detach().numpy())
    for path in ("model.pt", "model.onnx"):
        assert exit_code(["verify", path, "x.csv", "y.npy"]) == 0
        assert "x.csv is taken as the input of the whole model" in " ".join(capsys.readouterr().out.split())
        assert exit_code(["verify", path, "x.csv", "last.npy"]) == 0
        assert exit_code(["verify", path, "x.csv", "wrong.npy"]) == 1
        capsys.readouterr()
        assert exit_code(["verify", path, "x.csv", "whole.npy"]) == 2
        said = capsys.readouterr().err
        assert "y has shape (30, 1, 1); it must be (30, 1, 4)" in said
        assert "of a whole model the outputs of its LSTM are compared" in said


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".csv", ".nc"])
def test_the_lstm_of_a_whole_model_is_traced_to_every_format(suffix, net, capsys):
    x, dates = rain()
    torch.jit.script(net).save("model.pt")
    (seen,) = gw.capture(net, torch.from_numpy(x[None]).float())
    want = seen.trace[0].forget_gate[:, 0]
    assert exit_code(["trace", "model.pt", "x.csv", "-o", f"t{suffix}"]) == 0
    assert "x.csv is taken as the input of the whole model" in capsys.readouterr().err
    if suffix == ".npz":
        got = np.load("t.npz")["layer0.forward.forget_gate"][:, 0]
    elif suffix == ".safetensors":
        got = gw.load("t.safetensors")[0].forget_gate[:, 0]
    elif suffix == ".csv":
        table = pandas.read_csv("t.csv", parse_dates=["time"])
        rows = table[table.quantity == "forget_gate"].pivot(index="time", columns="unit", values="value")
        assert (rows.index.values == dates).all()
        got = rows.to_numpy()
    else:
        with xarray.open_dataset("t.nc") as data:
            assert (data["time"].values == dates).all()
            assert data.attrs["model_file"] == "model.pt"
            got = data["forget_gate"].values[:, 0]
    np.testing.assert_allclose(got, want, atol=1e-6)
    assert exit_code(["trace", "model.pt", "x.csv", "-o", f"t{suffix}", "--every", "2"]) == 2
    assert "--keep, --units and --every go with the input of an LSTM" in capsys.readouterr().err


def test_a_store_is_traced_to_a_table_and_a_netcdf_file_and_verified_against_another(capsys):
    lstm, times = gw.LSTM(2, 3, rng=0), np.arange("2001-01-01", 6, dtype="datetime64[D]")
    gw.save(lstm, "m.safetensors")
    x = np.random.default_rng(0).normal(size=(2, 6, 2)).astype(np.float32)
    coords = {"basin": ["Inn", "Isar"], "time": times, "feature": ["rain", "melt"]}
    xarray.DataArray(x, coords, ("basin", "time", "feature"), "x").to_dataset().to_zarr("x.zarr")
    y = lstm(x.swapaxes(0, 1))[0]
    xarray.DataArray(y, {"time": times}, ("time", "basin", "feature"), "y").to_dataset().to_zarr("y.zarr")
    assert exit_code(["trace", "m.safetensors", "x.zarr", "-o", "t.nc"]) == 0
    assert exit_code(["trace", "m.safetensors", "x.zarr", "-o", "t.csv"]) == 0
    with xarray.open_dataset("t.nc") as data:
        np.testing.assert_array_equal(data["y"], y)
        assert [*data["batch"].values] == ["Inn", "Isar"]
        assert (data["time"].values == times).all()
    table = pandas.read_csv("t.csv")
    assert {*table.sequence} == {"Inn", "Isar"}
    assert exit_code(["verify", "m.safetensors", "x.zarr", "y.zarr"]) == 0
    xarray.DataArray(y + np.float32(0.1), {"time": times}, ("time", "basin", "feature"), "y").to_dataset().to_zarr(
        "y.zarr", mode="w"
    )
    assert exit_code(["verify", "m.safetensors", "x.zarr", "y.zarr"]) == 1


class Steps(torch.nn.Module):
    """A module with an LSTM that takes a number beside its tensors."""

    def __init__(self):
        super().__init__()
        self.rnn = torch.nn.LSTM(2, 3, batch_first=True)

    def forward(self, x, count: int, scale: float = 1.0):
        return self.rnn(x[:, :count] * scale)[0]


def test_the_inputs_of_a_torchscript_module_and_of_a_program_are_listed():
    torch.jit.script(Steps().eval()).save("m.pt")
    found = gw.inspect("m.pt").inputs
    assert [(one.name, one.dtype) for one in found] == [("x", None), ("count", "int64"), ("scale", "float64")]
    program = torch.export.export(Steps().eval(), (torch.zeros(2, 6, 2), 4))
    torch.export.save(program, "m.pt2")
    (x,) = gw.inspect("m.pt2").inputs
    assert (x.name, x.shape, x.dtype) == ("x", (2, 6, 2), "float32")
