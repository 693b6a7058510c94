"""The program of a cell equals the equations and their adjoints, however it is written."""

from __future__ import annotations

import cases
import numpy as np
import pytest

import gatewise as gw
from gatewise.symbolic import binding
from gatewise.symbolic.cell import program
from gatewise.symbolic.formula import Symbol
from gatewise.symbolic.run import Run


@pytest.mark.parametrize("variant", cases.VARIANTS)
@pytest.mark.parametrize("projection", cases.PROJECTIONS)
@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize(
    "written",
    [{}, {"split": True, "two_biases": True}, {"inline": True, "order": "figo"}, {"split": True, "order": "figo"}],
)
@pytest.mark.parametrize("live", ["all live", "mask"])
def test_program(variant, projection, noise, written, live):
    run = cases.run_of(
        variant, projection=projection, noise=noise, live=live, time=4, direction="backward" if noise else "forward"
    )
    trace = run.trace(engine="reference")
    rng = np.random.default_rng(1)
    dy = rng.normal(size=trace.hidden_state.shape)
    dfinal = gw.State(*(rng.normal(size=a.shape) for a in trace.final))
    grads = gw.backward(trace, dy, dfinal)
    form = binding.form_of(run.p, trace.masks, **written)
    made = Run(
        program(form),
        run.p,
        run.x,
        run.state,
        masks=trace.masks,
        valid=run.live,
        dy=dy,
        dfinal=dfinal,
        reverse=run.direction == "backward",
    )

    def close(a, b, name):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape, name
        assert np.array_equal(np.isnan(a), np.isnan(b)), name
        assert np.nanmax(np.abs(a - b), initial=0) <= 1e-12 * np.nanmax(np.abs(b), initial=0), name

    for k, name in zip(
        "ifgo", gw.gates.NAMES if hasattr(gw, "gates") else ("input_gate", "forget_gate", "candidate", "output_gate")
    ):
        close(made[Symbol(k)], trace.quantity(name), name)
    close(made[Symbol("c")], trace.cell_state, "c")
    close(made[Symbol("h")], trace.hidden_state, "h")
    close(made.final.h, trace.final.h, "final")
    close(made.final.c, trace.final.c, "final")
    close(made.dinitial.h, grads.state.h, "dh")
    close(made.dinitial.c, grads.state.c, "dc")
    dx = made[Symbol("x", d=True)]
    close(np.nan_to_num(dx), grads.x, "dx")
    for name, array in binding.gathered(form, run.p, made).items():
        close(array, grads.parameters[name], name)
