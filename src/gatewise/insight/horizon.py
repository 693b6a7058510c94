"""How long does a change show? The lags at which an exchanged step of the input still shows in the output."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, quiet, size
from gatewise.errors import OptionError
from gatewise.insight.answer import Answer
from gatewise.insight.drawn_exchanges import EXCHANGES, SHARE, TOGETHER, Checks, DrawnExchanges
from gatewise.insight.exchanges import PEAK, Exchanges, Lasting, Outcome, Places, Steps, Swaps
from gatewise.insight.naming import (
    duration_of,
    of_cell,
    output_of,
    output_phrase,
    step_duration,
    step_noun,
    unit_names,
)
from gatewise.insight.retention import require_finite, require_range, stored_run
from gatewise.layers import LSTM
from gatewise.layers.stack import States
from gatewise.margins import TIE, first_largest
from gatewise.network import Network, NetworkTrace
from gatewise.records.trace import LSTMTrace, Trace
from gatewise.showing import counted

LAGS = 256  # that are looked at first
LEAST, MOST = 32, 2**13  # lags that are looked at, if a sequence is long enough, unless more are asked for
WORK = 25 * 10**9  # multiplications of all exchanges, about, which sets how many lags there are between these
DIFFERENT = 0.15  # of the horizon: a check that is off by less agrees
ABRUPT = 0.5 * (1 - TIE)  # of the largest difference: one that is larger at its last lag does not fade, but ends
ALONG = 0.75  # of a unit's difference: if more is retained along the cell, or is not, it lives in one place
ALIKE = (1 + TIE) / 3  # of the longer lag: a unit and the output have exchanges as long if their lags are closer
COMPARED = 1.39  # standard errors on either side, so that two intervals that do not touch differ at 5 %
LONGER = 2  # times the horizon: a unit that keeps something for longer is named


@dataclass(frozen=True, eq=False, repr=False)
class Horizon(Answer):
    """How long a change of the input shows in the output.

    Attributes
    ----------
    steps, ahead : int
        The steps for which it shows later; and before, through a backward direction. 0 for its own step.
    at_least, ahead_at_least : bool
        Whether that is the last lag that was looked at, `lags`, and effects may last longer.
    stable : bool
        False if small changes grow, so that `steps` says nothing.
    lags : int
        The last lag that was looked at.
    lag : array of int (lag,)
        The lags of `curve`, negative ones at earlier steps.
    curve : array (3, lag)
        The lower quartile, the median and the upper quartile of the output's difference, as a share of its largest.
    output : str
        The output that this is about: the one that was asked for, or shows changes longest; empty where there is one.
    outputs : tuple of str
        The names of all outputs that were looked at.
    outputs_steps, outputs_ahead : array of int (output,)
        The horizons of these.
    exchanges : int
        The number of exchanges that change the output, on which the horizon rests.
    unit_curves : array (lag + 1, unit)
        Of each unit, the mean difference of its cell state at each lag, as a share of its largest.
    step_duration : tuple of (float, str) or None
        The duration of a step and its unit; None if unknown.

    Examples
    --------
    >>> lstm = gw.LSTM(1, 8, rng=0)
    >>> answer = gw.insight.horizon(lstm, np.random.default_rng(0).normal(size=(300, 1)))
    >>> answer.steps, answer.stable
    (8, True)
    """

    steps: int
    ahead: int
    at_least: bool
    ahead_at_least: bool
    stable: bool
    lags: int
    lag: Places
    curve: Array
    output: str
    unit_curves: Array
    step_duration: tuple[float, str] | None
    outputs: tuple[str, ...] = field(default=(), kw_only=True)
    outputs_steps: Places = field(default_factory=lambda: np.zeros(0, np.intp), kw_only=True)
    outputs_ahead: Places = field(default_factory=lambda: np.zeros(0, np.intp), kw_only=True)
    exchanges: int = field(default=0, kw_only=True)

    @property
    def title(self) -> str:
        """The output in words."""
        return output_phrase(self.output) if self.output else "the output"

    @property
    def longest_trace(self) -> str:
        """A clause about the unit that keeps a change longest, if it does so for much longer than the output."""
        unit = int(np.argmax(self.columns["steps"]))
        layer, way, name, kept, at_least = (
            self.columns[key][unit] for key in ("layer", "direction", "unit", "steps", "at_least")
        )
        if kept <= LONGER * max(self.steps, self.ahead, 1):
            return ""
        where = of_cell(layer, way, *(len(set(self.columns[key])) for key in ("layer", "direction")))
        time = _time(kept, at_least, self.step_duration)
        return f"; unit {name}{where} keeps a trace of it for {time}, which the output does not show"


@quiet
def horizon(
    model: LSTM | Network | LSTMTrace | NetworkTrace | Trace,
    x: Any = None,
    state: States | None = None,
    *,
    output: int | str | None = None,
    lags: int | None = None,
    rng: int | np.random.Generator = 0,
    **options: Any,
) -> Horizon:
    """Return how long a change of the input shows in the output, by experiment.

    The input of one step is exchanged for that of another step of the data, and the run goes on from the state before
    it. The difference of the output at each later step shows how long that one change lasts: until it is below a tenth
    of its largest, and nine tenths of all that it changes have come. The horizon is what 90 % of such exchanges stay
    within, each weighted by all that it changes.

    Parameters
    ----------
    model : LSTM or Network; or NetworkTrace, LSTMTrace or Trace
        A model, or a run of one that kept everything, instead of what follows.
    x : array
        The input of the model, as its call takes it. Of tokens the rows of the embedding are exchanged.
    state
        As in a call.
    output : int or str, optional
        The output that this is about, by its number or name. By default the one that shows changes longest.
    lags : int, optional
        The last lag to look at: less than the steps of the longest sequence, and of its windows. By default 256, and
        four times as many while more than a tenth of the effects would be cut off; at most 8,192, and no more than some
        25 billion multiplications allow.
    rng : int or numpy.random.Generator
        Draws the exchanges: with the same seed the same ones.
    **options
        As in a call: ``lengths``, ``mask``, ``axes``.

    Returns
    -------
    Horizon
        With a row for each unit: ``layer``, ``direction``, ``unit``, ``steps`` and ``at_least`` of its cell state, and
        ``through``: whether what it keeps lives in ``c``, is written anew through ``h``, or ``both``; and ``as_long``:
        whether the same exchanges show in it about as long as in the output.

    Raises
    ------
    OptionError
        If `lags` is no positive integer, there is no such output, no sequence has two steps, or the run has edits or
        dropout masks.
    NotKeptError
        If the run did not keep everything.

    Notes
    -----
    Which exchanges are tried decides, since some events are rare. Of up to 64,000, of which one step is run, 100 are
    those that move each unit most; 300 are drawn with a probability in proportion to how far they move a unit, and how
    long these units last. Checks follow: 50 random exchanges, 50 of ten steps together, 50 of the state before a step,
    and a hundredth of those that last to the end: if its share of the effect grew, the run is unstable.

    Any step is exchanged, up to the last. An exchange that still shows at the end of its sequence counts up to there.
    A change ends by an input if it does not end with that input exchanged for the one before it.

    Outputs are compared before a softmax or a sigmoid and before their scaling; of many, the 16 that vary most. A
    network that reads the last step alone is read at every step, as if the input ended there, and one with windows runs
    without a break. In a bidirectional stack, the states at the ends of the steps that are run again stay as they were.
    It takes the time of some 600 runs over `lags` steps, in batches, and holds 400 differences for each lag. There is
    no law.

    Examples
    --------
    >>> import numpy as np, gatewise as gw
    >>> from gatewise.examples import latch
    >>> x = np.zeros((500, 3))
    >>> x[:, 0] = np.random.default_rng(0).choice([-1.0, 1.0], 500)
    >>> x[::20, 1] = 1  # write
    >>> print(horizon(gw.LSTM.from_cells(latch().cell), x))
    A change of one step's input shows in the output for 19 steps, and then no more.
    """
    return HorizonStudy(model, x, state, output=output, lags=lags, rng=rng, **options).answer(output)


class HorizonStudy:
    """The exchanges of a run and what they change, from which the horizon of each output is told."""

    @quiet
    def __init__(
        self,
        model: LSTM | Network | LSTMTrace | NetworkTrace | Trace,
        x: Any = None,
        state: States | None = None,
        *,
        output: int | str | None = None,
        lags: int | None = None,
        rng: int | np.random.Generator = 0,
        part: float = 1.0,
        **options: Any,
    ) -> None:
        draws = rng if isinstance(rng, np.random.Generator) else None
        draws = np.random.default_rng(size("rng", rng, least=0, most=None)) if draws is None else draws
        if not isinstance(model, (LSTM, Network)):
            run = stored_run(model)
            if x is not None or state is not None or options:
                raise OptionError("the run already has its input and state. Pass only output, lags and rng.")
        else:
            run = stored_run(model.trace(x, state, **options))
        run.require_unedited("a horizon")
        require_range(run.lstm.first)
        if any(mask is not None for cell in run.cells().values() for mask in vars(cell.dropout).values()):
            raise OptionError("a horizon needs a run without dropout, zoneout and DropConnect masks. Run without them.")
        if run.network is not None and run.network.is_in_graph:
            from gatewise.insight.graph_exchanges import GraphExchanges  # which most runs do without

            exchanges: Exchanges = GraphExchanges.of_graph(run)
        else:
            exchanges = Exchanges.of_run(run if isinstance(run, NetworkTrace) else run.lstm)
        if output is not None:
            place = output_of(output, exchanges.names, exchanges.y.shape[-1])
            exchanges = replace(exchanges, output=place)
        self.drawn, most = DrawnExchanges(exchanges, draws, part), _most_lags(exchanges)
        for values in (exchanges.cell_states, exchanges.y):
            require_finite(values, "a horizon")
        if lags is None:
            most = min(most, MOST, max(LEAST, WORK // (EXCHANGES * exchanges.num_weights)))
            first = min(LAGS, most)
        elif size("lags", lags, most=None) > most:
            raise OptionError(f"lags must be at most {most:,}, for sequences as long as these, not {lags:,}")
        else:
            first = most = int(lags)
        self.lags, self.swaps, self.outcome = self.drawn.rounds(first, most)

    def lags_of(self, output: int | str, which: Any = None, share: float = SHARE) -> tuple[int, int]:
        """Return the lags up to which changes show after and before a step.

        `which` are the exchanges that count, and `share` is the part of their weight that ends within the lags.
        """
        _, (after, before) = self._of(output, which)
        lags = [int(part.quantile(share)[0][0]) if len(part.lags) else 0 for part in (after, before)]
        return (lags[1], lags[0]) if self.drawn.exchanges.is_reversed else (lags[0], lags[1])

    def bounds_of(self, output: int | str, which: Any = None) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the least and the largest lags that the exchanges are compatible with: few of them leave much open.

        The intervals of two shares overlap unless the shares differ at the level of 5 %: Goldstein and Healy, "The
        graphical presentation of a collection of means" (1995). As many steps count as Kish, "Survey Sampling" (1965),
        gives for their weights.
        """
        at, (after, before) = self._of(output, which)
        _, number = np.unique(np.ravel_multi_index(at, self.drawn.exchanges.x.shape[:2]), return_inverse=True)
        weights = np.bincount(number, (after.sums + before.sums)[:, 0])
        count = weights.sum() ** 2 / np.square(weights).sum() if weights.any() else np.inf
        error = COMPARED * np.sqrt(SHARE * (1 - SHARE) / count)
        least, most = (self.lags_of(output, which, share) for share in (SHARE - error, min(SHARE + error, 1)))
        return least, most

    def _of(self, output: int | str, which: Any) -> tuple[Steps, tuple[Lasting, Lasting]]:
        """Return the steps of some exchanges, and how long they show in an output at later and at earlier steps."""
        exchanges = self.drawn.exchanges
        number = output_of(output, exchanges.names, exchanges.y.shape[-1])
        place, which = int(np.searchsorted(exchanges.varied, number)), slice(None) if which is None else which
        after, before = (Lasting(*(array[which][:, [place]] for array in part)) for part in self.outcome[:2])
        return self.swaps.at.of(which), (after, before)

    @quiet
    def answer(self, output: int | str | None = None) -> Horizon:
        """Return the horizon of an output, by default of the one that shows changes longest."""
        exchanges = self.drawn.exchanges
        if output is None:
            ends = [part.quantile(SHARE)[0] for part in (self.outcome.outputs, self.outcome.ahead)]
            longest = np.maximum(*ends)
            place = first_largest(np.where(longest == longest.max(), self.outcome.sums.sum(0), -1))
            return _answer(self.drawn, self.lags, self.swaps, self.outcome, place)
        number = output_of(output, exchanges.names, exchanges.y.shape[-1])
        if number not in exchanges.varied:
            raise OptionError(
                f"this horizon left out output {output}. Call gatewise.insight.horizon with output={output}."
            )
        place = int(np.searchsorted(exchanges.varied, number))
        return _answer(self.drawn, self.lags, self.swaps, self.outcome, place)


def _most_lags(exchanges: Exchanges) -> int:
    """Return the most lags that a horizon looks at; raise OptionError if sequences are too short for any."""
    longest = 0
    if exchanges.valid is None or exchanges.valid.any():
        first, last = exchanges.ends
        longest = int((last - first).max(initial=-1)) + 1
    if longest < 2:
        raise OptionError(f"a horizon needs a sequence of 2 valid steps or more; the longest here has {longest}")
    windows = exchanges.network.windows
    return longest - 1 if windows is None else min(longest, windows.steps) - 1


def _answer(drawn: DrawnExchanges, lags: int, swaps: Swaps, outcome: Outcome, place: int) -> Horizon:
    """Return the horizon of an output that exchanges show, with its checks, its table and its sentence."""
    exchanges = drawn.exchanges
    ways = -1 if exchanges.is_reversed else 1
    ends, more = zip(*(part.quantile(SHARE) for part in (outcome.outputs, outcome.ahead)[::ways]), strict=True)
    checks, curve = drawn.checks(swaps, outcome, place, lags), _curve(outcome, place)
    lag = np.arange(curve.shape[1]) - (lags if exchanges.is_bidirectional else 0)
    windows = exchanges.network.windows
    is_open = windows is None or lags < windows.steps - 1  # more lags may show more
    steps, ahead = (int(end[place]) for end in ends)
    lasts = [bool(each[place] and is_open and end[place] > 0) for each, end in zip(more, ends, strict=True)]
    step = step_duration(exchanges.trace.first)
    answer = Horizon(
        columns=_unit_columns(exchanges, outcome, place, is_open=is_open),
        sentence="",
        steps=steps,
        ahead=ahead,
        at_least=lasts[0],
        ahead_at_least=lasts[1],
        stable=checks.is_stable,
        lags=lags,
        lag=-lag if exchanges.is_reversed else lag,
        curve=curve,
        output=exchanges.names_of_varied[place] if exchanges.y.shape[-1] > 1 else "",
        outputs=tuple(exchanges.names_of_varied),
        outputs_steps=ends[0],
        outputs_ahead=ends[1],
        exchanges=int((outcome.sums[:, place] > 0).sum()),
        unit_curves=outcome.sizes / np.maximum(outcome.sizes.max(0), np.finfo(np.float32).tiny),
        step_duration=step,
    )
    is_abrupt = _ends_abruptly(outcome, place)
    ended = drawn.ended_by_input(swaps, outcome, place) if is_abrupt else None
    reading = _reading(answer, swaps, checks, exchanges, step, ended=ended)
    sentence = _sentence(answer, outcome, place, checks, step, is_abrupt=is_abrupt, ended=bool(ended))
    return replace(answer, sentence=sentence, reading=tuple(reading))


def _curve(outcome: Outcome, place: int) -> Array:
    """Return the quartiles (3, lag) over exchanges of the difference of an output, as a share of its largest."""
    moved = np.flatnonzero(outcome.sums[:, place])
    if not len(moved):
        return np.zeros((3, len(outcome.differences)))
    d = outcome.differences[:, moved, place].astype(np.float64)
    shares = d / d.max(0)
    order = np.argsort(shares, axis=1, kind="stable")
    weights = np.cumsum(outcome.sums[moved, place][order], axis=1)
    ordered = np.take_along_axis(shares, order, 1)
    places = [(weights < (1 - TIE) * share * weights[:, -1:]).sum(1, keepdims=True) for share in (0.25, 0.5, 0.75)]
    return np.concatenate([np.take_along_axis(ordered, each, 1) for each in places], axis=1).T


def _unit_columns(exchanges: Exchanges, outcome: Outcome, place: int, *, is_open: bool) -> dict[str, npt.NDArray[Any]]:
    """Return the table of the units: how long an exchange shows in the cell state of each, and where it lives.

    `is_open` says whether more lags may show more.
    """
    cells = exchanges.trace.cells()
    rows = [(layer, way, name) for (layer, way), cell in cells.items() for name in unit_names(cell)]
    steps, more = outcome.units.quantile(SHARE)
    both = outcome.along + outcome.anew
    along = outcome.along / np.where(both > 0, both, 1)
    through = np.where(along >= ALONG, "c", np.where(along <= 1 - ALONG, "h", "both"))
    layers, ways, names = (np.array(column) for column in zip(*rows, strict=True))
    ends = [(part.lags[:, [place]], part.sums[:, [place]]) for part in (outcome.outputs, outcome.ahead)]
    lags, weights = (np.where(exchanges.goes_forward, *pair) for pair in zip(*ends, strict=True))
    weights = sum(part / np.maximum(part.sum(0), np.finfo(np.float64).tiny) for part in (weights, outcome.units.sums))
    off, longest = np.abs(outcome.units.lags - lags), np.maximum(outcome.units.lags, lags)
    return {
        "layer": layers,
        "direction": ways,
        "unit": names,
        "steps": steps,
        "at_least": more & (steps > 0) & is_open,
        "through": np.where(steps > 0, through, ""),
        "as_long": (weights * off).sum(0) <= ALIKE * (weights * longest).sum(0),
    }


# In words.


def _sentence(
    answer: Horizon,
    outcome: Outcome,
    place: int,
    checks: Checks,
    step: tuple[float, str] | None,
    *,
    is_abrupt: bool,
    ended: bool,
) -> str:
    """Return the sentence of a horizon: how long a change shows in the output, and whether a unit keeps it longer."""
    if not answer.stable:
        return (
            f"No horizon can be told, since the run is unstable: after {duration_of(answer.lags, step)}, a hundredth of"
            f" a change of the input has {checks.late:.2g} of the effect that all of it has on {answer.title}."
        )
    if not outcome.sums[:, place].any():
        sentence = "No exchanged step of the input changes the output"
    else:
        visible = _shown(answer, outcome, place, step, is_abrupt=is_abrupt, ended=ended)
        sentence = f"A change of one {step_noun(step)}'s input shows in {answer.title} {visible}"
    return f"{sentence}{answer.longest_trace}."


def _time(steps: int, at_least: bool, step: tuple[float, str] | None) -> str:
    return f"{'at least ' if at_least else ''}{duration_of(steps, step)}"


def _shown(
    answer: Horizon, outcome: Outcome, place: int, step: tuple[float, str] | None, *, is_abrupt: bool, ended: bool
) -> str:
    """Return how long a change shows in an output, as the end of a sentence."""
    time = _time(answer.steps, answer.at_least, step)
    if answer.ahead:
        earlier = step_noun(step) if answer.ahead == 1 else duration_of(answer.ahead, step)
        before = f"at the {earlier} before it"
        before += ", as far as was looked" if answer.ahead_at_least else ""
        return f"for {time} after it, and {before}" if answer.steps else before
    if not answer.steps:
        later = outcome.differences[-answer.lags :, :, place] if answer.lags else np.zeros(1)
        that = f"that {step_noun(step)}"
        return f"mostly at {that}, where nine tenths of its effect come" if later.any() else f"at {that} alone"
    if answer.at_least:
        return f"for {time}, as far as was looked"
    if answer.steps == answer.lags:
        return f"for {time}, as far as its windows reach"
    half = int(outcome.outputs.quantile(0.5)[0][place])
    if is_abrupt and half == answer.steps:
        return f"for {time}, and then no more"
    if is_abrupt and ended:
        return f"until the input ends it: half of the changes that count last {half}, and few more than {time}"
    over = int(answer.lag[np.flatnonzero(answer.curve[1] >= PEAK)].max(initial=0))
    peak = f"; its peak is over after {duration_of(over, step)}" if LONGER * over < answer.steps else ""
    return f"for {time}: by then nine tenths of its effect have come{peak}"


def _ends_abruptly(outcome: Outcome, place: int) -> bool:
    """Return whether the differences of an output are still large at their last lags: they do not fade, but end."""
    d, visible = outcome.differences[-len(outcome.sizes) :, :, place], outcome.outputs
    largest, last, sums = d.max(0), visible.lags[:, place], np.where(visible.lasts, 0, visible.sums)[:, place]
    at_end = d[last, np.arange(len(last))] / np.where(largest > 0, largest, 1)
    return bool(sums.any() and (at_end * sums).sum() >= ABRUPT * sums.sum())


def _reading(
    answer: Horizon,
    swaps: Swaps,
    checks: Checks,
    exchanges: Exchanges,
    step: tuple[float, str] | None,
    *,
    ended: bool | None,
) -> Iterator[str]:
    """Yield what the checks of a horizon found, a sentence each."""
    count, places = len(swaps.at.times), len(set(zip(*swaps.at, strict=True)))
    yield (
        f"Tested: {counted(count, 'exchange')} of the input at {counted(places, 'step')}, and the output compared for"
        f" {duration_of(answer.lags, step)}; of {counted(checks.plain, 'exchange')} drawn at random, {checks.counting}"
        f" {'has' if checks.counting == 1 else 'have'} at least a tenth of the mean effect."
    )
    expected, off = answer.steps, max(1, DIFFERENT * answer.steps)
    tried = (
        ("Ten steps exchanged together show", checks.together, checks.fewer, expected - TOGETHER),
        ("Exchanging the state before a step instead shows", checks.past, answer.lags, expected),
    )
    for title, found, most, least in tried if answer.stable and answer.steps >= answer.ahead else ():
        if found is not None:  # of steps that are exchanged together, the first may be the one that counts
            as_long = min(least, most) - off <= found <= expected + off
            yield f"{title} {'as long' if as_long else f'for {_time(found, found == most, step)}'}."
    if checks.late is not None:
        outcome = "small changes do not grow" if answer.stable else "small changes grow"
        yield (
            f"A hundredth of the change has {checks.early:.2g} of the effect at once, and {checks.late:.2g} at the end:"
            f" {outcome}."
        )
    if ended is not None:
        outcome = "still show" if ended else "stop all the same"
        yield f"Tested: with the input of the last step or two exchanged for the one before, most changes {outcome}."
    if len(answer.outputs) > 1:
        longest = np.maximum(answer.outputs_steps, answer.outputs_ahead)
        low, high = (duration_of(int(each), step) for each in (longest.min(), longest.max()))
        yield f"Over the {len(answer.outputs)} outputs, changes show for {low}{f' to {high}' if low != high else ''}."
    if exchanges.network.reads == "last":
        yield "The network is read at each of these steps, as if the input ended there."
    if exchanges.network.windows is not None:
        yield f"The run is one, and not cut into windows of {exchanges.network.windows.steps:,} steps."
    if exchanges.y.shape[-1] > len(exchanges.varied):
        yield f"Of {exchanges.y.shape[-1]:,} outputs, the {len(exchanges.varied)} that vary most were looked at."
