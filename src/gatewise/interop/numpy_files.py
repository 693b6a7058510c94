"""NumPy's files: the arrays of a state dict by PyTorch's names, in an .npz archive or a dictionary in an .npy file.

An .npy file of Python objects is a pickle behind a header, and is read as every pickle is: as inert data.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from gatewise.errors import FileError, join_names, shown
from gatewise.files import storage
from gatewise.files.budget import Budget
from gatewise.interop.containers import pickles, zips
from gatewise.interop.containers.pickled_arrays import FILLED, KINDS
from gatewise.interop.containers.pickles import PickledObject
from gatewise.interop.containers.tensors import Storage, Tensor, contiguous_tensor, to_little_endian, unreadable_tensor
from gatewise.interop.contents import Contents, check_options
from gatewise.interop.refusals import reading
from gatewise.interop.torch.described import describe_file
from gatewise.interop.torch.grouping import group_tensors

MAGIC = b"\x93NUMPY"
HEADER = 2**14  # bytes that the header of an array has at most, as NumPy reads them
HEADER_WORK = 100  # microseconds
NAMES = "name them as a state dict of PyTorch has them (weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0)"


def recognises(path: os.PathLike[str], head: bytes) -> bool:
    """Return whether a file is an array of NumPy's, or an archive that begins with one."""
    return head.startswith(MAGIC) or zips.first_member(head).endswith(".npy")


def contents(path: os.PathLike[str], omitted: Mapping[str, Any]) -> Contents:
    """Return the contents of a NumPy file, .npy or .npz; see `gatewise.interop.inspect`."""
    name = os.fspath(path)
    check_options(name, omitted, ())
    budget, calls = Budget.of(path), dict[str, None]()
    with reading(name):
        with open(path, "rb") as file:
            single = file.read(len(MAGIC)) == MAGIC
        tensors = (_read_npy if single else _read_npz)(Path(path), budget, calls)
        lstms, layers, refused, ledger = group_tensors(tensors)
        if not (lstms or layers or refused):
            raise FileError(_describe_arrays(tensors))
    budget.end()
    holds = _describe_arrays(tensors)
    return Contents(name, "NumPy", lstms, layers, refused, holds=holds, calls=tuple(calls), ledger=ledger)


def _describe_arrays(tensors: Mapping[str, Tensor]) -> str:
    """Return a description of a NumPy file's arrays, none of which has the name of an LSTM's weight."""
    if any(name.startswith(("layer0.forward.", "layer0.backward.")) for name in tensors):
        return "it holds what gatewise trace wrote, which is a run and not a model"
    names = join_names((shown(name, 40) for name in tensors), most=4)
    subject = f"none of its {len(tensors)} arrays has" if len(tensors) > 1 else "its only array has not"
    return f"{subject} a name of an LSTM's ({names}); {NAMES}"


def _read_npy(path: Path, budget: Budget, calls: dict[str, None]) -> dict[str, Tensor]:
    """Return the tensors of a NumPy .npy file, which must hold pickled objects: one array is no LSTM."""
    with open(path, "rb") as file:
        try:
            shape, _, dtype = storage.npy_header(file, budget.size, objects=True)
        except ValueError as problem:
            raise FileError(f"it is not an intact .npy file ({problem})") from None
        except TypeError as problem:
            raise FileError(f"it {problem}") from None
        if not dtype.hasobject:
            raise FileError(
                f"it is one array of shape {shown(str(shape))}, but an LSTM has several. Put them into an .npz archive"
                f" with np.savez, and {NAMES}"
            )
        return _object_tensors(file, budget, calls)


def _object_tensors(file: Any, budget: Budget, calls: dict[str, None]) -> dict[str, Tensor]:
    """Return the tensors inside NumPy's pickled array of objects, by their paths."""
    array = pickles.read_pickle(file, budget, calls)
    state = array.state if isinstance(array, PickledObject) and array.made_by(*FILLED) else None
    objects = state[4] if isinstance(state, tuple) and len(state) == 5 else None
    if not isinstance(objects, list):
        raise FileError("it is an array of Python objects, whose pickle is not one of NumPy's")
    held = describe_file("NumPy", objects[0] if len(objects) == 1 else objects, lambda _: None, budget)
    if not held.tensors:
        content = held.content if len(objects) == 1 else f"{len(objects)} of them"
        raise FileError(
            f"it is an array of Python objects ({content}), which gatewise never builds. Pass each array to np.savez by"
            f" itself, and {NAMES}"
        )
    return {**held.tensors}


def _read_npz(path: Path, budget: Budget, calls: dict[str, None]) -> dict[str, Tensor]:
    """Return the tensors of a NumPy .npz archive by their names."""
    tensors: dict[str, Tensor] = {}
    with zips.ZipMembers(path, budget) as archive:
        for member in archive.names:
            if member.endswith(".npy"):
                tensors |= _member_tensors(archive, member, budget, calls)
    return tensors


def _member_tensors(archive: zips.ZipMembers, member: str, budget: Budget, calls: dict[str, None]) -> dict[str, Tensor]:
    """Return the tensor in a member of a NumPy .npz archive, or the tensors inside its pickled objects."""
    name = member.removesuffix(".npy")
    budget.work(HEADER_WORK, "reading the headers of its arrays")
    file = io.BytesIO(archive.member(member, HEADER))
    try:
        shape, fortran, dtype = storage.npy_header(file, archive.size(member), objects=True)
    except (ValueError, TypeError) as problem:
        return {name: unreadable_tensor(f"it is not an array of numbers ({problem})")}
    if not dtype.hasobject:
        return {name: _describe_tensor(archive, member, file.tell(), shape, fortran, dtype, budget)}
    file_at_data = io.BytesIO(archive.member(member))
    file_at_data.seek(file.tell())
    try:
        objects = _object_tensors(file_at_data, budget, calls)
    except FileError as problem:
        raise FileError(f"{shown(name, 60)!r} in it: {problem}") from None
    return {f"{name}.{inner}": tensor for inner, tensor in objects.items()}


def _describe_tensor(
    archive: zips.ZipMembers, member: str, begin: int, shape: tuple[int, ...], fortran: bool, dtype: Any, budget: Budget
) -> Tensor:
    """Return the tensor of a member of a NumPy .npz archive; its numbers are read when they are used."""
    kind = dtype.str[1:]

    def read(size: int) -> memoryview:
        """Return the first bytes of the array's numbers, little-endian."""
        data = memoryview(archive.member(member))[begin:][:size]
        if dtype.byteorder == ">":
            budget.hold(len(data), 1, f"the array {shown(member)!r}")
            data = memoryview(to_little_endian(data, dtype.itemsize))
        return data

    known = f"<{kind}" if kind in KINDS else None
    return contiguous_tensor(shape, Storage(known, prod(shape), read), budget, fortran=fortran)
