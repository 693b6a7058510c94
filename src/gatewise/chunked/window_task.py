"""The work on one chunk of the data of a network that is evaluated in windows: each window's last step is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gatewise.arrays import Array, Mask, chunks
from gatewise.chunked.questions import SequenceQuestion
from gatewise.chunked.task import Chunk, Numbers, Task, put_part
from gatewise.network import Network
from gatewise.network.windows import window_batches, window_ends

NOT_WHOLE = "windows_not_whole"  # the variable that counts them, between the first valid step and the last


@dataclass(frozen=True, eq=False)
class WindowTask(Task):
    """A `Task` whose numbers at each step are those of the window that ends there; NaN where none does.

    A question is asked of the last window of each sequence; what it says of steps is NaN before that window.
    """

    def _empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        return np.full(shape, np.nan if dtype.kind == "f" else 0, dtype)

    def _fill_arrays(self, arrays: Mapping[str, Array], chunk: Chunk) -> None:
        """Run the windows of a chunk's sequences, and put their last steps into the arrays of the variables."""
        x, valid, model = chunk.x, chunk.valid, chunk.model
        assert model.windows is not None
        steps = model.windows.steps
        ends = window_ends(x, steps, self.breaks)
        span = np.where(valid.any(0), len(valid) - valid[::-1].argmax(0) - valid.argmax(0), 0)
        arrays[NOT_WHOLE][:] = np.maximum(0, span - steps + 1) - ends.sum(0)
        if isinstance(self.selection, SequenceQuestion):
            self._fill_answers(arrays, x, ends, steps, model)
            return
        ends[np.arange(len(ends)) % self.every > 0] = False
        last = {"every": max(1, steps - 1)}  # of the steps of a window: the first and the last
        selection = replace(self.selection, options={**self.selection.options, **last})
        for place in chunks(ends.shape[1], 1, 1 if self.alone else max(1, ends.shape[1])):
            for times, sequences, windows in window_batches(x[:, place], ends[:, place], steps, model.numbers_of_step):
                run = model.trace(windows, engine=self.engine, **selection.options)
                for part in selection.parts(run):
                    arrays[part.name][part.place][times // self.every, sequences + place.start] = part.array[-1]

    def _fill_answers(self, arrays: Mapping[str, Array], x: Numbers, ends: Mask, steps: int, model: Network) -> None:
        """Ask the question of each sequence's last window."""
        for sequence in np.flatnonzero(ends.any(0)).tolist():
            stop = int(np.flatnonzero(ends[:, sequence])[-1]) + 1
            window = slice(stop - steps, stop)
            run = model.trace(x[window, sequence], engine=self.engine, **self.selection.options)
            for part in self.selection.parts(run):
                put_part(arrays, part, slice(sequence, sequence + 1), window)
