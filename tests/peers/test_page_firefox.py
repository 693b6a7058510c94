"""The page in Firefox: it opens, plays and changes, its numbers are right, and nothing is reported."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from peers import firefox
from peers.page_files import LAST, LENGTH, edited, numbers
from peers.reader import hyphenated

from tests.test_report import rain

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(firefox.found() is None, reason=f"none of {', '.join(firefox.NAMES)} is here"),
]
ARROW_RIGHT, ENTER = "\ue014", "\ue007"
SHOWN = """[...document.querySelectorAll('#step [data-ref] .value')].map(one => [
    one.closest('[data-ref]').dataset.ref, one.textContent])"""


@pytest.fixture(scope="module")
def firefox_window() -> Iterator[firefox.Window]:
    with firefox.window() as one:
        yield one


@pytest.fixture
def window(firefox_window: firefox.Window) -> Iterator[firefox.Window]:
    """A window in which in the end nothing was reported, and nothing was asked of a network."""
    yield firefox_window
    assert firefox_window.evaluate("document.getElementById('status').textContent") == ""
    assert firefox_window.evaluate("performance.getEntriesByType('resource').length") == 0
    assert firefox_window.reported() == []


def open_page(window: firefox.Window, address: str) -> None:
    """Open an address anew, and wait until the whole run is there."""
    window.call("WebDriver:Navigate", url="about:blank")
    window.call("WebDriver:Navigate", url=address)
    window.wait_until("!document.getElementById('strip').hidden && document.querySelector('[role=gridcell]')")


def test_the_page_opens_and_answers_keys(window, pages):
    window.call("WebDriver:Navigate", url="about:blank")
    blank = window.picture()
    open_page(window, pages("teaching") + "#v1&step=2")
    assert len(window.picture()) > 2 * len(blank)
    window.press(ARROW_RIGHT)
    window.wait_until("document.querySelector('.player').textContent.includes('step 3 of')")
    window.press(ENTER)
    window.wait_until("document.querySelector('#step [data-ref=\"0|0|c|3|0\"]')?.textContent.includes('0.9852')")
    window.press(ENTER)
    window.wait_until("document.querySelectorAll('#number math').length > 1")
    assert window.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("edits", [(), (("x", 3, (1,), 0.5), ("b_f", None, (0,), 4.0))])
def test_every_number_of_every_step_is_what_python_computes(window, pages, backward, edits):
    written = ";".join(f"0,0,{name},{'' if step is None else step},{at[0]},{value}" for name, step, at, value in edits)
    wanted, compared = numbers(edited(edits)), set()
    for step in range(LAST + 1):
        open_page(window, f"{pages('teaching')}#v1&step={step}&level=step&backward={int(backward)}&edits={written}")
        for ref, text in hyphenated(window.evaluate(SHOWN)):
            _, _, name, at_step, at = ref.split("|")
            values = wanted[name] if not at_step else wanted[name][int(at_step)]
            value = values[tuple(map(int, at.split(".")))] if at else values
            assert float(text) == pytest.approx(value, rel=6e-3, abs=5e-5), (ref, text)
            compared.add(name)
    assert len(compared) > 8


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_model_of_ones_own_has_the_states_of_its_run(window, pages, layer, direction):
    network, x, labels = rain()
    cell = network.trace(x[:, None], lengths=[LENGTH]).lstm[layer, direction]
    place = f"layer={layer}&direction={int(direction == 'backward')}"
    for name, values in (("f", cell.forget_gate), ("c", cell.cell_state), ("h", cell.hidden_state)):
        open_page(window, f"{pages('own')}#v1&{place}&show={name}")
        units = window.evaluate("[...document.querySelectorAll('[role=rowheader]')].map(one => one.textContent)")
        texts = hyphenated(
            window.evaluate("[...document.querySelectorAll('[role=gridcell]')].map(one => one.textContent)")
        )
        for row, unit in enumerate(units):
            found = texts[row * len(x) :]
            at = int(unit.removeprefix("unit "))
            assert [float(text) for text in found[:LENGTH]] == pytest.approx(values[:LENGTH, 0, at], abs=5e-5)
    assert window.evaluate("document.querySelector('.times').textContent").count(str(labels.times[0])) == 1


def test_what_goes_wrong_is_reported(firefox_window, tmp_path):
    page = tmp_path / "wrong.html"
    policy = "<meta http-equiv='Content-Security-Policy' content='img-src none'>"  # none is no host
    wrongs = {"<script>throw Error('is thrown')</script>": "is thrown", policy: "Content-Security-Policy"}
    for wrong, sign in wrongs.items():
        page.write_text(f"<!doctype html>{wrong}", encoding="utf-8")
        firefox_window.call("WebDriver:Navigate", url=page.as_uri())
        (told,) = firefox_window.reported()
        assert sign in told
    assert firefox_window.reported() == []
