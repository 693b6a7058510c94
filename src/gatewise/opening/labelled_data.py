"""Labelled data of xarray and tables of pandas as an opened input; zarr stores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from gatewise.opening.columns import FeatureSelection
from gatewise.records.named_numbers import (
    NamedNumbers,
    dimension_kinds,
    is_table,
    labelled_array_numbers,
    table_numbers,
    unnamed_numbers,
)

STORE_MARKS = ("zarr.json", ".zgroup")


def is_store(path: Path) -> bool:
    """Whether a path is that of a zarr store, or has its ending."""
    return path.suffix.lower() == ".zarr" or any(os.path.isfile(path / name) for name in STORE_MARKS)


def open_store(path: Path, key: str | None) -> Any:
    """Return a variable of a zarr store as a `DataArray` whose numbers are read when they are needed."""
    from gatewise.interop.containers.zarr_stores import open_variable

    return open_variable(path.absolute(), key)


def reading_store(path: Path) -> AbstractContextManager[None]:
    """Raise whatever goes wrong within the block, where a store's numbers are read, as one of gatewise's errors."""
    from gatewise.interop.containers.zarr_stores import reading

    return reading(path)


def dimension_names(data: Any, axes: str | Sequence[str] | None, source: str | Path) -> dict[str, str]:
    """Return an input's dimensions (of a `DataArray`) of time and feature; data without features are tokens.

    `axes` names each dimension ``time``, ``batch`` or ``feature``; by default those that are called time and feature
    are. `source` says in errors where the data come from.
    """
    kinds = dimension_kinds(data, axes, source)
    return {kind: str(name) for kind, name in zip(kinds, data.dims, strict=True) if kind != "batch"}


def labelled_numbers(
    data: Any, source: str, axes: str | Sequence[str] | None, selection: FeatureSelection | None
) -> tuple[NamedNumbers, tuple[str, ...] | None]:
    """Return an opened input of xarray or pandas as numbers, and its own axes in its order where labels say it."""
    notes: tuple[str, ...] = ()

    def choose(names: Sequence[str]) -> Sequence[str]:
        """Return the features that the network takes; notes tell of the others."""
        nonlocal notes
        if selection is not None:
            names, notes = selection.choose(source, names)
        return names

    if is_table(data):
        named, order = table_numbers(data, source, choose), None
    else:
        named, dims = labelled_array_numbers(data, source, axes, choose)
        order = tuple(dict.fromkeys(dims.values())) if named.values.ndim > 1 else None
    plain = unnamed_numbers("the input", named.values)
    return replace(named, values=plain.values, dtype=plain.dtype, notes=notes), order
