"""What a cell keeps and what it writes at each step: c = F * c_prev + w, for every variant without a clip of the cell.

F is the derivative of the cell state with respect to the previous one, with the gates held: the forget gate, or under
zoneout k + (1 - k) f. w is what is written: i * g, or (1 - k) i g.
"""

from __future__ import annotations

import numpy as np

from gatewise import gates
from gatewise.arrays import Array
from gatewise.errors import OptionError
from gatewise.trace import Trace

BOUNDED = ("sigmoid", "hard_sigmoid")  # nonlinearities whose gates lie between 0 and 1, whatever goes in


def of_one_cell(trace: object) -> Trace:
    """Return the trace of one cell, or raise OptionError where something else was given."""
    if not isinstance(trace, Trace):
        kind = type(trace).__name__
        raise OptionError(f"questions are asked of the Trace of one cell, trace[0] say, not of {kind}")
    return trace


def retained(trace: Trace) -> Array:
    """Return F (time, batch, hidden) in float64; 1 where a step is not valid."""
    if any(edit.quantity == "cell_state" for edit in trace.edits):
        trace.require_unedited("what a cell keeps")
    f = trace.forget_gate.astype(np.float64)
    if (kept := trace.dropout.zoneout_cell) is not None:
        f = kept + (1 - kept) * f
    return f if trace.valid is None else np.where(trace.valid[..., None], f, 1.0)


def written(trace: Trace) -> Array:
    """Return w (time, batch, hidden) in float64; 0 where a step is not valid.

    Raises
    ------
    OptionError
        If the cell state is clipped: then it is no sum of what was written.
    """
    if trace.parameters.variant.cell_clip is not None:
        raise OptionError("what a step writes needs a cell state that is not clipped; this cell has cell_clip")
    if any(edit.quantity == "cell_state" for edit in trace.edits):
        trace.require_unedited("what a step writes")
    w = trace.input_gate.astype(np.float64) * trace.candidate.astype(np.float64)
    if (kept := trace.dropout.zoneout_cell) is not None:
        w = (1 - kept) * w
    return w if trace.valid is None else np.where(trace.valid[..., None], w, 0.0)


def require_between_0_and_1(trace: Trace, gate: str, purpose: str) -> None:
    """Raise OptionError unless a gate lies between 0 and 1; `purpose` is the subject of the sentence."""
    variant, letter = trace.parameters.variant, gates.LETTERS[gates.index(gate)]
    computed = {"f": "i", "i": "f"}[letter] if letter == variant.coupled else letter
    if (used := variant.activation(computed)).name not in BOUNDED:
        raise OptionError(f"{purpose} needs gates between 0 and 1, {' or '.join(BOUNDED)}; the {gate} has {used}")
