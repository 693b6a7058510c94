"""A basin of a run of NeuralHydrology, opened and verified: windows for what comes out, one of them for the inside."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import cases
import hydrology
import numpy as np
import pytest
from hydrology import assert_series_agree
from program import exit_code, output_of, refusal_of

import gatewise as gw

pytest.importorskip("yaml")

STEPS, LENGTH = 40, 10
DATES = np.arange("2000-01-01", STEPS, dtype="datetime64[D]")
LAGS = {
    "dynamic_inputs": ["pet", "pet_shift2", "tmax(C)_copy1", "tmax(C)"],
    "lagged_features": {"pet": [1, 2]},
    "duplicate_features": {"tmax(C)": 2},
    "seq_length": LENGTH,
}


def write(path, names, dates, rows):
    lines = [",".join(map(str, [date, *row])) for date, row in zip(["date", *dates], [names, *rows], strict=True)]
    Path(path).write_text("\n".join(lines), encoding="utf-8")


class Basin:
    """A run and a basin of its own: its files in the folder, and what its arrays give."""

    def __init__(self, **changes):
        self.config = hydrology.settings(**{"seq_length": LENGTH, "static_attributes": None} | changes)
        self.arrays, self.tables = hydrology.make_run(Path("run"), self.config)
        self.columns = hydrology.basin_of(self.config, STEPS)
        self.rows = [[repr(float(column[step])) for column in self.columns.values()] for step in range(STEPS)]
        self.dates = [str(date) for date in DATES]
        self.write()

    def write(self):
        write("b.csv", self.columns, self.dates, self.rows)

    def outputs(self, columns=None):
        return hydrology.window_answers(self.config, self.arrays, self.tables, columns or self.columns, STEPS)


@pytest.fixture
def basin(here):
    return Basin()


def test_outputs_are_those_of_all_windows_and_the_trace_is_that_of_the_last(basin):
    run = gw.open_run("run", "b.csv")
    assert_series_agree(run.series.outputs[:, 0], basin.outputs())
    assert run.trace.num_steps == LENGTH
    assert [*map(str, run.trace.labels.times)] == basin.dates[-LENGTH:]
    np.testing.assert_array_equal(run.trace.output[-1], run.series.outputs[-1, 0])
    assert "from 2000-01-31 to 2000-02-09; --at" in run.notes[-1]
    assert not any("continuous" in note for note in run.notes)


@pytest.mark.parametrize("order", [1, -1])
def test_without_its_head_a_run_keeps_the_features_and_the_windows(order, basin):
    net = gw.load_network("run")
    x = np.stack([*basin.columns.values()], -1)
    basin.columns = dict([*basin.columns.items()][::order])
    basin.rows = [row[::order] for row in basin.rows]
    basin.write()
    scaled = (x - net.inputs.center) / net.inputs.scale
    run = gw.open_run("run", "b.csv", head="none")
    assert run.series is not None
    want = [net.lstm(scaled[end + 1 - LENGTH : end + 1])[0][-1] for end in range(LENGTH - 1, STEPS)]
    np.testing.assert_allclose(run.series.outputs[LENGTH - 1 :, 0], want, atol=1e-5)
    np.testing.assert_array_equal(gw.load_network("run", head="none").lstm(x)[0], net.lstm(x)[0])
    assert gw.load_network("run", head="none").windows == net.windows
    same = gw.open_run("run", "b.csv", embedding="none")
    assert_series_agree(same.series.outputs[:, 0], basin.outputs())


def test_the_own_input_of_the_lstm_is_said_to_be_scaled_and_its_run_to_be_continuous(basin):
    run = gw.open_run("run", np.ones((STEPS, 3)), input_of="lstm")
    assert "by position, behind the network's scaling; one continuous run over all steps" in run.notes[-1]


@pytest.mark.parametrize(("at", "end"), [("2000-01-21", 20), (20, 20), ("20", 20), (-1, 39), ("9", 9)])
def test_a_step_by_its_number_or_date_ends_the_window_that_is_traced(at, end, basin):
    run = gw.open_run("run", "b.csv", at=at)
    assert str(run.trace.labels.times[-1]) == basin.dates[end]
    assert_series_agree(run.trace.output[-1], basin.outputs()[end])
    assert np.abs(run.trace[0, "forward"].initial.c).max() == 0
    other = gw.open_run("run", "b.csv").window_at(at)
    np.testing.assert_array_equal(other.trace.output, run.trace.output)
    assert other.notes == run.notes


def test_a_continuous_run_says_how_far_it_is_from_the_windows(basin):
    run = gw.open_run("run", "b.csv", continuous=True)
    want = hydrology.answer(basin.config, basin.arrays, basin.tables, basin.columns)
    assert_series_agree(run.trace.output, want)
    windows = basin.outputs()[LENGTH - 1 :]
    apart = np.abs(want[LENGTH - 1 :] - windows).mean() / windows.std()
    assert f"off theirs by {apart:.2g} standard deviations of QObs(mm/d)" in run.notes[-1]
    assert "measured at 31 of 31 windows" in run.notes[-1]
    assert run.series is None
    short = gw.open_run("run", {"x": np.stack([*basin.columns.values()], -1)[:5]}, continuous=True)
    assert "not measured" in short.notes[-1]


def test_the_difference_of_a_continuous_run_is_measured_without_padding(basin):
    x = np.stack([np.stack([*basin.columns.values()], -1)] * 2, axis=1)
    x[30:, 1] = 1e6  # padding
    once = gw.open_run("run", x, continuous=True, lengths=[40, 30])
    alone = gw.open_run("run", np.concatenate([x[:, :1], x[:, :1]], axis=1)[:30], continuous=True)
    assert "measured at 52 of 52 windows" in once.notes[-1]  # 31 and 21
    assert "measured at 42 of 42 windows" in alone.notes[-1]
    assert float(once.notes[-1].split("by ")[1].split()[0]) < 10


def test_many_windows_are_compared_at_some_spread_over_all(basin, monkeypatch):
    monkeypatch.setattr("gatewise.opening.windows.MOST_COMPARED", 4)
    windows, want = basin.outputs(), hydrology.answer(basin.config, basin.arrays, basin.tables, basin.columns)
    places = [9, 19, 29, 39]
    apart = np.abs(want - windows)[places].mean() / windows[places].std()
    note = gw.open_run("run", "b.csv", continuous=True).notes[-1]
    assert f"{apart:.2g} standard deviations of QObs(mm/d) on average, measured at 4 of 31 windows" in note


@pytest.mark.parametrize("empty", ["", "NA", "nan"])
def test_an_empty_cell_costs_its_windows_and_they_are_counted(empty, basin):
    basin.rows[25][1] = empty
    basin.write()
    want = basin.outputs()
    want[25 : 25 + LENGTH] = np.nan
    run = gw.open_run("run", "b.csv")
    assert_series_agree(run.series.outputs[:, 0], want)
    assert run.notes[-1].startswith(
        "10 of 31 windows are not whole, and their outputs are NaN: tmax(C) is missing at 2000-01-26"
    )
    assert str(run.trace.labels.times[-1]) == "2000-02-09"
    with cases.refusal("no complete window", "27", "tmax(C)", "2000-01-26", by=gw.OptionError):
        gw.open_run("run", "b.csv", at=27)
    basin.rows[35][0] = empty  # of the last window
    basin.write()
    assert str(gw.open_run("run", "b.csv").trace.labels.times[-1]) == "2000-01-25"


def test_a_date_that_is_missing_costs_the_windows_across_it(basin):
    del basin.rows[15], basin.dates[15]
    basin.write()
    run, want = gw.open_run("run", "b.csv"), basin.outputs()
    want[15 : 15 + LENGTH] = np.nan
    assert_series_agree(run.series.outputs[:, 0], np.delete(want, 15, axis=0))
    assert (
        run.notes[-1] == "9 of 30 windows are not whole, and their outputs are NaN: dates are missing before 2000-01-17"
    )


FORMATS = {
    "compact": lambda day: f"{day:%Y%m%d}",
    "without zeros": lambda day: f"{day.year}-{day.month}-{day.day}",
    "with points": lambda day: f"{day:%Y.%m.%d}",
    "UTC": lambda day: f"{day}T00:00Z",
    "with a zone": lambda day: f"{day} 02:00:00+02:00",
}


@pytest.mark.parametrize("written", FORMATS)
def test_dates_that_are_written_otherwise_show_a_gap_too(written, basin):
    del basin.rows[15], basin.dates[15]
    basin.dates = [FORMATS[written](date.fromisoformat(day)) for day in basin.dates]
    basin.write()
    run = gw.open_run("run", "b.csv", at="2000-01-30")
    assert "dates are missing before 2000-01-17" in run.notes[-1]
    assert np.isnan(run.series.outputs[15 : 15 + LENGTH - 1]).all()
    assert str(run.trace.labels.times[-1]) == "2000-01-30"


def test_times_that_are_no_dates_are_said_to_hide_gaps(basin):
    basin.dates = [f"{date.fromisoformat(day):%d/%m/%Y}" for day in basin.dates]
    basin.write()
    assert "'01/01/2000' is not read as a date" in gw.open_run("run", "b.csv").notes[-1]


def test_no_whole_window_is_said(basin):
    for row in basin.rows[::5]:
        row[0] = ""
    basin.write()
    with cases.refusal("no complete window of 10 steps", "prcp(mm/day)", "2000-01-01", "elsewhere", by=gw.OptionError):
        gw.open_run("run", "b.csv")


@pytest.mark.parametrize("lengths", [{"lengths": [40]}, {"state": {"h0": np.zeros((1, 1, 5))}}])
def test_what_does_not_go_with_windows_is_refused(lengths, basin):
    with cases.refusal(next(iter(lengths)), "--continuous", by=gw.OptionError):
        gw.open_run("run", "b.csv", **lengths)
    gw.save(gw.LSTM(3, 2, rng=0), "bare.safetensors")
    for options in ({"at": 3}, {"continuous": True}):
        with cases.refusal(f"--{next(iter(options))}", by=gw.OptionError):
            gw.open_run("bare.safetensors", "b.csv", **options)
    with cases.refusal("--at", by=gw.OptionError):
        gw.open_run(gw.open_run("run", "b.csv").trace, at=3)
    with cases.refusal("--at", by=gw.OptionError):
        gw.open_run("run", "b.csv", continuous=True).window_at(3)


def test_shifted_and_copied_columns_are_made_as_the_configuration_says(here):
    basin = Basin(**LAGS)
    columns, pet = basin.columns, basin.columns["pet"]
    made = columns | {"pet_shift2": np.concatenate([[np.nan] * 2, pet[:-2]]), "tmax(C)_copy1": columns["tmax(C)"]}
    for name in ("pet_shift2", "tmax(C)_copy1"):
        del basin.columns[name]
    basin.rows = [[repr(float(column[step])) for column in basin.columns.values()] for step in range(STEPS)]
    basin.write()
    run = gw.open_run("run", "b.csv")
    want = basin.outputs(made)
    want[LENGTH - 1 : LENGTH + 1] = np.nan
    assert_series_agree(run.series.outputs[:, 0], want)
    assert "2 of 31 windows" in run.notes[-1]
    once = gw.open_run("run", "b.csv", continuous=True)
    late = {name: column[2:] for name, column in made.items()}
    assert_series_agree(once.trace.output, hydrology.answer(basin.config, basin.arrays, basin.tables, late))
    assert any("2 steps left out" in note for note in once.notes)
    assert "off theirs by" in once.notes[-1]
    Path("b.csv").write_text(Path("b.csv").read_text().replace("pet", "rain"))
    with cases.refusal("no column pet", by=gw.OptionError):
        gw.open_run("run", "b.csv")


def test_a_batch_of_basins_is_opened_and_its_outputs_are_theirs(basin):
    x = np.stack([np.stack([*basin.columns.values()], -1)] * 2, axis=1)
    x[30, 1, 0] = np.nan
    run = gw.open_run("run", x)
    want = basin.outputs()
    assert_series_agree(run.series.outputs[:, 0], want)
    want[30:] = np.nan
    assert_series_agree(run.series.outputs[:, 1], want)
    assert run.trace.output.shape == (LENGTH, 2, 1)
    assert run.trace.num_steps == LENGTH
    beyond = run.window_at(-1)
    assert any("of sequence 1 that window is not whole" in note for note in beyond.notes)
    np.testing.assert_array_equal(beyond.trace.output[-1, 0], run.series.outputs[-1, 0])
    assert not beyond.trace.lstm.first.valid[:, 1].any()
    assert "31 of 62" not in str(gw.report(beyond))
    x[::5, 1, 0] = np.nan  # no window of it is whole
    run = gw.open_run("run", x, out="t.safetensors")
    for trace in (run.trace.lstm, gw.load("t.safetensors")):
        assert trace.first.start == STEPS - LENGTH
        assert trace.first.times.tolist() == [*range(STEPS - LENGTH, STEPS)]
    assert "of sequence 1" in run.notes[-1]
    network = gw.load_network("run")
    assert gw.report(network, x, sequence=0, at=29).findings[0].sentence.count("window") == 1


@pytest.mark.thorough
def test_a_report_shows_the_series_of_all_windows_and_explains_one(basin, capsys):
    page = gw.report("run", "b.csv", at="2000-01-21")
    assert page.lead == "This page explains output QObs(mm/d): its value on 2000-01-21."
    first = page.findings[0]
    assert "31 windows of 10 steps, which end from 2000-01-10 to 2000-02-09" in first.sentence
    assert_series_agree(first.answer.outputs, basin.outputs())
    assert first.answer.marked == (20,)
    assert [*map(str, first.answer.columns["time"])] == basin.dates
    assert ("Windows", "31 windows of 10 steps, which end from 2000-01-10 to 2000-02-09") in page.facts
    window = gw.load_network("run")
    once = gw.report(window, np.stack([*basin.columns.values()], -1), labels=gw.Labels(times=basin.dates))
    assert ("Note", "one continuous run over all steps, where the model is evaluated in windows of 10") in once.facts
    why = next(finding for finding in page.findings if finding.question.startswith("What do gradients say"))
    assert len(why.answer.scores) == LENGTH
    assert "2000-01-21" in gw.report("run", "b.csv", at=20).lead
    assert gw.report("run", "b.csv", at=np.datetime64("2000-01-21")).lead == page.lead
    assert "2000-01-21" in gw.page("run", "b.csv", at=date(2000, 1, 21)).html
    assert "on 2000-02-09" in output_of(capsys, "report", "run", "b.csv")
    with cases.refusal("one step", "2", by=gw.OptionError):
        gw.report("run", "b.csv", at=[20, 21])
    assert exit_code(["report", "run", "b.csv", "--at", "20", "--at", "21"]) == 2
    several = gw.report("run", "b.csv", at=[20, 21], continuous=True)
    assert "2000-01-21 and on 2000-01-22" in several.lead


@pytest.mark.thorough
def test_without_dates_steps_have_the_numbers_of_the_series(basin):
    np.save("b.npy", np.stack([*basin.columns.values()], -1))
    run = gw.open_run("run", "b.npy")
    page = gw.report(run)
    assert "value at step 39." in page.lead
    assert "at step 9" not in str(page)
    assert gw.report(run, at=slice(20, 21)).lead.endswith("at step 20.")
    with cases.refusal("one step, not 2", by=gw.OptionError):
        gw.report(run, at=slice(20, 22))
    assert "at step 20" in gw.report(gw.open_run("run", "b.npy", at=20)).lead
    for suffix in ("npz", "csv"):
        assert exit_code(["trace", "run", "b.npy", "-o", f"t.{suffix}"]) == 0
    with np.load("t.npz") as file:
        assert [*file["steps"]] == [*range(30, 40)]
    rows = [row.split(",") for row in Path("t.csv").read_text().splitlines()[1:]]
    assert {int(row[0]) for row in rows if row[4] == "cell_state"} == {*range(30, 40)}


@pytest.mark.thorough
def test_a_trace_of_all_steps_is_said_to_be_continuous(basin):
    net, x = gw.load_network("run"), np.stack([*basin.columns.values()], -1)
    words = "one continuous run over all steps, where the model is evaluated in windows of 10"
    assert ("Note", words) in gw.report(net.trace(x)).facts
    assert words in gw.page(net.trace(x)).html
    assert not [fact for fact in gw.report(net.trace(x[:LENGTH])).facts if fact[0] == "Note"]
    gw.save(net.trace(x), "t.safetensors")
    assert words in gw.open_run("t.safetensors").notes
    with cases.refusal("labels is for an LSTM or a Network with an array", by=gw.OptionError):
        gw.report(net, "b.csv", labels=gw.Labels(times=basin.dates))
    assert "2000-01-21" in gw.page(gw.open_run("run", "b.csv"), at=20).html


def test_every_command_shows_the_window_that_ends_at_a_step(basin, capsys):
    want = [basin.dates[11], basin.dates[20]]
    for tokens in (
        ["plot", "run", "b.csv", "--kind", "gates", "-o", "out.csv"],
        ["plot", "run", "b.csv", "--kind", "contributions", "-o", "out.csv"],
        ["page", "run", "b.csv", "-o", "out.html"],
    ):
        assert exit_code([*tokens, "--at", "2000-01-21"]) == 0
        assert f"the window from {want[0]} to {want[1]}" in capsys.readouterr().err
        with open(tokens[-1], encoding="utf-8") as file:
            text = file.read()
        assert want[0] in text
        assert want[1] in text
        assert basin.dates[10] not in text
        assert basin.dates[21] not in text
    assert exit_code(["trace", "run", "b.csv", "--at", "2000-01-21", "-o", "out.npz"]) == 0
    with np.load("out.npz") as file:
        assert [*file["names.times"]] == basin.dates[11:21]
        assert_series_agree(file["series.output"][:, 0], basin.outputs())
        assert [*file["series.times"]] == basin.dates
    assert exit_code(["trace", "run", "b.csv", "--continuous", "-o", "out.npz"]) == 0
    assert "off theirs by" in capsys.readouterr().err
    with np.load("out.npz") as file:
        assert [*file["names.times"]] == basin.dates
        assert "series.output" not in file


def test_a_walk_is_of_the_window_and_of_its_last_step_where_one_is_named(basin, capsys):
    tokens = ["walk", "--model", "run", "--x", "b.csv", "--format", "json"]
    every = output_of(capsys, *tokens)
    assert basin.dates[30] in every
    assert basin.dates[29] not in every
    at_step = output_of(capsys, *tokens, "--at", "2000-01-21")
    trace = gw.open_run("run", "b.csv", at=20).trace
    assert repr(float(trace[0, "forward"].input[-1, 0, 0]))[:7] in at_step
    assert "2000-01-21" in at_step
    assert "2000-01-20" not in at_step
    assert basin.dates[0] in output_of(capsys, *tokens, "--continuous")
    assert exit_code([*tokens, "--continuous"]) == 0
    assert "off theirs by" in capsys.readouterr().err
    assert exit_code(["walk", "--model", "run", "--x", "b.csv", "--at", "3"]) == 2
    assert exit_code(["walk", "--continuous"]) == 2


def test_first_steps_are_walked_through_with_lags_and_a_gap(here, capsys):
    basin = Basin(**LAGS)
    del basin.rows[20], basin.dates[20]
    basin.write()
    shown = output_of(capsys, "walk", "--model", "run", "--x", "b.csv", "--steps", "18", "--format", "json")
    assert basin.dates[17] in shown
    assert basin.dates[18] not in shown


def test_steps_of_a_picture_count_in_the_input(basin, capsys):
    tokens = ["plot", "run", "b.csv", "-o", "out.csv", "--at", "2000-01-21"]
    assert exit_code([*tokens, "--steps", "13:16"]) == 0
    text = Path("out.csv").read_text()
    assert {day for day in basin.dates if day in text} == {*basin.dates[13:16]}
    assert exit_code([*tokens, "--kind", "matches", "--steps", "13:16"]) == 2  # no unit is that active
    assert "throughout steps 2 to 4;" in capsys.readouterr().err
    assert exit_code([*tokens, "--steps", "0:5"]) == 2
    assert "--steps must be inside the window that --at chooses, 11:21" in capsys.readouterr().err


def test_no_option_of_windows_goes_with_other_models(basin, capsys):
    gw.save(gw.LSTM(3, 2, rng=0), "bare.safetensors")
    for tokens in (
        ["page", "bare.safetensors", "b.csv", "-o", "p.html", "--at", "3"],
        ["plot", "bare.safetensors", "b.csv", "--kind", "gates", "-o", "p.csv", "--at", "3"],
        ["trace", "bare.safetensors", "b.csv", "-o", "p.npz", "--at", "3"],
        ["trace", "bare.safetensors", "b.csv", "-o", "p.npz", "--continuous"],
        ["walk", "--model", "bare.safetensors", "--x", "b.csv", "--continuous"],
    ):
        assert exit_code(tokens) == 2
        assert ("--at" if "--at" in tokens else "--continuous") in capsys.readouterr().err


# Verified: the answers are those of windows, all of which are run.


def verdict(capsys, *tokens, code=0):
    return " ".join(output_of(capsys, "verify", "run", "b.csv", *tokens, code=code).split())


def write_answers(path, dates, columns):
    rows = [["" if np.isnan(y) else y for y in row] for row in zip(*columns.values(), strict=True)]
    write(path, columns, dates, rows)


def test_the_answers_of_windows_are_compared_by_their_dates_or_their_number(basin, capsys):
    windows, dates = basin.outputs(), basin.dates
    y = windows[:, 0].tolist()
    write_answers("y.csv", dates, {"QObs(mm/d)": y, "other": y})  # empty before the first window
    said = verdict(capsys, "y.csv")
    assert "against y.csv: rounding" in said
    assert "of 31 windows of 10 steps are compared in full" in said
    assert "other left out" in said
    write_answers("y.csv", dates[LENGTH + 3 :], {"simulated": y[LENGTH + 3 :]})
    assert "of 27 windows" in verdict(capsys, "y.csv")
    for shape in (windows, windows[:, 0], windows[LENGTH - 1 :], windows[LENGTH - 1 :, None]):
        np.save("y.npy", shape.astype(np.float32))
        assert "of 31 windows" in verdict(capsys, "y.npy")
    assert gw.verify("run", "b.csv", windows.astype(np.float32)).agrees


@pytest.mark.thorough
def test_a_network_in_memory_is_compared_in_windows(basin):
    net, x = gw.load_network("run"), gw.open_run("run", "b.csv").series.x
    y, once = basin.outputs().astype(np.float32), net(x)[0]
    for given, windows, continuous in ((x, y[:, None], once), (x[:, 0], y, once[:, 0])):
        assert gw.verify(net, given, windows).agrees
        assert gw.verify(net, given, continuous, continuous=True).agrees
    assert gw.verify(net, x, once).verdict == "mistake"
    assert gw.verify(net, x[:, 0], y, continuous=True).verdict == "mistake"


@pytest.mark.parametrize("place", [LENGTH - 1, 29, STEPS - 1])
def test_one_wrong_answer_among_all_windows_is_found(place, basin, capsys):
    y = basin.outputs()[:, 0]
    y[place] += 0.1
    write_answers("y.csv", basin.dates, {"QObs(mm/d)": y})
    said = verdict(capsys, "y.csv", code=1)
    assert "against y.csv: mistake" in said
    assert f"sequence 0 is the window that ends at {basin.dates[place]}" in said


def test_the_answers_of_one_continuous_run_are_those_with_continuous_alone(basin, capsys):
    run = gw.open_run("run", "b.csv", continuous=True)
    np.save("y.npy", run.trace.output)
    assert "mistake" in verdict(capsys, "y.npy", code=1)
    assert "rounding" in verdict(capsys, "y.npy", "--continuous")


def test_answers_that_no_window_has_are_refused_in_one_sentence(basin, capsys):
    windows = basin.outputs()
    write_answers("early.csv", basin.dates[: LENGTH - 1], {"q": windows[: LENGTH - 1, 0]})
    write_answers("late.csv", [basin.dates[-1], "2000-02-10"], {"q": windows[-2:, 0]})
    np.save("short.npy", windows[:7])
    np.save("wide.npy", np.zeros((STEPS, 3)))
    np.savez("states.npz", y=windows, hn=np.zeros((1, 1, 5)))
    for path, words in [
        ("early.csv", "early.csv has no answer to a whole window of 10 steps"),
        ("late.csv", "late.csv has an answer for 2000-02-10, which is not a step of the input"),
        ("short.npy", "short.npy has 7 rows; it must have one for each of 40 steps, or of 31 windows"),
        ("wide.npy", "wide.npy has shape (40, 3); it must be (time, 1)"),
        ("states.npz", "To verify final states, add --continuous"),
    ]:
        assert words in refusal_of(capsys, "verify", "run", "b.csv", path)
