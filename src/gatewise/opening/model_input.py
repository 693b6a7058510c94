"""The input of an LSTM or of its network: axes, embedding, initial state, valid steps and labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import array_of, time_first
from gatewise.errors import OptionError, ShapeError, shown
from gatewise.layers import LSTM
from gatewise.layers.stack import States
from gatewise.network import Network
from gatewise.opening.axes import axis_order
from gatewise.opening.models import OpenedModel
from gatewise.opening.states import file_state, initial_state, read_state_arrays, without_batch
from gatewise.records.labels import Labels
from gatewise.records.named_numbers import NamedNumbers
from gatewise.showing import counted


@dataclass(frozen=True, eq=False)
class ModelInput:
    """The arguments of an LSTM's run.

    Attributes
    ----------
    x : array (time, batch, feature) or (time, feature)
        Of the network, in its own units, if its features pass through a scaling or dense layers first.
    state : states or None
        The initial state; None for the model's own.
    options : dict
        Of the run: lengths, a mask, labels.
    tokens : array of int, or None
        The tokens whose embeddings `x` holds.
    axes : tuple of str
        The order of the axes that the numbers were given in.
    """

    x: Any
    state: States | None
    options: dict[str, Any]
    tokens: Any = None
    axes: tuple[str, ...] = ("time", "batch", "feature")

    @property
    def batch(self) -> int:
        """The number of sequences."""
        return 1 if self.x.ndim == 2 else int(self.x.shape[1])


def model_input(
    model: OpenedModel,
    data: NamedNumbers,
    source: str,
    *,
    axes: str | Sequence[str] | None = None,
    lengths: Sequence[int] | None = None,
    state: Path | Mapping[str, Any] | States | None = None,
    column: bool = False,
    missing: bool = False,
) -> ModelInput:
    """Return the arguments of an LSTM's run, from the numbers of an input and the options that say what they are.

    Parameters
    ----------
    model : OpenedModel
    data : NamedNumbers
    source : str
        Where the numbers come from, in errors.
    axes : str or sequence of str, optional
        See `axis_order`.
    lengths : array of int (batch,), optional
    state : path, mapping of str to array, or nested sequence of State, optional
        An .npz file with h0 and c0, these arrays, or states ``[layer][direction]``.
    column : bool
        Whether the only column of a table may hold tokens.
    missing : bool
        Whether numbers may be missing, which are NaN.
    """
    lstm = model.lstm
    counts = None if lengths is None else np.atleast_1d(array_of("lengths", lengths))
    if counts is not None and counts.dtype.kind not in "iu":
        raise OptionError(f"lengths must be integers, one for each sequence, not {lengths!r}")
    of_file = model.found.lengths if counts is None else None
    counts = counts if of_file is None else np.array(of_file)
    arrays: Mapping[str, Any] = {}
    if isinstance(state, (Path, Mapping)):
        arrays = read_state_arrays(state) if isinstance(state, Path) else state
        arrays = {name: array_of(name, array) for name, array in arrays.items()}
    batches = batch_sizes(arrays if counts is None else {**arrays, "lengths": counts})
    read = _features(model, data.values, axes, batches, column=column, origin=data.times_origin)
    x, tokens, batch = read.x, read.tokens, read.batch
    if counts is not None and x.ndim == 2:
        x = x[:, None]
        tokens = None if tokens is None else tokens[:, None]
    if of_file is not None and batch != len(of_file):
        fixed = f"the file fixes the lengths of {counted(len(of_file), 'sequence')}"
        raise ShapeError(f"{fixed}; this run has {batch}. Give all lengths with --lengths.")
    require_finite(x, lstm.dtype, counts, source, data.features, missing=missing)
    start: Any = initial_state(lstm, arrays, batch) if arrays else file_state(model.found, batch)
    if start is not None and x.ndim == 2:
        start = without_batch(start)
    if state is not None and not isinstance(state, (Path, Mapping)):
        start = state
    options = read.options if counts is None else {}
    labels = {"lengths": counts, "labels": labels_of(data, lstm, len(x))}
    return ModelInput(x, start, options | labels, tokens, read.axes)


def _features(
    model: OpenedModel,
    values: Any,
    axes: str | Sequence[str] | None,
    batches: Collection[int] = (),
    *,
    column: bool = False,
    origin: str = "",
) -> ModelInput:
    """Return an input as (time, batch, feature), or (time, feature) where it has no batch; tokens are embedded.

    Its options mask steps, and it has no state. `origin` is the sentence about a column that was read as times.
    """
    lstm, network = model.lstm, model.network
    if network is not None and network.embedding is not None and not _are_embedded(values, lstm):
        tokens = integers("the input", values[:, 0] if column else values)
        order = axis_order(axes, model.found, tokens.shape if tokens.ndim == 2 else (), batches, of_network=True)
        if tokens.ndim > 1:
            tokens = time_first(tokens, [name for name in order if name != "feature"], "the input")
        masking = _mask_options(network, tokens == network.masked)
        return ModelInput(network.embed(tokens)[0], None, masking, tokens, order)
    reader = model.feature_network
    shape = values.shape if values.ndim == 3 else ()
    order = axis_order(axes, model.found, shape, batches, of_network=reader is not None)
    width, taker = (lstm.input_size, "LSTM") if reader is None else (reader.num_features, "network")
    if values.ndim == 1:
        values = values[:, None] if width == 1 else values[None]
    present = order if values.ndim == 3 else tuple(name for name in order if name != "batch")
    x = time_first(values, present, "the input")
    if x.shape[-1] != width:
        raise ShapeError(
            f"the input has {counted(x.shape[-1], 'feature')}, on the axes {', '.join(present)} of its shape"
            f" {values.shape}; the {taker} takes {width}" + (f". {origin}" if origin else "")
        )
    if network is None or network.masked is None or network.embedding is not None:
        return ModelInput(x, None, {}, axes=order)
    return ModelInput(x, None, _mask_options(network, (x == network.masked).all(-1)), axes=order)


def batch_sizes(arrays: Mapping[str, Any]) -> set[int]:
    """Return the numbers of sequences in lengths and states, by their names (h0, c0, hn, cn, lengths)."""
    counts = {len(arrays["lengths"])} if "lengths" in arrays else set()
    stacked = [arrays[key] for key in ("h0", "c0", "hn", "cn") if key in arrays]
    return counts | {array.shape[-2] for array in stacked if array.ndim > 1}


def _mask_options(network: Network, masked: Any) -> dict[str, Any]:
    """Return the options with which an opened run leaves out masked steps; none where no step is masked."""
    if network.masked is None or not masked.any():
        return {}
    return {"mask": ~masked, "masked_output": network.masked_output}


def _are_embedded(values: Any, lstm: LSTM) -> bool:
    """Whether an input for a network with an embedding holds rows of that embedding: numbers that are no integers."""
    return values.ndim >= 2 and values.shape[-1] == lstm.input_size and bool((values != np.rint(values)).any())


def integers(name: str, array: Any) -> Any:
    """Return an opened input's tokens as int64, or raise OptionError if a number is not an integer."""
    array = np.asarray(array)
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all() or (array != np.rint(array)).any():
        raise OptionError(f"{name} must hold integers, because the network embeds them")
    if array.size and np.abs(array).max() > 2**53:
        raise OptionError(f"{name} must hold integers that an embedding has rows for")
    return array.astype(np.int64)


def require_finite(
    x: Any, dtype: Any, lengths: Any, source: str | Path, names: Sequence[str] | None, *, missing: bool = False
) -> None:
    """Raise OptionError for a number of an input (time, …, feature) that is not finite in a model's precision.

    Numbers may be `missing` (NaN), and steps past the `lengths` of sequences hold anything.
    """
    with np.errstate(over="ignore"):
        values = np.asarray(x, dtype)
    bad = np.isinf(values) if missing else ~np.isfinite(values)
    if lengths is not None and lengths.shape == (x.shape[1],):
        bad &= (np.arange(len(x))[:, None] < lengths)[..., None]
    if bad.any():
        place = np.argwhere(bad)[0]
        sequence = f" of sequence {place[1]}" if x.ndim == 3 else ""
        name = (
            place[-1] if names is None or len(names) != x.shape[-1] else f"{place[-1]}, {shown(names[place[-1]], 60)},"
        )
        raise OptionError(
            f"the input must hold finite numbers of {dtype}, but feature {name} of step {place[0]}{sequence}"
            f" (counted from 0) in {source} is {x[tuple(place)]}"
        )


def labels_of(data: NamedNumbers, lstm: LSTM, time: int) -> Labels | None:
    """Return the labels that came with the input of an LSTM; None where there are none."""
    features = data.features if data.features is not None and len(data.features) == lstm.input_size else None
    times = data.times if data.times is not None and len(data.times) == time else None
    if features is None and times is None and data.sequences is None:
        return None
    return replace(data, features=features, times=times).labels
