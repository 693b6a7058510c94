"""How fast the page reads: python -m bench.page_reader; from a key to the letter on its colour, in Chromium.

Its goal is 50 milliseconds, for texts of three lengths.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import gatewise as gw
from bench.measures import Measure
from tests.peers.browser import Page, page

LENGTHS, GOAL, ROUNDS = (10, 60, 150), 0.05, 3  # letters, seconds
TEXT = 'he said "the sea is near" and she went on to the wind while '
TYPED = 'a "rain" is'

# From a key until its letter, on a colour, was drawn.
WATCH = """
window.seconds = null;
document.addEventListener("keydown", ({timeStamp}) => {
  const count = document.querySelectorAll(".letters > *").length;
  window.seconds = null;
  const look = () => {
    const letters = document.querySelectorAll(".letters > *");
    if (letters.length === count || !letters[count].style.backgroundColor) return requestAnimationFrame(look);
    setTimeout(() => { window.seconds = (performance.now() - timeStamp) / 1000; });
  };
  requestAnimationFrame(look);
}, true);
"""
BEGIN = """(text => {
  const field = document.querySelector(".reader textarea");
  field.focus();
  field.value = text;
  field.dispatchEvent(new Event("input"));
})"""


def timed(tab: Page, address: str, length: int) -> list[float]:
    """Return the seconds from each key to its letter's colour, behind a text of a length."""
    tab.look(width=1280, height=720)
    tab.open(f"{address}#v1&scene=reader")
    tab.wait_until("!!document.querySelector('.reader textarea')")
    tab.evaluate(WATCH)
    tab.evaluate(f"{BEGIN}({json.dumps((TEXT * 3)[:length])})")
    tab.wait_until(f"document.querySelectorAll('.letters > *').length === {length}")
    times = []
    for letter in TYPED:
        time.sleep(0.15)  # as somebody types who types fast
        tab.keys(letter)
        tab.wait_until("window.seconds !== null")
        times.append(tab.evaluate("window.seconds"))
    return times


def main() -> None:
    """Print the times, and whether the goal is met."""
    missed = False
    with tempfile.TemporaryDirectory() as folder, page() as tab:
        path = Path(folder, "page.html")
        gw.page().save(path)
        for length in LENGTHS:
            times = []
            for _ in range(ROUNDS):
                with tab.another():
                    times += timed(tab, path.as_uri(), length)
            middle = statistics.median(times)
            missed |= middle >= GOAL
            spread = f"{Measure.MEDIAN.text(min(times))} to {Measure.MEDIAN.text(max(times))}"
            print(f"behind {length} letters: {Measure.MEDIAN.text(middle)} ({spread}; goal {GOAL * 1000:g} ms)")
    sys.exit(missed)


if __name__ == "__main__":
    main()
