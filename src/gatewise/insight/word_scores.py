"""How important is each word? Word importance scores of a linear head, from changes of the cell state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import OptionError
from gatewise.insight.answer import Answer, relative_error
from gatewise.insight.naming import at_step, step_names
from gatewise.insight.retention import retention_of, writes_of
from gatewise.insight.target import Output, Target, target
from gatewise.layers.merging import unmerge
from gatewise.margins import first_largest
from gatewise.network import NetworkTrace
from gatewise.records.trace import LSTMTrace, Trace

LAW = "the scores of all steps and the initial state's share add up to the output less the head's bias"


@dataclass(frozen=True, eq=False, repr=False)
class WordScores(Answer):
    """The word importance scores of all steps; exp of a score is the factor of the paper.

    Attributes
    ----------
    beta : array (time,)
        W (o_T ⊙ (tanh(c_t) - tanh(c_{t-1}))).
    gamma : array (time,)
        The same for the rest of the cell states at step T, after the forget gates since.
    initial_beta, initial_gamma : float
        The shares of the initial state.
    value, bias : float
        The output, and the head's bias.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> answer = gw.insight.word_scores(trace)
    >>> answer.gamma.round(2), round(answer.value, 2)
    (array([0.75, 0.  , 0.  , 0.  , 0.  , 0.  , 0.  ]), 0.75)
    """

    beta: Array
    gamma: Array
    initial_beta: float
    initial_gamma: float
    value: float
    bias: float


def word_scores(
    trace: Trace | LSTMTrace | NetworkTrace, output: Output = 0, t: int | str | None = None, sequence: int | str = 0
) -> WordScores:
    """Return the score of each step in an output, from the cell states of the last layer.

    Murdoch and Szlam, "Automatic Rule Extraction from Long Short Term Memory Networks" (2017). An output is
    W (o_T ⊙ tanh(c_T)) + b, and tanh(c_T) is a sum of changes, in one of two ways. In the first (β), step t has
    W (o_T ⊙ (tanh(c_t) - tanh(c_{t-1}))). The second (γ) counts what the forget gates leave of it until T: with
    s_t = c_0 F_1 … F_T + Σ_{k≤t} w_k F_{k+1} … F_T, where w_k is what step k wrote, step t has
    W (o_T ⊙ (tanh(s_t) - tanh(s_{t-1}))). The paper multiplies the exponentials of these scores.

    Parameters
    ----------
    trace : NetworkTrace, LSTMTrace or Trace
        A run that keeps everything.
    output, t, sequence
        The number to explain: see `gatewise.insight.target`.

    Returns
    -------
    WordScores
        With a row for the initial state and one for each step: ``time``, ``token`` where there are tokens, ``beta``,
        ``gamma``.

    Raises
    ------
    OptionError
        If there is no such output, step or sequence, or the output is no such sum in the last layer: with a clip of
        its cell state or projection, Haste's layer norm, zoneout of the hidden state, or directions that are
        multiplied.
    NotKeptError
        If the trace did not keep everything.

    Notes
    -----
    The sentence is about γ. β counts what is erased later, too: of 48 outputs of planted networks that hold what one
    step wrote, through a gate that opens at every seventh step, this step has the largest γ for all, and the largest β
    for 5. Neither is an experiment, as `occlusion` is.

    Law: the scores and the initial state's share add up to the output less the head's bias, for β and for γ. Time and
    memory are linear in the number of steps and units.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> print(word_scores(latch().trace()))
    Output 0 at step 6 is 0.7503; what is left of the writing at step 0 moved it most, by 0.7503.
    """
    aim = target(trace, output, t, sequence).as_weights("a word score")
    aim.lstm.require_unedited("a word score")
    _require_additive(aim)
    top = aim.lstm.layers[-1]
    parts = unmerge(aim.weight, aim.hidden, aim.lstm.merge[-1])
    kinds = np.zeros((2, aim.lstm.num_steps + 1))  # a row for β and one for γ, the initial state first
    for (way, cell), weight in zip(top.items(), parts, strict=True):
        kinds += _scores_of_cell(cell, aim.places[way], weight)
    (first_beta, *_), (first_gamma, *_) = kinds
    total = aim.value - aim.bias
    terms = np.abs(kinds).sum(1) + abs(aim.value) + abs(aim.bias)
    columns = {"time": np.array(["initial state", *step_names(aim.first)])}
    if aim.tokens is not None:
        columns["token"] = np.array(["", *map(str, aim.tokens)])
    return WordScores(
        columns={**columns, "beta": kinds[0], "gamma": kinds[1]},
        sentence=f"{aim.clause}; {_largest_clause(aim, kinds[1])}.",
        law=LAW,
        residual=relative_error(kinds.sum(1) - total, terms),
        beta=kinds[0, 1:],
        gamma=kinds[1, 1:],
        initial_beta=float(first_beta),
        initial_gamma=float(first_gamma),
        value=aim.value,
        bias=aim.bias,
    )


def _largest_clause(aim: Target, scores: Array) -> str:
    """Return the clause about the largest word score γ: of the initial state, or of what was written at a step."""
    largest = first_largest(np.abs(scores))
    if not scores[largest]:
        return "no cell state moved it"
    cause = f"writing {at_step(aim.first, largest - 1)}" if largest else "initial state"
    return f"what is left of the {cause} moved it most, by {scores[largest]:.4g}"


def _scores_of_cell(cell: Trace, place: int, weight: Array) -> Array:
    """Return both word scores β and γ (2, 1 + time) of a cell from the weight of its hidden state at a step."""
    p, forward = cell.parameters, cell.direction == "forward"
    order = np.arange(place + 1) if forward else np.arange(len(cell) - 1, place - 1, -1)
    if cell.valid is not None:
        order = order[cell.valid[order, 0]]
    scores = np.zeros((2, len(cell) + 1))
    if not len(order):
        raise OptionError("word scores need a valid step at or before the output; this run has none")
    last = cell.moment((order[-1:], 0))
    unprojected = weight if p.projection is None else weight @ p.projection.astype(np.float64)
    factor = unprojected * last.o[0].astype(np.float64)
    activation, bound = p.variant.activation("c"), p.variant.output_clip

    def activated(states: Array) -> Array:
        return activation(states if bound is None else np.clip(states, -bound, bound))

    start = cell.initial.c[0].astype(np.float64)
    states = cell.cell_state[order, 0].astype(np.float64)
    retention, writes = retention_of(cell)[order, 0], writes_of(cell)[order, 0]
    if cell.dropout.zoneout_cell is not None:  # the hidden state is computed before the cell state's zoneout
        states[-1] = last.c_new[0]
        retention[-1], writes[-1] = last.f[0], last.i[0] * last.g[0]
    beta = activated(np.concatenate([start[None], states])) @ factor
    retained = np.cumprod(np.concatenate([np.ones((1, retention.shape[1])), retention[::-1]]), axis=0)[
        ::-1
    ]  # F_t … F_T; last: 1
    accumulated = np.cumsum(np.concatenate([(start * retained[0])[None], writes * retained[1:]]), axis=0)
    gamma = activated(accumulated) @ factor
    for row, levels in zip(scores, (beta, gamma), strict=True):
        row[0] = levels[0]
        row[order + 1] = np.diff(levels)
    return scores


def _require_additive(aim: Target) -> None:
    """Raise OptionError if the output is no sum over the activated cell states of the last layer."""
    top = aim.lstm.layers[-1]
    reasons = []
    if len(top) > 1 and aim.lstm.merge[-1] == "mul":
        reasons.append("directions that are not multiplied; the last layer merges by 'mul'")
    for cell in top.values():
        variant = cell.parameters.variant
        if variant.layer_norm == "haste":
            reasons.append("an output of the cell state itself; the last layer has Haste's layer norm between them")
        if variant.cell_clip is not None or variant.projection_clip is not None:
            clip = "cell_clip" if variant.cell_clip is not None else "projection_clip"
            reasons.append(f"states that are not clipped; the last layer has {clip}")
        if cell.dropout.zoneout_hidden is not None:
            reasons.append("hidden states without zoneout; the last layer has zoneout_hidden")
    if reasons:
        raise OptionError(f"word scores need {reasons[0]}")
