"""The series of a model that is evaluated in windows: its outputs, and the one window whose inside is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask
from gatewise.errors import OptionError, join_names, shown
from gatewise.network import Network, NetworkTrace, Windows
from gatewise.network.windows import made_features, window_ends
from gatewise.opening.costs import seconds
from gatewise.opening.model_input import ModelInput
from gatewise.records.labels import Labels
from gatewise.records.named_numbers import NamedNumbers
from gatewise.records.places import step_place
from gatewise.records.times import time_breaks, undated_note
from gatewise.showing import counted

MOST_COMPARED = 2000  # windows of a continuous run's comparison


def with_lags(network: Network | None, data: NamedNumbers | None, *, cut: bool) -> NamedNumbers | None:
    """Return the columns of a basin with those that a network's windows make of them; data without names as they are.

    Where a feature would be read from outside of the data, or beyond a gap between dates, it is NaN; with `cut`, the
    steps at the ends where it would be read from outside are left out, with a note.
    """
    windows = None if network is None else network.windows
    if network is None or windows is None or not windows.lags or data is None:
        return data
    names, heads = network.labels.features, data.features
    if names is None or heads is None:
        return data
    values = made_features(data.values, windows.sources(names, heads), time_breaks(data.labels.times))
    inside = windows.inside(len(values)) if cut else slice(None)
    times, notes = None if data.times is None else data.times[inside], cut_notes(windows) if cut else ()
    return replace(data, values=values[inside], times=times, features=tuple(names), notes=(*data.notes, *notes))


def cut_notes(windows: Windows) -> tuple[str, ...]:
    """Return the sentence about the steps of a series that a continuous run leaves out, if it does."""
    inside = windows.inside(0)
    steps = counted(inside.start - inside.stop, "step")
    return () if inside == slice(0, 0) else (f"{steps} left out, whose shifted features lie outside of the input",)


@dataclass(frozen=True, eq=False)
class WindowedSeries:
    """A series of which each output comes from a window of its own; see `gatewise.network.Windows`.

    Attributes
    ----------
    network : Network
    input : ModelInput
        The whole series, NaN where a number is missing.
    source : str
        Where it comes from, in errors.
    end : int
        The last step of the window whose inside is shown.
    """

    network: Network
    input: ModelInput
    source: str
    end: int = -1

    @property
    def windows(self) -> Windows:
        """The windows of the network."""
        assert self.network.windows is not None
        return self.network.windows

    @property
    def x(self) -> Array:
        """The series (time, batch, feature)."""
        x: Array = self.input.x
        return x if x.ndim == 3 else x[:, None]

    @property
    def times(self) -> Any:
        """The times of the steps, as labels have them; None without names."""
        return self.labels.times

    @property
    def labels(self) -> Labels:
        """The labels of the series."""
        labels: Labels = self.input.options.get("labels") or Labels()
        return labels

    @cached_property
    def ends(self) -> Mask:
        """The steps (time, batch) at which a whole window ends."""
        ends = window_ends(self.x, self.windows.steps, time_breaks(self.times))
        lengths = self.input.options.get("lengths")
        return ends if lengths is None else ends & (np.arange(len(ends))[:, None] < lengths)

    @cached_property
    def outputs(self) -> Array:
        """The output of the window that ends at each step (time, batch, output), NaN where none does."""
        return self._outputs_at(self.ends)

    def _outputs_at(self, ends: Mask) -> Array:
        return self.network.run_windows(self.x, ends)

    def ending(self, at: Any) -> WindowedSeries:
        """Return the series with the window that ends at a step, by its number or time.

        By default it is the last one that is whole of most sequences. Raise OptionError where it is whole of none.
        """
        counts, steps = self.ends.sum(-1), self.windows.steps
        whole = counts > 0
        length = counted(steps, "step")
        if len(whole) < steps:
            raise OptionError(
                f"{self.source} has {counted(len(whole), 'step')}, but the network is evaluated in windows of {length}."
                " Add --continuous to run it once over all steps."
            )
        if not whole.any():
            raise OptionError(f"{self.source} has no complete window of {length}: {self._first_missing()}")
        if at is None:
            return replace(self, end=int(np.flatnonzero(counts == counts.max())[-1]))
        end = step_place(at, len(whole), self.times)
        if not whole[end]:
            early = end < steps - 1
            why = "it would begin before the first one" if early else f"in {self.source} {self._first_missing()}"
            raise OptionError(f"no complete window of {length} ends at step {at}: {why}")
        return replace(self, end=end)

    @property
    def inside(self) -> slice:
        """The steps of the window whose inside is shown."""
        return slice(self.end + 1 - self.windows.steps, self.end + 1)

    def steps_inside(self, first: int | None, stop: int | None) -> tuple[int, int]:
        """Return the steps of the shown window that are in a slice of the series; raise OptionError if none is."""
        inside, places = self.inside, range(*slice(first, stop).indices(len(self.ends)))
        begin, end = max(places.start, inside.start), min(places.stop, inside.stop)
        if begin >= end:
            window = f"{inside.start}:{inside.stop}"
            raise OptionError(f"--steps must be inside the window that --at chooses, {window}")
        return begin - inside.start, end - inside.start

    @property
    def window(self) -> ModelInput:
        """The input of the window whose inside is shown, with its times; where it is not whole, no step is valid."""
        times = None if self.times is None else self.times[self.inside]
        options = self.input.options | {"labels": self.labels.replace(times=times)}
        if not (whole := self.ends[self.end]).all():
            options["lengths"] = np.where(whole, self.windows.steps, 0)
        return replace(self.input, x=self.input.x[self.inside], options=options)

    def trace(self) -> NetworkTrace:
        """Return the trace of the window whose inside is shown."""
        window = self.window
        trace: NetworkTrace = self.numbered(self.network.trace(window.x, **window.options))
        return trace

    def numbered(self, trace: Any) -> Any:
        """Return the trace of the window with the numbers that its steps have in the series."""
        layers = [
            {way: replace(cell, start=self.inside.start) for way, cell in row.items()} for row in trace.lstm.layers
        ]
        lstm = replace(trace.lstm, layers=tuple(layers))
        return lstm if trace.network is None else replace(trace, lstm=lstm)

    def seconds(self) -> float:
        """Return the seconds that the outputs of all windows take, about."""
        return seconds(self.network.lstm, self.windows.steps, int(self.ends.sum()))

    def when(self, step: int) -> str:
        """Return the time of a step, or its number."""
        return f"step {step}" if self.times is None else str(self.times[step])

    # In sentences.

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know of the windows: the one whose inside is shown, and those that are not whole."""
        begin, end = self.when(self.inside.start), self.when(self.end)
        notes = [
            f"the inside is that of the window from {begin} to {end}; --at chooses the one that ends at another step"
        ]
        possible = (len(self.ends) - self.windows.steps + 1) * self.ends.shape[1]
        if not (whole := self.ends[self.end]).all():
            names = self.labels.sequences or range(len(whole))
            others = join_names((str(name) for name, shown in zip(names, whole, strict=True) if not shown), most=9)
            notes.append(f"of sequence {others} that window is not whole, and none of its steps is shown")
        if lost := possible - int(self.ends.sum()):
            notes.append(
                f"{lost:,} of {counted(possible, 'window')} are not whole, and their outputs are NaN:"
                f" {self._first_missing()}"
            )
        return (*notes, *filter(None, [undated_note(self.times)]))

    def _first_missing(self) -> str:
        """Return the words for the first number that is missing, or the first gap between dates."""
        missing = np.argwhere(np.isnan(self.x))
        if len(missing):
            step, sequence, feature = missing[0].tolist()
            names = self.network.labels.features
            name = f"feature {feature}" if names is None else shown(names[feature], 60)
            of = f" of sequence {sequence}" if self.x.shape[1] > 1 else ""
            return f"{name} is missing at {self.when(step)}{of}" + (" and elsewhere" if len(missing) > 1 else "")
        breaks = time_breaks(self.times)
        step = 0 if breaks is None else int(np.flatnonzero(breaks)[0])
        return f"dates are missing before {self.when(step)}"

    def difference_note(self, outputs: Array, of: str = "") -> str:
        """Return the sentence about the outputs (time, batch, output) of one continuous run.

        It has their mean difference from the windows', measured at all whole windows with finite outputs, or at
        `MOST_COMPARED` spread evenly over them; `of` says of what they are some.
        """
        title, outputs = self.windows.continuous_note, outputs.reshape(*self.ends.shape, -1)
        places = np.flatnonzero(self.ends & np.isfinite(outputs).all(-1))
        if not len(places):
            return f"{title}; at no step that it has is a window{of} whole, so that the difference is not measured"
        chosen = np.unique(np.linspace(0, len(places) - 1, min(len(places), MOST_COMPARED)).round().astype(np.intp))
        ends = np.zeros_like(self.ends)
        ends.flat[places[chosen]] = True
        series = self._outputs_at(ends)[ends].astype(np.float64)
        difference = _in_deviations(np.abs(outputs[ends] - series).mean(0), series.std(0), self.network.labels.outputs)
        measured = f"{len(chosen):,} of {counted(len(places), 'window')}{of}"
        return f"{title}; its outputs are off theirs by {difference} on average, measured at {measured}"


def _in_deviations(apart: npt.NDArray[Any], deviations: npt.NDArray[Any], names: Sequence[str] | None) -> str:
    """Return the differences of outputs in standard deviations of their series; as they are where these are 0."""
    texts = []
    for place, (difference, deviation) in enumerate(zip(apart, deviations, strict=True)):
        name = f"output {place}" if names is None else shown(names[place], 60)
        unit = f"standard deviations of {name}" if deviation else f"in {name}, which is constant"
        texts.append(f"{difference / (deviation or 1):.2g} {unit}")
    return ", ".join(texts)
