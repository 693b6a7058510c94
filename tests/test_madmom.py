"""Networks of madmom's, pickled: what is read computes what madmom's layers compute, and nothing of a file is built."""

from __future__ import annotations

import madmom_models as madmom
import numpy as np
import pytest
from agreement import distance
from fuzzing import SOME, everything, fuzz

import gatewise as gw

CHANCE = np.random.default_rng(0)
NETWORKS = {
    "one layer": madmom.network(madmom.lstm(CHANCE, 3, 4), madmom.linear(CHANCE, 4, 1)),
    "three layers, another head": madmom.network(
        *(madmom.lstm(CHANCE, 5 if number == 0 else 4, 4) for number in range(3)), madmom.linear(CHANCE, 4, 2, "linear")
    ),
    "both directions": madmom.network(
        madmom.both(madmom.lstm(CHANCE, 3, 4), madmom.lstm(CHANCE, 3, 4)),
        madmom.both(madmom.lstm(CHANCE, 8, 2), madmom.lstm(CHANCE, 8, 2)),
        madmom.linear(CHANCE, 4, 3),
        madmom.linear(CHANCE, 3, 1, "tanh"),
    ),
    "no peepholes, other activations": madmom.network(
        madmom.lstm(CHANCE, 3, 4, peepholes="", activations=("sigmoid", "relu", "linear", "sigmoid", "linear"))
    ),
    "bounded below": madmom.network(
        madmom.lstm(CHANCE, 3, 4, activations=("sigmoid", "sigmoid", "elu", "sigmoid", "tanh"))
    ),
    "a start of its own": madmom.network(madmom.lstm(CHANCE, 3, 4, start=True), madmom.linear(CHANCE, 4, 1)),
    "a peephole of one gate": madmom.network(madmom.lstm(CHANCE, 3, 4, peepholes="o")),
}


def written(tmp_path, content, protocol=2):
    (tmp_path / "model.pkl").write_bytes(madmom.pickled(content, protocol))
    return tmp_path / "model.pkl"


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_computes_what_madmoms_layers_compute(name, protocol, tmp_path):
    content = NETWORKS[name]
    path = written(tmp_path, content, protocol)
    network = gw.load_network(path)
    x = np.random.default_rng(1).normal(size=(9, network.lstm.input_size)).astype(np.float32)
    expected = x.astype(np.float64)
    for layer in content.attributes["layers"]:
        expected = madmom.outputs(layer, expected)
    assert distance(network(x)[0], expected) < 1e-6
    contents = gw.inspect(path)
    assert contents.format == "madmom"
    assert contents.pick().lstm.num_layers == network.lstm.num_layers
    assert "madmom.ml.nn.NeuralNetwork" in " ".join(contents.calls)


def test_a_layer_alone_and_a_network_within_processors_are_found(tmp_path):
    layer = madmom.lstm(CHANCE, 3, 4)
    assert gw.load(written(tmp_path, layer)).input_size == 3
    held = madmom.Named("SequentialProcessor", processors=[madmom.Named("Other"), NETWORKS["one layer"]])
    assert [one.name for one in gw.inspect(written(tmp_path, held)).lstms] == ["1.layers.0"]


def test_what_holds_no_network_is_said(tmp_path):
    with pytest.raises(gw.FileError, match=r"it holds no network of madmom's, but an object of madmom\.ml\.nn\.Other"):
        gw.load(written(tmp_path, madmom.Named("Other")))


def changed(place, key, value):
    """Return a network of one layer in which an attribute is another."""
    content = madmom.network(madmom.lstm(np.random.default_rng(0), 3, 4))
    one = content.attributes["layers"][0]
    for name in place:
        one = one.attributes[name]
    one.attributes[key] = value
    return content


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (changed(["forget_gate"], "activation_fn", madmom.Named("activations.softmax")), "softmax; those of madmom"),
        (changed(["cell"], "activation_fn", madmom.Named("activations.gelu")), r"madmom\.ml\.nn\.activations\.gelu"),
        (changed([], "activation_fn", None), "its activation_fn is not named"),
        (changed(["input_gate"], "weights", np.ones((2, 4), np.float32)), "weights of the shapes"),
        (changed(["input_gate"], "weights", None), "its input_gate has no weights"),
        (changed(["input_gate"], "bias", [1, 2]), "its bias is no array"),
        (changed(["output_gate"], "peephole_weights", np.ones(3, np.float32)), "shape"),
        (changed([], "output_gate", None), "its output_gate has no weights"),
        (madmom.network(madmom.Named("layers.GRULayer")), "GRULayer of madmom's, which is no LSTM"),
        (madmom.network(madmom.both(madmom.Named("layers.GRULayer"), None)), "GRULayer, not LSTMLayer"),
        (madmom.network(madmom.Named("layers.ConvolutionalLayer")), r"layers\.0 \(layer of the class .*Convolutional"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(content, words, tmp_path):
    contents = gw.inspect(written(tmp_path, content))
    with pytest.raises(gw.FileError, match=words):
        contents.pick()
    with pytest.raises(gw.FileError, match="cannot make a network"):
        contents.network()


def test_a_network_with_another_layer_between_has_its_lstms_alone(tmp_path):
    layers = [madmom.lstm(CHANCE, 3, 4), madmom.Named("layers.BatchNormLayer"), madmom.lstm(CHANCE, 4, 4)]
    contents = gw.inspect(written(tmp_path, madmom.network(*layers)))
    assert [one.name for one in contents.lstms] == ["layers.0", "layers.2"]
    with pytest.raises(gw.FileError, match="BatchNormLayer"):
        contents.network()


def spoil(folder, count=SOME, seed=0):
    """Read so many spoiled networks."""
    subjects = [madmom.pickled(one, protocol) for one in NETWORKS.values() for protocol in (0, 2)]
    return fuzz(subjects, everything, count, folder, seed=seed)
