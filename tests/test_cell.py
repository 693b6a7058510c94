"""The cell: where its numbers come from, and one step of it."""

from __future__ import annotations

import cases
import numpy as np
import pytest

import gatewise as gw
from gatewise.cell import INITS

VARIANTS = {
    "plain": gw.Variant(),
    "peephole": gw.Variant(peephole="full"),
    "gates": gw.Variant(layer_norm="gates", epsilon=1e-5),
    "haste": gw.Variant(layer_norm="haste", epsilon=1e-5, peephole="full", coupling="forget=1-input"),
}
every_init = pytest.mark.parametrize("init", INITS)


def drawn(init, inputs=20, hidden=50, *, seed=0, **options):
    """Return parameters of an initialiser, whose numbers come from a seed."""
    source = {"seed": seed} if init == "notebook" else {"rng": seed}
    return gw.LSTMCell(inputs, hidden, init=init, **source, **{"dtype": np.float64, **options}).parameters


def assert_uniform(numbers, bound):
    """Assert that numbers fill the interval within ±bound evenly: no one outside, the quarters equally full."""
    count = numbers.size
    assert np.abs(numbers).max() <= bound
    found, _ = np.histogram(numbers, bins=4, range=(-bound, bound))
    assert np.abs(found - count / 4).max() < 5 * np.sqrt(count * 3 / 16)


@pytest.mark.parametrize("projection", [None, 30])
def test_pytorch_s_numbers_are_uniform_and_its_bias_is_a_sum_of_two(projection):
    p = drawn("pytorch", hidden=100, projection_size=projection, variant=VARIANTS["peephole"])
    bound = 1 / np.sqrt(100)
    assert_uniform(p.weight, bound)
    assert_uniform(p.peephole, bound)
    if projection:
        assert_uniform(p.projection, bound)
    # Of two uniform numbers the sum reaches twice as far, and its variance is twice that of one: a triangle.
    assert bound < np.abs(p.bias).max() <= 2 * bound
    np.testing.assert_allclose(p.bias.var(), 2 * bound**2 / 3, rtol=0.2)
    assert np.mean(np.abs(p.bias) < bound) == pytest.approx(0.75, abs=0.1)


@pytest.mark.parametrize("projection", [None, 30])
def test_glorot_s_numbers_are_keras_s(projection):
    p = drawn("glorot", inputs=20, hidden=50, projection_size=projection)
    assert_uniform(p.input_weight, np.sqrt(6 / (20 + 4 * 50)))
    recurrent = p.recurrent_weight.reshape(4 * 50, -1)
    np.testing.assert_allclose(recurrent.T @ recurrent, np.eye(p.recurrent_size), atol=1e-13)
    np.testing.assert_array_equal(p.bias, np.array([0, 1, 0, 0])[:, None] * np.ones(50))
    if projection:
        assert_uniform(p.projection, np.sqrt(6 / (50 + 30)))


def test_an_orthogonal_matrix_has_no_preferred_sign():
    """What the sign of R's diagonal is for: without it the first column would never change its direction."""
    first = [drawn("glorot", 1, 2, seed=seed).recurrent_weight.reshape(8, 2)[0, 0] for seed in range(200)]
    assert 70 < sum(value > 0 for value in first) < 130


@pytest.mark.parametrize("bias", [0.0, -2, 3.5])
def test_the_forget_bias_of_glorot_is_the_one_asked_for(bias):
    p = drawn("glorot", forget_bias=bias)
    np.testing.assert_array_equal(p.bias, np.array([0, bias, 0, 0])[:, None] * np.ones(50))


@pytest.mark.parametrize("longest", [3, 10, 1000])
def test_chrono_s_biases_are_logarithms_of_uniform_times(longest):
    p = drawn("chrono", hidden=150, longest=longest)
    forget, given = p.bias[1], p.bias[0]
    np.testing.assert_array_equal(given, -forget)
    np.testing.assert_array_equal(p.bias[2:], 0)
    times = np.exp(forget)
    assert times.min() >= 1 - 1e-12
    assert times.max() <= longest - 1 + 1e-9
    assert_uniform(times - longest / 2, longest / 2 - 1 + 1e-9)
    # What it is for (Tallec and Ollivier): the forget gate's time scale 1 / (1 - f) is 1 + the time drawn.
    f = gw.Activation("sigmoid")(forget)
    np.testing.assert_allclose(1 / (1 - f), 1 + times)
    np.testing.assert_array_equal(p.weight, drawn("glorot", hidden=150).weight)  # the other numbers are Glorot's


def test_the_notebook_s_numbers_are_numpy_s_legacy_ones_gate_by_gate():
    p = drawn("notebook", 3, 5, seed=7, scale=0.5, projection_size=2, variant=VARIANTS["peephole"])
    rng = np.random.RandomState(7)
    for gate in "figo":
        np.testing.assert_array_equal(p.weight["ifgo".index(gate)], rng.randn(5, 5) * 0.5)
    np.testing.assert_array_equal(p.peephole, rng.randn(3, 5) * 0.5)
    np.testing.assert_array_equal(p.projection, rng.randn(2, 5) * 0.5)
    assert not p.bias.any()


@every_init
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(init, variant, dtype):
    options = {"variant": VARIANTS[variant], "projection_size": 5, "dtype": dtype, "inputs": 4, "hidden": 7}
    first, again, other = (drawn(init, seed=seed, **options) for seed in (3, 3, 4))
    for name, array in first.arrays().items():
        assert array.dtype == dtype
        np.testing.assert_array_equal(array, again.arrays()[name])
    assert (first.weight != other.weight).any()
    assert (first.projection != other.projection).any()


@pytest.mark.parametrize("init", [init for init in INITS if init != "notebook"])
def test_a_generator_goes_on_where_it_stopped(init):
    rng = np.random.default_rng(3)
    first, second = (gw.LSTMCell(4, 6, init=init, rng=rng).parameters for _ in range(2))
    np.testing.assert_array_equal(first.weight, gw.LSTMCell(4, 6, init=init, rng=3).parameters.weight)
    assert (first.weight != second.weight).any()


@every_init
def test_drawing_leaves_numpy_s_global_generator_alone(init):
    before = np.random.get_state()[1].copy()
    drawn(init)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@every_init
@pytest.mark.parametrize("variant", VARIANTS)
def test_norms_start_as_the_identity_and_a_coupled_gate_without_numbers(init, variant):
    p = drawn(init, variant=VARIANTS[variant])
    if p.norm_gain is not None:
        assert (p.norm_gain == 1).all()
    if p.cell_norm is not None:
        np.testing.assert_array_equal(p.cell_norm, [[1] * 50, [0] * 50])
    for letter in p.variant.coupled:
        assert not p.weight["ifgo".index(letter)].any()
        assert not p.bias["ifgo".index(letter)].any()
    for letter in p.variant.own:
        assert p.weight["ifgo".index(letter)].all()


@pytest.mark.parametrize("init", ["pytorch", "glorot", "chrono"])
def test_single_precision_numbers_are_the_double_ones_rounded(init):
    single, double = drawn(init, dtype=np.float32), drawn(init)
    np.testing.assert_array_equal(single.weight, double.weight.astype(np.float32))


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"init": "he"}, ["init", "'he'", "pytorch", "chrono"]),
        ({"input_size": 0}, ["input_size", "at least 1", "0"]),
        ({"hidden_size": -3}, ["hidden_size", "at least 1", "-3"]),
        ({"hidden_size": 2.5}, ["hidden_size", "integer", "2.5"]),
        ({"input_size": True}, ["input_size", "integer", "True"]),
        ({"projection_size": 0}, ["projection_size", "at least 1"]),
        ({"projection_size": 5}, ["projection_size", "at most", "4", "5"]),
        ({"dtype": "float16"}, ["dtype", "float32, float64", "float16"]),
        ({"rng": -1}, ["rng", "-1"]),
        ({"rng": True}, ["rng", "True"]),
        ({"seed": 5}, ["'pytorch'", "seed"]),
        ({"forget_bias": 1}, ["'pytorch'", "forget_bias"]),
        ({"init": "glorot", "longest": 9}, ["'glorot'", "longest", "forget_bias"]),
        ({"init": "glorot", "forget_bias": np.nan}, ["forget_bias", "finite", "nan"]),
        ({"init": "chrono", "longest": 2}, ["longest", "at least 3", "2"]),
        ({"init": "notebook", "rng": 0}, ["'notebook'", "seed", "rng"]),
        ({"init": "notebook", "seed": -1}, ["seed", "-1"]),
        ({"init": "notebook", "seed": 2**32}, ["seed", str(2**32 - 1)]),
        ({"init": "notebook", "scale": np.inf}, ["scale", "finite", "inf"]),
    ],
)
@pytest.mark.parametrize("make", [gw.LSTMCell, gw.LSTM])
def test_a_wrong_wish_is_refused_in_one_sentence(make, arguments, parts):
    with cases.refusal(*parts, by=gw.OptionError):
        make(**{"input_size": 3, "hidden_size": 4, **arguments})


@pytest.mark.parametrize("hidden", [10**7, np.int64(10**9), 10**12])
@every_init
def test_more_memory_than_there_is_is_refused_beforehand(init, hidden):
    with cases.refusal("memory", "available", "iB", by=gw.CapacityError):
        gw.LSTMCell(3, hidden, init=init)


def test_memory_is_asked_for_what_is_drawn_and_not_for_more(monkeypatch):
    """A cell of 3 features and 100 units: 4 · 100 · 104 numbers of 8 bytes, with room to draw them in."""
    monkeypatch.setattr("gatewise.arrays.SMALL", 0)
    monkeypatch.setattr("gatewise.arrays.available_memory", lambda: 2**20)
    assert gw.LSTMCell(3, 100, rng=0).hidden_size == 100
    monkeypatch.setattr("gatewise.arrays.available_memory", lambda: 4 * 100 * 104 * 8)
    with pytest.raises(gw.CapacityError, match="KiB"):
        gw.LSTMCell(3, 100, rng=0)
    monkeypatch.setattr("gatewise.arrays.available_memory", lambda: None)  # a system that does not tell
    assert gw.LSTMCell(3, 100, rng=0).hidden_size == 100


# One step.


@pytest.mark.parametrize("variant", cases.VARIANTS)
@pytest.mark.parametrize("projection", cases.PROJECTIONS)
def test_a_step_is_the_first_of_a_run(variant, projection):
    run = cases.run_of(variant, projection=projection, time=1, batch=1)
    step = gw.LSTMCell.from_parameters(run.p).step(run.x[0, 0], gw.State(run.state.h[0], run.state.c[0]))
    trace = run.trace(engine="reference")
    for name in (*gw.records.keep.QUANTITIES, "gates", "combined_input", "preactivations", "activated_cell_state"):
        np.testing.assert_array_equal(getattr(step, name), getattr(trace, name)[0, 0], err_msg=name)
    np.testing.assert_array_equal(step.state.h, trace.final.h[0])
    np.testing.assert_array_equal(step.state.c, trace.final.c[0])


def test_a_step_starts_from_zeros_unless_told():
    cell = gw.LSTMCell(3, 2, rng=0, projection_size=1)
    step = cell.step([1, 2, 3])
    np.testing.assert_array_equal(step.previous.h, [0])
    np.testing.assert_array_equal(step.previous.c, [0, 0])
    np.testing.assert_array_equal(step.combined_input, [0, 1, 2, 3])
    again = cell.step([1, 2, 3], cell.zero_state())
    np.testing.assert_array_equal(again.hidden_state, step.hidden_state)


@pytest.mark.parametrize(
    ("x", "state", "parts"),
    [
        ([1.0, 2.0], None, ["x", "(2,)", "(3,)"]),
        ([[1.0, 2.0, 3.0]], None, ["x", "(1, 3)", "(3,)"]),
        ([1.0, 2.0, 3.0], ([1.0], [1.0, 2.0]), ["h", "(1,)", "(2,)"]),
        ([1.0, 2.0, 3.0], ([1.0, 2.0], [1.0, 2.0, 3.0]), ["c", "(3,)", "(2,)"]),
        (["a", "b", "c"], None, ["x", "real numbers"]),
        ([1.0, 2.0, 3.0], ([1.0, 2.0],), ["state"]),
        ([1.0, 2.0, 3.0], 5, ["state"]),
    ],
)
def test_a_step_of_the_wrong_size_is_refused_in_one_sentence(x, state, parts):
    with cases.refusal(*parts, by=gw.GatewiseError):
        gw.LSTMCell(3, 2, rng=0).step(x, state)


@pytest.mark.parametrize(
    ("labels", "parts"),
    [
        ({"features": ["a", "b"]}, ["labels of features must be 3, not 2"]),
        ({"units": ["a", "b", "c"]}, ["labels of units must be 2, not 3"]),
    ],
)
def test_a_cell_takes_as_many_names_as_it_has_features_and_units(labels, parts):
    p = gw.LSTMCell(3, 2, rng=0).parameters
    with cases.refusal(*parts, by=gw.ShapeError):
        gw.LSTMCell.from_parameters(p, gw.Labels(**labels))


def test_a_cell_says_what_it_is():
    cell = gw.LSTMCell(3, 2, rng=0, dtype=np.float64, variant=gw.Variant(peephole="full"))
    assert repr(cell) == "LSTMCell(input_size=3, hidden_size=2, peephole=full, dtype=float64)"
    assert (cell.input_size, cell.hidden_size, cell.recurrent_size, cell.dtype) == (3, 2, 2, np.float64)
    assert cell.variant.peephole == "full"
    assert repr(cell.step([1, 2, 3])).startswith("<Step: 3 features, 2 units, float64\n  input_gate    (2,)  ")


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("projection", [None, 2])
@every_init
def test_a_cell_draws_what_an_lstm_of_one_layer_draws(init, projection, variant):
    source = {"seed": 7} if init == "notebook" else {"rng": 7}
    options = {"init": init, "projection_size": projection, "variant": VARIANTS[variant], **source}
    cell, lstm = gw.LSTMCell(3, 4, **options), gw.LSTM(3, 4, **options)
    assert repr(cell) == repr(lstm[0])
    assert cell.dtype == lstm.dtype == np.float32
    for name, array in lstm[0].parameters.arrays().items():
        np.testing.assert_array_equal(cell.parameters.arrays()[name], array)


def test_a_cell_of_given_parameters_has_those_and_no_others():
    p = drawn("pytorch", 3, 2)
    assert gw.LSTMCell.from_parameters(p).parameters is p
    with cases.refusal("Parameters", "int", by=gw.OptionError):
        gw.LSTMCell.from_parameters(3)
