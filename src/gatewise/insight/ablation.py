"""Does it need this? A model's metric with parts of the model disabled, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.errors import OptionError
from gatewise.insight.answer import Answer
from gatewise.layers import LSTM
from gatewise.network import Network
from gatewise.progress import working
from gatewise.records.edits import Edit
from gatewise.showing import counted

Edits = Edit | Sequence[Edit]
GATES = ("input_gate", "forget_gate", "output_gate")
WHAT = ("units", "gates")


@dataclass(frozen=True, eq=False, repr=False)
class Ablation(Answer):
    """What a metric becomes with parts of a model disabled.

    Attributes
    ----------
    unedited : float
        The metric of the model as it is.
    names : tuple of str
        What was done, the largest effect first.
    edits : tuple of tuple of Edit
    metrics : array (edits,)
    effects : array (edits,)
        The metric less the unedited one.
    """

    unedited: float
    names: tuple[str, ...]
    edits: tuple[tuple[Edit, ...], ...]
    metrics: Array
    effects: Array


def ablation(
    model: LSTM | Network,
    x: npt.ArrayLike,
    metric: Callable[[Any], Any],
    what: str | Mapping[str, Edits] | Sequence[Edits] = "units",
    **options: Any,
) -> Ablation:
    """Return what a metric of the output becomes with units, gates or anything else disabled, one at a time.

    Greff et al., "LSTM: A Search Space Odyssey" (2017), took one part at a time out of the LSTM: a cell without its
    input, forget or output gate is one in which that gate is always 1. They retrained each variant; here the model
    stays as it is.

    Parameters
    ----------
    model : LSTM or Network
    x : array
        What the model is called with.
    metric : callable
        Takes the output and returns a number.
    what : {"units", "gates"}, mapping of str to edits, or sequence of edits
        Each unit silenced (its output gate is 0); each gate of each layer and direction left out (it is 1); or edits,
        each an `Edit` or a sequence of them that act together, by name where this is a mapping.
    **options
        As in `LSTM.trace`: ``state``, ``lengths``, ``mask``, ``dropout``, ``masked_output``.

    Returns
    -------
    Ablation
        With a row for each edit, the largest effect first: ``edit``, ``metric``, ``effect``.

    Raises
    ------
    OptionError
        If there is nothing to edit, an edit does not fit, or the metric is not a finite number.

    Notes
    -----
    It takes a run on the reference engine for each row, and one for the model as it is; nothing but the output of one
    is kept at a time. There is no law.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> cell, x, *_ = latch()
    >>> found = ablation(gw.LSTM.from_cells(cell), x, lambda y: y[-1, 0], {"it forgets": gw.Edit.set("forget_gate", 0)})
    >>> print(found)
    Of 1 edit, 'it forgets' changes the metric most: from 0.75 to 0.
    """
    if not isinstance(model, (LSTM, Network)):
        raise OptionError(f"an ablation takes an LSTM or a Network, not {type(model).__name__}")
    if not callable(metric):
        raise OptionError(f"the metric must be a function of the output, not {metric!r}")
    if refused := sorted({"edit", "keep", "units", "every", "out", "engine"} & set(options)):
        raise OptionError(f"an ablation sets {refused[0]} itself; edits are given as what")
    planned = dict(_planned(model.lstm if isinstance(model, Network) else model, what))
    if not planned:
        raise OptionError("an ablation needs at least one edit; there is none")

    def measured(name: str, edits: tuple[Edit, ...]) -> float:
        trace = model.trace(x, keep=(), engine="reference", edit=edits, **options)
        y = trace.output
        return _number(metric(y), name)

    with working("ablating", len(planned) + 1) as done:
        unedited = measured("the model as it is", ())
        done(1)
        metrics = np.empty(len(planned))
        for place, (name, edits) in enumerate(planned.items()):
            metrics[place] = measured(name, edits)
            done(1)
    order = np.argsort(-np.abs(metrics - unedited), kind="stable")
    names = tuple(np.array(list(planned))[order].tolist())
    metrics = metrics[order]
    noun = "unit" if what == "units" else "edit"
    return Ablation(
        columns={"edit": np.array(names), "metric": metrics, "effect": metrics - unedited},
        sentence=_sentence(names, metrics, unedited, noun),
        law="",
        residual=float("nan"),
        unedited=unedited,
        names=names,
        edits=tuple(planned[name] for name in names),
        metrics=metrics,
        effects=metrics - unedited,
    )


def _planned(lstm: LSTM, what: Any) -> Iterator[tuple[str, tuple[Edit, ...]]]:
    """Go through what is edited, each with its name."""
    if isinstance(what, str) and what in WHAT:
        yield from _units(lstm) if what == "units" else _gates(lstm)
        return
    if isinstance(what, Mapping):
        named = [(str(name), _together(edits)) for name, edits in what.items()]
    elif isinstance(what, Sequence) and not isinstance(what, str):
        listed = [_together(edits) for edits in what]
        named = [("; ".join(map(str, edits)), edits) for edits in listed]
    else:
        raise OptionError(f"what must be units, gates, or edits in a mapping or a sequence, not {what!r}")
    yield from named
    if len(dict(named)) < len(named):
        raise OptionError("each edit of an ablation must differ from the others, or have a name of its own")


def _together(edits: Any) -> tuple[Edit, ...]:
    found = (edits,) if isinstance(edits, Edit) else tuple(edits) if isinstance(edits, Sequence) else ()
    if not found or not all(isinstance(edit, Edit) for edit in found):
        raise OptionError(f"an ablation takes Edits, or sequences of them, not {edits!r}")
    return found


def _units(lstm: LSTM) -> Iterator[tuple[str, tuple[Edit, ...]]]:
    for number, row in enumerate(lstm.layers):
        for cell, direction in zip(row, lstm.directions, strict=True):
            for unit in range(cell.hidden_size):
                edit = Edit.set("output_gate", 0.0, units=unit, layer=number, direction=direction)
                yield f"unit {cell.labels.unit(unit)}{_where(lstm, number, direction)}", (edit,)


def _gates(lstm: LSTM) -> Iterator[tuple[str, tuple[Edit, ...]]]:
    for number in range(lstm.num_layers):
        for direction in lstm.directions:
            for gate in GATES:
                edit = Edit.set(gate, 1.0, layer=number, direction=direction)
                yield f"no {gate.replace('_', ' ')}{_where(lstm, number, direction)}", (edit,)


def _where(lstm: LSTM, number: int, direction: str) -> str:
    where = f" of layer {number}" if lstm.num_layers > 1 else ""
    return where + (f" ({direction})" if lstm.bidirectional else "")


def _number(found: Any, name: str) -> float:
    try:
        value = float(found)
    except (TypeError, ValueError):
        raise OptionError(f"the metric must return a number; of {name} it is a {type(found).__name__}") from None
    if not np.isfinite(value):
        raise OptionError(f"the metric must return a finite number; of {name} it is {value}")
    return value


def _sentence(names: Sequence[str], metrics: Array, unedited: float, noun: str) -> str:
    if not (metrics != unedited).any():
        return f"None of {counted(len(names), noun)} changes the metric, {unedited:.3g}."
    changed = f"from {unedited:.3g} to {metrics[0]:.3g}"
    if noun == "unit":
        return f"Of {counted(len(names), noun)}, {names[0]} matters most: without it, the metric goes {changed}."
    return f"Of {counted(len(names), noun)}, {names[0]!r} changes the metric most: {changed}."
