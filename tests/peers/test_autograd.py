"""Every variant under every dropout, against a loop in PyTorch: forward, and autograd for all that went in."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import assert_agree
from cases import LISTED, parameters

import gatewise as gw
from gatewise.activations import KINDS

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

from peers.torch_cell import TorchCell, nonlinearity  # noqa: E402  (needs PyTorch)

TIME, BATCH, INPUTS, HIDDEN, PROJECTED = 5, 3, 3, 4, 2
FORWARD, BACKWARD = 1e-12, 1e-10

DROPOUT = {
    "no dropout": (),
    "zoneout": ("zoneout_cell", "zoneout_hidden"),
    "dropout": ("input", "recurrent"),
    "DropConnect": ("weight",),
    "all dropout": ("input", "recurrent", "zoneout_cell", "zoneout_hidden", "weight"),
}


def drawn_masks(names, recurrent, rng, time=TIME, batch=BATCH, inputs=INPUTS):
    """Return dropout masks as they are drawn in training; zoneout of the hidden state as afterwards, a share of 0.3."""

    def dropout(*shape):
        return rng.integers(0, 2, shape) / 0.5

    drawn = {
        "input": dropout(time, batch, inputs),
        "recurrent": np.broadcast_to(dropout(batch, recurrent), (time, batch, recurrent)),  # one mask for all steps
        "zoneout_cell": rng.integers(0, 2, (time, batch, HIDDEN)).astype(float),
        "zoneout_hidden": np.full((time, batch, recurrent), 0.3),
        "weight": dropout(4, HIDDEN, recurrent),
    }
    return {name: drawn[name] for name in names}


def leaf(array):
    return torch.tensor(np.array(array), requires_grad=True)


def constants(arrays):
    return {name: torch.tensor(np.array(array)) for name, array in arrays.items()}


@pytest.mark.parametrize("dropout", DROPOUT.values(), ids=DROPOUT)
@pytest.mark.parametrize("projection", [None, PROJECTED, "clipped"])
@pytest.mark.parametrize("variant", LISTED.values(), ids=LISTED)
def test_every_variant_is_what_autograd_makes_of_its_definition(variant, projection, dropout):
    rng = np.random.default_rng(7)
    if projection == "clipped":
        variant, projection = variant | {"projection_clip": 0.3}, PROJECTED
    p = parameters(variant, rng, inputs=INPUTS, hidden=HIDDEN, projection=projection)
    drawn = drawn_masks(dropout, p.recurrent_size, rng)
    x = rng.normal(size=(TIME, BATCH, INPUTS))
    h0, c0 = rng.normal(size=(BATCH, p.recurrent_size)), rng.normal(size=(BATCH, HIDDEN))
    dy, dh, dc = rng.normal(size=(TIME, BATCH, p.recurrent_size)), rng.normal(size=h0.shape), rng.normal(size=c0.shape)

    leaves = {name: leaf(array) for name, array in (p.arrays() | {"x": x, "h0": h0, "c0": c0}).items()}
    cell = TorchCell(p.variant, leaves)
    steps, h, c = cell.run(leaves["x"], leaves["h0"], leaves["c0"], constants(drawn))
    ((steps["h"] * torch.tensor(dy)).sum() + (h * torch.tensor(dh)).sum() + (c * torch.tensor(dc)).sum()).backward()

    lstm = gw.LSTM.from_cells(p)
    trace = lstm.trace(x, ((gw.State(h0, c0),),), dropout=[[gw.DropoutMasks(**drawn)]])
    kept = {letter: trace[0].gates[:, :, place] for place, letter in enumerate("ifgo")}
    kept |= {"c": trace[0].cell_state, "h": trace[0].hidden_state}
    if projection is not None:
        kept["m"] = trace[0].unprojected_state
    assert_agree(kept, {name: steps[name].detach() for name in kept}, FORWARD)
    assert_agree(trace.state[0][0]._asdict(), {"h": h.detach(), "c": c.detach()}, FORWARD)

    gradients = gw.backward(trace, dy, ((gw.State(dh, dc),),))
    got = gradients[0].parameters | {"x": gradients.x}
    got |= {"h0": gradients.state[0][0].h, "c0": gradients.state[0][0].c}
    assert_agree(got, {name: tensor.grad for name, tensor in leaves.items()}, BACKWARD)


@pytest.mark.parametrize("masked_output", ["zeros", "repeat"])
@pytest.mark.parametrize("merge", [("concat", "concat"), ("sum", "mul"), ("mul", "average"), ("average", "none")])
@pytest.mark.parametrize("variant", ["plain", "peephole, coupling, clips", "peephole, coupling, layer norm of Haste"])
def test_stacks_with_masked_steps_merges_and_dropout_are_what_autograd_makes_of_them(variant, merge, masked_output):
    rng = np.random.default_rng(11)
    sizes = {"hidden": HIDDEN, "projection": PROJECTED}
    inputs = (INPUTS, 2 * PROJECTED if merge[0] == "concat" else PROJECTED)
    cells = [[parameters(LISTED[variant], rng, inputs=count, **sizes) for _ in "fb"] for count in inputs]
    drawn = [[drawn_masks(DROPOUT["all dropout"], PROJECTED, rng, inputs=p.input_size) for p in row] for row in cells]
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

    leaves = {"x": leaf(x)}
    for number, direction in np.ndindex(2, 2):
        arrays = cells[number][direction].arrays() | first[number][direction]._asdict()
        leaves |= {(number, direction, name): leaf(array) for name, array in arrays.items()}
    valid, loss, features = torch.tensor(mask), 0, leaves["x"]
    for number in range(2):
        outputs = []
        for direction in range(2):
            own = {key[2]: tensor for key, tensor in leaves.items() if key[:2] == (number, direction)}
            cell = TorchCell(cells[number][direction].variant, own)
            dropout = constants(drawn[number][direction])
            steps, h, c = cell.run(features, own["h"], own["c"], dropout, valid=valid, reverse=direction == 1)
            end = constants(last[number][direction]._asdict())
            loss = loss + (h * end["h"]).sum() + (c * end["c"]).sum()
            outputs.append(put_out(steps["h"], valid, masked_output, reverse=direction == 1))
        features = merged(*outputs, merge[number])
    dy = rng.normal(size=features.shape)
    (loss + (features * torch.tensor(dy)).sum()).backward()

    lstm = gw.LSTM.from_cells(cells, merge=merge)
    dropout = [[gw.DropoutMasks(**one) for one in row] for row in drawn]
    trace = lstm.trace(x, first, mask=mask, dropout=dropout, masked_output=masked_output)
    assert_agree({"y": trace.output}, {"y": features.detach()}, FORWARD)
    gradients = gw.backward(trace, dy, last)
    got = {"x": gradients.x}
    for number, direction in np.ndindex(2, 2):
        found = gradients[number, ("forward", "backward")[direction]]
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
    theirs = leaf(a)
    want = nonlinearity(activation)(theirs)
    want.sum().backward()
    got = activation(a)
    assert_agree({"y": got}, {"y": want.detach()}, 1e-14)
    slope = activation.derivative(got)
    assert_agree({"slope": slope}, {"slope": theirs.grad}, 1e-14)


def test_the_hard_sigmoid_of_keras_3_is_pytorchs():
    a = np.linspace(-9, 9, 101)
    want = torch.nn.functional.hardsigmoid(torch.tensor(a))
    assert_agree({"y": gw.Activation("hard_sigmoid", 1 / 6, 0.5)(a)}, {"y": want}, 1e-15)
