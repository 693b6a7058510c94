"""The Markdown format, read by a Markdown parser: tables stay tables, mathematics is balanced, names are only text."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest
from markdown_it import MarkdownIt
from pairwise import pairs
from rich.cells import cell_len
from walks import SUBJECTS, fewer, some, trace_of, walk_of

import gatewise as gw
from gatewise.render import markdown, text
from gatewise.walkthrough.notation import NOTATIONS
from gatewise.walkthrough.parts import NumberTable
from tests.test_latex import HOSTILE, WAYS, balanced

pytestmark = pytest.mark.usefixtures("few_differences")

NAMES = (
    *HOSTILE,
    "<script>alert(1)</script>",
    "a|b|c",
    "**bold**",
    "`code`",
    "```",
    "[text](javascript:alert(1))",
    "![image](x)",
    "# heading",
    "- item",
    "1. item",
    "> quote",
    "&lt;b&gt;",
    "https://example.org www.example.org",
    r"\(x\) \begin{align}x\end{align}",
    "$a$ and $b$",
    "---",
    "~~~",
)
PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def tokens(shown: str) -> list:
    """Return the tokens of a Markdown text, those within its lines too."""
    return [one for token in PARSER.parse(shown) for one in (token, *(token.children or ()))]


def read(shown: str) -> str:
    """Return a paragraph as it is read."""
    return "".join(token.content for token in tokens(shown) if token.type in ("text", "text_special"))


def walk_with(name: str, **options):
    labels = gw.Labels(features=[name, "b", "c"], units=[name, "v"])
    cell = gw.LSTMCell.from_parameters(gw.LSTMCell(3, 2, rng=0, dtype=np.float64).parameters, labels)
    return gw.walk(cell.step([1, 2, 3]), facts={name: name}, **options)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_read_as_it_is_and_as_nothing_else(name):
    shown = markdown.prose(name)
    assert read(shown).split() == text.clean(name).split()
    kinds = {token.type for token in tokens(shown)}
    assert kinds <= {"paragraph_open", "inline", "text", "text_special", "paragraph_close", "html_inline"}
    html = {token.content for token in tokens(shown) if token.type == "html_inline"}
    assert html <= {"<span>", "</span>"}
    assert not re.search(r"\$[^<]|[^\\]\$", shown)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("unit", [pytest.param(None, marks=pytest.mark.peers), 0])  # 0: expanded, and all of None
def test_a_walk_with_any_names_has_the_structure_of_one_with_harmless_names(name, unit):
    assert structure(name, unit) == structure("harmless", unit)


@cache
def structure(name: str, unit: int | None) -> list[str]:
    """Return the kinds of all that a walk with a name in it is made of, but for text."""
    kinds = (token.type for token in tokens(markdown.render(walk_with(name, unit=unit))))
    return [kind for kind in kinds if kind not in ("text", "text_special", "html_inline")]


@pairs(**SUBJECTS, way=("backward", "two steps backward"), notation=NOTATIONS, thin=some)
def test_mathematics_is_balanced_and_stands_between_its_signs(variant, projection, dropout, way, notation):
    walk = walk_of(variant, projection, dropout, way, notation)
    shown = markdown.render(walk)
    blocks = re.findall(r"^\$\$\n(.*?)\n\$\$$", shown, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        assert balanced(block)
        assert "\n\n" not in block
        assert re.search(r"\\[_,;!{}#]", block) is None  # Markdown would take the backslash away
    rest = re.sub(r"^\$\$\n.*?\n\$\$$|^```text\n.*?\n```$", "", shown, flags=re.MULTILINE | re.DOTALL)
    assert all(line.count("$") % 2 == 0 for line in rest.splitlines())


@pairs(**SUBJECTS, way=WAYS, thin=fewer)
def test_the_worked_lines_are_those_of_text_in_80_columns(variant, projection, dropout, way):
    walk = walk_of(variant, projection, dropout, way)
    lines = [line.strip() for line in str(walk).splitlines()]
    fences = [token for token in PARSER.parse(markdown.render(walk)) if token.type == "fence"]
    assert fences
    for fence in fences:
        assert fence.info == "text"
        for line in fence.content.splitlines():
            assert line.strip() in lines
            assert cell_len(line) <= 80
    found = {line.strip() for fence in fences for line in fence.content.splitlines()}
    assert {line for line in lines if re.match(r"unit \d +\S+ += ", line)} <= found


@pairs(**SUBJECTS, way=("backward", "two steps backward"), thin=fewer)
def test_every_table_has_its_rows_and_columns(variant, projection, dropout, way):
    walk = walk_of(variant, projection, dropout, way)
    tables = [block for section in walk.sections for block in section.blocks if isinstance(block, NumberTable)]
    found = [token for token in PARSER.parse(markdown.render(walk)) if token.type.startswith(("t", "inline"))]
    rows = [n for n, token in enumerate(found) if token.type == "tr_open"]
    assert len(rows) == sum(len(table.rows) + 1 for table in tables)
    assert sum(token.type == "th_open" for token in found) == sum(len(table.columns) + 1 for table in tables)


def test_no_column_is_left_out_and_rows_are_as_in_text():
    lstm = gw.LSTM(40, 30, rng=0, dtype=np.float64)
    shown = markdown.render(gw.walk(lstm.trace(np.ones((1, 40)))[0].step(0)))
    assert all(f" x{k} |" in shown for k in range(40))
    assert "| … 22 more rows … |" in shown
    assert "… and 24 more (--unit K, or unit=K, expands one)" in shown


def test_a_section_without_worked_lines_has_everything_else():
    walk = gw.walk(trace_of("plain", None).step(0))
    pairs_of_sections = zip(*(markdown.sections(walk, worked=worked) for worked in (True, False)), strict=True)
    for place, ((_, whole), (_, less)) in enumerate(pairs_of_sections, 1):
        assert less == re.sub(r"\n\n```text\n.*?\n```", "", whole, flags=re.DOTALL)
        assert less.startswith(f"### {place}. ")


def test_a_step_has_its_time_as_a_heading_and_its_sections_are_counted_anew():
    headings = re.findall("^(#+ .*|---)$", markdown.render(gw.walk(trace_of("plain", None), backward=True)), re.M)
    assert headings[0] == "# An LSTM cell, the backward pass of 2 steps, line by line"
    assert [one for one in headings if not one.startswith("###")][1:] == [
        "## step 0, forward",
        "## step 1, forward",
        "## step 1, backward",
        "## step 0, backward",
        "## all steps",
    ]
    assert headings[headings.index("## step 0, backward") + 1].startswith("### 1. ")


def test_a_fence_is_longer_than_any_backticks_in_it():
    fences = [token for token in PARSER.parse(markdown.render(walk_with("````"))) if token.type == "fence"]
    assert any("````" in fence.content for fence in fences)
    assert all(fence.markup == "`````" for fence in fences if "````" in fence.content)
