"""The LaTeX format of a walkthrough: its formulas and its text, in a document that needs the AMS packages alone."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np
from rich.cells import cell_len

from gatewise.render import text
from gatewise.render.layout import (
    Definitions,
    Equations,
    Line,
    Rest,
    grouped,
    numbered,
    rows,
    shapes,
    shares,
    worked,
    write_words,
)
from gatewise.render.writing import LeftOut, elided, is_entrywise, needs_brackets, signed_term
from gatewise.symbolic import formula as tree
from gatewise.symbolic.formula import FUNCTIONS, RELATIONS, Formula, Number, Symbol
from gatewise.walkthrough.numbers import aligned, number, percent
from gatewise.walkthrough.parts import (
    Definition,
    Expanded,
    Facts,
    NumberTable,
    Sentence,
    Walkthrough,
    Words,
    WorkedEquation,
)

MAX_SUM_LETTERS = 60  # letters, as the text format counts them, of a line of a displayed sum
MAX_FRACTION_LETTERS = 46  # of each side of a fraction that is written on two levels, where TeX can break no line

GREEK = {
    letter: "\\" + unicodedata.name(letter).split()[-1].lower().replace("lamda", "lambda")
    for letter in "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ"
}
GREEK |= {letter: command.title() for letter, command in GREEK.items() if letter.isupper()}
_TILDE = "\N{COMBINING TILDE}"


def formula(node: Formula) -> str:
    r"""Return a formula as LaTeX for math mode, with no more brackets than needed.

    Examples
    --------
    >>> print(formula(tree.Sum((tree.Product((Symbol("f"), Symbol("c_prev"))), tree.Negative(Number(0.5))))))
    f \odot c_{\mathrm{prev}} - 0.5
    """
    return _WRITER.write(node)


class _LatexWriter(text.TextWriter):
    """Writes formulas as LaTeX."""

    dot, comma, colon, gap = r"\cdot", r", \allowbreak ", "{:}", " "

    def write(self, node: Formula) -> str:
        match node:
            case Symbol():
                return _symbol_latex(node)
            case Number(value):
                return figure(number(value))
            case tree.Negative(term):
                return f"-{self.tight(term, tree.Sum, tree.Negative)}"
            case tree.Quotient(over, under):
                if not _tall(node):
                    kinds = (tree.Sum, tree.Negative, tree.Product, tree.Quotient)
                    return f"{self.tight(over, *kinds)} / {self.tight(under, *kinds)}"
                return rf"\frac{{{self.write(over)}}}{{{self.write(under)}}}"
            case tree.Power(base, exponent):
                return f"{self.base(base)}^{{{self.write(exponent)}}}"
            case tree.FunctionCall("exp", (argument,)):
                return f"e^{{{self.write(argument)}}}"
            case tree.FunctionCall("abs", (argument,)):
                return rf"\lvert {self.write(argument)} \rvert"
            case tree.FunctionCall("sqrt", (argument,)):
                return rf"\sqrt{{{self.write(argument)}}}"
            case tree.FunctionCall(name, arguments):
                return function(name) + _bracketed(", ".join(map(self.write, arguments)), node)
            case tree.Holds(left, relation, right):
                return f"[{self.write(left)} {RELATIONS[relation].latex} {self.write(right)}]"
        return super().write(node)

    def tight(self, node: Formula, *kinds: type[Formula]) -> str:
        """Return a formula as LaTeX, in brackets if it is of the kinds, a negative number or a quotient on one line."""
        if isinstance(node, tree.Slope):
            return self.tight(node.body, *kinds)
        kinds = kinds or (tree.Sum, tree.Negative, tree.Product, tree.MatMul, tree.Outer)
        divided = isinstance(node, tree.Quotient) and tree.Quotient not in kinds and not _tall(node)
        return _bracketed(self.write(node), node) if divided or needs_brackets(node, *kinds) else self.write(node)

    def times(self, node: tree.Product, bracketed: bool) -> str:
        return r" \odot " if is_entrywise(node) else r" \times "

    def transposed(self, matrix: Formula) -> str:
        return f"{self.base(matrix)}^{{\\top}}"

    def left_out(self, rest: LeftOut) -> str:
        return rf"\dots\text{{ {rest.count} more }}\dots"

    def term(self, node: Formula) -> tuple[str, str]:
        sign, rest = signed_term(node)
        latex = self.tight(rest, tree.Sum, tree.Negative) if sign == "-" else self.write(rest)
        return sign, latex if not latex.startswith("-") else _bracketed(latex, rest)

    def base(self, node: Formula) -> str:
        """Return the base of a power or a transposition as LaTeX, in brackets if it needs them."""
        match node:
            case tree.Slope(body):
                return self.base(body)
            case Number(value):
                plain = value >= 0 and "e" not in number(value)
            case Symbol(time=time):
                plain = time is None
            case tree.FunctionCall(name):
                plain = name != "exp"
            case _:
                plain = isinstance(node, (tree.NumberRow, tree.Holds, tree.Concatenation))
        return self.write(node) if plain else _bracketed(self.write(node), node)


_WRITER = _LatexWriter()


def figure(plain: str) -> str:
    r"""Return a number, as `numbers.number` writes it, as LaTeX.

    Examples
    --------
    >>> print(figure("-0.5"), figure("-1.2e-09"), figure("1e+20"), figure("-inf"))
    -0.5 {-1.2 \times 10^{-9}} {10^{20}} -\infty
    """
    digits, e, exponent = plain.partition("e")
    if e:
        power = f"10^{{{int(exponent)}}}"
        return f"{{{digits.removesuffix('1')}{power}}}" if digits in ("1", "-1") else rf"{{{digits} \times {power}}}"
    return plain.replace("inf", r"\infty").replace("nan", r"\mathrm{nan}")


def function(name: str) -> str:
    """Return the name of a function, or of its derivative, as LaTeX."""
    bare = name.rstrip("'")
    if bare in GREEK:
        command = GREEK[bare]
    else:
        known = FUNCTIONS.get(bare)
        command = known.latex if known and known.latex else rf"\operatorname{{{bare.replace('_', '~')}}}"
    return command + name[len(bare) :]


def broken(node: Formula) -> list[str]:
    """Return a formula as lines of LaTeX; a long sum goes on, with a sign, on the next one."""
    if not isinstance(node, tree.Sum):
        return [formula(node)]
    lines: list[list[tuple[str, str]]] = [[]]
    length = 0
    for part, term in zip(elided(node.terms), _WRITER.terms(node), strict=True):
        width = 20 if isinstance(part, LeftOut) else _width(part) + 3
        if lines[-1] and length + width > MAX_SUM_LETTERS:
            lines.append([])
            length = 0
        lines[-1].append(term)
        length += width
    first, *more = lines
    return [_WRITER.joined(first), *("{} " + " ".join(f"{sign} {latex}" for sign, latex in line) for line in more)]


def _symbol_latex(symbol: Symbol) -> str:
    """Return a symbol as LaTeX: its letter with a tilde, its subscripts, its time in brackets."""
    head, _, tail = symbol.base.partition("_")
    below = [] if tail == "tilde" else [tail]
    letter, wavy = head.replace(_TILDE, ""), tail == "tilde" or _TILDE in head
    if letter[1:].isdigit():
        letter, below = letter[0], [*below, letter[1:]]
    latex = GREEK.get(letter, letter if len(letter) == 1 else rf"\math{'rm' if tail else 'it'}{{{letter}}}")
    latex = rf"\tilde{{{latex}}}" if wavy else latex
    marks = ",".join(_subscript_latex(mark) for mark in (*below, *symbol.sub.split(",")) if mark)
    latex = (r"\mathrm{d}" if symbol.d else "") + latex + (f"_{{{marks}}}" if marks else "")
    return latex if symbol.time is None else f"{latex}^{{({symbol.time})}}"


def _subscript_latex(mark: str) -> str:
    """Return the subscript of a symbol as LaTeX: letters and numbers, a word, or another symbol."""
    if "_" in mark:
        return _symbol_latex(Symbol(mark))
    if mark.isalnum() and len(mark) > 2:
        return rf"\mathrm{{{mark}}}"
    return "".join(f"{GREEK[letter]} " if letter in GREEK else letter for letter in mark).rstrip()


def _bracketed(latex: str, node: Formula) -> str:
    """Return the LaTeX of a formula in brackets; TeX breaks no line within brackets that grow with it."""
    grow = r"\frac" in latex and _width(node) <= MAX_FRACTION_LETTERS
    return rf"\left({latex}\right)" if grow else f"({latex})"


def _width(node: Formula) -> int:
    return len(text.glued(node))


def _tall(node: tree.Quotient) -> bool:
    return max(_width(node.over), _width(node.under)) <= MAX_FRACTION_LETTERS


# Equations.


def defined(definition: Definition) -> str:
    """Return the definition of a nonlinearity as a row of a display."""
    right = formula(definition.right).replace(r"\odot", r"\cdot")  # of single numbers
    return f"{function(definition.name)}(a) &= {right}"


def symbols(equation: WorkedEquation, rows: bool) -> list[str]:
    """Return an equation in symbols, and its shapes, as rows of a LaTeX display."""
    first, *more = broken(equation.right)
    lines = [f"{formula(equation.left)} &= {first}", *(rf"&\quad {line}" for line in more)]
    shape = shapes(equation, rows).replace("·", r"\cdot").replace("→", r"\to")
    shape = shape.replace("one number", r"\text{one number}")
    return [*lines[:-1], rf"{lines[-1]} &\qquad& {shape}"]


def right_side(line: Line) -> str:
    """Return the right side of an equation with numbers in it, and what it gives, as LaTeX."""
    result = _WRITER.row(line.value) if np.ndim(line.value) else figure(number(line.value))
    middle = formula(line.right)
    return result if middle == result else rf"{middle}\gives {result}"


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
            parts.append(_letter_latex(c))
    return "".join([*parts, " " if name[1:] and name[-1].isspace() else ""])


def _letter_latex(c: str) -> str:
    if c in _TEXT:
        return _TEXT[c]
    if unicodedata.category(c) == "Zs":
        return " "
    return c if c.isascii() or c in _LETTERS else rf"\letter{{{ord(c):04X}}}{{{c}}}"


def prose(words: Words) -> str:
    """Return text with symbols in it."""
    return write_words(words, lambda symbol: f"${formula(symbol)}$", escape)


def label(words: Words) -> str:
    """Return the name of a row or of a column, as long as names are."""
    return escape(text.short(words)) if isinstance(words, str) else prose(words)


def digits(words: Words) -> float:
    """Return the width of a row's or a column's name, in digits."""
    name = text.short(write_words(words, text.glued))
    return sum(cell_len(c) if c.isascii() or c in _LETTERS or c in _TEXT else 5 for c in name)


MAX_LINE_DIGITS = 88  # digits of a line of a table
MAX_TABLE_LINES = 40  # of a table on one page

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
                else rf"\steptime{{{escape(text.short(time, text.MAX_TIME_COLUMNS))}}}"
            )
        yield from ("", rf"\section*{{{place}.\enspace {escape(section.title)}}}")
        for block in grouped(section.blocks):
            # The LaTeX of one block of a walkthrough's section.
            match block:
                case Equations():
                    yield from _equations_latex(block, walk)
                case Definitions():
                    yield from displayed(list(map(defined, block)))
                case Facts(items):
                    yield r"\lies\begin{tabular}{@{}p{.3\linewidth}p{.6\linewidth}@{}}\raggedright"
                    yield from (
                        rf"{escape(name)} & \raggedright {escape(value)} \tabularnewline" for name, value in items
                    )
                    yield r"\end{tabular}\par"
                case NumberTable():
                    yield from _number_table_latex(block)
                case Expanded():
                    # The LaTeX table of every product in a sum, with their shares.
                    terms = block.terms
                    yield rf"\says{{{escape(text.caption(block, walk))}}}"
                    weights, values = (
                        _column_cells(aligned([getattr(term, part) for term in terms])) for part in ("weight", "value")
                    )
                    *products, total = _column_cells(aligned([*(term.product for term in terms), terms.total]))
                    parts = shares([term.product for term in terms])
                    lines = []
                    for term, share, *cells in zip(terms, parts, weights, values, products, strict=True):
                        lines.append(
                            " & ".join([label(term.name), *cells, "" if share is None else escape(percent(share))])
                        )
                    lines.append(rf"sum & \multicolumn{{3}}{{r}}{{{total}}} &")
                    yield from _tables_latex(r"lr@{${}\times{}$}r@{${}={}$}rr", "", lines)
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
    for start in range(0, len(rows), MAX_TABLE_LINES):
        yield rf"\lies\begin{{tabular}}{{@{{}}{columns}@{{}}}}"
        yield rf"{head} \\ \hline\rule{{0pt}}{{2.3ex}}%" if head else r"\hline\rule{0pt}{2.3ex}%"
        yield from (rf"{row} \\" for row in rows[start : start + MAX_TABLE_LINES])
        yield r"\end{tabular}\par\smallskip"


def _number_table_latex(table: NumberTable) -> Iterator[str]:
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
    room = MAX_LINE_DIGITS - margin
    for k, (head, column) in enumerate(zip(table.columns, texts, strict=True)):
        width = max(digits(head), *(len(figure_text) + 3 * ("e" in figure_text) for figure_text in column)) + 2.5
        if keep and width > room:
            yield keep
            keep, room = [], MAX_LINE_DIGITS - margin
        keep.append(k)
        room -= width
    yield keep
