"""The features that a network takes by name: columns of data, and attributes of a basin."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import finite_number
from gatewise.errors import FileError, OptionError, ShapeError, shown
from gatewise.files import tables
from gatewise.network import Network
from gatewise.number_text import parse_number, spelling_hint
from gatewise.records.labels import Measure
from gatewise.records.named_numbers import NamedNumbers, features_by_name, is_table, listed_names
from gatewise.showing import counted


@dataclass(frozen=True)
class FeatureSelection:
    """The names of the columns that a network takes, in its order, and the attributes of a basin.

    Attributes
    ----------
    names : tuple of str
        Without any, all columns are taken.
    constants : mapping of str to float
        The attributes.
    num_features : int
        How many features the network makes of these columns.
    missing : bool
        Whether numbers may be missing, as they may from the windows in which a network is evaluated.
    measures : mapping of str to Measure
        What the network's features measure, as far as it says so.
    """

    names: tuple[str, ...]
    constants: Mapping[str, float] = field(default_factory=dict)
    num_features: int = 0
    missing: bool = False
    measures: Mapping[str, Measure] = field(default_factory=dict)
    title: str = "the input"  # as errors call the data

    def choose(self, source: str | Path, heads: Sequence[str], origin: str = "") -> tuple[list[str], tuple[str, ...]]:
        """Return the names that the network takes, in its order, and a note about those that it does not.

        Raise OptionError if a feature is neither a column nor an attribute, or two columns have its name. All columns
        are taken where the selection has no names. `origin` is the sentence about a column that was read as times.
        """
        if not self.names:
            return [*heads], ()
        reads = [name for name in self.names if name in heads or name not in self.constants]
        hint = "; --attributes gives static ones"
        names = features_by_name(reads, heads, source, f"{hint}. {origin}" if origin else hint)
        others = [name for name in heads if name not in names]
        if not others:
            return names, ()
        return names, (f"{source}: {listed_names(others)} left out, which the network does not take",)

    def complete(self, source: str | Path, data: NamedNumbers) -> NamedNumbers:
        """Return an input with all features of the network in its order; data without names must have that order."""
        values, heads = data.values, data.features
        count = self.num_features or len(self.names)
        if not self.names or values.ndim == 1 or (heads is None and values.shape[-1] == count):
            return data
        heads = tuple(name for name in self.names if name not in self.constants) if heads is None else heads
        if values.shape[-1] != len(heads):
            unnamed = f"{counted(values.shape[-1], 'feature')} without names"
            raise ShapeError(f"{source} has {unnamed}; the network takes {listed_names(self.names)}")
        parts = [
            values[..., heads.index(name)] if name in heads else np.full(values.shape[:-1], self.constants[name])
            for name in self.names
        ]
        return replace(data, values=np.stack(parts, axis=-1), features=self.names)


def column_names(network: Network | None) -> tuple[str, ...]:
    """Return the names of the columns of data that a network takes; none where nothing names its features."""
    if network is None or network.embedding is not None or network.labels.features is None:
        return ()
    features = network.labels.features
    return tuple(features) if network.windows is None else network.windows.columns(features)


def select_features(
    network: Network | None,
    basin_by_default: str,
    attributes: Sequence[Path] | Mapping[str, float] | None = None,
    basin: str | None = None,
    *,
    continuous: bool = False,
) -> FeatureSelection | None:
    """Return the features that a network takes from its input by name; None where it gives them none.

    `attributes` are tables of static attributes, or those of the basin. The basin is `basin_by_default`, the name of
    the input's file without its ending, if `basin` names none. Numbers may be missing from windows, and not from a
    `continuous` run.
    """
    columns = column_names(network)
    names = None if network is None or not columns else network.labels.features
    if names is None or not attributes:
        for option, value in (("attributes", attributes), ("basin", basin)):
            if value:
                owner = "a model whose file names its features" if names is None else "--attributes"
                raise OptionError(f"--{option} needs {owner}")
    if network is None or names is None:
        return None
    constants: dict[str, float] = {}
    if isinstance(attributes, Mapping):
        constants = {str(name): float(value) for name, value in attributes.items()}
    for path in () if isinstance(attributes, Mapping) else attributes or ():
        constants |= _basin_attributes(path, {*names}, basin, basin_by_default)
    missing = network.windows is not None and not continuous
    return FeatureSelection(columns, constants, len(names), missing, network.labels.measures)


def _basin_attributes(path: Path, names: set[str], basin: str | None, basin_by_default: str) -> dict[str, float]:
    """Return the attributes of a basin with these names, from a table whose first column has the ids."""
    table = AttributeTable.of(path)
    if basin is None and len(table.rows) == 1 and basin_by_default not in table.by_basin:
        ((basin, _),) = table.by_basin.items()
    return table.attributes(basin or basin_by_default, names, hint=": --basin names one")


@dataclass(frozen=True, eq=False)
class AttributeTable:
    """A table of static attributes: a line for each basin, with its id in the first column."""

    path: Path | str  # or words for a table in memory
    heads: list[str]
    rows: list[tables.Row]

    @classmethod
    def of(cls, table: Any) -> AttributeTable:
        """Return a table in a .csv file, or a DataFrame whose index has the ids."""
        if is_table(table):
            rows = [(line, list(map(str, row))) for line, row in enumerate(table.itertuples(name=None), 1)]
            return cls("the table of attributes", ["", *map(str, table.columns)], rows)
        path = Path(table)
        (_, heads), *rows = tables.rows(path, kind="a table of attributes") or [(0, [])]
        if not rows:
            raise FileError(f"cannot read {path}: it must have a line of column names, then a line for each basin")
        return cls(path, heads, rows)

    @cached_property
    def by_basin(self) -> dict[str, list[tables.Row]]:
        """The rows of each basin, of which there should be one."""
        basins: dict[str, list[tables.Row]] = {}
        for row in self.rows:
            basins.setdefault(row[1][0], []).append(row)
        return basins

    def attributes(self, basin: str, names: Collection[str], hint: str = "") -> dict[str, float]:
        """Return the attributes of a basin with these names; OptionError, which ends with a `hint`, without the basin.

        Attributes that the table does not have are left out.
        """
        matches = self.by_basin.get(basin, [])
        if len(matches) != 1:
            many = "more than one" if matches else "no"
            raise OptionError(
                f"{self.path} has {many} basin {shown(basin, 60)!r}; it has {listed_names([*self.by_basin])}{hint}"
            )
        line, cells = matches[0]
        if len(cells) != len(self.heads):
            raise FileError(f"cannot read {self.path}: line {line} has {len(cells)} entries, not {len(self.heads)}")
        places = [place for place, name in enumerate(self.heads) if place and name in names]
        ((_, texts),) = tables.numerals(self.path, ";".join(cells), [(line, [cells[place] for place in places])])
        attributes = {}
        for place, text in zip(places, texts, strict=True):
            try:
                attributes[self.heads[place]] = finite_number("an attribute", parse_number(text))
            except ValueError:  # also finite_number's
                entry = f"{shown(text, 40)!r} for {shown(self.heads[place], 60)!r}"
                fault = f"line {line} has {entry}, which is not a number{spelling_hint(text)}"
                raise FileError(f"cannot read {self.path}: {fault}") from None
        return attributes
