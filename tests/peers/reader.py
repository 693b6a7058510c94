"""Someone who reads a page, and plays with it: finds things by what they say, clicks, drags and types."""

from __future__ import annotations

import json
import re
from typing import Any

from peers.browser import Page


def seen(selector: str, text: str = "", nth: int = 0) -> str:
    """Return an expression for the nth element that is seen and says something, in itself or to a screen reader."""
    return f"""[...document.querySelectorAll({json.dumps(selector)})].filter(one => one.checkVisibility()
        && ((one.getAttribute("aria-label") ?? "") + " " + one.textContent).replaceAll("−", "-")
            .includes({json.dumps(hyphenated(text))}))[{nth}]"""


def shown(value: float, digits: int = 4) -> str:
    """Return a number as the page writes it, where it is neither very small nor very large."""
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def hyphenated(value: Any) -> Any:
    """Return data with hyphens for minus signs in all its texts, so that Python reads its numbers."""
    if isinstance(value, list):
        return [hyphenated(part) for part in value]
    if isinstance(value, dict):
        return {key: hyphenated(part) for key, part in value.items()}
    return value.replace("−", "-") if isinstance(value, str) else value


def prose(text: str) -> str:
    """Return a text of the page as it is seen: its quantities without backticks, and with indices for underscores."""
    return hyphenated(text.replace("`", "").replace("_", ""))


def literal(text: str) -> str:
    """Return the longest part of a text of a chapter that has no slot in it, as it is seen."""
    return max(map(prose, re.split(r"\{[^}]*\}", text)), key=len)


class Reader:
    """Someone at a page."""

    def __init__(self, tab: Page) -> None:
        self.tab = tab
        self.expects = ""  # what the page's status line says in the end

    def open(self, url: str, *, width: int = 1280, still: bool = True, **look: Any) -> None:
        """Open an address anew; by default nothing moves."""
        self.tab.look(width=width, still=still, **look)
        self.tab.open("about:blank")
        self.tab.open(url)
        self.tab.wait_until("!document.getElementById('strip').hidden")

    def ask(self, script: str) -> Any:
        """Return what an expression of JavaScript is on the page, with hyphens for minus signs."""
        return hyphenated(self.tab.evaluate(script))

    def says(self, selector: str, text: str = "", nth: int = 0) -> str:
        """Return what an element shows, in one line."""
        return " ".join(self.ask(f"{seen(selector, text, nth)}.innerText").split())

    def has(self, selector: str, text: str = "") -> bool:
        """Return whether an element is seen that says something."""
        return self.ask(f"{seen(selector, text)} !== undefined")

    def sees(self, selector: str, text: str = "") -> None:
        """Wait until an element is seen that says something."""
        self.tab.wait_until(f"{seen(selector, text)} !== undefined")

    def click(self, selector: str, text: str = "", nth: int = 0) -> None:
        """Click on an element."""
        self.tab.click(seen(selector, text, nth))

    def keys(self, *names: str, shift: bool = False) -> None:
        """Press keys one after another."""
        self.tab.keys(*names, shift=shift)

    def type(self, text: str) -> None:
        """Type into the field that has the focus, over what it holds."""
        self.ask("document.activeElement.select()")
        self.keys(*text)

    def tab_to(self, selector: str, text: str = "") -> None:
        """Press Tab until an element has the focus."""
        for _ in range(300):
            if self.ask(
                f"document.activeElement?.matches({json.dumps(selector)}) && {seen(':focus', text)} !== undefined"
            ):
                return
            self.keys("Tab")
        raise LookupError(f"Tab does not lead to {selector}, {text!r}")

    def hash(self) -> str:
        """Return what the address says of the page, once it has been at rest for as long as the page waits itself."""
        return self.ask("new Promise(done => setTimeout(() => done(location.hash), 300))")
