"""Series whose times are right or wrong in one way each, in every format that a model's input may have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas
import xarray

import gatewise as gw

STEPS, GAP = 30, slice(10, 13)  # the steps that a series with a gap lacks
VALUES = np.random.default_rng(0).normal(size=(STEPS, 2)).round(3)
NAMES = ("rain", "temp")
NETWORK = gw.Network(gw.LSTM(2, 3, rng=0), labels=gw.Labels(features=NAMES))

Times = Any  # an array of dates or numbers

KINDS: dict[str, Times] = {
    "days": np.datetime64("2001-02-20") + np.arange(STEPS),
    "hours": np.datetime64("2001-02-20T05") + np.arange(STEPS),
    "quarters of an hour": np.datetime64("2001-02-20T05:15") + 15 * np.arange(STEPS),
    "months": (np.datetime64("1999-11") + np.arange(STEPS)).astype("datetime64[D]"),
    "years": (np.datetime64("1999") + np.arange(STEPS)).astype("datetime64[D]"),
    "whole numbers": 7 * np.arange(STEPS),
    "decimals": 0.1 * np.arange(STEPS),
}


def text(time: Any) -> str:
    """Return a time as a person writes it, and as messages do."""
    return str(np.datetime_as_string(time, unit="auto")) if isinstance(time, np.datetime64) else str(time)


def precise(times: Times) -> Times:
    """Return times as pandas and xarray keep them."""
    return times.astype("datetime64[ns]") if times.dtype.kind == "M" else times


# Each writes a series, or makes it, and returns what `open_run` opens.


def write_csv(folder: Path, times: Times, values: Any, separator: str = ",") -> Path:
    decimal = "." if separator == "," else ","
    rows = [
        separator.join([text(time), *(str(n).replace(".", decimal) for n in row)])
        for time, row in zip(times, values, strict=True)
    ]
    path = folder / "series.csv"
    path.write_text("\n".join([separator.join(["time", *NAMES]), *rows]), encoding="utf-8")
    return path


def write_classic(folder: Path, times: Times, values: Any) -> Path:
    dataset(folder, times, values).to_netcdf(folder / "series.nc", engine="scipy")
    return folder / "series.nc"


def write_hdf5(folder: Path, times: Times, values: Any) -> Path:
    with h5py.File(folder / "series4.nc", "w") as file:
        stored = times
        if times.dtype.kind == "M":
            stored = (times.astype("datetime64[s]") - np.datetime64("1990-01-01", "s")).astype(np.int64)
        file["time"] = stored
        if times.dtype.kind == "M":
            file["time"].attrs["units"] = "seconds since 1990-01-01"
        file["time"].make_scale("time")
        for name, column in zip(NAMES, values.T, strict=True):
            file[name] = column
            file[name].dims[0].attach_scale(file["time"])
    return folder / "series4.nc"


def table(folder: Path, times: Times, values: Any) -> Any:
    return pandas.DataFrame(values, columns=list(NAMES), index=pandas.Index(precise(times), name="time"))


def table_of_texts(folder: Path, times: Times, values: Any) -> Any:
    return pandas.DataFrame(values, columns=list(NAMES), index=pandas.Index([*map(text, times)], name="time"))


def dataset(folder: Path, times: Times, values: Any) -> Any:
    variables = {name: ("time", column) for name, column in zip(NAMES, values.T, strict=True)}
    return xarray.Dataset(variables, coords={"time": precise(times)})


FORMATS: dict[str, Callable[[Path, Times, Any], Any]] = {
    "csv": write_csv,
    "csv with tabs": lambda *series: write_csv(*series, separator="\t"),
    "csv with semicolons": lambda *series: write_csv(*series, separator=";"),
    "netCDF": write_classic,
    "netCDF-4": write_hdf5,
    "pandas": table,
    "pandas, texts": table_of_texts,
    "pandas, a column": lambda *series: table(*series).reset_index(),
    "xarray": dataset,
    "xarray, one array": lambda *series: dataset(*series).to_dataarray("feature").transpose("time", "feature"),
}

# What is wrong with the order of the steps: their places, and the words of the refusal.
DISORDERS: dict[str, tuple[Any, str]] = {
    "backwards": (np.arange(STEPS)[::-1], "runs backwards in time"),
    "shuffled": (np.random.default_rng(1).permutation(STEPS), "is shuffled in time, not just reversed"),
    "two rows changed places": (np.array([0, 1, 3, 2, *range(4, STEPS)]), "is shuffled in time, not just reversed"),
    "two halves changed places": (np.roll(np.arange(STEPS), 11), "is shuffled in time, not just reversed"),
}
