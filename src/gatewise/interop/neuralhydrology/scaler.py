"""The scaler of a run of NeuralHydrology: a center and a scale for each feature and target, in their physical units.

Since 2021 it is YAML. Before, it was a pickle of a dictionary with two Series of pandas for the attributes, and two
Datasets of xarray for everything else. Their parts are read from the pickle as data: neither package is needed,
and nothing of them is imported or called.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.errors import FileError, shown
from gatewise.files.budget import Budget
from gatewise.interop.containers import pickles
from gatewise.interop.containers.pickled_arrays import FILLED, describe_array
from gatewise.interop.containers.pickles import PickledObject
from gatewise.interop.neuralhydrology import documents
from gatewise.network import Scaling

YAML, PICKLE = "train_data_scaler.yml", "train_data_scaler.p"
STATIC_KEYS = (("attribute_means", "camels_attr_means"), ("attribute_stds", "camels_attr_stds"))  # and their old names
DYNAMIC_KEYS = (("xarray_feature_center", "xarray_means"), ("xarray_feature_scale", "xarray_stds"))
Numbers = dict[str, float]


class Scaler:
    """The center and the scale of each feature, in tables by the keys of the file; and the `calls` of its pickle."""

    def __init__(self, tables: Mapping[str, Numbers], calls: tuple[str, ...] = ()) -> None:
        self._tables, self.calls = tables, calls

    def scaling(self, dynamic: Iterable[str], static: Iterable[str] = (), clipped: Iterable[str] = ()) -> Scaling:
        """Return the scaling of a run's features, dynamic ones first; a feature without a scale is refused."""
        names = [*dynamic]
        keys_by_name = [*((name, DYNAMIC_KEYS) for name in names), *((name, STATIC_KEYS) for name in static)]
        pairs = [self._center_and_scale(name, keys) for name, keys in keys_by_name]
        clipped_names = {*clipped} & {*names}
        least = np.array([0 if name in clipped_names else -np.inf for name in names]) if clipped_names else None
        centers, scales = np.transpose(pairs)
        return Scaling(centers, scales, least)

    def _center_and_scale(self, name: str, keys: tuple[tuple[str, str], tuple[str, str]]) -> tuple[float, float]:
        """Return the center and the scale of a feature of a NeuralHydrology run; zero or no finite scale is refused."""
        pair = []
        for key, old_key in keys:
            table = self._tables.get(key, self._tables.get(old_key))
            if table is None:
                raise FileError(f"its scaler has no {key}")
            if name not in table:
                raise FileError(f"{key} of its scaler has no {shown(name, 60)!r}")
            pair.append(table[name])
        if not all(map(math.isfinite, pair)) or not pair[1]:
            raise FileError(
                f"its scaler has the center {pair[0]} and the scale {pair[1]} for {shown(name, 60)!r}; they must be"
                " finite, and the scale not 0"
            )
        return pair[0], pair[1]


def read_scaler(folder: Path, budget: Budget) -> Scaler:
    """Return the scaler in the folder ``train_data`` of a NeuralHydrology run, from YAML or an older pickle."""
    path = documents.file_within(folder, "train_data", YAML)
    if path.is_file():
        return Scaler(_read_tables(documents.read_yaml(path, budget), _read_series, _read_dataset))
    path = documents.file_within(folder, "train_data", PICKLE)
    if not path.is_file():
        raise FileError(
            f"it has neither train_data/{YAML} nor train_data/{PICKLE}, which say how its features are scaled"
        )
    budget.hold(path.stat().st_size, 1, "its scaler")
    calls: dict[str, None] = {}
    content = pickles.read_pickle(io.BytesIO(path.read_bytes()), budget, calls)
    tables = _read_tables(content, partial(_pickled_series, budget), partial(_pickled_dataset, budget))
    return Scaler(tables, tuple(calls))


def _read_tables(content: Any, series: Any, dataset: Any) -> dict[str, Numbers]:
    """Return the scaler's numbers by feature, under each key that NeuralHydrology has written."""
    if not isinstance(content, dict):
        raise FileError("its scaler is not a dictionary")
    tables = {}
    for keys, reader in ((STATIC_KEYS, series), (DYNAMIC_KEYS, dataset)):
        for key in (name for pair in keys for name in pair):
            if key in content:
                try:
                    tables[key] = reader(content[key])
                except (AttributeError, IndexError, KeyError, TypeError, ValueError):
                    raise FileError(f"{key} of its scaler is not as NeuralHydrology writes it") from None
    return tables


# YAML: what to_dict of a Series and of a Dataset give.


def _read_series(series: Any) -> Numbers:
    return {name: _read_number(name, value) for name, value in series.items()}


def _read_dataset(dataset: Any) -> Numbers:
    return {name: _read_number(name, variable["data"]) for name, variable in dataset["data_vars"].items()}


def _read_number(name: str, value: Any) -> float:
    """Return a number of a NeuralHydrology scaler in YAML as a float."""
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or (isinstance(value, int) and abs(value) > 2**63)
    ):
        raise FileError(f"its scaler has {documents.describe(value)} for {shown(name, 60)!r}, which is not a number")
    return float(value)


# Pickles.


def _pickled_series(budget: Budget, node: Any) -> Numbers:
    """Return the numbers of a pickled pandas Series: its manager's state begins with the index and the values."""
    state: Any = _require_class(node, "Series").state
    manager_state: Any = _require_class(state.get("_mgr", state.get("_data")), "SingleBlockManager").state
    index, values = manager_state[0][0], manager_state[1][0]
    _, about = _require_class(index, "_new_Index").args
    names = _read_texts(about["data"])
    return {name: float(value) for name, value in zip(names, _numbers_of(values, budget), strict=True)}


def _pickled_dataset(budget: Budget, node: Any) -> Numbers:
    """Return the numbers of a pickled xarray Dataset of scalars, by name."""

    def slot_values(wrapper: Any, kind: str) -> Any:
        state: Any = _require_class(wrapper, kind).state
        return state[1]  # what its slots hold; there is no dictionary of its own

    values = {}
    for name, variable in slot_values(node, "Dataset")["_variables"].items():
        (value,) = _numbers_of(slot_values(variable, "Variable")["_data"], budget)
        values[name] = float(value)
    return values


def _numbers_of(node: Any, budget: Budget) -> Any:
    """Return the numbers of a pickled NumPy array in one axis."""
    tensor = describe_array(node, budget) if isinstance(node, PickledObject) else None
    if tensor is None:
        raise ValueError("it is no array")
    return tensor.array().reshape(-1)


def _require_class(node: Any, name: str) -> PickledObject:
    """Return an object in a pickle if its class has this name, in any module: packages move their classes."""
    if not isinstance(node, PickledObject) or getattr(node.maker, "name", None) != name:
        raise ValueError(f"it is no {name}")
    return node


def _read_texts(array: Any) -> list[str]:
    """Return the texts of a pickled NumPy array of objects, which may be inside a pandas array."""
    if not array.made_by(*FILLED):
        (array,) = (part for part in array.state if isinstance(part, PickledObject) and part.made_by(*FILLED))
    texts = array.state[4]
    if not isinstance(texts, list) or not all(isinstance(item, str) for item in texts):
        raise ValueError("it holds no texts")
    return texts
