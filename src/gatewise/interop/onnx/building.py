"""A builder of ONNX graphs, and of the bodies of Scans and Loops."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from gatewise.interop.onnx import packages


class GraphWriter:
    """An ONNX graph of numbers of a type, or a body in `parent`; `prefix` begins the names of its nodes."""

    def __init__(self, dtype: Any, parent: GraphWriter | None = None, prefix: str = "") -> None:
        self.onnx: Any = packages.import_onnx()
        self.dtype, self.parent, self.prefix = np.dtype(dtype), parent, prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = [] if parent is None else parent.constants  # those of the outermost
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self._count = 0

    def _value_info(self, name: str, shape: list[str | int] | None, dtype: Any) -> Any:
        helper = self.onnx.helper
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype or self.dtype))
        return helper.make_tensor_value_info(name, kind, shape)

    def input(self, name: str, shape: list[str | int] | None, dtype: Any = None) -> str:
        """Add an input, of the graph's type unless another is given, and return its name."""
        self.inputs.append(self._value_info(name, shape, dtype))
        return name

    def output(self, name: str, shape: list[str | int] | None, dtype: Any = None, *, first: bool = False) -> None:
        """Make a name of the graph an output of it."""
        self.outputs.insert(0 if first else len(self.outputs), self._value_info(name, shape, dtype))

    def new_name(self, stem: str) -> str:
        """Return an unused name for a tensor of the ONNX graph."""
        self._count += 1
        return f"{self.prefix}{stem}_{self._count}"

    def constant(self, array: Any, name: str | None = None, dtype: Any = None) -> str:
        """Add a constant to the outermost ONNX graph, and return its name; integers stay integers."""
        array = np.asarray(array)
        array = array.astype(np.int64 if array.dtype.kind in "iu" else dtype or self.dtype)
        name = name or self.new_name("constant")
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def node(self, operator: str, inputs: Iterable[str], *outputs: str, name: str = "", **attributes: Any) -> str:
        """Add an ONNX node, and return the name of its first output."""
        names = outputs or (self.new_name(operator.lower()),)
        self.nodes.append(self.onnx.helper.make_node(operator, list(inputs), list(names), name=name, **attributes))
        return names[0]

    def slice(self, name: str, start: int, end: int, axis: int = 0) -> str:
        """Add a part of a tensor along an axis, and return its name."""
        return self.node("Slice", [name, *(self.constant([bound]) for bound in (start, end, axis))])

    def graph(self, name: str) -> Any:
        """Return the graph as ONNX has it."""
        constants = self.constants if self.parent is None else []
        return self.onnx.helper.make_graph(self.nodes, name, self.inputs, self.outputs, constants)

    def model(self, opset: int) -> Any:
        """Return the ONNX model of this graph, with the version that runtimes of its opset read."""
        helper = self.onnx.helper
        opsets = [helper.make_opsetid("", opset)]
        model = helper.make_model(self.graph("lstm"), producer_name="gatewise", opset_imports=opsets)
        model.ir_version = 8 if opset < 20 else 10
        return model
