"""Judgements as lines of text, a web page, JSON, and a badge."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from html import escape
from typing import Any

from gatewise.errors import shown
from gatewise.judge.judging import Judgement, Row
from gatewise.judge.verdicts import RIGHT
from gatewise.palette import PALETTE
from gatewise.render.html import document, style
from gatewise.render.text import clean

MAX_SENTENCE = 120  # characters of an engine's own message in a table
TITLE = "LSTM engines, judged by gatewise"
LEAD = (
    "Each engine ran generated LSTMs. gatewise computed them in float64 and compared, within rounding of the engine's"
    " precision. Open a cell to see the smallest case that fails."
)


def lines(judgement: Judgement) -> Iterable[tuple[str, str, str]]:
    """Yield the feature, the verdict and the sentence of each row; of a judgement without rows, nothing."""
    for row in judgement.rows:
        sentence = sentence_of(row)
        if row.kind == "refused" and len(sentence) > MAX_SENTENCE:  # why comes last
            sentence = f"… {sentence[2 - MAX_SENTENCE :]}"
        yield row.feature, row.kind, shown(sentence, 3 * MAX_SENTENCE)


def sentence_of(row: Row) -> str:
    """Return the sentence about a row; a feature that is right has none."""
    return "" if row.kind == RIGHT else row.sentence


def details(row: Row) -> list[str]:
    """Return sentences about the smallest case of a fault: the case, where it deviates first, and both numbers."""
    verdict, found = row.verdict, list[str]()
    if not verdict.design.is_file:
        found.append(f"Smallest case: {verdict.design}.")
    if verdict.place:
        found.append(f"First deviation: {verdict.place}.")
    if verdict.difference is not None:
        given, right = verdict.difference.given, verdict.difference.computed
        found.append(
            f"{verdict.difference.name} is {given:.6g} and must be {right:.6g}; rounding explains"
            f" {verdict.difference.allowance:.1g}."
        )
    return found


def to_json(judgements: Sequence[Judgement]) -> str:
    """Return judgements as JSON: for each engine its rows, with the smallest case and both numbers of each fault."""
    return json.dumps({"judgements": [_plain(judgement) for judgement in judgements]}, indent=1, ensure_ascii=False)


def _plain(judgement: Judgement) -> dict[str, Any]:
    rows = []
    for row in judgement.rows:
        verdict = row.verdict
        case = asdict(verdict.design) | {"attributes": sorted(verdict.design.attributes)}
        plain: dict[str, Any] = {"feature": row.feature, "verdict": row.kind, "sentence": row.sentence}
        plain |= {"cases": row.cases, "case": case, "causes": list(verdict.causes), "first_deviation": verdict.place}
        if verdict.difference is not None:
            d = verdict.difference
            numbers = {"array": d.name, "index": list(d.index), "engine": d.given, "right": d.computed}
            plain["difference"] = {name: _number(value) for name, value in numbers.items()}
            plain["difference"]["allowed"] = _number(d.allowance)
        if row.script:
            plain["script"] = row.script
        rows.append(plain)
    head = {"engine": judgement.engine, "version": judgement.version, "problem": judgement.problem}
    return head | {"right": judgement.is_right, "cases": len(judgement.verdicts), "rows": rows}


def _number(value: Any) -> Any:
    """Return a value that JSON has: NaN and infinity become text."""
    return value if not isinstance(value, float) or abs(value) < float("inf") else str(value)


def to_html(judgements: Sequence[Judgement], command: str = "") -> str:
    """Return judgements as a web page: a table of features and engines, each of whose cells opens."""
    features = list(dict.fromkeys(row.feature for judgement in judgements for row in judgement.rows))
    by_feature = [{row.feature: row for row in judgement.rows} for judgement in judgements]
    heads = "".join(
        f'<th scope="col">{_text(judgement.engine)} <small>{_text(judgement.version)}</small></th>'
        for judgement in judgements
    )
    body = "\n".join(
        f'<tr><th scope="row">{_text(feature)}</th>'
        + "".join(_cell(rows.get(feature)) for rows in by_feature)
        + "</tr>"
        for feature in features
    )
    problems = "".join(f"<p>{_text(j.sentence)}</p>" for j in judgements if j.problem)
    made = f"<footer><p>Made by <code>{_text(command)}</code></p></footer>" if command else ""
    page = f"""<div class="gatewise-judge"><main>
<h1>{TITLE}</h1>
<p>{LEAD}</p>
{problems}
<div class="wide"><table><thead><tr><th scope="col">Feature</th>{heads}</tr></thead>
<tbody>
{body}
</tbody></table></div>
{made}
</main></div>"""
    return document(TITLE, style("judge.css", "gatewise.judge"), page) + "\n"


def _cell(row: Row | None) -> str:
    """Return the cell of a feature and an engine; one that is not right opens."""
    if row is None:
        return '<td class="none" aria-label="not tried">–</td>'
    kind = row.kind.replace(" ", "-")
    if row.kind == RIGHT:
        return f'<td class="{kind}">{row.kind}</td>'
    parts = [f"<p>{_text(row.sentence)}</p>"]
    if row.verdict.is_fault:
        parts += [f"<p>{_text(sentence)}</p>" for sentence in details(row)]
    if row.script:
        parts.append(f"<pre>{escape(row.script)}</pre>")
    return f'<td class="{kind}"><details><summary>{row.kind}</summary>{"".join(parts)}</details></td>'


def _text(text: str) -> str:
    return escape(clean(text))


def to_svg(judgement: Judgement) -> str:
    """Return a badge: how many features the engine computes right, of those that it does not refuse."""
    tried = [row for row in judgement.rows if row.kind != "refused"]
    right = sum(not row.verdict.is_fault for row in tried)
    left = "LSTM"
    value = "not judged" if judgement.problem else f"{right}/{len(tried)} right"
    colour = PALETTE["candidate_text" if right == len(tried) and tried else "forget_gate_text"].light
    first, second = (10 + 7 * len(word) for word in (left, value))
    title = escape(clean(f"gatewise judge: {judgement.sentence}"))
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{first + second}" height="20" role="img">
<title>{title}</title>
<rect width="{first}" height="20" fill="#444"/><rect x="{first}" width="{second}" height="20" fill="{colour}"/>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">
<text x="{first / 2}" y="14">{left}</text><text x="{first + second / 2}" y="14">{value}</text></g>
</svg>
"""
