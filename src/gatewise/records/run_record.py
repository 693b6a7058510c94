"""RunRecord: the questions that the record of a run answers, be it of one cell, of an LSTM or of a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from gatewise.arrays import Array
from gatewise.errors import OptionError
from gatewise.records.edits import Edit, in_words
from gatewise.records.places import place_of
from gatewise.showing import counted, inline


class RunRecord:
    """The record of a run: a `Trace` of one cell, an `LSTMTrace`, or a `NetworkTrace`.

    All of them answer the same questions, so that no code needs to know which one it has:

    ========================  ==================================================================================
    ``lstm``                  the `LSTMTrace`; of one cell, an LSTM of one layer
    ``network``, ``tokens``   the `Network` that ran, and the tokens that it embedded; None where there is none
    ``cells()``               the `Trace` of every cell, by layer and direction
    ``[layer, direction]``    the `Trace` of one cell
    ``only_cell(purpose)``    the `Trace` of the only cell
    ``sequence(i)``           the run of one sequence of the batch, without a batch axis
    ``labels``                names of features, units, outputs, sequences and times
    ``stored``                the same run with a batch axis in every quantity
    ``require(purpose)``      raises `NotKeptError` unless everything was kept
    ``to_xarray()``           a `Dataset` of one cell, else a `DataTree`
    ``to_dataframe()``        a `DataFrame` with a row for each step and sequence
    ========================  ==================================================================================

    An input without a batch axis gives quantities without one: ``batched`` is False then, and a gate is
    (time, hidden). What is stored always has a batch axis; code that must not care takes the run that is `stored`.
    """

    network: Any = None
    tokens: Any = None

    if TYPE_CHECKING:  # each kind has its own: fields here would be defaults of theirs

        @property
        def lstm(self) -> Any:
            """The trace of the LSTM."""

        @property
        def labels(self) -> Any:
            """The names of features, units, outputs, sequences and times."""

        @property
        def batched(self) -> bool:
            """Whether the input had a batch axis."""

        @property
        def num_steps(self) -> int:
            """The number of steps of the run."""

        @property
        def stored(self) -> Self:
            """The same run with a batch axis in every quantity."""

        def _only(self, which: slice) -> Self:
            """Return the run of one sequence, which is all that `which` selects."""

    def cells(self) -> Mapping[tuple[int, str], Any]:
        """Return the trace of every cell, by layer and direction."""
        cells: Mapping[tuple[int, str], Any] = self.lstm.cells()
        return cells

    def __getitem__(self, key: Any) -> Any:
        return self.lstm[key]

    __iter__: Any = None  # over layers, cells or steps? `cells` and slices say

    def only_cell(self, purpose: str) -> Any:
        """Return the trace of the only cell.

        Raises
        ------
        OptionError
            If there are several; `purpose` is the subject of the sentence.
        """
        cells = self.cells()
        if len(cells) != 1:
            raise OptionError(
                f"{purpose} needs the trace of one cell, such as trace[0, 'forward']; this run has"
                f" {counted(len(cells), 'cell')}"
            )
        return next(iter(cells.values()))

    @property
    def batch_size(self) -> int:
        """The number of sequences in the batch."""
        return int(next(iter(self.cells().values())).initial.h.shape[0])

    def sequence(self, sequence: int | str) -> Self:
        """Return the run of one sequence of the batch, without a batch axis; its arrays are views.

        Parameters
        ----------
        sequence : int or str
            Its place in the batch, or its name; a negative place counts from the end.

        Raises
        ------
        OptionError
            If there is no such sequence.
        """
        place = place_of("sequence", sequence, self.batch_size, self.labels.sequences)
        return self._only(slice(place, place + 1))

    def require(self, purpose: str) -> Array:
        """Return the input of the first cell (time, batch, input), in a run that kept everything.

        Raises
        ------
        NotKeptError
            If it kept less; `purpose` is the subject of the sentence.
        """
        first, *_ = [cell.require(purpose) for cell in self.cells().values()]
        array: Array = first
        return array

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits of all cells, each with its layer and direction; `LSTM.trace` takes them as they are."""
        return tuple(edit for cell in self.cells().values() for edit in cell.edits)

    def require_unedited(self, purpose: str) -> None:
        """Raise OptionError if the run was edited; `purpose` is the subject of the sentence."""
        for cell in self.cells().values():
            if cell.edits:
                raise OptionError(f"{purpose} needs a run without edits; this one is edited: {cell.edits_said()}")

    def edits_said(self, most: int = 3) -> str:
        """Return the edits in words, at most so many of them; nothing where there are none."""
        return in_words(self.edits, most)

    def _repr_html_(self) -> str:
        return inline(self)
