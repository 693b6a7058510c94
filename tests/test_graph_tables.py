"""The tables of Keras' layers and of ATen's operators that are read are those of the documentation."""

from __future__ import annotations

import re
from pathlib import Path

from gatewise.interop.keras import table
from gatewise.interop.keras.graph_reader import ACTIVATIONS, LAYERS, OPERATIONS
from gatewise.interop.torch import aten

PAGE = (Path(__file__).parents[1] / "docs" / "supported.md").read_text(encoding="utf-8")


def documented(heading):
    """Return the names in the second column of each row of the table after a heading, by its first column."""
    rows = PAGE.split(heading)[1].split("\n\n")[1].splitlines()[2:]
    cells = [row.strip("| ").split(" | ") for row in rows]
    return {kind.strip("`"): re.findall(r"`([\w.]+)`", names) for kind, names in cells}


def test_the_table_of_layers_of_keras_is_in_the_documentation():
    assert table.read_dense in LAYERS.values()  # importing it fills the table
    rows = documented("gatewise reads these layers of Keras 1 to 3. Masks pass through the same layers as in Keras.")
    assert rows.pop("activations") == sorted({*ACTIVATIONS, "hard_sigmoid", "linear"})
    assert rows.pop("keras.ops") == sorted(OPERATIONS)
    names = [name for row in rows.values() for name in row]
    assert sorted(names) == sorted({*LAYERS, "Sequential", "Functional"})


def test_the_table_of_operators_of_aten_is_in_the_documentation():
    rows = documented("An underscore at the end (`add_`) changes a value in place.")
    kinds = {kind.removesuffix("_") for kind in aten.TABLE if not kind.startswith("_operator")}
    assert sorted(name for row in rows.values() for name in row) == sorted(kinds)
