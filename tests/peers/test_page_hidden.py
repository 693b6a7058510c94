"""A number that is asked for stands nowhere on the page: in no text, title, label or field, whatever is opened."""

from __future__ import annotations

import numpy as np
import pytest
from peers.page_files import edited, numbers
from peers.reader import shown

from gatewise.playground import lesson

pytestmark = pytest.mark.peers

WRITTEN = """(() => {
    const GIVEN = "#live, [data-ref*='|x|'], label, .given-number, .reads, .weights, .product, .factors-open, math";
    const found = [];
    for (const one of document.querySelectorAll("body, body *")) {
        if (one.closest("script, style, #margin .question, #changes")) continue;
        const given = one.closest(GIVEN) !== null;
        const texts = [...one.childNodes].filter(node => node.nodeType === 3).map(node => node.data);
        const drawn = /^(d|viewBox|x|y|cx|cy|points|transform|style)$/;
        for (const {name, value} of one.attributes) if (!drawn.test(name)) texts.push(value);
        if (one.value !== undefined) texts.push(String(one.value));
        for (const text of texts) {
            const numbers = text.replaceAll("\u2212", "-").match(/-?\\d+\\.?\\d*(e-?\\d+)?/g) ?? [];
            for (const number of numbers) found.push([Number(number), given, text]);
        }
    }
    return found;
})()"""


DRAWN = [
    f"0,0,{kind}_{gate},,{at},{(n * 7 % 18 - 8.5) / 10:.2f}"
    for n, (kind, gate, at) in enumerate(
        [
            (kind, gate, at)
            for gate in "ifgo"
            for kind, at in (("W", "0.0"), ("W", "0.1"), ("W", "0.2"), ("W", "0.3"), ("b", "0"))
        ]
    )
] + ["0,0,x,0,0,0.4", "0,0,x,0,1,-0.6", "0,0,x,0,2,0.9", "0,0,h_prev,0,0,-0.3", "0,0,c_prev,0,0,0.7"]


def told(found: list, right: float, given: bool) -> list[str]:
    """Return the texts in which a number stands, to three digits or four decimals, other than among what is given."""
    close = max(abs(right) * 5e-4, 5e-5)
    return [text for number, of_given, text in found if abs(number - right) <= close and (given or not of_given)]


@pytest.mark.parametrize("number", range(1, 9))
def test_the_number_that_a_chapter_asks_for_stands_nowhere(number, reader, pages):
    ask = lesson.chapters()[number]["ask"]
    name, step = ask.get("name", "h"), ask["step"]
    reader.open(pages("teaching"))
    reader.click("#margin nav button", f"Chapter {number % 8 + 2}")
    reader.click("#margin nav button", f"Chapter {number + 1}")
    if number == 8:  # whose numbers are drawn, and may be anything
        reader.ask("location.hash = " + repr(f"v1&step=0&show=h&level=step&chapter=8&edits={';'.join(DRAWN)}"))
    reader.sees("#margin .count", f"Chapter {number + 1} of {len(lesson.chapters())}")
    written = [one.split(",") for one in reader.hash().split("edits=")[1].split(";") if one]
    edits = [(one[2], int(one[3] or 0), [int(n) for n in one[4].split(".") if n], float(one[5])) for one in written]
    right = float(numbers(edited(edits))[name][step, 0])
    given = np.isclose(np.abs([one[3] for one in edits]), abs(right), rtol=1e-3).any()  # 0.5 is an input in the first
    places = [f"&level={level}&name={name}" for level in ("overview", "step", "number")]
    opened = ["c", "h", "f", "tanh"] if name in ("c", "h", "f") else ["dc", "dh", "do", "dc_prev", "dW_g[0,1]", "db_f"]
    places += [f"&level=product&product=0&name={one}" for one in opened if one != "tanh"]
    base, _, rest = reader.hash().partition("&level=")
    base = "&".join(part for part in base.split("&") if not part.startswith(("show=", "name=")))
    tail = "&".join(part for part in rest.split("&")[1:] if not part.startswith("name="))
    quantities = reader.ask("[...document.getElementById('quantity').options].map(one => one.value)")
    for place in places:
        reader.ask(f"location.hash = {(base + place + '&' + tail + '&show=' + quantities[0])!r}")
        shows = [one for one in quantities if not given or one != "x"]
        for quantity in shows if place == places[0] else shows[:1]:  # the strip is the same at every level
            reader.ask(f"""(select => {{
                select.value = {quantity!r};
                select.dispatchEvent(new Event("change"));
            }})(document.getElementById("quantity"))""")
            found = reader.ask(f"new Promise(done => requestAnimationFrame(() => done({WRITTEN})))")
            assert told(found, right, not given) == [], (place, quantity)
    reader.click("#margin button", "Show ")
    found = reader.ask(WRITTEN)
    assert len(told(found, right, True)) > 0
    assert any(shown(right) in text for _, _, text in found)
