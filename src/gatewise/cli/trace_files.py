"""gatewise trace: a run, and the file of its trace in every format but stores."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import in_bytes
from gatewise.cli.printing import COMMAND, announce_cost
from gatewise.errors import OptionError
from gatewise.files.replacing import naming_output, temporary_for
from gatewise.files.storage import beside
from gatewise.interop.plain_arrays import network_arrays, npz_arrays, series_arrays
from gatewise.opening.runs import OpenedRun, PreparedLSTM, PreparedWholeModel
from gatewise.records.keep import Keep
from gatewise.showing import counted

SUFFIXES = (".safetensors", ".npz", ".csv", ".nc")
OF_NETWORKS = (".csv", ".nc")  # formats that hold a network's run, and not only its LSTM's
ROW = 40  # bytes of a number in a long table, about
WRITTEN = 1e6  # numbers of a long table a second, about


def require_suffix(output: Path) -> None:
    """Raise OptionError if a trace cannot be written to a file of this name, or MissingExtraError if not here."""
    suffix = output.suffix.lower()
    if suffix not in SUFFIXES:
        raise OptionError(f"the name of {output} must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    if suffix == ".nc":
        from gatewise.interop.trace_datasets import require_netcdf

        require_netcdf(output)


def run_to_file(prepared: PreparedLSTM | PreparedWholeModel, keep: Keep, output: Path) -> OpenedRun:
    """Run a model, and write its trace: as it runs to a .safetensors file, and to others as they are written."""
    suffix = output.suffix.lower()
    if isinstance(prepared, PreparedLSTM):
        _announce(prepared, keep, output, suffix)
    if suffix == ".safetensors":
        return prepared.run(keep, output)
    # The file is opened before the run, which may be long; its trace lies beside it meanwhile, not in memory.
    scratch = temporary_for(output) if suffix in OF_NETWORKS and isinstance(prepared, PreparedLSTM) else None
    try:
        with beside(output) as temporary, nullcontext() if scratch is None else naming_output(output, scratch):
            run = prepared.run(keep, scratch)
            _write(run, prepared, temporary, output, suffix)
    finally:
        if scratch is not None:
            scratch.unlink(missing_ok=True)
    return run


def _announce(prepared: PreparedLSTM, keep: Keep, output: Path, suffix: str) -> None:
    """Announce what a trace and its file take, where that is much."""
    on_file, series = suffix == ".safetensors", prepared.series
    size = prepared.bytes_kept(keep, on_file=on_file)
    duration = prepared.seconds() + (0 if series is None or on_file else series.seconds())
    work = f"this keeps {in_bytes(size)} of {counted(prepared.num_steps, 'step')}"
    if on_file:
        work += f", which are written to {output} as the run goes"
    elif suffix == ".csv":
        count = size // prepared.model.lstm.dtype.itemsize
        work += f"; {output} gets {counted(count, 'row')}, about {in_bytes(count * ROW)}"
        size, duration = count * ROW, duration + count / WRITTEN
    announce_cost(work, duration, size)


def _write(
    run: OpenedRun, prepared: PreparedLSTM | PreparedWholeModel, target: Path, output: Path, suffix: str
) -> None:
    """Write the trace of a run to the file `target`, which becomes `output`."""
    series: Any = None if prepared.series is None else (prepared.series.outputs, prepared.series.labels)
    if suffix == ".csv":
        from gatewise.interop.trace_tables import write_long_table

        with open(target, "w", encoding="utf-8", newline="") as table:
            write_long_table(table, run.trace, series)
    elif suffix == ".nc":
        from gatewise.chunked.attributes import provenance
        from gatewise.interop.trace_datasets import flat_dataset, write_netcdf

        write_netcdf(flat_dataset(run.trace, provenance(run.model, COMMAND.get()), series), target, output)
    else:
        arrays = npz_arrays(run.trace)
        if isinstance(prepared, PreparedLSTM):
            arrays |= network_arrays(run.trace, prepared.input.x)
        with open(target, "wb") as archive:
            np.savez(archive, **arrays, **({} if series is None else series_arrays(*series)))
