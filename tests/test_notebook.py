"""A notebook prints what is saved in it, needs NumPy alone, and computes what the walk says."""

from __future__ import annotations

import ast
import builtins
import contextlib
import io
import json
import keyword
import re

import cases
import numpy as np
import pytest
from pairwise import pairs
from walks import SUBJECTS, fewer, trace_of, walk_of
from walks import WAYS as ALL_WAYS

import gatewise as gw
from gatewise.activations import KINDS, Activation
from gatewise.render import code
from gatewise.symbolic import formula as f
from gatewise.symbolic import nonlinearities
from gatewise.walkthrough.notation import NOTATIONS
from gatewise.walkthrough.parts import NumberTable, WorkedEquation
from tests.test_program import CONSTANTS

pytestmark = pytest.mark.usefixtures("few_differences")

WAYS = ("forward", "backward", "three steps", "three steps backward", "three steps from every output")


def cells(walk, kind="code"):
    return [cell for cell in json.loads(walk.render("notebook"))["cells"] if cell["cell_type"] == kind]


def source(walk):
    return joined(cells(walk))


def joined(code_cells):
    return "\n\n".join("".join(cell["source"]) for cell in code_cells)


def saved(cell):
    return "".join("".join(output["text"]) for output in cell["outputs"])


def executed(walk):
    """Run the code cells of a walk's notebook and return all names that they give."""
    return run(cells(walk))


def run(code_cells):
    """Run cells from top to bottom, each of which must print what is saved in it."""
    names: dict = {}
    with np.printoptions(), np.errstate():  # the notebook sets its own
        for cell in code_cells:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
            assert printed.getvalue() == saved(cell), cell["id"]
    return names


def affordable(case):
    """Leave three steps back to the plain variant: code of any other takes its step from the one after in that way."""
    if case["way"] in ("three steps backward", "three steps from every output"):
        return case["variant"] == "plain"
    return fewer(case)


@pairs(**SUBJECTS, way=WAYS, notation=NOTATIONS, thin=affordable)
def test_the_cells_of_a_notebook_print_what_is_saved_in_them(variant, projection, dropout, way, notation):
    walk = walk_of(variant, projection, dropout, way, notation)
    code_cells = cells(walk)
    hold_code(code_cells)
    names = run(code_cells)
    last = [block for section in walk.sections for block in section.blocks if isinstance(block, WorkedEquation)][-1]
    name = code.identifier(last.left)
    found = names[name] if name in names else names[f"{code.identifier(f.Symbol(last.left.base))}_2"]
    np.testing.assert_allclose(found, last.value, rtol=1e-9, atol=1e-12)
    if walk.backward:
        check = saved(code_cells[-1])
        assert "agrees: True" in check
        assert "False" not in check


@pytest.mark.parametrize("name", KINDS)
def test_a_nonlinearity_in_code_is_the_one_computed(name):
    activation = Activation(name, *CONSTANTS.get(name, ()))
    at, symbol = np.linspace(-4, 4, 33), f.Symbol("a")
    found = eval(code.expression(nonlinearities.textbook(activation), {symbol: "a"}), {"np": np, "a": at})
    np.testing.assert_allclose(found, activation(at), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (f.add(f.Symbol("q"), f.Number(-2.0)), "q - 2.0"),
        (f.less(f.Symbol("q"), f.Number(-2.0)), "q - -2.0"),
        (f.less(f.Symbol("q"), f.less(f.Symbol("r"), f.ONE)), "q - (r - 1)"),
        (f.times(f.less(f.ONE, f.Symbol("k")), f.Symbol("q")), "(1 - k) * q"),
        (f.times(f.Symbol("q"), f.MatMul(f.Symbol("W"), f.Symbol("z"))), "q * (W @ z)"),
        (f.MatMul(f.Symbol("z"), f.Transpose(f.Symbol("W"))), "z @ W.T"),
        (f.Quotient(f.Symbol("q"), f.times(f.Symbol("k"), f.Symbol("r"))), "q / (k * r)"),
        (f.Quotient(f.add(f.Symbol("q"), f.Symbol("r")), f.Symbol("k")), "(q + r) / k"),
        (f.Power(f.Number(-2.0), f.TWO), "(-2.0) ** 2"),
        (f.Negative(f.Power(f.Symbol("q"), f.TWO)), "-q ** 2"),
        (f.Negative(f.times(f.Symbol("q"), f.Symbol("k"))), "-(q * k)"),
        (f.times(f.Symbol("q"), f.Slope(f.times(f.Symbol("k"), f.less(f.ONE, f.Symbol("k"))))), "q * k * (1 - k)"),
        (f.Slice(f.Symbol("z"), 1, 3), "z[1:3]"),
        (f.Outer(f.Symbol("q"), f.Symbol("z")), "np.outer(q, z)"),
        (f.Holds(f.FunctionCall("abs", (f.Symbol("q"),)), "≤", f.Number(0.5)), "np.where(np.abs(q) <= 0.5, 1.0, 0.0)"),
        (f.Concatenation((f.Symbol("q"), f.Symbol("r"))), "np.concatenate([q, r])"),
    ],
)
def test_a_formula_is_written_in_code_with_the_brackets_it_needs(node, expected):
    assert code.expression(node, {f.Symbol(letter): letter for letter in "qkrzW"}) == expected


@pytest.mark.parametrize("number", [0.1, -1e-300, 1 / 3, np.float32(0.1), 7, np.nan, np.inf, -np.inf, -0.0])
def test_a_literal_is_the_number_itself(number):
    found = eval(code.literal(number), {"np": np})
    np.testing.assert_array_equal(found, np.float64(number))
    assert np.signbit(found) == np.signbit(number)


def test_a_symbol_never_takes_a_name_of_python_or_of_another():
    allotted = code.NameAllocator("show")
    wanted = ("lambda", "show", "np", "sum", "match", "f", "f", "f_2")
    found = [allotted.name(n, one) for n, one in enumerate(wanted)]
    assert found == ["lambda_2", "show_2", "np_2", "sum_2", "match_2", "f", "f_2", "f_2_2"]
    assert allotted.name(0, "anything") == "lambda_2"


def hold_code(code_cells):
    """Assert that the code imports NumPy alone, and gives every name once."""
    tree = ast.parse(joined(code_cells))
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert [ast.unparse(node) for node in imports] == ["import numpy as np"]
    given = [node.targets[0].id for node in tree.body if isinstance(node, ast.Assign)]
    given += [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert len(given) == len(set(given))
    assert all(name.isascii() and name.isidentifier() and not keyword.iskeyword(name) for name in given)
    assert not set(given) & {*dir(builtins), "np"}


def test_a_step_takes_its_state_from_the_step_before_and_its_derivatives_from_the_step_after():
    shown = source(walk_of("plain", None, "no dropout", "three steps backward", "olah"))
    for line in ("h_prev_1 = h_0", "C_prev_2 = C_1", "dh_1 = dh_prev_2", "dC_next_0 = dC_prev_1"):
        assert f"\n{line}\n" in shown
    assert len(re.findall(r"^(?:h_prev|C_prev|dh|dC_next)_\d = np\.array", shown, re.MULTILINE)) == 4
    assert len(re.findall(r"^W_f = np\.array", shown, re.MULTILINE)) == 1


def test_the_output_of_every_step_joins_the_gradient_and_the_loss():
    shown = source(walk_of("plain", None, "no dropout", "three steps from every output", "olah"))
    for line in ("dh_next_1 = dh_prev_2", "dh_1 = dy_1 + dh_next_1", "dh_2 = dy_2 + dh_next_2"):
        assert f"\n{line}\n" in shown
    assert "    return dy_0 @ h_0 + dy_1 @ h_1 + dy_2 @ h_2 + dh_next_2 @ h_2 + dC_next_2 @ C_2\n" in shown
    many = gw.walk(trace_of("plain", None, steps=9), backward=True, dy=np.ones((9, 4)))
    code_cells = cells(many)
    assert max(len(line) for line in joined(code_cells).splitlines() if " @ h_" in line) <= 88
    run(code_cells)


@pairs(dropout=["no dropout", "zoneout"], variant=["plain", "cell clip", "forget=1-input"], thin=True)
def test_the_running_product_is_computed_only_where_it_is_that_of_the_gates(variant, dropout):
    walk = walk_of(variant, None, dropout, "three steps backward")
    found = [cell for cell in cells(walk) if cell["id"].endswith("-through_time-code")]
    gates_alone = variant != "cell clip" and dropout == "no dropout"
    assert bool(found) == gates_alone
    if found:
        names = executed(walk)
        [section] = [section for section in walk.sections if section.key == "through_time"]
        tables = [block for block in section.blocks if isinstance(block, NumberTable)]
        products = [[numbers[1] for _, numbers in table.rows] for table in tables]
        np.testing.assert_allclose([names[f"carried_{at}"][: len(tables)] for at in (2, 1, 0)], np.transpose(products))


def test_steps_that_do_not_follow_from_each_other_get_their_states_as_numbers():
    trace = trace_of("plain", None, steps=3)
    walk = gw.walk([trace.step(2), trace.step(0)])
    assert "h_prev_1 = np.array" in source(walk)
    executed(walk)
    other = trace_of("cell clip", None, steps=1)
    walk = gw.walk([trace.step(0), other.step(0)])
    assert {"W_f_0", "W_f_1"} <= executed(walk).keys()


def test_a_notebook_is_one_of_nbformat_4_5():
    walk = walk_of("plain", None, "no dropout", "three steps backward")
    shown = walk.render("notebook")
    notebook = json.loads(shown)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch("[a-zA-Z0-9-_]{1,64}", one) for one in ids)
    counts = [cell["execution_count"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1))
    for cell in notebook["cells"]:
        assert cell["source"]
        assert all("\n" not in line[:-1] for line in cell["source"])
    assert shown == walk_of("plain", None, "no dropout", "three steps backward").render("notebook")


def test_every_section_has_its_words_and_every_step_its_heading():
    walk = walk_of("plain", None, "no dropout", "three steps")
    words = ["".join(cell["source"]) for cell in cells(walk, "markdown")]
    assert len(words) == len(walk.sections) + 1
    assert words[0].startswith("# An LSTM cell, 3 steps line by line\n")
    assert [shown.splitlines()[0] for shown in words if shown.startswith("## ")] == [f"## step {t}" for t in range(3)]
    assert "### 1. The nonlinearities" in words[1]


HOSTILE = ["'''\nimport os\n\"\"\"", "x\nraise SystemExit\n#", "{}%s\\N{BULLET}\udcff\u2028\x1b[31m", "$1$ `code` <b>|"]


@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=() if "every output" in way else pytest.mark.peers) for way in WAYS]
)
def test_names_whatever_is_in_them_never_become_code(way):
    steps, backward, _ = ALL_WAYS[way]
    p = trace_of("plain", None).parameters
    x = np.random.default_rng(2).normal(size=(steps, 3))
    labels = gw.Labels(features=HOSTILE[:3], units=HOSTILE, times=HOSTILE[:steps])
    facts = {HOSTILE[0]: HOSTILE[1]}

    def walk(**named):
        trace = gw.LSTM.from_cells(p).trace(x[:, None], **named)[0]
        return gw.walk(trace, backward=backward, facts=facts if named else None)

    code_cells = cells(walk(labels=labels))
    run(code_cells)
    assert code_cells == cells(walk())


def test_a_float32_cell_is_computed_in_float64_and_the_notebook_says_so():
    walk = walk_of("plain", None, "no dropout", "three steps backward", dtype=np.float32)
    assert executed(walk)["W_f"].dtype == np.float64
    assert "float32" in "".join(cells(walk, "markdown")[0]["source"])
    assert "float32" not in "".join(cells(walk_of("plain", None, "no dropout", "forward"), "markdown")[0]["source"])


def test_the_outputs_do_not_depend_on_how_this_process_prints():
    walk = walk_of("plain", None, "no dropout", "backward")
    before = walk.render("notebook")
    with np.printoptions(precision=2, suppress=True, threshold=3, sign="+", floatmode="fixed", nanstr="?"):
        assert walk.render("notebook") == before


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e6])
def test_nan_infinity_and_large_numbers_are_printed_without_a_warning(value, backward):
    cell = gw.LSTMCell(3, 2, rng=0, dtype=np.float64)
    executed(gw.walk(cell.step([value, 0, -value]), backward=backward))


def test_two_nonlinearities_of_one_name_are_two_functions():
    switches = {"candidate_activation": "elu:0.7", "cell_activation": "elu:1"}
    p = cases.parameters(switches, np.random.default_rng(0))
    walk = gw.walk(gw.LSTMCell.from_parameters(p).step([1.0, -1.0, 0.5]), backward=True)
    assert {"elu", "elu_2"} <= executed(walk).keys()


def test_a_large_matrix_is_given_whole_and_printed_in_brief():
    lstm = gw.LSTM(20, 30, rng=0, dtype=np.float64)
    code_cells = cells(gw.walk(lstm.trace(np.random.default_rng(1).normal(size=(1, 20)))[0].step(0), backward=True))
    assert run(code_cells)["W_f"].shape == (30, 50)
    assert "..." in "".join(map(saved, code_cells))
