"""The picture of a gate in a terminal: half blocks in colours, or shades or digits without colours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.palette import CIVIDIS, VIK
from gatewise.plot.pixels import keep_extremes
from gatewise.plot.run_records import Gates
from gatewise.showing import counted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

ROWS = 64  # of units, or of least and greatest values of groups of units
MOST_NAME = 16  # columns for the names of units
MOST_COLUMNS_OF_STEP = 8
SHADES, DIGITS, NONE = " ░▒▓█", "0123456789", "/"
COLOURED = ("256", "truecolor")  # Rich's names of terminals with enough colours


def show(record: Gates, console: Console | None = None) -> None:
    """Print a gate of the units of a cell: units × time, from dark (closed) to light (open).

    Each line shows two units, one above the other in half blocks. Without colours, or with ``NO_COLOR``, it shows one
    unit in shades or digits. With more steps than columns, each pair of columns shows the least and the greatest value
    of its steps in the order in which they occur; pairs of rows do the same for too many units. The terminal is
    standard output by default.
    """
    from rich.console import Console

    console = Console() if console is None else console
    for line in lines(record, console):
        console.print(line, no_wrap=True, overflow="crop", highlight=False, markup=False)


def lines(record: Gates, console: Console) -> Iterator[Text]:
    """Yield the lines of a gate's picture in the terminal."""
    from rich.cells import set_cell_size
    from rich.text import Text

    halves = console.color_system in COLOURED and not console.no_color and _can_show("▀", console)
    marks = SHADES if _can_show(SHADES, console) else DIGITS
    count, steps = len(record.units), len(record.times)
    names = _line_labels(record.units, count > ROWS, halves)
    side = min(MOST_NAME, max(map(len, names)))
    room = max(10, console.width - side - 1)
    reduced = keep_extremes(keep_extremes(record.values, room // 2 * 2).T, ROWS)
    width = max(1, min(MOST_COLUMNS_OF_STEP, room // reduced.shape[1]))
    low, high = record.limits
    amounts = np.clip((reduced - low) / (high - low), 0, 1)
    yield Text(_plain(f"{record.title}: {counted(count, 'unit')}, {counted(steps, 'step')}", console))
    for place, row in enumerate(range(0, len(amounts), 2 if halves else 1)):
        line = Text(set_cell_size(_plain(names[place], console), side) + " ")
        pair = amounts[row : row + 2]
        line.append_text(_half_blocks(pair, width, record) if halves else Text(_shade_row(pair[0], width, marks)))
        yield line
    yield Text(" " * (side + 1) + _time_labels(record.times, reduced.shape[1] * width, console))
    scale = np.linspace(0, 1, 20)[None]
    bar = _half_blocks(scale, 1, record) if halves else Text(_shade_row(scale[0], 1, marks))
    yield Text(f"{low:g} ").append_text(bar).append(f" {high:g}" + _reduction_notes(record, room, halves))


def _line_labels(units: Sequence[str], grouped: bool, halves: bool) -> list[str]:
    """Return the label of each line of a terminal picture: its unit or units, or the first unit of a group."""
    if grouped:
        bounds = np.linspace(0, len(units), ROWS // 2 + 1).astype(int)
        firsts = [units[first] for first in bounds[:-1]]
        return firsts if halves else [name for first in firsts for name in (first, "")]
    if not halves:
        return list(units)
    return [",".join(units[first : first + 2]) for first in range(0, len(units), 2)]


def _reduction_notes(record: Gates, room: int, halves: bool) -> str:
    """Return lines that say how steps and units are reduced in a terminal picture."""
    lines = []
    if len(record.times) > room // 2 * 2:
        lines.append(f"2 columns: least and greatest of about {len(record.times) / (room // 2):,.0f} steps")
    if len(record.units) > ROWS:
        lines.append(f"{'a line' if halves else '2 lines'}: of about {len(record.units) / (ROWS // 2):,.0f} units")
    return "".join(f"\n{line}" for line in lines)


def _half_blocks(pair: Array, width: int, record: Gates) -> Text:
    from rich.color import Color
    from rich.style import Style
    from rich.text import Text

    stops = np.array(
        [[int(stop[at : at + 2], 16) for at in (1, 3, 5)] for stop in (VIK if record.limits[0] < 0 else CIVIDIS)]
    )
    line = Text()
    for column in pair.T:
        if np.isnan(column).all():
            line.append(NONE * width)
            continue
        upper, *lower = (Color.from_rgb(*_mixed_colour(stops, amount)) for amount in column)
        line.append(("▀" if lower else "█") * width, Style(color=upper, bgcolor=lower[0] if lower else None))
    return line


def _mixed_colour(stops: npt.NDArray[np.int_], amount: float) -> list[float]:
    place = np.nan_to_num(amount) * (len(stops) - 1)
    first = min(int(place), len(stops) - 2)
    mixed: list[float] = (stops[first] + (place - first) * (stops[first + 1] - stops[first])).round().tolist()
    return mixed


def _shade_row(row: Array, width: int, marks: str) -> str:
    """Return a row of amounts in shades or digits, for a terminal without colours."""
    return "".join(
        (NONE if np.isnan(value) else marks[min(int(value * len(marks)), len(marks) - 1)]) * width for value in row
    )


def _time_labels(times: npt.NDArray[np.generic], width: int, console: Console) -> str:
    first, last = (_plain(str(time), console)[:20] for time in (times[0], times[-1]))
    if len(times) < 2 or len(first) + len(last) >= width:
        return first[:width]
    return f"{first}{last:>{width - len(first)}}"


def _can_show(text: str, console: Console) -> bool:
    try:
        text.encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _plain(text: str, console: Console) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return printable if _can_show(printable, console) else printable.encode("ascii", "replace").decode()
