"""Questions about an LSTM in a graph: as of the same `Network`, as PyTorch's autograd, and as direct re-runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import gatewise as gw
from gatewise.network.graph import Builder
from gatewise.network.graph_network import GraphNetwork
from gatewise.network.lstm_in_graph import run_in_graph
from gatewise.network.parts_graph import graph_of

STEPS, BATCH, FIXED = 24, 2, 3


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def head(outputs, inputs, activation=None):
    return gw.Linear(numbers(outputs, inputs, seed=3), numbers(outputs, seed=4), activation)


NETWORKS = {
    "a linear head": lambda: gw.Network(gw.LSTM(3, 5, rng=0), head=head(2, 5)),
    "classes": lambda: gw.Network(gw.LSTM(3, 5, rng=1), head=head(3, 5, "softmax")),
    "two layers": lambda: gw.Network(gw.LSTM(3, 4, num_layers=2, rng=2), head=head(1, 4)),
    "both directions": lambda: gw.Network(gw.LSTM(3, 4, bidirectional=True, rng=2), head=head(2, 8)),
    "the last step": lambda: gw.Network(gw.LSTM(3, 5, rng=5), head=head(2, 5), reads="last"),
    "layers before": lambda: gw.Network(
        gw.LSTM(4, 5, rng=6), branches=[gw.Branch((0, 1, 2), [head(4, 3, "tanh")])], head=head(2, 5)
    ),
}


def runs(name):
    """Return the run of a network, and that of its graph."""
    network = NETWORKS[name]()
    x = numbers(STEPS, BATCH, 3, seed=7)
    return network.trace(x), run_in_graph(GraphNetwork(graph_of(network)).trace(x), "lstm")


ASKED = {
    "ablation": lambda run: gw.insight.ablation(run),
    "gates": lambda run: gw.insight.ablation(run, parts="gates"),
    "ablation of an output": lambda run: gw.insight.ablation(run, output=0),
    "horizon": lambda run: gw.insight.horizon(run),
    "influence": lambda run: gw.insight.influence(run, sequence=1, output=0),
    "integrated gradients": lambda run: gw.insight.attribution(run, 0, sequence=1),
    "gradient times input": lambda run: gw.insight.attribution(run, 0, sequence=1, method="gradient_input"),
    "relevance": lambda run: gw.insight.attribution(run, 0, sequence=1, method="lrp"),
    "occlusion": lambda run: gw.insight.occlusion(run, 0, sequence=1),
    "ceiling": lambda run: gw.insight.ceiling(run),
    "timescales": lambda run: gw.insight.timescales(run.lstm.first),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("question", ASKED)
def test_a_graph_gives_the_answer_of_the_same_network(name, question):
    ordinary, graph = runs(name)
    if question == "horizon" and name == "the last step":
        with pytest.raises(gw.OptionError, match="not for this network, because it has no output for each step"):
            ASKED[question](graph)
        return
    expected, found = ASKED[question](ordinary), ASKED[question](graph)
    if question == "influence" and name == "the last step":  # a graph has no outputs of earlier steps to compare with
        assert str(expected).startswith(str(found).removesuffix("."))
    else:
        assert str(found) == str(expected)
    for key, column in expected.columns.items():
        if column.dtype.kind == "f":
            np.testing.assert_allclose(found.columns[key], column, rtol=1e-4, atol=1e-6)
        else:
            assert found.columns[key].tolist() == column.tolist()


def encoder_and_decoder():
    """Return a network of two LSTMs with a layer norm between them, and a nonlinear head."""
    build = Builder()
    x = build.input("x", (None, None, 3))
    y, _, _ = build.add("lstm", x, lstm=gw.LSTM(3, 5, rng=0), name="encoder")
    n = build.add("tanh", build.add("mul", y, np.float32(2)), name="norm")
    z, _, _ = build.add("lstm", n, lstm=gw.LSTM(5, 4, rng=1), name="decoder")
    out = build.add("linear", z, numbers(2, 4, seed=3), numbers(2, seed=4), name="head")
    return GraphNetwork(build.graph([build.add("tanh", out, name="bent")]))


def two_runs():
    trace = encoder_and_decoder().trace(numbers(STEPS, BATCH, 3, seed=7))
    return trace, {name: run_in_graph(trace, name) for name in ("encoder", "decoder")}


def test_ablation_of_an_lstm_changes_what_a_rerun_changes():
    trace, around = two_runs()
    for name, run in around.items():
        answer = gw.insight.ablation(run, metric=lambda y: float(y.sum()))
        for part, metric in zip(answer.names, answer.metrics, strict=True):
            unit = int(part.removeprefix("unit "))
            edited = trace.network.lstms[name].trace(
                trace[name].first.input, edit=gw.Edit.set("output_gate", 0.0, units=unit), engine="reference"
            )
            again = trace.rerun(**{name: edited.output})
            assert metric == pytest.approx(float(again.output.sum()), rel=1e-4)


@pytest.mark.peers
def test_influence_is_the_gradient_of_pytorch():
    torch = pytest.importorskip("torch")
    trace, around = two_runs()
    modules = []
    for name in ("encoder", "decoder"):
        lstm = trace.network.lstms[name]
        module = torch.nn.LSTM(lstm.input_size, lstm.hidden_size)
        p = lstm.layers[0][0].parameters
        order = [0, 1, 2, 3]
        with torch.no_grad():
            module.weight_ih_l0.copy_(torch.tensor(np.concatenate(p.input_weight[order])))
            module.weight_hh_l0.copy_(torch.tensor(np.concatenate(p.recurrent_weight[order])))
            module.bias_ih_l0.copy_(torch.tensor(np.concatenate(p.bias[order])))
            module.bias_hh_l0.zero_()
        modules.append(module)
    x = torch.tensor(trace.run.values["x"]).requires_grad_()
    hidden = torch.tanh(2 * modules[0](x)[0])
    y = torch.tanh(modules[1](hidden)[0] @ torch.tensor(numbers(2, 4, seed=3)).T + torch.tensor(numbers(2, seed=4)))
    np.testing.assert_allclose(trace.output, y.detach().numpy(), atol=1e-5)
    (expected,) = torch.autograd.grad(y[17, 1, 0], x)
    for run in around.values():
        found = gw.insight.influence(run, 17, 1, output=0)
        np.testing.assert_allclose(found.inputs, expected[:, 1].norm(dim=-1).numpy(), atol=1e-6)
        assert found.residual < 1e-5


def test_integrated_gradients_add_up_to_the_difference_that_reruns_have():
    trace, around = two_runs()
    for name, run in around.items():
        answer = gw.insight.attribution(run, 1, 17, 0)
        base = trace.network.lstms[name].trace(np.zeros_like(trace[name].first.input))
        at_zero = trace.rerun(**{name: base.output}).output[17, 0, 1]
        assert answer.value == pytest.approx(trace.output[17, 0, 1], abs=1e-6)
        assert answer.baseline_value == pytest.approx(float(at_zero), abs=1e-6)
        assert answer.scores.sum() == pytest.approx(answer.value - answer.baseline_value, abs=1e-4)


def test_an_occlusion_changes_what_a_rerun_changes():
    trace, around = two_runs()
    answer = gw.insight.occlusion(around["encoder"], 0, 17, 1, baseline=0.0)
    x = np.array(trace.run.values["x"])
    for step in (3, 16, 17):
        changed = x.copy()
        changed[step, 1] = 0
        off = trace.rerun(x=changed).output[17, 1, 0] - trace.output[17, 1, 0]
        assert answer.columns["change"][step] == pytest.approx(float(off), abs=1e-6)


def test_what_needs_a_weighted_sum_says_why_it_is_not_for_a_network():
    _, around = two_runs()
    words = "not for this network, because its output is not affine in the output of its LSTM 'decoder'"
    for ask in (
        gw.insight.ceiling,
        lambda run: gw.insight.attribution(run, method="lrp"),
        lambda run: gw.insight.decomposition(run, 3, 5),
    ):
        with pytest.raises(gw.OptionError, match=words):
            ask(around["decoder"])


def test_an_lstm_over_other_steps_than_the_input_is_not_shown_with_its_network():
    build = Builder()
    x = build.input("x", (None, None, 4))
    shorter = build.add("slice", x, np.array([1]), np.array([2**31]), np.array([0]), np.array([1]), name="later")
    y, _, _ = build.add("lstm", shorter, lstm=gw.LSTM(4, 4, rng=0), name="rnn")
    trace = GraphNetwork(build.graph([y])).trace(numbers(9, 2, 4))
    with pytest.raises(gw.OptionError, match="no input of the network has a step for each of the 8 steps"):
        run_in_graph(trace, "rnn")


@pytest.mark.parametrize("name", ["a linear head", "both directions"])
@pytest.mark.parametrize("question", ASKED)
def test_a_fixed_number_of_sequences_changes_no_answer(name, question):
    """The graph runs blocks of three sequences, the last of which it fills up."""
    graph = graph_of(NETWORKS[name]())
    (port,) = graph.inputs
    fixed = GraphNetwork(replace(graph, inputs=(replace(port, shape=(None, FIXED, 3)),)))
    trace = fixed.trace(numbers(STEPS, FIXED, 3, seed=7))
    run = run_in_graph(trace, "lstm")
    expected_run = run_in_graph(GraphNetwork(graph).trace(numbers(STEPS, FIXED, 3, seed=7)), "lstm")
    expected, found = ASKED[question](expected_run), ASKED[question](run)
    assert str(found) == str(expected)


def test_an_occlusion_of_a_forward_lstm_also_exchanges_steps_that_another_one_reads_backwards():
    build = Builder()
    x = build.input("x", (None, None, 3))
    y, _, _ = build.add("lstm", x, lstm=gw.LSTM(3, 5, bidirectional=True, rng=0), name="encoder")
    z, _, _ = build.add("lstm", y, lstm=gw.LSTM(10, 4, rng=1), name="decoder")
    network = GraphNetwork(build.graph([z]))
    features = numbers(STEPS, 1, 3, seed=7)
    answer = gw.insight.occlusion(run_in_graph(network.trace(features), "decoder"), 0, t=12, baseline=0)
    for step, change in zip(answer.columns["time"], answer.columns["change"], strict=True):
        changed = features.copy()
        changed[step] = 0
        assert change == pytest.approx(float((network(changed)[0] - network(features)[0])[12, 0, 0]), abs=1e-6)


def test_the_work_of_a_graph_grows_with_its_steps_and_bounds_its_questions():
    runs = [run_in_graph(encoder_and_decoder().trace(numbers(steps, BATCH, 3)), "decoder") for steps in (20, 40)]
    short, long = (run.network.work for run in runs)
    assert long == 2 * short
    assert short > 20 * sum(cell.parameters.weight.size for cell in runs[0].lstm.cells().values())
    with pytest.raises(gw.OptionError, match=r"an occlusion of this model takes .* multiplications"):
        gw.insight.occlusion(runs[0], 0, work=short / 1000)
