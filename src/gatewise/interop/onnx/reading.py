"""What is in an ONNX model: its LSTMs, those that are stacked as one, and the layers around them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.errors import CapacityError, FileError, GatewiseError, OptionError, shown
from gatewise.files.budget import Budget
from gatewise.interop.found import Contents, Found, Refused, distinct, omissions
from gatewise.interop.onnx import chain
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.cells import cell_at, unrecognised
from gatewise.interop.onnx.chain import Whole
from gatewise.interop.onnx.file import AnyArray, File
from gatewise.interop.onnx.lstm import QUANTISED, found_of
from gatewise.interop.onnx.parts import parts_of
from gatewise.interop.onnx.sites import Site, scope_of, sites
from gatewise.interop.onnx.stacks import arranged

PRODUCER = "gatewise"
STEPS = 200  # of work that one LSTM takes, besides that of its numbers


def looked_at(
    model: Any,
    source: Path | None,
    omitted: Mapping[str, Any],
    budget: Budget,
    kept_out: Sequence[memoryview] = (),
    *,
    single: bool = False,
) -> tuple[Contents, list[Site]]:
    """Return what is in a model, and the nodes of its LSTMs; with `single`, stacked ones are not combined."""
    name = "the model" if source is None else str(source)
    held = {one.name for one in model.graph.initializer}
    names = [one.name for one in model.graph.input]
    omissions(name, omitted, tuple(sorted(names, key=lambda one: one in held)))
    outputs = dict.fromkeys(one.name for one in model.graph.output)
    file = File(model, source, {key: _given(key, value) for key, value in omitted.items()}, budget, kept_out)
    try:
        everything = list(sites(scope_of(file, model.graph)))
        with np.errstate(all="ignore"):  # NaN and infinity go through as they are
            found, stacks, wholes, refused, places, read_in = _lstms(everything, outputs, budget)
        refused += unrecognised(everything, read_in)
        parts = parts_of(everything, outputs)
    except GatewiseError as problem:
        if isinstance(problem, CapacityError):
            raise
        raise FileError(f"cannot read {name}: {problem}") from None
    except RecursionError:
        raise FileError(f"cannot read {name}: it is nested too deeply") from None
    if single:
        stacks = []
    if len(stacks) == 1 and stacks[0].lstm.num_layers == len(found) and not refused:
        stacks = [replace(stacks[0], stacked=True)]
    if not single and model.producer_name == PRODUCER and len(stacks) == 1 and len(found) == stacks[0].lstm.num_layers:
        found, stacks = [], [replace(stacks[0], name="lstm", stacked=False)]  # gatewise wrote it as one LSTM
    version = f"ONNX, opset {file.opset}"
    if producer := " ".join(one for one in (model.producer_name, model.producer_version) if one):
        version += f", by {shown(producer, 80)}"
    every, network = distinct([*found, *stacks]), None
    if wholes and not refused and not single and (len(every) == 1 or every[-1].stacked):
        network = partial(chain.network, name, wholes[0], every[-1])
    return Contents(name, version, every, parts, tuple(refused), network), places


def _given(name: str, value: Any) -> AnyArray:
    try:
        array = np.asarray(value)
    except ValueError:
        raise OptionError(f"{name} must be an array whose rows have equal lengths") from None
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        raise OptionError(f"{name} must hold real numbers, not {array.dtype}")
    return array


def _lstms(
    everything: Sequence[Site], outputs: Mapping[str, None], budget: Budget
) -> tuple[list[Found], list[Found], list[Whole], list[Refused], list[Site], set[int]]:
    """Return the LSTMs of single nodes and of standard operators, those that are stacked, the one that is all, what
    cannot be read, the single nodes themselves, and the scopes in which any of these are.
    """
    found: list[Found] = []
    refused: list[Refused] = []
    places: list[Site] = []
    cells: list[Found] = []
    read_in: set[int] = set()
    labels = Counter(site.label for site in everything if _is_recurrent(site))
    budget.work(STEPS * labels.total(), "reading its recurrent nodes")
    for site in everything:
        recurrent, node = _is_recurrent(site), site.node
        if not recurrent and node.op_type != "Mul":
            continue
        name = site.label if labels[site.label] < 2 else site.full_label
        try:
            if recurrent and node.op_type in ("LSTM", QUANTISED):
                found.append(found_of(site, name))
                places.append(site)
            elif recurrent:
                refused.append(Refused(name, _why(node)))
            elif (cell := cell_at(site, name)) is not None:
                cells.append(cell)
                read_in.add(id(site.scope))
        except CapacityError:
            raise
        except (NotConstant, GatewiseError) as problem:
            refused.append(
                Refused(
                    name, f"{'its LSTM' if recurrent else 'its LSTM of standard operators'} cannot be read: {problem}"
                )
            )
            read_in.add(id(site.scope))
        except MemoryError:
            raise CapacityError(f"{name} would take more memory than is available") from None
    singles, stacks, wholes = arranged(places, found, outputs, budget)
    return [*singles, *cells], stacks, wholes, refused, places, read_in


def _is_recurrent(site: Site) -> bool:
    node = site.node
    if node.domain in ("", "ai.onnx"):
        return node.op_type in ("LSTM", "GRU", "RNN")
    return any(word in node.op_type for word in ("LSTM", "GRU", "RNN"))


def _why(node: Any) -> str:
    if node.op_type in ("GRU", "RNN") and node.domain in ("", "ai.onnx"):
        return f"it is a {node.op_type}, not an LSTM"
    return f"it is an operator {shown(node.op_type)} of {shown(node.domain)}, which is unknown"
