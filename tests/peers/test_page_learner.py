"""A cell that learns, in a browser: what the address says is what is seen, and training stops when it should."""

from __future__ import annotations

import re

import pytest
import training
from peers.reader import Reader, literal, prose, shown
from training import STEPS, Settings

from gatewise.playground import lesson

pytestmark = pytest.mark.peers
SCENE = "#v1&scene=learner"
BIAS = f"{SCENE}&level=number&name=b_f"
ROWS = """[...document.querySelectorAll('.training tr')].slice(1).map(
    row => [...row.querySelectorAll('td')].map(cell => Number(cell.textContent.replace('−', '-'))))"""
HIDE = "Object.defineProperty(document, 'hidden', {value: true}), document.dispatchEvent(new Event('visibilitychange'))"
FRAMES = """(own => { window.frames_seen = 0;
    window.requestAnimationFrame = then => own(time => { window.frames_seen++; then(time); });
})(window.requestAnimationFrame)"""
PAUSE = "new Promise(done => setTimeout(done, 300))"
SLIDER = "document.querySelector('.training .controls input')"


def at(reader: Reader) -> int:
    """Return the number of updates that the page shows."""
    return int(re.search(r"\d+", reader.says(".training .soft"))[0])


def to(reader: Reader, update: int) -> None:
    """Move the slider to an update."""
    reader.ask(f"{SLIDER}.value = {update}, {SLIDER}.dispatchEvent(new Event('input', {{bubbles: true}}))")
    reader.tab.wait_until(f"document.querySelector('.training .soft').textContent.includes('update {update},')")


def show_settings(reader: Reader) -> None:
    """Unfold the settings."""
    reader.ask("document.querySelector('.settings').closest('details').open = true")


def field(reader: Reader, label: str, value: str) -> None:
    """Type into the field with a label, among the settings."""
    show_settings(reader)
    reader.click(".training label", label)
    reader.type(value)
    reader.keys("Enter")


def test_an_address_shows_pythons_numbers(reader, pages):
    settings, model = Settings(optimiser="descent", rate=0.5, clip=0.3, seed=7), training.network()
    before, *_, after = [*training.updates(model, settings, training.start(model, settings), 40)]
    reader.open(pages("teaching") + f"{BIAS}&optimiser=descent&rate=0.5&clip=0.3&seed=7&update=40&unit=2")
    reader.sees(".training .soft", "update 40,")
    piece = training.pieces(model)[3]
    assert shown(after.after.weights[piece][2], 8) in reader.says("#number h2")
    loss = training.gradient(
        training.with_weights(model, after.after.weights), *training.sequence(settings, STEPS, -1)
    )[0]
    assert shown(loss) in reader.says(".training .soft")
    to(reader, 0)
    assert shown(before.before.weights[piece][2], 8) in reader.says("#number h2")
    assert "&update" not in reader.hash()


def test_training_goes_on_until_it_is_stopped_and_back_again(reader, pages):
    reader.open(pages("teaching") + SCENE)
    assert at(reader) == 0
    assert reader.hash() == f"{SCENE}&step=0&show=f"
    reader.click(".training button", "One update")
    reader.sees(".training .soft", "update 1,")
    seen = reader.says(".training .soft")
    reader.click(".training button", "Train")
    reader.tab.wait_until("/[0-9]{2,}/.test(document.querySelector('.training .soft').textContent)")
    reader.click(".training button", "Stop")
    update = at(reader)
    assert update >= 10
    there = reader.says(".training .soft")
    assert reader.hash().endswith(f"update={update}")
    to(reader, 1)
    assert reader.says(".training .soft") == seen
    to(reader, update)
    assert reader.says(".training .soft") == there
    reader.open(pages("teaching") + reader.hash())
    reader.sees(".training .soft", f"update {update},")
    assert reader.says(".training .soft") == there


def test_quick_clicks_and_a_rewind_while_it_trains(reader, pages):
    reader.open(pages("teaching") + SCENE)
    reader.ask("for (let n = 0; n < 7; n++) document.querySelector('.training .primary').click()")
    reader.tab.wait_until("/[0-9]{2,}/.test(document.querySelector('.training .soft').textContent)")
    to(reader, 3)
    assert reader.has(".training button", "Train")
    reader.ask("for (let n = 0; n < 5; n++) document.querySelectorAll('.training button')[1].click()")
    reader.sees(".training .soft", "update 4,")
    assert reader.hash().endswith("update=4")


@pytest.mark.parametrize("leave", [HIDE, "document.querySelector('.scenes button').click()"])
def test_training_stops_when_nobody_looks(reader, pages, leave):
    reader.open(pages("teaching") + SCENE, still=False)
    reader.click(".training button", "Train")
    reader.tab.wait_until("/[0-9]{2,}/.test(document.querySelector('.training .soft').textContent)")
    reader.ask(FRAMES)
    reader.tab.wait_until("window.frames_seen > 3")
    reader.ask(leave)
    reader.ask(PAUSE)
    frames, address = reader.ask("window.frames_seen"), reader.hash()
    shows = reader.says(".training .soft") if leave == HIDE else ""
    reader.ask(PAUSE)
    assert reader.ask("window.frames_seen") == frames
    assert reader.hash() == address
    assert not reader.has(".training button", "Stop")
    if leave == HIDE:
        assert reader.says(".training .soft") == shows
        assert address.endswith(f"update={at(reader)}")


def test_an_update_opens_and_its_gradient_is_the_pages_own(reader, pages):
    reader.open(pages("teaching") + f"{SCENE}&task=echo&delay=4&sequence=next&update=6&backward=1&clip=0.05")
    reader.sees(".training .soft", "update 6,")
    reader.click(".training summary")
    reader.sees(".training td")
    rows = reader.ask(ROWS)
    assert len(rows) == 12
    table = "document.querySelector('.training table')"
    assert reader.ask(f"{table}.scrollWidth - {table}.clientWidth") == 0
    reader.keys("Escape")
    reader.tab.wait_until("!document.querySelector('.training details').open")
    reader.click(".training summary")
    reader.sees(".training td")
    assert "Adam averages" in reader.says(".training details p")
    assert "Gradient descent" not in reader.says(".training details p")
    for weight, _, step, after in rows:
        assert after == pytest.approx(weight + step, abs=2e-6)
    assert [abs(step) for _, _, step, _ in rows] == sorted([abs(step) for _, _, step, _ in rows], reverse=True)
    for row in range(3):
        reader.click(".training tr th button", nth=row)
        reader.click("#number button", "how the loss depends on it")
        heading = reader.says("#number h2")
        assert float(heading.split(": ")[-1]) == pytest.approx(rows[row][1], abs=1e-6)
        reader.keys("Escape")


def test_a_rate_that_is_too_large_ends_in_a_sentence(reader, pages):
    reader.open(pages("teaching") + f"{SCENE}&optimiser=descent&seed=2")  # where no gate is left half open by chance
    field(reader, "Learning rate", "1e6")
    reader.click(".training button", "Train")
    reader.sees("#status", "the next numbers would be too large. Try a smaller learning rate")
    assert reader.has(".training button", "Train")
    assert 0 < at(reader) < 100
    assert "mean squared error is too large for a number for" in reader.says(".training .soft")
    reader.expects = reader.says("#status")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            "update=1000000000",
            "“Update” can't be “1000000000”. It must be a whole number from 0 to 5,000. It stays 0.",
        ),
        ("update=3.5", "“Update” can't be “3.5”. It must be a whole number from 0 to 5,000. It stays 0."),
        (
            "seed=abc",
            "“Seed for weights and sequences” can't be “abc”. It must be a whole number from 0 to 999,999. It stays 1.",
        ),
        (
            "task=echo&delay=3.7",
            "“Steps until the echo” can't be “3.7”. It must be a whole number from 1 to 30. It stays 10.",
        ),
        ("rate=0", "“Learning rate” can't be “0”. It must be a number from 0.000001 to 1,000,000. It stays 0.02."),
        ("clip=-1", "“Clip the gradient at” can't be “-1”. It must be a number from 0 to 1,000,000. It stays 0."),
        ("task=none", "“Task” can't be “none”. It must be one of latch, echo. It stays latch."),
        (
            "bias=0.3",
            "“Initial bias of the forget gate” can't be “0.3”. It must be a multiple of 0.5 "
            "from \u22124 to 6. It stays 1.",
        ),
        (
            "bias=",
            "“Initial bias of the forget gate” can't be “?”. It must be a multiple of 0.5 "
            "from \u22124 to 6. It stays 1.",
        ),
    ],
)
def test_what_a_setting_cannot_be_is_refused_in_a_sentence(reader, pages, wrong, sentence):
    reader.open(pages("teaching") + f"{SCENE}&{wrong}")
    reader.sees("#status", sentence)
    assert at(reader) == 0
    reader.expects = sentence
    assert wrong.split("&")[-1] not in reader.hash()


def test_what_is_typed_as_a_seed_must_be_one(reader, pages):
    reader.open(pages("teaching") + f"{SCENE}&update=5")
    reader.sees(".training .soft", "update 5,")
    field(reader, "Seed", "-3")
    refused = "can't be “-3”. It must be a whole number from 0 to 999,999. It stays 1."
    reader.sees("#status", f"“Seed for weights and sequences” {refused}")
    assert at(reader) == 5
    field(reader, "Seed", "12")
    reader.sees(".training .soft", "update 0,")
    assert reader.says("#status") == ""
    assert reader.hash().endswith("seed=12")


def test_the_delay_is_offered_where_the_task_has_one(reader, pages):
    reader.open(pages("teaching") + SCENE)
    show_settings(reader)
    assert not reader.has(".training label", "Steps until the echo")
    for task in ("echo", "latch", "echo"):
        reader.ask(f"location.hash = '{SCENE}&task={task}'")
        reader.tab.wait_until(f"document.querySelector('.training select').value === {task!r}")
        assert reader.has(".training label", "Steps until the echo") == (task == "echo")


def test_a_page_of_another_scene_has_no_such_loss(reader, pages):
    reader.open(pages("teaching") + "#v1&step=3&show=dc&backward=1&loss=error,0,0,0,6")
    reader.expects = "The address points to something this model doesn't have, so the page opens as new."


@pytest.mark.parametrize("number", range(11, 14))
def test_a_chapter_on_training_judges_its_number_and_each_expected_mistake(reader, pages, number):
    chapter = lesson.chapters()[number]
    reader.open(pages("teaching") + f"{SCENE}&chapter=11")
    reader.click("#margin nav button", f"Chapter {number + 1}:")
    reader.sees("#margin h2", chapter["title"])
    update = chapter["focus"]["own"].get("update", "0")
    reader.sees(".training .soft", f"update {update},")
    reader.click(".training summary")
    reader.sees(".training td", "?")
    assert reader.says("#margin .answer label") == "your number, to three decimals"
    for mistake in (*chapter["mistakes"], {"value": "x", "says": "is not a number"}):
        reader.click("#margin .answer input")
        reader.type(f"{mistake['value']:f}" if mistake["value"] != "x" else "x")
        reader.keys("Enter")
        reader.sees("#margin .verdict", literal(mistake["says"]))
    reader.click("#margin .answer input")
    reader.type(shown(chapter["right"]))
    reader.keys("Enter")
    reader.sees("#margin .verdict", f"Right: {shown(chapter['right'])}.")
    assert reader.has("#margin .verdict", chapter["after"])
    assert not reader.has(".training td", "?")
    assert f"update={update}" in reader.hash() or update == "0"


@pytest.mark.parametrize(("number", "address"), [(11, ""), *((n, f"{SCENE}&chapter={n}") for n in range(11, 14))])
def test_a_first_view_tells_only_what_is_there(reader, pages, number, address):
    chapter = lesson.chapters()[number]
    reader.open(pages("teaching") + address)
    if not address:
        reader.click(".scenes button", "a cell that learns")
    reader.sees("#margin h2", chapter["title"])
    reader.sees(".training .soft", f"update {chapter['focus']['own'].get('update', '0')},")
    assert reader.has("#margin p", literal(chapter["question"]))
    assert reader.has("#margin p", prose(chapter["text"][0]))
    assert reader.has("#margin .answer input")
    assert not reader.has("#margin button", "Begin the chapter")
    assert reader.has("#margin button", "Ask again")


def test_training_on_ends_the_question_of_a_chapter(reader, pages):
    chapter = lesson.chapters()[11]
    reader.open(pages("teaching") + f"{SCENE}&chapter=11")
    reader.sees(".training .soft", "update 30,")
    reader.click(".training summary")
    reader.sees(".training td", "?")
    reader.click(".training button", "One update")
    reader.sees(".training .soft", "update 31,")
    assert not reader.has(".training td", "?")
    assert reader.has("#margin p", "This chapter uses different training settings or a different update.")
    assert reader.has("#margin p", "0.8413")  # which that sentence is about
    assert not reader.has("#margin .question")
    assert not reader.has("#margin .answer input")
    begun = reader.hash()
    assert "&chapter=11&begun=1&" in begun
    for address, has_begun in ((begun, True), (begun.replace("&begun=1", ""), False)):
        reader.open(pages("teaching") + address)
        reader.sees(".training .soft", "update 31,")
        assert reader.has("#margin p", "0.8413") == has_begun
        assert not reader.has("#margin .question")
    reader.click("#margin .primary", "Begin the chapter")
    reader.sees("#margin p", "0.8413")
    reader.sees(".training .soft", "update 30,")
    reader.click("#margin .controls button", "Show it")
    reader.sees("#margin .verdict", f"It is {shown(chapter['right'])}.")


def test_the_delay_of_an_echo_is_offered_for_an_echo(reader, pages):
    reader.open(pages("teaching") + SCENE)
    show_settings(reader)
    assert not reader.has(".training label", "Steps until the echo")
    reader.ask("""document.querySelector('.training select').value = 'echo',
        document.querySelector('.training select').dispatchEvent(new Event('change'))""")
    reader.sees(".training label", "Steps until the echo")
    reader.open(pages("teaching") + f"{SCENE}&optimiser=descent&clip=0.1")
    reader.click(".training summary")
    reader.sees(".training details p", "Gradient descent subtracts")
    assert "Adam" not in reader.says(".training details p")


def test_doing_what_a_chapter_says_keeps_what_it_says(reader, pages):
    chapter = lesson.chapters()[13]
    reader.open(pages("teaching") + f"{SCENE}&chapter=13")
    reader.sees(".training .soft", "update 100,")
    reader.click("#margin .answer input")
    reader.type(shown(chapter["right"]))
    reader.keys("Enter")
    reader.sees("#margin .verdict", chapter["after"])
    field(reader, "Learning rate", "3.0")  # is 3
    assert not reader.has("#margin p", "This chapter uses different training settings")
    field(reader, "Clip the gradient at", "0")
    reader.sees("#margin p", "This chapter uses different training settings")
    reader.click(".training button", "Train")
    reader.sees("#status", "Training stops at update ")
    reader.expects = reader.says("#status")
    assert reader.has("#margin p", "train: the numbers overflow")
    assert reader.has("#margin .verdict", chapter["after"])


def test_a_change_that_is_seen_and_not_trained_is_said(reader, pages):
    changed = "The page shows your changes. Training continues without them."
    reader.open(pages("teaching") + f"{SCENE}&update=5")
    reader.sees(".training .soft", "update 5,")
    assert not reader.has(".training .soft", changed)
    reader.open(pages("teaching") + f"{SCENE}&update=5&edits=0,0,b_f,,0,9")
    reader.sees(".training .soft", changed)
    reader.click(".training button", "One update")
    reader.sees(".training .soft", "update 6,")
    assert reader.has(".training .soft", changed)


def test_what_training_does_is_spoken_once_it_stops(reader, pages):
    reader.open(pages("teaching") + SCENE)
    assert not reader.ask("document.querySelector('.training output, .training [aria-live]') !== null")
    reader.click(".training button", "Train")
    reader.tab.wait_until("/[0-9]{2,}/.test(document.querySelector('.training .soft').textContent)")
    reader.click(".training button", "Stop")
    spoken = "document.getElementById('live').textContent"
    reader.tab.wait_until(f"{spoken} === document.querySelector('.training .soft').textContent")


def test_the_last_update_says_that_it_is_the_last(reader, pages):
    reader.open(pages("teaching") + f"{SCENE}&update=4995")
    for update in (1000, 2000, 3000, 4000, 4995):
        reader.tab.wait_until(f"/[0-9]+/.exec(document.querySelector('.training .soft').textContent)[0] >= {update}")
    reader.click(".training button", "Train")
    reader.sees("#status", "Training stops at update 5000, this page's limit.")
    reader.expects = reader.says("#status")


def test_what_a_chapter_on_training_asks_for_is_shown(reader, pages):
    reader.open(pages("teaching") + f"{SCENE}&chapter=11")
    reader.click("#margin nav button", "Chapter 12:")
    reader.sees(".training .soft", "update 30,")
    reader.click("#margin .controls button", "Show it")
    reader.sees("#margin .verdict", "It is 0.7862.")
