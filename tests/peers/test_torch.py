"""PyTorch's own modules, live: what they put out and every gradient they find, gatewise's are the same.

Weights, states and gradients go from the one to the other as `gatewise.interop.torch` translates them.
"""

from __future__ import annotations

import numpy as np
import pytest
from agreement import assert_agree
from pairwise import cover
from peers.torch_live import INPUTS, TOLERANCE, lstm_module, run, tensor, torch

import gatewise as gw
from gatewise.interop import torch as gw_torch
from tests.test_states import drawn

pytestmark = pytest.mark.peers

PROJECTED = 2
CASES = cover(
    {
        "layers": (1, 2, 3),
        "bidirectional": (False, True),
        "projected": (False, True),
        "bias": (True, False),
        "ragged": (False, True),
        "dtype": ("float64", "float32"),
        "batch": (1, 3, None),
        "hidden": (1, 5, 8),
        "initial": (False, True),
        "time": (1, 6),
    },
    strength=4,
    allowed=lambda case: (
        (not case["projected"] or case["hidden"] > PROJECTED)  # as PyTorch demands
        and (case["batch"] is not None or not case["ragged"])
    ),
)


# In float32 PyTorch says once that it runs projections on its plain kernels.
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
@pytest.mark.parametrize("engine", [one.name for one in gw.engines() if one.available])
@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(str(value) for value in case.values()))
def test_outputs_states_and_every_gradient_are_those_of_pytorchs_lstm(case, engine):
    rng, batch = np.random.default_rng(CASES.index(case)), case["batch"]
    module = lstm_module(case, projected=PROJECTED)
    lstm = gw_torch.read(module)
    rows = (case["time"],) if batch is None else (case["time"], batch)
    x, dy = (rng.normal(size=(*rows, size)).astype(case["dtype"]) for size in (INPUTS, lstm.output_size))
    state, dstate = (drawn(lstm, batch, rng) for _ in range(2))
    lengths = rng.integers(1, case["time"] + 1, batch) if case["ragged"] else None

    leaves = {"dx": tensor(x, leaf=True)}
    if case["initial"]:
        leaves |= zip(("dh0", "dc0"), (tensor(part, leaf=True) for part in gw_torch.write_state(state)), strict=True)
    y, (h, c) = run(module, leaves["dx"], (leaves["dh0"], leaves["dc0"]) if case["initial"] else None, lengths)
    dh, dc = map(tensor, gw_torch.write_state(dstate))
    ((y * tensor(dy)).sum() + (h * dh).sum() + (c * dc).sum()).backward()
    want = {"y": y.detach().numpy(), "h": h.detach().numpy(), "c": c.detach().numpy()}
    want |= {name: leaf.grad.numpy() for name, leaf in {**leaves, **dict(module.named_parameters())}.items()}

    trace = lstm.trace(x, state if case["initial"] else None, lengths=lengths, engine=engine)
    gradients = gw.backward(trace, dy, dstate)
    got = {"y": trace.output, **dict(zip("hc", gw_torch.write_state(trace.state), strict=True)), "dx": gradients.x}
    if case["initial"]:
        got |= zip(("dh0", "dc0"), gw_torch.write_state(gradients.state), strict=True)
    named = gw_torch.write_gradients(gradients, lstm)
    got |= {name: array for name, array in named.items() if case["bias"] or "bias" not in name}

    assert {array.dtype for array in got.values()} == {np.dtype(case["dtype"])}
    assert list(named) == [name for name, _ in lstm_module(case | {"bias": True}).named_parameters()]
    assert_agree(got, want, TOLERANCE[case["dtype"]])


@pytest.mark.parametrize("hidden", [1, 6])
def test_a_cell_stepped_by_hand_is_pytorchs_lstmcell(hidden):
    rng = np.random.default_rng(hidden)
    module = torch.nn.LSTMCell(INPUTS, hidden, dtype=torch.float64)
    lstm = gw_torch.read(module)
    x, dh, dc = rng.normal(size=(5, INPUTS)), *rng.normal(size=(2, 5, hidden))
    h0, c0 = rng.normal(size=(2, hidden))
    leaves = {"x": tensor(x, leaf=True), "h0": tensor(h0, leaf=True), "c0": tensor(c0, leaf=True)}
    theirs, ours, loss = (leaves["h0"], leaves["c0"]), gw.State(h0, c0), 0
    for t in range(5):
        theirs = module(leaves["x"][t], theirs)
        ours = lstm[0].step(x[t], ours).state
        assert_agree(ours._asdict(), {"h": theirs[0].detach(), "c": theirs[1].detach()}, TOLERANCE["float64"])
        loss = loss + (theirs[0] * tensor(dh[t])).sum()
    (loss + (theirs[1] * tensor(dc[-1])).sum()).backward()

    gradients = gw.backward(lstm.trace(x, ((gw.State(h0, c0),),)), dh, ((gw.State(0 * h0, dc[-1]),),))
    got = {"x": gradients.x, "h0": gradients.state[0][0].h, "c0": gradients.state[0][0].c}
    got |= {name.removesuffix("_l0"): array for name, array in gw_torch.write_gradients(gradients, lstm).items()}
    want = {name: leaf.grad for name, leaf in {**leaves, **dict(module.named_parameters())}.items()}
    assert_agree(got, want, TOLERANCE["float64"])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("reads", ["every", "last"])
@pytest.mark.parametrize("ragged", [False, True])
def test_an_embedding_an_lstm_and_a_linear_head_are_pytorchs(bidirectional, reads, ragged):
    rng = np.random.default_rng(5)
    module = torch.nn.LSTM(INPUTS, 5, 2, bidirectional=bidirectional, dtype=torch.float64)
    embedding = torch.nn.Embedding(9, INPUTS, dtype=torch.float64)
    linear = torch.nn.Linear(10 if bidirectional else 5, 3, dtype=torch.float64)
    lstm = gw_torch.read(module)
    head = gw.Linear(*(one.detach().numpy() for one in linear.parameters()))
    network = gw.Network(lstm, embedding=embedding.weight.detach().numpy(), head=head, reads=reads)
    tokens = rng.integers(0, 7, (6, 4))  # tokens occur again and again; 7 and 8 never
    lengths = np.array([6, 2, 1, 5]) if ragged else None

    y, (h, c) = run(module, embedding(tensor(tokens)), lengths=lengths)
    out = linear(y if reads == "every" else torch.cat(list(h[-len(lstm.directions) :]), dim=-1))
    dstate = drawn(lstm, 4, rng)
    dout, dh, dc = rng.normal(size=out.shape), *map(tensor, gw_torch.write_state(dstate))
    ((out * tensor(dout)).sum() + (h * dh).sum() + (c * dc).sum()).backward()
    want = {"output": out.detach(), "h": h.detach(), "c": c.detach(), "embedding": embedding.weight.grad}
    want |= {"head_weight": linear.weight.grad, "head_bias": linear.bias.grad}
    want |= {name: parameter.grad for name, parameter in module.named_parameters()}

    output, state = network(tokens, lengths=lengths)
    gradients = gw.backward(network.trace(tokens, lengths=lengths), dout, dstate)
    got = {"output": output, **dict(zip("hc", gw_torch.write_state(state), strict=True))}
    got |= {name: getattr(gradients, name) for name in ("embedding", "head_weight", "head_bias")}
    assert_agree(got | gw_torch.write_gradients(gradients.lstm, lstm), want, TOLERANCE["float64"])


@pytest.mark.parametrize("projection", [None, 20])
def test_the_initialiser_named_after_pytorch_draws_from_its_distribution(projection):
    hidden, sizes = 150, {"num_layers": 2, "bidirectional": True}
    lstm = gw.LSTM(30, hidden, **sizes, projection_size=projection, init="pytorch", rng=0, dtype=np.float64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = torch.nn.LSTM(30, hidden, **sizes, proj_size=projection or 0, dtype=torch.float64)
    both = [gw_torch.state_dict(one) for one in (lstm, gw_torch.read(module))]
    for kind in ("weight_ih", "weight_hh", "bias_ih", *(["weight_hr"] if projection else [])):
        one, other = (
            np.sort(np.concatenate([array.ravel() for name, array in arrays.items() if kind in name]))
            for arrays in both
        )
        bound = (2 if kind == "bias_ih" else 1) / np.sqrt(hidden)  # a bias is the sum of PyTorch's two
        assert len(one) == len(other)
        assert max(np.abs(one).max(), np.abs(other).max()) <= bound
        # Two samples of n numbers each (Kolmogorov and Smirnov): further apart than this once in 10 000 draws.
        places = np.concatenate([one, other])
        shares = [np.searchsorted(sample, places, side="right") / len(sample) for sample in (one, other)]
        assert np.abs(shares[0] - shares[1]).max() <= 2.23 * np.sqrt(2 / len(one)), kind
