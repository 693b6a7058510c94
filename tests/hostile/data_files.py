"""Data files of others: netCDF, HDF5, zarr, NumPy, sound; each is read as its own library reads it, or refused."""

from __future__ import annotations

import random
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from hostile.data_tables import NAMES, ORDERS, dates, disturbed, given, judge_times, network
from hostile.trying import Refused, agree, asked, hostile, numbers, silent, tried


def a_time(chance: random.Random, rows: int) -> tuple[str, np.ndarray, list[Any], str]:
    """Return the units of a time, its numbers, the dates that they are, and how they are disturbed."""
    kind = chance.choice(["none"] * 4 + [*ORDERS, "a gap"])
    times = disturbed(dates(rows, chance), chance, kind)
    unit = chance.choice(["days", "hours", "seconds"])
    first = min(times)
    seconds = {"days": 86400, "hours": 3600, "seconds": 1}[unit]
    return (
        f"{unit} since {first:%Y-%m-%d}",
        np.array([(t - first).total_seconds() / seconds for t in times]),
        times,
        kind,
    )


def write_variable(file: Any, name: str, values: np.ndarray, chance: random.Random) -> np.ndarray:
    """Write a variable of HDF5 in one of the ways of files, and return the numbers that it holds by CF's words."""
    rng = numbers(chance)
    options: dict[str, Any] = {}
    if chance.random() < 0.5:
        options["chunks"] = (chance.randrange(1, len(values) + 1),)
        if chance.random() < 0.6:
            options |= chance.choice(
                [{"compression": "gzip"}, {"compression": "gzip", "shuffle": True}, {"fletcher32": True}]
            )
        if chance.random() < 0.3:
            options["maxshape"] = (None,)
    way = chance.choice(
        ["float", "float", "packed", "integers", "filled", "big-endian", "half", "missing value", "long"]
    )
    match way:
        case "packed":
            scale, offset = 2.0 ** -chance.randrange(1, 9), chance.uniform(-9, 9)
            stored = np.round((values - offset) / scale).astype(np.int16)
            data = file.create_dataset(name, data=stored, **options)
            data.attrs["scale_factor"], data.attrs["add_offset"] = scale, offset
            expected = stored * scale + offset
        case "integers":
            stored = (values * 10).astype(chance.choice([np.int8, np.int32, np.int64, np.uint8, np.uint16]))
            file.create_dataset(name, data=stored, **options)
            expected = stored.astype(np.float64)
        case "filled" | "missing value":
            hole, stored = rng.random(len(values)) < 0.3, values.astype(np.float32)
            expected = np.where(hole, np.nan, stored.astype(np.float64))
            data = file.create_dataset(name, data=np.where(hole, np.float32(-9999), stored), **options)
            data.attrs["_FillValue" if way == "filled" else "missing_value"] = np.float32(-9999)
        case _:
            dtype = {"float": "<f4", "big-endian": ">f8", "half": "<f2", "long": "<f8"}[way]
            file.create_dataset(name, data=values.astype(dtype), **options)
            expected = values.astype(dtype).astype(np.float64)
    return expected


@hostile("netCDF: packed, filled, big-endian, with times in any order", needs=("h5py", "xarray"), share=1.5)
def netcdf(chance: random.Random, folder: Path) -> None:
    """What xarray reads of a file in HDF5, and disorder in its times; the numbers that were written are the oracle."""
    import h5py

    import gatewise as gw

    rows = chance.randrange(5, 30)
    units, numbers_of_time, times, kind = a_time(chance, rows)
    x = numbers(chance).uniform(-9, 9, (rows, 3))
    expected = np.empty_like(x)
    version = chance.choice(["earliest", "v110", "latest"])
    with h5py.File("x.nc", "w", libver=version) as file:
        file["time"] = numbers_of_time
        file["time"].attrs["units"] = units
        file["time"].make_scale("time")
        for n, name in enumerate(NAMES):
            expected[:, n] = write_variable(file, name, x[:, n], chance)
            file[name].dims[0].attach_scale(file["time"])
    try:
        run = asked(gw.open_run, network(), "x.nc")
    except Refused as problem:
        if kind in ORDERS or np.isnan(expected).any() or version != "earliest":  # newer chunks are refused
            return
        silent(f"a plain file ({kind}) is refused: {problem}")
    judge_times(kind, run, f"netCDF, {times}", times)
    agree(given(run), expected, f"netCDF {kind}", 1e-12)


@hostile("netCDF: features whose units are those of times or of others", needs=("h5py", "xarray"))
def units(chance: random.Random, folder: Path) -> None:
    """A feature in days since a date is a number; one in other units than the model's is reported."""
    import h5py

    import gatewise as gw

    rows = chance.randrange(3, 20)
    x = np.round(numbers(chance).uniform(0, 30, (rows, 3)), chance.choice([0, 2]))
    mine = {"rain": "mm/d", "temp": chance.choice(["°C", "K"]), "wind": "m/s"}
    written = dict(mine)
    odd = chance.choice(NAMES)
    written[odd] = chance.choice(
        ["days since 2000-01-01", "hours since 1970-01-01", "seconds", "days", "inch/h", "degF"]
    )
    with h5py.File("x.nc", "w") as file:
        file["time"] = np.arange(rows)
        file["time"].attrs["units"] = "days since 2001-01-01"
        file["time"].make_scale("time")
        for n, name in enumerate(NAMES):
            file[name] = x[:, n] if chance.random() < 0.5 else x[:, n].astype(np.int32)
            x[:, n] = file[name][:]
            file[name].attrs["units"] = written[name]
            file[name].dims[0].attach_scale(file["time"])
    run = asked(gw.open_run, network(tuple(NAMES), **mine), "x.nc")
    agree(given(run), x, f"a feature in {written[odd]}")
    notes = " ".join(run.notes)
    if odd not in notes or written[odd] not in notes:
        silent(
            f"no note tells that the units are others: {odd} is in {written[odd]}, not in {mine[odd]}"
            f" ({notes or 'no notes'})"
        )


@hostile("HDF5: links, storage elsewhere, virtual sets, objects", needs=("h5py", "xarray"))
def links(chance: random.Random, folder: Path) -> None:
    """A variable that lies elsewhere is read as h5py reads it, or refused; a file elsewhere is never opened."""
    import h5py

    import gatewise as gw

    rows, rng = chance.randrange(3, 20), numbers(chance)
    x = rng.uniform(-9, 9, (rows, 3))
    way = chance.choice(
        [
            "soft",
            "hard",
            "external link",
            "external storage",
            "virtual",
            "objects",
            "texts",
            "records",
            "group",
            "circle",
            "two axes",
            "empty",
            "scalar",
            "references",
            "variable lengths",
            "complex",
            "enum",
        ]
    )
    with h5py.File("other.h5", "w") as other:
        other["a"] = np.full(rows, 7.0)
    Path("secret.bin").write_bytes(np.full(rows, 7.0).tobytes())
    with h5py.File("x.nc", "w") as file:
        file["time"] = np.arange(rows)
        file["time"].attrs["units"] = "days since 2001-01-01"
        file["time"].make_scale("time")
        for n, name in enumerate(NAMES[1:], 1):
            file[name] = x[:, n]
        match way:
            case "soft":
                file["rain"] = h5py.SoftLink(chance.choice(["/temp", "/nowhere", "temp"]))
            case "hard":
                file["rain"] = file["temp"]
            case "external link":
                file["rain"] = h5py.ExternalLink("other.h5", "/a")
            case "external storage":
                file.create_dataset("rain", (rows,), "f8", external=[("secret.bin", 0, 8 * rows)])
            case "virtual":
                layout = h5py.VirtualLayout((rows,), "f8")
                layout[:] = h5py.VirtualSource("other.h5", "a", (rows,))
                file.create_virtual_dataset("rain", layout)
            case "objects" | "texts":
                file.create_dataset("rain", data=["1"] * rows, dtype=h5py.string_dtype() if way == "objects" else "S4")
            case "records":
                file["rain"] = np.zeros(rows, [("x", "f4"), ("y", "f4")])
            case "group":
                file.create_group("rain")
            case "circle":
                file["rain"] = h5py.SoftLink("/rain")
            case "two axes":
                file["rain"] = np.zeros((rows, 2))
            case "empty":
                file["rain"] = h5py.Empty("f8")
            case "scalar":
                file["rain"] = 3.0
            case "references":
                file.create_dataset("rain", data=[file["temp"].ref] * rows, dtype=h5py.ref_dtype)
            case "variable lengths":
                file.create_dataset("rain", (rows,), dtype=h5py.vlen_dtype(np.float64))
            case "complex":
                file["rain"] = np.full(rows, 1j)
            case "enum":
                file.create_dataset("rain", data=np.zeros(rows, "i1"), dtype=h5py.enum_dtype({"NO": 0, "YES": 1}, "i1"))
        for name in NAMES:
            data = file.get(name) if way != "circle" or name != "rain" else None
            if isinstance(data, h5py.Dataset) and data.shape == (rows,) and way not in ("external link", "hard"):
                data.dims[0].attach_scale(file["time"])
        theirs = None
        if way in ("soft", "hard", "enum") and (data := file.get("rain")) is not None:
            theirs = data[:]
    run = asked(gw.open_run, network(), "x.nc")
    if theirs is None:
        silent(f"{way} is read: {given(run)[:3].tolist()}")
    agree(given(run)[:, 0], theirs, way)


@hostile("netCDF, classic: kinds of numbers, records, fill values", needs=("scipy", "xarray"))
def classic(chance: random.Random, folder: Path) -> None:
    import xarray
    from scipy.io import netcdf_file

    import gatewise as gw

    rows = chance.randrange(5, 20)
    units, numbers_of_time, times, kind = a_time(chance, rows)
    x = numbers(chance).uniform(-9, 9, (rows, 3))
    with netcdf_file("x.nc", "w", version=chance.choice([1, 2])) as file:
        file.createDimension("time", chance.choice([None, rows]))
        time = file.createVariable("time", "d", ("time",))
        time[:] = numbers_of_time
        time.units = units
        for n, name in enumerate(NAMES):
            dtype = chance.choice(["b", "h", "i", "f", "d"])
            variable = file.createVariable(name, dtype, ("time",))
            variable[:] = x[:, n].astype(np.dtype(dtype).newbyteorder(">"))
            if chance.random() < 0.3:
                variable.scale_factor, variable.add_offset = 0.5, 3.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with xarray.open_dataset("x.nc", engine="scipy") as theirs:
            expected = np.stack([theirs[name].values for name in NAMES], -1).astype(np.float64)
    try:
        run = asked(gw.open_run, network(), "x.nc")
    except Refused as problem:
        if kind in ORDERS or np.isnan(expected).any():
            return
        silent(f"a plain file ({kind}) is refused: {problem}")
    judge_times(kind, run, f"netCDF, classic, {times}", times)
    agree(given(run), expected, "netCDF, classic", 1e-6)


@hostile("zarr stores", needs=("zarr", "xarray", "numcodecs"))
def zarr_stores(chance: random.Random, folder: Path) -> None:
    """Stores of both formats, of every codec, with times in any order."""
    import stores
    import xarray

    import gatewise as gw

    rows = chance.randrange(5, 20)
    kind = chance.choice(["none"] * 3 + [*ORDERS, "a gap"])
    times = disturbed(dates(rows, chance), chance, kind)
    x = numbers(chance).normal(size=(rows, 3)).astype(chance.choice(["f4", "f8"]))
    data = xarray.DataArray(
        x, dims=("time", "feature"), coords={"time": np.array(times, "M8[ns]"), "feature": NAMES}, name="forcing"
    )
    version, encoding = stores.HONEST[
        chance.choice([n for n in stores.HONEST if "f4" not in repr(stores.HONEST[n][1].get("filters"))])
    ]
    chunks = {"chunks": (chance.randrange(1, rows + 1), 3)}
    plain = {key: value for key, value in encoding.items() if key in ("compressors", "serializer")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            data.to_dataset().to_zarr("x.zarr", zarr_format=version, encoding={"forcing": chunks | plain})
        except Exception as problem:  # a codec that does not go with these numbers
            raise Refused(str(problem)) from None
        expected = xarray.open_zarr("x.zarr")["forcing"].values
    try:
        run = asked(gw.open_run, network(), "x.zarr")
    except Refused as problem:
        if kind in ORDERS or np.isnan(expected).any():  # a filter that rounds can make NaN
            return
        silent(f"a plain store ({kind}) is refused: {problem}")
    judge_times(kind, run, f"zarr, {times}", times)
    agree(given(run), expected, "zarr")


@hostile("NumPy files")
def numpy_files(chance: random.Random, folder: Path) -> None:
    """Arrays of every type, order, shape and version, read as NumPy reads them."""
    from gatewise.opening.inputs import read_input

    rng = numbers(chance)
    shape = tuple(chance.randrange(0 if chance.random() < 0.05 else 1, 5) for _ in range(chance.randrange(0, 5)))
    dtype = chance.choice(
        [
            *("<f4", ">f4", "<f8", ">f8", "<f2", "<i1", "<u1", "<i2", ">i4", "<i8", "<u8", "?", "<c8", "<g"),
            *("<U3", "S3", "<M8[D]", "<m8[s]", "V4", "O"),
        ]
    )
    values: Any = rng.uniform(-100, 100, shape) if dtype != "?" else rng.random(shape) < 0.5
    if dtype in ("O", "<U3", "S3"):
        array: Any = np.full(shape, "x", dtype)
    elif dtype in ("<M8[D]", "<m8[s]"):
        array = np.abs(values).astype("i8").astype(dtype)
    elif dtype == "V4":
        array = np.zeros(shape, [("x", "f4")])
    else:
        array = np.abs(values).astype(dtype) if dtype[1:2] == "u" else values.astype(dtype)
    if chance.random() < 0.3:
        array = np.asfortranarray(array)
    name, key = "x.npy", None
    if chance.random() < 0.4:
        name, key = "x.npz", chance.choice([None, "x", "y"])
        (np.savez if chance.random() < 0.5 else np.savez_compressed)(name, **{chance.choice(["x", "arr_0"]): array})
    else:
        with open(name, "wb") as file:
            np.lib.format.write_array(file, array, version=chance.choice([None, (1, 0), (2, 0), (3, 0)]))
    if chance.random() < 0.2:
        content = Path(name).read_bytes()
        Path(name).write_bytes(content[: -chance.randrange(1, 20)] if chance.random() < 0.7 else content + b"more")
        try:
            whole = np.load(name, allow_pickle=False)
            array = whole[whole.files[0]] if name.endswith("z") else whole
        except Exception:
            found = tried(read_input, Path(name), key, None, None)
            if found is not None:
                silent(f"what NumPy refuses is read: {array.dtype} {array.shape}")
            return
    found = asked(read_input, Path(name), key, None, None).single
    if array.dtype.kind not in "fiub":
        silent(f"numbers are read of an array of another type: {array.dtype}")
    expected = array.astype(np.float64)
    with np.errstate(over="ignore"):
        agree(found.values, expected.astype(found.values.dtype), f"{array.dtype} {array.shape}")


@hostile("sound", needs=("scipy",))
def sound(chance: random.Random, folder: Path) -> None:
    """WAVE files of every width, with chunks of others between, cut off or claiming more than there is."""
    from gatewise.opening.inputs import read_input

    rng, channels, frames = numbers(chance), chance.choice([1, 1, 1, 2]), chance.randrange(0, 50)
    bits, code = chance.choice([(8, 1), (16, 1), (24, 1), (32, 1), (32, 3), (64, 3), (12, 1), (8, 6), (8, 7), (16, 2)])
    width = (bits + 7) // 8
    x = rng.uniform(-1, 1, (frames, channels))
    match bits, code:
        case 8, 1:
            stored = np.round(x * 127 + 128).astype("u1")
            expected, raw = (stored.astype(float) - 128) / 128, stored.tobytes()
        case 24, 1:
            whole = np.round(x * 8388607).astype("<i4")
            expected, raw = (
                whole / 8388608.0,
                b"".join(int(n).to_bytes(3, "little", signed=True) for n in whole.reshape(-1)),
            )
        case ((12 | 16 | 32), 1):  # 12 bits are the upper ones of 16
            stored = np.round(x * (2 ** (8 * width - 1) - 1)).astype(f"<i{width}")
            expected, raw = stored / 2.0 ** (8 * width - 1), stored.tobytes()
        case _, 3:
            stored = x.astype(f"<f{width}")
            expected, raw = stored.astype(float), stored.tobytes()
        case _:
            expected, raw = None, rng.bytes(frames * channels * width)
    rate, align = chance.choice([8000, 44100, 1, 2**32 - 1]), channels * width
    form = struct.pack("<HHIIHH", code, channels, rate, min(rate * align, 2**32 - 1), align, bits)
    if chance.random() < 0.3 and code in (1, 3):  # the extensible form
        guid = struct.pack("<HH", code, 0) + b"\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
        form = struct.pack("<H", 0xFFFE) + form[2:] + struct.pack("<HHI", 22, bits, 0) + guid
    parts = [(b"fmt ", form), (b"data", raw)]
    if chance.random() < 0.5:
        parts.insert(chance.choice([0, 1, 2]), (b"LIST", rng.bytes(chance.randrange(0, 9))))
    body = b"".join(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in parts)
    content = b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body
    cut = chance.random() < 0.2
    if cut:
        content = content[: chance.randrange(len(content))]
    Path("x.wav").write_bytes(content)
    found = asked(read_input, Path("x.wav"), None, None, None).single.values
    if cut:
        if expected is None or len(found) > len(expected):
            silent(f"sound that is cut off is read: {found.shape}")
        if len(found) < len(expected):
            silent(f"sound that is cut off is read without a word: {len(found)} of {len(expected)} frames")
    if expected is None:
        silent(f"sound of another coding is read: {bits} bits, code {code}")
    agree(found.reshape(len(expected), -1), expected, f"{bits} bits, code {code}", 1e-6)
