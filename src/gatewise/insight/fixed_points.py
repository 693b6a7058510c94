"""Where does it come to rest? The fixed points of a cell under a constant input, and the dynamics around them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, finite_number, numbers, quiet, require_memory, size
from gatewise.cell import LSTMCell, Rng, generator
from gatewise.errors import OptionError, ShapeError, join_names
from gatewise.insight.answer import Answer, relative_error
from gatewise.insight.naming import duration_of, step_duration
from gatewise.insight.newton import FixedPointSearch, merge_points, midpoints
from gatewise.insight.retention import of_one_cell
from gatewise.layers import LSTM
from gatewise.margins import largest_first
from gatewise.parameters import Parameters
from gatewise.records.run_record import RunRecord
from gatewise.records.trace import Trace
from gatewise.showing import counted

LAW = "a step of the cell maps each fixed point onto itself"
KINDS = ("stable", "neutral", "saddle", "unstable")
ON_THE_CIRCLE = 1e-7  # the distance from 1 up to which the size of an eigenvalue, even of a double one, counts as 1
HELD = 1000  # steps under the constant input after which it is seen where states of a run have gone
AT_POINT = 0.01  # the distance up to which a state is at a point, relative to points larger than 1


@dataclass(frozen=True, eq=False, repr=False)
class FixedPoints(Answer):
    """The fixed points of a cell.

    Attributes
    ----------
    hidden_state : array (points, recurrent)
    cell_state : array (points, hidden)
    kinds : tuple of str
        ``stable``: all eigenvalues lie within the unit circle. ``neutral``: some lie on it and none outside, as on a
        line of fixed points. ``saddle``: some lie outside. ``unstable``: all do.
    eigenvalues : array of complex (points, recurrent + hidden)
        Eigenvalues of the Jacobian of a step with respect to (h, c), the largest first.
    time_constants : array (points, recurrent + hidden)
        -1 / ln |λ|, in steps, until a displacement shrinks to 1/e; negative if it grows.
    periods : array (points, recurrent + hidden)
        2π / |arg λ|, in steps, of a rotation; infinite without one.
    jacobians : array (points, recurrent + hidden, recurrent + hidden)
    counts : array of int (points,)
        The number of starts that led to each point.
    starts, converged : int
        The number of starts, and of those that led to a fixed point.
    x : array (input,)
        The constant input.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> points = gw.insight.fixed_points(latch().cell)
    >>> points.kinds, points.cell_state.shape
    (('stable',), (1, 1))
    """

    hidden_state: Array
    cell_state: Array
    kinds: tuple[str, ...]
    eigenvalues: npt.NDArray[np.complexfloating[Any]]
    time_constants: Array
    periods: Array
    jacobians: Array
    counts: npt.NDArray[np.integer[Any]]
    starts: int
    converged: int
    x: Array


@quiet
def fixed_points(
    cell: LSTMCell | LSTM | Trace,
    x: npt.ArrayLike | None = None,
    *,
    trace: Trace | None = None,
    starts: int = 32,
    settle: int = 100,
    rng: Rng = 0,
    tolerance: float = 1e-10,
    merge: float = 1e-6,
) -> FixedPoints:
    """Return the states (h, c) that a cell maps onto themselves under a constant input, and their spectra.

    Sussillo and Barak, "Opening the Black Box: Low-Dimensional Dynamics in High-Dimensional Recurrent Neural Networks"
    (2013): near a fixed point a recurrent network is the linear map of its Jacobian. Its eigenvalues λ tell in how many
    directions a displacement decays, how fast, and whether it rotates. The search is Newton's method,
    (J - 1) δ = s - F(s), with the exact Jacobian and each step halved until ‖F(s) - s‖ falls.

    Parameters
    ----------
    cell : LSTMCell, LSTM of one cell, or Trace
        Any variant. For a trace, the cell that ran, without its dropout; its states are starts, as with `trace`.
    x : array (input,), optional
        The constant input; zeros by default.
    trace : Trace, optional
        A run of this cell, whose states are half of the starts.
    starts : int
        The number of states to start from. The search also starts from the states that each of them reaches in `settle`
        steps under the input, and then from midpoints of fixed points, at most as many. Random starts have normal cell
        states of sizes 0.1 to 10.
    settle : int
        Steps before a second search. With 0 there is none, and stable points have no advantage.
    rng : int or numpy.random.Generator
        The source of random starts.
    tolerance : float
        The bound of the largest entry of F(s) - s. States whose rounding is larger do not count: a cell state that runs
        away finally moves by less than its rounding.
    merge : float
        The distance up to which two points are one: the largest entry of their difference, relative to the points if
        they are larger than 1.

    Returns
    -------
    FixedPoints
        With a row for each point, the most frequent first: ``point``, ``kind``, ``starts``, ``residual``
        (the largest entry of F(s) - s), ``spectral_radius`` (the largest |λ|), ``time_constant`` and ``period`` of that
        eigenvalue, ``growing`` (the number of |λ| above 1); with a trace whose times are dates at equal distances also
        ``time_constant_days`` or the like. There may be points to which no start led.

    Raises
    ------
    OptionError
        If an option is not allowed, the LSTM has more than one cell, the trace is of another cell, or the parameters or
        the input are not finite.
    ShapeError
        If x is not of the cell's input size.

    Notes
    -----
    Law: a step of the cell maps each point onto itself, to the tolerance; the residual is the largest ‖F(s) - s‖
    relative to ‖F(s)‖ + ‖s‖. It computes in float64. A step of Newton's method from one start takes
    a backward pass of one step with recurrent + hidden sequences, and the solution of as many equations.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> print(fixed_points(latch().cell))
    All 64 starts led to 1 stable fixed point, with a time constant of 404 steps; there may be others.
    """
    parameters, trace = _cell_and_run(cell, trace)
    search = FixedPointSearch(LSTM.from_cells(parameters.astype(np.float64)), _constant_input(parameters, x))
    _require_finite_search(search)
    starts, settle = size("starts", starts), size("settle", settle, least=0)
    for name, value in (("tolerance", tolerance), ("merge", merge)):
        finite_number(name, value, "a number between 0 and 1", lambda number: 0 < number < 1)
    size_of_state = parameters.recurrent_size + parameters.hidden_size
    require_memory(20 * starts * size_of_state, 8, f"a search from {starts:,} starts of {size_of_state:,} numbers")
    source = cast(np.random.Generator, generator("pytorch", rng, {}))
    visited = _visited_states(parameters, trace, starts, source)
    states = np.concatenate([visited, _random_states(parameters, starts - len(visited), source)])
    if settle:
        states = np.concatenate([states, search.run(states, settle)])
    ended, off = search.newton(states)
    first, _ = merge_points(ended[off <= tolerance], merge)
    between = midpoints(first, starts, source)  # there often is an unstable point between two stable ones
    if len(between):
        more, further = search.newton(between)
        ended, off = np.concatenate([ended, more]), np.concatenate([off, further])
    converged = off <= tolerance
    points, counts = merge_points(ended[converged], merge)
    answer = _describe_points(search, points, counts, len(ended), int(converged.sum()), trace)
    return replace(answer, reading=(*answer.reading, *_settling_sentences(search, visited, points, answer.kinds)))


# The cell, its input and the starts.


def _cell_and_run(cell: object, trace: object) -> tuple[Parameters, Trace | None]:
    """Return the parameters of the cell whose fixed points are sought, and a run of it if there is one."""
    if isinstance(cell, RunRecord):
        run = of_one_cell(cell)
        parameters, trace = run.parameters, run if trace is None else trace
    elif isinstance(cell, LSTM):
        if len(cell.layers) != 1 or len(cell.layers[0]) != 1:
            count = sum(map(len, cell.layers))
            raise OptionError(f"this LSTM has {count} cells. Pass one of them, such as lstm.layers[0][0].")
        parameters = cell.layers[0][0].parameters
    elif isinstance(cell, LSTMCell):
        parameters = cell.parameters
    else:
        kind = type(cell).__name__
        raise OptionError(f"fixed_points takes an LSTMCell, an LSTM of one cell or a Trace, not {kind}")
    if trace is None:
        return parameters, None
    run = of_one_cell(trace)
    ours, theirs = parameters.arrays(), run.parameters.arrays()
    same = parameters.variant == run.parameters.variant and ours.keys() == theirs.keys()
    if not same or not all(np.array_equal(ours[name], theirs[name], equal_nan=True) for name in ours):
        raise OptionError("the trace is of another cell. Pass a trace of this one.")
    return parameters, run


def _constant_input(p: Parameters, x: npt.ArrayLike | None) -> Array:
    """Return the constant input (features,) under which a cell's fixed points are sought; zeros by default."""
    array = np.zeros(p.input_size) if x is None else numbers("x", x, np.float64)
    if array.shape != (p.input_size,):
        raise ShapeError(f"x has shape {array.shape}; the constant input of this cell is ({p.input_size},)")
    return array


def _require_finite_search(search: FixedPointSearch) -> None:
    """Raise OptionError if the input or the parameters of a search for fixed points are not finite."""
    if not np.isfinite(search.x).all():
        raise OptionError("x holds NaN or infinity; a constant input must be finite")
    n = search.p.recurrent_size + search.p.hidden_size
    if not np.isfinite(search.displacement(np.zeros((1, n)))).all():
        raise OptionError("the cell's weights hold NaN or infinity, so it has no fixed points")


def _visited_states(p: Parameters, trace: Trace | None, count: int, rng: np.random.Generator) -> Array:
    """Return states of a run (start, recurrent + hidden), at most half of the starts; none without a run."""
    if trace is None:
        return np.zeros((0, p.recurrent_size + p.hidden_size))
    trace.require("starting from its states")
    valid = np.ones(trace.hidden_state.shape[:2], bool) if trace.valid is None else trace.valid
    steps, sequences = np.nonzero(valid)
    chosen = rng.choice(len(steps), min(len(steps), -(-count // 2)), replace=False) if len(steps) else np.zeros(0, int)
    key = (steps[chosen], sequences[chosen])
    return np.concatenate([trace.hidden_state[key], trace.cell_state[key]], axis=1).astype(np.float64)


def _random_states(p: Parameters, count: int, rng: np.random.Generator) -> Array:
    """Return random states (start, recurrent + hidden) from which to seek fixed points."""
    h = rng.uniform(-1, 1, (count, p.recurrent_size))
    c = rng.standard_normal((count, p.hidden_size)) * 10 ** rng.uniform(-1, 1, (count, 1))
    return np.concatenate([h, c], axis=1)


# The answer.


def _describe_points(
    search: FixedPointSearch,
    points: Array,
    counts: npt.NDArray[np.integer[Any]],
    starts: int,
    converged: int,
    trace: Trace | None,
) -> FixedPoints:
    """Return the answer about fixed points: their stability, eigenvalues and time constants, and its table."""
    J, moved = search.jacobians(points), search.displacement(points)
    values = np.linalg.eigvals(J).astype(complex)
    values = np.array([_in_order(of_point) for of_point in values]).reshape(values.shape)
    magnitudes = np.abs(values)
    constants, periods = -1 / np.log(magnitudes), 2 * np.pi / np.abs(np.angle(values))
    constants[np.abs(magnitudes - 1) <= ON_THE_CIRCLE] = np.inf
    kinds = tuple(map(_kind_of_point, magnitudes))
    columns: dict[str, npt.NDArray[Any]] = {
        "point": np.arange(len(points)),
        "kind": np.array(kinds, str),
        "starts": counts,
        "residual": np.abs(moved).max(1, initial=0),
        "spectral_radius": magnitudes[:, 0],
        "time_constant": constants[:, 0],
        "period": periods[:, 0],
        "growing": (magnitudes > 1 + ON_THE_CIRCLE).sum(1),
    }
    step = None if trace is None else step_duration(trace)
    if step is not None:
        columns[f"time_constant_{step[1]}"] = step[0] * constants[:, 0]
    terms = np.linalg.norm(moved + points, axis=1) + np.linalg.norm(points, axis=1)
    state = search.state(points)
    return FixedPoints(
        columns=columns,
        sentence=_fixed_points_sentence(kinds, constants[:, 0], starts, converged, step),
        law=LAW,
        residual=relative_error(np.linalg.norm(moved, axis=1), terms),
        hidden_state=state.h,
        cell_state=state.c,
        kinds=kinds,
        eigenvalues=values,
        time_constants=constants,
        periods=periods,
        jacobians=J,
        counts=counts,
        starts=starts,
        converged=converged,
        x=search.x,
        reading=(
            f"Inferred: a search from {counted(starts, 'start')} under a constant input, which may miss points; a step"
            " of the cell leaves each of them where it is, and the eigenvalues there say whether states nearby return.",
        ),
    )


def _in_order(eigenvalues: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return eigenvalues, the largest first; of those that are as large, the one with the largest real part."""
    values = eigenvalues[np.argsort(-eigenvalues.imag, kind="stable")]
    values = values[largest_first(values.real, dtype=np.float64)]
    return values[largest_first(np.abs(values), dtype=np.float64)]


def _settling_sentences(
    search: FixedPointSearch, visited: Array, points: Array, kinds: tuple[str, ...]
) -> tuple[str, ...]:
    """Return a sentence on where states of a run go under the constant input; none without a run."""
    if not len(visited):
        return ()
    ends = search.run(visited, HELD)
    held = f"Tested: {counted(len(visited), 'state')} of the run, held at this input for {HELD:,} steps,"
    stable = [point for point, kind in enumerate(kinds) if kind == "stable"]
    near = np.zeros((len(ends), len(stable)), bool)
    for column, point in enumerate(stable):
        off = np.abs(ends - points[point]).max(1)
        near[:, column] = off <= AT_POINT * max(1, np.abs(points[point]).max())
    counts, elsewhere = near.sum(0), int((~near.any(1)).sum())
    ended = [f"at stable point {point} ({n:,})" for point, n in zip(stable, counts, strict=True) if n]
    if not ended:
        return (f"{held} end at no stable point that was found.",)
    return (f"{held} end {join_names([*ended, *([f'elsewhere ({elsewhere:,})'] if elsewhere else [])])}.",)


def _kind_of_point(sizes: Array) -> str:
    """Return whether a fixed point is stable, neutral, a saddle or unstable, from its eigenvalues' sizes."""
    outside = sizes > 1 + ON_THE_CIRCLE
    if outside.any():
        return "unstable" if outside.all() else "saddle"
    return "neutral" if (sizes >= 1 - ON_THE_CIRCLE).any() else "stable"


def _fixed_points_sentence(
    kinds: tuple[str, ...], constants: Array, starts: int, converged: int, step: tuple[float, str] | None
) -> str:
    """Return the sentence about a search for fixed points: their number, kinds and slowest decay."""
    if not kinds:
        return f"None of {counted(starts, 'start')} led to a fixed point; there may still be some."
    kind_counts = join_names(f"{kinds.count(kind):,} {kind}" for kind in KINDS if kind in kinds)
    points = f"{counted(len(kinds), 'fixed point')} ({kind_counts})"
    if len(set(kinds)) == 1:
        points = counted(len(kinds), f"{kinds[0]} fixed point".replace("saddle fixed", "saddle"))
    sentence = f"{f'All {starts:,}' if converged == starts else f'{converged:,} of {starts:,}'} starts led to {points}"
    stable = constants[[kind == "stable" for kind in kinds]]
    if len(stable):
        slowest = float(stable.max())
        decays = f"a time constant of {duration_of(slowest, step)}"
        sentence += f", with {decays}" if len(kinds) == 1 else f"; the slowest stable one has {decays}"
    return f"{sentence}; there may be others."
