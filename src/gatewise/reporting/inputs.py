"""The inputs that an output uses: each input exchanged at all steps, and what one input explains by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask
from gatewise.errors import OptionError, join_names
from gatewise.insight.answer import Answer
from gatewise.insight.naming import output_phrase
from gatewise.insight.raw_outputs import RawOutputs, raw_outputs
from gatewise.insight.silencing import input_of, run_again
from gatewise.margins import first_largest, largest_first
from gatewise.palette import PALETTE
from gatewise.plot import drawing
from gatewise.progress import working
from gatewise.showing import counted

MAX_INPUTS = 32  # that are exchanged
MAX_BARS = 16
WORDS = re.compile(r"[^\W\d_]{3,}( [^\W\d_]+)*")  # a name that is a word or several
ORDERS = 3  # in which the steps of an input are put, each from a seed of its own
MIN_STEPS = 30  # of a run, from which on it can tell that an input explains the output
MIN_SPREAD = 10  # steps, whose spread is a unit
LEAK = 0.9  # of the variance of an output: an input that explains as much at its own step may contain it
OUTSIDE = 3.0  # scales: a mean this far from the center of the model's scaling is outside what it was trained on


@dataclass(frozen=True, eq=False, repr=False)
class InputUse(Answer):
    """How far an output moves where an input is put in another order, the largest first.

    `share` is relative to the standard deviation of the output (or the change itself if it has none), `explained` the
    part of its variance that the input explains at the same step.
    """

    output: str  # in words
    names: tuple[str, ...]
    shares: Array
    explained: Array
    constant: tuple[str, ...]
    ignored: tuple[str, ...]
    outside: tuple[str, ...]  # clauses
    tops: tuple[int, ...]  # the input that moves the output most, for each order
    leak: str  # the input that explains the output, if there is one


def input_use(run: Any, output: int) -> InputUse:
    """Return the movement of an output where each input is put in another order, each in runs of its own."""
    x, valid = _exchanged(run)
    names = tuple(run.labels.feature(place) for place in range(x.shape[-1]))
    before, sizes = raw_outputs(run), np.zeros((x.shape[-1], ORDERS))
    varies = np.ptp(x[valid], axis=0) > 0
    for feature, runs in reordered_runs(run):
        for seed, again in enumerate(runs):
            after = raw_outputs(again, before).values
            change = (after.astype(np.float64) - before.values)[before.used][:, output]
            change[np.abs(change) <= before.floor] = 0
            sizes[feature, seed] = np.sqrt(np.square(change).mean())
    spread = float(before.spread[output])
    shares = sizes / (spread or 1.0)
    mean = shares.mean(1)
    order = largest_first(mean)
    explained = _explained(x, before, output, valid)
    leak = first_largest(explained)
    is_leak = varies.sum() > 1 and explained[leak] >= LEAK and leak == first_largest(mean)
    constant = tuple(name for name, moves in zip(names, varies, strict=True) if not moves)
    ignored = tuple(name for name, size, moves in zip(names, sizes, varies, strict=True) if moves and not size.any())
    phrase = output_phrase(before.names[output]) if len(before.names) > 1 or run.labels.outputs else "the output"
    phrase = f"the logit of {phrase}" if before.noun == "logit" else phrase
    answer = InputUse(
        columns={
            "input": np.array(names)[order],
            "share": mean[order],
            "explained": explained[order],
        },
        sentence="",
        output=phrase,
        names=tuple(np.array(names)[order].tolist()),
        shares=mean[order],
        explained=explained[order],
        constant=constant,
        ignored=ignored,
        outside=_outside(run, x, valid, names),
        tops=tuple(first_largest(column) for column in shares.T),
        leak=names[leak] if is_leak else "",
    )
    has_own_unit = before.noun == "logit" or before.units[output] or valid.sum() < MIN_SPREAD
    unit = before.units[output] if has_own_unit else None
    return _with_words(answer, counted(int(valid.sum()), "step"), spread, unit)


def _exchanged(run: Any) -> tuple[Array, Mask]:
    """Return the input of a run (time, batch, feature) and the steps that may be exchanged, or raise OptionError."""
    x = input_of(run, "the use of inputs")
    if run.network is not None and run.tokens is not None:
        raise OptionError("a network of tokens has no inputs to exchange one by one; see why it gave its output")
    if x.shape[-1] > MAX_INPUTS:
        raise OptionError(f"the {x.shape[-1]} inputs are too many to exchange one by one on a page")
    valid = np.ones(x.shape[:2], bool) if run.lstm.first.valid is None else run.lstm.first.valid
    if valid.sum() < 2:
        raise OptionError("a run of one step has no other step to exchange its inputs with")
    return x, valid


def reordered_runs(run: Any) -> Iterator[tuple[int, Iterator[Any]]]:
    """Yield the place of each input that varies, with runs in which its values are in other orders over the steps."""
    x, valid = _exchanged(run)
    varied = np.flatnonzero(np.ptp(x[valid], axis=0) > 0)

    def runs(feature: int, done: Callable[[int], None]) -> Iterator[Any]:
        for seed in range(ORDERS):
            other, column = np.array(x), x[..., feature][valid]
            order = np.random.default_rng(seed).permutation(len(column))
            moves = (column[order] != column).any()
            other[..., feature][valid] = column[order] if moves else np.roll(column, 1)
            yield run_again(run, other)
            done(1)

    with working("exchanging inputs", len(varied) * ORDERS) as done:
        for feature in varied:
            yield int(feature), runs(int(feature), done)


def _explained(x: Array, before: RawOutputs, output: int, valid: Mask) -> Array:
    """Return the part of the variance of an output (feature,) that each input explains at the same step."""
    explained = np.zeros(x.shape[-1])
    if before.values.shape[:2] != x.shape[:2] or before.used.sum() < MIN_STEPS or not before.spread[output]:
        return explained
    y = before.values[before.used][:, output].astype(np.float64)
    y = (y - y.mean()) / y.std()
    for feature in range(x.shape[-1]):
        column = x[..., feature][before.used].astype(np.float64)
        deviation = column.std()
        if deviation > 0:
            explained[feature] = float(((column - column.mean()) / deviation @ y) / len(y)) ** 2
    return explained


def _outside(run: Any, x: Array, valid: Mask, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return a clause for each input that lies outside what the scaling in the model was made for."""
    scaling = None if run.network is None else run.network.inputs
    if scaling is None:
        return ()
    mean = x[valid].mean(0, dtype=np.float64)
    low, high = (scaling.center + side * 2 * np.abs(scaling.scale) for side in (-1, 1))
    far = np.abs(mean - scaling.center) > OUTSIDE * np.abs(scaling.scale)
    return tuple(
        f"{names[place]} is {mean[place]:.4g} on average; the model's own scaling is made for about"
        f" {low[place]:.4g} to {high[place]:.4g}"
        for place in np.flatnonzero(far)
    )


def _with_words(answer: InputUse, steps: str, spread: float, unit: str | None) -> InputUse:
    """Return the use of inputs with its sentence, and what was tested.

    Effects are in the `unit` of the output, or if it is None in its standard deviations, the `spread`.
    """

    def size(share: float) -> str:
        by_spread = unit is None and spread
        return f"{share:.2g}" if by_spread else f"{share * (spread or 1.0):.3g}{f' {unit}' if unit else ''}"

    never = f"{_inputs(answer.constant)} never {'changes' if len(answer.constant) == 1 else 'change'} here"
    tested = len(answer.constant) < len(answer.names)
    if not tested:
        sentence = f"The input is the same at every step, so this run cannot show what {answer.output} uses"
    elif not answer.shares.any():
        sentence = f"No input moves {answer.output}{f'; {never}' if answer.constant else ''}"
    else:
        sentence = f"{answer.output[0].upper()}{answer.output[1:]} uses {_inputs(answer.names[:1])} most: in another"
        sentence += f" order, it moves {answer.output} by {size(answer.shares[0])}"
        sentence += " of its standard deviation" if unit is None and spread else ""
        if len(answer.names) > 1 and answer.shares[1]:
            sentence += f"; the next, {answer.names[1]}, by {size(answer.shares[1])}"
        sentence += f"; it ignores {_inputs(answer.ignored)}" if answer.ignored else ""
        sentence += f"; {never}" if answer.constant else ""
    reading = [f"Tested: each input put in {ORDERS} random orders over {steps}, and the model run again."]
    reading = reading if tested else [f"Measured: no input changes over {steps}."]
    if answer.leak:
        reading.append(f"Measured: input {answer.leak} explains {100 * answer.explained.max():.0f} % of its variance.")
    reading += [f"Measured: input {clause}." for clause in answer.outside]
    fields = {**vars(answer), "sentence": f"{sentence}.", "reading": tuple(reading)}
    return InputUse(**fields)


def _inputs(names: tuple[str, ...]) -> str:
    """Return names of inputs; those that are words, such as rain, without saying that they are inputs."""
    if all(WORDS.fullmatch(name) for name in names):
        return join_names(names, "and", most=5)
    return f"input{'s' if len(names) > 1 else ''} {join_names(names, 'and', most=5)}"


def draw(record: InputUse, figure: Any) -> Any:
    """Draw a bar for each input: how far the output moves where the input is put in another order."""
    ax = drawing.single_panel(figure)
    shares: npt.NDArray[Any] = record.shares[:MAX_BARS]
    rows = np.arange(len(shares))
    ax.barh(rows, shares, color=PALETTE["input_gate"].light, edgecolor=drawing.ink(), linewidth=0.8)
    drawing.name_ticks(ax.yaxis, list(record.names[: len(rows)]), MAX_BARS)
    ax.set_ylim(max(3, len(rows)) - 0.5, -0.5)
    ax.set_xlabel("change of the output, in its standard deviations")
    return ax
