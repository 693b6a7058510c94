"""inspect, trace, convert, verify: the program on files, and one sentence for whatever is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from program import exit_code, output_of, refusal_of

import gatewise as gw
from gatewise.arrays import in_bytes
from gatewise.cli import main, printing
from gatewise.interop import torch
from gatewise.opening.costs import bytes_kept
from gatewise.records.keep import QUANTITIES, Keep

ORDER = ("--axes", "time,batch,feature")  # gatewise's own files do not say it


LSTMS = {
    "plain": {},
    "stacked": {"num_layers": 3, "projection_size": 2},
    "bidirectional": {"num_layers": 2, "bidirectional": True},
    "backward": {"direction": "backward"},
    "merged": {"bidirectional": True, "merge": "sum", "dtype": np.float64},
    "variant": {"variant": gw.Variant(peephole="full", cell_clip=3.0, output_activation="hard_sigmoid:0.2,0.5")},
}


def saved(name="plain", path="model.safetensors", **more):
    lstm = gw.LSTM(3, 4, rng=0, **LSTMS[name], **more)
    gw.save(lstm, path)
    return lstm


def first(lstm):
    """Return the cell of layer 0, in the direction that is run first."""
    return lstm.layers[0][0]


def sequence(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


# inspect


@pytest.mark.parametrize("name", LSTMS)
def test_inspect_tells_what_an_lstm_is_in_80_plain_columns_and_as_json(name, here, capsys):
    lstm = saved(name)
    shown = output_of(capsys, "inspect", "model.safetensors", "--all")
    (found,) = json.loads(output_of(capsys, "inspect", "model.safetensors", "--json"))["lstms"]
    assert (found["input_size"], found["hidden_size"], found["output_size"]) == (3, 4, lstm.output_size)
    assert (found["num_layers"], found["directions"]) == (lstm.num_layers, list(lstm.directions))
    assert (found["num_parameters"], found["dtype"]) == (lstm.num_parameters, lstm.dtype.name)
    assert found["projection_size"] == LSTMS[name].get("projection_size")
    assert found["variant"] == {
        key: value if isinstance(value, (str, float)) else str(value)
        for key, value in first(lstm).variant.differences().items()
    }
    assert f"3 features in, 4 units, {lstm.output_size} out" in shown
    assert f"{lstm.num_layers}, {' and '.join(lstm.directions)}" in shown
    assert f"{lstm.num_parameters:,}, {lstm.dtype.name}" in shown
    for key, value in first(lstm).variant.differences().items():
        assert f"{key}={value}" in " ".join(shown.split())
    assert ("variant" in shown) == (name == "variant")
    assert "i f g o" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown


def test_inspect_tells_the_other_parts_of_a_network(here, capsys):
    lstm = gw.LSTM(3, 4, rng=0)
    head = gw.Linear(sequence(2, 4))
    gw.save(gw.Network(lstm, embedding=sequence(7, 3), head=head), "net")
    shown = output_of(capsys, "inspect", "net", "--all")
    assert "embedding: embedding (7, 3)" in shown
    assert "head: linear layer (2, 4)" in shown
    found = json.loads(output_of(capsys, "inspect", "net", "--json"))
    assert found["network"] is True
    assert [one["shape"] for one in found["parts"]] == [[7, 3], [2, 4]]


def test_inspect_of_a_file_without_an_lstm_says_what_it_holds_and_why_that_is_none(here, capsys):
    gw.save(gw.LSTM(3, 4, rng=0).trace(sequence(2, 1, 3)), "trace")
    shown = output_of(capsys, "inspect", "trace", "--all", code=1)
    assert "no LSTM that can be read" in shown
    assert "gatewise.load returns it" in shown
    assert json.loads(output_of(capsys, "inspect", "trace", "--json", code=1))["lstms"] == []


def test_weights_that_are_not_numbers_are_told(here, capsys):
    cell = gw.LSTM(3, 4, rng=0)[0].parameters
    bias = cell.bias.copy()
    bias[1, 2] = np.nan
    gw.save(gw.LSTM.from_cells(cell.replace(bias=bias)), "model")
    assert "not finite   1 of 16 numbers in bias" in output_of(capsys, "inspect", "model")
    np.save("x.npy", sequence(5, 1, 3))
    main(["trace", "model", "x.npy", "-o", "out.npz"])
    assert "weights that are not finite" in capsys.readouterr().err


# trace


@pytest.mark.parametrize("name", LSTMS)
def test_a_trace_on_file_is_the_trace(name, here, capsys):
    lstm, x = saved(name), sequence(6, 2, 3)
    np.save("x.npy", x)
    output_of(capsys, "trace", "model.safetensors", "x.npy", "-o", "out.npz", *ORDER)
    expected, arrays = lstm.trace(x), np.load("out.npz")
    np.testing.assert_array_equal(arrays["output"], expected.output)
    np.testing.assert_array_equal(arrays["steps"], np.arange(6))
    for layer in range(lstm.num_layers):
        for direction in lstm.directions:
            for quantity in QUANTITIES:
                want = expected[layer, direction].quantity(quantity)
                if f"layer{layer}.{direction}.{quantity}" in arrays:
                    np.testing.assert_array_equal(arrays[f"layer{layer}.{direction}.{quantity}"], want)
                else:
                    assert (quantity, lstm.layers[layer][0].parameters.projection) == ("unprojected_state", None)
            last = expected[layer, direction].final
            np.testing.assert_array_equal(arrays[f"layer{layer}.{direction}.final_cell_state"], last.c)


def test_axes_are_those_that_are_given(here, capsys):
    lstm, x = saved(), sequence(6, 2, 3)
    for axes, order in {"batch,time,feature": (1, 0, 2), "feature,time,batch": (2, 0, 1)}.items():
        np.save("x.npy", x.transpose(order))
        output_of(capsys, "trace", "model.safetensors", "x.npy", "-o", "out.npz", "--axes", axes)
        np.testing.assert_array_equal(np.load("out.npz")["output"], lstm(x)[0])
    np.save("x.npy", x[:, 0])
    output_of(capsys, "trace", "model.safetensors", "x.npy", "-o", "out.npz")
    np.testing.assert_array_equal(np.load("out.npz")["output"][:, 0], lstm(x[:, 0])[0])


@pytest.mark.parametrize("steps", [3, 30])
def test_the_order_of_the_axes_is_never_guessed(steps, here, capsys):
    lstm, x = saved(), sequence(steps, 30, 3)
    readings = f"{steps} steps of 30 sequences (--axes time,batch,feature) or 30 steps of {steps} sequences (--axes b"
    torch.write(lstm, "state.pt")
    np.save("x.npy", x)
    np.savez("case.npz", x=x, y=lstm(x)[0])
    for tokens in (
        ["trace", "state.pt", "x.npy", "-o", "out.npz"],
        ["verify", "state.pt", "--io", "case.npz"],
        ["plot", "state.pt", "x.npy", "-o", "out.png"],
        ["report", "state.pt", "x.npy", "-o", "out.html"],
        ["page", "state.pt", "x.npy", "-o", "out.html"],
        ["trace", "model.safetensors", "x.npy", "-o", "out.npz"],
    ):
        assert readings in refusal_of(capsys, *tokens), tokens


def test_axes_need_not_be_given_where_something_says_them(here, capsys):
    lstm, x = saved(), sequence(6, 2, 3)
    trace = ("trace", "model.safetensors", "x.npy", "-o", "out.npz")
    np.savez("state.npz", h0=sequence(1, 2, 4))
    for array, more in {
        "one sequence": (x[:, :1], ()),
        "one sequence, batch first": (x[:, :1].swapaxes(0, 1), ()),
        "lengths": (x.swapaxes(0, 1), ("--lengths", "6,6")),
        "states": (x.swapaxes(0, 1), ("--state", "state.npz")),
    }.values():
        np.save("x.npy", array)
        output_of(capsys, *trace, *more)
        assert len(np.load("out.npz")["output"]) == 6
    network = gw.Network(gw.LSTM(3, 4, rng=0), embedding=sequence(7, 3))
    gw.save(network, "net.safetensors")
    np.save("tokens.npy", np.ones((3, 30)))
    words = "3 steps of 30 sequences (--axes time,batch) or 30 steps of 3 sequences (--axes batch,time)"
    assert words in refusal_of(capsys, "trace", "net.safetensors", "tokens.npy", "-o", "other.npz")
    assert lstm.input_size == 3


def test_less_can_be_kept(here, capsys):
    lstm, x = saved(), sequence(7, 2, 3)
    np.savez("x.npz", one=x, two=x + 1)
    options = ["--key", "two", "--keep", "forget_gate, cell_state", "--units", "3,1", "--every", 3]
    shown = output_of(capsys, "trace", "model.safetensors", "x.npz", "-o", "out.npz", *options, *ORDER)
    arrays, expected = np.load("out.npz"), lstm.trace(x + 1)[0]
    assert "forget_gate, cell_state" in shown
    np.testing.assert_array_equal(arrays["layer0.forward.forget_gate"], expected.forget_gate[::3, :, [3, 1]])
    np.testing.assert_array_equal(arrays["layer0.forward.cell_state"], expected.cell_state[::3, :, [3, 1]])
    assert arrays["steps"].tolist() == [0, 3, 6]
    assert not [name for name in arrays.files if "input_gate" in name]


def test_lengths_and_initial_states_are_heeded(here, capsys):
    lstm, x = saved("bidirectional"), sequence(6, 2, 3)
    h0, c0 = sequence(4, 2, 4, seed=1), sequence(4, 2, 4, seed=2)
    np.save("x.npy", x)
    np.savez("state.npz", h0=h0, c0=c0)
    options = ["--lengths", "6,2", "--state", "state.npz"]
    output_of(capsys, "trace", "model.safetensors", "x.npy", "-o", "out.npz", *options)
    state = [[gw.State(h0[2 * n + d], c0[2 * n + d]) for d in range(2)] for n in range(2)]
    y, _ = lstm(x, state, lengths=[6, 2])
    np.testing.assert_array_equal(np.load("out.npz")["output"], y)
    np.savez("state.npz", c0=c0.swapaxes(0, 1))  # with the batch first, and no hidden state
    output_of(capsys, "trace", "model.safetensors", "x.npy", "-o", "out.npz", "--state", "state.npz", *ORDER)
    zeros = np.zeros((2, 4), np.float32)
    y, _ = lstm(x, [[gw.State(zeros, c0[2 * n + d]) for d in range(2)] for n in range(2)])
    np.testing.assert_array_equal(np.load("out.npz")["output"], y)


def test_names_of_features_and_times_travel_to_the_trace(here, capsys):
    lstm = saved("stacked")
    Path("x.csv").write_text("date,rain,snow,wind\nmon,1,2,3\ntue,4,5,6\n")
    output_of(capsys, "trace", "model.safetensors", "x.csv", "-o", "out.safetensors")
    trace = gw.load("out.safetensors")
    assert trace[0].labels == gw.Labels(features=("rain", "snow", "wind"), times=("mon", "tue"))
    assert trace[2].labels.times == ("mon", "tue")
    assert trace[2].labels.features == ("h0 (layer 1)", "h1 (layer 1)")
    np.testing.assert_array_equal(trace.stored_output[:, 0], lstm([[1, 2, 3], [4, 5, 6]])[0])
    output_of(capsys, "trace", "model.safetensors", "x.csv", "-o", "out.npz")
    assert np.load("out.npz")["names.features"].tolist() == ["rain", "snow", "wind"]


@pytest.mark.parametrize("axes", ["time,batch", "batch,time"])
def test_a_network_that_embeds_takes_integers(axes, here, capsys):
    network = gw.Network(gw.LSTM(3, 4, rng=0), embedding=sequence(7, 3))
    gw.save(network, "net.safetensors")
    tokens = np.array([[1, 6], [0, 3], [2, 2], [5, 4]])
    np.save("tokens.npy", tokens if axes == "time,batch" else tokens.T)
    output_of(capsys, "trace", "net.safetensors", "tokens.npy", "-o", "out.npz", "--axes", axes)
    np.testing.assert_array_equal(np.load("out.npz")["output"], network(tokens)[0])
    Path("tokens.csv").write_text("token\n1\n0\n2\n5\n")
    output_of(capsys, "trace", "net.safetensors", "tokens.csv", "-o", "out.npz")
    np.testing.assert_array_equal(np.load("out.npz")["output"], network(tokens[:, :1])[0])
    np.save("x.npy", np.asarray(network.embed(tokens)[0]))  # what the embedding would give
    output_of(capsys, "trace", "net.safetensors", "x.npy", "-o", "out.npz", *ORDER)
    np.testing.assert_array_equal(np.load("out.npz")["output"], network(tokens)[0])


def test_steps_that_a_network_marks_do_not_take_place(here, capsys):
    network = gw.Network(gw.LSTM(3, 4, rng=0), embedding=sequence(7, 3), masked=0.0, masked_output="repeat")
    gw.save(network, "net.safetensors")
    tokens = np.array([[1, 6], [0, 3], [2, 0]])
    np.save("tokens.npy", tokens)
    output_of(capsys, "trace", "net.safetensors", "tokens.npy", "-o", "out.npz", *ORDER)
    arrays = np.load("out.npz")
    np.testing.assert_array_equal(arrays["output"], network(tokens)[0])
    np.testing.assert_array_equal(arrays["valid"], tokens != 0)


@pytest.mark.parametrize("name", LSTMS)
def test_the_size_is_said_before_much_is_kept(name, here, capsys, monkeypatch):
    lstm = saved(name)
    np.save("x.npy", sequence(500, 2, 3))
    monkeypatch.setattr(printing, "LARGE", 1000)
    main(["trace", "model.safetensors", "x.npy", "-o", "out.safetensors", *ORDER])
    said = capsys.readouterr().err
    size = bytes_kept(lstm, Keep(), 500, 2, on_file=True)
    assert f"this keeps {in_bytes(size)} of 500 steps, which are written" in said
    rest = 3 * Path("model.safetensors").stat().st_size + 4096  # parameters, states, the header
    assert size <= Path("out.safetensors").stat().st_size <= size + rest
    main(["trace", "model.safetensors", "x.npy", "-o", "out.npz", "--keep", "forget_gate", "--every", "5", *ORDER])
    less = sum(array.nbytes for name, array in np.load("out.npz").items() if "gate" in name or name == "output")
    assert f"this keeps {in_bytes(less)} of 500 steps\n" in capsys.readouterr().err


def test_what_cannot_be_traced_is_refused_in_one_sentence(here, capsys):
    saved()
    np.save("x.npy", sequence(5, 1, 3))
    np.save("nan.npy", np.where(np.arange(15).reshape(5, 1, 3) == 7, np.nan, 1.0))
    np.save("large.npy", np.full((5, 1, 3), 1e300))
    np.savez("own.npz", a=sequence(5, 1, 3))
    np.savez("two.npz", a=1, b=2)
    np.savez("state.npz", h0=sequence(1, 2, 4))
    Path("out.npz").write_bytes(b"what was there")
    Path("broken.npz").write_bytes(Path("two.npz").read_bytes()[:-40])
    trace = ["trace", "model.safetensors"]
    for tokens, words in [
        ([*trace, "x.npy", "-o", "out.txt"], ".safetensors, .npz, .csv or .nc"),
        ([*trace, "nan.npy", "-o", "out.npz"], "feature 1 of step 2 of sequence 0"),
        ([*trace, "large.npy", "-o", "out.npz"], "finite numbers of float32, but feature 0 of step 0 of sequence 0"),
        ([*trace, "x.npy", "-o", "model.safetensors"], "cannot write model.safetensors: this file is read"),
        ([*trace, "own.npz", "-o", "own.npz"], "cannot write own.npz: this file is read"),
        ([*trace, "two.npz", "-o", "out.npz"], "Choose one with --key: 'a', 'b'"),
        ([*trace, "broken.npz", "-o", "out.npz"], "broken.npz"),
        ([*trace, "no.npy", "-o", "out.npz"], "no such file"),
        ([*trace, "x.txt", "-o", "out.npz"], "no such file"),
        ([*trace, "x.npy", "--axes", "time,feature", "-o", "out.npz"], "shape"),
        ([*trace, "x.npy", "--units", "a", "-o", "out.npz"], "--units"),
        ([*trace, "x.npy", "--lengths", "9", "-o", "out.npz"], "lengths"),
        ([*trace, "x.npy", "--state", "state.npz", "-o", "out.npz"], "h0 has shape (1, 2, 4)"),
        ([*trace, "x.npy", "--state", "two.npz", "-o", "out.npz"], "must hold h0, c0 or both"),
        ([*trace, "x.npy", "--set", "color=red", "-o", "out.npz"], "'color'"),
        ([*trace, "x.npy", "--set", "color", "-o", "out.npz"], "NAME=VALUE"),
        ([*trace, "x.npy", "--set", "a=1", "--set", "a=2", "-o", "out.npz"], "twice"),
        ([*trace, "x.npy", "-o", "no/out.npz"], "no/out.npz"),
        (["trace", "x.npy", "x.npy", "-o", "out.npz"], "x.npy"),
    ]:
        assert words in refusal_of(capsys, *tokens), tokens


def test_what_is_missing_from_an_embedding_is_refused_in_one_sentence(here, capsys):
    gw.save(gw.Network(gw.LSTM(3, 4, rng=0), embedding=sequence(7, 3)), "net")
    for values, words in [([1, 9], "9"), ([0.5, 1], "integers"), ([1, np.nan], "integers"), ([1e300], "")]:
        np.save("x.npy", values)
        assert words in refusal_of(capsys, "trace", "net", "x.npy", "-o", "out.npz")


def test_a_declared_shape_is_not_believed(here, capsys):
    saved()
    np.savez("x.npz", x=sequence(5, 1, 3))
    data = Path("x.npz").read_bytes()
    assert data.count(b"(5, 1, 3), ") == 1
    huge = data.replace(b"(5, 1, 3), ", b"(9**9,1,3),")
    for damaged in (huge, data.replace(b"(5, 1, 3), ", b"(99999999,)")):
        Path("x.npz").write_bytes(damaged)
        refusal_of(capsys, "trace", "model.safetensors", "x.npz", "-o", "out.npz")


# convert


def same(found, expected):
    for row, other in zip(found.layers, expected.layers, strict=True):
        for cell, that in zip(row, other, strict=True):
            for name, array in that.parameters.arrays().items():
                np.testing.assert_array_equal(cell.parameters.arrays()[name], array)
    return True


@pytest.mark.parametrize("name", ["plain", "stacked", "bidirectional"])
def test_there_and_back_again_is_the_same_lstm(name, here, capsys):
    lstm = saved(name)
    for there, options in [("a.pt", []), ("b.safetensors", ["--to", "torch"]), ("c.pth", [])]:
        shown = output_of(capsys, "convert", "model.safetensors", there, *options)
        assert shown == f"model.safetensors: lstm (gatewise) -> {there} (torch)\n"
        output_of(capsys, "convert", there, "back.safetensors")
        assert same(gw.load("back.safetensors"), lstm)


def test_what_is_left_behind_is_said(here, capsys):
    names = gw.Labels(features=("a", "b", "c"))
    lstm = gw.LSTM.from_cells(gw.LSTMCell.from_parameters(gw.LSTM(3, 4, rng=0)[0].parameters, names))
    gw.save(gw.Network(lstm, embedding=sequence(7, 3), head=gw.Linear(sequence(2, 4))), "net.safetensors")
    shown = output_of(capsys, "convert", "net.safetensors", "out.pt")
    assert "not carried over: 'embedding' (embedding), 'head' (linear layer), the labels" in shown
    shown = output_of(capsys, "convert", "net.safetensors", "copy.safetensors")
    assert "not carried over" not in shown
    assert Path("copy.safetensors").read_bytes() == Path("net.safetensors").read_bytes()


def test_a_whole_network_is_converted_to_onnx_as_a_sequence_and_as_a_stream(here, capsys):
    lstm = gw.LSTM(3, 4, rng=0)
    scaling = gw.Scaling([1e4, 2, 3], [10, 2, 0.5])
    labels = gw.Labels(features=("a", "b", "c"))
    initial = lstm.zero_state(None)
    network = gw.Network(
        lstm, inputs=scaling, head=gw.Linear(sequence(2, 4), None, "elu"), skip=2, initial=initial, labels=labels
    )
    gw.save(network, "net.safetensors")
    left = "; not carried over: the names of features and outputs"
    for options, kind, lost in [
        ([], "onnx", left),
        (["--gates"], "onnx, with every gate", left),
        (["--stream"], "onnx, one step", f"{left}, the initial state"),
        (["--stream", "--gates"], "onnx, one step, with every gate", f"{left}, the initial state"),
    ]:
        shown = output_of(capsys, "convert", "net.safetensors", "net.onnx", *options)
        assert shown == f"net.safetensors: lstm (gatewise) -> net.onnx ({kind}){lost}\n"
        x = scaling.undo(sequence(5, 2, 3).astype("float32")).astype("float32")
        back = gw.load_network("net.onnx", strict=True)
        np.testing.assert_allclose(back(x)[0], network(x)[0], rtol=1e-6, atol=1e-6)
    gw.save(network.replace(inputs=None, skip=0, masked=0.0), "masked.safetensors")
    assert "masks" in refusal_of(capsys, "convert", "masked.safetensors", "masked.onnx")
    assert not Path("masked.onnx").exists()


def test_what_the_target_cannot_express_is_refused_and_nothing_is_written(here, capsys):
    saved("variant")
    Path("out.pt").write_bytes(b"what was there")
    assert "peephole" in refusal_of(capsys, "convert", "model.safetensors", "out.pt")
    for tokens, words in [
        (["model.safetensors", "out.txt"], "the name of out.txt must end in one of"),
        (["model.safetensors", "out"], "the name of out must end in one of"),
        (["model.safetensors", "out.onnx", "--to", "torch"], "must end in .pt"),
        (["model.safetensors", "out.pt", "--gates"], "--gates is for ONNX files"),
        (["model.safetensors", "out.keras", "--stream"], "--stream is for ONNX files"),
        (["model.safetensors", "out.pt", "--name", "x"], "'x'"),
        (["no.pt", "out.safetensors"], "no such file"),
        (["model.safetensors", "model.safetensors"], "cannot write model.safetensors: this file is read"),
        (["out.pt", "out.safetensors"], "out.pt"),
    ]:
        assert words in refusal_of(capsys, "convert", *tokens)


# verify


def answered(lstm, x, path="case.npz", *, state=None, prefix="", **more):
    """Write a case with the answers of the reference engine, as a framework stacks them."""
    y, final = lstm(x, state, engine="reference")
    stacked = {f"{letter}n": np.stack([getattr(one, letter) for row in final for one in row]) for letter in "hc"}
    arrays = {"x": x, "y": y, **stacked, **more}
    np.savez(path, **{prefix + name: array for name, array in arrays.items() if array is not None})


@pytest.mark.parametrize("name", LSTMS)
def test_answers_that_differ_by_rounding_are_right(name, here, capsys):
    answered(saved(name), sequence(6, 2, 3), prefix="L0.")
    shown = output_of(capsys, "verify", "model.safetensors", "--io", "case.npz", "--prefix", "L0.")
    assert "model.safetensors: lstm, against case.npz: rounding" in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown


def test_a_mistake_is_told_with_its_place_and_its_cause(here, capsys):
    lstm = saved()
    weight, bias = lstm[0].parameters.weight, lstm[0].parameters.bias
    other = gw.LSTM.from_cells(lstm[0].parameters.replace(weight=weight[[0, 2, 1, 3]], bias=bias[[0, 2, 1, 3]]))
    answered(other, sequence(6, 2, 3))
    shown = " ".join(output_of(capsys, "verify", "model.safetensors", "--io", "case.npz", code=1).split())
    assert "against case.npz: mistake" in shown
    assert "48 of 48 numbers are further off than rounding" in shown
    assert "the gates are stored in the order i g f o, not i f g o (the order of haste, haiku, tensorflow)" in shown
    answered(gw.LSTM(3, 4, rng=5), sequence(6, 2, 3))
    shown = output_of(capsys, "verify", "model.safetensors", "--io", "case.npz", code=1)
    assert "None of the causes that were tried explains it." in shown


def test_axes_are_those_of_the_states_where_nobody_says(here, capsys):
    lstm, x = saved(), sequence(6, 2, 3)
    y, final = lstm(x)
    case = {"x": x.swapaxes(0, 1), "y": y.swapaxes(0, 1), "hn": final[0][0].h[None]}
    np.savez("case.npz", **case)
    assert "batch,time,feature" in output_of(capsys, "verify", "model.safetensors", "--io", "case.npz")
    del case["hn"]
    np.savez("case.npz", **case)
    assert "--axes" in refusal_of(capsys, "verify", "model.safetensors", "--io", "case.npz")
    assert exit_code(["verify", "model.safetensors", "--io", "case.npz", *ORDER]) == 1
    assert "the time and batch axes are swapped" in capsys.readouterr().out
    np.savez("case.npz", x=case["x"], y=y[-1])
    assert exit_code(["verify", "model.safetensors", "--io", "case.npz"]) == 0
    np.savez("case.npz", **case)
    assert exit_code(["verify", "model.safetensors", "--io", "case.npz", "--axes", "batch,time,feature"]) == 0


def test_a_change_that_is_smaller_than_rounding_is_not_called_a_mistake_and_a_larger_one_is(here, capsys):
    lstm, x = saved(), sequence(6, 2, 3)
    weight = lstm[0].parameters.weight.astype(np.float64)
    for by, code in [(1e-9, 0), (1e-3, 1)]:
        other = gw.LSTM.from_cells(lstm.astype(np.float64)[0].parameters.replace(weight=weight * (1 + by)))
        answered(other, x, y=other(x)[0].astype(np.float32), hn=None, cn=None)
        assert exit_code(["verify", "model.safetensors", "--io", "case.npz", *ORDER]) == code


def test_states_and_lengths_of_a_case_are_heeded(here, capsys):
    lstm, x = saved("bidirectional"), sequence(6, 2, 3)
    h0, c0 = sequence(4, 2, 4, seed=1), sequence(4, 2, 4, seed=2)
    state = [[gw.State(h0[2 * n + d], c0[2 * n + d]) for d in range(2)] for n in range(2)]
    answered(lstm, x, state=state, h0=h0, c0=c0)
    assert exit_code(["verify", "model.safetensors", "--io", "case.npz"]) == 0
    answered(lstm, x, h0=h0, c0=c0)
    assert exit_code(["verify", "model.safetensors", "--io", "case.npz"]) == 1
    assert "starts from zeros" in capsys.readouterr().out
    y, _ = lstm(x, lengths=[6, 3])
    np.savez("case.npz", x=x, y=y, lengths=[6, 3])
    assert exit_code(["verify", "model.safetensors", "--io", "case.npz"]) == 0
    y, _ = lstm(x[:, 0], lengths=[3])
    np.savez("case.npz", x=x[:, 0], y=y, lengths=3)
    assert exit_code(["verify", "model.safetensors", "--io", "case.npz"]) == 0


def test_what_cannot_be_verified_is_refused_in_one_sentence(here, capsys):
    lstm, x = saved(), sequence(6, 2, 3)
    answered(lstm, x)
    answered(lstm, x, "prefixed.npz", prefix="L1.")
    answered(lstm, x[:, :, :2] @ np.ones((2, 3), np.float32), "shape.npz", y=x)
    answered(lstm, x, "states.npz", hn=sequence(2, 2, 4))
    np.savez("nothing.npz", x=x)
    np.savez("text.npz", x=np.array(["a"]), y=x)
    np.save("x.npy", x)
    Path("broken.npz").write_bytes(b"PK\x03\x04 and no more")
    for tokens, words in [
        (["--io", "prefixed.npz"], "--prefix L1."),
        (["--io", "case.npz", "--prefix", "no."], "no.x"),
        (["--io", "nothing.npz"], "must hold its outputs as"),
        (["--io", "shape.npz"], "y has shape (6, 2, 3)"),
        (["--io", "states.npz"], "hn has shape (2, 2, 4)"),
        (["--io", "text.npz"], "'x' must be numbers, but is of type <U1"),
        (["--io", "broken.npz"], "broken.npz"),
        (["--io", "x.npy"], "must be an .npz file"),
        (["--io", "no.npz"], "no such file"),
        ([], "verify needs INPUT and OUTPUT, or --io (your own numbers are compared by gatewise check)"),
        (["--io", "case.npz", "--name", "x"], "'x'"),
        (["--io", "case.npz", "--axes", "a,b"], "--axes"),
    ]:
        assert words in refusal_of(capsys, "verify", "model.safetensors", *tokens), tokens


def test_an_npz_trace_of_a_scaled_network_has_both_inputs_apart(here, capsys):
    scaling, labels = gw.Scaling([10.0, 0], [5.0, 2]), gw.Labels(features=("a(mm)", "b"))
    network = gw.Network(gw.LSTM(2, 3, rng=0), head=gw.Linear(sequence(1, 3)), inputs=scaling, labels=labels)
    gw.save(network, "net.safetensors")
    Path("x.csv").write_text("a(mm),b\n10,2\n15,0\n", encoding="utf-8")
    output_of(capsys, "trace", "net.safetensors", "x.csv", "-o", "t.npz")
    with np.load("t.npz") as arrays:
        assert "names.features" not in arrays
        np.testing.assert_array_equal(arrays["network.input"][:, 0], [[10, 2], [15, 0]])
        np.testing.assert_allclose(arrays["input"][:, 0], [[0, 1], [1, 0]])
        assert arrays["network.names.features"].tolist() == ["a(mm)", "b"]
        expected = network(arrays["network.input"])[0]
        np.testing.assert_allclose(arrays["network.output"], expected, rtol=1e-5)
