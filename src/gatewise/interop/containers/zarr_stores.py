"""Zarr stores: their metadata are checked before zarr reads them, and nothing in them is run."""

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
    """Return whether a folder is a zarr store of format 2 or 3."""
    return any((path / name).is_file() for name in (".zgroup", ".zarray", "zarr.json"))


def open_variable(path: Path, key: str | None = None) -> Any:
    """Return a variable of a zarr store as a lazy `xarray.DataArray`; without a key, the only one.

    The store is a folder that `Dataset.to_zarr` wrote, or another with xarray's conventions. One that is not intact,
    uses a codec that is not allowed, or would unpack to much more than its size, is refused.
    """
    require_packages()
    import xarray

    try:
        version = _checked_zarr_format(path)
    except FileError as problem:
        raise FileError(f"cannot read {path}: {problem}") from None
    try:
        dataset = xarray.open_dataset(path, engine="zarr", chunks=None, consolidated=False, zarr_format=version)
    except Exception as problem:  # whatever zarr, the codecs and xarray raise for a malformed store
        raise FileError(f"cannot read {path}: xarray cannot open it ({reason(problem)})") from None
    names = [str(name) for name in dataset.data_vars]
    if key is None and len(names) != 1:
        raise OptionError(
            f"{path} holds {len(names)} variables; --key names one of them: {shown(join_names(names)) or 'none'}"
        )
    if key is not None and key not in names:
        raise OptionError(f"there is no variable {shown(key)!r} in {path}; it has {shown(join_names(names)) or 'none'}")
    return dataset[key or names[0]]


def require_packages() -> None:
    """Require the packages that read and write zarr stores."""
    for name in ("dask", "zarr", "threadpoolctl", "xarray"):
        with importing(name, "zarr stores need"):
            import_module(name)


# Allowed content


def _checked_zarr_format(path: Path) -> int:
    """Return the format of a zarr store, 2 or 3; a store that may not be read is refused.

    Later reading uses the metadata checked here, never the consolidated copy that a store may also have.
    """
    version = 3 if (path / "zarr.json").is_file() else 2
    if not is_store(path):
        raise FileError("it is no zarr store" if path.exists() else "there is no such folder")
    is_group = (path / ".zgroup").is_file() if version == 2 else _is_group(_read_metadata(path / "zarr.json"))
    if not is_group:
        raise FileError("it is an array without named dimensions; xarray writes stores that have them")
    for folder in _array_folders(path, "zarr.json" if version == 3 else ".zarray"):
        name = repr(shown(folder.name))
        if version == 3:
            metadata = _read_metadata(folder / "zarr.json")
            if _is_group(metadata):
                continue
            if metadata.get("storage_transformers"):
                raise FileError(f"{name} has storage transformers, which gatewise does not know")
            _require_safe_codecs(name, metadata.get("codecs"))
            chunk_grid = metadata.get("chunk_grid")
            settings = chunk_grid.get("configuration") if isinstance(chunk_grid, dict) else None
            chunk = settings.get("chunk_shape") if isinstance(settings, dict) else None
            item_size = _bytes_per_entry(metadata.get("data_type"))
        else:
            metadata = _read_metadata(folder / ".zarray")
            _require_safe_array_2(name, metadata)
            chunk, item_size = metadata.get("chunks"), _bytes_per_entry(metadata.get("dtype"))
        for shape in (metadata.get("shape"), chunk):
            _require_size(name, folder, shape, item_size)
        if isinstance(chunk, list) and 0 in chunk:
            raise FileError(f"{name} has chunks of the shape {shown(str(chunk))}, which hold nothing")
    return version


def _is_group(metadata: Mapping[str, Any]) -> bool:
    return bool(metadata.get("node_type") == "group")


def _array_folders(path: Path, metadata: str) -> Iterator[Path]:
    """Yield the folders of a zarr store that hold an array."""
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


def _read_metadata(path: Path) -> dict[str, Any]:
    """Return the JSON object in a metadata file of a zarr store."""
    try:
        data = json_document.read_document(path, Budget.of(path))
    except OSError as problem:
        if isinstance(problem, FileError):
            raise FileError(f"{path.name} of {shown(path.parent.name)!r}: {problem}") from None
        raise FileError(f"{path.name} of {shown(path.parent.name)!r}: {problem.strerror or problem}") from None
    if not isinstance(data, dict):
        raise FileError(f"{path.name} of {shown(path.parent.name)!r} is no object of JSON")
    return data


def _require_safe_array_2(name: str, metadata: Mapping[str, Any]) -> None:
    """Require of an array of zarr's format 2 that its types and codecs run no code."""
    filters = metadata.get("filters") or []
    codecs = [*([] if metadata.get("compressor") is None else [metadata["compressor"]]), *_require_list(name, filters)]
    names = [_require_codec(name, codec, "id", codec) for codec in codecs]
    dtype = metadata.get("dtype")
    if dtype == "|O" and "vlen-utf8" in names:
        return
    if not isinstance(dtype, str) or not NUMBERS.fullmatch(dtype):
        raise FileError(f"{name} holds {json_document.describe(dtype)}, and not numbers, dates or texts")


def _require_safe_codecs(name: str, codecs: object, depth: int = 0) -> None:
    """Require of an array of zarr's format 3 that its codecs, also nested ones, run no code."""
    if depth > DEEPEST:
        raise FileError(f"{name} has codecs within codecs within codecs")
    for codec in _require_list(name, codecs):
        settings = codec.get("configuration", {}) if isinstance(codec, dict) else {}
        codec = {"name": codec} if isinstance(codec, str) else codec
        _require_codec(name, codec, "name", settings)
        for chain_key in ("codecs", "index_codecs"):
            if isinstance(settings, dict) and chain_key in settings:
                _require_safe_codecs(name, settings[chain_key], depth + 1)


def _require_list(name: str, codecs: object) -> list[Any]:
    if not isinstance(codecs, list):
        raise FileError(f"the codecs of {name} must be a list, not {json_document.describe(codecs)}")
    return codecs


def _require_codec(array_name: str, codec: object, key: str, settings: object) -> str:
    """Return the name of a codec of a zarr array; one that is not allowed is refused."""
    raw_name = codec.get(key) if isinstance(codec, dict) else codec
    allowed = (*COMPRESSORS, *FILTERS, *CHECKS, *(LAYOUTS if key == "name" else ()))
    name = raw_name.removeprefix("numcodecs.") if isinstance(raw_name, str) and key == "name" else raw_name
    if name == "pickle":
        raise FileError(
            f"{array_name} holds pickled Python objects, which are never read, since reading them can run code"
        )
    if not isinstance(name, str) or name not in allowed:
        raise FileError(
            f"{array_name} is stored with the codec {json_document.describe(raw_name)};"
            f" allowed are {', '.join(allowed)}"
        )
    for entry in ("dtype", "astype", "encode_dtype", "decode_dtype"):
        dtype = settings.get(entry) if isinstance(settings, dict) else None
        if dtype is not None and not (isinstance(dtype, str) and NUMBERS.fullmatch(dtype)):
            raise FileError(f"the codec {name} of {array_name} makes {json_document.describe(dtype)}, and not numbers")
    return name


def _bytes_per_entry(kind: object) -> int:
    """Return about the bytes that an entry of a zarr array takes."""
    if isinstance(kind, dict):
        settings = kind.get("configuration")
        length = settings.get("length_bytes") if isinstance(settings, dict) else None
        return length if isinstance(length, int) and length > 0 else 8
    try:
        return max(np.dtype(kind).itemsize, 1)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError):
        return 8


def _require_size(name: str, folder: Path, shape: object, item_size: int) -> None:
    """Require that a zarr array, or a chunk of it, is not much larger than its files."""
    if not isinstance(shape, list) or not all(type(length) is int and length >= 0 for length in shape):
        raise FileError(f"the shape of {name} makes no sense")
    unpacked_size = math.prod(shape) * item_size
    if unpacked_size <= BYTES.floor:
        return
    stored = sum(
        os.path.getsize(os.path.join(place, file_name)) for place, _, files in os.walk(folder) for file_name in files
    )
    if unpacked_size > BYTES.of(stored):
        raise FileError(
            f"{name} would unpack to {in_bytes(unpacked_size)}; {in_bytes(BYTES.of(stored))} are allowed for the"
            f" {in_bytes(stored)} that it has"
        )
