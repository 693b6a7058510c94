"""GraphNetwork: a network that is a graph of operations, called as its framework calls it, traced, differentiated."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import axis_names
from gatewise.errors import NotKeptError, OptionError, ShapeError, join_names, shown
from gatewise.layers import LSTM
from gatewise.layers.backward import gradients_of
from gatewise.layers.stack import States
from gatewise.network import loops, running
from gatewise.network.graph import Graph, Input, Node
from gatewise.network.graph_axes import axes_of
from gatewise.network.graph_drawing import drawing
from gatewise.network.operations import AnyArray
from gatewise.network.running import GraphGradients, GraphRun
from gatewise.records.gradients import LSTMGradients
from gatewise.records.labels import NO_LABELS, Labels
from gatewise.records.step import State
from gatewise.records.trace import LSTMTrace, Trace
from gatewise.showing import brief, counted, inline

if TYPE_CHECKING:
    from gatewise.network.graph_stream import GraphStream


@dataclass(frozen=True)
class Port:
    """An input or an output of a network.

    Attributes
    ----------
    name : str
    shape : tuple of int or None, or None
        The size of each axis, None where it is free; None if the number of axes is not known.
    axes : tuple of str or None
        The meaning of each axis: time, batch, feature, or empty if it is none of these. None if it is not known.
    dtype : str or None
        Of an output, None.
    unit : str
        The physical unit; empty if the file does not say.
    """

    name: str
    shape: tuple[int | None, ...] | None
    axes: tuple[str, ...] | None
    dtype: str | None
    unit: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class GraphTrace:
    """The record of a run of a network: every value, and every gate of every LSTM.

    ``trace["encoder"]`` is the `LSTMTrace` of an LSTM, or the value of another layer or node; ``trace[0]`` is the first
    layer of the only LSTM. Values are on the axes of the file, traces of LSTMs on (time, batch, feature).

    Attributes
    ----------
    network : GraphNetwork
    run : GraphRun
    labels : Labels
    """

    network: GraphNetwork
    run: GraphRun
    labels: Labels = NO_LABELS

    @cached_property
    def lstms(self) -> Mapping[str, LSTMTrace]:
        """The traces of the LSTMs, by their names; of those that ran."""
        result = {}
        for name, nodes in self.network._groups.items():
            if all(node in self.run.lstms for node in nodes):
                result[name] = _stacked([self.run.lstms[node] for node in nodes])
        return result

    def __getitem__(self, key: str | int | tuple[int, str]) -> Any:
        if not isinstance(key, str):
            return self.lstm[key]
        if key in self.network.lstms:
            if key not in self.lstms:
                self.run.value(self.network._groups[key][0])
            return self.lstms[key]
        return self.run.value(self.network.value_name(key))

    __iter__: Any = None  # over layers, nodes or steps? `lstms` and `run.values` say

    @property
    def lstm(self) -> LSTMTrace:
        """The trace of the only LSTM, or of the only one that ran; OptionError if there are none or several."""
        if len(self.network.lstms) != 1 and len(self.lstms) != 1:
            names = join_names(map(repr, self.network.lstms))
            raise OptionError(
                f"this network has {counted(len(self.network.lstms), 'LSTM')}, not one."
                f"{f' Choose one by its name, as in trace[{names}].' if names else ''}"
            )
        if not self.lstms:
            self.run.value(next(iter(self.network._groups.values()))[0])
        return next(iter(self.lstms.values()))

    @property
    def outputs(self) -> Mapping[str, AnyArray]:
        """The outputs by their names."""
        return dict(zip(self.network.graph.output_names, self.run.outputs, strict=True))

    @property
    def output(self) -> Any:
        """The output, or a tuple of them."""
        return _single(self.run.outputs)

    @property
    def state(self) -> Any:
        """The final states, as a call returns them."""
        return self.network._states_of(self.run.values)

    def rerun(self, **values: npt.ArrayLike) -> GraphTrace:
        """Return the run with some values replaced, and everything that depends on them computed again.

        Parameters
        ----------
        **values : array
            By the names of values, in their shapes: ``**{"encoder": zeros}`` sets the output of an LSTM.

        Raises
        ------
        OptionError
            If there is no value of that name.
        ShapeError
            If a shape does not match.
        """
        named = {self.network.value_name(name): value for name, value in values.items()}
        return GraphTrace(self.network, running.rerun(self.run, named), self.labels)

    def __repr__(self) -> str:
        arrays: dict[str, Any] = {f"[{name!r}]": trace.output for name, trace in self.lstms.items()}
        with suppress(NotKeptError):
            arrays |= self.outputs
        return brief(f"GraphTrace: of {self.network!r}", arrays)

    def _repr_html_(self) -> str:
        return inline(self)


@dataclass(frozen=True, eq=False, repr=False)
class GraphNetworkGradients:
    """The gradients of a loss with respect to everything in a run of a network.

    ``gradients["encoder"]`` is the gradient with respect to the output of an LSTM, of a layer, of an input or of any
    other value.

    Attributes
    ----------
    network : GraphNetwork
    found : GraphGradients
    """

    network: GraphNetwork
    found: GraphGradients

    def __getitem__(self, name: str) -> AnyArray:
        return self.found[self.network.value_name(name)]

    @property
    def x(self) -> Any:
        """The gradient with respect to the input, or a tuple of them; None for inputs that are whole numbers."""
        return _single([self.found.values.get(port.name) for port in self.network.graph.inputs])

    @property
    def lstms(self) -> Mapping[str, LSTMGradients]:
        """The gradients with respect to the parameters of each LSTM, its input and its initial state."""
        gradients = {}
        for name, nodes in self.network._groups.items():
            if all(node in self.found.lstms for node in nodes):
                parts = [self.found.lstms[node] for node in nodes]
                layers = tuple(layer for part in parts for layer in part.layers)
                state = tuple(layer for part in parts for layer in part.state)
                gradients[name] = LSTMGradients(layers, parts[0].x, state)
        return gradients

    def __repr__(self) -> str:
        return brief("GraphNetworkGradients", dict(self.found.values))


class GraphNetwork:
    """A network of any wiring: a graph of operations, some of which are LSTMs.

    It is called as the framework of its file calls it, on the axes of the file.

    Parameters
    ----------
    graph : Graph
    labels : Labels, optional
        Names of features and outputs, and their units.

    Attributes
    ----------
    graph : Graph
    nodes : mapping of str to Node
        By name, in the order in which they run.
    lstms : mapping of str to LSTM
        By name, in the order in which they run.
    labels : Labels

    Examples
    --------
    >>> from gatewise.network.graph import Builder
    >>> from gatewise.network.graph_network import GraphNetwork
    >>> build = Builder()
    >>> y, h, c = build.add("lstm", build.input("x", (None, None, 3)), lstm=gw.LSTM(3, 4, rng=0), name="encoder")
    >>> network = GraphNetwork(build.graph([build.add("softmax", y, axis=-1, name="scores")]))
    >>> trace = network.trace(np.ones((5, 2, 3)))
    >>> trace["encoder"][0].forget_gate.shape, trace["scores"].shape
    ((5, 2, 4), (5, 2, 4))
    """

    provenance: Any = None  # where a reader of `interop` found it

    def __init__(self, graph: Graph, labels: Labels = NO_LABELS) -> None:
        self.graph, self.labels = graph, labels
        self.nodes: Mapping[str, Node] = {node.name: node for node in graph.nodes}
        self._groups = _groups(graph)  # the nodes of each LSTM
        self.lstms: Mapping[str, LSTM] = {
            name: _joined([graph.lstms[node] for node in nodes]) for name, nodes in self._groups.items()
        }
        self._has_warned = False

    # What it is.

    @property
    def num_parameters(self) -> int:
        """The numbers in its arrays and LSTMs."""
        return self.graph.num_parameters

    @cached_property
    def _axes(self) -> Mapping[str, tuple[str, ...]]:
        return axes_of(self.graph)

    @property
    def inputs(self) -> Mapping[str, Port]:
        """The inputs by name, in the order in which a call takes them."""
        return {
            port.name: Port(port.name, port.shape, self._axes.get(port.name), port.dtype.name, self._unit(port.name))
            for port in self.graph.inputs
        }

    @property
    def outputs(self) -> Mapping[str, Port]:
        """The outputs by name, in the order in which a call returns them."""
        return {
            name: Port(name, None, self._axes.get(value), None, self._unit(name))
            for name, value in zip(self.graph.output_names, self.graph.outputs, strict=True)
        }

    def _unit(self, name: str) -> str:
        measure = self.labels.measures.get(name)
        return "" if measure is None else measure.unit or ""

    def value_name(self, name: str) -> str:
        """Return the name in the graph of the output of an LSTM or a layer, or of an input or another value."""
        if any(port.name == name for port in self.graph.inputs):
            return name
        nodes = self._groups.get(name)
        return nodes[-1] if nodes else self.graph.layers.get(name, name)

    def is_affine_after(self, name: str) -> bool:
        """Say whether all outputs are affine in the output of an LSTM: then their gradient is the readout, exactly."""
        if name not in self.lstms:
            raise OptionError(f"there is no LSTM {shown(name)!r}; there are {join_names(map(repr, self.lstms))}")
        return running.is_affine_after(self.graph, self._groups[name][-1])

    # What it does.

    def __call__(self, *inputs: Any, state: Any = None, axes: str | Sequence[str] | None = None, **named: Any) -> Any:
        """Run the network.

        Parameters
        ----------
        *inputs, **named : array
            The inputs in order, or by name, on the axes of the file.
        state : nested sequence of State, or mapping of str to that, optional
            The initial state of the only LSTM, or of several by name; by default what the file says, or zeros. It may
            follow the inputs. If the file has an input of that name, it is meant.
        axes : str or sequence of str, optional
            The order of the axes of the inputs, for example ``time,batch,feature``, if it is not that of the file.

        Returns
        -------
        y : array, or tuple of array
            The output, or the outputs, on the axes of the file, or in the order of `axes`.
        state : tuple of tuple of State, or dict of str to that
            The final state of the only LSTM, or of each by name.

        Raises
        ------
        OptionError
            If an input is missing, unknown or no number; or if gatewise lacks an operation, by its name.
        ShapeError
            If a size does not match.
        CapacityError
            If the run would take too much memory or time.

        Warns
        -----
        UserWarning
            Once, if the axes of the file do not begin with time, and `axes` is not given.
        """
        graph, feeds = self._prepared(inputs, named, state, axes)
        ends = [name for nodes in self._groups.values() for node in nodes for name in (f"{node}.h", f"{node}.c")]
        outputs, states = running.run_keeping(graph, feeds, ends)
        pairs = zip(self.graph.outputs, outputs, strict=True)
        return _single([self._in_order(name, array, axes) for name, array in pairs]), self._states_of(states)

    def trace(
        self, *inputs: Any, state: Any = None, axes: str | Sequence[str] | None = None, **named: Any
    ) -> GraphTrace:
        """Run the network and keep every value, and every gate of every step of its LSTMs.

        Parameters are those of a call. An operation that gatewise lacks, and what needs its output, are left out; the
        trace says so where they are asked for.

        Returns
        -------
        GraphTrace
        """
        graph, feeds = self._prepared(inputs, named, state, axes)
        return GraphTrace(self, running.trace(graph, feeds), self.labels)

    def stream(self, batch_size: int | None = None, *, engine: str = "auto") -> GraphStream:
        """Return a stream of a causal network: see `GraphStream`. OptionError names the node that is not causal."""
        from gatewise.network.graph_stream import GraphStream  # which calls do without

        return GraphStream(self, batch_size, engine=engine)

    def _prepared(
        self, inputs: Sequence[Any], named: Mapping[str, Any], state: Any, axes: str | Sequence[str] | None
    ) -> tuple[Graph, dict[str, AnyArray]]:
        """Return the graph that runs, and the arrays of its inputs, checked and on the axes of the file."""
        names = [port.name for port in self.graph.inputs]
        if "state" in names and state is not None:  # which is an input of the file, then
            named, state = {**named, "state": state}, None
        elif len(inputs) == len(names) + 1 and state is None:
            *inputs, state = inputs
        if axes is None:
            self._warn_of_axes()
        else:
            order = axis_names(axes)
            if names and not any("time" in self._axes.get(name, ()) for name in names):
                raise OptionError(f"gatewise cannot tell the axes of the input {names[0]!r}. Pass it as in its file.")
            inputs = [
                self._on_file_axes(port, value, order) for port, value in zip(self.graph.inputs, inputs, strict=False)
            ]
            by_name = {port.name: port for port in self.graph.inputs}
            named = {
                name: self._on_file_axes(by_name[name], value, order) if name in by_name else value
                for name, value in named.items()
            }
        feeds = running.feeds_of(self.graph, inputs, named)
        if state is None:
            return self.graph, feeds
        states = state if isinstance(state, Mapping) else {self._only_lstm("a state"): state}
        provided = {node: pair for name, item in states.items() for node, pair in self._given_state(name, item).items()}
        graph = running.with_states(self.graph, tuple(provided))
        return graph, feeds | {
            f"{node}.{part}0": array for node, pair in provided.items() for part, array in pair.items()
        }

    def _only_lstm(self, subject: str) -> str:
        if len(self.lstms) != 1:
            raise OptionError(f"{subject} needs the name of an LSTM. Choose one of {join_names(map(repr, self.lstms))}")
        return next(iter(self.lstms))

    def _given_state(self, name: str, state: Any) -> dict[str, dict[str, AnyArray]]:
        """Return an initial state as arrays (direction, batch, ·), for each node of an LSTM."""
        if name not in self.lstms:
            raise OptionError(f"there is no LSTM {shown(name)!r}; there are {join_names(map(repr, self.lstms))}")
        nodes, lstm = self._groups[name], self.lstms[name]
        provided = {}
        try:
            for node, row in zip(nodes, state, strict=True):
                pairs = [tuple(np.asarray(part, lstm.dtype) for part in pair) for pair in row]
                pairs = [tuple(part[None] if part.ndim == 1 else part for part in pair) for pair in pairs]
                h, c = zip(*pairs, strict=True)
                if len(h) != len(lstm.directions):
                    raise ValueError
                provided[node] = {"h": np.stack(h), "c": np.stack(c)}
        except (ValueError, TypeError):
            raise ShapeError(
                f"the state of {shown(name)!r} must have {counted(len(nodes), 'layer')} of"
                f" {counted(len(lstm.directions), 'direction')}, each a State(h, c)"
            ) from None
        return provided

    def _states_of(self, values: Mapping[str, AnyArray]) -> Any:
        """Return the final states of the LSTMs that ran: of the only LSTM, or by name."""
        states: dict[str, States] = {}
        for name, nodes in self._groups.items():
            ends = [(f"{node}.h", f"{node}.c") for node in nodes]
            if all(h in values and c in values for h, c in ends):
                rows = [zip(values[h], values[c], strict=True) for h, c in ends]
                states[name] = tuple(tuple(State(*pair) for pair in row) for row in rows)
        return next(iter(states.values()), None) if len(self.lstms) == 1 else states

    # Axes.

    def _warn_of_axes(self) -> None:
        """Warn once if the axes of the file do not begin with time."""
        if self._has_warned:
            return
        self._has_warned = True
        inputs = [(port.name, self._axes.get(port.name, ())) for port in self.graph.inputs]
        other = [(name, axes) for name, axes in inputs if "time" in axes and axes[0] != "time"]
        if other:
            words = join_names((f"{shown(name, 40)} as {','.join(axes)}" for name, axes in other), "and")
            warnings.warn(f"the network takes {words}, as its file does; axes= gives another order", stacklevel=4)

    def _on_file_axes(self, item: Input, value: Any, order: tuple[str, ...]) -> Any:
        """Return an input whose axes have an order on the axes of the file."""
        array = np.asarray(value)
        axes = self._axes.get(item.name)
        if axes is not None and "time" not in axes:
            return value
        if axes is None:
            raise OptionError(
                f"gatewise cannot tell the axes of the input {shown(item.name)!r}. Pass it as in its file."
            )
        provided = [name for name in order if name in axes]
        if sorted(provided) != sorted(axes) or array.ndim != len(axes):
            raise ShapeError(
                f"{shown(item.name)} has shape {array.shape} on the axes {','.join(order)};"
                f" in the file it has {','.join(axes)}"
            )
        return array.transpose([provided.index(name) for name in axes])

    def _in_order(self, name: str, array: AnyArray, axes: str | Sequence[str] | None) -> AnyArray:
        """Return an output in the order of the axes that a caller gave."""
        local = self._axes.get(name)
        if axes is None or local is None or "" in local:
            return array
        order = [axis for axis in axis_names(axes) if axis in local]
        order += [axis for axis in local if axis not in order]  # of tokens, which have no features
        return array.transpose([local.index(axis) for axis in order])

    # How it is shown.

    def __repr__(self) -> str:
        parts = [counted(len(self.lstms), "LSTM"), f"{counted(len(self.nodes), 'node')}"]
        return f"<GraphNetwork: {', '.join(parts)}, {self.num_parameters:,} parameters>"

    def __str__(self) -> str:
        return "\n".join(drawing(self.graph))

    def _repr_html_(self) -> str:
        return inline(self)


BODIES = (loops.scan, loops.loop)  # rows of the table, which importing them adds


def _single(values: Sequence[Any]) -> Any:
    return values[0] if len(values) == 1 else tuple(values)


# LSTMs of several layers are several nodes.


def _groups(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Return the nodes of each LSTM: those of one layer of the file that read one another are one."""
    groups: dict[str, list[Node]] = {}
    tops: dict[str, str] = {}  # of each value that an LSTM gives, its group
    for node in graph.nodes:
        if node.op != "lstm":
            continue
        below = tops.get(node.inputs[0])
        if below is not None and node.layer and groups[below][-1].layer == node.layer:
            groups[below].append(node)
        else:
            below = node.name
            groups[below] = [node]
        tops[node.outputs[0]] = below
    return {
        (nodes[0].layer if len(nodes) > 1 else name): tuple(node.name for node in nodes)
        for name, nodes in groups.items()
    }


def _joined(lstms: Sequence[LSTM]) -> LSTM:
    """Return LSTMs of one layer each as one."""
    if len(lstms) == 1:
        return lstms[0]
    rows = [lstm.layers[0] for lstm in lstms]
    return LSTM.from_cells(rows, direction=lstms[0].directions[0], merge=[lstm.merge[0] for lstm in lstms])


def _stacked(traces: Sequence[LSTMTrace]) -> LSTMTrace:
    """Return the traces of an LSTM's layers as one."""
    if len(traces) == 1:
        return traces[0]
    layers: tuple[dict[str, Trace], ...] = tuple(layer for trace in traces for layer in trace.layers)
    merge = tuple(way for trace in traces for way in trace.merge)
    return LSTMTrace(layers, traces[-1].stored_output, merge, traces[-1].masked_output)


# Gradients.


@gradients_of.register
def _(trace: GraphTrace, dy: Any, dstate: Any, out: Any) -> GraphNetworkGradients:
    """Return the gradients of a network's run with respect to every value.

    `dy` is the gradient with respect to the output, a sequence of them, or a mapping from names of values.
    """
    if out is not None:
        raise OptionError("out is for the gradients of a Trace or an LSTMTrace. Leave it out for a network.")
    graph, network = trace.network.graph, trace.network
    provided: dict[str, Any] = {}
    if isinstance(dy, Mapping):
        names = dict(zip(graph.output_names, graph.outputs, strict=True))
        for name, gradient in dy.items():
            provided[names.get(name) or network.value_name(name)] = gradient
    elif dy is not None:
        several = [dy] if len(graph.outputs) == 1 else list(dy)
        if len(several) != len(graph.outputs):
            raise ShapeError(f"there are {len(several)} gradients for {counted(len(graph.outputs), 'output')}")
        for name, gradient in zip(graph.outputs, several, strict=True):
            provided[name] = provided[name] + np.asarray(gradient) if name in provided else gradient
    if dstate is not None:
        states = dstate if isinstance(dstate, Mapping) else {network._only_lstm("dstate"): dstate}
        for name, item in states.items():
            for node, pair in network._given_state(name, item).items():
                for part, array in pair.items():
                    provided[f"{node}.{part}"] = provided.get(f"{node}.{part}", 0) + array
    return GraphNetworkGradients(network, running.backward_through(trace.run, provided))
