"""The pages about a class: one for the teacher, on all sheets together, and one for each student."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from statistics import median
from urllib.parse import quote

from gatewise.errors import FileError
from gatewise.files import storage
from gatewise.grading import points, report
from gatewise.grading.grades import EMPTY, MARKED, MISSING, UNREADABLE, Grades, Mark, csv_text
from gatewise.grading.handout import FEEDBACK, MARKS, PAGE
from gatewise.grading.verdicts import CLOSE, FOLLOWS, RIGHT, WRONG
from gatewise.render.html import document, style
from gatewise.render.text import clean, short
from gatewise.showing import counted

PACKAGE = "gatewise.grading"  # where its style lies
MOST_BARS = 40
MOST_BINS = 20
TENS = [10.0**k for k in range(-9, 10)]
WIDE, ROW, TALL, LETTER = 360, 22, 96, 7.4  # of a picture, in its own units
MOST_NAME = 28  # letters beside a bar
STATES = {
    MARKED: "marked",
    EMPTY: "handed in blank",
    MISSING: "not handed in",
    UNREADABLE: "not readable",
}
UNKNOWN = "no known cause"


def write(folder: Path, grades: Grades) -> None:
    """Write the marks, the page of every student and the page of the class into the folder of an exercise.

    Each file is written completely or not at all; the page of the class comes last, since it leads to the others.

    Raises
    ------
    FileError
        If one cannot be written.
    """
    pages = folder / FEEDBACK
    try:
        pages.mkdir(exist_ok=True)
    except OSError as fault:
        raise FileError(f"cannot write {pages}: {fault.strerror or fault}") from None
    for one in grades.marks:
        storage.write_text(pages / f"{one.student.file}.html", feedback(one))
    storage.write_text(folder / MARKS, csv_text(grades))
    storage.write_text(folder / PAGE, html(grades, folder.resolve().name))


def feedback(mark: Mark) -> str:
    """Return the page of one student: the marked sheet, or why there is none."""
    total = f"{points.shown(mark.marks)} of {points.shown(mark.of)} points"
    title = f"{mark.student.name}: {total}"
    if mark.marking is not None:
        return report.html(mark.marking, title=title)
    told = f"Your sheet could not be marked: {mark.fault}." if mark.fault else "Nothing was handed in."
    body = f'<main class="gatewise-marking">\n<h1>{_text(title)}</h1>\n<p class="says">{_text(told)}</p>\n</main>'
    return document(clean(title), style(*report.STYLE) + style("page.css"), body) + "\n"


def html(grades: Grades, title: str) -> str:
    """Return the page of the class."""
    told = Counter(one.state for one in grades.marks)
    parts = [f"{told[state]} {words}" for state, words in STATES.items() if told[state]]
    lead = f"{counted(len(grades.marks), 'student')}: {', '.join(parts)}."
    written = [one for one in grades.marks if one.state == MARKED]
    sections = [
        _section("Marks", _marks(written)),
        _section("Which lines go wrong", _lines(written)),
        _section("Why", _causes(written)),
        _section("Students", _students(grades.marks)),
        _section("Worth a look", _list(grades.facts, "These are facts; what they mean is for you to find out.")),
        _section("Files that are nobody's", _list(grades.strays)),
    ]
    body = f"""<main class="class">
<h1>{_text(title)}</h1>
<p class="lead">{_text(lead)}</p>
{"".join(sections)}
</main>"""
    return document(title, style("classroom.css", PACKAGE), body) + "\n"


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n{content}\n</section>\n" if content else ""


def _text(given: str) -> str:
    """Return text from data as inert text of a page, which keeps to its own direction."""
    return f"<bdi>{escape(clean(given))}</bdi>"


# Pictures: each says in words what it shows.


def _marks(written: Sequence[Mark]) -> str:
    if not written:
        return ""
    of, earned = max(one.of for one in written), [one.marks for one in written]
    low, high = points.shown(min(earned)), points.shown(max(earned))
    told = f"{counted(len(written), 'sheet')} from {low} to {high} of {points.shown(of)} points"
    sentence = f"{told}; half of them have {points.shown(median(earned))} or more."
    size = next(ten * one for ten in TENS for one in (1, 2, 5) if of / (ten * one) <= MOST_BINS)
    found = Counter(int(value / size + 1e-9) for value in earned)
    bins = int(of / size + 1e-9) + 1
    wide, most, floor = WIDE / bins, max(found.values()), TALL + 16
    shapes = [f'<path d="M0 {floor + 0.5}H{WIDE}"/>']
    for k in range(bins):
        middle, height = (k + 0.5) * wide, TALL * found[k] / most
        if found[k]:
            left, top = k * wide + 1, floor - height
            shapes.append(f'<rect x="{left:.4g}" y="{top:.4g}" width="{wide - 2:.4g}" height="{height:.4g}"/>')
            shapes.append(f'<text class="middle" x="{middle:.4g}" y="{top - 4:.4g}">{found[k]}</text>')
        if k % (bins // 8 + 1) == 0:
            label = points.shown(k * size)
            shapes.append(f'<text class="soft middle" x="{middle:.4g}" y="{floor + 15}">{label}</text>')
    least = "" if size == 1 else f"{points.shown(size)} points to a bar, from "
    said = "; ".join(f"{points.shown(k * size)}: {found[k]}" for k in sorted(found))
    return f"<p>{_text(sentence)}</p>\n{_picture(f'Sheets by points. {least}{said}.', floor + 22, shapes)}"


def _lines(written: Sequence[Mark]) -> str:
    """Return how often each line is wrong, and how often it is the first wrong one."""
    wrong, first = Counter[str](), Counter[str]()
    for one in written:
        if one.marking is not None:
            wrong.update(verdict.name for verdict in one.marking.verdicts if verdict.status == WRONG)
            first.update([one.marking.first.name] if one.marking.first is not None else [])
    order = dict.fromkeys(name for one in written for name in one.weights)
    rows = [(name, wrong[name], first[name]) for name in order if wrong[name]]
    if not rows:
        return "<p>No line is wrong on any sheet.</p>" if written else ""
    chosen = sorted(sorted(rows, key=lambda row: -row[1])[:MOST_BARS], key=lambda row: list(order).index(row[0]))
    told = f"On how many of {counted(len(written), 'sheet')} a line is wrong; in full colour, where it is the first."
    return f"<p>{told}</p>\n{_bars('Sheets on which a line is wrong', chosen)}"


def _causes(written: Sequence[Mark]) -> str:
    """Return how often the sheets show each class of mistakes."""
    found = Counter[str]()
    for one in written:
        if one.marking is not None:
            wrong = [verdict for verdict in one.marking.verdicts if verdict.status == WRONG]
            found.update({verdict.causes[0].kind if verdict.causes else UNKNOWN for verdict in wrong})
    rows = [(kind, count, count) for kind, count in found.most_common(MOST_BARS)]
    told = "On how many sheets there is a mistake of each kind; of several that give the same numbers, the likeliest."
    return f"<p>{told}</p>\n{_bars('Sheets by kind of mistake', rows)}" if rows else ""


def _bars(title: str, rows: Sequence[tuple[str, int, int]]) -> str:
    """Return bars with their names: how many, and how many of these in full colour."""
    most = max(count for _, count, _ in rows)
    names = [short(name, MOST_NAME) for name, _, _ in rows]
    start = 8 + LETTER * max(map(len, names))
    room = WIDE - start - 32
    shapes = []
    for k, (name, (_, count, full)) in enumerate(zip(names, rows, strict=True)):
        y = k * ROW
        shapes.append(f'<text class="end" x="{start - 8:.4g}" y="{y + 15}">{escape(name)}</text>')
        for kind, size in (("light", count), ("full", full)):
            if size:
                width = f'width="{room * size / most:.4g}" height="{ROW - 7}"'
                shapes.append(f'<rect class="{kind}" x="{start:.4g}" y="{y + 4}" {width}/>')
        shapes.append(f'<text x="{start + room * count / most + 6:.4g}" y="{y + 15}">{count}</text>')
    said = "; ".join(f"{name}: {count}" for name, count, _ in rows)
    return _picture(f"{title}. {said}.", len(rows) * ROW + 4, shapes)


def _picture(told: str, height: float, shapes: Sequence[str]) -> str:
    label = escape(clean(told))
    return f'<svg role="img" aria-label="{label}" viewBox="0 0 {WIDE} {height:g}">{"".join(shapes)}</svg>'


# Tables and lists.


def _students(marks: Sequence[Mark]) -> str:
    heads = ("student", "points", "right", "follows", "wrong", "first wrong")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    rows = "\n".join(map(_row, marks))
    of = {points.shown(one.of) for one in marks}
    caption = f"In the order of the roster{f'; points of {of.pop()}' if len(of) == 1 else ''}"
    return (
        f'<div class="box" tabindex="0" role="region" aria-label="Students"><table><caption>{caption}</caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table></div>"
    )


def _row(one: Mark) -> str:
    marking = one.marking if one.state == MARKED else None
    numbers, first = ["", "", ""], None
    told = STATES[one.state] + (f": {one.fault}" if one.fault else "")
    if marking is not None:
        numbers = [str(marking.count(*some)) for some in ((RIGHT, CLOSE), (FOLLOWS,), (WRONG,))]
        first, told = marking.first, one.cause
    link = f'<a href="{FEEDBACK}/{quote(one.student.file)}.html">{_text(one.student.name)}</a>'
    cells = (points.shown(one.marks), *numbers, "" if first is None else escape(first.name))
    return (
        f'<tr class="{one.state}"><th scope="row">{link}{f"<small>{_text(told)}</small>" if told else ""}</th>'
        f"{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    )


def _list(told: Sequence[str], below: str = "") -> str:
    return "\n".join(_items(told, below)) if told else ""


def _items(told: Sequence[str], below: str) -> Iterator[str]:
    yield f"<ul>{''.join(f'<li>{_text(one)}</li>' for one in told)}</ul>"
    if below:
        yield f"<p>{below}</p>"
