"""Attributions against others' code: Captum's, autoLRP's, and contextual decomposition by its authors (acd)."""

from __future__ import annotations

from types import SimpleNamespace

import cases
import numpy as np
import pytest
from pairwise import pairs

import gatewise as gw
from gatewise import insight
from gatewise.insight.integrated import RULES
from gatewise.interop.torch import read

torch = pytest.importorskip("torch")
captum = pytest.importorskip("captum")
autolrp = pytest.importorskip("autolrp")
acd = pytest.importorskip("acd")
pytestmark = pytest.mark.peers

from captum.attr import InputXGradient, IntegratedGradients  # noqa: E402  (needs PyTorch)

TIME, BATCH, INPUTS, HIDDEN, OUTPUTS = 6, 2, 3, 4, 2


class Net(torch.nn.Module):
    """Two layers in both directions, and a linear head on the output of one step."""

    def __init__(self, step):
        super().__init__()
        torch.manual_seed(3)
        self.lstm = torch.nn.LSTM(INPUTS, HIDDEN, num_layers=2, bidirectional=True)
        self.head = torch.nn.Linear(2 * HIDDEN, OUTPUTS)
        self.step = step
        for weight in self.lstm.parameters():
            weight.data.mul_(2)

    def forward(self, x, h, c):
        """Take batches first, as Captum does."""
        states = [one.permute(1, 0, 2).contiguous() for one in (h, c)]
        return self.head(self.lstm(x.permute(1, 0, 2), tuple(states))[0][self.step])


@pytest.fixture
def run():
    """Return a network of PyTorch's with what goes into it, and the trace of the same run."""
    net, rng = Net(2).double(), np.random.default_rng(0)
    x, h, c = rng.normal(size=(BATCH, TIME, INPUTS)), *rng.normal(size=(2, BATCH, 4, HIDDEN))
    head = gw.Linear(net.head.weight.detach().numpy(), net.head.bias.detach().numpy())
    state = [[gw.State(h[:, n], c[:, n]) for n in (2 * layer, 2 * layer + 1)] for layer in range(2)]
    trace = gw.Network(read(net.lstm), head=head).trace(x.transpose(1, 0, 2), state)
    return net, tuple(torch.tensor(one) for one in (x, h, c)), trace


def assert_same(found, theirs, sequence, tolerance):
    """Hold an attribution against theirs of x, h and c, relative to the largest."""
    x, h, c = (one.detach().numpy()[sequence] for one in theirs)
    states = [state for row in found.initial_states for state in row]
    tolerance *= max(np.abs(one).max() for one in (x, h, c))
    np.testing.assert_allclose(found.by_step, x, rtol=0, atol=tolerance)
    np.testing.assert_allclose([state.h for state in states], h, rtol=0, atol=tolerance)
    np.testing.assert_allclose([state.c for state in states], c, rtol=0, atol=tolerance)


def test_gradient_times_input_is_captums(run):
    net, given, trace = run
    theirs = InputXGradient(net).attribute(tuple(one.requires_grad_() for one in given), target=1)
    for sequence in range(BATCH):
        assert_same(insight.attribution(trace, 1, 2, sequence, "gradient_input"), theirs, sequence, 1e-12)


@pytest.mark.parametrize("based", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_integrated_gradients_are_captums(run, rule, based):
    net, given, trace = run
    baseline = np.random.default_rng(1).normal(size=(TIME, INPUTS)) if based else np.zeros((TIME, INPUTS))
    baselines = (torch.tensor(baseline)[None], *(torch.zeros_like(one) for one in given[1:]))
    theirs, gap = IntegratedGradients(net).attribute(
        given, baselines, target=0, n_steps=7, method=rule, return_convergence_delta=True
    )
    for sequence in range(BATCH):
        options = {"points": 7, "rule": rule, "baseline": baseline if based else None}
        found = insight.attribution(trace, 0, 2, sequence, **options)
        assert_same(found, theirs, sequence, 2e-7)  # Captum's points and weights are in float32
        np.testing.assert_allclose(-found.left, gap[sequence].item(), rtol=0, atol=2e-6)


# Relevance propagation.


class Written:
    """An LSTM as autoLRP sees it: gates as constants, and every sum, bias and all, as a product with a matrix."""

    def __init__(self, p):
        self.p, self.weight, self.bias = p, torch.tensor(np.array(p.weight)), torch.tensor(np.array(p.bias))

    def sum(self, *terms):
        """Return the sum of vectors, as a product with ones."""
        eye = torch.eye(terms[0].shape[-1], dtype=torch.float64)
        return torch.mm(torch.cat(terms, -1), torch.cat([eye] * len(terms)).requires_grad_())

    def affine(self, z, weight, bias):
        """Return W z + b, as a product of [z; 1]."""
        whole = torch.cat([weight, bias[:, None]], -1).T.contiguous().requires_grad_()
        return torch.mm(torch.cat([z, torch.ones(1, 1, dtype=torch.float64)], -1), whole)

    def __call__(self, x, h, c, *, reverse):
        out = [None] * len(x)
        for t in reversed(range(len(x))) if reverse else range(len(x)):
            z = torch.cat([h, x[t : t + 1]], -1)
            held = torch.Tensor(z.detach().as_subclass(torch.Tensor))
            i, f, o = (torch.sigmoid(held @ self.weight[k].T + self.bias[k]) for k in (0, 1, 3))
            g = torch.tanh(self.affine(z, self.weight[2], self.bias[2]))
            c = self.sum(f * c, i * g)
            h = o * torch.tanh(c)
            if self.p.projection is not None:
                h = torch.mm(h, torch.tensor(np.array(self.p.projection)).T.contiguous().requires_grad_())
            out[t] = h
        return torch.cat(out)


@pytest.mark.parametrize("epsilon", [1e-3, 0.1])
@pytest.mark.parametrize("merge", [None, "concat", "sum"])
@pytest.mark.parametrize("projection", [None, 3])
def test_relevance_is_autolrps_on_a_hand_written_lstm(projection, merge, epsilon):
    rng = np.random.default_rng(4)
    size, ways = projection or HIDDEN, 1 if merge is None else 2
    width = size * (ways if merge == "concat" else 1)
    cells = [
        [cases.parameters({}, rng, inputs=n, hidden=HIDDEN, projection=projection) for _ in range(ways)]
        for n in (INPUTS, width)
    ]
    head = gw.Linear(rng.normal(size=(OUTPUTS, width)), rng.normal(size=OUTPUTS))
    lstm = gw.LSTM.from_cells(cells, merge=merge or "concat")
    x = rng.normal(size=(TIME, INPUTS))
    state = [[gw.State(rng.normal(size=p.recurrent_size), rng.normal(size=HIDDEN)) for p in row] for row in cells]
    trace = gw.Network(lstm, head=head).trace(x, state)
    found = insight.attribution(trace, 1, 3, method="lrp", epsilon=epsilon)

    theirs = [[gw.State(*(autolrp.tensor(part[None]) for part in one)) for one in row] for row in state]
    seen = features = autolrp.tensor(x)
    for row, starts in zip(cells, theirs, strict=True):
        outputs = [
            Written(p)(features, *start, reverse=n == 1) for n, (p, start) in enumerate(zip(row, starts, strict=True))
        ]
        features = Written(row[0]).sum(*outputs) if merge == "sum" else torch.cat(outputs, -1)
    weight, bias = (torch.tensor(np.array(one)) for one in (head.weight, head.bias))
    y = Written(cells[0][0]).affine(features[3:4], weight, bias)[0, 1]
    y.lrp(config=autolrp.LRPConfig(eps=epsilon))
    np.testing.assert_allclose(found.value, y.item(), rtol=1e-12)
    np.testing.assert_allclose(found.by_step, y.item() * seen.relevance, atol=1e-10)
    for row, others in zip(found.initial_states, theirs, strict=True):
        for one, other in zip(row, others, strict=True):
            for part, wrapped in zip(one, other, strict=True):
                np.testing.assert_allclose(part, y.item() * wrapped.relevance[0], atol=1e-10)


# Contextual decomposition.


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of NumPy's, for tensors
@pytest.mark.parametrize(("first", "stop"), [(0, 1), (2, 5), (3, 4), (5, 6), (0, 6)])
def test_contextual_decomposition_is_its_authors(first, stop):
    torch.manual_seed(5)
    model = SimpleNamespace(
        hidden_dim=HIDDEN,
        embed=torch.nn.Embedding(10, INPUTS).double(),
        lstm=torch.nn.LSTM(INPUTS, HIDDEN).double(),
        hidden_to_label=torch.nn.Linear(HIDDEN, OUTPUTS).double(),
    )
    for weight in model.lstm.parameters():
        weight.data.mul_(3)
    tokens = torch.randint(10, (TIME, 1))
    theirs = acd.cd_text(SimpleNamespace(text=tokens), model, first, stop - 1, return_irrel_scores=True)
    head = gw.Linear(*(one.detach().numpy() for one in model.hidden_to_label.parameters()))
    net = gw.Network(read(model.lstm), embedding=model.embed.weight.detach().numpy(), head=head)
    trace = net.trace(tokens.numpy())
    for output in range(OUTPUTS):
        found = insight.decomposition(trace, first, stop, output)
        np.testing.assert_allclose(found.phrase, theirs[0][output], atol=1e-12)
        np.testing.assert_allclose(found.rest - head.bias[output], theirs[1][output], atol=1e-12)
    if stop == first + 1:
        scores = insight.attribution(trace, 1, method="contextual_decomposition").scores
        np.testing.assert_allclose(scores[first], theirs[0][1], atol=1e-12)


# The laws, on many subjects.


@pairs(
    strength=3,
    variant=[name for name in cases.VARIANTS if "norm" not in name],
    projection=cases.PROJECTIONS,
    direction=cases.DIRECTIONS,
    valid=cases.VALID,
    dropout=(False, True),
)
@pytest.mark.parametrize("method", ["lrp", "contextual_decomposition"])
def test_what_is_shared_out_adds_up_on_every_variant(method, variant, projection, direction, valid, dropout):
    run = cases.run_of(variant, projection=projection, direction=direction, valid=valid, dropout=dropout, time=5)
    for output in range(2):
        assert insight.attribution(run.trace(), output, method=method).residual < 1e-10
