"""Does an LSTM compute what its own runtime computed? Distinguish rounding from a mistake, and name the mistake.

The LSTM is run in float64, which is taken as the truth. `rounding` measures by how much a runtime's rounding changes
each number on this very input. An answer that differs from the truth by more than `FACTOR` times that is a mistake;
then those that `suspects` knows are tried in turn, to see which of them leaves only rounding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import AXES, Array, axis_names, distances, in_words, numbers, time_first
from gatewise.diagnostics.claims import named_claims, nested_start
from gatewise.diagnostics.eight_bits import SAID, STEPS, eight_bit_answers
from gatewise.diagnostics.network_case import network_case
from gatewise.diagnostics.rounding import DIGITS, Case, rounding_deviations
from gatewise.diagnostics.suspects import mistakes, other_biases
from gatewise.errors import OptionError, ShapeError
from gatewise.layers import LSTM
from gatewise.layers.arguments import valid_steps
from gatewise.layers.stack import States, map_states
from gatewise.margins import first_largest
from gatewise.network import Network
from gatewise.records.named_input import named_input
from gatewise.records.named_numbers import columns_by_name, is_labelled, is_table, output_numbers
from gatewise.records.times import TimeRules

FACTOR = 10.0  # up to so many standard deviations of rounding a difference counts as rounding
EIGHT_BIT_FACTOR = 6.0  # the same where 8 bits are all: their errors are many, uniform, and known in size
BLIND = 0.03  # of an array's largest number: where rounding may change others by so much, nothing can be decided


@dataclass(frozen=True)
class Difference:
    """One array of answers, compared with what the LSTM computes.

    Attributes
    ----------
    name : str
        ``y``, or ``hn`` or ``cn`` with its layer and direction.
    largest : float
        The largest difference; infinite where one is a finite number and the other is not.
    index : tuple of int
        Where it is: (step, sequence, unit) or (sequence, unit).
    given, computed : float
        The runtime's number there, and gatewise's.
    scale : float
        The largest magnitude in the array.
    allowance : float
        The largest difference that rounding explains there.
    excess : float
        The largest ratio of a difference to its allowance; above 1 it is a mistake.
    beyond : int
        The number of entries that differ by more than their allowance.
    entries : int
        The number of entries that were compared.
    hidden : int
        The number of entries that decide nothing: rounding alone may change them as much as a mistake would.
    first : tuple of int or None
        The first place, in order of time, of a difference that rounding does not explain.
    """

    name: str
    largest: float
    index: tuple[int, ...]
    given: float
    computed: float
    scale: float
    allowance: float
    excess: float
    beyond: int
    entries: int
    hidden: int = 0
    first: tuple[int, ...] | None = None

    @property
    def where(self) -> str:
        """The place of the largest difference in words."""
        return in_words(self.index)

    @property
    def verdict(self) -> str:
        """``rounding``, ``mistake``, or ``undecided`` where no number decides."""
        return "mistake" if self.beyond else "undecided" if self.hidden == self.entries else "rounding"


@dataclass(frozen=True)
class Verification:
    """An LSTM compared with the answers of a runtime.

    Attributes
    ----------
    differences : tuple of Difference
        One for each array that was given.
    precision : str
        The precision in which the runtime is assumed to have computed.
    causes : tuple of str
        Mistakes, each of which explains the answers up to rounding when it is made here too; empty if none was found.
    notes : tuple of str
        Assumptions, in sentences.

    Examples
    --------
    >>> lstm, x = gw.LSTM(3, 4, rng=0), np.ones((5, 3))
    >>> verification = gw.verify(lstm, x, lstm(x)[0])
    >>> verification.verdict, verification.precision
    ('rounding', 'float32')
    """

    differences: tuple[Difference, ...]
    precision: str
    causes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether there are answers, and all of them differ by rounding only."""
        return self.verdict == "rounding"

    @property
    def verdict(self) -> str:
        """``rounding``, ``mistake``, or ``undecided`` where no array shows a mistake and one decides nothing."""
        verdicts = [difference.verdict for difference in self.differences if difference.entries] or ["undecided"]
        return next((verdict for verdict in ("mistake", "undecided") if verdict in verdicts), "rounding")


def verify(
    model: LSTM | Network,
    x: npt.ArrayLike,
    y: npt.ArrayLike | None = None,
    *,
    state: States | None = None,
    final: Sequence[Sequence[tuple[npt.ArrayLike | None, npt.ArrayLike | None]]] | None = None,
    lengths: npt.ArrayLike | None = None,
    mask: npt.ArrayLike | None = None,
    axes: str | Sequence[str] | None = None,
    seed: int = 0,
    eight_bits: bool = False,
) -> Verification:
    """Compare an LSTM or a network in memory with the answers of its own runtime; see `gatewise.verify`.

    `axes` is the order of the axes of `x`, `y` and `mask`, by default that of the dimensions of labelled data, else
    ``time,batch,feature``.

    Examples
    --------
    >>> lstm = LSTM(3, 4, rng=0)
    >>> x = np.random.default_rng(0).normal(size=(5, 2, 3))
    >>> verify(lstm, x, lstm(x)[0]).verdict
    'rounding'
    """
    if not isinstance(model, (LSTM, Network)):
        raise OptionError(
            f"verify takes an LSTM or a Network, as gatewise.load and load_network read them from a file, not"
            f" {type(model).__name__}"
        )
    network = model if isinstance(model, Network) else None
    lstm = model.lstm if isinstance(model, Network) else model
    tokens = network is not None and network.embedding is not None
    named = named_input(x, axes, model.feature_names, tokens=tokens)
    order = named.axes if axes is None and "batch" in named.order else axis_names(axes or AXES)
    order = order if "feature" in order else (*order, "feature")
    if is_labelled(y) or is_table(y):
        data = output_numbers(y, last=network is not None and network.reads == "last")
        data = data.in_time_order("y", TimeRules(remedy="Sort it by time."))
        names = None if network is None else network.labels.outputs
        y, order = columns_by_name(data.values, data.features, names, "y"), AXES
    case, outputs = _case_to_verify(model, named.x, state, lengths, named.mask(mask))
    time, batch = case.x.shape[:2]
    claims, precision = named_claims(case.lstm, y, final, time, batch, order, outputs)
    if lstm.dtype == np.float32 and precision == "float64":
        precision = "float32"
    u, notes = DIGITS[precision], []
    valid = case.valid
    if valid is not None and "y" in claims:
        repeats = replace(case, masked_output="repeat")
        if _largest_difference(repeats.answers(), claims) < _largest_difference(case.answers(), claims):
            case = repeats
            notes.append("where a step is not valid, the last output is repeated")
    truth = case.answers("reference")
    if "y" in claims and "y" not in truth:
        raise ShapeError(
            f"y has shape {claims['y'].shape}; this network has one output for a sequence, so it must be"
            f" {truth['last y'].shape}"
        )
    rounded = rounding_deviations(case, truth, [*claims], u, seed)
    differences, blind = compare_with_truth(truth, rounded, claims, u)
    verification = Verification(differences, precision, (), (*notes, *blind))
    if (
        verification.verdict == "mistake"
        and outputs is None
        and (rough := _in_eight_bits(case, claims, rounded, u, seed, bounded=eight_bits))
    ):
        differences, blind = rough
        verification = Verification(differences, precision, (), (*notes, *blind))
    if verification.verdict != "mistake":
        return verification
    return replace(verification, causes=tuple(_find_causes(case, claims, u, seed, eight_bits=eight_bits)))


def _case_to_verify(model: LSTM | Network, x: Any, state: Any, lengths: Any, mask: Any) -> tuple[Case, int | None]:
    """Return the float64 run of a model to verify, and the number of outputs of a network."""
    if isinstance(model, Network):
        return network_case(model, x, state, lengths, mask), model.num_outputs
    sequence = time_first(numbers("x", x), AXES).astype(np.float64)
    if sequence.shape[-1] != model.input_size:
        raise ShapeError(f"x has shape {x.shape} with time first; its features must be {model.input_size}")
    time, batch = sequence.shape[:2]
    precise = model.astype(np.float64)
    start = None if state is None else nested_start(precise, state, batch)
    return Case(precise, sequence, start, valid_steps(lengths, mask, time, batch)), None


# How far apart.


def _largest_difference(answers: dict[str, Array], claims: dict[str, Array]) -> float:
    """Return the largest difference of answers from a runtime's claims, relative to each array's largest number."""
    worst = 0.0
    for name, claim in claims.items():
        if claim.shape != answers[name].shape:
            return math.inf
        scale = np.max(np.abs(answers[name]), initial=0, where=np.isfinite(answers[name])) or 1.0
        worst = max(worst, float(np.max(distances(claim, answers[name]), initial=0)) / float(scale))
    return worst


def _compare_answers(
    case: Case, claims: dict[str, Array], u: float, seed: int, *, eight_bits: bool = False
) -> tuple[tuple[Difference, ...], list[str]]:
    """Return the difference of a runtime's claims from each answer, and notes about answers that rounding hides."""
    truth, steps = case.answers("reference"), STEPS if eight_bits else 0
    rounded = rounding_deviations(case, truth, [*claims], u, seed, steps)
    return compare_with_truth(truth, rounded, claims, u, EIGHT_BIT_FACTOR if eight_bits else FACTOR)


def _in_eight_bits(
    case: Case, claims: dict[str, Array], rounded: dict[str, Array], u: float, seed: int, *, bounded: bool
) -> tuple[tuple[Difference, ...], list[str]] | None:
    """Return the differences from a runtime that rounds to 8 bits, if none of them is a mistake."""
    for truth, rows in eight_bit_answers(case, claims):
        differences, blind = compare_with_truth(truth, rounded, claims, u)
        if all(difference.verdict != "mistake" for difference in differences):
            together = f", {rows} sequences together" if rows < case.x.shape[1] else ""
            return differences, [f"{SAID}{together}; with that done here too, only rounding is left", *blind]
    if bounded:
        differences, blind = _compare_answers(case, claims, u, seed, eight_bits=True)
        if all(difference.verdict != "mistake" for difference in differences):
            return differences, [f"{SAID}, which may change as much; a smaller mistake would not be found", *blind]
    return None


def compare_with_truth(
    truth: dict[str, Array], rounded: dict[str, Array], claims: dict[str, Array], u: float, factor: float = FACTOR
) -> tuple[tuple[Difference, ...], list[str]]:
    """Return the difference of each of a runtime's claims from the truth, and notes about what rounding hides."""
    differences, blind = [], []
    for name, claim in claims.items():
        expected, away = truth[name], distances(claim, truth[name])
        allowed = factor * rounded[name] + u * np.abs(expected) + np.finfo(np.float32 if u > 1e-10 else float).tiny
        allowed = np.where(np.isfinite(allowed), allowed, 0)
        ratio = np.divide(away, allowed, out=np.where(away > 0, np.inf, 0.0), where=allowed > 0)
        scale = float(np.max(np.abs(expected), initial=0, where=np.isfinite(expected)))
        blinding = np.all(allowed > (BLIND + 100 * u) * scale, axis=-1, keepdims=True)
        hidden = blinding & np.isfinite(away) & (scale > 0)
        ratio = np.where(hidden, np.minimum(ratio, 1), ratio)
        if scale and hidden.any():
            blind.append(
                f"from step {np.argwhere(hidden)[0][0]} on, rounding alone changes y as much as a mistake would"
                if name == "y"
                else f"rounding alone changes {name} as much as a mistake would"
            )
        beyond = np.argwhere(ratio > 1)
        at = tuple(map(int, np.unravel_index(first_largest(away), away.shape))) if away.size else (0,) * away.ndim
        there = [float(array[at]) if away.size else 0.0 for array in (away, claim, expected, allowed)]
        differences.append(
            Difference(
                name=name,
                largest=there[0],
                index=at,
                given=there[1],
                computed=there[2],
                scale=scale,
                allowance=there[3],
                excess=float(np.max(ratio, initial=0)),
                beyond=len(beyond),
                entries=int(away.size),
                hidden=int(np.count_nonzero(np.broadcast_to(hidden, away.shape))),
                first=tuple(map(int, beyond[0])) if len(beyond) else None,
            )
        )
    return tuple(differences), blind


# What went wrong.


def _find_causes(case: Case, claims: dict[str, Array], u: float, seed: int, *, eight_bits: bool) -> Iterator[str]:
    """Yield the mistakes that explain a runtime's answers: made here too, they leave only rounding."""
    truth = case.answers()
    sequence = _worst_sequence(truth, claims)
    before = _largest_difference(*_answers_of_sequence(truth, claims, sequence))
    causes: list[str] = []
    for cause, other_case, other_claims in mistakes(case, claims):
        try:
            after = _largest_difference(*_run_of_sequence(other_case, other_claims, sequence))
        except (ShapeError, OptionError):  # the mistake is impossible with these sizes
            continue
        near = after < before / 20 or (after < before / 2 and (eight_bits or before < 1e4 * u))
        if near or not math.isfinite(before):
            differences, _ = _compare_answers(other_case, other_claims, u, seed, eight_bits=eight_bits)
            if all(difference.verdict == "rounding" for difference in differences) and cause not in causes:
                causes.append(cause)
                yield cause
    if not causes and type(case) is Case and (biases := other_biases(case, claims, u)):
        yield biases


def _worst_sequence(truth: dict[str, Array], claims: dict[str, Array]) -> int:
    """Return the sequence in which a runtime's claims are furthest off, relative to each array's largest number."""
    worst: dict[int, float] = {0: 0.0}
    for name, claim in claims.items():
        away = distances(claim, truth[name]).max(axis=-1, initial=0)
        away = away.max(axis=0, initial=0) if name == "y" else away
        if away.size:
            sequence, scale = first_largest(away), float(np.abs(truth[name]).max() or 1)
            worst[sequence] = max(worst.get(sequence, 0.0), float(away[sequence]) / scale)
    return max(worst, key=lambda sequence: worst[sequence])


def _answers_of_sequence(
    truth: dict[str, Array], claims: dict[str, Array], sequence: int
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return one sequence of the computed answers to verify, and of the claimed ones."""

    def cut(arrays: dict[str, Array]) -> dict[str, Array]:
        return {n: a[:, sequence : sequence + 1] if n == "y" else a[sequence : sequence + 1] for n, a in arrays.items()}

    return cut({name: truth[name] for name in claims}), cut(claims)


def _run_of_sequence(case: Case, claims: dict[str, Array], sequence: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """Run one sequence of a case alone; return its answers and claims. Sequences are independent, so one suffices."""
    sequence = min(sequence, case.x.shape[1] - 1)
    state, sequences = case.state, slice(sequence, sequence + 1)
    if state is not None:
        state = map_states(lambda part: part[sequences], state)
    valid = None if case.valid is None else case.valid[:, sequences]
    alone = replace(case, x=case.x[:, sequences], state=state, valid=valid).answers()
    return {name: alone[name] for name in claims}, _answers_of_sequence(claims, claims, sequence)[1]
