"""A student's numbers: no right sheet is accused, the first wrong quantity is found, and only proven causes named."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from cases import VARIANTS, run_of
from student import MISTAKES, PARAMETERS, Line, Mistake, Page, Subject, sigmoid

import gatewise as gw
from gatewise.grading.chain import Chain, Values
from gatewise.grading.marking import Marking

CLEAR = 60  # units of the last digit by which a wrong number is off, so that no rounding before it explains it
PROVEN = 7  # digits that the wrong numbers tell together: enough to tell one mistake among hundreds from chance
SHEETS = {
    "full": None,
    "gates and states": ("f", "i", "g", "o", "c", "h"),
    "c and h": ("c", "h"),
    "h": ("h",),
    "gradients of parameters": PARAMETERS,
}
FULL, GRADIENTS = "full", "gradients of parameters"

Numbers = dict[str, np.ndarray]


def rounded(numbers: Numbers, digits: int) -> Numbers:
    return {name: np.round(value, digits) for name, value in numbers.items()}


def off(written: np.ndarray, right: np.ndarray, digits: int) -> np.ndarray:
    """Return by how many units of the last digit each number is off."""
    if written.shape != right.shape:
        return np.full(right.shape, 1e9)
    return np.abs(written - right) * 10.0**digits


def first_off(written: Numbers, right: Numbers, digits: int) -> tuple[str | None, float]:
    """Return the first quantity that rounding alone does not explain, and how many digits its numbers tell.

    Where it is off by so little that the rounding of what comes before it may explain it, there are -1 digits.
    """
    for name in right:
        if name in written:
            units = off(written[name], right[name], digits)
            if units.max() > 0.5 + 1e-6:
                return name, float(np.log10(np.maximum(units, 1)).sum()) if units.max() >= CLEAR else -1.0
    return None, -1.0


def shown(marking: Marking) -> str:
    first = marking.first
    return "nothing" if first is None else f"{first.name} {first.classes} ({first.written} for {first.right})"


# What is wrong is found, and why.


def subject_for(mistake: Mistake, rng: np.random.Generator) -> Subject:
    """Return a cell in which a mistake can be made."""
    hidden = int(rng.integers(2, 7 if mistake.square else 8))
    batch = int(rng.integers(2, 5)) if mistake.batch else int(rng.choice([1, 1, 2]))
    return Subject.random(rng, inputs=hidden if mistake.square else 0, hidden=hidden, batch=batch)


def spoiled_sheets(mistake: Mistake, rng: np.random.Generator) -> Iterator[tuple[str, Subject, Numbers, Numbers, int]]:
    """Go through 20 cells with a mistake: half of the sheets full, half of them sparse, those that show it in turn.

    Where nothing but the gradients of parameters is written, everything before them may be wrong: one such sheet each.
    """
    for n in range(20):
        while True:
            subject = subject_for(mistake, rng)
            right, worked = subject.work(), subject.work(mistake.lines)
            digits = {sheet: int(rng.integers(4 if sheet == FULL else 5, 9)) for sheet in SHEETS}
            proven = {}
            for sheet, names in SHEETS.items():
                written = rounded({name: worked[name] for name in names or worked}, digits[sheet])
                if first_off(written, right, digits[sheet])[1] >= PROVEN:
                    proven[sheet] = written
            if FULL in proven:
                break
        sparse = [sheet for sheet in list(SHEETS)[1:4] if sheet in proven]
        sheet = sparse[n // 2 % len(sparse)] if n % 2 and sparse else FULL
        sheet = GRADIENTS if n == 19 and GRADIENTS in proven else sheet
        yield sheet, subject, right, proven[sheet], digits[sheet]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: f"{mistake.kind}: {mistake.says}")
def test_a_known_mistake_is_found_where_it_was_made_and_named(mistake):
    rng = np.random.default_rng(sum(map(ord, mistake.kind + mistake.says)))
    failed = []
    for sheet, subject, right, written, digits in spoiled_sheets(mistake, rng):
        marking = gw.check(written, subject.trace(), digits=digits)
        expected, _ = first_off(written, right, digits)
        named = {mistake.kind, *mistake.also} & set(marking.first.classes if marking.first else ())
        if marking.first is None or marking.first.name != expected or not named:
            size = f"{subject.inputs} inputs, {subject.hidden} hidden, batch {subject.batch}, {digits} digits"
            failed.append(f"{sheet} sheet, {size}: {expected} is wrong, found {shown(marking)}")
    assert not failed, f"{len(failed)} of 20\n" + "\n".join(failed)


# What is right is not accused.


def subset(names: list[str], rng: np.random.Generator, whole: float = 1 / 3) -> list[str]:
    """Return some of the names, in any order; so often all of them."""
    if rng.random() < whole:
        return list(names)
    return [names[n] for n in rng.permutation(len(names))[: rng.integers(1, len(names) + 1)]]


def subjects(rng: np.random.Generator, count: int) -> Iterator[tuple[Subject, Chain]]:
    """Go through random cells of random runs, each with all that is checked against it."""
    for n in range(count):
        steps = (1, 1, 1, 1, 2, 1, 1, 1, 2, 3)[n % 10]
        subject = Subject.random(rng, batch=(1, 1, 2, 1, 3)[n % 5], steps=steps)
        yield subject, Chain(subject.trace())


def carried(
    how: str, written: list[str], digits: int, rng: np.random.Generator
) -> Callable[[str, np.ndarray], np.ndarray]:
    """Return what is carried on of a quantity: what was written, or also what the pocket calculator still holds."""

    def carry(name: str, value: np.ndarray) -> np.ndarray:
        from_paper = how == "from paper" or (how == "from both" and rng.random() < 0.5)
        return np.round(value, digits) if from_paper and name in written else value

    return carry


@pytest.mark.parametrize("how", ["from memory", "from paper", "from both"])
def test_none_of_a_thousand_right_sheets_is_accused(how):
    rng = np.random.default_rng(["from memory", "from paper", "from both"].index(how))
    accused = []
    for subject, chain in subjects(rng, 50):
        for _ in range(20 if how == "from memory" else 10):
            names, digits = subset(subject.names, rng), int(rng.integers(3, 9))
            worked = subject.work(paper=carried(how, names, digits, rng))
            marking = gw.check(rounded({name: worked[name] for name in names}, digits), chain, digits=digits)
            if not marking.correct or marking.count("follows"):
                size = f"{subject.inputs} inputs, {subject.hidden} hidden, batch {subject.batch}"
                accused.append(f"{size}, {subject.steps} steps, {digits} digits: {shown(marking)}")
    assert not accused, f"{len(accused)} accused\n" + "\n".join(accused)


def significant(value: float, digits: int) -> str:
    """Return a number with so many significant digits, zeros at the end kept."""
    return f"{value:#.{digits}g}".rstrip(".")


def by_digits(value: np.ndarray, digits: int) -> np.ndarray:
    return np.array([float(significant(one, digits)) for one in value.reshape(-1)]).reshape(value.shape)


def test_none_of_a_hundred_right_files_with_significant_digits_is_accused(tmp_path):
    rng, accused = np.random.default_rng(11), []
    for subject, chain in subjects(rng, 20):
        for n in range(5):
            names, digits = subset(subject.names, rng), int(rng.integers(3, 9))

            def carry(name, value, names=names, digits=digits, n=n):
                return by_digits(value, digits) if n % 2 and name in names else value

            worked = subject.work(paper=carry)
            lines = [
                ",".join([name, *(significant(one, digits) for one in row)])
                for name in names
                for row in np.atleast_2d(worked[name])
            ]
            path = tmp_path / "sheet.csv"
            path.write_text("\n".join(lines))
            marking = gw.check(path, chain)
            if not marking.correct or marking.count("follows"):
                accused.append(f"{digits} digits, {'from paper' if n % 2 else 'from memory'}: {shown(marking)}")
    assert not accused, f"{len(accused)} accused\n" + "\n".join(accused)


# What is wrong for no known reason is found, and gets no cause.


def one_entry(value: np.ndarray, rng: np.random.Generator, change: Callable[[float], float]) -> np.ndarray:
    changed = value.copy()
    place = tuple(int(rng.integers(n)) for n in value.shape)
    changed[place] = change(float(value[place]))
    return changed


def swapped_digits(number: float, rng: np.random.Generator) -> float:
    """Return a number with two neighbouring digits exchanged."""
    text = f"{number:.6f}"
    at = text.index(".") + int(rng.integers(1, 4))
    return float(text[:at] + text[at + 1] + text[at] + text[at + 2 :])


def wrong_entries(rng: np.random.Generator) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Return ways in which the numbers of any quantity go wrong that no known mistake explains."""
    by = float(rng.uniform(0.05, 2) * rng.choice([-1, 1]))
    return {
        "one entry off": lambda q: one_entry(q, rng, lambda one: one * (1 + by)),
        "a sign lost": lambda q: one_entry(q, rng, lambda one: -one),
        "digits exchanged": lambda q: one_entry(q, rng, lambda one: swapped_digits(one, rng)),
        "rolled": lambda q: np.roll(q, 1, axis=-1),
        "squared": lambda q: q**2,
        "one less": lambda q: 1 - q,
        "cosine": np.cos,
        "all signs": lambda q: -q,
        "something else": lambda q: rng.normal(0, 0.5, q.shape),
        "a constant too much": lambda q: q + by,
        "times a constant": lambda q: q * (1 + by),
    }


def wrong_lines(rng: np.random.Generator) -> dict[str, dict[str, Line]]:
    """Return lines in place of the right ones that no known mistake explains."""
    return {
        "h = o + tanh(c)": {"h": lambda s: s["o"] + np.tanh(s["c"])},
        "h = o tanh(c)²": {"h": lambda s: s["o"] * np.tanh(s["c"]) ** 2},
        "h = o cos(c)": {"h": lambda s: s["o"] * np.cos(s["c"])},
        "c = f c_prev - i g": {"c": lambda s: s["f"] * s.c_prev - s["i"] * s["g"]},
        "c = f c_prev + g": {"c": lambda s: s["f"] * s.c_prev + s["g"]},
        "c = f + i g": {"c": lambda s: s["f"] + s["i"] * s["g"]},
        "f = 1 - σ": {"f": lambda s: 1 - sigmoid(s["a_f"])},
        "g = σ tanh": {"g": lambda s: sigmoid(s["a_g"]) * np.tanh(s["a_g"])},
        "i = 1 / (1 + e^2a)": {"i": lambda s: 1 / (1 + np.exp(2 * s["a_i"]))},
        "dc with 1 + tanh(c)²": {"dc": lambda s: s.dc_next + s.dh * s["o"] * (1 + np.tanh(s["c"]) ** 2)},
        "da_o with 1 + o": {"da_o": lambda s: s["do"] * s["o"] * (1 + s["o"])},
        "dz of one gate": {"dz": lambda s: s["da_g"] @ s.W["g"]},
    }


def unknown_sheets(rng: np.random.Generator, cells: int, each: int) -> Iterator[tuple]:
    """Go through sheets with a mistake of no known class in one quantity; what comes after it follows."""
    whole = {1: 0.6, 2: 0.9, 3: 1.0}  # what little is written of many steps has much before it that may be wrong
    for subject, chain in subjects(rng, cells):
        right, made = subject.work(), 0
        while made < each:
            if rng.random() < 0.75:
                ways = wrong_entries(rng)
                name, says = subject.names[rng.integers(len(subject.names))], str(rng.choice(list(ways)))
                if says == "rolled" and (name.startswith("z") and subject.inputs == 1):
                    continue  # that is [x; h] for [h; x]
                worked, says = subject.work(spoiled={name: ways[says]}), f"{name} {says}"
            else:
                lines = wrong_lines(rng)
                says = str(rng.choice(list(lines)))
                worked = subject.work(lines[says])
            names, digits = subset(subject.names, rng, whole[subject.steps]), int(rng.integers(3, 9))
            written = rounded({name: worked[name] for name in names}, digits)
            expected, digits_told = first_off(written, right, digits)
            if digits_told >= 0:
                made += 1
                yield says, subject, chain, expected, written, digits


def test_of_a_thousand_unknown_mistakes_each_is_found_and_at_most_one_in_a_hundred_gets_a_cause():
    rng, lost, caused, count = np.random.default_rng(3), [], [], 0
    for says, subject, chain, expected, written, digits in unknown_sheets(rng, 50, 20):
        count += 1
        marking = gw.check(written, chain, digits=digits)
        told = f"{says} ({subject.inputs} inputs, {subject.hidden} hidden, batch {subject.batch}, {subject.steps} steps"
        told += f", {digits} digits, {len(written)} written): {expected} is wrong, found {shown(marking)}"
        if marking.first is None or marking.first.name != expected:
            lost.append(told)
        if any(verdict.causes for verdict in marking.verdicts):
            caused.append(told)
    assert count == 1000
    assert not lost, f"{len(lost)} of {count} were not found\n" + "\n".join(lost)
    assert len(caused) <= count / 100, f"{len(caused)} of {count} got a cause\n" + "\n".join(caused)


# What comes after.


@pytest.mark.parametrize("digits", [4, 6, 8])
def test_what_is_computed_from_a_wrong_quantity_follows_from_it(digits):
    rng = np.random.default_rng(digits)
    for subject, chain in subjects(rng, 10):
        right = subject.work()
        for name in rng.choice(subject.names, 8, replace=False):
            worked = subject.work(spoiled={name: lambda q: q + 0.3})
            written = rounded(worked, digits)
            marking = gw.check(written, chain, digits=digits)
            assert marking.first.name == name
            assert marking.count("wrong") == 1
            for verdict in marking.verdicts:
                units = off(written[verdict.name], right[verdict.name], digits).max()
                if verdict.name != name and units >= CLEAR:
                    assert verdict.status == "follows", f"{verdict.name} after {name}"
                elif verdict.name != name and units <= 0.5:
                    assert verdict.status in ("right", "too coarse"), f"{verdict.name} after {name}"


def test_what_goes_wrong_again_is_wrong_and_what_is_right_in_spite_of_it_stays_right():
    rng = np.random.default_rng(5)
    for subject, chain in subjects(rng, 20):
        right, names = subject.work(), subject.names
        for _ in range(5):
            one, other, spared = sorted(rng.choice(len(names), 3, replace=False))
            worked = subject.work(spoiled={names[one]: lambda q: q + 0.3, names[other]: lambda q: q - 0.4})
            worked[names[spared]] = right[names[spared]]
            status = {v.name: v.status for v in gw.check(rounded(worked, 8), chain, digits=8).verdicts}
            assert status[names[one]] == status[names[other]] == "wrong"
            assert status[names[spared]] == "right", names[spared]


def test_blanks_are_blank_and_carry_nothing():
    rng = np.random.default_rng(6)
    for subject, chain in subjects(rng, 20):
        names = subject.names
        for _ in range(5):
            at = int(rng.integers(len(names)))
            written = rounded(subject.work(spoiled={names[at]: lambda q: q + 0.3}), 6)
            blanks = rng.choice([n for n in range(len(names)) if n != at], len(names) // 3, replace=False)
            for n in blanks:
                written[names[n]] = np.full_like(written[names[n]], np.nan)
            marking = gw.check(written, chain, digits=6)
            assert marking.first.name == names[at]
            assert marking.count("wrong") == 1
            assert {v.name for v in marking.verdicts if v.status == "blank"} == {names[n] for n in blanks}


def test_long_names_mean_the_same():
    subject = Subject.random(np.random.default_rng(7))
    long = {"z": "combined_input", "f": "forget_gate", "i": "input_gate", "g": "candidate", "o": "output_gate"}
    long |= {"c": "cell_state", "h": "hidden_state"}
    for words in (long, {"f": "f_t", "i": "i_t", "g": "c_tilde", "o": "o_t", "c": "c_t", "h": "h_t"}):
        worked = rounded({name: subject.work(MISTAKES[0].lines)[name] for name in words}, 6)
        short = gw.check(worked, subject.trace(), digits=6)
        again = gw.check({words[name]: value for name, value in worked.items()}, subject.trace(), digits=6)
        assert [(v.name, v.status, v.causes) for v in again.verdicts] == [
            (v.name, v.status, v.causes) for v in short.verdicts
        ]


# Two mistakes.


def test_of_two_mistakes_on_a_full_sheet_the_first_is_named():
    rng, failed = np.random.default_rng(4), []
    single = [one for one in MISTAKES if not one.batch and not one.square]
    for n in range(200):
        one, other = (single[k] for k in rng.choice(len(single), 2, replace=False))
        if {*one.lines} & {*other.lines}:
            continue
        subject, digits = Subject.random(rng), int(rng.integers(5, 9))
        worked = subject.work(other.lines | one.lines)
        written = rounded(worked, digits)
        places = [name for name in subject.names if name in one.lines | other.lines]
        made = one if places[0] in one.lines else other
        alone = first_off(rounded(subject.work(made.lines), digits), subject.work(), digits)
        if alone[0] != places[0] or alone[1] < PROVEN:
            continue
        marking = gw.check(written, subject.trace(), digits=digits)
        if marking.first is None or marking.first.name != places[0] or made.kind not in marking.first.classes:
            told = f"{n}: {one.kind} ({one.says}) and {other.kind} ({other.says}), {digits} digits"
            failed.append(f"{told}: {places[0]} is wrong, found {shown(marking)}")
    assert not failed, f"{len(failed)}\n" + "\n".join(failed)


# Several steps.


def with_kind(kind: str) -> list[Mistake]:
    return [mistake for mistake in MISTAKES if mistake.kind == kind]


KINDS = tuple(dict.fromkeys(mistake.kind for mistake in MISTAKES))
OF_TWO_STEPS = {"only the last h": ("h[1]",), "both h": ("h[0]", "h[1]"), "gradients over all steps": PARAMETERS}


def sheets_of_two_steps(kind: str, rng: np.random.Generator) -> Iterator[tuple[str, Mistake, Subject, Numbers, str]]:
    """Go through sparse sheets of runs in which a mistake is made at both steps, some of each sort that shows it.

    There are three of each with h and one with gradients, or five with gradients where h does not show it.
    """
    shows = 0
    for sheet, there in OF_TWO_STEPS.items():
        made, wanted = 0, 3 if there != PARAMETERS else 1 if shows else 5
        for _ in range(60):
            mistake = with_kind(kind)[rng.integers(len(with_kind(kind)))]
            hidden, batch = int(rng.integers(3, 6)), 2 if mistake.batch else 1
            inputs = hidden if mistake.square else int(rng.integers(1, 5))
            subject = Subject.random(rng, inputs=inputs, hidden=hidden, batch=batch, steps=2)
            right, worked = subject.work(), subject.work(mistake.lines)
            names = (
                there if there != PARAMETERS else [f"dW_{rng.choice(list('figo'))}", f"db_{rng.choice(list('figo'))}"]
            )
            written = rounded({name: worked[name] for name in names}, 8)
            expected, told = first_off(written, right, 8)
            if expected is not None and told >= PROVEN and written[expected].shape == right[expected].shape:
                yield sheet, mistake, subject, written, expected
                made += 1
            if made == wanted:
                break
        shows += made


def test_a_mistake_made_at_every_step_is_found_on_sparse_sheets_and_named_nine_times_in_ten():
    lost, unnamed, count, of = [], [], 0, dict.fromkeys(KINDS, 0)
    for kind in KINDS:
        rng = np.random.default_rng(sum(map(ord, kind)))
        for sheet, mistake, subject, written, expected in sheets_of_two_steps(kind, rng):
            count, of[kind] = count + 1, of[kind] + 1
            marking = gw.check(written, subject.trace(), digits=8)
            size = f"{subject.inputs} inputs, {subject.hidden} hidden, batch {subject.batch}"
            told = f"{kind} ({mistake.says}), {sheet}, {size}: {expected} is wrong, found {shown(marking)}"
            if marking.first is None or marking.first.name != expected:
                lost.append(told)
            elif not {kind, *mistake.also} & set(marking.first.classes):
                unnamed.append(told)
    assert min(of.values()) >= 5, of
    assert not lost, f"{len(lost)} of {count}\n" + "\n".join(lost)
    assert len(unnamed) <= count / 10, f"{len(unnamed)} of {count} are unnamed\n" + "\n".join(unnamed)


@pytest.mark.parametrize(("step", "which"), [(1, "last"), (0, "first")])
def test_a_gradient_of_one_step_for_that_of_all_is_named(step, which):
    rng = np.random.default_rng(step)
    for _ in range(5):
        subject = Subject.random(rng, hidden=3, steps=2)
        worked = subject.work()
        for sheet in (subject.names, PARAMETERS):  # with all that leads to it, and without
            name = str(rng.choice(PARAMETERS))
            written = rounded({one: worked[one] for one in sheet} | {name: worked[f"{name}[{step}]"]}, 8)
            marking = gw.check(written, subject.trace(), digits=8)
            assert marking.count("wrong") == 1
            assert marking.first.name == name
            assert marking.first.classes == ("sum over the steps missing",)
            assert marking.first.causes == (f"{name} is that of the {which} step only",)


# Two mistakes in one equation.


def square_turned(s: Page, k: str) -> np.ndarray:
    return s.h_prev @ s.W[k][:, : s.hidden] + s.x @ s.W[k][:, s.hidden :].T


def in_one_equation() -> dict[str, tuple[dict[str, Line], set[str]]]:
    """Return lines with two mistakes each, and the classes of both."""
    old, swap, bare = "h from the old cell", "two gates swapped", "no tanh on the cell"
    wrong, order, turned = "sigmoid for tanh", "order of [h; x]", "transposed weights"
    exchanged, hidden, nothing, twice = "forget and input exchanged", "hidden for cell", "missing bias", "doubled bias"
    found: dict[str, tuple[dict[str, Line], set[str]]] = {
        "h = f c": ({"h": lambda s: s["f"] * s["c"]}, {swap, bare}),
        "h = i σ(c)": ({"h": lambda s: s["i"] * sigmoid(s["c"])}, {swap, wrong}),
        "h = o c_prev": ({"h": lambda s: s["o"] * s.c_prev}, {old, bare}),
        "h = o σ(c_prev)": ({"h": lambda s: s["o"] * sigmoid(s.c_prev)}, {old, wrong}),
        "h = f tanh(c_prev)": ({"h": lambda s: s["f"] * np.tanh(s.c_prev)}, {old, swap}),
        "c = i h_prev + f g": ({"c": lambda s: s["i"] * s.h_prev + s["f"] * s["g"]}, {exchanged, hidden}),
        "c = o h_prev + i g": ({"c": lambda s: s["o"] * s.h_prev + s["i"] * s["g"]}, {swap, hidden}),
        "do = dh c_prev": ({"do": lambda s: s.dh * s.c_prev}, {"old cell for the new", bare}),
        "do = dh σ(c_prev)": ({"do": lambda s: s.dh * sigmoid(s.c_prev)}, {"old cell for the new", wrong}),
    }
    for k, other in zip("figo", "igof", strict=True):
        lines: dict[str, tuple[Line, set[str]]] = {
            "[x; h], no bias": (lambda s, k=k: np.hstack([s.x, s.h_prev]) @ s.W[k].T, {order, nothing}),
            "[x; h], two biases": (lambda s, k=k: np.hstack([s.x, s.h_prev]) @ s.W[k].T + 2 * s.b[k], {order, twice}),
            f"weights of {other}, no bias": (lambda s, j=other: s["z"] @ s.W[j].T, {swap, nothing}),
            f"weights of {other}, [x; h]": (
                lambda s, j=other: np.hstack([s.x, s.h_prev]) @ s.W[j].T + s.b[j],
                {swap, order},
            ),
            "transposed, no bias": (lambda s, k=k: square_turned(s, k), {turned, nothing}),
            "transposed, two biases": (lambda s, k=k: square_turned(s, k) + 2 * s.b[k], {turned, twice}),
        }
        found |= {f"a_{k}: {says}": ({f"a_{k}": line}, kinds) for says, (line, kinds) in lines.items()}
    return found


IN_ONE_EQUATION = in_one_equation()


@pytest.mark.parametrize("says", IN_ONE_EQUATION)
def test_two_mistakes_in_one_equation_are_named_as_two_or_not_at_all(says):
    (lines, kinds), rng = IN_ONE_EQUATION[says], np.random.default_rng(sum(map(ord, says)))
    (name,) = lines
    wrong = []
    for _ in range(3):
        subject = Subject.random(rng, hidden=int(rng.integers(3, 7)))
        right, worked = subject.work(), subject.work(lines)
        before = subject.names[: subject.names.index(name)]
        for names in ((name,), ("h",), ("c", "h"), ("f", "i", "g", "o", "c", "h"), (*before[-3:], name), (name[-1],)):
            written = rounded({one: worked[one] for one in names}, 8)
            expected, told = first_off(written, right, 8)
            if expected is None or told < PROVEN:
                continue
            first = gw.check(written, subject.trace(), digits=8).first
            paired = all(", and " in cause for cause in first.causes) and {*first.classes} <= kinds
            if first.name != expected or not paired:
                wrong.append(f"{subject.inputs} inputs, {subject.hidden} hidden, {names}: {first.name} {first.causes}")
    assert not wrong, "\n".join(wrong)


# Blanks.


def test_none_is_a_blank_as_nan_is():
    subject = Subject.random(np.random.default_rng(8), inputs=2, hidden=2)
    chain, worked = Chain(subject.trace()), rounded(subject.work(MISTAKES[0].lines), 6)
    nan = worked | {"f": np.array([np.nan, worked["f"][1]]), "c": np.full(2, np.nan)}
    for f in ([None, worked["f"][1]], (None, worked["f"][1]), np.array([None, worked["f"][1]], dtype=object)):
        for c in (None, [None, None], np.nan, [np.nan, None]):
            one, other = gw.check(worked | {"f": f, "c": c}, chain, digits=6), gw.check(nan, chain, digits=6)
            assert str(one) == str(other)
            assert "   c        blank" in str(one)


def test_of_a_partly_blank_array_only_what_is_written_is_judged():
    rng = np.random.default_rng(9)
    for subject, chain in subjects(rng, 12):
        right = subject.work()
        for name in rng.choice(subject.names, 8, replace=False):
            value = right[name]
            if value.size < 2:
                continue
            blank = rng.random(value.shape) < 0.5
            blank.flat[rng.integers(blank.size)] = True
            blank.flat[rng.permutation(np.flatnonzero(~blank))[:1]] = False
            if blank.all():
                continue
            holes = np.where(blank, np.nan, value)
            written = rounded(right, 6) | {name: np.round(holes, 6)}
            marking = gw.check(written, chain, digits=6)
            assert marking.correct, shown(marking)
            assert not marking.count("follows", "blank")
            worked = subject.work(spoiled={name: lambda q, blank=blank: np.where(blank.reshape(q.shape), q, q + 0.3)})
            written = rounded(worked, 6) | {name: np.round(np.where(blank, np.nan, worked[name]), 6)}
            marking = gw.check(written, chain, digits=6)
            assert marking.first.name == name
            assert marking.count("wrong") == 1, shown(marking)
            for verdict in marking.verdicts:
                if verdict.name != name and off(written[verdict.name], right[verdict.name], 6).max() >= CLEAR:
                    assert verdict.status == "follows", f"{verdict.name} after {name}"


def test_what_is_blank_between_two_written_quantities_is_carried_from_the_one_to_the_other():
    rng = np.random.default_rng(10)
    for subject, chain in subjects(rng, 10):
        right = subject.work()
        for _ in range(3):
            at = int(rng.integers(len(subject.names)))
            worked = subject.work(spoiled={subject.names[at]: lambda q: q + 0.3})
            after = [one for one in subject.names if off(worked[one], right[one], 8).max() >= CLEAR]
            later = str(rng.choice(after))
            written = rounded({one: worked[one] for one in {subject.names[at], later}}, 8)
            blanks = {one: None for one in subject.names if one not in written and rng.random() < 0.5}
            marking = gw.check(written | blanks, chain, digits=8)
            status = {v.name: v.status for v in marking.verdicts if v.status != "blank"}
            assert status == {subject.names[at]: "wrong"} | ({} if later == subject.names[at] else {later: "follows"})
            assert marking.count("blank") == len(blanks)


# Every variant.


def carried_on(chain: Chain, name: str, spoil: Callable[[np.ndarray], np.ndarray]) -> Numbers:
    """Return every quantity as the equations make it, where one of them is spoiled."""
    values, found = Values(), {}
    for quantity in chain.quantities:
        together, _ = chain.together(quantity, chain.compute(quantity, values, slack=False))
        found[quantity.name] = spoil(together) if quantity.name == name else together
        rows = found[quantity.name] if chain.batch > 1 and not quantity.summed else [found[quantity.name]]
        for row, value in enumerate(rows):
            key = (quantity.symbol, quantity.at, None if quantity.summed else row)
            values.value[key], values.tolerance[key] = value, np.zeros_like(value)
    return found


@pytest.mark.parametrize("projection", ["unprojected", "projected"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_of_every_variant_a_right_sheet_is_right_and_one_wrong_number_is_found(variant, projection):
    rng = np.random.default_rng(sum(map(ord, variant + projection)))
    for batch in (1, 2):
        chain = Chain(run_of(variant, projection=projection, time=2, batch=batch).trace())
        right = {quantity.name: quantity.key for quantity in chain.quantities}
        marking = gw.check(rounded(right, 8), chain, digits=8)
        assert marking.correct, shown(marking)
        assert not marking.count("follows")
        for name in rng.choice(list(right), 5, replace=False):
            place = tuple(int(rng.integers(n)) for n in right[name].shape)

            def spoil(value, place=place):
                spoiled = value.copy()
                spoiled[place] += np.copysign(max(0.03 * abs(value[place]), 1e-4), value[place])
                return spoiled

            marking = gw.check(rounded(right, 8) | {name: np.round(spoil(right[name]), 8)}, chain, digits=8)
            assert [v.name for v in marking.verdicts if v.status == "wrong"][:1] == [name], shown(marking)
            worked = rounded(carried_on(chain, name, spoil), 8)
            marking = gw.check(worked, chain, digits=8)
            assert marking.count("wrong") == 1
            assert marking.first.name == name
            for verdict in marking.verdicts:
                if verdict.name != name and off(worked[verdict.name], right[verdict.name], 8).max() >= CLEAR:
                    assert verdict.status == "follows", f"{verdict.name} after {name}"
