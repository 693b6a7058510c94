"""The input of an LSTM out of a file: its axes and names, the state that it starts from, and which steps are valid."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gatewise.arrays import time_first
from gatewise.cli import reading
from gatewise.errors import OptionError, ShapeError, join_names, shown
from gatewise.files.storage import npz_names, read_npz
from gatewise.interop.found import Contents, Found
from gatewise.layers import LSTM
from gatewise.layers.stack import States
from gatewise.network import Network
from gatewise.records.labels import Labels
from gatewise.showing import counted

_DATE = re.compile(r"\d{4}([-/])\d\d(\1\d\d([T ]\d\d(:\d\d(:\d\d(\.\d{1,9})?)?)?)?)?")


@dataclass(frozen=True, eq=False)
class Fed:
    """What an LSTM runs on.

    Attributes
    ----------
    x : array (time, batch, feature) or (time, feature)
    start : states or None
    options : dict
        Of the run: lengths, a mask, labels.
    tokens : array of int, or None
        What was embedded to make `x`.
    network : Network or None
        The one that `x` holds the features of, in their own units, where these are not the input of its LSTM.
    """

    x: Any
    start: States | None
    options: dict[str, Any]
    tokens: Any = None
    network: Network | None = None

    @property
    def batch(self) -> int:
        """How many sequences there are."""
        return 1 if self.x.ndim == 2 else int(self.x.shape[1])


class Features(NamedTuple):
    """An input for an LSTM, the options of a run that say which steps are not valid, the tokens, and its axes."""

    x: Any
    masking: dict[str, Any]
    tokens: Any
    axes: tuple[str, ...]


def fed(
    contents: Contents,
    found: Found,
    given: reading.Given,
    source: Path,
    *,
    axes: str | None = None,
    lengths: str | None = None,
    state: Path | None = None,
) -> Fed:
    """Return what an LSTM runs on, of the numbers in a file and the options that say what they are.

    Raises
    ------
    ShapeError, OptionError, FileError
        If they do not fit the LSTM, or are not finite.
    """
    lstm = found.lstm
    column = source.suffix.lower() == ".csv" and given.values.shape[1] == 1
    counts = None if lengths is None else np.array(integers("lengths", lengths))
    states = {} if state is None else _states(state)
    batches = batch_sizes(states if counts is None else states | {"lengths": counts})
    x, masking, tokens, _ = features(contents, found, given.values, axes, batches, column=column)
    batch = 1 if x.ndim == 2 else x.shape[1]
    if counts is not None and x.ndim == 2:
        x = x[:, None]
        tokens = None if tokens is None else tokens[:, None]
    _require_finite(x, lstm, counts, source, given.features)
    start = initial(lstm, states, batch) if states else reading.starting(found, batch)
    if start is not None and x.ndim == 2:
        start = tuple(tuple(type(one)(one.h[0], one.c[0]) for one in row) for row in start)
    options = masking if counts is None else {}
    labels = {"lengths": counts, "labels": labels_of(given, lstm, len(x))}
    return Fed(x, start, options | labels, tokens, before(reading.network_of(contents, found)))


def features(
    contents: Contents,
    found: Found,
    values: Any,
    axes: str | None,
    batches: Collection[int] = (),
    *,
    column: bool = False,
) -> Features:
    """Return an input as (time, batch, feature), or (time, feature) where it has no batch; embedded where it must be.

    Its axes are those that are typed, else settled by `reading.axes`. The only `column` of a table (time, 1) may hold
    what is embedded.

    Raises
    ------
    ShapeError
        If its sizes are others than the LSTM takes.
    OptionError
        If it does not hold integers where the network embeds them, or nothing says what its axes are.
    """
    lstm, network = found.lstm, reading.network_of(contents, found)
    if network is not None and network.embedding is not None and not _are_features(values, lstm):
        tokens = reading.integers("the input", values[:, 0] if column else values)
        names = reading.axes(axes, found, tokens.shape if tokens.ndim == 2 else (), batches)
        if tokens.ndim > 1:
            tokens = time_first(tokens, [one for one in names if one != "feature"], "the input")
        return Features(network.embed(tokens)[0], _masking(network, tokens == network.masked), tokens, names)
    names = reading.axes(axes, found, values.shape if values.ndim == 3 else (), batches)
    own = before(network)
    width, taker = (lstm.input_size, "LSTM") if own is None else (own.num_features, "network")
    if values.ndim == 1:
        values = values[:, None] if width == 1 else values[None]
    order = names if values.ndim == 3 else tuple(one for one in names if one != "batch")
    x = time_first(values, order, "the input")
    if x.shape[-1] != width:
        raise ShapeError(
            f"the input has {counted(x.shape[-1], 'feature')}, on the axes {', '.join(order)} of its shape"
            f" {values.shape}; the {taker} takes {width}"
        )
    if network is None or network.masked is None or network.embedding is not None:
        return Features(x, {}, None, names)
    return Features(x, _masking(network, (x == network.masked).all(-1)), None, names)


def before(network: Network | None) -> Network | None:
    """Return a network where something stands between its features and its LSTM."""
    return network if network is not None and (network.inputs is not None or network.branches) else None


def batch_sizes(arrays: Mapping[str, Any]) -> set[int]:
    """Return how many sequences there are by the lengths and the states that came with an input, by their names."""
    counts = {len(arrays["lengths"])} if "lengths" in arrays else set()
    return counts | {
        arrays[key].shape[-2] for key in ("h0", "c0", "hn", "cn") if key in arrays and arrays[key].ndim > 1
    }


def _masking(network: Network, masked: Any) -> dict[str, Any]:
    """Return the options of a run in which masked steps are not valid, where there are any."""
    if network.masked is None or not masked.any():
        return {}
    return {"mask": ~masked, "masked_output": network.masked_output}


def _are_features(values: Any, lstm: LSTM) -> bool:
    """Whether an input for a network with an embedding is what the embedding would give: not integers."""
    return values.ndim >= 2 and values.shape[-1] == lstm.input_size and bool((values != np.rint(values)).any())


def _require_finite(x: Any, lstm: LSTM, lengths: Any, path: Path, names: Sequence[str] | None) -> None:
    """Raise OptionError where a number is none, or too large for the LSTM's precision."""
    with np.errstate(over="ignore"):
        bad = ~np.isfinite(np.asarray(x, lstm.dtype))
    if lengths is not None and lengths.shape == (x.shape[1],):
        bad &= (np.arange(len(x))[:, None] < lengths)[..., None]
    if bad.any():
        place = np.argwhere(bad)[0]
        sequence = f" of sequence {place[1]}" if x.ndim == 3 else ""
        name = (
            place[-1] if names is None or len(names) != x.shape[-1] else f"{place[-1]}, {shown(names[place[-1]], 60)},"
        )
        raise OptionError(
            f"the input must hold finite numbers of {lstm.dtype}, but feature {name} of step {place[0]}{sequence}"
            f" (counted from 0) in {path} is {x[tuple(place)]}"
        )


def start_of(found: Found, path: Path | None, batch: int) -> States | None:
    """Return the initial state (batch, ·) of a file, else that of the LSTM's own file."""
    return reading.starting(found, batch) if path is None else initial(found.lstm, _states(path), batch)


def _states(path: Path) -> dict[str, Any]:
    """Return the arrays h0 and c0 of a file, or the one that it has."""
    names = set(npz_names(path)) & {"h0", "c0"}
    if not names:
        raise OptionError(f"{path} must hold h0, c0 or both; it has {join_names(npz_names(path)) or 'none'}")
    return read_npz(path, sorted(names))


def initial(lstm: LSTM, arrays: dict[str, Any], batch: int) -> States:
    """Return the initial states of an .npz file; zeros for one that it does not hold."""
    zeros = lstm.zero_state(batch)
    given = reading.states(lstm, arrays.get("h0"), arrays.get("c0"), batch)
    return tuple(
        tuple(
            type(zero)(*(there if part is None else part for part, there in zip(one, zero, strict=True)))
            for one, zero in zip(row, blank, strict=True)
        )
        for row, blank in zip(given, zeros, strict=True)
    )


def labels_of(given: reading.Given, lstm: LSTM, time: int) -> Labels | list[Labels] | None:
    """Return the names that came with the input, and those of the LSTM's own where it gave none."""
    heads = given.features if given.features is not None and len(given.features) == lstm.input_size else None
    times = dated(given.times) if given.times is not None and len(given.times) == time else None
    if heads is None and times is None:
        return None
    rest = Labels(None, None, None, times)
    return [Labels(heads, None, None, times), *[rest] * (lstm.num_layers - 1)]


def dated(times: Sequence[str]) -> Any:
    """Return times as dates where all are written so (ISO 8601), which gives steps a length; else as names."""
    if not all(map(_DATE.fullmatch, times)):
        return times
    try:
        return np.array([one.replace("/", "-") for one in times], "datetime64")
    except ValueError:  # the 31st of February
        return times


def integers(what: str, text: str) -> list[int]:
    """Return the integers of an option, which have commas between them."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise OptionError(f"--{what} must be integers with commas between them, not {text!r}") from None
