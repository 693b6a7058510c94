"""Which steps are exchanged to tell how long a change shows: those that move some unit far and for long, and checks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gatewise.arrays import Array, chunks
from gatewise.errors import OptionError
from gatewise.insight.exchanges import MOST, Exchanges, Outcome, Places, Steps, Swaps, late_lags
from gatewise.margins import TIE, largest_first, rounding_margin

CANDIDATES, LEAST = 64_000, 4_000  # exchanges of which one step is run, and the least of a large model
EQUAL = 8  # times as many are drawn, since those of equal inputs exchange nothing
CANDIDATE_WORK = 2 * 10**9  # multiplications of these steps
FURTHER = 4  # times as many lags are looked at, if more would be cut off
FIRST, SECOND, CHECKED = 100, 300, 50  # exchanges of the first round, of the second, and of each check
EXCHANGES = FIRST + SECOND + 4 * CHECKED  # of all lags
SHARE = 0.9  # of the weight of all exchanges, which end within the horizon
TOGETHER = 10  # steps that a check exchanges at a time
SMALL = 0.01  # the part of an exchange that a check makes
UNSTABLE = 0.3  # of what whole exchanges change late: where small ones change more, the run may be unstable
GROWN = 3  # times the share that small exchanges change at once: it is, if that grew
PLAIN = 0.1 * (1 - TIE)  # of what the exchanges change on average: a plain one that changes less does not count


class Checks(NamedTuple):
    """The findings of the checks of a horizon.

    Of so many `plain` exchanges, `counting` count; `past` is the horizon of the state before a step, and `together`
    that of several steps exchanged together, up to the lag `fewer`; `early` and `late` are what small exchanges change
    at once and at the end, as a share of what whole ones do. The last three are None where they were not looked at.
    """

    plain: int
    counting: int
    past: int
    fewer: int
    together: int | None
    early: float | None
    late: float | None

    @property
    def is_stable(self) -> bool:
        """Whether small exchanges change no larger share at the end than at once."""
        return self.late is None or self.early is None or not self.late > max(UNSTABLE, GROWN * self.early)


class DrawnExchanges:
    """The exchanges of a run that are drawn to tell how long they last."""

    def __init__(self, exchanges: Exchanges, rng: np.random.Generator, part: float = 1.0) -> None:
        """Draw exchanges of a run; so large a `part` of them, to see if the horizon depends on which ones."""
        self.exchanges, self.rng, self.part = exchanges, rng, part

    def drawn(self, count: int) -> Swaps:
        """Return so many random exchanges of steps by others with another input, or all."""
        at, x = self.exchanges.places(), self.exchanges.x
        total = len(at.times) ** 2
        drawn = min(total, EQUAL * count)
        numbers = self.rng.permutation(total) if total == drawn else self.rng.integers(0, total, drawn)
        places, of_sources = np.divmod(numbers, len(at.times))
        swaps = Swaps(at.of(places), at.of(of_sources))
        parts = (swaps.of(part) for part in chunks(drawn, x.shape[-1], MOST))
        differing = np.flatnonzero(np.concatenate([(x[some.at] != x[some.source]).any(-1) for some in parts]))[:count]
        if not len(differing):
            raise OptionError("a horizon needs an input that is not the same at every step")
        return swaps.of(differing)

    def any_of(self, steps: Steps, count: int) -> Steps:
        """Return so many of the steps, by chance."""
        return steps.of(self.rng.integers(0, len(steps.times), count))

    def rounds(self, lags: int, most: int) -> tuple[int, Swaps, Outcome]:
        """Return the last lag, from `lags` to `most`, exchanges that move units far and for long, and what they change.

        In the first round each unit in turn has those that move it most in one step, which tells for how long it is
        moved; the second prefers exchanges that move far what is moved for long. Where more than a tenth of the effects
        of a round lasts to the last lag, both begin again with a later one.
        """
        exchanges = self.exchanges
        count = int(self.part * min(CANDIDATES, max(LEAST, CANDIDATE_WORK // exchanges.num_weights)))
        while True:
            later = min(FURTHER * lags, most)
            candidates = self.drawn(count)
            moved = exchanges.one_step(candidates)
            first = self._each_unit_in_turn(moved)
            outcome = exchanges.outcome(candidates.of(first), lags)
            if lags == later or not outcome.is_cut_off(SHARE):
                c = exchanges.cell_states
                deviation = c.std((0, 1))
                far = moved / np.where(deviation > rounding_margin(c, axis=(0, 1)), deviation, np.inf)
                sizes_beyond = (far * (1 + outcome.units.quantile(SHARE)[0])).max(1).astype(np.float64)
                sizes_beyond[first] = 0
                second = self.chosen(sizes_beyond, int(self.part * SECOND))
                if len(second):
                    outcome = Outcome.joined([outcome, exchanges.outcome(candidates.of(second), lags)])
                if lags == later or not outcome.is_cut_off(SHARE):
                    return lags, candidates.of(np.concatenate([first, second])), outcome
            lags = later

    def _each_unit_in_turn(self, moved: Array) -> Places:
        """Return the exchanges of the first round, given how far each moves each unit (exchange, unit)."""
        units = moved.T[self.rng.permutation(moved.shape[1])]
        ranks = np.stack([largest_first(of_unit, FIRST) for of_unit in units], axis=1)
        in_turn = dict.fromkeys(ranks.ravel().tolist())
        return np.array([*in_turn][: int(self.part * FIRST)])

    def chosen(self, weights: Array, count: int) -> Places:
        """Return some exchanges, drawn in proportion to their weights; fewer if fewer have any.

        Each draws a number that its weight divides, and the smallest win: Efraimidis and Spirakis, "Weighted random
        sampling with a reservoir" (2006). Rounding of the weights then moves no other draw.
        """
        count = min(count, int((weights > 0).sum()))
        drawn = self.rng.exponential(size=len(weights)) / np.where(weights > 0, weights, np.nan)
        return np.argsort(drawn, kind="stable")[:count]

    def ended_by_input(self, swaps: Swaps, outcome: Outcome, place: int) -> bool | None:
        """Return whether most exchanges whose effect stops at a step keep it if that step has another input.

        Its input becomes that of the step before, which left the effect as it was. None if no effect stops.
        """
        lasts, sums = outcome.outputs.lags[:, place], outcome.sums[:, place] * ~outcome.outputs.lasts[:, place]
        chosen = self.chosen(sums, CHECKED)
        if not len(chosen):
            return None
        lasting_alone = self.exchanges.kept_without_end(swaps.of(chosen), lasts[chosen], self.exchanges.varied[place])
        return bool((lasting_alone * sums[chosen]).sum() > 0.5 * (1 - TIE) * sums[chosen].sum())

    def checks(self, swaps: Swaps, outcome: Outcome, place: int, lags: int) -> Checks:
        """Return the findings of the checks of a horizon about the output at a place."""
        sums, run = outcome.sums[:, place], self.exchanges.outcome
        plain = self.drawn(CHECKED)
        past = run(plain._replace(states=True), lags).outputs
        fewer, sources, together = lags - TOGETHER + 1, self.exchanges.places(TOGETHER), None
        if fewer > 0 and len(sources.times):
            able = swaps.at.times + TOGETHER - 1 <= self.exchanges.ends[1][swaps.at.sequences]
            chosen = swaps.of(self.chosen(sums * able, CHECKED))
            if len(chosen.at.times):
                several = chosen._replace(source=self.any_of(sources, len(chosen.at.times)), steps=TOGETHER)
                together = int(run(several, fewer).outputs.quantile(SHARE)[0][place])
        lasting, early, late = self.chosen(sums * outcome.outputs.lasts[:, place], CHECKED), None, None
        if len(lasting) and lags:
            whole = swaps.of(lasting)
            small = whole._replace(part=SMALL)
            early = float(self.exchanges.one_step(small).sum() / self.exchanges.one_step(whole).sum())
            at_end = late_lags(np.minimum(self.exchanges.last_lags(whole)[0], lags), lags + 1)
            ends = (run(small, lags).differences, outcome.differences[:, lasting])
            later = [d[-lags - 1 :, :, place][at_end] for d in ends]
            late = float(later[0].sum(dtype=np.float64) / later[1].sum(dtype=np.float64))
        return Checks(
            plain=len(plain.at.times),
            counting=int((run(plain, lags).sums[:, place] > PLAIN * sums.mean()).sum()),
            past=int(past.quantile(SHARE)[0][place]),
            together=together,
            fewer=fewer,
            early=early,
            late=late,
        )
