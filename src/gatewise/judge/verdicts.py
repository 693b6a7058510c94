"""The verdict on one case: right, refused, an attribute silently ignored, or wrong otherwise, with the cause."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from gatewise.arrays import Array, distances, in_words
from gatewise.diagnostics.rounding import DIGITS, rounding_deviations
from gatewise.diagnostics.verification import FACTOR, Difference, compare_with_truth
from gatewise.errors import OptionError, ShapeError
from gatewise.judge import designs
from gatewise.judge.causes import (
    CLIPS_CELL_BEFORE_OUTPUT,
    CLIPS_NO_CELL,
    AllowedBy,
    Answers,
    candidates,
    excess,
    in_directions,
    in_one_direction,
    reading_of_specification,
    zero_states_of_empty,
)
from gatewise.judge.designs import Design, Trial, draw
from gatewise.judge.messages import AnyArray
from gatewise.judge.process import Reply

RIGHT, READING, UNDECIDED = "right", "differs", "undecided"
IGNORED, WRONG, ROUGH = "ignores", "wrong", "float32"
CLIP_READING = (
    "from the specification's sentence that clip is “applied to the input of activations”: it does not clip the cell"
    " state before h. Neither does gatewise"
)
CLIPS_ALL_READING = "from gatewise: it also clips the cell state before h, as the specification's sentence can be read"
EMPTY_READING = (
    "from gatewise: the final state of a sequence of length 0 is zeros, not the initial state. The specification does"
    " not say which"
)
NAN_READING = (
    "from gatewise: a NaN in the input becomes a number in the outputs that depend on it. The specification says"
    " nothing about NaN"
)
READINGS = {CLIP_READING: designs.CLIP, CLIPS_ALL_READING: designs.CLIP, EMPTY_READING: designs.EMPTY}
CLIPS = ("gates", "all")  # what an engine may be meant to clip: the gates alone, or also the cell state before h
MAX_IGNORED = 5  # attributes that are left out in all combinations
NEVER_IGNORED = {designs.NO_BIAS, designs.LAYERS, designs.PROJECTION}  # without them, the weights are others
SLACK = 4.0  # by which an edited cell may round more than ours


@dataclass(frozen=True)
class CaseVerdict:
    """What an engine made of one case.

    Attributes
    ----------
    design : Design
    kind : str
        ``right``; ``float32``, where a model in float64 is computed in float32; ``differs``, where the specification
        can be read in two ways; ``undecided``, where rounding hides a mistake; ``ignores`` or ``wrong``; or how the
        engine failed: ``refused``, ``crashed``, ``timed out``, ``no result``.
    sentence : str
        The cause, or the engine's own message.
    about : tuple of str
        The attributes that the engine ignores, or reads differently.
    causes : tuple of str
        Edits of our own cell that give the engine's answers up to rounding.
    place : str
        The first layer, direction and step that deviate.
    difference : Difference or None
        The array that is furthest off.
    """

    design: Design
    kind: str
    sentence: str = ""
    about: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    place: str = ""
    difference: Difference | None = None

    @property
    def is_fault(self) -> bool:
        """Whether the engine returned wrong numbers, or none without refusing."""
        return self.kind not in (RIGHT, ROUGH, READING, UNDECIDED, "refused")


@dataclass
class CaseJudge:
    """Verdicts on the cases of one engine.

    Parameters
    ----------
    claims : function
        Returns an engine's outputs under the names of the truth, or raises ValueError.
    order : str
        The gate order of the engine's format.
    precision : str
        That in which the engine computes, for cases in float32.
    names : dict of str
        The format's own names of attributes.
    clip : str
        What the engine is meant to clip, one of `CLIPS`; the other reading is wrong then. Empty if that is open.
    """

    claims: Callable[[Trial, dict[str, AnyArray]], dict[str, AnyArray]]
    order: str
    precision: str = "float32"
    names: dict[str, str] = field(default_factory=dict)
    clip: str = ""
    known: dict[str, None] = field(default_factory=dict)  # causes that were found before, in order
    ignored: set[str] = field(default_factory=set)

    def verdict(self, trial: Trial, reply: Reply, *, explain: bool = True) -> CaseVerdict:
        """Return the verdict on a reply; without `explain`, causes are not searched for."""
        design = trial.design
        if reply.failure:
            return CaseVerdict(design, reply.failure, reply.message)
        try:
            claims: Answers = {
                name: array.astype(np.float64) for name, array in self.claims(trial, reply.outputs).items()
            }
        except ValueError as problem:
            return CaseVerdict(design, WRONG, str(problem))
        u = DIGITS[self.precision if design.dtype == "float32" else design.dtype]
        readings = [*self._readings(trial)]
        base = readings[0][1]
        for sentences, truth in readings:
            differences, allowed = _compared(trial, truth, claims, u)
            kinds = {difference.verdict for difference in differences if difference.entries}
            if "mistake" not in kinds:
                if "undecided" in kinds:
                    return CaseVerdict(
                        design, UNDECIDED, "rounding alone changes the result as much as a mistake would"
                    )
                about = tuple(READINGS[sentence] for sentence in sentences)
                kind = READING if sentences else RIGHT
                if self.clip and designs.CLIP in about:
                    worst = max(_compared(trial, base, claims, u)[0], key=lambda difference: difference.largest)
                    sentence = CLIPS_NO_CELL if self.clip == "all" else CLIPS_CELL_BEFORE_OUTPUT
                    return CaseVerdict(design, WRONG, sentence, causes=(sentence,), difference=worst)
                return CaseVerdict(design, kind, ". ".join(sentences), about)
        if design.values == "NaN":
            spared = {name: np.where(np.isnan(trial.truth[name]), claims[name], trial.truth[name]) for name in claims}
            if all(difference.verdict == "rounding" for difference in _compared(trial, spared, claims, u)[0]):
                return CaseVerdict(design, READING, NAN_READING)
        if design.dtype == "float64":
            rough, _ = _compared(trial, trial.truth, claims, DIGITS["float32"])
            if all(difference.verdict == "rounding" for difference in rough):
                return CaseVerdict(design, ROUGH, "it computes in float32")
        worst = max(differences, key=lambda difference: difference.largest)
        verdict = CaseVerdict(design, WRONG, place=_place(trial, truth, claims, allowed), difference=worst)
        return self._explained(trial, claims, verdict, u) if explain else verdict

    def _explained(self, trial: Trial, claims: Answers, verdict: CaseVerdict, u: float) -> CaseVerdict:
        design, (steps, batch) = trial.design, trial.case.x.shape[:2]
        for left_out, where, _, answers, allowed in self._left_out(trial, [*claims], u):
            if excess(answers, claims, allowed) <= 1:
                names = [self.names.get(name, name) for name in left_out]
                self.ignored |= {*left_out} if not where else set()
                return replace(verdict, kind=IGNORED, sentence=" and ".join(names) + where, about=left_out)
        if steps * batch * design.hidden_size > 5000:  # too many edits of a long run
            return replace(verdict, sentence="it is too large to look for the cause")
        cause = self._cause(trial, claims, u, only=self.known) or self._cause(trial, claims, u)
        if cause:
            self.known[cause] = None
            return replace(verdict, sentence=cause, causes=(cause,))
        if self.known:  # together with an attribute that it ignores
            for left_out, where, other, _, _ in self._left_out(trial, [*claims], u):
                cause = "" if where else self._cause(other, claims, u, only=self.known)
                if cause:
                    names = [self.names.get(name, name) for name in left_out]
                    sentence = f"{cause}, and it ignores {' and '.join(names)}"
                    return replace(verdict, sentence=sentence, causes=(cause,), about=left_out)
        return replace(verdict, sentence="no single edit of the cell explains it")

    def _readings(self, trial: Trial) -> Iterator[tuple[tuple[str, ...], Answers]]:
        """Yield the answers of each reading of the specification, and how it differs; the first is what must be."""
        bases: list[tuple[tuple[str, ...], Answers]] = [((), trial.truth)]
        if designs.CLIP in trial.design.attributes:
            all_clipped = reading_of_specification(trial.case)
            bases = [((), all_clipped), ((CLIP_READING,), trial.truth)]
            if self.clip == "gates":
                bases = [((), trial.truth), ((CLIPS_ALL_READING,), all_clipped)]
        yield from bases
        if designs.EMPTY in trial.design.attributes and trial.case.state is not None:
            for sentences, answers in bases:
                yield (*sentences, EMPTY_READING), zero_states_of_empty(trial, answers)

    def _left_out(
        self, trial: Trial, names: list[str], u: float
    ) -> Iterator[tuple[tuple[str, ...], str, Trial, Answers, Answers]]:
        """Yield the case without each set of its attributes, the smallest first, as an engine that ignores them has it.

        In a layer of two directions, also as if it ignored them in one direction alone.
        """
        present = sorted(trial.design.attributes - NEVER_IGNORED)
        if len(present) > MAX_IGNORED:
            present = [name for name in present if name in self.ignored][:MAX_IGNORED]
        for count in range(1, len(present) + 1):
            for left_out in itertools.combinations(present, count):
                other = draw(trial.design.without(*left_out))
                same_names = set(names) <= set(other.truth)
                if not same_names or any(other.truth[n].shape != trial.truth[n].shape for n in names):
                    continue
                for _, answers in self._readings(other):
                    allowed = _allowed(other, answers, names, u)
                    yield left_out, "", other, answers, allowed
                    if _splits(trial) and designs.BIDIRECTIONAL not in left_out:
                        for direction in trial.case.lstm.directions:
                            mixed = in_one_direction(trial, answers, direction)
                            where = f" in the {direction} direction"
                            yield left_out, where, other, mixed, _allowed(trial, mixed, names, u)

    def _cause(self, trial: Trial, claims: Answers, u: float, only: Container[str] | None = None) -> str:
        """Return the first edit that gives the engine's answers up to rounding, or nothing."""
        # The largest of each array: an edit may put numbers where the truth is exactly 0, as in padding.
        bounds = _allowed(trial, trial.truth, [*claims], u)
        allowed: Answers = {n: np.full_like(array, SLACK * array.max(initial=0)) for n, array in bounds.items()}
        if excess(trial.truth, claims, allowed) <= 1:
            return ""
        halves: list[tuple[str, Answers]] = []  # for each direction alone, if no edit explains both
        for candidate in candidates(trial, claims, self.order, allowed, only):
            sentences = in_directions(candidate.sentence, trial.case)
            if only is not None and not any(sentence in only for sentence in (candidate.sentence, *sentences)):
                continue
            try:
                answers = candidate.answers()
                if excess(answers, claims if candidate.claims is None else candidate.claims, allowed) <= 1:
                    return candidate.sentence
            except (ShapeError, OptionError, ValueError, KeyError):  # the edit is impossible with these sizes
                continue
            if _splits(trial) and candidate.claims is None:
                halves.append((candidate.sentence, answers))
        for sentence, answers in halves:
            for direction in trial.case.lstm.directions:
                if excess(in_one_direction(trial, answers, direction), claims, allowed) <= 1:
                    return f"{sentence}, in the {direction} direction"
        return ""


def _splits(trial: Trial) -> bool:
    """Whether answers tell the two directions apart."""
    return trial.case.lstm.bidirectional and trial.case.lstm.num_layers == 1


def _compared(
    trial: Trial, truth: Answers, claims: Answers, u: float
) -> tuple[tuple[Difference, ...], dict[str, Array]]:
    deviations = rounding_deviations(trial.case, trial.truth, [*claims], u, seed=0)
    return compare_with_truth(truth, deviations, claims, u)[0], _allowances(truth, deviations, u)


def _allowances(answers: Answers, deviations: Answers, u: float) -> Answers:
    tiny = float(np.finfo(np.float32 if u > 1e-10 else float).tiny)
    return {n: np.nan_to_num(FACTOR * deviation + u * np.abs(answers[n]) + tiny) for n, deviation in deviations.items()}


def _allowed(trial: Trial, answers: Answers, names: list[str], u: float) -> Answers:
    return _allowances(answers, rounding_deviations(trial.case, trial.truth, names, u, seed=0), u)


def _place(trial: Trial, truth: Answers, claims: Answers, allowed: AllowedBy) -> str:
    """Return the first layer, direction, step and gate that deviate, in the order in which they are computed."""
    lstm = trial.case.lstm
    beyond = {name: distances(claim, truth[name]) > allowed[name] for name, claim in claims.items()}
    parts = []
    if lstm.num_layers > 1:  # y is that of the last layer, and tells the step alone
        states = [name.partition(" of ")[2] for name in beyond if name[:2] in ("hn", "cn") and beyond[name].any()]
        parts += [min(states)] if states else []
    by_direction = np.split(beyond["y"], len(lstm.directions), axis=-1) if "y" in beyond else []
    for direction, places in zip(lstm.directions, by_direction, strict=False):
        steps = np.flatnonzero(places.any(axis=(1, 2)))
        if len(steps):
            step = int(steps[-1] if direction == "backward" else steps[0])
            first = (step, *map(int, np.argwhere(places[step])[0]))
            parts.append(f"{direction} direction, {in_words(first)}" if lstm.bidirectional else in_words(first))
            break
    else:
        parts += [name for name in beyond if beyond[name].any() and lstm.num_layers == 1][:1]
    if parts and lstm.num_layers == 1 and len(trial.case.x) == 1 and any(name[:2] == "cn" for name in beyond):
        is_cell = any(beyond[name].any() for name in beyond if name[:2] == "cn")
        gates = "in gate i, f or g: the cell state deviates" if is_cell else "in gate o or h: the cell state is right"
        parts.append(gates)
    return ", ".join(parts)
