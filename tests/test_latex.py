"""The LaTeX format: its formulas, read as LaTeX and computed, give the numbers shown; its text is text and no commands.

That documents compile is tested in tests/peers/test_latex.py, by TeX.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from pairwise import pairs
from walks import SUBJECTS, equations, some, trace_of, walk_of

import gatewise as gw
from gatewise.activations import KINDS, Activation, sigmoid
from gatewise.render import latex, layout, text
from gatewise.render.layout import Rest
from gatewise.symbolic import formula as f
from gatewise.symbolic import nonlinearities
from gatewise.walkthrough.notation import NOTATIONS
from tests.test_program import CONSTANTS

pytestmark = pytest.mark.usefixtures("few_differences")

WAYS = ("forward", "backward", "two steps backward", "three steps from every output")
HOSTILE = (
    r"\input{/etc/passwd}",
    "$x",
    "50 %",
    "a & b",
    "x_1^2",
    "#1",
    "}{",
    "~",
    r"\\",
    r"\end{document}",
    "[1pt]",
    "*",
    "--",
    "?`",
    "日本語",
    "a\u0301\u0327",
    "\x1b[31mred\x07",
    "one\n\ntwo",
    "\N{ZERO WIDTH JOINER}",
    '"<>|`',
)


# LaTeX read as a formula again: commands by what they compute, braces as brackets.


def over(above):
    return lambda below: above / below


def bracket(match: re.Match) -> str:
    inner = match[1]
    if ";" in inner:
        return f"stack({inner.replace(';', ',')})"
    return f"holds({inner})" if re.search("<|>", inner) else f"row({inner})"


COMMANDS = {
    r"\frac": "over",
    r"\sqrt": "np.sqrt",
    r"\sigma": "sigmoid",
    r"\max": "np.maximum",
    r"\min": "np.minimum",
    r"\ln": "np.log",
    r"\times": "*",
    r"\odot": "*",
    r"\cdot": "@",
    r"\le": "<=",
    r"\lvert": "abs(",
    r"\rvert": ")",
    r"\left": "",
    r"\right": "",
    r"\allowbreak": "",
    r"\gives": "=",
    r"\infty": "np.inf",
}
MEANINGS = {
    "np": np,
    "e": np.e,
    "over": over,
    "sigmoid": sigmoid,
    "row": lambda *values: np.array(values),
    "stack": lambda *parts: np.concatenate(parts, axis=0 if parts[0].shape[1] == 1 else 1),
    "holds": lambda held: np.where(held, 1.0, 0.0),
    "clip": np.clip,
    "mean": np.mean,
}


def computed(shown: str, values: dict[str, object], functions: dict[str, object] | None = None):
    """Return what LaTeX says, given what the symbols in it stand for."""
    names = sorted(values, key=len, reverse=True)
    tokens = "|".join([*map(re.escape, names), r"\\operatorname\{([\w~]+)\}", r"\\[a-z]+"])

    def change(match: re.Match) -> str:
        if match[0] in values:
            return f"v{names.index(match[0])}"
        if match[1]:
            return match[1].replace("~", "_")
        return COMMANDS[match[0]] if match[0] in COMMANDS else f"np.{match[0][1:]}"  # a function that NumPy calls so

    code = re.sub(tokens, change, shown.replace(r"^{\top}", ".T"))
    code = re.sub(r"\[(\d+)\{:\}(\d+)\]", r".__getitem__(slice(\1, \2))", code)
    code = re.sub(r"\[([^\[\]]*)\]", bracket, code)
    code = code.replace("^", "**").replace("{", "(").replace("}", ")")
    known = {f"v{k}": values[name] for k, name in enumerate(names)}
    return eval(code, {**MEANINGS, **(functions or {}), **known})


def functions_of(node: f.Formula) -> dict[str, object]:
    calls = [one for one in f.nodes(node) if isinstance(one, f.FunctionCall) and one.activation]
    return {call.name: lambda a, function=call.activation: function(np.asarray(a)) for call in calls}


def vector(value, rows: bool):
    """Return a vector as the column, or the row, that it is."""
    return np.reshape(value, (1, -1) if rows else (-1, 1)) if np.ndim(value) == 1 else value


@pytest.mark.usefixtures("every_digit")
@pairs(**SUBJECTS, notation=["gatewise", "keras"], thin=some)
def test_an_equation_in_symbols_computed_as_its_latex_says_gives_the_number_shown(
    variant, projection, dropout, notation
):
    walk = walk_of(variant, projection, dropout, "backward", notation)  # forward too, in brief
    for equation in equations(walk):
        values = {latex.formula(symbol): vector(value, walk.rows) for symbol, value in equation.env.items()}
        shown = " ".join(latex.broken(equation.right)).replace("{} ", "")
        found = computed(shown, values, functions_of(equation.right))
        np.testing.assert_allclose(found, vector(equation.value, walk.rows), rtol=1e-12, atol=1e-13, err_msg=shown)


@pytest.mark.usefixtures("every_digit")
@pairs(**SUBJECTS, way=WAYS, thin=some)
def test_a_line_with_numbers_in_it_computed_as_its_latex_says_gives_the_number_shown(variant, projection, dropout, way):
    walk = walk_of(variant, projection, dropout, way)
    for equation in equations(walk):
        for entry in layout.worked([equation], walk):
            for line in () if isinstance(entry, Rest) else entry.lines:
                *_, shown = latex.right_side(line).split(r"\gives")
                whole = latex.formula(line.right)
                if "more" in whole:
                    continue
                found = computed(whole, {}, functions_of(line.right))
                np.testing.assert_allclose(found, line.value, rtol=1e-12, atol=1e-13, err_msg=whole)
                np.testing.assert_allclose(computed(shown, {}), line.value, rtol=1e-15, err_msg=shown)


def figures(shown: str) -> list[str]:
    return re.findall(r"\d+(?:\.\d+)?(?:e[-+]\d+)?|inf|nan", shown)


def balanced(shown: str) -> bool:
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", shown.replace(r"\\", "")):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0


@pairs(**SUBJECTS, way=("backward", "two steps backward"), notation=NOTATIONS, thin=some)
def test_formulas_have_balanced_braces_and_nothing_that_is_not_mathematics(variant, projection, dropout, way, notation):
    walk = walk_of(variant, projection, dropout, way, notation)
    for equation in equations(walk):
        for shown in (latex.formula(equation.left), latex.formula(equation.right)):
            assert shown.isascii(), shown
            assert balanced(shown), shown
            assert not re.search(r"[#$%&\"]|__|\^\^|_\{\}|\}_\{[^}]*\}_", shown), shown
            assert not re.search(r"_[^{]|\^[^{]", shown), shown


@pytest.mark.parametrize("name", KINDS)
def test_the_definition_of_a_nonlinearity_computed_as_its_latex_says_is_the_one_computed(name, every_digit):
    activation = Activation(name, *CONSTANTS.get(name, ()))
    a = np.linspace(-4, 4, 33)
    found = computed(latex.formula(nonlinearities.textbook(activation)), {"a": a})
    np.testing.assert_allclose(found, activation(a), rtol=1e-13, atol=1e-15)
    y = activation(a)
    found = computed(latex.formula(nonlinearities.slope(activation, f.Symbol("y"))), {"y": y})
    np.testing.assert_allclose(np.broadcast_to(found, y.shape), activation.derivative(y), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (f.Symbol("W", "f"), "W_{f}"),
        (f.Symbol("h_prev"), r"h_{\mathrm{prev}}"),
        (f.Symbol("a", "f,raw"), r"a_{f,\mathrm{raw}}"),
        (f.Symbol("h", "t-1"), "h_{t-1}"),
        (f.Symbol("C\N{COMBINING TILDE}", "t"), r"\tilde{C}_{t}"),
        (f.Symbol("c_tilde"), r"\tilde{c}"),
        (f.Symbol("h_tm1"), r"h_{\mathrm{tm1}}"),
        (f.Symbol("b2", "f"), "b_{2,f}"),
        (f.Symbol("Wf"), r"\mathit{Wf}"),
        (f.Symbol("μ", "c_new"), r"\mu_{c_{\mathrm{new}}}"),
        (f.Symbol("W", "f", d=True), r"\mathrm{d}W_{f}"),
        (f.Symbol("W", "f", d=True, time=2), r"\mathrm{d}W_{f}^{(2)}"),
        (f.less(f.Symbol("q"), f.Number(-2.0)), "q - (-2)"),
        (f.add(f.Number(-1.0), f.times(f.Number(-2.0), f.Number(-3.0))), r"-1 - 2 \times (-3)"),
        (f.less(f.ONE, f.times(f.Number(-2.0), f.Number(3.0))), r"1 - (-2) \times 3"),
        (f.times(f.less(f.ONE, f.Symbol("k", "c")), f.Symbol("c_new")), r"(1 - k_{c}) \odot c_{\mathrm{new}}"),
        (f.Power(f.less(f.Symbol("q"), f.Symbol("μ", "q")), f.TWO), r"(q - \mu_{q})^{2}"),
        (f.Power(f.Number(1e-9), f.TWO), r"({10^{-9}})^{2}"),
        (nonlinearities.textbook(Activation("sigmoid")), r"\frac{1}{1 + e^{-a}}"),
        (f.MatMul(f.Transpose(f.Symbol("W", "f")), f.Symbol("a", "f", d=True)), r"W_{f}^{\top} \cdot \mathrm{d}a_{f}"),
        (f.Outer(f.Symbol("z"), f.Symbol("a", "f", d=True), True), r"z^{\top} \cdot \mathrm{d}a_{f}"),
        (f.times(f.Outer(f.Symbol("a"), f.Symbol("z")), f.Symbol("D")), r"(a \cdot z^{\top}) \odot D"),
        (f.Holds(f.Symbol("y"), "≤", f.ZERO), r"[y \le 0]"),
        (f.Number(np.nan), r"\mathrm{nan}"),
        (f.times(f.Number(-np.inf), f.Number(-np.inf)), r"-\infty \times (-\infty)"),
        (f.Number(-1.5e-9), r"{-1.5 \times 10^{-9}}"),
    ],
)
def test_a_formula_is_written_with_the_brackets_it_needs(node, expected):
    assert latex.formula(node) == expected


def test_a_long_sum_and_a_long_row_leave_out_what_text_leaves_out():
    values = tuple(range(1, 21))
    terms = f.Sum(tuple(f.times(f.Number(k), f.Number(2)) for k in values))
    for node in (terms, f.NumberRow(values)):
        shown = latex.formula(node)
        assert r"\text{ 15 more }" in shown
        assert "15 more" in text.formula(node)
        assert figures(shown) == figures(text.formula(node))


def test_a_long_sum_goes_on_on_the_next_line_with_its_sign():
    terms = [f.MatMul(f.Transpose(f.Symbol("W", k)), f.Symbol("a", k, d=True)) for k in "figopq"]
    first, second = latex.broken(f.less(f.add(*terms), f.ONE).terms[0])
    assert (first.count("+"), second.count("+")) == (3, 2)
    assert second.startswith("{} +")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_text_whatever_is_in_it(name):
    shown = latex.escape(name)
    bare = re.sub(r"\\[\\{}#$%&_]", "", shown)
    commands = set(re.findall(r"\\[a-z]+", bare))
    harmless = ("backslash", "asciitilde", "asciicircum", "less", "greater", "bar")
    assert commands <= {r"\letter", r"\allowbreak", *(rf"\text{name}" for name in harmless)}
    assert balanced(shown)
    assert not re.search(r"[#%&_^]|\$(?!-\$)(?<!\$-\$)", bare.replace("$-$", ""))
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in shown)
    assert not re.search(r"--|''|``|\?`|!`", shown.replace("{''}", "")) or '"' in name


def test_every_name_of_a_walk_is_escaped():
    p = gw.LSTMCell(3, 2, rng=0, dtype=np.float64).parameters
    labels = gw.Labels(features=[r"\input{x}", "$y", "%"], units=["a_b & c", "#1"])
    step = gw.LSTMCell.from_parameters(p, labels).step([1, 2, 3])
    for unit in (None, 0, 1):
        document = latex.render(gw.walk(step, unit=unit, facts={r"\file": "C:\\new_%1"}))
        for raw in (r"\input", "$y", "a_b", "& c", "#1", r"\file", "_%"):
            count = document.count(raw) - latex.PREAMBLE.count(raw)
            assert count == document.count("\\" + raw if raw[0] in "$&#" else "never"), raw
        assert r"a\_b \& c" in document


def test_a_step_has_its_time_as_a_heading_and_its_sections_are_counted_anew():
    lines = latex.render(gw.walk(trace_of("plain", None, steps=3))).splitlines()
    times = [line for line in lines if line.startswith(r"\steptime{")]
    assert times == [rf"\steptime{{step {t}}}" for t in range(3)]
    assert sum(line.startswith(r"\section*{1.\enspace") for line in lines) == 4


def test_no_column_of_a_wide_table_is_left_out():
    lstm = gw.LSTM(40, 3, rng=0, dtype=np.float64)
    shown = latex.render(gw.walk(lstm.trace(np.ones((1, 40)))[0].step(0)))
    for k in range(40):
        assert len(re.findall(rf"& x{k}\b", shown)) >= 4  # in the table of each gate


def test_a_table_leaves_out_the_rows_that_text_leaves_out():
    lstm = gw.LSTM(2, 30, rng=0, dtype=np.float64)
    shown = latex.render(gw.walk(lstm.trace(np.ones((1, 2)))[0].step(0)))
    assert r"\dots{} 22 more rows \dots" in shown
    assert "-{}-unit K" in shown
