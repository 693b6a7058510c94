"""Problems as files: what is given is taken as it is, and what is missing or of another size gets a sentence."""

from __future__ import annotations

import json
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pytest
from cases import VARIANTS, one_sentence
from pairwise import pairs
from program import exit_code, refusal_of
from walks import EVERY_PART
from written import as_csv, as_json, as_npz, as_problem, problem_of, saved

import gatewise as gw
from gatewise.grading import problem, sheet
from gatewise.grading.chain import Chain


def taken(path: Path, switches: object, numbers: dict) -> bool:
    """Return whether a problem is taken; if not, it has got one sentence."""
    saved(path.parent, path.name, as_problem(switches, numbers))
    try:
        made = problem.read_problem(sheet.read(path, "given"))
        Chain(made.sequences(), made.dh, made.dc)
    except gw.GatewiseError as fault:
        one_sentence(fault)
        return False
    return True


EVERY_NUMBER = (*EVERY_PART[1:], "layer norm of Haste")  # that may be given: of Haste's, some a coupling leaves out


def has_every_number(case):
    return case["variant"] in EVERY_NUMBER


@pairs(1, variant=VARIANTS, thin=has_every_number)
def test_a_problem_goes_into_a_file_and_out_again(variant, tmp_path):
    there, switches = problem_of(variant, "projected")
    path = saved(tmp_path, "given.json", as_problem(switches, there.given_arrays()))
    back = problem.read_problem(sheet.read(path, "given"))
    ours, theirs = (Chain(one.sequences(), one.dh, one.dc) for one in (there, back))
    for one, other in zip(ours.quantities, theirs.quantities, strict=True):
        np.testing.assert_array_equal(one.key, other.key, err_msg=one.name)


MAYBE = ((), (1,), (4,), (7,), (0,), (1, 1), (4, 1), (1, 7), (7, 4), (2, 2, 7))  # some have one of these shapes
NEVER = (None, (7, 3))


@pytest.mark.subjects(1)
@pairs(
    variant=VARIANTS,
    projection=("unprojected", "projected"),
    steps=(1, 2),
    rows=(1, 2),
    thin=has_every_number,
)
def test_a_problem_with_something_missing_or_of_another_size_is_taken_or_gets_one_sentence(
    variant, projection, steps, rows, tmp_path
):
    """One by one, and several at once."""
    rng, path = np.random.default_rng(sum(map(ord, variant + projection))), tmp_path / "given.json"
    made, switches = problem_of(variant, projection, steps, rows)
    numbers = made.given_arrays()
    assert taken(path, switches, numbers)
    turn = 2 * list(VARIANTS).index(variant) + (projection == "projected")
    wrong = islice(cycle(NEVER + MAYBE), 5 * turn, None)  # some for every number: all are met here, and all by each
    everywhere = problem_of("plain", "unprojected")[0].given_arrays()
    for name in numbers:
        without = {other: value for other, value in numbers.items() if other != name}
        optional = name in ("h_prev", "c_prev", "dh", "dc_next")
        assert taken(path, switches, without) is optional, name
        for shape in islice(wrong, 2 if name in everywhere else 7):
            value = None if shape is None else rng.normal(0, 0.5, shape)
            assert not taken(path, switches, numbers | {name: value}) or shape not in NEVER, name
    for _ in range(5):
        some = [name for name in numbers if rng.random() < 0.8]
        taken(path, switches, {name: numbers[name] for name in some})


SWITCHES = (
    {"peephole": 1},
    {"peephole": None},
    {"peephole": ["full"]},
    {"peephole": "half"},
    {"nothing": 1},
    {"": 1},
    {"gate_clip": "a"},
    {"gate_clip": -1},
    {"gate_clip": []},
    {"gate_clip": [1]},
    {"gate_clip": {}},
    {"gate_clip": True},
    {"layer_norm": "gates"},
    {"epsilon": 1},
    {"coupling": "forget=1-input"},
    {"input_activation": 3},
    {"cell_activation": "nothing"},
    {"cell_activation": "tanh:1"},
    {"cell_activation": "leaky_relu:nan"},
    [],
    5,
    "peephole",
    None,
)


@pytest.mark.parametrize("switches", SWITCHES, ids=repr)
def test_a_variant_that_is_none_gets_one_sentence(switches, tmp_path):
    assert not taken(tmp_path / "given.json", switches, problem_of("plain", "unprojected")[0].given_arrays())


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"W_f": None}, ("'W_f' is not filled in",)),
        ({"W_f": "text"}, ("W_f: 'text' is not a number",)),
        ({"W_f": [[1, 2], [3]]}, ("W_f: its rows are not equally long",)),
        ({"W_x": [1]}, ("'W_x'", "allowed: W_f")),
        ({"x": []}, ("x has shape (0,)",)),
        ({"h_prev": [1, 2, 3, 4, 5]}, ("h_prev has shape (5,)", "(4,)")),
        ({"W_f": [[1e300] * 6] * 4, "x": [[[1e300, 1e300]] * 2]}, ("above 1e+60 in size",)),
    ],
)
def test_a_bad_problem_is_refused_by_name_on_every_command(change, parts, tmp_path, capsys):
    numbers = {name: value.tolist() for name, value in problem_of("plain", "unprojected")[0].given_arrays().items()}
    path = saved(tmp_path, "given.json", json.dumps({"given": numbers | change}))
    answers = saved(tmp_path, "a.csv", "f[0],1,2,3,4")
    for command in (["walk"], ["check", answers]):
        if "above 1e+60 in size" in parts and command == ["walk"]:
            continue
        said = refusal_of(capsys, *command, "--given", path)
        assert all(part in said for part in parts), said


@pytest.mark.parametrize("suffix", ["json", "csv", "npz"])
def test_a_problem_may_be_any_kind_of_file(suffix, tmp_path, capsys):
    numbers = {
        name: np.round(value[:, 0] if name == "x" else value[0] if value.ndim == 2 and name[0] != "W" else value, 3)
        for name, value in problem_of("plain", "unprojected")[0].given_arrays().items()
    }
    content = {"json": as_json(numbers, 3), "csv": as_csv(numbers, 3), "npz": as_npz(**numbers)}[suffix]
    path = saved(tmp_path, f"given.{suffix}", content)
    made = problem.read_problem(sheet.read(path, "given"))
    for name, value in made.given_arrays().items():
        np.testing.assert_array_equal(value, numbers[name], err_msg=name)
    assert exit_code(["walk", "--given", str(path), "--backward"]) == 0
    assert "W_f" in capsys.readouterr().out
