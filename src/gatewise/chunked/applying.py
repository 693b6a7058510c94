"""A model over labelled data: `apply`, through `xarray.apply_ufunc`, on NumPy's arrays or chunks of Dask's."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import index
from gatewise.chunked import labelled_input
from gatewise.chunked.attributes import call_text, describe_variables, provenance
from gatewise.chunked.labelled_input import Argument, LabelledInput, xarray
from gatewise.chunked.questions import KINDS, Selection, SequenceQuestion
from gatewise.chunked.selections import PADDINGS, Cells, QuantitySelection
from gatewise.chunked.task import Task, Variable, numbers_kept, threadpools
from gatewise.chunked.window_task import NOT_WHOLE, WindowTask
from gatewise.errors import OptionError, one_of, warn_of_data
from gatewise.insight.saturation import GATES
from gatewise.layers import LSTM
from gatewise.layers.stack import States
from gatewise.network import Network, Run, Windows
from gatewise.network.graph_network import GraphNetwork
from gatewise.records.keep import DIRECTIONS
from gatewise.records.labelled_arrays import coordinates
from gatewise.records.times import TimeRules, TimeStep
from gatewise.records.trace import Trace
from gatewise.showing import counted


def apply(
    model: LSTM | Network | GraphNetwork,
    data: Any,
    *,
    keep: str | Sequence[str] | None = None,
    units: Sequence[int] | None = None,
    every: int = 1,
    layer: int | Sequence[int] = -1,
    direction: str | None = None,
    output: bool = True,
    lstm: str | None = None,
    ask: str | None = None,
    lengths: Any = None,
    mask: Any = None,
    padding: str = PADDINGS[0],
    state: States | None = None,
    attributes: Any = None,
    dims: Mapping[str, str] | None = None,
    key: str | None = None,
    sort_time: bool = False,
    engine: str = "auto",
    continuous: bool = False,
    **options: Any,
) -> Any:
    """Run a model over every sequence of an `xarray.DataArray`, and return a `Dataset` of the selected quantities.

    Data in chunks of Dask give a lazy result, chunk by chunk: it is computed where Dask computes, on the threads of
    this machine or by the workers of a cluster, and `to_zarr` writes it as it goes. Every run takes one thread then.

    Parameters
    ----------
    model : LSTM, Network or GraphNetwork
    data : xarray.DataArray, or path of a zarr store
        With the dimensions ``time`` and ``feature``, in any order; all others, with any names, count sequences. For a
        network with an embedding it holds tokens, without ``feature``. In chunks, all times of a sequence are in one.
        Numbers are brought to the model's precision. Where model and data name their features, those that the model
        reads are taken by name. A store's are in chunks of whole sequences, and each chunk is checked before it is
        decoded; what `xarray.open_zarr` opens is read without these checks.
    keep, units, every
        Which quantities, of which units, at which steps, as in `LSTM.trace`: everything by default. The output is that
        of the kept steps, too.
    layer : int or sequence of int
        Which layer's quantities: the last by default. Several make a dimension ``layer``.
    direction : str, optional
        Which direction's. By default two of them make a dimension ``direction``.
    output : bool
        Whether the model's output is in the result, as ``y``. Of a plain LSTM it is the hidden state of the last layer
        once more. If a `GraphNetwork` has several outputs, each is ``y_`` with its name.
    lstm : str, optional
        The name of the LSTM of a `GraphNetwork` whose quantities are kept: the only one by default.
    ask : {"timescales", "saturation", "ceiling"}, optional
        Ask this of each sequence by itself, as `gatewise.insight` does, and return the numbers of its answers instead.
        They are NaN for a sequence with no valid step, or one whose run is not finite.
    lengths : DataArray over the sequences, or array of int (sequence,), optional
        How many steps of each sequence are valid.
    mask : boolean DataArray (time, and sequences), optional
        Which steps are valid, where padding is not only behind. Not together with `lengths`.
    padding : {"nan", "framework"}
        The states and the output at steps that are not valid: NaN, as the gates are, or with ``framework`` the numbers
        that the model's framework has there, as in `LSTM.trace` (states of the last valid step, an output of zeros).
    state : nested sequence of State, ``[layer][direction]``, optional
        The initial state: arrays (unit,) for all sequences, or DataArrays over the sequences and one dimension more.
    attributes : path or DataFrame, or sequence of them, or mapping of str to float, optional
        Tables (``.csv``) of static attributes, with a line for each basin and its id in the first column, or in the
        index: for features of the model that the data do not have. The ids are the coordinate of a dimension of the
        data. Numbers by name are those of every sequence.
    dims : mapping, optional
        The dimensions of `data` that are the ``time`` and the ``feature``, where they have other names.
    key : str, optional
        The variable of a store that has several.
    sort_time : bool
        Sort the steps by their times. By default data that are not in order of time are refused.
    engine : str
        As in `LSTM`. With ``auto``, the one that this machine takes runs everywhere.
    continuous : bool
        Run each sequence once, where a network is evaluated in windows (a run of NeuralHydrology); see Notes.
    **options
        Of the question: ``low=0.05``.

    Returns
    -------
    xarray.Dataset
        A variable for each quantity, under the names of `Trace.to_xarray`, with the coordinates of the data; ``unit``
        or ``projected`` stands in the place of the features, and in ``y`` ``output``. Variables have the ``units`` and
        ``long_name`` of the CF conventions; coordinates keep the attributes that they have in the data. The attributes
        of the whole are the model's file with its SHA-256 digest and its epoch, where it was read from one that says
        so, gatewise's version (``source``), and this call (``history``).

    Raises
    ------
    OptionError, ShapeError
        If something does not fit the model, or a dimension that must be whole is in several chunks.
    FileError
        If a store, or one of its chunks when it is read, is not as its metadata declare. What a filter of zarr's raises
        then is raised as it is.
    MissingExtraError
        If xarray is not installed; for chunks, threadpoolctl.
    CapacityError
        If the results, of one chunk where there are chunks, would not fit into memory.

    Warns
    -----
    UserWarning
        If the times have gaps and the network is not evaluated in windows, or if features have other units than the
        model was trained on.

    Notes
    -----
    A sequence's numbers are to the bit those that the model gives for it alone with one thread, for any chunks and any
    number of workers whose processors are alike. So where the native engine cannot run a cell, or large dense layers
    come before the LSTM, sequences run one after the other, which is slow. A NaN in the data makes what follows it in
    its sequence NaN; give `lengths` or `mask` where data are padded.

    Of a network that is evaluated in windows, the numbers of each step are those of the last step of the window that
    ends there, from zeros. They are NaN where the data are too short for one, or it holds a NaN, a step that is not
    valid, or a gap between dates; ``windows_not_whole`` counts these of each sequence, from its first valid step to its
    last. A question is asked of the last window of each sequence. A ``continuous`` run begins where the features that
    are shifted are there; the steps before are NaN, as those past a sequence's length are. How far it is from the
    windows is not measured here, for that would compute them; `open_run` and ``gatewise trace`` do. An infinite number
    is refused.

    A `GraphNetwork` runs sequence by sequence, whether it is causal or not, over the valid steps of each, which must be
    one stretch. An output that it has once for a sequence has no time. Inputs of the file that are initial states are
    zeros; it may have no other inputs without steps. ``padding`` and ``engine`` stay as they are.

    While it is computed, a chunk takes memory for its
    data and its results, and for at most 2^23 numbers more, or what one sequence needs.

    Examples
    --------
    >>> import xarray
    >>> rain = xarray.DataArray(np.ones((4, 2, 3)), dims=("time", "basin", "feature"), coords={"basin": ["a", "b"]})
    >>> result = gw.apply(gw.LSTM(3, 5, rng=0), rain, keep=("hidden_state", "forget_gate"))
    >>> dict(result.forget_gate.sizes)
    {'time': 4, 'basin': 2, 'unit': 5}
    >>> dict(gw.apply(gw.LSTM(3, 5, rng=0), rain, ask="timescales").timescale.sizes)
    {'basin': 2, 'unit': 5}
    """
    call = call_text(apply, locals())
    source: object = "the data"
    if isinstance(data, (str, os.PathLike)):
        source = data
        data = labelled_input.stored_data(Path(data), key, dims, model)
    elif key is not None:
        raise OptionError(
            "key chooses a variable of a store, but the data are in memory. Leave out key, or pass the store's path."
        )
    if sort_time and (lengths is not None or mask is not None):
        raise OptionError("sort_time does not sort lengths or a mask. Sort the data before, or leave out sort_time.")
    inputs = LabelledInput.of(model, data, dims, lstm)
    rules = TimeRules(sort=sort_time, step=TimeStep.of(inputs.model.time_step))
    inputs, notes = inputs.in_time_order(source, rules)
    if inputs.model.windows is None or continuous:
        warn_of_data(notes)
    cells = _selected_cells(inputs.model.lstm, layer, direction)
    selection: Selection
    if ask is None:
        if options:
            raise OptionError(f"{', '.join(options)} needs a question. Choose one with ask=.")
        kept = {"keep": keep, "units": units, "every": every}
        selection = QuantitySelection(cells, bool(output), kept, one_of("padding", padding, PADDINGS))
    else:
        if keep is not None or units is not None or every != 1 or padding != PADDINGS[0]:
            raise OptionError("ask decides what the trace keeps. Leave out keep, units, every and padding.")
        selection = SequenceQuestion.of(ask, cells, options, final=inputs.model.reads == "last")
        if not KINDS[ask].of_a_cell and (layer != -1 or direction is not None):
            raise OptionError(f"{ask} is a question about the whole model. Leave out layer and direction.")
    if padding != PADDINGS[0] and isinstance(model, GraphNetwork):
        raise OptionError("padding='framework' goes with an LSTM or a Network: a graph runs over the valid steps alone")
    trial = inputs.trial(selection, engine)
    warn_of_data(inputs.unit_notes(source))
    inputs = inputs.with_attributes(attributes, trial.labels.features).select_features(trial.labels.features)
    validity, names = labelled_input.validity_arguments(inputs, lengths, mask)
    states = labelled_input.state_arguments(inputs, state)
    task = _chunk_task(selection, trial, engine, inputs, names, inputs.evaluation(state, continuous))
    variables = _apply_in_chunks(task, inputs, [(inputs.data, inputs.core), *validity, *states])
    result = _result_dataset(variables, task, trial, inputs)
    result = describe_variables(result, data, selection, trial.labels, of_network=not isinstance(model, LSTM))
    return result.drop_encoding().assign_attrs(provenance(model, call))


def _selected_cells(lstm: LSTM, layer: int | Sequence[int], direction: str | None) -> Cells:
    """Return the cells of an LSTM that the options `layer` and `direction` of `apply` select."""
    several = isinstance(layer, Sequence)
    numbers = layer if isinstance(layer, Sequence) else [layer]
    layers = tuple(index("layer", number, lstm.num_layers, "this LSTM") for number in numbers)
    if not layers:
        raise OptionError("layer is empty. Give the number of a layer, or several numbers.")
    directions = lstm.directions if direction is None else (one_of("direction", direction, DIRECTIONS),)
    if direction is not None and direction not in lstm.directions:
        raise OptionError(f"this LSTM only runs {lstm.directions[0]}, not {direction}. Leave out direction.")
    return Cells(layers, directions, ("layer",) * several + ("direction",) * (len(directions) > 1))


def _chunk_task(
    selection: Selection,
    trial: Run,
    engine: str,
    inputs: LabelledInput,
    names: tuple[str, ...],
    windows: Windows | None,
) -> Task:
    """Return the task that computes the variables of `apply` for a chunk; `trial` is a first run over one step."""
    variables: dict[str, Variable] = {}
    for part in selection.parts(trial):
        variable = Variable.of(part, selection.cells.sizes)
        if variables.setdefault(part.name, variable) != variable:
            sizes = f"{dict(variables[part.name].after)} and {dict(variable.after)}"
            raise OptionError(
                f"{part.name} has different sizes in these cells, {sizes}. Choose a cell with layer= and direction=."
            )
    if windows is not None and variables:
        variables[NOT_WHOLE] = Variable(NOT_WHOLE, {}, False, {}, np.dtype(np.int64))
    if not variables:
        kept = isinstance(selection, QuantitySelection)
        reason = "nothing is kept" if kept else "the model's output is not finite"
        raise OptionError(f"the result would have no variables: {reason}")
    for variable in variables.values():
        if clashes := {variable.name, *variable.before, *variable.after} & inputs.names:
            raise OptionError(f"the data and the result both have a {min(clashes)!r}. Rename it in the data.")
    engines = {cell.engine for cell in trial.cells().values()}
    return (Task if windows is None else WindowTask)(
        selection=selection,
        alone=isinstance(selection, SequenceQuestion) or inputs.by_itself or engines != {"native"},
        variables=tuple(variables.values()),
        engine=next(iter(engines)) if len(engines) == 1 else engine,
        tokens=inputs.feature is None,
        validity=names,
        time_first=inputs.time_first,
        every=selection.options.get("every", 1),
        each=numbers_kept(trial),
        lags=inputs.lags,
        breaks=inputs.breaks,
    )


def _apply_in_chunks(task: Task, inputs: LabelledInput, arguments: Sequence[Argument]) -> dict[str, Any]:
    """Return the variables of a task over labelled data, each with the dimensions of the sequences before its own."""
    chunked, empty = any(array.chunks is not None for array, _ in arguments), not inputs.data.sizes[inputs.time]
    if chunked and empty:  # there is nothing to compute, and Dask divides by the sizes of chunks
        computed = _apply_in_chunks(task, inputs, [(array.compute(), core) for array, core in arguments])
        return {name: array.chunk() for name, array in computed.items()}
    thin = task.every > 1
    model: dict[str, Any] = {"model": inputs.model}
    if chunked:
        from dask import delayed

        threadpools()
        model = {"model": delayed(inputs.model, traverse=False), "shared": True}  # one for all chunks of a worker
    outputs: list[tuple[str, ...]] = []
    sizes: dict[str, int] = {}
    for variable in task.variables:
        outputs.append((*variable.before, *([inputs.time] if variable.timed else []), *variable.after))
        sizes |= {**variable.before, **variable.after}
    if thin:
        sizes[inputs.time] = len(range(0, inputs.data.sizes[inputs.time], task.every))
    arrays = xarray().apply_ufunc(
        task,
        *(array for array, _ in arguments),
        input_core_dims=[list(core) for _, core in arguments],
        output_core_dims=[list(dims) for dims in outputs],
        exclude_dims={inputs.time} if thin else set(),
        dask="parallelized",
        output_dtypes=[variable.dtype for variable in task.variables],
        dask_gufunc_kwargs={"output_sizes": sizes, **(model if chunked else {})},
        keep_attrs=False,
        kwargs={} if chunked else model,
    )
    names = (variable.name for variable in task.variables)
    return dict(zip(names, arrays if len(outputs) > 1 else [arrays], strict=True))


def _result_dataset(variables: dict[str, Any], task: Task, trial: Run, inputs: LabelledInput) -> Any:
    """Return the result of `apply` as a Dataset: its dimensions in the data's order, with coordinates."""
    data = inputs.data
    thinned = {}
    if task.every > 1:
        thin = data.isel({inputs.time: slice(None, None, task.every)})
        thinned = {
            name: coordinate
            for name, coordinate in thin.coords.items()
            if inputs.time in coordinate.dims and inputs.feature not in coordinate.dims
        }
        thinned.setdefault(inputs.time, np.arange(0, data.sizes[inputs.time], task.every))
    ordered = {}
    for variable in task.variables:
        order = [name for name in data.dims if name in inputs.loop or (name == inputs.time and variable.timed)]
        ordered[variable.name] = variables[variable.name].transpose(*variable.before, *order, *variable.after)
    result = xarray().Dataset(ordered)
    cells = [cell for _, cell in task.selection.cells.of(trial)]
    axes = {
        "layer": task.selection.cells.layers,
        "direction": trial.lstm.directions,
        "gate": GATES,
        "unit": _unit_names(cells),
        "output": trial.labels.outputs,
    }
    used = {name: axis for name, axis in axes.items() if axis is not None and len(axis) == result.sizes.get(name)}
    result = result.assign_coords(thinned | coordinates(used, "output", trial.labels.measures))
    result.attrs = {"engine": " and ".join(sorted({cell.engine for cell in cells}))}
    if inputs.model.windows is not None:
        steps = counted(inputs.model.windows.steps, "step")
        way = f"in windows of {steps}, each from the initial state"
        once = f"continuous, where the model is evaluated in windows of {steps}"
        result.attrs["evaluation"] = way if isinstance(task, WindowTask) else once
    return result


def _unit_names(cells: Sequence[Trace]) -> Sequence[str | int]:
    """Return the coordinate ``unit`` of a result: the units' names where all cells have the same, or their numbers."""
    units = cells[0].keep.units or range(cells[0].parameters.hidden_size)
    names = {tuple(cell.labels.unit(unit) for unit in units) if cell.labels.units else None for cell in cells}
    return names.pop() or units if len(names) == 1 else units
