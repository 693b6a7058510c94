"""Is a finding stable? It is repeated with other seeds, on halves of the data, and on a model with shuffled weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from gatewise import insight
from gatewise.arrays import Array
from gatewise.errors import GatewiseError, OptionError
from gatewise.insight.horizon import HorizonStudy
from gatewise.insight.naming import duration_of
from gatewise.insight.occlusion import WORK
from gatewise.insight.raw_outputs import raw_outputs
from gatewise.insight.silencing import input_of
from gatewise.layers import LSTM
from gatewise.layers.lstm import lstm_of
from gatewise.network import Network
from gatewise.parameters import Parameters
from gatewise.reporting.subject import ReportSubject

SEEDS = (1, 2)  # beside 0, from which the report draws
SHUFFLES = 3  # models with shuffled weights
PART = 0.25  # of the exchanges, for a repeated horizon
APART = 0.35  # of the larger of two horizons: they differ if they are further apart, and by more than two steps
ALIKE = 0.15  # of the larger: the shuffled model's is the same if it is closer, or by one step
MAX_STEPS = 1000  # of a shuffled model's run
MAX_UNITS = 32  # of a shuffled model that are silenced
AS_MUCH = 0.8  # of the effect: a shuffled model in which one unit has as much has it, too


class Stability(NamedTuple):
    """Why a finding is no headline, if it is unstable, and what repeating it showed, in a sentence."""

    unstable: str = ""
    checks: str = ""


def shuffled(model: LSTM | Network, seed: int) -> LSTM | Network:
    """Return a model whose weights have changed places within each matrix, and biases within each vector."""
    rng = np.random.default_rng(seed)

    def places(array: Array) -> Array:
        return rng.permutation(array.ravel()).reshape(array.shape)

    def of_cell(p: Parameters) -> Parameters:
        recurrent, inputs = p.weight[..., : p.recurrent_size], p.weight[..., p.recurrent_size :]
        peephole, projection = (None if array is None else places(array) for array in (p.peephole, p.projection))
        weight = np.concatenate([places(recurrent), places(inputs)], axis=-1)
        return replace(p, weight=weight, bias=places(p.bias), peephole=peephole, projection=projection)

    lstm = model.lstm if isinstance(model, Network) else model
    rows = [[of_cell(cell.parameters) for cell in row] for row in lstm.layers]
    lstm = LSTM.from_cells(rows, direction=lstm.directions[0], merge=lstm.merge)
    if not isinstance(model, Network):
        return lstm
    return model.replace(lstm=lstm, head=[replace(layer, weight=places(layer.weight)) for layer in model.dense])


def shuffled_runs(subject: ReportSubject, most: int | None = None) -> list[Any]:
    """Return runs of a report's model with shuffled weights, of the sequence that it is about, or its first steps."""
    run: Any = subject.run.sequence(subject.sequence).stored if subject.has_named_sequence else subject.run
    network = run.network
    if network is not None and network.is_in_graph:
        raise OptionError("the weights of an LSTM in a graph are not shuffled")
    tokens = None if network is None else run.tokens
    x = (input_of(run, "a shuffled model") if tokens is None else tokens)[:most]
    valid = run.lstm.first.valid
    options: dict[str, Any] = {} if valid is None else {"mask": valid[:most]}
    model = lstm_of(run.lstm) if network is None else network
    return [shuffled(model, seed).trace(x, **options) for seed in range(SHUFFLES)]


def of_memory(subject: ReportSubject, answer: insight.Horizon) -> Stability:
    """Return the stability of a horizon."""
    run = subject.run.sequence(subject.sequence) if subject.has_named_sequence else subject.run
    lags, step = (answer.steps, answer.ahead), answer.step_duration
    seeds = [lags]
    with suppress(GatewiseError):
        seeds += [
            HorizonStudy(run, output=subject.target, rng=seed, part=PART).lags_of(subject.target) for seed in SEEDS
        ]
    study = subject.study
    halves, halves_are_apart = [], False
    if study is not None:
        numbers = study.swaps.at.times if subject.run.batch_size < 4 else study.swaps.at.sequences
        sides = [numbers % 2 == side for side in (0, 1)]
        halves = [study.lags_of(subject.target, side) for side in sides]
        halves_are_apart = _are_apart(halves) and _are_beyond(
            *(study.bounds_of(subject.target, side) for side in sides)
        )
    shuffles = []
    with suppress(GatewiseError):
        for other in shuffled_runs(subject):
            shuffles.append(HorizonStudy(other, output=subject.target, part=PART).lags_of(subject.target))
    alike = sum(not _differs(lags, pair, ALIKE, 1) for pair in shuffles)
    halved = f"even and odd {'steps' if subject.run.batch_size < 4 else 'sequences'}"
    tried = (("three seeds", seeds, _are_apart(seeds)), (halved, halves, halves_are_apart))
    # Lags themselves are not told: exchanges are drawn by what they change, whose last bits depend on the CPU.
    clauses = [f"{who} {'differ' if are_apart else 'agree'}" for who, pairs, are_apart in tried if len(pairs) > 1]
    if shuffles:
        verb = "remember" if alike > 1 else "remembers"
        clauses.append(f"of {len(shuffles)} models with shuffled weights, {alike or 'none'} {verb} about as long")
    checks = f"Repeated: {'; '.join(clauses)}." if clauses else ""
    if answer.stable and _are_apart(seeds):
        return Stability(f"unstable over seeds ({_durations(seeds, step)})", checks)
    if answer.stable and halves_are_apart:
        return Stability(f"differs between halves of the data ({_durations(halves, step)})", checks)
    if answer.stable and any(lags) and alike * 2 > SHUFFLES:
        return Stability("the same model with its weights shuffled remembers as long", checks)
    return Stability("", checks)


def _differs(first: tuple[int, int], second: tuple[int, int], share: float, least: int) -> bool:
    return any(abs(a - b) > max(least, share * max(a, b)) for a, b in zip(first, second, strict=True))


def _are_apart(pairs: Sequence[tuple[int, int]]) -> bool:
    return any(_differs(first, second, APART, 2) for first in pairs for second in pairs)


def _are_beyond(*bounds: tuple[tuple[int, int], tuple[int, int]]) -> bool:
    """Return whether one of two horizons, of which the least and the largest lags are given, is surely longer."""
    (least, most), (other_least, other_most) = bounds
    return any(a > b for a, b in zip(least + other_least, other_most + most, strict=True))


def _durations(pairs: Sequence[tuple[int, int]], step: Any) -> str:
    return ", ".join(duration_of(max(pair), step) for pair in pairs)


def of_units(subject: ReportSubject, answer: insight.Ablation) -> Stability:
    """Return the stability of the unit with the largest effect."""
    if len(answer.names) < 2 or not answer.effects.any() or subject.targets is not None:
        return Stability()
    run = subject.run.sequence(subject.sequence) if subject.has_named_sequence else subject.run
    before = raw_outputs(run.stored)
    halves = []
    for edits in answer.edits[:2]:
        (edit,) = edits
        silenced = insight.effect(run, unit=edit.units[0], layer=edit.layer, direction=edit.direction, scale=0)
        rows = silenced.difference[before.used][:, subject.target]
        halves.append([float(np.sqrt(np.square(part).mean())) for part in np.array_split(rows, min(2, len(rows)))])
    if len(halves[0]) < 2:
        return Stability()
    same_order = all(first > second for first, second in zip(*halves, strict=True))
    verb = "has" if same_order else "does not have"
    checks = f"Repeated: {answer.names[0]} {verb} the largest effect in both halves of the data"
    if not same_order:
        return Stability(
            f"{answer.names[0]} and {answer.names[1]} change places between halves of the data", f"{checks}."
        )
    ratio, alike = answer.effects[0] / (answer.effects[1] or np.inf), 0
    with suppress(GatewiseError):
        for other in shuffled_runs(subject, MAX_STEPS):
            outcome = insight.ablation(other, output=subject.target, most=MAX_UNITS)
            alike += bool(
                outcome.effects[0] > AS_MUCH * ratio * outcome.effects[1]
                and _relative(outcome, other, subject) >= (AS_MUCH * _relative(answer, run, subject))
            )
        checks += f"; in {alike} of {SHUFFLES} models with shuffled weights, one unit stands out as far"
    if alike * 2 > SHUFFLES:
        return Stability("one unit stands out as far in the same model with its weights shuffled", f"{checks}.")
    return Stability("", f"{checks}.")


def _relative(answer: insight.Ablation, run: Any, subject: ReportSubject) -> float:
    """Return the largest effect of a unit, relative to the spread of the output."""
    if "standard deviation" in answer.title:
        return float(abs(answer.effects[0]))
    spread = raw_outputs(run.stored).spread[subject.target]
    return float(abs(answer.effects[0]) / spread) if spread else float("inf")


def of_reasons(subject: ReportSubject, answer: insight.Occlusion, ask: Callable[..., insight.Occlusion]) -> Stability:
    """Return whether the steps that an output rests on are named with other seeds, too."""
    named = [answer.named]
    with suppress(GatewiseError):
        named += [ask(rng=seed, work=WORK / 4).named for seed in SEEDS]
    same = sum(each == answer.named for each in named)
    first = sum(bool({*each} & {*answer.named}) for each in named)
    checks = f"Repeated: {same} of {len(named)} seeds name the same {'step' if len(answer.named) == 1 else 'steps'}."
    if len(named) == 3 and first < 2:
        return Stability("other seeds name other steps", checks)
    return Stability("", checks)


def of_carriers(answer: insight.Probe, ask: Callable[..., insight.Probe]) -> Stability:
    """Return whether a unit carries values in held-out parts, and is the best with other seeds, too."""
    best = [answer.columns["unit"][answer.best]]
    with suppress(GatewiseError):
        best += [outcome.columns["unit"][outcome.best] for outcome in (ask(rng=seed) for seed in SEEDS)]
    same = best.count(best[0])
    checks = f"Repeated: it is the best unit with {same} of {len(best)} seeds; in held-out parts, r is"
    checks = f"{checks} {answer.held_out:.2f}."
    if not answer.is_carried:
        return Stability("correlates weakly: in held-out parts, r is below 0.5", checks)
    if same < 2:
        return Stability(f"unstable over seeds (units {', '.join(map(str, best))})", checks)
    return Stability("", checks)
