"""The mistakes that can be made in a run: each an edit of one equation, at every step, in every gate, or everywhere."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from gatewise.grading.chain import Chain, Place, Quantity
from gatewise.grading.edits import words
from gatewise.grading.edits.canonical import canonical
from gatewise.grading.edits.carries import of_carries, of_totals
from gatewise.grading.edits.edit import Edit, Scene
from gatewise.grading.edits.enumeration import edits
from gatewise.symbolic.formula import Formula


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
        Its canonical form.
    """

    edit: Edit
    place: Place
    right: Formula
    form: Hashable


Mistake = dict[Place, Made]  # made in one equation or in several: edits of one kind, in the same words


class Catalogue:
    """The edits of a run, by the equations in which they can be made, and the mistakes that they are together."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        p = chain.sequences[0][0].parameters
        self.scene = Scene(chain.program, p.recurrent_size, p.recurrent_size + p.input_size)
        self.by_place: dict[Place, list[Made]] = {}
        self.families: dict[tuple[str, str, bool, bool], dict[Place, Made]] = {}
        by_target: dict[object, list[tuple[Edit, Formula, Hashable]]] = {}
        for edit in edits(self.scene):
            right = edit.made(chain.program.assignments[edit.target].right)
            by_target.setdefault(edit.target, []).append((edit, right, canonical(right)))
        for line in chain.lines:
            self._add(line, by_target.get(line.symbol, ()) if line.asked and not line.total else self._unrolled(line))

    def _unrolled(self, line: Quantity) -> Iterator[tuple[Edit, Formula, Hashable]]:
        """Go through the edits of what a step takes from its neighbours, and of sums over all steps."""
        right = canonical(line.right)
        every: Iterable[Edit] = of_totals(line.symbol, line.right) if line.total else self._carries(line)
        for edit in every:
            if (form := canonical(edit.tree)) != right:
                yield edit, edit.tree, form

    def _carries(self, line: Quantity) -> Iterator[Edit]:
        assert line.at is not None
        every = of_carries(self.chain.program, line.at, self.chain.steps)
        return (edit for edit in every if edit.target == line.symbol)

    def _add(self, line: Quantity, found: Iterable[tuple[Edit, Formula, Hashable]]) -> None:
        for edit, right, form in found:
            made = Made(edit, line.place, right, form)
            self.by_place.setdefault(line.place, []).append(made)
            self.families.setdefault(self._family(made), {}).setdefault(line.place, made)

    def _family(self, made: Made) -> tuple[str, str, bool, bool]:
        """Return what edits have in common that are one mistake: also the direction, and whether they are of gates."""
        gate = words.gate_of(made.place[0])
        told = words.neutral(made.edit.words, gate)
        return made.edit.kind, told, self.chain.makers[made.place].backward, bool(gate)

    def scopes(self, made: Made) -> list[Mistake]:
        """Return the mistakes that an edit of one equation is part of: the edit alone, the same at every step, in every
        equation of the step, and everywhere.
        """
        family = self.families[self._family(made)]
        symbol, at = made.place
        found = [{made.place: made}]
        if len(family) > 1:
            found.append({place: one for place, one in family.items() if place[0] == symbol})
            found.append({place: one for place, one in family.items() if place[1] == at})
            found.append(family)
        if "{}" not in made.edit.words:  # it is not made in one place alone
            found = [family]
        return [one for n, one in enumerate(found) if len(one) > len(found[n - 1]) or n == 0]

    def says(self, mistake: Mistake) -> str:
        """Return what was done, and where."""
        first, *others = mistake.values()
        same = all(one.edit.words == first.edit.words for one in others)
        told = first.edit.words if same else words.neutral(first.edit.words, words.gate_of(first.place[0]))
        return told.format(self.told(list(mistake)))

    def told(self, places: Sequence[Place]) -> str:
        """Say which equations they are."""
        lines = [self.chain.makers[place] for place in places]
        if len(lines) == 1:
            return lines[0].name
        by_symbol = {line.symbol: line.name.partition("[")[0] for line in lines}
        steps = {line.at for line in lines}
        if len(steps) > 1 and len(lines) == len(by_symbol) * len(steps):
            every = ", at every step" if len(steps) >= self.chain.steps - 1 else ""
            if every:
                return _listed(list(by_symbol.values())) + every
        return _listed([line.name for line in lines])


def _listed(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    shown = names if len(names) <= 4 else [*names[:3], "…", names[-1]]
    return f"each of {', '.join(shown[:-1])} and {shown[-1]}" if "…" not in shown else f"each of {', '.join(shown)}"
