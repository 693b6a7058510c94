"""Keras: read and write its files and live layers, translate states and gradients, and capture live models.

Keras' LSTM has its gates in the order i, f, c, o (c is the candidate), one bias, and kernels that are transposed:
(input, 4 · units). Its LSTMs for cuDNN have two biases in one array and blocks that are not transposed; Keras 1 had
twelve arrays. No library is needed to read a file: see `files` and `gatewise.interop.containers.hdf5`.
"""

from __future__ import annotations

import os
from typing import Any

from gatewise.errors import OptionError
from gatewise.files import storage
from gatewise.interop.containers import hdf5, zips
from gatewise.interop.keras import files
from gatewise.interop.keras.capturing import capture
from gatewise.interop.keras.live import stored_lstm
from gatewise.interop.keras.reading import contents
from gatewise.interop.keras.states import read_state, write_state
from gatewise.interop.keras.writing import write, write_gradients
from gatewise.layers import LSTM

__all__ = [
    "capture",
    "contents",
    "read",
    "read_state",
    "recognises",
    "write",
    "write_gradients",
    "write_state",
]


def recognises(path: os.PathLike[str], head: bytes) -> bool:
    """Say whether a file is HDF5, or a zip archive with a Keras model."""
    return head.startswith(hdf5.MAGIC) or zips.first_member(head) in files.MEMBERS


def read(source: Any, name: str | None = None, **omitted: Any) -> LSTM:
    """Return the LSTM of a live Keras layer, or of a file.

    Parameters
    ----------
    source : LSTM, Bidirectional or RNN layer of Keras 3, a model of such, or path
        A layer must have been built.
    name : str, optional
        The name of the LSTM in the file or model, if there are several.
    **omitted
        Of a file of weights alone: as in `contents`.

    Raises
    ------
    OptionError
        If a layer cannot be read, or has no weights yet.
    FileError
        If a file cannot be read.
    """
    if isinstance(source, (str, os.PathLike)):
        return contents(storage.readable(source), omitted).pick(name).lstm
    if omitted:
        raise OptionError(f"a live layer takes no options. Leave out {', '.join(omitted)}.")
    return stored_lstm(source, name).lstm
