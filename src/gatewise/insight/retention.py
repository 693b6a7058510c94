"""The retention F and the writes w of a cell at each step: c = F * c_prev + w, for variants without a clip of the cell.

F is the derivative of the cell state with respect to the previous one, with the gates held: the forget gate, or under
zoneout k + (1 - k) f. w is i * g, or under zoneout (1 - k) i g.

Questions that count or add over time read a trace in pieces of `PIECE` numbers, and take no more memory.
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

BOUNDED = ("sigmoid", "hard_sigmoid")  # nonlinearities between 0 and 1
PIECE = 2**20  # numbers of a quantity in a piece
ALL = slice(None)


def stored_run(run: object) -> Run:
    """Return the run that a question is about, with a batch axis in every quantity."""
    if not isinstance(run, Run):
        kind = type(run).__name__
        instead = ". Ask about the trace of one of its LSTMs, by its name" if hasattr(run, "lstms") else ""
        raise OptionError(f"a question takes a Trace, LSTMTrace or NetworkTrace, not {kind}{instead}")
    return run.stored


def require_range(cell: Trace) -> None:
    """Raise OptionError if sums of a cell's inputs may overflow: to infinity or to NaN, which depends on the CPU."""
    x, p = cell.input, cell.parameters
    if x is None or not x.size:
        return
    most = np.abs([x.max((0, 1)), x.min((0, 1))]).max(0).astype(np.float64)
    most = np.where(np.isfinite(most), most, 0.0)  # others are refused elsewhere
    sums = np.abs(p.input_weight.astype(np.float64)) @ most
    if sums.max(initial=0.0) > float(np.finfo(p.dtype).max) / 2:
        raise OptionError(
            f"the input has numbers as large as {most.max():.3g}, whose sums overflow {p.dtype}. If that is a fill"
            " value, replace it before."
        )


def of_one_cell(run: object) -> Trace:
    """Return the trace of the only cell of a run, with a batch axis in every quantity."""
    cell: Trace = stored_run(run).only_cell("this question")
    require_range(cell)
    return cell


def unit_hidden_state(trace: Trace) -> Array | None:
    """Return the hidden state of a trace's units, before a projection; None if the trace did not keep it."""
    if "unprojected_state" in trace.keep.quantities:
        return trace.unprojected_state
    same = trace.parameters.projection is None and trace.dropout.zoneout_hidden is None
    return trace.hidden_state if same and "hidden_state" in trace.keep.quantities else None


def pieces(title: str, count: int, numbers: int) -> Iterator[slice]:
    """Yield slices of a run's steps with at most `PIECE` numbers, `numbers` to a step, under a progress bar."""
    with working(title, count) as done:
        for piece in chunks(count, numbers, PIECE):
            yield piece
            done(piece.stop - piece.start)


def valid_steps(trace: Trace, when: Any = ALL, which: Any = ALL) -> Mask | None:
    """Return a mask (time, batch) of the valid ones among the kept steps, or None if all steps are valid."""
    return None if trace.valid is None else trace.valid[:: trace.keep.every][when, which]


def retention_of(trace: Trace, when: Any = ALL, which: Any = ALL) -> Array:
    """Return the share F (time, batch, hidden) of the cell state that each step retains, in float64; 1 if invalid."""
    _require_unedited_cell(trace, "the retention of a cell")
    f = trace.forget_gate[when, which].astype(np.float64)
    if (mask := _zoneout(trace, when, which)) is not None:
        f = mask + (1 - mask) * f
    valid = valid_steps(trace, when, which)
    return f if valid is None else np.where(valid[..., None], f, 1.0)


def writes_of(trace: Trace, when: Any = ALL, which: Any = ALL) -> Array:
    """Return the numbers w (time, batch, hidden) that each step writes to the cell state, in float64; 0 if invalid."""
    if trace.parameters.variant.cell_clip is not None:
        raise OptionError("the writes of a step need a cell state that is not clipped; this cell has cell_clip")
    _require_unedited_cell(trace, "the writes of a step")
    w = trace.input_gate[when, which].astype(np.float64) * trace.candidate[when, which].astype(np.float64)
    if (mask := _zoneout(trace, when, which)) is not None:
        w = (1 - mask) * w
    valid = valid_steps(trace, when, which)
    return w if valid is None else np.where(valid[..., None], w, 0.0)


def _require_unedited_cell(trace: Trace, purpose: str) -> None:
    """Raise OptionError if cell states were edited; `purpose` is the subject of the sentence."""
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
    """Raise OptionError if a trace kept only every nth step; `purpose` is the subject of the sentence."""
    if trace.keep.every > 1:
        raise OptionError(f"{purpose} needs every step; this trace kept 1 in {trace.keep.every}")


def require_finite(values: Array, purpose: str) -> None:
    """Raise OptionError if a result is not finite, as the run was not; `purpose` is the subject of the sentence."""
    if not np.isfinite(values).all():
        raise OptionError(f"{purpose} needs finite gates and states; this trace has NaN or infinity at a valid step")


def require_between_0_and_1(trace: Trace, gate: str, purpose: str) -> None:
    """Raise OptionError unless a gate lies between 0 and 1; `purpose` is the subject of the sentence."""
    variant, letter = trace.parameters.variant, gates.LETTERS[gates.index(gate)]
    computed = {"f": "i", "i": "f"}[letter] if letter == variant.coupled else letter
    if (activation := variant.activation(computed)).name not in BOUNDED:
        raise OptionError(f"{purpose} needs gates between 0 and 1, {' or '.join(BOUNDED)}; the {gate} has {activation}")
