"""netCDF: one variable at a time, out of the classic format (CDF-1, 2 and 5) or out of HDF5 (netCDF-4).

The usual libraries are written in C, and open every variable of a file. Here only what is asked for is read, each place
is checked against the file's length, and all is taken off a budget. Links to other files are refused by name.

Source: Unidata, "NetCDF Classic Format Specifications"; "NetCDF-4 file format" in the netCDF User's Guide.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise.arrays import quiet
from gatewise.errors import FileError, shown
from gatewise.files.budget import Budget
from gatewise.interop.containers import hdf5

CLASSIC = b"CDF"
TYPES = ("", "i1", "S1", "i2", "i4", "f4", "f8", "u1", "u2", "u4", "i8", "u8")  # by the numbers of the classic format
DIMENSIONS, VARIABLES, ATTRIBUTES = 10, 11, 12  # the tags of its lists
OWN_ATTRIBUTES = ("CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "_Netcdf4Dimid", "_Netcdf4Coordinates")
CODING = ("scale_factor", "add_offset", "_FillValue", "missing_value", "_Unsigned", "units")  # they change the numbers
MOST_EXAMINED = 500  # members of a file whose headers are read for a list of its series
LENGTH_ALONE = "This is a netCDF dimension but not a netCDF variable"  # begins the NAME of a scale without values


class Variable(NamedTuple):
    """A variable as it is stored: the names of its dimensions, its values, and its attributes, single ones as such."""

    dims: tuple[str, ...]
    values: npt.NDArray[Any]
    attributes: dict[str, Any]


def open_netcdf(file: BinaryIO, budget: Budget) -> ClassicFile | HDF5Variables:
    """Return the variables of an open netCDF file by their names, in the format that its first bytes say."""
    head = file.read(len(hdf5.MAGIC))
    if head == hdf5.MAGIC:
        return HDF5Variables(file, budget)
    if head[:3] == CLASSIC and head[3:4] in (b"\1", b"\2", b"\5"):
        return ClassicFile(file, budget)
    raise FileError("it begins neither as netCDF nor as HDF5")


def _single(value: Any) -> Any:
    """Return an attribute's value, out of its list or array where that has one entry."""
    if isinstance(value, np.ndarray):
        return value.reshape(-1)[0] if value.size == 1 else value
    return value[0] if isinstance(value, list) and len(value) == 1 else value


class HDF5Variables:
    """The variables in the first group of an HDF5 file, whose dimensions are scales in the same group."""

    def __init__(self, file: BinaryIO, budget: Budget) -> None:
        self.root = hdf5.open_root(file, budget)
        self.names = sorted(self.root.links)

    def has_values(self, name: str) -> bool:
        """Whether there is a member of this name that is more than the length of a dimension."""
        return name in self.names and not self._is_length_alone(self.root[name])

    def series_names(self) -> list[str]:
        """Return the names of the variables with dimensions, and of members whose headers are not or cannot be read."""
        self.root.file.budget = Budget(self.root.file.size)
        examined = [name for name in self.names[:MOST_EXAMINED] if self._may_be_series(name)]
        return examined + self.names[MOST_EXAMINED:]

    def read(self, name: str) -> Variable:
        """Return a variable of a netCDF-4 file; each is held to the file's limits by itself."""
        dataset = self._dataset(name)
        attributes = dataset.attributes
        if "DIMENSION_LIST" in attributes:
            dims = self._dimension_names(name, attributes["DIMENSION_LIST"])
        elif isinstance(kind := attributes.get("CLASS"), str) and kind == "DIMENSION_SCALE":
            dims = (name,)
        else:
            dims = tuple(f"phony_dim_{size}" for size in dataset.shape)
        unread = [key for key in CODING if key in attributes and attributes[key] is None]
        if unread:
            raise FileError(f"the attribute {unread[0]} of {shown(name)!r} has a type that is not supported")
        values = dataset.read_texts() if dataset.type.kind in ("string", "text") else dataset.read()
        own = {key: _single(value) for key, value in attributes.items() if key not in OWN_ATTRIBUTES}
        return Variable(dims, values, {key: value for key, value in own.items() if value is not None})

    def fill_up(self, variables: Mapping[str, Variable]) -> dict[str, Variable]:
        """Return variables, those over an unlimited dimension filled up to the longest with their fill value."""
        longest = max((len(variable.values) for variable in variables.values() if variable.values.ndim == 1), default=0)
        return {name: self._filled_up(name, variable, longest) for name, variable in variables.items()}

    def _filled_up(self, name: str, variable: Variable, length: int) -> Variable:
        values = variable.values
        if values.ndim != 1 or len(values) == length or values.dtype.kind not in "iuf":
            return variable
        dataset = self._dataset(name)
        if not dataset.is_unlimited:
            return variable
        dataset.file.budget.hold(length, values.itemsize, repr(shown(name)))
        filled = np.full(length, dataset.fill_value, values.dtype)
        filled[: len(values)] = values
        return variable._replace(values=filled)

    def _dataset(self, name: str) -> hdf5.Dataset:
        self.root.file.budget = Budget(self.root.file.size)
        dataset = self.root[name]
        if isinstance(dataset, hdf5.Group):
            raise FileError(f"{shown(name)!r} in it is a group, not a variable")
        return replace(dataset, fills_unwritten=True)

    def _may_be_series(self, name: str) -> bool:
        try:
            member = self.root[name]
            return isinstance(member, hdf5.Dataset) and member.shape != () and not self._is_length_alone(member)
        except FileError:
            return True

    @staticmethod
    def _is_length_alone(member: hdf5.Group | hdf5.Dataset) -> bool:
        """Whether a member is a dimension's scale without values, found in its unparsed attributes."""
        return any(message.kind == 0xC and LENGTH_ALONE.encode() in message.data for message in member.messages)

    def _dimension_names(self, name: str, references: Any) -> tuple[str, ...]:
        """Return the names of a variable's dimensions, from references to the scales of an HDF5 file."""
        places = {place: scale for scale, place in self.root.links.items()}
        if not isinstance(references, list) or not all(isinstance(reference, bytes) for reference in references):
            raise FileError(f"the DIMENSION_LIST of {shown(name)!r} does not refer to dimensions")
        addresses = [int.from_bytes(reference[:8], "little") for reference in references]
        if not addresses or not all(address in places for address in addresses):
            raise FileError(f"the dimensions of {shown(name)!r} are not in it")
        return tuple(places[address] for address in addresses)


@dataclass(frozen=True)
class ClassicVariable:
    """Where the classic format keeps a variable: its dimensions, its type, its first byte, its attributes unparsed."""

    dims: tuple[int, ...]
    attributes: Mapping[str, tuple[int, bytes]]
    type: str
    begin: int


class ClassicFile:
    """The variables of a netCDF file in the classic format, whose header is read at once."""

    def __init__(self, file: BinaryIO, budget: Budget) -> None:
        """Read the header of a classic netCDF file: dimensions, attributes, and where each variable lies."""
        self.file, self.budget = file, budget
        self.size = file.seek(0, 2)
        file.seek(3)
        version = file.read(1)[0]
        self._width, self._offset_width = 8 if version == 5 else 4, 4 if version == 1 else 8
        self.records = self._number()
        unknown_records = self.records == 2 ** (8 * self._width) - 1
        self.dims = [(self._name(), self._number()) for _ in range(self._entries(DIMENSIONS))]
        self._read_attributes()
        self.variables = dict(self._read_variable() for _ in range(self._entries(VARIABLES)))
        self.names = [*self.variables]
        of_records = [variable for variable in self.variables.values() if self._is_record(variable)]
        steps = [self._bytes_per_record(variable) for variable in of_records]
        self.step = steps[0] if len(steps) == 1 else sum(step + -step % 4 for step in steps)
        if unknown_records and self.step:  # as a writer leaves it that was still writing
            self.records = (self.size - min(variable.begin for variable in of_records)) // self.step

    def has_values(self, name: str) -> bool:
        """Whether there is a variable of this name."""
        return name in self.variables

    def series_names(self) -> list[str]:
        """Return the names of the variables with dimensions."""
        return [name for name, variable in self.variables.items() if variable.dims]

    def fill_up(self, variables: Mapping[str, Variable]) -> dict[str, Variable]:
        """Return variables as they are: in the classic format those over one dimension have its length."""
        return dict(variables)

    @quiet
    def read(self, name: str) -> Variable:
        """Return a variable of a classic netCDF file, in the machine's byte order."""
        if name not in self.variables:
            raise FileError(f"there is no {shown(name)!r} in it")
        variable = self.variables[name]
        shape, dtype = [self.dims[place][1] for place in variable.dims], np.dtype(f">{variable.type}")
        count, step = math.prod(shape), dtype.itemsize
        end = variable.begin + count * dtype.itemsize
        if self._is_record(variable):
            shape[0] = self.records
            count, step = math.prod(shape), self.step
            end = variable.begin + (self.records - 1) * step + self._bytes_per_record(variable)
        if count and not (0 <= variable.begin <= end <= self.size):
            raise FileError(f"{shown(name)!r} is said to end at byte {end}, and it has {self.size}")
        self.budget.hold(count, 2 * dtype.itemsize, repr(shown(name)))
        strides = [dtype.itemsize * math.prod(shape[place + 1 :]) for place in range(len(shape))]
        if self._is_record(variable):
            strides[0] = step
        values: npt.NDArray[Any] = np.zeros(shape, dtype)
        if count:
            with mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
                values[...] = np.ndarray(shape, dtype, memory, variable.begin, strides)
        attributes = {key: self._attribute(*value) for key, value in variable.attributes.items()}
        names = tuple(self.dims[place][0] for place in variable.dims)
        return Variable(names, values.astype(dtype.newbyteorder("=")), attributes)

    def _is_record(self, variable: ClassicVariable) -> bool:
        """Whether a variable has an entry in each record: its first dimension has no length of its own."""
        return bool(variable.dims) and self.dims[variable.dims[0]][1] == 0

    def _bytes_per_record(self, variable: ClassicVariable) -> int:
        return np.dtype(variable.type).itemsize * math.prod(self.dims[place][1] for place in variable.dims[1:])

    # The header.

    def _take(self, count: int) -> bytes:
        """Return the next bytes of the header, which are there."""
        if count > self.size - self.file.tell():
            raise FileError("its header ends too early")
        return self.file.read(count)

    def _number(self, width: int = 0) -> int:
        return int.from_bytes(self._take(width or self._width), "big")

    def _padded(self, count: int) -> bytes:
        """Return bytes of the header that are filled up to a multiple of four."""
        return self._take(count + -count % 4)[:count]

    def _name(self) -> str:
        return self._padded(self._number()).decode("utf-8", "replace")

    def _entries(self, tag: int) -> int:
        """Return the number of entries of the next list of the header, which has this tag, or no entries."""
        actual, count = self._number(4), self._number()
        if actual not in (tag, 0) or (actual == 0 and count):
            raise FileError(f"a list in its header has the tag {actual}; it must be {tag}")
        self.budget.count(count, "dimensions, variables and attributes")
        return count

    def _read_attributes(self) -> dict[str, tuple[int, bytes]]:
        """Return the next list of attributes in the header: each one's type and bytes."""
        attributes = {}
        for _ in range(self._entries(ATTRIBUTES)):
            name, kind = self._name(), self._number(4)
            attributes[name] = kind, self._padded(self._number() * self._type(kind).itemsize)
        return attributes

    def _type(self, number: int) -> np.dtype[Any]:
        if not 0 < number < len(TYPES):
            raise FileError(f"its header has a type of number {number}, which netCDF does not have")
        return np.dtype(f">{TYPES[number]}")

    def _attribute(self, kind: int, data: bytes) -> Any:
        """Return the value of an attribute of a classic netCDF file."""
        dtype = self._type(kind)
        if dtype.kind == "S":
            return data.rstrip(b"\0").decode("utf-8", "replace")
        return _single(np.frombuffer(data, dtype).astype(dtype.newbyteorder("=")))

    def _read_variable(self) -> tuple[str, ClassicVariable]:
        """Return the name of the header's next variable, and where it lies."""
        name, rank = self._name(), self._number()
        if rank > 32:
            raise FileError(f"{shown(name)!r} has {rank} dimensions; at most 32 are allowed")
        dims = tuple(self._number() for _ in range(rank))
        if not all(place < len(self.dims) for place in dims) or any(self.dims[place][1] == 0 for place in dims[1:]):
            raise FileError(f"{shown(name)!r} has dimensions that its header does not have")
        attributes, kind = self._read_attributes(), self._number(4)
        self._number()  # its size, which follows from its dimensions
        self._type(kind)
        return name, ClassicVariable(dims, attributes, TYPES[kind], self._number(self._offset_width))
