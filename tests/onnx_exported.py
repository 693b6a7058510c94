"""Graphs of stacked LSTMs as PyTorch's exporters write them."""

from __future__ import annotations

import numpy as np
from onnx import helper, numpy_helper
from onnx.helper import make_node as make

TIME, BATCH, INPUTS, HIDDEN = 5, 2, 3, 4


class Exported:
    """A model of stacked LSTMs, with the shapes of its Reshapes as numbers, copied, or computed as it runs."""

    def __init__(self, layers=2, directions=2, *, shape="fixed", batch_first=False, state=None, sliced=True):
        self.rng, self.nodes = np.random.default_rng(0), []
        self.held = {f"n{n}": np.array([n]) for n in range(9)} | {"end": np.array([2**63 - 1]), "all": np.array([-1])}
        self.directions, self.shape = directions, shape
        x = "x"
        if batch_first:
            self.add("Transpose", ["x"], "x_turned", perm=[1, 0, 2])
            x = "x_turned"
        for layer in range(layers):
            x = self.layer(layer, x, layers, state, sliced)
        self.add("Transpose", [x], "y", perm=[1, 0, 2]) if batch_first else self.add("Identity", [x], "y")
        for what in "hc":
            self.add("Concat", [f"{what}n{layer}" for layer in range(layers)], f"{what}n", axis=0)
        sizes = [BATCH, TIME] if batch_first else [TIME, BATCH]
        if shape != "fixed":
            sizes[0 if batch_first else 1] = "batch"
        inputs = [helper.make_tensor_value_info("x", 1, [*sizes, INPUTS])]
        if state == "given":
            states = [layers * directions, BATCH if shape == "fixed" else "batch", HIDDEN]
            inputs += [helper.make_tensor_value_info(f"{one}0", 1, states) for one in "hc"]
        outputs = [helper.make_tensor_value_info(one, 1, None) for one in ("y", "hn", "cn")]
        tensors = [numpy_helper.from_array(array, name) for name, array in self.held.items()]
        graph = helper.make_graph(self.nodes, "g", inputs, outputs, tensors)
        self.model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)

    def add(self, operator, inputs, output, **attributes):
        self.nodes.append(make(operator, inputs, [output], **attributes))
        return output

    def layer(self, layer, x, layers, state, sliced):
        columns = INPUTS if layer == 0 else self.directions * HIDDEN
        for name, width in (("W", columns), ("R", HIDDEN)):
            shape = (self.directions, 4 * HIDDEN, width)
            self.held[f"{name}{layer}"] = self.rng.normal(0, 0.5, shape).astype(np.float32)
        start = ["", ""]
        if state == "zeros":
            self.held["zeros"] = np.zeros((self.directions, BATCH, HIDDEN), np.float32)
            start = ["zeros", "zeros"]
        elif state == "expanded":
            self.held["zero"] = np.zeros((self.directions, 1, HIDDEN), np.float32)
            self.held["shape"] = np.array([self.directions, BATCH, HIDDEN])
            start = [self.add("Expand", ["zero", "shape"], f"start{layer}")] * 2
        elif state == "given":
            first, last = f"n{layer * self.directions}", f"n{(layer + 1) * self.directions}"
            last = "end" if sliced and layer == layers - 1 else last
            start = [self.add("Slice", [f"{one}0", first, last, "n0"], f"{one}0_{layer}") for one in "hc"]
        direction = "bidirectional" if self.directions == 2 else "forward"
        outputs = [f"Y{layer}", f"hn{layer}", f"cn{layer}"]
        given = [x, f"W{layer}", f"R{layer}", "", "", *start]
        self.nodes.append(make("LSTM", given, outputs, name=f"l{layer}", hidden_size=HIDDEN, direction=direction))
        turned = self.add("Transpose", [f"Y{layer}"], f"turned{layer}", perm=[0, 2, 1, 3])
        wide = self.directions * HIDDEN
        numbers = {"fixed": [TIME, BATCH, wide], "open": [TIME, -1, wide], "copied": [0, 0, -1]}
        if self.shape in numbers:
            self.held["numbers"] = np.array(numbers[self.shape])
            return self.add("Reshape", [turned, "numbers"], f"y{layer}", allowzero=int(self.shape == "open"))
        self.add("Shape", [turned], f"shape{layer}", start=0)
        parts = [self.add("Slice", [f"shape{layer}", f"n{n}", f"n{n + 1}"], f"part{layer}{n}") for n in range(4)]
        self.add("Mul", parts[2:], f"wide{layer}")
        self.add("Reshape", [f"wide{layer}", "all"], f"wide{layer}_")
        order = parts[:2] if self.shape == "computed" else parts[1::-1]
        self.add("Concat", [*order, f"wide{layer}_"], f"sizes{layer}", axis=0)
        return self.add("Reshape", [turned, f"sizes{layer}"], f"y{layer}", allowzero=0)
