"""Zarr stores: what one says is checked before zarr reads any of it, and nothing in it is run."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import in_bytes
from gatewise.errors import FileError, OptionError, importing, join_names, reason, shown
from gatewise.files.budget import BYTES, Budget
from gatewise.interop.containers import json_document

COMPRESSORS = ("blosc", "zlib", "gzip", "bz2", "lzma", "zstd", "lz4")
FILTERS = ("delta", "fixedscaleoffset", "quantize", "bitround", "packbits", "shuffle", "astype", "vlen-utf8")
CHECKS = ("crc32", "crc32c", "adler32", "fletcher32")
LAYOUTS = ("bytes", "transpose", "sharding_indexed")  # of the third format alone
NUMBERS = re.compile(r"[<>|=]?[fiubUSMm]\d+(\[\w+\])?")  # types that hold no objects
MOST_ARRAYS, DEEPEST = 10_000, 3


def is_store(path: Path) -> bool:
    """Whether a folder is a zarr store, of the second format or the third."""
    return any((path / name).is_file() for name in (".zgroup", ".zarray", "zarr.json"))


def read(path: Path, key: str | None = None) -> Any:
    """Return a variable of a store as an `xarray.DataArray` whose numbers are read when they are needed.

    Parameters
    ----------
    path : path
        A folder that `Dataset.to_zarr` wrote, or what follows xarray's rules.
    key : str, optional
        Which variable, if the store holds several.

    Raises
    ------
    FileError
        If it is no such store, is not intact, takes a codec that gatewise does not allow, or would unpack to much more
        than it has.
    OptionError
        If it holds several variables and no key names one.
    MissingExtraError
        If what reads stores is not installed.
    """
    require_packages()
    import xarray

    try:
        version = _require_harmless(path)
    except FileError as problem:
        raise FileError(f"cannot read {path}: {problem}") from None
    try:
        whole = xarray.open_dataset(path, engine="zarr", chunks=None, consolidated=False, zarr_format=version)
    except Exception as problem:  # whatever zarr, the codecs and xarray raise at what makes no sense
        raise FileError(f"cannot read {path}: xarray cannot open it ({reason(problem)})") from None
    names = [str(name) for name in whole.data_vars]
    if key is None and len(names) != 1:
        raise OptionError(
            f"{path} holds {len(names)} variables; --key names one of them: {shown(join_names(names)) or 'none'}"
        )
    if key is not None and key not in names:
        raise OptionError(f"there is no variable {shown(key)!r} in {path}; it has {shown(join_names(names)) or 'none'}")
    return whole[key or names[0]]


def require_packages() -> None:
    """Raise MissingExtraError where what reads and writes stores in chunks is not installed."""
    for name in ("dask", "zarr", "threadpoolctl", "xarray"):
        with importing(name, "zarr stores need"):
            import_module(name)


# What may be in a store.


def _require_harmless(path: Path) -> int:
    """Return the format of a store that may be read, or raise FileError.

    Only the metadata that are looked at here are read later, and no copy of them that the store may also have.
    """
    version = 3 if (path / "zarr.json").is_file() else 2
    if not is_store(path):
        raise FileError("it is no zarr store" if path.exists() else "there is no such folder")
    if version == 2 and not (path / ".zgroup").is_file():
        raise FileError("it is an array without named dimensions; xarray writes stores that have them")
    if version == 3:
        group = _json(path / "zarr.json")
        if group.get("node_type") != "group":
            raise FileError("it is an array without named dimensions; xarray writes stores that have them")
    for folder in _arrays(path, "zarr.json" if version == 3 else ".zarray"):
        name = repr(shown(folder.name))
        if version == 3:
            data = _json(folder / "zarr.json")
            if data.get("node_type") == "group":
                continue
            _require_third(name, data)
            grid = data.get("chunk_grid")
            settings = grid.get("configuration") if isinstance(grid, dict) else None
            chunk = settings.get("chunk_shape") if isinstance(settings, dict) else None
            each = _itemsize(data.get("data_type"))
        else:
            data = _json(folder / ".zarray")
            _require_second(name, data)
            chunk, each = data.get("chunks"), _itemsize(data.get("dtype"))
        for shape in (data.get("shape"), chunk):
            _require_size(name, folder, shape, each)
        if isinstance(chunk, list) and 0 in chunk:
            raise FileError(f"{name} has chunks of the shape {shown(str(chunk))}, which hold nothing")
    return version


def _arrays(path: Path, metadata: str) -> Iterator[Path]:
    """Go through the folders of a store that hold an array."""
    try:
        with os.scandir(path) as entries:
            for count, entry in enumerate(entries):
                if count > MOST_ARRAYS:
                    raise FileError(f"it has more than {MOST_ARRAYS:,} entries")
                if entry.is_symlink():
                    raise FileError(f"{shown(entry.name)!r} is a link, which is not followed")
                if entry.is_dir() and os.path.isfile(os.path.join(entry.path, metadata)):
                    yield Path(entry.path)
    except OSError as problem:
        raise FileError(problem.strerror or str(problem)) from None


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json_document.read(path, Budget.of(path))
    except OSError as problem:
        if isinstance(problem, FileError):
            raise FileError(f"{path.name} of {shown(path.parent.name)!r}: {problem}") from None
        raise FileError(f"{path.name} of {shown(path.parent.name)!r}: {problem.strerror or problem}") from None
    if not isinstance(data, dict):
        raise FileError(f"{path.name} of {shown(path.parent.name)!r} is no object of JSON")
    return data


def _require_second(name: str, data: Mapping[str, Any]) -> None:
    """Raise FileError unless an array of the second format has types and codecs that run nothing."""
    filters = data.get("filters") or []
    codecs = [*([] if data.get("compressor") is None else [data["compressor"]]), *_list(name, filters)]
    names = [_codec(name, one, "id", one) for one in codecs]
    kind = data.get("dtype")
    if kind == "|O" and "vlen-utf8" in names:
        return
    if not isinstance(kind, str) or not NUMBERS.fullmatch(kind):
        raise FileError(f"{name} holds {json_document.said(kind)}, and not numbers, dates or texts")


def _require_third(name: str, data: Mapping[str, Any]) -> None:
    """Raise FileError unless an array of the third format has codecs that run nothing."""
    if data.get("storage_transformers"):
        raise FileError(f"{name} has storage transformers, which gatewise does not know")
    _require_chain(name, data.get("codecs"))


def _require_chain(name: str, codecs: object, depth: int = 0) -> None:
    if depth > DEEPEST:
        raise FileError(f"{name} has codecs within codecs within codecs")
    for one in _list(name, codecs):
        settings = one.get("configuration", {}) if isinstance(one, dict) else {}
        one = {"name": one} if isinstance(one, str) else one
        _codec(name, one, "name", settings)
        for inner in ("codecs", "index_codecs"):
            if isinstance(settings, dict) and inner in settings:
                _require_chain(name, settings[inner], depth + 1)


def _list(name: str, given: object) -> list[Any]:
    if not isinstance(given, list):
        raise FileError(f"the codecs of {name} must be a list, not {json_document.said(given)}")
    return given


def _codec(array: str, given: object, key: str, settings: object) -> str:
    """Return the name of a codec that may be used, or raise FileError."""
    found = given.get(key) if isinstance(given, dict) else given
    allowed = (*COMPRESSORS, *FILTERS, *CHECKS, *(LAYOUTS if key == "name" else ()))
    name = found.removeprefix("numcodecs.") if isinstance(found, str) and key == "name" else found
    if name == "pickle":
        raise FileError(f"{array} holds pickled Python objects, which are never read, since reading them can run code")
    if not isinstance(name, str) or name not in allowed:
        raise FileError(
            f"{array} is stored with the codec {json_document.said(found)}; allowed are {', '.join(allowed)}"
        )
    for entry in ("dtype", "astype", "encode_dtype", "decode_dtype"):
        kind = settings.get(entry) if isinstance(settings, dict) else None
        if kind is not None and not (isinstance(kind, str) and NUMBERS.fullmatch(kind)):
            raise FileError(f"the codec {name} of {array} makes {json_document.said(kind)}, and not numbers")
    return name


def _itemsize(kind: object) -> int:
    """Return how many bytes an entry of an array takes, about."""
    if isinstance(kind, dict):
        settings = kind.get("configuration")
        length = settings.get("length_bytes") if isinstance(settings, dict) else None
        return length if isinstance(length, int) and length > 0 else 8
    try:
        return max(np.dtype(kind).itemsize, 1)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError):
        return 8


def _require_size(name: str, folder: Path, shape: object, each: int) -> None:
    """Raise FileError where an array or a chunk of it would be much larger than what there is of it."""
    if not isinstance(shape, list) or not all(type(length) is int and length >= 0 for length in shape):
        raise FileError(f"the shape of {name} makes no sense")
    size = math.prod(shape) * each
    if size <= BYTES.floor:
        return
    there = sum(os.path.getsize(os.path.join(place, one)) for place, _, files in os.walk(folder) for one in files)
    if size > BYTES.of(there):
        raise FileError(
            f"{name} would unpack to {in_bytes(size)}; {in_bytes(BYTES.of(there))} are allowed for the"
            f" {in_bytes(there)} that it has"
        )
