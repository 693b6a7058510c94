"""gatewise verify MODEL INPUT OUTPUT, and gw.verify of paths: as the other commands take a model and its input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save
from program import output_of, refusal_of

import gatewise as gw
from gatewise.interop import torch
from gatewise.interop.torch import writing

pytestmark = pytest.mark.usefixtures("here")


def array(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def verdict(capsys, *tokens, code=0):
    """Return what verify prints, on one line; it must exit with a code."""
    return " ".join(output_of(capsys, "verify", *tokens, code=code).split())


def network(reads="every", count=2, **parts):
    """Return a network with a head whose outputs are fewer than the LSTM's."""
    lstm = gw.LSTM(parts.pop("features", 3), 4, rng=0)
    head = gw.Linear(array(count, 4, seed=1), array(count, seed=2))
    return gw.Network(lstm, head=head, reads=reads, **parts)


def weights_of(lstm):
    """Return the weights of an LSTM by their names in ONNX."""
    p = lstm[0].parameters
    order, size = [0, 3, 1, 2], p.hidden_size
    W, R = (array[order].reshape(1, 4 * size, -1) for array in (p.input_weight, p.recurrent_weight))
    return {"W": W, "R": R, "B": np.concatenate([p.bias[order].reshape(1, -1), np.zeros((1, 4 * size), "f4")], 1)}


def state_dict(path, lstm, **layers):
    """Write a state dict of PyTorch's with an LSTM called rnn and other layers."""
    tensors = {f"rnn.{name}": tensor for name, tensor in torch.state_dict(lstm).items()}
    writing.write_archive(path, tensors | {name.replace("_", ".", 1): tensor for name, tensor in layers.items()})


@pytest.mark.parametrize("reads", ["every", "last"])
def test_the_outputs_of_a_network_or_of_its_lstm_are_compared_as_their_shape_says(reads, capsys):
    model, x = network(reads), array(6, 3, 3)
    gw.save(model, "net.safetensors")
    np.save("x.npy", x)
    np.save("y.npy", model(x)[0])
    np.save("h.npy", model.lstm(x)[0])
    np.save("none.npy", array(6, 3, 5))
    order = ["--axes", "time,batch,feature"]
    said = verdict(capsys, "net.safetensors", "x.npy", "y.npy", *order)
    assert "net.safetensors: lstm, against y.npy: rounding" in said
    assert "note: y.npy is compared with the outputs of the network" in said
    said = verdict(capsys, "net.safetensors", "x.npy", "h.npy", *order)
    assert "note: h.npy is compared with the outputs of the LSTM 'lstm'" in said
    sentence = refusal_of(capsys, "verify", "net.safetensors", "x.npy", "none.npy", *order)
    assert "not those of the network, 2 a step, nor those of the LSTM 'lstm', 4 a step" in sentence
    np.save("y.npy", model(x)[0] + np.float32(0.01))
    assert "against y.npy: mistake" in verdict(capsys, "net.safetensors", "x.npy", "y.npy", *order, code=1)
    assert gw.verify("net.safetensors", "x.npy", "h.npy", axes="time,batch,feature").agrees
    assert gw.verify("net.safetensors", x, {"y": model.lstm(x)[0]}).agrees
    assert not gw.verify(model, "x.npy", "y.npy", axes="time,batch,feature").agrees


def test_where_the_sizes_fit_both_the_answers_are_the_network_s_and_with_io_the_lstm_s(capsys):
    model, x = network(count=4), array(6, 3)
    gw.save(model, "net.safetensors")
    np.save("x.npy", x)
    for name, y in ("y", model(x)[0]), ("h", model.lstm(x)[0]):
        np.save(f"{name}.npy", y)
        np.savez(f"{name}.npz", x=x, y=y)
    assert "outputs of the network" in verdict(capsys, "net.safetensors", "x.npy", "y.npy")
    assert "outputs of the network" in verdict(capsys, "net.safetensors", "x.npy", "h.npy", code=1)
    assert "outputs of the LSTM 'lstm'" in verdict(capsys, "net.safetensors", "--io", "h.npz")
    assert "outputs of the LSTM 'lstm'" in verdict(capsys, "net.safetensors", "--io", "y.npz", code=1)


def test_columns_are_taken_by_name_and_dates_must_agree(capsys):
    labels = gw.Labels(features=("rain", "melt"), outputs=("q", "snow"))
    scaling = {"inputs": gw.Scaling([1.0, 2], [3.0, 4]), "outputs": gw.Scaling([5.0, 0], [2.0, 1])}
    model, x = network(features=2, labels=labels, **scaling), array(8, 2)
    gw.save(model, "net.safetensors")
    days = [f"2001-02-0{n + 1}" for n in range(8)]
    rows = [f"{day},{melt!r},{rain!r}\n" for day, (rain, melt) in zip(days, x.tolist(), strict=True)]
    Path("x.csv").write_text("date,melt,rain\n" + "".join(rows))

    def simulated(dates, heads="date,snow,observed,q"):
        rows = [f"{d},{b!r},1,{a!r}\n" for d, (a, b) in zip(dates, model(x)[0].tolist(), strict=True)]
        Path("y.csv").write_text(heads + "\n" + "".join(rows))

    simulated(days)
    said = verdict(capsys, "net.safetensors", "x.csv", "y.csv")
    assert "rounding" in said
    assert "y.csv: observed left out, which the model does not have as an output" in said
    simulated(days, "date,q,observed,snow")
    assert "mistake" in verdict(capsys, "net.safetensors", "x.csv", "y.csv", code=1)
    simulated([*days[1:], "2001-02-09"])
    sentence = refusal_of(capsys, "verify", "net.safetensors", "x.csv", "y.csv")
    assert "step 0 is 2001-02-01 in the input and 2001-02-02 in y.csv" in sentence


def test_tokens_layers_states_and_lengths_are_given_as_to_the_other_commands(capsys):
    lstm, table, weight = gw.LSTM(3, 4, rng=0), array(7, 3), array(2, 4)
    state_dict("model.pt", lstm, emb_weight=table, head_weight=weight)
    tokens = np.random.default_rng(0).integers(0, 7, (5, 2))
    h0 = array(1, 2, 4, seed=3)
    y, _ = gw.Network(lstm, embedding=table, head=gw.Linear(weight))(
        tokens, [[gw.State(h0[0], 0 * h0[0])]], lengths=[5, 3]
    )
    np.save("tokens.npy", tokens)
    np.save("y.npy", y)
    np.savez("state.npz", h0=h0)
    given = ["model.pt", "tokens.npy", "y.npy", "--axes", "time,batch", "--lengths", "5,3"]
    layers = ["--embedding", "emb", "--head", "head"]
    assert "rounding" in verdict(capsys, *given, *layers, "--state", "state.npz")
    assert "starts from zeros" not in verdict(capsys, *given, *layers, code=1)
    assert "rounding" in verdict(capsys, *given, "--state", "state.npz")  # the layers that alone fit
    y, _ = lstm(table[tokens], [[gw.State(h0[0], 0 * h0[0])]], lengths=[5, 3])
    np.save("y.npy", y)
    assert "rounding" in verdict(capsys, *given, "--state", "state.npz", "--embedding", "emb", "--head", "none")


def test_the_answers_tell_the_order_of_the_axes_where_the_file_does_not(capsys):
    model, x = gw.LSTM(3, 4, rng=0), array(6, 2, 3)
    gw.save(model, "model.safetensors")
    y, state = model(x)
    np.save("x.npy", x.swapaxes(0, 1))
    np.savez("last.npz", y=y[-1], hn=state[0][0].h[None], other=1)
    said = verdict(capsys, "model.safetensors", "x.npy", "last.npz")
    assert "the axes are taken to be batch,time,feature" in said
    assert "last.npz: other left out" in said
    np.save("y.npy", y.swapaxes(0, 1))
    assert "--axes" in refusal_of(capsys, "verify", "model.safetensors", "x.npy", "y.npy")
    assert "rounding" in verdict(capsys, "model.safetensors", "x.npy", "y.npy", "--axes", "batch,time,feature")
    np.save("x.npy", x[:, 0])
    np.save("y.npy", y[:, 0])
    assert "rounding" in verdict(capsys, "model.safetensors", "x.npy", "y.npy")


def test_one_output_may_lack_its_axis(capsys):
    model, x = network(count=1), array(6, 2, 3)
    gw.save(model, "net.safetensors")
    y = model(x)[0][..., 0]
    for order, values, answers in [("time,batch", x, y), ("batch,time", x.swapaxes(0, 1), y.T)]:
        np.save("x.npy", values)
        np.save("y.npy", answers)
        assert "rounding" in verdict(capsys, "net.safetensors", "x.npy", "y.npy", "--axes", f"{order},feature")
        np.save("y.npy", y[-1])
        assert "rounding" in verdict(capsys, "net.safetensors", "x.npy", "y.npy", "--axes", f"{order},feature")
    np.save("x.npy", x[:, 0])
    np.save("y.npy", y[:, 0])
    assert "rounding" in verdict(capsys, "net.safetensors", "x.npy", "y.npy")


def test_what_does_not_go_together_is_refused_in_one_sentence(capsys):
    gw.save(gw.LSTM(3, 4, rng=0), "m.safetensors")
    x = array(6, 3)
    np.save("x.npy", x)
    np.savez("case.npz", x=x, y=x)
    np.savez("two.npz", a=x, b=x)
    for tokens, words in [
        (["x.npy", "two.npz"], "two.npz must hold the model's outputs as y, hn or cn"),
        (["x.npy", "no.npy"], "no.npy"),
        (["x.npy", "x.txt"], "x.txt"),
        (["x.npy", "--io", "case.npz"], "Leave out x.npy"),
        (["--io", "case.npz", "--lengths", "3"], "--lengths does not go with --io"),
        (["--io", "case.npz", "--input-of", "model"], "--input-of does not go with --io"),
        (["x.npy", "x.npy"], "y has shape (6, 3); it must be (6, 1, 4)"),
    ]:
        assert words in refusal_of(capsys, "verify", "m.safetensors", *tokens), tokens
    for call, words in [
        (lambda: gw.verify("m.safetensors", x, x, mask=x), "mask and final need an LSTM"),
        (lambda: gw.verify("m.safetensors", x, x, bogus=1), "no option 'bogus'"),
        (lambda: gw.verify("m.safetensors", x), "nothing to verify"),
    ]:
        with pytest.raises(gw.OptionError, match=words):
            call()


def test_what_is_left_out_of_the_file_is_named_as_a_likely_cause(capsys):
    lstm, x = gw.LSTM(3, 4, rng=0), array(6, 1, 3)
    nodes = [
        helper.make_node("Sinh", ["x"], ["steeper"], name="steeper"),
        helper.make_node("LSTM", ["steeper", "W", "R", "B"], ["y"], hidden_size=4),
    ]
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy"]
    weights = [numpy_helper.from_array(tensor, name) for name, tensor in weights_of(lstm).items()]
    save(helper.make_model(helper.make_graph(nodes, "g", info[:1], info[1:], weights)), "model.onnx")
    np.save("x.npy", x)
    np.save("y.npy", lstm(x)[0])
    tokens = ["model.onnx", "x.npy", "y.npy", "--input-of", "lstm"]
    assert "likely cause" not in verdict(capsys, *tokens)
    np.save("y.npy", lstm(np.sinh(x))[0])
    said = verdict(capsys, *tokens, code=1)
    assert "None of the causes that were tried explains it. A likely cause, which is left out here: steeper (" in said
