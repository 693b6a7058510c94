"""An engine judged on models of the user's own, on random input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.errors import FileError, GatewiseError
from gatewise.interop.onnx.packages import import_onnx
from gatewise.judge.designs import FILE, Design
from gatewise.judge.formats import onnx_model
from gatewise.judge.judging import Judgement, Row
from gatewise.judge.messages import AnyArray, CaseMessage
from gatewise.judge.subjects import Subject
from gatewise.judge.verdicts import RIGHT, UNDECIDED, WRONG, CaseVerdict
from gatewise.opening.verifying import verify

NUM_STEPS, BATCH_SIZE = 12, 2
_VERDICTS = {"rounding": RIGHT, "mistake": WRONG, "undecided": UNDECIDED}


def judge_models(subject: Subject, models: Iterable[Path], seed: int) -> Judgement:
    """Return the judgement of an engine on models from files, a row for each. The engine is stopped afterwards."""
    process = subject.process
    try:
        if subject.format is not onnx_model:
            return Judgement(subject.name, "", (), (), "it doesn't read ONNX models")
        contents = [(path, _bytes_of(path)) for path in models]
        if problem := process.start():
            return Judgement(subject.name, "", (), (), problem)
        verdicts = [(path, _verdict(subject, path, data, seed)) for path, data in contents]
        rows = tuple(Row(path.name, verdict.kind, verdict.sentence, 1, verdict) for path, verdict in verdicts)
        return Judgement(subject.name, process.version, rows, tuple(verdict for _, verdict in verdicts))
    finally:
        process.stop()


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise FileError(f"cannot read {path}: {problem.strerror or problem}") from None


def _verdict(subject: Subject, path: Path, data: bytes, seed: int) -> CaseVerdict:
    """Return the verdict on one model."""
    design = Design(feature=path.name, values=FILE, seed=seed)
    try:
        model = import_onnx().load_model_from_string(data)
    except Exception as problem:  # protobuf's own
        return CaseVerdict(design, "refused", f"gatewise cannot read it: {problem}")
    inputs = {}
    rng = np.random.default_rng(seed)
    for place, (name, shape, dtype) in enumerate(_inputs(model)):
        if dtype.kind != "f":
            return CaseVerdict(design, "refused", f"gatewise draws no input of type {dtype}, which {name} has")
        # The first input is the sequence; the others are initial states.
        inputs[name] = (rng.standard_normal(shape) if place == 0 else np.zeros(shape)).astype(dtype)
    names = [value.name for value in model.graph.output]
    if not inputs or not names:
        return CaseVerdict(design, "refused", "it has no input or no output")
    arrays: dict[str, AnyArray] = {"model": np.frombuffer(data, np.uint8), **inputs}
    reply = subject.process.run(CaseMessage({"outputs": names}, arrays))
    if reply.failure:
        return CaseVerdict(design, reply.failure, reply.message)
    try:
        found = verify(path, next(iter(inputs.values())), reply.outputs[names[0]], axes="time,batch,feature")
    except (GatewiseError, KeyError) as problem:
        return CaseVerdict(design, "refused", f"gatewise cannot compare it: {problem}")
    worst = max(found.differences, key=lambda difference: difference.excess)
    causes = found.causes or ("no single edit of the cell explains it",)
    return CaseVerdict(
        design,
        _VERDICTS[found.verdict],
        causes[0] if found.verdict == "mistake" else "",
        causes=found.causes,
        place=worst.where if found.verdict == "mistake" else "",
        difference=worst,
    )


def _inputs(model: Any) -> Iterator[tuple[str, list[int], np.dtype[Any]]]:
    """Yield the name, shape and type of each input of a model; sizes that are open get those of a short batch."""
    stored = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        if value.name in stored:
            continue
        tensor = value.type.tensor_type
        shape = []
        for place, dim in enumerate(tensor.shape.dim):
            named_batch = "batch" in dim.dim_param.lower() or dim.dim_param in ("N", "B")
            is_batch = named_batch or (place == 1 and "time" not in dim.dim_param.lower())
            shape.append(dim.dim_value or (BATCH_SIZE if is_batch else NUM_STEPS))
        yield value.name, shape, import_onnx().helper.tensor_dtype_to_np_dtype(tensor.elem_type)
