"""Files: arrays by name and one JSON header, in safetensors, written beside, then renamed; text, and NumPy's files.

The header is the only metadata, under the key ``gatewise``: with a single key equal content gives equal bytes.
"""

from __future__ import annotations

import codecs
import io
import json
import math
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import require_memory
from gatewise.errors import CapacityError, FileError, GatewiseError, OptionError, reason, shown
from gatewise.files.archives import foreign_bytes
from gatewise.files.budget import Budget
from gatewise.files.protecting import remember_read
from gatewise.files.replacing import LOOP, is_loop
from gatewise.files.replacing import beside as beside
from gatewise.files.replacing import path_of as path_of
from gatewise.files.replacing import temporary_for as temporary_for

if TYPE_CHECKING:
    import zipfile

LONGEST_HEADER = 100_000_000  # bytes; the format's own limit
KEY = "gatewise"
_TYPES = {"float32": "F32", "float64": "F64", "bool": "BOOL", "int64": "I64"}
AnyArray = npt.NDArray[Any]
Shape = tuple[tuple[int, ...], np.dtype[Any]]
_MARKS = {  # byte order marks; those of UTF-32 first, since that of UTF-16 is how one of them begins
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
PACKINGS = (0, 8)  # of an .npz file's members: stored, or deflated
PIECE = 2**18  # bytes that are unpacked at once
MOST = 2**58  # numbers of an array, with axes of no length left out
LONGEST_NPY_HEADER = 2**16  # bytes, more than NumPy reads itself
_CONTROL = r"[\x00-\x08\x0e-\x1f\x7f]"  # letters that no text has
BEGINNING = 1000  # bytes of a text, enough to recognise its encoding
OTHER_FORMATS = (".npz", ".npy", ".csv", ".json", ".pt", ".pth", ".onnx", ".keras", ".h5")  # which no file of ours is


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write text in UTF-8; an existing file is replaced completely, or not at all, and never one that was read."""
    with beside(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def write(
    path: str | os.PathLike[str],
    arrays: Mapping[str, AnyArray],
    header: Mapping[str, Any],
    *,
    overwrite: bool | None = None,
) -> None:
    """Write arrays and a header to a safetensors file; an existing one is replaced completely, or not at all."""
    shapes = {name: (array.shape, array.dtype) for name, array in arrays.items()}
    with writing(path, shapes, header, overwrite=overwrite) as views:
        for name, array in arrays.items():
            views[name][...] = array


@contextmanager
def writing(
    path: str | os.PathLike[str],
    shapes: Mapping[str, Shape],
    header: Mapping[str, Any],
    *,
    overwrite: bool | None = None,
) -> Iterator[dict[str, AnyArray]]:
    """Yield arrays of the named shapes and types, mapped to a file that appears at `path` if the block succeeds.

    Pages are written as they are filled, so the file may be larger than memory.
    """
    if (suffix := path_of(path).suffix.lower()) in OTHER_FORMATS:
        raise OptionError(f"gatewise writes its own format, .safetensors, and not {suffix}: {path}")
    with beside(path, overwrite=overwrite) as temporary:
        preamble, offsets, total = _file_layout(shapes, header)
        with open(temporary, "wb") as file:
            file.write(preamble)
            reserve_blocks(file.fileno(), len(preamble) + total)
        views = {name: _map_array(temporary, len(preamble) + offsets[name], *shapes[name], "r+") for name in shapes}
        yield views
        for view in views.values():
            if isinstance(view, np.memmap):
                view.flush()
        views.clear()


def reserve_blocks(file: int, length: int) -> None:
    """Make a file so long, with disk blocks of its own: on a full disk a mapped file without them ends the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, length)
    else:
        os.ftruncate(file, length)


def _file_layout(shapes: Mapping[str, Shape], header: Mapping[str, Any]) -> tuple[bytes, dict[str, int], int]:
    """Return the header of a safetensors file, the position of each array after it, and the arrays' total length."""
    # Widest first, so that every array starts at a multiple of its item's size.
    names = sorted(shapes, key=lambda name: (-shapes[name][1].itemsize, name))
    entries: dict[str, Any] = {"__metadata__": {KEY: json.dumps(header, sort_keys=True, allow_nan=False)}}
    offsets, total = {}, 0
    for name in names:
        shape, dtype = shapes[name]
        length = math.prod(shape) * dtype.itemsize
        offsets[name] = total
        entries[name] = {
            "dtype": _TYPES[dtype.name],
            "shape": list(shape),
            "data_offsets": [total, total + length],
        }
        total += length
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, offsets, total


def _map_array(
    path: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any], mode: Any, order: Any = "C"
) -> AnyArray:
    """Return an array in a file, mapped to memory as it is used."""
    if math.prod(shape) == 0:  # nothing to map
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, mode, offset, shape, order)


def mapped(path: str | os.PathLike[str], shapes: Mapping[str, Shape], header: Mapping[str, Any]) -> dict[str, AnyArray]:
    """Return read-only views of the arrays in a file that `writing` made with the same shapes and header."""
    preamble, offsets, _ = _file_layout(shapes, header)
    return {name: _map_array(Path(path), len(preamble) + offsets[name], *shapes[name], "r") for name in shapes}


def readable(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file that can be read, or raise FileError: it is missing, a folder, a device, forbidden."""
    source = path_of(path)
    if os.path.isdir(source):
        if any(os.path.isfile(source / name) for name in (".zgroup", ".zarray", "zarr.json")):
            raise FileError(f"cannot read {source}: it is a zarr store, which can be an input and holds no model")
        raise FileError(f"cannot read {source}: it is a folder; give the name of a file")
    if not os.path.exists(source):
        raise FileError(f"cannot read {source}: {LOOP if is_loop(source) else 'there is no such file'}")
    if not os.path.isfile(source):
        raise FileError(f"cannot read {source}: it is not an ordinary file")
    try:
        with open(source, "rb"):
            pass
    except OSError as problem:
        raise FileError(f"cannot read {source}: {problem.strerror or problem}") from None
    remember_read(source)
    return source


def nonempty(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file that can be read and holds something, or raise FileError.

    The system's own files, as below /proc, claim no bytes: some have no end, and others wait where they are read.
    """
    source = readable(path)
    if not source.stat().st_size:
        raise FileError(f"cannot read {source}: it is empty")
    return source


@contextmanager
def guarded(path: str | os.PathLike[str]) -> Iterator[None]:
    """Raise an OSError of the system, while a file is read within the block, as a FileError that names the file."""
    try:
        yield
    except GatewiseError:
        raise
    except OSError as problem:
        raise FileError(f"cannot read {path}: {problem.strerror or reason(problem)}") from None


def is_safetensors(head: bytes) -> bool:
    """Say whether a file that begins so can be safetensors: the length of a JSON object, and the object."""
    return len(head) > 8 and head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= LONGEST_HEADER


def written_here(path: str | os.PathLike[str]) -> bool:
    """Say whether a safetensors file has gatewise's own header; an incomplete one has none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return KEY in (file.metadata() or {})
    except (SafetensorError, OSError, ValueError, TypeError):
        return False


def read(path: str | os.PathLike[str], budget: Budget | None = None) -> tuple[dict[str, AnyArray], dict[str, Any]]:
    """Return the arrays and the header of a safetensors file of gatewise's, taken off a budget, or off the file's own.

    Raise FileError if there is no such file, or it is incomplete or not one of gatewise's.
    """
    from safetensors import SafetensorError, safe_open

    source = readable(path)
    budget = budget or Budget.of(source)
    try:
        with safe_open(source, framework="numpy") as file:
            metadata = file.metadata() or {}
            if KEY not in metadata:
                raise FileError("it is safetensors, but not written by gatewise")
            budget.parse(metadata[KEY], "its header")
            header = json.loads(metadata[KEY])
            if not isinstance(header, dict):
                raise FileError("its header is not a JSON object")
            names = list(file.keys())
            budget.count(len(names), "arrays")
            budget.hold(budget.size, 1, "what it holds")
            return {name: file.get_tensor(name) for name in names}, header
    except FileError as problem:
        raise FileError(f"cannot read {source}: {problem}") from None
    except (SafetensorError, OSError, ValueError, TypeError, RecursionError) as problem:
        raise FileError(f"cannot read {source}: it is not an intact safetensors file ({reason(problem)})") from None


# Text.


def split_lines(text: str) -> list[str]:
    """Return the lines of a text; only line breaks end them, and no other letters that can end a paragraph or page."""
    return text.removesuffix("\n").replace("\r\n", "\n").split("\n") if text else []


def read_text(path: str | os.PathLike[str], *, of_windows: bool = False) -> str:
    """Return the text of a file, with its own line ends, or raise FileError.

    A byte order mark says which of UTF-8, UTF-16 and UTF-32 it is in. Without one it is UTF-8, unless many bytes are
    zero: in UTF-16 a plain letter, a digit and a line's end have one before them, or after them. A text `of_windows`
    that is not UTF-8 is Windows-1252, in which older spreadsheets save tables.
    """
    source = readable(path)
    with guarded(path), open(source, "rb") as file:
        size = source.stat().st_size
        require_memory(size, 1, f"reading {path}")
        data = file.read(size)
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
    if encoding == "utf-8":
        zeros = {"utf-16-be": data[:BEGINNING:2].count(0), "utf-16-le": data[1:BEGINNING:2].count(0)}
        likely = max(zeros, key=lambda name: zeros[name])
        if zeros[likely] > min(len(data), BEGINNING) / 8:
            encoding = likely
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as problem:
        if of_windows and encoding == "utf-8":
            with suppress(UnicodeDecodeError):
                text = data.decode("cp1252")
                if not re.search(_CONTROL, text):
                    return text
        if encoding.startswith("utf-8"):
            line = data.count(b"\n", 0, problem.start) + 1
            fault = f"line {line} has the byte 0x{data[problem.start]:02x}; save it as UTF-8"
        else:
            fault = f"as {encoding[:6].upper()} its byte {problem.start} makes no sense"
        raise FileError(f"cannot read {path}: it is not text in UTF-8 or UTF-16 ({fault})") from None
    if "\0" in text:
        raise FileError(f"cannot read {path}: it is not text, since it has NUL characters")
    return text


# NumPy's files. Their headers are read by NumPy; its errors and advice about corrupted ones are not passed on.


def read_npy(path: str | os.PathLike[str]) -> AnyArray:
    """Return the array of numbers in an .npy file, mapped: no memory is taken for it."""
    source = nonempty(path)
    with guarded(path), open(source, "rb") as file:
        if file.read(4) == b"PK\x03\x04":
            raise FileError(
                f"cannot read {source}: it is an archive of several arrays; give an .npy file, which has one"
            )
        file.seek(0)
        try:
            shape, fortran, dtype = npy_header(file, source.stat().st_size)
        except ValueError as problem:
            raise FileError(f"cannot read {source}: it is not an intact .npy file ({problem})") from None
        except TypeError as problem:
            raise FileError(f"cannot read {source}: it {problem}") from None
        try:
            return _map_array(source, file.tell(), shape, dtype, "r", "F" if fortran else "C")
        except ValueError as problem:  # more axes than NumPy has
            raise FileError(f"cannot read {source}: it is not an intact .npy file ({reason(problem)})") from None


def npz_names(path: str | os.PathLike[str]) -> list[str]:
    """Return the names of the arrays in an .npz file."""
    with _open_npz(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def read_npz(path: str | os.PathLike[str], names: Iterable[str], *, most: int | None = None) -> dict[str, AnyArray]:
    """Return arrays of numbers of an .npz file by their names; all together they may be limited to `most` bytes."""
    arrays: dict[str, AnyArray] = {}
    budget = Budget.of(readable(path))
    with _open_npz(path) as archive:
        if most is not None and sum(entry.file_size for entry in archive.infolist()) > most:
            raise FileError(f"cannot read {path}: uncompressed, it may have at most {most >> 20} MiB")
        for name in names:
            try:
                entry = archive.getinfo(f"{name}.npy")
                if entry.compress_type not in PACKINGS:
                    raise FileError(f"{shown(name)!r} is packed by method {entry.compress_type}")
                with archive.open(entry) as file:
                    arrays[name] = _unpacked_array(file, entry.file_size, budget, repr(shown(name)))
            except CapacityError:
                raise
            except TypeError as problem:
                raise FileError(f"cannot read {path}: {shown(name)!r} {problem}") from None
            except FileError as problem:
                raise FileError(f"cannot read {path}: {problem}; np.savez stores arrays as they are") from None
            except Exception as problem:  # ours, and whatever zipfile and zlib raise on a corrupted archive
                raise FileError(
                    f"cannot read {path}: it is not an intact .npz file ({shown(name)!r}: {reason(problem)})"
                ) from None
    return arrays


def _unpacked_array(file: IO[bytes], size: int, budget: Budget, subject: str) -> AnyArray:
    """Return the array in an open .npy file of `size` bytes unpacked, which is read piece by piece."""
    shape, fortran, dtype = npy_header(file, size)
    budget.hold(math.prod(shape), dtype.itemsize, subject)
    array: AnyArray = np.empty(shape, dtype, "F" if fortran else "C")
    data = array.reshape(-1, order="F" if fortran else "C").view(np.uint8)
    position = 0
    while position < len(data) and (piece := file.read(min(PIECE, len(data) - position))):
        data[position : position + len(piece)] = np.frombuffer(piece, np.uint8)
        position += len(piece)
    if position < len(data) or file.read(1):  # which reads to the end, where the check sum is
        raise ValueError(f"its header says {shape} of {dtype}, and other than {len(data)} bytes follow")
    array.setflags(write=False)
    return array


def _open_npz(path: str | os.PathLike[str]) -> zipfile.ZipFile:
    """Return an .npz file as an open archive, or raise FileError."""
    import zipfile  # its own imports take longer than the rest of this file

    source = readable(path)
    try:
        archive = zipfile.ZipFile(source)
        problem_of_file = foreign_bytes(archive)
    except Exception as problem:  # whatever zipfile raises if it is not an archive
        raise FileError(f"cannot read {source}: it is not an intact .npz file ({reason(problem)})") from None
    if len(archive.NameToInfo) < len(archive.filelist):
        counts = Counter(archive.namelist()).most_common(1)
        problem_of_file = f"it has several arrays {shown(counts[0][0].removesuffix('.npy'))!r}"
    if problem_of_file:
        archive.close()
        raise FileError(f"cannot read {source}: {problem_of_file}")
    return archive


def _npy_head(file: IO[bytes]) -> IO[bytes]:
    """Return the header of an .npy file, which may claim to be as long as a packed file can become."""
    start = file.read(12)
    length = 10 + int.from_bytes(start[8:10], "little")
    if start[6:7] != b"\1":
        length = 12 + int.from_bytes(start[8:12], "little")
    if not len(start) <= length <= LONGEST_NPY_HEADER:
        raise ValueError
    return io.BytesIO(start + file.read(length - len(start)))


def npy_header(file: IO[bytes], size: int, *, objects: bool = False) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, order and type of the array in an open .npy file of `size` bytes; of `objects` if these may be.

    Raise ValueError if it is incomplete, or TypeError, with the rest of a sentence, if it holds no numbers.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that only old Pythons wrote
            head = _npy_head(file)
            version = np.lib.format.read_magic(head)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(head)
        if bool in map(type, shape):  # which NumPy's check lets pass as an integer
            raise ValueError
    except Exception:  # whatever numpy, ast and tokenize raise at a header that makes no sense
        raise ValueError("its header makes no sense") from None
    if dtype.hasobject and objects and dtype.kind == "O":
        return shape, fortran, dtype
    if dtype.hasobject:
        raise TypeError("holds Python objects, not numbers; they are never read, since reading them can run code")
    if dtype.kind not in "fiubc":
        raise TypeError(f"must be numbers, but is of type {shown(str(dtype))}")
    numbers = math.prod(length for length in shape if length)  # NumPy has no array whose other axes are too long either
    if any(length < 0 for length in shape) or math.prod(shape) * dtype.itemsize > size - file.tell() or numbers > MOST:
        raise ValueError(f"its header says shape {shown(str(shape))} of {dtype}, which is more than there is")
    return shape, fortran, dtype
