"""The web page of a walkthrough: well-formed, complete in itself, and with the numbers of the text."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import cases
import numpy as np
import pytest
from pairwise import pairs
from walks import SUBJECTS, latch_trace, some, walk_of

import gatewise as gw
from gatewise.palette import PALETTE
from gatewise.render import html, mathml, text
from gatewise.render.mathml import hue_of, pieces
from gatewise.symbolic import evaluation
from gatewise.symbolic import formula as f
from gatewise.walkthrough.notation import NOTATIONS
from gatewise.walkthrough.numbers import number
from gatewise.walkthrough.parts import Expanded, NumberTable, Walkthrough, WorkedEquation

pytestmark = pytest.mark.usefixtures("few_differences")

# Of MathML Core, and what each may have.
MATHML = {"math", "mi", "mn", "mo", "mrow", "mtext", "mfrac", "msqrt", "msub", "msup", "msubsup", "mover"}
ARITY = {"mfrac": 2, "msub": 2, "msup": 2, "msubsup": 3, "mover": 2}
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>&amp;\x1b[31m\0\ud800'
WAYS = ("forward", "backward", "expanded")
every = pairs(**SUBJECTS, way=WAYS, notation=NOTATIONS, thin=some)


def parsed(page: str) -> ElementTree.Element:
    return ElementTree.fromstring(page)


def check(page: ElementTree.Element) -> None:
    """Assert what holds for every page."""
    every = list(page.iter())
    ids = [element.get("id") for element in every if element.get("id")]
    assert len(ids) == len(set(ids))
    for element in every:
        assert element.tag not in ("script", "img", "iframe", "link", "object", "embed", "base", "form")
        assert not any(name.startswith("on") or name in ("src", "srcset", "action") for name in element.attrib)
        if element.tag == "a":
            assert element.get("href", "").removeprefix("#") in ids
        if element.tag == "table":
            assert element.find("caption") is not None or element.get("aria-label")
            assert all(head.get("scope") for head in element.iter("th"))
        for named in ("aria-labelledby", "aria-describedby"):
            if named in element.attrib:
                assert element.get(named) in ids
        if element.tag == "details":
            assert element[0].tag == "summary"
        if element.tag == "math":
            assert element.get("alttext")
            assert {inner.tag for inner in element.iter()} <= MATHML
            for inner in element.iter():
                greek = inner.tag == "mi" and len(inner.text) == 1 and not inner.text.isascii()
                assert (inner.get("mathvariant") == "normal") == (
                    greek or inner.text in ("d", "T")
                ) or inner.tag != "mi"
                assert len(inner) == ARITY.get(inner.tag, len(inner)), ElementTree.tostring(inner)
    assert all(element.get("aria-labelledby") for element in page.iter("section"))


def check_whole(page: ElementTree.Element) -> None:
    """Assert what holds for a page that is more than a fragment."""
    counted = Counter(element.tag for element in page.iter())
    assert (counted["main"], counted["h1"], counted["nav"], len(page.findall("head/title"))) == (1, 1, 1, 1)
    assert page.get("lang") == "en"
    levels = [int(element.tag[1]) for element in page.iter() if re.fullmatch(r"h\d", element.tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))


@every
def test_every_page_is_well_formed(variant, projection, dropout, way, notation):
    """That its lines have the numbers of the other formats is held in test_render.py."""
    page = parsed(html.render(walk_of(variant, projection, dropout, way, notation)))
    check(page)
    check_whole(page)


@pytest.mark.parametrize("way", WAYS)
def test_every_cell_of_a_table_has_its_number(way):
    walk = walk_of("peephole", 1, "dropout", way)
    page = parsed(html.render(walk))
    expected = []
    for section in walk.sections:
        for block in section.blocks:
            if isinstance(block, NumberTable):
                rows = block.rows if block.whole or len(block.rows) <= 8 else [*block.rows[:7], block.rows[-1]]
                expected.append([[number(value, block.digits) for value in values] for _, values in rows])
            elif isinstance(block, Expanded):
                rows = [[number(one) for one in term[1:]] for term in block.terms]
                expected.append([*rows, [number(block.terms.total)]])
    found = [
        [[cell.get("data-value") for cell in row if cell.get("data-value")] for row in table.find("tbody")]
        for table in page.iter("table")
    ]
    assert found == expected


def content(element: ElementTree.Element) -> str:
    return "".join(element.itertext())


def read(shown: str) -> float:
    """Return the number that is shown."""
    return float(shown.replace("−", "-").replace("×10", "e").strip("=\u2007\u2008 "))


@pairs(variant=cases.VARIANTS, projection=SUBJECTS["projection"], thin=some)
def test_an_expanded_sum_shows_every_term_and_they_add_up(variant, projection):
    page = parsed(html.render(walk_of(variant, projection, "no dropout", "forward")))
    sums = [one for one in page.iter("ul") if one.get("class") == "terms" and one[-1].get("class") == "total"]
    assert sums
    for one in sums:
        *terms, total = (read(content(item.find("span[@class='product']"))) for item in one)
        np.testing.assert_allclose(sum(terms), total, rtol=1e-6, atol=1e-7 * len(terms))


@pytest.mark.parametrize("way", ["expanded", "backward"])
def test_the_bar_of_a_product_stands_on_the_side_of_its_sign(way):
    page = parsed(html.render(walk_of("peephole", None, "no dropout", way)))
    signs = Counter()
    for row in (one for one in page.iter() if one.tag in ("li", "tr")):
        shares = [*row.findall("span[@class='share']"), *row.findall("td/span[@class='share']")]
        if shares:
            product = row.find("span[@class='product']") if row.tag == "li" else row[3]
            value = read(content(product))
            sign = " negative" if value < 0 else " positive" if value > 0 else ""
            assert shares[0][0].get("class") == f"bar{sign}"
            signs[np.sign(value)] += 1
    assert min(signs[-1], signs[1]) > 5


def test_the_largest_product_of_a_sum_has_the_longest_bar_and_others_are_to_scale():
    page = parsed(html.render(walk_of("plain", None, "no dropout", "expanded")))
    table = next(one for one in page.iter("table") if "every product" in content(one))
    rows = table.find("tbody")[:-1]
    products = np.array([abs(read(content(row[3]))) for row in rows])
    lengths = [float(row.find(".//span[@style]").get("style").removeprefix("--p:")) for row in rows]
    np.testing.assert_allclose(lengths, products / products.max(), atol=0.006)


def test_a_symbol_stands_for_one_quantity_in_all_notations():
    symbols = [
        {written.symbol(f.Symbol(k)): k for k in (*"ifgoch", "c_prev", "h_prev")} for written in NOTATIONS.values()
    ]
    for one, other in pairwise(symbols):
        for symbol in one.keys() & other.keys():
            assert one[symbol] == other[symbol]
    assert all(hue_of(symbol) for those in symbols for symbol in those)


QUANTITY = {"i": "input_gate", "f": "forget_gate", "g": "candidate", "o": "output_gate", "c": "cell_state"}


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("way", ["forward", "backward"])
def test_a_quantity_has_its_hue_wherever_it_is_named(notation, way):
    """Where its symbol begins a line or stands in a formula, in sentences and tables; and so has its section."""
    page = parsed(html.render(walk_of("plain", None, "no dropout", way, notation)))
    check(page)
    written = {k: NOTATIONS[notation].symbol(f.Symbol(k)) for k in QUANTITY}
    named = {text.formula(symbol): QUANTITY[k] for k, symbol in written.items()}
    alone = [one for one in page.iter("math") if one.get("alttext") in named]
    assert {one.get("alttext") for one in alone} == {*named}
    assert all(one[0].get("class") == named[one.get("alttext")] for one in alone)
    within = Counter(one.get("class") for math in page.iter("math") for one in math.iter() if one.get("class"))
    assert all(within[name] > sum(one[0].get("class") == name for one in alone) for name in named.values())
    sections = [one.get("class").split() for one in page.iter("section")]
    assert set(QUANTITY.values()) <= {name for names in sections for name in names if "hued" in names}


def test_the_products_with_a_matrix_have_the_names_of_what_is_multiplied():
    page = parsed(html.render(walk_of("plain", None, "no dropout", "forward")))
    first = next(one for one in page.iter("ul") if one.get("class") == "terms")
    assert [content(item.find("b")) for item in first] == ["h0", "h1", "x0", "x1", "bf", "sum"]


def test_the_terms_left_out_of_a_long_sum_are_there_once_it_is_expanded():
    lstm = gw.LSTM(30, 40, rng=0, dtype=np.float64)
    page = parsed(html.render(gw.walk(lstm.trace(np.ones((1, 30)))[0].step(0))))
    line = next(one for one in page.iter("details") if one.get("class") == "line")
    assert "… 66 more …" in content(line[0])
    assert len(list(line.iter("li"))) == 30 + 40 + 1 + 1


@every
def test_the_pieces_of_a_formula_are_together_the_text(variant, projection, dropout, way, notation):
    for section in walk_of(variant, projection, dropout, way, notation).sections:
        for equation in section.blocks:
            if isinstance(equation, WorkedEquation):
                formulas = [equation.right]
                if equation.worked and np.ndim(equation.value):
                    formulas.append(evaluation.substitute(equation.right, equation.env, 0))
                for formula in formulas:
                    assert_pieces(formula)


@pytest.mark.parametrize(
    "node", [f.NumberRow(tuple(range(20))), f.Sum(tuple(f.times(f.Number(k), f.TWO) for k in range(20)))]
)
def test_the_pieces_of_a_long_formula_leave_out_what_text_leaves_out(node):
    assert_pieces(node)


def assert_pieces(formula: f.Formula) -> None:
    """Assert that the pieces of a formula are well-formed, and told one after the other are its text."""
    told = []
    found = pieces(formula)
    for shown in (" ".join(piece.text for piece in found), text.formula(formula)):
        told.append(re.sub(r"- \((-[\d.e-]+)\)", r"- \1", shown).replace(" ", ""))  # it may need no brackets
    assert told[0] == told[1]
    for piece in found:
        parsed(mathml.math_element(piece.nodes, piece.text))


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (f.Symbol("W", "f"), "<msub><mi>W</mi><mi>f</mi></msub>"),
        (f.Symbol("h_prev"), '<msub class="hidden_state"><mi>h</mi><mi>prev</mi></msub>'),
        (f.Symbol("c_tilde"), '<mover class="candidate" accent="true"><mi>c</mi><mo stretchy="false">˜</mo></mover>'),
        (f.Symbol("c_new"), '<msub class="cell_state"><mi>c</mi><mi>new</mi></msub>'),
        (f.Symbol("combined_input"), "<mi>combined_input</mi>"),
        (
            f.Symbol("h", "t-1"),
            '<msub class="hidden_state"><mi>h</mi><mrow><mi>t</mi><mo>−</mo><mn>1</mn></mrow></msub>',
        ),
        (f.Symbol("h", d=True), '<mrow class="hidden_state"><mi mathvariant="normal">d</mi><mi>h</mi></mrow>'),
        (f.Transpose(f.Symbol("W", "f")), '<msubsup><mi>W</mi><mi>f</mi><mi mathvariant="normal">T</mi></msubsup>'),
        (f.Number(-0.5), "<mrow><mo>−</mo><mn>0.5</mn></mrow>"),
        (
            f.Number(1.2e-9),
            "<mrow><mn>1.2</mn><mo>×</mo><msup><mn>10</mn><mrow><mo>−</mo><mn>9</mn></mrow></msup></mrow>",
        ),
        (f.Quotient(f.ONE, f.Symbol("a")), "<mfrac><mn>1</mn><mi>a</mi></mfrac>"),
        (f.times(f.Symbol("p"), f.Symbol("q")), "<mi>p</mi><mo>⊙</mo><mi>q</mi>"),
        (f.times(f.Number(2.0), f.Number(3.0)), "<mn>2</mn><mo>×</mo><mn>3</mn>"),
        (f.MatMul(f.Symbol("W"), f.Symbol("z")), "<mi>W</mi><mo>·</mo><mi>z</mi>"),
        (f.FunctionCall("sqrt", (f.Symbol("v"),)), "<msqrt><mi>v</mi></msqrt>"),
    ],
)
def test_a_formula_is_written_as_it_is_printed(node, expected):
    assert mathml.to_markup(mathml.nodes_of(node)) == expected


def named(name: str) -> Walkthrough:
    """Return a walk over two steps, in which every name is this one."""
    labels = gw.Labels(features=[name] * 3, units=[name] * 2, times=[name, f"{name} again"])
    cell = gw.LSTMCell(3, 2, rng=0, dtype=np.float64)
    trace = gw.LSTM.from_cells(cell).trace(np.ones((2, 3)), labels=labels)
    return gw.walk(trace[0], facts={name: name}, unit=0)


@pytest.mark.parametrize("make", [html.render, html.fragment])
def test_a_hostile_name_is_text(make):
    shown = make(named(HOSTILE))
    page = parsed(shown)
    check(page)
    assert "<script>alert(1)</script>" in content(page)
    assert not re.search(r"[\0\x1b\ud800]", shown)
    plain = parsed(make(named("unit")))
    assert Counter(one.tag for one in page.iter()) == Counter(one.tag for one in plain.iter())


@pytest.mark.parametrize("make", [html.render, html.fragment])
@pytest.mark.parametrize("way", WAYS)
def test_a_page_asks_for_nothing(make, way):
    shown = make(walk_of("peephole", 1, "dropout", way))
    assert not re.search(r"//|url\(|@import|<script|javascript:", shown)
    if make is html.render:
        assert "content=\"default-src 'none'; style-src 'unsafe-inline'\"" in shown


def test_a_fragment_is_one_element_whose_style_reaches_nothing_else():
    shown = html.fragment(walk_of("plain", None, "no dropout", "forward"))
    page = parsed(shown)
    check(page)
    assert (page.tag, page.get("class")) == ("div", "gatewise")
    assert not list(page.iter("main"))
    (style,) = page.iter("style")
    rules = re.sub(r"@(media|container|supports) [^{]*\{", "", re.sub(r"/\*.*?\*/", "", style.text))
    selectors = [one.strip() for group in re.findall(r"([^{}]+)\{", rules) for one in group.split(",")]
    assert len(selectors) > 50
    assert all(re.match(r"(\[[^\]]*\] |\.[\w-]+ )?\.gatewise\b", one) for one in selectors), selectors


def test_style_sheets_have_their_colours_from_the_palette_and_use_all_of_it():
    folder = Path(html.__file__).parent
    whole = "".join((folder / name).read_text(encoding="utf-8") for name in ("walk.css", "page.css"))
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b|\brgba?\(|\bhsla?\(|light-dark\(", whole)
    others = {"negative", "positive"}  # of reports and of the page to play with
    assert set(re.findall(r"\$(\w+);", whole)) == PALETTE.keys() - others


def test_two_fragments_on_one_page_share_no_id():
    shown = [html.fragment(walk_of(variant, None, "no dropout", "forward")) for variant in ("plain", "peephole")]
    first, second = ({one.get("id") for one in parsed(page).iter() if one.get("id")} for page in shown)
    assert first
    assert not first & second


def test_a_page_of_several_steps_has_a_heading_for_each():
    walk = gw.walk(latch_trace(3))
    page = parsed(html.render(walk))
    steps = [one for one in page.iter("section") if one.get("class") == "step"]
    assert [content(one.find("h2")) for one in steps] == ["step 0", "step 1", "step 2"]
    assert all(len(one.findall("section/h3")) == 8 for one in steps)


@pytest.mark.parametrize("way", [False, True])
def test_of_more_than_three_steps_all_fold_but_the_one_that_the_pass_begins_with(way):
    page = parsed(html.render(gw.walk(latch_trace(3), backward=way)))
    assert not [one for one in page.iter("details") if one.get("class") == "step"]
    walk = gw.walk(latch_trace(7), backward=way)
    page = parsed(html.render(walk))
    folds = [one for one in page.iter("details") if one.get("class") == "step"]
    names = dict.fromkeys(section.time for section in walk.sections if section.at is not None)
    assert [content(one.find("summary/h2")) for one in folds] == list(names)
    begins = "step 6, backward" if way else "step 0"
    assert [content(one.find("summary/h2")) for one in folds if one.get("open")] == [begins]
    shown = [content(one) for one in page.iter("h3")] + [content(one) for one in page.iter("h2")]
    for section in walk.sections:
        assert any(section.title in one for one in shown)


def test_a_gate_that_is_nearly_shut_or_open_says_so():
    page = parsed(html.render(gw.walk(latch_trace())))
    told = [one for one in page.iter() if one.text in (" nearly closed", " nearly open")]
    lines = [one for one in page.iter("span") if one.get("class") == "gate"]
    found = [one[0].tail for one in lines if one[0].tail]
    assert (len(told), len(found)) == (3 * 7, 3 * 7)  # at a glance, and in each step
    assert Counter(found) == {"nearly closed": 7 + 6, "nearly open": 7 + 1} == Counter(one.text.strip() for one in told)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_has_its_page_too(value):
    step = gw.LSTMCell(3, 2, rng=0, dtype=np.float64).step([value, 0, 0])
    for options in ({}, {"unit": 0}):
        check(parsed(html.render(gw.walk(step, **options))))


def test_pages_are_small():
    cell = gw.LSTMCell(3, 2, init="notebook", scale=0.01, seed=1010, dtype=np.float64)
    step = cell.step([0.5, 0.8, 0.2], gw.State([0.3, 0.4], [0.2, 0.3]))
    assert len(html.render(gw.walk(step)).encode()) < 150_000
    assert len(html.render(gw.walk(latch_trace(), backward=True)).encode()) < 1_500_000


def test_the_page_is_the_same_every_time():
    walk = walk_of("plain", None, "no dropout", "forward")
    assert html.render(walk) == html.render(walk) == walk.render("html")
    assert html.fragment(walk) == html.fragment(walk) == walk._repr_html_()
