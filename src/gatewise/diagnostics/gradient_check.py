"""Are the gradients right? Backpropagation against central differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gatewise import adjoints
from gatewise.arrays import Array, quiet
from gatewise.parameters import Parameters
from gatewise.records.step import Step

BY = 1e-5  # the perturbation: the truncation error, BY^2, and the rounding error, 1e-16 / BY, are then of similar size
MOST = 64  # entries of one array that are compared; of a larger array they are drawn at random
WORK = 40_000  # steps computed in total, at most


@dataclass(frozen=True)
class Compared:
    """The gradient with respect to one array, compared with central differences."""

    name: str  # ``x``, ``h_prev`` and ``c_prev`` (before the first step), or a name of the parameters
    entries: int  # that were compared
    of: int  # the number of entries of the array
    largest: float  # absolute value of their gradient
    error: float  # the largest absolute difference
    rounding: float  # which central differences cannot resolve: the error of the loss, divided by the perturbation

    @property
    def relative(self) -> float:
        """The largest difference divided by the largest gradient, or as it is where that is zero."""
        return self.error / self.largest if self.largest else self.error

    @property
    def visible(self) -> bool:
        """Whether the gradient is large enough for central differences to resolve it."""
        return self.largest > 1e3 * self.rounding

    @property
    def agrees(self) -> bool:
        """Whether the two agree within the error of central differences."""
        return self.error <= 1e-5 * self.largest + 10 * self.rounding


@quiet
def gradient_check(
    steps: Sequence[Step], dh: Array, dc: Array, *, dy: Array | None = None, seed: int = 0
) -> tuple[Compared, ...]:
    """Compare the gradients of a run with central differences (f(q + e) - f(q - e)) / 2e of its loss.

    The loss is assumed to be linear in the outputs (time, recurrent) of the steps of one sequence, in the order in
    which they ran, and in the states after the last; `dy`, `dh` (recurrent,) and `dc` (hidden,) are its gradients with
    respect to them.
    Compared are the inputs, each state before the first step, and each array of the parameters; of an array with more
    than 64 entries (fewer where there are very many steps), those that `seed` draws.

    Central differences are computed in float64 whatever the cell's precision. At a kink (of a clip or a relu) the two
    may differ although both are right. Each entry that is compared takes two runs.
    """
    p = steps[0].parameters
    dy = np.zeros((len(steps), p.recurrent_size)) if dy is None else dy
    backpropagated = _backpropagated_gradients(steps, dh, dc, dy)
    arrays: dict[str, Array] = {
        "x": np.stack([step.x for step in steps]).astype(np.float64),
        "h_prev": steps[0].previous.h.astype(np.float64),
        "c_prev": steps[0].previous.c.astype(np.float64),
        **{name: array.astype(np.float64) for name, array in p.arrays().items()},
    }
    most = min(MOST, max(4, WORK // (2 * len(steps) * len(arrays))))
    rng, compared = np.random.default_rng(seed), []
    last = steps[-1].state
    scale = float((np.abs(dh * last.h)).sum() + np.abs(dc * last.c).sum())
    scale += sum(float(np.abs(part * step.state.h).sum()) for part, step in zip(dy, steps, strict=True))
    precise = steps[0].parameters.weight.dtype
    rounding = np.finfo(np.float64).eps * scale / BY + np.finfo(precise).eps * (0 if precise == np.float64 else scale)
    for name, array in arrays.items():
        size = array.size
        places = np.arange(size) if size <= most else np.sort(rng.choice(size, most, replace=False))
        differences = _central_differences(_loss_function(steps, dh, dc, dy), arrays, name, places)
        gradients = backpropagated[name].reshape(-1)[places]
        largest, error = np.max(np.abs(gradients), initial=0), np.max(np.abs(gradients - differences), initial=0)
        compared.append(Compared(name, len(places), size, float(largest), float(error), float(rounding)))
    return tuple(compared)


def _backpropagated_gradients(steps: Sequence[Step], dh: Array, dc: Array, dy: Array) -> dict[str, Array]:
    """Return the gradients of a run to check, by backpropagation through time."""
    sums: dict[str, Array] = {}
    inputs = []
    d_h, d_c = np.asarray(dh)[None], np.asarray(dc)[None]
    for step, part in zip(reversed(steps), reversed(dy), strict=True):
        back = adjoints.step(step.moment, d_h + part, d_c)
        d_h, d_c = back.h_prev, back.c_prev
        inputs.append(back.x[0])
        for name, array in back.parameters.items():
            sums[name] = sums.get(name, 0) + array
    return {"x": np.stack(inputs[::-1]), "h_prev": d_h[0], "c_prev": d_c[0], **sums}


def _loss_function(steps: Sequence[Step], dh: Array, dc: Array, dy: Array) -> Callable[[dict[str, Array]], float]:
    """Return the loss of a run as a function of all its inputs, for the check of its gradients."""
    names = steps[0].parameters.arrays()

    def loss(arrays: dict[str, Array]) -> float:
        """Return the loss of the run with other inputs, initial state and parameters."""
        p = Parameters(variant=steps[0].parameters.variant, **{name: arrays[name] for name in names})
        h, c = arrays["h_prev"][None], arrays["c_prev"][None]
        total = 0.0
        for step, x, dy_step in zip(steps, arrays["x"], dy, strict=True):
            M = step.moment.with_inputs(p, x[None], h, c)
            h, c = M.h, M.c
            total += float((dy_step * h).sum())
        return total + float((dh * h).sum() + (dc * c).sum())

    return loss


def _central_differences(
    loss: Callable[[dict[str, Array]], float], arrays: dict[str, Array], name: str, places: npt.NDArray[np.int64]
) -> Array:
    """Return the central differences of a run's loss with respect to the entries of one array at `places`."""
    slopes = np.empty(len(places))
    for n, place in enumerate(places):
        key, ends = np.unravel_index(place, arrays[name].shape), []
        for sign in (1, -1):
            moved = arrays[name].copy()
            moved[key] += sign * BY * np.maximum(1.0, np.abs(moved[key]))
            ends.append((loss({**arrays, name: moved}), moved[key]))
        (loss_above, above), (loss_below, below) = ends
        slopes[n] = (loss_above - loss_below) / (above - below)
    return slopes
