"""What every engine must keep: sizes, bits, NaN and infinity, and the names by which it is chosen."""

from __future__ import annotations

import cases
import numpy as np
import oracle
import pytest
from pairwise import each

import gatewise as gw
from gatewise.engine import ENGINES as ENGINE_MODULES
from gatewise.engine import choose, reference
from gatewise.records.keep import Keep

ENGINES = [one.name for one in gw.engines() if one.available]
PAIRS = [(e, v) for e in ENGINES for v in cases.VARIANTS if ENGINE_MODULES[e].refusal(cases.run_of(v).p) is None]
every_engine = pytest.mark.parametrize("engine", ENGINES)
every_engine_and_variant = pytest.mark.parametrize(("engine", "variant"), PAIRS)
DTYPES = (np.float32, np.float64)
every_valid = pytest.mark.parametrize("valid", cases.VALID)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def met_by_every_engine(**factors):
    """Return the mark of a test in whose cases every engine has each variant, and every value of the factors occurs.

    In those of the peers' tests every engine, with each variant, meets all values.
    """
    found = [(*case.values(), marks) for case, marks in each({"pair": PAIRS, **factors})]
    rows = [pytest.param(*pair, *values, marks=marks) for pair, *values, marks in found]
    return pytest.mark.parametrize(("engine", "variant", *factors), rows)


def assert_same_state(found, expected):
    np.testing.assert_array_equal(found.h, expected.h)
    np.testing.assert_array_equal(found.c, expected.c)


def test_the_reference_engine_is_always_there_and_runs_everything():
    last = gw.engines()[-1]
    assert (last.name, last.available) == ("reference", True)
    for variant in cases.VARIANTS:
        assert reference.refusal(cases.run_of(variant).p) is None


def test_auto_takes_the_first_engine_that_does_not_refuse():
    p = cases.run_of("plain").p
    first = next(one for one in gw.engines() if one.available)
    assert first.name == choose("auto", p).NAME
    assert choose("reference", p) is reference


def test_an_engine_that_cannot_run_the_cell_says_why_and_auto_passes_it_over(monkeypatch):
    class Timid:
        NAME = "timid"

        @staticmethod
        def refusal(parameters):
            return "it is a Tuesday"

    run = cases.run_of("plain")
    run.lstm(run.x)  # imports what would take the table below for good
    monkeypatch.setattr("gatewise.engine.ENGINES", {"timid": Timid, "reference": reference})
    assert run.lstm.trace(run.x)[0].engine == "reference"
    with cases.refusal("timid", "it is a Tuesday", by=gw.OptionError):
        run.lstm(run.x, engine="timid")


@met_by_every_engine(
    direction=cases.DIRECTIONS,
    sizes=[(1, 1, 1, 1), (1, 3, 2, 4), (4, 1, 2, 1), (0, 2, 2, 3), (3, 0, 2, 3), (0, 0, 1, 1), (2, 2, 1, 9)],
)
def test_every_size_runs_forward_and_backward(engine, variant, direction, sizes):
    time, batch, inputs, hidden = sizes
    run = cases.run_of(
        variant, time=max(time, 1), batch=max(batch, 1), inputs=inputs, hidden=hidden, direction=direction
    )
    run = run.replace(x=run.x[:time, :batch], state=gw.State(*(array[:batch] for array in run.state)))
    trace = run.trace(engine=engine)
    assert trace.engine == engine
    expected = oracle.run(run.p, run.x, run.state, direction=direction)
    assert trace.gates.shape == trace[:].gates.shape == trace.preactivations.shape == (time, batch, 4, hidden)
    assert trace.previous.h.shape == (time, batch, hidden)
    assert trace.combined_input.shape == (time, batch, hidden + inputs)
    for (t, row), M in expected.items():
        np.testing.assert_allclose(trace.hidden_state[t, row], M.h, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(trace.cell_state[t, row], M.c, rtol=1e-9, atol=1e-12)
    if time:
        last = -1 if direction == "forward" else 0
        assert_same_state(trace.final, gw.State(trace.hidden_state[last], trace.cell_state[last]))
    else:
        assert_same_state(trace.final, run.state)
    ones = gw.State(*map(np.ones_like, run.state))
    found = gw.backward(trace, np.ones_like(trace.hidden_state), ones)
    assert found.x.shape == run.x.shape
    assert all(np.isfinite(array).all() for array in (*found.parameters.values(), found.x, *found.state))
    if not time:
        assert_same_state(found.state, ones)
    if not time * batch:
        assert not any(array.any() for array in found.parameters.values())


@met_by_every_engine(direction=cases.DIRECTIONS, valid=cases.VALID, dtype=DTYPES)
def test_keeping_a_trace_changes_no_bit(engine, variant, direction, valid, dtype):
    run = cases.run_of(variant, direction=direction, valid=valid, dtype=dtype, time=5, dropout=True)
    y, ((state,),) = run.lstm(run.x, **run.options(), engine=engine)
    whole = run.lstm.trace(run.x, **run.options(), engine=engine)
    np.testing.assert_array_equal(whole.output, y)
    assert_same_state(whole.state[0][0], state)
    assert y.dtype == state.h.dtype == state.c.dtype == dtype
    less = run.lstm.trace(run.x, **run.options(), engine=engine, keep="forget_gate", units=[2], every=2)
    np.testing.assert_array_equal(less.output, y)


@met_by_every_engine(direction=cases.DIRECTIONS, valid=cases.VALID, dtype=DTYPES)
def test_a_split_run_equals_the_whole_bit_for_bit(engine, variant, direction, valid, dtype):
    run = cases.run_of(variant, direction=direction, valid=valid, dtype=dtype, time=6, dropout=True)
    dropout = run.dropout.fit(run.p, 6, 3)
    whole = run.trace(engine=engine)
    y, ends = [], run.state
    pieces = [slice(0, 1), slice(1, 4), slice(4, 6)]
    for piece in pieces if direction == "forward" else reversed(pieces):
        part = run.replace(
            x=run.x[piece],
            state=ends,
            valid=None if run.valid is None else run.valid[piece],
            dropout=dropout.at(piece),
        ).trace(engine=engine)
        y.append(part.hidden_state)
        ends = part.final
        np.testing.assert_array_equal(part.gates, whole.gates[piece])
    joined = np.concatenate(y if direction == "forward" else y[::-1])
    np.testing.assert_array_equal(joined, whole.hidden_state)
    assert_same_state(ends, whole.final)


@met_by_every_engine(direction=cases.DIRECTIONS, valid=cases.VALID, dtype=DTYPES)
def test_a_batch_equals_its_sequences(engine, variant, direction, valid, dtype):
    """Within rounding on the reference engine, whose sums BLAS orders by the size of the batch; else bit for bit."""
    run = cases.run_of(variant, direction=direction, valid=valid, dtype=dtype, time=5, batch=4, dropout=True)
    dropout = run.dropout.fit(run.p, 5, 4)
    whole = run.trace(engine=engine)
    tolerance = {"rtol": 0, "atol": 0} if engine != "reference" else {"atol": 200 * np.finfo(dtype).eps, "rtol": 0}
    for row in range(4):
        one = slice(row, row + 1)
        alone = run.replace(
            x=run.x[:, one],
            state=gw.State(*(array[one] for array in run.state)),
            valid=None if run.valid is None else run.valid[:, one],
            dropout=dropout.at((slice(None), one)),
        ).trace(engine=engine)
        np.testing.assert_allclose(alone.gates, whole.gates[:, one], **tolerance)
        np.testing.assert_allclose(alone.cell_state, whole.cell_state[:, one], **tolerance)
        np.testing.assert_allclose(alone.final.h, whole.final.h[one], **tolerance)


@met_by_every_engine(direction=cases.DIRECTIONS, projection=["unprojected", "projected and clipped"])
def test_nan_in_gives_nan_out_in_its_sequence_and_in_no_other(engine, variant, direction, projection):
    run = cases.run_of(variant, direction=direction, projection=projection, time=5, batch=4, inputs=3, hidden=5)
    x = run.x.copy()
    x[2, 1, 0] = np.nan
    clean, trace = run.trace(engine=engine), run.replace(x=x).trace(engine=engine)
    tainted = slice(2, None) if direction == "forward" else slice(None, 3)
    before = slice(None, 2) if direction == "forward" else slice(3, None)
    assert np.isnan(trace.hidden_state[tainted, 1]).all()
    assert np.isnan(trace.cell_state[tainted, 1]).all()
    assert np.isnan(trace.gates[tainted, 1]).all()
    assert np.isnan(trace.final.h[1]).all()
    np.testing.assert_array_equal(trace.hidden_state[before, 1], clean.hidden_state[before, 1])
    others = [0, 2, 3]
    np.testing.assert_array_equal(trace.gates[:, others], clean.gates[:, others])
    np.testing.assert_array_equal(trace.final.c[others], clean.final.c[others])
    dy = np.ones_like(trace.hidden_state)
    np.testing.assert_array_equal(gw.backward(trace, dy).x[:, others], gw.backward(clean, dy).x[:, others])


@met_by_every_engine(direction=cases.DIRECTIONS, valid=["lengths", "mask"], poison=[np.nan, np.inf])
def test_what_is_not_valid_never_enters_the_arithmetic(engine, variant, direction, valid, poison):
    run = cases.run_of(variant, direction=direction, valid=valid, time=5, dropout=True)
    x = np.where(run.valid[..., None], run.x, poison)
    lstm, options = run.lstm, {**run.options(), "engine": engine}
    clean, trace = lstm.trace(run.x, **options), lstm.trace(x, **options)
    np.testing.assert_array_equal(trace.output, clean.output)
    assert not np.isnan(trace.output).any()
    assert_same_state(trace.state[0][0], clean.state[0][0])
    np.testing.assert_array_equal(trace[0].gates, clean[0].gates)
    dy = np.random.default_rng(2).normal(size=trace.output.shape)
    found, expected = gw.backward(trace, dy), gw.backward(clean, dy)
    np.testing.assert_array_equal(found.x, expected.x)
    for name, array in found[0].parameters.items():
        np.testing.assert_array_equal(array, expected[0].parameters[name])
        assert np.isfinite(array).all()


@met_by_every_engine(dtype=DTYPES, huge=[np.inf, -np.inf, 3e38], dropout=[False, True])
def test_infinity_goes_through_without_a_warning(engine, variant, dtype, huge, dropout):
    """`filterwarnings` is error: whatever NumPy would say fails this test."""
    run = cases.run_of(variant, dtype=dtype, time=4, valid="lengths")
    x = run.x.copy()
    x[1, 0, 0] = huge
    run = run.replace(x=x, dropout=gw.DropoutMasks(input=np.zeros((4, 3, 1))) if dropout else None)
    trace = run.trace(engine=engine)
    gw.backward(trace, np.ones_like(trace.hidden_state))
    assert trace.preactivations.shape == trace.gates.shape
    assert trace.combined_input.shape == (4, 3, 6)
    step = trace.step(1, sequence=0)
    assert step.combined_input.shape == (6,)
    assert step.preactivations.shape == step.gates.shape
    for gate in run.p.variant.own:
        for part, count in (("recurrent", 4), ("input", 2)):
            assert len(step.terms(gw.gates.NAMES[oracle.LETTERS.index(gate)], unit=0, part=part)) == count
        assert len(step.terms(gw.gates.NAMES[oracle.LETTERS.index(gate)], unit=0)) >= 3
    step = gw.LSTMCell.from_parameters(run.p).step(x[1, 0], gw.State(*(array[0] for array in run.state)))
    assert step.preactivations.shape == step.gates.shape
    np.testing.assert_array_equal(np.isfinite(trace.hidden_state[:, 1:]), True)


@every_engine
@every_dtype
def test_infinite_input_saturates_the_gates_of_a_plain_cell(engine, dtype):
    run = cases.run_of("plain", dtype=dtype, inputs=1)
    run = run.replace(x=np.full((3, 3, 1), np.inf, dtype))
    gates = run.trace(engine=engine).gates
    sign = run.p.weight[..., -1]
    expected = np.where(sign > 0, 1, np.array([0, 0, -1, 0])[:, None])
    np.testing.assert_array_equal(gates, np.broadcast_to(expected, gates.shape))


@every_engine
def test_the_caller_s_error_state_is_left_as_it_was(engine):
    run = cases.run_of("plain")
    run = run.replace(x=np.full_like(run.x, np.inf))
    with np.errstate(all="raise"):
        trace = run.trace(engine=engine)
        gw.backward(trace, np.ones_like(trace.hidden_state))
        assert set(np.geterr().values()) == {"raise"}


@every_engine_and_variant
@every_valid
def test_an_engine_changes_nothing_that_it_was_given(engine, variant, valid):
    run = cases.run_of(variant, valid=valid, dropout=True)
    given = [run.x, *run.state, *run.p.arrays().values(), *run.dropout.arrays().values()]
    before = [array.copy() for array in given]
    trace = run.trace(engine=engine)
    dy = np.ones_like(trace.hidden_state)
    gw.backward(trace, dy, gw.State(*map(np.ones_like, run.state)))
    assert (dy == 1).all()
    for array, old in zip(given, before, strict=True):
        np.testing.assert_array_equal(array, old)


@met_by_every_engine(
    valid=cases.VALID,
    projection=["unprojected", "projected"],
    keep=[Keep(), Keep(("hidden_state",), (3, 1)), Keep(("candidate", "cell_state"), None, 2)],
)
def test_an_engine_fills_every_number_it_is_asked_for(engine, variant, valid, projection, keep):
    """Arrays are handed over full of a sentinel; none of it may be left."""
    run = cases.run_of(variant, valid=valid, projection=projection, time=5)
    hidden = np.full((5, 3, run.p.recurrent_size), 1e300)
    arrays = {name: np.full(shape, 1e300) for name, shape in keep.shapes(run.p, 5, 3).items()}
    chosen = choose(engine, run.p)
    chosen.run(
        run.p,
        run.x,
        run.state,
        hidden,
        reverse=False,
        valid=run.valid,
        dropout=gw.DropoutMasks(),
        keep=keep,
        arrays=arrays,
    )
    for name, array in {"hidden": hidden, **arrays}.items():
        assert not (array == 1e300).any(), name
