"""Marked sheets as text: what is wrong first, whether the rest follows, and the verdict on every quantity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gatewise.grading.marking import BLANK, CLOSE, COARSE, FOLLOWS, RIGHT, WRONG, Marking, Verdict
from gatewise.walkthrough.numbers import number

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
    if first.written is None or first.right is None:
        yield from _fill(f"The first wrong quantity is {first.name}: {first.entry}.")
    else:
        written, right = told(first.written, first.right)
        where = f" (at {first.entry})" if first.entry else ""
        yield from _fill(
            f"The first wrong quantity is {first.name}{where}: {written} was written where {right} is right."
        )
    yield from _fill(why(first))
    after = marking.verdicts[marking.verdicts.index(first) + 1 :]
    yield from _fill(_rest([one for one in after if one.status != BLANK]))


def why(verdict: Verdict) -> str:
    """Say what may have caused a wrong quantity."""
    if verdict.causes:
        return f"Its likely cause: {' or '.join(map(str, verdict.causes))}. Making that mistake gives what was written."
    if verdict.digits is not None:
        return "With so few digits no cause can be proven."
    return "No known mistake gives what was written."


def told(written: float, right: float) -> tuple[str, str]:
    """Return what was written, and what is right with two more digits, or as many as it takes to tell them apart."""
    decimals = len(repr(written).partition(".")[2])
    for digits in (*range(min(decimals, 6) + 2, 9), 12, 16):
        first, second = number(written, max(digits, decimals)), number(right, digits)
        if first != second:
            break
    return first, second


def _all_right(marking: Marking) -> str:
    right, close, coarse, blank = (marking.count(status) for status in (RIGHT, CLOSE, COARSE, BLANK))
    if not right + close + coarse:
        return "Nothing is written yet."
    counted = "Both" if right == 2 else f"All {right}"
    told = f"{counted} written quantities are right." if right > 1 else "What is written is right."
    if close or coarse:
        told = (
            f"Nothing is wrong: {_counted(right, 'quantity is', 'quantities are')} right."
            if right
            else "Nothing is wrong."
        )
    if close:
        told += f" {_counted(close, 'is', 'are')} off in the last digit, which rounding in between explains."
    if coarse:
        told += f" {_counted(coarse, 'is', 'are')} written with too few digits to judge."
    if blank:
        told += f" {_counted(blank, 'is', 'are')} still blank."
    return told


def _rest(after: Sequence[Verdict]) -> str:
    """Say whether what is written after the first wrong quantity is right, follows, or is wrong."""
    wrong = [one.name for one in after if one.status == WRONG]
    follows = sum(one.status == FOLLOWS for one in after)
    right = sum(one.status in (RIGHT, CLOSE) for one in after)
    if not after:
        return "No later quantity is written."
    if follows == len(after):
        return "The rest follows correctly from it."
    parts = []
    if follows:
        parts.append(f"{_counted(follows, 'follows', 'follow')} correctly from it")
    if right:
        parts.append(f"{_counted(right, 'is', 'are')} right")
    if wrong:
        shown = ", ".join(wrong if len(wrong) <= 6 else [*wrong[:5], "…", wrong[-1]])
        parts.append(f"{shown} {'is' if len(wrong) == 1 else 'are'} also wrong")
    if not parts:
        return "The later quantities are written with too few digits to judge."
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"Of the later quantities, {listed}."


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def table(marking: Marking) -> Iterator[str]:
    """Give the verdict on every quantity, one per line."""
    width = max((len(one.name) for one in marking.verdicts), default=0)
    for one in marking.verdicts:
        line = f"{one.name:<{width}}  {one.status}"
        if one.status == WRONG:
            if one.written is not None and one.right is not None:
                line += f"  {one.entry}: " if one.entry else "  "
                line += " for ".join(told(one.written, one.right))
                if one.expected is not None:
                    line += f"; from the numbers before it, {told(one.written, one.expected)[1]}"
            if one.causes:
                line += f" ({' or '.join(map(str, one.causes))})"
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
