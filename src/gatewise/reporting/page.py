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


def text(report: Report) -> str:
    """Return a report as plain text: its findings' sentences, each under its question."""
    lines = [clean(report.title), clean(report.lead)]
    for finding in report.findings:
        lines += ["", clean(finding.question), f"  {clean(finding.sentence)}"]
        lines += [f"    {clean(sentence)}" for sentence in finding.reading]
        lines += [f"    {clean(name)}: {clean(sentence)}" for name, sentence in finding.others]
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
    """Return the HTML of a report's title, contents and findings, in an element `tag`."""
    links = "".join(
        f'<li><a href="#q{place}">{_text(finding.question)}</a></li>' for place, finding in enumerate(report.findings)
    )
    parts = []
    with working("drawing", len(report.findings)) as done:
        for place, finding in enumerate(report.findings):
            parts.append(_finding_section(finding, f"q{place}", report))
            done(1)
    sections = "\n".join(parts)
    return f"""<{tag} class="whole">
<h1>{_text(report.title)}</h1>
<p class="lead">{_text(report.lead)}</p>
<nav aria-label="Questions"><ol>{links}</ol></nav>
{sections}
<footer><p>Made by gatewise from every gate of every step of this run. The same model and input give the
same page.</p></footer>
</{tag}>"""


def _finding_section(finding: Finding, key: str, report: Report) -> str:
    """Return the HTML section of a report's finding; the first one lists the facts too."""
    parts = [f'<section class="finding" aria-labelledby="{key}">', f'<h2 id="{key}">{_text(finding.question)}</h2>']
    kind = "says" if finding.answer is not None else "says refused"
    parts.append(f'<p class="{kind}">{_text(finding.sentence)}</p>')
    if finding.picture is not None:
        parts.append(f"<figure>{finding.picture}</figure>")
    if finding.reading:
        parts.append(f'<p class="reading">{_text(" ".join(finding.reading))}</p>')
    parts.append(f'<p class="meaning">{_text(finding.meaning)}</p>')
    if finding.others:
        parts.append(_table("The same, of every cell", finding.others))
    if finding is report.findings[0]:
        parts.append(_table("The model and the run", report.facts))
    return "\n".join([*parts, "</section>"])


def _table(caption: str, rows: tuple[tuple[str, str], ...]) -> str:
    body = "".join(f'<tr><th scope="row">{_text(name)}</th><td>{_text(value)}</td></tr>' for name, value in rows)
    return f"<table><caption>{caption}</caption><tbody>{body}</tbody></table>"


def _text(text: str) -> str:
    """Return text from data as inert text of a page, in which no date and no percentage is broken."""
    return _UNBROKEN.sub(r"<span>\g<0></span>", escape(clean(text)))
