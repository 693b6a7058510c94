"""Keep: the quantities, units and steps that a trace keeps, and the shapes of its arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from gatewise import gates
from gatewise.arrays import array_of, size
from gatewise.equations import NO_DROPOUT, DropoutMasks
from gatewise.errors import OptionError, one_of
from gatewise.parameters import Parameters
from gatewise.showing import counted, nth

STATES = ("cell_state", "hidden_state", "unprojected_state")
QUANTITIES = (*gates.NAMES, *STATES)
DIRECTIONS = ("forward", "backward")


@dataclass(frozen=True)
class Keep:
    """The quantities, units and steps that a trace keeps; everything by default.

    Parameters
    ----------
    quantities : sequence of str
        Of `QUANTITIES`.
    units : sequence of int, optional
        Which hidden units, counted from 0. A projected hidden state has no units and is kept whole.
    every : int
        Keep the steps 0, `every`, 2 · `every`, … of the input's time.

    Examples
    --------
    >>> trace = gw.LSTM(3, 8, rng=0).trace(np.ones((100, 3)), keep=["forget_gate"], units=[1, 5], every=10)
    >>> trace[0].forget_gate.shape, trace[0].keep.every
    ((10, 2), 10)
    """

    quantities: tuple[str, ...] = QUANTITIES
    units: tuple[int, ...] | None = None
    every: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.quantities, Iterable):
            raise OptionError(f"keep must be names of quantities, not {self.quantities!r}")
        names = (self.quantities,) if isinstance(self.quantities, str) else tuple(self.quantities)
        for quantity in names:
            one_of("keep", quantity, QUANTITIES)
        object.__setattr__(self, "quantities", tuple(name for name in QUANTITIES if name in names))
        size("every", self.every, most=None)
        if self.units is not None:
            units = array_of("units", self.units)
            if units.ndim != 1 or units.dtype.kind not in "iu" or not units.size or units.min() < 0:
                raise OptionError(f"units must be one or more non-negative integers, not {self.units!r}")
            object.__setattr__(self, "units", tuple(int(unit) for unit in units))

    @cached_property
    def everything(self) -> bool:
        """Whether nothing is left out, so that steps can be shown and gradients computed."""
        return self.quantities == QUANTITIES and self.units is None and self.every == 1

    def __str__(self) -> str:
        """Return the quantities, units and steps in words, or "everything"."""
        if self.everything:
            return "everything"
        text = "all quantities" if self.quantities == QUANTITIES else " and ".join(self.quantities) or "nothing"
        text += "" if self.units is None else f" of {counted(len(self.units), 'unit')}"
        return text if self.every == 1 else f"{text} of every {nth(self.every)} step"

    @cached_property
    def gate_letters(self) -> str:
        """The letters of the gates that a trace keeps."""
        return "".join(
            letter for letter, name in zip(gates.LETTERS, gates.NAMES, strict=True) if name in self.quantities
        )

    @cached_property
    def places(self) -> tuple[int, ...]:
        """The position of each gate among those that are kept; -1 for one that is not."""
        return tuple(self.gate_letters.find(letter) for letter in gates.LETTERS)

    def shapes(
        self, p: Parameters, time: int, batch: int, dropout: DropoutMasks = NO_DROPOUT, apart: bool = False
    ) -> dict[str, tuple[int, ...]]:
        """Return the shape of each array that a trace of a run holds: the gates side by side, then the states.

        The unprojected state is an array of its own only where something comes between it and the hidden state: a
        projection, zoneout, or where it is `apart` for another reason.
        """
        if self.units is not None and max(self.units) >= p.hidden_size:
            raise OptionError(f"there is no unit {max(self.units)}; this cell has units 0 to {p.hidden_size - 1}")
        units = p.hidden_size if self.units is None else len(self.units)
        steps = len(range(0, time, self.every))
        names, separate = self.quantities, apart or p.projection is not None or dropout.zoneout_hidden is not None
        shapes: dict[str, tuple[int, ...]] = {}
        if self.gate_letters:
            shapes["gates"] = (steps, batch, len(self.gate_letters), units)
        if "cell_state" in names:
            shapes["cell_state"] = (steps, batch, units)
        if "hidden_state" in names or ("unprojected_state" in names and not separate):
            shapes["hidden_state"] = (steps, batch, units if p.projection is None else p.recurrent_size)
        if "unprojected_state" in names and separate:
            shapes["unprojected_state"] = (steps, batch, units)
        return shapes


EVERYTHING, NOTHING = Keep(), Keep(())


def keep_of_options(keep: str | Sequence[str] | None, units: Sequence[int] | None, every: int) -> Keep:
    """Return the `Keep` that a run's options `keep`, `units` and `every` describe; EVERYTHING itself by default."""
    if keep is None and units is None and isinstance(every, int) and every == 1:
        return EVERYTHING
    return Keep(QUANTITIES if keep is None else keep, units, every)  # type: ignore[arg-type]
