"""Small walks of every kind, which the tests of the formats render: two units, two features, projected to one."""

from __future__ import annotations

import cases
import numpy as np
from test_walkthrough import NOISE

import gatewise as gw
from gatewise.walkthrough.parts import Walkthrough

SUBJECTS = {"variant": cases.VARIANTS, "projection": (None, 1), "noise": NOISE}
WAYS = {  # how many steps, whether backward, and whether one unit is opened
    "forward": (1, False, None),
    "opened": (1, False, 1),
    "backward": (1, True, None),
    "two steps": (2, False, None),
    "two steps back": (2, True, None),
    "three steps back": (3, True, None),
}


def some(case: dict) -> bool:
    """Tell of the pairs' cases those of the plain variant, and of every other one the plainest."""
    return case["variant"] == "plain" or (case["projection"], case["noise"]) == (None, "no noise")


def walk_of(variant: str, projection: int | None, noise: str, way: str, notation: str = "gatewise") -> Walkthrough:
    """Return a walk through a run that is drawn from the name of its variant."""
    steps, backward, unit = WAYS[way]
    rng = np.random.default_rng(sum(map(ord, variant)))
    p = cases.parameters(cases.VARIANTS[variant], rng, inputs=2, hidden=2, projection=projection)
    masks = [[gw.Masks(**{name: np.asarray(share) for name, share in NOISE[noise].items()})]]
    state = ((gw.State(rng.normal(size=(1, p.recurrent_size)), rng.normal(size=(1, 2))),),)
    trace = gw.LSTM.from_cells(p).trace(rng.normal(size=(steps, 1, 2)), state, masks=masks, engine="reference")[0]
    return gw.walk(trace if steps > 1 else trace.step(0), unit=unit, backward=backward, notation=notation)
