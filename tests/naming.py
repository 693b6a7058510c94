"""How often `gatewise.check` says what somebody did wrong: `PYTHONPATH=tests python -m tests.naming`.

Slips are planted by other lines of NumPy, apart from the edits that the package enumerates. `~` before a cause means
that it gives the numbers that are written, `!` that it does not, and `=` (`--exact`) that it is what was planted.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from slips.groups import FURTHER, GROUPS, group_of
from slips.judging import DIGITS, Judged, kinds, measured
from slips.odd import odd_sheets
from slips.right import right_sheets
from slips.timing import timed

from gatewise.progress import working

Some = TypeVar("Some")


def tally(found: Iterable[Judged]) -> Counter[str]:
    """Count what was said."""
    count: Counter[str] = Counter()
    for one in found:
        count["sheets"] += 1
        count["located"] += one.located
        count["named"] += one.named
        count["first"] += one.foremost
        count["few"] += one.few
        count["none"] += one.first is not None and not one.first.causes and not one.few
        count["other"] += bool(one.first and one.first.causes) and not one.named
        count["by chance"] += one.named and "same" in vars(one) and not any(one.same)
    return count


HEAD = f"{'':34}{'sheets':>7}{'line':>6}{'named':>6}{'first':>6}{'few':>6}{'none':>5}{'other':>6}{'≈':>4}"


def row(label: str, count: Counter[str]) -> str:
    """Return a line of the table: shares of the sheets in percent."""
    of = max(count["sheets"], 1)
    parts = [f"{100 * count[key] / of:.0f}" for key in ("located", "named", "first", "few", "none", "other")]
    widths = (6, 6, 6, 6, 5, 6)
    shares = "".join(f"{part:>{width}}" for part, width in zip(parts, widths, strict=True))
    return f"{label[:34]:34}{count['sheets']:>7}{shares}{100 * count['by chance'] / of:>4.0f}"


def tables(found: Sequence[Judged]) -> str:
    """Return what was measured: at every number of digits by kind, and in total by sheet."""
    digits = list(dict.fromkeys(one.digits for one in found))
    lines: list[str] = []
    for n in digits:
        lines += [f"{n} digits{HEAD[len(str(n)) + 7 :]}"]
        by_kind: dict[str, list[Judged]] = defaultdict(list)
        for one in found:
            if one.digits == n:
                by_kind[one.planted.slip.kind].append(one)
        for group in (*GROUPS, FURTHER):
            rows = [row(f"  {kind}", tally(some)) for kind, some in by_kind.items() if group_of(kind) == group]
            lines += ["", group, *rows, ""]
    found = [one for one in found if group_of(one.planted.slip.kind) != FURTHER]
    lines += ["", f"in total, and by sheet{'':12}{HEAD[34:]}"]
    for n in digits:
        of = [one for one in found if one.digits == n]
        lines.append(row(f"{n} digits", tally(of)))
        for group in GROUPS:
            lines.append(row(f"   {group}", tally(one for one in of if group_of(one.planted.slip.kind) == group)))
        for sheet in dict.fromkeys(one.sheet for one in of):
            for backward in (False, True):
                some = [one for one in of if one.sheet == sheet and one.planted.slip.backward == backward]
                if some:
                    lines.append(row(f"   {sheet}, {'back' if backward else 'for'}ward", tally(some)))
        for cell in dict.fromkeys(one.planted.cell.kind for one in of):
            lines.append(row(f"   {cell}", tally(one for one in of if one.planted.cell.kind == cell)))
        for steps in (1, 2, 3):
            some = [one for one in of if one.planted.cell.steps == steps]
            lines.append(row(f"   {steps} step{'s' * (steps > 1)}", tally(some)))
    return "\n".join(lines)


def times(seed: int) -> int:
    """Measure how long sheets take, of one step and of five steps backward: the five slowest."""
    with working("timing sheets", 2) as done:
        for steps, backward in ((1, False), (5, True)):
            taken = sorted(timed(steps, backward, seed), key=lambda one: -one[1])
            done(1)
            print(f"{steps} step{'s' * (steps > 1)}{', backward' * backward}, {len(taken)} sheets")
            print("\n".join(f"{seconds:9.2f} s  {says}" for says, seconds in taken[:5]))
    return 0


def others(odd: int, right: int, seed: int, failures: bool) -> int:
    """Measure how many sheets wrong by no single slip are given a cause, and how many right ones are accused."""
    with working("spoiling sheets", odd) as done:
        wrong = list(tell(odd_sheets(seed, odd), done))
    for how in dict.fromkeys(one.how for one in wrong):
        of = [one for one in wrong if one.how == how]
        print(f"{how:40}{len(of):>6}{sum(one.first for one in of):>5} first{sum(one.any for one in of):>5} any")
    if odd:
        print(
            f"{'in total':40}{odd:>6}{sum(one.first for one in wrong):>5} first{sum(one.any for one in wrong):>5} any"
        )
    with working("writing right sheets", right) as done, tempfile.TemporaryDirectory() as folder:
        good = list(tell(right_sheets(seed, right, folder), done))
    for part in ("way", "spelling"):
        for name in dict.fromkeys(getattr(one, part) for one in good):
            of = [one for one in good if getattr(one, part) == name]
            print(f"{name:40}{len(of):>6}{sum(one.accused for one in of):>5} accused")
    if failures:
        print("\n".join(["", *(str(one) for one in wrong if one.any), *(str(one) for one in good if one.accused)]))
    return 0


def tell(found: Iterable[Some], done: Callable[[int], None]) -> Iterator[Some]:
    """Go through sheets, and tell how far that has come."""
    for one in found:
        yield one
        done(1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cells", type=int, default=20, help="for each kind of slip")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="*", default=[], help="parts of the names of kinds; all by default")
    parser.add_argument("--digits", type=int, nargs="*", default=[DIGITS[0]], help="decimals of the sheets")
    parser.add_argument("--exact", action="store_true", help="tell a slip from one with the same numbers when rounded")
    parser.add_argument("--failures", action="store_true", help="list the sheets whose slip was not named")
    parser.add_argument("--odd", type=int, default=0, help="so many sheets that are wrong by no single slip instead")
    parser.add_argument("--right", type=int, default=0, help="so many right sheets instead")
    parser.add_argument("--times", action="store_true", help="the seconds that sheets take instead")
    given = parser.parse_args(arguments)
    if given.times:
        return times(given.seed)
    if given.odd or given.right:
        return others(given.odd, given.right, given.seed, given.failures)
    chosen = [kind for kind in kinds() if not given.kinds or any(part in kind for part in given.kinds)]
    found: list[Judged] = []
    start = time.monotonic()
    with working("planting slips", len(chosen)) as done:
        for kind in chosen:
            found += measured(kind, given.seed, given.cells, given.digits)
            done(1)
    with working("writing many digits", len(found)) as done:
        for one in found if given.exact else ():
            done(len(one.same) or 1)
    print(tables(found))
    print(f"\n{len(found)} sheets, {len(chosen)} kinds, {time.monotonic() - start:.0f} s")
    if given.failures:
        print("\n".join(["", *(str(one) for one in found if not one.named)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
