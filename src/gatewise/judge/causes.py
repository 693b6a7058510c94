"""The mistakes that an engine may make: edits of our own cell, each of which changes the answers to a case.

An edit changes one equation of a step, the reading of the weights, or how steps, directions and states follow each
other. Those of single equations are the mistakes that `gatewise.grading` looks for in a student's sheet.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from gatewise import gates
from gatewise.activations import Activation
from gatewise.arrays import Array, distances
from gatewise.cell import LSTMCell
from gatewise.diagnostics.rounding import Case, answers_by_name, run_layers
from gatewise.diagnostics.suspects import mistakes
from gatewise.engine.reference import valid_rows
from gatewise.equations import NO_DROPOUT, Moment
from gatewise.grading.edits.edit import EditContext, EquationEdit, for_any_gate, full_name, gate_of
from gatewise.grading.edits.enumeration import enumerate_edits
from gatewise.interop.onnx.lstm import ACTIVATIONS
from gatewise.judge.designs import Trial
from gatewise.layers import LSTM
from gatewise.layers.stack import map_states
from gatewise.parameters import Parameters
from gatewise.symbolic.cell import form_of, place_of_symbol, program
from gatewise.symbolic.evaluation import evaluate
from gatewise.symbolic.formula import C_PREV, H_PREV, C, Formula, H, Symbol, X
from gatewise.symbolic.program import PARAMETER, Program, sized

Answers = dict[str, Array]
AllowedBy = Mapping[str, Array]
CLIPS_CELL_BEFORE_OUTPUT = "it also clips the cell state before h"
CLIPS_NO_CELL = "it clips the gates alone, and not the cell state before h"
_STORED = ("the gates are stored", "the peepholes are stored")  # which are in words of gatewise's order


@dataclass(frozen=True)
class Candidate:
    """An edit that may explain an engine's answers.

    Attributes
    ----------
    sentence : str
        What the engine does, as a clause.
    answers : function
        Returns the answers of the edited run.
    claims : dict of arrays, optional
        The engine's answers, if the edit is one of those, such as their order.
    """

    sentence: str
    answers: Callable[[], Answers]
    claims: Answers | None = None


def excess(answers: Mapping[str, Array], claims: Mapping[str, Array], allowed: AllowedBy) -> float:
    """Return the largest ratio of a difference to what rounding allows; infinite if a shape differs."""
    worst = 0.0
    for name, claim in claims.items():
        if answers[name].shape != claim.shape:
            return np.inf
        with np.errstate(all="ignore"):
            ratio = distances(claim, answers[name]) / np.maximum(allowed[name], 1e-300)
        worst = max(worst, float(np.max(ratio, initial=0)))
        if worst > 1e3:
            break
    return worst


def candidates(
    trial: Trial, claims: Answers, order: str, allowed: AllowedBy, only: Container[str] | None = None
) -> Iterator[Candidate]:
    """Yield every edit that is tried on an engine's answers; `order` is that of the gates in its format.

    With `only`, edits of equations are those with one of these sentences.
    """
    yield from _about_steps(trial)
    yield from _about_weights(trial, order)
    yield from _about_cells(trial)
    for sentence, case, turned in mistakes(trial.case, claims):
        if not sentence.startswith(_STORED):
            yield Candidate(sentence, case.answers, turned if turned is not claims else None)
    yield from _in_equations(trial, claims, allowed, only)


# Steps, directions, lengths and states.


def _about_steps(trial: Trial) -> Iterator[Candidate]:
    """Yield edits of the order of steps and of what happens past the end of a sequence."""
    case, truth = trial.case, trial.truth
    lstm = case.lstm
    if case.valid is not None:
        whole = replace(case, valid=None)

        def outputs_of(first: Case, rest: Case) -> Answers:
            return rest.answers() | {"y": first.answers()["y"]}

        yield Candidate(
            "it computes on past the end of a shorter sequence, in y alone", partial(outputs_of, whole, case)
        )
        yield Candidate(
            "the final state of a shorter sequence is that of its padding", partial(outputs_of, case, whole)
        )
        repeated = replace(case, masked_output="repeat")
        yield Candidate("it repeats the last output past the end of a sequence", repeated.answers)
        if "backward" in lstm.directions and lstm.num_layers == 1:
            yield Candidate("it reverses the padding along with the sequence", partial(_padded_reverse, case))
    if lstm.num_layers == 1 and lstm.bidirectional:
        swaps = {f"{letter}n of forward": f"{letter}n of backward" for letter in "hc"}
        swaps |= {other: name for name, other in swaps.items()}
        swapped = {name: truth[swaps.get(name, name)] for name in truth}
        yield Candidate("the final states of the two directions are swapped", lambda: swapped)
    mirrored = replace(case, x=np.ascontiguousarray(case.x[..., ::-1]))
    yield Candidate("it reads the features in reverse order", mirrored.answers)
    if lstm.directions == ("backward",):
        forward = LSTM.from_cells([row[0] for row in lstm.layers])
        features = replace(mirrored, lstm=forward)
        yield Candidate("it reverses the features instead of the steps", features.answers)
    if case.state is not None and case.x.shape[1] > 1:
        shared = map_states(lambda part: np.broadcast_to(part[:1], part.shape), case.state)
        yield Candidate("every sequence starts from the first one's state", replace(case, state=shared).answers)


def _padded_reverse(case: Case) -> Answers:
    """Return the answers of an engine that reverses a whole padded array before the backward direction."""
    lstm, truth = case.lstm, case.answers()
    (row,) = lstm.layers
    alone = LSTM.from_cells([row[-1]])
    state = None if case.state is None else ((case.state[0][-1],),)
    turned = Case(alone, case.x[::-1], state, case.valid).answers()
    name = " of backward" if lstm.bidirectional else ""
    units = row[-1].recurrent_size
    y = np.concatenate([truth["y"][..., :-units], turned["y"][::-1]], axis=-1)
    return truth | {"y": y, f"hn{name}": turned["hn"], f"cn{name}": turned["cn"]}


# The weights.


def _about_weights(trial: Trial, order: str) -> Iterator[Candidate]:
    """Yield edits of how an engine reads weights, peepholes, biases and constants."""
    frameworks: dict[str, list[str]] = {}
    for framework, theirs in gates.ORDERS.items():
        if framework != "gatewise":
            frameworks.setdefault(theirs, []).append(framework)
    for other in map("".join, itertools.permutations(order)):
        if other != order:
            whose = f" (the order of {', '.join(frameworks[other])})" if other in frameworks else ""
            change = partial(_reordered, order=order, other=other)
            sentence = f"it reads the gates in the order {' '.join(other)}, not {' '.join(order)}{whose}"
            yield from _changed(trial, sentence, change)
    cell = trial.case.lstm.layers[0][0].parameters
    if cell.peephole is not None:
        own = order.replace("g", "")
        for other in map("".join, itertools.permutations(own)):
            if other != own:
                change = partial(_reordered_peepholes, order=own, other=other)
                sentence = f"it reads the peepholes in the order {' '.join(other)}, not {' '.join(own)}"
                yield from _changed(trial, sentence, change)
    if any(array.any() for row in trial.second_bias for array in row):
        for part, words in (("first", "the input's bias"), ("second", "the recurrent bias")):
            yield Candidate(f"it adds only {words}", partial(_with_one_bias, trial, part))
    for activation_name, (kind, defaults) in ACTIVATIONS.items():
        for letter, words in (("i", "the gates'"), ("g", "the candidate's"), ("c", "the cell state's")):
            activation = cell.variant.activation(letter)
            if activation.name != kind or not defaults or None in defaults.values():
                continue
            plain = Activation(kind, **{name: value for name, value in defaults.items() if value is not None})
            if plain != activation:
                constants = " and ".join(defaults)
                sentence = f"it ignores {constants} of {words} {activation_name} and uses the default"
                names = {"i": ("input", "forget", "output"), "g": ("candidate",), "c": ("cell",)}[letter]
                switches = {f"{name}_activation": plain for name in names}
                yield from _changed(trial, sentence, partial(_with_variant, switches=switches))


def _changed(trial: Trial, sentence: str, change: Callable[[Parameters], Parameters]) -> Iterator[Candidate]:
    def answers(layers: tuple[int, ...]) -> Answers:
        lstm = trial.case.lstm
        rows = [
            [LSTMCell.from_parameters(change(cell.parameters) if number in layers else cell.parameters) for cell in row]
            for number, row in enumerate(lstm.layers)
        ]
        return replace(trial.case, lstm=LSTM.from_cells(rows, direction=lstm.directions[0])).answers()

    count = trial.case.lstm.num_layers
    yield Candidate(sentence, partial(answers, tuple(range(count))))
    if count > 1:
        for layer in range(count):
            yield Candidate(f"{sentence}, in layer {layer}", partial(answers, (layer,)))


def _reordered(p: Parameters, order: str, other: str) -> Parameters:
    """Return the parameters as an engine has them that reads the rows of `order` in the order `other`."""
    places = [gates.LETTERS.index(order[other.index(letter)]) for letter in gates.LETTERS]
    return p.replace(weight=p.weight[places], bias=p.bias[places])


def _reordered_peepholes(p: Parameters, order: str, other: str) -> Parameters:
    places = [gates.PEEPHOLES.index(order[other.index(letter)]) for letter in gates.PEEPHOLES]
    return p if p.peephole is None else p.replace(peephole=p.peephole[places])


def _with_variant(p: Parameters, switches: Mapping[str, Any]) -> Parameters:
    return p.replace(variant=replace(p.variant, **switches))


def _with_one_bias(trial: Trial, part: str) -> Answers:
    """Return the answers if each cell adds one of its two biases."""
    lstm = trial.case.lstm
    rows = [
        [
            LSTMCell.from_parameters(
                cell.parameters.replace(bias=second if part == "second" else cell.parameters.bias - second)
            )
            for cell, second in zip(row, others, strict=True)
        ]
        for row, others in zip(lstm.layers, trial.second_bias, strict=True)
    ]
    return replace(trial.case, lstm=LSTM.from_cells(rows, direction=lstm.directions[0])).answers()


# The cell.


class _ClipsInputFirst(Moment):
    """A cell that clips the input's part of a sum, and then adds that of the hidden state."""

    def a(self, k: str) -> Array:
        """Return the pre-activation of gate `k`."""
        clip = self.p.variant.gate_clip or np.inf
        first = gates.of(self.w, k) + gates.of(self.p.bias, k)
        rest: Array = self.unclipped(k) - first
        return np.clip(first, -clip, clip) + rest


class _ClipsCell(Moment):
    """A cell that clips its new cell state as well as the gates."""

    @cached_property
    def c_new(self) -> Array:
        clip = self.p.variant.gate_clip or np.inf
        clipped: Array = np.clip(self.c_raw, -clip, clip)
        return clipped


class _ClipsCellOnly(_ClipsCell):
    """A cell that clips its new cell state and no gate."""

    def a(self, k: str) -> Array:
        """Return the pre-activation of gate `k`."""
        return self.unclipped(k)


class _ClipsGatesOnly(Moment):
    """A cell that clips the three gates, but not the candidate."""

    def a(self, k: str) -> Array:
        """Return the pre-activation of gate `k`."""
        return self.unclipped(k) if k == "g" else super().a(k)


class _ClipsAboveOnly(Moment):
    """A cell that bounds pre-activations above alone."""

    def a(self, k: str) -> Array:
        """Return the pre-activation of gate `k`."""
        bounded: Array = np.minimum(self.unclipped(k), self.p.variant.gate_clip or np.inf)
        return bounded


_CLIPS: dict[str, type[Moment]] = {
    "it clips the input's part of a sum before it adds the hidden state's part": _ClipsInputFirst,
    "it clips the cell state, too": _ClipsCell,
    "it clips the cell state instead of the gates": _ClipsCellOnly,
    "it does not clip the candidate": _ClipsGatesOnly,
    "it clips from above only": _ClipsAboveOnly,
}


def _about_cells(trial: Trial) -> Iterator[Candidate]:
    """Yield edits of a step that are no single edit of an equation."""
    if trial.case.lstm.layers[0][0].variant.gate_clip is not None:
        for sentence, kind in _CLIPS.items():
            yield Candidate(sentence, partial(run_with, trial.case, kind))
    both = {"hidden": (True, False), "cell": (False, True)}
    for words, lost in both.items():
        yield Candidate(
            f"it does not carry the {words} state from step to step", partial(_forgetting, trial.case, lost)
        )
    yield Candidate("it does not carry the state from step to step", partial(_forgetting, trial.case, (True, True)))


def run_with(case: Case, kind: type[Moment]) -> Answers:
    """Return the answers of a run whose steps are of another kind."""

    def begin(number: int, position: int, p: Parameters, x: Array, _: Array) -> Callable[..., Moment]:
        return lambda t, rows, h, c: kind(p, x[t, rows], h[rows], c[rows])

    return _run(case, begin)


def reading_of_specification(case: Case) -> Answers:
    """Return the answers if `clip` also acts on the input of h, as ONNX's specification can be read."""
    rows = [[_with_output_clip(cell.parameters) for cell in row] for row in case.lstm.layers]
    return replace(case, lstm=LSTM.from_cells(rows, direction=case.lstm.directions[0])).answers()


def _with_output_clip(p: Parameters) -> LSTMCell:
    return LSTMCell.from_parameters(_with_variant(p, {"output_clip": p.variant.gate_clip}))


def _forgetting(case: Case, lost: tuple[bool, bool]) -> Answers:
    """Return the answers of a run in which h, c or both start every step from the initial state."""
    start = case.lstm.zero_state(case.x.shape[1]) if case.state is None else case.state

    def begin(number: int, position: int, p: Parameters, x: Array, _: Array) -> Callable[..., Moment]:
        first = start[number][position]

        def step(t: int, rows: Any, h: Array, c: Array) -> Moment:
            return Moment(p, x[t, rows], (first.h if lost[0] else h)[rows], (first.c if lost[1] else c)[rows])

        return step

    return _run(case, begin)


def _run(case: Case, begin: Callable[..., Callable[..., Any]]) -> Answers:
    start = case.lstm.zero_state(case.x.shape[1]) if case.state is None else case.state
    with np.errstate(all="ignore"):
        y, final = run_layers(case, case.x, start, case.valid, lambda x: x, begin)
    return answers_by_name(case.lstm, y, final)


# Single equations.


class _EditedStep:
    """One step of a program in which some equations have other right sides."""

    def __init__(self, edited: Program, changes: Mapping[Symbol, Formula], known: dict[Symbol, Any]) -> None:
        self.program, self.changes, self.known = edited, changes, known

    def __getitem__(self, symbol: Symbol) -> Any:
        if symbol not in self.known:
            right = self.changes.get(symbol) or self.program.assignments[symbol].right
            self.known[symbol] = evaluate(right, self, self.program.ranks)
        return self.known[symbol]

    @property
    def h(self) -> Array:
        array: Array = self[H]
        return array

    @property
    def c(self) -> Array:
        array: Array = self[C]
        return array


def _parameters_by_symbol(cell_program: Program, p: Parameters) -> dict[Symbol, Any]:
    values: dict[Symbol, Any] = {}
    for symbol in cell_program.of_kind(PARAMETER):
        found = place_of_symbol(cell_program.form, symbol, p.recurrent_size)
        if found is not None:
            array = getattr(p, found[0])
            values[symbol] = array[found[1]] if found[1] else array
    return values


def _in_equations(
    trial: Trial, claims: Answers, allowed: AllowedBy, only: Container[str] | None
) -> Iterator[Candidate]:
    """Yield each edit of an equation of a single layer that agrees with its first step."""
    case = trial.case
    p = case.lstm.layers[0][0].parameters
    if case.lstm.num_layers > 1 or p.variant.layer_norm != "none" or not len(case.x):
        return
    cell_program = sized(program(form_of(p, NO_DROPOUT)), p.recurrent_size, p.recurrent_size + p.input_size)
    first = [*_first_steps(case, cell_program, claims, allowed)]
    for sentence, changes in _equation_edits(cell_program, p.recurrent_size, p.recurrent_size + p.input_size):
        sentences = (sentence, *in_directions(sentence, case))
        if only is not None and not any(one in only for one in sentences):
            continue
        if _explains_first_step(first, cell_program, changes):
            yield Candidate(sentence, partial(_run_program, case, cell_program, changes))


def _equation_edits(cell_program: Program, recurrent: int, columns: int) -> list[tuple[str, dict[Symbol, Formula]]]:
    """Return the edits of a program's equations with their sentences; those with the same words are one edit."""
    edits = enumerate_edits(EditContext(cell_program, recurrent, columns))
    lines = {line.left for line in cell_program.forward}
    together: dict[str, dict[Symbol, EquationEdit]] = {}
    for left, of_line in edits.items():
        for edit in of_line if left in lines else ():
            together.setdefault(for_any_gate(edit.words, gate_of(left)), {}).setdefault(left, edit)
    groups: list[tuple[str, dict[Symbol, Formula]]] = []
    for words, by_line in together.items():
        if len(by_line) > 1:
            places = " and ".join(full_name(left) for left in by_line)
            groups.append((words.format(places), {left: edit.right for left, edit in by_line.items()}))
    for left, of_line in edits.items():
        groups += [(e.words.format(full_name(left)), {left: e.right}) for e in of_line if left in lines]
    return groups


def _first_steps(
    case: Case, cell_program: Program, claims: Answers, allowed: AllowedBy
) -> Iterator[tuple[dict[Symbol, Any], Array, Array]]:
    start = case.lstm.zero_state(case.x.shape[1]) if case.state is None else case.state
    column = 0
    for number, (cell, direction) in enumerate(zip(case.lstm.layers[0], case.lstm.directions, strict=True)):
        t = -1 if direction == "backward" else 0
        rows = valid_rows(case.valid, t)
        known = {X: case.x[t, rows], H_PREV: start[0][number].h[rows], C_PREV: start[0][number].c[rows]}
        known |= _parameters_by_symbol(cell_program, cell.parameters)
        part = slice(column, column + cell.recurrent_size)
        column = part.stop
        step = _EditedStep(cell_program, {}, known)
        with np.errstate(all="ignore"):
            values = known | {line.left: step[line.left] for line in cell_program.forward}
        yield values, claims["y"][t][rows][:, part], allowed["y"][t][rows][:, part]


def _explains_first_step(
    first: Iterable[tuple[dict[Symbol, Any], Array, Array]], cell_program: Program, changes: Mapping[Symbol, Formula]
) -> bool:
    """Whether an edit of equations gives an engine's outputs at the first step of any direction: a quick test."""
    affected = {*changes}
    for line in cell_program.forward:
        if not affected.isdisjoint(cell_program.symbols[line.left]):
            affected.add(line.left)
    for values, h, allowed in first:
        known = {symbol: value for symbol, value in values.items() if symbol not in affected}
        try:
            with np.errstate(all="ignore"):
                ratio = distances(h, _EditedStep(cell_program, changes, known).h) / allowed
        except (ValueError, TypeError):  # the edit is impossible with these sizes
            continue
        if np.max(ratio, initial=0) < 100:
            return True
    return False


def _run_program(case: Case, cell_program: Program, changes: Mapping[Symbol, Formula]) -> Answers:
    def begin(number: int, position: int, p: Parameters, x: Array, _: Array) -> Callable[..., _EditedStep]:
        parameters = _parameters_by_symbol(cell_program, p)

        def step(t: int, rows: Any, h: Array, c: Array) -> _EditedStep:
            return _EditedStep(cell_program, changes, parameters | {X: x[t, rows], H_PREV: h[rows], C_PREV: c[rows]})

        return step

    return _run(case, begin)


def in_directions(sentence: str, case: Case) -> list[str]:
    """Return the sentences about an edit in one direction of a layer alone."""
    return [f"{sentence}, in the {direction} direction" for direction in case.lstm.directions]


def zero_states_of_empty(trial: Trial, answers: Answers) -> Answers:
    """Return answers with zeros as the final state of each sequence of length 0."""
    empty = (np.ones(trial.case.x.shape[1]) if trial.lengths is None else trial.lengths) == 0
    return {n: np.where(empty[:, None], 0.0, a) if n[:2] in ("hn", "cn") else a for n, a in answers.items()}


def in_one_direction(trial: Trial, answers: Answers, direction: str) -> Answers:
    """Return answers of an edit in one direction of a layer alone, and the truth in the other."""
    forward = trial.case.lstm.layers[0][0].recurrent_size
    part = slice(None, forward) if direction == "forward" else slice(forward, None)
    mixed = dict(trial.truth)
    for name in mixed:
        if name.endswith(f" of {direction}"):
            mixed[name] = answers[name]
    for name in ("y", "last y"):
        mixed[name] = trial.truth[name].copy()
        mixed[name][..., part] = answers[name][..., part]
    return mixed
