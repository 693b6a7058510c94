"""What a cell keeps and what it writes at each step: c = F * c_prev + w, for every variant without a clip of the cell.

F is the derivative of the cell state with respect to the previous one, with the gates held: the forget gate, or under
zoneout k + (1 - k) f. w is what is written: i * g, or (1 - k) i g.

Questions that count or add over time read a trace in pieces of `PIECE` numbers, which is all the memory they take.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gatewise import gates
from gatewise.arrays import Array, Mask, chunks
from gatewise.errors import OptionError
from gatewise.network import Run
from gatewise.progress import working
from gatewise.records.trace import Trace

BOUNDED = ("sigmoid", "hard_sigmoid")  # nonlinearities whose gates lie between 0 and 1, whatever goes in
PIECE = 2**20  # numbers of a quantity that are looked at at a time
WHOLE = slice(None)


def stored_run(run: object) -> Run:
    """Return a run with a batch axis in every quantity.

    Raises
    ------
    OptionError
        If it is no run.
    """
    if not isinstance(run, Run):
        kind = type(run).__name__
        raise OptionError(f"questions are asked of a Trace, LSTMTrace or NetworkTrace, not of {kind}")
    return run.stored


def of_one_cell(run: object) -> Trace:
    """Return the trace of the only cell of a run, with a batch axis in every quantity.

    Raises
    ------
    OptionError
        If it is no run, or one of several cells.
    """
    cell: Trace = stored_run(run).only_cell("this question")
    return cell


def own_hidden_state(trace: Trace) -> Array | None:
    """Return the hidden state of the units themselves, before a projection; None where the trace did not keep it."""
    if "unprojected_state" in trace.keep.quantities:
        return trace.unprojected_state
    same = trace.parameters.projection is None and trace.dropout.zoneout_hidden is None
    return trace.hidden_state if same and "hidden_state" in trace.keep.quantities else None


def finite(what: str, value: object) -> float:
    """Return `value` as a finite number; `what` names it in the error."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not np.isfinite(value):
        raise OptionError(f"{what} must be a finite number, not {value!r}")
    return float(value)


def pieces(what: str, count: int, numbers: int) -> Iterator[slice]:
    """Go through `count` steps in slices of at most `PIECE` numbers, `numbers` to a step, and show how far it is."""
    with working(what, count) as done:
        for piece in chunks(count, numbers, PIECE):
            yield piece
            done(piece.stop - piece.start)


def valid_steps(trace: Trace, when: Any = WHOLE, which: Any = WHOLE) -> Mask | None:
    """Return which of the kept steps are valid (time, batch), or None where all of the run are."""
    return None if trace.valid is None else trace.valid[:: trace.keep.every][when, which]


def retained(trace: Trace, when: Any = WHOLE, which: Any = WHOLE) -> Array:
    """Return F (time, batch, hidden) in float64, of the kept steps and units; 1 where a step is not valid.

    `when` and `which` choose some of the kept steps and of the sequences.
    """
    _require_own_states(trace, "what a cell keeps")
    f = trace.forget_gate[when, which].astype(np.float64)
    if (kept := _zoneout(trace, when, which)) is not None:
        f = kept + (1 - kept) * f
    valid = valid_steps(trace, when, which)
    return f if valid is None else np.where(valid[..., None], f, 1.0)


def written(trace: Trace, when: Any = WHOLE, which: Any = WHOLE) -> Array:
    """Return w (time, batch, hidden) in float64, of the kept steps and units; 0 where a step is not valid.

    `when` and `which` choose some of the kept steps and of the sequences.

    Raises
    ------
    OptionError
        If the cell state is clipped or edited: then it is no sum of what was written.
    """
    if trace.parameters.variant.cell_clip is not None:
        raise OptionError("what a step writes needs a cell state that is not clipped; this cell has cell_clip")
    _require_own_states(trace, "what a step writes")
    w = trace.input_gate[when, which].astype(np.float64) * trace.candidate[when, which].astype(np.float64)
    if (kept := _zoneout(trace, when, which)) is not None:
        w = (1 - kept) * w
    valid = valid_steps(trace, when, which)
    return w if valid is None else np.where(valid[..., None], w, 0.0)


def _require_own_states(trace: Trace, purpose: str) -> None:
    """Raise OptionError where cell states were edited, and so are no sums of what was kept and written."""
    if any(edit.quantity == "cell_state" for edit in trace.edits):
        trace.require_unedited(purpose)


def _zoneout(trace: Trace, when: Any, which: Any) -> Array | None:
    """Return the zoneout mask of the cell state, of the kept steps and units."""
    mask = trace.dropout.zoneout_cell
    return None if mask is None else _of_units(trace, mask[:: trace.keep.every][when, which])


def initial_cell(trace: Trace, sequence: int) -> Array:
    """Return the initial cell state of a sequence in float64, of the kept units."""
    return _of_units(trace, trace.initial.c[sequence].astype(np.float64))


def _of_units(trace: Trace, array: Array) -> Array:
    return array if trace.keep.units is None else array[..., list(trace.keep.units)]


def require_every_step(trace: Trace, purpose: str) -> None:
    """Raise OptionError where a trace kept only every nth step; `purpose` is the subject of the sentence."""
    if trace.keep.every > 1:
        raise OptionError(f"{purpose} needs every step; this trace kept 1 in {trace.keep.every}")


def require_finite(values: Array, purpose: str) -> None:
    """Raise OptionError where a result is not finite, because the run was not; `purpose` is the sentence's subject."""
    if not np.isfinite(values).all():
        raise OptionError(f"{purpose} needs finite gates and states; this trace has NaN or infinity at a valid step")


def require_between_0_and_1(trace: Trace, gate: str, purpose: str) -> None:
    """Raise OptionError unless a gate lies between 0 and 1; `purpose` is the subject of the sentence."""
    variant, letter = trace.parameters.variant, gates.LETTERS[gates.index(gate)]
    computed = {"f": "i", "i": "f"}[letter] if letter == variant.coupled else letter
    if (used := variant.activation(computed)).name not in BOUNDED:
        raise OptionError(f"{purpose} needs gates between 0 and 1, {' or '.join(BOUNDED)}; the {gate} has {used}")
