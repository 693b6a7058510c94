"""onnxruntime, live: what gatewise writes, it runs."""

from __future__ import annotations

import cases
import numpy as np
import pytest
from agreement import assert_agree
from pairwise import cover
from peers.onnx_running import CLOSE, ask, ends_of, inputs_of, lstm_of

from gatewise.gates import NAMES
from gatewise.interop import onnx as gw_onnx

onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.peers


def expected(lstm, x, state, *, gates):
    """Return what a written model must return, by its outputs' names."""
    trace = lstm.trace(x, state, engine="reference")
    want = {"Y": trace.output}
    for end, (h, c) in zip(ends_of(lstm), gw_onnx.write_state(trace.state), strict=True):
        want |= {f"hn{end}": h, f"cn{end}": c}
    for (layer, direction), cell in trace.cells().items() if gates else ():
        end = "" if len(trace.cells()) == 1 else f"_{layer}_{direction}"
        want |= {f"{name}{end}": getattr(cell, name) for name in (*NAMES, "cell_state", "hidden_state")}
    return want


def hold(lstm, seed, *, gates=False, **options):
    """Write an LSTM, and hold what it puts out in onnxruntime against its trace; return that."""
    given, state = inputs_of(lstm, np.random.default_rng(seed))
    model = gw_onnx.write(lstm, gates=gates, **options)
    onnx.checker.check_model(model, full_check=True)
    found = ask(model, given)
    close = CLOSE if lstm.dtype == np.float32 else 1e-10
    assert_agree(found, expected(lstm, given["X"], state, gates=gates), close)
    return found


SHAPES = cover(
    {
        "directions": (1, 2),
        "layers": (1, 2, 3),
        "merge": ("concat", "sum", "mul", "average", "none"),
        "direction": ("forward", "backward"),
        "projection": (None, 2),
        "gates": (False, True),
    },
    allowed=lambda case: (
        (case["directions"] == 2 or case["merge"] == "concat")
        and (case["directions"] == 1 or case["direction"] == "forward")
        and not (case["merge"] == "none" and case["layers"] > 1)
        and (case["gates"] or case["projection"] is None)
    ),
)


def expressible(variant):
    from gatewise.interop.onnx.writing import plain_reason

    return not plain_reason(lstm_of(variant))


@pytest.mark.parametrize("variant", [name for name in cases.VARIANTS if expressible(name)])
def test_a_written_variant_runs_in_onnxruntime_as_in_gatewise(variant):
    hold(lstm_of(variant, directions=2), 0)


@pytest.mark.parametrize("case", SHAPES, ids=lambda case: "-".join(map(str, case.values())))
def test_a_written_stack_runs_in_onnxruntime_as_in_gatewise(case):
    gates = case["gates"]
    lstm = lstm_of("plain", **{name: value for name, value in case.items() if name != "gates"})
    hold(lstm, 1, gates=gates, opset=17 if gates else 21)


CELLS = cover(
    {
        "variant": tuple(cases.VARIANTS),
        "projection": (None, 2),
        "direction": cases.DIRECTIONS,
        "dtype": ("float32", "float64"),
    }
)


@pytest.mark.parametrize("case", CELLS, ids=lambda case: "-".join(map(str, case.values())))
def test_every_gate_of_every_step_runs_in_onnxruntime_as_the_trace_has_it(case):
    assert hold(lstm_of(**case), 2, gates=True)["forget_gate"].shape == (5, 3, 4)


@pytest.mark.parametrize("opset", range(14, 23))
@pytest.mark.parametrize("gates", [False, True])
def test_every_opset_that_is_offered_runs(opset, gates):
    hold(lstm_of("peephole", directions=2, layers=2), 3, gates=gates, opset=opset)


def test_a_written_file_may_be_run_with_any_time_and_batch(tmp_path):
    lstm = lstm_of("plain")
    gw_onnx.write(lstm, tmp_path / "lstm.onnx")
    for time, batch in ((1, 1), (9, 2)):
        given, state = inputs_of(lstm, np.random.default_rng(4), time, batch)
        assert_agree(ask(str(tmp_path / "lstm.onnx"), given), expected(lstm, given["X"], state, gates=False), CLOSE)
