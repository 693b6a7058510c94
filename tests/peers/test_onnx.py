"""onnxruntime, live: what it computes of a node LSTM, gatewise reads and computes."""

from __future__ import annotations

import re

import numpy as np
import onnx_models as models
import pytest
from agreement import assert_agree
from onnx_reading import contents_of
from pairwise import meetings
from peers.onnx_running import CLOSE, ask
from program import exit_code

from gatewise.diagnostics.verification import verify
from gatewise.interop import onnx as gw_onnx

onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.peers

# The space of the operator's attributes.

GATES = ("Sigmoid", "HardSigmoid", "Affine", "Relu", "Softsign", "LeakyRelu")
STATES = ("Tanh", "ScaledTanh", "Elu", "Softplus", "ThresholdedRelu", "Softsign")
FACTORS = {
    "direction": ("forward", "reverse", "bidirectional"),
    "gates": (None, *GATES),
    "states": STATES,
    "constants": ("all", "defaults", "fewer"),
    "clip": (None, 0.35),
    "input_forget": (0, 1),
    "peepholes": (False, True),
    "bias": (True, False),
    "lengths": (None, (5, 2, 1), (3, 0, 5)),
    "state": (False, True),
    "layout": (0, 1),
    "dtype": ("float32", "float64", "float16 weights"),
    "how": models.STORED,
    "wrapped": models.WRAPPED,
    "opset": (14, 22),
}


def constants_of(case, activations):
    """Return activation_alpha and activation_beta: of all that take one, of the first only, or none."""
    found = {}
    for letter, name in (("a", "activation_alpha"), ("b", "activation_beta")):
        values = [0.3 + 0.1 * n for n, one in enumerate(activations) if letter in models.TAKES.get(one, "")]
        if values and case["constants"] != "defaults":
            found[name] = values if case["constants"] == "all" else values[:1]
    return found


def allowed(case):
    """Leave out activations without constants of which ONNX and onnxruntime do not say the same what they are.

    Without a list of activations there are no others than the usual ones.
    """
    if case["gates"] is None:
        return case["states"] == "Tanh" and case["constants"] == "all"
    return case["constants"] == "all" or not {"Affine", "ScaledTanh", "ThresholdedRelu"} & {
        case["gates"],
        case["states"],
    }


def small_cover():
    """Return a pairwise cover, found among random cases: the whole product is too large to walk through."""
    rng = np.random.default_rng(0)
    drawn = []
    while len(drawn) < 6000:
        case = {name: values[rng.integers(len(values))] for name, values in FACTORS.items()}
        if allowed(case):
            drawn.append(case)
    new = {one for case in drawn for one in meetings(case, 2)}
    chosen = []
    while new:
        best = max(drawn, key=lambda case: len(new.intersection(meetings(case, 2))))
        new -= set(meetings(best, 2))
        chosen.append(best)
    return chosen


CASES = small_cover()


@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_node_lstm_is_read_as_onnxruntime_runs_it(number):
    case = CASES[number]
    rng = np.random.default_rng(number)
    both = case["direction"] == "bidirectional"
    attributes = {"direction": case["direction"], "hidden_size": 4}
    if case["gates"]:
        activations = [case["gates"], case["states"], ("Tanh", "Elu", "Softsign")[number % 3]]
        if both:  # the two directions have different ones
            activations += ["Sigmoid", "LeakyRelu", "Tanh"]
        attributes |= {"activations": activations, **constants_of(case, activations)}
    if case["clip"]:
        attributes["clip"] = case["clip"]
    if case["input_forget"]:
        attributes["input_forget"] = 1
    arrays = models.random_arrays(
        rng,
        directions=1 + both,
        dtype=np.float64 if case["dtype"] == "float64" else np.float32,
        bias=case["bias"],
        peepholes=case["peepholes"],
        state=case["state"],
        lengths=case["lengths"],
    )
    half = case["dtype"] == "float16 weights"
    if half or case["how"] == "cast":
        narrow = np.float16 if half or case["dtype"] != "float64" else np.float32
        arrays |= {one: arrays[one].astype(narrow).astype(arrays[one].dtype) for one in models.WEIGHTS if one in arrays}
    given = {**arrays}
    if case["layout"]:
        given |= {one: arrays[one].swapaxes(0, 1) for one in ("X", "initial_h", "initial_c") if one in arrays}
    form = {"how": case["how"], "wrapped": case["wrapped"], "opset": case["opset"]}
    if half and case["how"] == "cast":
        form["how"] = "raw"  # cast once is enough
    ours = models.lstm_model(given, half=half, **form, **attributes, **({"layout": 1} if case["layout"] else {}))
    (found,) = contents_of(ours).lstms
    assert (found.batch_first, found.lstm.dtype) == (bool(case["layout"]), arrays["X"].dtype)
    got = models.run_ours(found, given, layout=case["layout"])
    if case["layout"]:
        got = [got[0].transpose(1, 2, 0, 3), *(one.swapaxes(0, 1) for one in got[1:])]
    if case["layout"] or case["dtype"] == "float64":
        # onnxruntime's kernel runs neither: it is asked in float32, with the axes moved …
        narrow = {name: one.astype(np.float32) if one.dtype == np.float64 else one for name, one in arrays.items()}
        want = [*ask(models.lstm_model(narrow, opset=case["opset"], **attributes), narrow).values()]
    else:
        want = [*ask(ours, given).values()]
    lengths = arrays.get("sequence_lens")
    if lengths is not None and 0 in lengths:  # which ends in zeros there, and where it began in gatewise
        dead = lengths == 0
        for array, start in zip(got[1:], ("initial_h", "initial_c"), strict=True):
            np.testing.assert_array_equal(array[:, dead], arrays[start][:, dead] if start in arrays else 0)
        assert not any(np.any(one[:, dead]) for one in want[1:])
        got[1:] = [one[:, ~dead] for one in got[1:]]
        want[1:] = [one[:, ~dead] for one in want[1:]]
    assert_agree(dict(zip("yhc", got, strict=True)), dict(zip("yhc", want, strict=True)), CLOSE)
    if case["dtype"] == "float64":  # … and the operator's own equations in float64
        want = models.spec(arrays, **attributes)
        if lengths is not None and 0 in lengths:
            want[1:] = [one[:, ~dead] for one in want[1:]]
        assert_agree(dict(zip("yhc", got, strict=True)), dict(zip("yhc", want, strict=True)), 1e-11)


def test_the_cases_are_many_and_every_two_values_meet():
    assert len(CASES) >= 60
    met = {(a, b) for case in CASES for a in case.items() for b in case.items()}
    for one, values in FACTORS.items():
        for other, others in FACTORS.items():
            for value in values:
                for that in others if one != other else ():
                    rest = [{"gates": gate, "states": "Tanh", "constants": "all"} for gate in (None, "Sigmoid")]
                    could = any(allowed(case | {one: value, other: that}) for case in rest)
                    assert not could or ((one, value), (other, that)) in met


@pytest.mark.parametrize("refused", [{"layout": 1}, {"dtype": np.float64}], ids=str)
def test_onnxruntimes_kernel_still_refuses_what_is_compared_another_way(refused):
    rng = np.random.default_rng(0)
    arrays = models.random_arrays(rng, layout=refused.get("layout", 0), dtype=refused.get("dtype", np.float32))
    model = models.lstm_model(arrays, hidden_size=4, **({"layout": 1} if "layout" in refused else {}))
    with pytest.raises(Exception, match="LSTM"):  # onnxruntime's errors have no base of their own
        ask(model, arrays)


# The quantised kind.


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_a_quantised_lstm_is_read_and_lies_as_near_as_its_note_says(direction, signed, per_channel, tmp_path):
    quantization = pytest.importorskip("onnxruntime.quantization")
    rng = np.random.default_rng(8)
    both = direction == "bidirectional"
    arrays = models.random_arrays(rng, directions=1 + both, time=20, inputs=16, hidden=24, state=True)
    arrays |= {one: arrays[one] / 4 for one in "WR"}
    model = models.lstm_model(arrays, direction=direction, hidden_size=24)
    source, target = models.save(model, tmp_path / "float.onnx"), tmp_path / "int8.onnx"
    kind = quantization.QuantType.QInt8 if signed else quantization.QuantType.QUInt8
    options = {"weight_type": kind, "per_channel": per_channel, "reduce_range": True}  # or sums saturate without VNNI
    quantization.quantize_dynamic(source, target, op_types_to_quantize=["LSTM"], **options)
    (found,) = gw_onnx.contents(target, {}).lstms
    assert "DynamicQuantizeLSTM" in found.convention
    (note,) = [one for one in found.notes if "8 bits" in one]
    assert found.warns == (note,)
    of_x, of_h = map(float, re.search(r"by about (\S+) times .* and (\S+) times that of the hidden", note).groups())
    exact = gw_onnx.read(source)
    for cell, that, place in zip(found.lstm.layers[0], exact.layers[0], range(2), strict=False):
        step = np.abs(arrays["W"][place]).max() / 63  # at most a whole step, where zero points are rounded too
        assert np.abs(cell.parameters.input_weight - that.parameters.input_weight).max() <= step
    want = [*ask(onnx.load(target), arrays).values()]
    got = models.run_ours(found, arrays)
    # Pre-activations are off by about that much; a gate's slope is at most 1/4, the candidate's 1.
    typical = of_x * np.ptp(arrays["X"]) + of_h * 2
    errors = [float(np.abs(a - b).max()) for a, b in zip(got, want, strict=True)]
    assert 0 < max(errors) <= 4 * typical
    assert float(np.sqrt(np.mean((got[0] - want[0]) ** 2))) <= typical
    given = {name: one for name, one in arrays.items() if name not in models.WEIGHTS}
    (record,) = gw_onnx.capture(target, **given)
    assert record.difference == pytest.approx(max(errors), rel=1e-3)
    state = gw_onnx.read_state((arrays["initial_h"], arrays["initial_c"]), found.lstm)
    final = gw_onnx.read_state(want[1:], found.lstm)
    verified = verify(
        found.lstm,
        arrays["X"],
        want[0].transpose(0, 2, 1, 3).reshape(20, -1, 24 * (1 + both)),
        final=final,
        state=state,
    )
    assert verified.verdict == "rounding"
    assert "8 bits" in verified.notes[0]


@pytest.mark.parametrize("lengths", [None, (20, 4, 11)])
def test_a_quantised_lstm_is_verified_and_is_no_mistake(lengths, tmp_path, capsys):
    quantization = pytest.importorskip("onnxruntime.quantization")
    arrays = models.random_arrays(np.random.default_rng(9), time=20, inputs=16, hidden=24, lengths=lengths)
    arrays |= {one: arrays[one] / 4 for one in "WR"}
    source = models.save(models.lstm_model(arrays, hidden_size=24), tmp_path / "float.onnx")
    options = {"op_types_to_quantize": ["LSTM"], "reduce_range": True}  # or sums saturate without VNNI
    quantization.quantize_dynamic(source, tmp_path / "int8.onnx", **options)
    y, *_ = ask(onnx.load(tmp_path / "int8.onnx"), arrays).values()
    given = {} if lengths is None else {"lengths": lengths}
    for seen, verdict in ((y[:, 0], 0), (y[:, 0, ::-1], 1)):
        np.savez(tmp_path / "case.npz", x=arrays["X"], y=seen, **given)
        assert exit_code(["verify", str(tmp_path / "int8.onnx"), "--io", str(tmp_path / "case.npz")]) == verdict
        assert ("8 bits before each product" in " ".join(capsys.readouterr().out.split())) == (not verdict)
