"""Tensors of an ONNX model that are in other files: these must be in the model's folder.

`gatewise.interop.containers.beside` follows the names, and not the package onnx, whose checks differ by version; it
refuses files of several names as well, from 1.21 on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from gatewise.errors import FileError
from gatewise.interop.containers import beside
from gatewise.interop.onnx.attributes import NotConstant, text_of


@contextmanager
def open_file(folder: Path | None, tensor: Any) -> Iterator[tuple[BinaryIO, os.stat_result]]:
    """Open the file in an ONNX model's folder that holds a tensor; yield it with its status, or raise NotConstant."""
    if folder is None:
        raise NotConstant("its numbers are in another file; read the model from its path")
    location = _external_entries(tensor).get("location", "")
    with ExitStack() as stack:
        try:
            file_and_status = stack.enter_context(beside.open_beside(folder, location))
        except FileError as problem:
            raise NotConstant(f"its numbers are in {text_of(location)!r}, {problem}") from None
        yield file_and_status


def extent_of(tensor: Any, size: int, needed: int | None) -> tuple[int, int]:
    """Return the offset of an external ONNX tensor in a file of that size, and its length in bytes.

    `needed` is the length by its shape and type; None if the type is unknown.
    """
    entries = _external_entries(tensor)
    location, length = text_of(entries.get("location", "")), entries.get("length")
    start = _parse_size(entries.get("offset", "0"))
    count = needed if length is None else _parse_size(length)
    if count is None and length is None and start is not None:
        count = max(0, size - start)  # all the rest
    if needed is not None and count != needed:
        raise NotConstant(f"its shape takes {needed} bytes; {text_of(length)} are given in {location!r}")
    if start is None or count is None or start + count > size:
        raise NotConstant(f"its numbers are in {location!r} beside the model, which is too short")
    return start, count


def _external_entries(tensor: Any) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _parse_size(text: str) -> int | None:
    return int(text) if len(text) < 20 and text.isascii() and text.isdigit() else None


def tensors_outside(model: Any) -> Iterator[Any]:
    """Yield every tensor of an ONNX model that is in another file."""
    graphs = [model.graph]
    nodes = [node for function in model.functions for node in function.node]
    while graphs or nodes:
        tensors = []
        if nodes:
            for attribute in nodes.pop().attribute:
                graphs += [attribute.g] if attribute.HasField("g") else []
                graphs += attribute.graphs
                tensors += [attribute.t] if attribute.HasField("t") else []
                tensors += attribute.tensors
        else:
            graph = graphs.pop()
            nodes += graph.node
            tensors += graph.initializer
        yield from (tensor for tensor in tensors if tensor.data_location)
