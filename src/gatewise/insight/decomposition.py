"""Do these steps contribute to an output? Contextual decomposition of one number of a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatewise.arrays import index, size
from gatewise.errors import OptionError
from gatewise.insight.answer import Answer, relative_error
from gatewise.insight.naming import step_name
from gatewise.insight.phrases import Phrases, decompose
from gatewise.insight.relevance import require_no_norm
from gatewise.insight.target import Output, target
from gatewise.network import NetworkTrace
from gatewise.records.trace import LSTMTrace, Trace

LAW = "the phrase's part and the rest add up to the output"


@dataclass(frozen=True, eq=False, repr=False)
class Decomposition(Answer):
    """One number of a run as the sum of the contribution of some steps alone, and the rest.

    Attributes
    ----------
    phrase : float
        β: the contribution of the steps alone.
    rest : float
        γ: the contributions of the other steps and the initial states, and all joint contributions.
    value : float
        The number in the trace.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> answer = gw.insight.decomposition(trace, 0, 1)
    >>> round(answer.phrase, 2), round(answer.rest, 2)
    (0.75, 0.0)
    """

    phrase: float
    rest: float
    value: float


def decomposition(
    trace: Trace | LSTMTrace | NetworkTrace,
    start: int,
    stop: int,
    output: Output = 0,
    t: int | str | None = None,
    sequence: int | str = 0,
) -> Decomposition:
    """Return one number of a run as the sum of the contribution of a phrase alone, and the rest.

    Murdoch, Liu and Yu, "Beyond Word Importance: Contextual Decomposition to Extract Interactions from LSTMs" (2018).
    Every state is a pair β + γ. An input gate, forget gate or candidate φ(β + γ + b) becomes three parts: φ(b) of its
    bias, and for β and γ the mean of their increments in both orders (Shapley). In the product of two such sums, β has
    the terms without γ; the product of two biases belongs to β at the steps of the phrase, in every layer, and else to
    γ. The output gate is held. The initial states and the head's bias belong to γ.

    Parameters
    ----------
    trace : NetworkTrace, LSTMTrace or Trace
        A run that keeps everything.
    start, stop : int
        The phrase: the steps start, …, stop - 1, in the input's time.
    output, t, sequence
        The number to explain: see `gatewise.insight.target`.

    Returns
    -------
    Decomposition
        With the rows ``phrase`` and ``rest``.

    Raises
    ------
    OptionError
        If there is no such step, output or sequence, the phrase is empty, or a cell has layer norm.
    NotKeptError
        If the trace did not keep everything.

    Notes
    -----
    Law: β + γ is the number. Time and memory are linear in the number of steps.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> print(decomposition(latch().trace(), 0, 1))
    Output 0 at step 6 is 0.7503; of it, 0.7503 comes from step 0 alone.
    """
    aim = target(trace, output, t, sequence).as_weights("a decomposition")
    aim.lstm.require_unedited("contextual decomposition")
    require_no_norm(aim, "contextual decomposition")
    steps = aim.lstm.num_steps
    first, last = index("step", start, steps, "this trace"), size("stop", stop) - 1
    if not first <= last < steps:
        raise OptionError(f"stop must be above the first step of the phrase, {first}, and at most {steps}, not {stop}")
    within = np.zeros((1, steps), bool)
    within[0, first : last + 1] = True
    pair = decompose(aim, Phrases(within, np.zeros(1, bool)))
    phrase, rest = float(pair.phrase[0]), float(pair.rest[0])
    terms = abs(phrase) + abs(rest) + abs(aim.value)
    names = [step_name(aim.first, n) for n in (first, last)]
    steps_name = names[0] if first == last else f"{names[0]} to {names[1].removeprefix('step ')}"
    return Decomposition(
        columns={"part": np.array(["phrase", "rest"]), "value": np.array([phrase, rest])},
        sentence=f"{aim.clause}; of it, {phrase:.4g} comes from {steps_name} alone.",
        law=LAW,
        residual=relative_error(phrase + rest - aim.value, terms),
        phrase=phrase,
        rest=rest,
        value=aim.value,
    )
