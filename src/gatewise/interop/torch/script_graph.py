"""A TorchScript module as a graph: its inputs, whose ranks its code does not state, and its outputs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from gatewise.errors import FileError, OptionError, ShapeError, shown
from gatewise.files.budget import Budget
from gatewise.interop.containers.pickles import PickledObject, full_name
from gatewise.interop.containers.tensors import Tensor
from gatewise.interop.torch.script_reader import ScriptReader
from gatewise.interop.torch.script_source import ScriptSource, SourceFunction
from gatewise.interop.torch.script_state import Mismatch, WholeNumbers, unwrapped
from gatewise.interop.torch.script_values import RunSize, ScriptModule, ScriptTensor, Value
from gatewise.network.graph import Graph

RANKS = (3, 2, 4, 1, None)  # that an input of floating-point numbers is taken to have, the likeliest first
RANKS_OF_PLACES = (2, 1, 3, None)  # and one of whole numbers
MAX_TRIALS = 60  # of ranks
MAX_INPUTS = 100
TENSORS = re.compile(r"Tuple\[Tensor(?:, Tensor)*\]")
DTYPES = {kind: np.dtype(kind).name for kind in ("<f4", "<f8", "<i8", "<i4", "<i2", "<i1", "<u1")}


class ScriptFile(NamedTuple):
    """What a TorchScript archive holds: its module, code and constants, and the inputs that it was traced with."""

    module: PickledObject
    source: ScriptSource
    constants: Any
    traced: Any
    describe: Callable[[PickledObject], Tensor | None]
    dtype: str  # of its weights
    budget: Budget


class ScriptInput(NamedTuple):
    """What is known of an input of the forward."""

    name: str
    argument: str  # of which it is a part, or the whole
    dtype: str
    ranks: tuple[int | None, ...]


def graph_of_script(file: ScriptFile) -> Graph:
    """Return the graph of a TorchScript module.

    Raises
    ------
    FileError
        If its code cannot be followed; the error has the line.
    """
    kind = full_name(file.module)
    function = file.source.method(kind, "forward")
    inputs = _inputs_of(file, function)
    for _ in range(len(inputs) + 1):
        try:
            return _with_fitting_ranks(file, function, inputs)
        except WholeNumbers as outcome:
            inputs = [
                entry._replace(dtype="int64", ranks=RANKS_OF_PLACES if len(entry.ranks) > 1 else entry.ranks)
                if entry.name == str(outcome)
                else entry
                for entry in inputs
            ]
    raise FileError("its inputs are neither whole numbers nor others")


def _inputs_of(file: ScriptFile, function: SourceFunction) -> list[ScriptInput]:
    """Return the inputs of the forward; those that have a default are left out."""
    traced = _traced_inputs(file)
    arguments, inputs = function.arguments[1:], list[ScriptInput]()
    for place, (name, kind, default) in enumerate(arguments):
        if default is not None:
            continue
        count = 1 if kind in ("Tensor", "Optional[Tensor]") else kind.count("Tensor")
        if kind not in ("Tensor", "Optional[Tensor]") and TENSORS.fullmatch(kind) is None:
            raise FileError(
                f"{function.place}: its input {shown(name, 60)} is {shown(kind, 60)}, which is not supported"
            )
        if len(inputs) + count > MAX_INPUTS:
            raise FileError(f"{function.place}: it has more than {MAX_INPUTS} inputs")
        for part in range(count):
            known = traced[place] if count == 1 and len(traced) == len(arguments) else None
            dtype, ranks = (file.dtype, RANKS) if known is None else (known[0], (known[1],))
            inputs.append(ScriptInput(name if count == 1 else f"{name}_{part}", name, dtype, ranks))
    if not inputs:
        raise FileError(f"{function.place}: it takes no tensor")
    return inputs


def _traced_inputs(file: ScriptFile) -> list[tuple[str, int] | None]:
    """Return the type and the rank of each input that the module was traced with, if the file holds them."""
    traced = unwrapped(file.traced)
    outcome = unwrapped(traced.get("forward")) if isinstance(traced, dict) else None
    result: list[tuple[str, int] | None] = []
    for raw in outcome if isinstance(outcome, list) else []:
        tensor = file.describe(raw) if isinstance(raw, PickledObject) else None
        kind = None if tensor is None or tensor.problem else DTYPES.get(tensor.kind or "")
        result.append(None if tensor is None or kind is None else (kind, len(tensor.shape)))
    return result


def _with_fitting_ranks(file: ScriptFile, function: SourceFunction, inputs: Sequence[ScriptInput]) -> Graph:
    """Return the graph for the likeliest ranks of the inputs that fit the code."""
    refusal: Exception | None = None
    for ranks in _trials(inputs):
        try:
            graph = _graph(file, function, inputs, ranks)
            free = [None if len(entry.ranks) > 1 else rank for entry, rank in zip(inputs, ranks, strict=True)]
            if not graph.lstms and free != list(ranks):  # whatever has no LSTM may take any number of axes
                with suppress(Mismatch, FileError):
                    return _graph(file, function, inputs, free)
            return graph
        except (Mismatch, FileError) as problem:
            if isinstance(problem, FileError) and ranks.count(None) == 0:
                raise
            refusal = refusal or problem
    raise FileError(str(refusal)) from None


def _trials(inputs: Sequence[ScriptInput]) -> Iterator[tuple[int | None, ...]]:
    """Yield ranks of the inputs, the likeliest first."""
    choices = [range(len(entry.ranks)) for entry in inputs]
    every = (
        product(*choices)
        if len(inputs) <= 4
        else [tuple(min(n, len(entry.ranks) - 1) for entry in inputs) for n in range(5)]
    )
    for places in sorted(every, key=sum)[:MAX_TRIALS]:
        yield tuple(entry.ranks[place] for entry, place in zip(inputs, places, strict=True))


def _graph(
    file: ScriptFile, function: SourceFunction, inputs: Sequence[ScriptInput], ranks: Sequence[int | None]
) -> Graph:
    """Return the graph for these ranks; Mismatch if they do not fit the code."""
    reader = ScriptReader(file.source, file.describe, file.constants, file.budget)
    tensors = [
        ScriptTensor(reader.build.typed_input(entry.name, rank, entry.dtype))
        for entry, rank in zip(inputs, ranks, strict=True)
    ]
    passed: dict[str, Value] = {}
    for entry, tensor in zip(inputs, tensors, strict=True):
        passed[entry.argument] = tensor if entry.argument == entry.name else (*passed.get(entry.argument, ()), tensor)
    try:
        result = reader.call_method(ScriptModule("", file.module), "forward", [], passed)
        reader.place = function.place
        outputs = [(name, reader.value_of(tensor)) for name, tensor in _outputs_of(reader, result, "")]
    except (ShapeError, OptionError) as problem:
        raise Mismatch(f"{reader.place}: {problem}") from None
    if not outputs:
        raise FileError(f"{function.place}: it returns no tensor")
    reader.build.fix_inputs()
    names = [name or f"output{number or ''}" for number, (name, _) in enumerate(outputs)]
    return reader.build.graph([value for _, value in outputs], names=names)


def _outputs_of(reader: ScriptReader, result: Value, name: str) -> Iterator[tuple[str, ScriptTensor]]:
    """Yield the tensors that the forward returns, with names where it returns a dictionary."""
    if isinstance(result, ScriptTensor):
        yield name, result
    elif isinstance(result, Mapping):
        for key, part in result.items():
            yield from _outputs_of(reader, part, str(key))
    elif isinstance(result, (list, tuple)) and not isinstance(result, RunSize):
        for part in result:
            yield from _outputs_of(reader, part, "")
    elif result is not None:
        raise reader.refusal("its forward returns what is no tensor")
