"""Tables: columns in every spelling, missing numbers, and times that run backwards, repeat, jump or do not exist."""

from __future__ import annotations

import datetime
import itertools
import random
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hostile.trying import Refused, agree, asked, hostile, silent, tried

NAMES = ["rain", "temp", "wind"]
ODD_NAMES = [
    "Größe",
    "a b",
    "x;y",
    "T (°C)",
    "=1+1",
    "rain",
    "Rain",
    "1e",
    "p%",
    '"q"',
    "降雨",
    "a,b",
    "nan",
    "x" * 200,
    "-",
]
DAY = datetime.timedelta(days=1)


@cache
def network(names: tuple[str, ...] | None = tuple(NAMES), count: int = 3, **measures: str) -> Any:
    """Return a network that takes features by these names, or by their number."""
    import gatewise as gw

    units = {name: gw.Measure(name, unit) for name, unit in measures.items()}
    labels = gw.Labels() if names is None else gw.Labels(features=names, measures=units)
    return gw.Network(gw.LSTM(count if names is None else len(names), 2, rng=0, dtype="float64"), labels=labels)


def given(run: Any) -> np.ndarray:
    """Return the numbers that a run was given, without the batch's axis."""
    x = np.asarray(run.trace.lstm[0].input)
    return x[:, 0] if x.ndim == 3 else x


def cell(value: float, chance: random.Random, mark: str) -> str:
    """Return a number as a program or a person writes it, without a doubt about it."""
    text = chance.choice([repr(value), f"{value:.17e}", f"{value:+.17g}"])
    if chance.random() < 0.05:
        text = text.replace("-", "\N{MINUS SIGN}")
    return text.replace(".", mark)


def written(rows: list[list[str]], chance: random.Random, separator: str, mark: str) -> bytes:
    """Return a table in one of the ways in which programs save tables."""
    end = chance.choice(["\n", "\r\n", "\r"])
    quoted = chance.random() < 0.2
    padding = chance.choice(["", "", " "]) if not quoted else ""

    def put(text: str) -> str:
        inside = text.replace('"', '""')
        needs = quoted or any(sign in text for sign in (*'";,\t\r\n',)) or text != text.strip()
        return f'"{inside}"' if needs else f"{padding}{text}{padding}"

    lines = [separator.join(map(put, row)) for row in rows]
    if chance.random() < 0.1:
        lines.insert(chance.randrange(1, len(lines) + 1), "")
    text = end.join(lines) + end * chance.choice([0, 1, 1, 1, 3])
    name, bom = chance.choice(
        [("utf-8", b"")] * 6 + [("utf-8", b"\xef\xbb\xbf"), ("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")]
    )
    return bom + text.encode(name)


def dates(count: int, chance: random.Random, step: datetime.timedelta = DAY) -> list[datetime.datetime]:
    first = datetime.datetime(chance.randrange(1900, 2100), chance.randrange(1, 13), chance.randrange(1, 28))
    return [first + step * n for n in range(count)]


def spelled(date: datetime.datetime, step: datetime.timedelta, form: str) -> str:
    if step < DAY:
        return date.strftime(f"%Y-%m-%d{form}%H:%M:%S")
    return date.strftime("%Y-%m-%d")


@hostile("tables in every spelling")
def tables(chance: random.Random, folder: Path) -> None:
    """Columns in any order, more of them than are taken, names in any letters, and no doubt about any number."""
    import gatewise as gw

    rows, values = chance.randrange(1, 8), np.random.default_rng(chance.getrandbits(32))
    separator, mark = chance.choice([(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ",")])
    named = chance.random() < 0.7
    names = chance.sample(ODD_NAMES if chance.random() < 0.4 else NAMES, 3)
    x = values.normal(size=(rows, 3)) * 10.0 ** values.integers(-3, 4)
    columns = [[names[n], *(cell(float(value), chance, mark) for value in x[:, n])] for n in range(3)]
    table = list(columns)
    if named:
        if chance.random() < 0.5:
            table += [["extra", *(cell(float(n), chance, mark) for n in range(rows))]]
        chance.shuffle(table)
        if chance.random() < 0.5:
            step = chance.choice([DAY, datetime.timedelta(hours=1)])
            table.insert(
                0,
                [chance.choice(["date", "time", "Zeit"]), *(spelled(d, step, "T") for d in dates(rows, chance, step))],
            )
    lines = [list(line) for line in zip(*table, strict=True)]
    heads = named or chance.random() < 0.5
    content = written(lines if heads else lines[1:], chance, separator, mark)
    Path("x.csv").write_bytes(content)
    model = network(tuple(names)) if named else network(None)
    try:
        run = asked(gw.open_run, model, "x.csv")
    except Refused as problem:
        if any(words in str(problem) for words in ("may be", "throughout", "entries, not", "date", "names the steps")):
            raise  # a doubt that the file leaves
        if set(names) <= set(NAMES):
            silent(f"a plain table is refused: {problem}\n{content!r:.600}")
        raise
    agree(given(run), x, f"{content!r:.600}")


DEFECTS = {
    "a cell less": lambda lines, at, chance: lines[at].pop(),
    "a cell more": lambda lines, at, chance: lines[at].append("1"),
    "a word": lambda lines, at, chance: put(
        lines, at, chance, chance.choice(["dry", "NaN?", "--", "#REF!", "1..2", "1 2", "1_0"])
    ),
    "a hole": lambda lines, at, chance: put(
        lines, at, chance, chance.choice(["", "NA", "nan", "NaN", "null", "-", "?", "#N/A"])
    ),
    "infinity": lambda lines, at, chance: put(lines, at, chance, chance.choice(["inf", "-inf", "1e999", "Infinity"])),
    "a name twice": lambda lines, at, chance: lines[0].__setitem__(1, lines[0][2]),
    "a name missing": lambda lines, at, chance: lines[0].__setitem__(1, "other"),
}


def put(lines: list[list[str]], at: int, chance: random.Random, text: str) -> None:
    lines[at][chance.randrange(1, len(lines[at]))] = text


@hostile("tables with a defect")
def defects(chance: random.Random, folder: Path) -> None:
    """What a table does not say is refused: no defect becomes a run."""
    import gatewise as gw

    rows = chance.randrange(2, 8)
    lines = [["date", *NAMES]] + [
        [spelled(date, DAY, ""), *(f"{chance.uniform(-9, 9):.3f}" for _ in NAMES)] for date in dates(rows, chance)
    ]
    kind = chance.choice([*DEFECTS])
    DEFECTS[kind](lines, chance.randrange(1, rows + 1), chance)
    content = "\n".join(map(";".join, lines))
    Path("x.csv").write_text(content, encoding="utf-8")
    model = network() if chance.random() < 0.7 else network(None)
    if model is network(None) and kind in ("a name twice", "a name missing"):
        raise Refused("names are nothing to a model without them")
    asked(gw.open_run, model, "x.csv")
    silent(f"{kind} is read: {content[:600]}")


# Times.


def disturbed(times: list[Any], chance: random.Random, kind: str) -> list[Any]:
    """Return times with a disorder, or with a gap."""
    times = list(times)
    at = chance.randrange(1, len(times) - 1)
    match kind:
        case "backwards":
            times.reverse()
        case "shuffled":
            before = list(times)
            while times in (before, before[::-1]):
                chance.shuffle(times)
        case "one twice":
            times[at] = times[at - 1]
        case "two swapped":
            times[at], times[at - 1] = times[at - 1], times[at]
        case "a gap":
            shift = (times[1] - times[0]) * chance.randrange(2, 500)
            times[at:] = [time + shift for time in times[at:]]
    return times


ORDERS = ("backwards", "shuffled", "one twice", "two swapped")


def judge_times(kind: str, run: Any, what: str, times: list[Any]) -> None:
    """Report a disorder that was run without a word, and a gap of which no note tells."""
    if kind in ORDERS:
        silent(f"times with a disorder ({kind}) are run: {what}")
    if kind != "a gap":
        return
    notes, apart = " ".join(run.notes), [after - before for before, after in itertools.pairwise(times)]
    before = times[apart.index(max(apart))]
    if "gap" not in notes or str(before)[:10] not in notes:
        silent(f"no note tells of the gap: after {before} ({notes or 'no notes'}): {what}")


@hostile("times in tables: out of order, twice, with gaps", share=2)
def times_in_tables(chance: random.Random, folder: Path) -> None:
    import gatewise as gw

    rows = chance.randrange(5, 12)
    step = chance.choice([DAY, datetime.timedelta(hours=1), datetime.timedelta(hours=6), DAY * 7])
    form, head = chance.choice(["T", " "]), chance.choice(["date", "time", "Datum", "t"])
    kind = chance.choice([*ORDERS, "a gap", "a gap", "none"])
    times = disturbed(dates(rows, chance, step), chance, kind)
    x = [[f"{chance.uniform(-9, 9):.3f}" for _ in NAMES] for _ in times]
    lines = [[head, *NAMES]] + [[spelled(time, step, form), *row] for time, row in zip(times, x, strict=True)]
    content = "\n".join(map(",".join, lines))
    Path("x.csv").write_text(content, encoding="utf-8")
    model = network() if chance.random() < 0.7 else network(None)
    if kind == "a gap" and chance.random() < 0.3:
        if tried(gw.open_run, model, "x.csv", strict=True) is not None:
            silent(f"a gap is run under strict: {content[:400]}")
        return
    try:
        run = asked(gw.open_run, model, "x.csv")
    except Refused as problem:
        if kind in ORDERS:
            return
        silent(f"times in order ({kind}) are refused: {problem}: {content[:300]}")
    judge_times(kind, run, content[:400], times)
    agree(given(run), [[float(one) for one in row] for row in x], content[:300])


@hostile("times of pandas and xarray: out of order, twice, with gaps", needs=("pandas", "xarray"))
def times_of_objects(chance: random.Random, folder: Path) -> None:
    import pandas
    import xarray

    import gatewise as gw

    rows = chance.randrange(5, 12)
    step = chance.choice([DAY, datetime.timedelta(hours=1)])
    kind = chance.choice([*ORDERS, "a gap", "none"])
    times = disturbed(dates(rows, chance, step), chance, kind)
    x = np.random.default_rng(chance.getrandbits(32)).normal(size=(rows, 3))
    form = chance.choice(["DataFrame", "texts", "DataArray", "Dataset"])
    index = pandas.DatetimeIndex(times)
    if form in ("DataFrame", "texts"):
        data: Any = pandas.DataFrame(
            x, columns=NAMES, index=index if form == "DataFrame" else index.strftime("%Y-%m-%d %H:%M")
        )
    elif form == "DataArray":
        data = xarray.DataArray(x, dims=("time", "feature"), coords={"time": index, "feature": NAMES})
    else:
        data = xarray.Dataset({name: ("time", x[:, n]) for n, name in enumerate(NAMES)}, coords={"time": index})
    try:
        run = asked(gw.open_run, network(), data)
    except Refused as problem:
        if kind in ORDERS:
            return
        silent(f"a {form} with times in order ({kind}) is refused: {problem}")
    judge_times(kind, run, f"{form} {times}", times)
    agree(given(run), x, form)


IMPOSSIBLE = ("2001-02-30", "2001-13-01", "2001-00-10", "2001-04-31", "1900-02-29", "2001-01-32", "2001-01-01 25:00")


@hostile("dates that do not exist")
def impossible_dates(chance: random.Random, folder: Path) -> None:
    """A date that does not exist is an error that has its line."""
    import gatewise as gw

    rows = chance.randrange(3, 9)
    lines = [["date", *NAMES]] + [
        [spelled(date, DAY, ""), *(f"{chance.uniform(-9, 9):.3f}" for _ in NAMES)] for date in dates(rows, chance)
    ]
    at = chance.randrange(1, rows + 1)
    lines[at][0] = chance.choice(IMPOSSIBLE)
    content = "\n".join(map(",".join, lines))
    Path("x.csv").write_text(content, encoding="utf-8")
    try:
        asked(gw.open_run, network() if chance.random() < 0.7 else network(None), "x.csv")
    except Refused as problem:
        if f"line {at + 1}" not in str(problem):
            silent(f"the error does not have line {at + 1}: {problem}")
        raise
    silent(f"{lines[at][0]} in line {at + 1} is a time: {content[:300]}")


@hostile("missing numbers in the first row")
def first_row(chance: random.Random, folder: Path) -> None:
    """A hole at the beginning of a column of numbers makes no times of it."""
    import gatewise as gw

    rows = chance.randrange(2, 9)
    hole = chance.choice(["NA", "N/A", "", "-", "null", "None", "#N/A", "missing", "--", "."])
    names = NAMES[: chance.randrange(2, 4)]
    lines = [list(names)] + [[f"{chance.uniform(-9, 9):.3f}" for _ in names] for _ in range(rows)]
    for at in range(1, 1 + chance.randrange(1, rows)):
        lines[at][0] = hole
    separator = chance.choice(",;\t")
    content = "\n".join(map(separator.join, lines))
    Path("x.csv").write_text(content, encoding="utf-8")
    with_names = chance.random() < 0.5
    model = (
        network(tuple(names[1:] if chance.random() < 0.3 else names)) if with_names else network(None, len(names) - 1)
    )
    try:
        run = asked(gw.open_run, model, "x.csv")
    except Refused as problem:
        if with_names and "rain" in str(problem) and "no column" in str(problem) and "time" not in str(problem):
            silent(f"the sentence does not say what happened: {problem}")
        raise
    if not with_names or run.labels.times is not None:
        silent(f"the column rain has become times: {content[:300]}")
