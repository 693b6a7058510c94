"""Every row of the table of operations: its gradients, its settings, what it says that it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from operation_examples import EXAMPLES, NO_EXAMPLE, Example

from gatewise.network.graph import Node
from gatewise.network.operations import FLAT, OPERATIONS, products

EACH = [pytest.param(example, id=f"{example.op}-{place}") for place, example in enumerate(EXAMPLES)]
STEP = 1e-6


def smooth(example: Example) -> list[int]:
    """Return the places of the inputs that have gradients."""
    return [n for n, one in enumerate(example.inputs) if getattr(one, "dtype", None) == np.float64]


def vjp(example: Example, g: tuple[Any, ...]) -> Any:
    row = OPERATIONS[example.op]
    if row.record is not None:
        _, y = row.record(*example.inputs, **example.settings)
        return row.vjp(g, y, *example.inputs, **example.settings)
    y = example.forward()
    several = example.op in ("split", "chunk")
    return row.vjp(g if several else g[0], y if several else y[0], *example.inputs, **example.settings)


def test_every_operation_has_an_example():
    assert {example.op for example in EXAMPLES} | NO_EXAMPLE == OPERATIONS.keys()


@pytest.mark.parametrize("example", EACH)
def test_a_gradient_equals_central_differences(example):
    row = OPERATIONS[example.op]
    with np.errstate(all="ignore"):
        y = example.forward()
    rng = np.random.default_rng(1)
    g = tuple(rng.standard_normal(one.shape) for one in y)
    gradients = vjp(example, g)
    assert len(gradients) >= len(example.inputs)

    def loss(place: int, x: Any) -> float:
        inputs = [*example.inputs]
        inputs[place] = x
        with np.errstate(all="ignore"):
            made = example.forward(*inputs)
        return sum(float((one.astype(float) * part).sum()) for one, part in zip(made, g, strict=True))

    for place in smooth(example):
        x, got = example.inputs[place], gradients[place]
        differences = np.zeros_like(x)
        if row.vjp is not FLAT:
            for at in np.ndindex(x.shape):
                moved = x.copy()
                moved[at] += STEP
                above = loss(place, moved)
                moved[at] -= 2 * STEP
                differences[at] = (above - loss(place, moved)) / (2 * STEP)
        if got is None:
            assert not differences.any(), "the gradient is left out"
        else:
            assert got.shape == x.shape
            assert got.dtype == x.dtype
            np.testing.assert_allclose(
                got, differences, rtol=2e-6, atol=2e-7 * max(1, np.abs(differences).max(initial=0))
            )


@pytest.mark.parametrize("example", EACH)
def test_the_cost_is_known_before_anything_is_made(example):
    row = OPERATIONS[example.op]
    made = sum(one.size for one in example.forward())
    cost = row.cost(*example.inputs, **example.settings)
    assert made <= cost.numbers or example.op == "choose" or row.has_body  # whose steps are charged as they run
    assert cost.numbers <= 8 * max(made, *(getattr(one, "size", 0) for one in example.inputs))


def test_each_setting_changes_the_output():
    unchanged, tried = [], set()
    for example in EXAMPLES:
        with np.errstate(all="ignore"):
            before = example.forward()
        for name, value in example.others.items():
            tried.add((example.op, name))
            try:
                after = example.forward(**{name: value})
            except ValueError:
                continue  # refused
            same = len(before) == len(after) and all(
                one.dtype == other.dtype and np.array_equal(one, other)
                for one, other in zip(before, after, strict=True)
            )
            if same:
                unchanged.append((example.op, name))
    every = {(op, name) for op, row in OPERATIONS.items() for name in row.settings if op not in NO_EXAMPLE}
    assert unchanged == []
    assert every - tried == {("conv", "groups")}, "a convolution in other groups is refused: see below"


@pytest.mark.parametrize("example", [one for one in EXAMPLES if one.op == "conv"])
def test_a_convolution_whose_windows_are_too_many_to_hold_is_the_same(example, monkeypatch):
    forward = OPERATIONS["conv"].forward
    expected = forward(*example.inputs, **example.settings)
    monkeypatch.setattr(products, "MAX_COLUMNS", 0)
    np.testing.assert_allclose(forward(*example.inputs, **example.settings), expected, rtol=1e-6, atol=1e-6)


def test_a_convolution_in_groups_that_do_not_fit_is_refused():
    example = next(one for one in EXAMPLES if one.op == "conv" and one.settings["groups"] == 2)
    with pytest.raises(ValueError, match="4 channels in 4 groups"):
        example.forward(groups=4)


@pytest.mark.parametrize("op", OPERATIONS)
def test_an_unknown_setting_or_a_missing_input_is_an_error_by_itself(op):
    row = OPERATIONS[op]
    needed = {name: None for name, must in row.settings.items() if must}
    least, most = row.arity
    row.require(least, needed)
    with pytest.raises(TypeError, match="no setting 'colour'"):
        row.require(least, {**needed, "colour": 1})
    with pytest.raises(TypeError, match="takes"):
        row.require(most + 1 if most is not None else -1, needed)
    for name in needed:
        with pytest.raises(TypeError, match=f"lacks the setting '{name}'"):
            row.require(least, needed.keys() - {name})


@pytest.mark.parametrize("example", EACH)
def test_what_is_called_affine_is_affine(example):
    """f(x + d) + f(x - d) = 2 f(x) in the inputs that the row names; and some curved operation is not."""
    row, places = OPERATIONS[example.op], smooth(example)
    rng = np.random.default_rng(2)
    groups = {"all": [places], "each": [[one] for one in places], "first": [[one] for one in places[:1]]}
    for group in groups.get(row.affine, []):
        by = {place: rng.standard_normal(example.inputs[place].shape) for place in group}
        above, below = (
            example.forward(*(one + sign * by[n] if n in by else one for n, one in enumerate(example.inputs)))
            for sign in (1, -1)
        )
        for middle, up, down in zip(example.forward(), above, below, strict=True):
            np.testing.assert_allclose(up.astype(float) + down, 2.0 * middle, rtol=1e-12, atol=1e-12)


def test_a_node_says_what_it_is():
    node = Node("head", "softmax", ("y",), ("z",), {"axis": -1})
    assert str(node) == "z = softmax(y, axis=-1)"
