"""How fast the page trains: python -m bench.page_training; in node, and on the teaching page in Chromium.

Its goals, on two cores: 2,000 updates of the latch within 10 seconds, at 30 pictures a second or more.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import gatewise as gw
from bench.measures import Measure
from gatewise.playground.document import computed_values
from gatewise.playground.sequence_run import sequence_run_of
from gatewise.render.data import numbers
from tests.peers import node
from tests.peers.browser import Page, page

UPDATES, GOAL, LEAST = 2000, 10.0, 30.0  # updates, seconds, and pictures a second
SETTINGS = {"task": "latch", "delay": 10, "optimiser": "adam", "rate": 0.02, "clip": 0, "bias": 1, "seed": 1}

# Press Train, and count the pictures until so many updates are made.
TRAIN = """
(updates => new Promise(done => {
  const said = document.querySelector(".training .soft");
  const begin = performance.now();
  let pictures = 0;
  const look = () => {
    pictures++;
    if (Number(/\\d+/.exec(said.textContent)[0]) < updates) requestAnimationFrame(look);
    else done([(performance.now() - begin) / 1000, pictures]);
  };
  document.querySelector(".training button").click();
  requestAnimationFrame(look);
}))
"""
IN_NODE = """
import {readFileSync} from "node:fs";
const [, , assets, data] = process.argv;
const {wiringOf} = await import(`${assets}/engine/wiring.js`);
const {Trainer} = await import(`${assets}/engine/training.js`);
const {document, settings, updates} = JSON.parse(readFileSync(data, "utf8"));
const trainer = new Trainer(wiringOf(document, 60e6), settings);
const begin = performance.now();
while (trainer.goTo(updates, 1000));
process.stdout.write(String((performance.now() - begin) / 1000));
"""


def in_node(folder: Path) -> float:
    """Return the seconds that the updates take in node."""
    network = gw.Network(gw.LSTM(3, 4, rng=0, dtype=np.float64), head=gw.Linear(np.zeros((1, 4)), np.zeros(1)))
    run = sequence_run_of(network, np.zeros((40, 3)), 0, {})
    (folder / "train.mjs").write_text(IN_NODE, encoding="utf-8")
    document = computed_values(run, run.wiring(), numbers)
    seconds: float = node.answer(
        folder / "train.mjs", folder, {"document": document, "settings": SETTINGS, "updates": UPDATES}
    )
    return seconds


def in_browser(tab: Page, folder: Path) -> tuple[float, float]:
    """Return the seconds that they take on the page, and its pictures a second."""
    path = folder / "page.html"
    gw.page().save(path)
    tab.look(width=1280, height=720)
    tab.open(path.as_uri() + "#v1&scene=learner")
    tab.wait_until("!!document.querySelector('.training button')")
    tab.evaluate(f"window.trained = null, {TRAIN}({UPDATES}).then(made => {{ window.trained = made; }}), null")
    while tab.evaluate("window.trained") is None:  # longer than the browser may take to answer
        time.sleep(0.2)
    seconds, pictures = tab.evaluate("window.trained")
    return seconds, pictures / seconds


def main() -> None:
    """Print the times, and whether the goals are met."""
    with tempfile.TemporaryDirectory() as folder, page() as tab:
        print(f"node: {UPDATES:,} updates in {Measure.MEDIAN.text(in_node(Path(folder)))}")
        seconds, rate = in_browser(tab, Path(folder))
    met = seconds < GOAL and rate >= LEAST
    print(f"Chromium: {UPDATES:,} updates in {Measure.MEDIAN.text(seconds)}, {rate:.0f} pictures a second")
    print(f"goal: {GOAL:g} s, {LEAST:g} pictures a second: {'met' if met else 'missed'}")
    sys.exit(not met)


if __name__ == "__main__":
    main()
