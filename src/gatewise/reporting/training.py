"""Do the weights look trained? Whether they still lie as an initialiser draws them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.insight.answer import Answer
from gatewise.palette import PALETTE
from gatewise.plot import drawing

MIN_WEIGHTS = 64  # of a cell, from which on their distribution tells something
CRITICAL = (
    1.95  # of a Kolmogorov-Smirnov distance times the root of the number: one in a thousand uniform samples is further
)
ORTHOGONAL = 1e-3  # products of the columns of a recurrent matrix that was drawn orthogonal


@dataclass(frozen=True, eq=False, repr=False)
class Training(Answer):
    """Whether the weights of each cell lie as an initialiser draws them."""

    looks_untrained: bool
    num_weights: int
    weights: Array  # of the first cell, sorted


def training(run: Any) -> Training:
    """Return whether all weights of a run's cells lie as an initialiser draws them, uniform or orthogonal."""
    cells = run.lstm.cells().values()
    rows: list[tuple[str, float, bool]] = []
    for cell in cells:
        p = cell.parameters
        for name, matrix in (("recurrent", p.weight[..., : p.recurrent_size]), ("input", p.input_weight)):
            values = np.sort(np.asarray(matrix, np.float64).ravel())
            bound = float(np.abs(values).max(initial=0.0))
            distance = _distance_to_uniform(values, bound)
            flat = np.asarray(matrix, np.float64).reshape(-1, matrix.shape[-1])
            is_orthogonal = name == "recurrent" and len(flat) > 1 and _is_orthogonal(flat)
            rows.append((name, bound, bool(bound and (distance < CRITICAL or is_orthogonal))))
    count = sum(cell.parameters.weight.size for cell in cells)
    first = next(iter(cells)).parameters.weight
    untrained = count >= MIN_WEIGHTS and all(drawn for *_, drawn in rows)
    bounds = [bound for _, bound, _ in rows]
    around = f"±{bounds[0]:.3g}" if max(bounds) - min(bounds) < 0.05 * max(bounds) else "a bound of each matrix"
    if untrained:
        sentence = f"These weights look untrained: all {count:,} are spread evenly up to {around}, as an initialiser"
        sentence += " draws them."
    elif count < MIN_WEIGHTS:
        sentence = f"The {count:,} weights are too few to tell whether they were trained."
    else:
        sentence = f"The {count:,} weights do not lie as an initialiser draws them."
    return Training(
        columns={
            "matrix": np.array([name for name, *_ in rows]),
            "bound": np.array(bounds),
            "as_drawn": np.array([drawn for *_, drawn in rows]),
        },
        sentence=sentence,
        reading=(
            f"Measured: the distribution of the weights of {len(rows)} matrices against a uniform one (Kolmogorov and"
            " Smirnov, 0.1 %), or an orthogonal matrix. A model that was trained for a moment looks the same.",
        ),
        looks_untrained=untrained,
        num_weights=count,
        weights=np.sort(np.asarray(first, np.float64).ravel()),
    )


def _distance_to_uniform(values: Array, bound: float) -> float:
    """Return the Kolmogorov-Smirnov distance of sorted values to a uniform distribution, times the root of n."""
    count = len(values)
    if not bound:
        return float("inf")
    expected = (values / bound + 1) / 2
    steps = np.arange(count + 1) / count
    return float(max(np.abs(steps[1:] - expected).max(), np.abs(expected - steps[:-1]).max()) * np.sqrt(count))


def _is_orthogonal(matrix: Array) -> bool:
    """Return whether the columns of a matrix are orthogonal and equally long."""
    product = matrix.T @ matrix
    scale = product.trace() / len(product)
    return bool(scale > 0 and np.abs(product / scale - np.eye(len(product))).max() < ORTHOGONAL)


def draw(record: Training, figure: Any) -> Any:
    """Draw the distribution of the weights of the first cell."""
    ax = drawing.single_panel(figure)
    ax.hist(record.weights, bins=40, color=PALETTE["cell_state"].light, edgecolor=drawing.ink(), linewidth=0.4)
    ax.set(xlabel="weight", ylabel="number")
    return ax
