"""Does a network read as a graph compute what its own runtime computed? Rounding is told from a mistake.

The graph is run in float64, which is taken as the truth, and then several times with the result of every operation
changed at random by about as much as a runtime of the given precision may round it, as `rounding` does it for an LSTM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import AXES
from gatewise.diagnostics.claims import precision_of
from gatewise.diagnostics.rounding import DIGITS, LARGE, SAMPLES, Case, Perturbation, perturbed_outputs
from gatewise.diagnostics.verification import Verification, compare_with_truth
from gatewise.errors import OptionError, ShapeError, join_names, shown
from gatewise.layers import LSTM
from gatewise.layers.arguments import valid_steps
from gatewise.layers.stack import States
from gatewise.network import running
from gatewise.network.graph import Graph, Node, evaluate
from gatewise.network.graph_network import GraphNetwork
from gatewise.records.step import State

AnyArray = npt.NDArray[Any]
# Operations that move numbers, and round none.
EXACT = {
    *("reshape", "transpose", "swap", "move", "squeeze", "unsqueeze", "flatten", "expand", "tile", "concat", "stack"),
    *("split", "chunk", "slice", "gather", "gather_elements", "flip", "pad", "identity", "where", "choose", "shape"),
    *("fill", "range", "one_hot", "triangle", "max_pool", "reduce_max", "reduce_min", "maximum", "minimum", "clip"),
    *("relu", "neg", "abs", "sign", "floor", "ceil", "round", "trunc", "cast", "cast_like", "thresholded_relu"),
}
SUMS = {"linear", "matmul", "einsum", "conv", "reduce_sum", "reduce_mean", "mean_pool", "cumsum", "add", "sub"}
EXPONENTIALS = {"sigmoid", "tanh", "softplus", "gelu", "gelu_tanh", "silu", "mish", "elu", "selu", "celu", "erf"}


def verify_graph(
    network: GraphNetwork, inputs: Mapping[str, Any], outputs: Mapping[str, Any], seed: int = 0
) -> Verification:
    """Compare the outputs of a network with those of its own runtime, and tell rounding from a mistake.

    Parameters
    ----------
    network : GraphNetwork
    inputs, outputs : mapping of str to array
        By name, on the axes of the file. Not every output need be given.
    seed : int
        Draws the simulated rounding.

    Raises
    ------
    OptionError
        If there is nothing to compare with, a name is unknown, or gatewise lacks an operation.
    ShapeError
        If sizes do not match.
    """
    graph = network.graph
    names = dict(zip(graph.output_names, graph.outputs, strict=True))
    if unknown := [name for name in outputs if name not in names]:
        raise OptionError(f"the network has no output {shown(unknown[0])!r}; it has {join_names(map(repr, names))}")
    if not outputs:
        raise OptionError("there is nothing to verify: pass y")
    claims = {name: np.asarray(array) for name, array in outputs.items()}
    precision = next(name for name in DIGITS if name in {precision_of(array) for array in claims.values()})
    widest = max((array.dtype.itemsize for array in _floats(graph)), default=8)
    if widest <= 4 and precision == "float64":
        precision = "float32"
    feeds = running.feeds_of(graph, (), inputs)
    precise = in_float64(graph)
    feeds = {name: array.astype(np.float64) if array.dtype.kind == "f" else array for name, array in feeds.items()}
    ends = [names[name] for name in claims]
    truth = dict(zip(claims, _run(precise, feeds, ends, None), strict=True))
    for name, claim in claims.items():
        if claim.shape != truth[name].shape:
            raise ShapeError(f"{shown(name)} has shape {claim.shape}; it must be {truth[name].shape}")
    u, rng = DIGITS[precision], np.random.default_rng(seed)
    samples = SAMPLES[_work(precise, feeds) > LARGE]
    squares = {name: np.zeros(array.shape) for name, array in truth.items()}
    for _ in range(samples):
        for name, array in zip(claims, _run(precise, feeds, ends, Perturbation(rng, u)), strict=True):
            squares[name] += (array - truth[name]) ** 2
    axes = {name: network.outputs[name].axes for name in claims}

    def in_time(arrays: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        """Return arrays with time first, as differences state their places, and the numbers of a step last."""
        return {name: _time_first(array.astype(np.float64), axes[name]) for name, array in arrays.items()}

    variances = in_time({name: array / samples for name, array in squares.items()})
    deviations = {name: np.sqrt((item + item.mean(-1, keepdims=True)) / 2) for name, item in variances.items()}
    differences, blind = compare_with_truth(in_time(truth), deviations, in_time(claims), u)
    return Verification(differences, precision, (), tuple(blind))


def _time_first(array: AnyArray, axes: Sequence[str] | None) -> AnyArray:
    if array.ndim == 0:
        return array[None]
    if axes is None or "" in axes or len(axes) != array.ndim:
        return array
    return array.transpose([axes.index(name) for name in AXES if name in axes])


def _floats(graph: Graph) -> list[AnyArray]:
    arrays = [array for array in graph.constants.values() if array.dtype.kind == "f"]
    return arrays + [np.empty(0, lstm.dtype) for lstm in graph.lstms.values()]


def in_float64(graph: Graph) -> Graph:
    """Return a graph that computes in float64 what another computes in its own precision."""
    wide = np.dtype(np.float64)
    constants = {
        name: array.astype(wide) if array.dtype.kind == "f" else array for name, array in graph.constants.items()
    }
    nodes = []
    for node in graph.nodes:
        settings = dict(node.settings)
        if node.op == "lstm":
            settings["lstm"] = settings["lstm"].astype(wide)
        elif node.op == "cast" and settings["dtype"].startswith("float"):
            settings["dtype"] = "float64"
        elif node.row.has_body:
            settings["body"] = in_float64(settings["body"])
        nodes.append(replace(node, settings=settings))
    inputs = tuple(replace(port, dtype=wide) if port.dtype.kind == "f" else port for port in graph.inputs)
    return replace(graph, inputs=inputs, constants=constants, nodes=tuple(nodes))


def _work(graph: Graph, feeds: Mapping[str, AnyArray]) -> float:
    return 2.0 * graph.num_parameters * max((array.size for array in feeds.values()), default=1)


def _run(
    graph: Graph, feeds: Mapping[str, AnyArray], ends: Sequence[str], perturbation: Perturbation | None
) -> list[AnyArray]:
    """Return values of a run in which the results of operations are perturbed, if asked."""
    limits, values = running.limits_of(graph, feeds), {**graph.constants, **feeds}
    for node in running.needed_nodes(graph, ends, values):
        arrays = [values.get(name) for name in node.inputs]
        if node.op == "lstm" and perturbation is not None:
            produced: tuple[AnyArray, ...] = _perturbed_lstm(arrays, perturbation, **node.settings)[: len(node.outputs)]
        else:
            produced = evaluate(node, arrays, limits)
            if perturbation is not None and node.op not in EXACT:
                produced = tuple(_perturbed(node, arrays, item, perturbation) for item in produced)
        values |= zip(node.outputs, produced, strict=False)
    return [values[name] for name in ends]


def _perturbed(node: Node, arrays: Sequence[AnyArray | None], y: AnyArray, perturbation: Perturbation) -> AnyArray:
    """Return the result of an operation with random errors, as large as rounding may make them."""
    if y.dtype.kind != "f":
        return y
    if node.op in SUMS:
        sizes = [np.abs(array) if array is not None and array.dtype.kind == "f" else array for array in arrays]
        terms = node.row.forward(*sizes, **node.settings)
        count = max(1, max(item.size for item in arrays if item is not None) // max(y.size, 1))
        if node.op in ("linear", "conv", "matmul"):
            weight = arrays[1]
            assert weight is not None
            count = weight[0].size if node.op != "matmul" else weight.shape[-2 if weight.ndim > 1 else 0]
        size = np.abs(terms) + np.abs(y) if node.op in ("add", "sub") else np.sqrt(terms**2 / 2 + count / 3 * y**2)
    else:
        size = 2 * np.abs(y) + (0.5 if node.op in EXPONENTIALS else 0)
        size = 4 * (np.abs(y) + 1) if node.op == "normalise" else size
    noise: AnyArray = perturbation.roundoff * size * perturbation.rng.standard_normal(y.shape)
    return np.asarray(y + noise)


def _perturbed_lstm(
    arrays: Sequence[AnyArray | None], perturbation: Perturbation, *, lstm: LSTM, masked_output: str = "zeros"
) -> tuple[AnyArray, ...]:
    """Return the outputs of an LSTM node, every step of it perturbed."""
    x, h, c, valid = [*arrays, None, None, None][:4]
    assert x is not None
    lengths, mask = (None, valid) if valid is not None and valid.dtype == bool else (valid, None)
    steps = valid_steps(lengths, mask, *x.shape[:2])
    start: States | None = None
    if h is not None or c is not None:
        zeros = lstm.zero_state(x.shape[1])[0]
        parts = [
            [np.broadcast_to(z if item is None else item[place], z.shape) for item, z in zip((h, c), pair, strict=True)]
            for place, pair in enumerate(zeros)
        ]
        start = (tuple(State(*pair) for pair in parts),)
    case = Case(lstm, x, start, steps, masked_output)
    y, final = perturbed_outputs(case, 1, perturbation.roundoff, perturbation.rng)
    ends = list(zip(*final[0], strict=True))
    return (y, *(np.stack(states) for states in ends))
