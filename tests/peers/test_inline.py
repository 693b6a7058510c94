"""Records in an executed and exported notebook: in a browser, in light and dark, nothing is fetched and all is read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from peers import browser

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
nbconvert = pytest.importorskip("nbconvert")
pytest.importorskip("ipykernel")
pytestmark = pytest.mark.peers

ROOT = Path(__file__).parent.parent
CODE = [
    "import numpy as np, gatewise as gw\n"
    "from planted import bracket_detector, leaky_bucket\n"
    "lstm, rain, storage = leaky_bucket(60, 2)\n"
    "labels = gw.Labels(features=['<script>alert(1)</script> $x$'])\n"
    "run = lstm.trace(rain, labels=labels, lengths=[60, 40])\n"
    "run",
    "run[0]",
    "lstm",
    "network = gw.Network(lstm, head=gw.Linear(np.ones((1, 4))))\nnetwork",
    "network.trace(rain)",
    "gw.insight.probe(run[0], storage, name=('storage', 'mm'))",
    "x = bracket_detector([[(2, 4), (3, 4)], [(6, 3)]])\ngw.insight.matches(x[0].trace(x[1])[0], 2, 6, edges=True)",
    "gw.insight.timescales(run[0])",
]
CONTRAST = """(() => {
  const part = text => text.match(/[\\d.]+/g).map(Number);
  const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = rgb => rgb.slice(0, 3).map(v => linear(v / 255))
    .reduce((sum, v, k) => sum + v * [.2126, .7152, .0722][k], 0);
  const ground = light(part(getComputedStyle(document.body).backgroundColor));
  return [...document.querySelectorAll('.gatewise-record :is(p, td, th), .gatewise-record svg text')].map(one => {
    const style = getComputedStyle(one);
    const ink = light(part(one.localName === 'text' ? style.fill : style.color));
    return (Math.max(ink, ground) + .05) / (Math.min(ink, ground) + .05);
  });
})()"""


@pytest.fixture(scope="module")
def notebook():
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in CODE])
    path = f"import sys; sys.path[:0] = {[str(ROOT), str(ROOT.parent / 'src'), *sys.path]!r}"
    book.cells.insert(0, nbformat.v4.new_code_cell(path))
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
    return book


def test_every_record_of_a_notebook_has_html(notebook):
    for cell in notebook.cells[1:]:
        assert "gatewise-record" in cell.outputs[-1].data["text/html"], cell.source


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_exported_notebook_is_read_in_either_theme(notebook, theme, tmp_path):
    if browser.found() is None:
        pytest.skip("there is no browser")
    exporter = nbconvert.HTMLExporter(theme=theme)
    (tmp_path / "page.html").write_text(exporter.from_notebook_node(notebook)[0], encoding="utf-8")
    with browser.page() as page:
        page.call("Network.setBlockedURLs", urls=["http*"])
        page.look(scheme=theme)
        page.open((tmp_path / "page.html").as_uri())
        shown = "document.querySelectorAll('.gatewise-record')"
        assert page.evaluate(f"{shown}.length") == len(CODE)
        assert page.evaluate(f"[...{shown}].every(one => one.offsetHeight > 20)")
        assert page.evaluate(f"[...{shown}].every(one => !one.querySelector('script, mjx-container'))")
        pictures = "[...document.querySelectorAll('.gatewise-record .picture svg')]"
        assert page.evaluate(f"{pictures}.map(one => one.getBoundingClientRect().height > 100)") == [True] * 3
        assert min(page.evaluate(CONTRAST)) >= 4.5
