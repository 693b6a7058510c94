"""The mistakes that can be made in a run: an edit of one equation, at every step, in every gate, or everywhere."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gatewise.arrays import Array, Mask
from gatewise.errors import join_names
from gatewise.grading.chain import Chain, Quantity, SymbolAtStep
from gatewise.grading.edits import words
from gatewise.grading.edits.canonical import canonical
from gatewise.grading.edits.carries import carry_edits, total_edits
from gatewise.grading.edits.edit import LIKELY, STRUCTURAL, ProgramEdit, Scene
from gatewise.grading.edits.entries import digit_edits, one_hot, product_edits, sign_edits, unit_edits
from gatewise.grading.edits.enumeration import PossibleEdit, enumerate_edits
from gatewise.symbolic.formula import Formula, Outer


@dataclass(frozen=True)
class AppliedEdit:
    """An edit in one equation of a run, and the right side that it makes."""

    edit: ProgramEdit
    place: SymbolAtStep
    right: Formula
    form: Hashable  # shared by equal right sides


Mistake = dict[SymbolAtStep, AppliedEdit]  # edits of one kind with the same words, in one equation or in several
Effect = Mapping[SymbolAtStep, AppliedEdit]  # the part of a mistake that is in some lines
Key = frozenset[tuple[SymbolAtStep, Hashable]]  # the new right sides there: equal for mistakes with the same effect


class Catalogue:
    """The edits of a run by their equations, and the mistakes that they form."""

    def __init__(self, chain: Chain) -> None:
        """Collect the possible mistakes of a run by the equation that they change."""
        self.chain = chain
        p = chain.sequences[0][0].parameters
        self.scene = Scene(chain.program, p.recurrent_size, p.recurrent_size + p.input_size)
        self.by_place: dict[SymbolAtStep, list[AppliedEdit]] = {}
        self._scopes: dict[int, list[tuple[Mistake, Key]]] = {}  # by the id of an edit in `by_place`
        self._forms: dict[Hashable, object] = {}  # an object for each canonical form: quick to compare
        self.families: dict[tuple[str, str, bool, bool], dict[SymbolAtStep, AppliedEdit]] = {}
        by_target: dict[object, list[PossibleEdit]] = {}
        for possible in enumerate_edits(self.scene):
            by_target.setdefault(possible.edit.target, []).append(possible)
        for line in chain.lines:
            self._add_edits(
                line,
                by_target.get(line.symbol, ()) if line.asked and not line.total else self._edits_between_steps(line),
            )

    def _edits_between_steps(self, line: Quantity) -> Iterator[PossibleEdit]:
        """Yield the mistakes in a state that a step takes from its neighbour, or in a sum over all steps."""
        right = canonical(line.right)
        every: Iterable[ProgramEdit] = (
            total_edits(line.symbol, line.right) if line.total else self._edits_of_carries(line)
        )
        for edit in every:
            if (form := canonical(edit.tree)) != right:
                yield PossibleEdit(edit, edit.tree, form)

    def _edits_of_carries(self, line: Quantity) -> Iterator[ProgramEdit]:
        assert line.step is not None
        every = carry_edits(self.chain.program, line.step, self.chain.steps)
        return (edit for edit in every if edit.target == line.symbol)

    def _add_edits(self, line: Quantity, possible_edits: Iterable[PossibleEdit]) -> None:
        """Add the possible mistakes of one line of the run to the catalogue, in their families."""
        place, gate = line.place, words.gate_of(line.symbol)
        for edit, right, form in possible_edits:
            applied = AppliedEdit(edit, place, right, self._forms.setdefault(form, object()))
            self.by_place.setdefault(place, []).append(applied)
            self.families.setdefault(self._family_key(edit, line, gate), {}).setdefault(place, applied)

    def _family_key(self, edit: ProgramEdit, line: Quantity, gate: str) -> tuple[str, str, bool, bool]:
        """Return the key that all edits of one mistake share: kind, words, direction, and whether they are of gates."""
        return edit.kind, words.for_any_gate(edit.words, gate), line.backward, bool(gate)

    def scopes(self, applied: AppliedEdit) -> list[Mistake]:
        """Return the mistakes with an edit of one equation: alone, at every step, in the whole step, everywhere."""
        symbol, step = applied.place
        family = self.families[self._family_key(applied.edit, self.chain.makers[applied.place], words.gate_of(symbol))]
        mistakes = [{applied.place: applied}]
        if len(family) > 1:
            mistakes.append({place: edit for place, edit in family.items() if place[0] == symbol})
            mistakes.append({place: edit for place, edit in family.items() if place[1] == step})
            mistakes.append(family)
        if "{}" not in applied.edit.words:  # it is not made in one place alone
            mistakes = [family]
        return [mistake for n, mistake in enumerate(mistakes) if len(mistake) > len(mistakes[n - 1]) or n == 0]

    def _scopes_with_keys(self, applied: AppliedEdit) -> list[tuple[Mistake, Key]]:
        """Return the mistakes that contain an edit, each with the key of its effect."""
        if (scopes := self._scopes.get(id(applied))) is None:
            scopes = self._scopes[id(applied)] = [(mistake, _effect_key(mistake)) for mistake in self.scopes(applied)]
        return scopes

    def describe(self, mistake: Mistake) -> str:
        """Return a mistake in words, for the person who made it: the change, and its equations and steps."""
        lines = [self.chain.makers[place] for place in mistake]
        names = list(dict.fromkeys(line.name.partition("[")[0] for line in lines))
        first, *others = (applied.edit.words for applied in mistake.values())
        if all(other == first for other in others):
            return first.format(self._lines_in_words(lines, names))
        gates = list(dict.fromkeys(words.gate_of(line.symbol) for line in lines))
        general_names = [words.for_any_gate(line.name.partition("[")[0], words.gate_of(line.symbol)) for line in lines]
        general_names = list(dict.fromkeys(general_names))
        clause = words.for_any_gate(first, gates[0])
        if len(general_names) * len(gates) == len(names):
            letters = join_names(gates, "and", most=words.MOST_NAMES)
            return f"{clause.format(self._lines_in_words(lines, general_names))}, for k = {letters}"
        return f"{clause.format(self._lines_in_words(lines, names))}, where k is the gate of each"

    def effects_on(self, lines: Sequence[Quantity], most: int) -> list[tuple[Effect, list[Mistake]]]:
        """Return about `most` effects of mistakes on some lines of a run, each with the mistakes that have it."""
        places = {line.place for line in lines}
        mistakes_by_key: dict[Key, tuple[Effect, list[Mistake]]] = {}
        for tier in (LIKELY, STRUCTURAL):
            for line in lines:
                if len(mistakes_by_key) > most:
                    break
                for applied in self.by_place.get(line.place, ()):
                    for mistake, key in self._scopes_with_keys(applied) if applied.edit.tier == tier else ():
                        effect: Effect = mistake
                        if not mistake.keys() <= places:
                            effect = {place: edit for place, edit in mistake.items() if place in places}
                            key = _effect_key(effect)
                        _, mistakes = mistakes_by_key.setdefault(key, (effect, []))
                        if not any(mistake is other for other in mistakes):
                            mistakes.append(mistake)
        return list(mistakes_by_key.values())

    def _lines_in_words(self, lines: Sequence[Quantity], names: Sequence[str]) -> str:
        """Return the lines and steps in which a mistake was made as words: f and i at step 1."""
        if len(lines) == 1:
            return lines[0].name
        steps = {line.step for line in lines}
        if len(lines) != len({line.symbol for line in lines}) * len(steps):
            return join_names((line.name for line in lines), "and", most=words.MOST_NAMES)
        which_steps = self._steps_in_words(sorted(t for t in steps if t is not None))
        return join_names(names, "and", most=words.MOST_NAMES) + which_steps

    def _steps_in_words(self, steps: Sequence[int]) -> str:
        """Return the steps in which a mistake was made as words: at step 1; nothing if the run has a single step."""
        if not steps or self.chain.steps == 1:
            return ""
        if len(steps) == 1:
            return f" at step {steps[0]}"
        missing = sorted({*range(self.chain.steps)} - {*steps})
        if missing in ([], [0], [self.chain.steps - 1]):
            return " at every step" + (" but the first" if missing == [0] else " but the last" if missing else "")
        return f" at steps {join_names(steps, 'and', most=words.MOST_NAMES)}"


def _effect_key(effect: Effect) -> Key:
    return frozenset((place, edit.form) for place, edit in effect.items())


def entry_slips(
    chain: Chain, lines: Sequence[Quantity], wrong: Mask, values: Mapping[SymbolAtStep, Array], tolerance: float
) -> Iterator[tuple[Effect, list[Mistake]]]:
    """Yield slips in one entry of the last of some lines, or of a line before it, if no other entry is wrong.

    `wrong` tells the wrong entries of the last line, `values` the numbers to be written for each line, and `tolerance`
    half of their last digit.
    """
    last = lines[-1]
    entries = {tuple(map(int, place)) for place in np.argwhere(wrong)[:, -last.rank :]} if last.rank else set()
    if len({place[0] for place in entries}) != 1:
        return
    unit, *columns = entries.pop()
    for line in lines:
        if not line.asked or line.over != last.over or line.rank > last.rank:
            continue
        program_edits = list(_unit_edits(chain, line, unit))
        if line is not last:
            program_edits += _entry_edits(chain, line, unit)
            if columns and not entries and (line.rank, line.across) == (2, last.across):
                program_edits += _entry_edits(chain, line, unit, *columns)
            value = values.get(line.place, np.zeros(0))
            if line.rank == 1 and value.size == value.shape[-1]:
                program_edits += _digit_edits(chain, line, unit, float(value.reshape(-1)[unit]), tolerance)
        for edit in program_edits:
            right = edit.apply_to(line.right)
            applied = AppliedEdit(edit, line.place, right, canonical(right))
            yield {line.place: applied}, [{line.place: applied}]


def _unit_edits(chain: Chain, line: Quantity, unit: int) -> Iterator[ProgramEdit]:
    """Yield the slips in one unit of a line: a product left out, or another unit's number."""
    names = chain.names[line.over]
    yield from product_edits(line.assignment, unit, len(names), line.products, names[unit])
    yield from unit_edits(line.assignment, unit, names)


def _entry_edits(chain: Chain, line: Quantity, unit: int, column: int | None = None) -> Iterator[ProgramEdit]:
    """Yield sign and decimal-point slips in a unit's number, in its row of a matrix, or in one number of that row."""
    names, columns = chain.names[line.over], chain.names[line.across]
    selector: Formula = one_hot(unit, len(names))
    if column is None:
        yield from sign_edits(line.assignment, selector, names[unit])
    else:
        selector = Outer(selector, one_hot(column, len(columns)))
        yield from sign_edits(line.assignment, selector, f"{names[unit]}, {columns[column]}")


def _digit_edits(chain: Chain, line: Quantity, unit: int, number: float, tolerance: float) -> Iterator[ProgramEdit]:
    """Yield the slips that exchange two digits of one unit's number, if it is rounded."""
    names = chain.names[line.over]
    if tolerance:
        yield from digit_edits(line.assignment, unit, len(names), number, tolerance, names[unit])
