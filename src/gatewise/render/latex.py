"""The LaTeX face of a walkthrough: formulas, and a document that needs no package but those of the AMS.

Equations in symbols are displayed; with numbers in them they are paragraphs, which TeX breaks at = and + as it breaks
text. Names come from files and from people: whatever is in them, they are text and no commands.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from rich.cells import cell_len

from gatewise.render import text
from gatewise.render.layout import MOST_ROWS, MOST_TERMS, Line, Rest, said, shapes, worked
from gatewise.symbolic.formula import (
    Call,
    Formula,
    Holds,
    MatMul,
    Negative,
    Number,
    Outer,
    Part,
    Power,
    Product,
    Quotient,
    Row,
    Slope,
    Stack,
    Sum,
    Symbol,
    Transpose,
    factors,
    nodes,
)
from gatewise.walkthrough.numbers import aligned, number, percent
from gatewise.walkthrough.parts import (
    Block,
    Definition,
    Equation,
    Facts,
    Opened,
    Section,
    Sentence,
    Table,
    Walkthrough,
    Words,
)

LONG = 60  # letters, as the text face counts them, of a line of a displayed sum
TALL = 46  # of each side of a fraction that is written on two levels, where TeX can break no line
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

GREEK = {
    letter: "\\" + unicodedata.name(letter).split()[-1].lower().replace("lamda", "lambda")
    for letter in "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ"
}
GREEK |= {letter: command.title() for letter, command in GREEK.items() if letter.isupper()}
_MATHEMATICS = GREEK | {
    "\N{MICRO SIGN}": r"\mu",
    "·": r"\cdot",
    "×": r"\times",
    "÷": r"\div",
    "−": "-",
    "±": r"\pm",
    "→": r"\to",
    "←": r"\leftarrow",
    "≤": r"\le",
    "≥": r"\ge",
    "≠": r"\ne",
    "≈": r"\approx",
    "∞": r"\infty",
    "√": r"\surd",
    "°": r"^{\circ}",
    "²": "^{2}",
    "³": "^{3}",
    "¹": "^{1}",
    "ᵀ": r"^{\top}",
    "∂": r"\partial",
    "∑": r"\sum",
}
_TEXT = {letter: rf"\ensuremath{{{command}}}" for letter, command in _MATHEMATICS.items()} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "[": "{[}",  # a bracket or a star after the end of a row would be read as its option
    "*": "{*}",
    "…": r"\dots{}",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "‘": "`",
    "’": "'",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "£": r"\pounds{}",
    "§": r"\S{}",
    "¿": "?`",
    "¡": "!`",
    "\N{NO-BREAK SPACE}": "~",
    **{c: f"\\{c}" for c in "{}#$%&_"},
}
_LIGATURES = frozenset(("--", "''", "``", "?`", "!`", ",,", "<<", ">>"))
# Letters that pdfTeX makes in its own fonts, from a letter and an accent.
_LETTERS = frozenset(map(chr, range(0xC0, 0x180))) - frozenset("×÷ÐÞðþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲųſ")
_FUNCTIONS = ("tanh", "max", "min", "ln")
_RELATIONS = {">": ">", "<": "<", "≤": r"\le"}
_TILDE = "\N{COMBINING TILDE}"


def render(walkthrough: Walkthrough) -> str:
    """Return the walkthrough as a LaTeX document."""
    return "\n".join([PREAMBLE + r"\begin{document}", body(walkthrough), r"\end{document}", ""])


def body(walkthrough: Walkthrough) -> str:
    """Return what is between the beginning and the end of the document."""
    return "\n".join(_lines(walkthrough))


# Formulas.


def formula(node: Formula) -> str:
    r"""Return a formula as LaTeX, to stand in mathematics, with as few brackets as its reading needs.

    Examples
    --------
    >>> print(formula(Sum((Product((Symbol("f"), Symbol("c_prev"))), Negative(Number(0.5))))))
    f \odot c_{\mathrm{prev}} - 0.5
    """
    match node:
        case Symbol():
            return _symbol(node)
        case Number(value):
            return figure(number(value))
        case Row(values):
            return _row(values)
        case Sum():
            return _joined(_terms(node))
        case Negative(term):
            return f"-{_tight(term, Sum, Negative)}"
        case Product():
            return _product(node)
        case MatMul(left, right):
            return rf"{_tight(left, Sum, Negative, Product)} \cdot {_tight(right, Sum, Negative, Product)}"
        case Transpose(matrix):
            return f"{_base(matrix)}^{{\\top}}"
        case Outer(left, right, rows):
            if rows:
                return rf"{_base(left)}^{{\top}} \cdot {_tight(right, Sum, Negative, Product)}"
            return rf"{_tight(left, Sum, Negative, Product)} \cdot {_base(right)}^{{\top}}"
        case Part(vector, start, stop):
            return f"{formula(vector)}[{start}{{:}}{stop}]"
        case Slope(inner):
            return formula(inner)
        case Quotient(over, under):
            if not _tall(node):
                loose = (Sum, Negative, Product, Quotient)
                return f"{_tight(over, *loose)} / {_tight(under, *loose)}"
            return rf"\frac{{{formula(over)}}}{{{formula(under)}}}"
        case Power(base, exponent):
            return f"{_base(base)}^{{{formula(exponent)}}}"
        case Call("exp", (argument,)):
            return f"e^{{{formula(argument)}}}"
        case Call("abs", (argument,)):
            return rf"\lvert {formula(argument)} \rvert"
        case Call("sqrt", (argument,)):
            return rf"\sqrt{{{formula(argument)}}}"
        case Call(name, arguments):
            return function(name) + _brackets(", ".join(formula(argument) for argument in arguments), node)
        case Holds(left, relation, right):
            return f"[{formula(left)} {_RELATIONS[relation]} {formula(right)}]"
        case Stack(parts, mark):
            return f"[{f'{mark} '.join(formula(part) for part in parts)}]"
        case _:
            raise TypeError(f"not a formula: {node!r}")


def figure(shown: str) -> str:
    r"""Return a number, as `numbers.number` writes it, as LaTeX.

    Examples
    --------
    >>> print(figure("-0.5"), figure("-1.2e-09"), figure("1e+20"), figure("-inf"))
    -0.5 {-1.2 \times 10^{-9}} {10^{20}} -\infty
    """
    digits, e, exponent = shown.partition("e")
    if e:
        power = f"10^{{{int(exponent)}}}"
        return f"{{{digits.removesuffix('1')}{power}}}" if digits in ("1", "-1") else rf"{{{digits} \times {power}}}"
    return shown.replace("inf", r"\infty").replace("nan", r"\mathrm{nan}")


def function(name: str) -> str:
    """Return the name of a function, or of its derivative."""
    bare = name.rstrip("'")
    if bare in GREEK:
        shown = GREEK[bare]
    else:
        shown = f"\\{bare}" if bare in _FUNCTIONS else rf"\operatorname{{{bare.replace('_', '~')}}}"
    return shown + name[len(bare) :]


def broken(node: Formula, most: int = LONG) -> list[str]:
    """Return a formula as lines; a long sum goes on, with a sign, on the next one."""
    if not isinstance(node, Sum):
        return [formula(node)]
    lines: list[list[tuple[str, str]]] = [[]]
    length = 0
    terms = _terms(node)
    for term, width in zip(terms, _widths(node), strict=True):
        if lines[-1] and length + width > most:
            lines.append([])
            length = 0
        lines[-1].append(term)
        length += width
    first, *more = lines
    return [_joined(first), *("{} " + " ".join(f"{sign} {shown}" for sign, shown in line) for line in more)]


def _symbol(symbol: Symbol) -> str:
    head, _, tail = symbol.base.partition("_")
    below = [] if tail == "tilde" else [tail]
    letter, wavy = head.replace(_TILDE, ""), tail == "tilde" or _TILDE in head
    if letter[1:].isdigit():
        letter, below = letter[0], [*below, letter[1:]]
    shown = GREEK.get(letter, letter if len(letter) == 1 else rf"\math{'rm' if tail else 'it'}{{{letter}}}")
    shown = rf"\tilde{{{shown}}}" if wavy else shown
    marks = ",".join(_mark(mark) for mark in (*below, *symbol.sub.split(",")) if mark)
    shown = (r"\mathrm{d}" if symbol.d else "") + shown + (f"_{{{marks}}}" if marks else "")
    return shown if symbol.time is None else f"{shown}^{{({symbol.time})}}"


def _mark(mark: str) -> str:
    """Return what stands below a symbol: letters and numbers, a word, or another symbol."""
    if "_" in mark:
        return _symbol(Symbol(mark))
    return rf"\mathrm{{{mark}}}" if mark.isalnum() and len(mark) > 2 else mark


def _product(node: Product, *, inner: bool = False) -> str:
    """Return a product; `inner` if a sign is before it, so that a negative number at its beginning needs brackets."""
    parts = factors(node)
    first, *rest = parts
    symbols = any(isinstance(one, Symbol) for one in nodes(node))
    loose = (Sum, Negative, Product, MatMul, Outer)
    shown = [formula(first) if isinstance(first, Number) and not inner else _tight(first, *loose)]
    shown += [_tight(factor, *loose) for factor in rest]
    return (r" \times " if not symbols or isinstance(first, Number) else r" \odot ").join(shown)


def _row(values: Sequence[Any]) -> str:
    shown = [figure(number(value)) for value in values]
    if len(shown) > MOST_TERMS:
        shown = [*shown[:4], _left_out(len(shown) - 5), shown[-1]]
    return "[" + r", \allowbreak ".join(shown) + "]"


def _left_out(count: int) -> str:
    return rf"\dots\text{{ {count} more }}\dots"


def _kept(node: Sum) -> list[Formula | int]:
    """Return the terms of a sum that are shown, and where some are not, how many."""
    terms = list(node.terms)
    return [*terms] if len(terms) <= MOST_TERMS else [*terms[:4], len(terms) - 5, terms[-1]]


def _terms(node: Sum) -> list[tuple[str, str]]:
    """Return the terms of a sum, each as its sign and the rest."""
    return [("+", _left_out(one)) if isinstance(one, int) else _term(one) for one in _kept(node)]


def _widths(node: Sum) -> list[int]:
    return [20 if isinstance(one, int) else _width(one) + 3 for one in _kept(node)]


def _joined(terms: Sequence[tuple[str, str]]) -> str:
    (sign, first), *rest = terms
    return " ".join([first if sign == "+" else f"-{first}", *(f"{s} {shown}" for s, shown in rest)])


def _term(node: Formula) -> tuple[str, str]:
    match node:
        case Negative(Product() as product):
            return "-", _product(product, inner=True)
        case Negative(term):
            return "-", _tight(term, Sum, Negative)
        case Number(value) if value < 0 or (value == 0 and np.signbit(value)):
            return "-", figure(number(-value))
        case Product((Number(value), *rest)) if value < 0:
            return "-", formula(Product((Number(-value), *rest)))
    shown = formula(node)
    return "+", shown if not shown.startswith("-") else _brackets(shown, node)


def _tight(node: Formula, *loose: type[Formula]) -> str:
    """Return a formula, in brackets if it is one of the loose kinds, or a negative number."""
    if isinstance(node, Slope):
        return _tight(node.body, *loose)
    negative = isinstance(node, Number) and node.value < 0
    divided = isinstance(node, Quotient) and Quotient not in loose and not _tall(node)
    shown = formula(node)
    return _brackets(shown, node) if negative or divided or isinstance(node, loose) else shown


def _base(node: Formula) -> str:
    """Return what a power is taken of, or what is transposed."""
    if isinstance(node, Slope):
        return _base(node.body)
    plain = isinstance(node, Symbol) and node.time is None
    plain = plain or (isinstance(node, Number) and node.value >= 0 and "e" not in number(node.value))
    plain = plain or isinstance(node, (Row, Holds, Stack)) or (isinstance(node, Call) and node.name not in ("exp",))
    return formula(node) if plain else _brackets(formula(node), node)


def _brackets(shown: str, node: Formula) -> str:
    """Return what a formula is shown as in brackets; in those that grow with it TeX could break no line."""
    grow = r"\frac" in shown and _width(node) <= TALL
    return rf"\left({shown}\right)" if grow else f"({shown})"


def _width(node: Formula) -> int:
    return len(text.glued(node))


def _tall(node: Quotient) -> bool:
    """Tell whether a quotient is written on two levels."""
    return max(_width(node.over), _width(node.under)) <= TALL


# Text.


def escape(name: str) -> str:
    r"""Return any text as LaTeX that shows it and does nothing else.

    Examples
    --------
    >>> print(escape("50 % of $x_1$"), escape("日"))
    50 \% of \$x\_1\$ \letter{65E5}{日}
    """
    bare = unicodedata.normalize("NFC", text.clean(name))
    parts, run = [" "] if name[:1].isspace() else [], 0
    for before, c, after in zip(" " + bare, bare, bare[1:] + " ", strict=False):
        run = 0 if c == " " else run + 1
        if run and run % 24 == 0:  # a word as long as this may be a path
            parts.append(r"\allowbreak{}")
        if before + c in _LIGATURES:
            parts.append("{}")
        if c == "-" and before in " (=" and after.isdigit():
            parts.append("$-$")
        else:
            parts.append(_letter(c))
    return "".join([*parts, " " if name[1:] and name[-1].isspace() else ""])


def _letter(c: str) -> str:
    if c in _TEXT:
        return _TEXT[c]
    if unicodedata.category(c) == "Zs":
        return " "
    return c if c.isascii() or c in _LETTERS else rf"\letter{{{ord(c):04X}}}{{{c}}}"


def prose(words: Words) -> str:
    """Return text with symbols in it."""
    parts = words if isinstance(words, tuple) else (words,)
    return "".join(escape(one) if isinstance(one, str) else f"${_symbol(one)}$" for one in parts)


def _head(words: Words) -> str:
    """Return the name of a row or of a column, as long as names are."""
    return escape(text.short(words)) if isinstance(words, str) else prose(words)


def _digits(words: Words) -> float:
    """Return how wide the name of a row or of a column is, in digits."""
    name = text.short(said(words, text.glued))
    return sum(cell_len(c) if c.isascii() or c in _LETTERS or c in _TEXT else 5 for c in name)


# The parts.


def _lines(walk: Walkthrough) -> Iterator[str]:
    yield rf"\begin{{center}}\LARGE {escape(walk.title)}\end{{center}}"
    time, place = None, 0
    for section in walk.sections:
        if section.time != time:
            time, place = section.time, 0
            yield r"\par\bigskip\hrulefill" if time is None else rf"\steptime{{{escape(text.short(time))}}}"
        place += 1
        yield from ("", rf"\section*{{{place}.\enspace {escape(section.title)}}}")
        yield from _section(section, walk)


def _section(section: Section, walk: Walkthrough) -> Iterator[str]:
    for kind, run in groupby(section.blocks, type):
        if kind is Equation:
            yield from _equations(list(run), walk)  # type: ignore[arg-type]
        elif kind is Definition:
            yield from displayed([defined(block) for block in run])  # type: ignore[arg-type]
        else:
            for block in run:
                yield from _block(block, walk)


def _block(block: Block, walk: Walkthrough) -> Iterator[str]:
    match block:
        case Facts(items):
            yield r"\lies\begin{tabular}{@{}p{.3\linewidth}p{.6\linewidth}@{}}\raggedright"
            yield from (rf"{escape(name)} & \raggedright {escape(value)} \tabularnewline" for name, value in items)
            yield r"\end{tabular}\par"
        case Table():
            yield from _table(block)
        case Opened():
            yield from _opened(block, walk)
        case Sentence(said):
            yield rf"\says{{{prose(said)}}}"


def displayed(rows: Sequence[str]) -> list[str]:
    """Return rows of equations as a display."""
    return [r"\begin{alignat*}{2}", " \\\\\n".join(rows), r"\end{alignat*}"]


def defined(definition: Definition) -> str:
    """Return the definition of a nonlinearity as a row of a display."""
    right = formula(definition.right).replace(r"\odot", r"\cdot")  # of single numbers
    return f"{function(definition.name)}(a) &= {right}"


def symbols(equation: Equation, rows: bool) -> list[str]:
    """Return an equation in symbols, and its shapes, as rows of a display."""
    first, *more = broken(equation.right)
    found = [f"{formula(equation.left)} &= {first}", *(rf"&\quad {line}" for line in more)]
    shape = shapes(equation, rows).replace("·", r"\cdot").replace("→", r"\to")
    shape = shape.replace("one number", r"\text{one number}")
    return [*found[:-1], rf"{found[-1]} &\qquad& {shape}"]


def _equations(group: Sequence[Equation], walk: Walkthrough) -> Iterator[str]:
    yield from displayed([row for equation in group for row in symbols(equation, walk.rows)])
    entries = list(worked(group, walk))
    heads = {_head(one.head): None for one in entries if not isinstance(one, Rest) and one.head is not None}
    yield r"\setlength{\headwidth}{0pt}\setlength{\leftwidth}{0pt}"
    yield from (rf"\widest{{\headwidth}}{{{head}\quad}}" for head in heads)
    yield from (rf"\widest{{\leftwidth}}{{${formula(one.left)}$}}" for one in group if one.worked)
    for entry in entries:
        if isinstance(entry, Rest):
            yield rf"\says{{{escape(str(entry))}}}"
            continue
        for place, line in enumerate(entry.lines):
            head = "" if place or entry.head is None else _head(entry.head)
            yield rf"\worked{{{head}}}{{{formula(line.equation.left)}}}{{{right_side(line)}}}"


def right_side(line: Line) -> str:
    """Return the right side of an equation with numbers in it, and what it gives."""
    result = _row(line.value) if np.ndim(line.value) else figure(number(line.value))
    middle = formula(line.right)
    return result if middle == result else rf"{middle}\gives {result}"


def _cells(texts: Sequence[str]) -> list[str]:
    """Return aligned numbers as cells of a column; where all are plain, their points stay below each other."""
    plain = not any("e" in shown for shown in texts)
    return [f"${figure(shown.strip())}$" + (_room(shown) if plain else "") for shown in texts]


def _room(shown: str) -> str:
    after = len(shown) - len(shown.rstrip())
    if not after:
        return ""
    return rf"\phantom{{{'0' * after if '.' in shown else '.' + '0' * (after - 1)}}}"


def _tabular(columns: str, head: str, rows: Sequence[str]) -> Iterator[str]:
    """Yield a table, in several where a page could not hold it."""
    for start in range(0, len(rows), MOST_LINES):
        yield rf"\lies\begin{{tabular}}{{@{{}}{columns}@{{}}}}"
        yield rf"{head} \\ \hline\rule{{0pt}}{{2.3ex}}%" if head else r"\hline\rule{0pt}{2.3ex}%"
        yield from (rf"{row} \\" for row in rows[start : start + MOST_LINES])
        yield r"\end{tabular}\par\smallskip"


def _table(table: Table) -> Iterator[str]:
    if table.title:
        yield rf"\says{{{prose(table.title)}}}"
    rows = list(table.rows)
    omitted = 0 if table.whole else len(rows) - MOST_ROWS
    if omitted > 0:
        rows = [*rows[: MOST_ROWS - 1], rows[-1]]
    texts = [aligned([row[1][k] for row in rows], table.digits) for k in range(len(table.columns))]
    margin = max(_digits(name) for name, _ in rows)
    for keep in _pieces(table, texts, margin):
        columns = [_cells(texts[k]) for k in keep]
        lines = [" & ".join([_head(name), *cells]) for (name, _), *cells in zip(rows, *columns, strict=True)]
        if omitted > 0:
            lines.insert(-1, rf"\multicolumn{{{len(keep) + 1}}}{{@{{}}l}}{{\dots{{}} {omitted} more rows \dots}}")
        heads = " & ".join(["", *(_head(table.columns[k]) for k in keep)])
        yield from _tabular(f"l*{{{len(keep)}}}{{r}}", heads, lines)


def _pieces(table: Table, texts: Sequence[Sequence[str]], margin: float) -> Iterator[list[int]]:
    """Yield the columns of a table in as many pieces as a page is wide for."""
    keep: list[int] = []
    room = WIDE - margin
    for k, (head, column) in enumerate(zip(table.columns, texts, strict=True)):
        width = max(_digits(head), *(len(shown) + 3 * ("e" in shown) for shown in column)) + 2.5
        if keep and width > room:
            yield keep
            keep, room = [], WIDE - margin
        keep.append(k)
        room -= width
    yield keep


def _opened(opened: Opened, walk: Walkthrough) -> Iterator[str]:
    terms = opened.terms
    total = sum(abs(term.product) for term in terms)
    name = text.short(walk.names[opened.over][opened.unit])
    yield rf"\says{{{escape(f'{name}: every product in its {terms.of}, largest first')}}}"
    weights, values = (_cells(aligned([getattr(term, what) for term in terms])) for what in ("weight", "value"))
    *products, whole = _cells(aligned([*(term.product for term in terms), terms.total]))
    rows = []
    for term, *cells in zip(terms, weights, values, products, strict=True):
        share = abs(term.product) / total if total else 0.0
        rows.append(" & ".join([_head(term.name), *cells, escape(percent(share)) if np.isfinite(share) else ""]))
    rows.append(rf"sum & \multicolumn{{3}}{{r}}{{{whole}}} &")
    yield from _tabular(r"lr@{${}\times{}$}r@{${}={}$}rr", "", rows)
