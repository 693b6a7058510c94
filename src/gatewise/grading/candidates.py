"""The mistakes that can be made in a run, and the numbers that each of them gives."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask
from gatewise.errors import join_names
from gatewise.grading.chain import AssumedValues, Chain, Quantity, SymbolAtStep
from gatewise.grading.edits.edit import (
    LIKELY,
    MAX_NAMES,
    ONE_ENTRY,
    STRUCTURAL,
    EditContext,
    EquationEdit,
    family_key,
    family_words,
)
from gatewise.grading.edits.entries import exchange_edits, number_edits, one_hot, product_edits, unit_edits
from gatewise.grading.edits.enumeration import carry_edits, enumerate_edits, total_edits
from gatewise.grading.edits.symbols import ORDER_KIND
from gatewise.symbolic.evaluation import evaluate
from gatewise.symbolic.formula import OVER_A_VECTOR, Formula, MatMul, Outer, nodes, symbols


@dataclass(frozen=True)
class AppliedEdit:
    """An edit in one equation of a run."""

    edit: EquationEdit
    place: SymbolAtStep
    fingerprint: Hashable  # shared by equal right sides


Mistake = dict[SymbolAtStep, AppliedEdit]  # edits with the same words, in one equation or in several
Effect = Mapping[SymbolAtStep, AppliedEdit]  # the part of a mistake that is in some lines
Key = frozenset[tuple[SymbolAtStep, Hashable]]  # the new right sides there: equal for mistakes with the same effect


class Catalogue:
    """The edits of a run by their equations, and the mistakes that they form."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        p = chain.sequences[0][0].parameters
        self.context = EditContext(chain.program, p.recurrent_size, p.recurrent_size + p.input_size)
        self.by_place: dict[SymbolAtStep, list[AppliedEdit]] = {}
        self._scopes: dict[int, list[tuple[Mistake, Key]]] = {}  # by the id of an edit in `by_place`
        self.families: dict[Hashable, Mistake] = {}
        fingerprints: dict[object, object] = {}  # an object for each fingerprint: quick to compare
        edits = enumerate_edits(self.context)
        for line in chain.lines:
            is_computed = line.asked and not line.total
            for edit in edits.get(line.symbol, ()) if is_computed else self._edits_between_steps(line):
                fingerprint = edit.right if edit.fingerprint is None else edit.fingerprint
                applied = AppliedEdit(edit, line.place, fingerprints.setdefault(fingerprint, object()))
                self.by_place.setdefault(line.place, []).append(applied)
                key = family_key(edit, line.symbol, line.backward)
                self.families.setdefault(key, {}).setdefault(line.place, applied)

    def _edits_between_steps(self, line: Quantity) -> Iterator[EquationEdit]:
        """Yield the mistakes in a state that a step takes from its neighbour, or in a sum over all steps."""
        program, symbol, steps = self.chain.program, line.symbol, self.chain.steps
        edits = total_edits(line.right) if line.step is None else carry_edits(program, symbol, line.step, steps)
        return (edit for edit in edits if edit.right != line.right)

    def scopes(self, applied: AppliedEdit) -> list[tuple[Mistake, Key]]:
        """Return the mistakes with an edit of one equation: alone, at every step, in the whole step, everywhere.

        Each has the key of its effect.
        """
        if (scopes := self._scopes.get(id(applied))) is not None:
            return scopes
        symbol, step = applied.place
        family = self.families[family_key(applied.edit, symbol, self.chain.makers[applied.place].backward)]
        mistakes = [{applied.place: applied}]
        if len(family) > 1:
            mistakes.append({place: edit for place, edit in family.items() if place[0] == symbol})
            mistakes.append({place: edit for place, edit in family.items() if place[1] == step})
            mistakes.append(family)
        if "{}" not in applied.edit.words:  # it is not made in one place alone
            mistakes = [family]
        distinct = {_effect_key(mistake): mistake for mistake in mistakes}
        scopes = self._scopes[id(applied)] = [(mistake, key) for key, mistake in distinct.items()]
        return scopes

    def family_of(self, mistake: Mistake) -> Hashable:
        """Return the key that a mistake shares at other steps and in other gates; None for a slip in one number."""
        place, applied = next(iter(mistake.items()))
        if applied.edit.tier == ONE_ENTRY:
            return None
        if applied.edit.kind == ORDER_KIND:  # in z, in the sums and in the parts of dz: one misconception
            return ORDER_KIND
        return family_key(applied.edit, place[0], self.chain.makers[place].backward)

    def describe(self, mistake: Mistake) -> str:
        """Return a mistake in words, for the person who made it: the change, and its equations and steps."""
        lines = [self.chain.makers[place] for place in mistake]
        clause, names, more = family_words([(applied.edit, symbol) for (symbol, _), applied in mistake.items()])
        return clause.format(self._lines_in_words(lines, names)) + more

    def effects_on(self, lines: Sequence[Quantity], most: int) -> list[tuple[Effect, list[Mistake]]]:
        """Return about `most` effects of mistakes on some lines, the last line's first, each with its mistakes."""
        places = {line.place for line in lines}
        mistakes_by_key: dict[Key, tuple[Effect, list[Mistake]]] = {}
        for tier in (LIKELY, STRUCTURAL):
            for line in reversed(lines):
                if len(mistakes_by_key) > most:
                    break
                for applied in self.by_place.get(line.place, ()):
                    for mistake, key in self.scopes(applied) if applied.edit.tier == tier else ():
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
            return join_names((line.name for line in lines), "and", most=MAX_NAMES)
        which_steps = self._steps_in_words(sorted(t for t in steps if t is not None))
        return join_names(names, "and", most=MAX_NAMES) + which_steps

    def _steps_in_words(self, steps: Sequence[int]) -> str:
        """Return the steps in which a mistake was made as words: at step 1; nothing if the run has a single step."""
        if not steps or self.chain.steps == 1:
            return ""
        if len(steps) == 1:
            return f" at step {steps[0]}"
        missing = sorted({*range(self.chain.steps)} - {*steps})
        if missing in ([], [0], [self.chain.steps - 1]):
            return " at every step" + (" but the first" if missing == [0] else " but the last" if missing else "")
        return f" at steps {join_names(steps, 'and', most=MAX_NAMES)}"


def _effect_key(effect: Effect) -> Key:
    return frozenset((place, edit.fingerprint) for place, edit in effect.items())


def entry_slips(
    chain: Chain, lines: Sequence[Quantity], wrong: Mask, values: Mapping[SymbolAtStep, Array], tolerance: float
) -> Iterator[tuple[Effect, list[Mistake]]]:
    """Yield slips in one entry of the last of some lines, or of a line before it that changes the wrong entries alone.

    Where two are wrong, they may have changed places. `wrong` tells the wrong entries of the last line, `values` the
    numbers to be written for each line, and `tolerance` half of their last digit.
    """
    last = lines[-1]
    entries = {tuple(map(int, place)) for place in np.argwhere(wrong)[:, -last.rank :]} if last.rank else set()
    units = sorted({place[0] for place in entries})
    for line in lines:
        if not line.asked or line.rank > last.rank:
            continue
        equation, names, edits = line.assignment, chain.names[line.over], list[EquationEdit]()
        if line.over == last.over and len(units) == 2:
            vectors = [symbol for symbol in symbols(line.right) if chain.program.axes.get(symbol) == (last.over,)]
            edits += exchange_edits(equation, units, names, vectors)
        if line.over == last.over and len(units) == 1:
            (unit,) = units
            edits += [*product_edits(equation, unit, names, line.products), *unit_edits(equation, unit, names)]
            if line is not last:
                selector: Formula = one_hot(unit, len(names))
                value = values.get(line.place, np.zeros(0))
                is_number = line.rank == 1 and value.size == value.shape[-1]
                number = float(value.reshape(-1)[unit]) if is_number else 0.0
                edits += number_edits(equation, selector, names[unit], number, tolerance * is_number)
                if len(entries) == 1 and (line.rank, line.across) == (2, last.across):
                    ((_, column),), across = entries, chain.names[line.across]
                    selector = Outer(selector, one_hot(column, len(across)))
                    edits += number_edits(equation, selector, f"{names[unit]}, {across[column]}", 0.0, 0.0)
        elif len(units) > 1 and _mixes_entries(chain, lines, line):
            for unit in range(len(names)):
                edits += product_edits(equation, unit, names, line.products)
        for edit in edits:
            effect = {line.place: AppliedEdit(edit, line.place, edit.right)}
            yield effect, [effect]


def _mixes_entries(chain: Chain, lines: Sequence[Quantity], line: Quantity) -> bool:
    """Return whether an entry of a line reaches several of the last in its step: by a projection or a mean."""
    reached, last = {line.place}, lines[-1]
    if (line.step, line.backward, line.rank) != (last.step, last.backward, 1):
        return False
    for later in lines[lines.index(line) + 1 :]:
        if any(maker.place in reached for maker in chain.inputs[later.place]):
            reached.add(later.place)
            for node in nodes(later.right):
                if isinstance(node, MatMul) or getattr(node, "name", "") in OVER_A_VECTOR:
                    return True
    return False


Indices = npt.NDArray[np.intp]


class Predictor:
    """Computes lines of a run from the person's own numbers, with edits in them: in some sequences, by default all.

    `unit` is the rounding error of a number that is not on the sheet, like that of the numbers on it.
    """

    def __init__(self, chain: Chain, assumed: AssumedValues, unit: float, sequences: Indices | None) -> None:
        self.chain, self.unit = chain, unit
        shared = {place for place, line in chain.makers.items() if line.summed}

        def select_sequences(values: Mapping[SymbolAtStep, Array]) -> dict[SymbolAtStep, Array]:
            if sequences is None:
                return dict(values)
            return {key: v if key[1] is None or key in shared else v[sequences] for key, v in values.items()}

        self.assumed = AssumedValues(*map(select_sequences, (assumed.given, assumed.value, assumed.tolerance)))

    def predict_all(self, lines: Sequence[Quantity], effects: Sequence[Effect]) -> Array:
        """Return each mistake's prediction of the last of some lines: (mistakes, ·), NaN where it fails."""
        values, changed = self.assumed.copy(), dict[SymbolAtStep, Array]()
        by_fingerprint: dict[SymbolAtStep, dict[object, tuple[Formula, list[int]]]] = {}
        for k, effect in enumerate(effects):
            for place, applied in effect.items():
                edits_here = by_fingerprint.setdefault(place, {})
                edits_here.setdefault(applied.fingerprint, (applied.edit.right, []))[1].append(k)
        for line in lines:
            is_reached = any(self.chain.locate(symbol, line.step) in changed for symbol in symbols(line.right))
            edits_here = by_fingerprint.get(line.place, {})
            if not is_reached and not edits_here:
                continue
            right_value = self.assumed.value[line.place]
            base = self._line_value(line, line.right, values, changed) if is_reached else right_value
            predicted = np.array(np.broadcast_to(base, (len(effects), *right_value.shape)))
            for right, indices in edits_here.values():
                try:
                    predicted[indices] = self._line_value(line, right, values, changed, indices)
                except (KeyError, ValueError):  # an unknown symbol or a wrong size
                    predicted[indices] = np.nan
            values.value[line.place] = changed[line.place] = predicted
        place = lines[-1].place
        return changed[place] if effects else self.assumed.value[place][None][:0]

    def predict(
        self, lines: Sequence[Quantity], effect: Effect, written: Collection[SymbolAtStep]
    ) -> dict[SymbolAtStep, tuple[Array, Array]]:
        """Return a mistake's prediction of each written line, and its tolerance.

        Later lines follow from the written numbers. A line that cannot be computed, or that the mistake does not
        reach, is left out.
        """
        values, changed = self.assumed.copy(), set[SymbolAtStep]()
        predictions: dict[SymbolAtStep, tuple[Array, Array]] = {}
        for line in lines:
            applied = effect.get(line.place)
            right = line.right if applied is None else applied.edit.right
            inputs = {self.chain.locate(symbol, line.step) for symbol in symbols(right)}
            if applied is None and changed.isdisjoint(inputs):
                continue
            try:
                value, tolerance = self.chain.compute(line, values, right)
            except (KeyError, ValueError):
                continue
            if line.place in written:
                predictions[line.place] = value, tolerance
            else:
                changed.add(line.place)
                values.value[line.place] = value
                values.tolerance[line.place] = tolerance if line.copied else tolerance + self.unit
        return predictions

    def _line_value(
        self,
        line: Quantity,
        right: Formula,
        values: AssumedValues,
        changed: Mapping[SymbolAtStep, Array],
        indices: Sequence[int] | None = None,
    ) -> Array:
        """Return a line of the run, computed from changed values; `indices` selects the mistakes that edit it."""
        env = {}
        for symbol in symbols(right):
            value = self.chain.find(symbol, line.step, values)
            has_changed = value is changed.get(self.chain.locate(symbol, line.step))
            env[symbol] = value[indices] if has_changed and indices is not None else value
        with np.errstate(all="ignore"):
            value = np.asarray(evaluate(right, env, self.chain.program.ranks), dtype=np.float64)
        value = self.chain.with_batch_axis(value, line, right, values.batch)
        return value.sum(-1 - line.rank) if line.summed and not line.total else value
