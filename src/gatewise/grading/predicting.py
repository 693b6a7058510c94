"""What mistakes make of a quantity: of many mistakes at once, or of one, with how far off that may be."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.grading import spreading
from gatewise.grading.candidates import Effect
from gatewise.grading.chain import Chain, Place, Quantity, Values
from gatewise.symbolic.evaluation import evaluate, rank
from gatewise.symbolic.formula import Formula, Symbol, symbols

Indices = npt.NDArray[np.intp]


class Predictor:
    """Computes lines of a run from the person's own numbers, with edits in them.

    Parameters
    ----------
    chain : Chain
    own : Values
        Every quantity as it follows from the person's own numbers.
    unit : float
        How far off a number may be that is on no sheet: rounded on the way, like those that are on it.
    sequences : array of int, optional
        The sequences in which the mistakes are made; by default all.
    """

    def __init__(self, chain: Chain, own: Values, unit: float = 0.0, sequences: Indices | None = None) -> None:
        self.chain, self.unit = chain, unit
        self.batch = chain.batch if sequences is None else len(sequences)
        whole = {place for place, line in chain.makers.items() if line.summed or line.total}

        def taken(values: Mapping[Place, Array]) -> Mapping[Place, Array]:
            if sequences is None:
                return values
            return {p: v if p[1] is None or p in whole else v[sequences] for p, v in values.items()}

        self.given, self.value, self.tolerance = map(taken, (chain.given, own.value, own.tolerance))

    def many(self, cone: Sequence[Quantity], effects: Sequence[Effect]) -> Array | None:
        """Return what each mistake makes of the last of some lines: (mistakes, ·), NaN where it cannot be made.

        None where no mistake reaches it.
        """
        moved: dict[Place, Array] = {}
        forms: dict[Place, dict[object, tuple[Formula, list[int]]]] = {}
        for k, effect in enumerate(effects):
            for place, made in effect.items():
                forms.setdefault(place, {}).setdefault(made.form, (made.right, []))[1].append(k)
        for line in cone:
            reached = any(self.chain.place(symbol, line.at) in moved for symbol in symbols(line.right))
            here = forms.get(line.place, {})
            if not reached and not here:
                continue
            base = self._value(line, line.right, moved) if reached else self.value[line.place]
            found = np.array(np.broadcast_to(base, (len(effects), *self.value[line.place].shape)))
            for right, which in here.values():
                try:
                    found[which] = self._value(line, right, moved, which)
                except (KeyError, ValueError):  # it uses what there is not, or what has another size
                    found[which] = np.nan
            moved[line.place] = found
        return moved.get(cone[-1].place)

    def one(
        self, lines: Sequence[Quantity], effect: Effect, written: Collection[Place]
    ) -> dict[Place, tuple[Array, Array]]:
        """Return what a mistake makes of each line that is written, and how far off that may be.

        What follows from a written line follows from what was written. A line that cannot be computed, and one that
        the mistake does not reach, are left out.
        """
        moved: dict[Place, Array] = {}
        off: dict[Place, Array] = {}
        found: dict[Place, tuple[Array, Array]] = {}
        for line in lines:
            made = effect.get(line.place)
            right = line.right if made is None else made.right
            if made is None and not any(self.chain.place(symbol, line.at) in moved for symbol in symbols(right)):
                continue
            try:
                value, tolerance = self._spread(line, right, moved, off)
            except (KeyError, ValueError):
                continue
            if line.place in written:
                found[line.place] = value, tolerance
            else:
                moved[line.place] = value
                off[line.place] = tolerance if line.copied else tolerance + self.unit
        return found

    def alone(self, line: Quantity, right: Formula) -> tuple[Array, Array] | None:
        """Return what another formula gives, of any shape, and how far off that may be; None if it gives nothing."""
        try:
            return self._spread(line, right, {}, {})
        except (KeyError, ValueError):
            return None

    def _find(self, symbol: Symbol, at: int | None, moved: Mapping[Place, Array]) -> tuple[Place, Array]:
        place = self.chain.place(symbol, at)
        if symbol.time is not None and place in self.given:
            return place, self.given[place]
        for values in (moved, self.value, self.given):
            if place in values:
                return place, values[place]
        raise KeyError(symbol)

    def _value(
        self, line: Quantity, right: Formula, moved: Mapping[Place, Array], which: Sequence[int] | None = None
    ) -> Array:
        env = {}
        for symbol in symbols(right):
            place, value = self._find(symbol, line.at, moved)
            own = place in moved and value is moved[place]
            env[symbol] = value[which] if own and which is not None else value
        with np.errstate(all="ignore"):
            value = self._of_batch(
                np.asarray(evaluate(right, env, self.chain.program.ranks), dtype=np.float64), line, right
            )
        return value.sum(-1 - line.rank) if line.summed and not line.total else value

    def _spread(
        self, line: Quantity, right: Formula, moved: Mapping[Place, Array], off: Mapping[Place, Array]
    ) -> tuple[Array, Array]:
        env, tolerances = {}, {}
        for symbol in symbols(right):
            place, env[symbol] = self._find(symbol, line.at, moved)
            tolerances[symbol] = off[place] if place in moved else self.tolerance.get(place)
        with np.errstate(all="ignore"):
            spread = spreading.spread(right, env, tolerances, self.chain.program.ranks)
        value, tolerance = (self._of_batch(one, line, right) for one in spread)
        if line.summed and not line.total:
            return value.sum(0), tolerance.sum(0)
        return value, tolerance

    def _of_batch(self, value: Array, line: Quantity, right: Formula) -> Array:
        """Return a value with an axis for the sequences, which one that is made of parameters alone has not."""
        if line.total or value.ndim > rank(right, self.chain.program.ranks):
            return value
        return np.broadcast_to(value, (self.batch, *value.shape))
