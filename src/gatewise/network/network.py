"""Network: an LSTM with what a model has before it (an embedding, a scaling, dense layers) and after it (a head)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, array_of, numbers, require_memory
from gatewise.errors import NotKeptError, OptionError, ShapeError, warn_of_data
from gatewise.layers.merging import merge
from gatewise.layers.stack import States
from gatewise.network.parts import Parts, Tokens
from gatewise.network.stream import NetworkStream
from gatewise.network.windows import window_batches, window_ends
from gatewise.progress import working
from gatewise.records.labelled_arrays import labelled_output, lstm_frame, tree
from gatewise.records.labels import NO_LABELS, Labels
from gatewise.records.named_input import NamedInput, named_input
from gatewise.records.named_numbers import unit_notes
from gatewise.records.run_record import RunRecord
from gatewise.records.times import TimeStep, time_breaks
from gatewise.records.trace import LSTMTrace, Trace
from gatewise.showing import brief, counted

BLOCK = 2**22  # hidden states of a layer at a time, where a run can be split
MIN_STEPS = 256  # steps of a block


@dataclass(frozen=True, eq=False, repr=False)
class NetworkTrace(RunRecord):
    """The record of a network's run; it answers what `LSTMTrace` does.

    Attributes
    ----------
    lstm : LSTMTrace
    tokens : array of int (time, batch) or None
        What was embedded.
    features : array (time, batch, ·) or (batch, ·)
        What the head read.
    output : array
        The output of the network, in its own units.
    network : Network
    labels : Labels
        Names of features, outputs, sequences and times; those of each cell are in its trace.
    input : array or None
        The features in their own units, if they are not simply the LSTM's input.

    Examples
    --------
    >>> lstm = gw.LSTM(3, 8, rng=0, dtype=np.float64)
    >>> trace = gw.Network(lstm, head=gw.Linear(np.ones((1, 8)))).trace(np.ones((20, 3)))
    >>> trace.output.shape, trace[0].cell_state.shape
    ((20, 1), (20, 8))
    """

    network: Network = field()  # not the default of a run of a cell or an LSTM: None
    lstm: LSTMTrace
    tokens: npt.NDArray[np.integer[Any]] | None = field()
    features: Array
    output: Array
    labels: Labels = NO_LABELS
    input: Array | None = None

    @property
    def batched(self) -> bool:
        """Whether the input had a batch axis."""
        return self.lstm.batched

    @property
    def num_steps(self) -> int:
        """The number of steps of the run."""
        return self.lstm.num_steps

    @property
    def state(self) -> States:
        """The final state of each layer and direction, from which another run can continue."""
        return self.lstm.state

    @property
    def stored(self) -> NetworkTrace:
        """The same run of the network with a batch axis in every quantity."""
        if self.batched:
            return self
        axis = int(self.network.reads == "every")
        return replace(
            self,
            lstm=self.lstm.stored,
            tokens=None if self.tokens is None else self.tokens[:, None],
            features=np.expand_dims(self.features, axis),
            output=np.expand_dims(self.output, axis),
            input=None if self.input is None else self.input[:, None],
        )

    def _only(self, which: slice) -> NetworkTrace:
        """Return the trace of the single sequence `which`, with a batch axis."""
        run, place = self.stored, which.start
        key = (slice(None), place) if self.network.reads == "every" else place
        return replace(
            run,
            lstm=run.lstm._only(which),
            tokens=None if run.tokens is None else run.tokens[:, place],
            features=run.features[key],
            output=run.output[key],
            input=None if run.input is None else run.input[:, place],
            labels=run.labels.replace(sequences=run.labels.sequences and run.labels.sequences[which]),
        )

    @property
    def scaled(self) -> Array:
        """The input of the run in the network's units: after ``inputs``, and before the branches."""
        features = self.input
        if features is None and (features := self.lstm.first.input) is not None and not self.batched:
            features = features[:, 0]
        if features is None:
            raise NotKeptError("the input of this run was not kept")
        return self.network.scaled(features)

    def to_xarray(self) -> Any:
        """Return the `xarray.DataTree` of the LSTM's run, with the network's output as ``network/y``.

        Raises
        ------
        MissingExtraError
            If xarray is not installed, or is older than its `DataTree`.
        """
        times = self.lstm.output_times if self.network.reads == "every" else None
        output = labelled_output(self.stored.output, self.labels, self.lstm.directions, times, of_network=True)
        return tree({"network": output, **self.lstm.datasets()})

    def to_dataframe(self) -> Any:
        """Return the `pandas.DataFrame` of the LSTM's run, with the network's output as quantity ``y`` of ``network``.

        An output of the last step alone belongs to no row: it is left out.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        frame = lstm_frame(self.lstm)
        if self.network.reads == "every":
            frame.add(("network", "y"), self.stored.output[:: self.lstm.first.keep.every], self.labels.outputs)
        return frame.table(("cell", "quantity", "unit"))

    def __repr__(self) -> str:
        steps, batch = counted(self.lstm.num_steps, "step"), counted(self.lstm.batch_size, "sequence")
        title = f"NetworkTrace: {steps} of {batch}, {self.output.dtype.name}, of {self.network!r}"
        return brief(title, {"features": self.features, "output": self.output})


Run = Trace | LSTMTrace | NetworkTrace  # any record of a run


class Network(Parts):
    """An LSTM with what a model has around it: before it an embedding, or a scaling and dense layers; after it a head.

    Features go through ``inputs``, then ``branches``, into the LSTM; what it puts out goes through ``head``; then come
    ``skip`` and ``outputs``. Every part is optional.

    Parameters
    ----------
    lstm : LSTM
    embedding : array (vocabulary, input), optional
        If given, the network takes tokens, which are integers, instead of features.
    head : Linear, or sequence of Linear, optional
        One linear layer, or several one after another.
    reads : {"every", "last"}
        What the head reads (without one: what is returned): the output of every step, or the final hidden state of
        each direction of the last layer, merged (Keras' ``return_sequences=False``).
    masked : float, optional
        Marks the steps that are not valid, if a call gives neither lengths nor a mask: those with this token (Keras'
        ``mask_zero`` means 0) or, without an embedding, those whose features all equal this value (Keras'
        ``Masking``).
    masked_output : {"zeros", "repeat"}
        The LSTM's output at such a step, unless a call says otherwise; see `LSTM`.
    initial : nested sequence of State, ``[layer][direction]``, optional
        The state that every sequence starts from if a call gives none, for example a learned one. Zeros by default.
    skip : int
        How many of the first features, after ``inputs``, are added to the outputs of the head (a skip connection): as
        many as there are outputs, or one, which is added to each.
    inputs : Scaling, optional
        From the physical units of the features to those of the network.
    branches : sequence of Branch, optional
        Dense layers over some of the features each; what they give stands one behind another in the LSTM's input.
    outputs : Scaling, optional
        From the physical units of the outputs to those of the network: it is undone.
    windows : Windows, optional
        How the model is evaluated on a series, where each output comes from a window of its own: `run_windows` does it,
        and so do `open_run`, `apply`, the report and the commands. A call and a trace go through what they are given
        once.
    time_step : str, optional
        The time from step to step in the data that the model was trained on, as pandas writes it: ``1D``, ``3h``,
        ``15min``, ``1MS``. Data with dates and other steps are refused.
    labels : Labels, optional
        Names of the features and the outputs, and what they measure; a run may give others.

    Attributes
    ----------
    hidden : tuple of Linear
        All layers of the head but the last.
    head : Linear or None
        The last layer of the head.
    dense : tuple of Linear
        All layers of the head, from the LSTM on.

    Raises
    ------
    ShapeError
        If the parts do not fit together.
    OptionError
        If they contradict each other.

    Examples
    --------
    >>> lstm = gw.LSTM(3, 8, rng=0, dtype=np.float64)
    >>> network = gw.Network(lstm, head=gw.Linear(np.ones((1, 8))))
    >>> y, state = network(np.ones((20, 4, 3)))
    >>> y.shape
    (20, 4, 1)
    """

    def __call__(self, x: npt.ArrayLike, state: States | None = None, **options: Any) -> tuple[Array, States]:
        """Run over a sequence.

        Parameters
        ----------
        x : array, tensor, DataFrame, Series, DataArray or Dataset
            Features (time, batch, input) or (time, input), in the units of ``inputs``; with an embedding integers
            (time, batch) or (time,). Names as in a call of `LSTM`.
        state, **options
            As in a call of `LSTM`.

        Returns
        -------
        y : array
            (time, batch, output) or (time, output), in the units of ``outputs``; with ``reads="last"`` without the
            time. On axes in the order of those of `x`.
        state : tuple of tuple of State
        """
        if "axes" in options or type(x) is not np.ndarray:
            named = self._named_input(x, options)
            y, state = self(named.x, state, **options)
            return named.in_order(y, timed=self.reads == "every"), state
        first, *rest = self._blocks_of_steps(x, options)
        y, state = self._call_block(first, state, options)
        if not rest:
            return y, state
        outputs = [y]
        for block in rest:
            y, state = self._call_block(block, state, options)
            outputs.append(y)
        return y if self.reads == "last" else np.concatenate(outputs), state

    def _call_block(self, x: npt.ArrayLike, state: States | None, options: dict[str, Any]) -> tuple[Array, States]:
        """Run the network over an input; return its output and the LSTM's final states."""
        features, tokens = self.embed(x)
        start = self._start_state(features, state)
        y, state = self.lstm(features, start, **self._add_mask(features, tokens, options))
        return self.predict(self._read(y, state), x), state

    def _blocks_of_steps(self, x: npt.ArrayLike, options: dict[str, Any]) -> list[Any]:
        """Return a network's input in blocks of steps that can be run one after another, so that memory is bounded."""
        axes = (1, 2) if self.embedding is not None else (2, 3)
        plain = self.masked is None and not options.keys() - {"engine"}
        if not plain or self.lstm.directions != ("forward",) or not isinstance(x, np.ndarray) or x.ndim not in axes:
            return [x]
        batch = x.shape[1] if x.ndim == axes[1] else 1
        if not x.size or (self.embedding is None and x.shape[-1] != self.num_features):
            return [x]  # the whole run says what is wrong with it
        widest = max(cell.hidden_size for row in self.lstm.layers for cell in row)
        steps = max(MIN_STEPS, BLOCK // (batch * widest))
        return [x[at : at + steps] for at in range(0, len(x), steps)]

    def trace(self, x: npt.ArrayLike, state: States | None = None, **options: Any) -> NetworkTrace:
        """Run over a sequence and keep everything.

        Parameters
        ----------
        x, state
            As in a call.
        **options
            As in `LSTM.trace`; of the labels, the outputs are those of the head where there is one.

        Returns
        -------
        NetworkTrace
        """
        if "axes" in options or type(x) is not np.ndarray:
            named = self._named_input(x, options)
            x, options["labels"] = named.x, named.complete(options.get("labels"))
        features, tokens = self.embed(x)
        options, labels = self.split_labels(options)
        start = self._start_state(features, state)
        trace = self.lstm.trace(features, start, **self._add_mask(features, tokens, options))
        read = self._read(trace.output, trace.state)
        raw = None if (features is x and not self.skip) or tokens is not None else numbers("x", x)
        others = trace.labels if labels is NO_LABELS else trace.labels.replace(measures={})  # of what its LSTM reads
        return NetworkTrace(self, trace, tokens, read, self.predict(read, x), labels.or_else(others), raw)

    def _named_input(self, x: Any, options: dict[str, Any], *, quiet: bool = False) -> NamedInput:
        """Return an input of any kind as the network reads it; the options get its mask and lose its axes.

        Warn of other units than the network's, and unless it is `quiet` of gaps in time.
        """
        tokens, step = self.embedding is not None, TimeStep.of(self.time_step)
        named = named_input(x, options.pop("axes", None), self.feature_names, tokens=tokens, quiet=quiet, step=step)
        warn_of_data(unit_notes("x", named.labels.measures, self.labels.measures))
        if "mask" in options:
            options["mask"] = named.mask(options["mask"])
        return named

    def run_windows(self, x: npt.ArrayLike, ends: npt.ArrayLike | None = None, *, engine: str = "auto") -> Array:
        """Run over a series in windows, as the model is evaluated, and return the outputs of each window.

        Parameters
        ----------
        x : array, tensor, DataFrame, Series, DataArray or Dataset
            The features as in a call; NaN where a number is missing.
        ends : boolean array (time, batch) or (time,), optional
            The steps at which a window ends: see `window_ends`. By default all before which no number is missing, and
            no date of `x`.
        engine : str
            As in `LSTM`.

        Returns
        -------
        array (time, batch, output) or (time, output)
            The output of the window that ends at each step, in the units of ``outputs``; NaN where none does. On axes
            in the order of those of `x`.

        Raises
        ------
        OptionError
            If the network has no ``windows``, or a window would begin before the first step.
        ShapeError
            If a size does not match.

        Notes
        -----
        To the bit the last outputs of a trace of each window. The windows run as batches, which take little memory;
        the time is that of as many steps as all windows have.
        """
        if self.windows is None:
            raise OptionError("this network has no windows. Call trace instead of run_windows.")
        named, steps = self._named_input(x, {}, quiet=True), self.windows.steps
        features = self.checked_features(named.x)
        if ends is None:
            whole = window_ends(features, steps, time_breaks(named.labels.times))
        else:
            whole = array_of("ends", named.mask(ends))
            if whole.dtype != bool or whole.shape != features.shape[:-1]:
                raise ShapeError(
                    f"ends must be boolean, of shape {features.shape[:-1]}, not {whole.dtype} {whole.shape}"
                )
            if (early := whole[: steps - 1]).any():
                step = np.argwhere(early)[0][0]
                raise OptionError(
                    f"no window of {steps:,} steps ends at step {step}: it would begin before the first one"
                )
        series = features if features.ndim == 3 else features[:, None]
        whole = whole.reshape(series.shape[:2])
        require_memory(whole.size, self.num_outputs * self.lstm.dtype.itemsize, "the outputs of all windows")
        outputs = np.full((*whole.shape, self.num_outputs), np.nan, self.lstm.dtype)
        with working(f"running {counted(int(whole.sum()), 'window')}", int(whole.sum())) as done:
            for places, sequences, windows in window_batches(series, whole, steps, self.numbers_of_step):
                outputs[places, sequences] = self.trace(windows, keep=(), engine=engine).output[-1]
                done(len(places))
        return named.in_order(outputs if features.ndim == 3 else outputs[:, 0])

    def _start_state(self, features: npt.ArrayLike, state: States | None) -> States | None:
        """Return the initial state of a network's run: the caller's, or the network's for every sequence."""
        if state is not None or self.initial is None or np.ndim(features) not in (2, 3):
            return state
        return self.initial_state(np.shape(features)[1] if np.ndim(features) == 3 else None)

    def _add_mask(self, features: npt.ArrayLike, tokens: Tokens | None, options: dict[str, Any]) -> dict[str, Any]:
        """Return the options of the LSTM's call, with a mask if the network marks invalid steps by a value."""
        if not (options.get("mask") is None and options.get("lengths") is None):
            return options
        valid = self.valid_steps(features, tokens)
        if valid is None or valid.ndim not in (1, 2):  # the LSTM says what is wrong with it
            return options
        return {"masked_output": self.masked_output, **options, "lengths": None, "mask": valid}

    def _read(self, y: Array, state: States) -> Array:
        return y if self.reads == "every" else merge([h for h, _ in state[-1]], self.lstm.merge[-1])

    def stream(self, batch_size: int | None = None, *, engine: str = "auto") -> NetworkStream:
        """Return a stream: this network with a state that is carried from call to call; see `NetworkStream`."""
        return NetworkStream(self, batch_size, engine=engine)
