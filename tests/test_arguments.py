"""What a call refuses, each in one sentence."""

from __future__ import annotations

import cases
import numpy as np
import pytest
from stacks import ZEROS, random_lstm, random_x

import gatewise as gw


@pytest.mark.parametrize(
    ("x", "options", "kind", "parts"),
    [
        (np.zeros(2), {}, gw.ShapeError, ["x", "(2,)", "(time, batch, 2)", "(time, 2)"]),
        (np.zeros((4, 3, 5)), {}, gw.ShapeError, ["x", "(4, 3, 5)", "(time, batch, 2)"]),
        (np.zeros((1, 4, 3, 2)), {}, gw.ShapeError, ["x", "(1, 4, 3, 2)"]),
        (np.zeros((4, 3, 2), complex), {}, gw.OptionError, ["x", "complex128"]),
        ([[1, 2], [3]], {}, gw.ShapeError, ["x", "equal lengths"]),
        ("text", {}, gw.OptionError, ["x", "real numbers"]),
        (None, {}, gw.OptionError, ["x", "real numbers"]),
        (np.zeros((4, 3, 2)), {"lengths": [1, 2]}, gw.ShapeError, ["lengths", "3", "[1, 2]"]),
        (np.zeros((4, 3, 2)), {"lengths": [1.0, 2.0, 3.0]}, gw.ShapeError, ["lengths", "integers"]),
        (np.zeros((4, 3, 2)), {"lengths": [1, 2, 5]}, gw.OptionError, ["lengths", "0 and 4", "[1, 2, 5]"]),
        (np.zeros((4, 3, 2)), {"lengths": [-1, 2, 3]}, gw.OptionError, ["lengths", "[-1, 2, 3]"]),
        (np.zeros((4, 3, 2)), {"lengths": [[1], [2, 3]]}, gw.ShapeError, ["lengths"]),
        (np.zeros((4, 3, 2)), {"mask": np.ones((4, 3))}, gw.ShapeError, ["mask", "boolean", "float64"]),
        (np.zeros((4, 3, 2)), {"mask": np.ones((3, 4), bool)}, gw.ShapeError, ["mask", "(4, 3)", "(3, 4)"]),
        (np.zeros((4, 3, 2)), {"mask": [[True], [True, False]]}, gw.ShapeError, ["mask"]),
        (
            np.zeros((4, 3, 2)),
            {"mask": np.ones((4, 3), bool), "lengths": [1, 2, 3]},
            gw.OptionError,
            ["lengths", "mask", "not both"],
        ),
        (np.zeros((4, 3, 2)), {"masked_output": "nan"}, gw.OptionError, ["'nan'", "zeros, repeat"]),
        (np.zeros((4, 3, 2)), {"engine": "fast"}, gw.OptionError, ["'fast'", "reference"]),
    ],
)
@pytest.mark.parametrize("verb", ["__call__", "trace"])
def test_a_wrong_call_is_refused_in_one_sentence(x, options, kind, parts, verb):
    with cases.refusal(*parts, by=kind):
        getattr(random_lstm(), verb)(x, **options)


@pytest.mark.parametrize(
    ("state", "parts"),
    [
        (5, ["state", "2 layers of 1 direction"]),
        ([], ["2 layers of 1 direction"]),
        ([[ZEROS]], ["2 layers of 1 direction"]),
        ([[ZEROS, ZEROS], [ZEROS, ZEROS]], ["2 layers of 1 direction"]),
        ((np.zeros((2, 3, 3)), np.zeros((2, 3, 3))), ["2 layers of 1 direction"]),  # PyTorch's
        ([[ZEROS], [(np.zeros((3, 3)),)]], ["2 layers of 1 direction", "State(h, c)"]),
        ([[ZEROS], [(np.zeros((2, 3)), np.zeros((3, 3)))]], ["h of layer 1, forward", "(2, 3)", "(3, 3)"]),
        ([[(np.zeros((3, 3)), np.zeros((3, 4)))], [ZEROS]], ["c of layer 0, forward", "(3, 4)", "(3, 3)"]),
        ([[ZEROS], [(None, None)]], ["h", "real numbers"]),
    ],
)
def test_a_wrong_state_is_refused_in_one_sentence(state, parts):
    lstm = random_lstm(num_layers=2)
    for call in (lambda: lstm(random_x(lstm), state), lambda: lstm.trace(random_x(lstm), state)):
        with cases.refusal(*parts, by=gw.GatewiseError):
            call()
