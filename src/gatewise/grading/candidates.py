"""The mistakes that can be made in a run: each an edit of one equation, at every step, in every gate, or everywhere."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gatewise.arrays import Array, Mask
from gatewise.errors import join_names
from gatewise.grading.chain import Chain, Place, Quantity
from gatewise.grading.edits import words
from gatewise.grading.edits.canonical import canonical
from gatewise.grading.edits.carries import of_carries, of_totals
from gatewise.grading.edits.edit import LIKELY, STRUCTURAL, Edit, Scene
from gatewise.grading.edits.entries import mask, of_digits, of_products, of_signs, of_units
from gatewise.grading.edits.enumeration import Possible, edits
from gatewise.symbolic.formula import Formula, Outer


@dataclass(frozen=True)
class Made:
    """An edit made in one equation of a run.

    Attributes
    ----------
    edit : Edit
    place : Place
    right : Formula
        What the equation becomes.
    form : hashable
        Its canonical form, or what stands for that.
    """

    edit: Edit
    place: Place
    right: Formula
    form: Hashable


Mistake = dict[Place, Made]  # made in one equation or in several: edits of one kind, in the same words
Effect = Mapping[Place, Made]  # a mistake as far as it is made in some lines
Key = frozenset[tuple[Place, Hashable]]  # what it makes of these, whatever it is called


class Catalogue:
    """The edits of a run, by the equations in which they can be made, and the mistakes that they are together."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        p = chain.sequences[0][0].parameters
        self.scene = Scene(chain.program, p.recurrent_size, p.recurrent_size + p.input_size)
        self.by_place: dict[Place, list[Made]] = {}
        self._scopes: dict[int, list[tuple[Mistake, Key]]] = {}  # of what is made, by its id: it stays in `by_place`
        self._forms: dict[Hashable, object] = {}  # what stands for each canonical form: quickly told apart
        self.families: dict[tuple[str, str, bool, bool], dict[Place, Made]] = {}
        by_target: dict[object, list[Possible]] = {}
        for possible in edits(self.scene):
            by_target.setdefault(possible.edit.target, []).append(possible)
        for line in chain.lines:
            self._add(line, by_target.get(line.symbol, ()) if line.asked and not line.total else self._unrolled(line))

    def _unrolled(self, line: Quantity) -> Iterator[Possible]:
        """Go through the edits of what a step takes from its neighbours, and of sums over all steps."""
        right = canonical(line.right)
        every: Iterable[Edit] = of_totals(line.symbol, line.right) if line.total else self._carries(line)
        for edit in every:
            if (form := canonical(edit.tree)) != right:
                yield Possible(edit, edit.tree, form)

    def _carries(self, line: Quantity) -> Iterator[Edit]:
        assert line.at is not None
        every = of_carries(self.chain.program, line.at, self.chain.steps)
        return (edit for edit in every if edit.target == line.symbol)

    def _add(self, line: Quantity, found: Iterable[Possible]) -> None:
        place, gate = line.place, words.gate_of(line.symbol)
        for edit, right, form in found:
            made = Made(edit, place, right, self._forms.setdefault(form, object()))
            self.by_place.setdefault(place, []).append(made)
            self.families.setdefault(self._family(edit, line, gate), {}).setdefault(place, made)

    def _family(self, edit: Edit, line: Quantity, gate: str) -> tuple[str, str, bool, bool]:
        """Return what edits have in common that are one mistake: also the direction, and whether they are of gates."""
        return edit.kind, words.neutral(edit.words, gate), line.backward, bool(gate)

    def scopes(self, made: Made) -> list[Mistake]:
        """Return the mistakes that an edit of one equation is part of: the edit alone, the same at every step, in every
        equation of the step, and everywhere.
        """
        symbol, at = made.place
        family = self.families[self._family(made.edit, self.chain.makers[made.place], words.gate_of(symbol))]
        found = [{made.place: made}]
        if len(family) > 1:
            found.append({place: one for place, one in family.items() if place[0] == symbol})
            found.append({place: one for place, one in family.items() if place[1] == at})
            found.append(family)
        if "{}" not in made.edit.words:  # it is not made in one place alone
            found = [family]
        return [one for n, one in enumerate(found) if len(one) > len(found[n - 1]) or n == 0]

    def _keyed(self, made: Made) -> list[tuple[Mistake, Key]]:
        """Return the same with what each makes of its lines."""
        if (found := self._scopes.get(id(made))) is None:
            found = self._scopes[id(made)] = [(mistake, _key(mistake)) for mistake in self.scopes(made)]
        return found

    def says(self, mistake: Mistake) -> str:
        """Return what was done, and where."""
        lines = [self.chain.makers[place] for place in mistake]
        names = list(dict.fromkeys(line.name.partition("[")[0] for line in lines))
        first, *others = (made.edit.words for made in mistake.values())
        if all(other == first for other in others):
            return first.format(self._where(lines, names))
        gates = list(dict.fromkeys(words.gate_of(line.symbol) for line in lines))
        of_any = [words.neutral(line.name.partition("[")[0], words.gate_of(line.symbol)) for line in lines]
        of_any = list(dict.fromkeys(of_any))
        told = words.neutral(first, gates[0])
        if len(of_any) * len(gates) == len(names):
            return (
                f"{told.format(self._where(lines, of_any))}, for k = {join_names(gates, 'and', most=words.MOST_NAMES)}"
            )
        return f"{told.format(self._where(lines, names))}, where k is the gate of each"

    def effects(self, cone: Sequence[Quantity], most: int) -> list[tuple[Effect, list[Mistake]]]:
        """Return what mistakes do to some lines, each with the mistakes that do just that; about so many at most."""
        places = {line.place for line in cone}
        found: dict[Key, tuple[Effect, list[Mistake]]] = {}
        for tier in (LIKELY, STRUCTURAL):
            for line in cone:
                if len(found) > most:
                    break
                for made in self.by_place.get(line.place, ()):
                    for mistake, key in self._keyed(made) if made.edit.tier == tier else ():
                        effect: Effect = mistake
                        if not mistake.keys() <= places:
                            effect = {place: one for place, one in mistake.items() if place in places}
                            key = _key(effect)
                        _, mistakes = found.setdefault(key, (effect, []))
                        if not any(mistake is other for other in mistakes):
                            mistakes.append(mistake)
        return list(found.values())

    def _where(self, lines: Sequence[Quantity], names: Sequence[str]) -> str:
        """Say in which equations, of the given names, and at which steps."""
        if len(lines) == 1:
            return lines[0].name
        steps = {line.at for line in lines}
        if len(lines) != len({line.symbol for line in lines}) * len(steps):
            return join_names((line.name for line in lines), "and", most=words.MOST_NAMES)
        return join_names(names, "and", most=words.MOST_NAMES) + self._at(sorted(t for t in steps if t is not None))

    def _at(self, steps: Sequence[int]) -> str:
        """Say at which steps."""
        if not steps or self.chain.steps == 1:
            return ""
        if len(steps) == 1:
            return f" at step {steps[0]}"
        left = sorted({*range(self.chain.steps)} - {*steps})
        if left in ([], [0], [self.chain.steps - 1]):
            return " at every step" + (" but the first" if left == [0] else " but the last" if left else "")
        return f" at steps {join_names(steps, 'and', most=words.MOST_NAMES)}"


def _key(effect: Effect) -> Key:
    return frozenset((place, one.form) for place, one in effect.items())


def slips(
    chain: Chain, cone: Sequence[Quantity], off: Mask, values: Mapping[Place, Array], tolerance: float
) -> Iterator[tuple[Effect, list[Mistake]]]:
    """Go through the slips in one entry of the last of some lines, or of one before it, where only that is wrong.

    Parameters
    ----------
    chain : Chain
    cone : sequence of Quantity
    off : boolean array
        Which entries of the last are wrong: all of one unit, or, in a matrix, one.
    values : dict of Place to array
        What there is to be written for each line.
    tolerance : float
        Half of the last digit that somebody writes.
    """
    last = cone[-1]
    wrong = {tuple(map(int, place)) for place in np.argwhere(off)[:, -last.rank :]} if last.rank else set()
    if len({place[0] for place in wrong}) != 1:
        return
    unit, *columns = wrong.pop()
    for line in cone:
        if not line.asked or line.over != last.over or line.rank > last.rank:
            continue
        every = list(_of_unit(chain, line, unit))
        if line is not last:
            every += _of_entry(chain, line, unit)
            if columns and not wrong and (line.rank, line.across) == (2, last.across):
                every += _of_entry(chain, line, unit, *columns)
            value = values.get(line.place, np.zeros(0))
            if line.rank == 1 and value.size == value.shape[-1]:
                every += _of_writing(chain, line, unit, float(value.reshape(-1)[unit]), tolerance)
        for edit in every:
            right = edit.made(line.right)
            made = Made(edit, line.place, right, canonical(right))
            yield {line.place: made}, [{line.place: made}]


def _of_unit(chain: Chain, line: Quantity, unit: int) -> Iterator[Edit]:
    names = chain.names[line.over]
    yield from of_products(line.assignment, unit, len(names), line.products, names[unit])
    yield from of_units(line.assignment, unit, names)


def _of_entry(chain: Chain, line: Quantity, unit: int, column: int | None = None) -> Iterator[Edit]:
    """Go through what may happen to a unit's number, or to its row of a matrix, or to one number of that."""
    names, columns = chain.names[line.over], chain.names[line.across]
    here: Formula = mask(unit, len(names))
    if column is None:
        yield from of_signs(line.assignment, here, names[unit])
    else:
        here = Outer(here, mask(column, len(columns)))
        yield from of_signs(line.assignment, here, f"{names[unit]}, {columns[column]}")


def _of_writing(chain: Chain, line: Quantity, unit: int, number: float, tolerance: float) -> Iterator[Edit]:
    names = chain.names[line.over]
    if tolerance:
        yield from of_digits(line.assignment, unit, len(names), number, tolerance, names[unit])
