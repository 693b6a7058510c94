"""A page in a frame tells the page around it its height, and nothing else; the frame then needs no scroll bar."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from urllib.request import url2pathname

import pytest
from peers.reader import Reader

import gatewise as gw

pytestmark = pytest.mark.peers
NAMED = "lesson-1"
PARENT = """<!doctype html><html lang="en"><title>A course</title><p id="status"></p><main>
<iframe id="lesson-1" title="lesson" width="WIDTH" height="150" srcdoc="PAGE"></iframe></main>
<script>
const frame = document.querySelector("iframe");
window.told = [];
addEventListener("message", ({data, source}) => {
  if (source !== frame.contentWindow) return;
  told.push(data);
  READ
});
</script>"""
LTI = """if (data.subject === "lti.frameResize") frame.height = data.height;"""
OLD_LTI = """try {
    const read = JSON.parse(data);
    if (read.subject === "lti.frameResize") frame.height = read.height;
  } catch {}"""
RESIZER = """if (typeof data !== "string" || !data.startsWith("[iFrameSizer]")) return;
  const [id, height] = data.slice("[iFrameSizer]".length).split(":");
  const named = id && document.getElementById(id);
  if (named) named.style.height = `${parseInt(height, 10)}px`;"""
COUNTS = "window.told = 0; addEventListener('message', () => { told += 1; });"
GREETING = f"frame.contentWindow.postMessage('[iFrameSizer]{NAMED}:8:false:false:32:true:true:null:bodyOffset', '*')"
BARS = "(({scrollHeight, clientHeight}) => scrollHeight - clientHeight)(frame.contentDocument.documentElement)"
INSIDE = "frame.contentDocument"


def embed(reader: Reader, address: str, folder: Path, read: str, width: int = 700) -> None:
    page = Path(url2pathname(address.removeprefix("file://"))).read_text(encoding="utf-8")
    course = folder / "course.html"
    text = PARENT.replace("WIDTH", str(width)).replace("READ", read).replace("PAGE", escape(page))
    course.write_text(text, encoding="utf-8")
    reader.tab.look(width=width + 50, still=True)
    reader.tab.open(course.as_uri())
    reader.tab.wait_until(f"{INSIDE}?.querySelector('#strip:not([hidden])') != null")


def settled(reader: Reader) -> int:
    """Return how much is told once nothing more is."""
    count = -1
    while (now := reader.ask("told.length")) != count:
        count = now
        reader.ask("new Promise(done => setTimeout(done, 500))")
    return count


@pytest.mark.parametrize("name", ["teaching", "own"])
@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize("read", [LTI, OLD_LTI, RESIZER], ids=["lti", "lti as text", "iframe-resizer"])
def test_a_frame_follows_the_height_of_its_page(reader, pages, tmp_path, read, width, name):
    embed(reader, pages(name), tmp_path, read, width)
    if read == RESIZER:
        reader.ask(GREETING)
    assert settled(reader) <= 12
    assert reader.ask(BARS) == 0
    before = reader.ask("frame.clientHeight")
    assert before > 400
    reader.ask(f"{INSIDE}.querySelector('#strip [role=gridcell]').click()")
    settled(reader)
    assert reader.ask("frame.clientHeight") > before + 100
    assert reader.ask(BARS) == 0
    reader.ask(f"{INSIDE}.querySelector('[aria-keyshortcuts=Escape]').click()")
    settled(reader)
    assert abs(reader.ask("frame.clientHeight") - before) < 100


def test_a_frame_follows_the_height_of_every_scene(reader, pages, tmp_path):
    embed(reader, pages("teaching"), tmp_path, LTI, 900)
    heights = []
    for n in range(reader.ask(f"{INSIDE}.querySelectorAll('.scenes button').length")):
        reader.ask(f"{INSIDE}.querySelectorAll('.scenes button')[{n}].click()")
        settled(reader)
        assert reader.ask(BARS) == 0
        heights.append(reader.ask("frame.clientHeight"))
    assert len({*heights}) == len(heights) > 1


def test_nothing_but_the_height_is_told_and_only_in_a_frame(reader, pages, tmp_path):
    embed(reader, pages("teaching"), tmp_path, LTI)
    reader.ask(GREETING)
    settled(reader)
    assert reader.ask(f"{INSIDE}.documentElement.className") == "embedded"
    for message in reader.ask("told"):
        if isinstance(message, str) and message.startswith("[iFrameSizer]"):
            name, height, width, kind = message.removeprefix("[iFrameSizer]").split(":")
            assert name in ("", NAMED)
            assert height.isdigit()
            assert width.isdigit()
            assert kind in ("init", "size")
        else:
            told = json.loads(message) if isinstance(message, str) else message
            assert set(told) == {"subject", "height"}
            assert isinstance(told["height"], int)
    reader.open(pages("teaching"))
    assert reader.ask("document.documentElement.className") == ""
    assert reader.has("#foot", "This page sends no data.")


def test_a_notebook_whose_frame_has_one_height_is_told_nothing(reader, pages, tmp_path):
    frame = gw.page()._repr_html_()
    course = tmp_path / "notebook.html"
    course.write_text(
        f"<!doctype html><title>A notebook</title><p id=status></p>{frame}<script>{COUNTS}</script>", "utf-8"
    )
    reader.tab.look(width=1300, still=True)
    reader.tab.open(course.as_uri())
    reader.ask("new Promise(done => setTimeout(done, 1500))")
    assert reader.ask("told") == 0


def test_what_others_send_changes_nothing(reader, pages, tmp_path):
    embed(reader, pages("teaching"), tmp_path, LTI)
    count = settled(reader)
    for message in ("1", "null", "{}", "'[iFrameSizer'", "{data: 1}", "['[iFrameSizer]x']"):
        reader.ask(f"frame.contentWindow.postMessage({message}, '*')")
    assert settled(reader) == count
