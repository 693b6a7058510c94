"""From a step to the parts of its walkthrough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from gatewise.arrays import index as index_of
from gatewise.errors import OptionError
from gatewise.lstm_trace import LSTMTrace
from gatewise.step import Step
from gatewise.trace import Trace
from gatewise.walkthrough import forward, setting, written
from gatewise.walkthrough.backward import BackwardWalk
from gatewise.walkthrough.bound import BoundStep
from gatewise.walkthrough.notation import notation as notation_of
from gatewise.walkthrough.parts import Walkthrough


def walk(
    thing: Step | Sequence[Step] | Trace,
    *,
    unit: int | None = None,
    sequence: int = 0,
    facts: Mapping[str, object] | None = None,
    backward: bool = False,
    dh: npt.ArrayLike | None = None,
    dc: npt.ArrayLike | None = None,
    notation: str = "gatewise",
) -> Walkthrough:
    """Walk through one step, or several, line by line: equation, shapes, numbers, meaning.

    Backward, the same step is read from its end to its beginning (back-propagation through time: Werbos, 1990): from
    the derivatives of a loss by what the last step left behind to those by all that went in.

    Parameters
    ----------
    thing : Step, sequence of Step, or Trace
        Of a trace, all valid steps of one sequence.
    unit : int, optional
        Open one unit: show every product of its sums, largest contribution first. Negative counts from the end.
    sequence : int
        Which sequence of a trace's batch.
    facts : mapping, optional
        What else is known of the cell, shown among its sizes (where its numbers come from, say).
    backward : bool
        Walk back.
    dh, dc : array (recurrent,), (hidden,), optional
        Of the walk back: the derivatives of the loss by the last step's hidden state and cell state. By default ones
        and zeros: the loss is the sum of the last hidden state.
    notation : {"gatewise", "notebook", "olah", "pytorch", "keras"}
        Whose symbols and shapes of matrices.

    Returns
    -------
    Walkthrough
        Printed, it is text.

    Raises
    ------
    OptionError
        If there is nothing to walk through, or no such unit or notation.
    ShapeError
        If `dh` or `dc` has another shape.
    NotKeptError
        If a trace did not keep everything.

    Examples
    --------
    >>> cell = gw.LSTMCell(3, 2, init="notebook", scale=0.01, seed=1010, dtype=np.float64)
    >>> step = cell.step([0.5, 0.8, 0.2], gw.State([0.3, 0.4], [0.2, 0.3]))
    >>> print(walk(step).sections[5].title)
    Forget gate: how much of its old memory each unit keeps
    """
    steps = _steps(thing, sequence)
    first, symbols = steps[0], notation_of(notation)
    p, units = first.parameters, None
    if unit is not None:
        units = (index_of("unit", unit, p.hidden_size, "this cell"),)
    if not backward and (dh is not None or dc is not None):
        raise OptionError("dh and dc belong to the walk back: backward=True")
    many = len(steps) > 1
    times = [_time_name(step, number) for number, step in enumerate(steps)]
    bound = [
        BoundStep(step, units, symbols, time if many else None, at)
        for at, (step, time) in enumerate(zip(steps, times, strict=True))
    ]
    sections = [setting.activations(p, backward), setting.sizes(first, facts or {}), setting.weights(bound[0])]
    if many:
        sections.append(setting.sequence(bound, times))
    if backward:
        sections += BackwardWalk(bound, times, dh, dc).sections()
    else:
        sections += [section for step in bound for section in forward.sections(step)]
    counted = f"{len(steps)} steps" if many else "one step"
    title = f"An LSTM cell, {counted} back, line by line" if backward else f"An LSTM cell, {counted} line by line"
    shown = tuple(written.section(section, symbols) for section in sections)
    return Walkthrough(title, shown, tuple(bound), bound[0].names, units, backward, symbols.name, symbols.rows)


def _steps(thing: object, sequence: int) -> list[Step]:
    if isinstance(thing, Step):
        return [thing]
    if isinstance(thing, Trace):
        sequence = index_of("sequence", sequence, thing.batch_size, "this trace")
        times = range(len(thing)) if thing.valid is None else np.flatnonzero(thing.valid[:, sequence]).tolist()
        order = times if thing.direction == "forward" else list(reversed(times))
        steps = [thing.step(t, sequence) for t in order]
    elif isinstance(thing, LSTMTrace):
        raise OptionError("walk takes the trace of one cell, such as trace[0] or trace[0, 'backward']")
    elif isinstance(thing, Sequence) and all(isinstance(one, Step) for one in thing):
        steps = list(thing)
    else:
        raise OptionError(f"walk takes a Step, a sequence of them or a Trace, not {type(thing).__name__}")
    if not steps:
        raise OptionError("there is no step to walk through")
    return steps


def _time_name(step: Step, number: int) -> str:
    return step.name or f"step {number if step.time is None else step.time}"
