"""A builder of ONNX graphs, and of the bodies of Scans."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from gatewise.interop.onnx import packages


class Graph:
    """A graph of numbers of a type, built node by node, or the body of a Scan `around`; `prefix` begins its names."""

    def __init__(self, dtype: Any, around: Graph | None = None, prefix: str = "") -> None:
        self.onnx: Any = packages.reader()
        self.dtype, self.around, self.prefix = np.dtype(dtype), around, prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self._count = 0

    def _info(self, name: str, shape: list[str | int] | None) -> Any:
        helper = self.onnx.helper
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(self.dtype), shape)

    def input(self, name: str, shape: list[str | int] | None) -> str:
        """Add an input, and return its name."""
        self.inputs.append(self._info(name, shape))
        return name

    def output(self, name: str, shape: list[str | int] | None, *, first: bool = False) -> None:
        """Make a name of the graph an output of it."""
        self.outputs.insert(0 if first else len(self.outputs), self._info(name, shape))

    def new(self, stem: str) -> str:
        """Return a name that is not in use."""
        self._count += 1
        return f"{self.prefix}{stem}_{self._count}"

    def constant(self, array: Any, name: str | None = None) -> str:
        """Hold an array, in the outermost graph; integers keep their type."""
        array = np.asarray(array)
        array = np.ascontiguousarray(array.astype(np.int64 if array.dtype.kind in "iu" else self.dtype)).reshape(
            array.shape
        )
        name = name or self.new("constant")
        outermost = self
        while outermost.around is not None:
            outermost = outermost.around
        outermost.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def node(self, operator: str, inputs: Iterable[str], *outputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node, and return the name of its first output."""
        names = outputs or (self.new(operator.lower()),)
        self.nodes.append(self.onnx.helper.make_node(operator, list(inputs), list(names), name=name, **attributes))
        return names[0]

    def graph(self, name: str) -> Any:
        """Return the graph as ONNX has it."""
        return self.onnx.helper.make_graph(self.nodes, name, self.inputs, self.outputs, self.constants)

    def model(self, opset: int) -> Any:
        """Return a model of the graph."""
        helper = self.onnx.helper
        opsets = [helper.make_opsetid("", opset)]
        model = helper.make_model(self.graph("lstm"), producer_name="gatewise", opset_imports=opsets)
        model.ir_version = 8 if opset < 20 else 10  # the version that runtimes of their time read
        return model
