"""The state in which a network rests under a constant input: silence, or what stands for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatewise.arrays import Array, quiet
from gatewise.c_header.stages import flat_state
from gatewise.errors import OptionError
from gatewise.insight.fixed_points import fixed_points
from gatewise.layers import LSTM
from gatewise.network import Network
from gatewise.records.step import State
from gatewise.showing import counted

LONGEST, BLOCK = 20_000, 500  # steps of silence that a run from reset is given, and after which it is looked at
SETTLED = 1e-4  # the change in a block below which the refinement begins
HELD, DRIFT = 1000, 1e-6  # steps of silence that the state at rest is held for, and how far it may go
SEARCHED = 128  # units of a layer up to which other states at rest are searched for


@dataclass(frozen=True, eq=False)
class Rest:
    """A state at rest, or why there is none.

    Attributes
    ----------
    state : array or None
        Layer by layer: h, c.
    sentences : tuple of str
        What was done, what came out of it, and which other states at rest there are.
    """

    state: Array | None
    sentences: tuple[str, ...]


@quiet
def rest_of(network: Network, silence: Array) -> Rest:
    """Return the state to which a network goes from its initial state while its input is `silence` (features,)."""
    stream = network.stream(engine="reference")
    before, steps = flat_state(stream.state), 0
    while True:
        stream.push(np.tile(silence, (BLOCK, 1)))
        after = flat_state(stream.state)
        steps += BLOCK
        moved = float(np.abs(after - before).max())
        if moved <= SETTLED or steps >= LONGEST or not np.isfinite(moved):
            break
        before = after
    if not moved <= SETTLED:
        return Rest(None, (f"it moves on after {steps:,} steps of silence from reset",))
    features, _ = network.embed(silence[None])
    x, states, others = np.asarray(features, np.float64)[0], list[tuple[State, ...]](), list[str]()
    for number, (cell,) in enumerate(network.lstm.layers):
        ended = stream.state[number][0]
        lstm = LSTM.from_cells(cell.parameters.astype(np.float64))
        run = lstm.trace(x[None], state=((State(*(np.asarray(a, np.float64) for a in (ended.h, ended.c))),),))[0]
        few = max(cell.hidden_size, cell.parameters.recurrent_size) > SEARCHED
        points = fixed_points(lstm, x, trace=run, starts=2 if few else 32)
        found = np.concatenate([points.hidden_state, points.cell_state], axis=1)
        target = np.concatenate([np.ravel(ended.h), np.ravel(ended.c)])
        off = np.abs(found - target).max(1, initial=0) if len(found) else np.zeros(0)
        if not len(off) or off.min() > 100 * SETTLED * max(1.0, np.abs(target).max()):
            return Rest(None, (f"no fixed point of layer {number} was found where a run of silence from reset goes",))
        nearest = int(off.argmin())
        if points.kinds[nearest] not in ("stable", "neutral"):
            return Rest(None, (f"layer {number} does not stay where a run of silence from reset goes",))
        stable = [n for n, kind in enumerate(points.kinds) if kind == "stable" and n != nearest]
        if few:
            others.append(f"layer {number} has over {SEARCHED} units: other states at rest were not searched for")
        elif stable:
            others.append(f"the search found {counted(len(stable), 'other stable state')} of layer {number}")
        h, c = points.hidden_state[nearest], points.cell_state[nearest]
        states.append((State(h, c),))
        x = h
    state = flat_state(states)
    drift = _drift(network, state, silence)
    if not drift <= DRIFT:
        return Rest(None, (f"in float32 silence moves the state by {drift:.1g} of its size in {HELD:,} steps",))
    reached = f"a run of silence from reset comes to it (tried: {steps:,} steps)"
    held = f"{HELD:,} steps of silence leave it within {DRIFT:.0e} (float32)"
    return Rest(state, (reached, held, *(others or ("the search found no other stable state",))))


def _drift(network: Network, state: Array, silence: Array) -> float:
    """Return the distance by which silence moves a state in float32, relative to numbers above 1."""
    stream = network.stream(engine="reference")
    initial, at = list[tuple[State, ...]](), 0
    for (cell,) in network.lstm.layers:
        sizes = cell.parameters.recurrent_size, cell.hidden_size
        h, c = (state[at + skip : at + skip + size] for skip, size in ((0, sizes[0]), (sizes[0], sizes[1])))
        at += sum(sizes)
        initial.append((State(h.astype(np.float32), c.astype(np.float32)),))
    stream.state = tuple(initial)
    start, most = flat_state(initial), 0.0
    for _ in range(HELD // 100):
        stream.push(np.tile(silence, (100, 1)))
        most = max(most, float((np.abs(flat_state(stream.state) - start) / np.maximum(1, np.abs(start))).max()))
    return most


def silence_of(network: Network, rest: str | Array) -> Array | None:
    """Return the input that counts as silence: zeros in the data's own unit, or what is given; None for none."""
    if isinstance(rest, str):
        if rest not in ("silence", "none"):
            raise OptionError(f"rest must be 'silence', 'none' or an array of the features, not {rest!r}")
        return None if rest == "none" or network.embedding is not None else np.zeros(network.num_features)
    if network.embedding is not None:
        raise OptionError("this network takes tokens, which have no silence. Pass rest='none'.")
    silence = np.asarray(rest, np.float64)
    if silence.shape != (network.num_features,):
        raise OptionError(f"the silent input has shape {silence.shape}; it must be ({network.num_features},)")
    if not np.isfinite(silence).all():
        raise OptionError("the silent input must be finite")
    return silence
