"""One step: what it shows, the terms of its sums, and the labels that reach them."""

from __future__ import annotations

import cases
import numpy as np
import oracle
import pytest
from stacks import BIDIRECTIONAL, LABELS

import gatewise as gw
from gatewise.records.keep import QUANTITIES


@cases.meeting(variant=cases.VARIANTS, projection=cases.PROJECTIONS, dropout=[False, True])
def test_a_step_shows_what_the_trace_kept(variant, projection, dropout):
    run = cases.run_of(variant, projection=projection, dropout=dropout, valid="mask", time=5)
    trace = run.trace()
    for t, row in np.argwhere(run.valid):
        step = trace.step(t, sequence=row)
        assert (step.time, step.sequence) == (t, row)
        for name in (*QUANTITIES, "gates", "combined_input", "preactivations"):
            expected = getattr(trace, name)[t, row]
            np.testing.assert_allclose(getattr(step, name), expected, rtol=0, atol=1e-14, err_msg=name)
        np.testing.assert_array_equal(step.x, run.x[t, row])
        np.testing.assert_array_equal(step.previous.h, trace.previous.h[t, row])
        np.testing.assert_array_equal(step.previous.c, trace.previous.c[t, row])
        np.testing.assert_array_equal(step.state.c, trace.cell_state[t, row])
        for name in gw.gates.NAMES:
            if oracle.LETTERS[gw.gates.index(name)] in run.p.variant.own:
                np.testing.assert_array_equal(step.preactivation(name), step.preactivations[gw.gates.index(name)])


@pytest.mark.parametrize("gate", ["forget_gate", "f"])
def test_a_coupled_gate_has_no_preactivation(gate):
    run = cases.run_of("forget=1-input")
    for ask in (run.trace(), run.trace().step(0)):
        with cases.refusal(gate, "forget=1-input", by=gw.OptionError):
            ask.preactivation(gate)
    with cases.refusal("forget_gate", "forget=1-input", by=gw.OptionError):
        run.trace().step(0).terms("forget_gate", unit=0)


def test_a_step_keeps_what_it_was_made_of_when_the_caller_s_arrays_change():
    p = cases.run_of("peephole").p
    x, h, c = np.ones(2), np.full(4, 0.1), np.full(4, 0.2)
    step = gw.LSTMCell.from_parameters(p).step(x, gw.State(h, c))
    kept = [step.x.copy(), step.preactivations, step.terms("cell_state", 0).total]
    x[:], h[:], c[:] = 9, 9, 9
    np.testing.assert_array_equal(step.x, kept[0])
    np.testing.assert_array_equal(step.preactivations, kept[1])
    assert step.terms("cell_state", 0).total == kept[2]
    for array in (step.x, step.forget_gate, step.cell_state, *step.previous):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0


# Terms.


@cases.meeting(variant=cases.VARIANTS, projection=cases.PROJECTIONS, dropout=[False, True])
def test_the_terms_sum_to_the_preactivation_largest_first(variant, projection, dropout):
    run = cases.run_of(variant, projection=projection, dropout=dropout)
    trace, v = run.trace(), run.p.variant
    moments = oracle.run(run.p, run.x, run.state, dropout=run.dropout)
    step, M = trace.step(1, sequence=2), moments[1, 2]
    for row, name in enumerate(gw.gates.NAMES):
        letter = oracle.LETTERS[row]
        if letter not in v.own:
            continue
        for unit in range(4):
            terms = step.terms(name, unit)
            sizes = [abs(term.product) for term in terms]
            assert sizes == sorted(sizes, reverse=True)
            assert all(term.product == term.weight * term.value for term in terms)
            np.testing.assert_allclose(sum(term.product for term in terms), terms.total, atol=1e-14)
            peeps = v.peephole == "full" and letter in "ifo"
            products = 2 if v.layer_norm == "haste" else run.p.recurrent_size + 2
            assert len(terms) == products + peeps + (v.layer_norm != "gates")
            for part, count in (("recurrent", run.p.recurrent_size), ("input", 2)):
                assert step.terms(name, unit, part=part).of == f"{part} sum"
                assert len(step.terms(name, unit, part=part)) == count
            if v.layer_norm != "gates":
                assert terms.of == "pre-activation" + (" before its clip" if v.gate_clip else "")
                np.testing.assert_allclose(terms.total, M.unclipped[letter][unit], atol=1e-13)
            else:
                assert terms.of == "weighted sum"
    for unit in range(4):
        terms = step.terms("cell_state", unit)
        np.testing.assert_allclose(terms.total, M.c_raw[unit], atol=1e-13)
        assert {term.name for term in terms} == {"old cell state", "candidate"}
    for unit in range(run.p.recurrent_size):
        terms = step.terms("hidden_state", unit)
        np.testing.assert_allclose(terms.total, M.r_raw[unit], atol=1e-13)
        assert len(terms) == (4 if projection != "unprojected" else 1)


def test_every_product_is_its_weight_times_its_value():
    run = cases.run_of("peephole")
    step = run.trace().step(2, sequence=1)
    found = {term.name: term for term in step.terms("output_gate", unit=3)}
    weight = run.p.weight[3, 3]
    previous = step.previous.h
    for k in range(4):
        assert found[f"h{k}"][1:] == (weight[k], previous[k], weight[k] * previous[k])
    for k in range(2):
        assert found[f"x{k}"][1:3] == (weight[4 + k], run.x[2, 1, k])
    assert found["new cell state"][1:3] == (run.p.peephole[2, 3], step.cell_state[3])
    assert found["bias"][1:] == (run.p.bias[3, 3], 1.0, run.p.bias[3, 3])
    assert "old cell state" in {term.name for term in step.terms("input_gate", unit=0)}


def test_terms_are_a_sequence_and_print_as_a_table():
    step = cases.run_of("plain").trace().step(0)
    terms = step.terms("forget_gate", unit=-1)
    assert terms.total == step.terms("forget_gate", unit=3).total
    assert len(terms) == len(list(terms)) == 7
    assert terms[0] == next(iter(terms))
    lines = str(terms).splitlines()
    assert lines[-1] == f"pre-activation = {terms.total:.8f}"
    assert lines[0].split()[0] == terms[0].name
    assert len(lines) == 8


@pytest.mark.parametrize(
    ("quantity", "unit", "parts"),
    [
        ("forget", 0, ["'forget'", "forget_gate", "cell_state"]),
        ("forget_gate", 4, ["unit", "4", "0 to 3"]),
        ("forget_gate", -5, ["unit", "-5"]),
        ("forget_gate", 1.0, ["unit", "1.0"]),
        ("forget_gate", "u", ["unit", "'u'"]),
        ("hidden_state", 3, ["unit", "3", "0 to 2"]),
    ],
)
def test_terms_of_what_does_not_exist_are_refused_in_one_sentence(quantity, unit, parts):
    step = cases.run_of("plain", projection="projected").trace().step(0)
    with cases.refusal(*parts, by=gw.OptionError):
        step.terms(quantity, unit)


# Labels.


def test_labels_reach_the_terms():
    step = cases.run_of("plain", time=5).trace(labels=LABELS).step(1)
    names = {term.name for term in step.terms("candidate", unit=0)}
    assert names == {"h(u)", "h(v)", "h(w)", "h(z)", "rain", "sun", "bias"}
    projected = cases.run_of("plain", projection="projected", time=5).trace(labels=LABELS).step(1)
    names = {term.name for term in projected.terms("candidate", unit=0)}
    assert names == {"h0", "h1", "h2", "rain", "sun", "bias"}  # what is projected mixes the units
    assert {term.name for term in projected.terms("hidden_state", unit=0)} == {"m(u)", "m(v)", "m(w)", "m(z)"}


def test_the_labels_of_a_cell_travel_with_it():
    run = cases.run_of("plain", time=5)
    cell = gw.LSTMCell.from_parameters(run.p, gw.Labels(LABELS.features, LABELS.units))
    assert {term.name for term in cell.step([1, 2]).terms("candidate", 0)} >= {"h(u)", "rain"}
    trace = gw.LSTM.from_cells(cell).trace(run.x)[0]
    assert trace.labels == cell.labels
    timed = gw.LSTM.from_cells(cell).trace(run.x, labels=gw.Labels(times=LABELS.times))[0]
    assert timed.labels == gw.Labels(LABELS.features, LABELS.units, None, LABELS.times)


def test_the_labels_of_every_cell_travel_with_it_to_its_own_layer():
    first, second = cases.run_of("plain").p, cases.run_of("plain", inputs=4).p
    cells = [gw.LSTMCell.from_parameters(first), gw.LSTMCell.from_parameters(second, gw.Labels(units=LABELS.units))]
    trace = gw.LSTM.from_cells(cells).trace(np.zeros((2, 1, 2)))
    assert trace[1].labels.units == LABELS.units


def test_one_set_of_labels_names_the_features_of_the_first_layer_and_the_sequences_of_all():
    lstm = gw.LSTM(**BIDIRECTIONAL, num_layers=2, rng=0)
    rest = {"sequences": ("a", "b", "c"), "times": range(5)}
    labels = gw.Labels(features=("rain", "sun"), outputs=tuple("01234567"), **rest)
    trace = lstm.trace(np.zeros((5, 3, 2)), labels=labels)
    assert trace[0, "forward"].labels == trace[0, "backward"].labels == gw.Labels(features=("rain", "sun"), **rest)
    names = [f"h{unit} {direction} (layer 0)" for direction in cases.DIRECTIONS for unit in range(4)]
    assert trace[1, "forward"].labels == gw.Labels(features=names, outputs=labels.outputs, **rest)
    assert trace.labels == labels
    each = [gw.Labels(units=tuple("pqrs")), gw.Labels(units=tuple("wxyz"))]
    trace = lstm.trace(np.zeros((5, 3, 2)), labels=each)
    assert [trace[layer, "forward"].labels.units for layer in (0, 1)] == [tuple("pqrs"), tuple("wxyz")]


@pytest.mark.parametrize(
    ("labels", "kind", "parts"),
    [
        (gw.Labels(features=["a"]), gw.ShapeError, ["labels of features must be 2, not 1"]),
        (gw.Labels(times=["a"]), gw.ShapeError, ["labels of times must be 5, not 1"]),
        (gw.Labels(sequences=["a"]), gw.ShapeError, ["labels of sequences must be 3, not 1"]),
        (gw.Labels(units=list("abcd")), gw.OptionError, ["units", "each layer"]),
        ([gw.Labels()], gw.ShapeError, ["1 labels", "2 layers"]),
        (["rain", "sun"], gw.OptionError, ["labels", "Labels", "'rain'"]),
        (5, gw.OptionError, ["labels", "Labels", "5"]),
    ],
)
def test_labels_that_do_not_fit_are_refused_in_one_sentence(labels, kind, parts):
    lstm = gw.LSTM(**BIDIRECTIONAL, num_layers=2, rng=0)
    with cases.refusal(*parts, by=kind):
        lstm.trace(np.zeros((5, 3, 2)), labels=labels)
