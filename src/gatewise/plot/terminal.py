"""The picture of a gate in a terminal: half blocks in colours, or shades or digits where there are no colours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.palette import CIVIDIS, VIK
from gatewise.plot.pixels import heat
from gatewise.plot.records.gates import Gates
from gatewise.showing import counted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

ROWS = 64  # units that are shown at most, or least and greatest values of groups of them
MOST_NAME = 16  # columns for the names of units
COLUMNS_A_STEP = 8  # at most
SHADES, DIGITS, NONE = " ░▒▓█", "0123456789", "/"
COLOURED = ("256", "truecolor")  # what Rich calls terminals that can show enough colours


def show(record: Gates, console: Console | None = None) -> None:
    """Print a gate of the units of a cell: units × time, from dark (closed) to light (open).

    Each line shows two units, one above the other in half blocks, or one unit in shades or digits where the terminal
    has no colours, and where it wants none (``NO_COLOR``). Where there are more steps than columns, each two columns
    show the least and the greatest value of their steps, in the order in which they occur; likewise each two rows where
    there are too many units.

    Parameters
    ----------
    record : Gates
        What `plot.data.gates` returns.
    console : rich.console.Console, optional
        Where to; by default standard output.
    """
    from rich.console import Console

    console = Console() if console is None else console
    for line in lines(record, console):
        console.print(line, no_wrap=True, overflow="crop", highlight=False, markup=False)


def lines(record: Gates, console: Console) -> Iterator[Text]:
    """Go through the lines of the picture."""
    from rich.cells import set_cell_size
    from rich.text import Text

    halves = console.color_system in COLOURED and not console.no_color and _can("▀", console)
    marks = SHADES if _can(SHADES, console) else DIGITS
    count, steps = len(record.units), len(record.times)
    names = _names(record.units, count > ROWS, halves)
    side = min(MOST_NAME, max(map(len, names)))
    room = max(10, console.width - side - 1)
    shown = heat(heat(record.values, room // 2 * 2).T, ROWS)
    wide = max(1, min(COLUMNS_A_STEP, room // shown.shape[1]))
    low, high = record.limits
    amounts = np.clip((shown - low) / (high - low), 0, 1)
    yield Text(_plain(f"{record.title}: {counted(count, 'unit')}, {counted(steps, 'step')}", console))
    for place, row in enumerate(range(0, len(amounts), 2 if halves else 1)):
        line = Text(set_cell_size(_plain(names[place], console), side) + " ")
        pair = amounts[row : row + 2]
        line.append_text(_halves(pair, wide, record) if halves else Text(_marked(pair[0], wide, marks)))
        yield line
    yield Text(" " * (side + 1) + _ends(record.times, shown.shape[1] * wide, console))
    scale = np.linspace(0, 1, 20)[None]
    bar = _halves(scale, 1, record) if halves else Text(_marked(scale[0], 1, marks))
    yield Text(f"{low:g} ").append_text(bar).append(f" {high:g}" + _reduction(record, room, halves))


def _names(units: Sequence[str], grouped: bool, halves: bool) -> list[str]:
    """Return what stands before each line: its unit or units, or of a group of units the first."""
    if grouped:
        bounds = np.linspace(0, len(units), ROWS // 2 + 1).astype(int)
        firsts = [units[first] for first in bounds[:-1]]
        return firsts if halves else [name for first in firsts for name in (first, "")]
    if not halves:
        return list(units)
    return [",".join(units[first : first + 2]) for first in range(0, len(units), 2)]


def _reduction(record: Gates, room: int, halves: bool) -> str:
    """Say what is left out of a picture that is smaller than the run."""
    said = []
    if len(record.times) > room // 2 * 2:
        said.append(f"2 columns: least and greatest of about {len(record.times) / (room // 2):,.0f} steps")
    if len(record.units) > ROWS:
        said.append(f"{'a line' if halves else '2 lines'}: of about {len(record.units) / (ROWS // 2):,.0f} units")
    return "".join(f"\n{one}" for one in said)


def _halves(pair: Array, wide: int, record: Gates) -> Text:
    """Return one or two rows of amounts as half blocks, each in its colour; what is not valid is hatched."""
    from rich.color import Color
    from rich.style import Style
    from rich.text import Text

    stops = np.array(
        [[int(one[at : at + 2], 16) for at in (1, 3, 5)] for one in (VIK if record.limits[0] < 0 else CIVIDIS)]
    )
    line = Text()
    for column in pair.T:
        if np.isnan(column).all():
            line.append(NONE * wide)
            continue
        upper, *lower = (Color.from_rgb(*_mixed(stops, one)) for one in column)
        line.append(("▀" if lower else "█") * wide, Style(color=upper, bgcolor=lower[0] if lower else None))
    return line


def _mixed(stops: npt.NDArray[np.int_], amount: float) -> list[float]:
    """Return the colour of an amount from 0 to 1, between the stops of a scale."""
    place = np.nan_to_num(amount) * (len(stops) - 1)
    first = min(int(place), len(stops) - 2)
    mixed: list[float] = (stops[first] + (place - first) * (stops[first + 1] - stops[first])).round().tolist()
    return mixed


def _marked(row: Array, wide: int, marks: str) -> str:
    """Return a row of amounts in shades or digits."""
    return "".join((NONE if np.isnan(one) else marks[min(int(one * len(marks)), len(marks) - 1)]) * wide for one in row)


def _ends(times: npt.NDArray[np.generic], width: int, console: Console) -> str:
    """Return the times of the first and the last step, under the first and the last column."""
    first, last = (_plain(str(one), console)[:20] for one in (times[0], times[-1]))
    if len(times) < 2 or len(first) + len(last) >= width:
        return first[:width]
    return f"{first}{last:>{width - len(first)}}"


def _can(text: str, console: Console) -> bool:
    try:
        text.encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _plain(text: str, console: Console) -> str:
    """Return text that a terminal can show and that cannot steer it."""
    seen = "".join(one if one.isprintable() else " " for one in text)
    return seen if _can(seen, console) else seen.encode("ascii", "replace").decode()
