"""Marked sheets as text: what is wrong first, whether the rest follows, and the verdict on every quantity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gatewise.views.checking.marking import BLANK, CLOSE, COARSE, FOLLOWS, RIGHT, WRONG, Marking, Verdict
from gatewise.views.walkthrough.numbers import number

WIDTH = 80


def text(marking: Marking) -> str:
    """Return a marked sheet as plain text."""
    return "\n".join([*summary(marking), "", *table(marking)])


def summary(marking: Marking) -> Iterator[str]:
    """Say what a person needs to know first."""
    first = marking.first
    if first is None:
        yield from _fill(_all_right(marking))
        return
    if first.written is None:
        yield from _fill(f"The first wrong quantity is {first.name}, by {first.entry}.")
    else:
        told = f"{number(first.written)} was written where {number(first.right)} is right."
        yield from _fill(f"The first wrong quantity is {first.name}: at {first.entry or 'its only entry'}, {told}")
        if first.expected is not None:
            yield from _fill(f"From the numbers written before it, {number(first.expected)} would follow.")
    if first.causes:
        yield from _fill(f"Its likely cause: {' or '.join(first.causes)}. Made again, this gives what was written.")
    else:
        yield from _fill("No known mistake gives what was written.")
    after = marking.verdicts[marking.verdicts.index(first) + 1 :]
    yield from _fill(_rest([one for one in after if one.status != BLANK]))


def _all_right(marking: Marking) -> str:
    right, close, coarse, blank = (marking.count(status) for status in (RIGHT, CLOSE, COARSE, BLANK))
    if not right + close + coarse:
        return "Nothing is written yet."
    told = f"All {right} quantities that are written are right." if right > 1 else "What is written is right."
    if close or coarse:
        told = f"Nothing is wrong: {_counted(right, 'quantity is', 'quantities are')} right."
    if close:
        told += f" {_counted(close, 'is', 'are')} off in the last digit, as by rounding on the way."
    if coarse:
        told += f" {_counted(coarse, 'is', 'are')} written with too few digits to tell."
    if blank:
        told += f" {_counted(blank, 'is', 'are')} still blank."
    return told


def _rest(after: Sequence[Verdict]) -> str:
    """Say what became of all that is written after the first wrong quantity."""
    wrong = [one.name for one in after if one.status == WRONG]
    follows = sum(one.status == FOLLOWS for one in after)
    right = sum(one.status in (RIGHT, CLOSE) for one in after)
    if not after:
        return "Nothing that is written comes after it."
    parts = []
    if follows:
        parts.append(
            "the rest follows correctly from it" if follows == len(after) else f"{follows} of {len(after)} follow"
        )
    if right:
        parts.append(f"{_counted(right, 'is', 'are')} right")
    if wrong:
        shown = wrong if len(wrong) <= 6 else [*wrong[:5], "…", wrong[-1]]
        parts.append(
            f"{', '.join(shown)} {'is' if len(wrong) == 1 else 'are'} wrong by a mistake of {'its' if len(wrong) == 1 else 'their'} own"
        )
    if not parts:
        return "What comes after it has too few digits to tell."
    told = ", ".join(parts)
    return f"{told[0].upper()}{told[1:]}." if follows == len(after) else f"Of what is written after it, {told}."


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def table(marking: Marking) -> Iterator[str]:
    """Give the verdict on every quantity, a line each."""
    width = max((len(one.name) for one in marking.verdicts), default=0)
    for one in marking.verdicts:
        line = f"{one.name:<{width}}  {one.status}"
        if one.status == WRONG:
            if one.written is not None:
                line += f"  {one.entry}: " if one.entry else "  "
                line += f"{number(one.written)} for {number(one.right)}"
            if one.causes:
                line += f" ({' or '.join(one.causes)})"
        yield from _fill(line, 3, 3 + width + 2)


def _fill(text: str, indent: int = 0, hanging: int = 0) -> Iterator[str]:
    """Break text into lines of at most `WIDTH` columns; runs of spaces that align columns stay."""
    line = " " * indent + text
    while len(line) > WIDTH:
        cut = line.rfind(" ", hanging + 1, WIDTH + 1)
        if cut <= hanging:
            break
        yield line[:cut].rstrip()
        line = " " * hanging + line[cut:].lstrip()
    yield line.rstrip()
