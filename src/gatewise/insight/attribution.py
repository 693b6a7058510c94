"""Why this output? The shares of the steps, the features and the initial states in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, quiet, size
from gatewise.errors import OptionError, join_names, one_of
from gatewise.insight.answer import Answer, StepTable, relative_error
from gatewise.insight.integrated import gradients_in, integrated_gradients, times_initial
from gatewise.insight.naming import at_step, step_names, times_of, token_names
from gatewise.insight.phrases import decompose_each, relevant_steps
from gatewise.insight.relevance import relevance, require_no_norm
from gatewise.insight.target import Output, Target, target
from gatewise.layers.stack import States
from gatewise.margins import EPSILONS, first_largest
from gatewise.network import NetworkTrace
from gatewise.progress import working
from gatewise.records.labels import Measure
from gatewise.records.trace import LSTMTrace, Trace
from gatewise.showing import counted

POINTS = (50, 100, 200, 400, 800, 1024)  # of an integral, one after another until little enough is missing
MANY = 2000  # steps, of which a decomposition takes minutes
MISSING = 0.01  # of the difference to the output at the baseline: an integral that lacks more has not converged
ALIKE = 0.2  # of the largest share, or that difference: shares by every other point are no further from the others
HOPELESS = 100  # times that difference: where more is missing, more points do not help
TINY = 1e-30  # a difference of outputs that may be one of rounding, however small their terms are


class Method(NamedTuple):
    """A method of attribution."""

    compute: Callable[..., Attribution]
    words: str
    left: str  # the clause about the part that belongs to no step and no initial state, or about the baseline
    basis: str  # of its shares, which are no experiment
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
    halves : float
        How far a share by every other point is at most from that by the points between them.
    rounding : float
        A difference of outputs that may be one of rounding alone.
    start : int
        The number of the first step.
    tokens : array (time,) of str or None
        The embedded tokens, in the words of the vocabulary if there is one.
    times, valid : arrays (time,)
        Dates, names, or the numbers of the steps; and True at valid steps, or None if all are valid.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> answer = gw.insight.attribution(latch().trace())
    >>> answer.scores.round(2), round(answer.value - answer.baseline_value, 2)
    (array([0.35, 0.  , 0.  , 0.  , 0.  , 0.  , 0.4 ]), 0.75)
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
    halves: float = 0.0
    rounding: float = 0.0
    start: int = 0

    @property
    def difference(self) -> float:
        """The difference to the output at the baseline; 0 if it may be one of rounding."""
        difference = self.value - self.baseline_value
        return 0.0 if abs(difference) <= self.rounding else difference

    @property
    def unshared(self) -> str:
        """Why no share is given, as a clause; empty where shares are."""
        largest = max(np.abs(self.scores).max(initial=0.0), abs(self.initial))
        if not np.isfinite([largest, self.value, self.baseline_value, self.left]).all():
            return "the shares are not finite, so that none is given"
        if not (largest or (self.points and self.left)):
            return ""
        if self.points and not self.difference:
            return "the output differs from that at the baseline by rounding alone, so that no share is given"
        if not self.points and largest <= self.rounding:
            return "the shares are as small as errors of rounding, so that none is given"
        missing = abs(self.left) > MISSING * abs(self.difference)
        if not self.points or not (missing or self.halves > ALIKE * max(largest, abs(self.difference))):
            return ""
        reason = f"every other of them gives shares that are off by {self.halves:.2g}"
        if missing:
            reason = (
                f"{self.left:.2g} is missing of the difference to the output at the baseline, {self.difference:.2g}"
            )
        return f"integrated gradients have not converged: with {self.points:,} points, {reason}, so no share is given"


@quiet
def attribution(
    trace: Trace | LSTMTrace | NetworkTrace,
    output: Output = 0,
    t: int | str | None = None,
    sequence: int | str = 0,
    method: str = "integrated_gradients",
    *,
    vocabulary: Sequence[str] | Mapping[int, str] | None = None,
    nearest: int | None = None,
    long: bool = False,
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
    nearest : int, optional
        How many steps have shares, those nearest to the output: the share of all before them is that of their initial
        states, those that the run had there. By default all.
    long : bool
        Whether contextual decomposition may have more than 2,000 steps.
    **options
        Of integrated gradients: ``points`` (how many, or several numbers to be tried until less than 1 % of the
        difference to the output at the baseline is missing: by default from 50 to 1,024), ``rule`` (``gausslegendre``,
        or ``riemann_left``, ``_right``, ``_middle``, ``_trapezoid``, each as Captum has it), ``baseline`` (an input of
        the LSTM (time, features) or (features,), with an embedding also a token; zeros by default). Of LRP: ``epsilon``
        (0.001).

    Returns
    -------
    Attribution
        With a row for the initial state and one for each step: ``time``, ``token`` if there are tokens, ``score``, and
        a column for each feature.

    Raises
    ------
    OptionError
        If there is no such output, step, sequence, method or option, the number is not finite, the method has no rule
        for a variant (LRP and contextual decomposition for layer norm), or it has more than 2,000 steps without `long`.
    NotKeptError
        If the trace did not keep everything.

    Notes
    -----
    A share is no experiment: `occlusion` makes one. Of 48 outputs of planted networks that hold what was written when a
    gate opened, at every seventh step, this step has the largest share in 48 by gradient × input and LRP, in 37 by
    integrated gradients, in 12 by contextual decomposition.

    Law: scores + initial + left + baseline_value = value; the residual is the error of the integral (integrated
    gradients), or the error of the sum (LRP, contextual decomposition). An integral that has not converged, or outputs
    that differ by rounding alone, name no step: see `Attribution.unshared`. With n steps, gradient × input costs one
    backward pass; integrated gradients three to four passes for each point; LRP one pass of some 20 µs a step;
    contextual decomposition n runs, so that it is quadratic in n. Memory is linear in n.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> answer = attribution(latch().trace(), method="lrp")
    >>> round(answer.value, 2), [round(float(score), 2) for score in answer.scores]
    (0.75, [0.74, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    """
    one_of("method", method, tuple(METHODS))
    if unknown := sorted(set(options) - set(METHODS[method].options)):
        allowed = join_names(METHODS[method].options) or "no options"
        raise OptionError(f"{method} has no option {unknown[0]}; it has {allowed}")
    aim = target(trace, output, t, sequence)
    if method in ("lrp", "contextual_decomposition"):  # which split a weighted sum of the LSTM's output
        aim = aim.as_weights(METHODS[method].words)
    if nearest is not None:
        aim = aim.nearest(size("nearest", nearest))
    if method == "contextual_decomposition":
        options["long"] = long
    if method != "gradient_input":  # the others require that each state follows from the equations
        aim.lstm.require_unedited(f"method={method!r}")
    if aim.tokens is None and vocabulary is not None:
        raise OptionError("this run has no tokens. Leave out vocabulary.")
    tokens = None if aim.tokens is None else token_names(aim.tokens, vocabulary)
    return _with_sentence(METHODS[method].compute(aim, **options), aim, tokens)


def _gradient_input_attribution(aim: Target) -> Attribution:
    """Attribute an output of a run to its inputs by gradient times input."""
    with working("passing gradients back", len(aim.lstm.cells()) * aim.lstm.num_steps) as done:
        dx, dstates = gradients_in(aim.lstm, aim, done)
    shares = _without_sentence(aim, "gradient_input", aim.x * dx[:, 0], times_initial(aim, dstates))
    return replace(shares, left=aim.value - _sum(shares))


def _integrated_gradients_attribution(aim: Target, points: Any = None, **options: Any) -> Attribution:
    """Attribute an output of a run to its inputs by integrated gradients."""
    for count in POINTS if points is None else np.atleast_1d(points).tolist() or [0]:
        by_step, states, at_baseline, halves = integrated_gradients(aim, count, **options)
        shares = _without_sentence(aim, "integrated_gradients", by_step, states)
        left = aim.value - at_baseline - _sum(shares)
        shares = replace(shares, baseline_value=at_baseline, left=left, points=count, halves=halves)
        if not (shares.unshared and abs(left) < HOPELESS * abs(shares.difference)):
            break
    return replace(shares, residual=relative_error(left, _terms(shares)))


def _lrp_attribution(aim: Target, **options: Any) -> Attribution:
    """Attribute an output of a run to its inputs by layer-wise relevance propagation."""
    by_step, states, ledger = relevance(aim, **options)
    shares = replace(_without_sentence(aim, "lrp", by_step, states), left=ledger.absorbed)
    off = _sum(shares) + ledger.absorbed - aim.value
    return replace(shares, residual=relative_error(off, _terms(shares) + ledger.terms))


def _decomposition_attribution(aim: Target, *, long: bool) -> Attribution:
    """Attribute an output of a run to its steps by contextual decomposition, each step a phrase."""
    require_no_norm(aim, "contextual decomposition")
    choices = [-1, *relevant_steps(aim)]  # the initial states first
    if len(choices) > MANY + 1 and not long:
        raise OptionError(
            f"contextual decomposition needs {len(choices) - 1:,} runs, one for each step. Choose the steps nearest to"
            f" the output with nearest={MANY}, or take all with long=True (--long)."
        )
    parts, residual = decompose_each(aim, choices)
    scores = np.zeros(aim.lstm.num_steps)
    scores[choices[1:]] = parts[1:]
    shares = _without_sentence(aim, "contextual_decomposition", scores[:, None], None)
    left = aim.value - float(parts.sum())
    return replace(shares, by_step=None, initial=float(parts[0]), left=left, residual=residual)


METHODS = {
    "gradient_input": Method(
        _gradient_input_attribution,
        "gradient times input",
        "{left:.4g} is left over (nothing would be if the output were linear in its input)",
        "a linear approximation at this input",
    ),
    "integrated_gradients": Method(
        _integrated_gradients_attribution,
        "integrated gradients",
        "the output at the baseline is {baseline:.4g}",
        "gradients at {points:,} points, which miss at most {missing:.2g} % of the difference to the baseline",
        "the scores and the initial state's share add up to the output less that at the baseline, but for the error of"
        " the integral",
        ("points", "rule", "baseline"),
    ),
    "lrp": Method(
        _lrp_attribution,
        "layer-wise relevance propagation",
        "its rule gives nothing to gates, and {left:.4g} is left in biases and stabiliser",
        "a rule by which all of a product goes to its signal",
        "the scores, the initial state's share, and the part that biases and stabiliser absorb add up to the output",
        ("epsilon",),
    ),
    "contextual_decomposition": Method(
        _decomposition_attribution,
        "contextual decomposition",
        "{left:.4g} comes from several steps together, or from the head's bias",
        "a rule that splits each nonlinearity into a step's part and the rest",
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
    terms = float(np.abs(aim.weight * aim.output).sum())
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
        start=aim.first.start,
        rounding=max(TINY, EPSILONS * float(np.finfo(aim.first.parameters.dtype).eps) * terms),
    )


def _parts(states: States) -> list[Array]:
    return [part for row in states for state in row for part in state]


def _sum(shares: Attribution) -> float:
    return float(shares.scores.sum()) + shares.initial


def _terms(shares: Attribution) -> float:
    """Return the sum of the absolute values of all terms of the law."""
    parts = [shares.scores if shares.by_step is None else shares.by_step, *_parts(shares.initial_states or ())]
    return float(sum(np.abs(part).sum() for part in parts)) + abs(shares.value) + abs(shares.baseline_value)


def _with_sentence(shares: Attribution, aim: Target, tokens: npt.NDArray[Any] | None) -> Attribution:
    """Return an attribution with its table, and the sentence that names the largest share."""
    names = [f"state {aim.past}" if aim.past else "initial state", *step_names(aim.first)]
    columns: dict[str, npt.NDArray[Any]] = {"time": np.array(names)}
    if tokens is not None:
        columns["token"] = np.concatenate([[""], tokens])
    columns["score"] = np.concatenate([[shares.initial], shares.scores])
    if shares.by_step is not None:
        for name, scores in zip(shares.features, shares.by_step.T, strict=True):
            columns[f"feature {name}" if name in columns else name] = np.concatenate([[np.nan], scores])
    if shares.unshared:
        return replace(shares, columns=columns, sentence=f"{aim.clause}; {shares.unshared}.", tokens=tokens)
    largest = first_largest(np.abs(shares.scores))
    score, word = shares.scores[largest], "" if tokens is None else f" ({tokens[largest]})"
    share = "no input has a share in it"
    if score:
        share = f"its largest share, {score:.4g}, is that of the input {at_step(aim.first, largest)}{word}"
        others = int((np.abs(shares.scores) > (1 - MISSING) * abs(score)).sum()) - 1
        share += f" (and nearly that of {counted(others, 'other step')})" if others else ""
    method = METHODS[shares.method]
    left = method.left.format(left=shares.left, baseline=shares.baseline_value)
    initial = f"that of the state {aim.past}" if aim.past else "the initial state's"
    sentence = f"{aim.clause}; by {method.words}, {share}, and {initial} is {shares.initial:.4g}; {left}."
    missing = max(0.01, 100 * abs(shares.left / (shares.difference or 1.0)))
    reading = (f"Inferred: {method.basis.format(points=shares.points, missing=missing)}.",)
    return replace(shares, columns=columns, sentence=sentence, tokens=tokens, reading=reading)
