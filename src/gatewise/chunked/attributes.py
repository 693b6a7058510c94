"""Attributes of a result by the CF conventions (units, long names), and its provenance."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from inspect import signature
from typing import Any

from gatewise.chunked.questions import LONG_NAMES, Selection, SequenceQuestion
from gatewise.layers import LSTM
from gatewise.network import Network
from gatewise.network.graph_network import GraphNetwork
from gatewise.records.labelled_arrays import TIME, output_attributes, quantity_attributes
from gatewise.records.labels import Labels

CONVENTIONS = "CF-1.11"
LONGEST = 100  # characters of an argument that a call spells out; of others it has the type


def gatewise_version() -> str:
    """Return the version of gatewise, whose package is above this module and imported by then."""
    return str(sys.modules["gatewise"].__version__)


def provenance(model: LSTM | Network | GraphNetwork, call: str) -> dict[str, str | int]:
    """Return the attributes of a result: how it was made, by which version, and from which file's model."""
    source = {} if model.provenance is None else model.provenance.attributes()
    software = f"gatewise {gatewise_version()}"
    return {"Conventions": CONVENTIONS, "source": software, "history": call, "model": repr(model), **source}


def call_text(function: Any, arguments: Mapping[str, Any]) -> str:
    """Return a call of a function of gatewise as it is written, without arguments that are the default's."""
    defaults = {name: parameter.default for name, parameter in signature(function).parameters.items()}
    spelled = {name: value for name, value in arguments.items() if value is not defaults.get(name, ...)}
    named = spelled.pop("options", {})
    texts = [f"{name}={_spell(value)}" for name, value in {**spelled, **named}.items() if name not in ("model", "data")]
    data = _spell(arguments["data"]) if isinstance(arguments["data"], (str, os.PathLike)) else "data"
    return f"gw.{function.__name__}({', '.join(['model', data, *texts])})"


def _spell(value: Any) -> str:
    """Return an argument as it is written where that is short, else its type."""
    text = repr(os.fspath(value) if isinstance(value, os.PathLike) else value)
    return text if len(text) <= LONGEST and text.isprintable() else type(value).__name__


def describe_variables(result: Any, data: Any, selection: Selection, labels: Labels, *, of_network: bool) -> Any:
    """Return a result whose variables have units and long names, and whose coordinates have the data's attributes."""
    of_output = output_attributes(labels, of_network=of_network)
    for name, variable in result.data_vars.items():
        variable.attrs = of_output if name == "y" or str(name).startswith("y_") else quantity_attributes(str(name))
        if isinstance(selection, SequenceQuestion) and name in LONG_NAMES:
            units = {} if selection.name == "ceiling" else {"units": "1"}
            variable.attrs = {**of_output, **units, "long_name": LONG_NAMES[str(name)]}
    for name, coordinate in result.coords.items():
        stated = dict(data.coords[name].attrs) if name in data.coords else {}
        if coordinate.dtype.kind == "M" and coordinate.dims == (name,):
            stated = TIME | stated
        coordinate.attrs = {**coordinate.attrs, **stated}
    return result
