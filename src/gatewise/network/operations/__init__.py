"""The one table of operations: a row for each, with everything that gatewise knows about it."""

from gatewise.network.operations import axes, elementwise, products, recurrent, reductions
from gatewise.network.operations.table import FLAT, OPERATIONS, AnyArray, Estimate, Operation

ROWS = (axes, elementwise, products, recurrent, reductions)  # importing them fills the table

__all__ = ["FLAT", "OPERATIONS", "AnyArray", "Estimate", "Operation"]
