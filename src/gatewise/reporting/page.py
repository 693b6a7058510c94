"""A report as text, as a web page that is complete in itself, and as a part of a notebook."""

from __future__ import annotations

import re
from hashlib import sha256
from html import escape

from gatewise.progress import working
from gatewise.render.html import document, style
from gatewise.render.text import clean
from gatewise.reporting.findings import Finding, Report

PACKAGE = "gatewise.reporting"  # where its style lies
_UNBROKEN = re.compile(r"\b\d{4}-\d\d(-\d\d)?(T[\d:.]+)?\b|\b[\d.]+ %")  # dates, and percentages
IMAGES = "; img-src data:"  # a heatmap within a picture
UNSTABLE = "What does not stand on top, and why"
UNANSWERED = "What cannot be asked of this run"


def text(report: Report) -> str:
    """Return a report as plain text: its headlines, and its findings' sentences, each under its question."""
    lines = [clean(report.title), clean(report.lead), *([""] if report.headlines else [])]
    for place, finding in enumerate(report.headlines, 1):
        lines.append(f"{place}. {clean(finding.headline)}")
        lines += [f"   {clean(finding.call)}"] if finding.call else []
    for finding in report.sections:
        lines += ["", clean(finding.question), f"  {clean(finding.sentence)}"]
        lines += [f"    {clean(sentence)}" for sentence in finding.reading]
        lines += [f"    {clean(finding.checks)}"] if finding.checks else []
        lines += [f"    {clean(name)}: {clean(sentence)}" for name, sentence in finding.others]
    lines += ["", clean(report.nothing)] if report.nothing else []
    if report.unstable:
        lines += ["", UNSTABLE]
        lines += [f"  {clean(finding.question)} {clean(finding.unstable)}" for finding in report.unstable]
    if report.unanswered:
        lines += ["", UNANSWERED]
        lines += [f"  {clean(finding.question)} {clean(finding.sentence)}" for finding in report.unanswered]
    return "\n".join(lines)


def html(report: Report) -> str:
    """Return a report as a complete HTML page."""
    body = f"""<div class="gatewise-report">
<a class="skip" href="#q0">Skip to the findings</a>
{_report_body(report, "main")}
</div>"""
    return document(report.title, style("report.css", PACKAGE) + style("page.css", PACKAGE), body, IMAGES) + "\n"


def fragment(report: Report) -> str:
    """Return a report as HTML for a part of another page, such as a notebook."""
    body = _report_body(report, "article")
    seal = f"r{sha256(body.encode()).hexdigest()[:8]}-"  # the ids of two reports in one notebook differ in it
    for before in (' id="', 'href="#', "url(#", 'labelledby="'):
        body = body.replace(before, before + seal)
    return f'<div class="gatewise-report">\n<style>{style("report.css", PACKAGE)}</style>\n{body}\n</div>'


def _report_body(report: Report, tag: str) -> str:
    """Return the HTML of a report's title, headlines, findings and notes, in an element `tag`."""
    parts, keys = [], {finding.question: f"q{place}" for place, finding in enumerate(report.sections)}
    with working("drawing", len(report.sections)) as done:
        for finding in report.sections:
            parts.append(_finding_section(finding, keys[finding.question]))
            done(1)
    links = "".join(
        f'<li>{_text(finding.headline)} <a href="#{keys[finding.question]}"'
        f' aria-label="{escape(clean(finding.question))}">↓</a>'
        f"{f'<div><code>{_text(finding.call)}</code></div>' if finding.call else ''}</li>"
        for finding in report.headlines
    )
    short = f'<nav aria-label="In short"><h2>In short</h2><ol>{links}</ol></nav>' if links else ""
    nothing = f'<p class="nothing">{_text(report.nothing)}</p>' if report.nothing else ""
    unstable = tuple((finding.question, finding.unstable) for finding in report.unstable)
    unanswered = tuple((finding.question, finding.sentence) for finding in report.unanswered)
    readings = tuple({finding.topic: finding.meaning for finding in report.sections}.items())
    sections = "\n".join(parts)
    return f"""<{tag} class="whole">
<h1>{_text(report.title)}</h1>
<p class="lead">{_text(report.lead)}</p>
{short}
{sections}
{nothing}
<section class="notes">
{_table(UNSTABLE, unstable) if unstable else ""}
{_table(UNANSWERED, unanswered) if unanswered else ""}
{_table("The model and the run", report.facts)}
{_table("How to read this", readings)}
</section>
<footer><p>Made by gatewise from every gate of every step of this run. The same model and input give the
same page.</p></footer>
</{tag}>"""


def _finding_section(finding: Finding, key: str) -> str:
    """Return the HTML section of a report's finding."""
    parts = [f'<section class="finding" aria-labelledby="{key}">', f'<h2 id="{key}">{_text(finding.question)}</h2>']
    parts.append(f'<p class="says">{_text(finding.sentence)}</p>')
    if finding.picture is not None:
        parts.append(f"<figure>{finding.picture}</figure>")
    if finding.reading:
        small = [*finding.reading, *([finding.checks] if finding.checks else [])]
        parts.append(f'<p class="reading">{_text(" ".join(small))}</p>')
    if finding.others:
        parts.append(_table("The others", finding.others))
    return "\n".join([*parts, "</section>"])


def _table(caption: str, rows: tuple[tuple[str, str], ...]) -> str:
    body = "".join(f'<tr><th scope="row">{_text(name)}</th><td>{_text(value)}</td></tr>' for name, value in rows)
    return f"<table><caption>{caption}</caption><tbody>{body}</tbody></table>"


def _text(text: str) -> str:
    """Return text from data as inert text of a page, in which no date and no percentage is broken."""
    return _UNBROKEN.sub(r"<span>\g<0></span>", escape(clean(text)))
