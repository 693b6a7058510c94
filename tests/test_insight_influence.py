"""How many steps matter? The laws of its Jacobians, on every variant, and memories that were planted."""

from __future__ import annotations

import cases
import numpy as np
import planted
import pytest
from pairwise import pairs

import gatewise as gw
from gatewise import insight

X = np.random.default_rng(0).normal(size=(20, 2))


def frobenius(jacobian):
    return np.sqrt((np.asarray(jacobian) ** 2).sum())


def order_of(trace, t, sequence):
    """Return the valid steps from t back in the direction of the run."""
    steps = range(t, -1, -1) if trace.direction == "forward" else range(t, len(trace))
    return [s for s in steps if trace.valid is None or trace.valid[s, sequence]]


def of_one_step(trace, s, sequence):
    """Return ∂(h, c)/∂(h_prev, c_prev) and ∂(h, c)/∂x of one step, row by row, by `gw.backward`."""
    piece = trace[s : s + 1, sequence : sequence + 1]
    states, inputs = [], []
    for row in np.eye(piece.final.h.shape[1] + piece.final.c.shape[1]):
        h, c = np.split(row[None], [piece.final.h.shape[1]], axis=1)
        found = gw.backward(piece, None, gw.State(h, c))
        states.append(np.concatenate([found.state.h[0], found.state.c[0]]))
        inputs.append(found.x[0, 0])
    return np.array(states), np.array(inputs)


@pairs(variant=cases.VARIANTS, **cases.RUNS, thin=True)
def test_the_jacobian_of_many_steps_is_the_product_of_those_of_each(variant, projection, direction, valid, dropout):
    run = cases.run_of(
        variant, projection=projection, direction=direction, valid=valid, dropout=dropout, time=4, batch=3, hidden=3
    )
    trace = run.trace()
    found = insight.influence(trace)
    assert found.residual < 1e-10
    recurrent, product = trace.final.h.shape[1], np.eye(sum(part.shape[1] for part in trace.final))
    along, seen = np.ones(3), []
    on = [s for s in range(4) if trace.valid is None or trace.valid[s, 0]]
    for s in order_of(trace, on[-1] if direction == "forward" else on[0], 0):
        states, inputs = of_one_step(trace, s, 0)
        np.testing.assert_allclose(found.inputs[s], frobenius(product[:recurrent] @ inputs), rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(found.hidden_state[s], frobenius(product[:recurrent, :recurrent]), rtol=1e-10)
        np.testing.assert_allclose(found.along_cell[s], along, rtol=1e-10, atol=1e-13)
        step, kept = trace.moment((slice(s, s + 1), 0)), trace.dropout.at((s, 0)).zoneout_cell
        clip = trace.parameters.variant.cell_clip
        forget = step.f[0] if clip is None else step.f[0] * (np.abs(step.c_raw[0]) <= clip)
        along = along * (forget if kept is None else kept + (1 - kept) * forget)
        product = product @ states
        seen.append(s)
    outside = np.setdiff1d(np.arange(4), seen)
    assert not found.inputs[outside].any()


def restarted(run, s, c):
    """Return c_T of a forward run that goes on after step s with another cell state there, and its own h of that."""
    trace = run.trace()
    gate = trace.output_gate[s, 0]
    h = gate * np.tanh(c)
    rest = run.replace(x=run.x[s + 1 :, :1], state=gw.State(h[None], c[None])).trace()
    return rest.final.c[0]


def test_the_whole_derivative_of_the_cell_goes_through_the_hidden_state_of_its_own_step_too():
    run = cases.run_of("plain", time=4, hidden=3, batch=1)
    trace, found = run.trace(), insight.influence(run.trace())
    for s in range(3):
        c = trace.cell_state[s, 0]
        columns = [(restarted(run, s, c + d) - restarted(run, s, c - d)) / 2e-6 for d in 1e-6 * np.eye(3)]
        np.testing.assert_allclose(found.cell_state[s], frobenius(columns), rtol=1e-7)
    assert found.cell_state[3] == pytest.approx(np.sqrt(3))


@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "average", "none"])
@pytest.mark.parametrize("masked_output", ["zeros", "repeat"])
def test_the_influence_on_an_output_is_that_of_all_its_rows(merge, masked_output):
    rng, batch = np.random.default_rng(0), 2
    lstm = gw.LSTM(2, 3, num_layers=2, bidirectional=True, merge=["sum", merge], rng=0, dtype=np.float64)
    valid = np.array([[1, 1, 0, 1, 1], [1, 1, 1, 0, 0]], bool).T
    trace = lstm.trace(rng.normal(size=(5, batch, 2)), mask=valid, masked_output=masked_output)
    for sequence, t, step in ((0, 1, 1), (1, None, 2)):
        found, expected = insight.influence(trace, t, sequence), np.zeros(5)
        for place in np.ndindex(trace.output.shape[2:]):
            dy = np.zeros_like(trace.output)
            dy[step, sequence, *place] = 1
            expected += (gw.backward(trace, dy).x[:, sequence] ** 2).sum(1)
        np.testing.assert_allclose(found.inputs, np.sqrt(expected), rtol=1e-11)
        assert found.residual < 1e-10
        assert found.cell_state is None


@pytest.mark.parametrize("reads", ["every", "last"])
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("activation", ["softmax", "tanh", "mish", None])
def test_the_influence_on_what_a_network_says_goes_through_its_head(reads, batched, activation):
    rng = np.random.default_rng(0)
    lstm = gw.LSTM(2, 3, bidirectional=True, rng=0, dtype=np.float64)
    head = gw.Linear(rng.normal(size=(2, 6)), activation=activation)
    network = gw.Network(lstm, embedding=rng.normal(size=(7, 2)), head=head, reads=reads)
    tokens = rng.integers(0, 7, (5, 2) if batched else 5)
    trace = network.trace(tokens)
    found = insight.influence(trace, None if reads == "last" else 1, 1 if batched else 0)
    expected = np.zeros(5)
    for k in range(2):
        dy = np.zeros_like(trace.output)
        at = (1,) if batched else ()
        dy[(*((1,) if reads == "every" else ()), *at, k)] = 1
        x = gw.backward(trace, dy).lstm.x
        expected += ((x[:, 1] if batched else x) ** 2).sum(1)
    np.testing.assert_allclose(found.inputs, np.sqrt(expected), rtol=1e-11)
    assert found.residual < 1e-10
    ends = "the first and the last" if reads == "last" else "of it"
    assert ends in str(found)
    assert found.columns["lag"].tolist() == ([0, 1, 2, 1, 0] if reads == "last" else [1, 0, 1, 2, 3])


RNG = np.random.default_rng(3)
DENSE = [gw.Linear(RNG.normal(size=(5, 4)), RNG.normal(size=5), "relu"), gw.Linear(RNG.normal(size=(2, 5)))]
BRANCHES = [
    gw.Branch([2, 0], [gw.Linear(RNG.normal(size=(2, 2)), RNG.normal(size=2), "tanh")]),
    gw.Branch([1, 2], [gw.Linear(RNG.normal(size=(1, 2)))]),
]
INPUTS, OUTPUTS = gw.Scaling([1.0, -50.0, 0.0], [1.0, 100.0, 0.01]), gw.Scaling([3.0, 4.0], [100.0, -0.1])
AROUND = {
    "inputs": (None, INPUTS),
    "branches": ((), BRANCHES),
    "skip": (0, 1, 2),
    "outputs": (None, OUTPUTS),
    "reads": ("every", "last"),
    "activation": (None, "softmax"),
    "output": (None, 1),
}


def central_differences(network, x, t, output):
    """Return the derivatives (time, feature, output) of a network with respect to what it is given."""
    slopes = []
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = 1e-4 * np.abs(x[:, place[1]]).max()  # a smaller one rounds more than a slope of 1e-5 allows
        near, far = (network(x + count * step)[0] - network(x - count * step)[0] for count in (1, 2))
        slope = (8 * near - far) / (12 * step[place])  # of the fourth order
        slopes.append(slope if network.reads == "last" else slope[t])
    return np.array(slopes).reshape(*x.shape, -1)[..., slice(None) if output is None else [output]]


@pairs(**AROUND, thin=True)
def test_the_influence_is_that_of_the_whole_network_per_unit_of_what_it_is_given(
    inputs, branches, skip, outputs, reads, activation, output
):
    lstm = gw.LSTM(3, 4, rng=0, dtype=np.float64)
    skip = skip if reads == "every" else 0
    head = [DENSE[0], gw.Linear(DENSE[1].weight, DENSE[1].bias, activation)]
    parts = {"inputs": inputs, "branches": branches, "skip": skip, "outputs": outputs, "reads": reads}
    network, x = gw.Network(lstm, head=head, **parts), RNG.normal(size=(5, 3)) * [1, 100, 0.01]
    found = insight.influence(network.trace(x), None if reads == "last" else 3, output=output)
    before_softmax = gw.Network(lstm, head=DENSE, **parts)
    slopes = central_differences(network if output is None else before_softmax, x, 3, output)
    expected = np.sqrt((slopes**2).sum((1, 2)))
    rounding = 4e-16 * np.abs(network(x)[0]).max() / (1e-4 * np.abs(x).max(0))  # of a slope by each feature
    np.testing.assert_allclose(found.inputs, expected, rtol=1e-5, atol=1e-6 * expected.max() + rounding.max())
    effect = np.sqrt(((slopes * x.std(0)[:, None]) ** 2).sum((1, 2)))
    atol = 1e-6 * effect.max() + (rounding * x.std(0)).max()
    np.testing.assert_allclose(found.effect, effect, rtol=1e-5, atol=atol)
    assert found.residual < 1e-10


def test_one_output_is_asked_for_by_its_number_or_name():
    lstm = gw.LSTM(2, 3, bidirectional=True, merge="none", rng=0, dtype=np.float64)
    trace = lstm.trace(RNG.normal(size=(6, 2, 2)))
    each = [insight.influence(trace, 3, 1, output=place) for place in range(6)]
    np.testing.assert_allclose(
        np.sqrt(sum(found.inputs**2 for found in each)), insight.influence(trace, 3, 1).inputs, rtol=1e-12
    )
    head, labels = gw.Linear(RNG.normal(size=(2, 3)), None, "softmax"), gw.Labels(outputs=["dry", "wet"])
    network = gw.Network(gw.LSTM(2, 3, rng=0, dtype=np.float64), head=head, labels=labels)
    named = insight.influence(network.trace(RNG.normal(size=(6, 2))), output="wet")
    assert "the influence on output wet, before the softmax, at step 5 comes" in str(named)
    with cases.refusal("output", "3", by=gw.OptionError):
        insight.influence(network.trace(np.ones((6, 2))), output=3)
    with cases.refusal("has no outputs to choose", "0", by=gw.OptionError):
        insight.influence(trace[0, "forward"], output=0)


def test_a_model_of_one_cell_is_asked_like_its_cell():
    trace = gw.LSTM(2, 3, rng=0, dtype=np.float64).trace(np.random.default_rng(0).normal(size=(9, 2, 2)))
    one, whole = insight.influence(trace[0], 6, 1), insight.influence(trace, 6, 1)
    np.testing.assert_allclose(one.inputs, whole.inputs, rtol=1e-12)
    assert one.lag == whole.lag
    assert one.size == pytest.approx(whole.size, rel=1e-12)
    assert str(one).replace("hidden state", "output") == str(whole)


# Planted memories.


def test_the_bucket_is_reached_as_far_back_as_its_timescale_says():
    lstm, x, known = planted.bucket(timescale=20.0, steps=400)
    dates = np.datetime64("2001-01-01") + np.arange(400)
    found = insight.influence(lstm.trace(np.zeros_like(x), labels=gw.Labels(times=dates))[0])
    steps = int(np.ceil(-np.log(0.05) * known["timescale"]))  # 1 - exp(-n / timescale) >= 0.95
    assert found.lag == steps - 1
    assert str(found) == (f"95 % of the influence on the hidden state on 2002-02-04 comes from the last {steps} days.")
    assert found.columns["lag_days"][0] == 399
    np.testing.assert_allclose(found.along_cell[:, 0], known["forget"] ** np.arange(399, -1, -1), rtol=1e-10)


def slow_and_quick(timescale, gain):
    """Return a network whose dense layer hands a feature to a bucket with a small gain, and to a unit that forgets."""
    weight, bias = np.zeros((4, 2, 4)), np.zeros((4, 2))
    forget = np.exp(-1 / timescale)
    bias[0], bias[3], bias[1] = planted.SURE, planted.SURE, [np.log(forget / (1 - forget)), -planted.SURE]
    weight[2, 0, 2] = weight[2, 1, 3] = 0.01
    branch = gw.Branch([0], [gw.Linear(np.array([[gain], [1.0]]))])
    lstm, head = gw.LSTM.from_cells(gw.Parameters(weight, bias)), gw.Linear(np.ones((1, 2)))
    return gw.Network(lstm, head=head, branches=[branch], inputs=gw.Scaling([10.0], [5.0]))


@pytest.mark.parametrize(("gain", "far"), [(1.0, True), (1e-4, False)])
def test_what_a_layer_before_the_lstm_holds_back_has_no_influence(gain, far):
    x = np.random.default_rng(0).normal(10, 5, (400, 1))
    found = insight.influence(slow_and_quick(29.0, gain).trace(x))
    sums = np.cumsum(gain * np.exp(-np.arange(400) / 29) + (np.arange(400) == 0))
    assert found.lag == pytest.approx(np.searchsorted(sums, 0.95 * sums[-1]), abs=1)  # tanh is nearly a line
    assert (found.lag > 80) == far
    assert found.inputs[-1] == pytest.approx((1 + gain) * 0.01 / 5, rel=1e-2)
    assert found.size == pytest.approx(1, abs=0.15)  # a linear model of independent inputs: they are all that moves it


def test_an_influence_that_is_nothing_is_said_to_be_nothing():
    weight, bias = np.zeros((4, 1, 2)), np.zeros((4, 1))
    bias[:, 0] = planted.SURE, -3, 0, planted.SURE
    weight[2, 0] = 10, 40  # a bit, written again at each step, where nothing but a pulse of full size moves it
    x = np.zeros((200, 1))
    x[::20, 0] = RNG.choice([-1.0, 1.0], 10)
    found = insight.influence(gw.LSTM.from_cells(gw.Parameters(weight, bias)).trace(x))
    assert found.size < 1e-3
    small = "No small change of the input has much influence on the output at step 199: less than 1 % of its standard"
    assert str(found) == f"{small} deviation."
    assert found.reading == ("Inferred: from derivatives, which hold for small changes.",)


def test_numbers_of_any_size_have_an_influence_in_words():
    lstm = gw.LSTM(2, 3, rng=0, dtype=np.float64)
    for size in (1e-310, 1e-200, 1e200, 1e300):
        scaled = gw.Network(lstm, inputs=gw.Scaling(np.zeros(2), np.full(2, max(size, 1e-300))))
        for model, x in ((lstm, size * X), (scaled, size * X)):
            assert not {"nan", "inf"} & set(str(insight.influence(model.trace(x))).replace(",", " ").split())
    assert np.isnan(insight.influence(lstm.trace(np.full((5, 2), 0.1))).size)  # nothing varies
    assert np.isnan(insight.influence(lstm.trace(X[:1])).size)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"share": 1e-9}, "comes from the last step alone."),
        ({"direction": "backward"}, "comes from the next 3 steps."),
        ({"bidirectional": True}, "comes from the steps within 2 steps of it."),
        ({"bidirectional": True, "share": 1e-9}, "comes from that step alone."),
    ],
)
def test_the_lag_is_said_as_one_speaks(options, words):
    share = options.pop("share", 0.7)
    lstm = gw.LSTM(2, 3, rng=0, **options)
    assert words in str(insight.influence(lstm.trace(np.ones((20, 2))), 10, share=share))


def test_what_nothing_has_an_influence_on_is_said():
    silent = gw.Parameters(np.zeros((4, 2, 3)), np.zeros((4, 2)))
    found = insight.influence(gw.LSTM.from_cells(silent).trace(np.ones((3, 1)))[0])
    assert str(found) == "No small change of the input has an influence on the hidden state at step 2."
    assert "largest" not in found.reading[0]
    assert found.lag == 0


def test_an_influence_that_has_vanished_is_zero_and_ends_the_search():
    weight, bias = np.zeros((4, 1, 2)), np.zeros((4, 1))
    weight[2, 0, 1], bias[1] = 1, -60  # of a content exp(-60) is left
    found = insight.influence(gw.LSTM.from_cells(gw.Parameters(weight, bias)).trace(np.zeros((40, 1)))[0])
    assert found.inputs[-10] > 0
    assert not found.inputs[:20].any()
    assert not found.along_cell[:20].any()
    assert np.isfinite(found.inputs).all()


# What is refused.


def masked(**options):
    return gw.LSTM(2, 3, rng=0).trace(np.ones((4, 2, 2)), lengths=[2, 0], **options)


@pytest.mark.parametrize(
    ("ask", "parts"),
    [
        (lambda: insight.influence(masked()[0], 7), ["no step 7", "0 to 3"]),
        (lambda: insight.influence(masked(), 1.5), ["no step 1.5"]),
        (lambda: insight.influence(masked()[0], 0, 2), ["no sequence 2"]),
        (lambda: insight.influence(masked()[0], 3), ["step 3 of sequence 0", "not valid"]),
        (lambda: insight.influence(masked(), sequence=1), ["valid step"]),
        (lambda: insight.influence(masked()[0], share=0), ["share", "0"]),
        (lambda: insight.influence(masked(), share="half"), ["share", "half"]),
        (lambda: insight.influence(masked(), share=float("nan")), ["share", "nan"]),
        (lambda: insight.influence(masked(), share=10**400), ["share", "digits"]),
        (lambda: insight.influence(gw.LSTM(2, 3, rng=0).trace(np.full((4, 2), np.nan))), ["step 0", "finite"]),
        (
            lambda: insight.influence(gw.Network(gw.LSTM(2, 3, rng=0), reads="last").trace(np.ones((4, 2))), 1),
            ["at the end", "step 1"],
        ),
    ],
)
def test_bad_questions_get_one_sentence(ask, parts):
    with cases.refusal(*parts, by=gw.OptionError):
        ask()
