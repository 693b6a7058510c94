"""The nonlinearities: each against its formula, its derivative against central differences."""

from __future__ import annotations

import math

import cases
import numpy as np
import oracle
import pytest

import gatewise as gw
from gatewise.activations import GATED, KINDS, activate, gated_derivative

SUBJECTS = [
    gw.Activation("sigmoid"),
    gw.Activation("tanh"),
    gw.Activation("hard_sigmoid", 0.2, 0.5),
    gw.Activation("hard_sigmoid", 1 / 6, 0.5),
    gw.Activation("relu"),
    gw.Activation("leaky_relu"),
    gw.Activation("leaky_relu", 0.3),
    gw.Activation("leaky_relu", 0.0),
    gw.Activation("thresholded_relu"),
    gw.Activation("thresholded_relu", 0.4),
    gw.Activation("affine"),
    gw.Activation("affine", -0.5, 2.0),
    gw.Activation("scaled_tanh", 1.7159, 2 / 3),
    gw.Activation("scaled_tanh", 1.7159, -2.0),
    gw.Activation("elu"),
    gw.Activation("elu", 0.5),
    gw.Activation("selu"),
    gw.Activation("selu", 1.5, 2.0),
    gw.Activation("softsign"),
    gw.Activation("softplus"),
    gw.Activation("exponential"),
]
SUBJECTS += [gw.Activation(name) for name in KINDS if name not in {activation.name for activation in SUBJECTS}]
every_subject = pytest.mark.parametrize("activation", SUBJECTS, ids=str)
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
POINTS = np.concatenate([np.linspace(-9, 9, 721), [-1e-300, -1e-9, 0.0, 1e-9, 1e-300, 0.4, 1.0, -30, 30]])


@every_subject
def test_an_activation_is_its_formula(activation):
    expected = [oracle.nonlinearity(activation, float(a)) for a in POINTS]
    np.testing.assert_allclose(activation(POINTS), expected, rtol=1e-14, atol=1e-15)


@every_subject
@every_dtype
def test_shape_and_dtype_are_those_of_the_argument(activation, dtype):
    a = POINTS.astype(dtype).reshape(2, -1, 5)
    y = activation(a)
    assert (y.shape, y.dtype) == (a.shape, a.dtype)
    slope = activation.derivative(y)
    assert (slope.shape, slope.dtype) == (a.shape, a.dtype)


@every_subject
def test_single_precision_rounds_and_no_more(activation):
    a = POINTS.astype(np.float32)
    a = a[~np.isin(a, np.array(oracle.kinks(activation), np.float32))]  # a threshold rounds, too
    exact = activation(a.astype(np.float64))
    epsilon = np.finfo(np.float32).eps
    # tanh and exp are good to a few ulp of themselves; what is subtracted from 1 or added to a constant, of those.
    scale = np.abs(exact) + (0 if activation.name in {"sigmoid", "tanh", "softsign", "exponential"} else 1)
    assert (np.abs(activation(a) - exact) <= 8 * epsilon * scale).all()


@every_subject
def test_the_derivative_is_the_central_difference_and_a_function_of_the_output(activation):
    a = POINTS[np.abs(POINTS) <= 9]
    near = [np.abs(a - kink) < 1e-3 for kink in oracle.kinks(activation)]
    a = a[~np.any(near, axis=0)] if near else a
    by = 1e-5
    expected = (activation(a + by) - activation(a - by)) / (2 * by)
    np.testing.assert_allclose(activation.derivative(activation(a)), expected, rtol=1e-7, atol=1e-9)


@every_subject
def test_the_derivative_at_a_kink_is_that_of_one_side_and_of_the_flat_one_where_there_is_one(activation):
    for kink in oracle.kinks(activation):
        (at,) = activation.derivative(activation(np.array([kink])))
        sides = activation.derivative(activation(np.array([kink - 1e-6, kink + 1e-6])))
        assert np.abs(sides - at).min() < 1e-5
        assert at == 0 or sides.all()


@every_subject
@every_dtype
@pytest.mark.parametrize("size", [100.0, 1e4, 1e30])
def test_large_numbers_pass_without_a_warning(activation, dtype, size):
    """Warnings are errors here. The exponential is left out where overflow is its value."""
    a = np.array([-size, size], dtype)
    if activation.name == "exponential":
        a = np.array([-size, math.log(np.finfo(dtype).max) - 1], dtype)
    y = activation(a)
    assert np.isfinite(y).all()
    assert np.isfinite(activation.derivative(y)).all()
    limits = {
        "sigmoid": [0, 1],
        "tanh": [-1, 1],
        "hard_sigmoid": [0, 1],
        "softsign": [-1, 1],
        "relu": [0, a[1]],
        "softplus": [0, a[1]],
        "elu": [-(activation.alpha or 0), a[1]],
    }
    if activation.name in limits:
        np.testing.assert_allclose(y, np.array(limits[activation.name], dtype), rtol=0.02, atol=1e-30)


@pytest.mark.parametrize("activation", {one.name: one for one in reversed(SUBJECTS)}.values(), ids=str)
def test_infinity_gives_the_limit_and_nan_stays_nan(activation):
    with np.errstate(all="ignore"):  # as the engines run
        y = activation(np.array([-np.inf, np.inf, np.nan]))
    limits = [oracle.limit(activation, a) for a in (-np.inf, np.inf)]
    np.testing.assert_allclose(y, [*limits, np.nan], atol=1e-300)


@pytest.mark.parametrize("constants", [(), (0.2,), (None, 0.5)])
@pytest.mark.parametrize("name", ["hard_sigmoid", "scaled_tanh"])
def test_what_projects_disagree_on_has_no_default(name, constants):
    with cases.refusal(name, "alpha", "beta", by=gw.OptionError):
        gw.Activation(name, *constants)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("swish",), ["'swish'", "sigmoid", "hard_sigmoid"]),
        (("sigmoid", 1.0), ["sigmoid", "alpha", "1.0"]),
        (("leaky_relu", 0.1, 0.2), ["leaky_relu", "beta", "0.2"]),
        (("leaky_relu", math.nan), ["alpha", "leaky_relu", "nan"]),
        (("affine", 1.0, math.inf), ["beta", "affine", "inf"]),
        (("affine", "1"), ["alpha", "affine", "'1'"]),
        (("leaky_relu", -0.1), ["alpha", "leaky_relu", "-0.1"]),
        (("elu", -1.0), ["alpha", "elu", "-1.0"]),
        (("thresholded_relu", -0.5), ["alpha", "thresholded_relu", "-0.5"]),
        (("hard_sigmoid", 0.0, 0.5), ["alpha", "hard_sigmoid", "0.0"]),
        (("scaled_tanh", -1.0, 1.0), ["alpha", "scaled_tanh", "-1.0"]),
        (("selu", 0.0, 1.0), ["alpha", "selu", "0.0"]),
        (("selu", 1.6, -1.0), ["beta", "selu", "-1.0"]),
    ],
)
def test_a_wrong_activation_is_refused_in_one_sentence(arguments, parts):
    with cases.refusal(*parts, by=gw.OptionError):
        gw.Activation(*arguments)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hard_sigmoid: 0.2, 0.5", gw.Activation("hard_sigmoid", 0.2, 0.5)),
        (" relu", gw.Activation("relu")),
    ],
)
def test_an_activation_is_read_from_text(text, expected):
    assert gw.Activation.parse(text) == expected


@pytest.mark.parametrize("activation", [*SUBJECTS, gw.Activation("hard_sigmoid", 1e-9, 1e9)], ids=str)
def test_text_there_and_back_is_the_identity(activation):
    assert gw.Activation.parse(str(activation)) == activation


@pytest.mark.parametrize("text", ["leaky_relu:x", "affine:1,2,3", "affine:1,,2", "hard_sigmoid:0.2", "swish:1", ""])
def test_text_that_is_no_activation_is_refused_in_one_sentence(text):
    with cases.refusal(by=gw.OptionError):
        gw.Activation.parse(text)


def test_constants_that_are_given_none_take_the_defaults():
    assert gw.Activation("elu") == gw.Activation("elu", 1.0)
    assert gw.Activation("thresholded_relu").alpha == 1.0
    assert gw.Activation("affine") == gw.Activation("affine", 1.0, 0.0)
    assert (gw.Activation("selu").alpha, gw.Activation("selu").beta) == oracle.SELU
    assert gw.Activation("sigmoid").alpha is None


def weight(name: str, a: float) -> float:
    """Return the weight of a nonlinearity of dense layers alone, in plain Python."""
    return {
        "gelu": lambda: math.erfc(-a / math.sqrt(2)) / 2,
        "gelu_tanh": lambda: oracle.sigmoid(2 * math.sqrt(2 / math.pi) * (a + 0.044715 * a**3)),
        "silu": lambda: oracle.sigmoid(a),
        "mish": lambda: math.tanh(a + math.log1p(math.exp(-a)) if a > 0 else math.log1p(math.exp(a))),
        "hard_swish": lambda: min(max(a + 3, 0), 6) / 6,
    }[name]()


@pytest.mark.parametrize("name", GATED)
def test_a_gated_nonlinearity_of_dense_layers_is_its_formula(name):
    expected = [a * weight(name, float(a)) for a in POINTS]
    np.testing.assert_allclose(activate(name, POINTS), expected, rtol=1e-13, atol=1e-14)
    narrow = activate(name, POINTS.astype(np.float32))
    assert narrow.dtype == gated_derivative(name, POINTS.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(narrow, expected, rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("name", GATED)
def test_the_derivative_of_a_gated_nonlinearity_is_the_central_difference(name):
    a = POINTS[np.abs(np.abs(POINTS) - 3) > 1e-3]  # off the kinks of hard_swish
    expected = (activate(name, a + 1e-5) - activate(name, a - 1e-5)) / 2e-5
    np.testing.assert_allclose(gated_derivative(name, a), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", GATED)
@every_dtype
def test_a_gated_nonlinearity_of_large_numbers_passes_without_a_warning(name, dtype):
    a = np.array([-1e30, -1e4, 0, 1e4, 1e30], dtype)
    np.testing.assert_array_equal(activate(name, a), np.maximum(a, 0))
    slopes = [0, 0, 0.6 if name == "mish" else 0.5, 1, 1]
    np.testing.assert_allclose(gated_derivative(name, a), slopes, rtol=1e-7, atol=0)


def test_a_gate_has_no_nonlinearity_whose_derivative_its_output_does_not_determine():
    with cases.refusal("activation", "silu", "sigmoid", by=gw.OptionError):
        gw.Variant(candidate_activation=gw.Activation("silu"))
    with cases.refusal("activation", "gelo", "gelu", "softmax", by=gw.OptionError):
        gw.Linear(np.eye(2), None, "gelo")
