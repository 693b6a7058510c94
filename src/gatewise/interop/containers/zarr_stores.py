"""Zarr stores: what a store declares is checked before zarr opens it, and nothing in it is run."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from gatewise.arrays import in_bytes
from gatewise.errors import FileError, GatewiseError, OptionError, importing, join_names, reason, shown
from gatewise.files.budget import BYTES, Budget
from gatewise.files.protecting import remember_read
from gatewise.files.replacing import LOOP, is_loop
from gatewise.interop.containers import json_document, zarr_chunks
from gatewise.interop.containers.zarr_chunks import ChunkFormat, Codec
from gatewise.interop.containers.zarr_reading import checked_store

MOST_ARRAYS = 10_000
MOST_AXES = 32  # as NumPy had them before its second version
MOST_CHUNKS, MISSING = 10_000, 16  # of an array; and for each that its files can hold, where most are missing
MARKS = (".zgroup", ".zarray", "zarr.json")


def is_store(path: Path) -> bool:
    """Return whether a folder is a zarr store of format 2 or 3."""
    return any(os.path.isfile(path / name) for name in MARKS)  # not of a path that cannot be asked


def open_variable(path: Path, key: str | None = None, features: Collection[str] = ()) -> Any:
    """Return a variable of a zarr store as a lazy `xarray.DataArray`; without a key, the only one.

    Of several, those that are called as `features` of a model are one, each an entry along the dimension feature.
    The store is a folder that `Dataset.to_zarr` wrote, or another with xarray's conventions. One that is not intact,
    uses a codec that is not allowed, or would unpack to much more than its size, is refused, and so is a chunk that is
    not as long as declared, when it is read.
    """
    path = path.absolute()  # of the numbers, which are read later
    try:
        version, documents, formats = _checked_metadata(path)
    except OSError as problem:  # of the system, or ours, which has the fact alone
        raise FileError(f"cannot read {path}: {problem.strerror or problem}") from None
    remember_read(path)
    require_packages()
    import xarray

    with reading(path):
        store = checked_store(path, documents, formats)
        options: dict[str, Any] = {"consolidated": False, "zarr_format": version, "decode_cf": False}
        stored = xarray.open_dataset(store, engine="zarr", chunks=None, **options)
        numbers = xarray.decode_cf(stored, decode_times=False).data_vars  # whatever their units
        numeric = {str(name): False for name in numbers}
        dataset = xarray.decode_cf(stored, decode_times=numeric, decode_timedelta=numeric)
    names = [str(name) for name in dataset.data_vars]
    if key is None and len(names) != 1:
        if chosen := [name for name in names if name in features]:
            return _as_features(dataset[chosen])
        raise OptionError(
            f"{path} holds {len(names)} variables. Choose one with --key: {shown(join_names(names)) or 'none'}"
        )
    if key is not None and key not in names:
        raise OptionError(f"there is no variable {shown(key)!r} in {path}; it has {shown(join_names(names)) or 'none'}")
    return dataset[key or names[0]]


def _as_features(dataset: Any) -> Any:
    """Return the variables of a `Dataset` as the features of one lazy `DataArray`, with their names and units."""
    variables = [*dataset.data_vars.values()]
    chunks = variables[0].encoding.get("preferred_chunks", {})
    data = dataset.chunk(chunks).to_dataarray("feature").transpose(..., "feature")
    data.encoding["preferred_chunks"] = chunks
    return data.assign_coords(units=("feature", [str(each.attrs.get("units", "")) for each in variables]))


def features_note(path: Path, data: Any) -> tuple[str, ...]:
    """Return a note on a store's data whose features are variables of it, in a tuple; none on those of one variable."""
    if data.name is not None:
        return ()
    names = shown(join_names([str(name) for name in data.coords["feature"].values]))
    return (f"{path}: the features are its variables {names}, by their names; --key takes one variable alone",)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise what zarr, numcodecs and xarray raise of a malformed store within the block as a FileError."""
    try:
        yield
    except (GatewiseError, MemoryError):
        raise
    except Exception as problem:
        raise FileError(f"cannot read {path}: xarray cannot open it ({reason(problem)})") from None


def require_packages() -> None:
    """Require the packages that read and write zarr stores."""
    for name in ("dask", "zarr", "threadpoolctl", "xarray"):
        with importing(name, "zarr stores need"):
            import_module(name)


# Metadata


def _checked_metadata(path: Path) -> tuple[int, dict[str, bytes], dict[str, ChunkFormat]]:
    """Return a store's format, its metadata as zarr is to read them, and how each array's chunks are stored.

    They leave out the codecs that are undone before zarr gets a chunk, and the consolidated copy that a store may have.
    """
    version = 3 if (path / "zarr.json").is_file() else 2
    if not is_store(path):
        missing = LOOP if is_loop(path) else "there is no such folder"
        raise FileError("it is not a zarr store" if path.exists() else missing)
    sizes, files = _stored_sizes(path)
    names = ("zarr.json",) if version == 3 else (".zgroup", ".zattrs", ".zarray")
    group = {name: _read_metadata(path / name) for name in names if (path / name).is_file()}
    if not (_is_group(group["zarr.json"]) if version == 3 else ".zgroup" in group):
        raise FileError("it is an array without named dimensions. Write it with xarray, which names them")
    group[names[0]].pop("consolidated_metadata", None)
    contents, formats = {name: group[name] for name in names[:2] if name in group}, {}
    for folder in sorted(sizes):
        if not (path / folder / names[-1]).is_file():
            continue
        metadata = _read_metadata(path / folder / names[-1])
        if _is_group(metadata):
            continue
        rewritten, formats[folder] = _checked_array(
            repr(shown(folder)), metadata, version, sizes[folder], files[folder]
        )
        contents[f"{folder}/{names[-1]}"] = rewritten
        if version == 2 and (path / folder / ".zattrs").is_file():
            contents[f"{folder}/.zattrs"] = _read_metadata(path / folder / ".zattrs")
    return version, {key: json.dumps(content).encode() for key, content in contents.items()}, formats


def _is_group(metadata: Mapping[str, Any]) -> bool:
    return bool(metadata.get("node_type") == "group")


def _stored_sizes(path: Path) -> tuple[Counter[str], Counter[str]]:
    """Return the bytes and the files in each folder of a store; a link, a device or a pipe anywhere is refused."""
    sizes: Counter[str] = Counter()
    files: Counter[str] = Counter()
    left = [(path, "")]
    while left:
        folder, top = left.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                name = shown(os.path.relpath(entry.path, path))
                if entry.is_symlink():
                    raise FileError(f"{name!r} is a link, which is not followed")
                if entry.is_dir(follow_symlinks=False):
                    sizes[top or entry.name] += 0
                    left.append((Path(entry.path), top or entry.name))
                elif not entry.is_file(follow_symlinks=False):
                    raise FileError(f"{name!r} is a device, a pipe or a socket, which are not read")
                elif top:
                    sizes[top] += entry.stat(follow_symlinks=False).st_size
                    files[top] += 1
                if len(sizes) > MOST_ARRAYS:
                    raise FileError(f"it has more than {MOST_ARRAYS:,} entries")
    return sizes, files


def _read_metadata(path: Path) -> dict[str, Any]:
    """Return the JSON object in a metadata file of a zarr store."""
    try:
        data = json_document.read_document(path, Budget.of(path))
    except FileError as problem:
        raise FileError(f"{path.name} of {shown(path.parent.name)!r}: {problem}") from None
    if not isinstance(data, dict):
        raise FileError(f"{path.name} of {shown(path.parent.name)!r} is no object of JSON")
    return data


def _checked_array(
    name: str, metadata: dict[str, Any], version: int, stored: int, files: int
) -> tuple[dict[str, Any], ChunkFormat]:
    """Return an array's metadata without what is undone before zarr gets a chunk, and how its chunks are stored."""
    kind = metadata.get("dtype" if version == 2 else "data_type")
    item_size = zarr_chunks.item_size(name, kind)
    if version == 2:
        codecs, shape, keys = _codecs_2(name, metadata, kind), metadata.get("chunks"), ("", ".")
    else:
        if metadata.get("storage_transformers"):
            raise FileError(f"{name} has storage transformers, which gatewise does not know")
        codecs = zarr_chunks.codecs_of(name, metadata.get("codecs"), "name")
        grid = metadata.get("chunk_grid")
        if not isinstance(grid, dict) or grid.get("name") != "regular":
            raise FileError(f"{name} has no regular grid of chunks, which is the only one that gatewise knows")
        shape, keys = _settings(metadata, "chunk_grid").get("chunk_shape"), _key_parts(name, metadata)
    whole, chunk = (
        _checked_shape(name, lengths, item_size or zarr_chunks.TEXT_BYTES, stored)
        for lengths in (metadata.get("shape"), shape)
    )
    if len(chunk) != len(whole) or 0 in chunk:
        raise FileError(f"{name} has chunks of the shape {shown(str(chunk))}, which do not fit its own, {whole}")
    chunk_format, left, chunk = zarr_chunks.chunk_format(name, codecs, chunk, item_size, keys)
    count = math.prod(-(-length // part) for length, part in zip(whole, chunk, strict=True))
    held = files * (1 if chunk_format.shards is None else math.prod(chunk_format.shards.counts))
    if count > (most := max(MOST_CHUNKS, MISSING * held)):
        raise FileError(f"{name} has {count:,} chunks; {most:,} are allowed for its {files:,} files")
    if version == 2:
        applied = _applied_codecs_2(metadata)
        return metadata | {"compressor": None, "filters": applied[:left] or None}, chunk_format
    inner = metadata["codecs"] if chunk_format.shards is None else metadata["codecs"][0]["configuration"]["codecs"]
    regular = {"name": "regular", "configuration": {"chunk_shape": chunk}}
    return metadata | {"codecs": inner[:left], "chunk_grid": regular}, chunk_format


def _codecs_2(name: str, metadata: Mapping[str, Any], kind: object) -> list[Codec]:
    """Return the codecs of an array of zarr's second format, in the order in which they were applied."""
    codecs = zarr_chunks.codecs_of(name, _applied_codecs_2(metadata), "id")
    texts = kind == "|O" and any(codec.name == zarr_chunks.TEXTS for codec in codecs)
    if not texts and not (isinstance(kind, str) and zarr_chunks.NUMBERS.fullmatch(kind)):
        raise FileError(f"{name} holds {json_document.describe(kind)}, and not numbers, dates or texts")
    return codecs


def _applied_codecs_2(metadata: Mapping[str, Any]) -> Any:
    """Return the filters and the compressor of an array of zarr's second format in one list, as they were applied.

    A filter in the place of the compressor is one more filter.
    """
    filters, compressor = metadata.get("filters") or [], metadata.get("compressor")
    return [*filters, *([] if compressor is None else [compressor])] if isinstance(filters, list) else filters


def _settings(metadata: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the settings of a named part of an array's metadata in zarr's third format, or none."""
    part = metadata.get(name)
    settings = part.get("configuration") if isinstance(part, dict) else None
    return settings if isinstance(settings, dict) else {}


def _key_parts(name: str, metadata: Mapping[str, Any]) -> tuple[str, str]:
    """Return the beginning of the keys of chunks in zarr's third format, and the separator of their numbers."""
    part = metadata.get("chunk_key_encoding")
    encoding = part.get("name") if isinstance(part, dict) else part
    if encoding not in ("default", "v2"):
        raise FileError(f"{name} names its chunks in a way that gatewise does not know")
    separator = _settings(metadata, "chunk_key_encoding").get("separator", "/" if encoding == "default" else ".")
    if separator not in ("/", "."):
        raise FileError(f"{name} separates the numbers of its chunks by {json_document.describe(separator)}")
    return f"c{separator}" if encoding == "default" else "", separator


def _checked_shape(name: str, shape: object, item_size: int, stored: int) -> list[int]:
    """Return the shape of a zarr array, or of a chunk of it, which must not be much larger than its files."""
    if not isinstance(shape, list) or not all(type(length) is int and length >= 0 for length in shape):
        raise FileError(f"the shape of {name} makes no sense")
    if len(shape) > MOST_AXES:
        raise FileError(f"{name} has {len(shape)} axes; {MOST_AXES} are allowed")
    unpacked_size = math.prod(shape) * item_size
    if unpacked_size > BYTES.of(stored):
        raise FileError(
            f"{name} would unpack to {in_bytes(unpacked_size)}; {in_bytes(BYTES.of(stored))} are allowed for the"
            f" {in_bytes(stored)} that it has"
        )
    return shape
