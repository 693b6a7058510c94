"""The LSTMs of a Keras model that read one another are offered as one: what comes before and after does not matter."""

from __future__ import annotations

from functools import partial

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
    tensor,
    wired,
)

import gatewise as gw
from gatewise import interop


def lstm(name, **config):
    return lstm_layer(name, return_sequences=True, **config)


def both(name):
    return layer("Bidirectional", name, merge_mode="sum", layer=lstm(f"of_{name}"))


NORM, DROPOUT = layer("BatchNormalization", "norm"), layer("Dropout", "drop", rate=0.5)
AROUND = {
    "convolution": ([layer("Conv1D", "conv"), layer("MaxPooling1D", "pool")], [dense("one"), dense("two")]),
    "embedding": ([EMBEDDING, layer("SpatialDropout1D", "drop")], [layer("GlobalMaxPooling1D", "max"), dense("one")]),
    "dense": ([dense("one", INPUTS), layer("Activation", "squashed", activation="tanh")], [NORM, dense("two")]),
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("make", [lstm, both])
def test_a_stack_is_offered_whatever_comes_before_and_after_it(around, make, tmp_path):
    before, after = AROUND[around]
    path = network_file(tmp_path / "file", *before, make("a"), DROPOUT | {"name": "d"}, make("b"), *after)
    *singles, stack = interop.inspect(path).lstms
    assert (stack.name, stack.stacked, stack.masked) == ("a → b", True, around == "embedding")
    assert gw.load(path).num_layers == 2
    x = np.random.default_rng(0).normal(size=(4, 2, INPUTS)).astype(np.float32)
    wanted = singles[1].lstm(singles[0].lstm(x)[0])[0]
    np.testing.assert_allclose(stack.lstm(x)[0], wanted, rtol=0, atol=1e-6)


def test_every_stack_of_a_model_is_offered_and_none_is_taken_without_its_name(tmp_path):
    layers = [both("a"), both("b"), lstm("c"), lstm("d"), layer("Conv1D", "conv"), lstm("e"), lstm("f")]
    contents = interop.inspect(network_file(tmp_path / "file", *layers))
    assert [one.name for one in contents.lstms][6:] == ["a → b", "c → d", "e → f"]
    assert not any(one.stacked for one in contents.lstms)
    with pytest.raises(gw.OptionError, match="name one of them"):
        contents.pick()


def test_with_a_recurrent_layer_that_cannot_be_read_a_stack_is_offered_by_its_name_alone(tmp_path):
    contents = interop.inspect(network_file(tmp_path / "file", layer("GRU", "g", units=3), lstm("a"), lstm("b")))
    assert [(one.name, one.stacked) for one in contents.lstms][2:] == [("a → b", False)]


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("way", ["plain", "scaled", "skip", "states", "hidden", "twice", "masked", "own mask"])
def test_a_functional_model_is_followed_from_each_lstm_to_the_next(way, old, tmp_path):
    after = partial(wired, old)

    def mask(name):
        return {"mask": [name, 0, 0] if old else tensor(name)}

    layers = [layer("InputLayer", "in") | after(), layer("InputLayer", "m") | after()]
    layers += [layer("Conv1D", "conv") | after("in")]
    given = mask("m") if way in ("masked", "own mask") else {}
    layers += [lstm("a", return_state=way in ("states", "hidden")) | after("conv", **given)]
    sources, stacks = ["a"], way in ("plain", "masked")
    match way:
        case "plain":
            layers += [layer("Dropout", "drop") | after("a")]
            sources = ["drop"]
        case "scaled":
            layers += [layer("Rescaling", "times") | after("a")]
            sources = ["times"]
        case "skip":
            layers += [layer("Add", "sum") | after("a", "conv")]
            sources = ["sum"]
        case "states":  # as a decoder, which starts from those of its encoder
            sources = ["a", ("a", 1), ("a", 2)]
        case "hidden":
            sources = [("a", 1)]
    layers += [lstm("b") | after(*sources, **(mask("other" if way == "own mask" else "m") if given else {}))]
    if way == "twice":
        layers[-1]["inbound_nodes"] += after("conv")["inbound_nodes"]
    layers += [dense("x") | after("b"), dense("y") | after("b")]
    weights = {one["config"]["name"]: {} for one in layers}
    weights |= {name: named(f"{name}/", kernels(new(inputs=UNITS)[0]), ":0") for name in "ab"}
    path = legacy(tmp_path / "file", weights, "2.9.0", functional(*layers, ends=["x", "y"]))
    found = interop.inspect(path).lstms
    assert [one.name for one in found] == ["a", "b"] + ["a → b"] * stacks
    assert found[-1].stacked == stacks
    assert found[-1].masked == bool(given)


def test_a_stack_that_ends_in_reversed_steps_says_so(tmp_path):
    path = network_file(tmp_path / "file", dense("before"), lstm("a", go_backwards=True), lstm("b"))
    stack = interop.inspect(path).pick()
    assert (stack.lstm.directions, stack.time_reversed) == (("backward",), True)
    path = network_file(tmp_path / "file", dense("before"), lstm("a"), lstm("b", go_backwards=True))
    assert len(interop.inspect(path).lstms) == 2


def test_reversed_steps_that_another_lstm_does_not_take_leave_the_stack_before_as_it_is(tmp_path):
    layers = [lstm("a"), lstm("b"), layer("Flip", "flip", axis=1), both("c")]
    *_, stack = interop.inspect(network_file(tmp_path / "file", *layers)).lstms
    assert (stack.name, stack.time_reversed) == ("a → b", False)
