"""Keras 3 itself, live: the LSTMs of a model that read one another are offered as one, whatever stands around them."""

from __future__ import annotations

import numpy as np
import pytest
from pairwise import cover
from peers import keras_live
from peers.keras_live import BATCH, CLOSE, INPUTS, TIME, UNITS, L, flat, keras, random_weights, saved

import gatewise as gw
from gatewise import interop
from gatewise.layers.merging import merge

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

VOCABULARY = 7
CASES = cover(
    {
        "before": ("nothing", "convolution", "pooled", "dense", "embedding", "masked embedding", "norm", "masking"),
        "merge": ("one way", "concat", "sum", "ave"),
        "between": ("nothing", "dropout", "identity"),
        "last": (False, True),
        "after": ("nothing", "dense", "two heads", "pooling", "attention", "norm"),
        "layers": (2, 3),
        "backwards": (False, True),
        "form": (".keras", ".h5"),
    },
    allowed=lambda case: (
        not (case["last"] and case["after"] in ("pooling", "attention"))
        and not (case["backwards"] and (case["merge"] != "one way" or not case["last"] or "mask" in case["before"]))
    ),
)


def before(kind, inputs):
    match kind:
        case "convolution":
            return L.BatchNormalization()(L.Conv1D(INPUTS, 2, activation="relu", padding="same")(inputs))
        case "pooled":
            return L.MaxPooling1D(2)(L.Conv1D(INPUTS, 3, padding="causal")(inputs))
        case "dense":
            return L.Dropout(0.3)(L.TimeDistributed(L.Dense(INPUTS, activation="tanh"))(inputs))
        case "embedding" | "masked embedding":
            return L.SpatialDropout1D(0.2)(
                L.Embedding(VOCABULARY, INPUTS, mask_zero=kind == "masked embedding")(inputs)
            )
        case "norm":
            return L.LayerNormalization()(inputs)
        case "masking":
            return L.Masking()(inputs)
    return inputs


def after(kind, y):
    match kind:
        case "dense":
            return L.Dense(2, activation="softmax")(L.Dropout(0.5)(L.Dense(5, activation="relu")(y)))
        case "two heads":
            return [L.Dense(1, name="amount")(y), L.Dense(3, activation="softmax", name="kind")(y)]
        case "pooling":
            return L.Dense(2)(L.GlobalAveragePooling1D()(y))
        case "attention":
            return L.Attention()([y, y])
        case "norm":
            return L.BatchNormalization()(y)
    return y


def stack_of(case):
    """Return a model, and what a stack within it is given and returns."""
    tokens = "embedding" in case["before"]
    inputs = keras.Input((TIME,), dtype="int32") if tokens else keras.Input((TIME, INPUTS))
    y = x = before(case["before"], inputs)
    for number in range(case["layers"]):
        last = number == case["layers"] - 1
        layer = L.LSTM(
            UNITS, return_sequences=not (last and case["last"]), go_backwards=case["backwards"] and not number
        )
        y = (layer if case["merge"] == "one way" else L.Bidirectional(layer, merge_mode=case["merge"]))(y)
        if not last:
            y = {"nothing": lambda y: y, "dropout": L.Dropout(0.4), "identity": L.Activation("linear")}[
                case["between"]
            ](y)
    model = random_weights(keras.Model(inputs, after(case["after"], y)))
    return model, keras.Model(inputs, [x, y])


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(str(value) for value in case.values()))
def test_a_stack_is_offered_whatever_comes_before_and_after_it(case, tmp_path):
    model, probe = stack_of(case)
    rng = np.random.default_rng(0)
    given = rng.normal(size=(BATCH, TIME, INPUTS)).astype(np.float32)
    if case["before"] == "masking":
        given[0, 1:3] = given[1, 3:] = 0
    if "embedding" in case["before"]:
        given = np.array([[1, 2, 3, 0, 0], [4, 0, 5, 6, 1], [0, 0, 2, 2, 6]])
    x, want = flat(probe(given))
    contents = interop.inspect(saved(model, tmp_path, case["form"]))
    *singles, stack = contents.lstms
    assert [one.stacked for one in contents.lstms] == [False] * case["layers"] + [True]
    assert stack.name == " → ".join(one.name for one in singles)
    masked = case["before"] in ("masked embedding", "masking")
    assert stack.masked is masked
    assert sum("mask" in note for note in stack.notes) == masked
    mask = None if not masked else (given != 0 if given.ndim == 2 else (given != 0).any(-1)).T
    y, state = stack.lstm(x.swapaxes(0, 1), mask=mask, masked_output=stack.masked_output)
    y = merge([one.h for one in state[-1]], stack.lstm.merge[-1]) if case["last"] else y.swapaxes(0, 1)
    np.testing.assert_allclose(y, want, rtol=0, atol=CLOSE)
    assert gw.load(contents.path).num_layers == case["layers"]


def lstm(name, **options):
    return L.LSTM(INPUTS, return_sequences=True, name=name, **options)


@pytest.mark.parametrize("form", [".keras", ".h5"])
def test_two_independent_stacks_are_each_offered_as_one(form, tmp_path):
    first, second = keras.Input((TIME, INPUTS)), keras.Input((TIME, INPUTS))
    one = keras_live.chained(lstm("a"), L.Dropout(0.1), name="inner")(L.Conv1D(INPUTS, 1)(first))
    ends = [lstm("b")(one)]
    for sources in ([ends[0], second], [second, second]):  # after the first stack, and beside it
        y = L.Add()(sources)
        for number in range(3):
            y = L.Bidirectional(lstm(f"l{len(ends)}{number}"), name=f"b{len(ends)}{number}")(y)
        ends.append(y)
    model = random_weights(keras.Model([first, second], ends))
    found = interop.inspect(saved(model, tmp_path, form)).lstms
    stacks = {one.name: one.lstm for one in found if " → " in one.name}
    assert set(stacks) == {"inner/a → b", "b10 → b11 → b12", "b20 → b21 → b22"}
    assert not any(one.stacked for one in found)
    rng = np.random.default_rng(0)
    given = [rng.normal(size=(BATCH, TIME, INPUTS)).astype(np.float32) for _ in range(2)]
    inputs = [(given[1] + flat(model(given))[0]), 2 * given[1]]
    for x, name, want in zip(inputs, ("b10 → b11 → b12", "b20 → b21 → b22"), flat(model(given))[1:], strict=True):
        np.testing.assert_allclose(stacks[name](x.swapaxes(0, 1))[0].swapaxes(0, 1), want, rtol=0, atol=CLOSE)


def shared(x):
    layer = lstm("a")
    return lstm("b")(layer(layer(x)))


def state_of_it(x):
    _, h, _ = L.LSTM(INPUTS, return_sequences=True, return_state=True, name="a")(x)
    return lstm("b")(L.RepeatVector(TIME)(h))


BETWEEN = {
    "added": lambda x: lstm("b")(L.Add()([x, lstm("a")(x)])),
    "scaled": lambda x: lstm("b")(L.Rescaling(2.0)(lstm("a")(x))),
    "normalised": lambda x: lstm("b")(L.BatchNormalization()(lstm("a")(x))),
    "squashed": lambda x: lstm("b")(L.Activation("tanh")(lstm("a")(x))),
    "dense": lambda x: lstm("b")(L.Dense(INPUTS)(lstm("a")(x))),
    "masked": lambda x: lstm("b")(L.Masking()(lstm("a")(x))),
    "shared": shared,
    "state": state_of_it,
    "beside": lambda x: L.Concatenate()([lstm("a")(x), lstm("b")(x)]),
    "reversed": lambda x: lstm("b")(keras.ops.flip(lstm("a")(x), axis=1)),
    "masked and reversed": lambda x: lstm("b")(lstm("a", go_backwards=True)(L.Masking()(x))),
}


@pytest.mark.parametrize("case", BETWEEN)
def test_what_changes_the_numbers_between_two_lstms_makes_no_stack(case, tmp_path):
    inputs = keras.Input((TIME, INPUTS))
    model = keras.Model(inputs, BETWEEN[case](inputs))
    assert not any(" → " in one.name for one in interop.inspect(saved(model, tmp_path, ".keras")).lstms)


def test_outputs_of_an_lstm_that_returns_its_states_too_are_told_from_these(tmp_path):
    inputs = keras.Input((TIME, INPUTS))
    y, h, c = lstm("a", return_state=True)(inputs)
    model = random_weights(keras.Model(inputs, [lstm("b")(y, initial_state=[h, c]), h]))
    contents = interop.inspect(saved(model, tmp_path, ".keras"))
    assert [one.name for one in contents.lstms] == ["a", "b"], "a decoder is no upper layer of its encoder"
    assert {entry.name: entry.lstms for entry in contents.ledger if entry.lstms} == {"b.initial_state": ("b",)}
    x = np.random.default_rng(0).normal(size=(BATCH, TIME, INPUTS)).astype(np.float32)
    y, state = contents.pick("a").lstm(x.swapaxes(0, 1))
    y, _ = contents.pick("b").lstm(y, state)
    np.testing.assert_allclose(y.swapaxes(0, 1), flat(model(x))[0], rtol=0, atol=CLOSE)


def test_where_the_directions_change_one_stack_ends_and_another_begins(tmp_path):
    both = [L.Bidirectional(lstm(f"l{number}"), merge_mode="sum", name=f"b{number}") for number in range(2)]
    model = random_weights(
        keras.Sequential([keras.Input((TIME, INPUTS)), L.Conv1D(INPUTS, 1), *both, lstm("c"), lstm("d"), L.Dense(1)])
    )
    found = interop.inspect(saved(model, tmp_path, ".keras")).lstms
    assert [one.name for one in found] == ["b0", "b1", "c", "d", "b0 → b1", "c → d"]
    assert not any(one.stacked for one in found)
