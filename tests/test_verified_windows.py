"""gatewise verify of a run of NeuralHydrology: the answers are those of windows, all of which are run."""

from __future__ import annotations

from pathlib import Path

import hydrology
import numpy as np
import pytest
from program import output_of, refusal_of

import gatewise as gw

pytest.importorskip("yaml")

STEPS, LENGTH = 60, 10
DATES = [str(date) for date in np.arange("2000-01-01", STEPS, dtype="datetime64[D]")]


@pytest.fixture
def windows(here):
    """Return the outputs of all windows of a basin in the folder, by other code than gatewise's."""
    config = hydrology.settings(seq_length=LENGTH, static_attributes=None)
    arrays, tables = hydrology.make_run(Path("run"), config)
    columns = hydrology.basin_of(config, STEPS)
    write("b.csv", {name: [*map(float, column)] for name, column in columns.items()}, DATES)
    return hydrology.window_answers(config, arrays, tables, columns, STEPS)


def write(path, columns, dates):
    rows = [",".join([date, *map(repr, row)]) for date, *row in zip(dates, *columns.values(), strict=True)]
    text = "\n".join([",".join(["date", *columns]), *rows]).replace("nan", "")
    Path(path).write_text(text, encoding="utf-8")


def verdict(capsys, *tokens, code=0):
    return " ".join(output_of(capsys, "verify", "run", "b.csv", *tokens, code=code).split())


def test_the_answers_of_windows_are_compared_by_their_dates_or_their_number(windows, capsys):
    y = windows[:, 0].tolist()
    write("y.csv", {"QObs(mm/d)": y, "other": y}, DATES)  # empty before the first window
    said = verdict(capsys, "y.csv")
    assert "against y.csv: rounding" in said
    assert "of 51 windows of 10 steps are compared in full" in said
    assert "other left out" in said
    write("y.csv", {"simulated": y[LENGTH + 3 :]}, DATES[LENGTH + 3 :])
    assert "of 47 windows" in verdict(capsys, "y.csv")
    for shape in (windows, windows[:, 0], windows[LENGTH - 1 :], windows[LENGTH - 1 :, None]):
        np.save("y.npy", shape.astype(np.float32))
        assert "of 51 windows" in verdict(capsys, "y.npy")
    assert gw.verify("run", "b.csv", windows.astype(np.float32)).agrees


@pytest.mark.parametrize("batch", [False, True])
def test_a_network_in_memory_is_compared_in_windows(batch, windows):
    net, run = gw.load_network("run"), gw.open_run("run", "b.csv")
    x, y = (run.series.x, windows[:, None]) if batch else (run.series.x[:, 0], windows)
    y, once = y.astype(np.float32), net(x)[0]
    assert gw.verify(net, x, y).agrees
    assert gw.verify(net, x, once).verdict == "mistake"
    assert gw.verify(net, x, once, continuous=True).agrees
    assert gw.verify(net, x, y, continuous=True).verdict == "mistake"


@pytest.mark.parametrize("place", [LENGTH - 1, 29, STEPS - 1])
def test_one_wrong_answer_among_all_windows_is_found(place, windows, capsys):
    windows[place] += 0.1
    write("y.csv", {"QObs(mm/d)": windows[:, 0].tolist()}, DATES)
    said = verdict(capsys, "y.csv", code=1)
    assert "against y.csv: mistake" in said
    assert f"sequence 0 is the window that ends at {DATES[place]}" in said


def test_the_answers_of_one_continuous_run_are_those_with_continuous_alone(windows, capsys):
    run = gw.open_run("run", "b.csv", continuous=True)
    np.save("y.npy", run.trace.output)
    assert "mistake" in verdict(capsys, "y.npy", code=1)
    assert "rounding" in verdict(capsys, "y.npy", "--continuous")


def test_answers_that_no_window_has_are_refused_in_one_sentence(windows, capsys):
    y = windows[:, 0].tolist()
    write("early.csv", {"q": y[: LENGTH - 1]}, DATES[: LENGTH - 1])
    write("late.csv", {"q": y[-2:]}, ["2000-02-29", "2000-03-01"])
    np.save("short.npy", windows[:7])
    np.save("wide.npy", np.zeros((STEPS, 3)))
    np.savez("states.npz", y=windows, hn=np.zeros((1, 1, 5)))
    for path, words in [
        ("early.csv", "early.csv has no answer to a whole window of 10 steps"),
        ("late.csv", "late.csv has an answer for 2000-03-01, which is no step of the input"),
        ("short.npy", "short.npy has 7 rows; it must have one for each of 60 steps, or of 51 windows"),
        ("wide.npy", "wide.npy has shape (60, 3); it must be (time, 1)"),
        ("states.npz", "final states go with --continuous"),
    ]:
        assert words in refusal_of(capsys, "verify", "run", "b.csv", path)
