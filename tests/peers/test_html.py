"""Pages in a browser: they ask for nothing, fit a telephone, can be read in light and dark, and expand by keyboard."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from peers import browser
from peers.page_files import addresses
from walks import latch_trace

import gatewise as gw
from gatewise.render import html

pytestmark = pytest.mark.peers


def one_step(**switches):
    projected = switches.pop("projection_size", None)
    variant = gw.Variant(**switches, **({"projection_clip": None} if projected else {}))
    cell = gw.LSTMCell(
        3, 2, init="notebook", scale=0.01, seed=1010, variant=variant, projection_size=projected, dtype=np.float64
    )
    return cell.step([0.5, 0.8, 0.2], gw.State([0.3, 0.4][: projected or 2], [0.2, 0.3]))


def large():
    return gw.LSTM(30, 40, rng=0, dtype=np.float64).trace(np.random.default_rng(1).normal(size=(1, 30)))[0].step(0)


def long_names():
    labels = gw.Labels(features=["a name of many words " * 4, "x" * 90, "<b>"], units=["unit " * 20, "u" * 90])
    return gw.LSTM(3, 2, rng=0).trace(np.ones((1, 3)), labels=labels)[0]


HASTE = {"layer_norm": "haste", "epsilon": 1e-5, "projection_size": 1}
EVERY = {
    "peephole": "full",
    "coupling": "input=1-forget",
    "layer_norm": "gates",
    "epsilon": 1e-6,
    "gate_clip": 1,
    "cell_clip": 0.2,
    "candidate_activation": "elu:0.7",
    "output_activation": "softsign",
}
WALKS = {
    "forward": lambda: gw.walk(one_step()),
    "one unit": lambda: gw.walk(one_step(), unit=1),
    "backward": lambda: gw.walk(one_step(), backward=True),
    "latch": lambda: gw.walk(latch_trace(3)),
    "latch, backward": lambda: gw.walk(latch_trace(7), backward=True),
    "Haste": lambda: gw.walk(one_step(**HASTE)),
    "Haste, backward": lambda: gw.walk(one_step(**HASTE), backward=True),
    "every switch": lambda: gw.walk(one_step(**EVERY), backward=True),
    "large": lambda: gw.walk(large()),
    "long names": lambda: gw.walk(long_names(), unit=0),
    "worked example's notation": lambda: gw.walk(one_step(), notation="notebook"),
    "Keras": lambda: gw.walk(one_step(), notation="keras", backward=True),
    "Olah": lambda: gw.walk(one_step(), notation="olah"),
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Return a function that writes a page, each once, and returns its address."""
    return addresses(tmp_path_factory.mktemp("pages"), lambda name, path: WALKS[name]().save(path))


EXPAND_ALL = "for (const one of document.querySelectorAll('details')) one.open = true;"
# Text whose colour is too near to what is behind it, by the formula of WCAG 2.2; what is large may be nearer.
FAINT = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = colour => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = colour => {
    const [r, g, b] = rgb(colour).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    for (let one = element; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (rgb(colour)[3] === 255) return colour;
    }
    return 'white';
  };
  const seen = new Map();
  for (const element of document.querySelectorAll('.gatewise *')) {
    if (![...element.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
    if (element.closest('style, title, desc')) continue;
    const style = getComputedStyle(element);
    const colours = [element.ownerSVGElement ? style.fill : style.color, behind(element)];
    if (seen.has(colours.join())) continue;
    const [a, b] = colours.map(light).sort((x, y) => y - x);
    seen.set(colours.join(), [(a + 0.05) / (b + 0.05), element.outerHTML.slice(0, 80)]);
  }
  return [...seen.values()];
})()"""


@pytest.mark.parametrize("name", WALKS)
def test_a_page_asks_for_nothing_reports_nothing_and_fits_a_telephone(tab, pages, name):
    tab.check_alone(pages(name), 360)
    tab.evaluate(EXPAND_ALL)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    assert tab.evaluate("[...document.querySelectorAll('.formulas')].every(e => e.scrollWidth <= e.clientWidth)")
    assert tab.asked() == [pages(name)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["one unit", "latch", "latch, backward", "Haste"])
def test_all_text_can_be_told_from_what_is_behind_it(tab, pages, name, scheme):
    tab.look(width=1400, scheme=scheme)
    tab.open(pages(name))
    tab.evaluate(EXPAND_ALL)
    found = tab.evaluate(FAINT)
    assert len(found) >= 3
    assert not [one for one in found if one[0] < 4.5]


def test_light_and_dark_are_different_and_paper_is_white(tab, pages):
    ground = "getComputedStyle(document.querySelector('.gatewise')).backgroundColor"
    tab.open(pages("forward"))
    found = {}
    for scheme in ("light", "dark"):
        tab.look(scheme=scheme)
        found[scheme] = tab.evaluate(ground)
    assert found["light"] != found["dark"]
    tab.look(scheme="dark", media="print")
    assert tab.evaluate(ground) == "rgb(255, 255, 255)"


def test_every_line_expands_by_keyboard_and_shows_what_it_is_made_of(tab, pages):
    tab.open(pages("forward"))
    lines = tab.evaluate("document.querySelectorAll('details.line').length")
    assert lines == 20
    focused = "document.activeElement"
    tab.keys("Tab")
    assert tab.evaluate(f"{focused}.className") == "skip"
    expanded = 0
    for _ in range(100):
        tab.keys("Tab")
        if tab.evaluate(f"{focused} === document.body"):
            break
        if tab.evaluate(f"{focused}.matches('details.line > summary')"):
            assert tab.evaluate(f"getComputedStyle({focused}).outlineStyle") != "none"
            tab.keys("Enter")
            expanded += tab.evaluate(f"{focused}.parentElement.open && {focused}.nextElementSibling.offsetHeight > 0")
    assert expanded == lines


STEPS = "[...document.querySelectorAll('details.step')]"


def test_the_steps_of_a_long_walk_fold_open_by_keyboard_and_by_link_and_are_all_printed(tab, pages):
    tab.check_alone(pages("latch, backward"), 1280)
    assert tab.evaluate(f"{STEPS}.map(step => step.open)") == [False] * 7 + [True] + [False] * 6
    assert tab.evaluate("document.documentElement.scrollHeight") < 15_000
    tab.evaluate(f"{STEPS}[0].querySelector('summary').focus()")
    tab.keys("Enter")
    assert tab.evaluate(f"{STEPS}[0].open")
    tab.evaluate(f"location.hash = {STEPS}.at(-1).querySelector('h3').id")
    tab.wait_until(f"{STEPS}.at(-1).open")
    tab.look(media="print")
    assert tab.evaluate(
        f"{STEPS}.every(step => step.querySelector('h3').checkVisibility({{contentVisibilityAuto: true}}))"
    )
    assert tab.evaluate(f"{STEPS}.every(step => step.offsetHeight > 400)")


def test_wide_tables_scroll_in_boxes_that_the_keyboard_reaches(tab, pages):
    tab.look(width=360)
    tab.open(pages("large"))
    wide = "[...document.querySelectorAll('.box')].filter(box => box.scrollWidth > box.clientWidth)"
    assert tab.evaluate(f"{wide}.length") > 4
    assert tab.evaluate(f"{wide}.every(box => box.tabIndex === 0 && box.getAttribute('aria-label'))")


def test_formulas_are_laid_out_as_mathematics(tab, pages):
    tab.open(pages("forward"))
    over, under = tab.evaluate(
        "[...document.querySelector('mfrac').children].map(one => one.getBoundingClientRect().top)"
    )
    assert over < under
    assert tab.evaluate("document.querySelector('math').namespaceURI") == "http://www.w3.org/1998/Math/MathML"


DEBIAN = r"DejaVu(Sans|Serif)(-Bold)?\.ttf"  # what comes with a browser: it has a table MATH, most of it zeros
FONTS = {
    "all": lambda font: True,
    "those of a fresh Debian": lambda font: re.fullmatch(DEBIAN, font.name),
    "none for mathematics": lambda font: not browser.for_mathematics(font),
}


@pytest.fixture(scope="module", params=FONTS)
def typeset(request, tmp_path_factory):
    """A browser that finds some of the fonts."""
    assert any("math" in font.name.lower() for font in browser.fonts())
    chosen = list(filter(FONTS[request.param], browser.fonts()))
    assert chosen
    env = browser.finds(chosen, tmp_path_factory.mktemp("fonts"))
    with browser.page(env) as page:
        yield page


# Of every script on the page: how far below the baseline of its base its own baseline lies, and its lower edge, in ems
# of the base. Letters have boxes as large as their ink: E, in the place of another, stands on the baseline.
SCRIPTS = """(() => {
  const letter = element => element.matches('mi, mn') ? element : element.querySelector('mi, mn') ?? element;
  const bottom = element => element.getBoundingClientRect().bottom;
  const shown = [...document.querySelectorAll('%s')].filter(one => one.getBoundingClientRect().height);
  return shown.map(one => {
    const [base, script] = [one.children[0], one.children[%d]].map(letter);
    const [before, after] = [base.textContent, script.textContent];
    const em = parseFloat(getComputedStyle(base).fontSize);
    base.textContent = 'E';
    const edge = bottom(one.children[%d]) - bottom(base);
    script.textContent = 'E';
    const baseline = bottom(script) - bottom(base);
    [base.textContent, script.textContent] = [before, after];
    return {baseline: baseline / em, edge: edge / em, of: one.closest('math').getAttribute('alttext')};
  });
})()"""


@pytest.mark.parametrize("name", ["every switch", "Haste, backward", "worked example's notation", "Keras", "Olah"])
def test_scripts_lie_below_and_above_the_baseline_whatever_fonts_there_are(typeset, pages, name):
    typeset.look(width=1400)
    typeset.open(pages(name))
    typeset.evaluate(EXPAND_ALL)
    found = typeset.evaluate(SCRIPTS % ("msub, msubsup", 1, 1))
    assert len(found) > 40
    assert not [one for one in found if not 0.15 <= one["baseline"] <= 0.35]
    assert not [one for one in found if one["edge"] < 0.15]
    found = [
        one
        for kind, place in (("msup", 1), ("msubsup", 2))
        for one in typeset.evaluate(SCRIPTS % (kind, place, place))
        if "'" not in one["of"]  # a prime is high by itself
    ]
    assert len(found) > 5
    assert not [one for one in found if not 0.3 <= -one["baseline"] <= 0.5]


def test_moved_scripts_are_still_mathematics_to_a_reader_of_the_screen(tab, pages):
    tab.open(pages("backward"))
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    roles = {node["role"]["value"] for node in nodes if not node["ignored"]}
    assert {"MathMLMath", "MathMLSub", "MathMLSubSup", "MathMLIdentifier"} <= roles


def test_the_diagram_is_an_image_with_a_name_and_a_description(tab, pages):
    tab.open(pages("forward"))
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    (image,) = [node for node in nodes if not node["ignored"] and node["role"]["value"] == "image"]
    assert image["name"]["value"] == "The cell: its gates and states"
    assert "c = f ⊙ c_prev + i ⊙ g." in image["description"]["value"]


@pytest.mark.parametrize("name", ["forward", "latch", "large", "every switch"])
def test_the_text_of_the_diagram_can_be_read_on_a_telephone(tab, pages, name):
    """No text is cut off or too small; on a wide page it is as large as the text around it."""
    tab.check_pictures(pages(name), (360, 7), (1400, 10.4), of=".cell text")


def test_bars_of_products_stand_on_the_side_of_their_sign(tab, pages):
    tab.look(width=1400)
    tab.open(pages("one unit"))
    tab.evaluate(EXPAND_ALL)
    bars = tab.evaluate("""[...document.querySelectorAll('.bar')].map(one => {
      const before = getComputedStyle(one, '::before');
      const row = one.closest('li, tr');
      const product = row.querySelector('.product') ?? row.children[3];
      const edge = name => before[name] === 'auto' ? null : parseFloat(before[name]);
      return {product: product.textContent, middle: one.offsetLeft + one.offsetWidth / 2, width: one.offsetWidth,
        left: edge('left'), right: edge('right'), length: parseFloat(before.width) || 0,
        colour: before.backgroundColor, quantity: one.closest('.station').className};
    })""")
    assert len(bars) > 30
    colours = {}  # of each quantity: the hue of the section in which its sum is
    for bar in bars:
        product = float(bar["product"].strip("= \u2007\u2008").replace("−", "-").replace("×10", "e"))
        if product:
            side = bar["right"] if product < 0 else bar["left"]
            assert abs(side - bar["width"] / 2) < 1
            colours.setdefault(bar["quantity"], set()).add(bar["colour"])
    assert len(colours) > 4
    assert all(len(found) == 1 for found in colours.values())
    assert len(set.union(*colours.values())) == len(colours)


NOTEBOOK = """<!DOCTYPE html><html><head><style>
  body {{ background: {ground}; color: {ink}; font: 13px sans-serif; }}
  .jp-RenderedHTMLCommon table {{ table-layout: fixed; font-size: 12px; }}
  .jp-RenderedHTMLCommon td, .jp-RenderedHTMLCommon th {{ color: red; }}
  .jp-RenderedHTMLCommon tbody tr:nth-child(odd) {{ background: rgb(255, 0, 0); }}
</style></head><body data-jp-theme-light="{light}">
<h1 id="before">Before</h1><table id="own"><tr><td>1</td></tr></table>
<div class="jp-RenderedHTMLCommon">{shown}</div></body></html>"""


@pytest.mark.parametrize("preferred", ["light", "dark"])
@pytest.mark.parametrize("light", [True, False])
def test_in_a_notebook_it_follows_the_theme_and_leaves_the_rest_alone(tab, tmp_path, light, preferred):
    tab.look(scheme=preferred)
    ground, ink = ("white", "black") if light else ("#111", "white")
    looks = []
    for shown in ("", html.fragment(WALKS["latch"]())):
        page = NOTEBOOK.format(ground=ground, ink=ink, light=json.dumps(light), shown=shown)
        path = tmp_path / f"{len(looks)}.html"
        path.write_text(page, encoding="utf-8")
        tab.open(path.as_uri())
        looks.append(
            tab.evaluate(
                "['body', '#before', '#own', '#own td'].map(name => {"
                " const style = getComputedStyle(document.querySelector(name));"
                " return [...style].filter(name => !/size|origin|height|width/.test(name))"
                ".map(name => style.getPropertyValue(name)).join() })"
            )
        )
    assert looks[0] == looks[1]
    red, green, blue = tab.evaluate(
        "getComputedStyle(document.querySelector('.gatewise')).backgroundColor.match(/\\d+/g).map(Number)"
    )
    assert (min(red, green, blue) > 200) == light
    assert not [one for one in tab.evaluate(FAINT) if one[0] < 4.5]
