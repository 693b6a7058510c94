"""From a step to the parts of its walkthrough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, numbers
from gatewise.arrays import index as index_of
from gatewise.errors import OptionError, ShapeError
from gatewise.records.places import place_of, step_place
from gatewise.records.run_record import RunRecord
from gatewise.records.step import Step
from gatewise.records.trace import Trace
from gatewise.symbolic.formula import Symbol
from gatewise.walkthrough import forward, setting, written
from gatewise.walkthrough.backward import BackwardWalk
from gatewise.walkthrough.bound import BoundStep, require_one_run
from gatewise.walkthrough.lazy import MAX_OPEN, MAX_WORKED, Groups, Lazy
from gatewise.walkthrough.notation import Notation
from gatewise.walkthrough.notation import notation as notation_of
from gatewise.walkthrough.numbers import DIGITS, FEW_DIGITS
from gatewise.walkthrough.parts import Section, Walkthrough
from gatewise.walkthrough.setting import Maker


def walk(
    thing: Step | Sequence[Step] | Trace,
    *,
    unit: int | None = None,
    sequence: int | str = 0,
    at: Any = None,
    brief: bool = False,
    every_step: bool = False,
    facts: Mapping[str, object] | None = None,
    backward: bool = False,
    dy: npt.ArrayLike | None = None,
    dh: npt.ArrayLike | None = None,
    dc: npt.ArrayLike | None = None,
    notation: str = "gatewise",
    short: bool = False,
) -> Walkthrough:
    """Walk through one step, or several, line by line: equation, shapes, numbers, meaning.

    With `backward`, the backward pass of the same steps follows (back-propagation through time: Werbos, 1990): from the
    gradients of a loss with respect to outputs and last states to those with respect to everything that went in.

    Parameters
    ----------
    thing : Step, sequence of Step, or Trace
        Of a trace, all valid steps of one sequence.
    unit : int, optional
        Expand one unit: show every product of its sums, largest contribution first. Negative counts from the end.
    sequence : int or str
        Which sequence of a trace's batch, by its number or name.
    at : int, str or date, optional
        Show this step alone: its place in a sequence of steps; in a trace its time, by its number, date or name.
        Negative numbers count from the end.
    brief : bool
        Show only the table of all steps.
    every_step : bool
        Work through all steps. By default, if there are more than 20, only the first and the last are worked through;
        backward, text shows only these if there are more than 3.
    facts : mapping, optional
        Further facts about the cell, shown with its sizes: for example, where its weights come from.
    backward : bool
        Walk through the backward pass.
    dy : array (time, recurrent), optional
        The gradient of the loss with respect to the output h of every step, as `gatewise.backward` takes it: a row for
        each step of `thing`, in its order; of a single step also (recurrent,). 0 where a step is not valid.
    dh, dc : array (recurrent,), (hidden,), optional
        The gradients of the loss with respect to the last hidden state and cell state, as they leave the run; the
        gradient with respect to the last h is ``dy[-1] + dh``. By default 0; without `dy`, `dh` is 1: the loss is the
        sum of the last hidden state.
    notation : {"gatewise", "notebook", "olah", "pytorch", "keras"}
        Whose symbols and matrix shapes are used.
    short : bool
        Show at most 4 decimals.

    Returns
    -------
    Walkthrough
        Printed, it is text.

    Raises
    ------
    OptionError
        If there is nothing to walk through, or no such unit or notation, or `dy` is not 0 where a step is not valid.
    ShapeError
        If `dy`, `dh` or `dc` has another shape.
    NotKeptError
        If a trace did not keep everything.

    Examples
    --------
    >>> cell = gw.LSTMCell(3, 2, init="notebook", scale=0.01, seed=1010, dtype=np.float64)
    >>> step = cell.step([0.5, 0.8, 0.2], gw.State([0.3, 0.4], [0.2, 0.3]))
    >>> print(walk(step).sections[5].title)
    Forget gate: how much of the old cell state each unit keeps
    """
    again = partial(walk, **locals())
    if not backward and any(gradient is not None for gradient in (dy, dh, dc)):
        raise OptionError("dy, dh and dc belong to the backward pass: backward=True")
    if at is not None and (brief or every_step):
        raise OptionError("at shows one step: it does not go with brief or every_step")
    trace: Trace | None = thing.only_cell("walk").stored if isinstance(thing, RunRecord) else None
    if trace is not None:
        sequence = place_of("sequence", sequence, trace.batch_size, trace.labels.sequences, "this trace")
        at = None if at is None else step_place(at, len(trace), trace.labels.times, "this trace")
    steps, places = _steps_and_times(thing, sequence)
    if at is not None:
        at = _place_of_step(trace, sequence, at, places)
        step = steps[at]
        facts = {**(facts or {}), "step": step.name or (at if step.time is None else step.time)}
        if not backward:  # what comes after a step has no part in it
            steps, at = [steps[at]], None
    p, symbols, worked = steps[0].parameters, notation_of(notation), _worked_steps(len(steps), at, brief, every_step)
    units = None if unit is None else (index_of("unit", unit, p.hidden_size, "this cell"),)
    outputs = None if dy is None else _output_gradients(dy, trace, sequence, steps)
    times = Lazy(len(steps), lambda n: _step_name(steps[n], n))
    back: BackwardWalk | None = None

    def arriving(at: int) -> Mapping[Symbol, Any]:
        """Return the gradients that arrive at a step from the one after it, in a backward pass."""
        return {} if back is None else back.arriving(at)

    def bind_step(n: int) -> BoundStep:
        time, dy_of_step = times[n] if len(steps) > 1 else None, None if outputs is None else outputs[n]
        return BoundStep(steps[n], units, symbols, time, n, dy_of_step, partial(arriving, n))

    bound = Lazy(len(steps), bind_step)
    first, makers = bound[0], list[Maker]()
    if not brief:  # what is the same at every step
        makers.append(lambda: [setting.activations(p, backward)])
        makers.append(lambda: [setting.sizes(steps[0], facts or {})])
        makers.append(lambda: [setting.weights(first)])
    if brief or (len(steps) > 1 and at is None):
        edits = "" if trace is None else trace.edits_said()
        makers.append(lambda: [setting.sequence(bound, times, every=every_step, edits=edits)])
    if backward:
        if trace is None and not isinstance(thing, (Step, Lazy)):
            require_one_run(bound)
        back = BackwardWalk(bound, times, dh, dc, worked)
        makers += [back.through_time] if brief else back.makers()
    else:
        of_steps = [partial(_forward_sections, bound, place) for place in worked]
        makers += setting.with_rest(of_steps, worked, times)
    folded = backward and not every_step and len(worked) > MAX_OPEN
    sections = Groups([partial(_in_notation, maker, symbols) for maker in makers])
    title = _walkthrough_title(len(steps), worked, backward=backward, brief=brief)
    shown = (first.names, units, backward, symbols.name, symbols.rows, worked, FEW_DIGITS if short else DIGITS, folded)
    whole = Walkthrough(title, sections, bound, *shown)
    object.__setattr__(whole, "again", again)
    return whole


def _forward_sections(steps: Sequence[BoundStep], place: int) -> list[Section]:
    return forward.sections(steps[place])


def _in_notation(maker: Maker, notation: Notation) -> list[Section]:
    with np.errstate(all="ignore"):  # infinity and NaN go through as they are
        return [written.write_section(section, notation) for section in maker()]


def _worked_steps(count: int, at: int | None, brief: bool, every_step: bool) -> Sequence[int]:
    if at is not None:
        return (at,)
    if brief:
        return ()
    return range(count) if every_step or count <= MAX_WORKED else (0, count - 1)


def _walkthrough_title(count: int, worked: Sequence[int], *, backward: bool, brief: bool) -> str:
    """Return the title of a walkthrough: how many steps it shows, of how many, and whether backward."""
    counted = f"{count:,} steps" if count > 1 else "one step"
    if brief:
        return f"An LSTM cell, {counted} at a glance"
    if len(worked) < count:
        counted = f"{'one' if len(worked) == 1 else 'the first and the last'} of {counted}"
    which = f"the backward pass of {counted}," if backward else counted
    return f"An LSTM cell, {which} line by line"


def _place_of_step(trace: Trace | None, sequence: Any, at: Any, places: Sequence[int]) -> int:
    if trace is None:
        return index_of("step", at, len(places), "this walk")
    trace.step(at, sequence)  # which says what is no step of this sequence
    return places.index(at)


def _output_gradients(dy: npt.ArrayLike, trace: Trace | None, sequence: Any, steps: Sequence[Step]) -> Array:
    rows = numbers("dy", dy)
    shape = (len(steps) if trace is None else len(trace), steps[0].parameters.recurrent_size)
    if shape == (1, *rows.shape):
        rows = rows[None]
    if rows.shape != shape:
        raise ShapeError(f"dy has shape {rows.shape}; this walk takes {shape}: (time, recurrent)")
    if trace is None:
        return rows
    if trace.valid is not None:
        valid = trace.valid[:, sequence]
        if rows[~valid].any():
            raise OptionError(f"dy is not 0 at step {np.flatnonzero(~valid & rows.any(axis=1))[0]}, which is not valid")
        rows = rows[valid]
    return rows if trace.direction == "forward" else rows[::-1]


def _steps_and_times(thing: object, sequence: Any) -> tuple[Sequence[Step], Sequence[int]]:
    """Return the steps to walk through, in the order in which they ran, and the place or time of each."""
    if isinstance(thing, Step):
        return [thing], [0]
    if isinstance(thing, RunRecord):
        trace: Trace = thing.only_cell("walk")
        times: Sequence[int] = range(len(trace))
        if trace.valid is not None:
            times = np.flatnonzero(trace.valid[:, sequence]).tolist()
        times = times if trace.direction == "forward" else times[::-1]
        steps: Sequence[Step] = Lazy(len(times), lambda n: trace.step(times[n], sequence))
    elif isinstance(thing, Lazy) or (isinstance(thing, Sequence) and all(isinstance(step, Step) for step in thing)):
        steps, times = thing, range(len(thing))
    else:
        raise OptionError(f"walk takes a Step, a sequence of them or a Trace, not {type(thing).__name__}")
    if not steps:
        raise OptionError("there is no step to walk through")
    return steps, times


def _step_name(step: Step, number: int) -> str:
    return step.name or f"step {number if step.time is None else step.time}"
