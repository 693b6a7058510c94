"""The values of a program's symbols in one step, each computed when it is first needed."""

from __future__ import annotations

from typing import Any

from gatewise.parameters import Parameters
from gatewise.symbolic.evaluation import evaluate
from gatewise.symbolic.formula import Symbol
from gatewise.symbolic.program import Program
from gatewise.symbolic.rewrites import sized


class StepValues:
    """The values of the symbols of one step, computed when they are first needed, and kept.

    Parameters
    ----------
    program : Program
    p : Parameters
    known : dict of Symbol to array
        Inputs, parameters and states, and quantities that need not be computed again.
    leading : bool
        Whether arrays have leading axes, such as that of a batch.
    """

    def __init__(self, program: Program, p: Parameters, known: dict[Symbol, Any], *, leading: bool = False) -> None:
        self.program = sized(program, p.recurrent_size, p.recurrent_size + p.input_size)
        self.known, self.ranks = known, program.ranks if leading else None

    def __getitem__(self, symbol: Symbol) -> Any:
        if symbol not in self.known:
            self.known[symbol] = evaluate(self.program.assignments[symbol].right, self, self.ranks)
        return self.known[symbol]
