"""Addresses of pages in a browser: whatever stands there, the page shows something that it has, and says so."""

from __future__ import annotations

import json
import random
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hostile.outputs import HARMFUL
from hostile.trying import AT_END, EXECUTED, TRACEBACK, Fault, hostile, silent

FIELDS = (
    *(
        "scene",
        "step",
        "layer",
        "direction",
        "unit",
        "show",
        "level",
        "name",
        "product",
        "backward",
        "loss",
        "scale",
        "chapter",
    ),
    *("begun", "progress", "sorted", "edits", "text", "word", "epoch", "__proto__", "constructor", "toString", ""),
)
VALUES = (
    *(
        "0",
        "1",
        "3",
        "7",
        "99",
        "-1",
        "1e3",
        "1.5",
        "999999999",
        "9999999999",
        "NaN",
        "Infinity",
        "",
        " ",
        "null",
        "undefined",
        "true",
    ),
    *(
        "overview",
        "step",
        "number",
        "product",
        "f",
        "c",
        "h",
        "dc",
        "a_f",
        "W_f",
        "b_f",
        "x",
        "log",
        "linear",
        "learn",
        "reader",
        "latch",
    ),
    *(
        "h,0,0,0,0",
        "y,0,0,0,0",
        "error,0,0,0,0",
        "h,9,9,9,9",
        "h,0,0",
        "0,0,b_f,,0,2",
        "0,0,x,3,0,1",
        "0,0,b_f,,0,0x10",
        "0,0,b_f,,9,1",
    ),
    *(
        "0,0,W_f,,0.0,1e99",
        "0,0,W_f,,0.0,1e400",
        "0,0,c,0,0,1",
        "0,0,b_f,,0,",
        ";;;",
        "0,0,b_f,,0,1;0,0,b_f,,0,2",
        "%",
        "%zz",
        "%00",
        "%E0%A4%A",
    ),
    *("s" * 50, "rs-", "rrrr", "a" * 3000, "__proto__", "constructor", "[object Object]", "javascript:alert(1)"),
    *HARMFUL,
)
BAD = ("NaN", "undefined", "[object", "Infinity", "null,")
_kept: dict[str, Any] = {}


def tab(folder: Path) -> Any:
    """Return a browser's tab with the teaching page, which this process keeps."""
    if not _kept:
        from peers import browser

        import gatewise as gw

        stack = ExitStack()
        AT_END.append(stack.close)
        page = _kept["page"] = stack.enter_context(browser.page())
        path = folder.parent / "teaching.html"
        gw.page().save(path)
        own = folder.parent / "own.html"
        gw.page(gw.LSTM(3, 4, num_layers=2, bidirectional=True, rng=0), [[0.1, 0.2, 0.3]] * 6).save(own)
        _kept["urls"] = [f"file://{path}", f"file://{own}"]
        page.look(still=True)
    return _kept["page"]


def address(chance: random.Random) -> str:
    """Return what may stand behind the number sign of an address."""
    pairs = [f"{chance.choice(FIELDS)}={chance.choice(VALUES)}" for _ in range(chance.choice([0, 1, 1, 2, 3, 5]))]
    return "&".join([chance.choice(["v1", "v1", "v1", "v1", "v1", "v2", "v0", "", "V1"]), *pairs])


@hostile("addresses of pages in a browser", needs=("$chromium", "$bash"), seconds=60, memory=0)
def addresses(chance: random.Random, folder: Path) -> int:
    """Several addresses of one page: no exception, no number that is none, nothing that was asked of a network."""
    page = tab(folder)
    url = chance.choice(_kept["urls"])
    tried: list[str] = []
    page.open("about:blank")
    first = address(chance) if chance.random() < 0.5 else ""
    page.open(url + (f"#{first}" if first else ""))
    for count in range(8):
        if count:
            tried.append(address(chance))
            page.evaluate(f"location.hash = {json.dumps(tried[-1])}")
        page.rest()
        what = f"{url.rpartition('/')[2]}#{first}, then {tried}"
        if thrown := page.reported("Runtime.exceptionThrown"):
            raise Fault(TRACEBACK, f"the page throws: {json.dumps(thrown[0]['params'])[:900]}: {what}")
        if said := page.reported("Log.entryAdded"):
            raise Fault(TRACEBACK, f"the page reports: {json.dumps(said[0]['params'])[:500]}: {what}")
        asked = [one for one in page.asked() if not one.startswith(("file:", "blob:", "about:", "data:"))]
        if asked:
            raise Fault(EXECUTED, f"the page asks for something: {asked[0]}: {what}")
        text = page.evaluate("document.getElementById('main').innerText")
        if len(text) < 50:
            silent(f"the page is empty: {text!r}: {what}")
        for bad in BAD:
            if bad in text and not any(bad in one for one in (first, *tried)):
                silent(f"the page shows {bad}: {what}")
        if page.evaluate("document.querySelectorAll('img[onerror], svg[onload], a[href^=javascript]').length"):
            raise Fault(EXECUTED, f"markup of an address is on the page: {what}")
    return 8
