"""The target of an explanation: one number of a run, a weighted sum of the LSTM's output at one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask, numbers
from gatewise.errors import OptionError, ShapeError
from gatewise.insight import naming
from gatewise.insight.retention import require_range
from gatewise.layers.merging import merge
from gatewise.margins import TIE
from gatewise.network import Network, NetworkTrace
from gatewise.records.labels import Measure
from gatewise.records.run_record import RunRecord
from gatewise.records.trace import LSTMTrace, Trace

if TYPE_CHECKING:
    from gatewise.insight.graph_number import GraphNumber

Output = int | str | npt.ArrayLike


@dataclass(frozen=True, eq=False, repr=False)
class Target:
    """One number of a run of one sequence: weight · y + bias, where y is the LSTM's output at one step.

    Attributes
    ----------
    lstm : LSTMTrace
        The run of that sequence, with a batch of one.
    places : dict of int
        The step of the hidden state of each direction of the last layer; the final states of two directions have
        different steps.
    weight : array
        In the shape of y.
    bias : float
        The bias of the head.
    value : float
        The number, in float64.
    name : str
        Its name in a sentence: ``output q at step 6``, ``output q on 2001-08-01``.
    before : str
        The next function, which changes the number: the activation of the head, or the lower bound of a scaled output;
        empty without one.
    measure : Measure or None
        Its measure, if the labels have one and no activation follows.
    sequence : int
        The place of the sequence in the batch.
    tokens : array of int (time,) or None
        The embedded tokens.
    network : Network or None
        The network of the run, if there is one.
    in_graph : GraphNumber or None
        Of an LSTM in a graph, the number as a function of the LSTM's run; weight and bias are then those of its linear
        approximation at this run.
    past : str
        Where the states are from which a part of the run begins, in words; empty for the whole run.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> number = gw.insight.target(trace)
    >>> number.name, round(number.value, 2)
    ('output 0 at step 6', 0.75)
    """

    lstm: LSTMTrace
    places: dict[str, int]
    weight: Array
    bias: float
    value: float
    name: str
    before: str = ""
    measure: Measure | None = None
    sequence: int = 0
    tokens: npt.NDArray[np.integer[Any]] | None = None
    network: Network | None = None
    past: str = ""
    in_graph: GraphNumber | None = None

    def __repr__(self) -> str:
        return f"<Target: {self.clause}>"

    @property
    def first(self) -> Trace:
        """A cell of the first layer, which reads the input."""
        return self.lstm.first

    @property
    def x(self) -> Array:
        """The input of the LSTM (time, features), in float64; 0 at invalid steps."""
        x = self.first.require("an attribution")[:, 0].astype(np.float64)
        return x if self.valid is None else np.where(self.valid[:, None], x, 0.0)

    @property
    def valid(self) -> Mask | None:
        """True at valid steps (time,); None if all are valid."""
        return None if self.first.valid is None else self.first.valid[:, 0]

    @property
    def step(self) -> int | None:
        """The step of the output; None for the final states of two directions."""
        steps = set(self.places.values())
        return steps.pop() if len(steps) == 1 else None

    def of(self, hidden: list[Array]) -> Array:
        """Return the explained output (…,) for hidden states (…, recurrent) of each direction of the last layer."""
        y = merge([states.astype(np.float64) for states in hidden], self.lstm.merge[-1])
        value: Array = (y * self.weight).reshape(*hidden[0].shape[:-1], -1).sum(-1) + self.bias
        return value

    def as_weights(self, question: str) -> Target:
        """Return the number as a weighted sum of the LSTM's output; OptionError if a graph makes it otherwise."""
        if self.in_graph is None:
            return self
        self.in_graph.network.readout(question)
        return replace(self, in_graph=None)

    @property
    def hidden(self) -> list[Array]:
        """The hidden state (recurrent,) of each direction of the last layer at its step, in float64."""
        top = self.lstm.layers[-1]
        return [top[way].hidden_state[place, 0].astype(np.float64) for way, place in self.places.items()]

    @property
    def output(self) -> Array:
        """The output of the LSTM at the step, in float64."""
        return merge(self.hidden, self.lstm.merge[-1])

    def nearest(self, count: int) -> Target:
        """Return the number of a part of the run: the nearest steps to it, which begin with the states that they had.

        The final states of two directions are of the whole run.
        """
        ways, step, last = self.lstm.directions, self.step, self.lstm.num_steps - 1
        if step is None:
            return self
        first = max(0, step - count + 1) if "forward" in ways else step
        stop = min(last, step + count - 1) + 1 if "backward" in ways else step + 1
        edges = [f"before {naming.step_name(self.first, first)}"] * ("forward" in ways and first > 0)
        edges += [f"after {naming.step_name(self.first, stop - 1)}"] * ("backward" in ways and stop <= last)
        layers = tuple({way: cell[first:stop] for way, cell in row.items()} for row in self.lstm.layers)
        lstm = replace(self.lstm, layers=layers, stored_output=self.lstm.stored_output[first:stop])
        tokens = None if self.tokens is None else self.tokens[first:stop]
        places = {way: place - first for way, place in self.places.items()}
        in_graph = None if self.in_graph is None else self.in_graph.from_step(first)
        return replace(self, in_graph=in_graph, lstm=lstm, places=places, tokens=tokens, past=" and ".join(edges))

    @property
    def phrase(self) -> str:
        """The name of the number; with a comma at its end where it is one before the next function."""
        return f"{self.name}, before its {self.before}," if self.before else self.name

    @property
    def clause(self) -> str:
        """The first clause of an attribution's sentence: the number's name and its value."""
        return f"{self.phrase[0].upper()}{self.phrase[1:]} is {self.value:.4g}"


def target(
    trace: Trace | LSTMTrace | NetworkTrace, output: Output = 0, t: int | str | None = None, sequence: int | str = 0
) -> Target:
    """Return the number of a run to explain: weight · y + bias, where y is the LSTM's output at one step.

    Parameters
    ----------
    trace : NetworkTrace, LSTMTrace or Trace
        A run that keeps everything. The output of the `Trace` of one cell are its hidden states.
    output : int, str or array
        An output of the network or the LSTM, by its number or its name (`Labels.outputs`); or weights in the shape of
        the LSTM's output at one step, whose weighted sum is the number. With an activation of the head, the number is
        the one before it.
    t : int or str, optional
        The step in the input's time, or its date or name; by default the last valid one in the direction of the run.
        Negative numbers count from the end. A network that reads the final states has no such step.
    sequence : int or str
        The place of a sequence in the batch, or its name.

    Returns
    -------
    Target

    Raises
    ------
    OptionError
        If there is no such output, step or sequence, the step is not valid, or the number is not finite.
    ShapeError
        If an array has another shape.
    NotKeptError
        If the trace did not keep everything.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> number = target(latch().trace())
    >>> number.name, round(number.value, 3)
    ('output 0 at step 6', 0.75)
    """
    if not isinstance(trace, RunRecord):
        instead = "; explain the trace of one of its LSTMs, by its name" if hasattr(trace, "lstms") else ""
        kind = type(trace).__name__
        raise OptionError(f"an explanation takes a NetworkTrace, an LSTMTrace or a Trace, not {kind}{instead}")
    run = trace.stored
    run.require("an attribution")
    require_range(run.lstm.first)
    network, lstm = run.network, run.lstm
    sequence = naming.sequence_of(lstm.first, sequence)
    single = lstm.sequence(sequence).stored
    places, when = _steps_of_output(lstm, t, sequence, final=network is not None and network.reads == "last")
    names = single.labels if network is None else run.labels
    in_graph = None
    if (
        network is not None
        and network.is_in_graph
        and isinstance(output, (int, np.integer, str))
        and not isinstance(output, bool)
    ):
        single_run: Any = run.sequence(sequence).stored
        weight, bias, name, before, in_graph = _number_in_graph(single_run, output, names.outputs, places)
    else:
        weight, bias, name, before = _weights_of_output(network, single, output, names.outputs)
    measure = None if before else names.measures.get(name.removeprefix("output "))
    tokens = None if run.tokens is None else run.tokens[:, sequence]
    title = f"{name} {when}{naming.of_sequence(lstm.first, sequence)}"
    number = Target(
        single, places, weight, bias, np.nan, title, before, measure, sequence, tokens, network, "", in_graph
    )
    value = float(number.of(number.hidden))
    if not np.isfinite(value):
        raise OptionError(f"{title} is {value}, which is not finite, so there is nothing to explain")
    return replace(number, value=value, before=before or _active_lower_bound(network, output, names.outputs, value))


def _active_lower_bound(network: Network | None, output: Output, names: Sequence[str] | None, value: float) -> str:
    """Return ``lower bound`` if the bound of a scaled network output is above this number, else an empty text."""
    if network is None or network.skip or network.outputs is None or network.outputs.least is None:
        return ""
    if not isinstance(output, (int, np.integer, str)):
        return ""
    place = naming.output_of(output, names, network.num_outputs)
    least = network.outputs.least[place]
    return "lower bound" if value < least - TIE * max(abs(value), abs(least)) else ""


def _number_in_graph(
    run: Any, output: int | np.integer[Any] | str, names: Sequence[str] | None, places: dict[str, int]
) -> tuple[Array, float, str, str, GraphNumber]:
    """Return an output of a graph as weights of the LSTM's output at its step and a bias, its name, and its classes."""
    from gatewise.insight.graph_number import GraphNumber  # which most runs do without

    network = run.network
    count = network.num_outputs
    names = names if names is not None and len(names) == count else None
    place = naming.output_of(output, names, count)
    step = max(places.values()) if network.reads == "every" else None
    number = GraphNumber(run, place, step)
    y, finals, x = run.lstm.output, run.lstm.state, np.asarray(run.input)
    dy = np.zeros((*([len(y)] if step is not None else []), 1, count), y.dtype)
    dy[(*([step] if step is not None else []), 0, place)] = 1
    of_y, of_finals = network.gradients_after(y, finals, x, dy)
    shape = y.shape[2:]
    if step is None and len(shape) == 1:
        weight = of_y[-1, 0].astype(np.float64)
        weight += merge([state.h[0].astype(np.float64) for state in of_finals[-1]], run.lstm.merge[-1])
    else:
        weight = of_y[-1 if step is None else step, 0].astype(np.float64)
    value = float(number.value_of(run.lstm)[0])
    hidden = [run.lstm.layers[-1][way].hidden_state[at, 0].astype(np.float64) for way, at in places.items()]
    bias = value - float((merge(hidden, run.lstm.merge[-1]) * weight).sum())
    before = "" if network.activation is None else str(network.activation)
    return weight, bias, naming.output_phrase(str(place) if names is None else names[place]), before, number


def _steps_of_output(lstm: LSTMTrace, t: int | str | None, sequence: int, *, final: bool) -> tuple[dict[str, int], str]:
    """Return the step of the explained output in each direction, and its time in a sentence."""
    step = naming.valid_step(lstm.first, None if final else t, sequence, "an explanation")
    if not final:
        return dict.fromkeys(lstm.directions, step), naming.at_step(lstm.first, step)
    if t is not None:
        raise OptionError(f"this network only outputs at the end, so there is no step {t!r} to choose. Leave out t.")
    return naming.final_places(lstm), "at the end"


def _weights_of_output(
    network: Network | None, lstm: LSTMTrace, output: Output, names: Sequence[str] | None
) -> tuple[Array, float, str, str]:
    """Return the explained output as weights of the LSTM's output and a bias, its name, and its activation."""
    shape = lstm.output.shape[2:]
    if not isinstance(output, (int, np.integer, str, bool)):
        weight = numbers("output", output, np.float64)
        if weight.shape != shape:
            raise ShapeError(f"output has shape {weight.shape}; as weights of the LSTM's output it must be {shape}")
        if not np.isfinite(weight).all():
            raise OptionError("output must hold finite numbers")
        return weight, 0.0, "the weighted sum of outputs", ""
    head = None if network is None else network.readout("an output that is explained")[0]
    count = int(np.prod(shape)) if head is None else len(head.weight)
    if names is not None and len(names) != count:
        names = None  # names of one direction, if two are not merged
    place = naming.output_of(output, names, count)
    name = naming.output_phrase(str(place) if names is None else names[place])
    if network is not None and network.skip:
        name += ", without the skip connection,"
    if head is None:
        return np.eye(1, count, place).reshape(shape), 0.0, name, ""
    before = "" if head.activation is None else str(head.activation)
    return head.weight[place].astype(np.float64), float(np.asarray(head.bias)[place]), name, before
