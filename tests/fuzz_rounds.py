"""What spoils files of every reader: their own files and small ones made to be expensive, anew for each seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import data_files
from fuzzing import Tally, everything, fuzz
from hostile import onnx_rows, torch_rows
from hostile.row import Hostile

from tests import (
    test_fuzzing,
    test_json_models,
    test_keras_spoiled,
    test_madmom,
    test_neuralhydrology,
    test_numpy_files,
    test_onnx_refused,
    test_torch_files,
    test_torch_sharded,
)

LARGEST = 2**18  # bytes of a file that is spoiled: most mutations of a larger one change nothing that matters
MEMORY = 500 * 2**20  # bytes that a file made to be expensive may take

Spoil = Callable[..., Tally]


def spoil_hostile(rows: Sequence[Hostile], folder: Path, count: int, seed: int) -> Tally:
    """Read so many spoiled files of those that are made to be expensive."""
    subjects = []
    for row in rows:
        row.write(folder / "hostile.pt")
        subjects.append((folder / "hostile.pt").read_bytes())
    subjects = [subject for subject in subjects if len(subject) <= LARGEST]
    return fuzz(subjects, everything, count, folder, MEMORY, seed, seconds=20.0)


SPOIL: dict[str, Spoil] = {
    "gatewise's own": test_fuzzing.spoil,
    "ONNX": test_onnx_refused.spoil,
    **{f"Keras, {kind}": partial(test_keras_spoiled.spoil, kind) for kind in test_keras_spoiled.KINDS},
    **{f"PyTorch, {kind}": partial(test_torch_files.spoil, kind) for kind in test_torch_files.SUBJECTS},
    **{f"JSON, {kind}": partial(test_json_models.spoil, kind) for kind in test_json_models.FORMATS},
    "PyTorch, several files": test_torch_sharded.spoil,
    **{f"NumPy, {kind}": partial(test_numpy_files.spoil, kind) for kind in test_numpy_files.SUBJECTS},
    "madmom": test_madmom.spoil,
    **{f"NeuralHydrology, {part}": partial(test_neuralhydrology.spoil, part) for part in test_neuralhydrology.PARTS},
    **{f"data, {name}": partial(data_files.spoil, name) for name in data_files.WRITERS},
    "PyTorch, expensive": partial(spoil_hostile, torch_rows.ROWS),
    "ONNX, expensive": partial(spoil_hostile, onnx_rows.ROWS),
}
if find_spec("zarr") is not None:
    SPOIL["zarr stores"] = import_module("stores").spoil
