"""The subjects that the laws are held against: one of every variant, and runs of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from pairwise import each

import gatewise as gw
from gatewise.parameters import SWITCHES, array_shapes

# Every switch of the cell once, and the combinations in which one changes what another sees.
LISTED: dict[str, dict] = {
    "plain": {},
    "peephole": {"peephole": "full"},
    "forget=1-input": {"coupling": "forget=1-input"},
    "input=1-forget": {"coupling": "input=1-forget"},
    "gate clip": {"gate_clip": 0.6},
    "cell clip": {"cell_clip": 0.25},
    "output clip": {"output_clip": 0.3},
    "hard sigmoid of Keras 2": {
        name: gw.Activation("hard_sigmoid", 0.2, 0.5)
        for name in ("input_activation", "forget_activation", "output_activation")
    },
    "hard sigmoid of Keras 3": {
        name: gw.Activation("hard_sigmoid", 1 / 6, 0.5)
        for name in ("input_activation", "forget_activation", "output_activation")
    },
    "softsign, relu": {"candidate_activation": "softsign", "cell_activation": "relu"},
    "leaky relu, affine": {"candidate_activation": "leaky_relu:0.2", "output_activation": "affine:0.5,0.1"},
    "elu, scaled tanh": {"candidate_activation": "elu:0.7", "cell_activation": "scaled_tanh:1.7,0.6"},
    "selu, softplus": {"candidate_activation": "selu", "input_activation": "softplus"},
    "thresholded relu, exponential": {
        "candidate_activation": "thresholded_relu:0.1",
        "input_activation": "exponential",
    },
    "layer norm of the gates": {"layer_norm": "gates", "epsilon": 1e-8},
    "layer norm of Haste": {"layer_norm": "haste", "epsilon": 1e-5},
    "layer norm of Haste, clips": {"layer_norm": "haste", "epsilon": 1e-5, "cell_clip": 0.3, "output_clip": 0.5},
    "peephole, coupling, clips": {
        "peephole": "full",
        "coupling": "forget=1-input",
        "gate_clip": 0.8,
        "cell_clip": 0.3,
    },
    "peephole, layer norm of the gates": {"peephole": "full", "layer_norm": "gates", "epsilon": 1e-6},
    "peephole, coupling, layer norm of Haste": {
        "peephole": "full",
        "coupling": "input=1-forget",
        "layer_norm": "haste",
        "epsilon": 1e-5,
    },
}


def unlisted(listed: dict[str, dict]) -> dict[str, dict]:
    """Return a variant for each value of the switches that none of the listed ones sets; a number acts somewhere."""
    covered = {switch for switches in listed.values() for switch in switches} | {"projection_clip"}  # see PROJECTIONS
    return {
        f"{switch.name} {value}": {switch.name: value}
        for switch in SWITCHES
        if switch.name not in covered
        for value in switch.metadata["choices"] or (0.3,)
        if value != switch.default
    }


VARIANTS = LISTED | unlisted(LISTED)


def parameters(variant: dict, rng: np.random.Generator, *, inputs=3, hidden=4, projection=None, dtype=np.float64):
    """Return random parameters of a variant, every array of them away from zero and one."""
    switches = dict(variant)
    if projection is not None:
        switches.setdefault("projection_clip", None)
    made = gw.Variant(**switches)
    recurrent = projection or hidden
    shapes = array_shapes(made, inputs, hidden, recurrent)
    arrays = {name: rng.normal(0, 0.7, shape).astype(dtype) for name, shape in shapes.items() if shape}
    if projection is not None:
        arrays["projection"] = rng.normal(0, 0.7, (recurrent, hidden)).astype(dtype)
    return gw.Parameters(variant=made, **arrays)


# How the recurrence may be projected: to how many (fewer in a smaller cell), and clipped at what.
PROJECTIONS: dict[str, tuple[int | None, float | None]] = {
    "unprojected": (None, None),
    "projected": (3, None),
    "projected and clipped": (3, 0.15),
}
VALID = ("all valid", "lengths", "mask")
DIRECTIONS = ("forward", "backward")
RUNS = {"projection": PROJECTIONS, "direction": DIRECTIONS, "valid": VALID, "dropout": (False, True)}


@dataclass(frozen=True)
class Run:
    """One cell with all that goes into a run of it."""

    p: gw.Parameters
    x: np.ndarray
    state: gw.State
    direction: str = "forward"
    valid: np.ndarray | None = None
    dropout: gw.DropoutMasks | None = None

    @property
    def lstm(self) -> gw.LSTM:
        """The cell as an LSTM of one layer."""
        return gw.LSTM.from_cells(self.p, direction=self.direction)

    def options(self) -> dict:
        """What a call of the LSTM is given besides x."""
        dropout = None if self.dropout is None else [[self.dropout]]
        return {"state": [[self.state]], "mask": self.valid, "dropout": dropout}

    def trace(self, **options) -> gw.Trace:
        """Run it and keep everything, unless told otherwise."""
        return self.lstm.trace(self.x, **self.options(), **options)[0]

    def replace(self, **changes) -> Run:
        """Return the same run but for the changes."""
        return replace(self, **changes)


def valid_of(kind: str, time: int, batch: int, rng: np.random.Generator) -> np.ndarray | None:
    """Return which steps are valid: all, those within each sequence's length, or any."""
    if kind == "all valid":
        return None
    if kind == "lengths":
        lengths = np.concatenate([[time, 0], rng.integers(1, time, max(batch - 2, 0))])[:batch]
        return np.arange(time)[:, None] < lengths
    valid = rng.random((time, batch)) < 0.6
    valid[0, 0], valid[1 % time, 0], valid[-1, 0] = True, time <= 2, True  # a gap, where there is room for one
    return valid


def dropout_of(p: gw.Parameters, time: int, batch: int, rng: np.random.Generator) -> gw.DropoutMasks:
    """Return every kind of dropout at once; the recurrent dropout is the same at every step, as Gal's."""
    return gw.DropoutMasks(
        input=rng.choice([0.0, 1.25], (time, batch, p.input_size), p=[0.2, 0.8]),
        recurrent=rng.choice([0.0, 1.25], (1, batch, p.recurrent_size), p=[0.2, 0.8]),
        zoneout_cell=rng.uniform(0, 1, (time, batch, p.hidden_size)),
        zoneout_hidden=rng.choice([0.0, 0.1, 1.0], (time, batch, p.recurrent_size)),
        weight=rng.choice([0.0, 1.25], (4, p.hidden_size, p.recurrent_size), p=[0.2, 0.8]),
    )


def run_of(
    variant: str | dict,
    *,
    projection: str = "unprojected",
    direction: str = "forward",
    valid: str = "all valid",
    dropout: bool = False,
    time: int = 3,
    batch: int = 3,
    inputs: int = 2,
    hidden: int = 4,
    dtype: type = np.float64,
    seed: int = 0,
) -> Run:
    """Return a run of a variant, drawn from a seed."""
    rng = np.random.default_rng(seed)
    recurrent, clip = PROJECTIONS[projection]
    recurrent = recurrent and max(1, min(recurrent, hidden - 1))
    switches = dict(VARIANTS[variant] if isinstance(variant, str) else variant)
    if clip is not None:
        switches["projection_clip"] = clip
    p = parameters(switches, rng, inputs=inputs, hidden=hidden, projection=recurrent, dtype=dtype)
    x = rng.normal(0, 1, (time, batch, inputs)).astype(dtype)
    state = gw.State(
        *(rng.uniform(-0.5, 0.5, (batch, size)).astype(dtype) for size in (p.recurrent_size, p.hidden_size))
    )
    living = valid_of(valid, time, batch, rng)
    return Run(p, x, state, direction, living, dropout_of(p, time, batch, rng) if dropout else None)


def one_sentence(problem: BaseException, *parts: str) -> None:
    """Assert that an error is one of gatewise's, in one line, and names what matters."""
    text = str(problem)
    assert isinstance(problem, gw.GatewiseError), repr(problem)
    assert text, "the error says nothing"
    assert len(text.splitlines()) == 1, text
    for part in parts:
        assert part in text, f"{part!r} is not in {text!r}"


@contextmanager
def refusal(*parts: str, by: type[Exception] | tuple[type[Exception], ...] = gw.FileError) -> Iterator[Any]:
    """Assert that the block is refused, in one sentence that names what matters."""
    with pytest.raises(by) as caught:
        yield caught
    one_sentence(caught.value, *parts)


class Calls:
    """What calls a function when it is unpickled."""

    def __init__(self, function, *given):
        self.function, self.given = function, given

    def __reduce__(self):
        return self.function, self.given


def differences(loss, array: np.ndarray, by: float = 2e-6) -> np.ndarray:
    """Return the central differences of loss(array) by every entry of the array."""
    return differences_by_row(lambda rows: np.array([loss(rows[0])]), array[None], by=by)[0]


def differences_by_row(losses, array: np.ndarray, axis: int = 0, by: float = 2e-6) -> np.ndarray:
    """Return the same where each sequence has a loss of its own, which only its entries move: all at once."""
    rows = np.moveaxis(np.empty(array.shape), axis, 0)
    moved = [np.moveaxis(array.copy(), axis, 0) for _ in range(2)]
    for index in np.ndindex(rows.shape[1:]):
        for sign, one in zip((1, -1), moved, strict=True):
            one[:, *index] += sign * by
        up, down = (losses(np.moveaxis(one, 0, axis)) for one in moved)
        rows[:, *index] = (up - down) / (2 * by)
        for one in moved:
            one[:, *index] = np.moveaxis(array, axis, 0)[:, *index]
    return np.moveaxis(rows, 0, axis)


def assert_gradient(found: np.ndarray, expected: np.ndarray, name: str, tolerance: float = 1e-6) -> None:
    """Assert that two gradients agree, relative to the largest entry of the tensor."""
    assert found.shape == expected.shape, name
    error, largest = np.max(np.abs(found - expected), initial=0), np.max(np.abs(expected), initial=0)
    assert error <= tolerance * largest + 1e-9, f"{name}: {error:.3g} off, of {largest:.3g}"


def meeting(strength: int = 2, **factors: Sequence[Any]) -> pytest.MarkDecorator:
    """Return the mark of a test in whose cases every value of a factor occurs.

    In those of the peers' tests it meets every value of `strength` - 1 others.
    """
    factors = {name: list(values) for name, values in factors.items()}
    made = [pytest.param(*case.values(), marks=marks) for case, marks in each(factors, strength)]
    return pytest.mark.parametrize(tuple(factors), made)
