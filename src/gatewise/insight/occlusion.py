"""What does this output rest on? How an output changes where steps of the input are exchanged for others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, finite_number, quiet, size
from gatewise.errors import OptionError, join_names
from gatewise.insight.answer import Answer, StepTable
from gatewise.insight.naming import at_step, step_name, times_of
from gatewise.insight.occluded_runs import DRAWS, OccludedRuns, Places
from gatewise.insight.target import Output, Target, target
from gatewise.margins import TIE, first_largest, largest_first
from gatewise.network import NetworkTrace
from gatewise.records.labels import Labels
from gatewise.records.trace import LSTMTrace, Trace
from gatewise.showing import counted

LEAST, MOST = 20, 500  # steps that are looked at however large the model, and unless more are asked for
WORK, MUCH = 6e9, 100  # multiplications, about, within which they are; and times as many, which are refused
NAMED, SETS = 3, 200  # steps that are exchanged together, and random sets of as many others
FEW = (8, 2)  # rows for which each set is exchanged, and of a model so large that it takes too much work
FAR = 2 * (1 + TIE)  # times the next change: steps with larger ones stand out without those that follow them
PART = 0.1 * (1 + TIE)  # of the largest change: a step with a smaller one is not named
SURE, OFTEN = 2, 5  # standard errors by which a named step is above the others; or rows, and with none it is below
LEVEL = 0.5 * (1 + TIE)  # of the mean size of changes: where their mean is smaller, they go up and down
SHARE, MOST_SHARES = 0.01, 4  # that is mentioned, and how many are
NUMBERS = ("no", "one", "two", "three")
MOST_FEATURES = 64  # of which shares are told


@dataclass(frozen=True, eq=False, repr=False)
class Occlusion(Answer, StepTable):
    """The changes of an output where steps of the input are exchanged for others.

    Attributes
    ----------
    target : str
        The number that is explained, in words.
    step : int or None
        The step of the output; None for the final states of two directions.
    value : float
        The number.
    tried : tuple of int
        The steps that change it most, at most three; they were exchanged together.
    together, moved : float
        The mean of the number where they are, and that of the sizes of its changes.
    sets, rivals : int
        How many sets of as many other steps were exchanged, and how many of them change the number as much.
    past : float
        The largest change by another past of all these steps; 0 if no earlier step can change the number.
    shares : dict of float
        The root mean square change where a feature is exchanged at all these steps, or the state before them.
    width : int
        How many steps were exchanged at a time.
    tokens : array (time,) of str or None
        The text of the steps, where a report has one.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> answer = gw.insight.occlusion(trace, baseline=0)
    >>> answer.tried, round(answer.value, 2), round(answer.together, 2)
    ((0, 6), 0.75, 0.0)
    """

    target: str
    step: int | None
    value: float
    tried: tuple[int, ...]
    together: float
    moved: float
    sets: int
    rivals: int
    past: float
    shares: dict[str, float]
    width: int
    tokens: npt.NDArray[np.str_] | None = None

    @property
    def named(self) -> tuple[int, ...]:
        """The steps that change the number more than others do, one by one and together, and more than their past."""
        return () if self.rivals or self.past > (1 + TIE) * np.nanmax(self.columns["size"]) else self.tried

    @property
    def tried_names(self) -> str:
        """The steps that were exchanged together, in words."""
        prefix = "step " if self.times.dtype.kind in "iu" else ""
        return join_names([f"{prefix}{self.times[step]}" for step in self.tried], "and")

    @property
    def outcome(self) -> str:
        """What becomes of the number where they are, in words; where changes go up and down, their size."""
        if abs(self.together - self.value) > LEVEL * self.moved:
            return f"it is {self.together:.4g}"
        return f"it changes by {self.moved:.4g}"

    def test_of(self, step: int, number: str = "it") -> str:
        """Return the sentence about a step that another method names, for another number than it is about."""
        sizes = self.columns["size"]
        count, as_large = counted(int(np.isfinite(sizes).sum()), "step"), sizes[step] + TIE * np.nanmax(sizes)
        larger = int((sizes > as_large).sum())
        if not np.isfinite(sizes[step]):
            return f"Inferred: that step is not one of the {count} that were exchanged."
        more = (
            f"{larger:,} change it more" if larger > 1 else "one changes it more" if larger else "none changes it more"
        )
        return f"Tested: with that step exchanged {number} is {self.columns['without'][step]:.4g}; of {count}, {more}."


@quiet
def occlusion(
    trace: Trace | LSTMTrace | NetworkTrace,
    output: Output = 0,
    t: int | str | None = None,
    sequence: int | str = 0,
    *,
    baseline: npt.ArrayLike | None = None,
    width: int = 1,
    steps: int = MOST,
    work: float = WORK,
    rng: int | np.random.Generator = 0,
) -> Occlusion:
    """Return how an output changes where the input of a step is exchanged for that of other steps.

    Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (2014), cover parts of an image and look
    at the output. What takes the place of a part decides: here it is what else the data have, each row as often as they
    have it. The changes are runs of the model: they are always defined, have a sign, and need no gradient.

    Parameters
    ----------
    trace : NetworkTrace, LSTMTrace or Trace
        A run that keeps everything.
    output, t, sequence
        The number to explain: see `gatewise.insight.target`. Here it includes a skip connection.
    baseline : array, optional
        What takes the place of a step instead: an input (time, features) or (features,) in the units of the data, or
        with an embedding a token.
    width : int
        How many steps are exchanged at a time: each with its neighbours.
    steps : int
        How many steps are looked at, those nearest to the output.
    work : float
        How many multiplications this may take, about: if it were more, fewer steps are looked at, but 20.
    rng : int or numpy.random.Generator
        Draws rows and sets: with the same seed the same ones.

    Returns
    -------
    Occlusion
        With a row for each step: ``time``; ``change``, its mean, negative where the step raises the number;
        ``without``, the mean of the number; ``size``, the mean absolute change, by which steps are ranked, and its
        standard ``error``. NaN at steps that were not looked at.

    Raises
    ------
    OptionError
        If there is no such output, step or sequence, a number is not finite, the run has edits, no other step of the
        data has another input, or it takes a hundred times as much work as was allowed.
    ShapeError
        If the baseline has another shape.
    NotKeptError
        If the trace did not keep everything.

    Notes
    -----
    Every step is exchanged for the same rows: all that the data have, or of more than 16 a stratified sample of 16.
    Steps are named if they change the number more than all others do: by twice the standard error of the difference, or
    for five rows, and for none less. Several of them are exchanged together, too, and compared with 200 random sets of
    as many others, for eight of the rows, or two if the model is large; if one of these changes as much, the steps that
    change twice as much as the next are compared alone.

    It takes 16 runs for each step that is looked at, and 1,600 for the sets, each from the exchanged steps to the
    output; of a bidirectional network over three times as many steps as are looked at, at whose ends the states stay as
    they were. There is no law.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> answer = occlusion(latch().trace(), baseline=0)
    >>> answer.named, round(answer.together, 3)
    ((0, 6), 0.0)
    """
    steps, wide = size("steps", steps), size("width", width)
    most = finite_number("work", work, "a positive number", lambda value: value > 0)
    aim = target(trace, output, t, sequence)
    aim.lstm.require_unedited("an occlusion")
    able = _able_steps(aim)
    for few in FEW:
        count = min(steps, len(able))
        while (expected := _multiplications(aim, count, few)) > most and count > LEAST:
            count = max(LEAST, count * 7 // 8)
        if expected <= most:
            break
    if expected > MUCH * most:
        raise OptionError(
            f"an occlusion of this model takes {expected:.2g} multiplications. Raise work to at least that."
        )
    if wide > count:
        raise OptionError(f"width must be at most {count}, the number of steps that are looked at, not {wide}")
    draws = rng if isinstance(rng, np.random.Generator) else np.random.default_rng(size("rng", rng, least=0, most=None))
    runs = OccludedRuns(trace.stored, aim, np.sort(able[:count]), output, baseline, draws)
    outside = "" if count == len(able) else _outside(runs)
    shares, past = _shares(runs, trace.labels, outside, draws), float(np.abs(runs.by_pasts).max()) if outside else 0.0
    answer = replace(_changes_by_steps(runs, wide, few, draws), shares=shares, past=past)
    instead = "that of other steps" if baseline is None else "the baseline"
    return replace(
        answer, sentence=_sentence(answer, runs, instead, outside), reading=(*_reading(answer, runs, outside),)
    )


def _able_steps(aim: Target) -> Places:
    """Return the steps that can change a number, the nearest first."""
    valid = np.arange(aim.lstm.num_steps) if aim.valid is None else np.flatnonzero(aim.valid)
    ends, ways = sorted(set(aim.places.values())), aim.lstm.directions
    if len(ways) == 1 and not (aim.in_graph is not None and aim.in_graph.reads_every_step):
        valid = valid[valid <= ends[0] if ways == ("forward",) else valid >= ends[0]]
    return valid[np.argsort(np.abs(valid[:, None] - ends).min(1), kind="stable")]


def _multiplications(aim: Target, count: int, few: int) -> float:
    """Return about how many multiplications it takes to look at so many steps, and at sets for a few rows."""
    if aim.in_graph is not None:  # whose every run is one of the whole network
        return aim.in_graph.network.work * (DRAWS * count + few * SETS)
    weights = sum(cell.parameters.weight.size for cell in aim.lstm.cells().values())
    if len(aim.lstm.directions) == 1:
        return weights * (DRAWS * count / 2 + few * SETS) * count
    steps = aim.lstm.num_steps
    return weights * (DRAWS * count + few * SETS) * (steps if aim.step is None else min(steps, 3 * count))


def _changes_by_steps(runs: OccludedRuns, width: int, few: int, rng: np.random.Generator) -> Occlusion:
    """Return the answer that exchanges of each step with its neighbours give, without its shares and sentences."""
    aim, looked = runs.aim, runs.looked
    first = np.clip(np.arange(len(looked)) - width // 2, 0, len(looked) - width)
    windows = looked[first[:, None] + np.arange(width)]
    changes, weights = runs.of_sets(windows)
    parts = weights * np.abs(changes)
    by_step = np.full((3, len(aim.x)), np.nan)
    by_step[:, looked] = (weights * changes).sum(1), parts.sum(1), runs.error(parts)
    order, count = _ranked(runs, parts, width)
    sets, rivals = _rivals(runs, windows, order, count, few, rng)
    for fewer in range(count - 1, 0, -1):  # a step that stands out by far is not lost with two that others rival
        if rivals and by_step[1, looked[order[fewer - 1]]] > FAR * by_step[1, looked[order[fewer]]]:
            count = fewer
            sets, rivals = _rivals(runs, windows, order, count, few, rng)
    tried, together, moved = order[:count], np.nan, np.nan
    if count:
        changes, weights = runs.of_sets(windows[[tried]].reshape(1, -1))
        together, moved = float(runs.without(weights[0] @ changes[0])), float(weights[0] @ np.abs(changes[0]))
    return Occlusion(
        columns={
            "time": times_of(aim.first),
            "change": by_step[0],
            "without": runs.without(by_step[0]),
            "size": by_step[1],
            "error": by_step[2],
        },
        sentence="",
        target=aim.phrase,
        step=aim.step,
        value=aim.value,
        tried=tuple(sorted(looked[tried].tolist())),
        together=together,
        moved=moved,
        sets=sets,
        rivals=rivals,
        past=0.0,
        shares={},
        width=width,
        times=times_of(aim.first),
        valid=aim.valid,
    )


def _ranked(runs: OccludedRuns, parts: Array, width: int) -> tuple[list[int], int]:
    """Return the places of windows that do not overlap, those of the largest changes first, and how many stand out."""
    sizes, order, is_taken = parts.sum(1), list[int](), np.zeros(len(parts), bool)
    for place in largest_first(sizes, dtype=runs.aim.first.parameters.dtype).tolist():
        if not is_taken[place]:
            order.append(place)
            is_taken[max(0, place - width + 1) : place + width] = True
    equal = max(TIE * sizes[order[0]], runs.nothing)  # a smaller difference of two changes is none
    for count in range(min(NAMED, max(1, len(order) // 2)), 0, -1):
        gaps = parts[order[:count], None] - parts[order[count:]]
        above = gaps.sum(-1) > SURE * runs.error(gaps) + equal
        slight = equal / gaps.shape[-1]
        above |= (gaps > -slight).all(-1) & ((gaps > slight).sum(-1) >= OFTEN)
        if sizes[order[count - 1]] > PART * sizes[order[0]] and above.all():
            return order, count
    return order, 0


def _rivals(
    runs: OccludedRuns, windows: Places, order: list[int], count: int, few: int, rng: np.random.Generator
) -> tuple[int, int]:
    """Return the number of sets of other windows that are exchanged, and of those that change the number as much."""
    sets = _sets(order[count:], count, rng) if count > 1 else []
    if not sets:
        return 0, 0
    several = windows[np.array([order[:count], *sets])].reshape(1 + len(sets), -1)
    changes, weights = runs.of_sets(several, few)
    sizes = (weights * np.abs(changes)).sum(1)
    return len(sets), int((sizes[1:] >= (1 - TIE) * sizes[0]).sum())


def _sets(others: list[int], count: int, rng: np.random.Generator) -> list[Sequence[int]]:
    """Return sets of so many places: all if they are few, else random ones."""
    if comb(len(others), count) <= SETS:
        return [*combinations(others, count)]
    return [rng.choice(others, count, replace=False).tolist() for _ in range(SETS)]


def _shares(runs: OccludedRuns, labels: Labels, outside: str, rng: np.random.Generator) -> dict[str, float]:
    """Return the root mean square change by each feature and by the state before all steps, the largest first."""
    network, count = runs.aim.network, runs.x.shape[1]
    changes = {f"the state {outside or 'at the beginning'}": runs.by_pasts}
    if count <= MOST_FEATURES and (network is None or network.embedding is None):
        changes |= {labels.feature(place): d for place, d in enumerate(runs.by_features(rng))}
    sizes = {name: float(np.sqrt((d**2).mean())) for name, d in changes.items()}
    names, values = [*sizes], np.array([*sizes.values()])
    return {names[place]: float(values[place]) for place in largest_first(values)}


# In words.


def _outside(runs: OccludedRuns) -> str:
    """Return the words for all steps that may change the number and are not looked at."""
    first, last = (step_name(runs.aim.first, int(runs.looked[place])) for place in (0, -1))
    words = {"forward": f"before {first}", "backward": f"after {last}"}
    return " and ".join(words[way] for way in runs.aim.lstm.directions)


def _sentence(answer: Occlusion, runs: OccludedRuns, instead: str, outside: str) -> str:
    """Return the sentence of an occlusion: the step that changes the number most, or why none is named."""
    sizes, first = answer.columns["size"], runs.aim.first
    place, count, mean = first_largest(sizes), counted(len(runs.looked), "step"), _mean(runs)
    change, largest = answer.columns["change"][place], sizes[place]
    several = NUMBERS[len(answer.tried)]
    rank = f"one of the {several} largest changes" if len(answer.tried) > 1 else "the largest change"
    tokens = runs.aim.tokens if first.labels.times is None else None  # else the step has the name of its token
    token = "" if tokens is None else f" (token {tokens[place]})"
    where = f"{at_step(first, place)}{token}"
    if answer.width > 1:
        where = f"of {answer.width} steps around {step_name(first, place)}{token}"
    if not largest:
        found = f"no step of {count} changes it when its input is exchanged for {instead}"
    elif answer.rivals:
        found = f"no step stands out: {answer.rivals} of {counted(answer.sets, 'set')} of {several} others change it"
        found += f" as much as {answer.tried_names}"
    elif not answer.tried:
        found = f"no step stands out: the largest change, {largest:.2g}{mean} {where}, cannot be told apart from others"
    else:
        by = f"it is {answer.columns['without'][place]:.4g}"
        by = by if abs(change) > LEVEL * largest else f"it changes by {largest:.4g}"
        found = f"with the input {where} exchanged for {instead}, {by}{mean}, {rank} of {count}"
    if answer.past > (1 + TIE) * largest:
        earlier = f"what comes {outside}, where no step was looked at, changes it most, by up to {answer.past:.4g}"
        return f"{runs.aim.clause}; {earlier}."
    if answer.past > PART * largest:
        found += f"; {outside}, where no step was looked at, another past changes it by up to {answer.past:.4g}"
    return f"{runs.aim.clause}; {found}."


def _reading(answer: Occlusion, runs: OccludedRuns, outside: str) -> Iterator[str]:
    """Yield what was tested, a sentence each."""
    sizes, mean, several = answer.columns["size"][runs.looked], _mean(runs), NUMBERS[len(answer.tried)]
    tested = f"Tested: {counted(len(sizes) * len(runs.rows), 'exchange')} of the input at {counted(len(sizes), 'step')}"
    if len(answer.tried) > 1:
        tested += f"; with {answer.tried_names} exchanged together {answer.outcome}{mean}"
        rivals = f"{answer.rivals or 'none'} change{'' if answer.rivals else 's'} it as much"
        tested += f"; of {counted(answer.sets, 'set')} of {several} others, {rivals}" if answer.sets else ""
    elif len(sizes) > 1 and sizes.any():
        largest, second = np.sort(sizes)[:-3:-1]
        tested += f"; the largest change is {largest:.3g}{mean}, the next {second:.3g}"
    yield f"{tested}."
    total = sum(answer.shares.values())
    shares = [f"{name} {100 * size / total:.0f} %" for name, size in answer.shares.items() if size > SHARE * total]
    if shares and (len(shares) > 1 or len(answer.shares) > 2):
        yield f"By feature, exchanged at all these steps: {join_names(shares[:MOST_SHARES])}."
    if len(runs.aim.lstm.directions) > 1 and runs.aim.lstm.num_layers > 1 and runs.widest != slice(0, len(runs.x)):
        yield f"The states {counted(len(sizes), 'step')} beyond all these steps were left as they were."
    if outside and not answer.past:
        pasts = counted(len(runs.by_pasts), "other past")
        yield f"{outside[0].upper()}{outside[1:]}, where no step was looked at, none of {pasts} changes it."


def _mean(runs: OccludedRuns) -> str:
    """Return what follows a mean over the rows that take the place of a step."""
    return " on average" * (len(runs.rows) > 1)
