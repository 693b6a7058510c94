"""open_run: files and the same objects in memory give the same run; every kind of input; errors of one sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cases import refusal
from program import exit_code
from scipy.io import wavfile

import gatewise as gw
from gatewise.interop import keras, onnx
from gatewise.interop.captured import Captured
from gatewise.interop.onnx import chain
from gatewise.opening.models import opened_model

RNG = np.random.default_rng(0)
SEQUENCE = RNG.normal(size=(6, 2)).astype(np.float32)
BATCH = RNG.normal(size=(6, 4, 2)).astype(np.float32)
NAMES = ("rain", "warmth")
pytestmark = pytest.mark.usefixtures("here")


def lstm_of(**options):
    return gw.LSTM(2, 3, rng=0, **options)


def network_of(**options):
    head = gw.Linear(np.random.default_rng(1).normal(size=(1, 3)).astype(np.float32))
    return gw.Network(lstm_of(), head=head, labels=gw.Labels(features=NAMES, outputs=["flow"]), **options)


def scaled_network():
    return network_of(inputs=gw.Scaling([1.0, 2.0], [3.0, 0.5]), outputs=gw.Scaling([0.5], [2.0]))


def assert_same_run(run, trace):
    """Require the very bits of a trace."""
    np.testing.assert_array_equal(run.trace.output, trace.output)
    cells, expected = (getattr(one, "lstm", one).cells() for one in (run.trace, trace))
    assert cells.keys() == expected.keys()
    for place, cell in cells.items():
        for name in ("input_gate", "forget_gate", "candidate", "output_gate", "cell_state", "hidden_state"):
            np.testing.assert_array_equal(cell.quantity(name), expected[place].quantity(name))


# Files and the same things in memory.


@pytest.mark.parametrize("make", [lstm_of, network_of, scaled_network])
@pytest.mark.parametrize("x", [SEQUENCE, BATCH], ids=["one sequence", "a batch"])
def test_files_give_the_run_of_the_same_objects_in_memory(make, x):
    model = make()
    gw.save(model, "model.safetensors")
    np.save("x.npy", x)
    contents = gw.inspect("model.safetensors")
    axes = "time,batch,feature"
    for run in (
        gw.open_run("model.safetensors", "x.npy", axes=axes),
        gw.open_run(Path("model.safetensors"), Path("x.npy"), axes=axes.split(",")),
        gw.open_run("model.safetensors", x),
        gw.open_run(contents, x),
        gw.open_run(model, x),
        gw.open_run(model, "x.npy"),
    ):
        assert_same_run(run, model.trace(x))
        assert (run.network is None) is (make is lstm_of)
    assert_same_run(gw.open_run(contents.pick(), x), (model if make is lstm_of else model.lstm).trace(x))


def test_a_file_s_order_of_axes_holds_for_arrays_too():
    lstm = lstm_of()
    keras.write(lstm, "model.h5")
    assert_same_run(gw.open_run("model.h5", BATCH.swapaxes(0, 1)), lstm.trace(BATCH))


def test_the_command_line_writes_the_numbers_of_open_run():
    onnx.write(lstm_of(num_layers=2, bidirectional=True), "model.onnx")
    np.save("x.npy", BATCH)
    assert exit_code(["trace", "model.onnx", "x.npy", "-o", "out.safetensors"]) == 0
    assert_same_run(gw.open_run("model.onnx", "x.npy"), gw.load("out.safetensors"))
    assert exit_code(["plot", "model.onnx", "x.npy", "--kind", "gates", "-o", "gates.csv"]) == 0
    trace = gw.open_run("model.onnx", "x.npy").trace
    assert Path("gates.csv").read_text() == gw.plot.data.gates(trace.lstm[0, "forward"]).to_csv()


def test_options_of_a_trace_keep_less_and_write_as_the_run_goes():
    lstm = lstm_of()
    run = gw.open_run(lstm, BATCH, keep="forget_gate", units=[0, 2], every=2, out="out.safetensors")
    expected = lstm.trace(BATCH, keep="forget_gate", units=[0, 2], every=2)
    np.testing.assert_array_equal(run.trace[0].forget_gate, expected[0].forget_gate)
    np.testing.assert_array_equal(gw.load("out.safetensors")[0].forget_gate, expected[0].forget_gate)


def test_a_network_is_built_once_for_a_command(monkeypatch):
    built = []
    build = chain.Chain.network
    monkeypatch.setattr(chain.Chain, "network", lambda *arguments: built.append(1) or build(*arguments))
    onnx.write(lstm_of(), "model.onnx")
    Path("x.csv").write_text("1,2\n3,4\n5,6\n")
    for command in (["trace", "model.onnx", "x.csv", "-o", "out.npz"], ["plot", "model.onnx", "x.csv"]):
        built.clear()
        assert exit_code(command) == 0
        assert len(built) == 1
    contents = gw.inspect("model.onnx")
    assert contents.network() is contents.network() is opened_model(contents, contents.pick()).network


def test_what_a_network_cannot_express_is_found_once():
    built = []

    def refuse(*arguments):
        built.append(1)
        raise gw.ShapeError("its layers do not fit")

    onnx.write(lstm_of(), "model.onnx")
    contents = replace(gw.inspect("model.onnx"), network=refuse)
    for _ in range(2):
        with refusal("cannot make a network of model.onnx: its layers do not fit"):
            contents.network()
    assert built == [1]


# Traces, and models that were captured.


def test_a_trace_is_a_run_and_takes_no_input():
    trace = network_of().trace(SEQUENCE)
    for run in (trace, trace.lstm, trace.lstm[0]):
        assert gw.open_run(run).trace is run
        assert gw.open_run(run).labels == run.labels
    gw.save(trace.lstm[0], "cell.safetensors")
    assert isinstance(gw.open_run("cell.safetensors").trace, gw.Trace)
    gw.save(trace.lstm, "trace.safetensors")
    assert_same_run(gw.open_run("trace.safetensors"), gw.load("trace.safetensors"))
    with pytest.raises(gw.OptionError, match=r"is already a run\. Leave out options of an input"):
        gw.open_run("trace.safetensors", axes="time,feature")
    captured = Captured("rnn", 0, trace.lstm, 1e-7, ("the final state was not compared",))
    run = gw.open_run(captured)
    assert (run.trace, run.name) == (trace.lstm, "rnn")
    assert run.notes == ("the trace is off by at most 1e-07 from what the model computed", *captured.notes)
    for arguments in ((trace, SEQUENCE), ("trace.safetensors", SEQUENCE), (captured, SEQUENCE)):
        with pytest.raises(gw.OptionError, match=r"already a run\. Leave out an input"):
            gw.open_run(*arguments)


# Every kind of input.


def inputs_of(x):
    """Yield the same sequence as every kind of input."""
    import pandas
    import xarray

    np.save("x.npy", x)
    np.savez("x.npz", x=x)
    np.savez("several.npz", x=x, other=x[:2])
    np.savetxt("x.csv", x, delimiter=",", fmt="%.9g")
    Path("named.csv").write_text("warmth,rain\n" + "".join(f"{b:.9g},{a:.9g}\n" for a, b in x))
    frame = pandas.DataFrame(x, columns=NAMES)
    data = xarray.DataArray(x, dims=("time", "feature"), coords={"feature": list(NAMES)})
    yield from ((path, {}) for path in ("x.npy", "x.npz", "x.csv", "named.csv"))
    yield "several.npz", {"key": "x"}
    yield {"x": x, "other": x[:2]}, {"key": "x"}
    yield {"x": x}, {}
    yield from ((values, {}) for values in (x, x.tolist(), pandas.DataFrame(x), frame, frame[["warmth", "rain"]]))
    yield from ((values, {}) for values in (data, data.T, data[:, ::-1], data.to_dataset("feature")))
    yield data.rename(time="day", feature="channel"), {"axes": "time,feature"}


def test_every_kind_of_input_gives_the_same_run():
    network = network_of()
    for values, options in inputs_of(SEQUENCE):
        assert_same_run(gw.open_run(network, values, **options), network.trace(SEQUENCE))


def test_labels_of_tables_and_of_labelled_data_reach_the_run():
    import pandas
    import xarray

    days = np.arange("2001-01-01", "2001-01-07", dtype="datetime64[D]")
    frame = pandas.DataFrame(SEQUENCE, columns=NAMES, index=pandas.DatetimeIndex(days))
    run = gw.open_run(lstm_of(), frame)
    assert run.labels.features == NAMES
    assert [str(time)[:10] for time in run.labels.times] == list(map(str, days))
    coordinates = {"time": days, "basin": ["a", "b"], "member": [0, 1], "feature": list(NAMES)}
    data = xarray.DataArray(BATCH.reshape(6, 2, 2, 2), dims=list(coordinates), coords=coordinates)
    run = gw.open_run(lstm_of(), data.transpose("basin", "time", "feature", "member"))
    assert run.labels.sequences == ("a, 0", "a, 1", "b, 0", "b, 1")
    assert_same_run(run, lstm_of().trace(BATCH))


def test_a_report_and_a_page_take_the_columns_of_a_table_by_their_names():
    import pandas

    from gatewise.opening.run import run_of

    network, frame = network_of(), pandas.DataFrame(SEQUENCE, columns=NAMES)
    for options in ({}, {"lengths": [4]}):
        run = run_of(network, frame[["warmth", "rain"]], options, "a report on", "")
        assert_same_run(run, gw.open_run(network, frame, **options).trace)
    assert run_of(network, frame, {"edit": gw.Edit.scale("forget_gate", 0.5)}, "a report on", "").trace.num_steps == 6


def test_tokens_lengths_states_and_sound_are_inputs():
    embedding = RNG.normal(size=(5, 2))
    network = gw.Network(lstm_of(), embedding=embedding)
    tokens = np.array([[1, 4], [0, 2], [3, 3]])
    assert_same_run(gw.open_run(network, tokens, lengths=[3, 1]), network.trace(tokens, lengths=[3, 1]))
    lstm, h0, c0 = lstm_of(), RNG.normal(size=(1, 4, 3)), RNG.normal(size=(1, 4, 3))
    np.savez("state.npz", h0=h0, c0=c0)
    state = ((gw.State(h0[0], c0[0]),),)
    for given in ("state.npz", {"h0": h0, "c0": c0}, state):
        assert_same_run(gw.open_run(lstm, BATCH, state=given), lstm.trace(BATCH, state))
    samples = RNG.uniform(-0.5, 0.5, 12).astype(np.float32)
    wavfile.write("x.wav", 8000, samples)
    for frames in ("2", 2, (2, 2)):
        assert_same_run(gw.open_run(lstm, "x.wav", frames=frames), lstm.trace(samples.reshape(6, 2)))


def test_attributes_of_a_basin_fill_the_features_that_a_table_lacks():
    network = network_of()
    Path("7.csv").write_text("rain\n1\n2\n3\n")
    Path("basins.csv").write_text("id,warmth\n6,0.5\n7,0.25\n")
    x = np.array([[1, 0.25], [2, 0.25], [3, 0.25]])
    for attributes in ("basins.csv", ["basins.csv"], {"warmth": 0.25}):
        assert_same_run(gw.open_run(network, "7.csv", attributes=attributes), network.trace(x))
    assert_same_run(
        gw.open_run(network, "7.csv", attributes="basins.csv", basin="6"), network.trace(x + np.array([0, 0.25]))
    )


# Notes.


def test_notes_say_what_was_left_out_and_why_there_is_no_network():
    Path("x.csv").write_text("rain,flow,warmth\n1,9,2\n3,9,4\n")
    run = gw.open_run(network_of(), "x.csv")
    assert run.interpretation == "x.csv is taken as the input of the LSTM 'lstm'"
    assert run.notes == ("x.csv: flow left out, which the network does not take",)
    assert gw.open_run(lstm_of(), SEQUENCE).notes == ()


def test_a_file_whose_network_cannot_be_made_says_so_in_a_note(capsys):
    document = {
        "in_shape": [None, None, 2],
        "layers": [
            {"type": "conv1d", "activation": "", "shape": [None, None, 2], "weights": []},
            {
                "type": "lstm",
                "activation": "tanh",
                "shape": [None, None, 3],
                "weights": [np.ones((2, 12)).tolist(), np.ones((3, 12)).tolist(), np.ones(12).tolist()],
            },
        ],
    }
    Path("model.json").write_text(json.dumps(document))
    np.save("x.npy", SEQUENCE)
    (note,) = (note for note in gw.open_run("model.json", "x.npy").notes if "network" in note)
    assert "layers.0 is of type" in note
    assert exit_code(["trace", "model.json", "x.npy", "-o", "out.npz"]) == 0
    assert note in capsys.readouterr().err


def test_an_input_without_steps_has_an_empty_trace():
    assert gw.open_run(lstm_of(), SEQUENCE[:0]).trace.output.shape == (0, 3)


# Errors.


def test_what_cannot_be_opened_is_refused_in_one_sentence():
    lstm, network = lstm_of(), network_of()
    Path("x.csv").write_text("rain,flow\n1,2\n")
    Path("long.csv").write_text("time,sequence,layer,direction,quantity,unit,value\n0,0,0,forward,output_gate,0,0.5\n")
    for call, words in (
        (lambda: gw.open_run(3, SEQUENCE), "open_run takes the path of a model or a trace, an LSTM"),
        (lambda: gw.open_run(lstm), "is a model. Give the file of its input as well"),
        (lambda: gw.open_run("no.onnx", SEQUENCE), "no such file"),
        (lambda: gw.open_run(lstm, BATCH[None]), "it must have one to three axes"),
        (lambda: gw.open_run(lstm, BATCH[..., :1]), "the input has 1 feature"),
        (lambda: gw.open_run(lstm, SEQUENCE * np.nan), "in the input is nan"),
        (lambda: gw.open_run(lstm, SEQUENCE, key="x"), "--key is for an .npz file, a store or a mapping"),
        (lambda: gw.open_run(lstm, {"a": SEQUENCE, "b": SEQUENCE}), "Choose one with --key: 'a', 'b'"),
        (lambda: gw.open_run(lstm, {"a": SEQUENCE}, key="b"), "there is no array 'b' in the input; it has a"),
        (lambda: gw.open_run(lstm, SEQUENCE, name="other"), "there is no LSTM 'other'"),
        (lambda: gw.open_run(lstm, SEQUENCE, axes="x,y"), "--axes must be time,batch,feature"),
        (lambda: gw.open_run(lstm, SEQUENCE, attributes={"a": 1.0}), "a model whose file names its features"),
        (
            lambda: gw.open_run(lstm, "x.csv", axes="feature,time"),
            "the axes of x.csv, which is a table, are time,feature",
        ),
        (lambda: gw.verify(lstm, SEQUENCE, "long.csv"), "it is a long table of gatewise trace"),
        (lambda: gw.open_run(network, "x.csv"), "x.csv has no column warmth, which the model takes"),
        (lambda: gw.open_run(lstm, SEQUENCE, input_of="model"), "does not hold how its model is computed"),
        (lambda: gw.open_run(lstm.trace(SEQUENCE), keep="cell_state"), "keep, units, every and out go with"),
        (lambda: gw.open_run(lstm.trace(SEQUENCE), SEQUENCE), "a trace is already a run"),
        (lambda: gw.open_run(lstm, SEQUENCE, input_of="network"), "input_of must be one of lstm, model"),
        (lambda: gw.open_run(lstm, SEQUENCE, lengths="all"), "lengths must be integers, one for each sequence"),
        (lambda: gw.open_run(lstm, {}), "the input has no arrays"),
    ):
        with pytest.raises(gw.GatewiseError) as problem:
            call()
        assert words in str(problem.value)
        assert "\n" not in str(problem.value)
