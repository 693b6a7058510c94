"""``python -m bench.sizes before.whl after.whl``: sizes of wheels and of what they pull in, cost of importing.

Each wheel is installed in an environment of its own. New processes that import it take turns; times are medians. With
two wheels, the program ends with 1 if something of the second one is more than a tenth larger than of the first.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.measures import Measure
from bench.start import PEAK

ALLOWED = 1.1
INSTALLED = """
import json
from importlib.metadata import distributions
sizes = {}
for distribution in distributions():
    paths = [path for file in distribution.files or () if (path := distribution.locate_file(file)).is_file()]
    sizes[distribution.name] = sum(path.stat().st_size for path in paths if path.suffix != '.pyc')
print(json.dumps(sizes))
"""
PROGRAMS = {"nothing": "", "NumPy": "import numpy", "gatewise": "import gatewise; gatewise.LSTM"}


def installed(wheel: Path, folder: Path) -> tuple[Path, dict[str, float]]:
    """Install a wheel; return its Python, and what lies on the disk of itself and of all that it requires."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", wheel]
    subprocess.run(install, check=True)
    listing = subprocess.run([python, "-c", INSTALLED], check=True, capture_output=True, text=True).stdout
    sizes = {name: size for name, size in json.loads(listing).items() if name not in ("pip", "setuptools")}
    rows = {"the wheel": wheel.stat().st_size, "installed": sizes.pop("gatewise")}
    rows["what it pulls in"] = sum(sizes.values())
    return python, rows | {f"of these, {name}": size for name, size in sizes.items() if size > 5e6}


def started(python: Path, program: str) -> tuple[float, float]:
    """Return the seconds that a new process takes for a program, and the most memory that it had."""
    before = time.perf_counter()
    done = subprocess.run([python, "-c", program + PEAK], check=True, capture_output=True, text=True)
    return time.perf_counter() - before, 1024.0 * int(done.stdout)


def measured(wheels: list[Path], rounds: int) -> list[dict[str, float]]:
    """Return the rows of each wheel."""
    with TemporaryDirectory() as folder:
        pythons, columns = zip(*(installed(wheel, Path(folder, str(n))) for n, wheel in enumerate(wheels)), strict=True)
        runs: dict[tuple[int, str], list[tuple[float, float]]] = {}
        for _ in range(rounds + 1):
            for name, program in PROGRAMS.items():
                for n, python in enumerate(pythons):
                    runs.setdefault((n, name), []).append(started(python, program))
        for (n, name), pairs in runs.items():
            seconds, memory = zip(*pairs[1:], strict=True)  # the first one reads from the disk
            columns[n][f"importing {name}, time"] = statistics.median(seconds)
            columns[n][f"importing {name}, memory"] = max(memory)
    return list(columns)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.sizes", description=__doc__.splitlines()[0])
    parser.add_argument("wheels", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    columns = measured(options.wheels, options.rounds)
    print(*(f"| {' | '.join(cells)} |" for cells in table([path.name for path in options.wheels], columns)), sep="\n")
    larger = [name for name, size in columns[-1].items() if size > ALLOWED * columns[0].get(name, size)]
    sys.exit(f"more than a tenth larger: {', '.join(larger)}" if larger else 0)


def table(names: list[str], columns: list[dict[str, float]]) -> list[list[str]]:
    """Return the cells of a table, with its head."""
    rows = [["what", *names], ["---"] * (1 + len(names))]
    for name in columns[-1]:
        text = Measure.MEDIAN.text if name.endswith("time") else "{:,.0f} kB".format
        scale = 1 if name.endswith("time") else 1000
        rows.append([name, *(text(column[name] / scale) if name in column else "–" for column in columns)])
    return rows


if __name__ == "__main__":
    main()
