"""How long does a change show? Memories that were planted, and the runs that it compares, made anew one by one."""

from __future__ import annotations

import cases
import numpy as np
import planted
import pytest
from cases import refusal
from pairwise import pairs

import gatewise as gw
from gatewise import insight
from gatewise.examples import latch
from gatewise.insight.exchanges import Exchanges, Steps, Swaps
from gatewise.network import Windows

RNG = np.random.default_rng(0)
SURE = planted.SURE


def lstm_of(weight, bias, **options):
    return gw.LSTM.from_cells(gw.Parameters(weight, bias), **options)


def events(steps, gap, *, seed=0):
    """Return the input (time, 3) of the latch: bits at random, written now and then, never released."""
    rng = np.random.default_rng(seed)
    x = np.zeros((steps, 3))
    x[:, 0] = rng.choice([-1.0, 1.0], steps)
    x[np.cumsum(rng.integers(gap // 2, 3 * gap // 2, steps // gap)) % steps, 1] = 1
    return x


def hand_on(delay):
    """Return an LSTM whose unit k has the input of k steps ago, handed on through h, and that reads the last unit."""
    weight, bias = np.zeros((4, delay + 1, delay + 2)), np.zeros((4, delay + 1))
    bias[0] = bias[3] = SURE
    bias[1] = -SURE
    weight[2, 0, -1] = 0.5
    weight[2, np.arange(1, delay + 1), np.arange(delay)] = 1
    return lstm_of(weight, bias), gw.Linear(np.eye(delay + 1)[-1:], np.zeros(1))


def written_again():
    """Return an LSTM that forgets at once and writes its bit again through h at each step, and its input: pulses."""
    weight, bias = np.zeros((4, 1, 2)), np.zeros((4, 1))
    bias[0] = bias[3] = SURE
    bias[1] = -3
    weight[2, 0] = 10.0, 40.0
    pulses = np.cumsum(RNG.integers(20, 60, 14))
    x = np.zeros((pulses[-1] + 20, 1))
    x[pulses, 0] = RNG.choice([-1.0, 1.0], 14)
    return lstm_of(weight, bias), x


def buckets(*timescales):
    """Return layers of leaky buckets, one over the other."""
    cells = []
    for timescale in timescales:
        forget = np.exp(-1 / timescale)
        weight, bias = np.zeros((4, 1, 2)), np.array([[SURE], [np.log(forget / (1 - forget))], [0], [SURE]])
        weight[2, 0, 1] = 1e-4  # where tanh is a line
        cells.append(gw.Parameters(weight, bias))
    return gw.LSTM.from_cells(cells)


def test_what_a_latch_holds_shows_until_the_next_write():
    lstm, x = gw.LSTM.from_cells(latch().cell), events(1200, 40)
    found = insight.horizon(lstm, x)
    gaps = np.diff(np.flatnonzero(x[:, 1]))
    assert gaps.mean() <= found.steps <= gaps.max()
    assert "until the input ends it" in str(found)
    assert (found.columns["through"], found.stable, found.at_least, found.ahead) == (["c"], True, False, 0)
    assert insight.timescales(lstm.trace(x)).timescale < gaps.mean() / 4  # since every write closes the gate


@pytest.mark.parametrize("delay", [0, 1, 7, 30])
def test_what_is_handed_on_shows_for_exactly_so_many_steps(delay):
    lstm, head = hand_on(delay)
    x = RNG.normal(size=(300, 1))
    found = insight.horizon(gw.Network(lstm, head=head), x)
    assert (found.steps, found.ahead) == (delay, 0)
    assert found.columns["steps"].tolist() == [*range(delay + 1)]
    assert set(found.columns["through"][1:]) <= {"h"}
    assert ("and then no more" if delay else "at that step alone") in str(found)


def test_a_bit_that_is_written_again_lives_in_h():
    lstm, x = written_again()
    found = insight.horizon(lstm, x)
    gaps = np.diff(np.flatnonzero(x[:, 0]))
    assert gaps.min() <= found.steps <= gaps.max()
    assert found.columns["through"].tolist() == ["h"]


@pytest.mark.parametrize("timescales", [(20,), (60,), (10, 40)])
def test_a_leaky_bucket_fades_in_its_own_time_in_any_layer(timescales):
    found = insight.horizon(buckets(*timescales), np.random.default_rng(0).exponential(size=(1000, 1)))
    lag = np.arange(1000)
    kernel = np.exp(-lag / timescales[0])
    for timescale in timescales[1:]:
        kernel = np.convolve(kernel, np.exp(-lag / timescale))[:1000]
    shown = np.flatnonzero(kernel >= 0.1 * kernel.max())[-1]
    assert found.steps == pytest.approx(max(shown, np.searchsorted(kernel.cumsum(), 0.9 * kernel.sum())), abs=2)
    assert "by then nine tenths of its effect have come" in str(found)
    assert found.columns["through"][-1] == "c"


@pytest.mark.thorough
def test_what_is_counted_shows_to_the_end():
    lstm, _ = planted.tally()
    found = insight.horizon(lstm, RNG.integers(0, 2, (900, 1)).astype(float))
    assert (found.lags, found.at_least) == (899, True)
    assert 855 <= found.steps <= 899  # nearly the whole run: a twentieth of the changes is seen for so long
    assert f"at least {found.steps} steps" in str(found)
    assert any("hundredth of the change has 0.01 of the effect" in sentence for sentence in found.reading)


@pytest.mark.thorough
def test_a_run_that_small_changes_upset_has_no_horizon():
    rng = np.random.default_rng(1)
    weight, bias = np.zeros((4, 40, 41)), np.zeros((4, 40))
    bias[0] = bias[3] = SURE
    bias[1] = -SURE
    weight[2] = rng.normal(0, 3 / np.sqrt(40), (40, 41))
    found = insight.horizon(lstm_of(weight, bias), rng.normal(size=(300, 1)))
    assert not found.stable
    assert "unstable" in str(found)


def test_a_unit_that_the_output_does_not_read_is_named():
    weight, bias = np.zeros((4, 2, 3)), np.zeros((4, 2))
    bias[0] = bias[3] = bias[1, 1] = SURE
    bias[1, 0] = -SURE
    weight[2, :, 2] = 0.1
    network = gw.Network(lstm_of(weight, bias), head=gw.Linear([[1.0, 0.0]], [0.0]))
    found = insight.horizon(network, RNG.normal(size=(600, 1)))
    assert found.steps == 0
    assert "unit 1 keeps a trace of it for at least 256 steps" in str(found)


@pytest.mark.thorough
def test_backward_directions_see_ahead():
    lstm, head = hand_on(5)
    x = RNG.normal(size=(300, 1))
    backward = gw.LSTM.from_cells(lstm[0], direction="backward")
    found = insight.horizon(gw.Network(backward, head=head), x)
    assert (found.steps, found.ahead) == (0, 5)
    both = gw.LSTM.from_cells([[hand_on(5)[0][0], lstm[0]]], merge="sum")
    found = insight.horizon(gw.Network(both, head=head), x)
    assert (found.steps, found.ahead) == (5, 5)
    assert "for 5 steps after it, and at the 5 steps before it" in str(found)
    assert found.lag[[0, -1]].tolist() == [-256, 256]


@pytest.mark.thorough
def test_what_is_around_the_lstm_changes_no_horizon_but_logits_are_compared():
    lstm, x = gw.LSTM(3, 8, rng=0, dtype=np.float64), RNG.normal(size=(400, 3))
    linear = gw.Linear(RNG.normal(size=(2, 8)), np.zeros(2))
    plain = insight.horizon(gw.Network(lstm, head=linear), x)
    assert plain.steps > 0
    for options in (
        {"head": gw.Linear(linear.weight, linear.bias, "sigmoid")},
        {"head": gw.Linear(linear.weight, linear.bias, "softmax")},
        {"reads": "last"},
        {"outputs": gw.Scaling([3.0, 4.0], [100.0, 100.0])},
        {"inputs": gw.Scaling(np.zeros(3), np.ones(3))},
        {"masked": 77.0},
    ):
        network = gw.Network(lstm, **{"head": linear, **options})
        assert str(insight.horizon(network, x)) == str(plain), options
    table = RNG.normal(size=(9, 3))
    tokens = RNG.integers(0, 9, 400)
    embedded = insight.horizon(gw.Network(lstm, head=linear, embedding=table), tokens)
    assert str(embedded) == str(insight.horizon(gw.Network(lstm, head=linear), table[tokens]))
    assert str(insight.horizon(gw.Network(lstm, head=linear).trace(x))) == str(plain)


def test_padding_and_more_sequences_change_no_horizon():
    lstm, head = hand_on(4)
    network, x = gw.Network(lstm, head=head), RNG.normal(size=(200, 3, 1))
    x[150:, 1] = np.nan
    found = insight.horizon(network, np.nan_to_num(x), lengths=[200, 150, 200])
    assert (found.steps, found.lags) == (4, 199)


@pairs(variant=cases.VARIANTS, **{name: cases.RUNS[name] for name in ("projection", "valid")}, thin=True)
def test_each_exchange_is_the_run_of_the_changed_input(variant, projection, valid):
    run = cases.run_of(variant, projection=projection, direction="forward", valid=valid, time=12, batch=2, hidden=3)
    trace = run.trace()
    exchanges = Exchanges.of_run(trace.lstm)
    at = exchanges.places()
    swaps = Swaps(at, Steps(at.times[::-1], at.sequences[::-1]))
    found = exchanges.outcome(swaps, 4)
    cell = gw.LSTM.from_cells(trace.parameters)
    for place, (t, sequence) in enumerate(zip(*at, strict=True)):
        x = np.array(trace.input)
        x[t, sequence] = trace.input[swaps.source.times[place], swaps.source.sequences[place]]
        other = cell.trace(x, [[trace.initial]], mask=trace.valid)
        changes = np.where(True if trace.valid is None else trace.valid[..., None], other.output - trace.lstm.output, 0)
        seen = np.abs(changes)[t : t + 5, sequence]
        np.testing.assert_allclose(found.differences[: len(seen), place], seen, rtol=1e-9, atol=1e-12)
        assert not found.differences[len(seen) :, place].any()


def test_what_a_horizon_cannot_be_asked_of_is_refused():
    lstm = gw.LSTM(2, 3, rng=0)
    x = np.ones((50, 2))
    with refusal("2 valid steps or more", by=gw.OptionError):
        insight.horizon(lstm, x[:1])
    with refusal("lags must be at most 49", by=gw.OptionError):
        insight.horizon(lstm, x, lags=50)
    with refusal("without edits", by=gw.OptionError):
        insight.horizon(lstm.trace(x, edit=gw.Edit.set("forget_gate", 0.0)))
    with refusal("not the same at every step", by=gw.OptionError):
        insight.horizon(lstm, x)
    for seed in (-1, "x"):
        with refusal("rng must be", by=gw.OptionError):
            insight.horizon(lstm, x, rng=seed)
    with refusal("Pass only output, lags and rng", by=gw.OptionError):
        insight.horizon(lstm.trace(x), x)
    deaf = gw.Network(lstm, head=gw.Linear(np.zeros((1, 3), np.float32), None))
    assert str(insight.horizon(deaf, RNG.normal(size=(50, 2)))).startswith("No exchanged step of the input changes")


def stores(*forget, gains):
    """Return an LSTM of units that add what comes, each with the bias of its forget gate and its gain."""
    weight, bias = np.zeros((4, len(forget), len(forget) + 1)), np.zeros((4, len(forget)))
    bias[0] = bias[3] = SURE
    bias[1] = forget
    weight[2, :, -1] = gains
    return lstm_of(weight, bias)


def read_now_and_then(every):
    """Return a network that counts, and opens its output gate at every so many steps, and its input."""
    weight, bias = np.zeros((4, 1, 3)), np.zeros((4, 1))
    bias[0] = bias[1] = SURE
    bias[3] = -SURE
    weight[2, 0, 1], weight[3, 0, 2] = 0.01, 2 * SURE
    x = np.stack([RNG.normal(size=2000), np.arange(2000) % every == 0], axis=1)
    return gw.Network(lstm_of(weight, bias)), x


@pytest.mark.thorough
def test_what_is_small_or_seldom_read_but_lasts_has_not_ended():
    faint = gw.Network(stores(-SURE, SURE, gains=[0.5, 0.0005]), head=gw.Linear([[1.0, 20.0]], None))
    for network, x in ((faint, RNG.normal(size=(2000, 1))), read_now_and_then(20), read_now_and_then(7)):
        found = insight.horizon(network, x)
        assert 1500 <= found.steps <= 1999
        assert f"at least {found.steps:,} steps, as far as was looked" in str(found)


@pytest.mark.parametrize("pulse", [1.0, 50.0, 255.0])
def test_a_gate_that_saturates_is_not_unstable(pulse):
    x = events(800, 40)
    x[:, 1] *= pulse
    assert insight.horizon(gw.LSTM.from_cells(latch().cell), x).stable


def test_each_direction_says_whether_it_lasts_longer():
    counting = stores(SURE, gains=[1e-3])
    x = RNG.normal(size=(300, 1))
    found = insight.horizon(gw.LSTM.from_cells(counting[0], direction="backward"), x)
    assert (found.steps, found.at_least, found.ahead_at_least) == (0, False, True)
    assert 275 <= found.ahead <= 299
    assert f"at the {found.ahead} steps before it, as far as was looked" in str(found)
    both = gw.LSTM.from_cells([[hand_on(0)[0][0], counting[0]]], merge="none")
    assert 275 <= insight.horizon(both, x).ahead <= 299


def test_gaps_between_valid_steps_are_counted_as_steps():
    valid = np.zeros(400, bool)
    valid[::20] = True
    found = insight.horizon(stores(1.0, gains=[1e-3]), RNG.normal(size=(400, 1)), mask=valid)
    assert found.steps == 140  # seven valid steps, of which each keeps 0.73
    x = RNG.normal(size=(400, 1))
    valid = RNG.random(400) < 0.7
    spoiled = np.where(valid[:, None], x, np.nan)
    lstm = stores(2.0, gains=[0.5])
    plain = insight.horizon(lstm, x, mask=valid)
    assert insight.horizon(lstm, spoiled, mask=valid).reading == plain.reading
    assert plain.reading[1] == "Ten steps exchanged together show as long."


def test_what_lasts_longer_but_faintly_is_not_called_over():
    network = gw.Network(stores(3.0, gains=[0.05]), head=gw.Linear([[0.08]], None), skip=1)
    assert "mostly at that step" in str(insight.horizon(network, RNG.normal(size=(400, 1))))


def test_an_offset_of_the_outputs_hides_no_change():
    lstm, x = stores(3.0, gains=[0.05]), RNG.normal(size=(400, 1))
    far = gw.Network(lstm, outputs=gw.Scaling([1e7], [0.1]))
    assert insight.horizon(far, x).steps == insight.horizon(lstm, x).steps > 10


def test_no_horizon_is_longer_than_the_windows_of_a_network():
    lstm, x = stores(SURE, gains=[1e-3]), RNG.normal(size=(400, 1))
    for steps in (1, 2, 30):
        found = insight.horizon(gw.Network(lstm, windows=Windows(steps)), x)
        assert (found.steps, found.at_least) == (steps - 1, False)
        assert f"not cut into windows of {steps}" in " ".join(found.reading)


def test_outputs_have_their_names():
    labels = gw.Labels(outputs=["slow", "fast"])
    head = gw.Linear(np.eye(2), None)
    network = gw.Network(stores(4.0, -SURE, gains=[0.1, 0.1]), head=head, labels=labels)
    assert insight.horizon(network, RNG.normal(size=(400, 1))).output == "slow"


def flag_in_a_tagger(at=6, shows=54, steps=60):
    """Return a network of two directions, of which the forward one holds a flag up to a step that asks for it.

    Its input (time, feature) has the flag, the question, and noise that the backward direction reads.
    """
    weight, bias = np.zeros((4, 1, 4)), np.zeros((4, 1))
    bias[:, 0] = [SURE, SURE, 0, -SURE]
    weight[2, 0, 1], weight[3, 0, 2] = 1, 2 * SURE
    echo, echo_bias = np.zeros((4, 1, 4)), np.array([[SURE], [-SURE], [0], [SURE]])
    echo[2, 0, 3] = 0.1
    lstm = gw.LSTM.from_cells([[gw.Parameters(weight, bias), gw.Parameters(echo, echo_bias)]])
    x = np.random.default_rng(0).normal(size=(steps, 3))
    x[:, :2] = 0
    x[at, 0] = x[shows, 1] = 1
    return gw.Network(lstm, head=gw.Linear([[9.0, 1.0]], None)), x


@pytest.mark.parametrize("at", [0, 6, 30, 53])
def test_a_flag_of_one_step_shows_at_any_other_step_of_a_run_in_two_directions(at):
    network, x = flag_in_a_tagger(at)
    found = insight.horizon(network, x)
    assert 54 - at <= found.steps <= 54  # a flag that takes the place of another step counts, too
    assert (found.ahead, found.lags) == (0, 59)
    forward, backward = network.lstm.layers[0]
    swapped = gw.Network(gw.LSTM.from_cells([[backward, forward]]), head=gw.Linear([[1.0, 9.0]], None))
    found = insight.horizon(swapped, x[::-1])
    assert found.steps == 0
    assert 54 - at <= found.ahead <= 54


@pytest.mark.thorough
def test_each_output_has_its_horizon_and_the_one_that_is_asked_for_is_told():
    labels = gw.Labels(outputs=["slow", "fast"])
    network = gw.Network(stores(2.0, -SURE, gains=[0.1, 0.1]), head=gw.Linear(np.eye(2), None), labels=labels)
    x = RNG.normal(size=(400, 1))
    slow, fast = (insight.horizon(network, x, output=name) for name in ("slow", "fast"))
    assert (slow.output, fast.output, fast.steps) == ("slow", "fast", 0)
    assert slow.outputs == fast.outputs == ("slow", "fast")
    assert slow.outputs_steps.tolist() == fast.outputs_steps.tolist() == [slow.steps, 0]
    assert f"Over the 2 outputs, changes show for 0 steps to {slow.steps} steps." in fast.reading
    assert insight.horizon(network, x, output=1).to_csv() == fast.to_csv()
    assert 0 < slow.exchanges <= 400
    run = network.trace(x)
    assert str(insight.horizon(run, output="fast")) == str(fast)
    for wrong in ("medium", 2, 1.5):
        with refusal("no output" if wrong != 1.5 else "output", by=gw.OptionError):
            insight.horizon(run, output=wrong)
    many = gw.Network(network.lstm, head=gw.Linear(np.concatenate([np.eye(2)[[0] * 30], 1e-3 * np.eye(2)[1:]]), None))
    assert insight.horizon(many, x, output=30).steps == 0  # which varies least of 31


def test_what_ends_at_a_fixed_lag_is_not_said_to_be_ended_by_the_input():
    lstm, head = hand_on(5)
    x = RNG.normal(size=(300, 1))
    found = insight.horizon(gw.Network(lstm, head=head), x)
    assert "until the input ends it" not in str(found)
    held = insight.horizon(gw.LSTM.from_cells(latch().cell), events(1200, 40))
    assert "with the input of the last step or two exchanged for the one before, most changes still show" in " ".join(
        held.reading
    )
    assert "stop all the same" in " ".join(found.reading)


def test_a_window_is_looked_at_up_to_its_full_length():
    x = RNG.normal(size=(90, 1))
    found = insight.horizon(gw.Network(stores(3.5, gains=[1e-3]), windows=Windows(90)), x)
    assert found.steps == pytest.approx(np.log(10) / np.log1p(np.exp(-3.5)), abs=6)  # 77 of 89
    for_ever = insight.horizon(gw.Network(stores(SURE, gains=[1e-3]), windows=Windows(90)), x)
    assert 80 <= for_ever.steps <= 89  # at least nine tenths of 89 lags, all of which are as strong


@pytest.mark.thorough
def test_the_same_seed_gives_the_same_horizon():
    lstm, x = gw.LSTM(2, 16, rng=0), RNG.normal(size=(300, 2))
    first, again = (insight.horizon(lstm, x, rng=3) for _ in range(2))
    assert first.to_csv() == again.to_csv()
    np.testing.assert_array_equal(first.curve, again.curve)


@pytest.mark.parametrize("lags", range(1, 31))
def test_what_reaches_the_end_is_told_by_numbers_at_any_number_of_lags(lags):
    lstm, head = hand_on(max(0, lags - 1))  # which shows at the lag before the last, and not at the last
    found = insight.horizon(gw.Network(lstm, head=head), RNG.normal(size=(80, 1)), lags=lags)
    assert found.stable
    assert "nan" not in " ".join(found.reading)
    assert "inf" not in " ".join(found.reading)
