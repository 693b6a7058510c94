"""The answers of a model's own runtime: out of a file or of arrays, and the order of their axes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import AXES, array_of, numbers, time_first
from gatewise.errors import FileError, OptionError, join_names
from gatewise.files.storage import npz_names, read_npz
from gatewise.interop.containers.zarr_stores import open_variable, reading
from gatewise.layers import LSTM
from gatewise.opening.columns import FeatureSelection
from gatewise.opening.inputs import is_store, read_input
from gatewise.opening.model_input import batch_sizes
from gatewise.opening.models import OpenedModel
from gatewise.opening.number_files import NETCDF, read_netcdf_array
from gatewise.opening.runs import OpenedRun
from gatewise.records.named_numbers import (
    NamedNumbers,
    columns_by_name,
    is_labelled,
    is_table,
    listed_names,
    output_numbers,
)
from gatewise.records.times import TimeRules, dates_of

KEYS = ("y", "hn", "cn")
CASE = ("h0", "c0", "lengths", *KEYS)


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of a model's own runtime.

    Attributes
    ----------
    source : str
        The file, or words for arrays in memory.
    arrays : dict of str to array
        The output y, and the final states hn and cn, as many as there are.
    axes : tuple of str or None
        The order of the axes of y, where labels say it.
    outputs : tuple of str or None
        The names of the columns of y.
    times : sequence of str, or array of dates, or None
    notes : tuple of str
    """

    source: str
    arrays: Mapping[str, Any]
    axes: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None
    times: Any = None
    notes: tuple[str, ...] = ()

    def columns_of(self, names: Sequence[str] | None) -> Answers:
        """Return the answers with the columns of y that have the names of a model's outputs; all if some have not."""
        if "y" not in self.arrays:
            return self
        y = columns_by_name(self.arrays["y"], self.outputs, names, self.source)
        others = [] if y is self.arrays["y"] else [head for head in self.outputs or () if head not in (names or ())]
        note = f"{self.source}: {listed_names(others)} left out, which the model does not have as an output"
        return replace(self, arrays={**self.arrays, "y": y}, notes=(*self.notes, *[note] * bool(others)))


def read_answers(output: Any, title: str = "the output", *, sort_time: bool = False) -> Answers:
    """Return the answers in a file, in an array, a table or labelled data, or in a mapping with y, hn and cn.

    `sort_time` says that those with times are sorted by them, as the input is.
    """
    is_archive = isinstance(output, (str, os.PathLike)) and Path(output).suffix.lower() == ".npz"
    is_mapping = isinstance(output, Mapping) and not is_labelled(output)
    names = npz_names(Path(output)) if is_archive else [*output] if is_mapping else []
    present = [key for key in KEYS if key in names]
    if names and not present and len(names) != 1:
        raise OptionError(
            f"{output if is_archive else title} must hold the model's outputs as y, hn or cn, or be a single"
            f" array; it holds {join_names(names)}"
        )
    source = str(output) if isinstance(output, (str, os.PathLike)) else title
    rules = TimeRules(sort_time)
    if not present:
        return _answers_of(output[names[0]] if is_mapping and names else output, source, title, rules)
    arrays = dict(read_npz(Path(output), present) if is_archive else {key: output[key] for key in present})
    answers = _answers_of(arrays.pop("y"), source, title, rules) if "y" in arrays else Answers(source, {})
    arrays = {key: numbers(key, array) for key, array in arrays.items()}
    others = [name for name in names if name not in present]
    notes = (f"{source}: {listed_names(others)} left out, which is none of y, hn and cn",) if others else ()
    return replace(answers, arrays={**answers.arrays, **arrays}, notes=notes)


def _answers_of(output: Any, source: str, title: str, rules: TimeRules) -> Answers:
    """Return an output as answers: an array as it is; by its names what is labelled, also in a .nc file."""
    path = Path(output) if isinstance(output, (str, os.PathLike)) else None
    if path is not None and is_store(path):
        with reading(path):
            named = output_numbers(open_variable(path, "y" if (path / "y").is_dir() else None), source)
    elif path is not None and path.suffix.lower() in NETCDF and (data := read_netcdf_array(path, "y")) is not None:
        named = output_numbers(data, source)
    elif is_labelled(output) or is_table(output):
        named = output_numbers(output, source)
    else:
        if path is None:
            array = array_of(source, output)
            named = NamedNumbers(array if array.dtype == np.float16 else numbers(source, array))
        else:
            selection = FeatureSelection((), missing=True, title=title)
            named = read_input(path, None, None, selection, rules).single or NamedNumbers(np.empty(0))
            return Answers(source, {"y": named.values}, None, named.features, named.times, named.notes)
        if rules.sort:
            raise OptionError(f"{source} cannot be sorted by time, because it has no times. Leave out --sort-time.")
        return Answers(source, {"y": named.values}, None, named.features, named.times, named.notes)
    named = named.in_time_order(source, rules, OptionError if path is None else FileError)
    return Answers(source, {"y": numbers("y", named.values)}, AXES, named.features, named.times)


def observed_outputs(run: OpenedRun, observed: Any, *, whole: bool = False) -> Any:
    """Return what was observed of a run's outputs, in a file or an array, by their names; see `steps_of_run`.

    With `whole`, that of the whole series, of which the run may be a window.
    """
    names, answers = run.labels.outputs or (), read_answers(observed, "observed", sort_time=run.sort_time)
    if "y" not in answers.arrays:
        raise OptionError(f"{answers.source} must hold the observed outputs as y")
    y, heads = answers.columns_of(run.labels.outputs).arrays["y"], answers.outputs or ()
    if heads and {*heads} < {*names}:
        nowhere = np.full(y.shape[:-1], np.nan)
        y = np.stack([y[..., heads.index(name)] if name in heads else nowhere for name in names], axis=-1)
    elif len(heads) > 1 and (absent := [name for name in names if name not in heads]):
        raise OptionError(f"{answers.source} has columns {listed_names(heads)}, but none for {listed_names(absent)}")
    return steps_of_run(run, y, answers.times, answers.source, whole=whole)


def steps_of_run(run: OpenedRun, values: Any, times: Any, source: str, *, whole: bool = False) -> Any:
    """Return numbers with a row for each step of a run's input; of a window its part, unless the `whole` is wanted.

    Raise OptionError if the rows have other times than the steps.
    """
    series = run.series
    expected = run.labels.times if series is None else series.times
    if times is not None and expected is not None and not np.array_equal(np.array(dates_of(times)), np.array(expected)):
        raise OptionError(f"the times of {source} must be those of the input")
    return values if whole or series is None or len(values) != len(series.ends) else values[series.inside]


def read_case(path: Path, prefix: str) -> dict[str, Any]:
    """Return the arrays of a case (y, h0, …) in an .npz file, by their names without the prefix; x stays there."""
    if path.suffix.lower() != ".npz":
        raise OptionError(f"--io must be an .npz file, not {path}")
    names = npz_names(path)
    present = [key for key in CASE if prefix + key in names]
    listing = join_names(names) or "nothing"
    if prefix + "x" not in names:
        prefixes = [name[:-1] for name in names if name.endswith(".x")]
        hint = f"; --prefix {prefixes[0]} gives one of its cases" if prefixes else ""
        raise OptionError(f"{path} must hold the LSTM's input as {prefix}x; it holds {listing}{hint}")
    if not {*KEYS} & {*present}:
        raise OptionError(f"{path} must hold its outputs as {prefix}y, {prefix}hn or {prefix}cn; it holds {listing}")
    arrays = dict(zip(present, read_npz(path, [prefix + key for key in present]).values(), strict=True))
    if "lengths" in arrays:
        arrays["lengths"] = np.atleast_1d(arrays["lengths"])
    return arrays


# The order of the axes.


def output_time_first(y: Any, axes: Sequence[str], sizes: tuple[int, int], count: int) -> Any:
    """Return an output of a model's own runtime with time as its first axis.

    Parameters
    ----------
    y : array
        Of a single output, the axis of the outputs may be missing.
    axes : sequence of str
        Their order, as that of the input's.
    sizes : tuple of int
        The numbers of steps and of sequences.
    count : int
        The number of outputs.
    """
    axes = axes if "batch" in axes else AXES
    time_is_first = axes.index("time") < axes.index("batch")
    steps, batch = sizes
    without_outputs = [(steps, batch) if time_is_first else (batch, steps), (batch,), *[(steps,)] * (batch == 1)]
    if count == 1 and y.shape in without_outputs and y.shape != (batch, 1):
        y = y[..., None]
    if y.ndim == 4:
        return y if time_is_first else y.transpose(1, 2, 0, 3)
    return time_first(y, axes if len(axes) == 3 else (*axes, "feature"), "y") if y.ndim == 3 else y


def with_axes_of_answers(model: OpenedModel, x: Any, answers: Mapping[str, Any]) -> OpenedModel:
    """Return a model whose input has its batch where the sizes of its runtime's answers tell that it is, with a note.

    `answers` are arrays by name: y, hn, cn, h0, c0 and lengths, as many as there are.
    """
    found = model.found
    batches = batch_sizes(answers) | _output_batches(answers.get("y"), x, model.lstm)
    if x.ndim != 3 or x.shape[0] == x.shape[1] or len(batches) != 1:
        return model
    batch_first = {x.shape[0]: True, x.shape[1]: False}.get(batches.pop())
    if batch_first is None or batch_first == found.batch_first:
        return model
    order = "batch,time,feature" if batch_first else "time,batch,feature"
    note = f"the axes are taken to be {order}, the order that fits the outputs, the states or the lengths"
    graph = None if found.graph is None else replace(found.graph, x_batch_first=batch_first)
    return replace(model, found=replace(found, batch_first=batch_first, graph=graph, notes=(note, *found.notes)))


def _output_batches(y: Any, x: Any, lstm: LSTM) -> set[int]:
    """Return the batch sizes that the shape of an LSTM's output y settles: of the last steps, or of all directions."""
    if y is None or x.ndim != 3 or 1 in x.shape[:2]:
        return set()
    if y.ndim == 2:
        return {len(y)}
    directions, (first, second) = len(lstm.directions), x.shape[:2]
    shapes = {(first, directions, second): {second}, (first, second, directions): {first}}
    return shapes.get(y.shape[:3], set()) if y.ndim == 4 and directions not in (first, second) else set()
