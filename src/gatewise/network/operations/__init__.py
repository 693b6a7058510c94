"""The one table of operations: a row for each, with everything that gatewise knows about it."""

from gatewise.network.operations import axes, c_forms, elementwise, onnx_forms, products, recurrent, reductions
from gatewise.network.operations.table import FLAT, OPERATIONS, AnyArray, Estimate, Operation, set_forms

ROWS = (axes, elementwise, products, recurrent, reductions)  # importing them fills the table
set_forms(onnx=onnx_forms.FORMS, c=c_forms.FORMS)

__all__ = ["FLAT", "OPERATIONS", "AnyArray", "Estimate", "Operation"]
