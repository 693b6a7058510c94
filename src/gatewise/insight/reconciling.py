"""One sentence about three answers: how long a change shows, how fast cell states decay, and what derivatives see."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gatewise.arrays import Array
from gatewise.insight.horizon import Horizon
from gatewise.insight.influence import NOTHING, Influence
from gatewise.insight.memory import Timescales, first_slowest
from gatewise.insight.naming import duration_of, of_cell

FADED = np.log(10)  # timescales until an exponential is at a tenth, below which a horizon takes it for over
AGREE = 1.5  # times as long or as short: a horizon this close to that of the decay agrees with it


def reconcile(horizon: Horizon, timescales: Iterable[Timescales], influence: Influence | None = None) -> str:
    """Return how the horizon of a run follows from the decay of its cell states or not, and what derivatives see of it.

    Parameters
    ----------
    horizon : Horizon
    timescales : iterable of Timescales
        Those of all cells of the same run, in their order.
    influence : Influence, optional
        That on the output of the same run.

    Returns
    -------
    str
        A sentence. The decay is that of the unit that is slowest between resets. Where a change lives is what the
        horizon measured of the units that keep it longest.
    """
    answers, columns = tuple(timescales), horizon.columns
    lengths = np.concatenate([answer.between_resets for answer in answers])
    unit = first_slowest(lengths)
    length, resets = float(lengths[unit]), np.concatenate([answer.columns["resets"] for answer in answers])[unit]
    layer, way, name = (columns[key][unit] for key in ("layer", "direction", "unit"))
    where = of_cell(layer, way, *(len(set(columns[key])) for key in ("layer", "direction")))
    half = np.log(2) * length
    decays = f"halves in {duration_of(half, horizon.step_duration)}" if np.isfinite(half) else "never decays"
    between = " between resets" if resets else ""
    verdict = _verdict(horizon, lengths, unit, bool(between))
    sentence = f"Along the cell{between} the slowest, unit {name}{where}, {decays}; {verdict}"
    if influence is None or not horizon.stable:
        return f"{sentence}."
    if influence.size < NOTHING or not influence.inputs.any():
        return f"{sentence}; derivatives see none of it."
    return f"{sentence}; by derivatives, {100 * influence.share:g} % of the influence comes from {influence.within}."


def _verdict(horizon: Horizon, lengths: Array, slowest: int, is_reset: bool) -> str:
    """Return how long a change shows beside what the decay of the slowest unit lets expect, as a clause.

    A unit is the cause only if its cell state shows the same exchanges as long as the output. `lengths` are the
    timescales of the units, and `is_reset` whether the slowest is reset now and then.
    """
    if not horizon.stable:
        return "the run is unstable, so that no decay tells how long a change shows"
    reach, steps, expected = max(horizon.steps, horizon.ahead), horizon.columns["steps"], FADED * lengths[slowest]
    if not reach:
        return "the output shows little or nothing of a change after its own step"
    carries = horizon.columns["as_long"] & (AGREE * steps >= reach)
    lasting = horizon.columns["through"][carries]
    time = duration_of(reach, horizon.step_duration) + (" before it" if horizon.ahead > horizon.steps else "")
    shows = f"a change shows for {'at least ' if horizon.at_least or horizon.ahead_at_least else ''}{time}"
    if not steps.any():
        return f"{shows}, though no cell state keeps much of it"
    if carries.any() and "c" not in lasting:
        partly = "partly kept there and partly" if "both" in lasting else "since it is"
        return f"{shows}, {partly} written again through h"
    if AGREE * lengths[carries].max(initial=0) < lengths[slowest]:
        return f"the output shows {shows.replace(' shows', '')}{' only' if steps[slowest] > AGREE * reach else ''}"
    if reach > AGREE * expected:
        return f"{shows}, which is longer, though most of it is kept along the cell at each step"
    if AGREE * reach >= expected or horizon.at_least or horizon.ahead_at_least or reach == horizon.lags:
        return f"{shows}, which agrees"
    return f"{shows}, {'and resets end it' if is_reset else 'which is shorter'}"
