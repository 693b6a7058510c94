"""onnxruntime, live: what gatewise writes, it runs."""

from __future__ import annotations

import cases
import numpy as np
import pytest
from agreement import assert_agree
from pairwise import cover
from peers.onnx_running import CLOSE, ask, inputs_of, lstm_of

from gatewise.gates import NAMES
from gatewise.interop import onnx as gw_onnx

onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.peers


def expected(lstm, x, state, *, gates):
    """Return what a written model must return, by its outputs' names."""
    trace = lstm.trace(x, state, engine="reference")
    want = {"Y": trace.output}
    for layer, row in enumerate(trace.state):
        end = f"_{layer}" if lstm.num_layers > 1 else ""
        want |= {f"{one}n{end}": np.stack([getattr(state, one) for state in row]) for one in "hc"}
        for direction in lstm.directions if gates else ():
            end = "" if lstm.num_layers * len(row) == 1 else f"_{layer}_{direction}"
            of = trace[layer, direction]
            names = (*NAMES, "cell_state", "hidden_state")
            want |= {f"{name}{end}": getattr(of, name) for name in names}
    return want


SHAPES = cover(
    {
        "directions": (1, 2),
        "layers": (1, 2, 3),
        "merge": ("concat", "sum", "mul", "average", "none"),
        "direction": ("forward", "backward"),
    },
    allowed=lambda case: (
        (case["directions"] == 2 or case["merge"] == "concat")
        and (case["directions"] == 1 or case["direction"] == "forward")
        and not (case["merge"] == "none" and case["layers"] > 1)
    ),
)


def expressible(variant):
    from gatewise.interop.onnx.writing import plain_reason

    return not plain_reason(lstm_of(variant))


@pytest.mark.parametrize("variant", [name for name in cases.VARIANTS if expressible(name)])
def test_a_written_variant_runs_in_onnxruntime_as_in_gatewise(variant):
    lstm = lstm_of(variant, directions=2)
    given, state = inputs_of(lstm, np.random.default_rng(0))
    model = gw_onnx.write(lstm)
    onnx.checker.check_model(model, full_check=True)
    assert_agree(ask(model, given), expected(lstm, given["X"], state, gates=False), CLOSE)


@pytest.mark.parametrize("gates", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda case: "-".join(map(str, case.values())))
def test_a_written_stack_runs_in_onnxruntime_as_in_gatewise(shape, gates):
    lstm = lstm_of("plain", **shape)
    given, state = inputs_of(lstm, np.random.default_rng(1))
    model = gw_onnx.write(lstm, gates=gates, opset=17 if gates else 21)
    onnx.checker.check_model(model, full_check=True)
    assert_agree(ask(model, given), expected(lstm, given["X"], state, gates=gates), CLOSE)


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
    lstm, dtype = lstm_of(**case), case["dtype"]
    given, state = inputs_of(lstm, np.random.default_rng(2))
    found = ask(gw_onnx.write(lstm, gates=True), given)
    close = CLOSE if dtype == "float32" else 1e-10
    assert_agree(found, expected(lstm, given["X"], state, gates=True), close)
    assert found["forget_gate"].shape == (5, 3, 4)


@pytest.mark.parametrize("opset", range(14, 23))
@pytest.mark.parametrize("gates", [False, True])
def test_every_opset_that_is_offered_runs(opset, gates):
    lstm = lstm_of("peephole", directions=2, layers=2)
    given, state = inputs_of(lstm, np.random.default_rng(3))
    model = gw_onnx.write(lstm, gates=gates, opset=opset)
    onnx.checker.check_model(model, full_check=True)
    assert_agree(ask(model, given), expected(lstm, given["X"], state, gates=gates), CLOSE)


def test_a_written_file_may_be_run_with_any_time_and_batch(tmp_path):
    lstm = lstm_of("plain")
    gw_onnx.write(lstm, tmp_path / "lstm.onnx")
    for time, batch in ((1, 1), (9, 2)):
        given, state = inputs_of(lstm, np.random.default_rng(4), time, batch)
        assert_agree(ask(str(tmp_path / "lstm.onnx"), given), expected(lstm, given["X"], state, gates=False), CLOSE)
