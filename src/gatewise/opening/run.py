"""open_run: a model and an input, opened and run; and the run of a model, an input or a trace for a page."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import Any

from gatewise.cell import LSTMCell
from gatewise.errors import OptionError, join_names
from gatewise.interop.captured import Captured
from gatewise.interop.contents import Contents, StoredLSTM
from gatewise.layers import LSTM
from gatewise.layers.stack import States
from gatewise.network import Network, Run
from gatewise.opening.calls import difference_note
from gatewise.opening.models import contents_from
from gatewise.opening.preparing import DEFAULTS, InputOptions, prepare_run
from gatewise.opening.runs import NO_WINDOWS, WITH_AN_LSTM, OpenedRun, PathLike, PreparedLSTM, PreparedWholeModel
from gatewise.records.keep import EVERYTHING, keep_of_options
from gatewise.records.named_numbers import is_labelled, is_table

OWNERS = ("lstm", "model")  # of an input


def open_run(
    model: object,
    input: Any = None,
    *,
    name: str | None = None,
    settings: Mapping[str, Any] | None = None,
    input_of: str | None = None,
    axes: str | Sequence[str] | None = None,
    key: str | None = None,
    lengths: Any = None,
    state: PathLike | Mapping[str, Any] | States | None = None,
    embedding: str | None = None,
    head: str | None = None,
    reads: str | None = None,
    strict: bool = False,
    sort_time: bool = False,
    attributes: PathLike | Sequence[PathLike] | Mapping[str, float] | None = None,
    basin: str | None = None,
    frames: str | int | Sequence[int] | None = None,
    at: Any = None,
    continuous: bool = False,
    keep: str | Sequence[str] | None = None,
    units: Sequence[int] | None = None,
    every: int = 1,
    out: PathLike | None = None,
) -> OpenedRun:
    """Open a model and its input, and run them, as ``gatewise trace``, ``plot``, ``report`` and ``page`` do.

    Parameters
    ----------
    model : path, LSTM, LSTMCell, Network, Contents, StoredLSTM, Captured, Trace, LSTMTrace or NetworkTrace
        A model, as a file or in memory; or a run that was made before, which takes no input.
    input : path, array, DataFrame, DataArray, Dataset or mapping of str to array, optional
        The input of the LSTM, or of the network that the file describes: a ``.csv``, ``.npy``, ``.npz``, ``.nc`` or
        ``.wav`` file, a zarr store, or numbers in memory. Or that of the whole model, where its framework is installed
        to run it (ONNX, TorchScript, Keras); a mapping gives several inputs by name. In a table each row is a step.
        Where the model names its features, they are taken by name.
    name : str, optional
        Which LSTM, if there are several.
    settings : mapping, optional
        What the model's file leaves out, as in `inspect`.
    input_of : {"lstm", "model"}, optional
        Whose input it is, where its shape fits both.
    axes : str or sequence of str, optional
        The order of the input's axes, for example ``batch,time,feature``. By default that of the file's framework; of
        an LSTM or a Network in memory ``time,batch,feature``. For labelled data the meaning of each dimension.
    key : str, optional
        Which array of an ``.npz`` file or variable of a store, if it holds several.
    lengths : array of int (batch,), optional
        The number of valid steps of each sequence.
    state : path, mapping or nested sequence of State, optional
        The initial states: an ``.npz`` file with h0 and c0, these arrays, each (layers and directions, batch, unit), or
        ``[layer][direction]``. By default the initial state in the model's file, or zeros.
    embedding, head, reads : str, optional
        The layers around the LSTM, where the file does not connect them, as in `load_network`. By default the head,
        and where the input is whole numbers the embedding, that alone fits, with a note; ``none`` takes none.
    strict : bool
        Refuse a model of which something is left out that would change the run, and infer no layers. Refuse an input
        whose times have gaps.
    sort_time : bool
        Sort the steps of the input by their times. By default an input that is not in order of time is refused.
    attributes : path, sequence of path or mapping of str to float, optional
        Static attributes: tables with a line for each basin, or those of the basin.
    basin : str, optional
        The basin whose attributes are taken. By default the name of the input's file, without its ending.
    frames : str, int or sequence of int, optional
        Cut sound into rows of SIZE samples, or ``(SIZE, HOP)`` into rows that begin HOP samples apart.
    at : int, str or date, optional
        For a model that is evaluated in windows, such as a run of NeuralHydrology: the step at whose end the window
        ends that is traced, by its number, date or name. By default the last one.
    continuous : bool
        Run such a model once over all steps; a note says how far its outputs are from those of the windows.
    keep, units, every, out
        Which quantities of which units at which steps are kept, and a file that is written as the run goes: see
        `LSTM.trace`.

    Returns
    -------
    OpenedRun
        The trace, its labels, the LSTM and the network that ran, and notes; of a model that is evaluated in windows the
        trace is that of one window, and ``series`` has the outputs of all.

    Raises
    ------
    FileError
        If a file cannot be read.
    OptionError, ShapeError
        If something else is given, or the input does not fit the model. Options are written as on the command line,
        ``--key`` for ``key``.
    MissingExtraError
        If what reads a file, or runs a whole model, is not installed.
    CapacityError
        If the trace would not fit into memory.

    Notes
    -----
    The numbers are those of the command line, bit for bit. The run takes the memory and the time of `LSTM.trace`.

    Examples
    --------
    >>> import numpy as np, gatewise as gw
    >>> run = gw.open_run(gw.LSTM(3, 4, rng=0), np.ones((5, 3)))
    >>> run.trace.num_steps
    5
    >>> run.interpretation
    "the input is taken as the input of the LSTM 'lstm'"
    """
    arguments = locals()
    options = input_options(**{option.name: arguments[option.name] for option in fields(InputOptions)})
    prepared = prepare(model, input, options, name=name, settings=settings)
    require_windows(prepared, at)
    keeping = keep_of_options(keep, units, every)
    if isinstance(prepared, PreparedLSTM):
        prepared.model.contents.pick(prepared.model.found.name)  # which warns
        return prepared.run(keeping, out)
    if isinstance(prepared, PreparedWholeModel):
        return prepared.run(keeping, out)
    if keeping is not EVERYTHING or out is not None:
        raise OptionError(f"keep, units, every and out {WITH_AN_LSTM}")
    return prepared


def prepare(
    model: object,
    input: Any = None,
    options: InputOptions = DEFAULTS,
    *,
    name: str | None = None,
    settings: Mapping[str, Any] | None = None,
    finite: bool = True,
) -> PreparedLSTM | PreparedWholeModel | OpenedRun:
    """Return the run of a model over an input, opened and ready to start; a trace is a run already.

    Arguments are as in `open_run`; weights that are not finite are refused where `finite` is set.
    """
    if options.input_of not in (None, *OWNERS):
        raise OptionError(f"input_of must be one of {join_names(OWNERS)}, not {options.input_of!r}")
    trace, source, subject = model, "the trace", "a trace"
    notes: tuple[str, ...] = ()
    if isinstance(model, Captured):
        trace, source, notes = model.trace, model.name, (difference_note(model.difference), *model.notes)
        subject = f"{source} holds a trace, which"
    elif not isinstance(model, Run):
        contents = contents_from(model, settings)
        if contents.trace is None:
            return prepare_run(contents, input, name, options, finite=finite)
        trace, source = contents.trace, contents.path
        subject = f"{source} holds a trace, which"
    extra = "an input" if input is not None else "--name" if name is not None else None
    chosen = (option.name for option in fields(options) if getattr(options, option.name) is not option.default)
    if extra is None and {*chosen} - {"at"}:  # which says what is shown, and not what the input is
        extra = "options of an input"
    if extra is not None:
        raise OptionError(f"{subject} is already a run. Leave out {extra}.")
    assert isinstance(trace, Run)
    return OpenedRun(trace, Path(source).name, notes=(*notes, *_continuous_notes(trace)))


def require_windows(run: PreparedLSTM | PreparedWholeModel | OpenedRun, at: Any) -> None:
    """Raise OptionError for the end of a window `at`, where a run is not that of a window."""
    if at is not None and run.series is None:
        raise OptionError(NO_WINDOWS)


def _continuous_notes(trace: Run) -> tuple[str, ...]:
    """Return the note on the trace of a network that is evaluated in windows, where it is not that of one window."""
    windows = None if trace.network is None else trace.network.windows
    return () if windows is None or trace.num_steps == windows.steps else (windows.continuous_note,)


def input_options(**options: Any) -> InputOptions:
    """Return the options of an input that a caller of Python gives, where paths may be text."""
    state, attributes = options.get("state"), options.get("attributes")
    if isinstance(state, (str, os.PathLike)):
        options["state"] = Path(state)
    if attributes is not None and not isinstance(attributes, Mapping):
        sources = [attributes] if isinstance(attributes, (str, os.PathLike)) else attributes
        options["attributes"] = [Path(path) for path in sources]
    if unknown := options.keys() - {option.name for option in fields(InputOptions)}:
        raise OptionError(f"an input has no option {join_names(map(repr, sorted(unknown)))}")
    return InputOptions(**options)


# For a page or a report.


def run_of(model: object, x: Any, options: Mapping[str, Any], purpose: str, kinds: str) -> OpenedRun:
    """Return the run of a model over an input for a page or report, or a run that was made before.

    An LSTM, a cell or a Network runs over an array as its `trace` does, with the options of that; files, tables,
    labelled data and other models open as in `open_run`. `purpose` and `kinds` are beginnings of errors: "a page of",
    and "a page is of an LSTM, a Network, …".
    """
    if isinstance(x, Run):
        raise OptionError(f"x must be numbers, not a {type(x).__name__}. A trace is already a run: pass it alone.")
    if isinstance(model, OpenedRun) and x is None and [*options] == ["at"]:
        return model.window_at(options["at"])
    if isinstance(model, OpenedRun | Run):
        if extra := ["x"] * (x is not None) + [*options]:
            raise OptionError(f"a trace is already a run. Leave out {extra[0]}.")
        return model if isinstance(model, OpenedRun) else OpenedRun(model, "the trace", notes=_continuous_notes(model))
    if isinstance(model, LSTMCell):
        model = LSTM.from_cells(model)
    others = options.keys() - signature(open_run).parameters.keys()
    if isinstance(model, (LSTM, Network)):
        if x is None:
            raise OptionError(f"{purpose} a model of type {type(model).__name__} needs x, the input that it runs on")
        opens = is_table(x) or is_labelled(x) or (isinstance(model, Network) and model.windows is not None)
        opens = opens and not others
        if not (isinstance(x, (str, os.PathLike)) or opens):
            network = model if isinstance(model, Network) else None
            trace = model.trace(x, **options)
            return OpenedRun(trace, "lstm", network=network, notes=_continuous_notes(trace))
    elif not isinstance(model, (str, os.PathLike, Contents, StoredLSTM, Captured)) and not hasattr(model, "graph"):
        raise OptionError(f"{kinds}, not {type(model).__name__}")
    if others:
        raise OptionError(f"{min(others)} is for an LSTM or a Network with an array. Leave it out for a file.")
    return open_run(model, x, **options)
