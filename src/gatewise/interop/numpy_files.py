"""NumPy's files: the arrays of a state dict by PyTorch's names, in an .npz archive or a dictionary in an .npy file.

An .npy file of Python objects is a pickle behind a header, and is read as every pickle is: as inert data.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from itertools import accumulate
from math import prod
from operator import mul
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.errors import FileError, join_names, shown
from gatewise.files import storage
from gatewise.files.budget import Budget
from gatewise.interop.containers import pickles, zips
from gatewise.interop.containers.pickled_arrays import FILLED, KINDS
from gatewise.interop.containers.pickles import Object
from gatewise.interop.containers.tensors import Storage, Tensor, unreadable
from gatewise.interop.found import Contents, omissions
from gatewise.interop.torch.described import flatten, kind_of
from gatewise.interop.torch.grouping import grouped

MAGIC = b"\x93NUMPY"
HEADER = 2**14  # bytes that the header of an array has at most, as NumPy reads them
HEADER_WORK = 100  # microseconds
NAMES = "name them as a state dict of PyTorch has them (weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0)"


def recognises(path: os.PathLike[str], head: bytes) -> bool:
    """Say whether a file is an array of NumPy's, or an archive that begins with one."""
    first = head[30 : 30 + int.from_bytes(head[26:28], "little")]  # the name of the first member
    return head.startswith(MAGIC) or (head.startswith(b"PK\x03\x04") and first.endswith(b".npy"))


def contents(path: os.PathLike[str], omitted: Mapping[str, Any]) -> Contents:
    """Return what is in a file; see `gatewise.interop.inspect`."""
    name = os.fspath(path)
    omissions(name, omitted, ())
    budget, calls = Budget.of(path), dict[str, None]()
    try:
        with open(path, "rb") as file:
            single = file.read(len(MAGIC)) == MAGIC
        held = (_npy if single else _npz)(Path(path), budget, calls)
        found, parts, refused = grouped(held)
        if not (found or parts or refused):
            raise FileError(_instead(held))
    except FileError as problem:
        raise FileError(f"cannot read {name}: {problem}") from None
    finally:
        budget.end()
    return Contents(name, "NumPy", found, parts, refused, holds=_instead(held), calls=tuple(calls))


def _instead(held: Mapping[str, Tensor]) -> str:
    """Return what arrays are that have no names of an LSTM's."""
    if any(one.startswith(("layer0.forward.", "layer0.backward.")) for one in held):
        return "it holds what gatewise trace wrote, which is a run and not a model"
    some = join_names((shown(name, 40) for name in held), most=4)
    which = f"none of its {len(held)} arrays has" if len(held) > 1 else "its only array has not"
    return f"{which} a name of an LSTM's ({some}); {NAMES}"


def _npy(path: Path, budget: Budget, calls: dict[str, None]) -> dict[str, Tensor]:
    with open(path, "rb") as file:
        try:
            shape, _, dtype = storage.npy_header(file, budget.size, objects=True)
        except ValueError as problem:
            raise FileError(f"it is not an intact .npy file ({problem})") from None
        except TypeError as problem:
            raise FileError(f"it {problem}") from None
        if not dtype.hasobject:
            raise FileError(
                f"it is one array of shape {shown(str(shape))}, and an LSTM has several: put them into an .npz archive"
                f" with np.savez, and {NAMES}"
            )
        return _objects(file, budget, calls)


def _objects(file: Any, budget: Budget, calls: dict[str, None]) -> dict[str, Tensor]:
    """Return the arrays that the objects of an array hold, by their paths."""
    array = pickles.read(file, budget, calls)
    state = array.state if isinstance(array, Object) and array.made_by(*FILLED) else None
    held = state[4] if isinstance(state, tuple) and len(state) == 5 else None
    if not isinstance(held, list):
        raise FileError("it is an array of Python objects, whose pickle is not one of NumPy's")
    tensors, _, _ = flatten(held[0] if len(held) == 1 else held, lambda _: None, budget)
    if not tensors:
        what = kind_of(held[0]) if len(held) == 1 else f"{len(held)} of them"
        raise FileError(
            f"it is an array of Python objects ({what}), which are never built, and holds no arrays by name: give"
            f" np.savez each array by itself, and {NAMES}"
        )
    return tensors


def _npz(path: Path, budget: Budget, calls: dict[str, None]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    with zips.Archive(path, budget) as archive:
        for member in archive.names:
            if member.endswith(".npy"):
                tensors |= _member(archive, member, budget, calls)
    return tensors


def _member(archive: zips.Archive, member: str, budget: Budget, calls: dict[str, None]) -> dict[str, Tensor]:
    """Return the array of a member, of which the header alone is read, or the arrays that its objects hold."""
    name = member.removesuffix(".npy")
    budget.work(HEADER_WORK, "reading the headers of its arrays")
    file = io.BytesIO(archive.member(member, HEADER))
    try:
        shape, fortran, dtype = storage.npy_header(file, archive.size(member), objects=True)
    except (ValueError, TypeError) as problem:
        return {name: unreadable(f"it is not an array of numbers ({problem})")}
    if not dtype.hasobject:
        return {name: _tensor(archive, member, file.tell(), shape, fortran, dtype, budget)}
    whole = io.BytesIO(archive.member(member))
    whole.seek(file.tell())
    try:
        held = _objects(whole, budget, calls)
    except FileError as problem:
        raise FileError(f"{shown(name, 60)!r} in it: {problem}") from None
    return {f"{name}.{one}": tensor for one, tensor in held.items()}


def _tensor(
    archive: zips.Archive, member: str, begin: int, shape: tuple[int, ...], fortran: bool, dtype: Any, budget: Budget
) -> Tensor:
    kind = dtype.str[1:]
    little = np.dtype(dtype).newbyteorder("<")

    def read(size: int) -> memoryview:
        data = memoryview(archive.member(member))[begin:][:size]
        if dtype.byteorder == ">":
            budget.hold(len(data), 1, f"the array {shown(member)!r}")
            data = memoryview(np.frombuffer(data, dtype).astype(little).tobytes())
        return data

    known = f"<{kind}" if kind in KINDS else None
    steps = tuple(accumulate(shape[:-1] if fortran else shape[:0:-1], mul, initial=1))[: len(shape)]
    strides = steps if fortran else steps[::-1]
    return Tensor(shape, strides, 0, known, Storage(known, prod(shape), read), budget)
