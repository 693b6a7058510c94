"""How many steps matter? The dependence of a state or an output on the input and the state of each step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, finite_number, quiet
from gatewise.errors import OptionError
from gatewise.insight import naming
from gatewise.insight.answer import Answer, StepTable, relative_error
from gatewise.insight.backward_pass import through_cell
from gatewise.insight.jacobians import (
    Norms,
    frobenius_norms,
    norms_of_cell,
    norms_of_model,
)
from gatewise.insight.retention import require_range, stored_run
from gatewise.layers import backward
from gatewise.layers.lstm import lstm_of
from gatewise.margins import TIE, first_largest, rounding_margin
from gatewise.network import SOFTMAX, Network, NetworkTrace, outputs_of
from gatewise.records.trace import LSTMTrace, Trace

NOTHING = 0.01  # of the output's standard deviation: an influence that moves it by less is none to speak of
MAX_ROWS = 200  # outputs of a graph, each of which takes a backward pass
LAW = "the gradient of a weighted sum of the outputs is that weighted sum of the Jacobians' rows"


@dataclass(frozen=True, eq=False, repr=False)
class Influence(Answer, StepTable):
    """The dependence of a state or an output on each step.

    Attributes
    ----------
    inputs : array (time,)
        The Frobenius norm of ∂h_T/∂x_s, or of a whole model ∂y/∂x_s; 0 at steps without an effect.
    effect : array (time,)
        The same, with each feature in its standard deviations over the sequence.
    size : float
        √Σ effect² as a share of the output's standard deviation: so far all inputs move it, by this approximation, that
        vary as those of the run do, each by itself. NaN if either varies by rounding alone.
    cell_state, hidden_state : array (time,) or None
        Of one cell: the Frobenius norms of ∂c_T/∂c_s, through gates and recurrence, and of ∂h_T/∂h_s. NaN at invalid
        steps, 0 at steps later than T. None for a whole model.
    along_cell : array (time, hidden) or None
        ∂c_T/∂c_s of each unit along the cell alone, with all gates held.
    lag : int
        The distance from T within which steps hold `share` of the sum of `inputs`.
    share : float
    within : str
        The steps within the lag, in words.
    times, valid : arrays (time,)
        Dates, names, or the numbers of the steps; and True at valid steps, or None if all are valid.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> answer = gw.insight.influence(trace[0])
    >>> answer.lag, answer.inputs.shape
    (6, (7,))
    """

    inputs: Array
    effect: Array
    size: float
    cell_state: Array | None
    hidden_state: Array | None
    along_cell: Array | None
    lag: int
    share: float
    within: str


@quiet
def influence(
    trace: Trace | LSTMTrace | NetworkTrace,
    t: int | str | None = None,
    sequence: int | str = 0,
    *,
    share: float = 0.95,
    output: int | str | None = None,
) -> Influence:
    """Return the dependence of the state of a step T, or of the output there, on each step.

    Hochreiter, "Untersuchungen zu dynamischen neuronalen Netzen" (1991), and Bengio, Simard and Frasconi, "Learning
    Long-Term Dependencies with Gradient Descent is Difficult" (1994), measure the reach of a recurrent network
    into the past by ∂h_T/∂h_s, which vanishes or explodes with the distance; Pascanu, Mikolov and Bengio, "On the
    difficulty of training recurrent neural networks" (2013), by its norm. In an LSTM the cell state carries it: along
    the cell, with all gates held, ∂c_T/∂c_s is the product of the forget gates F_{s+1} … F_T (of k + (1 - k) f under
    zoneout). In total, it includes the effect of a cell state on later gates through the hidden state.

    Parameters
    ----------
    trace : Trace, LSTMTrace or NetworkTrace
        A run that keeps everything: of one cell, for its hidden state h_T and cell state c_T, or of a whole model, for
        its output y_T through all its parts. A backward direction also reads steps after T.
    t : int or str, optional
        The step T in the input's time, or its date or name; by default the last valid one in the direction of the run.
        Negative numbers count from the end. A network that reads the final states has no such step.
    sequence : int or str
        The place of a sequence in the batch, or its name.
    share : float
        The part of the influence of all inputs within the lag, 0 < share <= 1.
    output : int or str, optional
        One output of a model, by its number or name, before a softmax. By default all of them as they are.

    Returns
    -------
    Influence
        With a row for each step: ``time``, ``lag`` (its distance from T; if a bidirectional network reads its
        final states, from the nearer end), ``lag_days`` or the like if the times are dates at equal distances,
        ``input``, ``effect``, and for one cell ``along_cell`` (the Frobenius norm over units), ``cell_state`` and
        ``hidden_state``.

    Raises
    ------
    OptionError
        If there is no such step, sequence or output, the step or every step is not valid, `share` is no such number, a
        derivative is not finite, or `trace` is no run.
    NotKeptError
        If the trace did not keep everything.

    Notes
    -----
    The norms are Frobenius norms, √Σ (∂h_k/∂x_j)²: at T itself those of ∂c_T/∂c_T and ∂h_T/∂h_T are √hidden and
    √recurrent. The derivative goes through scalings, dense layers and a skip connection: it is in the output's own unit
    per unit of each feature. With an embedding, x is the embedded token. It says what small changes do; where something
    is saturated, large ones do more, which `horizon` sees.

    Law: the gradient of a weighted sum of the outputs, by one ordinary backward pass, is the same weighted sum of the
    Jacobians' rows; the residual is relative to the largest sum of absolute values of a step. Time is linear in the
    number of steps, and that of a backward pass with as many sequences as there are outputs (of one cell: recurrent +
    hidden); it ends early once all derivatives have vanished. It computes in float64 and in chunks: below 1 GB in
    addition to the trace for 100,000 steps of 128 units.

    Examples
    --------
    >>> trace = gw.LSTM(3, 8, rng=0).trace(np.zeros((100, 3)))[0]
    >>> print(influence(trace))
    95 % of the influence on the hidden state at step 99 comes from the last 7 steps.
    """
    share = finite_number("share", share, "a number above 0 and at most 1", lambda value: 0 < value <= 1)
    run = stored_run(trace)
    run.require_unedited("influence")
    run.require("influence")
    require_range(run.lstm.first)
    if not isinstance(run, Trace):
        return _influence_on_output(run, t, sequence, share, output)
    if output is not None:
        raise OptionError(f"a single cell has no outputs to choose. Leave out output={output!r}.")
    return _influence_on_cell(run, t, sequence, share)


def _influence_on_cell(trace: Trace, t: int | str | None, sequence: int | str, share: float) -> Influence:
    """Return the influence of each step on the hidden state of step `t` of a cell's run."""
    sequence = naming.sequence_of(trace, sequence)
    t = naming.valid_step(trace, t, sequence, "influence")
    single: Trace = trace[:, sequence : sequence + 1]
    weights = _weights(trace.parameters.recurrent_size)
    norms = norms_of_cell(single, t, weights)
    dy = np.zeros(single.hidden_state.shape)
    dy[t, 0] = weights
    gradient, _ = through_cell(single, dy)
    place = f"the hidden state {naming.at_step(trace, t)}{naming.of_sequence(trace, sequence)}"
    residual, varying = _residual(norms, gradient[:, 0]), (single.require("influence"), single.hidden_state)
    return _influence_answer(trace, norms, np.array([t]), sequence, share, place, residual, (trace.direction,), varying)


def _influence_on_output(
    run: LSTMTrace | NetworkTrace, t: int | str | None, sequence: int | str, share: float, output: int | str | None
) -> Influence:
    """Return the influence of each step on the output of an LSTM's or network's run."""
    first, last = run.lstm.first, run.network is not None and run.network.reads == "last"
    sequence = naming.sequence_of(first, sequence)
    if last and t is not None:
        raise OptionError(f"this network only outputs at the end, so there is no step {t!r} to choose. Leave out t.")
    step = naming.valid_step(first, t, sequence, "influence")
    single, chosen, name = _chosen_output(run.sequence(sequence).stored, output)
    if single.network.is_in_graph:
        return _influence_in_graph(single, first, step, sequence, share, chosen, name)
    places = naming.final_places(single.lstm) if last else dict.fromkeys(single.lstm.directions, step)
    seeds, rows = (array[chosen] for array in _output_jacobian(single, step))
    weights = _weights(len(rows))
    norms = norms_of_model(single, places, seeds, rows, weights)
    dy = np.zeros(single.output.shape)
    dy[0 if last else (step, 0)].reshape(-1)[chosen] = weights
    gradients = backward(single, dy)
    gradient = gradients.lstm.x if gradients.x is None else gradients.x
    place = f"{name} {naming.at_step(first, step)}{naming.of_sequence(first, sequence)}"
    ends, y = np.array([step]), single.output
    given = single.lstm.first.require("influence") if single.input is None else single.input
    if last:
        on = naming.valid_places(first, sequence)
        place = f"{name}{naming.of_sequence(first, sequence)}"
        ends = np.array([on[-1 if way == "forward" else 0] for way in single.lstm.directions])
        y = single.network.predict(single.lstm.output, given)  # as if the input ended at each step
    varying = given, y.reshape(*y.shape[:2], -1)[..., chosen]
    residual = _residual(norms, gradient[:, 0])
    return _influence_answer(first, norms, ends, sequence, share, place, residual, single.lstm.directions, varying)


def _chosen_output(run: Any, output: int | str | None) -> tuple[NetworkTrace, list[int] | slice, str]:
    """Return a run as that of a network, the places of the outputs that are asked for, and their name in a sentence.

    If one is chosen, no softmax follows.
    """
    network, lstm = run.network, run.lstm
    if network is not None and network.is_in_graph:
        before = f", before the {network.activation}," if network.activation is not None else ""
        if output is None:
            return run, slice(None), f"the output{before}"
        names = run.labels.outputs if len(run.labels.outputs or ()) == network.num_outputs else None
        place = naming.output_of(output, names, network.num_outputs)
        name = naming.output_phrase(str(place) if names is None else names[place])
        name = "the output" if network.num_outputs == 1 else name
        return run, [place], name + before
    if network is None:
        network = Network(lstm_of(lstm))
        run = NetworkTrace(network, lstm, None, lstm.output, lstm.output, lstm.labels)
    if output is None:
        return run, slice(None), "the output"
    count = int(np.prod(run.output.shape[1 if network.reads == "last" else 2 :]))
    names = run.labels.outputs if len(run.labels.outputs or ()) == count else None
    place = naming.output_of(output, names, count)
    name = "the output" if count == 1 else naming.output_phrase(str(place) if names is None else names[place])
    if network.head is not None and network.head.activation == SOFTMAX:
        network = network.replace(head=[*network.hidden, replace(network.head, activation=None)])
        run = replace(run, network=network, output=network.predict(run.features, run.input))
        name += ", before the softmax,"
    return run, [place], name


def _influence_in_graph(
    single: NetworkTrace, first: Trace, step: int, sequence: int, share: float, chosen: Any, name: str
) -> Influence:
    """Return the influence of each step on outputs of a graph before their classes: a backward pass for each."""
    network: Any = single.network
    last, rows = network.reads == "last", np.arange(network.num_outputs)[chosen]
    if len(rows) > MAX_ROWS:
        raise OptionError(f"the network has {len(rows):,} outputs, too many to combine. Choose one with output=.")
    at: Any = (0,) if last else (step, 0)
    weights, shape = _weights(len(rows)), (*([] if last else [single.num_steps]), 1, network.num_outputs)

    def gradient(of_rows: Any, values: Any) -> Array:
        """Return the gradient (time, feature) of a sum of outputs."""
        dy = np.zeros(shape, single.output.dtype)
        dy[(*at, of_rows)] = values
        return network.gradient_of_input(single, dy)[:, 0].astype(np.float64)  # type: ignore[no-any-return]

    each = np.stack([gradient(row, 1) for row in rows])
    combined = np.einsum("k,kti->ti", weights, each)
    terms = np.einsum("k,kti->ti", np.abs(weights), np.abs(each))
    norms = Norms(np.sqrt(np.square(each).sum(0)), combined, terms)
    residual = _residual(norms, gradient(rows, weights))
    where = naming.of_sequence(first, sequence)
    place = f"{name}{where}" if last else f"{name} {naming.at_step(first, step)}{where}"
    given = np.asarray(single.lstm.first.input if network.has_tokens else single.input)
    y = network.outputs_after(single.lstm.output, single.lstm.state, np.asarray(single.input), raw=True)
    y = np.broadcast_to(y, (len(given), *y.shape)) if last else y  # where earlier steps have no output
    ends = np.array([naming.valid_places(first, sequence)[-1]] if last else [step])
    varying = given, y.reshape(*y.shape[:2], -1)[..., chosen]
    return _influence_answer(first, norms, ends, sequence, share, place, residual, single.lstm.directions, varying)


def _output_jacobian(run: NetworkTrace, t: int) -> tuple[Array, Array]:
    """Return the Jacobians of a run's output: with respect to that before its scaling, and to the LSTM's (row, ·)."""
    model, features = run.network, run.features[(t, 0) if run.network.reads == "every" else 0]
    outputs = outputs_of(model.dense, features.astype(np.float64))
    seeds: Array = np.eye(outputs[-1].size)
    if model.outputs is not None:
        y = outputs[-1] + run.scaled[t, 0, : model.skip] if model.skip else outputs[-1]
        seeds = model.outputs.undo_gradient(seeds, y)
    rows = seeds
    for layer, h, y in zip(reversed(model.dense), reversed(outputs[:-1]), reversed(outputs[1:]), strict=True):
        rows = layer.preactivation_gradient(rows, h, y) @ layer.weight.astype(np.float64)
    return seeds, rows.reshape(-1, *features.shape)


def _deviations(values: Array) -> Array:
    """Return the standard deviation of each column of values (time, ·); 0 where they differ by rounding alone."""
    wide = values.astype(np.float64)
    varies = np.ptp(wide, axis=0) > rounding_margin(values, axis=0)
    return np.where(varies, frobenius_norms(wide - wide.mean(0), 0) / np.sqrt(len(wide)), 0)


def _weights(count: int) -> Array:
    return np.cos(np.arange(count))  # any weights unrelated to a network


def _residual(norms: Norms, gradient: Array) -> float:
    return relative_error(norms.combined - gradient, float(norms.terms.max(initial=0)))


def _influence_answer(
    trace: Trace,
    norms: Norms,
    ends: npt.NDArray[np.intp],
    sequence: int,
    share: float,
    place: str,
    residual: float,
    directions: tuple[str, ...],
    varying: tuple[Array, Array],
) -> Influence:
    """Return the answer about the influence of each step: its table, its lag and its sentence.

    `varying` are the features and the outputs of the run (time, batch, ·).
    """
    valid = None if trace.valid is None else trace.valid[:, sequence]
    steps = np.arange(len(trace))
    lags = np.abs(steps[:, None] - ends).min(1)
    cells: dict[str, Array] = {}
    if norms.along is not None and norms.cell_state is not None and norms.hidden_state is not None:
        on = np.ones(len(trace), bool) if valid is None else valid
        cells = {"along_cell": norms.along, "cell_state": norms.cell_state, "hidden_state": norms.hidden_state}
        for array in cells.values():
            array[~on] = np.nan
    inputs = frobenius_norms(norms.inputs, 1)
    if not np.isfinite(inputs).all():
        where = naming.step_name(trace, int(np.flatnonzero(~np.isfinite(inputs))[0]))
        raise OptionError(f"the influence of {where} is not a finite number; the run, or its gradient, has none there")
    sums = np.cumsum(np.bincount(lags, inputs))
    lag = int(np.searchsorted(sums, (1 - TIE) * share * sums[-1]))
    step = naming.step_duration(trace)
    columns: dict[str, npt.NDArray[Any]] = {"time": naming.times_of(trace), "lag": lags}
    if step is not None:
        columns[f"lag_{step[1]}"] = step[0] * lags
    spread, of_output = (_deviations(array[naming.valid_places(trace, sequence), 0]) for array in varying)
    effect = frobenius_norms(norms.inputs * spread, 1)
    total, deviation = float(frobenius_norms(effect, 0)), float(frobenius_norms(of_output, 0))
    size = total / deviation if deviation and spread.any() else np.nan
    columns |= {"input": inputs, "effect": effect}
    if cells:
        columns |= cells | {"along_cell": np.sqrt((cells["along_cell"] ** 2).sum(1))}
    within = _span_of_steps(lag, directions, len(ends) > 1, step)
    percent = float(f"{100 * size:.2g}")  # 120, and not 1.2e+02
    sentence = f"{100 * share:g} % of the influence on {place} comes from {within}"
    moved = f"; inputs that vary as these do move it by {total:.2g}, {percent:g} % of its standard deviation."
    sentence += "." if np.isnan(size) else moved
    largest, reading = first_largest(inputs), "Inferred: from derivatives, which hold for small changes"
    if sums[-1] > 0 and not size < NOTHING:
        reading += f"; the largest is {inputs[largest]:.2g} per unit of the input, {naming.at_step(trace, largest)}"
    if size < NOTHING:
        less = f"less than {100 * NOTHING:g} % of its standard deviation"
        sentence = f"No small change of the input has much influence on {place}: {less}."
    return Influence(
        columns=columns,
        sentence=sentence if sums[-1] > 0 else f"No small change of the input has an influence on {place}.",
        law=LAW,
        residual=residual,
        reading=(f"{reading}.",),
        inputs=inputs,
        effect=effect,
        size=size,
        cell_state=cells.get("cell_state"),
        hidden_state=cells.get("hidden_state"),
        along_cell=cells.get("along_cell"),
        lag=lag,
        share=share,
        within=within,
        times=columns["time"],
        valid=valid,
    )


def _span_of_steps(lag: int, directions: tuple[str, ...], two_ends: bool, step: tuple[float, str] | None) -> str:
    """Return the steps within `lag` of the output, in words, for the sentence of an influence."""
    both = len(directions) > 1
    if both and not two_ends:
        return f"the steps within {naming.duration_of(lag, step)} of it" if lag else "that step alone"
    which = "first and the last" if both else "last" if directions == ("forward",) else "next"
    return f"the {which} {naming.duration_of(lag + 1, step)}" if lag else f"the {which} step alone"
