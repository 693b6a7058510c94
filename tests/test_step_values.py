"""Values beside a run, at the command line and in a report: which units carry them."""

from __future__ import annotations

from html import escape
from pathlib import Path
from types import SimpleNamespace

import cases
import hydrology
import numpy as np
import pytest
from planted import leaky_bucket
from program import output_of

import gatewise as gw
from gatewise.opening.step_values import step_values
from gatewise.reporting import build
from gatewise.reporting.questions import QUESTIONS

LSTM, RAIN, STORAGE = leaky_bucket(120)
DAYS = np.datetime64("2001-01-01") + np.arange(120)
ALONE = tuple(question for question in QUESTIONS if question.each_values)


@pytest.fixture(autouse=True)
def files(here, monkeypatch):
    gw.save(LSTM, "m.safetensors")
    walk = np.random.default_rng(0).normal(size=120).cumsum()
    write("x.csv", rain=RAIN[:, 0, 0])
    write("s.csv", storage=np.where(np.arange(120) % 40 == 7, np.nan, STORAGE[:, 0]), walk=walk)
    monkeypatch.setattr(build, "QUESTIONS", ALONE)


def write(name, days=DAYS, **columns):
    """Write a table with dates, whose NaN are empty cells."""
    rows = zip(days, *columns.values(), strict=True)
    lines = [",".join([str(day), *("" if np.isnan(n) else repr(float(n)) for n in cells)]) for day, *cells in rows]
    Path(name).write_text("\n".join([",".join(["date", *columns]), *lines]), encoding="utf-8")


def findings(model, x, values, **options):
    return gw.report(model, x, values=values, **options).findings


@pytest.mark.thorough
def test_a_report_asks_of_each_column_which_units_carry_it():
    storage, walk = findings("m.safetensors", "x.csv", "s.csv")
    assert (storage.question, walk.question) == ("Which units carry storage?", "Which units carry walk?")
    assert storage.sentence.startswith("Unit 0 carries storage: r 1.00 (p < 0.02, best of 4 units)")
    assert storage.headline == storage.sentence.partition("; ")[0] + "."
    assert walk.sentence.startswith("No unit is found to carry walk: ")
    assert walk.headline == ""
    for finding in (storage, walk):
        assert finding.reading[0].startswith("Tested: ")
        assert finding.reading[0].endswith("times 2 for as many tests.")
        assert escape(finding.sentence) in finding.picture
    alone = gw.insight.probe(LSTM.trace(RAIN)[0], storage.answer.values, tests=2, draws=400)
    assert alone.columns["p_value"].tolist() == storage.answer.columns["p_value"].tolist()


def test_each_layer_is_asked_and_the_best_unit_is_named():
    rng = np.random.default_rng(1)
    first = gw.LSTMCell(1, 2, rng=0, dtype=np.float64).parameters
    bucket = LSTM[0].parameters
    weight = np.concatenate([np.array(bucket.weight)[..., :4], rng.normal(0, 1, (4, 4, 2))], axis=2)
    deep = gw.LSTM.from_cells([(first,), (gw.Parameters(weight, np.array(bucket.bias)),)])
    given = deep.trace(RAIN)[1].cell_state[:, 0, 2]
    (finding,) = findings(deep, RAIN, given)
    assert finding.sentence.startswith("Layer 1: unit 2 carries column 0: r 1.00 (")
    assert [name for name, _ in finding.others] == ["layer 0"]
    assert finding.reading[0].endswith("times 2 for as many tests.")


def test_values_that_no_unit_is_found_to_carry_are_named_in_one_clause():
    lstm, rain, storage = leaky_bucket(200)
    walks = np.random.default_rng(3).normal(size=(200, 2))
    page = gw.report(lstm, rain, values=np.concatenate([walks[:, :1], storage, walks[:, 1:]], axis=1))
    assert page.nothing == "Found nothing: no unit is found to carry column 0 and column 2."
    assert [finding.question for finding in page.sections] == ["Which units carry column 1?"]
    few = gw.report(lstm, rain[:9], values=walks[:9])
    assert few.nothing == ""


@pytest.mark.thorough
def test_six_columns_are_drawn_and_the_others_have_a_line_each():
    columns = np.random.default_rng(0).normal(size=(120, 9))
    *drawn, rest = findings(LSTM, RAIN, columns)
    assert [finding.question for finding in drawn] == [f"Which units carry column {n}?" for n in range(5)]
    assert rest.question == "Which units carry the other values?"
    assert len(rest.others) == 3
    assert len(findings(LSTM, RAIN, columns[:, :6])) == 6


def test_of_a_batch_values_are_given_for_each_sequence_or_of_the_one_that_is_named():
    lstm, rain, storage = leaky_bucket(60, 3)
    run = SimpleNamespace(trace=lstm.trace(rain), series=None, labels=gw.Labels(), sort_time=False)
    assert step_values(storage[..., None], run)["column 0"].tolist() == storage.tolist()
    assert step_values(storage[:, 1], run, 1)["column 0"].tolist() == storage[:, 1:2].tolist()
    assert step_values(storage[..., None], run, 2)["column 0"].tolist() == storage[:, 2:].tolist()
    (whole,), (one,) = findings(lstm, rain, storage[..., None]), findings(lstm, rain, storage[:, 1], sequence=1)
    assert "in held-out sequences" in whole.sentence
    assert "in held-out blocks of steps" in one.sentence
    with cases.refusal("one row for each step", "but the run has 3 sequences", by=gw.OptionError):
        step_values(storage[:, 1], run)
    with cases.refusal("60 steps of 1 sequence", "60 of 3", by=gw.ShapeError):
        step_values(storage[:, 1:2, None], run, 1)


@pytest.mark.parametrize(
    ("given", "problem", "words"),
    [
        (STORAGE[:-1], gw.ShapeError, ["119 steps", "120"]),
        (STORAGE[:, :0], gw.ShapeError, ["values has 120 steps of 1 sequence of 0 columns"]),
        (np.array([["a"]]), gw.OptionError, ["values must hold real numbers"]),
        (STORAGE[:, None].repeat(2, axis=1), gw.ShapeError, ["2 sequences", "120 of 1"]),
        ("late.csv", gw.OptionError, ["the times of late.csv must be those of the input"]),
        ("short.csv", gw.OptionError, ["the times of short.csv must be those of the input"]),
        ("twice.csv", gw.OptionError, ["2 columns called 'a'"]),
        ("two.npz", gw.OptionError, ["several arrays"]),
        ("none.csv", gw.FileError, ["none.csv"]),
    ],
)
def test_values_that_do_not_belong_to_the_steps_are_refused(given, problem, words):
    write("late.csv", DAYS + 1, a=STORAGE[:, 0])
    write("short.csv", DAYS[1:], a=STORAGE[1:, 0])
    write("twice.csv", a=STORAGE[:, 0], b=STORAGE[:, 0])
    Path("twice.csv").write_text(Path("twice.csv").read_text(encoding="utf-8").replace("a,b", "a,a"), encoding="utf-8")
    np.savez("two.npz", a=STORAGE, b=STORAGE)
    with cases.refusal(*words, by=problem):
        gw.report("m.safetensors", "x.csv", values=given)


def test_tables_and_labelled_arrays_have_names_and_units():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"snow": STORAGE[:, 0]}, index=DAYS)
    table.attrs["units"] = {"snow": "mm"}
    (finding,) = findings("m.safetensors", "x.csv", table)
    assert finding.sentence.startswith("Unit 0 carries snow (mm): ")
    odd = gw.report("m.safetensors", "x.csv", values=table.rename(columns={"snow": "ice; all together"}))
    assert any(one.headline.startswith("Unit 0 carries ice; all together: r ") for one in odd.headlines)


@pytest.mark.thorough
def test_at_the_command_line_each_column_has_its_sentences_and_the_best_is_drawn(capsys):
    plot = "plot m.safetensors x.csv --kind probe --values s.csv"
    lines = output_of(capsys, *plot.split(), "-o", "p.csv").splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "Unit 0 carries storage",
        "Tested",
        lines[2],
        "In held-out blocks, unit 0 has r 1.00.",
        "No unit is found to carry walk",
        "Tested",
        lines[6],
        "p.csv",
    ]
    assert Path("p.csv").read_text(encoding="utf-8").splitlines()[1].startswith("0,9.")
    assert "Unit 0 carries storage" in output_of(capsys, *plot.split(), "--steps", "20:110")
    assert "--kind probe needs --values" in output_of(capsys, *plot.split()[:-2], code=2)
    write("three.csv", same=np.full(120, 3.0), storage=STORAGE[:, 0])
    three = output_of(capsys, *plot.replace("s.csv", "three.csv").split(), "-o", "p.csv")
    assert three.startswith("Unit 0 carries storage")
    report = "report m.safetensors x.csv --values s.csv"
    assert "\n  Unit 0 carries storage: r 1.00" in output_of(capsys, *report.split())


def test_of_a_model_in_windows_the_values_of_the_shown_window_are_taken():
    pytest.importorskip("yaml")
    config = hydrology.settings(seq_length=10, static_attributes=None)
    hydrology.make_run(Path("run"), config)
    columns = hydrology.basin_of(config, 40)
    write("b.csv", DAYS[:40], **columns)
    write("s.csv", DAYS[:40], counts=np.arange(40.0))
    run = gw.open_run("run", "b.csv", at=str(DAYS[20]))
    assert step_values("s.csv", run)["counts"][:, 0].tolist() == list(range(11, 21))
    assert step_values(np.arange(40.0), run)["column 0"][:, 0].tolist() == list(range(11, 21))
    assert step_values(np.arange(10.0), run)["column 0"][:, 0].tolist() == list(range(10))
    (finding,) = findings("run", "b.csv", "s.csv", at=str(DAYS[20]))
    assert "without its trend, nothing is left of it" in finding.sentence
