"""Read the files of some rows in a process of their own: ``python reading.py FOLDER MODULE PLACE…``.

Parsers and unpacking take memory that Python does not count, so the process prints the most that it has held, and the
answers. It imports nothing besides.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

import budgets
from held import held

from gatewise.files import budget


def main(folder: str, module: str, *places: str) -> None:
    """Print the bytes that were held, and the answer of each row, whose file is named by its place among the rows."""
    table = import_module(f"hostile.{module}")
    if table.SMALL_BUDGETS:
        budgets.take_small()
    work, answers = budget.WORK, []
    for place in places:
        row = table.ROWS[int(place)]
        budget.WORK = work if row.work is None else budget.Limit(0, row.work)
        answers += row.answers(Path(folder, f"{place}.file"))
    print(json.dumps([held(), answers]))


if __name__ == "__main__":
    main(*sys.argv[1:])
