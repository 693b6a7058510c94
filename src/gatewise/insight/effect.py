"""The effect of one change: a run with a unit, a gate or an input changed, and how its outputs then differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, finite_number, quiet
from gatewise.errors import OptionError, join_names, one_of
from gatewise.insight.answer import Answer
from gatewise.insight.naming import at_step, output_of, output_phrase, unit_names
from gatewise.insight.raw_outputs import RawOutputs, raw_outputs
from gatewise.insight.retention import require_range, stored_run
from gatewise.insight.silencing import input_of, run_again
from gatewise.layers import LSTM
from gatewise.margins import first_largest
from gatewise.network import Network, NetworkTrace
from gatewise.records.edits import Edit
from gatewise.records.places import place_of, step_place, step_slice
from gatewise.records.trace import LSTMTrace, Trace
from gatewise.showing import counted

GATES = {"input": "input_gate", "forget": "forget_gate", "candidate": "candidate", "output": "output_gate"}


@dataclass(frozen=True, eq=False, repr=False)
class Effect(Answer):
    """A changed run, and how its outputs differ from those of the run as it was.

    Attributes
    ----------
    run : NetworkTrace
        The changed run, with a batch axis, of a network that takes features.
    difference : array (time, batch, output)
        The outputs of the changed run less those of the run as it was: logits before a softmax or a sigmoid, else in
        the units of the outputs. Of a network that reads the final states, with one step.
    before, after : array (time, output)
        The outputs of the sequence with the largest difference.
    output : int
        The output that the sentence is about.
    change : str
        What was changed, in words.
    noun, unit : str
        What the outputs are, ``logit`` or ``output``, and the unit of that one.
    names : tuple of str
        The names of the outputs.
    times : array (time,)
        Dates, names, or the numbers of the steps.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> answer = gw.insight.effect(latch().trace(), unit=0, scale=0)
    >>> answer.columns["largest"].round(2)
    array([0.75])
    """

    run: NetworkTrace
    difference: Array
    before: Array
    after: Array
    output: int
    change: str
    noun: str
    unit: str
    names: tuple[str, ...]
    times: npt.NDArray[Any]


@quiet
def effect(
    run: NetworkTrace | LSTMTrace | Trace,
    *,
    unit: int | str | Sequence[int] | None = None,
    gate: str | None = None,
    input: int | str | None = None,
    scale: float | None = None,
    by: float | None = None,
    value: float | None = None,
    at: Any = None,
    layer: int | None = None,
    direction: str | None = None,
    output: int | str | None = None,
) -> Effect:
    """Return a run with one thing changed, and how much its outputs change.

    Parameters
    ----------
    run : NetworkTrace, LSTMTrace or Trace
        A run that kept everything, or what `open_run` returns.
    unit : int, str or sequence of int, optional
        Change the hidden state of these units; with `gate`, their gate.
    gate : {"input", "forget", "candidate", "output"}, optional
        Change this gate.
    input : int or str, optional
        Change this feature, by its number or name.
    scale, by, value : float
        Multiply by a number, add a number (an input alone), or set to one.
    at : int, str or date, or a sequence or slice of them, optional
        The steps to change. By default all.
    layer : int, optional
    direction : {"forward", "backward"}, optional
        The cell of a unit or a gate. By default the only one, or every one.
    output : int or str, optional
        The output that the sentence is about. By default the one that changes most, in its standard deviations.

    Returns
    -------
    Effect
        With a row for each output: ``output``; ``mean``, ``size`` and ``largest``, its mean, root mean square and
        largest change; ``share``, the size relative to the standard deviation of the output over the run (NaN if it is
        constant); and ``classes``, the share of steps with another predicted class (NaN without classes).

    Raises
    ------
    OptionError
        If not exactly one of `scale`, `by` and `value` is given, there is no such unit, gate, input, step or output, or
        the run has edits or reads tokens of which an input should change.
    NotKeptError
        If the run did not keep everything.

    Notes
    -----
    Classes of a softmax or a sigmoid are compared as logits: they change even where the class does not. Invalid steps
    do not count. Of a window of a model that is evaluated in windows, the last step alone does. There is no law.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> run = latch().trace()
    >>> print(effect(run, gate="forget", value=1))
    With the forget gate set to 1, output 0 changes by 0.00237 (root mean square), 0.009 of its standard deviation, \
and by 0.00627 at most, at step 6.
    """
    source: Any = getattr(run, "trace", run)
    if isinstance(source, LSTM | Network) or not hasattr(source, "lstm"):
        raise OptionError(f"effect takes a run, such as lstm.trace(x) or open_run(model, x), not {type(run).__name__}")
    stored: Any = stored_run(source)
    stored.require_unedited("an effect")
    stored.require("an effect")
    require_range(stored.lstm.first)
    options = {name: number for name, number in (("scale", scale), ("by", by), ("value", value)) if number is not None}
    if len(options) != 1:
        raise OptionError(
            "effect needs exactly one of scale, by and value, which says how to change the unit, gate or input"
        )
    ((action, number),) = options.items()
    finite_number(action, number)
    first = stored.lstm.first
    steps, where = _steps_of(at, first)
    if (input is None) == (unit is None and gate is None):
        raise OptionError("effect changes an input, or a unit or a gate. Pass input=, or unit= or gate=.")
    if input is not None:
        if layer is not None or direction is not None:
            raise OptionError("layer and direction are for a unit or a gate. Leave them out for an input.")
        x, name = _changed_input(stored, input, action, number, steps)
        changed, subject = run_again(stored, x), f"input {name}"
    else:
        if action == "by":
            raise OptionError("by is for an input. For a unit or a gate, use scale or value.")
        edits, subject = _edits(stored, unit, gate, action, number, steps, layer, direction)
        changed = run_again(stored, edit=edits)
    before = raw_outputs(stored)
    after = raw_outputs(changed, before)
    words = {"scale": f"scaled by {number:g}", "by": f"changed by {number:+g}", "value": f"set to {number:g}"}[action]
    return _answer(changed, before, after, f"{subject} {words}{where}", first, output)


def _steps_of(at: Any, first: Trace) -> tuple[Any, str]:
    """Return the numbers of the steps that an effect changes, and where they are in words; None for all."""
    times = first.labels.times
    if at is None:
        return None, ""
    if isinstance(at, slice):
        places = [*range(len(first))[slice(*step_slice(at.start, at.stop, len(first), times), at.step)]]
    else:
        several = at if isinstance(at, (Sequence, np.ndarray)) and not isinstance(at, str) else [at]
        places = [step_place(step, len(first), times) for step in several]
    if not len(places):
        raise OptionError("at is empty. Give one step, or several.")
    if len(places) == 1:
        return places, f" {at_step(first, places[0])}"
    return places, f" at {counted(len(places), 'step')}"


def _changed_input(run: Any, name: int | str, action: str, number: float, steps: Any) -> tuple[Array, str]:
    """Return the input of a run with a feature changed, and the feature's name."""
    if run.network is not None and run.tokens is not None:
        raise OptionError(
            "this network reads tokens, so there is no input to change. Use gw.insight.occlusion instead."
        )
    x, names = np.array(input_of(run, "an effect")), run.labels.features
    place = place_of("input", name, x.shape[-1], names)
    when = slice(None) if steps is None else steps
    values = x[when, :, place]
    x[when, :, place] = {"scale": values * number, "by": values + number, "value": np.full_like(values, number)}[action]
    return x, str(names[place]) if names else str(place)


def _edits(
    run: Any, unit: Any, gate: str | None, action: str, number: float, steps: Any, layer: Any, direction: Any
) -> tuple[tuple[Edit, ...], str]:
    """Return the edits that change a unit or a gate, and what they change in words."""
    if direction is not None:
        one_of("direction", direction, tuple(run.lstm.directions))
    cells = {key: cell for key, cell in run.cells().items() if layer in (None, key[0]) and direction in (None, key[1])}
    if not cells:
        raise OptionError(f"there is no layer {layer}; this run has layers 0 to {run.lstm.num_layers - 1}")
    where = f" of layer {layer}" * (layer is not None) + f" ({direction})" * (direction is not None)
    name = None if gate is None else GATES[one_of("gate", str(gate).removesuffix("_gate"), tuple(GATES))]
    if unit is None:
        edits = [_edit(action, name, number, None, steps, key) for key in cells]
        return tuple(edits), f"the {str(name).replace('_', ' ')}{where}"
    if len(cells) > 1:
        raise OptionError("this run has several cells. Choose one with layer=, and with direction= if it has two.")
    ((key, cell),) = cells.items()
    several = [unit] if isinstance(unit, (int, np.integer, str)) else [*unit]
    places = [place_of("unit", each, cell.parameters.hidden_size, unit_names(cell)) for each in several]
    if not places:
        raise OptionError("unit is empty. Give one unit, or several.")
    which = f"unit{'s' if len(places) > 1 else ''} {join_names([unit_names(cell)[each] for each in places], 'and')}"
    if name is not None:
        return (_edit(action, name, number, places, steps, key),), f"the {name.replace('_', ' ')} of {which}{where}"
    # The output gate scales the hidden state before a projection, too.
    quantity = "output_gate" if action == "scale" else "hidden_state"
    if quantity == "hidden_state" and cell.parameters.projection is not None:
        raise OptionError("the units of a projected cell cannot be set. Use scale instead of value.")
    return (_edit(action, quantity, number, places, steps, key),), f"{which}{where}"


def _edit(action: str, quantity: Any, number: float, units: Any, steps: Any, key: tuple[int, str]) -> Edit:
    make = Edit.scale if action == "scale" else Edit.set
    return make(quantity, number, units=units, steps=steps, layer=key[0], direction=key[1])


def _answer(
    changed: NetworkTrace, before: RawOutputs, after: RawOutputs, change: str, first: Trace, output: int | str | None
) -> Effect:
    """Return the effect of a change on the outputs of a run, with its table and its sentence."""
    difference = np.where(before.used[..., None], after.values.astype(np.float64) - before.values, 0.0)
    difference[np.abs(difference) <= before.floor] = 0.0
    counted_rows = difference[before.used]
    size = np.sqrt(np.square(counted_rows).mean(0)) if len(counted_rows) else np.zeros(difference.shape[-1])
    spread = before.spread
    share = np.divide(size, spread, out=np.full(len(size), np.nan), where=spread > 0)
    classes = np.full(len(size), np.nan)
    if before.predicted is not None and after.predicted is not None:
        classes = np.broadcast_to(np.mean(before.predicted != after.predicted, axis=0), len(size)).astype(float)
    names, extreme = before.names, np.abs(difference).max((0, 1))
    if output is None:
        place = first_largest(np.where(np.isnan(share), size, share) if (spread > 0).any() else size)
    else:
        place = output_of(output, names, len(names))
    t, sequence = np.unravel_index(first_largest(np.abs(difference[..., place])), difference.shape[:2])
    every = len(difference) == first.num_steps
    times = np.array(first.times) if every else np.array([first.times[-1]])
    when = at_step(first, int(t)) if every else "at the end"
    return Effect(
        columns={
            "output": np.array(names),
            "mean": counted_rows.mean(0) if len(counted_rows) else size,
            "size": size,
            "largest": extreme,
            "share": share,
            "classes": classes,
        },
        sentence=_sentence(before, change, place, size, extreme, share, classes, when),
        reading=(f"Tested: the model ran again with {change}, over {counted(int(before.used.sum()), 'step')}.",),
        run=changed,
        difference=difference,
        before=before.values[:, sequence],
        after=after.values[:, sequence],
        output=place,
        change=change,
        noun=before.noun,
        unit=before.units[place],
        names=names,
        times=times,
    )


def _sentence(
    before: RawOutputs,
    change: str,
    place: int,
    size: Array,
    extreme: Array,
    share: Array,
    classes: Array,
    when: str,
) -> str:
    """Return the sentence of an effect: by how much an output changes, in its unit and relative to its spread."""
    name, unit = output_phrase(before.names[place]), f" {before.units[place]}".rstrip()
    name = f"the logit of {name}" if before.noun == "logit" else name
    if not extreme.any():
        return f"With {change}, no output changes."
    if not extreme[place]:
        return f"With {change}, {name} does not change."
    text = f"With {change}, {name} changes by {extreme[place]:.3g}{unit} at most, {when}"
    if int(before.used.sum()) > 1 and np.isfinite(share[place]) and share[place] >= 0.005:
        text = f"With {change}, {name} changes by {size[place]:.3g}{unit} (root mean square)"
        text += f", {share[place]:.2g} of its standard deviation, and by {extreme[place]:.3g}{unit} at most, {when}"
    if np.isfinite(classes[place]):
        part = 100 * classes[place]
        text += (
            "; no predicted class changes" if not part else f"; the predicted class changes at {part:.3g} % of steps"
        )
    return f"{text}."
