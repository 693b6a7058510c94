"""The scaler of a run of NeuralHydrology: a center and a scale for each feature and target, in their physical units.

Since 2021 it is YAML. Before, it was a pickle of a dictionary with two Series of pandas for the attributes, and two
Datasets of xarray for everything else. What these are made of is looked for in the pickle as data: neither package is
needed, and nothing of them is imported or called.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.errors import FileError, shown
from gatewise.files.budget import Budget
from gatewise.interop.containers import pickles
from gatewise.interop.containers.pickled_arrays import FILLED, described
from gatewise.interop.containers.pickles import Object
from gatewise.interop.neuralhydrology import documents
from gatewise.network import Scaling

YAML, PICKLE = "train_data_scaler.yml", "train_data_scaler.p"
OF_STATICS = (("attribute_means", "camels_attr_means"), ("attribute_stds", "camels_attr_stds"))  # and their old names
OF_DYNAMICS = (("xarray_feature_center", "xarray_means"), ("xarray_feature_scale", "xarray_stds"))
Numbers = dict[str, float]


class Scaler:
    """The center and the scale of each feature by its name.

    Parameters
    ----------
    tables : mapping of str to dict of float
        By the keys of the file.
    calls : tuple of str
        What unpickling the file would have called.
    """

    def __init__(self, tables: Mapping[str, Numbers], calls: tuple[str, ...] = ()) -> None:
        self._tables, self.calls = tables, calls

    def scaling(self, dynamic: Iterable[str], static: Iterable[str] = (), clipped: Iterable[str] = ()) -> Scaling:
        """Return the scaling of features, dynamic ones first.

        Raises
        ------
        FileError
            If there is no such feature, or its scale is none.
        """
        names = [*dynamic]
        found = [self._of(name, OF_DYNAMICS) for name in names] + [self._of(name, OF_STATICS) for name in static]
        low = {*clipped} & {*names}
        least = np.array([0 if name in low else -np.inf for name in names]) if low else None
        centers, scales = np.transpose(found)
        return Scaling(centers, scales, least)

    def _of(self, name: str, keys: tuple[tuple[str, str], tuple[str, str]]) -> tuple[float, float]:
        pair = []
        for now, before in keys:
            table = self._tables.get(now, self._tables.get(before))
            if table is None:
                raise FileError(f"its scaler has no {now}")
            if name not in table:
                raise FileError(f"{now} of its scaler has no {shown(name, 60)!r}")
            pair.append(table[name])
        if not all(map(math.isfinite, pair)) or not pair[1]:
            raise FileError(
                f"its scaler has the center {pair[0]} and the scale {pair[1]} for {shown(name, 60)!r}; they must be"
                " finite, and the scale not 0"
            )
        return pair[0], pair[1]


def read(folder: Path, budget: Budget) -> Scaler:
    """Return the scaler in the folder ``train_data`` of a run.

    Raises
    ------
    FileError
        If there is none, or it is not as NeuralHydrology writes it.
    """
    path = documents.within(folder, "train_data", YAML)
    if path.is_file():
        return Scaler(_tables(documents.read(path, budget), _of_series, _of_dataset))
    path = documents.within(folder, "train_data", PICKLE)
    if not path.is_file():
        raise FileError(
            f"it has neither train_data/{YAML} nor train_data/{PICKLE}, which say how its features are scaled"
        )
    budget.hold(path.stat().st_size, 1, "its scaler")
    calls: dict[str, None] = {}
    content = pickles.read(io.BytesIO(path.read_bytes()), budget, calls)
    reader = _Pickled(budget)
    return Scaler(_tables(content, reader.series, reader.dataset), tuple(calls))


def _tables(content: Any, series: Any, dataset: Any) -> dict[str, Numbers]:
    """Return the numbers by name under each key that is known."""
    if not isinstance(content, dict):
        raise FileError("its scaler is not a dictionary")
    found = {}
    for keys, reader in ((OF_STATICS, series), (OF_DYNAMICS, dataset)):
        for key in (one for pair in keys for one in pair):
            if key in content:
                try:
                    found[key] = reader(content[key])
                except (AttributeError, IndexError, KeyError, TypeError, ValueError):
                    raise FileError(f"{key} of its scaler is not as NeuralHydrology writes it") from None
    return found


# YAML: what to_dict of a Series and of a Dataset give.


def _of_series(given: Any) -> Numbers:
    return {name: _number(name, value) for name, value in given.items()}


def _of_dataset(given: Any) -> Numbers:
    return {name: _number(name, one["data"]) for name, one in given["data_vars"].items()}


def _number(name: str, value: Any) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or (isinstance(value, int) and abs(value) > 2**63)
    ):
        raise FileError(f"its scaler has {documents.said(value)} for {shown(name, 60)!r}, which is not a number")
    return float(value)


# Pickles.


class _Pickled:
    """The numbers of the objects of pandas and xarray in a pickle, by their names."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    def series(self, given: Any) -> Numbers:
        """Return what a Series holds: the state of its manager has its index and its values first."""
        state: Any = _made(given, "Series").state
        held: Any = _made(state.get("_mgr", state.get("_data")), "SingleBlockManager").state
        index, values = held[0][0], held[1][0]
        _, about = _made(index, "_new_Index").args
        names = _texts(about["data"])
        numbers = self.numbers(values)
        return {name: float(value) for name, value in zip(names, numbers, strict=True)}

    def dataset(self, given: Any) -> Numbers:
        """Return what a Dataset of scalars holds."""

        def inside(one: Any, kind: str) -> Any:
            state: Any = _made(one, kind).state
            return state[1]  # what its slots hold; there is no dictionary of its own

        found = {}
        for name, one in inside(given, "Dataset")["_variables"].items():
            (value,) = self.numbers(inside(one, "Variable")["_data"])
            found[name] = float(value)
        return found

    def numbers(self, given: Any) -> Any:
        tensor = described(given, self.budget) if isinstance(given, Object) else None
        if tensor is None:
            raise ValueError("it is no array")
        return tensor.array().reshape(-1)


def _made(given: Any, name: str) -> Object:
    """Return an object of a class of that name, wherever it is: packages move their classes about."""
    if not isinstance(given, Object) or getattr(given.maker, "name", None) != name:
        raise ValueError(f"it is no {name}")
    return given


def _texts(given: Any) -> list[str]:
    """Return the texts of an array of objects, which may be the one inside of an array of pandas' own."""
    if not given.made_by(*FILLED):
        (given,) = (one for one in given.state if isinstance(one, Object) and one.made_by(*FILLED))
    texts = given.state[4]
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise ValueError("it holds no texts")
    return texts
