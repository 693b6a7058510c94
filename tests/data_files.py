"""Data files of each kind, written by others, with two columns of numbers; and how an opened run reads them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from fuzzing import SOME, Tally, fuzz, in_archive

from gatewise.opening.columns import FeatureSelection
from gatewise.opening.inputs import InputNumbers, read_input

SELECTION = FeatureSelection(("a", "b"))  # the names of the variables that a network takes
VALUES = np.random.default_rng(0).uniform(-0.9, 0.9, (300, 2)).round(3)


def read_data(path: Path) -> InputNumbers:
    """Read an input as a run does, of a netCDF file two variables."""
    return read_input(path, None, None, SELECTION if path.suffix == ".nc" else None)


def write_csv(path: Path) -> None:
    np.savetxt(path, VALUES, delimiter=",", header="a,b", comments="", fmt="%.3f")


def write_wav(path: Path) -> None:
    from scipy.io import wavfile

    wavfile.write(path, 8000, VALUES.astype("f4"))


def write_classic(path: Path, records: bool = False, version: int = 1) -> None:
    """Write netCDF's classic format, with three kinds of numbers; `records` make its dimension unlimited."""
    from scipy.io import netcdf_file

    with netcdf_file(path, "w", version=version) as file:
        file.createDimension("date", None if records else len(VALUES))
        for name, kind, values in (("date", "i", np.arange(300)), ("a", "d", VALUES[:, 0]), ("b", "f", VALUES[:, 1])):
            file.createVariable(name, kind, ("date",))[:] = values
        file.variables["date"].units = "days since 2000-01-01"
        file.createVariable("packed", "h", ("date",))[:] = np.full(300, 7)


def scales(file: Any) -> None:
    """Fill an open HDF5 file as netCDF-4 is: variables over a dimension that is a scale."""
    file["date"] = np.arange(300)
    file["date"].attrs["units"] = "days since 2000-01-01"
    file["date"].make_scale("date")
    file["a"] = VALUES[:, 0]
    file.create_dataset("b", data=VALUES[:, 1].astype("f4"), chunks=(64,), compression="gzip", shuffle=True)
    for name in "ab":
        file[name].dims[0].attach_scale(file["date"])
        file[name].attrs["long_name"] = "a name"


def write_hdf5(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        scales(file)


WRITERS: dict[str, Callable[[Path], Any]] = {
    "table.csv": write_csv,
    "array.npy": lambda path: np.save(path, VALUES),
    "stored.npz": lambda path: np.savez(path, x=VALUES),
    "packed.npz": lambda path: np.savez_compressed(path, x=VALUES),
    "sound.wav": write_wav,
    "classic.nc": write_classic,
    "records.nc": lambda path: write_classic(path, records=True),
    "offsets.nc": lambda path: write_classic(path, version=2),
    "hdf5.nc": write_hdf5,
}
FILES = dict.fromkeys(WRITERS, VALUES)


def read_spoiled(path: Path, suffix: str) -> None:
    """Read a file of any name as a data file of this kind."""
    target = path.with_suffix(suffix)
    path.replace(target)
    read_data(target)


def spoil(name: str, folder: Path, count: int = SOME, seed: int = 0) -> Tally:
    """Read so many spoiled data files of a kind."""
    path = folder / name
    WRITERS[name](path)
    also = [in_archive] * (path.suffix == ".npz")
    return fuzz([path.read_bytes()], partial(read_spoiled, suffix=path.suffix), count, folder, seed=seed, also=also)
