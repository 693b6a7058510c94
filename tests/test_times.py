"""Times are checked in every format: order, repetitions, gaps, dates that do not exist, and the model's own step."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path

import cases
import hydrology
import numpy as np
import pytest
from pairwise import pairs
from program import exit_code, output_of, refusal_of

import gatewise as gw
from gatewise.errors import DataWarning
from gatewise.opening.basins import open_basins
from gatewise.records.times import RawTimes, TimeRules, TimeStep, check_times, time_breaks

pandas = pytest.importorskip("pandas")
pytest.importorskip("h5py")
pytest.importorskip("scipy")
xarray = pytest.importorskip("xarray")

from timed import DISORDERS, FORMATS, GAP, KINDS, NAMES, NETWORK, STEPS, VALUES, table, text, write_csv  # noqa: E402

WAY_OUT = "--sort-time (in Python sort_time=True)"
KEPT = np.delete(np.arange(STEPS), GAP)
REFUSED = (gw.FileError, gw.OptionError)


def opened(kind, times, places, here, **options):
    """Open the steps of a series at these places in a format."""
    return gw.open_run(NETWORK, FORMATS[kind](here, KINDS[times][places], VALUES[places]), **options)


@pytest.mark.parametrize("times", KINDS)
@pytest.mark.parametrize("kind", FORMATS)
def test_a_series_in_order_of_time_runs_as_its_numbers_do_without_a_note(kind, times, here):
    for options in ({}, {"strict": True}, {"sort_time": True}):
        run = opened(kind, times, slice(None), here, **options)
        np.testing.assert_array_equal(run.trace.output, NETWORK(VALUES)[0])
        assert run.notes == ()


@pairs(rest=pytest.mark.peers, kind=FORMATS, times=KINDS, disorder=DISORDERS)
def test_a_series_in_another_order_is_refused_with_the_way_out_and_sorted_if_told_to(kind, times, disorder, here):
    places, words = DISORDERS[disorder]
    with cases.refusal(words, WAY_OUT, by=REFUSED):
        opened(kind, times, places, here)
    run = opened(kind, times, places, here, sort_time=True)
    np.testing.assert_array_equal(run.trace.output, NETWORK(VALUES)[0])
    assert run.labels == opened(kind, times, slice(None), here).labels


@pytest.mark.parametrize("times", KINDS)
@pytest.mark.parametrize("kind", FORMATS)
def test_a_time_that_occurs_twice_is_refused_in_any_order(kind, times, here):
    places = np.array([*range(5), 4, *range(5, STEPS)])
    for order in (places, places[::-1], np.roll(places, 9)):
        for options in ({}, {"sort_time": True}):
            with cases.refusal(f"has {text(KINDS[times][4])}", "twice, in", "Remove one", by=REFUSED):
                opened(kind, times, order, here, **options)


@pytest.mark.parametrize("times", KINDS)
@pytest.mark.parametrize("kind", FORMATS)
def test_a_gap_is_reported_with_its_place_and_its_length_and_refused_if_strict(kind, times, here):
    before, after = (text(KINDS[times][place]) for place in (GAP.start - 1, GAP.stop))
    gap = f"1 gap in time: {before} to {after} (3 steps missing)"
    for order, options in ((KEPT, {}), (KEPT[::-1], {"sort_time": True})):
        run = opened(kind, times, order, here, **options)
        assert [note.endswith(gap) for note in run.notes] == [True]
        np.testing.assert_array_equal(run.trace.output, NETWORK(VALUES[KEPT])[0])
    with cases.refusal(gap, "--strict", by=REFUSED):
        opened(kind, times, KEPT, here, strict=True)


def test_of_many_gaps_the_first_are_listed_and_the_others_counted(here):
    run = opened("csv", "days", np.delete(np.arange(STEPS), [3, 7, 8, 15, 20, 25]), here)
    assert run.notes[0].endswith(
        "series.csv: 5 gaps in time: 2001-02-22 to 2001-02-24 (1 step missing), 2001-02-26 to 2001-03-01 (2 steps"
        " missing), 2001-03-06 to 2001-03-08 (1 step missing), and 2 more"
    )


@pytest.mark.parametrize("kind", ["pandas", "pandas, a column", "xarray", "netCDF", "csv", "pandas, texts"])
def test_a_step_without_a_time_is_refused_by_its_place(kind, here):
    times = KINDS["days"].copy()
    times[6] = "NaT"
    with cases.refusal("has no", "line 8" if kind == "csv" else "step 6", "Give each row", by=REFUSED):
        gw.open_run(NETWORK, FORMATS[kind](here, times, VALUES))


IMPOSSIBLE = ("2001-02-29", "2001-02-30", "2001-13-01", "2001-00-10", "2001-04-31", "1900-02-29", "0000-00-00")


@pytest.mark.parametrize(
    "date", [*IMPOSSIBLE, "2001-02-25 24:01", "2001-02-25T25:00", "2001-02-25T12:60", "soon", "25"]
)
def test_a_date_that_does_not_exist_is_refused_by_its_line(date, here):
    path = write_csv(here, KINDS["days"], VALUES)
    path.write_text(path.read_text().replace("2001-02-25,", f"{date},"))
    with cases.refusal(f"line 7 has '{date}', which is not a date"):
        gw.open_run(NETWORK, path)
    series = table(here, KINDS["days"], VALUES)
    series.index = [date if place == 5 else text(day) for place, day in enumerate(KINDS["days"])]
    with cases.refusal(f"step 5 has '{date}', which is not a date", by=gw.OptionError):
        NETWORK(series)


def test_days_and_months_that_changed_places_are_no_dates(here):
    path = write_csv(here, np.datetime64("2001-01-01") + np.arange(STEPS), VALUES)
    path.write_text(
        "\n".join(
            line[:5] + line[8:10] + line[4:7] + line[10:] if line[0] == "2" else line
            for line in path.read_text().split("\n")
        )
    )
    with cases.refusal("line 14 has '2001-13-01', which is not a date"):
        gw.open_run(NETWORK, path)


def test_dates_with_the_day_first_are_said_not_to_be_checked(here):
    path = write_csv(here, KINDS["days"], VALUES)
    rows = [line.split(",") for line in path.read_text().split("\n")]
    path.write_text("\n".join(",".join([".".join(reversed(date.split("-"))), *row]) for date, *row in rows))
    assert "'20.02.2001' is not read as a date, such as 2000-01-31" in gw.open_run(NETWORK, path).notes[0]
    with cases.refusal("cannot be sorted by time: '20.02.2001' is not read as a date"):
        gw.open_run(NETWORK, path, sort_time=True)


# Regular series, made by pandas.

REGULAR = {
    **dict.fromkeys(
        ("D", "h", "3h", "15min", "min", "s", "7D", "W-MON", "MS", "ME", "SMS", "QS", "QE", "YS", "YE", "2MS"), 400
    ),
    "B": 300,
}


@pytest.mark.parametrize("frequency", REGULAR)
def test_the_steps_of_every_regular_series_have_no_gap_and_one_that_is_left_out_is_found(frequency):
    for start in ("1999-12-31", "1998-12-31"):
        dates = pandas.date_range(start, periods=REGULAR[frequency], freq=frequency).to_numpy()
        assert not any("gap" in note for note in check_times(RawTimes(dates), "x", TimeRules(strict=True)).notes)
        assert time_breaks(dates) is None
    for place in (1, 57, 58, 59, 60, 200, len(dates) - 2):
        fewer = np.delete(dates, place)
        gap = f"1 gap in time: {text(dates[place - 1])} to {text(dates[place + 1])} (1 step missing)"
        assert check_times(RawTimes(fewer), "x").notes[-1] == f"x: {gap}"
        assert np.flatnonzero(time_breaks(fewer)).tolist() == [place]
        with cases.refusal(gap, by=gw.OptionError):
            check_times(RawTimes(fewer), "x", TimeRules(strict=True))


def parts_of_years(*days):
    """Return the dates of three years that have these numbers in their months."""
    return [f"{year}-{month:02}-{day:02}" for year in (2003, 2004, 2005) for month in range(1, 13) for day in days]


EVEN = {  # as their calendars have it: a note that says which it is, or none
    "five days, six in a month": (parts_of_years(1, 6, 11, 16, 21, 26), ""),
    "ten days, three in a month": (parts_of_years(1, 11, 21), ""),
    "eight days, from each New Year": (
        [text(np.datetime64(f"{year}-01-01") + 8 * k) for year in (2003, 2004, 2005) for k in range(46)],
        "",
    ),
    "years without leap days": (
        [text(day) for day in np.arange("1999-05-05", "2009-01-01", dtype="datetime64[D]") if "02-29" not in text(day)],
        "a calendar without leap days",
    ),
    "months of thirty days": (parts_of_years(*range(1, 31)), ""),
    "days that end at 24:00": ([f"2001-01-{1 + n // 24:02} {n % 24 + 1:02}:00" for n in range(24 * 9)], ""),
    "a week from Sunday to Thursday": (
        [
            text(day)
            for day in np.arange("2001-01-01", "2001-06-01", dtype="datetime64[D]")
            if (day.astype(int) + 3) % 7 not in (4, 5)
        ],
        "working days",
    ),
    "an offset from UTC that changes": (
        [str(time) for time in pandas.date_range("2001-03-20", "2001-11-01", freq="h", tz="Europe/Berlin")],
        "",
    ),
}


@pytest.mark.parametrize("kind", EVEN)
def test_a_calendar_whose_days_differ_has_no_gap_and_one_that_is_left_out_is_found(kind):
    times, calendar = EVEN[kind]
    notes = check_times(RawTimes(times), "x", TimeRules(strict=True)).notes
    assert notes == ((f"x: its dates are read as {notes[0].partition(' as ')[2]}",) if calendar else ())
    assert all(calendar in note for note in notes)
    for place in (40, 41, 60, len(times) - 2):
        fewer = [*times[:place], *times[place + 1 :]]
        assert "1 gap in time" in check_times(RawTimes(fewer), "x").notes[-1]
    with cases.refusal("runs backwards", by=gw.OptionError):
        check_times(RawTimes(times[::-1]), "x")
    order = check_times(RawTimes(times[::-1]), "x", TimeRules(sort=True)).order
    assert order.tolist() == [*range(len(times))][::-1]


ZONES = ("Europe/Berlin", "America/New_York", "Australia/Sydney", "America/Santiago", "America/Sao_Paulo")


@pytest.mark.parametrize("frequency", ["h", "30min", "15min", "10min"])
@pytest.mark.parametrize("zone", ZONES)
def test_local_times_have_no_gap_where_their_clock_changes_and_a_note_for_each_hour_that_repeats(zone, frequency):
    steps = pandas.date_range(
        "2010-02-01", "2011-12-01" if frequency == "h" else "2010-12-01", freq=frequency, tz="UTC"
    )
    zoned = steps.tz_convert(zone)
    local = zoned.tz_localize(None).to_numpy()
    ends = [place for place in range(1, len(local)) if local[place] <= local[place - 1]]
    assert len(ends) in (1, 2)
    checked = check_times(RawTimes(local), "x", TimeRules(strict=True))
    repeated = ", ".join(text(local[place]) for place in ends)
    assert checked.notes == (f"x: an hour repeats at {repeated}, which is read as the end of daylight saving time",)
    assert checked.order is None
    assert time_breaks(local) is None
    back = check_times(RawTimes(local[::-1]), "x", TimeRules(sort=True))
    assert back.order.tolist() == [*range(len(local))][::-1]
    fewer = np.delete(local, ends[0] - 700)
    assert "1 gap in time" in check_times(RawTimes(fewer), "x").notes[-1]


def test_an_hour_that_is_left_out_in_a_night_in_spring_is_a_gap_where_none_repeats():
    local = pandas.date_range("2001-03-20", "2001-03-27", freq="h", tz="Europe/Berlin").tz_localize(None).to_numpy()
    assert "1 gap in time: 2001-03-25T01:00 to 2001-03-25T03:00" in check_times(RawTimes(local), "x").notes[0]


@pytest.mark.parametrize("when", ["2001-10-27T02", "2001-10-28T12", "2001-10-29T01"])
def test_an_hour_that_repeats_by_day_or_in_another_night_is_refused_with_advice_on_offsets(when):
    hours = np.arange("2001-10-20", "2001-11-05", dtype="datetime64[h]")
    twice = np.sort(np.concatenate([hours, hours[hours == np.datetime64(when)]]))
    with cases.refusal(f"has {when}:00 twice" if "T" in when else "", "offset from UTC", by=gw.OptionError):
        check_times(RawTimes(twice.astype("datetime64[m]")), "x")


@pytest.mark.parametrize("offset", [0, -50, 1e6, 1.7e9])
@pytest.mark.parametrize("step", [0.1, 1 / 3, 0.04, 1e-3, 2.5])
def test_no_verdict_on_decimals_depends_on_their_rounding(step, offset):
    by_product, by_sum = offset + step * np.arange(3000), np.cumsum([offset, *[step] * 2999])
    written = np.array([float(f"{time:.3f}") for time in by_product])
    for times in (by_product, by_sum, written):
        for values in (times, [repr(float(time)) for time in times]):
            assert check_times(RawTimes(values), "x", TimeRules(strict=True)).order is None
        assert "1 gap in time" in check_times(RawTimes(np.delete(times, 1234)), "x").notes[0]
    halves = np.array([0, 0.2, 0.5, 0.7]) * step + offset  # 1.5 times the least step, if nothing was rounded
    assert check_times(RawTimes(halves), "x").notes == ()


def test_dates_of_any_range_and_resolution_are_compared_exactly():
    for unit in ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns"):
        dates = np.arange(20, dtype=np.int64).astype(f"datetime64[{unit}]")
        assert check_times(RawTimes(dates), "x", TimeRules(strict=True)).notes == ()
        assert "1 gap" in check_times(RawTimes(np.delete(dates, 9)), "x").notes[0]
    far = np.array([-(2**63) + 1, 0, 2**63 - 1]).astype("datetime64[ns]")
    assert check_times(RawTimes(far), "x").order is None
    with cases.refusal("runs backwards", by=gw.OptionError):
        check_times(RawTimes(far[::-1]), "x")
    with cases.refusal("shuffled", by=gw.OptionError):
        check_times(RawTimes(far[[1, 0, 2]]), "x")


def test_series_of_no_step_and_of_one_are_in_order():
    for values in (
        np.empty(0, "datetime64[D]"),
        np.array(["2001-01-01"], "datetime64[D]"),
        [],
        ["2001-01-01"],
        ["x"],
        np.empty(0),
        [""],
    ):
        assert check_times(RawTimes(values), "x").order is None


# Which column holds times.

COLUMNS = {  # a table, its features and its times, or the words of a refusal
    "rain,temp\nNA,2\n3,4": "line 2 has 'NA', which is not a number",
    "rain,temp\n,2\n3,4\n5,6": "line 2 has '', which is not a number",
    "rain,temp\n-,2\n3,4\n5,6": "line 2 has '-', which is not a number",
    "rain,temp\nNaN,2\n3,4": "feature 0, rain, of step 0",
    "rain,temp\n1,2\n3x,4\n5,6": "line 3 has '3x', which is not a number",
    "rain,temp\nNA,2\nNA,4": "line 2 has 'NA', which is not a number",
    "day,rain,temp\n2001-01-01,2,3\n2001-01-02,4,5": ("2001-01-01", "2001-01-02"),
    "char,rain,temp\nh,2,3\n2,4,5\ni,6,7": ("h", "2", "i"),
    "char,rain,temp\n2,2,3\nh,4,5\ni,6,7": ("2", "h", "i"),
    "label,rain,temp\na,2,3\na,4,5": ("a", "a"),
    "t,rain,temp\n1,2,3\n2,4,5": ("1", "2"),
    ",rain,temp\n0,2,3\n1,4,5\n0,6,7": ("0", "1", "0"),
    "t,rain,temp\n9.5,2,3\n11.0,4,5\n9.5,6,7": ("9.5", "11.0", "9.5"),
    "rain,temp\n2001-01-01,2\n2001-01-02,4": "Column 'rain' was read as times because it holds dates.",
    "level,temp\nlow,2\nhigh,4": "Column 'level' was read as times because most of its entries are not numbers.",
    "t,temp\n1,2\n3,4": "Column 't' was read as times because of its name.",
}


@pytest.mark.parametrize("content", COLUMNS)
def test_a_column_holds_times_by_all_of_its_entries_or_its_name(content, here):
    Path("x.csv").write_text(content)
    expected, lstm = COLUMNS[content], gw.LSTM(2, 3, rng=0)
    if isinstance(expected, str):
        with cases.refusal(expected, by=gw.GatewiseError):
            gw.open_run(lstm, "x.csv")
        return
    labels = gw.open_run(lstm, "x.csv").labels
    assert (labels.features, tuple(map(str, labels.times))) == (NAMES, expected)


def test_a_column_that_the_model_takes_is_a_feature_whatever_its_first_entry_is(here):
    Path("x.csv").write_text("rain,temp\nNA,2\n3,4\n")
    with cases.refusal("line 2 has 'NA', which is not a number"):
        gw.open_run(NETWORK, "x.csv")
    Path("x.csv").write_text("t,rain\n4,2\n3,4\n")
    network = gw.Network(gw.LSTM(2, 3, rng=0), labels=gw.Labels(features=["t", "rain"]))
    np.testing.assert_array_equal(gw.open_run(network, "x.csv").trace.output, network(np.array([[4.0, 2], [3, 4]]))[0])
    Path("x.csv").write_text("a,temp\n2001-01-01,2\n2001-01-02,4\n")
    with cases.refusal("has no column rain", "Column 'a' was read as times because it holds dates.", by=gw.OptionError):
        gw.open_run(NETWORK, "x.csv")


def test_missing_values_in_the_first_row_of_windows_are_missing_values(here):
    network = gw.Network(gw.LSTM(2, 3, rng=0), windows=gw.network.Windows(2), labels=gw.Labels(features=NAMES))
    Path("x.csv").write_text("rain,temp\nNA,2\n3,4\n5,6\n")
    outputs = gw.open_run(network, "x.csv").series.outputs
    assert np.isfinite(outputs).all(-1)[:, 0].tolist() == [False, False, True]


def test_a_table_whose_first_column_misses_numbers_has_no_times_in_it():
    mixed = pandas.DataFrame({"rain": ["-", "1", "2"], "temp": [1.0, 2, 3]})
    for run in (NETWORK, gw.LSTM(1, 2, rng=0)):
        with cases.refusal("'rain' is not one", by=gw.ShapeError):
            run(mixed)


# Numbers of rows.


def test_numbers_of_rows_may_begin_anew_and_have_gaps_but_not_be_shuffled(here):
    rows = pandas.DataFrame(VALUES, columns=list(NAMES))
    for series in (rows, pandas.concat([rows, rows]), rows.iloc[[0, 1, 5, 9]], rows.rename_axis("index")):
        np.testing.assert_array_equal(NETWORK(series)[0], NETWORK(series.to_numpy())[0])
        assert gw.open_run(NETWORK, series, strict=True).notes == ()
        series.to_csv("x.csv")
        np.testing.assert_array_equal(gw.open_run(NETWORK, "x.csv", strict=True).trace.output, NETWORK(series)[0])
    for series in (rows[::-1], rows.sample(frac=1, random_state=0)):
        with cases.refusal("in time", ".sort_index()", ".to_numpy()", by=gw.OptionError):
            NETWORK(series)
        np.testing.assert_array_equal(gw.open_run(NETWORK, series, sort_time=True).trace.output, NETWORK(VALUES)[0])
        series.to_csv("x.csv")
        with cases.refusal("in time", WAY_OUT):
            gw.open_run(NETWORK, "x.csv")
    with cases.refusal("cannot be sorted", by=gw.OptionError):
        gw.open_run(NETWORK, VALUES, sort_time=True)


# Calls in memory.


def test_a_call_refuses_what_is_not_in_order_and_says_how_it_is_sorted():
    series = table(None, KINDS["days"], VALUES)
    windowed = NETWORK.replace(windows=gw.network.Windows(3))
    calls = {
        "call": NETWORK,
        "trace": NETWORK.trace,
        "LSTM": NETWORK.lstm,
        "its trace": NETWORK.lstm.trace,
        "windows": windowed.run_windows,
        "verify": lambda x: gw.verify(NETWORK, x, VALUES),
        "embed": NETWORK.embed,
    }
    for data, remedy in ((series, ".sort_index()"), (series.to_xarray(), ".sortby('time')")):
        for order, _ in DISORDERS.values():
            wrong = data.iloc[order] if data is series else data.isel(time=order)
            for call in calls.values():
                with cases.refusal("x ", remedy, by=gw.OptionError):
                    call(wrong)
    stream = gw.Network(NETWORK.lstm, labels=NETWORK.labels).stream()
    with cases.refusal("x runs backwards", ".sort_index()", by=gw.OptionError):
        stream.push(series[::-1])
    with cases.refusal("y runs backwards", by=gw.OptionError):
        gw.verify(NETWORK, series, pandas.DataFrame(NETWORK(VALUES)[0], index=series.index)[::-1])


def test_a_call_warns_of_gaps_at_the_line_that_made_it_unless_windows_end_there():
    series = table(None, KINDS["days"], VALUES).iloc[KEPT]
    for data in (series, series.to_xarray()):
        for call in (NETWORK, NETWORK.trace, NETWORK.lstm, NETWORK.lstm.trace):
            with pytest.warns(DataWarning, match=r"^x: 1 gap in time: 2001-03-01 to 2001-03-05") as caught:
                call(data)
            assert [warning.filename for warning in caught] == [__file__]
        windowed = NETWORK.replace(windows=gw.network.Windows(3))
        assert np.isnan(windowed.run_windows(data)).any()  # a warning would be an error


def test_data_of_apply_are_checked_and_sorted_by_their_coordinate():
    data = table(None, KINDS["days"], VALUES).to_xarray().to_dataarray("feature").transpose("time", "feature")
    expected = gw.apply(NETWORK, data)
    for order, words in DISORDERS.values():
        with cases.refusal(f"the data {words}", WAY_OUT, by=gw.OptionError):
            gw.apply(NETWORK, data[order])
        xarray.testing.assert_equal(gw.apply(NETWORK, data[order], sort_time=True), expected)
    with pytest.warns(DataWarning, match="the data: 1 gap in time: 2001-03-01 to 2001-03-05"):
        gw.apply(NETWORK, data[KEPT])
    assert gw.apply(NETWORK.replace(windows=gw.network.Windows(3)), data[KEPT]).windows_not_whole == 2
    with cases.refusal("sort_time does not sort lengths or a mask", by=gw.OptionError):
        gw.apply(NETWORK, data, lengths=5, sort_time=True)
    with cases.refusal("cannot be sorted by time", by=gw.OptionError):
        gw.apply(NETWORK, data.drop_vars("time"), sort_time=True)


# The model's own step.

STEPS_OF = {  # a frequency, and dates with such steps and with others
    "1D": ("2001-01-01", "D", ("h", "12h", "2D", "MS")),
    "D": ("2001-01-01", "D", ("h",)),
    "1h": ("2001-01-01", "h", ("D", "30min", "2h")),
    "1H": ("2001-01-01", "h", ("D",)),
    "3h": ("2001-01-01", "3h", ("h", "6h")),
    "15min": ("2001-01-01", "15min", ("h", "5min")),
    "MS": ("2001-01-01", "MS", ("D", "QS", "15D")),
    "1ME": ("2001-01-31", "ME", ("YE", "W")),
    "YS": ("2001-01-01", "YS", ("QS",)),
    "W-MON": ("2001-01-01", "W-MON", ("D", "2W")),
}


@pytest.mark.parametrize("frequency", STEPS_OF)
def test_a_model_with_a_time_step_refuses_another_one_wherever_it_runs(frequency, here):
    start, same, others = STEPS_OF[frequency]
    gw.save(NETWORK.replace(time_step=frequency), "m.safetensors")
    network = gw.load_network("m.safetensors")
    assert network.time_step == frequency

    def series(step):
        return table(None, pandas.date_range(start, periods=STEPS, freq=step).to_numpy(), VALUES)

    right = series(same)
    assert gw.open_run("m.safetensors", right).notes == ()
    with warnings.catch_warnings(action="ignore"):
        gapped = right.drop(right.index[4])
        assert len(network(gapped)[0]) == STEPS - 1  # a gap is no other step
    for step in others:
        wrong = series(step)
        words = ("has a step of", "but the model was trained on steps of", "Resample")
        wrong.to_csv("x.csv")
        data = wrong.to_xarray().to_dataarray("feature").transpose("time", "feature")
        for call in (network, network.trace, lambda x: gw.open_run(network, x)):
            with cases.refusal(*words, by=gw.OptionError):
                call(wrong)
        with cases.refusal(*words, by=gw.OptionError):
            gw.apply(network, data)
        with cases.refusal(*words):
            gw.open_run("m.safetensors", "x.csv")


def test_one_step_that_is_shorter_than_the_model_s_is_refused_by_its_place():
    days = np.sort([*KINDS["days"].astype("datetime64[h]"), np.datetime64("2001-02-25T12")])
    network = NETWORK.replace(time_step="1D")
    with cases.refusal("a step of 12 hours, from 2001-02-25 to 2001-02-25T12", "steps of 1 day", by=gw.OptionError):
        network(table(None, days, np.zeros((STEPS + 1, 2))))


@pytest.mark.parametrize("frequency", ["fortnight", "B", "0D", "-1D", "", 5, "1.5h", "9999999D"])
def test_a_time_step_that_is_none_is_refused(frequency):
    assert TimeStep.of(frequency) is None
    with cases.refusal("time_step must be a frequency such as 1D", by=gw.OptionError):
        NETWORK.replace(time_step=frequency)


RUNS = {  # of NeuralHydrology: what its configuration says, and the step
    "a frequency": ({"use_frequencies": ["1D"], "seq_length": {"1D": 10}}, "1D"),
    "a frequency alone": ({"use_frequencies": "1h"}, "1h"),
    "a length": ({"seq_length": {"3h": 10}}, "3h"),
    "inputs": ({"dynamic_inputs": {"1h": hydrology.DYNAMIC}}, "1h"),
    "hourly basins": ({"dataset": "hourly_camels_us"}, "1h"),
    "daily basins": ({"dataset": "camels_us"}, "1D"),
    "hourly basins by day": ({"dataset": "hourly_camels_us", "use_frequencies": ["1D"]}, "1D"),
    "generic basins": ({"dataset": "generic"}, None),
    "a step of another kind": ({"use_frequencies": ["B"], "dataset": "camels_us"}, None),
    "nothing": ({}, None),
}


@pytest.mark.parametrize("what", RUNS)
def test_the_step_of_a_run_of_neuralhydrology_is_that_of_its_configuration(what, here):
    yaml = pytest.importorskip("yaml")
    changes, step = RUNS[what]
    config = hydrology.settings(seq_length=10, static_attributes=None)
    hydrology.make_run(Path("run"), config)
    config = yaml.safe_load(Path("run/config.yml").read_text()) | changes
    Path("run/config.yml").write_text(yaml.safe_dump(config))
    assert gw.load_network("run").time_step == step


# Units.


def test_a_feature_in_days_since_a_date_is_a_number_in_every_file(here):
    ages = np.arange(10.0, 10 + STEPS)
    data = xarray.Dataset(
        {"rain": ("time", VALUES[:, 0]), "temp": ("time", ages, {"units": "days since 2000-01-01"})},
        coords={"time": KINDS["days"].astype("datetime64[ns]")},
    )
    expected = NETWORK(np.stack([VALUES[:, 0], ages], axis=-1))[0]
    data.to_netcdf("x.nc", engine="scipy")
    run = gw.open_run(NETWORK, "x.nc")
    np.testing.assert_array_equal(run.trace.output, expected)
    assert [*map(str, run.labels.times)] == [*map(str, KINDS["days"])]
    for unit in ("hours", "days", "seconds since 1970-01-01 00:00"):
        data.temp.attrs["units"] = unit
        data.to_netcdf("x.nc", engine="scipy")
        np.testing.assert_array_equal(gw.open_run(NETWORK, "x.nc").trace.output, expected)
    decoded = data.assign(temp=("time", KINDS["days"].astype("datetime64[ns]")))
    for call in (NETWORK, lambda x: gw.open_run(NETWORK, x)):
        with cases.refusal("has dates or durations in temp", "decode_times={'temp': False}", by=gw.OptionError):
            call(decoded)


def test_features_in_other_units_than_the_model_s_are_reported(here):
    measures = {"rain": ("precipitation", "mm/d"), "temp": ("temperature", "degC")}
    network = NETWORK.replace(labels=gw.Labels(features=NAMES, measures=measures))
    gw.save(network, "m.safetensors")
    series = table(None, KINDS["days"], VALUES)
    data = series.to_xarray()
    for rain, temp, note in (
        ("mm day-1", "°C", ""),
        ("kg m-2 d-1", "", ""),
        ("mm/h", "C", "rain in mm/d, not mm/h"),
        ("m d-1", "K", "rain in mm/d, not m d-1, temp in degC, not K"),
    ):
        series.attrs["units"] = {"rain": rain, "temp": temp}
        for name, unit in series.attrs["units"].items():
            data[name].attrs["units"] = unit
        data.to_netcdf("x.nc", engine="scipy")
        for x in (series, data, "x.nc"):
            notes = gw.open_run("m.safetensors", x).notes
            assert [each.partition("the model was trained on other units: ")[2] for each in notes] == [note] * bool(
                note
            )
        array = data.to_dataarray("feature").assign_coords(feature_unit=("feature", [rain, temp]))
        for run, x in ((network, series), (partial(gw.apply, network), array)):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                run(x)
            assert [str(each.message).partition("other units: ")[2] for each in caught] == [note] * bool(note)


SAME = {
    "mm/d": ("mm/day", "mm d-1", "mm d**-1", "mm day^-1", "mm d⁻¹", "millimeters per day", "kg m-2 d-1", "kg/m²/d"),
    "C": ("°C", "℃", "degC", "deg C", "Celsius", "degrees_Celsius", "degree C"),
    "W/m2": ("W m-2", "W/m^2", "W·m⁻²", "W.m-2", "watts m**-2"),
    "m3/s": ("m^3 s-1", "m³/s", "m**3 s**-1"),
    "1": ("-", "", "dimensionless"),
    "K": ("kelvin", "degK"),
    "J/(kg K)": ("J kg-1 K-1",),
    "%": ("percent",),
}


def test_units_are_compared_however_they_are_spelled():
    from gatewise.records.spelled_units import same_unit

    for one, spelled in SAME.items():
        for other in spelled:
            assert same_unit(one, other), (one, other)
            assert same_unit(other, one), (one, other)
            for different in SAME:
                apart = different != one and "" not in (different, other)
                assert not (apart and same_unit(other, different)), (other, different)
    for one, other in (("mm/h", "mm/d"), ("hPa", "Pa"), ("s-1", "s"), ("0.1 mm", "mm"), ("x y/z", "x z/y"), ("m", "M")):
        assert not same_unit(one, other)


# The commands.


@pytest.fixture
def files(here):
    """A model, a series in order and newest first, and what comes out, newest first."""
    gw.save(NETWORK.replace(labels=gw.Labels(features=NAMES, outputs=["q", "r", "s"])), "m.safetensors")
    series = table(here, KINDS["days"], VALUES)
    series.to_csv("x.csv")
    series[::-1].to_csv("back.csv")
    series.iloc[KEPT].to_csv("gap.csv")
    outputs = pandas.DataFrame(NETWORK(VALUES)[0], columns=["q", "r", "s"], index=series.index)
    outputs[::-1].to_csv("y.csv")
    np.save("y.npy", outputs.to_numpy())


COMMANDS = {
    "trace": ("trace", "m.safetensors", "{}", "-o", "out.csv"),
    "plot": ("plot", "m.safetensors", "{}", "-o", "out.svg"),
    "report": ("report", "m.safetensors", "{}"),
    "page": ("page", "m.safetensors", "{}", "-o", "out.html"),
    "verify": ("verify", "m.safetensors", "{}", "y.csv"),
    "walk": ("walk", "--x", "{}", "--brief"),
    "walk of a model": ("walk", "--model", "m.safetensors", "--x", "{}", "--brief"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_a_series_that_runs_backwards_and_sorts_it_if_told_to(command, files, capsys):
    def of(name, *options):
        return [*(token.format(name) for token in COMMANDS[command]), *options]

    assert WAY_OUT in (words := refusal_of(capsys, *of("back.csv")))
    assert "runs backwards in time" in words
    if command == "verify":
        assert "rounding" in output_of(capsys, *of("back.csv", "--sort-time"))
        assert "y.npy cannot be sorted by time" in refusal_of(
            capsys, "verify", "m.safetensors", "back.csv", "y.npy", "--sort-time"
        )
        return
    found = []
    for tokens in (of("x.csv"), of("back.csv", "--sort-time")):
        printed = output_of(capsys, *tokens)
        written = [path.read_text() for path in Path().glob("out.*")]
        found.append([part.replace("back.csv", "x.csv") for part in (written or [printed])])
    assert found[0] == found[1]


def test_commands_report_a_gap_on_standard_error_and_refuse_it_if_strict(files, capsys):
    gap = "gap.csv: 1 gap in time: 2001-03-01 to 2001-03-05 (3 steps missing)"
    for command in ("trace", "report", "page"):
        tokens = [token.format("gap.csv") for token in COMMANDS[command]]
        assert exit_code(tokens) == 0
        assert f"gatewise: {gap}\n" in capsys.readouterr().err
        assert exit_code([*tokens, "--strict"]) == 2
        assert "--strict" in capsys.readouterr().err


def test_what_is_observed_beside_a_sorted_run_is_sorted_with_it(files):
    report = gw.report("m.safetensors", "back.csv", sort_time=True, targets="y.csv")
    assert report.findings
    with cases.refusal("y.csv runs backwards"):
        gw.report("m.safetensors", "x.csv", targets="y.csv")
    with cases.refusal("y.npy cannot be sorted by time"):
        gw.report("m.safetensors", "back.csv", sort_time=True, targets="y.npy")


# Several basins.


def test_each_basin_is_sorted_and_its_gaps_are_counted_by_itself(files, here):
    for name in ("one", "two", "three"):
        (here / f"{name}.csv").write_text(Path({"one": "back.csv"}.get(name, "gap.csv")).read_text())
    paths = [here / f"{name}.csv" for name in ("one", "two", "three")]
    with cases.refusal("one.csv runs backwards", WAY_OUT):
        open_basins(paths, NETWORK, ())
    data, present, notes = open_basins(paths, NETWORK, (), rules=TimeRules(sort=True))
    np.testing.assert_array_equal(data.sel(basin="one"), VALUES)
    assert present.sum("time").values.tolist() == [STEPS, len(KEPT), len(KEPT)]
    assert notes == (f"{paths[1]}: 1 gap in time: 2001-03-01 to 2001-03-05 (3 steps missing); 1 more file with gaps",)
    with cases.refusal("two.csv has 1 gap", "--strict"):
        open_basins(paths[1:], NETWORK, (), rules=TimeRules(strict=True))
    local = [f"2001-10-28 {hour:02}:00" for hour in (0, 1, 2, 2, 3)]
    (here / "one.csv").write_text("\n".join(["date,rain,temp", *(f"{time},1,2" for time in local)]))
    with cases.refusal("has 2001-10-28T02", "joined by their dates", "offset from UTC"):
        open_basins(paths[:1], NETWORK, ())


EXTREMES = [0.0, 1e-320, 0.1, 1e308, -1e308, np.nan, np.inf]


@pytest.mark.parametrize("seed", range(4))
def test_any_times_are_checked_or_refused_in_a_sentence(seed):
    rng = np.random.default_rng(seed)
    pieces = [*"-/T :Z+_9²\0x", "2001", "02", "30", "24", "60", "nan", "NA", "1e400"]
    for _ in range(300):
        size = int(rng.integers(0, 9))
        unit = rng.choice(["D", "h", "s", "ns", "us", "M", "Y", "W", "10s", "ps"])
        for values in (
            rng.integers(-(2**63), 2**63 - 1, size).astype(f"datetime64[{unit}]"),
            rng.choice(EXTREMES, size),
            rng.integers(-(2**63), 2**63 - 1, size),
            ["".join(rng.choice(pieces, int(rng.integers(0, 7)))) for _ in range(size)],
        ):
            rules = TimeRules(bool(rng.integers(2)), bool(rng.integers(2)), TimeStep.of(rng.choice(["1D", "MS", "B"])))
            try:
                order = check_times(RawTimes(values, head=str(rng.choice(["", "t", "time"]))), "x", rules).order
            except gw.OptionError as problem:
                cases.one_sentence(problem, "x")
            else:
                assert order is None or sorted(order.tolist()) == [*range(size)]
            time_breaks(values)
