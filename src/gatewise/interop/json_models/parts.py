"""Shared parts of the JSON models: cells in Keras' order, layers, versions, sample rates."""

from __future__ import annotations

import math
import re

from gatewise.arrays import Array
from gatewise.interop import conventions
from gatewise.interop.containers.json_document import to_float32
from gatewise.parameters import Parameters

KERAS = "gates i f c o along the columns, one bias"


def version_suffix(value: object) -> str:
    """Return a blank and a version or name from a file; an empty text if it is odd."""
    return f" {value}" if isinstance(value, str) and re.fullmatch(r"[\w.+-]{1,60}", value, re.ASCII) else ""


def finite_number(value: object) -> float | None:
    """Return a finite number of a JSON model, or None if it is something else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e300:
        return None
    return float(value) if math.isfinite(value) else None


def sample_rate_note(value: object) -> tuple[str, ...]:
    """Return a note about a document's sample rate, if it states one."""
    rate = finite_number(int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value, re.ASCII) else value)
    return () if rate is None or rate <= 0 else (f"it is for audio at {rate:g} Hz",)


def keras_cell(kernel: Array, recurrent: Array, bias: Array) -> Parameters:
    """Return a cell from Keras' arrays; `conventions` refuses wrong shapes."""
    return conventions.parameters("keras", to_float32(kernel).T, to_float32(recurrent).T, [to_float32(bias)])
