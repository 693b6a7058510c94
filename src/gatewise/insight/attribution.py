"""Why this output? The shares of the steps, the features and the initial states in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, chunks
from gatewise.errors import OptionError, ShapeError, join_names, one_of
from gatewise.insight.answer import Answer, StepTable, relative_error
from gatewise.insight.backward_pass import back_through, through_cell
from gatewise.insight.integrated import integrated_gradients, times_initial
from gatewise.insight.naming import at_step, step_names, times_of
from gatewise.insight.phrases import Phrases, decompose, phrases_at_once
from gatewise.insight.relevance import relevance, require_no_norm
from gatewise.insight.target import Output, Target, target
from gatewise.layers.stack import States
from gatewise.network import NetworkTrace
from gatewise.progress import working
from gatewise.records.labels import Measure
from gatewise.records.nesting import Cell
from gatewise.records.step import State
from gatewise.records.trace import LSTMTrace, Trace

NOTICED = 1e-3  # the relative error of an integral above which the sentence mentions it
POINTS = (50, 100, 200, 400, 800, 1024)  # of an integral, one after another until little enough is missing
MISSING = 0.01  # of the difference to the output at the baseline: an integral that lacks more has not converged
HOPELESS = 100  # times that difference: where more is missing, more points do not help
ROUNDING = 16  # machine epsilons of the terms of an output: what a difference may be of rounding, and 1e-30


class Method(NamedTuple):
    """A method of attribution."""

    compute: Callable[..., Attribution]
    words: str
    left: str  # the clause about the part that belongs to no step and no initial state, or about the baseline
    law: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class Attribution(Answer, StepTable):
    """The shares of the steps and features of an input in one number of a run.

    Attributes
    ----------
    method : str
    target : str
        The number that is explained, in words.
    measure : Measure or None
        Its measure, if known.
    step : int or None
        The step of the output; None for the final states of two directions.
    value, baseline_value : float
        The number that is explained, and the number at the baseline (0 for a method without one). Scores, `initial` and
        `left` add up to value - baseline_value.
    scores : array (time,)
        The share of each step; 0 at invalid steps.
    by_step : array (time, features) or None
        The share of each feature of the LSTM's input; with an embedding, of each entry of the token's vector. None for
        contextual decomposition, whose phrases are whole steps.
    initial : float
        The share of the initial states of all layers and directions.
    initial_states : tuple of tuple of State, or None
        The share of each entry of the initial states, ``[layer][direction]``; None for contextual decomposition.
    left : float
        The part of no step and no initial state: for LRP the shares of biases and stabiliser, for integrated gradients
        the error of the integral, for contextual decomposition the joint contributions of several steps and the head's
        bias.
    input : array (time, features)
        The input of the LSTM; of a network that scales it and has no branches, before the scaling.
    features, measures : tuple of str
        The names of the features, and their measures.
    points : int
        Of the integral; 0 for a method without one.
    rounding : float
        A difference of outputs that may be one of rounding alone.
    tokens : array (time,) of str or None
        The embedded tokens, in the words of the vocabulary if there is one.
    times, valid : arrays (time,)
        Dates, names, or the numbers of the steps; and True at valid steps, or None if all are valid.
    """

    method: str
    target: str
    measure: Measure | None
    step: int | None
    value: float
    baseline_value: float
    scores: Array
    by_step: Array | None
    initial: float
    initial_states: States | None
    left: float
    input: Array
    features: tuple[str, ...]
    measures: tuple[str, ...]
    tokens: npt.NDArray[Any] | None
    points: int = 0
    rounding: float = 0.0

    @property
    def difference(self) -> float:
        """The difference to the output at the baseline; 0 if it may be one of rounding."""
        difference = self.value - self.baseline_value
        return 0.0 if abs(difference) <= self.rounding else difference

    @property
    def unshared(self) -> str:
        """Why no share of an integral can be told, as a clause; empty where shares can be told."""
        if not self.points or not (self.scores.any() or self.initial or self.left):
            return ""
        if not np.isfinite([self.value, self.baseline_value, self.left]).all():
            return "integrated gradients are not finite, so that no share is given"
        if not self.difference:
            return "the output differs from that at the baseline by rounding alone, so that no share is given"
        if abs(self.left) <= MISSING * abs(self.difference):
            return ""
        return (
            f"integrated gradients have not converged: with {self.points:,} points, {self.left:.2g} is missing of the"
            f" difference to the output at the baseline, {self.difference:.2g}, so that no share is given"
        )


def attribution(
    trace: Trace | LSTMTrace | NetworkTrace,
    output: Output = 0,
    t: int | str | None = None,
    sequence: int | str = 0,
    method: str = "integrated_gradients",
    *,
    vocabulary: Sequence[str] | Mapping[int, str] | None = None,
    **options: Any,
) -> Attribution:
    """Return the share of every step and feature, and of the initial states, in one output of a run.

    - ``gradient_input``: x ∂y/∂x. Shrikumar et al., "Not Just a Black Box: Learning Important Features Through
      Propagating Activation Differences" (2016). It is exact where y is linear in x, and has no law otherwise.
    - ``integrated_gradients``: (x - x') ∫ ∂y/∂x dα along x' + α (x - x'). Sundararajan, Taly and Yan, "Axiomatic
      Attribution for Deep Networks" (2017). The initial states go from zeros to their values, at the same α.
    - ``lrp``: relevance propagation in which the signal takes all. Arras et al., "Explaining Recurrent Neural Network
      Predictions in Sentiment Analysis" (2017). A sum z = Σ z_i + b gives R z_i / (z + ε sign(z)) to each term; a
      gate times a signal gives all to the signal, a nonlinearity all to its argument, merge ``mul`` half to each
      factor. Biases and stabiliser absorb their share.
    - ``contextual_decomposition``: the part β of y that each step alone contributes; see `decomposition`. Murdoch, Liu
      and Yu, "Beyond Word Importance" (2018).

    Parameters
    ----------
    trace : NetworkTrace, LSTMTrace or Trace
        A run that keeps everything, in memory or on disk.
    output, t, sequence
        The number to explain: see `gatewise.insight.target`.
    method : {"gradient_input", "integrated_gradients", "lrp", "contextual_decomposition"}
    vocabulary : sequence or mapping of str, optional
        The name of each token.
    **options
        Of integrated gradients: ``points`` (50, or as many more, up to 1,024, as it takes until less than 1 % of the
        difference to the output at the baseline is missing), ``rule`` (``gausslegendre``, or ``riemann_left``,
        ``_right``, ``_middle``, ``_trapezoid``, each as Captum has it), ``baseline`` (an input of the LSTM
        (time, features) or (features,), with an embedding also a token; zeros by default). Of LRP: ``epsilon`` (0.001).

    Returns
    -------
    Attribution
        With a row for the initial state and one for each step: ``time``, ``token`` if there are tokens, ``score``, and
        a column for each feature.

    Raises
    ------
    OptionError
        If there is no such output, step, sequence, method or option, the number is not finite, or the method has no
        rule for a variant: LRP and contextual decomposition for layer norm.
    NotKeptError
        If the trace did not keep everything.

    Notes
    -----
    Law: scores + initial + left + baseline_value = value; the residual is the error of the integral (integrated
    gradients), or the error of the sum (LRP, contextual decomposition). An integral that has not converged, or outputs
    that differ by rounding alone, name no step: see `Attribution.unshared`. With n steps, gradient × input costs one
    backward pass; integrated gradients three to four passes for each point; LRP one pass of some 20 µs a step;
    contextual decomposition n runs, so that it is quadratic in n. Memory is linear in n.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> from gatewise.layers import LSTM
    >>> cell, x, *_ = latch()
    >>> answer = attribution(LSTM.from_cells(cell).trace(x), method="lrp")
    >>> round(answer.value, 2), [round(float(score), 2) for score in answer.scores]
    (0.75, [0.74, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    """
    one_of("method", method, tuple(METHODS))
    if unknown := sorted(set(options) - set(METHODS[method].options)):
        allowed = join_names(METHODS[method].options) or "no options"
        raise OptionError(f"{unknown[0]} is no option of {method}, which takes {allowed}")
    aim = target(trace, output, t, sequence)
    if method != "gradient_input":  # the others require that each state follows from the equations
        aim.lstm.require_unedited(f"method={method!r}")
    if aim.tokens is None and vocabulary is not None:
        raise OptionError("a vocabulary is for a network with an embedding; this run has no tokens")
    tokens = None if aim.tokens is None else token_names(aim.tokens, vocabulary)
    return _with_sentence(METHODS[method].compute(aim, **options), aim, tokens)


def _gradient_input_attribution(aim: Target) -> Attribution:
    """Attribute an output of a run to its inputs by gradient times input."""
    with working("passing gradients back", len(aim.lstm.cells()) * aim.lstm.num_steps) as done:

        def back(cell: Cell, dhidden: Array) -> tuple[Array, State]:
            return through_cell(aim.lstm[cell], dhidden, done)

        dx, dstates = back_through(aim.lstm, aim.places, aim.weight[None], back)
    shares = _without_sentence(aim, "gradient_input", aim.x * dx[:, 0], times_initial(aim, dstates))
    return replace(shares, left=aim.value - _sum(shares))


def _integrated_gradients_attribution(aim: Target, points: int | None = None, **options: Any) -> Attribution:
    """Attribute an output of a run to its inputs by integrated gradients."""
    terms = float(np.abs(aim.weight * aim.output).sum())
    rounding = max(1e-30, ROUNDING * float(np.finfo(aim.first.parameters.dtype).eps) * terms)
    for count in POINTS if points is None else (points,):
        by_step, states, at_baseline = integrated_gradients(aim, count, **options)
        shares = _without_sentence(aim, "integrated_gradients", by_step, states)
        left = aim.value - at_baseline - _sum(shares)
        shares = replace(shares, baseline_value=at_baseline, left=left, points=count, rounding=rounding)
        if not MISSING < abs(left / (shares.difference or np.nan)) < HOPELESS:
            break
    return replace(shares, residual=relative_error(left, _terms(shares)))


def _lrp_attribution(aim: Target, **options: Any) -> Attribution:
    """Attribute an output of a run to its inputs by layer-wise relevance propagation."""
    by_step, states, ledger = relevance(aim, **options)
    shares = replace(_without_sentence(aim, "lrp", by_step, states), left=ledger.absorbed)
    off = _sum(shares) + ledger.absorbed - aim.value
    return replace(shares, residual=relative_error(off, _terms(shares) + ledger.terms))


def _decomposition_attribution(aim: Target) -> Attribution:
    """Attribute an output of a run to its steps by contextual decomposition, each step a phrase."""
    require_no_norm(aim, "contextual decomposition")
    steps = aim.lstm.num_steps
    relevant = np.ones(steps, bool) if aim.valid is None else aim.valid.copy()
    if aim.lstm.directions == ("forward",):  # steps after the output have no share in it
        relevant[max(aim.places.values()) + 1 :] = False
    elif aim.lstm.directions == ("backward",):
        relevant[: min(aim.places.values())] = False
    choices = [-1, *np.flatnonzero(relevant).tolist()]  # the initial states first
    parts, off = np.zeros(len(choices)), 0.0
    with working("decomposing", len(choices)) as done:
        for piece in chunks(len(choices), 1, phrases_at_once(aim)):
            some = np.array(choices[piece])
            pair = decompose(aim, Phrases(some[:, None] == np.arange(steps), some == -1))
            parts[piece] = pair.phrase
            sizes = np.abs(pair.phrase) + np.abs(pair.rest) + abs(aim.value)
            off = max(off, relative_error(pair.phrase + pair.rest - aim.value, sizes))
            done(len(some))
    scores = np.zeros(steps)
    scores[choices[1:]] = parts[1:]
    shares = _without_sentence(aim, "contextual_decomposition", scores[:, None], None)
    left = aim.value - float(parts.sum())
    return replace(shares, by_step=None, initial=float(parts[0]), left=left, residual=off)


METHODS = {
    "gradient_input": Method(
        _gradient_input_attribution,
        "gradient times input",
        "{left:.4g} is left over (nothing would be if the output were linear in its input)",
    ),
    "integrated_gradients": Method(
        _integrated_gradients_attribution,
        "integrated gradients",
        "the output at the baseline is {baseline:.4g}",
        "the scores and the initial state's share add up to the output less that at the baseline, but for the error of"
        " the integral",
        ("points", "rule", "baseline"),
    ),
    "lrp": Method(
        _lrp_attribution,
        "layer-wise relevance propagation",
        "biases and stabiliser absorb {left:.4g}",
        "the scores, the initial state's share, and the part that biases and stabiliser absorb add up to the output",
        ("epsilon",),
    ),
    "contextual_decomposition": Method(
        _decomposition_attribution,
        "contextual decomposition",
        "{left:.4g} comes from several steps together, or from the head's bias",
        "the phrase's part and the rest add up to the output, for each step as a phrase",
    ),
}


def _without_sentence(aim: Target, method: str, by_step: Array, states: States | None) -> Attribution:
    """Return an attribution of an output, with its scores but without its table and its sentence."""
    valid, labels = aim.valid, aim.first.labels
    features = tuple(labels.feature(n) for n in range(aim.first.parameters.input_size))
    by_step = by_step if valid is None else np.where(valid[:, None], by_step, 0.0)
    scaling = None if aim.network is None or aim.network.branches else aim.network.inputs
    measures = labels.measures if aim.network is None or scaling is None else aim.network.labels.measures
    return Attribution(
        columns={},
        sentence="",
        law=METHODS[method].law,
        method=method,
        target=aim.name,
        measure=aim.measure,
        step=aim.step,
        value=aim.value,
        baseline_value=0.0,
        scores=by_step.sum(1),
        by_step=by_step,
        initial=0.0 if states is None else float(sum(part.sum() for part in _parts(states))),
        initial_states=states,
        left=0.0,
        input=aim.x if scaling is None else scaling.undo(aim.x),
        features=features,
        measures=tuple(str(measures.get(name, "")) for name in features),
        tokens=None,
        times=times_of(aim.first),
        valid=valid,
    )


def _parts(states: States) -> list[Array]:
    return [part for row in states for state in row for part in state]


def _sum(shares: Attribution) -> float:
    return float(shares.scores.sum()) + shares.initial


def _terms(shares: Attribution) -> float:
    """Return the sum of the absolute values of all terms of the law."""
    parts = [shares.scores if shares.by_step is None else shares.by_step, *_parts(shares.initial_states or ())]
    return float(sum(np.abs(part).sum() for part in parts)) + abs(shares.value) + abs(shares.baseline_value)


def token_names(tokens: npt.NDArray[Any], vocabulary: Sequence[str] | Mapping[int, str] | None) -> npt.NDArray[Any]:
    """Return the words of tokens from a vocabulary, or their numbers without one."""
    if vocabulary is None:
        return np.array([str(token) for token in tokens])
    try:
        return np.array([str(vocabulary[int(token)]) for token in tokens])
    except (KeyError, IndexError):
        raise ShapeError(f"the vocabulary has no word for one of the tokens {min(tokens)} to {max(tokens)}") from None


def _with_sentence(shares: Attribution, aim: Target, tokens: npt.NDArray[Any] | None) -> Attribution:
    """Return an attribution with its table, and the sentence that names the largest share."""
    names = ["initial state", *step_names(aim.first)]
    columns: dict[str, npt.NDArray[Any]] = {"time": np.array(names)}
    if tokens is not None:
        columns["token"] = np.concatenate([[""], tokens])
    columns["score"] = np.concatenate([[shares.initial], shares.scores])
    if shares.by_step is not None:
        for name, scores in zip(shares.features, shares.by_step.T, strict=True):
            columns[f"feature {name}" if name in columns else name] = np.concatenate([[np.nan], scores])
    if shares.unshared:
        return replace(shares, columns=columns, sentence=f"{aim.clause}; {shares.unshared}.", tokens=tokens)
    largest = int(np.argmax(np.abs(shares.scores)))
    score, word = shares.scores[largest], "" if tokens is None else f" ({tokens[largest]})"
    share = f"its largest share, {score:.4g}, is that of the input {at_step(aim.first, largest)}{word}"
    share = share if score else "no input has a share in it"
    method = METHODS[shares.method]
    left = method.left.format(left=shares.left, baseline=shares.baseline_value)
    if shares.method == "integrated_gradients" and shares.residual > NOTICED:
        left += f", and the error of the integral {shares.left:.2g}"
    sentence = f"{aim.clause}; by {method.words}, {share}, and the initial state's is {shares.initial:.4g}; {left}."
    return replace(shares, columns=columns, sentence=sentence, tokens=tokens)
