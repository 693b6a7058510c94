"""Tensors of an ONNX model that lie in other files: read where these lie in the model's folder, and nowhere else.

What the model says where they are comes from whoever made it, so it may name any file of the machine. A name is
followed through all links, by us and not by the package onnx, whose checks differ by version, and what it leads to must
be a regular file within the folder of the model, as its path is given, or within a folder of that.

A file with several names (hard links) is refused: nothing says whether another of its names lies outside, which an
archive can bring about as it is unpacked. The package onnx refuses it as well, from 1.21 on. A copy has one name.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import Any, BinaryIO

from gatewise.interop.onnx.attributes import NotConstant, text_of

_OPEN = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


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
    said = f"its numbers are in {text_of(location)!r}, which"
    asked = PureWindowsPath(location)  # which takes both kinds of slashes, and knows drives
    if not location or asked.drive or asked.root or ".." in asked.parts or os.path.isabs(location):
        raise NotConstant(f"{said} is no path within the model's folder")
    try:
        root = os.path.realpath(folder)
        target = os.path.realpath(os.path.join(root, location))
        if os.path.commonpath([root, target]) != root:
            raise NotConstant(f"{said} leads out of the model's folder")
        if not stat.S_ISREG(os.lstat(target).st_mode):  # asked first: a device may act where it is opened
            raise NotConstant(f"{said} is no file")
        descriptor = os.open(target, _OPEN)
    except (OSError, ValueError):
        raise NotConstant(f"{said} is missing beside the model, or cannot be opened") from None
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise NotConstant(f"{said} is a file of several names (hard links): another may lie elsewhere; copy it")
        yield file, status


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
