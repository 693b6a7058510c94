"""The LaTeX format of a walkthrough: a document that needs no package but those of the AMS.

Equations in symbols are displayed; with numbers in them they are paragraphs, which TeX breaks at = and + as it breaks
text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gatewise.render import text
from gatewise.render.latex_formula import defined, figure, formula, right_side, symbols
from gatewise.render.latex_text import digits, escape, label, prose
from gatewise.render.layout import BlockGroup, Definitions, Equations, Rest, grouped, numbered, rows, shares, worked
from gatewise.walkthrough.numbers import aligned, percent
from gatewise.walkthrough.parts import Expanded, Facts, NumberTable, Sentence, Walkthrough, WorkedEquation

WIDE = 88  # digits of a line of a table
MOST_LINES = 40  # of a table on one page

PREAMBLE = r"""\documentclass[a4paper,fleqn]{article}
\usepackage{amsmath,amssymb}
\ifdefined\pdfpagewidth \pdfpagewidth=\paperwidth \pdfpageheight=\paperheight
\else \ifdefined\pagewidth \pagewidth=\paperwidth \pageheight=\paperheight \fi \fi
\setlength{\textwidth}{170mm}\setlength{\oddsidemargin}{\dimexpr 20mm-1in}
\setlength{\textheight}{245mm}\setlength{\topmargin}{\dimexpr 20mm-1in}
\setlength{\headheight}{0pt}\setlength{\headsep}{0pt}
\setlength{\mathindent}{1.5em}\allowdisplaybreaks
\AtBeginDocument{\abovedisplayskip=4pt plus 2pt \belowdisplayskip=4pt plus 2pt
  \raggedright\sloppy\parindent=0pt \parskip=2pt }
% A line with numbers in it ends before = or after +; where there is neither, after the sign of a product.
\let\cross=\times \renewcommand{\times}{\cross\penalty5000 }
\newcommand{\gives}{$ $\displaystyle =}
% Letters that pdfTeX's fonts lack: XeTeX and LuaTeX show them where their font has them.
\newcommand{\unknown}[1]{{\tiny U+#1}\allowbreak{}}
\ifdefined\Umathcode \newcommand{\letter}[2]{\iffontchar\font"#1 #2\else\unknown{#1}\fi}
\else \newcommand{\letter}[2]{\unknown{#1}} \fi
% One line with numbers in it: whose it is, its left side, its right side; and how wide the first two are at most.
\newlength{\headwidth}\newlength{\leftwidth}\newlength{\thiswidth}
\newcommand{\widest}[2]{\settowidth{\thiswidth}{#2}\ifdim\thiswidth>#1\setlength{#1}{\thiswidth}\fi}
\newcommand{\worked}[3]{{\par\leftskip=1.5em\hangafter=1\hangindent=\dimexpr\headwidth+\leftwidth+1.35em\relax
  \relpenalty=10000 \medmuskip=4mu
  \noindent\makebox[\headwidth][l]{#1}\makebox[\leftwidth][l]{$#2$}$\displaystyle{}=#3$\par}}
\newcommand{\steptime}[1]{\par\bigskip\noindent\hrulefill\quad{\large\bfseries #1}\quad\hrulefill\par}
\newcommand{\says}[1]{{\par\leftskip=1.5em\noindent\itshape #1\par}}
\newcommand{\lies}{\par\nobreak\noindent\hspace*{1.5em}}
"""


def render(walkthrough: Walkthrough) -> str:
    """Return the walkthrough as a LaTeX document."""
    return "\n".join([PREAMBLE + r"\begin{document}", body(walkthrough), r"\end{document}", ""])


def body(walkthrough: Walkthrough) -> str:
    """Return the content of the document environment."""
    return "\n".join(_document_lines(walkthrough))


def _document_lines(walk: Walkthrough) -> Iterator[str]:
    """Yield the lines of a walkthrough's LaTeX: its title, steps, sections and their blocks."""
    yield rf"\begin{{center}}\LARGE {escape(walk.title)}\end{{center}}"
    for place, section, begins in numbered(walk.sections):
        if begins:
            time = section.time
            yield (
                r"\par\bigskip\hrulefill"
                if time is None
                else rf"\steptime{{{escape(text.short(time, text.MOST_TIME))}}}"
            )
        yield from ("", rf"\section*{{{place}.\enspace {escape(section.title)}}}")
        for block in grouped(section.blocks):
            yield from _block_latex(block, walk)


def _block_latex(block: BlockGroup, walk: Walkthrough) -> Iterator[str]:
    """Yield the LaTeX of one block of a walkthrough's section."""
    match block:
        case Equations():
            yield from _equations_latex(block, walk)
        case Definitions():
            yield from displayed(list(map(defined, block)))
        case Facts(items):
            yield r"\lies\begin{tabular}{@{}p{.3\linewidth}p{.6\linewidth}@{}}\raggedright"
            yield from (rf"{escape(name)} & \raggedright {escape(value)} \tabularnewline" for name, value in items)
            yield r"\end{tabular}\par"
        case NumberTable():
            yield from _number_table_latex(block)
        case Expanded():
            yield from _products_latex(block, walk)
        case Sentence(said):
            yield rf"\says{{{prose(said)}}}"


def displayed(rows: Sequence[str]) -> list[str]:
    """Return rows of equations as a LaTeX display."""
    return [r"\begin{alignat*}{2}", " \\\\\n".join(rows), r"\end{alignat*}"]


def _equations_latex(group: Sequence[WorkedEquation], walk: Walkthrough) -> Iterator[str]:
    """Yield the LaTeX of equations that belong together: in symbols, then with each unit's numbers."""
    yield from displayed([row for equation in group for row in symbols(equation, walk.rows)])
    entries = list(worked(group, walk))
    heads = {label(entry.head): None for entry in entries if not isinstance(entry, Rest) and entry.head is not None}
    yield r"\setlength{\headwidth}{0pt}\setlength{\leftwidth}{0pt}"
    yield from (rf"\widest{{\headwidth}}{{{head}\quad}}" for head in heads)
    yield from (rf"\widest{{\leftwidth}}{{${formula(entry.left)}$}}" for entry in group if entry.worked)
    for entry in entries:
        if isinstance(entry, Rest):
            yield rf"\says{{{escape(str(entry))}}}"
            continue
        for place, line in enumerate(entry.lines):
            head = "" if place or entry.head is None else label(entry.head)
            yield rf"\worked{{{head}}}{{{formula(line.equation.left)}}}{{{right_side(line)}}}"


def _column_cells(texts: Sequence[str]) -> list[str]:
    """Return aligned numbers as LaTeX cells of a column; if all are plain, their points stay below each other."""
    plain = not any("e" in figure_text for figure_text in texts)
    return [
        f"${figure(figure_text.strip())}$" + (_phantom_digits(figure_text) if plain else "") for figure_text in texts
    ]


def _phantom_digits(figure_text: str) -> str:
    """Return LaTeX for the room that a number leaves on its right, as wide as the digits it lacks."""
    after = len(figure_text) - len(figure_text.rstrip())
    if not after:
        return ""
    return rf"\phantom{{{'0' * after if '.' in figure_text else '.' + '0' * (after - 1)}}}"


def _tables_latex(columns: str, head: str, rows: Sequence[str]) -> Iterator[str]:
    """Yield a LaTeX table of rows, in several where a page could not hold it."""
    for start in range(0, len(rows), MOST_LINES):
        yield rf"\lies\begin{{tabular}}{{@{{}}{columns}@{{}}}}"
        yield rf"{head} \\ \hline\rule{{0pt}}{{2.3ex}}%" if head else r"\hline\rule{0pt}{2.3ex}%"
        yield from (rf"{row} \\" for row in rows[start : start + MOST_LINES])
        yield r"\end{tabular}\par\smallskip"


def _number_table_latex(table: NumberTable) -> Iterator[str]:
    """Yield a walkthrough's table of numbers as LaTeX tables, none wider than a page."""
    if table.title:
        yield rf"\says{{{prose(table.title)}}}"
    lines_of_table, omitted = rows(table)
    texts = [aligned([values[k] for _, values in lines_of_table], table.digits) for k in range(len(table.columns))]
    margin = max(digits(name) for name, _ in lines_of_table)
    for keep in _columns_by_page_width(table, texts, margin):
        columns = [_column_cells(texts[k]) for k in keep]
        lines = [" & ".join([label(name), *cells]) for (name, _), *cells in zip(lines_of_table, *columns, strict=True)]
        if omitted:
            lines.insert(-1, rf"\multicolumn{{{len(keep) + 1}}}{{@{{}}l}}{{\dots{{}} {omitted} more rows \dots}}")
        heads = " & ".join(["", *(label(table.columns[k]) for k in keep)])
        yield from _tables_latex(f"l*{{{len(keep)}}}{{r}}", heads, lines)


def _columns_by_page_width(table: NumberTable, texts: Sequence[Sequence[str]], margin: float) -> Iterator[list[int]]:
    """Yield the columns of a table in as many pieces as a page is wide for."""
    keep: list[int] = []
    room = WIDE - margin
    for k, (head, column) in enumerate(zip(table.columns, texts, strict=True)):
        width = max(digits(head), *(len(figure_text) + 3 * ("e" in figure_text) for figure_text in column)) + 2.5
        if keep and width > room:
            yield keep
            keep, room = [], WIDE - margin
        keep.append(k)
        room -= width
    yield keep


def _products_latex(expanded: Expanded, walk: Walkthrough) -> Iterator[str]:
    """Yield the LaTeX table of every product in a sum, with their shares."""
    terms = expanded.terms
    yield rf"\says{{{escape(text.caption(expanded, walk))}}}"
    weights, values = (_column_cells(aligned([getattr(term, part) for term in terms])) for part in ("weight", "value"))
    *products, total = _column_cells(aligned([*(term.product for term in terms), terms.total]))
    parts = shares([term.product for term in terms])
    lines = []
    for term, share, *cells in zip(terms, parts, weights, values, products, strict=True):
        lines.append(" & ".join([label(term.name), *cells, "" if share is None else escape(percent(share))]))
    lines.append(rf"sum & \multicolumn{{3}}{{r}}{{{total}}} &")
    yield from _tables_latex(r"lr@{${}\times{}$}r@{${}={}$}rr", "", lines)
