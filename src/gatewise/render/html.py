"""The web format of a walkthrough: one self-contained page, or a part of one for a notebook.

Every line with numbers in it can be expanded, and shows all that it is made of; <details> does that without a script.
The markup is well-formed XML too. Numbers lie in data-value as the text format writes them, whatever they look like.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from itertools import count, groupby
from string import Template
from typing import Any

import numpy as np

from gatewise.palette import PALETTE, QUANTITIES
from gatewise.render import mathml
from gatewise.render.diagram import diagram, notes, step_name
from gatewise.render.html_lines import Lines, equation
from gatewise.render.html_pieces import column, head_of, meter, openness, table_markup, text_html, words_of
from gatewise.render.layout import BlockGroup, Definitions, Equations, grouped, rows, write_words
from gatewise.render.mathml_pieces import run
from gatewise.render.text import clean, formula
from gatewise.walkthrough.lazy import UNFOLDED
from gatewise.walkthrough.numbers import number
from gatewise.walkthrough.parts import Expanded, Facts, NumberTable, Section, Sentence, Walkthrough, Words

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
UNNAMED = "\0"  # before an id, until all is written; no name has it

MOST_SHOWN = 400  # sections in a cell of a notebook


def render(walk: Walkthrough) -> str:
    """Return the walkthrough as a web page, complete in itself."""
    writer = _PageWriter(walk, "s")
    body = writer.body("main", f'<a class="skip" href="#{writer.top}">Skip to the walk</a>\n')
    return document(walk.title, style("walk.css") + style("page.css"), f'<div class="gatewise">\n{body}\n</div>')


def document(title: str, styles: str, body: str, images: str = "", lang: str = "en") -> str:
    """Return a web page that asks for nothing: of its styles, its body, and images from where its policy allows."""
    return f"""<!DOCTYPE html>
<html lang="{lang}">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="{POLICY}{images}"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<title>{escape(clean(title))}</title>
<style>{styles}</style>
</head>
<body>
{body}
</body>
</html>"""


def fragment(walk: Walkthrough) -> str:
    """Return the walkthrough as HTML for a notebook's cell; of a long walk, only how to read it."""
    if len(walk.sections[: MOST_SHOWN + 1]) > MOST_SHOWN:
        return f"<p>{len(walk.steps):,} steps are too many for a notebook: save('walk.html') makes a page.</p>"
    body = _PageWriter(walk, UNNAMED).body("article")
    seal = sha256(body.encode()).hexdigest()[:8]  # the ids of two walks in one notebook differ in it
    return f'<div class="gatewise">\n<style>{style("walk.css")}</style>\n{body.replace(UNNAMED, f"w{seal}-")}\n</div>'


@cache
def style(name: str, package: str = "gatewise.render") -> str:
    """Return a style sheet of a package, without its first comment and with the palette's colours."""
    _, _, rules = files(package).joinpath(name).read_text(encoding="utf-8").partition("*/")
    return Template(rules).substitute({colour: value.css for colour, value in PALETTE.items()})


# The parts.


class _PageWriter:
    """Renders the parts of a walkthrough; `prefix` begins every id."""

    def __init__(self, walk: Walkthrough, prefix: str) -> None:
        self.walk, self.prefix, self.top = walk, prefix, f"{prefix}top"
        self.lines, self.folds = Lines(walk), len(walk.shown) > UNFOLDED

    def body(self, tag: str, before: str = "") -> str:
        """Return the walkthrough as HTML: links to its sections, the picture of its first step, and its sections."""
        ids = (f"{self.prefix}{n}" for n in count())
        steps = [
            (time, next(ids), [(next(ids), section) for section in together])
            for time, together in groupby(self.walk.sections, lambda section: section.time)
        ]
        with np.errstate(all="ignore"):
            picture = self._figure_html(0, f"{self.prefix}cell", [*self._sentence_of_first_step(), *notes(self.walk)])
            sections = "\n".join(self._step_html(*step) for step in steps)
        links = "".join(self._section_links(*step) for step in steps)
        return f"""{before}<nav aria-label="Sections">
<details><summary>Sections</summary><ol>{links}</ol></details>
</nav>
<{tag} id="{self.top}" class="walk tex2jax_ignore mathjax_ignore">
<h1>{text_html(self.walk.title)}</h1>
<p class="lead">Click a {"step or a line" if self.folds else "line"} marked ▸ to see every number in it.</p>
{picture}
{sections}
</{tag}>"""

    def _section_links(self, time: str | None, _: str, sections: Sequence[tuple[str, Section]]) -> str:
        """Return the HTML links to the sections of a step, folded under its name if it has one."""
        links = "".join(
            f'<li><a href="#{key}"><span class="place">{place}</span> {text_html(section.title)}</a></li>'
            for place, (key, section) in enumerate(sections, 1)
        )
        return (
            links
            if time is None
            else f"<li><details><summary>{text_html(time)}</summary><ol>{links}</ol></details></li>"
        )

    def _step_html(self, time: str | None, key: str, sections: Sequence[tuple[str, Section]]) -> str:
        """Return the sections of a step as HTML, under its name and the picture of the cell at it."""
        level = "h2" if time is None else "h3"
        markup = "\n".join(
            self._section_html(place, each, section, level) for place, (each, section) in enumerate(sections, 1)
        )
        if time is None:
            return markup
        forward = next((section.at for _, section in sections if section.key in ("input", "forward")), None)
        picture = "" if forward is None else self._figure_html(forward, f"{key}cell")
        heading = f'<h2 id="{key}">{text_html(time)}</h2>'
        tag, state, at = "section", "", sections[0][1].at
        if self.folds and at is not None:
            tag, heading = "details", f"<summary>{heading}</summary>"
            begins = at == self.walk.shown[-1 if self.walk.backward else 0] and sections[0][1].key != "forward"
            state = ' open="open"' if begins else ""
        return f'<{tag} class="step" aria-labelledby="{key}"{state}>\n{heading}\n{picture}\n{markup}\n</{tag}>'

    def _figure_html(self, at: int, key: str, notes_below: Sequence[Words] = ()) -> str:
        """Return the picture of a step as an HTML figure, with sentences below it."""
        caption = "".join(f"<p>{words_of(words)}</p>" for words in notes_below)
        below = f"<figcaption>{caption}</figcaption>" if caption else ""
        return f'<figure class="cell">{diagram(self.walk, at, key)}{below}</figure>'

    def _sentence_of_first_step(self) -> list[Words]:
        """Return the sentence that says which step the picture on top of the page is of, if there are several."""
        count = len(self.walk.steps)
        return [f"The cell at {step_name(self.walk, 0)}, the first of {count} steps."] if count > 1 else []

    def _section_html(self, place: int, key: str, section: Section, level: str) -> str:
        """Return a section of the walkthrough as HTML, under its title and in the hue of its quantity."""
        self.title = clean(section.title)
        blocks = map(self._block_html, grouped(section.blocks))
        heading = (
            f'<{level} class="title" id="{key}"><span class="place">{place}</span> {text_html(section.title)}</{level}>'
        )
        about = section.key.removeprefix("d_")
        hue = f" hued {about}" if about in QUANTITIES else ""
        return "\n".join([f'<section class="station{hue}" aria-labelledby="{key}">', heading, *blocks, "</section>"])

    def _block_html(self, block: BlockGroup) -> str:
        """Return one block of a walkthrough's section as HTML."""
        match block:
            case Equations():
                return self.lines.equations(block)
            case Definitions():
                lines = (equation(mathml.function_of_a(line.name), run(line.right, "=")) for line in block)
                return f'<div class="formulas" style="--w:4em">{"".join(lines)}</div>'
            case Facts(items):
                items_markup = "".join(
                    f"<div><dt>{text_html(name)}</dt><dd>{text_html(value)}</dd></div>" for name, value in items
                )
                return f'<dl class="facts">{items_markup}</dl>'
            case NumberTable():
                return self._table_html(block)
            case Expanded():
                return self.lines.products(block)
            case Sentence(words):
                return f'<p class="says">{words_of(words)}</p>'
        raise TypeError(f"not a part: {block!r}")

    # Tables: long ones show their first and last rows.

    def _table_html(self, table: NumberTable) -> str:
        """Return a table of numbers as HTML; a long one has its first and last rows."""
        title = clean(write_words(table.title, formula))
        lines, omitted = rows(table)
        plains = [[number(row[k], table.digits) for _, row in lines] for k in range(len(table.columns))]
        columns = [column(plain) for plain in plains]
        heads = [head_of(head, "col") for head in table.columns]
        body = []
        for place, (name, values) in enumerate(lines):
            if omitted and place == len(lines) - 1:
                body.append(f'<tr class="rest"><td colspan="{len(columns) + 1}">… {omitted} more rows …</td></tr>')
            cells = "".join(
                _cell_html(plain[place], formatted[place], values[k] if k in table.openness else None, head)
                for k, (head, plain, formatted) in enumerate(zip(table.columns, plains, columns, strict=True))
            )
            body.append(f"<tr>{head_of(name, 'row')}{cells}</tr>")
        caption = words_of(table.title) if title else ""
        key = '<p class="key">A bar shows how far the gate is open.</p>' if table.openness else ""
        width = sum(
            2 + max(map(len, [write_words(head, formula), *plain]))
            for head, plain in zip(table.columns, plains, strict=True)
        )
        width += max((len(write_words(name, formula)) for name, _ in lines), default=0)
        return table_markup(caption, escape(title or self.title), ["<td></td>", *heads], body, width) + key


def _cell_html(plain: str, markup: str, gate: Any, head: Words) -> str:
    """Return a cell of an HTML table; that of a gate has a bar in its hue, and says if it is nearly closed or open."""
    if gate is None or np.isnan(gate):
        return f'<td data-value="{plain}">{markup}</td>'
    words = f'<span class="unseen"> {state}</span>' if (state := openness(gate)) else ""
    return f'<td data-value="{plain}">{markup}{meter(gate, head)}{words}</td>'
