"""What a report says its units carry: the unit that was planted, in the words of the data, and what was left out."""

from __future__ import annotations

from pathlib import Path

import cases
import numpy as np
import pytest
from planted import rain_gauge
from program import output_of

import gatewise as gw
from gatewise.network import Windows
from gatewise.reporting import build, questions

QUESTION = "What do its units carry?"
RAIN = np.random.default_rng(0).gamma(0.3, 5, (40, 2, 1))
LABELS = gw.Labels(outputs=["q"], measures={"q": ("discharge", "mm/d")})


@pytest.fixture(autouse=True)
def this_question_alone(monkeypatch):
    """Ask no other question: they would take most of the time."""
    monkeypatch.setattr(build, "QUESTIONS", [each for each in questions.QUESTIONS if each.title == QUESTION])


def gauge(**options):
    """Return the network of a rain gauge, whose first unit is its store."""
    network, _ = rain_gauge()
    return network.replace(labels=LABELS, **options)


def carried(model, x, **options):
    """Return what a report says its units carry."""
    return gw.report(model, x, **options).findings[0]


def test_the_unit_that_was_planted_is_named_in_the_words_of_the_data():
    network = gauge()
    observed = network(RAIN)[0] + 0.5
    found = carried(network, RAIN, targets=observed)
    assert found.sentence.startswith("Without unit 0 the error rises from 0.5 to ")
    assert found.sentence.endswith(" mm/d; of 2 units, no other has a tenth of that effect.")
    assert found.headline == f"{found.sentence.rpartition('; ')[0]}."
    assert found.reading[0].startswith("Tested: 2 units silenced")
    assert "<svg" in found.picture
    moves = np.sqrt(np.square(network(RAIN)[0] - 1.3).mean())
    assert carried(network, RAIN).sentence.startswith(f"Without unit 0 output q moves by {moves:.3g} mm/d; of 2 units")
    assert "the output moves by 2.26 standard deviations" in carried(network.replace(labels=gw.Labels()), RAIN).sentence


def test_of_a_named_sequence_its_own_values_are_compared():
    network = gauge()
    observed = network(RAIN)[0] + np.array([[[1.0]], [[7.0]]]).reshape(1, 2, 1)
    for sequence, error in ((0, "from 1 to"), (1, "from 7 to")):
        for values in (observed, observed[..., 0], observed[:, sequence]):
            assert error in carried(network, RAIN, sequence=sequence, targets=values).sentence
    last = gauge(reads="last")
    ends = last(RAIN)[0] + 3
    assert "from 3 to" in carried(last, RAIN, sequence=1, targets=ends).sentence
    for wrong in (observed[:, :, [0, 0]], observed[:20], observed[:, 0]):
        with cases.refusal("observed has shape", "(40, 2) or (40, 2, 1)", by=gw.ShapeError):
            carried(network, RAIN, targets=wrong)
    two = network.replace(head=gw.Linear(np.random.default_rng(0).normal(size=(2, 2))), labels=gw.Labels())
    both = two(RAIN)[0] + np.array([[[1.0], [7.0]]])
    assert "from 7 to" in carried(two, RAIN, sequence=1, targets=both[:, 1]).sentence
    assert "from 7 to" in carried(two, RAIN, sequence=1, targets=both).sentence


def test_of_a_window_the_observed_value_at_its_end_is_compared():
    network, x = gauge(windows=Windows(10)), RAIN[:, 0]
    observed = np.full((40, 1), 99.0)
    run = gw.open_run(network, x, at=25)
    observed[25] = run.trace.output[-1] + 0.25
    found = carried(network, x, at=25, targets=observed)
    assert "the error at step 25 rises from 0.25 to" in found.sentence
    assert found.reading[-1] == "Of the window, its last step is compared, which alone the model puts out."


def test_of_more_units_than_there_is_time_for_those_that_put_out_most_are_silenced(monkeypatch):
    monkeypatch.setattr(questions, "SILENCED", 1)
    monkeypatch.setattr(questions, "SILENCED_STEPS", 1)
    lstm = gw.LSTM(1, 9, rng=0, dtype=np.float64)
    found = carried(lstm, RAIN)
    assert f"{questions.FEWEST} units silenced" in found.reading[0]
    assert found.reading[1].startswith("Of 9 units, these are the ones with the largest hidden states")


def test_where_no_unit_changes_anything_the_report_says_so_in_a_clause():
    deaf = gw.Network(gw.LSTM(1, 3, rng=0, dtype=np.float64), head=gw.Linear(np.zeros((1, 3)), np.ones(1)))
    found = carried(deaf, RAIN)
    assert found.nothing == "no unit changes the output where it is silenced"
    assert found.headline == ""


@pytest.mark.usefixtures("here")
def test_observed_columns_go_by_the_names_of_the_outputs_and_wrong_ones_are_refused_at_once():
    labels, x = gw.Labels(outputs=["Q", "ET"]), RAIN[:, 0]
    network = gauge().replace(head=gw.Linear(np.random.default_rng(0).normal(size=(2, 2))), labels=labels)
    y = network(x)[0] + [1, 3]

    def observed(heads, columns):
        rows = [",".join("" if np.isnan(value) else repr(float(value)) for value in row) for row in columns]
        Path("o.csv").write_text("\n".join([heads, *rows]), encoding="utf-8")
        return carried(network, x, targets="o.csv").sentence

    assert "from 2.24 to" in observed("ET,Q", y[:, ::-1])
    assert "from 3 to" in observed("ET", y[:, 1:])
    for heads, columns, words in (
        ("ET,q", y[:, ::-1], "o.csv has columns ET, q, but none for Q"),
        ("rain", (y[:, :1] > 0) * 1.0, "not known to be classes: it must be (40, 2) or (40, 1, 2)"),
        ("Q,ET", y[:20], "observed has shape (20, 2)"),
        ("Q,ET", y * np.inf, "infinite"),
    ):
        with cases.refusal(words, by=gw.GatewiseError):
            observed(heads, columns)
    for given, words in ((np.full((40, 2), np.nan), "observed has no number at a valid step"), ({}, "observed")):
        with cases.refusal(words, by=gw.GatewiseError):
            carried(network, x, targets=given)
    with cases.refusal("(40,) or (40, 1, 1)", by=gw.ShapeError):
        carried(gauge(), x, targets=y)
    Path("o.csv").write_text("\n".join(["flow", *map(repr, (gauge()(x)[0][:, 0] + 2).tolist())]), encoding="utf-8")
    unnamed = gauge().replace(labels=gw.Labels())
    assert "from 2 to" in carried(unnamed, x, targets="o.csv").sentence  # the only output, whatever its name


@pytest.mark.usefixtures("here")
def test_the_command_takes_what_was_observed_from_a_column_of_the_output(capsys):
    network, x = gauge(), RAIN[:9, 0]
    gw.save(network, "m.safetensors")
    flow = network(x)[0][:, 0] + 0.5
    days = [f"2001-01-0{n + 1}" for n in range(9)]
    rows = [f"{day},{rain[0]},{value}" for day, rain, value in zip(days, x, flow, strict=True)]
    Path("x.csv").write_text("\n".join(["date,rain,q", *rows]), encoding="utf-8")
    np.save("x.npy", x)
    command = "report m.safetensors x.npy --targets x.csv"
    assert "Without unit 0 the error rises from 0.5 to " in output_of(capsys, *command.split())


def test_a_unit_that_was_not_silenced_keeps_a_report_from_saying_that_none_changes_the_output(monkeypatch):
    monkeypatch.setattr(questions, "SILENCED_STEPS", 1)
    rng = np.random.default_rng(0)
    weight, projection = rng.normal(size=(4, 8, 2)), np.zeros((1, 8))
    weight[:, :, 0], weight[2, 7], projection[0, 7] = 0, weight[2, 7] * 1e-3, 1000  # unit 7 alone is read, and is small
    lstm = gw.LSTM.from_cells(gw.Parameters(weight, np.zeros((4, 8)), projection=projection))
    found = carried(gw.Network(lstm, head=gw.Linear(np.ones((1, 1)))), RAIN)
    assert found.sentence == "None of the 4 units that were silenced, of 8, changes the output."
    assert found.nothing == ""
    monkeypatch.undo()
    whole = gw.insight.ablation(gw.Network(lstm, head=gw.Linear(np.ones((1, 1)))), RAIN)
    assert whole.names[0] == "unit 7"
    assert " 1e+" not in gw.insight.ablation(gw.LSTM(1, 2, rng=0, dtype=np.float64), RAIN).reading[0]
