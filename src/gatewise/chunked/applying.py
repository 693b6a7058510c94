"""A model over labelled data: `apply`, through `xarray.apply_ufunc`, on NumPy's arrays or chunks of Dask's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gatewise.arrays import index
from gatewise.chunked.inputs import Argument, Input, states_of, steps_of, xarray
from gatewise.chunked.questions import Question, kind_of
from gatewise.chunked.task import Task, Variable, numbers_kept, threadpools
from gatewise.chunked.wanted import Cells, Quantities, Run, Wanted, lstm_of
from gatewise.errors import OptionError, one_of
from gatewise.insight.saturation import GATES
from gatewise.layers import LSTM
from gatewise.layers.stack import States
from gatewise.network import Network
from gatewise.records.keep import DIRECTIONS
from gatewise.records.labelled_arrays import coordinates
from gatewise.records.trace import Trace


def apply(
    model: LSTM | Network,
    data: Any,
    *,
    keep: str | Sequence[str] | None = None,
    units: Sequence[int] | None = None,
    every: int = 1,
    layer: int | Sequence[int] = -1,
    direction: str | None = None,
    output: bool = True,
    ask: str | None = None,
    lengths: Any = None,
    mask: Any = None,
    state: States | None = None,
    dims: Mapping[str, str] | None = None,
    engine: str = "auto",
    **options: Any,
) -> Any:
    """Run a model over every sequence of an `xarray.DataArray`, and return a `Dataset` of what is wanted of each.

    Data in chunks of Dask give a lazy result, chunk by chunk: it is computed where Dask computes, on the threads of
    this machine or by the workers of a cluster, and `to_zarr` writes it as it goes. Every run takes one thread then.

    Parameters
    ----------
    model : LSTM or Network
    data : xarray.DataArray
        With the dimensions ``time`` and ``feature``, in any order; all others, with any names, count sequences. For a
        network with an embedding it holds tokens, without ``feature``. In chunks, all times of a sequence are in one.
        Numbers are brought to the model's precision. Where model and data name their features, those that the model
        reads are taken by name.
    keep, units, every
        Which quantities, of which units, at which steps, as in `LSTM.trace`: everything by default. The output is that
        of the kept steps, too.
    layer : int or sequence of int
        Which layer's quantities: the last by default. Several make a dimension ``layer``.
    direction : str, optional
        Which direction's. By default two of them make a dimension ``direction``.
    output : bool
        Whether what the model puts out is in the result, as ``y``. Of a plain LSTM it is the hidden state of the last
        layer once more.
    ask : {"timescales", "saturation", "ceiling"}, optional
        Ask this of each sequence by itself, as `gatewise.insight` does, and return the numbers of its answers instead.
        They are NaN for a sequence with no valid step, or one whose run is not finite.
    lengths : DataArray over the sequences, or array of int (sequence,), optional
        How many steps of each sequence are valid.
    mask : boolean DataArray (time, and sequences), optional
        Which steps are valid, where padding is not only behind. Not together with `lengths`.
    state : nested sequence of State, ``[layer][direction]``, optional
        What runs start from: arrays (unit,) for all sequences, or DataArrays over the sequences and one dimension more.
    dims : mapping, optional
        Which dimensions of `data` the ``time`` and the ``feature`` are, where they have other names.
    engine : str
        As in `LSTM`. With ``auto``, the one that this machine takes runs everywhere.
    **options
        Of the question: ``low=0.05``.

    Returns
    -------
    xarray.Dataset
        A variable for each quantity, under the names of `Trace.to_xarray`, with the coordinates of the data, and those
        of what is in place of its features: ``unit``, or ``projected``; and ``y``, with ``output``.

    Raises
    ------
    OptionError, ShapeError
        If something does not fit the model, or a dimension that must be whole is in several chunks.
    MissingExtraError
        If xarray is not installed; for chunks, threadpoolctl.
    CapacityError
        If the results, of one chunk where there are chunks, would not fit into memory.

    Notes
    -----
    A sequence's numbers are to the bit those that the model gives for it alone with one thread, for any chunks and any
    number of workers whose processors are alike. So where the native engine cannot run a cell, or large dense layers
    come before the LSTM, sequences run one after the other, which is slow. A NaN in the data makes what follows it in
    its sequence NaN; give `lengths` or `mask` where data are padded. While it is computed, a chunk takes memory for its
    data and its results, and for at most 2^23 numbers more, or what one sequence needs.

    Examples
    --------
    >>> import xarray
    >>> rain = xarray.DataArray(np.ones((4, 2, 3)), dims=("time", "basin", "feature"), coords={"basin": ["a", "b"]})
    >>> found = gw.apply(gw.LSTM(3, 5, rng=0), rain, keep=("hidden_state", "forget_gate"))
    >>> dict(found.forget_gate.sizes)
    {'time': 4, 'basin': 2, 'unit': 5}
    >>> dict(gw.apply(gw.LSTM(3, 5, rng=0), rain, ask="timescales").timescale.sizes)
    {'basin': 2, 'unit': 5}
    """
    given = Input.of(model, data, dims)
    wanted = _wanted(model, keep, units, every, layer, direction, output, ask, options)
    trial = given.trial(wanted, engine)
    given = given.named(trial.labels.features)
    extras, names = steps_of(given, lengths, mask)
    states, counts = states_of(given, state)
    task = _task(wanted, trial, engine, given, names, counts)
    found = _applied(task, given, [(given.data, given.core), *extras, *states])
    return _labelled(found, task, trial, given)


def _wanted(
    model: LSTM | Network,
    keep: Any,
    units: Any,
    every: int,
    layer: int | Sequence[int],
    direction: str | None,
    output: bool,
    ask: str | None,
    options: Mapping[str, Any],
) -> Wanted:
    cells = _cells(model.lstm if isinstance(model, Network) else model, layer, direction)
    if ask is None:
        if options:
            raise OptionError(f"{', '.join(options)} can be given to a question alone, with ask=")
        return Quantities(cells, bool(output), {"keep": keep, "units": units, "every": every})
    kind = kind_of(ask)
    if keep is not None or units is not None or every != 1:
        raise OptionError("a question takes a trace that keeps what it needs: keep, units and every do not go with ask")
    if not kind.of_a_cell and (layer != -1 or direction is not None):
        raise OptionError(f"{ask} is asked of a whole model: layer and direction do not go with it")
    if unknown := set(options) - set(kind.options):
        raise OptionError(f"{ask} has no option {min(unknown)}; it has {', '.join(kind.options) or 'none'}")
    return Question(ask, cells, options, final=isinstance(model, Network) and model.reads == "last")


def _cells(lstm: LSTM, layer: int | Sequence[int], direction: str | None) -> Cells:
    several = isinstance(layer, Sequence)
    asked = layer if isinstance(layer, Sequence) else [layer]
    layers = tuple(index("layer", one, lstm.num_layers, "this LSTM") for one in asked)
    if not layers:
        raise OptionError("layer must be one layer or several")
    ways = lstm.directions if direction is None else (one_of("direction", direction, DIRECTIONS),)
    if direction is not None and direction not in lstm.directions:
        raise OptionError(f"this LSTM runs {lstm.directions[0]} only, not {direction}")
    return Cells(layers, ways, ("layer",) * several + ("direction",) * (len(ways) > 1))


def _task(
    wanted: Wanted, trial: Run, engine: str, given: Input, names: tuple[str, ...], nesting: tuple[int, ...]
) -> Task:
    """Return what makes the variables of a chunk, as a first run over one step shows them."""
    variables: dict[str, Variable] = {}
    for part in wanted.parts(trial):
        one = Variable.of(part, wanted.cells.sizes)
        if variables.setdefault(part.name, one) != one:
            sizes = f"{dict(variables[part.name].after)} and {dict(one.after)}"
            raise OptionError(
                f"{part.name} of these cells has the sizes {sizes}: choose one with layer= and direction="
            )
    if not variables:
        what = "nothing is kept" if isinstance(wanted, Quantities) else "the model puts out numbers that are not finite"
        raise OptionError(f"there would be no variable in the result: {what}")
    for one in variables.values():
        if taken := {one.name, *one.before, *one.after} & given.names:
            raise OptionError(f"the result has a {min(taken)!r} of its own: rename what is called so in the data")
    engines = {cell.engine for cell in lstm_of(trial).cells().values()}
    return Task(
        wanted=wanted,
        alone=isinstance(wanted, Question) or given.by_itself or engines != {"native"},
        variables=tuple(variables.values()),
        engine=next(iter(engines)) if len(engines) == 1 else engine,
        tokens=given.feature is None,
        given=names,
        nesting=nesting,
        time_first=given.time_first,
        every=wanted.options.get("every", 1),
        each=numbers_kept(trial),
    )


def _applied(task: Task, given: Input, arguments: Sequence[Argument]) -> dict[str, Any]:
    """Return the variables, each with the dimensions of the sequences before its own."""
    chunked, empty = any(one.chunks is not None for one, _ in arguments), not given.data.sizes[given.time]
    if chunked and empty:  # there is nothing to compute, and Dask divides by the sizes of chunks
        made = _applied(task, given, [(one.compute(), core) for one, core in arguments])
        return {name: one.chunk() for name, one in made.items()}
    thin = task.every > 1
    kwargs: dict[str, Any] = {"model": given.model}
    lazily: dict[str, Any] = {}
    if chunked:
        from dask import delayed

        threadpools()
        lazily = {"model": delayed(given.model, traverse=False), "shared": True}  # one model for all chunks of a worker
        kwargs = {}
    outputs: list[tuple[str, ...]] = []
    sizes: dict[str, int] = {}
    for one in task.variables:
        outputs.append((*one.before, *([given.time] if one.timed else []), *one.after))
        sizes |= {**one.before, **one.after}
    if thin:
        sizes[given.time] = len(range(0, given.data.sizes[given.time], task.every))
    made = xarray().apply_ufunc(
        task,
        *(one for one, _ in arguments),
        input_core_dims=[list(core) for _, core in arguments],
        output_core_dims=[list(dims) for dims in outputs],
        exclude_dims={given.time} if thin else set(),
        dask="parallelized",
        output_dtypes=[one.dtype for one in task.variables],
        dask_gufunc_kwargs={"output_sizes": sizes, **lazily},
        keep_attrs=False,
        kwargs=kwargs,
    )
    return dict(zip((one.name for one in task.variables), made if len(outputs) > 1 else [made], strict=True))


def _labelled(found: dict[str, Any], task: Task, trial: Run, given: Input) -> Any:
    """Return the dataset: its dimensions in the data's order, with coordinates."""
    data = given.data
    thinned = {}
    if task.every > 1:
        kept = data.isel({given.time: slice(None, None, task.every)})
        thinned = {
            name: one for name, one in kept.coords.items() if given.time in one.dims and given.feature not in one.dims
        }
        thinned.setdefault(given.time, np.arange(0, data.sizes[given.time], task.every))
    ordered = {}
    for one in task.variables:
        order = [name for name in data.dims if name in given.loop or (name == given.time and one.timed)]
        ordered[one.name] = found[one.name].transpose(*one.before, *order, *one.after)
    result = xarray().Dataset(ordered)
    cells = [cell for _, cell in task.wanted.cells.of(trial)]
    axes = {
        "layer": task.wanted.cells.layers,
        "direction": lstm_of(trial).directions,
        "gate": GATES,
        "unit": _units(cells),
        "output": trial.labels.outputs,
    }
    used = {name: one for name, one in axes.items() if one is not None and len(one) == result.sizes.get(name)}
    result = result.assign_coords(thinned | coordinates(used, "output", trial.labels.measures))
    result.attrs = {"engine": " and ".join(sorted({cell.engine for cell in cells}))}
    return result.drop_encoding()


def _units(cells: Sequence[Trace]) -> Sequence[str | int]:
    """Return the names of units, where all cells have the same, or their numbers."""
    units = cells[0].keep.units or range(cells[0].parameters.hidden_size)
    names = {tuple(cell.labels.unit(unit) for unit in units) if cell.labels.units else None for cell in cells}
    return names.pop() or units if len(names) == 1 else units
