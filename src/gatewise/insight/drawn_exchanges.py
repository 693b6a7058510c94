"""Which steps are exchanged to tell how long a change shows: those that move some unit far and for long, and checks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import OptionError
from gatewise.insight.exchanges import Exchanges, Outcome, Places, Steps, Swaps
from gatewise.showing import counted

CANDIDATES = 16_000  # exchanges of which one step is run
FIRST, SECOND, CHECKED = 100, 300, 50  # exchanges of the first round, of the second, and of each check
SHARE = 0.9  # of the weight of all exchanges, which end within the horizon
TOGETHER = 10  # steps that a check exchanges at a time
SMALL = 0.01  # the part of an exchange that a check makes
UNSTABLE = 0.3  # of what whole exchanges change late: where small ones change more, the run is unstable
PLAIN = 0.1  # of what the exchanges change on average: a plain one that changes less does not count


class Checks(NamedTuple):
    """What the checks of a horizon found.

    Of so many `plain` exchanges, `counting` count; `past` is the horizon of the state before a step, and `together`
    that of several steps exchanged together, up to the lag `fewer`; `growth` is what small exchanges change late, as a
    share of what whole ones do. The last and `together` are None where they were not looked at.
    """

    plain: int
    counting: int
    past: int
    together: int | None
    fewer: int
    growth: float | None

    @property
    def is_stable(self) -> bool:
        """Whether small exchanges change less in the end than whole ones."""
        return self.growth is None or self.growth <= UNSTABLE


class DrawnExchanges:
    """The exchanges of a run that are drawn to tell how long they last."""

    def __init__(self, exchanges: Exchanges, seed: int) -> None:
        self.exchanges, self.rng = exchanges, np.random.default_rng(seed)

    def drawn(self, count: int, lags: int) -> Swaps:
        """Return so many plain exchanges of steps by any others, each with so many lags behind it; all, if fewer."""
        at, sources = self.exchanges.places(lags), self.exchanges.places(0)
        if not len(at.times):
            raise OptionError(f"no step has {counted(lags, 'valid step')} after it at which a change of it could show")
        total = len(at.times) * len(sources.times)
        numbers = np.arange(total) if total <= count else self.rng.integers(0, total, count)
        places, of_sources = np.divmod(numbers, len(sources.times))
        return Swaps(at.of(places), sources.of(of_sources))

    def any_of(self, steps: Steps, count: int) -> Steps:
        """Return so many of the steps, by chance."""
        return steps.of(self.rng.integers(0, len(steps.times), count))

    def two_rounds(self, lags: int) -> tuple[Swaps, Outcome]:
        """Return the exchanges that move units far and for long, and what they change.

        In the first round each unit in turn has those that move it most in one step, which tells for how long it is
        moved; the second prefers exchanges that move far what is moved for long.
        """
        candidates = self.drawn(CANDIDATES, lags)
        moved = self.exchanges.one_step(candidates)
        first = self._each_unit_in_turn(moved)
        outcome = self.exchanges.outcome(candidates.of(first), lags)
        deviation = self.exchanges.cell_states.std((0, 1))
        far = moved / np.where(deviation > 0, deviation, np.inf)
        weights = (far * (1 + outcome.units.quantile(SHARE))).max(1).astype(np.float64)
        weights[first] = 0
        second = self.chosen(weights, SECOND)
        more = self.exchanges.outcome(candidates.of(second), lags) if len(second) else None
        both = Outcome.joined([outcome] if more is None else [outcome, more])
        return candidates.of(np.concatenate([first, second])), both

    def _each_unit_in_turn(self, moved: Array) -> Places:
        """Return the exchanges of the first round, given how far each moves each unit (exchange, unit)."""
        ranks = np.argsort(-moved, axis=0, kind="stable")[:FIRST, self.rng.permutation(moved.shape[1])]
        in_turn = dict.fromkeys(ranks.ravel().tolist())
        return np.array([*in_turn][:FIRST])

    def chosen(self, weights: Array, count: int) -> Places:
        """Return some exchanges, drawn in proportion to their weights; fewer if fewer have any."""
        count = min(count, int((weights > 0).sum()))
        if not count:
            return np.empty(0, np.intp)
        return self.rng.choice(len(weights), count, replace=False, p=weights / weights.sum())

    def checks(self, swaps: Swaps, outcome: Outcome, place: int, lags: int) -> Checks:
        """Return what the checks of a horizon find about the output at a place."""
        sums, run = outcome.sums[:, place], self.exchanges.outcome
        plain = self.drawn(CHECKED, lags)
        past = run(plain._replace(states=True), lags).outputs
        chosen = swaps.of(self.chosen(sums, CHECKED))
        fewer, sources, together = lags - TOGETHER + 1, self.exchanges.places(0, TOGETHER), None
        if fewer > 0 and len(sources.times) and len(chosen.at.times):
            several = chosen._replace(source=self.any_of(sources, len(chosen.at.times)), steps=TOGETHER)
            together = int(run(several, fewer).outputs.quantile(SHARE)[place])
        late, growth = self.chosen(sums * (outcome.outputs.lags[:, place] == lags), CHECKED), None
        if len(late):
            small = run(swaps.of(late)._replace(part=SMALL), lags).differences
            tail, ends = max(1, lags // 10), outcome.differences[:, late]
            growth = float(small[-tail:, :, place].sum() / ends[-tail:, :, place].sum())
        return Checks(
            plain=len(plain.at.times),
            counting=int((run(plain, lags).sums[:, place] > PLAIN * sums.mean()).sum()),
            together=together,
            fewer=fewer,
            past=int(past.quantile(SHARE)[place]),
            growth=growth,
        )
