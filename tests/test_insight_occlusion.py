"""What does an output rest on? The runs with exchanged steps, made anew one by one, and steps that were planted."""

from __future__ import annotations

import cases
import numpy as np
import planted
import pytest
from cases import refusal
from pairwise import pairs
from stacks import random_lstm, random_x

import gatewise as gw
from gatewise import insight
from gatewise.examples import latch

RNG = np.random.default_rng(0)


def looked_at(found):
    """Return the steps that an occlusion looked at."""
    return np.flatnonzero(np.isfinite(found.columns["size"]))


@pairs(variant=cases.VARIANTS, direction=cases.DIRECTIONS, valid=cases.VALID, dropout=(False, True), thin=True)
def test_each_change_is_that_of_the_runs_of_the_changed_inputs(variant, direction, valid, dropout):
    run = cases.run_of(variant, direction=direction, valid=valid, dropout=dropout, time=6, batch=1, hidden=3)
    found, aim = insight.occlusion(run.trace(), 1), insight.target(run.trace(), 1)
    able = [s for s in range(6) if run.valid is None or run.valid[s, 0]]
    assert looked_at(found).tolist() == [
        s for s in able if (s <= aim.step if direction == "forward" else s >= aim.step)
    ]
    for step in looked_at(found):
        changes = []
        for source in set(able) - {step}:
            x = np.array(run.x)
            x[step] = x[source]
            changes.append(insight.target(run.replace(x=x).trace(), 1, aim.step).value - aim.value)
        assert found.columns["change"][step] == pytest.approx(np.mean(changes), abs=1e-12)
        assert found.columns["size"][step] == pytest.approx(np.mean(np.abs(changes)), abs=1e-12)
        assert found.columns["error"][step] == 0


def brute_force(model, x, step, instead, output=1, *, reads="every"):
    """Return an output of a network at its last step where the input of steps is changed."""
    other = np.array(x)
    other[step] = instead
    y = model(other)[0]
    return (y[-1] if reads == "every" else y)[..., output].item()


@pytest.mark.parametrize("reads", ["every", "last"])
def test_whole_models_are_run_again_through_all_layers_and_directions(reads):
    lstm = random_lstm(num_layers=2, bidirectional=True)
    network = gw.Network(lstm, head=gw.Linear(RNG.normal(size=(2, lstm.output_size)), np.zeros(2)), reads=reads)
    x = random_x(lstm, 7, 1)
    found = insight.occlusion(network.trace(x), 1, baseline=0.3)
    for step in range(7):
        without = brute_force(network, x, step, 0.3, reads=reads)
        assert found.columns["without"][step] == pytest.approx(without, abs=1e-12)


def test_of_a_long_bidirectional_run_a_part_is_run_again_and_its_reading_says_so():
    lstm = random_lstm(num_layers=2, bidirectional=True)
    x = random_x(lstm, 40, 1)
    found = insight.occlusion(lstm.trace(x), 1, t=20, baseline=0, steps=6)
    assert looked_at(found).tolist() == [17, 18, 19, 20, 21, 22]
    assert "The states 6 steps beyond all these steps were left as they were." in found.reading
    for step in looked_at(found):
        other = np.array(x)
        other[step] = 0
        assert found.columns["change"][step] == pytest.approx(lstm(other)[0][20, 0, 1] - found.value, rel=0.2, abs=1e-3)


def test_an_output_of_directions_that_are_not_merged_is_explained():
    lstm = random_lstm(bidirectional=True, merge="none")
    x = random_x(lstm, 6, 1)
    found = insight.occlusion(lstm.trace(x), 1, t=3, baseline=0)
    for step in range(6):
        other = np.array(x)
        other[step] = 0
        assert found.columns["without"][step] == pytest.approx(lstm(other)[0][3, 0].ravel()[1], abs=1e-12)


def scaled_network(skip=0):
    """Return a network with scaled inputs and outputs, branches, and a skip connection."""
    lstm = random_lstm(input_size=3, num_layers=1)
    branches = (
        gw.Branch((0, 1), (gw.Linear(RNG.normal(size=(2, 2)), None, "tanh"),)),
        gw.Branch((2,), (gw.Linear(RNG.normal(size=(1, 1))),)),
    )
    return gw.Network(
        lstm,
        head=gw.Linear(RNG.normal(size=(2, lstm.output_size)), RNG.normal(size=2)),
        inputs=gw.Scaling([3.0, -1.0, 100.0], [2.0, 0.5, 30.0]),
        outputs=gw.Scaling([5.0, 7.0], [3.0, 0.2]),
        branches=branches,
        skip=skip,
    )


@pytest.mark.parametrize("skip", [0, 1, 2])
def test_a_baseline_is_given_in_the_units_of_the_data_and_a_skip_connection_counts(skip):
    network, x = scaled_network(skip), RNG.normal(3, 10, (8, 1, 3))
    row = np.array([1.0, -3.0, 140.0])
    found = insight.occlusion(network.trace(x), 1, baseline=row)
    assert found.value == pytest.approx(network(x)[0][-1, 0, 1], abs=1e-12)
    for step in range(8):
        assert found.columns["without"][step] == pytest.approx(brute_force(network, x, step, row), abs=1e-12)
    assert "skip" not in str(found)
    everything = brute_force(network, x, slice(None), row)
    both = insight.occlusion(network.trace(x), 1, baseline=row, width=8)
    assert both.columns["without"] == pytest.approx(np.full(8, everything), abs=1e-12)


def test_steps_are_exchanged_with_their_neighbours():
    lstm = random_lstm()
    x = random_x(lstm, 9, 1)
    found = insight.occlusion(lstm.trace(x), 1, baseline=0, width=3)
    for step, steps in ((0, [0, 1, 2]), (1, [0, 1, 2]), (4, [3, 4, 5]), (8, [6, 7, 8])):
        other = np.array(x)
        other[steps] = 0
        assert found.columns["without"][step] == pytest.approx(lstm(other)[0][-1, 0, 1], abs=1e-12)
    assert all(abs(a - b) >= 3 for a in found.tried for b in found.tried if a != b)


def test_tokens_are_exchanged_for_other_tokens_and_have_no_features():
    table = RNG.normal(size=(4, 2))
    network = gw.Network(random_lstm(input_size=2, num_layers=1), embedding=table)
    tokens = np.array([0, 1, 2, 0, 1])
    found = insight.occlusion(network.trace(tokens), 1)
    for step in range(5):
        others = [brute_force(network, tokens, step, tokens[other]) for other in range(5) if other != step]
        assert found.columns["without"][step] == pytest.approx(np.mean(others), abs=1e-12)
    assert [*found.shares] == ["the state at the beginning"]
    assert "(token " in str(found)
    alone = insight.occlusion(network.trace(tokens), 1, baseline=3)
    assert alone.columns["without"][2] == pytest.approx(brute_force(network, tokens, 2, 3), abs=1e-12)


def test_the_steps_that_were_planted_are_named_in_every_draw():
    cell, x, *_ = latch()
    held, bits = planted.held_bit(steps=60, write=7)
    network, signal = planted.distracted(steps=40)
    for seed in range(6):
        assert insight.occlusion(gw.LSTM.from_cells(cell).trace(x), rng=seed).named == (0, 6)
        assert insight.occlusion(held.trace(bits), rng=seed).named == (7, 59)
        found = insight.occlusion(network.trace(signal), rng=seed)
        assert found.named == (4,)
        assert found.shares["x1"] == 0


@pytest.mark.parametrize("seed", range(2))
def test_of_a_gate_that_opens_at_every_seventh_step_that_step_is_named_for_each_target(seed):
    lstm, x = planted.gated(seed=seed)
    trace = lstm.trace(x)
    for t in range(12 + seed, 60, 4):
        assert insight.occlusion(trace, t=t, rng=seed).named == (t - (t - 6) % 7,)


def test_steps_that_change_it_equally_are_not_named():
    lstm, events = planted.tally(30)
    events[...] = [[0], [1]] * 15
    found = insight.occlusion(lstm.trace(events))
    assert found.tried == found.named == ()
    assert "no step stands out" in str(found)


def test_a_step_is_never_exchanged_for_an_equal_one_and_a_constant_input_is_refused():
    lstm = random_lstm()
    x = np.ones((6, 1, lstm.input_size))
    with refusal("the same at every step", by=gw.OptionError):
        insight.occlusion(lstm.trace(x))
    x[4] = 2
    found, other = insight.occlusion(lstm.trace(x)), lstm(np.where(np.arange(6)[:, None, None] == 4, 1, x))[0]
    assert found.columns["without"][4] == pytest.approx(other[-1, 0, 0], abs=1e-12)


def test_of_many_rows_a_sample_comes_close_to_all_of_them():
    lstm = gw.LSTM(2, 3, rng=0, dtype=np.float64)
    x = np.random.default_rng(0).normal(size=(60, 1, 2))  # whatever other tests draw
    trace, steps = lstm.trace(x), range(55, 60)
    found = [insight.occlusion(trace, rng=seed, steps=5).columns for seed in range(20)]
    for step in steps:
        inputs = np.repeat(x, 60, axis=1)
        inputs[step] = x[:, 0]
        sizes = np.abs(lstm(inputs)[0][-1, :, 0] - lstm(x)[0][-1, 0, 0])
        off = np.array([columns["size"][step] for columns in found]) - sizes.sum() / 59
        errors = np.array([columns["error"][step] for columns in found])
        assert abs(off.mean()) < errors.mean()
        assert (np.abs(off) < 3 * errors).mean() >= 0.9


def test_as_many_steps_as_are_asked_for_are_looked_at_and_what_was_before_is_tested_as_a_whole():
    lstm, x = planted.held_bit(steps=60, write=7)
    found = insight.occlusion(lstm.trace(x), steps=5)
    assert looked_at(found).tolist() == [55, 56, 57, 58, 59]
    assert found.named == (59,)
    assert "before step 55, where no step was looked at, another past changes it by up to 0.7" in str(found)
    deaf = insight.occlusion(planted.gated()[0].trace(planted.gated()[1]), steps=10)
    assert "Before step 50, where no step was looked at, none of 17 other pasts changes it." in deaf.reading
    large = gw.LSTM(2, 64, rng=0).trace(RNG.normal(size=(300, 2)))
    assert len(looked_at(insight.occlusion(large, work=1e8))) == 20


def test_a_past_that_changes_it_more_than_all_steps_that_were_looked_at_leads():
    lstm, x = planted.held_bit(steps=60, write=7)
    x[-1, 2] = 0.2  # it is hardly released
    found = insight.occlusion(lstm.trace(x), steps=5)
    assert found.past > np.nanmax(found.columns["size"])
    assert "what comes before step 55, where no step was looked at, changes it most, by up to" in str(found)
    assert found.named == ()


def test_steps_whose_exchange_others_match_are_not_named():
    lstm, x = planted.steep(5)
    found = insight.occlusion(lstm.trace(x))
    assert found.rivals > 0
    assert f"no step stands out: {found.rivals} of 200 sets of three others change it as much as step 16" in str(found)
    assert found.named == ()


def test_the_step_that_another_method_names_is_told_by_how_much_it_changes():
    lstm, x = planted.held_bit(steps=60, write=7)
    found = insight.occlusion(lstm.trace(x), steps=55)
    assert found.test_of(59).startswith("Tested: with that step exchanged it is 0.00")
    assert found.test_of(59).endswith("of 55 steps, none changes it more.")
    assert found.test_of(3) == "Inferred: that step is not one of the 55 steps that were exchanged."


def test_the_same_seed_exchanges_for_the_same_steps():
    trace = gw.LSTM(2, 3, rng=0).trace(RNG.normal(size=(30, 2)))
    first, again, other = (insight.occlusion(trace, rng=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.columns["change"], again.columns["change"])
    assert (first.columns["change"] != other.columns["change"]).any()
    assert first.reading == again.reading


def test_an_output_that_rests_on_nothing_says_so():
    deaf = gw.Network(gw.LSTM(2, 3, rng=0), head=gw.Linear(np.zeros((1, 3), np.float32), [0.5]))
    found = insight.occlusion(deaf.trace(RNG.normal(size=(9, 2))))
    assert "no step of 9 steps changes it" in str(found)
    assert found.named == ()
    assert found.reading[0].startswith("Tested: ")
    assert len(found.reading) == 1


def test_what_an_occlusion_cannot_be_asked_is_refused():
    lstm, x = gw.LSTM.from_cells(latch().cell).astype(np.float32), latch().x
    for options, words in (
        ({"steps": 0}, "steps must be"),
        ({"rng": -1}, "rng must be"),
        ({"t": 99}, "99"),
        ({"work": 0}, "work must be"),
        ({"width": 8}, "width must be at most 7"),
        ({"work": 1.0}, "multiplications"),
        ({"baseline": np.nan}, "finite"),
        ({"baseline": 1e300}, "float32 can represent"),
    ):
        with refusal(words, by=gw.OptionError):
            insight.occlusion(lstm.trace(x), **options)
    masking = gw.Network(lstm, masked=0.0)
    reading = gw.Network(lstm, embedding=np.ones((4, 3), np.float32), masked=0)
    for network, given in ((masking, x), (reading, np.array([1, 2, 3]))):
        with refusal("masks a step of this network", by=gw.OptionError):
            insight.occlusion(network.trace(given), baseline=0)
    with refusal("shape", by=gw.ShapeError):
        insight.occlusion(lstm.trace(x), baseline=np.zeros(5))
    with refusal("without edits", by=gw.OptionError):
        insight.occlusion(lstm.trace(x, edit=gw.Edit.set("forget_gate", 0.0)))
