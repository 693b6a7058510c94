"""The containers of PyTorch: zip archives, TorchScript, the stream of pickles from before 1.6, safetensors.

Each becomes a flat dictionary of tensors by the path through the dictionaries and objects that hold them. A tensor is
only described at first; its numbers are read when it is asked for, so that an optimizer's state or a large embedding
costs nothing. The layouts follow `torch.serialization` and `torch._utils`.
"""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, require_memory
from gatewise.errors import CapacityError, FileError, reason
from gatewise.interop.conventions import real
from gatewise.interop.torch import pickles
from gatewise.interop.torch.pickles import Global, Object, Persistent, as_bytes
from gatewise.interop.torch.writing import MAGIC

TYPES = {  # by the names of storages and of dtypes
    "Float": "<f4", "Double": "<f8", "Half": "<f2", "BFloat16": "bf16", "Long": "<i8", "Int": "<i4", "Short": "<i2",
    "Char": "<i1", "Byte": "<u1", "Bool": "<u1", "ComplexFloat": "<c8", "ComplexDouble": "<c16",
    "float32": "<f4", "float64": "<f8", "float16": "<f2", "bfloat16": "bf16", "int64": "<i8", "int32": "<i4",
    "int16": "<i2", "int8": "<i1", "uint8": "<u1", "bool": "<u1", "complex64": "<c8", "complex128": "<c16",
    "float": "<f4", "double": "<f8", "half": "<f2", "long": "<i8", "int": "<i4", "short": "<i2",
}  # fmt: skip
FLOATS = ("<f2", "<f4", "<f8", "bf16")
SAFE = {"F32": "<f4", "F64": "<f8", "F16": "<f2", "BF16": "bf16"}
REBUILD = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3")
PARAMETER = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
FILLED = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
AT_ONCE = ("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer")
SHARED = 1 << 20  # numbers that a tensor may have even where its storage has fewer, and they stand for several
DEEPEST = 100  # levels of dictionaries and modules within each other
LARGEST_CODE = 1 << 24  # bytes of the code of one class
LARGEST_PICKLE = 1 << 30  # bytes; what describes tensors is far smaller than they are


@dataclass(frozen=True)
class Storage:
    """Where the numbers of tensors lie: `read` returns that many bytes of it from its beginning."""

    kind: str | None
    count: int
    read: Callable[[int], bytes]


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor as it is described: nothing is read before `array` is called.

    Attributes
    ----------
    shape, strides : tuple of int
        Strides count numbers.
    offset : int
    kind : str or None
        One of the values of `TYPES`; None where it is another.
    storage : Storage
    problem : str
        Why it cannot be read; empty where it can.
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    kind: str | None
    storage: Storage | None
    problem: str = ""

    @property
    def floating(self) -> bool:
        """Whether it holds floating-point numbers that can be read."""
        return not self.problem and self.kind in FLOATS

    def array(self) -> Array:
        """Return its numbers as float32 or float64.

        Raises
        ------
        FileError
            If it cannot be read, or lies beyond the end of its storage.
        CapacityError
            If it would not fit into memory.
        """
        if self.problem or self.storage is None:
            raise FileError(self.problem or "it is not whole")
        if not self.floating:
            raise FileError(
                f"it holds {self.kind or 'numbers of a kind that is not known'}, not floating-point numbers"
            )
        item = _width(self.kind)
        size = int(np.prod([int(n) for n in self.shape], dtype=object)) if self.shape else 1
        if size == 0:
            return np.zeros(self.shape, np.float32)
        if size > max(self.storage.count, SHARED):
            raise FileError(f"it has {size} numbers, and its storage {self.storage.count}")
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        if last >= self.storage.count:
            raise FileError(f"it reaches beyond the {self.storage.count} numbers of its storage")
        require_memory(size, 8, f"a tensor of {self.shape}")
        data = self.storage.read((last + 1) * item)
        if len(data) < (last + 1) * item:
            raise FileError("the file ends before its numbers do")
        flat: npt.NDArray[Any]
        if self.kind == "bf16":
            flat = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            flat = np.frombuffer(data, self.kind)
        steps = tuple(step * flat.itemsize for step in self.strides)
        view = np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, steps, writeable=False)
        return real(np.ascontiguousarray(view))


@dataclass(frozen=True, eq=False)
class Archive:
    """What lies in a file of PyTorch's.

    Attributes
    ----------
    format : str
        In words.
    tensors : dict of str to Tensor
    classes : dict of str to str
        The class of each object on the way, by path.
    batch_first : dict of str to bool
        What an object says of the order of its axes, by path.
    """

    format: str
    tensors: Mapping[str, Tensor]
    classes: Mapping[str, str] = field(default_factory=dict)
    batch_first: Mapping[str, bool] = field(default_factory=dict)


def open_archive(path: Path, head: bytes) -> Archive:
    """Return the tensors of a file, by what it begins with.

    Raises
    ------
    FileError
        If it is not whole, or of a form that is not known.
    """
    if head.startswith(b"PK"):
        return _zip(path)
    with open(path, "rb") as file:
        return _stream(file)


# Zip: since PyTorch 1.6, and TorchScript.


def _zip(path: Path) -> Archive:
    try:
        archive = zipfile.ZipFile(path)
        names = {info.filename: info for info in archive.infolist()}
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, OSError, IndexError) as problem:
        raise FileError(f"it is not a whole zip archive ({reason(problem)})") from None
    with archive:
        main = [name for name in names if re.fullmatch(r"[^/]+/data\.pkl", name)]
        if len(main) != 1:
            raise FileError("it is a zip archive without a data.pkl: not one of PyTorch's")
        folder = main[0].partition("/")[0]
        description = member(path, main[0], LARGEST_PICKLE, whole=True)
        order = member(path, f"{folder}/byteorder", 16) if f"{folder}/byteorder" in names else b"little"
        if order.strip() not in (b"little", b"big"):
            raise FileError(f"its byte order is {order[:16]!r}; it must be little or big")
        script = any(name.startswith(f"{folder}/code/") for name in names)

    def storage(identity: Any) -> Storage | None:
        if not _is_storage(identity):
            return None
        _, kind, key, _, count = identity[:5]
        name = f"{folder}/data/{key}"
        return Storage(_storage_kind(kind), count, lambda size: _native(member(path, name, size), kind, order))

    found = _flatten(pickles.read(io.BytesIO(description)), storage)
    if not script:
        return Archive("PyTorch", *found)
    tensors, classes, said = found
    code = {at: _constant(path, f"{folder}/code", kind) for at, kind in classes.items() if kind.endswith(".LSTM")}
    return Archive(
        "TorchScript", tensors, classes, said | {at: value for at, value in code.items() if value is not None}
    )


def _constant(path: Path, folder: str, kind: str) -> bool | None:
    """Return what the code of a class says that its batch_first is; the code is text here, and is not run."""
    module, _, name = kind.rpartition(".")
    try:
        text = member(path, f"{folder}/{module.replace('.', '/')}.py", LARGEST_CODE).decode("utf-8", "replace")
    except FileError:
        return None
    body = re.search(rf"^class {re.escape(name)}\(.*?(?=^class |\Z)", text, re.MULTILINE | re.DOTALL)
    said = body and re.search(r"^ +batch_first : Final\[bool\] = (True|False)$", body[0], re.MULTILINE)
    return said[1] == "True" if said else None


def _native(data: bytes, kind: Any, order: bytes) -> bytes:
    """Return little-endian numbers."""
    found = _storage_kind(kind)
    if order.strip() == b"little" or found is None:
        return data
    width = _width(found)
    return np.frombuffer(data[: len(data) // width * width], f">u{width}").astype(f"<u{width}").tobytes()


def member(path: Path, name: str, most: int, *, whole: bool = False) -> bytes:
    """Return at most so many bytes of one member of a zip archive; a `whole` one must not have more.

    What is packed small and unpacks to much more than that is refused before it is unpacked.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(name)
            if info.flag_bits & 1:
                raise FileError(f"its member {name!r} is encrypted")
            if info.file_size > 200 * info.compress_size + 1_000_000:
                raise FileError(f"its member {name!r} unpacks to {info.file_size} bytes from {info.compress_size}")
            if whole and info.file_size > most:
                raise FileError(f"its member {name!r} has {info.file_size} bytes; {most} are allowed")
            size = min(most, info.file_size)
            require_memory(size, 1, f"the member {name!r} of {path}")
            with archive.open(info) as file:
                data = file.read(size)
                if size == info.file_size:
                    file.read(1)  # the end is where the check sum is held against the bytes
                return data
    except KeyError:
        raise FileError(f"its member {name!r} is missing") from None
    except (FileError, CapacityError):
        raise
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        ValueError,
        struct.error,
        OSError,
        EOFError,
        IndexError,
    ) as problem:
        raise FileError(f"its member {name!r} is damaged ({reason(problem)})") from None
    except Exception as problem:  # each method of compression has an error of its own
        if type(problem).__module__ in ("zlib", "lzma", "bz2", "_lzma"):
            raise FileError(f"its member {name!r} is damaged ({reason(problem)})") from None
        raise


# The stream of pickles: before 1.6, and pickles that are none of PyTorch's.


def _stream(file: BinaryIO) -> Archive:
    first = pickles.read(file)
    if first != MAGIC:
        return Archive("pickle", *_flatten(first, lambda _: None))
    pickles.read(file)  # the version of the protocol
    system = pickles.read(file)
    order = b"big" if isinstance(system, dict) and system.get("little_endian") is False else b"little"
    content = pickles.read(file)
    keys = pickles.read(file)
    if not isinstance(keys, list):
        raise FileError("its storages are not listed")
    identities = [one.identity for one in _persistent(content) if _is_storage(one.identity)]
    kinds = {identity[2]: _storage_kind(identity[1]) for identity in identities}
    places: dict[str, tuple[int, int]] = {}
    at = file.tell()
    end = file.seek(0, io.SEEK_END)
    for key in keys:  # the storages follow one another, each after the count of its numbers
        file.seek(at)
        head, kind = file.read(8), kinds.get(key) if isinstance(key, str) else None
        if len(head) < 8 or kind is None:
            break
        (count,) = struct.unpack(">q" if order == b"big" else "<q", head)
        if not 0 <= count <= (end - at) // _width(kind):
            places[key] = (at + 8, end - at - 8)
            break
        places[key] = (at + 8, count * _width(kind))
        at += 8 + count * _width(kind)
    source = Path(file.name)

    def storage(identity: Any) -> Storage | None:
        if not _is_storage(identity):
            return None
        _, kind, key, _, count, *rest = identity
        begin, length = places.get(key, (0, 0))
        if rest and isinstance(rest[0], tuple) and len(rest[0]) == 3 and all(map(_is_count, rest[0][1:])):
            _, offset, count = rest[0]  # a view of another storage
            skipped = offset * _width(_storage_kind(kind))
            begin, length = begin + skipped, max(0, length - skipped)

        def read(size: int) -> bytes:
            with open(source, "rb") as again:
                again.seek(begin)
                return _native(again.read(min(size, length)), kind, order)

        return Storage(_storage_kind(kind), count, read)

    return Archive("PyTorch, the form before 1.6", *_flatten(content, storage))


def _is_storage(identity: Any) -> bool:
    """Say whether a persistent identity is that of a storage: (storage, class, key, device, count, …)."""
    if not (isinstance(identity, tuple) and len(identity) >= 5):
        return False
    return identity[0] == "storage" and isinstance(identity[2], str) and _is_count(identity[4])


def _width(kind: str | None) -> int:
    """Return how many bytes a number takes."""
    return 1 if kind is None else 2 if kind == "bf16" else np.dtype(kind).itemsize


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62


def _storage_kind(kind: Any) -> str | None:
    name = kind.name if isinstance(kind, Global) else ""
    if name == "UntypedStorage":
        return "<u1"
    return TYPES.get(name.removesuffix("Storage"))


def _persistent(content: Any) -> Iterator[Persistent]:
    """Go through all that a description holds, each thing once."""
    seen: set[int] = set()
    ahead = [content]
    while ahead:
        one = ahead.pop()
        if isinstance(one, Persistent):
            yield one
        elif isinstance(one, (dict, list, tuple, Object)) and id(one) not in seen:
            seen.add(id(one))
            ahead += _parts(one)


def _parts(one: Any) -> list[Any]:
    if isinstance(one, dict):
        return list(one.values())
    if isinstance(one, Object):
        return [one.args, one.state, *one.items, *one.pairs.values()]
    return list(one)


# From nested objects to a flat dictionary.


def _flatten(
    content: Any, storage: Callable[[Any], Storage | None]
) -> tuple[dict[str, Tensor], dict[str, str], dict[str, bool]]:
    """Return the tensors by their paths, the classes of the objects on the way, and what they say of batch_first."""
    tensors: dict[str, Tensor] = {}
    classes: dict[str, str] = {}
    batch_first: dict[str, bool] = {}
    seen: set[int] = set()
    ahead: list[tuple[str, int, Any]] = [("", 0, content)]
    while ahead:
        path, depth, one = ahead.pop()
        if isinstance(one, Object) and (tensor := _tensor(one, storage)) is not None:
            tensors[path or "tensor"] = tensor
            continue
        if not isinstance(one, (dict, list, tuple, Object)) or id(one) in seen or depth > DEEPEST:
            continue
        seen.add(id(one))  # what is shared, or holds itself, is gone through once
        pairs: dict[Any, Any] = {}
        if isinstance(one, Object):
            if isinstance(one.maker, Global):
                classes[path] = ".".join(one.maker)
            state = one.state[0] if isinstance(one.state, tuple) and len(one.state) == 2 else one.state
            for source in (state, one.pairs):
                if isinstance(source, dict):
                    pairs |= source
            for inner in ("_buffers", "_parameters", "_modules"):  # a whole module, with its weights inside
                if isinstance(held := pairs.pop(inner, None), dict):
                    pairs |= held
            pairs |= dict(enumerate(one.items))
            if isinstance(said := pairs.get("batch_first"), bool):
                batch_first[path] = said
        elif isinstance(one, dict):
            pairs = one
        else:
            pairs = dict(enumerate(one))
        for key, value in reversed(pairs.items()):
            if isinstance(key, (str, int)) and isinstance(value, (dict, list, tuple, Object)):
                ahead.append((f"{path}.{key}" if path else str(key), depth + 1, value))
    return tensors, classes, batch_first


def _tensor(one: Object, storage: Callable[[Any], Storage | None]) -> Tensor | None:
    """Return the tensor or array that an object stands for, or None."""
    for _ in range(4):  # a parameter holds its tensor
        if not one.made_by(*PARAMETER):
            break
        if not (isinstance(one.args, tuple) and one.args and isinstance(one.args[0], Object)):
            return _unreadable("its parameter is not whole")
        one = one.args[0]
    if one.made_by(*FILLED, *AT_ONCE):
        return _numpy(one)
    if isinstance(one.maker, Global) and one.maker.module == "torch._utils" and "_rebuild" in one.maker.name:
        if not one.made_by(*REBUILD):
            kind = one.maker.name.removeprefix("_rebuild_").replace("qtensor", "quantised tensor").replace("_", " ")
            return _unreadable(f"it is a {kind}")
        return _dense(one, storage)
    return None


def _dense(one: Object, storage: Callable[[Any], Storage | None]) -> Tensor:
    args = one.args if isinstance(one.args, tuple) else ()
    if len(args) < 4:
        return _unreadable("its description is not whole")
    held, offset, shape, strides = args[:4]
    found = storage(held.identity) if isinstance(held, Persistent) else _inner_storage(held)
    if found is None:
        return _unreadable(f"it depends on {_said(held)}")
    whole = isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides) <= 32
    if not whole or not all(map(_is_count, (offset, *shape, *strides))):
        return _unreadable("its shape or its strides make no sense")
    kind, named = found.kind, held.identity[1] if isinstance(held, Persistent) else None
    if one.made_by("torch._utils._rebuild_tensor_v3"):
        named = args[6] if len(args) > 6 else None
        kind = TYPES.get(named.name) if isinstance(named, Global) else None
        if kind is not None:
            found = Storage(kind, found.count // _width(kind), found.read)
    if kind is None:
        name = ".".join(named) if isinstance(named, Global) else "of a kind that is not known"
        return _unreadable(f"its numbers are {name}, which is not read")
    return Tensor(shape, strides, offset, kind, found)


def _said(held: Any) -> str:
    if isinstance(held, Object) and isinstance(held.maker, Global):
        return ".".join(held.maker)[:100]
    return "a storage that is not described" if isinstance(held, Persistent) else f"a {type(held).__name__}"


def _inner_storage(held: Any) -> Storage | None:
    """Return a storage that was pickled by itself: as bytes which are a file of PyTorch's in turn."""
    if not (isinstance(held, Object) and held.made_by("torch.storage._load_from_bytes") and held.args):
        return None
    data = as_bytes(held.args[0])
    if data is None:
        return None
    file = io.BytesIO(data)
    try:
        parts = [pickles.read(file) for _ in range(5)]
    except FileError:
        return None
    identity: Any = getattr(parts[3], "identity", None)
    if parts[0] != MAGIC or not _is_storage(identity):
        return None
    begin = file.tell() + 8
    return Storage(_storage_kind(identity[1]), identity[4], lambda size: data[begin : begin + size])


def _numpy(one: Object) -> Tensor:
    """Return the tensor that a pickled array stands for: built and then filled, or made of its bytes at once."""
    if one.made_by(*FILLED):
        if not (isinstance(one.state, tuple) and len(one.state) == 5):
            return _unreadable("its array is not whole")
        _, shape, dtype, fortran, held = one.state
    else:
        if not (isinstance(one.args, tuple) and len(one.args) == 4):
            return _unreadable("its array is not whole")
        held, dtype, shape, fortran = one.args
        fortran = fortran == "F"
    if not (isinstance(dtype, Object) and isinstance(dtype.args, tuple) and dtype.args):
        return _unreadable("its array is of a kind that is not known")
    kind, data = dtype.args[0], as_bytes(held)
    if isinstance(kind, str) and kind.startswith("O"):
        return _unreadable("it is an array of Python objects")
    if not isinstance(kind, str) or not re.fullmatch(r"[fiub][1248]", kind) or data is None:
        return _unreadable("its array is of a kind that is not known")
    described: Any = dtype.state
    order = described[1] if isinstance(described, tuple) and len(described) > 1 else "<"
    if not isinstance(shape, tuple) or len(shape) > 32 or not all(map(_is_count, shape)):
        return _unreadable("its shape makes no sense")
    width = int(kind[1:])
    if order == ">":
        data = np.frombuffer(data[: len(data) // width * width], f">u{width}").astype(f"<u{width}").tobytes()
    strides, step = [], 1
    for n in shape if fortran else reversed(shape):
        strides.append(step)
        step *= n
    numbers, known = data, f"<{kind}" if f"<{kind}" in TYPES.values() else None
    return Tensor(
        shape,
        tuple(strides if fortran else reversed(strides)),
        0,
        known,
        Storage(known, len(numbers) // width, lambda size: numbers[:size]),
    )


def _unreadable(problem: str) -> Tensor:
    return Tensor((), (), 0, None, None, problem)


# Safetensors.


def open_safetensors(path: Path) -> Archive:
    """Return the tensors of a safetensors file by their names."""
    from safetensors import SafetensorError, safe_open

    tensors = {}
    try:
        with safe_open(path, framework="numpy") as file:  # which looks at the whole header
            names = list(file.keys())
        with open(path, "rb") as raw:
            length = int.from_bytes(raw.read(8), "little")
            header = json.loads(raw.read(length))
        for name in names:
            kind, (begin, end) = SAFE.get(header[name]["dtype"]), header[name]["data_offsets"]
            shape = tuple(header[name]["shape"])
            strides = tuple(int(np.prod(shape[n + 1 :], dtype=object)) for n in range(len(shape)))
            if kind is None:
                tensors[name] = _unreadable(f"its numbers are {header[name]['dtype']}, which is not read")
                continue
            held = Storage(kind, (end - begin) // _width(kind), _at(path, 8 + length + begin, end - begin))
            tensors[name] = Tensor(shape, strides, 0, kind, held)
    except (SafetensorError, OSError, ValueError, TypeError, OverflowError, KeyError, RecursionError) as problem:
        raise FileError(f"it is not a whole safetensors file ({reason(problem)})") from None
    return Archive("safetensors", tensors)


def _at(path: Path, begin: int, length: int) -> Callable[[int], bytes]:
    def read(size: int) -> bytes:
        with open(path, "rb") as file:
            file.seek(begin)
            return file.read(min(size, length))

    return read
