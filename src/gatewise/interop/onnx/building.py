"""A builder of ONNX graphs, and of the bodies of Scans."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from gatewise.interop.onnx import packages


class Graph:
    """An ONNX graph of numbers of a type, or the body of a Scan in `parent`; `prefix` begins the names of its nodes."""

    def __init__(self, dtype: Any, parent: Graph | None = None, prefix: str = "") -> None:
        self.onnx: Any = packages.import_onnx()
        self.dtype, self.parent, self.prefix = np.dtype(dtype), parent, prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = [] if parent is None else parent.constants  # those of the outermost
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self._count = 0

    def _value_info(self, name: str, shape: list[str | int] | None) -> Any:
        helper = self.onnx.helper
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(self.dtype), shape)

    def input(self, name: str, shape: list[str | int] | None) -> str:
        """Add an input, and return its name."""
        self.inputs.append(self._value_info(name, shape))
        return name

    def output(self, name: str, shape: list[str | int] | None, *, first: bool = False) -> None:
        """Make a name of the graph an output of it."""
        self.outputs.insert(0 if first else len(self.outputs), self._value_info(name, shape))

    def new_name(self, stem: str) -> str:
        """Return an unused name for a tensor of the ONNX graph."""
        self._count += 1
        return f"{self.prefix}{stem}_{self._count}"

    def constant(self, array: Any, name: str | None = None) -> str:
        """Add a constant to the outermost ONNX graph, and return its name; integers keep their type."""
        array = np.asarray(array)
        array = array.astype(np.int64 if array.dtype.kind in "iu" else self.dtype)
        name = name or self.new_name("constant")
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def node(self, operator: str, inputs: Iterable[str], *outputs: str, name: str = "", **attributes: Any) -> str:
        """Add an ONNX node, and return the name of its first output."""
        names = outputs or (self.new_name(operator.lower()),)
        self.nodes.append(self.onnx.helper.make_node(operator, list(inputs), list(names), name=name, **attributes))
        return names[0]

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
