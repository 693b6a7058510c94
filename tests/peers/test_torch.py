"""PyTorch's own modules, live: what they put out and every gradient they find, gatewise's are the same."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import assert_agree
from pairwise import cover

import gatewise as gw

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

INPUTS, PROJECTED = 4, 2
CASES = cover(
    {
        "layers": (1, 2, 3),
        "bidirectional": (False, True),
        "projected": (False, True),
        "bias": (True, False),
        "ragged": (False, True),
        "dtype": ("float64", "float32"),
        "batch": (1, 3),
        "hidden": (1, 5, 8),
        "initial": (False, True),
        "time": (1, 6),
    },
    strength=4,
    allowed=lambda case: not case["projected"] or case["hidden"] > PROJECTED,  # as PyTorch demands
)


def tolerance(dtype) -> float:
    """Return how far two answers may be apart: in float32 some roundings, in float64 much more than them."""
    return {"float64": 1e-12, "float32": 32 * float(np.finfo(np.float32).eps)}[np.dtype(dtype).name]


def tensor(array, *, leaf=False):
    """Return a PyTorch tensor with an array's numbers, of its own."""
    return torch.tensor(np.array(array), requires_grad=leaf)


def suffixes(lstm):
    """Return each cell of an LSTM with what PyTorch puts behind the names of its parameters."""
    return [
        ((layer, direction), f"_l{layer}{'_reverse' if direction == 'backward' else ''}")
        for layer in range(lstm.num_layers)
        for direction in lstm.directions
    ]


def as_pytorch(weight, bias, projection, recurrent):
    """Return one cell's arrays, or their gradients, by PyTorch's names: gates i f g o along the rows, x and h apart."""
    arrays = {
        "weight_ih": weight[..., recurrent:].reshape(-1, weight.shape[2] - recurrent),
        "weight_hh": weight[..., :recurrent].reshape(-1, recurrent),
        "bias_ih": bias.reshape(-1),
    }
    return arrays if projection is None else arrays | {"weight_hr": projection}


def to_pytorch(lstm, *, bias=True):
    """Return PyTorch's LSTM with gatewise's weights; the one bias is its first, and its second is zero."""
    cell = lstm.layers[0][0]
    projected = cell.parameters.projection is not None
    module = torch.nn.LSTM(
        lstm.input_size,
        lstm.hidden_size,
        lstm.num_layers,
        bias=bias,
        bidirectional=lstm.bidirectional,
        proj_size=cell.recurrent_size if projected else 0,
        dtype=getattr(torch, lstm.dtype.name),
    )
    with torch.no_grad():
        for key, suffix in suffixes(lstm):
            p = lstm[key].parameters
            for name, array in as_pytorch(p.weight, p.bias, p.projection, p.recurrent_size).items():
                if bias or name != "bias_ih":
                    getattr(module, name + suffix).copy_(tensor(array))
            if bias:
                getattr(module, "bias_hh" + suffix).zero_()
    return module


def without_bias(lstm):
    """Return the same LSTM with zero biases."""
    rows = [[c.parameters.replace(bias=np.zeros_like(c.parameters.bias)) for c in row] for row in lstm.layers]
    return gw.LSTM.from_cells(rows)


def nested(h, c, directions):
    """Return PyTorch's states (layers * directions, batch, ·) as gatewise's [layer][direction]."""
    cells = [gw.State(*one) for one in zip(h, c, strict=True)]
    return tuple(tuple(cells[start : start + directions]) for start in range(0, len(cells), directions))


def stacked(state):
    """Return gatewise's states as PyTorch's."""
    return {name: np.stack([getattr(cell, name) for layer in state for cell in layer]) for name in ("h", "c")}


def gradients_by_name(lstm, gradients, *, bias):
    """Return gatewise's gradients of all parameters by PyTorch's names."""
    found = {}
    for key, suffix in suffixes(lstm):
        of = gradients[key].parameters
        arrays = as_pytorch(of["weight"], of["bias"], of.get("projection"), lstm[key].recurrent_size)
        found |= {name + suffix: array for name, array in arrays.items() if bias or name != "bias_ih"}
    return found


def gradients_of(module):
    """Return what PyTorch's autograd left in a module's parameters; both biases have the same."""
    return {name: p.grad.numpy() for name, p in module.named_parameters() if not name.startswith("bias_hh")}


# In float32 PyTorch says once that it runs projections on its plain kernels.
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
@pytest.mark.parametrize("engine", [one.name for one in gw.engines() if one.available])
@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(str(value) for value in case.values()))
def test_outputs_states_and_every_gradient_are_those_of_pytorchs_lstm(case, engine):
    rng = np.random.default_rng(CASES.index(case))
    time, batch, dtype, bias = case["time"], case["batch"], case["dtype"], case["bias"]
    lstm = gw.LSTM(
        INPUTS,
        case["hidden"],
        num_layers=case["layers"],
        bidirectional=case["bidirectional"],
        projection_size=PROJECTED if case["projected"] else None,
        rng=rng,
        dtype=dtype,
    )
    lstm = lstm if bias else without_bias(lstm)
    module = to_pytorch(lstm, bias=bias)
    cells, recurrent = lstm.num_layers * len(lstm.directions), lstm.layers[0][0].recurrent_size

    def draw(*shape):
        return rng.normal(size=shape).astype(dtype)

    x, h0, c0 = draw(time, batch, INPUTS), draw(cells, batch, recurrent), draw(cells, batch, lstm.hidden_size)
    dy = draw(time, batch, recurrent * len(lstm.directions))
    dh, dc = draw(cells, batch, recurrent), draw(cells, batch, lstm.hidden_size)
    lengths = rng.integers(1, time + 1, batch) if case["ragged"] else None
    leaves = {"x": tensor(x, leaf=True)}
    if case["initial"]:
        leaves |= {"h0": tensor(h0, leaf=True), "c0": tensor(c0, leaf=True)}

    source = leaves["x"]
    if lengths is not None:
        source = torch.nn.utils.rnn.pack_padded_sequence(source, tensor(lengths), enforce_sorted=False)
    y, (h, c) = module(source, (leaves["h0"], leaves["c0"]) if case["initial"] else None)
    if lengths is not None:
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, total_length=time)
    ((y * tensor(dy)).sum() + (h * tensor(dh)).sum() + (c * tensor(dc)).sum()).backward()
    want = {"y": y, "h": h, "c": c}
    want = {name: found.detach().numpy() for name, found in want.items()}
    want |= {"d" + name: leaf.grad.numpy() for name, leaf in leaves.items()} | gradients_of(module)

    state = nested(h0, c0, len(lstm.directions)) if case["initial"] else None
    trace = lstm.trace(x, state, lengths=lengths, engine=engine)
    gradients = gw.backward(trace, dy, nested(dh, dc, len(lstm.directions)))
    got = {"y": trace.output, **stacked(trace.state), "dx": gradients.x}
    if case["initial"]:
        got |= {f"d{name}0": array for name, array in stacked(gradients.state).items()}
    got |= gradients_by_name(lstm, gradients, bias=bias)

    assert {array.dtype for array in got.values()} == {np.dtype(dtype)}
    assert_agree(got, want, tolerance(dtype))


def test_a_sequence_without_a_batch_axis_is_pytorchs_too():
    rng = np.random.default_rng(1)
    lstm = gw.LSTM(INPUTS, 5, num_layers=2, bidirectional=True, rng=rng, dtype=np.float64)
    module, x, dy = to_pytorch(lstm), rng.normal(size=(7, INPUTS)), rng.normal(size=(7, 10))
    h0, c0 = rng.normal(size=(2, 4, 5))
    leaf = tensor(x, leaf=True)
    y, (h, c) = module(leaf, (tensor(h0), tensor(c0)))
    (y * tensor(dy)).sum().backward()

    trace = lstm.trace(x, nested(h0, c0, 2))
    got_y, got_state = lstm(x, nested(h0, c0, 2))
    gradients = gw.backward(trace, dy)
    got = {"y": got_y, **stacked(got_state), "dx": gradients.x, **gradients_by_name(lstm, gradients, bias=True)}
    want = {"y": y.detach(), "h": h.detach(), "c": c.detach(), "dx": leaf.grad, **gradients_of(module)}
    assert_agree(got, want, tolerance(np.float64))


@pytest.mark.parametrize("hidden", [1, 6])
def test_a_cell_stepped_by_hand_is_pytorchs_lstmcell(hidden):
    rng = np.random.default_rng(hidden)
    cell = gw.LSTMCell(INPUTS, hidden, rng=rng, dtype=np.float64)
    p = cell.parameters
    module = torch.nn.LSTMCell(INPUTS, hidden, dtype=torch.float64)
    with torch.no_grad():
        for name, array in as_pytorch(p.weight, p.bias, None, hidden).items():
            getattr(module, name).copy_(tensor(array))
        module.bias_hh.zero_()

    x, dh, dc = rng.normal(size=(5, INPUTS)), *rng.normal(size=(2, 5, hidden))
    h0, c0 = rng.normal(size=(2, hidden))
    leaves = {"x": tensor(x, leaf=True), "h0": tensor(h0, leaf=True), "c0": tensor(c0, leaf=True)}
    theirs, ours, loss = (leaves["h0"], leaves["c0"]), gw.State(h0, c0), 0
    for t in range(5):
        theirs = module(leaves["x"][t], theirs)
        ours = cell.step(x[t], ours).state
        assert_agree(ours._asdict(), {"h": theirs[0].detach(), "c": theirs[1].detach()}, tolerance(np.float64))
        loss = loss + (theirs[0] * tensor(dh[t])).sum()
    (loss + (theirs[1] * tensor(dc[-1])).sum()).backward()

    lstm = gw.LSTM.from_cells(cell)
    gradients = gw.backward(lstm.trace(x, ((gw.State(h0, c0),),)), dh, ((gw.State(0 * h0, dc[-1]),),))
    got = {"x": gradients.x, "h0": gradients.state[0][0].h, "c0": gradients.state[0][0].c}
    got |= as_pytorch(gradients[0].weight, gradients[0].bias, None, hidden)
    assert_agree(got, {name: leaf.grad for name, leaf in leaves.items()} | gradients_of(module), tolerance(np.float64))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("reads", ["every", "last"])
@pytest.mark.parametrize("ragged", [False, True])
def test_an_embedding_an_lstm_and_a_linear_head_are_pytorchs(bidirectional, reads, ragged):
    rng = np.random.default_rng(5)
    lstm = gw.LSTM(INPUTS, 5, num_layers=2, bidirectional=bidirectional, rng=rng, dtype=np.float64)
    table, head = rng.normal(size=(9, INPUTS)), rng.normal(size=(3, lstm.output_size))
    network = gw.Network(lstm, embedding=table, head=gw.Linear(head, rng.normal(size=3)), reads=reads)
    tokens = rng.integers(0, 7, (6, 4))  # tokens occur again and again; 7 and 8 never
    lengths = np.array([6, 2, 1, 5]) if ragged else None

    embedding = torch.nn.Embedding.from_pretrained(tensor(table), freeze=False)
    linear, module = torch.nn.Linear(lstm.output_size, 3, dtype=torch.float64), to_pytorch(lstm)
    with torch.no_grad():
        linear.weight.copy_(tensor(network.head.weight))
        linear.bias.copy_(tensor(network.head.bias))
    source = embedding(tensor(tokens))
    if ragged:
        source = torch.nn.utils.rnn.pack_padded_sequence(source, tensor(lengths), enforce_sorted=False)
    y, (h, c) = module(source)
    if ragged:
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y)
    read = y if reads == "every" else torch.cat(list(h[-len(lstm.directions) :]), dim=-1)
    out = linear(read)
    dout, dh, dc = rng.normal(size=out.shape), rng.normal(size=h.shape), rng.normal(size=c.shape)
    ((out * tensor(dout)).sum() + (h * tensor(dh)).sum() + (c * tensor(dc)).sum()).backward()
    want = {"output": out.detach(), "h": h.detach(), "c": c.detach(), "embedding": embedding.weight.grad}
    want |= {"head_weight": linear.weight.grad, "head_bias": linear.bias.grad, **gradients_of(module)}

    output, state = network(tokens, lengths=lengths)
    gradients = gw.backward(network.trace(tokens, lengths=lengths), dout, nested(dh, dc, len(lstm.directions)))
    parts = {name: getattr(gradients, name) for name in ("embedding", "head_weight", "head_bias")}
    got = {"output": output, **stacked(state), **parts, **gradients_by_name(lstm, gradients.lstm, bias=True)}
    assert_agree(got, want, tolerance(np.float64))


@pytest.mark.parametrize("projection", [None, 20])
def test_the_initialiser_named_after_pytorch_draws_from_its_distribution(projection):
    hidden, sizes = 150, {"num_layers": 2, "bidirectional": True}
    lstm = gw.LSTM(30, hidden, **sizes, projection_size=projection, init="pytorch", rng=0, dtype=np.float64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = torch.nn.LSTM(30, hidden, **sizes, proj_size=projection or 0, dtype=torch.float64)
    numbers = {name: parameter.detach().numpy() for name, parameter in module.named_parameters()}
    ours, theirs = {}, {}
    for key, suffix in suffixes(lstm):
        p = lstm[key].parameters
        for kind, array in as_pytorch(p.weight, p.bias, p.projection, p.recurrent_size).items():
            both = numbers[kind + suffix] + (numbers["bias_hh" + suffix] if kind == "bias_ih" else 0)
            assert array.shape == both.shape
            ours.setdefault(kind, []).append(array.ravel())
            theirs.setdefault(kind, []).append(both.ravel())
    for kind in ours:
        one, other = np.sort(np.concatenate(ours[kind])), np.sort(np.concatenate(theirs[kind]))
        bound = (2 if kind == "bias_ih" else 1) / np.sqrt(hidden)  # a bias is the sum of PyTorch's two
        assert np.abs(one).max() <= bound
        assert np.abs(other).max() <= bound
        # Two samples of n numbers each (Kolmogorov and Smirnov): further apart than this once in 10 000 draws.
        places = np.concatenate([one, other])
        shares = [np.searchsorted(sample, places, side="right") / len(sample) for sample in (one, other)]
        assert np.abs(shares[0] - shares[1]).max() <= 2.23 * np.sqrt(2 / len(one)), kind
