"""The cell as data: formulas, the programs made of them, and what runs those."""

from gatewise.symbolic.evaluation import Env
from gatewise.symbolic.formula import Formula, Symbol
from gatewise.symbolic.program import Assignment, Carry, Form, Program, ProgramInput

__all__ = ["Assignment", "Carry", "Env", "Form", "Formula", "Program", "ProgramInput", "Symbol"]
