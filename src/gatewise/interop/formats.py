"""The table of formats: a file's first bytes say which reader it is for, and that one is loaded then."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from gatewise import storage
from gatewise.errors import CapacityError, FileError, GatewiseError
from gatewise.interop.found import Contents

Path = str | os.PathLike[str]
HEAD = 4096  # bytes that a reader is shown of a file, to say whether it is one of its own
READERS = ("own", "torch", "keras", "json_models", "onnx")  # in the order in which they are asked


def inspect(path: Path, **omitted: Any) -> Contents:
    """Return what is in a file: every LSTM, what else matters, and what cannot be read and why.

    Parameters
    ----------
    path : path
        Of gatewise, PyTorch (``.pt``, ``.pth``, ``.bin``, ``.pkl``, TorchScript, ``.safetensors``), Keras (``.keras``,
        ``.h5``), ONNX, or JSON as RTNeural, Neural Amp Modeler and ICU write it. Its name does not matter: the first
        bytes say what it is.
    **omitted
        What the file leaves out, by the names that the reader of its format knows.

    Raises
    ------
    FileError
        If the file cannot be read.
    OptionError
        If an option is given that files of this format do not leave out.
    MissingExtraError
        If the library that reads its container is not installed.
    """
    source = storage.readable(path)
    with open(source, "rb") as file:
        head = file.read(HEAD)
    if not head:
        raise FileError(f"cannot read {source}: it is empty")
    for name in READERS:
        reader = import_module(f"gatewise.interop.{name}")
        if reader.recognises(source, head):
            return _found(reader, source, omitted)
    raise FileError(
        f"cannot read {source}: it is none of gatewise, PyTorch, safetensors, Keras, ONNX or a JSON model that is known"
    )


def _found(reader: Any, source: Any, omitted: dict[str, Any]) -> Contents:
    try:
        contents: Contents = reader.contents(source, omitted)
    except GatewiseError:
        raise
    except MemoryError:
        raise CapacityError(f"reading {source} takes more memory than there is") from None
    except RecursionError:
        raise FileError(f"cannot read {source}: it is nested too deeply") from None
    return contents
