"""The answers of a model's own runtime: the arrays of a case in an .npz file, and the order of their axes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import time_first
from gatewise.errors import OptionError, join_names
from gatewise.files.storage import npz_names, read_npz
from gatewise.interop.contents import StoredLSTM
from gatewise.layers import LSTM

KEYS = ("x", "y", "h0", "c0", "hn", "cn", "lengths")


def read_answers(path: Path, prefix: str) -> dict[str, Any]:
    """Return the arrays of a case (x, y, h0, …) of a model's own runtime, by their names without the prefix."""
    if path.suffix.lower() != ".npz":
        raise OptionError(f"--io must be an .npz file, not {path}")
    names = npz_names(path)
    present = [key for key in KEYS if prefix + key in names]
    listing = join_names(names) or "nothing"
    if "x" not in present:
        prefixes = [name[:-1] for name in names if name.endswith(".x")]
        hint = f"; --prefix {prefixes[0]} gives one of its cases" if prefixes else ""
        raise OptionError(f"{path} must hold {prefix}x, what went into the LSTM; it holds {listing}{hint}")
    if not {"y", "hn", "cn"} & set(present):
        raise OptionError(f"{path} must hold {prefix}y, {prefix}hn or {prefix}cn, what came out; it holds {listing}")
    arrays = dict(zip(present, read_npz(path, [prefix + key for key in present]).values(), strict=True))
    if "lengths" in arrays:
        arrays["lengths"] = np.atleast_1d(arrays["lengths"])
    return arrays


def output_time_first(entry: StoredLSTM, y: Any, x: Any, names: tuple[str, ...]) -> Any:
    """Return the output y of a model's own runtime with time as its first axis, and the first step first."""
    time_is_first = "batch" not in names or names.index("time") < names.index("batch")
    if y.ndim == 4:
        y = y if time_is_first else y.transpose(1, 2, 0, 3)
    elif y.ndim == 3:
        y = time_first(y, names if len(names) == 3 else (*names, "feature"), "y")
    every_step = y.ndim >= 3 or (y.ndim == 2 and (x.ndim == 2 or x.shape[1] == 1) and len(y) == len(x))
    return y[::-1] if entry.time_reversed and every_step else y


def answers_batch_first(x: Any, batches: set[int]) -> bool | None:
    """Whether the batch is on the first axis of the input x, by the batch of the answers; None if they do not tell."""
    if x.ndim != 3 or x.shape[0] == x.shape[1] or len(batches) != 1:
        return None
    return {x.shape[0]: True, x.shape[1]: False}.get(next(iter(batches)))


def output_batches(arrays: dict[str, Any], lstm: LSTM) -> set[int]:
    """Return the batch sizes that the shape of an LSTM's output y settles: of the last steps, or of all directions."""
    y, x = arrays.get("y"), arrays["x"]
    if y is None or x.ndim != 3 or 1 in x.shape[:2]:
        return set()
    if y.ndim == 2:
        return {len(y)}
    directions, (first, second) = len(lstm.directions), x.shape[:2]
    shapes = {(first, directions, second): {second}, (first, second, directions): {first}}
    return shapes.get(y.shape[:3], set()) if y.ndim == 4 and directions not in (first, second) else set()
