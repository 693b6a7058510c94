"""What is said of a marked sheet: one sentence first, the same in every format, whatever the sheet holds."""

from __future__ import annotations

import json
import re
import unicodedata
import xml.etree.ElementTree as ET
from html import unescape
from pathlib import Path
from textwrap import fill

import pytest
import schemas
from markings import MARKINGS, hostile, line, long, marking

from gatewise import showing
from gatewise.errors import OptionError
from gatewise.grading import report
from gatewise.palette import PALETTE
from gatewise.showing import FORMATS

EVERY = {**MARKINGS, "hostile": hostile()}
STATUSES = ("right", "right from a wrong line", "close", "too coarse", "incomplete", "wrong", "missing")

SAID = {
    "nothing": ["Nothing is written yet."],
    "missing": ["Nothing is written yet."],
    "unreadable": ["No written line could be read."],
    "nothing readable": ["No written line could be read."],
    "one right": ["The line is right."],
    "two right": ["Both lines are right."],
    "right so far": ["All 3 written lines are right.", "5 lines: 3 right, 2 missing."],
    "right but for a fault": [
        "All 3 lines that could be read are right.",
        "1 line could not be read. The others were checked.",
    ],
    "rounded": [
        "No line is wrong, but 1 line needs more digits.",
        "5 lines: 3 right, 1 close, 1 too coarse.",
        "Note on i and g: the digits are cut off, not rounded.",
    ],
    "incomplete": [
        "f is right. The first wrong line is h = o ⊙ tanh(c). At unit 0, you wrote 0.5; it should be 0.25.",
        "No known mistake gives these numbers.",
        "3 lines: 1 right, 1 incomplete, 1 wrong.",
        "Still blank: unit 1 in i and h.",
    ],
    "half blank": [
        "No line is wrong, but 1 line needs more digits. 2 lines are incomplete.",
        "4 lines: 1 right, 1 too coarse, 2 incomplete.",
        "Still blank: unit 1 in c and h.",
    ],
    "too few decimals": [
        "No line is wrong, but 1 line needs more digits.",
        "3 lines: 2 right, 1 too coarse.",
        "Note on i: you gave fewer decimals than the 4 that the sheet asks for, which costs the point.",
        "Note on h: you gave fewer decimals than the 4 that the sheet asks for, which still earns the point.",
    ],
    "no cause": [
        "The first wrong line is f = σ(a_f). At unit 0, you wrote 0.5; it should be 0.25.",
        "Several mistakes could give these numbers.",
        "Another wrong line is i = σ(a_i). At unit 0, you wrote 0.5; it should be 0.25. Too few numbers are written to"
        " tell what went wrong.",
        "Another wrong line is g = tanh(a_g). At unit 0, you wrote 0.5; it should be 0.25. Only more digits than the"
        " sheet asks for can tell what went wrong. Give 6 decimals.",
        "Another wrong line is c = f ⊙ c_prev + i ⊙ g. At unit 0, you wrote 0.5; it should be 0.25. This may be a slip:"
        " two digits are exchanged in unit 0. This mistake gives exactly these numbers.",
        "Also wrong: o.",
        "5 lines: 5 wrong.",
    ],
    "one mistake": [
        "Everything up to g is right. The first wrong line is c = f ⊙ c_prev + i ⊙ g. At unit 1, you wrote 0.1408; it"
        " should be 0.130812.",
        "Likely cause: c uses the hidden state h_prev instead of c_prev. This mistake gives exactly these numbers.",
        "6 lines: 4 right, 1 right from a wrong line, 1 wrong.",
    ],
    "the rest follows": [
        "The first wrong line is a_f = W_f · z + b_f. At unit 0, you wrote 0.5; it should be 0.25.",
        "Possible cause: the bias is missing from a_f. This mistake gives exactly these numbers.",
        "3 lines: 2 right from a wrong line, 1 wrong.",
    ],
    "a slip": [
        "a_f is right. The first wrong line is f = σ(a_f). At unit 0, you wrote 0.4394; it should be 0.49336.",
        "This looks like a slip: two digits are exchanged in unit 0. This mistake gives exactly these numbers. So does"
        " 1 other mistake.",
        "3 lines: 2 right, 1 wrong.",
    ],
    "several causes": [
        "Everything up to i is right. The first wrong line is g = tanh(a_g). At unit 0, you wrote 0.2; it should be"
        " 0.1.",
        "Likely cause: c uses the hidden state h_prev instead of c_prev, or the bias is missing from a_f, or two"
        " digits are exchanged in unit 0. Each of these mistakes gives exactly these numbers. So do 4 other mistakes.",
        "3 lines: 2 right, 1 wrong.",
    ],
    "two mistakes": [
        "f[0] is right. The first wrong line is c[0] (c = f ⊙ c_prev + i ⊙ g). At unit 0, you wrote 0.2; it should be"
        " 0.1.",
        "Likely cause: c uses the hidden state h_prev instead of c_prev, or the bias is missing from a_f. Either"
        " mistake gives exactly these numbers.",
        "Another wrong line is c[1] (c = f ⊙ c_prev + i ⊙ g). At unit 1, you wrote -0.3; your earlier numbers give"
        " 0.12. There aren't enough digits to tell what went wrong. Give 6 decimals.",
        "Another wrong line is dW_f = da_f · zᵀ: its shape is (5, 2), not (2, 5). No known mistake gives these"
        " numbers.",
        "7 lines: 2 right, 2 right from a wrong line, 3 wrong.",
        "2 lines could not be read. The others were checked.",
    ],
}
UNREAD = {  # what could not be read, below
    "unreadable": ["line 1: 'hello' is not a line of numbers"],
    "nothing readable": ["line 1: 'hello' is not a line of numbers"],
    "right but for a fault": ["line 4: '0.5o' is not a number"],
    "two mistakes": ["line 3: '0.5o' is not a number", "there is no quantity 'q'"],
}
ROWS = """\
   line 3: '0.5o' is not a number
   there is no quantity 'q'

   f[0]  right
   c[0]  wrong  unit 0: 0.2 for 0.1 (c uses the hidden state h_prev instead of
         c_prev, or the bias is missing from a_f)
   h[0]  right from a wrong line
   f[1]  right
   c[1]  wrong  unit 1: -0.3 for 0.1 (your earlier numbers give 0.12; 6 decimals
         would tell the cause)
   h[1]  right from a wrong line
   dW_f  wrong  its shape is (5, 2), not (2, 5)"""


def squeezed(text: str) -> str:
    return " ".join(text.split())


def words(html: str) -> str:
    return squeezed("".join(ET.fromstring(html).itertext()))


def unescaped(markdown: str) -> str:
    return squeezed(unescape(re.sub(r"\\([^\s\dA-Za-z])", r"\1", re.sub(r"</?span>", "", markdown))))


def test_the_text_has_the_sentences_first_and_then_a_row_for_each_line():
    sentences = [fill(sentence, 80) for sentence in SAID["two mistakes"]]
    assert str(MARKINGS["two mistakes"]) == "\n".join([*sentences, ROWS])


@pytest.mark.parametrize("name", MARKINGS)
def test_every_format_says_the_same(name):
    one = MARKINGS[name]
    assert json.loads(report.json(one))["summary"] == SAID[name]
    faults = UNREAD.get(name, [])
    assert len(faults) == len(one.faults)
    rows = [one.equation for one in one.verdicts]
    shown = {
        "text": squeezed(one.render("text")),
        "markdown": unescaped(one.render("markdown")),
        "html": words(one._repr_html_()),
    }
    for format, whole in shown.items():
        place = 0
        for sentence in [*SAID[name], *faults]:
            place = whole.index(squeezed(sentence), place)
        if format != "text":
            for row in rows:
                place = whole.index(row, place)


def test_every_line_has_its_verdict_in_words_and_as_a_symbol_of_its_own():
    one = marking(*(line("f", status) for status in STATUSES))
    page, table = report.fragment(one), report.markdown(one)
    assert list(report.SYMBOLS) == list(STATUSES)
    assert len(set(report.SYMBOLS.values())) == len(STATUSES)
    for status, symbol in report.SYMBOLS.items():
        assert f'<span aria-hidden="true">{symbol}</span> {status}</td>' in page
        assert f"| {symbol} {status} |" in table


@pytest.mark.parametrize("name", EVERY)
def test_a_page_is_complete_well_formed_and_inert(name):
    for page in (report.html(EVERY[name]), report.html(EVERY[name], title=name), report.fragment(EVERY[name])):
        tree = ET.fromstring(page)
        tags = {one.tag for one in tree.iter()}
        assert not tags & {"script", "link", "img", "a", "iframe"}
        assert not any(key.startswith("on") or key in ("src", "href") for one in tree.iter() for key in one.attrib)
        assert "url(" not in page
        assert len(list(tree.iter("tr"))) == len(EVERY[name].verdicts) + bool(EVERY[name].verdicts)
    assert f"<title>{name}</title>" in report.html(EVERY[name], title=name)
    assert report.html(EVERY[name]) == report.html(EVERY[name])


def test_the_style_is_of_the_marking_alone_and_has_its_colours_from_the_palette():
    sheet = Path(report.__file__).with_name("marking.css").read_text(encoding="utf-8").partition("*/")[2]
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b|\brgba?\(|\bhsla?\(|light-dark\(", sheet)
    assert set(re.findall(r"\$(\w+);", sheet)) <= set(PALETTE)
    rules = re.sub(r"@(media|container) [^{]*\{", "", sheet)
    groups = re.findall(r"([^{}]+)\{", rules)
    selectors = [one.strip() for group in groups for one in re.split(r",(?![^(]*\))", group)]
    assert len(selectors) > 20
    assert all(re.match(r"(\[[^\]]*\] |\.vscode-\w+ )?\.gatewise-marking\b", one) for one in selectors), selectors


@pytest.mark.parametrize("format", FORMATS["Marking"])
def test_nothing_that_a_sheet_holds_does_anything(format):
    shown = hostile().render(format)
    assert not {c for c in shown if unicodedata.category(c)[0] == "C"} - {"\n"}
    if format == "markdown":
        assert "<script" not in shown
        assert "[a](http://b)" not in shown
        rows = [row for row in shown.splitlines() if row.startswith("|")]
        assert len(rows) == 2 + 3
        assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {6}
    if format == "text":
        assert len([row for row in shown.splitlines() if row.startswith("   ") and row[3] != " "]) == 3 + 3


def test_a_sheet_of_2000_lines_is_told_in_a_few_sentences():
    one = long()
    text = report.text(one)
    said, _, table = text.partition("\n\n")
    assert len(said.splitlines()) <= 40
    assert max(map(len, text.splitlines())) <= 80
    assert sum(row.startswith("   c[") for row in table.splitlines()) == 2000
    assert "Also wrong: c[4], c[5], c[6], c[7], c[8] and 1,991 more." in squeezed(said)
    assert said.endswith("and 1,980 more lines")
    assert len(list(ET.fromstring(report.html(one)).iter("tr"))) == 2001
    assert len(json.loads(report.json(one))["faults"]) == 2000


def test_numbers_of_the_json_are_read_back_bit_for_bit():
    written, right, expected = 0.1 + 0.2, 1 / 3, 5e-324
    one = json.loads(report.json(marking(line("f", "wrong", "unit 0", written, right, expected))))["verdicts"][0]
    assert (one["written"], one["right"], one["expected"]) == (written, right, expected)
    one = json.loads(report.json(hostile()))["verdicts"][0]
    assert (one["right"], one["expected"]) == (None, None)


def test_the_json_points_to_the_first_wrong_line():
    for one in EVERY.values():
        document = json.loads(report.json(one))
        statuses = [verdict["status"] for verdict in document["verdicts"]]
        assert document["first_wrong"] == (statuses.index("wrong") if "wrong" in statuses else None)
        kept = set(statuses) <= {"right", "close", "missing"} and not document["faults"]
        assert document["correct"] == kept == one.correct
        assert document["of"] == len(one.verdicts) + len(one.faults)


def keys(value):
    """Go through all keys of a document."""
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from keys(one)
    yield from value if isinstance(value, dict) else ()


def test_every_key_and_every_status_is_documented():
    schema = schemas.schema("marking")
    in_schema = {key for one in (schema, *schema["$defs"].values()) for key in one.get("properties", ())}
    written = {key for one in MARKINGS.values() for key in keys(json.loads(report.json(one)))}
    assert written == in_schema == schemas.described("marking")
    assert set(schema["$defs"]["verdict"]["properties"]["status"]["enum"]) == set(STATUSES)
    tier = schema["$defs"]["cause"]["properties"]["tier"]
    assert all(f"`{name}`" in tier["description"] for name in tier["enum"] if name != "likely")
    assert schema["properties"]["version"]["const"] == report.VERSION
    assert schema["properties"]["format"]["const"] == report.FORMAT


@pytest.mark.parametrize("given", ["latex", "HTML", ""])
def test_other_formats_are_refused(given):
    with pytest.raises(OptionError, match="format must be one of text, markdown, html, json, not"):
        MARKINGS["two right"].render(given)
    with pytest.raises(OptionError, match=r"must end in one of \.txt, \.md, \.html, \.json"):
        showing.format_of(f"a.{given}x", "Marking")
