"""Every variant under every dropout, against a loop in PyTorch: forward, and autograd for all that went in."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import assert_agree
from cases import DIRECTIONS, LISTED, PROJECTIONS, dropout_of, parameters, run_of

import gatewise as gw
from gatewise.activations import GATED, KINDS

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

from peers.torch_cell import BACKWARD, FORWARD, TorchCell, assert_like_autograd, nonlinearity  # noqa: E402
from peers.torch_live import tensor, tensors  # noqa: E402

TIME, BATCH, INPUTS, HIDDEN, PROJECTED = 5, 3, 3, 4, 2

DROPOUT = {
    "no dropout": (),
    "zoneout": ("zoneout_cell", "zoneout_hidden"),
    "dropout": ("input", "recurrent"),
    "DropConnect": ("weight",),
    "all dropout": ("input", "recurrent", "zoneout_cell", "zoneout_hidden", "weight"),
}


@pytest.mark.parametrize("dropout", DROPOUT)
@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize("variant", LISTED)
def test_every_variant_is_what_autograd_makes_of_its_definition(variant, projection, dropout):
    run = run_of(variant, projection=projection, dropout=True, time=TIME)
    masks = {name: getattr(run.dropout, name) for name in DROPOUT[dropout]}
    assert_like_autograd(run.replace(dropout=gw.DropoutMasks(**masks)))


@pytest.mark.parametrize("masked_output", ["zeros", "repeat"])
@pytest.mark.parametrize("merge", [("concat", "concat"), ("sum", "mul"), ("mul", "average"), ("average", "none")])
@pytest.mark.parametrize("variant", ["plain", "peephole, coupling, clips", "peephole, coupling, layer norm of Haste"])
def test_stacks_with_masked_steps_merges_and_dropout_are_what_autograd_makes_of_them(variant, merge, masked_output):
    rng = np.random.default_rng(11)
    sizes = {"hidden": HIDDEN, "projection": PROJECTED}
    inputs = (INPUTS, 2 * PROJECTED if merge[0] == "concat" else PROJECTED)
    cells = [[parameters(LISTED[variant], rng, inputs=count, **sizes) for _ in "fb"] for count in inputs]
    dropout = [[dropout_of(p, TIME, BATCH, rng) for p in row] for row in cells]
    mask = rng.random((TIME, BATCH)) < 0.6
    mask[:, 0], mask[:, 1] = [False, True, True, False, True], False  # holes at both ends, and a row without a step
    x = rng.normal(size=(TIME, BATCH, INPUTS))
    first, last = (
        [
            [gw.State(rng.normal(size=(BATCH, PROJECTED)), rng.normal(size=(BATCH, HIDDEN))) for _ in row]
            for row in cells
        ]
        for _ in ("before", "after")
    )

    lstm = gw.LSTM.from_cells(cells, merge=merge)
    trace = lstm.trace(x, first, mask=mask, dropout=dropout, masked_output=masked_output)
    leaves = {"x": tensor(x, leaf=True)}
    for number, direction in np.ndindex(2, 2):
        arrays = cells[number][direction].arrays() | first[number][direction]._asdict()
        leaves |= {(number, direction, name): tensor(array, leaf=True) for name, array in arrays.items()}
    valid, loss, features = tensor(mask), 0, leaves["x"]
    for number in range(2):
        outputs = []
        for direction in range(2):
            own = {key[2]: tensor for key, tensor in leaves.items() if key[:2] == (number, direction)}
            cell = TorchCell(cells[number][direction].variant, own)
            masks = tensors(trace[number, DIRECTIONS[direction]].dropout.arrays())
            steps, h, c = cell.run(features, own["h"], own["c"], masks, valid=valid, reverse=direction == 1)
            end = tensors(last[number][direction]._asdict())
            loss = loss + (h * end["h"]).sum() + (c * end["c"]).sum()
            outputs.append(put_out(steps["h"], valid, masked_output, reverse=direction == 1))
        features = merged(*outputs, merge[number])
    dy = rng.normal(size=features.shape)
    (loss + (features * tensor(dy)).sum()).backward()

    assert_agree({"y": trace.output}, {"y": features.detach()}, FORWARD)
    gradients = gw.backward(trace, dy, last)
    got = {"x": gradients.x}
    for number, direction in np.ndindex(2, 2):
        found = gradients[number, DIRECTIONS[direction]]
        arrays = found.parameters | found.state._asdict()
        got |= {(number, direction, name): array for name, array in arrays.items()}
    assert_agree(got, {name: tensor.grad for name, tensor in leaves.items()}, BACKWARD)


def put_out(hidden, valid, masked_output, *, reverse):
    """Return what a direction puts out: its hidden state, and at masked steps zeros or its last output again."""
    shown, before = [None] * len(hidden), torch.zeros_like(hidden[0])
    for t in reversed(range(len(hidden))) if reverse else range(len(hidden)):
        otherwise = before if masked_output == "repeat" else torch.zeros_like(before)
        shown[t] = before = torch.where(valid[t][:, None], hidden[t], otherwise)
    return torch.stack(shown)


def merged(forward, backward, how):
    return {
        "concat": lambda: torch.cat([forward, backward], -1),
        "sum": lambda: forward + backward,
        "mul": lambda: forward * backward,
        "average": lambda: 0.5 * (forward + backward),
        "none": lambda: torch.stack([forward, backward], -2),
    }[how]()


@pytest.mark.parametrize(
    "activation",
    [
        gw.Activation(name, *({"hard_sigmoid": (0.2, 0.5), "scaled_tanh": (1.7, 0.6)}.get(name, ())))
        for name in sorted(KINDS)
    ],
    ids=str,
)
def test_every_activation_and_its_derivative_are_pytorchs(activation):
    a = np.concatenate([np.linspace(-9, 9, 101) + 0.013, [-1e-6, 1e-6, -40, 40]])  # off the kinks
    theirs = tensor(a, leaf=True)
    want = nonlinearity(activation)(theirs)
    want.sum().backward()
    got = activation(a)
    assert_agree({"y": got}, {"y": want.detach()}, 1e-14)
    slope = activation.derivative(got)
    assert_agree({"slope": slope}, {"slope": theirs.grad}, 1e-14)


GATED_OF_TORCH = {
    "gelu": torch.nn.GELU(),
    "gelu_tanh": torch.nn.GELU(approximate="tanh"),
    "silu": torch.nn.SiLU(),
    "mish": torch.nn.Mish(),
    "hard_swish": torch.nn.Hardswish(),
}


@pytest.mark.parametrize("name", GATED)
def test_the_gradients_through_a_head_with_a_gated_nonlinearity_are_pytorchs(name):
    rng = np.random.default_rng(6)
    weights = [[rng.normal(size=shape[-2:]) * 2, rng.normal(size=shape[0])] for shape in ((5, 4), (2, 5))]
    network = gw.Network(
        gw.LSTM(3, 4, rng=0, dtype=np.float64),
        head=[gw.Linear(*weights[0], name), gw.Linear(*weights[1], name)],
    )
    trace = network.trace(rng.normal(size=(6, 3, 3)))
    leaves = [[tensor(array, leaf=True) for array in pair] for pair in weights]
    read = y = tensor(trace.features, leaf=True)
    for weight, bias in leaves:
        y = GATED_OF_TORCH[name](y @ weight.T + bias)
    dy = rng.normal(size=y.shape)
    (y * tensor(dy)).sum().backward()
    assert_agree({"y": trace.output}, {"y": y.detach()}, 1e-13)
    got = gw.backward(trace, dy)
    inside = gw.backward(trace.lstm, read.grad.numpy())
    assert_agree({"x": got.x}, {"x": tensor(inside.x)}, 1e-12)
    mine = {"w0": got.hidden[0].weight, "b0": got.hidden[0].bias, "w1": got.head_weight, "b1": got.head_bias}
    theirs = {f"{kind}{n}": leaf.grad for n, pair in enumerate(leaves) for kind, leaf in zip("wb", pair, strict=True)}
    assert_agree(mine, theirs, 1e-12)


def test_the_hard_sigmoid_of_keras_3_is_pytorchs():
    a = np.linspace(-9, 9, 101)
    want = torch.nn.functional.hardsigmoid(tensor(a))
    assert_agree({"y": gw.Activation("hard_sigmoid", 1 / 6, 0.5)(a)}, {"y": want}, 1e-15)
