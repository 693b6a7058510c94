"""A failing case as a few lines of Python that use the engine alone, and as test data for its authors."""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.files.replacing import folder_beside
from gatewise.interop.onnx.packages import import_onnx
from gatewise.judge import designs
from gatewise.judge.designs import Trial
from gatewise.judge.formats import onnx_model
from gatewise.judge.messages import AnyArray

CALLS = {  # of engines that read ONNX: what they import, and the lines that compute the results
    "onnxruntime": (
        "import onnxruntime",
        (
            "session = onnxruntime.InferenceSession(model.SerializeToString(),",
            '    providers=["CPUExecutionProvider"])',
            "results = session.run(None, inputs)",
        ),
    ),
    "onnx-reference": (
        "from onnx.reference import ReferenceEvaluator",
        ("results = ReferenceEvaluator(model).run(None, inputs)",),
    ),
    "openvino": (
        "import openvino",
        (
            "loaded = openvino.Core().read_model(model.SerializeToString())",
            'compiled = openvino.compile_model(loaded, "CPU",',
            '    {"INFERENCE_PRECISION_HINT": "f32"})',
            "results = compiled(inputs).to_tuple()",
        ),
    ),
    "tract": (
        "import onnx, tract",
        (
            'onnx.save(model, "model.onnx")',
            'loaded = tract.onnx().load("model.onnx").into_model().into_runnable()',
            "results = [y.to_numpy() for y in loaded.run([*inputs.values()])]",
        ),
    ),
}
MAX_COLUMNS = 80
MAX_NUMBERS = 200  # of a case that is written as Python


def script(engine: str, trial: Trial) -> str:
    """Return a case as about ten lines of Python, or nothing if the engine or the case isn't one for that."""
    message = onnx_model.message(trial) if engine in CALLS else None
    if message is None or designs.LAYERS in trial.design.attributes:
        return ""
    onnx = import_onnx()
    model = onnx.load_model_from_string(message.arrays["model"].tobytes())
    (node,) = model.graph.node
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    inputs = {name: array for name, array in message.arrays.items() if name != "model"}
    if sum(array.size for array in (*constants.values(), *inputs.values())) > MAX_NUMBERS:
        return ""
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    keywords = "".join(f", {name}={_literal(value)}" for name, value in attributes.items())
    load, call = CALLS[engine]
    expected = expected_outputs(trial)
    kind = onnx.TensorProto.DataType.Name(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(trial.design.dtype)))
    lines = [
        "import numpy as np",
        "from onnx import TensorProto, helper, numpy_helper",
        load,
        f"weights = {_arrays(constants)}",
        f"inputs = {_arrays(inputs)}",
        f'node = helper.make_node("LSTM", {list(node.input)}, {list(node.output)}{keywords})',
        "given = [helper.make_tensor_value_info(name,",
        "    helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for name, a in inputs.items()]",
        f"outputs = [helper.make_tensor_value_info(name, TensorProto.{kind}, None)",
        "    for name in node.output]",
        "stored = [numpy_helper.from_array(a, name) for name, a in weights.items()]",
        'graph = helper.make_graph([node], "lstm", given, outputs, stored)',
        "model = helper.make_model(graph,",
        f'    opset_imports=[helper.make_opsetid("", {trial.design.opset})], ir_version={model.ir_version})',
        *call,
        f"right = {_without_nan([array.tolist() for array in expected.values()])}",
        "for name, y, expected in zip(node.output, results, right):",
        '    print(name, np.asarray(y).tolist(), "but it must be", expected)',
    ]
    return "\n".join(itertools.chain(*map(_in_columns, lines)))


def _in_columns(line: str) -> list[str]:
    """Return a line of Python in lines of at most 80 columns; a long one is broken after the commas of its arrays."""
    layout = {"subsequent_indent": "    ", "break_long_words": False, "break_on_hyphens": False}
    return [line] if len(line) <= MAX_COLUMNS else textwrap.wrap(line, MAX_COLUMNS, **layout)  # type: ignore[arg-type]


def _literal(value: Any) -> str:
    if isinstance(value, bytes):
        return repr(value.decode())
    if isinstance(value, float):
        return repr(_short(value))
    if isinstance(value, (list, tuple)) or hasattr(value, "__iter__"):
        return f"[{', '.join(map(_literal, value))}]"
    return repr(value)


def _short(value: float) -> float:
    return float(str(np.float32(value)))


def _arrays(arrays: dict[str, AnyArray]) -> str:
    parts = []
    for name, array in arrays.items():
        listed = _without_nan(_listed(array))
        parts.append(f'"{name}": np.array({listed}, np.{array.dtype.name})')
    return "{" + ", ".join(parts) + "}"


def _without_nan(listed: Any) -> str:
    """Return nested lists as Python, in which NaN has NumPy's name."""
    return re.sub(r"\b(nan|inf)\b", r"np.\1", str(listed))


def _listed(array: AnyArray) -> Any:
    """Return an array as nested lists of the shortest decimals that are the same numbers."""
    if array.dtype == np.float32:
        return np.vectorize(_short, otypes=[float])(array).tolist() if array.size else array.tolist()
    return array.tolist()


def expected_outputs(trial: Trial) -> dict[str, AnyArray]:
    """Return the outputs of an ONNX node in its own shapes, in the precision of the model: gatewise's answers."""
    steps, batch = trial.case.x.shape[:2]
    count, hidden = len(trial.case.lstm.directions), trial.design.hidden_size
    y = trial.truth["y"].reshape(steps, batch, count, hidden).transpose(0, 2, 1, 3)
    outputs = {"Y": y}
    for letter in "hc":
        names = [name for name in trial.truth if name.startswith(f"{letter}n")]
        outputs[f"Y_{letter}"] = np.stack([trial.truth[name] for name in names])
    if designs.BATCH_FIRST in trial.design.attributes:
        outputs = {"Y": y.transpose(2, 0, 1, 3)} | {n: a.swapaxes(0, 1) for n, a in outputs.items() if n != "Y"}
    return {name: np.ascontiguousarray(array).astype(trial.design.dtype) for name, array in outputs.items()}


def save_cases(folder: Path, trials: Iterable[Trial]) -> int:
    """Write cases as ONNX backend test data, each in a folder of its own; return how many there are.

    A case that the specification leaves open is left out: the clip, whose sentence can be read in two ways, and the
    final state of a sequence of length 0. So is a network of two layers.

    Raises
    ------
    FileError
        If the folder is not empty or cannot be written.
    """
    onnx = import_onnx()
    unclear = {designs.CLIP, designs.EMPTY, designs.LAYERS}
    count = 0
    with folder_beside(folder) as temporary:
        for number, trial in enumerate(trials):
            if trial.design.attributes & unclear:
                continue
            message = onnx_model.message(trial)
            name = re.sub(r"[^a-z0-9]+", "_", " ".join(trial.design.rows(onnx_model.LABELS)).lower()).strip("_")
            data = temporary / f"test_lstm_{number:04}_{name}" / "test_data_set_0"
            data.mkdir(parents=True)
            (data.parent / "model.onnx").write_bytes(message.arrays.pop("model").tobytes())
            for kind, arrays in (("input", message.arrays), ("output", expected_outputs(trial))):
                for place, (tensor, array) in enumerate(arrays.items()):
                    proto = onnx.numpy_helper.from_array(array, tensor)
                    (data / f"{kind}_{place}.pb").write_bytes(proto.SerializeToString())
            count += 1
    return count
