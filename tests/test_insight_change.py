"""Two runs beside each other: where they part, and how far apart they are at every step."""

import numpy as np
import pytest
from cases import DIRECTIONS, PROJECTIONS, VALID, VARIANTS, refusal, run_of
from pairwise import pairs

import gatewise as gw
from gatewise.examples import latch
from gatewise.insight import change
from gatewise.margins import TIE

Edit = gw.Edit
QUANTITIES = ("input_gate", "forget_gate", "candidate", "output_gate", "cell_state", "hidden_state")


def test_the_latch_parts_where_it_is_made_to_forget():
    cell, x, *_ = latch()
    lstm = gw.LSTM.from_cells(cell)
    before = lstm.trace(x, engine="reference")
    found = change(before, lstm.trace(x, edit=Edit.clamp("forget_gate", high=0.0, steps=3)))
    assert (found.first.step, found.first.quantity, found.first.unit, found.first.after) == (3, "forget_gate", 0, 0.0)
    assert str(found).startswith("The two runs part at step 3, in the forget gate of unit latch; at the end the output")
    assert found.at_end == pytest.approx(0.75, abs=0.01)
    assert np.flatnonzero(found.edited[0]).tolist() == [3]
    assert (found.norms[0, :3] == 0).all()
    np.testing.assert_allclose(found.norms[0, 3:, QUANTITIES.index("cell_state")], 1, atol=0.05)
    assert np.isnan(found.residual)


@pairs(
    variant=VARIANTS,
    edited=QUANTITIES,
    direction=DIRECTIONS,
    projection=PROJECTIONS,
    valid=VALID,
    thin=True,
)
def test_it_finds_what_is_found_number_by_number(variant, edited, direction, projection, valid):
    run = run_of(variant, direction=direction, projection=projection, valid=valid, time=6)
    before = run.trace(engine="reference")
    after = run.trace(edit=Edit.scale(edited, 0.5, steps=[2, 3], units=1))
    found = change(before, after)
    order = ("input_gate", "forget_gate", "candidate", "cell_state", "output_gate", "hidden_state")
    apart = {name: np.abs(before.quantity(name) - after.quantity(name)) for name in QUANTITIES}
    apart = {name: np.where(np.isnan(one), 0, one) for name, one in apart.items()}
    for place, name in enumerate(QUANTITIES):
        np.testing.assert_allclose(found.norms[0, :, place], np.sqrt((apart[name] ** 2).sum((1, 2))), rtol=1e-12)
        np.testing.assert_array_equal(found.columns[name], found.norms[0, :, place])
    steps = range(6) if direction == "forward" else range(5, -1, -1)
    parted = [(t, name) for t in steps for name in order if apart[name][t].any()]
    if not parted:
        assert found.first is None
        return
    assert (found.first.step, found.first.quantity) == parted[0]
    at = found.first.sequence, found.first.unit
    assert apart[parted[0][1]][parted[0][0]][at] == apart[parted[0][1]][parted[0][0]].max()
    assert found.first.before - found.first.after == pytest.approx(
        (before.quantity(parted[0][1]) - after.quantity(parted[0][1]))[parted[0][0]][at]
    )
    largest = max(one.max() for one in apart.values())  # of differences that tie, the first is reported
    assert largest * (1 - TIE) <= abs(found.largest.before - found.largest.after) <= largest
    assert found.at_end == np.abs(before.final.h - after.final.h).max()


def test_an_edit_of_one_cell_parts_the_runs_there_first():
    lstm = gw.LSTM(3, 4, num_layers=2, bidirectional=True, rng=0)
    x = np.random.default_rng(0).normal(size=(8, 2, 3)).astype(np.float32)
    before = lstm.trace(x, engine="reference")
    after = lstm.trace(x, edit=Edit.set("candidate", 1.0, units=2, steps=4, layer=1, direction="backward"))
    found = change(before, after)
    assert found.first[:3] == (1, "backward", 4)
    assert "in the candidate of unit 2 of layer 1 (backward), sequence" in str(found)
    assert found.cells == ((0, "forward"), (0, "backward"), (1, "forward"), (1, "backward"))
    assert (found.norms[:3] == 0).all()
    assert list(found.columns)[:3] == ["layer", "direction", "time"]
    assert len(found.columns["time"]) == 4 * 8
    assert found.to_dataframe().query("cell_state > 0").direction.unique().tolist() == ["backward"]
    one = change(before, after, cell=(0, "forward"), unit=3, sequence=1)
    np.testing.assert_array_equal(one.series["cell_state"][0], before[0, "forward"].cell_state[:, 1, 3])
    assert one.name == "unit 3 of layer 0 (forward), sequence 1"


def test_runs_of_other_inputs_part_in_their_inputs():
    run = run_of("plain", time=5)
    moved = run.x.copy()
    moved[3, 1] += 1
    found = change(run.trace(), run.replace(x=moved).trace())
    assert found.first[2:5] == (3, 1, "input")
    assert str(found).startswith("The two runs part at step 3, in their inputs; at the end the hidden state differs by")


def test_runs_that_are_the_same_are_said_to_be():
    run = run_of("plain", valid="mask")
    before = run.trace(engine="reference")
    found = change(before, run.trace(edit=Edit.patch("cell_state", before)))
    assert (found.first, found.largest, found.at_end) == (None, None, 0.0)
    assert str(found) == "The two runs are the same, number by number."


def test_engines_that_round_differently_are_no_change_unless_asked_for():
    x = np.random.default_rng(0).normal(size=(9, 1, 3))
    native = gw.LSTM(3, 4, rng=0).trace(x)
    reference = gw.LSTM(3, 4, rng=0).trace(x, engine="reference")
    if native[0].engine == reference[0].engine:
        pytest.skip("the native engine is not there")
    assert "differ nowhere by more than 0.00035" in str(change(native, reference))
    assert change(native, reference, tolerance=0).first is not None


def test_a_number_that_is_nan_in_one_run_alone_is_infinitely_far():
    run = run_of("plain", time=4)
    x = run.x.copy()
    x[2, 0, 0] = np.nan
    found = change(run.trace(), run.replace(x=x).trace())
    assert found.first[2:5] == (2, 0, "input")
    assert found.at_end == np.inf
    same = change(run.replace(x=x).trace(), run.replace(x=x).trace())
    assert same.first is None


def test_traces_that_kept_less_or_lie_in_a_file_are_compared(tmp_path):
    run = run_of("plain", time=6)
    edit = Edit.set("forget_gate", 0.0, steps=2)
    less = {"keep": ("cell_state", "forget_gate"), "units": [1, 3], "every": 2}
    found = change(run.trace(engine="reference", **less), run.trace(edit=edit, **less))
    assert found.quantities == ("forget_gate", "cell_state")
    assert found.first[2:6:2] == (1, "forget_gate")  # the second kept step
    assert found.times.tolist() == [0, 2, 4]
    assert "at step 2, in the forget gate of unit" in str(found)
    filed = run.lstm.trace(run.x, **run.options(), edit=edit, out=tmp_path / "edited.safetensors")
    whole = change(run.lstm.trace(run.x, **run.options(), engine="reference"), filed)
    assert whole.first.step == 2
    assert whole.edited.sum() == 1


def test_the_output_of_a_network_is_what_it_ends_with():
    network = gw.Network(gw.LSTM(3, 4, rng=0), head=gw.Linear(np.full((1, 4), 2, np.float32)), reads="last")
    x = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)
    before = network.trace(x, engine="reference")
    after = network.trace(x, edit=Edit.set("hidden_state", 0.5, steps=-1))
    found = change(before, after)
    assert found.at_end == np.abs(before.output - after.output).max()
    assert "in the hidden state of unit" in str(found)
    for reads in ("every", "last"):  # the axes of the input do not matter
        alone = gw.Network(network.lstm, head=network.head, reads=reads)
        found = change(alone.trace(x[:, 0]), alone.trace(x[:, :1]))
        assert str(found) == "The two runs are the same, number by number."


PLAIN = run_of("plain")
REFUSED = {
    "kinds": (lambda: (PLAIN.trace(), PLAIN.lstm.trace(PLAIN.x)), {}, ("the same kind", "Trace and LSTMTrace")),
    "no run": (lambda: (PLAIN.x, PLAIN.x), {}, ("Trace, LSTMTrace or NetworkTrace", "ndarray")),
    "steps": (lambda: (PLAIN.trace(), run_of("plain", time=2).trace()), {}, ("same shape", "3 steps", "2 steps")),
    "directions": (
        lambda: (PLAIN.trace(), run_of("plain", direction="backward").trace()),
        {},
        ("layer 0 forward", "layer 0 backward"),
    ),
    "valid": (lambda: (PLAIN.trace(), PLAIN.replace(valid=np.eye(3) > 0).trace()), {}, ("same valid steps",)),
    "kept": (lambda: (PLAIN.trace(), PLAIN.trace(units=[1])), {}, ("same units and steps", "1 unit")),
    "nothing": (lambda: (PLAIN.trace(keep="cell_state"), PLAIN.trace(keep="candidate")), {}, ("in common",)),
    "tolerance": (lambda: (PLAIN.trace(), PLAIN.trace()), {"tolerance": -1}, ("tolerance", "-1")),
    "NaN": (lambda: (PLAIN.trace(), PLAIN.trace()), {"tolerance": np.nan}, ("tolerance", "nan")),
    "unit": (lambda: (PLAIN.trace(), PLAIN.trace()), {"unit": 9}, ("no unit 9",)),
    "sequence": (lambda: (PLAIN.trace(), PLAIN.trace()), {"sequence": 9}, ("no sequence 9",)),
    "cell": (lambda: (PLAIN.trace(), PLAIN.trace()), {"cell": 2}, ("no layer 2",)),
    "empty": (lambda: [gw.LSTM(2, 2, rng=0).trace(np.zeros((0, 1, 2)))[0]] * 2, {}, ("have no steps",)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_runs_that_cannot_be_compared_are_refused_in_one_sentence(name):
    runs, options, parts = REFUSED[name]
    with refusal(*parts, by=gw.GatewiseError):
        change(*runs(), **options)
