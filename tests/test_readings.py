"""Which reading of a model, an input or an option is taken, what is left out of it, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, save
from program import output_of, refusal_of
from test_cli_verify import array, state_dict, weights_of

import gatewise as gw
from gatewise.interop.torch import writing

pytestmark = pytest.mark.usefixtures("here")


def test_whole_numbers_that_may_be_features_are_features_and_the_note_says_how_they_are_tokens():
    lstm = gw.LSTM(8, 6, rng=0)
    state_dict("sd.pt", lstm, embed_weight=array(50, 8), head_weight=array(2, 6))
    tokens = np.random.default_rng(0).integers(0, 50, (16, 8))
    run = gw.open_run("sd.pt", tokens)
    np.testing.assert_array_equal(run.trace.lstm.output, lstm(tokens.astype(np.float32))[0])
    assert "the input is read as features; --embedding embed --head head reads it as tokens" in run.notes
    as_tokens = gw.open_run("sd.pt", tokens, embedding="embed", head="head", axes="time,batch")
    with pytest.warns(gw.WeightsWarning, match="inferred"):
        network = gw.load_network("sd.pt")
    np.testing.assert_array_equal(as_tokens.trace.output, network(tokens)[0])
    assert not any("as tokens" in note for note in gw.open_run("sd.pt", tokens + 0.5).notes)


def test_a_format_of_the_lstm_alone_takes_no_head(capsys):
    state_dict("sd.pt", gw.LSTM(8, 6, rng=0), head_weight=array(2, 6))
    np.save("x.npy", array(5, 8))
    sentence = refusal_of(capsys, "trace", "sd.pt", "x.npy", "-o", "t.npz", "--reads", "last")
    assert "--reads does not go with t.npz, which holds the LSTM alone" in sentence
    output_of(capsys, "trace", "sd.pt", "x.npy", "-o", "t.npz")


def test_an_option_that_would_do_nothing_is_refused():
    lstm, x = gw.LSTM(3, 4, rng=0), array(5, 3)
    gw.save(lstm, "m.safetensors")
    for call, words in [
        (lambda: gw.open_run(lstm, x, reads="nonsense"), "reads must be"),
        (lambda: gw.open_run(lstm, x, settings={"activation": "tanh"}), "settings are for a model's file"),
        (lambda: gw.verify(lstm, x, lstm(x)[0], name="other"), "name and settings are for a model's file"),
        (lambda: gw.verify(lstm, x, lstm(x)[0], settings={"a": 1}), "name and settings are for a model's file"),
    ]:
        with pytest.raises(gw.OptionError, match=words):
            call()


def test_a_prefix_goes_with_io(capsys):
    gw.save(gw.LSTM(3, 4, rng=0), "m.safetensors")
    sentence = refusal_of(capsys, "verify", "m.safetensors", "x.npy", "y.npy", "--prefix", "a.")
    assert "--prefix is for the names of arrays in --io" in sentence


def test_what_a_file_of_another_framework_loses_of_a_network_is_listed(capsys):
    labels = gw.Labels(features=("a", "b"), outputs=("p", "q"))
    parts = {"outputs": gw.Scaling([1.0, 2], [3.0, 4]), "skip": 2, "labels": labels}
    network = gw.Network(gw.LSTM(2, 3, rng=0), head=gw.Linear(array(2, 3)), **parts)
    gw.save(network, "n.safetensors")
    said = output_of(capsys, "convert", "n.safetensors", "-o", "n.pt")
    for words in ("the scaling of outputs", "added to the outputs", "the names of features and outputs", "'head'"):
        assert words in said
    said = output_of(capsys, "convert", "n.safetensors", "-o", "n.onnx")
    assert said.endswith("; not carried over: the names of features and outputs\n")
    gw.save(gw.Network(network.lstm, reads="last", initial=network.lstm.zero_state()), "i.safetensors")
    assert "the last step alone" in output_of(capsys, "convert", "i.safetensors", "-o", "i.pt")
    assert "not carried over" not in output_of(capsys, "convert", "i.safetensors", "-o", "j.safetensors")


def test_inspect_prints_every_name_that_is_left_out_by_layer(capsys):
    tensors = {f"optimizer.state.k{number}": np.ones(1, np.float32) for number in range(30)}
    lstm = {f"rnn.{name}": tensor for name, tensor in gw.interop.torch.state_dict(gw.LSTM(3, 4, rng=0)).items()}
    writing.write_archive("model.pt", lstm | tensors)
    said = " ".join(output_of(capsys, "inspect", "model.pt", "--all").split())
    assert "30 left out" in said
    for number in range(30):
        assert f"k{number}," in said or f"k{number}:" in said
    assert "more:" not in said


def test_places_are_numbers_of_a_run_or_refused_in_one_sentence():
    lstm, x = gw.LSTM(3, 4, rng=0), array(5, 2, 3)
    trace = lstm.trace(x)
    for text in ("--5", "9" * 5000, "-"):
        with pytest.raises(gw.OptionError, match="there is no step"):
            trace.first.step(text)
    with pytest.raises(gw.OptionError, match="of steps is a number, a date or a name"):
        trace.first[1.5:]


def test_a_graph_without_inputs_has_only_its_lstm():
    weights = {
        name: helper.make_tensor(name, TensorProto.FLOAT, a.shape, a.ravel())
        for name, a in weights_of(gw.LSTM(3, 4, rng=0)).items()
    }
    fixed = helper.make_tensor("x", TensorProto.FLOAT, (5, 1, 3), array(5, 1, 3).ravel())
    node = helper.make_node("LSTM", ["x", "W", "R", "B"], ["y"], hidden_size=4)
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    save(helper.make_model(helper.make_graph([node], "g", [], outputs, [*weights.values(), fixed])), "m.onnx")
    with pytest.raises(gw.GatewiseError, match="has no inputs"):
        gw.open_run("m.onnx", array(5, 3), input_of="model")


def test_what_is_before_the_lstm_takes_the_columns_of_a_table_by_name():
    pandas = pytest.importorskip("pandas")
    scaled = gw.Network(
        gw.LSTM(2, 3, rng=0), inputs=gw.Scaling([0.0, 0], [1.0, 2]), labels=gw.Labels(features=("a", "b"))
    )
    x = array(4, 2)
    table = pandas.DataFrame(x, columns=["a", "b"])[["b", "a"]]
    np.testing.assert_array_equal(scaled.embed(table)[0], scaled.embed(x)[0])
