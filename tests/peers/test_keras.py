"""Keras 3 itself, live: gatewise returns what its files and layers return, and Keras reads what gatewise writes."""

from __future__ import annotations

import cases
import numpy as np
import pytest
from agreement import assert_agree
from fuzzing import everything, fuzz
from pairwise import cover
from peers import keras_live
from peers.keras_live import BATCH, CLOSE, INPUTS, MASKED, TIME, UNITS, L, Louder, flat, keras, random_weights, saved

import gatewise as gw
from gatewise import interop
from gatewise.interop import keras as gw_keras
from gatewise.layers.merging import merge

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

HARD = gw.Activation("hard_sigmoid", 1 / 6, 0.5)
CASES = cover(
    {
        "merge": ("one way", "concat", "sum", "mul", "ave", None),
        "activation": ("tanh", "relu", "softsign", "linear", "selu"),
        "recurrent_activation": ("sigmoid", "hard_sigmoid", "softsign"),
        "mask": ("none", "right", "any"),
        "go_backwards": (False, True),
        "stateful": (False, True),
        "return_state": (False, True),
        "return_sequences": (True, False),
        "form": (".keras", ".h5", ".weights.h5"),
        "kind": ("LSTM", "RNN"),
        "use_bias": (True, False),
    },
    strength=3,
    # Keras 3.15 cannot call a Bidirectional that is stateful and returns its state; one that goes backwards is refused.
    allowed=lambda case: (
        case["merge"] == "one way" or not (case["go_backwards"] or (case["stateful"] and case["return_state"]))
    ),
)


def model_of(case):
    """Return a Keras model of one layer, with weights of a size that tells mistakes."""
    options = {name: case[name] for name in ("return_sequences", "return_state", "stateful", "go_backwards")}
    cell = {name: case[name] for name in ("activation", "recurrent_activation", "use_bias")}
    layer = L.LSTM(UNITS, **cell, **options) if case["kind"] == "LSTM" else L.RNN(L.LSTMCell(UNITS, **cell), **options)
    if case["merge"] != "one way":
        layer = L.Bidirectional(layer, merge_mode=case["merge"])
    inputs = keras.Input(batch_shape=(BATCH, TIME, INPUTS))
    x = inputs if case["mask"] == "none" else L.Masking(MASKED)(inputs)
    model = keras.Model(inputs, layer(x))
    rng = np.random.default_rng(CASES.index(case) if case in CASES else 0)
    layer.set_weights([rng.normal(0, 0.4, one.shape).astype(np.float32) for one in layer.get_weights()])
    return model, layer


def input_of(case, rng):
    x = rng.normal(0, 1, (BATCH, TIME, INPUTS)).astype(np.float32)
    valid = np.ones((BATCH, TIME), bool)
    if case["mask"] == "right":
        valid = np.arange(TIME) < np.array([[TIME], [2], [1]])
    elif case["mask"] == "any":
        valid = np.array([[1, 0, 1, 1, 0], [0, 1, 1, 0, 1], [1, 1, 1, 1, 1]], bool)
    x[~valid] = MASKED
    return x, valid


def omitted_of(case):
    """Return what a file of weights alone leaves out."""
    if case["form"] != ".weights.h5":
        return {}
    found = {name: case[name] for name in ("activation", "recurrent_activation")}
    if found["recurrent_activation"] == "hard_sigmoid":  # the file tells no version, by which this word would be known
        found["recurrent_activation"] = HARD
    return found | ({"go_backwards": case["go_backwards"]} if case["merge"] == "one way" else {"merge": case["merge"]})


def as_keras(lstm, y, state, case):
    """Return gatewise's answers as a Keras layer gives them."""
    if case["return_sequences"]:
        y = y.swapaxes(0, 1)
        y = y[:, ::-1] if case["go_backwards"] else y
    else:
        y = merge([one.h for one in state[-1]], lstm.merge[-1])
    outputs = [y[..., 0, :], y[..., 1, :]] if lstm.merge[-1] == "none" else [y]
    states = [part for row in state for one in row for part in one] if case["return_state"] else []
    return outputs + states


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(str(value) for value in case.values()))
def test_a_file_that_keras_saved_gives_keras_s_outputs_and_states(case, tmp_path):
    model, _ = model_of(case)
    contents = interop.inspect(saved(model, tmp_path, case["form"]), **omitted_of(case))
    (found,) = contents.lstms
    assert found.time_reversed is case["go_backwards"]
    assert not contents.refused
    rng = np.random.default_rng(5)
    state = None
    zeros = case["merge"] != "one way" and case["return_sequences"]
    for _ in range(2 if case["stateful"] else 1):
        x, valid = input_of(case, rng)
        want = flat(model(x))
        mask = None if case["mask"] == "none" else valid.T
        way = "zeros" if zeros else "repeat"
        y, state = found.lstm(x.swapaxes(0, 1), state, mask=mask, masked_output=way)
        got = as_keras(found.lstm, y, state, case)
        assert_agree(dict(enumerate(got)), dict(enumerate(want)), CLOSE)
    told = [note for note in found.notes if "mask" in note]
    if case["form"] != ".weights.h5":
        assert len(told) == (case["mask"] != "none")
        assert all(repr(way) in note for note in told)
        assert (found.masked, found.masked_output) == (case["mask"] != "none", way)
        assert any("stateful" in note for note in found.notes) == case["stateful"]
    else:
        assert (found.masked, found.masked_output) == (None, None)


@pytest.mark.parametrize("case", CASES[::7], ids=lambda case: "-".join(str(value) for value in case.values()))
def test_a_live_layer_is_read_as_its_file_is(case, tmp_path):
    model, layer = model_of(case)
    live = gw_keras.read(layer)
    filed = interop.load(saved(model, tmp_path, case["form"]), **omitted_of(case))
    assert (live.directions, live.merge) == (filed.directions, filed.merge)
    for one, other in zip(live.layers[0], filed.layers[0], strict=True):
        assert one.variant == other.variant
        np.testing.assert_array_equal(one.parameters.weight, other.parameters.weight)
        np.testing.assert_array_equal(one.parameters.bias, other.parameters.bias)


@pytest.mark.parametrize("case", CASES[::4], ids=lambda case: "-".join(str(value) for value in case.values()))
def test_a_captured_call_is_the_layer_s_own(case):
    model, layer = model_of(case)
    rng = np.random.default_rng(6)
    for _ in range(2):
        x, valid = input_of(case, rng)
        (captured,) = gw_keras.capture(model, x)
        assert (captured.name, captured.call, captured.notes) == (layer.name, 0, ())
        assert captured.difference <= CLOSE * max(1, float(np.abs(captured.trace.output).max()))
        first = next(iter(captured.trace.cells().values()))
        np.testing.assert_array_equal(first.input, np.where(valid[..., None], x, 0).swapaxes(0, 1))
        if case["mask"] != "none":
            np.testing.assert_array_equal(first.valid, valid.T)
    moved = any(part.any() for part in first.initial)
    assert moved == case["stateful"]
    assert "call" not in vars(layer)


# What gatewise writes.

WRITTEN = {
    "plain": {},
    "two layers": {"num_layers": 2},
    "both ways": {"bidirectional": True, "num_layers": 2, "merge": ["average", "concat"]},
    "sum": {"bidirectional": True, "merge": "sum"},
    "mul": {"bidirectional": True, "merge": "mul"},
    "apart": {"bidirectional": True, "merge": "none"},
    "double": {"dtype": np.float64, "num_layers": 2},
    "hard": {
        "variant": gw.Variant(
            input_activation=HARD,
            forget_activation=HARD,
            output_activation=HARD,
            candidate_activation="softsign",
            cell_activation="softsign",
        )
    },
    "backward": {"direction": "backward"},
    "backward twice": {"direction": "backward", "num_layers": 2},
}


@pytest.mark.parametrize("form", ["live", ".keras", ".h5"])
@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_puts_out_in_keras_what_gatewise_puts_out(name, form, tmp_path):
    lstm = gw.LSTM(INPUTS, UNITS, rng=0, **WRITTEN[name])
    if form == "live":
        model = gw_keras.write(lstm)
    else:
        path = tmp_path / f"lstm{form}"
        gw_keras.write(lstm, path)
        model = keras.models.load_model(path)
    x = np.random.default_rng(1).normal(size=(TIME, BATCH, INPUTS)).astype(lstm.dtype)
    y = lstm(x)[0].swapaxes(0, 1)
    want = [y[..., 0, :], y[..., 1, :]] if "apart" in name else [y]
    tolerance = 1e-12 if name == "double" else CLOSE
    assert_agree(dict(enumerate(flat(model(x.swapaxes(0, 1))))), dict(enumerate(want)), tolerance)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_round_trip_through_a_live_model_changes_no_bit(name):
    lstm = gw.LSTM(INPUTS, UNITS, rng=0, **WRITTEN[name])
    model = gw_keras.write(lstm)
    layers = [layer for layer in model.layers if isinstance(layer, (L.LSTM, L.Bidirectional))]
    for number, layer in enumerate(layers):
        back = gw_keras.read(model, layer.name)
        assert back.merge[0] == lstm.merge[number]
        for cell, other in zip(back.layers[0], lstm.layers[number], strict=True):
            assert cell.variant == other.variant
            np.testing.assert_array_equal(cell.parameters.weight, other.parameters.weight)
            np.testing.assert_array_equal(cell.parameters.bias, other.parameters.bias)


# Live objects.


def test_every_call_of_a_layer_used_twice_is_captured():
    lstm = L.LSTM(UNITS, name="shared")
    a, b = keras.Input((TIME, INPUTS)), keras.Input((TIME, INPUTS))
    model = keras.Model([a, b], L.Concatenate()([lstm(a), lstm(b)]))
    x = np.random.default_rng(0).normal(size=(2, BATCH, TIME, INPUTS)).astype(np.float32)
    captured = gw_keras.capture(model, list(x))
    assert [(one.name, one.call) for one in captured] == [("shared", 0), ("shared", 1)]
    for one, given in zip(captured, x, strict=True):
        np.testing.assert_array_equal(one.trace[0].input, given.swapaxes(0, 1))
        assert one.difference <= CLOSE


def test_a_call_with_an_initial_state_is_captured_with_it():
    lstm = L.LSTM(UNITS, return_state=True)
    rng = np.random.default_rng(0)
    h, c = rng.normal(size=(2, BATCH, UNITS)).astype(np.float32)
    x = rng.normal(size=(BATCH, TIME, INPUTS)).astype(np.float32)
    lstm.build(x.shape)
    (captured,) = gw_keras.capture(lstm, x, initial_state=[h, c])
    np.testing.assert_array_equal(captured.trace[0].initial.h, h)
    assert captured.difference <= CLOSE


def encoder_decoder():
    first, second = keras.Input((TIME, INPUTS)), keras.Input((TIME, INPUTS))
    _, h, c = L.LSTM(UNITS, return_state=True, name="encoder")(first)
    y = L.LSTM(UNITS, return_sequences=True, name="decoder")(second, initial_state=[h, c])
    return keras.Model([first, second], y), ["encoder", "decoder"]


def distributed():
    inputs = keras.Input((TIME, 2, INPUTS))
    y = L.LSTM(UNITS, name="outer")(L.TimeDistributed(L.LSTM(UNITS), name="inner")(inputs))
    return keras.Model(inputs, y), ["inner"] * TIME + ["outer"]


def stack_of_cells():
    stack = L.RNN([L.LSTMCell(UNITS), L.LSTMCell(2)], return_sequences=True, return_state=True, name="stack")
    inputs = keras.Input((TIME, INPUTS))
    return keras.Model(inputs, stack(L.Masking(0.0)(inputs))), ["stack"]


def subclassed():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.first = L.Bidirectional(L.LSTM(UNITS, return_sequences=True), name="both")
            self.rest = [L.LSTM(2, name="one")]

        def call(self, x):
            return self.rest[0](self.first(x))

    return Own(), ["both", "one"]


@pytest.mark.parametrize("make", [encoder_decoder, distributed, stack_of_cells, subclassed])
def test_every_lstm_of_a_model_of_any_form_is_captured_at_its_real_inputs(make):
    model, names = make()
    rng = np.random.default_rng(0)
    shape = (BATCH, TIME, 2, INPUTS) if make is distributed else (BATCH, TIME, INPUTS)
    x = rng.normal(size=shape).astype(np.float32)
    if make is stack_of_cells:
        x[0, 1:3] = 0
    given = [x, x[::-1].copy()] if make is encoder_decoder else x
    model(given)
    captured = gw_keras.capture(model, given)
    assert [one.name for one in captured] == names
    assert all(one.difference <= CLOSE and not one.notes for one in captured)
    if make is encoder_decoder:
        np.testing.assert_allclose(captured[1].trace[0].initial.h, captured[0].trace[0].final.h, rtol=0, atol=CLOSE)
    if make is stack_of_cells:
        assert captured[0].trace[0].valid[:, 0].tolist() == [True, False, False, True, True]


def test_a_layer_that_computes_in_half_precision_is_captured_with_a_note():
    model = keras.Sequential([keras.Input((TIME, INPUTS)), L.LSTM(UNITS, dtype="mixed_float16")])
    (captured,) = gw_keras.capture(
        model, np.random.default_rng(0).normal(size=(BATCH, TIME, INPUTS)).astype(np.float32)
    )
    assert 0 < captured.difference < 5e-3
    assert "float16" in captured.notes[0]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Louder(UNITS, name="odd"), "'Louder' is not one of Keras' own"),
        (lambda: L.LSTM(UNITS, activation=L.ReLU(max_value=1.0), name="odd"), "ReLU with a maximum"),
        (lambda: L.LSTM(UNITS, activation=lambda x: x / 2, name="odd"), "a function whose code"),
        (lambda: L.Bidirectional(L.RNN([L.LSTMCell(2), L.LSTMCell(2)]), name="odd"), "stacks cells"),
    ],
)
def test_capture_tells_a_layer_that_does_something_else_in_one_sentence(make, words):
    layer = make()
    x = np.ones((BATCH, TIME, INPUTS), np.float32)
    layer.build(x.shape)
    for model in (layer, keras.Sequential([keras.Input((TIME, INPUTS)), layer])):
        with cases.refusal("odd", words, by=gw.OptionError):
            gw_keras.capture(model, x)
        assert "call" not in vars(layer)


def test_capture_of_a_model_without_an_lstm_is_refused_in_one_sentence():
    dense = keras.Sequential([keras.Input((TIME, INPUTS)), L.GRU(2), L.Dense(1)], name="dense")
    for model, words in (dense, "'dense'"), (L.GRU(2, name="unbuilt"), "'unbuilt'; it is not built"):
        with cases.refusal("there is no LSTM layer in", words, by=gw.OptionError):
            gw.capture(model, np.ones((BATCH, TIME, INPUTS), np.float32))


def hard_sigmoid(x):
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


@pytest.mark.parametrize("kind", ["activation", "recurrent_activation"])
@pytest.mark.parametrize("make", [L.LSTM, lambda *given, **options: L.RNN(L.LSTMCell(*given, **options))])
def test_a_function_of_somebody_s_own_is_not_taken_for_keras_s_of_the_same_name(make, kind):
    x = np.ones((BATCH, TIME, INPUTS), np.float32)
    layer = make(UNITS, **{kind: hard_sigmoid})
    layer.build(x.shape)
    for ask in (lambda: gw_keras.read(layer), lambda: gw_keras.capture(layer, x)):
        with cases.refusal(f" {kind} 'hard_sigmoid' is a custom function", by=gw.OptionError):
            ask()
    layer = make(UNITS, **{kind: keras.activations.hard_sigmoid})
    layer.build(x.shape)
    assert gw_keras.read(layer)[0].variant.activation("g" if kind == "activation" else "f") == HARD


def test_capture_leaves_the_call_that_somebody_put_into_a_layer():
    layer = L.LSTM(UNITS)
    x = np.ones((BATCH, TIME, INPUTS), np.float32)
    layer.build(x.shape)
    original = layer.call
    layer.call = patched = lambda *given, **options: original(*given, **options)
    gw_keras.capture(layer, x)
    assert layer.call is patched


def test_outputs_that_are_infinite_in_both_do_not_differ():
    layer = L.LSTM(UNITS, activation="linear", recurrent_activation="relu", return_sequences=True)
    x = np.full((BATCH, TIME, INPUTS), 1e30, np.float32)
    layer.build(x.shape)
    layer.set_weights([np.ones(one.shape, np.float32) for one in layer.get_weights()])
    with np.errstate(all="ignore"):
        (captured,) = gw_keras.capture(layer, x)
    assert np.isinf(captured.trace.output).all()
    assert captured.difference == 0


def test_layers_of_one_name_in_several_models_are_told_apart(tmp_path):
    inner = (keras_live.chained(L.LSTM(INPUTS, return_sequences=True, name="lstm"), name=name) for name in "ab")
    model = random_weights(keras_live.chained(*inner, L.LSTM(UNITS, name="lstm")))
    x = np.random.default_rng(0).normal(size=(BATCH, TIME, INPUTS)).astype(np.float32)
    captured = gw_keras.capture(model, x)
    assert [(one.name, one.call) for one in captured] == [("a/lstm", 0), ("b/lstm", 0), ("lstm", 0)]
    path = saved(model, tmp_path, ".keras")
    for one in captured:
        live, filed = gw_keras.read(model, one.name), interop.load(path, one.name)
        np.testing.assert_array_equal(live[0].parameters.weight, filed[0].parameters.weight)
        np.testing.assert_array_equal(live[0].parameters.weight, one.trace[0].parameters.weight)
    with pytest.raises(gw.OptionError, match="'a/lstm', 'b/lstm', 'lstm'"):
        gw_keras.read(model)


def test_a_live_layer_leaves_nothing_out():
    _, layer = model_of(CASES[0] | {"merge": "one way", "form": ".weights.h5"})
    with pytest.raises(gw.OptionError, match="activation"):
        gw_keras.read(layer, activation="tanh")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: L.GRU(3), "0 LSTM layers"),
        (lambda: L.LSTM(3), "no weights yet"),
        (lambda: 5, "not int"),
        (lambda: L.Dense(3), "0 LSTM layers"),
    ],
)
def test_what_is_no_built_lstm_is_refused_in_one_sentence(make, words):
    with cases.refusal(words, by=gw.OptionError):
        gw_keras.read(make())


def test_the_weights_of_a_half_precision_file_are_read_and_it_is_said(tmp_path):
    narrow = L.LSTM(UNITS, dtype="bfloat16", name="narrow", recurrent_initializer="glorot_uniform")
    model = keras.Sequential([keras.Input((TIME, INPUTS)), narrow])
    for form in (".keras", ".h5"):
        (found,) = interop.inspect(saved(model, tmp_path, form)).lstms
        kernel = flat(keras.ops.cast(model.get_layer("narrow").cell.kernel, "float32"))[0]
        np.testing.assert_array_equal(found.lstm[0].parameters.input_weight.reshape(-1, INPUTS).T, kernel)
        assert any("bfloat16" in note for note in found.notes)


def test_spoiled_files_that_keras_itself_saved_are_answered_or_refused(tmp_path):
    subjects = []
    for way in ("one way", "concat"):
        case = {"merge": way, "activation": "tanh", "recurrent_activation": "sigmoid", "mask": "right"}
        case |= {"go_backwards": False, "stateful": False, "return_state": False, "return_sequences": True}
        model, _ = model_of(case | {"kind": "LSTM", "use_bias": True})
        subjects += [saved(model, tmp_path, form).read_bytes() for form in (".keras", ".h5", ".weights.h5")]
    tally = fuzz(subjects, everything, 2_000, tmp_path)
    assert tally.answered
    assert tally.refused
