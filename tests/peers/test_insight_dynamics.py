"""Jacobians against PyTorch's autograd on every variant, and fixed points against SciPy's solver."""

from __future__ import annotations

import numpy as np
import pytest
from cases import DIRECTIONS, LISTED, PROJECTIONS, VALID, run_of
from pairwise import pairs

import gatewise as gw
from gatewise import insight
from gatewise.interop.torch import read

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

from peers.torch_cell import TorchCell  # noqa: E402  (needs PyTorch)
from peers.torch_live import tensors  # noqa: E402


class Watched(TorchCell):
    """The cell, with what the output gate of each step sees: the cell state before anything else uses it."""

    def gate(self, k, sums, seen):
        if k == "o":
            self.seen.append(seen)
        return super().gate(k, sums, seen)


def frobenius(rows):
    return torch.sqrt(sum((row**2).sum() for row in rows)).item()


def grads(outputs, leaf, sequence):
    """Return the rows of the Jacobian of some outputs with respect to one sequence of a leaf (batch, ·)."""
    rows = [torch.autograd.grad(one, leaf, retain_graph=True, allow_unused=True)[0] for one in outputs]
    return [torch.zeros(1) if row is None else row[sequence] for row in rows]


@pairs(variant=LISTED, projection=PROJECTIONS, direction=DIRECTIONS, valid=VALID, dropout=(False, True), seed=(0, 1))
def test_every_jacobian_is_autograds(variant, projection, direction, valid, dropout, seed):
    run = run_of(
        variant, projection=projection, direction=direction, valid=valid, dropout=dropout, seed=seed, time=6, hidden=4
    )
    trace, sequence = run.trace(), 0
    found = insight.influence(trace, sequence=sequence)
    assert found.residual < 1e-10
    cell = Watched(run.p.variant, tensors(run.p.arrays()))
    cell.seen = []
    inputs = [torch.tensor(one, requires_grad=True) for one in run.x]
    h, c = (torch.tensor(part, requires_grad=True) for part in run.state)
    masks = tensors(trace.dropout.arrays())
    steps = list(range(6)) if direction == "forward" else list(range(5, -1, -1))
    on = [s for s in steps if run.valid is None or run.valid[s, sequence]]
    states = {}
    for s in steps[: steps.index(on[-1]) + 1]:
        step = cell.step(inputs[s], h, c, {n: a if n == "weight" else a[s] for n, a in masks.items()})
        if run.valid is not None:
            living = torch.tensor(run.valid[s])[:, None]
            step |= {"h": torch.where(living, step["h"], h), "c": torch.where(living, step["c"], c)}
        h, c = step["h"], step["c"]
        states[s] = h, c if dropout else cell.seen[-1]  # under zoneout the output gate sees another one
    for s in range(6):
        rows = grads(h[sequence], inputs[s], sequence)
        np.testing.assert_allclose(found.inputs[s], frobenius(rows) if s in on else 0.0, rtol=1e-9, atol=1e-12)
    for s in on:
        rows = grads(h[sequence], states[s][0], sequence)
        np.testing.assert_allclose(found.hidden_state[s], frobenius(rows), rtol=1e-9, atol=1e-12)
        rows = grads(c[sequence], states[s][1], sequence)
        np.testing.assert_allclose(found.cell_state[s], frobenius(rows), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_influence_on_an_output_is_pytorchs_functional_jacobian(layers, bidirectional):
    theirs = torch.nn.LSTM(3, 4, layers, bidirectional=bidirectional, dtype=torch.float64)
    lstm, x = read(theirs), np.random.default_rng(0).normal(size=(7, 1, 3))
    found = insight.influence(lstm.trace(x), 4)
    jacobian = torch.autograd.functional.jacobian(lambda x: theirs(x)[0][4, 0], torch.tensor(x))[:, :, 0]
    np.testing.assert_allclose(found.inputs, torch.sqrt((jacobian**2).sum((0, 2))).numpy(), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_points_are_those_that_scipys_solver_finds_and_their_spectra_autograds(seed, scale):
    from scipy.optimize import root

    rng = np.random.default_rng(seed)
    p = gw.LSTMCell(2, 4, rng=seed, dtype=np.float64).parameters
    cell, x = gw.LSTMCell.from_parameters(p.replace(weight=scale * p.weight)), rng.normal(size=2)
    found = insight.fixed_points(cell, x)
    ours = np.concatenate([found.hidden_state, found.cell_state], axis=1)
    torch_cell = TorchCell(p.variant, tensors(cell.parameters.arrays()))

    def stepped(s):
        step = torch_cell.step(torch.tensor(x)[None], s[None, :4], s[None, 4:], {})
        return torch.cat([step["h"][0], step["c"][0]])

    solved = [root(lambda s: stepped(torch.tensor(s)).numpy() - s, rng.normal(size=8), tol=1e-13) for _ in range(20)]
    theirs = [one.x for one in solved if one.success and np.abs(one.fun).max() < 1e-11]
    assert theirs
    for point in theirs:
        assert np.abs(ours - point).max(1).min() < 1e-7
    for point, s in enumerate(ours):
        jacobian = torch.autograd.functional.jacobian(stepped, torch.tensor(s)).numpy()
        np.testing.assert_allclose(found.jacobians[point], jacobian, atol=1e-12)
