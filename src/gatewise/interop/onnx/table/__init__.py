"""The table from ONNX's operators to nodes of a graph."""

from gatewise.interop.onnx.table import axes, control, elementwise, products, recurrent, reductions
from gatewise.interop.onnx.table.call import TABLE, FileNode, read_node

ROWS = (axes, control, elementwise, products, recurrent, reductions)  # importing them fills the table

__all__ = ["TABLE", "FileNode", "read_node"]
