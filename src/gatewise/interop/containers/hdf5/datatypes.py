"""What an HDF5 file says of numbers and texts before it gives them: their type, and the shape that they have."""

from __future__ import annotations

import math

from gatewise.errors import FileError
from gatewise.interop.containers.hdf5.cursor import Type
from gatewise.interop.containers.hdf5.file import File


def datatype(file: File, data: bytes) -> Type:
    """Return what a datatype message says."""
    at = file.cursor(data)
    kind = at.number(1) & 15
    bits = at.number(3)
    size = at.number(4)
    order = ">" if bits & 1 else "<"
    if kind == 0:
        name = f"{order}{'i' if bits & 8 else 'u'}{size}"
        return Type("int", size, name) if size in (1, 2, 4, 8) else Type("integers of odd sizes", size)
    if kind == 1:
        at.take(5)
        exponent = at.number(1)
        if (size, exponent) in {(2, 5), (4, 8), (8, 11)}:
            return Type("float", size, f"{order}f{size}")
        return Type("bfloat16", 2, f"{order}u2") if (size, exponent) == (2, 8) else Type("odd floats", size)
    if kind == 3:
        return Type("string", size)
    if kind == 5 and size == 2:
        return Type("bfloat16", 2, "<u2")  # as NumPy's extension types are stored; an attribute says so
    if kind == 9 and bits & 15 == 1:
        return Type("text", size)
    names = {2: "times", 4: "bits", 5: "bytes", 6: "records", 7: "references", 8: "names of numbers", 9: "lists"}
    return Type(names.get(kind, "an unknown type"), size)


def dataspace(file: File, data: bytes) -> tuple[int, ...]:
    """Return the shape that a dataspace message says."""
    at = file.cursor(data)
    version, rank = at.version("a dataspace", 1, 2), at.number(1)
    at.take(1)
    if version == 1:
        at.take(5)
    elif at.number(1) == 2:
        return (0,)
    if rank > 32:
        raise FileError(f"it has a dataset of {rank} axes; there may be 32")
    shape = tuple(at.length() for _ in range(rank))
    if math.prod(size for size in shape if size) > 2**60:
        raise FileError(f"it has a dataset of shape {shape}, which nobody could hold")
    return shape
