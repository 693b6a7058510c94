"""The teaching notebook that gatewise comes from: every number it prints, as text and as a number."""

from __future__ import annotations

import numpy as np
import pytest

import gatewise as gw

# What the notebook printed, cell by cell; vectors are its columns.
SIGMOIDS = "[0.11920292 0.26894142 0.5        0.73105858 0.88079708]"
TANHS = "[-0.96402758 -0.76159416  0.          0.76159416  0.96402758]"
WEIGHTS = {
    "forget_gate": """\
[[-0.01175448 -0.00383148 -0.01471366 -0.01800569  0.001301  ]
 [ 0.01595619  0.00993161 -0.02363707 -0.00479592 -0.01650382]]""",
    "input_gate": """\
[[-0.0054349   0.00779611 -0.00502609  0.0028589   0.02703237]
 [-0.00074517 -0.01370103  0.00358587  0.0059805  -0.00306799]]""",
    "candidate": """\
[[ 0.00762969 -0.00998878  0.01009264 -0.00247785 -0.02583517]
 [ 0.00757221 -0.01776461 -0.00779696 -0.00918535 -0.00394989]]""",
    "output_gate": """\
[[ 0.00248006  0.00298038  0.00283817 -0.00471223  0.00952028]
 [-0.00638603 -0.01260901 -0.00558495  0.00172743 -0.00055948]]""",
}
BIAS = "[[0.]\n [0.]]"
INPUT = "[[0.5]\n [0.8]\n [0.2]]"
PREVIOUS = {"h": "[[0.3]\n [0.4]]", "c": "[[0.2]\n [0.3]]"}
COMBINED_INPUT = "[[0.3]\n [0.4]\n [0.5]\n [0.8]\n [0.2]]"
STEP = {
    "forget_gate": "[[0.49336036]\n [0.49745089]]",
    "input_gate": "[[0.50166712]\n [0.50006494]]",
    "candidate": "[[-0.00380958]\n [-0.01686931]]",
    "output_gate": "[[0.50037238]\n [0.49787955]]",
    "cell_state": "[[0.09676093]\n [0.14079951]]",
    "hidden_state": "[[0.04826596]\n [0.0696416 ]]",
}

X, H, C = np.array([0.5, 0.8, 0.2]), np.array([0.3, 0.4]), np.array([0.2, 0.3])


def printed(text: str) -> np.ndarray:
    """Return the array that NumPy printed."""
    rows = [[float(number) for number in row.split()] for row in text.strip("[]").replace("[", "").split("]")]
    return np.array(rows[0] if len(rows) == 1 else rows)


def assert_prints(array: np.ndarray, text: str) -> None:
    """Assert that an array prints as the text, and is its numbers to the last printed digit."""
    assert str(array) == text
    np.testing.assert_allclose(array, printed(text), rtol=0, atol=1e-8)


@pytest.fixture
def cell() -> gw.LSTMCell:
    return gw.LSTMCell(input_size=3, hidden_size=2, init="notebook", scale=0.01, seed=1010, dtype=np.float64)


@pytest.fixture
def by_cell(cell):
    return cell.step(X, gw.State(H, C))


@pytest.fixture
def by_trace(cell):
    trace = gw.LSTM.from_cells(cell).trace(X[None], [[gw.State(H, C)]])
    return trace[0].step(0)


steps = pytest.mark.parametrize("step", ["by_cell", "by_trace"])


def test_the_text_is_read_as_numpy_prints_it():
    """The helper above, so that the comparisons below cannot be empty."""
    np.testing.assert_array_equal(printed(BIAS), [[0], [0]])
    np.testing.assert_array_equal(printed(STEP["hidden_state"]), [[0.04826596], [0.0696416]])
    assert printed(WEIGHTS["candidate"]).shape == (2, 5)
    assert printed(SIGMOIDS)[-1] == 0.88079708


@pytest.mark.parametrize(("name", "text"), [("sigmoid", SIGMOIDS), ("tanh", TANHS)])
def test_the_activations_print_the_notebook_s_table(name, text):
    assert_prints(gw.Activation(name)(np.array([-2.0, -1.0, 0.0, 1.0, 2.0])), text)


@pytest.mark.parametrize("gate", WEIGHTS)
def test_the_weights_are_drawn_as_the_notebook_draws_them(cell, gate):
    row = gw.gates.index(gate)
    assert_prints(cell.parameters.weight[row], WEIGHTS[gate])
    assert_prints(cell.parameters.bias[row][:, None], BIAS)


@steps
def test_the_step_starts_from_the_notebook_s_input_and_states(step, request):
    step = request.getfixturevalue(step)
    assert_prints(step.x[:, None], INPUT)
    assert_prints(step.previous.h[:, None], PREVIOUS["h"])
    assert_prints(step.previous.c[:, None], PREVIOUS["c"])
    assert_prints(step.combined_input[:, None], COMBINED_INPUT)


@steps
@pytest.mark.parametrize("quantity", STEP)
def test_every_quantity_of_the_step_prints_as_in_the_notebook(step, quantity, request):
    step = request.getfixturevalue(step)
    assert_prints(getattr(step, quantity)[:, None], STEP[quantity])


def test_single_precision_prints_six_of_the_digits():
    cell = gw.LSTMCell(3, 2, init="notebook", scale=0.01, seed=1010, dtype=np.float32)
    step = cell.step(X, gw.State(H, C))
    assert step.hidden_state.dtype == np.float32
    for quantity, text in STEP.items():
        np.testing.assert_allclose(getattr(step, quantity)[:, None], printed(text), rtol=0, atol=1e-7)


def test_the_defaults_of_the_initialiser_are_the_notebook_s():
    again = gw.LSTMCell(3, 2, init="notebook", dtype=np.float64)
    assert_prints(again.parameters.weight[1], WEIGHTS["forget_gate"])
