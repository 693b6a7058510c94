"""Dumps of a PyTorch state dict: nested lists by PyTorch's names, at the top or under ``state_dict``.

Automated-GuitarAmpModelling, and with it the players Proteus and NeuralPi, also state under ``model_data`` how the
layers are connected: an LSTM ``rec``, a linear layer ``lin``, and the first `skip` features added to what that puts
out (CoreAudioML, ``networks.py``). What ``model_data`` leaves out has that program's defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import FileError
from gatewise.files.budget import Budget
from gatewise.interop.containers.json_document import array, count, entry, said, single
from gatewise.interop.found import Contents, Found, Refused
from gatewise.interop.json_models.parts import network_of
from gatewise.interop.torch import grouping
from gatewise.network import Linear, Network

STATED = ("model", "unit_type", "skip")  # one of these makes it a model of Automated-GuitarAmpModelling
PLAYERS = "Proteus and NeuralPi, which play it, add the first feature to the output whatever the file says"


def has_tensors(document: dict[str, Any]) -> bool:
    """Say whether a document holds arrays by the names of a state dict."""
    inner = document.get("state_dict")
    return any(_is_tensor(name) for name in (inner if isinstance(inner, dict) else document))


def _is_tensor(name: str) -> bool:
    return name.rpartition(".")[2] in ("weight", "bias") or grouping.NAME.fullmatch(name) is not None


def contents(document: dict[str, Any], path: str, budget: Budget) -> Contents:
    """Return what is in a dump of a state dict."""
    inner = document.get("state_dict")
    named = inner if isinstance(inner, dict) else document
    tensors = {name: array(said(name), value, budget) for name, value in named.items() if _is_tensor(name)}
    # What was float32 is so again; numbers that float32 does not hold stay as they are.
    if all(np.array_equal(single(one), one, equal_nan=True) for one in tensors.values()):
        tensors = {name: single(one) for name, one in tensors.items()}
    found, parts, refused = grouping.grouped(tensors)
    data = document.get("model_data")
    if not isinstance(data, dict) or not any(name in data for name in STATED):
        return Contents(path, "PyTorch's state dict in JSON", found, parts, refused)
    notes = ("the network adds its input to its output (skip)",) if data.get("skip", 1) else (PLAYERS,)
    found = tuple(replace(one, notes=(*one.notes, *notes)) for one in found)
    made = network_of(path, lambda: _network(document, data, tensors, found, refused))
    return Contents(path, "Automated-GuitarAmpModelling", found, parts, refused, made)


def _network(
    document: Mapping[str, Any],
    data: Mapping[str, Any],
    tensors: Mapping[str, Array],
    found: tuple[Found, ...],
    refused: tuple[Refused, ...],
) -> Network:
    """Return the network that ``model_data`` describes."""
    model, prefix, block, unit = data.get("model", "SimpleRNN"), "", data, "unit_type"
    if model == "RecNet":
        if data.get("skip"):
            raise FileError("it adds its input to the output of its blocks, which add it as well")
        blocks = entry(document, "blocks", dict, "the model")
        if len(blocks) != 1 or "0" not in blocks:
            raise FileError(f"a network has one block of an LSTM and a linear layer, and this one has {len(blocks)}")
        prefix, block, unit = "layers.block_1.", entry(blocks, "0", dict, "its blocks"), "block_type"
    elif model != "SimpleRNN":
        raise FileError(f"its model is {said(model)}, not SimpleRNN or RecNet")
    if (kind := block.get(unit, "LSTM")) != "LSTM":
        raise FileError(f"its {unit} is {said(kind)}, not LSTM")
    names = {one.name: one for one in found}
    if f"{prefix}rec" not in names:
        reason = next((f": {one.reason[:200]}" for one in refused if one.name == f"{prefix}rec"), "")
        raise FileError(f"{prefix}rec cannot be read as an LSTM{reason}")
    lstm = names[f"{prefix}rec"].lstm
    weight, bias = (tensors.get(f"{prefix}lin.{name}") for name in ("weight", "bias"))
    if weight is None:
        raise FileError(f"it has no {prefix}lin.weight, the weight of its linear layer")
    if left := [name for name in tensors if not name.startswith((f"{prefix}rec.", f"{prefix}lin."))]:
        raise FileError(f"its {said(model)} has rec and lin, and no {said(left[0])}")
    biased = "bias_fl" if block is data else "lin_bias"
    if bool(block.get(biased, bias is not None)) != (bias is not None):
        raise FileError(f"its {biased} is {said(block[biased])}, but it has {prefix}lin.bias or lacks it")
    head = Linear(weight, bias)
    if lstm.bidirectional or lstm.output_size != lstm.layers[0][0].hidden_size:
        raise FileError(f"its {said(model)} runs forward and has no projection, but {prefix}rec has more arrays")
    stated = {
        "input_size": lstm.input_size,
        "hidden_size": lstm.layers[0][0].hidden_size,
        "num_layers": lstm.num_layers,
        "output_size": len(head.weight),
    }
    for name, size in stated.items():
        if name in block and count(block, name, "the model") != size:
            raise FileError(f"its {name} is {said(block[name])}, but its arrays are for {size}")
    return Network(lstm, head=head, skip=_skip(block.get("skip", 1), stated["input_size"], stated["output_size"]))


def _skip(given: object, inputs: int, outputs: int) -> int:
    """Return how many features are added to the output: never more than there are."""
    if not isinstance(given, int) or given < 0:
        raise FileError(f"its skip must be a non-negative integer, not {said(given)}")
    skip = min(int(given), inputs)
    if skip not in (0, 1, outputs):
        raise FileError(f"its skip adds {skip} features to {outputs} outputs; a network adds one, or as many")
    return skip
