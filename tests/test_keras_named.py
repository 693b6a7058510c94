"""Networks of named layers of a Keras model keep what the file tells of them, or are refused by name."""

from __future__ import annotations

import warnings

import cases
import numpy as np
import pytest
from keras_files import (
    EMBEDDING,
    INPUTS,
    UNITS,
    dense,
    functional,
    kernels,
    layer,
    legacy,
    lstm_layer,
    named,
    network_file,
    new,
    wired,
)

import gatewise as gw

TOKENS = np.array([[1, 2], [3, 0], [0, 0]])


def lstm(name, **config):
    return lstm_layer(name, return_sequences=True, **config)


def quietly(path, *args, **options):
    """Read a network of named parts, and return it with what was warned of."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        return gw.load_network(path, *args, **options), " | ".join(str(one.message) for one in said)


def test_named_layers_are_the_network_that_the_file_tells(tmp_path):
    layers = [EMBEDDING, lstm("a"), layer("Dropout", "drop"), lstm_layer("b"), dense("one", 4, activation="relu")]
    path = network_file(tmp_path / "file", *layers, dense("two", activation="softmax"))
    whole = gw.load_network(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = gw.load_network(path, embedding="embed", head="two")
    assert (network.masked, network.masked_output, network.reads) == (0.0, "repeat", "last")
    assert len(network.hidden) == 1
    np.testing.assert_array_equal(network(TOKENS)[0], whole(TOKENS)[0])
    half, said = quietly(path, embedding="embed", head="one")
    assert "leaves out 'two'" in said
    assert "drop" not in said
    assert str(half.head.activation) == "relu"


def test_what_is_read_against_the_file_is_obeyed_with_a_warning(tmp_path):
    path = network_file(tmp_path / "file", lstm_layer("a"), dense("head"))
    network, said = quietly(path, head="head", reads="every")
    assert (network.reads, "the network reads every, as asked for; in the file, it is last" in said) == ("every", True)
    network, said = quietly(path, head="head", reads="last")
    assert (network.reads, said) == ("last", "")
    with pytest.raises(gw.OptionError, match="reads"):
        quietly(path, head="head", reads="first")
    with pytest.raises(gw.OptionError, match="says itself what its layers read"):
        gw.load_network(path, reads="every")


def test_a_mask_that_the_named_layers_do_not_make_is_warned_of(tmp_path):
    path = network_file(tmp_path / "file", EMBEDDING, lstm("a"), dense("head"))
    network, said = quietly(path, head="head")
    assert "give mask=…" in said
    assert (network.masked, network.masked_output) == (None, "repeat")
    path = network_file(tmp_path / "file", layer("Masking", "m", mask_value=-1.0), lstm("a"), dense("head"))
    network, said = quietly(path, head="head")
    assert (network.masked, said) == (-1.0, "")


@pytest.mark.parametrize(
    ("layers", "options", "words"),
    [
        ([lstm("a"), layer("Activation", "act", activation="tanh"), dense("head")], {}, ["'act'", "Activation"]),
        ([lstm("a"), layer("GlobalMaxPooling1D", "pool"), dense("head")], {}, ["'pool'", "GlobalMaxPooling1D"]),
        ([lstm("a"), layer("BatchNormalization", "norm"), dense("head")], {}, ["'norm'"]),
        ([dense("head", INPUTS), lstm("a")], {}, ["'head' does not follow 'a'"]),
        ([lstm("a"), lstm("b"), dense("head")], {"name": "a"}, ["'head' reads 'b', and not 'a'"]),
        ([lstm("a"), dense("head", activation="gelu")], {}, ["the activation of 'head'", "gelu"]),
        ([EMBEDDING, layer("Conv1D", "c"), lstm("a"), dense("head")], {"embedding": "embed"}, ["'c'", "Conv1D"]),
        ([EMBEDDING, dense("d", INPUTS), lstm("a"), dense("head")], {"embedding": "embed"}, ["'d'", "Dense"]),
    ],
)
def test_named_layers_that_are_no_plain_chain_are_refused_by_name(layers, options, words, tmp_path):
    path = network_file(tmp_path / "file", *layers)
    with cases.refusal(*words):
        gw.load_network(path, head="head", **options)


@pytest.mark.parametrize("old", [True, False])
def test_one_of_two_heads_can_be_named_and_a_sum_between_is_refused(old, tmp_path):
    layers = [
        layer("InputLayer", "in") | wired(old),
        layer("Conv1D", "conv") | wired(old, "in"),
        lstm("a") | wired(old, "conv"),
        dense("left") | wired(old, "a"),
        dense("right", activation="sigmoid") | wired(old, "a"),
        layer("Add", "sum") | wired(old, "conv", "a"),
        dense("after") | wired(old, "sum"),
    ]
    arrays = {"kernel:0": np.ones((UNITS, 2), np.float32), "bias:0": np.zeros(2, np.float32)}
    weights = {name: named(f"{name}/", arrays) for name in ("left", "right", "after")}
    weights |= {"a": named("a/", kernels(new()[0]), ":0")}
    path = legacy(tmp_path / "file", weights, "2.9.0", functional(*layers, ends=["left", "right", "after"]))
    network, said = quietly(path, head="right")
    x = np.random.default_rng(0).normal(size=(4, 2, INPUTS)).astype(np.float32)
    want = 1 / (1 + np.exp(-new()(x)[0].sum(-1)))
    np.testing.assert_allclose(network(x)[0], np.stack([want, want], -1), rtol=0, atol=1e-6)
    assert all(f"'{one}'" in said for one in ("conv", "left", "sum", "after"))
    with cases.refusal("'after' does not follow 'a'", "'sum' (an Add)"):
        gw.load_network(path, head="after")
