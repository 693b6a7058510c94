"""The columns that a network takes by the names of its features, and the attributes of a basin, which are constant."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter

from gatewise.errors import FileError, OptionError, ShapeError, importing, join_names, reason, shown
from gatewise.files import tables
from gatewise.files.storage import readable
from gatewise.files.tables import Row
from gatewise.network import Network
from gatewise.showing import counted

MOST = 10  # names that are listed
NETCDF = (".nc", ".nc4")
Attributes = Annotated[
    list[Path] | None,
    Parameter(
        negative="",
        help="A .csv file with static attributes, a line for each basin and its id in the first column, for features"
        " that are no columns of INPUT. May be given several times.",
    ),
]
Basin = Annotated[
    str | None,
    Parameter(help="The id of the basin whose attributes are taken. Default: the name of INPUT, without its ending."),
]


@dataclass(frozen=True)
class Wanted:
    """The features that a network takes by name.

    Attributes
    ----------
    names : tuple of str
        In the order in which it takes them.
    constants : mapping of str to float
        The attributes of a basin.
    """

    names: tuple[str, ...]
    constants: Mapping[str, float] = field(default_factory=dict)

    def columns(self, path: str | Path, heads: Sequence[str], rows: Sequence[Row]) -> tuple[list[str], list[Row]]:
        """Return the columns of a table that are wanted, in the network's order; see `taken`."""
        taken = self.taken(path, heads)
        places = [heads.index(name) for name in taken]
        return taken, [(line, [cells[place] for place in places]) for line, cells in rows]

    def taken(self, path: str | Path, heads: Sequence[str]) -> list[str]:
        """Return the names of a file that are wanted, in the network's order; others are said on standard error.

        Raises
        ------
        FileError
            If there is no such name, and no attribute, or there are two.
        """
        from gatewise.render.text import clean

        missing = [name for name in self.names if name not in heads and name not in self.constants]
        if missing:
            raise FileError(
                f"{path} has no column {_names(missing)}, which the network takes; it has {_names(heads)};"
                " --attributes gives static ones"
            )
        found = [name for name in self.names if name in heads]
        for name in found:
            if (count := [*heads].count(name)) > 1:
                raise FileError(f"{path} has {counted(count, 'column')} called {shown(name, 60)!r}")
        if left := [name for name in heads if name not in found]:
            said = f"gatewise: {path}: {_names(left)} left out, which the network does not take"
            print(clean(said), file=sys.stderr)
        return found

    def complete(self, path: str | Path, given: Any) -> Any:
        """Return what was given of a file, with all features in their order; without names they must be in it already.

        Raises
        ------
        ShapeError
            If a file without names has another number of features.
        """
        values, heads = given.values, given.features
        if values.ndim == 1 or (heads is None and values.shape[-1] == len(self.names)):
            return given
        heads = [name for name in self.names if name not in self.constants] if heads is None else [*heads]
        if values.shape[-1] != len(heads):
            has = f"{counted(values.shape[-1], 'feature')} without names"
            raise ShapeError(f"{path} has {has}; the network takes {_names(self.names)}")
        parts = [
            values[..., heads.index(name)] if name in heads else np.full(values.shape[:-1], self.constants[name])
            for name in self.names
        ]
        return replace(given, values=np.stack(parts, axis=-1), features=self.names)


def wanted(
    network: Network | None, input: Path, attributes: Sequence[Path] | None = None, basin: str | None = None
) -> Wanted | None:
    """Return the features that a network takes by name; None where it gives them none.

    Raises
    ------
    OptionError
        If attributes are given for such a network, or there is no such basin.
    FileError
        If a file of attributes cannot be read.
    """
    names = None if network is None or network.embedding is not None else network.labels.features
    if names is None or not attributes:
        for option, given in (("attributes", attributes), ("basin", basin)):
            if given:
                why = "a model whose file names its features" if names is None else "--attributes"
                raise OptionError(f"--{option} goes with {why}")
        return None if names is None else Wanted(tuple(names))
    found: dict[str, float] = {}
    for path in attributes:
        found |= _of_basin(path, {*names}, basin, input.stem)
    return Wanted(tuple(names), found)


def netcdf(path: Path, names: Wanted | None) -> tuple[Any, tuple[str, ...], tuple[str, ...]]:
    """Return the series of a netCDF file that are wanted (time, feature), their names, and the times.

    Raises
    ------
    OptionError
        If no names are wanted.
    MissingExtraError
        If what reads such files is not installed.
    FileError
        If the file cannot be read, or does not hold them over one dimension.
    """
    if names is None:
        raise OptionError(f"{path} has its series by name, and the model's file names no features")
    with importing("xarray", f"reading {path} needs"):
        import xarray
    readable(path)
    try:
        with xarray.open_dataset(path) as data:
            series = {str(name): one.load() for name, one in data.data_vars.items() if one.ndim == 1}
    except Exception as problem:  # whatever the engine raises of a damaged file, or xarray without an engine
        raise FileError(
            f"cannot read {path}: {reason(problem)}; netCDF 4 needs one of xarray's engines: pip install netCDF4"
        ) from None
    taken = names.taken(path, list(series))
    if len(axes := {series[name].dims for name in taken}) != 1:
        raise FileError(f"{path} must hold {_names(taken)} over one dimension, not over {len(axes)}")
    ((dimension,),) = axes
    times = series[taken[0]][dimension].values
    if times.dtype.kind == "M":
        days = bool((times == times.astype("datetime64[D]")).all())
        times = np.datetime_as_string(times, unit="D" if days else "s")
    values = np.stack([np.asarray(series[name].values, np.float64) for name in taken], axis=-1)
    return values, tuple(taken), tuple(map(str, times))


def _of_basin(path: Path, names: set[str], basin: str | None, default: str) -> dict[str, float]:
    """Return the attributes of a basin that are wanted, of a table whose first column has the ids."""
    (_, heads), *rows = tables.rows(path, what="a table of attributes") or [(0, [])]
    if not rows:
        raise FileError(f"cannot read {path}: it must have a line of names, and one for each basin")
    chosen = [row for row in rows if row[1][:1] == [default if basin is None else basin]]
    if not chosen and basin is None and len(rows) == 1:
        chosen = rows
    if len(chosen) != 1:
        which, many = shown(basin or default, 60), "no" if not chosen else "more than one"
        raise OptionError(
            f"{path} has {many} basin {which!r}; it has {_names([row[1][0] for row in rows])}: --basin names one"
        )
    line, cells = chosen[0]
    if len(cells) != len(heads):
        raise FileError(f"cannot read {path}: line {line} has {len(cells)} entries, not {len(heads)}")
    places = [place for place, name in enumerate(heads) if place and name in names]
    ((_, numbers),) = tables.numerals(path, ";".join(cells), [(line, [cells[place] for place in places])])
    found = {}
    for place, text in zip(places, numbers, strict=True):
        try:
            found[heads[place]] = float(text)
        except ValueError:
            what = f"{shown(text, 40)!r} for {shown(heads[place], 60)!r}"
            raise FileError(f"cannot read {path}: line {line} has {what}, which is not a number") from None
    return found


def _names(names: Sequence[str]) -> str:
    """Return names of columns in a sentence, as far as they fit."""
    return join_names((shown(name, 30) for name in names), most=MOST) or "none"
