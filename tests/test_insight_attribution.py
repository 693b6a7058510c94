"""Why this output? Attributions: their laws on every variant, what was planted, and what is refused."""

from __future__ import annotations

import cases
import numpy as np
import planted
import pytest
from cases import refusal
from pairwise import pairs
from stacks import random_lstm, random_state, random_x

import gatewise as gw
from gatewise import insight
from gatewise.insight.attribution import METHODS

RULED = [
    name for name in cases.VARIANTS if "norm" not in name
]  # the variants that LRP and decomposition have rules for
MERGES = [("concat", "concat"), ("sum", "mul"), ("mul", "average"), ("average", "none")]
FEW = {"integrated_gradients": {"points": 6}}  # points, where a test is of something else


def shares(trace, *args, method, **options):
    return insight.attribution(trace, *args, method=method, **FEW.get(method, {}), **options)


def stacked(merge=("concat", "sum"), reads="every", masked_output="zeros", activation="softmax", seed=0):
    """Return a network of two layers in both directions, and the trace of a run with masked steps and states."""
    rng = np.random.default_rng(seed)
    lstm = random_lstm(num_layers=2, bidirectional=True, merge=merge, projection_size=2)
    weight = rng.normal(size=(3, lstm.output_size))
    head = None if merge[-1] == "none" else gw.Linear(weight, rng.normal(size=3), activation)
    net = gw.Network(lstm, head=head, reads=reads)
    mask = np.array([[1, 1, 0, 1, 1], [0, 1, 1, 0, 0]], bool).T
    run = {"state": random_state(lstm, 2), "mask": mask, "masked_output": masked_output}
    return net, random_x(lstm, 5, 2), run


# Laws.


@pairs(variant=RULED, **cases.RUNS, thin=True)
def test_relevance_and_decomposition_add_up_to_the_output(variant, projection, direction, valid, dropout):
    run = cases.run_of(variant, projection=projection, direction=direction, valid=valid, dropout=dropout, time=4)
    trace = run.trace()
    for method in ("lrp", "contextual_decomposition"):
        found = insight.attribution(trace, 1, method=method)
        assert found.residual < 1e-10
        assert found.scores.sum() + found.initial + found.left == pytest.approx(found.value, abs=1e-12)
    assert insight.decomposition(trace, 1, 3, 1).residual < 1e-10


@pairs(variant=cases.VARIANTS, **cases.RUNS, thin=True)
def test_word_scores_add_up_to_the_output(variant, projection, direction, valid, dropout):
    run = cases.run_of(variant, projection=projection, direction=direction, valid=valid, dropout=dropout, time=4)
    variant = run.p.variant
    clipped = variant.cell_clip is not None or variant.projection_clip is not None
    if clipped or dropout or variant.layer_norm == "haste":
        with pytest.raises(gw.OptionError):
            insight.word_scores(run.trace())
    else:
        assert insight.word_scores(run.trace(), 1).residual < 1e-10


def test_word_scores_add_up_under_zoneout_of_the_cell():
    run = cases.run_of("peephole", time=4)
    run = run.replace(dropout=gw.DropoutMasks(zoneout_cell=np.full((4, 1, 4), 0.3)))
    found = insight.word_scores(run.trace(), 1, 2)
    assert found.residual < 1e-12
    assert found.gamma[3] == 0


@pytest.mark.parametrize("masked_output", ["zeros", "repeat"])
@pytest.mark.parametrize("reads", ["every", "last"])
@pytest.mark.parametrize("merge", MERGES)
def test_shares_pass_through_layers_directions_and_merges(merge, reads, masked_output):
    net, x, run = stacked(merge, reads, masked_output)
    trace = net.trace(x, **run)
    t = {"t": 1} if reads == "every" else {}
    for method in ("lrp", "contextual_decomposition"):
        found = shares(trace, 1, sequence=1, method=method, **t)
        assert found.residual < 1e-10
        assert (found.scores[[0, 3, 4]] == 0).all()
    if merge[-1] != "mul":
        assert insight.word_scores(trace, 1, sequence=1, **t).residual < 1e-10
    found = shares(trace, 1, sequence=1, method="gradient_input", **t)

    def value(x):
        return insight.target(net.trace(x, **run), 1, sequence=1, **t).value

    few = np.zeros_like(x)
    few[[1, 2], 1, [0, 1]] = 1  # entries that are moved
    for place in np.argwhere(few):
        moved = np.zeros_like(x)
        moved[tuple(place)] = 1e-6
        slope = (value(x + moved) - value(x - moved)) / 2e-6
        assert found.by_step[place[0], place[2]] == pytest.approx(slope * x[tuple(place)], abs=1e-8)


@pairs(variant=cases.VARIANTS, direction=cases.DIRECTIONS, valid=cases.VALID, dropout=(False, True), thin=True)
def test_gradient_times_input_is_that_of_the_backward_pass(variant, direction, valid, dropout):
    run = cases.run_of(variant, direction=direction, valid=valid, dropout=dropout, time=4)
    trace = run.trace()
    found = insight.attribution(trace, 2, method="gradient_input")
    place = insight.target(trace, 2).step
    dy = np.zeros_like(trace.hidden_state)
    dy[place, 0, 2] = 1
    gradients = gw.backward(trace, dy)
    np.testing.assert_allclose(found.by_step, gradients.x[:, 0] * run.x[:, 0], atol=1e-12)
    for name in "hc":
        expected = getattr(gradients.state, name)[0] * getattr(run.state, name)[0]
        np.testing.assert_allclose(getattr(found.initial_states[0][0], name), expected, atol=1e-12)


@pytest.mark.parametrize("reads", ["every", "last"])
def test_integrated_gradients_are_complete(reads):
    net, x, run = stacked(("sum", "mul"), reads)
    trace = net.trace(x, **run)
    gaps = []
    for points in (2, 5, 30):
        found = insight.attribution(trace, 1, points=points)
        gaps.append(found.residual)
        assert found.scores.sum() + found.initial + found.left + found.baseline_value == pytest.approx(found.value)
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-12
    zeros = tuple(tuple(gw.State(0 * one.h, 0 * one.c) for one in row) for row in run["state"])
    assert found.baseline_value == pytest.approx(insight.target(net.trace(0 * x, **{**run, "state": zeros}), 1).value)


def steep(gain):
    """Return the trace of a cell whose input gate opens the more suddenly at 0.37 the larger its gain."""
    weight, bias = np.zeros((4, 1, 2)), np.zeros((4, 1))
    bias[:, 0] = -0.37 * gain, 0, 0.5, 9
    weight[0, 0, 1] = gain
    return gw.LSTM.from_cells(gw.Parameters(weight, bias)).trace(np.ones((3, 1)))


def test_integrated_gradients_take_the_points_that_they_need_and_name_no_step_before():
    assert [insight.attribution(steep(gain)).points for gain in (10, 100, 1000)] == [50, 100, 800]
    for gain in (10, 100, 1000):
        found = insight.attribution(steep(gain))
        assert abs(found.left) <= 0.01 * abs(found.value - found.baseline_value)
        assert "its largest share" in str(found)
    for found in (insight.attribution(steep(1e5)), insight.attribution(steep(100), points=20)):
        assert "have not converged" in str(found)
        assert "largest share" not in str(found)
        with refusal("no picture of this attribution", by=gw.OptionError):
            gw.plot.attribution(found)
    report = gw.report(steep(1e5))
    why = [finding.sentence for finding in report.findings if finding.question.startswith("What do gradients say")]
    assert all(one.startswith("Integrated gradients have not converged") for one in why)
    assert why


def test_an_integral_of_what_rises_and_falls_again_names_no_step():
    weight, bias = np.zeros((4, 1, 2)), np.array([[-400.0], [-40.0], [3.0], [408.0]])
    weight[0, 0, 1], weight[3, 0, 1] = 800, -800
    found = insight.attribution(gw.LSTM.from_cells(gw.Parameters(weight, bias)).trace(np.ones((5, 1))), points=50)
    assert abs(found.scores).max() > 0.01
    assert "so that no share is given" in str(found)


def test_an_output_that_differs_by_rounding_from_that_of_the_baseline_has_no_shares():
    x = np.full((3, 1), 1e-15)
    found = insight.attribution(gw.Network(gw.LSTM(1, 2, rng=0, dtype=np.float64)).trace(x))
    assert "by rounding alone" in str(found)


@pytest.mark.parametrize("rule", ["riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid"])
def test_every_rule_of_the_integral_comes_to_the_same(rule):
    net, x, run = stacked()
    trace = net.trace(x, **run)
    exact = insight.attribution(trace, points=20).by_step
    np.testing.assert_allclose(insight.attribution(trace, points=400, rule=rule).by_step, exact, atol=5e-4)


def test_a_phrase_of_all_steps_from_zero_states_has_all_but_the_head_s_bias():
    net, x, run = stacked(("average", "concat"))
    trace = net.trace(x, **{**run, "state": None})
    found = insight.decomposition(trace, 0, 5, 1)
    assert found.phrase == pytest.approx(found.value - net.head.bias[1], abs=1e-12)
    assert found.rest == pytest.approx(net.head.bias[1], abs=1e-12)


def test_one_step_of_relevance_by_hand():
    """With one unit and one step, R goes by h = o tanh(c), c = f c_0 + i g, g = tanh(u h_0 + w x + b)."""
    weight, bias = (
        np.array([[[0.3, 0.1]], [[0.2, -0.4]], [[0.5, 0.7]], [[0.1, 0.6]]]),
        np.array([[0.1], [1], [0.2], [0]]),
    )
    trace = gw.LSTM.from_cells(gw.Parameters(weight, bias)).trace([[1.5]], [[gw.State([0.4], [-0.3])]])
    i, f, g, _ = trace[0].gates[0, :, 0]
    epsilon, value = 0.01, trace.output[0, 0]
    c = i * g + f * -0.3
    a = 0.5 * 0.4 + 0.7 * 1.5 + 0.2
    to_g = value * i * g / (c + epsilon)
    found = insight.attribution(trace, method="lrp", epsilon=epsilon)
    assert found.scores[0] == pytest.approx(to_g * 0.7 * 1.5 / (a + epsilon))
    assert found.initial_states[0][0].h[0] == pytest.approx(to_g * 0.5 * 0.4 / (a + epsilon))
    assert found.initial_states[0][0].c[0] == pytest.approx(value * f * -0.3 / (c + epsilon))


# What is explained.


@pytest.mark.parametrize("method", METHODS)
def test_a_sequence_of_a_batch_is_explained_as_if_it_ran_alone(method):
    net, x, run = stacked()
    state = [[gw.State(one.h[1], one.c[1]) for one in row] for row in run["state"]]
    alone = net.trace(x[:, 1], state, mask=run["mask"][:, 1])
    found, other = shares(net.trace(x, **run), 2, sequence=1, method=method), shares(alone, 2, method=method)
    np.testing.assert_allclose(found.scores, other.scores, atol=1e-13)
    assert str(found).replace(" of sequence 1", "") == str(other)


@pytest.mark.parametrize("method", METHODS)
def test_a_backward_run_is_a_forward_one_of_the_reversed_input(method):
    run = cases.run_of("peephole", time=4, direction="backward")
    other = run.replace(direction="forward", x=run.x[::-1])
    found, reverse = shares(run.trace(), 1, method=method), shares(other.trace(), 1, method=method)
    np.testing.assert_allclose(found.scores, reverse.scores[::-1], atol=1e-14)


@pytest.mark.parametrize("method", METHODS)
def test_a_weighted_sum_of_outputs_has_the_sum_of_their_shares(method):
    lstm = random_lstm(bidirectional=True)
    trace = lstm.trace(random_x(lstm), random_state(lstm, 3))
    weight = np.array([1.0, 0, -2, 0, 0, 0.5])
    found = shares(trace, weight, 2, method=method)
    assert found.value == pytest.approx(trace.output[2, 0] @ weight)
    if method != "lrp":  # whose stabiliser is not linear
        each = [shares(trace, n, 2, method=method).scores for n in range(6)]
        np.testing.assert_allclose(found.scores, weight @ each, atol=1e-13)


def test_the_target_has_its_name_its_value_and_its_measure():
    rng = np.random.default_rng(0)
    times = np.datetime64("2001-01-01") + np.arange(4)
    labels = gw.Labels(features=["rain", "sun"], outputs=["q", "snow"], times=times, measures={"q": ("flow", "mm/d")})
    net = gw.Network(gw.LSTM(2, 3, rng=0), head=gw.Linear(rng.normal(size=(2, 3)).astype(np.float32)))
    trace = net.trace(rng.normal(size=(4, 2)), labels=labels)
    found = insight.target(trace, "q", 2)
    assert (found.name, str(found.measure), found.step) == ("output q on 2001-01-03", "flow (mm/d)", 2)
    assert found.value == pytest.approx(trace.output[2, 0], abs=1e-6)
    record = insight.attribution(trace, "snow", method="lrp")
    assert list(record.columns) == ["time", "score", "rain", "sun"]
    assert record.columns["time"].tolist() == ["initial state", *map(str, times)]
    assert str(record).startswith("Output snow on 2001-01-04 is ")
    np.testing.assert_allclose(record.columns["score"][1:], record.by_step.sum(1))
    assert gw.insight.target(trace.lstm[0], 1).name == "output 1 on 2001-01-04"


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_of_a_head_with_an_activation_what_comes_before_it_is_explained(activation):
    net, x, run = stacked(activation=activation)
    found = insight.attribution(net.trace(x, **run), 1, method="gradient_input")
    plain = stacked(activation=None)[0].trace(x, **run)
    assert found.value == pytest.approx(plain.output[4, 0, 1])
    assert f", before its {activation}, is" in str(found)


def test_tokens_have_the_sum_of_their_entries_and_their_words():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(4, 3))
    net = gw.Network(random_lstm(input_size=3), embedding=table, head=gw.Linear(rng.normal(size=(1, 3))), reads="last")
    trace = net.trace([2, 0, 3])
    found = shares(trace, method="lrp", vocabulary=["the", "a", "film", "ends"])
    assert found.tokens.tolist() == ["film", "the", "ends"]
    assert list(found.columns)[:3] == ["time", "token", "score"]
    assert found.by_step.shape == (3, 3)
    assert shares(trace, method="gradient_input").columns["token"].tolist() == ["", "2", "0", "3"]
    assert insight.word_scores(trace).columns["token"].tolist() == ["", "2", "0", "3"]
    based = insight.attribution(trace, baseline=1, points=20)
    assert based.baseline_value == pytest.approx(insight.target(net.trace([1, 1, 1])).value)
    assert based.residual < 1e-8


# Planted memories.


def test_the_step_that_wrote_a_held_bit_is_found():
    lstm, x = planted.held_bit(write=3)
    trace = lstm.trace(x)
    for method in ("lrp", "contextual_decomposition"):
        found = insight.attribution(trace, method=method)
        assert found.scores[3] > 0.9 * found.value
    words = insight.word_scores(trace)
    assert (words.beta[3], words.gamma[3]) == pytest.approx((trace.output[-1, 0],) * 2, rel=0.05)
    for method in ("gradient_input", "integrated_gradients"):  # to which opening the gate to release it counts as well
        sizes = np.abs(insight.attribution(trace, method=method).scores)
        assert set(np.argsort(-sizes)[:2]) == {3, 11}


@pytest.mark.parametrize("method", METHODS)
def test_every_event_of_a_tally_has_its_share(method):
    lstm, x = planted.tally()
    options = {"epsilon": 1e-9} if method == "lrp" else {}  # else the stabiliser keeps 1 % at every step
    found = insight.attribution(lstm.trace(x), method=method, **options)
    np.testing.assert_allclose(found.scores, 0.1 * x[:, 0], rtol=0.02)
    assert abs(found.initial) < 1e-12


@pytest.mark.parametrize("method", METHODS)
def test_a_distractor_has_no_share(method):
    net, x = planted.distracted(signal=4)
    found = insight.attribution(net.trace(x), method=method)
    assert np.argmax(np.abs(found.scores)) == 4
    assert np.abs(np.delete(found.scores, 4)).max() < 1e-12
    if found.by_step is not None:
        assert np.abs(found.by_step[:, 1]).max() < 1e-12


@pytest.mark.parametrize("method", METHODS)
def test_deleting_what_matters_changes_the_output_more_than_deleting_at_random(method):
    """Four steps of ten become zeros: those with the largest shares, against the mean of 30 random choices."""
    ratios = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        lstm = random_lstm(hidden_size=6, rng=seed)
        x = rng.normal(size=(10, 1, 2))
        trace = lstm.trace(x)
        found = shares(trace, method=method)
        chosen = [np.argsort(-np.abs(found.scores))[:4], *(rng.permutation(10)[:4] for _ in range(30))]
        without = np.repeat(x, len(chosen), axis=1)
        for place, steps in enumerate(chosen):
            without[steps, place] = 0
        changes = np.abs(lstm(without)[0][-1, :, 0] - found.value)
        ratios.append(changes[0] / changes[1:].mean())
    assert np.mean(ratios) > 1.3
    assert np.mean(np.array(ratios) > 1) > 0.6


# What is refused.


@pytest.mark.parametrize(
    ("ask", "norm", "words"),
    [
        (lambda trace: insight.attribution(trace, method="lrp"), "gates", "relevance propagation has no rule"),
        (lambda trace: insight.attribution(trace, method="lrp"), "haste", "relevance propagation has no rule"),
        (lambda trace: insight.attribution(trace, method="contextual_decomposition"), "gates", "has no rule"),
        (lambda trace: insight.decomposition(trace, 0, 1), "haste", "contextual decomposition has no rule"),
        (insight.word_scores, "haste", "word scores need"),
    ],
)
def test_a_variant_that_a_method_has_no_rule_for_is_refused(ask, norm, words):
    trace = gw.LSTM(2, 3, rng=0, variant=gw.Variant(layer_norm=norm, epsilon=1e-5)).trace(np.ones((3, 2)))
    with cases.refusal(words, norm.capitalize() if ask is insight.word_scores else repr(norm), by=gw.OptionError):
        ask(trace)


def test_word_scores_need_states_that_add_up():
    for made, words in [
        ({"cell_clip": 1.0}, "cell_clip"),
        ({"projection_size": 2, "projection_clip": 1.0}, "projection_clip"),
        ({"bidirectional": True, "merge": "mul"}, "multiplied"),
    ]:
        clips = {name: made.pop(name) for name in list(made) if name.endswith("clip")}
        trace = gw.LSTM(2, 3, rng=0, variant=gw.Variant(**clips), **made).trace(np.ones((3, 2)))
        with cases.refusal(words, by=gw.OptionError):
            insight.word_scores(trace)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"output": 3}, ("no output 3", "0 to 2")),
        ({"output": "q"}, ("no output 'q'",)),
        ({"output": True}, ("no output True",)),
        ({"output": np.ones(4)}, ("(4,)", "(3,)")),
        ({"output": np.array([1, np.nan, 0])}, ("finite",)),
        ({"t": 4}, ("no step 4",)),
        ({"t": 3}, ("step 3", "not valid")),
        ({"sequence": 2}, ("no sequence 2",)),
        ({"sequence": 1}, ("sequence 1", "valid step")),
        ({"method": "shap"}, ("method must be one of", "lrp")),
        ({"method": "lrp", "points": 3}, ("lrp has no option points", "epsilon")),
        ({"method": "lrp", "epsilon": 0}, ("epsilon must be a positive number",)),
        ({"points": 0}, ("points must be at least 1",)),
        ({"points": 1, "rule": "riemann_left"}, ("points must be at least 2",)),
        ({"rule": "simpson"}, ("rule must be one of", "gausslegendre")),
        ({"baseline": np.ones(5)}, ("baseline", "(5,)")),
        ({"baseline": np.nan}, ("baseline", "finite")),
        ({"vocabulary": ["a"]}, ("no tokens",)),
    ],
)
def test_what_cannot_be_explained_is_refused(options, words):
    trace = gw.LSTM(2, 3, rng=0).trace(np.ones((4, 2, 2)), lengths=[3, 0])
    with cases.refusal(*words, by=gw.GatewiseError):
        insight.attribution(trace, **options)


@pytest.mark.parametrize(("first", "stop"), [(2, 2), (3, 1), (0, 5), (4, 5), (0, -1), (0, 1.5)])
def test_a_phrase_lies_within_the_run(first, stop):
    with cases.refusal(by=gw.OptionError):
        insight.decomposition(gw.LSTM(2, 3, rng=0).trace(np.ones((4, 2))), first, stop)


def test_a_network_that_reads_final_states_has_no_step():
    net, x, run = stacked(reads="last")
    with cases.refusal("at the end", "2", by=gw.OptionError):
        insight.attribution(net.trace(x, **run), t=2)


def test_a_word_that_the_vocabulary_lacks_is_named():
    net = gw.Network(gw.LSTM(2, 3, rng=0), embedding=np.ones((4, 2)))
    with cases.refusal("vocabulary", "3", by=gw.ShapeError):
        insight.attribution(net.trace([1, 3]), vocabulary=["a", "b"])
