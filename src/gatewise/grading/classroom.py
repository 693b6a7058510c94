"""The pages about a class: one for the teacher about all sheets, and one for each student."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from html import escape
from math import inf
from pathlib import Path
from statistics import median
from urllib.parse import quote

from gatewise.errors import FileError
from gatewise.files import storage
from gatewise.files.tables import csv_text
from gatewise.grading import report
from gatewise.grading.grades import ABSENT, EMPTY, HEADS, MARKED, UNREADABLE, Grades, Mark, format_points
from gatewise.grading.handout import FEEDBACK, MARKS, PAGE
from gatewise.grading.verdicts import EARNING, WRONG, describe_counts
from gatewise.languages.language import CLASS, PLACES, feedback_in
from gatewise.render.html import document, style, table_markup, text_html
from gatewise.render.text import clean, short
from gatewise.showing import counted

PACKAGE = "gatewise.grading"  # where its style lies
MAX_BARS = 40
MAX_BINS = 20
POWERS_OF_TEN = [10.0**k for k in range(-9, 10)]
CHART_WIDTH, ROW_HEIGHT, LETTER_WIDTH = 360, 22, 7.4  # of a picture, in its own units
MAX_LABEL_LETTERS = 28  # letters beside a bar
STATES = {
    MARKED: "marked",
    EMPTY: "handed in blank",
    ABSENT: "not handed in",
    UNREADABLE: "not readable",
}
UNKNOWN = "no known cause"
FACTS = "These are facts. You decide what they mean."
BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"  # by which spreadsheets recognise UTF-8


def write(folder: Path, grades: Grades) -> None:
    """Write the marks, the page of every student and the page of the class into the folder of an exercise.

    Each file is written completely or not at all; the page of the class comes last, since it leads to the others. Raise
    FileError if one cannot be written.
    """
    pages = folder / FEEDBACK
    try:
        pages.mkdir(exist_ok=True)
    except OSError as fault:
        raise FileError(f"cannot write {pages}: {fault.strerror or fault}") from None
    for mark in grades.marks:
        storage.write_text(pages / f"{mark.student.file}.html", feedback(mark, grades.lang))
    storage.write_text(folder / MARKS, marks_csv(grades))
    storage.write_text(folder / PAGE, page(grades, folder.resolve().name))


def marks_csv(grades: Grades) -> str:
    """Return the marks of a class as CSV: every column of the roster, then the totals and the points of each line.

    Learning platforms identify a student by any column of the roster, such as Moodle by its "Email address".
    """
    students = [mark.student for mark in grades.marks]
    width = max(len(student.cells) for student in students)
    roster = [*students[0].heads, *(f"column {k + 1}" for k in range(len(students[0].heads), width))]
    begins_with_names = all(student.cells[:1] == (student.name,) for student in students)
    if begins_with_names and not students[0].heads:
        roster[0] = HEADS[0]
    lines = tuple(dict.fromkeys(name for mark in grades.marks for name in mark.weights))
    own = [f"{head} (gatewise)" if head in roster else head for head in (*HEADS[begins_with_names:], *lines)]
    rows = [[*roster, *own]]
    for mark in grades.marks:
        cells = [
            *mark.student.cells,
            *[""] * (len(roster) - len(mark.student.cells)),
            *mark.cells()[begins_with_names:],
        ]
        earned = (mark.earned(name) if name in mark.weights else None for name in lines)
        rows.append([*cells, *("" if n is None else format_points(n) for n in earned)])
    return BYTE_ORDER_MARK + csv_text(rows)


def feedback(mark: Mark, lang: str = "en") -> str:
    """Return the HTML page of one student: the marked sheet, or why there is none."""
    total = feedback_in(lang, f"{format_points(mark.marks)} of {format_points(mark.of)} points")
    title = f"{mark.student.name}: {total}"
    if mark.marking is not None:
        return report.html(mark.marking, title=title, lang=lang)
    english = f"Your sheet could not be marked: {mark.fault}." if mark.fault else "Nothing was handed in."
    sentence = feedback_in(lang, english)
    body = f'<main class="gatewise-marking">\n<h1>{_html(title)}</h1>\n<p class="says">{_html(sentence)}</p>\n</main>'
    return document(clean(title), style(*report.STYLE) + style("page.css"), body, lang=lang) + "\n"


def page(grades: Grades, title: str) -> str:
    """Return the HTML page about a class for its teacher: marks, frequent mistakes, and students."""
    states = Counter(mark.state for mark in grades.marks)
    parts = [f"{states[state]} {state_words}" for state, state_words in STATES.items() if states[state]]
    say = partial(feedback_in, grades.lang, sections=CLASS)
    lead = say(f"{counted(len(grades.marks), 'student')}: {', '.join(parts)}.")
    written = [mark for mark in grades.marks if mark.state == MARKED]
    sections = [
        _section(say("Marks"), _marks_section(written, say)),
        _section(say("Which lines lose points"), _lost_lines_section(written, say)),
        _section(say("Why"), _causes_section(written, say)),
        _section(say("Students"), _students_table(grades.marks, grades.lang)),
        _section(say("Worth a look"), _bullet_list(map(say, grades.facts), f"\n<p>{say(FACTS)}</p>")),
        _section(say("Not marked"), _bullet_list(map(say, grades.strays))),
    ]
    body = f"""<main class="class">
<h1>{_html(title)}</h1>
<p class="lead">{_html(lead)}</p>
{"".join(sections)}
</main>"""
    return document(title, style("classroom.css", PACKAGE), body, lang=grades.lang) + "\n"


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n{content}\n</section>\n" if content else ""


def _html(value: str) -> str:
    return f"<bdi>{text_html(value)}</bdi>"


# Pictures, each with its content in words.


def _marks_section(written: Sequence[Mark], say: partial[str]) -> str:
    """Return the HTML of a histogram of the marks in a class, below its content in words."""
    if not written:
        return ""
    full, earned = max(mark.of for mark in written), [mark.marks for mark in written]
    lowest, highest = format_points(min(earned)), format_points(max(earned))
    range_text = f"{counted(len(written), 'sheet')} from {lowest} to {highest} of {format_points(full)} points"
    sentence = f"{range_text}. The median is {format_points(median(earned))}."
    size = next(ten * digit for ten in POWERS_OF_TEN for digit in (1, 2, 5) if full / (ten * digit) <= MAX_BINS)
    sheets_by_bin = Counter(int(value / size + 1e-9) for value in earned)
    bins = range(min(sheets_by_bin), max(sheets_by_bin) + 1)
    rows = [(format_points(k * size), sheets_by_bin[k], sheets_by_bin[k]) for k in bins]
    bar = "" if size == 1 else f" {format_points(size)} points to a bar, from"
    return f"<p>{_html(say(sentence))}</p>\n{_bar_chart_svg(say(f'Sheets by points.{bar}'), rows)}"


def _lost_lines_section(written: Sequence[Mark], say: partial[str]) -> str:
    """Return the HTML of a chart: on how many sheets of a class each line loses its points, or is wrong."""
    if not written:
        return ""
    verdicts = [verdict for mark in written for verdict in mark.verdicts.values()]
    lost = Counter(verdict.name for verdict in verdicts if verdict.status not in EARNING)
    wrong = Counter(verdict.name for verdict in verdicts if verdict.status == WRONG)
    total = say(f"{counted(len(verdicts), 'line')} on {counted(len(written), 'sheet')}: {describe_counts(verdicts)}.")
    order = list(dict.fromkeys(name for mark in written for name in mark.weights))
    most_lost = sorted((name for name, _ in lost.most_common(MAX_BARS)), key=order.index)
    if not most_lost:
        return f"<p>{total}</p>"
    sentence = say("Sheets with each line wrong (dark), or too coarse, incomplete or missing (pale).")
    chart = _bar_chart_svg(
        say("Sheets on which a line loses points."), [(name, lost[name], wrong[name]) for name in most_lost]
    )
    return f"<p>{total} {sentence}</p>\n{chart}"


def _causes_section(written: Sequence[Mark], say: partial[str]) -> str:
    """Return the HTML of a chart: on how many sheets of a class there is each kind of mistake."""
    counts = Counter[str]()
    for mark in written:
        wrong = (verdict for verdict in mark.verdicts.values() if verdict.status == WRONG)
        counts.update({verdict.causes[0].kind if verdict.causes else UNKNOWN for verdict in wrong})
    rows = [(say(kind, sections=PLACES), count, count) for kind, count in counts.most_common(MAX_BARS)]
    sentence = "Sheets with each kind of mistake. If several fit, the likeliest counts."
    return f"<p>{say(sentence)}</p>\n{_bar_chart_svg(say('Sheets by kind of mistake.'), rows)}" if rows else ""


def _bar_chart_svg(title: str, rows: Sequence[tuple[str, int, int]]) -> str:
    """Return an SVG of labelled bars, for the page about a class: a count, and its part in full colour."""
    largest = max(count for _, count, _ in rows)
    names = [short(name, MAX_LABEL_LETTERS) for name, _, _ in rows]
    names_width = 8 + LETTER_WIDTH * max(map(len, names))
    longest = CHART_WIDTH - names_width - 32
    shapes = []
    for k, (name, (_, count, part)) in enumerate(zip(names, rows, strict=True)):
        y = k * ROW_HEIGHT
        shapes.append(f'<text class="end" x="{names_width - 8:.4g}" y="{y + 15}">{escape(name)}</text>')
        for kind, size in (("light", count), ("full", part)):
            if size:
                width = f'width="{longest * size / largest:.4g}" height="{ROW_HEIGHT - 7}"'
                shapes.append(f'<rect class="{kind}" x="{names_width:.4g}" y="{y + 4}" {width}/>')
        if count:
            shapes.append(f'<text x="{names_width + longest * count / largest + 6:.4g}" y="{y + 15}">{count}</text>')
    counts = "; ".join(f"{name}: {count}" for name, count, _ in rows if count)
    label = text_html(f"{title} {counts}.")
    view = f"0 0 {CHART_WIDTH} {len(rows) * ROW_HEIGHT + 4}"
    return f'<svg role="img" aria-label="{label}" viewBox="{view}">{"".join(shapes)}</svg>'


# Tables and lists.


def _students_table(marks: Sequence[Mark], lang: str) -> str:
    say = partial(feedback_in, lang, sections=CLASS)
    heads = [f'<th scope="col">{say(name)}</th>' for name in ("student", "points", "first wrong")]
    rows = [f"{_student_row(mark, lang)}\n" for mark in marks]
    of = {format_points(mark.of) for mark in marks}
    caption = say(f"In the order of the roster{f'; points of {of.pop()}' if len(of) == 1 else ''}")
    return table_markup(caption, say("Students"), heads, rows, width=inf)


def _student_row(mark: Mark, lang: str) -> str:
    notes = [feedback_in(lang, STATES[mark.state] + (f": {mark.fault}" if mark.fault else ""))]
    if mark.state == MARKED:
        notes = [feedback_in(lang, describe_counts(mark.verdicts.values()), PLACES), mark.cause_in(lang)]
    link = f'<a href="{FEEDBACK}/{quote(mark.student.file)}.html">{_html(mark.student.name)}</a>'
    cells = (format_points(mark.marks), escape(mark.first_wrong))
    small = "".join(f"<small>{_html(note)}</small>" for note in notes if note)
    return (
        f'<tr class="{mark.state}"><th scope="row">{link}{small}</th>'
        f"{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    )


def _bullet_list(sentences: Iterable[str], below: str = "") -> str:
    items = "".join(f"<li>{_html(sentence)}</li>" for sentence in sentences)
    return f"<ul>{items}</ul>{below}" if items else ""
