"""Tensors of an ONNX model that lie in other files: read where these lie in the model's folder, and nowhere else.

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
def opened(folder: Path | None, tensor: Any) -> Iterator[tuple[BinaryIO, os.stat_result]]:
    """Open the file that a tensor lies in, which must be in the model's folder; with what the system says of it.

    Raises
    ------
    NotConstant
        If there is no such file, or it may not be read.
    """
    if folder is None:
        raise NotConstant("its numbers are in another file; read the model from its path")
    location = _given(tensor).get("location", "")
    with ExitStack() as stack:
        try:
            found = stack.enter_context(beside.opened(folder, location))
        except FileError as problem:
            raise NotConstant(f"its numbers are in {text_of(location)!r}, {problem}") from None
        yield found


def part_of(tensor: Any, size: int, needed: int | None) -> tuple[int, int]:
    """Return where in a file of that size a tensor begins, and its bytes; `needed` is what it takes, if known."""
    given = _given(tensor)
    location, length = text_of(given.get("location", "")), given.get("length")
    start = _number(given.get("offset", "0"))
    count = needed if length is None else _number(length)
    if count is None and length is None and start is not None:
        count = max(0, size - start)  # all the rest
    if needed is not None and count != needed:
        raise NotConstant(f"its shape takes {needed} bytes; {text_of(length)} are given in {location!r}")
    if start is None or count is None or start + count > size:
        raise NotConstant(f"its numbers are in {location!r} beside the model, which is too short")
    return start, count


def _given(tensor: Any) -> dict[str, str]:
    return {one.key: one.value for one in tensor.external_data}


def _number(text: str) -> int | None:
    return int(text) if len(text) < 20 and text.isascii() and text.isdigit() else None


def tensors(model: Any) -> Iterator[Any]:
    """Give every tensor of a model that lies in another file."""
    waiting = [model.graph]
    nodes = [node for function in model.functions for node in function.node]
    while waiting or nodes:
        held = []
        if nodes:
            for one in nodes.pop().attribute:
                waiting += [one.g] if one.HasField("g") else []
                waiting += one.graphs
                held += [one.t] if one.HasField("t") else []
                held += one.tensors
        else:
            graph = waiting.pop()
            nodes += graph.node
            held += graph.initializer
        yield from (one for one in held if one.data_location)
