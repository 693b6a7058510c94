"""Edited runs: what is set, scaled, clamped or patched takes the place of what is computed, and nothing else does."""

import numpy as np
import pytest
from cases import DIRECTIONS, PROJECTIONS, VALID, VARIANTS, refusal, run_of
from native_subjects import needs_native
from pairwise import pairs
from walks import projected

import gatewise as gw
from gatewise import adjoints
from gatewise.engine import native
from gatewise.equations import Moment
from gatewise.records.edited_steps import EditedMoment
from gatewise.records.edits import EDITABLE
from gatewise.symbolic import cell
from gatewise.symbolic.cell import StepValues, program
from gatewise.symbolic.evaluation import evaluate
from gatewise.symbolic.formula import DC_NEXT, DC_PREV, DH_NEXT, DH_PREV, DX, DY

QUANTITIES = tuple(EDITABLE)
Edit = gw.Edit


def edits_of(run, turn):
    """Return an edit of every quantity, whose action turns, and some that act on what is edited already."""
    other = run.replace(x=-run.x).trace(engine="reference")
    made = (
        lambda name: Edit.set(name, [[[0.3, -0.2]]], units=[0, 2], steps=range(1, 4)),
        lambda name: Edit.scale(name, -0.7, steps=[0, 2]),
        lambda name: Edit.clamp(name, -0.05, 0.3, units=slice(0, 2), sequences=0),
        lambda name: Edit.patch(name, other, steps=-2),
    )
    found = [made[(n + turn) % 4](name) for n, name in enumerate(QUANTITIES)]
    again = QUANTITIES[turn % 6], QUANTITIES[(turn + 2) % 6]
    return [*found, Edit.scale(again[0], 0.5, units=1), Edit.clamp(again[1], high=0.2)]


def by_hand(q, letter, trace, t, rows):
    """Return a quantity of a step with the edits applied one after another, as they are named."""
    q = np.array(q)
    for edit in trace.edits:
        steps = list(range(len(trace)) if edit.steps is None else edit.steps)
        sequences = list(range(trace.batch_size) if edit.sequences is None else edit.sequences)
        if EDITABLE[edit.quantity] != letter or t not in steps:
            continue
        for n, row in enumerate(rows):
            if row not in sequences:
                continue
            units = list(range(q.shape[1]) if edit.units is None else edit.units)
            if edit.action == "clamp":
                low, high = (
                    end if end is not None else np.inf * sign for end, sign in zip(edit.value, (-1, 1), strict=True)
                )
                q[n, units] = np.minimum(np.maximum(q[n, units], low), high)
            else:
                value = edit.value[steps.index(t), sequences.index(row)]
                q[n, units] = q[n, units] * value if edit.action == "scale" else value
    return q


def holds_by_hand(run, trace):
    """Assert that the equations hold in an edited trace, with what was edited replaced before it is used."""
    h, c = run.state.h.copy(), run.state.c.copy()
    for t in range(len(trace)) if trace.direction == "forward" else reversed(range(len(trace))):
        rows = np.arange(trace.batch_size) if trace.valid is None else np.flatnonzero(trace.valid[t])
        inputs = run.p, run.x[t, rows], h[rows], c[rows], trace.dropout.at((t, rows))
        known: dict = {}
        order = ("f", "i", "g") if run.p.variant.coupled == "i" else ("i", "f", "g")
        for name in (*order, "c_new" if trace.dropout.zoneout_cell is None else "c", "o"):
            known[name] = by_hand(getattr(Moment(*inputs, **known), name), name[0], trace, t, rows)
        made = Moment(*inputs, **known)
        h[rows], c[rows] = by_hand(made.h, "h", trace, t, rows), made.c
        expected = [*(known[letter] for letter in "ifgo"), c[rows], h[rows]]
        for name, value in zip(QUANTITIES, expected, strict=True):
            np.testing.assert_allclose(trace.quantity(name)[t, rows], value, rtol=1e-11, atol=1e-13, err_msg=name)
        np.testing.assert_allclose(trace.unprojected_state[t, rows], made.m, rtol=1e-11, atol=1e-13)


def gradients_agree(run, trace):
    """Assert that the backward pass gives the derivative of the edited run, all that goes in moved at once."""
    rng = np.random.default_rng(3)
    dy = rng.normal(size=trace.hidden_state.shape)
    end = gw.State(*(rng.normal(size=part.shape) for part in trace.final))
    found = gw.backward(trace, dy, end)
    given = {"x": run.x, **run.state._asdict(), **run.p.arrays()}
    gradients = {"x": found.x, **found.state._asdict(), **found.parameters}
    move = {name: rng.normal(size=array.shape) for name, array in given.items()}

    def loss(by):
        moved = {name: array + by * move[name] for name, array in given.items()}
        x, state = moved.pop("x"), gw.State(moved.pop("h"), moved.pop("c"))
        other = run.replace(p=run.p.replace(**moved), x=x, state=state).trace(edit=trace.edits)
        return (other.hidden_state * dy).sum() + sum((a * b).sum() for a, b in zip(other.final, end, strict=True))

    terms = [gradients[name] * move[name] for name in given]
    difference = (loss(1e-6) - loss(-1e-6)) / 2e-6
    assert abs(sum(one.sum() for one in terms) - difference) < 1e-6 * sum(np.abs(one).sum() for one in terms) + 1e-8


def program_agrees(run, trace, t):
    """Assert that the program of an edited step gives its numbers, forward and backward."""
    if trace.valid is not None and not trace.valid[t, 0]:
        return
    M, rng = trace.step(t).moment, np.random.default_rng(4)
    made = program(cell.form_of(run.p, M.dropout, edited=cell.edited(M)), dropped_weights=True)
    known = cell.step_values(M, made)
    dy, dh, dc = (rng.normal(size=n) for n in (run.p.recurrent_size, run.p.recurrent_size, run.p.hidden_size))
    scope = StepValues(made, run.p, known | {DY: dy, DH_NEXT: dh, DC_NEXT: dc})
    for one in made.forward:
        if one.left in known:
            np.testing.assert_allclose(evaluate(one.right, scope), known[one.left], rtol=1e-9, atol=1e-11)
    found = adjoints.step(M, (dy + dh)[None], dc[None])
    for symbol, array in ((DX, found.x), (DH_PREV, found.h_prev), (DC_PREV, found.c_prev)):
        np.testing.assert_allclose(scope[symbol], array[0], rtol=1e-9, atol=1e-11)


def patched_from_itself(run, before):
    """Assert that a run whose every quantity is patched from itself is the same, bit for bit."""
    after = run.trace(edit=[Edit.patch(name, before) for name in QUANTITIES])
    for name in QUANTITIES:
        assert after.quantity(name).tobytes() == before.quantity(name).tobytes(), name


@pairs(
    variant=VARIANTS,
    direction=DIRECTIONS,
    projection=PROJECTIONS,
    valid=VALID,
    dropout=(False, True),
    thin=projected,
)
def test_an_edited_run_is_its_equations_with_the_edits_in_them(variant, direction, projection, valid, dropout):
    run = run_of(variant, direction=direction, projection=projection, valid=valid, dropout=dropout, time=4)
    turn = list(VARIANTS).index(variant) + list(PROJECTIONS).index(projection)
    trace = run.trace(edit=edits_of(run, turn))
    holds_by_hand(run, trace)
    gradients_agree(run, trace)
    program_agrees(run, trace, turn % 4)
    patched_from_itself(run, run.trace(engine="reference"))


def test_a_step_that_no_edit_acts_on_is_a_plain_one():
    trace = run_of("plain").trace(edit=Edit.set("forget_gate", 0.0, steps=2, sequences=0))
    assert [type(trace.step(*at).moment) for at in ((1, 0), (2, 0), (2, 1))] == [Moment, EditedMoment, Moment]
    assert trace.engine == "reference"


def test_a_whole_lstm_is_edited_where_the_edit_says():
    lstm = gw.LSTM(3, 4, num_layers=2, bidirectional=True, rng=0, dtype=np.float64)
    x = np.random.default_rng(0).normal(size=(5, 2, 3))
    before = lstm.trace(x, engine="reference")
    after = lstm.trace(x, edit=Edit.set("output_gate", 0, layer=0, direction="backward", steps=slice(2, None)))
    assert not after[0, "backward"].hidden_state[2:].any()
    assert np.array_equal(after[0, "forward"].hidden_state, before[0, "forward"].hidden_state)
    assert [cell for cell, trace in after.cells().items() if trace.edits] == [(0, "backward")]
    every = lstm.trace(x, edit=Edit.patch("cell_state", after, steps=1))
    assert [(edit.layer, edit.direction) for edit in every.edits] == list(before.cells())
    assert np.array_equal(lstm.trace(x, edit=every.edits).output, every.output)


def test_a_network_takes_edits_as_its_lstm_does():
    head = gw.Linear(np.ones((1, 4), np.float32))
    network = gw.Network(gw.LSTM(3, 4, rng=0), head=head)
    x = np.ones((5, 3), np.float32)
    shut = network.trace(x, edit=Edit.set("output_gate", 0.0))
    assert not shut.output.any()
    assert not gw.backward(shut, np.ones_like(shut.output)).lstm.x.any()
    assert network.trace(x, edit=Edit.patch("hidden_state", shut, steps=1)).lstm.edits[0].action == "patch"


def test_a_slice_keeps_the_edits_that_act_in_it_and_runs_again_with_them():
    run = run_of("plain", time=6)
    trace = run.trace(edit=[*edits_of(run, 0), Edit.set("candidate", 0.1, steps=[0, 5]), Edit.scale("cell_state", 2.0)])
    part = trace[2:5, 1:]
    again = gw.LSTM.from_cells(run.p).trace(run.x[2:5, 1:], [[part.initial]], edit=part.edits)[0]
    for name in QUANTITIES:
        assert np.array_equal(again.quantity(name), part.quantity(name))
    assert len(part.edits) < len(trace.edits)
    assert np.array_equal(part.step(1, 0).forget_gate, trace.step(3, 1).forget_gate)
    assert "at steps 2, 3" in repr(trace[2:5]), repr(trace[2:5])  # of the whole run
    np.testing.assert_array_equal(gw.backward(part, np.ones_like(part.hidden_state)).weight.shape, run.p.weight.shape)


@pytest.mark.parametrize("out", [False, True], ids=["saved", "written as it runs"])
def test_a_trace_is_read_back_with_its_edits(out, tmp_path):
    run = run_of("cell clip", valid="mask", time=4)
    path = tmp_path / "edited.safetensors"
    edits = edits_of(run, 1)
    trace = run.lstm.trace(run.x, **run.options(), edit=edits, out=path if out else None)
    if not out:
        gw.save(trace, path)
    found = gw.load(path)
    assert [str(edit) for edit in found.edits] == [str(edit) for edit in trace.edits]
    dy = np.ones_like(trace.output)
    assert np.array_equal(gw.backward(found, dy).x, gw.backward(trace, dy).x)
    assert np.array_equal(run.lstm.trace(run.x, **run.options(), edit=found.edits).output, trace.output)
    gw.save(trace[0][1:3], path)
    assert len(gw.load(path).edits) == len(trace[0][1:3].edits)


def test_an_edited_trace_says_so():
    trace = run_of("plain").trace(edit=[Edit.clamp("cell_state", -1, units=2), Edit.scale("forget_gate", 0.5)])
    assert "edited: cell_state of unit 2 clamped to at least -1 (layer 0, forward); forget_gate scaled" in repr(trace)
    assert "forget_gate scaled by 0.5" in trace.to_xarray().attrs["edits"]
    assert "edits" not in run_of("plain").trace().to_xarray().attrs


# What is refused.


EDITS = {
    "quantity": (lambda: Edit.set("gate", 1), ("quantity", "'gate'", "forget_gate")),
    "action": (lambda: Edit("forget_gate", "drop", 1), ("action", "'drop'", "clamp")),
    "NaN": (lambda: Edit.set("forget_gate", np.nan), ("finite", "nan")),
    "infinite": (lambda: Edit.scale("forget_gate", [1, np.inf]), ("finite",)),
    "no number": (lambda: Edit.set("forget_gate", "open"), ("real numbers",)),
    "no bounds": (lambda: Edit.clamp("forget_gate"), ("bound",)),
    "bounds turned": (lambda: Edit.clamp("forget_gate", 1, 0), ("lower bound", "1 and 0")),
    "bound of text": (lambda: Edit.clamp("forget_gate", "low"), ("two bounds", "'low'")),
    "units of text": (lambda: Edit.set("forget_gate", 1, units="all"), ("units", "'all'")),
    "no step": (lambda: Edit.set("forget_gate", 1, steps=[]), ("steps", "at least one")),
    "layer": (lambda: Edit.set("forget_gate", 1, layer="top"), ("layer", "'top'")),
    "direction": (lambda: Edit.set("forget_gate", 1, direction="up"), ("direction", "'up'")),
    "source": (lambda: Edit.patch("forget_gate", 3), ("patch takes a Trace", "int")),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_that_makes_no_sense_is_refused_in_one_sentence(name):
    make, parts = EDITS[name]
    with refusal(*parts, by=gw.GatewiseError):
        make()


RUN = run_of("plain", time=4)
MASKED = run_of("plain", time=4, valid="mask")
RUNS = {
    "no edit": ("shut", ("edit must be", "'shut'")),
    "unit": (Edit.set("forget_gate", 1, units=4), ("no unit 4", "0 to 3")),
    "step": (Edit.set("forget_gate", 1, steps=range(2, 6)), ("no step 5", "0 to 3")),
    "empty slice": (Edit.set("forget_gate", 1, steps=slice(9, None)), ("is empty; there are 4",)),
    "twice": (Edit.set("forget_gate", 1, units=[3, -1]), ("unit 3 twice",)),
    "sequence": (Edit.set("forget_gate", 1, sequences=-4), ("no sequence -4",)),
    "layer": (Edit.set("forget_gate", 1, layer=1), ("no layer 1",)),
    "direction": (Edit.set("forget_gate", 1, direction="backward"), ("direction", "forward")),
    "shape": (Edit.set("forget_gate", np.ones(3)), ("shape (3,)", "(4, 3, 4)")),
    "another size": (
        lambda: Edit.patch("forget_gate", run_of("plain", time=3).trace()),
        ("a patch needs", "(4, 3, 4)", "(3, 3, 4)"),
    ),
    "not valid": (
        lambda: Edit.patch("cell_state", MASKED.trace()),
        ("valid in both", "is not valid in the run it comes from"),
    ),
    "less kept": (lambda: Edit.patch("cell_state", RUN.trace(units=[1])), ("every unit",)),
    "not kept": (lambda: Edit.patch("cell_state", RUN.trace(keep="forget_gate")), ("did not keep cell_state",)),
}


@pytest.mark.parametrize("name", RUNS)
def test_an_edit_that_does_not_fit_to_a_run_is_refused_in_one_sentence(name):
    edit, parts = RUNS[name]
    with refusal(*parts, by=gw.GatewiseError):
        RUN.trace(edit=edit() if callable(edit) else edit)


@needs_native
def test_only_the_reference_engine_runs_with_edits():
    edit = Edit.set("forget_gate", 1)
    for engine in ("auto", "reference"):
        assert RUN.trace(edit=edit, engine=engine).engine == "reference"
    with refusal("reference engine", "'native'", by=gw.OptionError):
        RUN.trace(edit=edit, engine="native")


def test_a_patch_is_not_taken_from_what_is_overwritten():
    earlier = RUN.lstm.trace(RUN.x, edit=Edit.set("hidden_state", 0.1))
    with refusal("would overwrite", by=gw.OptionError):
        RUN.lstm.trace(RUN.x, edit=Edit.patch("hidden_state", earlier), out=earlier)


def test_an_edit_keeps_its_numbers_when_the_callers_change():
    value = np.ones(4)
    edit = Edit.set("forget_gate", value)
    value[:] = 0
    assert (RUN.trace(edit=edit).forget_gate == 1).all()


def test_what_supposes_the_cells_own_equations_refuses_an_edited_run():
    trace = RUN.trace(edit=Edit.set("cell_state", 1.0, steps=1, sequences=0))
    refusing = {
        "sheet": lambda: gw.check({}, trace),
        "program": lambda: gw.walk(trace).render("json", program=True),
        "contributions": lambda: gw.insight.contributions(trace),
        "timescale": lambda: gw.insight.timescales(trace),
        "attribution": lambda: gw.insight.attribution(trace, method="lrp"),
        "decomposition": lambda: gw.insight.decomposition(trace, 0, 1),
        "word scores": lambda: gw.insight.word_scores(trace),
        "influence of a cell": lambda: gw.insight.influence(trace),
        "influence": lambda: gw.insight.influence(RUN.lstm.trace(RUN.x, edit=trace.edits)),
        "the native engine": lambda: native.backward(trace, np.zeros_like(trace.hidden_state), trace.final),
        "ceiling": lambda: gw.insight.ceiling(RUN.lstm.trace(RUN.x, edit=trace.edits)),
    }
    for ask in refusing.values():
        with refusal("edit", by=gw.OptionError):
            ask()


def test_gradient_times_input_is_that_of_the_edited_run():
    edits = [Edit.scale("forget_gate", 0.5, steps=1), Edit.set("hidden_state", 0.2, steps=2, units=0)]
    trace = RUN.lstm.trace(RUN.x, state=[[RUN.state]], edit=edits)
    found = gw.insight.attribution(trace, output=1, method="gradient_input")
    dy = np.zeros_like(trace.output)
    dy[-1, 0, 1] = 1
    np.testing.assert_allclose(found.scores, (gw.backward(trace, dy).x * RUN.x)[:, 0].sum(-1), rtol=1e-10)


def test_a_picture_of_an_edited_gate_reaches_as_far_as_its_values():
    trace = RUN.trace(edit=Edit.set("forget_gate", 3.0, steps=1))
    assert gw.plot.data.unit(trace).limits["forget_gate"] == (-3, 3)
    assert gw.plot.data.unit(RUN.trace()).limits["forget_gate"] == (0, 1)
