"""The page draws what has changed, once, and the bench that times it sees what it does."""

from __future__ import annotations

import pytest

from bench import page_reader, page_speed

pytestmark = pytest.mark.peers

WATCHED = """(() => {
    window.drawn = {};
    new MutationObserver(changes => changes.forEach(({target}) => {
        const what = target.className || target.id;
        window.drawn[what] = (window.drawn[what] ?? 0) + 1;
    })).observe(document.body, {subtree: true, childList: true, attributes: true});
})()"""
DRAWN = """(async () => {
    await new Promise(done => setTimeout(done, 400));
    return window.drawn;
})()"""


def test_a_page_at_rest_draws_nothing_and_a_step_opens_with_one_drawing(reader, pages):
    reader.open(pages("teaching") + "#v1&step=3&level=number&name=f")
    reader.hash()  # it waits until the page is at rest
    reader.ask(WATCHED)
    assert reader.ask(DRAWN) == {}
    reader.keys("ArrowRight")
    drawn = reader.ask(DRAWN)
    assert drawn["number-view"] == drawn["step-view"] == 1


def test_the_bench_times_an_edit_and_all_that_follows(one_browser, tmp_path):
    page_speed.page_of(60, 20, 2).save(tmp_path / "page.html")
    found: dict[str, list[float]] = {name: [] for name in page_speed.GOALS}
    with one_browser.another():
        one_browser.call("Page.addScriptToEvaluateOnNewDocument", source=page_speed.WATCH)
        place = "v1&step=59&show=f&level=number&name=f"
        page_speed.one_round(one_browser, (tmp_path / "page.html").as_uri(), place, found)
        assert "0.75" in one_browser.evaluate("document.getElementById('changes').innerText")
    assert [len(times) for times in found.values()] == [1, 2, 2]
    assert all(0 < one < 30 for times in found.values() for one in times)


def test_the_bench_times_a_key_until_its_letter_has_its_colour(one_browser, pages):
    with one_browser.another():
        times = page_reader.timed(one_browser, pages("teaching"), 20)
        letters = one_browser.evaluate("document.querySelector('.letters').textContent")
    assert letters == page_reader.TEXT[:20] + page_reader.TYPED
    assert len(times) == len(page_reader.TYPED)
    assert all(0 < seconds < 30 for seconds in times)
