"""What is reported on: the run of a model, and the sequence, the steps and the output that are asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask, index
from gatewise.errors import OptionError, join_names
from gatewise.insight.naming import at_step, times_of
from gatewise.layers import LSTM
from gatewise.network import SOFTMAX, Linear, Network, NetworkTrace, Scaling, outputs_of
from gatewise.opening.runs import OpenedRun
from gatewise.records.labels import Labels
from gatewise.records.trace import LSTMTrace, Trace

MOST_STEPS = 2  # of the largest outputs, where no step is named
APART = 0.02  # of the run, that lies between them at least
KINDS = "a cell, an LSTM, a Network, a run, a trace of one of these, or the path of a file with one of them"


@dataclass(frozen=True, eq=False)
class Subject:
    """A run, and what is asked about it.

    Attributes
    ----------
    run : NetworkTrace or LSTMTrace
    cells : dict of Trace
        By layer and direction; of the sequence that is named, where one is.
    outputs : array (time, batch, output), or (1, batch, output) of a network that reads the final states
    names : tuple of str
        Of the outputs.
    target : int
        The output that is asked about.
    sequence : int
        The sequence that the questions about a step are asked of.
    named : bool
        Whether that sequence was named; if not, questions that can be are asked of all sequences.
    steps : tuple of (int or None)
        That are asked about; None for a network that reads the final states.
    """

    run: NetworkTrace | LSTMTrace
    cells: dict[tuple[int, str], Trace]
    outputs: Array
    names: tuple[str, ...]
    target: int
    sequence: int
    named: bool
    steps: tuple[int | None, ...]

    @property
    def lstm(self) -> LSTMTrace:
        """The run of the LSTM."""
        return self.run.lstm if isinstance(self.run, NetworkTrace) else self.run

    @property
    def network(self) -> Network | None:
        """The network, where it is one that ran."""
        return self.run.network if isinstance(self.run, NetworkTrace) else None

    @property
    def labels(self) -> Labels:
        """The names of the run."""
        return self.run.labels

    @property
    def first(self) -> Trace:
        """A cell of the first layer."""
        return next(iter(self.lstm.layers[0].values()))

    @property
    def valid(self) -> Mask | None:
        """Which steps are valid (time, batch); None means all."""
        return self.first.valid

    @property
    def times(self) -> npt.NDArray[Any]:
        """The times of the steps that were kept: dates, names, or numbers."""
        return times_of(self.first)

    def cell_name(self, key: tuple[int, str]) -> str:
        """Return what a cell is called where there are several; nothing where there is one."""
        layer, way = key
        ways, layers = len(self.lstm.directions) > 1, self.lstm.num_layers > 1
        if layers:
            return f"layer {layer}, {way}" if ways else f"layer {layer}"
        return f"the {way} direction" if ways else ""

    def when(self, t: int | None) -> str:
        """Return when a step is, in a sentence, with its number where two of them have one name."""
        if t is None:
            return "at the end"
        names = [at_step(self.first, one) for one in self.steps if one is not None]
        name = at_step(self.first, t)
        return name if names.count(name) < 2 else f"{name} (step {t})"

    @property
    def aimed(self) -> NetworkTrace | LSTMTrace:
        """The run of a network that puts out the one number that is asked about, before a softmax.

        Of an LSTM whose directions are not merged there is none: its own run.
        """
        lstm, network = self.lstm, self.network
        if len(lstm.output.shape) != 3:
            return self.run
        last = Linear(np.eye(lstm.output.shape[2], dtype=lstm.output.dtype))
        hidden: tuple[Linear, ...] = ()
        reads, features, outputs = "every", lstm.output if lstm.batched else lstm.output[:, 0], None
        if isinstance(self.run, NetworkTrace) and network is not None:
            reads, features = network.reads, self.run.features
            hidden, last = network.hidden, network.head or last
            if (whole := network.outputs) is not None:
                outputs = Scaling(whole.center[[self.target]], whole.scale[[self.target]])
        activation = None if last.activation == SOFTMAX else last.activation
        head = Linear(last.weight[[self.target]], np.asarray(last.bias)[[self.target]], activation)
        cells = [[cell.parameters for cell in layer.values()] for layer in lstm.layers]
        own = LSTM.from_cells(cells, direction=lstm.directions[0], merge=lstm.merge)
        aimed = Network(own, head=[*hidden, head], reads=reads, outputs=outputs)
        return NetworkTrace(aimed, lstm, None, features, outputs_of(aimed.dense, features)[-1], self.labels)

    @property
    def chosen(self) -> int | Array:
        """The output that is asked about, as `insight.attribution` takes it: by its number, or a weight for each."""
        shape = self.lstm.output.shape[2:]
        if self.network is not None and self.network.head is not None:
            return self.target
        if len(shape) == 1:
            return self.target
        weight = np.zeros(int(np.prod(shape)))
        weight[self.target] = 1
        return weight.reshape(shape)


def subject_of(
    opened: OpenedRun,
    *,
    sequence: int | str | None,
    at: int | str | Sequence[int | str] | None,
    target: int | str | None,
) -> Subject:
    """Return what is to be reported on; the arguments are those of `gatewise.report`."""
    trace: Any = opened.trace.stored
    lstm = trace.lstm
    run = lstm if trace.network is None else trace
    _require_steps(lstm)
    first = next(iter(lstm.layers[0].values()))
    outputs, names = _outputs(run, lstm)
    valid = None if len(outputs) != lstm.num_steps else first.valid
    _require_finite(lstm, first, outputs, valid)
    number = _named("sequence", sequence, lstm.batch_size, first.labels.sequences)
    output = _named("output", target, outputs.shape[2], names)
    sizes = np.abs(outputs) if valid is None else np.where(valid[..., None], np.abs(outputs), -1)
    if number is not None:
        sizes = sizes[:, number : number + 1]
    if output is None:
        output = int(np.unravel_index(np.argmax(sizes), sizes.shape)[2])
    size = sizes[..., output]
    single = isinstance(run, NetworkTrace) and run.network.reads == "last"
    chosen = number
    if chosen is None:
        chosen = int(np.unravel_index(np.argmax(size), size.shape)[1])
    if single:
        if at is not None:
            raise OptionError("this network has one output, at the end of a sequence: no step can be named")
        steps: tuple[int | None, ...] = (None,)
    elif at is not None:
        steps = _steps(at, first, chosen)
    else:
        steps = _largest(size[:, 0 if number is not None else chosen])
    cells = {key: _alone(cell, number) for key, cell in lstm.cells().items()}
    return Subject(run, cells, outputs, names, output, chosen, number is not None, steps)


def _require_steps(lstm: LSTMTrace) -> None:
    first = next(iter(lstm.layers[0].values()))
    if not lstm.num_steps or not lstm.batch_size:
        raise OptionError("a report needs a step; this run has none")
    if first.valid is not None and not first.valid.any():
        raise OptionError("a report needs a valid step; this run has none")


def _outputs(run: NetworkTrace | LSTMTrace, lstm: LSTMTrace) -> tuple[Array, tuple[str, ...]]:
    """Return the outputs (time, batch, output), and their names."""
    given, labels = run.output, run.labels.outputs
    if isinstance(run, NetworkTrace):
        if run.network.reads == "last":
            given = given[None, None] if given.ndim == 1 else given[None]
        elif not lstm.batched:
            given = given[:, None]
    outputs: Array = given.reshape(*given.shape[:2], -1)
    count = outputs.shape[2]
    return outputs, tuple(labels) if labels and len(labels) == count else tuple(map(str, range(count)))


def _require_finite(lstm: LSTMTrace, first: Trace, outputs: Array, valid: Mask | None) -> None:
    """Raise OptionError where a number of the input, or then of the output, is none."""
    for what, array, on in (("input", first.input, first.valid), ("output", outputs, valid)):
        if array is None:
            continue
        bad = ~np.isfinite(array).all(-1)
        if on is not None:
            bad &= on
        if bad.any():
            t, sequence = np.argwhere(bad)[0]
            raise OptionError(
                f"a report needs finite numbers, but the {what} of the run {at_step(first, int(t))}"
                f" of sequence {sequence} is not finite"
            )


def _named(what: str, given: int | str | None, count: int, names: Sequence[str] | None) -> int | None:
    """Return which of `count` things is meant, by its name or its number."""
    if given is None:
        return None
    if isinstance(given, str):
        if names is not None and given in names:
            return list(names).index(given)
        if given.lstrip("-").isdecimal():
            given = int(given)
        else:
            some = f"; it has {join_names(map(repr, names))}" if names is not None else ""
            raise OptionError(f"there is no {what} {given!r} in this run{some}")
    return index(what, given, count, "this run")


def _steps(at: int | str | Sequence[int | str], first: Trace, sequence: int) -> tuple[int, ...]:
    """Return the steps that are named, each by its number or its time."""
    found = []
    times = None if first.labels.times is None else [str(time) for time in first.labels.times]
    for one in at if isinstance(at, (Sequence, np.ndarray)) and not isinstance(at, str) else [at]:
        step = _named("step", one, len(first), times)
        if step is None:
            raise OptionError("at must be steps, by their numbers or times")
        if first.valid is not None and not first.valid[step, sequence]:
            raise OptionError(f"step {one} of sequence {sequence} is not valid")
        found.append(step)
    if not found:
        raise OptionError("at must be one or more steps")
    return tuple(dict.fromkeys(found))


def _largest(size: Array) -> tuple[int, ...]:
    """Return the steps at which an output is largest, which do not lie side by side."""
    left, found = size.astype(np.float64), list[int]()
    apart = max(1, round(APART * len(left)))
    while len(found) < MOST_STEPS and left.max() >= 0:
        t = int(left.argmax())
        found.append(t)
        left[max(0, t - apart) : t + apart + 1] = -1
    return tuple(found)


def _alone(cell: Trace, sequence: int | None) -> Trace:
    """Return the trace of one sequence; of all where none is named."""
    if sequence is None or cell.batch_size == 1:
        return cell
    alone: Trace = cell[:, sequence : sequence + 1]
    return alone
