"""Does it need this? The metric of a model with its parts disabled, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.errors import OptionError
from gatewise.insight.answer import Answer
from gatewise.insight.naming import of_cell
from gatewise.layers import LSTM
from gatewise.network import Network
from gatewise.progress import working
from gatewise.records.edits import Edit
from gatewise.showing import counted

Edits = Edit | Sequence[Edit]
GATES = ("input_gate", "forget_gate", "output_gate")


@dataclass(frozen=True, eq=False, repr=False)
class Ablation(Answer):
    """The metric of a model with its parts disabled, one at a time.

    Attributes
    ----------
    unedited : float
        The metric of the unchanged model.
    names : tuple of str
        The names of the edits, the largest effect first.
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
    parts: str | Mapping[str, Edits] | Sequence[Edits] = "units",
    **options: Any,
) -> Ablation:
    """Return a metric of the output with each unit, each gate, or something else disabled, one at a time.

    Greff et al., "LSTM: A Search Space Odyssey" (2017), removed one part of the LSTM at a time: without its input,
    forget or output gate, a cell has that gate always at 1. They retrained each variant; here the weights stay.

    Parameters
    ----------
    model : LSTM or Network
    x : array
        The input of the model, as its call takes it.
    metric : callable
        Takes the output and returns a number.
    parts : {"units", "gates"}, mapping of str to edits, or sequence of edits
        Silence each unit (its output gate is 0), or leave out each gate of each layer and direction (it is 1), or make
        these edits: each an `Edit` or a sequence of them that act together, by name in a mapping.
    **options
        As in `LSTM.trace`: ``state``, ``lengths``, ``mask``, ``dropout``, ``masked_output``, ``axes``.

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
    Each row takes a run on the reference engine, and the unchanged model one more; only the output of a run is kept.
    There is no law.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> cell, x, *_ = latch()
    >>> lstm, forgetful = gw.LSTM.from_cells(cell), gw.Edit.set("forget_gate", 0)
    >>> answer = ablation(lstm, x, lambda y: y[-1, 0], {"it forgets": forgetful})
    >>> print(answer)
    Of 1 edit, 'it forgets' changes the metric most: from 0.75 to 0.
    """
    if not isinstance(model, (LSTM, Network)):
        raise OptionError(f"an ablation takes an LSTM or a Network, not {type(model).__name__}")
    if not callable(metric):
        raise OptionError(f"the metric must be a function of the output, not {metric!r}")
    if reserved := sorted({"edit", "keep", "units", "every", "out", "engine"} & set(options)):
        raise OptionError(f"an ablation sets {reserved[0]} itself; edits are given as parts")
    edits_by_name = dict(_edits_of(model.lstm if isinstance(model, Network) else model, parts))
    if not edits_by_name:
        raise OptionError("an ablation needs at least one edit; there is none")

    def measure(name: str, edits: tuple[Edit, ...]) -> float:
        trace = model.trace(x, keep=(), engine="reference", edit=edits, **options)
        return _finite_metric(metric(trace.output), name)

    with working("ablating", len(edits_by_name) + 1) as done:
        unedited = measure("the unchanged model", ())
        done(1)
        metrics = np.empty(len(edits_by_name))
        for place, (name, edits) in enumerate(edits_by_name.items()):
            metrics[place] = measure(name, edits)
            done(1)
    order = np.argsort(-np.abs(metrics - unedited), kind="stable")
    names = tuple(np.array(list(edits_by_name))[order].tolist())
    metrics = metrics[order]
    noun = "unit" if parts == "units" else "edit"
    return Ablation(
        columns={"edit": np.array(names), "metric": metrics, "effect": metrics - unedited},
        sentence=_ablation_sentence(names, metrics, unedited, noun),
        unedited=unedited,
        names=names,
        edits=tuple(edits_by_name[name] for name in names),
        metrics=metrics,
        effects=metrics - unedited,
    )


def _edits_of(lstm: LSTM, parts: Any) -> Iterator[tuple[str, tuple[Edit, ...]]]:
    """Yield the edits of an ablation with their names, from the user's choice of parts."""
    if isinstance(parts, str) and parts in ("units", "gates"):
        yield from _standard_edits(lstm, parts)
        return
    if isinstance(parts, Mapping):
        named = [(str(name), _edit_tuple(edits)) for name, edits in parts.items()]
    elif isinstance(parts, Sequence) and not isinstance(parts, str):
        tuples = [_edit_tuple(edits) for edits in parts]
        named = [("; ".join(map(str, edits)), edits) for edits in tuples]
    else:
        raise OptionError(f"parts must be units, gates, or edits in a mapping or a sequence, not {parts!r}")
    yield from named
    if len(dict(named)) < len(named):
        raise OptionError("the edits of an ablation must differ from each other, or have different names")


def _edit_tuple(edits: Any) -> tuple[Edit, ...]:
    """Return one part of an ablation as a tuple of edits; raise OptionError if it is none."""
    several = (edits,) if isinstance(edits, Edit) else tuple(edits) if isinstance(edits, Sequence) else ()
    if not several or not all(isinstance(edit, Edit) for edit in several):
        raise OptionError(f"an ablation takes Edits, or sequences of them, not {edits!r}")
    return several


def _standard_edits(lstm: LSTM, parts: str) -> Iterator[tuple[str, tuple[Edit, ...]]]:
    """Yield the edits of an ablation that disable each unit or each gate, with their names."""
    for (layer, direction), cell in lstm.cells().items():
        where = of_cell(layer, direction, lstm.num_layers, len(lstm.directions))
        if parts == "units":
            for unit in range(cell.hidden_size):
                edit = Edit.set("output_gate", 0.0, units=unit, layer=layer, direction=direction)
                yield f"unit {cell.labels.unit(unit)}{where}", (edit,)
        else:
            for gate in GATES:
                edit = Edit.set(gate, 1.0, layer=layer, direction=direction)
                yield f"no {gate.replace('_', ' ')}{where}", (edit,)


def _finite_metric(metric: Any, name: str) -> float:
    """Return the metric of an ablated model's output as a float; raise OptionError if it is not finite."""
    try:
        value = float(metric)
    except (TypeError, ValueError):
        raise OptionError(f"the metric must return a number; of {name} it is a {type(metric).__name__}") from None
    if not np.isfinite(value):
        raise OptionError(f"the metric must return a finite number; of {name} it is {value}")
    return value


def _ablation_sentence(names: Sequence[str], metrics: Array, unedited: float, noun: str) -> str:
    """Return the sentence of an ablation: the unit or edit that changes the metric most."""
    if not (metrics != unedited).any():
        return f"None of {counted(len(names), noun)} changes the metric, {unedited:.3g}."
    changed = f"from {unedited:.3g} to {metrics[0]:.3g}"
    if noun == "unit":
        return f"Of {counted(len(names), noun)}, {names[0]} matters most: without it, the metric goes {changed}."
    return f"Of {counted(len(names), noun)}, {names[0]!r} changes the metric most: {changed}."
