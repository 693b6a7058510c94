"""verify of a network: its own outputs, in its own units; rounding, mistakes, and causes in its LSTM."""

from __future__ import annotations

import numpy as np
import pytest

import gatewise as gw

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3, 3)).astype(np.float32)


def layer(size, features, activation=None):
    rng = np.random.default_rng(size)
    return gw.Linear(
        rng.normal(size=(size, features)).astype("f4"), rng.normal(size=size).astype("f4"), activation=activation
    )


SCALED = {"inputs": gw.Scaling([1.0, 2, 3], [3.0, 0.5, 2]), "outputs": gw.Scaling([0.5, 1], [2.0, 3])}
KINDS = {
    "head": {},
    "activation": {"head": [layer(4, 5, "tanh"), layer(2, 4, "softmax")]},
    "last step": {"reads": "last"},
    "scaled": SCALED,
    "skip": {"skip": 1},
    "branches": {"branches": [gw.Branch([0, 1, 2], [layer(3, 3, "relu")])]},
}


def network_of(kind, parameters=None):
    lstm = gw.LSTM(3, 5, rng=0) if parameters is None else gw.LSTM.from_cells(parameters)
    return gw.Network(lstm, **{"head": [layer(4, 5), layer(2, 4)]} | KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_its_outputs_in_float32_differ_by_rounding_and_others_by_a_mistake(kind):
    network = network_of(kind)
    y, state = network(X)
    final = [[(part.h, part.c) for part in row] for row in state]
    assert gw.verify(network, X, y, final=final).verdict == "rounding"
    wrong = gw.verify(network, X, y + np.float32(0.01))
    assert (wrong.verdict, wrong.causes) == ("mistake", ())


@pytest.mark.parametrize("kind", KINDS)
def test_a_mistake_in_its_lstm_is_named_through_the_head(kind):
    network = network_of(kind)
    parameters = network.lstm[0].parameters
    order = [0, 2, 1, 3]
    swapped = parameters.replace(weight=parameters.weight[order], bias=parameters.bias[order])
    (cause,) = gw.verify(network_of(kind, swapped), X, network(X)[0]).causes
    assert cause.startswith("the gates are stored in the order i g f o")


def test_tokens_with_a_mask_and_other_axes_are_verified():
    network = gw.Network(gw.LSTM(3, 5, rng=0), embedding=RNG.normal(size=(7, 3)), head=layer(2, 5), masked=0)
    tokens = RNG.integers(0, 7, (9, 4))
    y = network(tokens)[0]
    assert gw.verify(network, tokens, y).agrees
    assert gw.verify(network, tokens.T, y.swapaxes(0, 1), axes=("batch", "time", "feature")).agrees
    assert gw.verify(network, tokens[:, 0], network(tokens[:, 0])[0][:, None]).agrees


def test_what_cannot_be_verified_is_refused_in_a_sentence():
    both = gw.Network(gw.LSTM(3, 5, rng=0), head=layer(1, 5), skip=1, branches=KINDS["branches"]["branches"])
    for model, words in (
        (both, "a skip connection around dense layers"),
        (3, "verify takes the path of a model"),
    ):
        with pytest.raises(gw.OptionError, match=words):
            gw.verify(model, X, np.zeros((12, 3, 1)))
