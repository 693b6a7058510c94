"""Steps are named by their dates, and sequences by their names, wherever a step or a sequence is taken."""

from __future__ import annotations

import datetime

import cases
import numpy as np
import pytest

import gatewise as gw

pandas = pytest.importorskip("pandas")

X = np.random.default_rng(0).normal(size=(72, 2, 3))
DAYS = np.arange("2001-02-10", "2001-04-23", dtype="datetime64[D]")
HOURS = np.arange("2001-02-10T06", "2001-02-13T06", dtype="datetime64[h]")
MONTHS = np.arange("2001-01", "2007-01", dtype="datetime64[M]")
LSTM = gw.LSTM(3, 4, rng=0)
NETWORK = gw.Network(LSTM, head=gw.Linear(np.ones((1, 4), np.float32)))


def run(times, model=LSTM):
    return model.trace(X, labels=gw.Labels(times=times, sequences=["Inn", "Isar"]))


DAILY, HOURLY, MONTHLY, NAMED = (run(times)[0] for times in (DAYS, HOURS, MONTHS, [f"w{n}" for n in range(72)]))
SPELLINGS = {  # of the 2nd of March 2001
    "a text": "2001-03-02",
    "a text with slashes": "2001/03/02",
    "NumPy's": np.datetime64("2001-03-02"),
    "NumPy's in nanoseconds": np.datetime64("2001-03-02", "ns"),
    "a date": datetime.date(2001, 3, 2),
    "a datetime": datetime.datetime(2001, 3, 2),
    "a Timestamp": pandas.Timestamp("2001-03-02"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_step_is_named_by_its_date_in_any_spelling_wherever_one_is_taken(spelling):
    t = SPELLINGS[spelling]
    assert (DAILY.step(t).time, DAILY.step(t).name) == (20, "2001-03-02")
    assert DAILY.step(t, "Isar").sequence == DAILY[t, "Isar"].sequence == 1
    assert (DAILY[t].start, DAILY[t].num_steps, len(DAILY[t:t])) == (20, 1, 1)
    assert (DAILY[t:].start, DAILY[:t].num_steps) == (20, 21)
    for same in ({"at": t, "sequence": "Isar"}, {"at": 20, "sequence": 1}):
        assert str(gw.walk(DAILY, **same)) == str(gw.walk(DAILY, at=20, sequence=1))
    for ask in (
        lambda at: gw.insight.contributions(DAILY, at, "Isar"),
        lambda at: gw.insight.attribution(run(DAYS, NETWORK), 0, at, "Isar"),
        lambda at: gw.insight.influence(DAILY, at, "Isar"),
        lambda at: gw.insight.attention(DAILY, start=at, stop=30),
        lambda at: gw.insight.matches(DAILY, at, 22, threshold=-1.0),
    ):
        assert str(ask(t)) == str(ask(20))
    edited = LSTM.trace(X, labels=DAILY.labels, edit=gw.Edit.set("forget_gate", 0.5, steps=t, sequences="Isar"))
    assert (edited[0].forget_gate == 0.5).sum() == 4
    assert (edited[0].forget_gate[20, 1] == 0.5).all()


def test_a_slice_of_dates_has_its_last_one_and_a_part_of_a_date_is_all_of_its_steps():
    for part, first, last in (
        (DAILY["2001-03-02":"2001-03-05"], "2001-03-02", "2001-03-05"),
        (DAILY[pandas.Timestamp("2001-03-02") : datetime.date(2001, 3, 5)], "2001-03-02", "2001-03-05"),
        (DAILY["2001-03":"2001-03"], "2001-03-01", "2001-03-31"),
        (DAILY["2001":"2001"], "2001-02-10", "2001-04-22"),
        (DAILY["1999-01-01":"2001-02-11"], "2001-02-10", "2001-02-11"),
        (DAILY["2001-04-20":], "2001-04-20", "2001-04-22"),
        (DAILY[3:"2001-02-20"], "2001-02-13", "2001-02-20"),
        (HOURLY["2001-02-11":"2001-02-11"], "2001-02-11T00", "2001-02-11T23"),
        (HOURLY[np.datetime64("2001-02-11") : np.datetime64("2001-02-11T05")], "2001-02-11T00", "2001-02-11T05"),
        (MONTHLY["2002":"2003-05"], "2002-01-01", "2003-05-01"),
        (NAMED["w3":"w9"], "w3", "w9"),
    ):
        assert (str(part.labels.times[0]), str(part.labels.times[-1])) == (first, last)
        np.testing.assert_array_equal(part.cell_state, DAILY.cell_state[part.start : part.start + len(part)])
    reference = pandas.Series(range(72), index=pandas.DatetimeIndex(HOURS))
    for start, stop in (("2001-02-10", "2001-02-11 13:00"), ("2001-02-11T05", "2001-02-12"), ("2001", "2001-02-10 07")):
        assert DAILY.num_steps == 72
        part = HOURLY[start:stop]
        assert (part.start, len(part)) == (reference[start:stop].iloc[0], len(reference[start:stop]))
    assert len(DAILY["2005":"2006"]) == 0
    assert DAILY["2001-03-02":"2001-03-05", "Isar"].labels.sequences == ("Isar",)


@pytest.mark.thorough
def test_slices_of_dates_are_taken_by_edits_questions_reports_and_pictures():
    edited = LSTM.trace(
        X, labels=DAILY.labels, edit=gw.Edit.set("forget_gate", 0.5, steps=slice("2001-03-02", "2001-03-05"))
    )
    np.testing.assert_array_equal(np.flatnonzero((edited[0].forget_gate == 0.5).all((1, 2))), [20, 21, 22, 23])
    days = [pandas.Timestamp("2001-03-02"), "2001-03-04"]
    edit = gw.Edit.scale("candidate", 2, steps=days, sequences=["Isar", "Inn"])
    assert str(edit) == "candidate scaled by 2 at steps 2001-03-02 00:00:00, 2001-03-04 in sequences Isar, Inn"
    assert list(LSTM.trace(X, labels=DAILY.labels, edit=edit).edits[0].steps) == [20, 22]
    attention = gw.insight.attention(DAILY, start="2001-03-02", stop="2001-03-05")
    assert list(attention.times.astype(str)) == ["2001-03-02", "2001-03-03", "2001-03-04", "2001-03-05"]
    assert str(gw.insight.matches(DAILY, "2001-03-02", "2001-03-05", threshold=-1.0)) == str(
        gw.insight.matches(DAILY, 20, 24, threshold=-1.0)
    )
    named = run(DAYS, NETWORK)
    reports = [
        gw.report(named, at=at) for at in (slice("2001-03-02", "2001-03-03"), ["2001-03-02", DAYS[21]], [20, 21])
    ]
    first, *others = [[str(finding) for finding in report.findings] for report in reports]
    assert others == [first, first]
    pytest.importorskip("matplotlib")
    answer = gw.insight.attribution(named, 0, "2001-03-04")
    axes = [gw.plot.attribution(answer, steps=steps)[1] for steps in (("2001-03-02", "2001-03-05"), (20, 24))]
    assert len(axes[0].patches) == len(axes[1].patches)
    assert axes[0].get_xlim() == axes[1].get_xlim()


REFUSED = {
    "a date that there is not": (
        lambda: DAILY.step("2002-01-01"),
        "no step '2002-01-01'; this trace has 2001",
    ),
    "a month of daily steps": (lambda: DAILY.step("2001-03"), "'2001-03' is 31 steps of this trace, 2001-03-01 to"),
    "a day of hourly steps": (lambda: HOURLY.step("2001-02-11"), "'2001-02-11' is 24 steps of this trace"),
    "an instant between two steps": (lambda: DAILY.step(datetime.datetime(2001, 3, 2, 12)), "no step '2001-03-02 12"),
    "no date": (lambda: DAILY.step("Easter"), "no step 'Easter'"),
    "NaT": (lambda: DAILY.step(pandas.NaT), "no step 'NaT'"),
    "a slice to no date": (lambda: DAILY["Easter":], "no step 'Easter'"),
    "a time zone": (lambda: DAILY.step(pandas.Timestamp("2001-03-02", tz="UTC")), "has a time zone"),
    "a slice with a time zone": (
        lambda: DAILY[: datetime.datetime(2001, 3, 2, tzinfo=datetime.UTC)],
        "has a time zone",
    ),
    "a run without dates": (lambda: LSTM.trace(X)[0].step("2001-03-02"), "the steps of this trace have numbers alone"),
    "a slice without dates": (lambda: LSTM.trace(X)[0]["2001-03-02":], "the steps of this trace have numbers alone"),
    "dates that go back": (lambda: run(DAYS[::-1])[0]["2001-03-02":], "go back in time"),
    "an edit": (lambda: LSTM.trace(X, edit=gw.Edit.set("candidate", 0, steps="2001-03-02")), "have numbers alone"),
    "no sequence": (lambda: DAILY.step(3, "Lech"), "no sequence 'Lech'; this trace has 'Inn', 'Isar'"),
    "a place between two": (lambda: DAILY.step(1.5), "no step 1.5"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_date_that_names_no_single_step_is_refused_in_one_sentence(what):
    ask, words = REFUSED[what]
    with cases.refusal(words, by=gw.OptionError):
        ask()


def test_a_trace_that_kept_some_steps_goes_by_the_dates_of_those():
    kept = LSTM.trace(X, labels=DAILY.labels, keep="cell_state", every=2)[0]
    found = gw.insight.matches(kept, "2001-03-02", "2001-03-06", quantity="cell_state", threshold=-5.0)
    assert str(found) == str(gw.insight.matches(kept, 10, 13, quantity="cell_state", threshold=-5.0))
