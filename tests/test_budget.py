"""What a file may cost: counted by its size, each copy anew, and said in one sentence however much is asked for."""

from __future__ import annotations

import re
from pathlib import Path

import cases
import pytest

import gatewise as gw
from gatewise.files.budget import BYTES, ELEMENTS, WORK, Budget

KINDS = {
    "bytes": (BYTES, lambda budget, count: budget.hold(count, 1, "a tensor")),
    "elements": (ELEMENTS, lambda budget, count: budget.count(count, "members")),
    "steps": (WORK, lambda budget, count: budget.work(count, "its chain")),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_taken_adds_up_and_what_is_refused_takes_nothing(kind):
    limit, take = KINDS[kind]
    budget, most = Budget(10), limit.floor
    take(budget, most - 5)
    with cases.refusal("10 B"):
        take(budget, 6)
    take(budget, 5)
    with pytest.raises(gw.FileError):
        take(budget, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_after_the_inspection_each_read_is_held_to_the_limits_by_itself(kind):
    limit, take = KINDS[kind]
    budget = Budget(10)
    take(budget, limit.floor)
    budget.end()
    for _ in range(3):
        take(budget, limit.floor)
    with pytest.raises(gw.FileError):
        take(budget, limit.floor + 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [2**64, 2**1023, 2**1984, 10**5000], ids=("2^64", "2^1023", "2^1984", "10^5000"))
def test_no_count_is_too_large_to_be_refused_in_one_sentence(kind, count):
    with cases.refusal():
        KINDS[kind][1](Budget(10), count)


def test_a_json_text_is_taken_off_before_it_is_parsed():
    assert Budget(100).parse('{"a": [1, 2, {}], "b": "c"}', "its header") == 6
    with pytest.raises(gw.FileError, match="too many objects, lists and texts"):
        Budget(100).parse("[" * 1_000_001, "its header")
    with pytest.raises(gw.FileError, match="its header would bring what it takes to"):
        Budget(100).parse("{" * 900_000, "its header")


def test_the_limits_are_those_that_are_promised():
    page = Path(__file__).parents[1].joinpath("docs", "security.md").read_text(encoding="utf-8")
    rows = [row.split("|")[2:5] for row in page.splitlines() if re.match(r"\| (bytes|elements|steps) of ", row)]
    told = [[cell.strip().replace(",", "") for cell in row] for row in rows]
    assert told == [
        [f"{BYTES.each}", f"{BYTES.floor >> 20} MiB", "what the machine has left"],
        [f"{ELEMENTS.each}", f"{ELEMENTS.floor}", f"{ELEMENTS.ceiling}"],
        [f"{WORK.each}", f"{WORK.floor}", f"{WORK.ceiling}"],
    ]


def test_the_tests_that_are_promised_are_there():
    root = Path(__file__).parents[1]
    page = root.joinpath("docs", "security.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/\w+\.py)`", page)
    assert named
    assert [one for one in named if not root.joinpath(one).is_file()] == []
