"""The page in Firefox, where Debian's is here: it opens, plays, and looks like something."""

from __future__ import annotations

import pytest
from peers import firefox

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(firefox.found() is None, reason=f"none of {', '.join(firefox.NAMES)} is here"),
]
ARROW_RIGHT, ENTER = "\ue014", "\ue007"


def test_the_page_opens_and_answers_keys_in_firefox(pages):
    with firefox.window() as window:
        window.call("WebDriver:Navigate", url="about:blank")
        blank = window.picture()
        window.call("WebDriver:Navigate", url=pages("teaching") + "#v1&step=2")
        window.wait_until("!document.getElementById('strip').hidden")
        assert window.evaluate("document.getElementById('status').textContent") == ""
        assert len(window.picture()) > 2 * len(blank)
        window.press(ARROW_RIGHT)
        window.wait_until("document.querySelector('.player').textContent.includes('step 3 of')")
        window.press(ENTER)
        window.wait_until("document.querySelector('#step [data-ref=\"0|0|c|3|0\"]')?.textContent.includes('0.9852')")
        window.press(ENTER)
        window.wait_until("document.querySelectorAll('#number math').length > 1")
        assert window.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert window.evaluate("document.getElementById('status').textContent") == ""
        assert window.evaluate("performance.getEntriesByType('resource').length") == 0
