"""Dumps of a PyTorch state dict: nested lists by PyTorch's names, at the top or under ``state_dict``.

Automated-GuitarAmpModelling, and with it the players Proteus and NeuralPi, also state under ``model_data`` how the
layers are connected: an LSTM ``rec``, a linear layer ``lin``, and the first `skip` features added to what that puts
out (CoreAudioML, ``networks.py``). What ``model_data`` leaves out has that program's defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import FileError
from gatewise.files.budget import Budget
from gatewise.interop.containers.json_document import array, count, describe, entry, to_float32
from gatewise.interop.containers.lookups import Lookups
from gatewise.interop.contents import Contents, Refused, StoredLSTM
from gatewise.interop.torch import grouping, names
from gatewise.network import Linear, Network

STATED = ("model", "unit_type", "skip")  # one of these makes it a model of Automated-GuitarAmpModelling
SETTINGS = {
    *("model", "unit_type", "block_type", "input_size", "hidden_size", "num_layers", "output_size", "skip", "bias_fl"),
    *("lin_bias", "0"),
}
PLAYERS = "Proteus and NeuralPi, which play it, add the first feature to the output whatever the file says"


def has_tensors(document: dict[str, Any]) -> bool:
    """Return whether a document holds arrays by the names of a state dict."""
    inner = document.get("state_dict")
    return any(_is_tensor(name) for name in (inner if isinstance(inner, dict) else document))


def _is_tensor(name: str) -> bool:
    return name.rpartition(".")[2] in ("weight", "bias") or names.NAME.fullmatch(name) is not None


def contents(document: dict[str, Any], path: str, budget: Budget) -> Contents:
    """Return the contents of a PyTorch state dict in JSON, such as Automated-GuitarAmpModelling's."""
    inner = document.get("state_dict")
    arrays = inner if isinstance(inner, dict) else document
    tensors = {name: array(describe(name), arrays[name], budget) for name in arrays if _is_tensor(name)}
    # What was float32 is so again; numbers that float32 does not hold stay as they are.
    if all(np.array_equal(to_float32(tensor), tensor, equal_nan=True) for tensor in tensors.values()):
        tensors = {name: to_float32(tensor) for name, tensor in tensors.items()}
    lstms, layers, refused, ledger = grouping.group_tensors(tensors)
    data, blocks = document.get("model_data"), document.get("blocks")
    for settings in (data, blocks, blocks.get("0") if isinstance(blocks, Lookups) else None):
        if isinstance(settings, Lookups):
            settings.looked_up |= SETTINGS  # which the network is made of when it is asked for
    if not isinstance(data, dict) or not any(name in data for name in STATED):
        return Contents(path, "PyTorch's state dict in JSON", lstms, layers, refused, ledger=ledger)
    notes = ("the network adds its input to its output (skip)",) if data.get("skip", 1) else (PLAYERS,)
    lstms = tuple(replace(stored, notes=(*stored.notes, *notes)) for stored in lstms)
    network = partial(_build_network, document, data, tensors, lstms, refused)
    return Contents(path, "Automated-GuitarAmpModelling", lstms, layers, refused, network, ledger=ledger)


def _build_network(
    document: Mapping[str, Any],
    data: Mapping[str, Any],
    tensors: Mapping[str, Array],
    lstms: tuple[StoredLSTM, ...],
    refused: tuple[Refused, ...],
) -> Network:
    """Return the network that ``model_data`` of an Automated-GuitarAmpModelling file describes."""
    model, prefix, block, unit = data.get("model", "SimpleRNN"), "", data, "unit_type"
    if model == "RecNet":
        if data.get("skip"):
            raise FileError("it adds its input to the output of its blocks, which add it as well")
        blocks = entry(document, "blocks", dict, "the model")
        if len(blocks) != 1 or "0" not in blocks:
            raise FileError(f"a network has one block of an LSTM and a linear layer, and this one has {len(blocks)}")
        prefix, block, unit = "layers.block_1.", entry(blocks, "0", dict, "its blocks"), "block_type"
    elif model != "SimpleRNN":
        raise FileError(f"its model is {describe(model)}, not SimpleRNN or RecNet")
    if (kind := block.get(unit, "LSTM")) != "LSTM":
        raise FileError(f"its {unit} is {describe(kind)}, not LSTM")
    names = {stored.name: stored for stored in lstms}
    if f"{prefix}rec" not in names:
        reason = next((f": {refusal.reason[:200]}" for refusal in refused if refusal.name == f"{prefix}rec"), "")
        raise FileError(f"{prefix}rec cannot be read as an LSTM{reason}")
    lstm = names[f"{prefix}rec"].lstm
    weight, bias = (tensors.get(f"{prefix}lin.{name}") for name in ("weight", "bias"))
    if weight is None:
        raise FileError(f"it has no {prefix}lin.weight, the weight of its linear layer")
    if unused := [name for name in tensors if not name.startswith((f"{prefix}rec.", f"{prefix}lin."))]:
        raise FileError(f"its {describe(model)} has rec and lin, and no {describe(unused[0])}")
    biased = "bias_fl" if block is data else "lin_bias"
    if bool(block.get(biased, bias is not None)) != (bias is not None):
        raise FileError(f"its {biased} is {describe(block[biased])}, but it has {prefix}lin.bias or lacks it")
    head = Linear(weight, bias)
    if lstm.bidirectional or lstm.output_size != lstm.layers[0][0].hidden_size:
        raise FileError(f"its {describe(model)} runs forward and has no projection, but {prefix}rec has more arrays")
    stated = {
        "input_size": lstm.input_size,
        "hidden_size": lstm.layers[0][0].hidden_size,
        "num_layers": lstm.num_layers,
        "output_size": len(head.weight),
    }
    for name, size in stated.items():
        if name in block and count(block, name, "the model") != size:
            raise FileError(f"its {name} is {describe(block[name])}, but its arrays are for {size}")
    return Network(lstm, head=head, skip=_skip_count(block.get("skip", 1), stated["input_size"], stated["output_size"]))


def _skip_count(value: object, inputs: int, outputs: int) -> int:
    """Return the number of features that an Automated-GuitarAmpModelling file adds to the output."""
    if not isinstance(value, int) or value < 0:
        raise FileError(f"its skip must be a non-negative integer, not {describe(value)}")
    skip = min(int(value), inputs)
    if skip not in (0, 1, outputs):
        raise FileError(f"its skip adds {skip} features to {outputs} outputs; a network adds one, or as many")
    return skip
