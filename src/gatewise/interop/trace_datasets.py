"""The run of a model as one dataset without groups, and netCDF files."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gatewise.arrays import in_bytes
from gatewise.errors import CapacityError, FileError, importing, reason
from gatewise.files.storage import reserve_blocks
from gatewise.network import Run
from gatewise.records.labelled_arrays import coordinates, labelled_output
from gatewise.records.labels import Labels

NETCDF_4 = ("netCDF4", "h5netcdf")  # libraries that write variables of any size
MOST_OVERHEAD = 2**20  # bytes of a netCDF-4 file besides its numbers, about
LARGEST = 2**31 - 4  # bytes of a variable in the classic format, which SciPy writes


def flat_dataset(trace: Run, attributes: Mapping[str, Any], series: tuple[Any, Labels] | None = None) -> Any:
    """Return a run as an `xarray.Dataset` with the names, dates and units of its labels.

    Its variables are those of `Trace.to_xarray`, which begin with the layer and the direction where there are several
    cells, the first cell's input, and the output ``y``; without a batch axis if the input had none. `series` are the
    outputs (time, batch, output) of a series in windows and its labels: ``series_output``.
    """
    from xarray import Dataset, merge

    run: Any = trace.stored
    parts = run.lstm.datasets()
    output = parts.pop("output")
    every = slice(None, None, run.lstm.first.keep.every)
    if run.network is not None:
        output = run.to_xarray()["network"].to_dataset()
    if output.sizes.get("time", 0) > len(run.lstm.first.times):
        output = output.isel(time=every)
    if run.tokens is not None:
        output["token"] = ("time", "batch"), run.tokens[every], {"long_name": "token"}
    elif run.network is not None and run.input is not None:  # in its own units
        axes = coordinates({"network_feature": run.labels.features}, "network_feature", run.labels.measures)
        own = ("time", "batch", "network_feature"), run.input[every], {"long_name": "input of the network"}
        output = output.merge(Dataset({"network_input": own}, axes))
    first, *others = parts.values()
    datasets = [output]
    for path, part in parts.items():
        dims = {name: f"{path.partition('/')[0]}_{name}" for name in ("unit", "projected") if name in part.dims}
        if part is first or all(part[name].identical(first[name]) for name in dims if name in first.dims):
            dims = {}
        inputs = [name for name in (*part.variables,) if name == "valid" or "feature" in part[name].dims]
        part = part.drop_vars([] if part is first else inputs)
        cell = f"{path.replace('/', '_')}_" if others else ""
        names = {name: f"{cell}{name}" for name in part.data_vars if name not in ("input", "valid")}
        datasets.append(part.drop_attrs(deep=False).rename(names | dims))
    if series is not None:
        outputs, labels = series
        times = range(len(outputs)) if labels.times is None else labels.times
        data = labelled_output(outputs, labels, (), times, of_network=True)
        datasets.append(data.rename(y="series_output", time="series_time"))
    result = merge(datasets, compat="override", join="exact")
    if not trace.batched:
        result = result.isel(batch=0, drop=True)
    engines = {cell.engine for cell in run.cells().values()}
    return result.assign_attrs(engine=" and ".join(sorted(engines)), **attributes)


def require_netcdf(path: Path) -> None:
    """Raise MissingExtraError unless a netCDF file can be written here."""
    with importing("xarray", f"writing {path} needs"):
        import xarray  # noqa: F401
    if not any(map(find_spec, NETCDF_4)):
        with importing("scipy", f"writing {path} needs"):
            import scipy.io  # noqa: F401


def write_netcdf(data: Any, target: Path, path: Path) -> None:
    """Write a dataset to a netCDF file `target`, which becomes `path`: netCDF-4 where a library for that is installed.

    Raise CapacityError for a variable that is too large for the classic format, which SciPy writes, and FileError or an
    OSError if the file cannot be written.
    """
    if any(map(find_spec, NETCDF_4)):
        try:
            data.to_netcdf(target)
        except RuntimeError as problem:  # of netCDF4, which does not say that the disk is full; the system does
            with open(target, "ab") as file:
                reserve_blocks(file.fileno(), file.tell() + data.nbytes + MOST_OVERHEAD)
            raise FileError(f"cannot write {path}: {reason(problem)}") from None
        return
    name, size = max(((name, variable.nbytes) for name, variable in data.variables.items()), key=lambda entry: entry[1])
    if size > LARGEST:
        raise CapacityError(
            f"{name} takes {in_bytes(size)}, and a variable of {path} takes {in_bytes(LARGEST)} at most without"
            " netCDF4 or h5netcdf. Install one, or keep less with --keep, --units or --every."
        )
    data.to_netcdf(target, engine="scipy", format="NETCDF3_64BIT")
