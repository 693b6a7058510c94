"""Small walks of every kind, which the tests of the walkthrough and of its formats are held against."""

from __future__ import annotations

from functools import cache

import cases
import numpy as np

import gatewise as gw
from gatewise import examples
from gatewise.records.trace import Trace
from gatewise.walkthrough.parts import Walkthrough, WorkedEquation

DROPOUT = {
    "no dropout": {},
    "dropout": {"input": 1.25, "recurrent": 2.0},
    "zoneout": {"zoneout_cell": 0.3, "zoneout_hidden": 0.6},
    "DropConnect": {"weight": 0.5},
}
PROJECTIONS = (None, 3)
EVERY_PART = (  # between them they have every part of an equation; the others are apart by their nonlinearities
    "plain",
    "peephole, coupling, clips",
    "peephole, layer norm of the gates",
    "peephole, coupling, layer norm of Haste",
)
NONLINEARITIES = (  # between them they have every nonlinearity
    "hard sigmoid of Keras 3",
    "softsign, relu",
    "leaky relu, affine",
    "elu, scaled tanh",
    "selu, softplus",
    "thresholded relu, exponential",
)
PLAINEST = {
    "projection": (None,),
    "dropout": ("no dropout",),
    "notation": ("gatewise",),
    "way": ("backward",),
    "unit": (None,),
}


def some(case: dict) -> bool:
    """Tell of all cases those of the variants with every part, and of every nonlinearity the plainest, of one step
    back, which has the forward equations too. The peers' tests have all pairs of all variants.
    """
    return fewer(case) or (case["variant"] in NONLINEARITIES and plainest(case))


def fewer(case: dict) -> bool:
    """Keep those that are enough where rendering is slow and every nonlinearity is written alike."""
    return case["variant"] in EVERY_PART[1:] or (case["variant"] == "plain" and plainest(case))


def projected(case: dict) -> bool:
    """Keep the variants with every part, and of every nonlinearity the projected one."""
    return case["variant"] in EVERY_PART or (case["variant"] in NONLINEARITIES and case["projection"] == "projected")


def plainest(case: dict) -> bool:
    return all(case.get(name, plain[0]) in plain for name, plain in PLAINEST.items())


@cache
def trace_of(
    variant: str, projection: int | None, dropout: str = "no dropout", *, dtype=np.float64, steps=2, inputs=3, hidden=4
) -> Trace:
    """Return the trace of a run that is drawn from the name of its variant."""
    rng = np.random.default_rng(sum(map(ord, variant)))
    p = cases.parameters(cases.VARIANTS[variant], rng, inputs=inputs, hidden=hidden, projection=projection, dtype=dtype)
    state = ((gw.State(rng.normal(size=(1, p.recurrent_size)), rng.normal(size=(1, p.hidden_size))),),)
    x = rng.normal(size=(steps, 1, p.input_size))
    return gw.LSTM.from_cells(p).trace(x, state, dropout=masks_of(dropout), engine="reference")[0]


def latch_trace(steps: int | None = None) -> Trace:
    """Return the trace of the latch, or of its first steps."""
    example = examples.latch()
    return gw.LSTM.from_cells(example.cell).trace(example.x[:steps])[0]


def masks_of(dropout: str) -> list[list[gw.DropoutMasks]]:
    """Return dropout as a run takes it."""
    return [[gw.DropoutMasks(**{name: np.asarray(share) for name, share in DROPOUT[dropout].items()})]]


def gradients_of_outputs(trace: Trace) -> np.ndarray:
    """Return the gradients of a loss with respect to the output of every step of a trace's only sequence."""
    return np.random.default_rng(4).normal(size=(len(trace), trace.parameters.recurrent_size))


def equations(walkthrough: Walkthrough) -> list[WorkedEquation]:
    """Return the equations of all sections."""
    return [block for section in walkthrough.sections for block in section.blocks if isinstance(block, WorkedEquation)]


# Two units and two features, projected to one: whatever is rendered of them.

SUBJECTS = {"variant": cases.VARIANTS, "projection": (None, 1), "dropout": DROPOUT}
WAYS = {  # how many steps, whether backward (the last way: with a loss of every output), and the expanded unit
    "forward": (1, False, None),
    "expanded": (1, False, 1),
    "backward": (1, True, None),
    "two steps": (2, False, None),
    "two steps backward": (2, True, None),
    "three steps": (3, False, None),
    "three steps backward": (3, True, None),
    "three steps from every output": (3, True, None),
}


def walk_of(
    variant: str, projection: int | None, dropout: str, way: str, notation: str = "gatewise", *, dtype=np.float64
) -> Walkthrough:
    """Return a walk through such a run."""
    steps, backward, unit = WAYS[way]
    trace = trace_of(variant, projection, dropout, dtype=dtype, steps=steps, inputs=2, hidden=2)
    dy = gradients_of_outputs(trace) if "every output" in way else None
    return gw.walk(trace if steps > 1 else trace.step(0), unit=unit, backward=backward, dy=dy, notation=notation)
