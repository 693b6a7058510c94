"""The results as Markdown: ten rows for README.md, and for TABLE.md every time and ratio, the goals and the losses.

``python -m bench.report RESULTS…`` prints the whole table; with ``--write`` both files are updated.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.cases import GOALS, TEN, WORKLOADS, Case, Goal
from bench.measures import Measure

README, TABLE = (Path(__file__).with_name(name) for name in ("README.md", "TABLE.md"))
BEGIN, END = "<!-- ten rows: python -m bench.report --write -->", "<!-- the end of the ten rows -->"
US = "gatewise"
TITLES = {
    "W1": "W1: a stream, one step per call",
    "W2": "W2: one sequence",
    "W3": "W3: a batch of sequences",
    "W4": "W4: a training step",
    "W5": "W5: every gate of every step",
    "W6": "W6: cold start",
}
Entry = dict[str, Any]


@dataclass(frozen=True)
class Result:
    """What was measured of all ways in one case.

    Parameters
    ----------
    case : Case
    threads : int
    entries : tuple of dict
        From `bench.race.race`.
    peak : float, optional
        From `bench.peak.peak`, just before.
    """

    case: Case
    threads: int
    entries: tuple[Entry, ...]
    peak: float | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Result:
        """Return a result from its form in the results file."""
        return cls(Case(**data["case"]), data["threads"], tuple(data["entries"]), data.get("peak"))

    def entry(self, label: str) -> Entry | None:
        """Return the entry of a way, or None where it was not timed."""
        return next((entry for entry in self.entries if entry["label"] == label and "fault" not in entry), None)

    def ratio(self, entry: Entry) -> float | None:
        """Return how many times as long as gatewise a way takes: the median over the rounds."""
        ours = self.entry(US)
        if ours is None or "fault" in entry:
            return None
        return median(theirs / own for theirs, own in zip(entry["rounds"], ours["rounds"], strict=True))

    def share(self, entry: Entry) -> float | None:
        """Return the share of the multiply-add peak that a way reaches with the operations of the matrix products."""
        if self.peak is None or "fault" in entry or self.case.time == 1:
            return None
        return self.case.flops / entry[Measure.MEDIAN] / self.peak

    def rivals(self) -> dict[str, float]:
        """Return the ratio of each way of the other packages that does the whole task in full precision."""
        counted = (entry for entry in self.entries if entry["rival"] != US and not entry["remark"])
        return {entry["label"]: ratio for entry in counted if (ratio := self.ratio(entry)) is not None}

    def measured(self, goal: Goal) -> tuple[float, str] | None:
        """Return the number that a goal is about, and the way it is compared with; None where either did not run."""
        if goal.at_most is not None:
            value = (self.entry(US) or {}).get(goal.measure)
            return None if value is None else (value, goal.measure)
        if goal.against == Goal.against:
            return min(((ratio, label) for label, ratio in self.rivals().items()), default=None)
        entry = self.entry(goal.against)
        ratio = None if entry is None else self.ratio(entry)
        return None if ratio is None else (ratio, goal.against)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, or a dash where it has no rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *lines]) if lines else "–"


def goals(results: Sequence[Result]) -> str:
    """Return the goals, and whether each was reached."""
    rows = []
    for goal in GOALS:
        for result in results:
            if result.case not in goal.cases or result.threads not in goal.threads:
                continue
            found = result.measured(goal)
            if goal.at_most is not None:
                wanted, shown = f"≤ {goal.measure.text(goal.at_most)}", goal.measure.text
            else:
                wanted, shown = f"≥ {goal.at_least:.3g}×", "{:.2f}×".format
            value, against = found or (None, goal.against if goal.at_most is None else goal.measure)
            reached = "not measured" if value is None else "reached" if _reached(goal, value) else "**not reached**"
            measured = "–" if value is None else shown(value)
            rows.append([str(result.case), str(result.threads), against, wanted, measured, reached])
    return table(["case", "threads", "against", "wanted", "measured", "result"], rows)


def _reached(goal: Goal, value: float) -> bool:
    return value >= goal.at_least if goal.at_least is not None else value <= goal.at_most


def times(results: Sequence[Result]) -> str:
    """Return the median of every way, with its ratio to gatewise's."""

    def cell(result: Result, entry: Entry) -> str:
        ratio = result.ratio(entry)
        text = Measure.MEDIAN.text(entry[Measure.MEDIAN])
        if entry["label"] == US and result.case.time > 1:
            text += f" ({result.case.flops / entry[Measure.MEDIAN] / 1e9:.3g} GFLOP/s"
            text += ")" if (share := result.share(entry)) is None else f", {share:.0%} of the peak)"
        elif entry["label"] != US and ratio is not None:
            text += f" ({ratio:.2f}×)"
        return text + (" †" if entry["cores"] > 1.1 * result.threads else "")

    return _wide(results, cell)


def ways(result: Result) -> str:
    """Return the times of one case, with a row for each way: for a terminal, which is narrow."""
    rows = []
    for entry in result.entries:
        if "fault" in entry:
            rows.append([entry["label"], "fault", "–", "–"])
            continue
        ratio, share = result.ratio(entry), result.share(entry)
        rows.append(
            [
                entry["label"] + (" †" if entry["cores"] > 1.1 * result.threads else ""),
                Measure.MEDIAN.text(entry[Measure.MEDIAN]),
                "–" if entry["label"] == US or ratio is None else f"{ratio:.2f}×",
                "–" if share is None else f"{share:.0%}",
            ]
        )
    return table(["way", "time", "ratio", "of the peak"], rows)


def outcome(file: dict[str, Any]) -> str:
    """Return what a run of the benchmark shows at its end: the goals, the losses and the faults."""
    results = read([file])
    parts = [_setting(file), "# Goals", goals(results), "# Where gatewise is slower", losses(results)]
    if any("fault" in entry for result in results for entry in result.entries):
        parts += ["# Ways that could not be timed", faults(results)]
    return "\n\n".join(parts)


def tails(results: Sequence[Result]) -> str:
    """Return the times of the slowest calls of every way."""
    return _wide(results, lambda _, entry: " / ".join(m.text(entry[m]) for m in (Measure.TAIL, Measure.MAXIMUM)))


def sizes(results: Sequence[Result]) -> str:
    """Return how much memory and disk space every way takes."""
    kinds = Measure.MEMORY, Measure.DISK, Measure.WHEEL
    return _wide(results, lambda _, entry: " / ".join(m.text(entry[m]) if m in entry else "–" for m in kinds))


def _wide(results: Sequence[Result], cell: Callable[[Result, Entry], str]) -> str:
    """Return a table with a row for each case and number of threads, and a column for each way."""
    labels = list(dict.fromkeys(entry["label"] for result in results for entry in result.entries))
    rows = []
    for result in results:
        shown = {e["label"]: "fault" if "fault" in e else cell(result, e) for e in result.entries}
        cells = [shown.get(label, "–") for label in labels]
        rows.append([str(result.case), str(result.threads), *cells])
    return table(["case", "threads", *labels], rows)


def losses(results: Sequence[Result]) -> str:
    """Return every case in which another package is faster, the clearest first."""
    lost = [
        (ratio, [str(result.case), str(result.threads), label, f"{ratio:.2f}×"])
        for result in results
        for label, ratio in result.rivals().items()
        if ratio < 1
    ]
    return table(["case", "threads", "faster", "its time"], [row for _, row in sorted(lost)])


def faults(results: Sequence[Result]) -> str:
    """Return the ways that could not be timed, and why."""
    rows = [
        [str(result.case), str(result.threads), entry["label"], entry["fault"]]
        for result in results
        for entry in result.entries
        if "fault" in entry
    ]
    return table(["case", "threads", "way", "fault"], rows)


def ten(results: Sequence[Result]) -> str:
    """Return the cases of `TEN`, each with the fastest way of another package."""
    rows = []
    for case, threads in TEN:
        result = next((one for one in results if (one.case, one.threads) == (case, threads)), None)
        if result is None or (ours := result.entry(US)) is None:
            continue
        what, name = TITLES[case.workload].partition(": ")[2], str(case).partition(" ")[2]
        row = [what, name, str(threads), Measure.MEDIAN.text(ours[Measure.MEDIAN])]
        rivals = result.rivals()
        label = min(rivals, key=lambda one: rivals[one], default=None)
        entry = None if label is None else result.entry(label)
        if label is None or entry is None:
            rows.append([*row, "–", "–", "–"])
            continue
        ratio = f"{rivals[label]:.2f}×"
        rows.append(
            [*row, label, Measure.MEDIAN.text(entry[Measure.MEDIAN]), ratio if rivals[label] >= 1 else f"**{ratio}**"]
        )
    return table(["task", "sizes", "threads", "gatewise", "fastest other", "its time", "ratio"], rows)


def read(files: Sequence[dict[str, Any]]) -> list[Result]:
    """Return the results of one or more results files, in the order of the cases."""
    results = [Result.from_json(data) for file in files for data in file["results"]]
    order = [case for cases in WORKLOADS.values() for case in cases]
    return sorted(results, key=lambda result: (order.index(result.case), result.threads))


def summary(files: Sequence[dict[str, Any]]) -> str:
    """Return the ten rows, and where they were measured, for README.md."""
    return "\n\n".join([*(_setting(file) for file in files), ten(read(files))])


def markdown(files: Sequence[dict[str, Any]]) -> str:
    """Return everything about one or more results files, for TABLE.md."""
    results = read(files)
    versions = ([(rival, version) for rival, version in file["rivals"].items()] for file in files)
    parts = ["# The whole table", "How it is measured: [README.md](README.md).", "## Machine and versions"]
    parts += [
        part
        for file, rows in zip(files, versions, strict=True)
        for part in (_setting(file), table(["rival", "version"], rows))
    ]
    parts += ["## Goals", goals(results), "## Where gatewise is slower", losses(results)]
    for workload, title in TITLES.items():
        if here := [result for result in results if result.case.workload == workload]:
            parts += [f"## {title}", "Median time of a call, with its ratio to gatewise's:", times(here)]
            if workload == "W1":
                parts += ["The slowest calls (p99.9 / maximum):", tails(here)]
            if workload == "W6":
                parts += ["Memory / disk space with all dependencies / own files, compressed:", sizes(here)]
    if any("fault" in entry for result in results for entry in result.entries):
        parts += ["## Ways that could not be timed", faults(results)]
    if any(entry.get("cores", 0) > 1.1 * result.threads for result in results for entry in result.entries):
        parts.append("† It kept more processors busy than it was allowed.")
    return "\n\n".join(parts) + "\n"


def placed(page: str, rows: str) -> str:
    """Return README.md with other rows between its two marks."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n{rows}\n\n{END}{rest.split(END)[1]}"


def _setting(file: dict[str, Any]) -> str:
    machine = ", ".join(f"{key} {value}" for key, value in file["machine"].items())
    return f"{file['date']}: {machine}; {file['seconds']} s for each way and case, in {file['rounds']} rounds."


def main() -> None:
    """Read results files; print the whole table, or update README.md and TABLE.md."""
    parser = argparse.ArgumentParser(prog="python -m bench.report", description="Show results of python -m bench.")
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument(
        "--write", action="store_true", help="update the ten rows of bench/README.md, and bench/TABLE.md"
    )
    given = parser.parse_args()
    files = [json.loads(path.read_text(encoding="utf-8")) for path in given.results]
    if not given.write:
        print(markdown(files), end="")
        return
    README.write_text(placed(README.read_text(encoding="utf-8"), summary(files)), encoding="utf-8")
    TABLE.write_text(markdown(files), encoding="utf-8")


if __name__ == "__main__":
    main()
