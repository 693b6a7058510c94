"""``python -m bench W1 W3 --threads 1 2 --rivals torch onnxruntime --seconds 2``: time gatewise and its rivals."""

from __future__ import annotations

import argparse
import json
import os
import platform
from contextlib import ExitStack, closing
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.markdown import Markdown

from bench.cases import WORKLOADS, Size
from bench.peak import peak
from bench.race import Booth, race, reference
from bench.report import Result, faults, outcome, ways
from bench.rivals import RIVALS

RESULTS = Path(__file__).with_name("results")


def machine() -> dict[str, str]:
    """Return what the times depend on, apart from the rivals."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    found = {"on": f"{model} ({os.cpu_count()} processors)", "Python": platform.python_version()}
    return found | {name: os.environ[name] for name in ("GATEWISE_KERNEL",) if name in os.environ}


def size(text: str) -> Size:
    """Read 8,32."""
    inputs, hidden = map(int, text.split(","))
    return inputs, hidden


def main() -> None:
    """Run the requested workloads, and save the results after each case."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Time gatewise beside its rivals.")
    parser.add_argument("workloads", nargs="*", metavar="W1 … W6", help=f"by default all: {', '.join(WORKLOADS)}")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rivals", nargs="+", choices=RIVALS, default=RIVALS, help="gatewise always takes part")
    parser.add_argument("--sizes", nargs="+", type=size, metavar="I,H", help="only these input and hidden sizes")
    parser.add_argument("--seconds", type=float, default=2, help="for each way and case")
    parser.add_argument("--rounds", type=int, default=9, help="in which the ways take turns")
    parser.add_argument("--results", type=Path, help="a file; by default bench/results/DATE.json")
    given = parser.parse_args()
    if unknown := set(given.workloads) - set(WORKLOADS):
        parser.error(f"there is no workload {min(unknown)}; allowed: {', '.join(WORKLOADS)}")

    cases = [case for name in given.workloads or WORKLOADS for case in WORKLOADS[name]]
    cases = [case for case in cases if given.sizes is None or case.size in given.sizes]
    rivals = [rival for rival in RIVALS if rival in ("gatewise", *given.rivals)]
    now = datetime.now().astimezone()
    path = given.results or RESULTS / f"{now:%Y-%m-%d-%H%M}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {
        "date": f"{now:%Y-%m-%d %H:%M}",
        "machine": machine(),
        "seconds": given.seconds,
        "rounds": given.rounds,
        "rivals": {},
        "results": [],
    }
    console = Console()
    with TemporaryDirectory() as folder:
        for threads in given.threads:
            with ExitStack() as stack:
                booths = [stack.enter_context(closing(Booth(rival, threads))) for rival in rivals]
                kept["rivals"] = {booth.rival: booth.version or booth.absent for booth in booths}
                for case in cases:
                    right = reference(case, Path(folder))
                    most = peak(threads)
                    entries = race(case, booths, right, seconds=given.seconds, rounds=given.rounds)
                    result = {"case": asdict(case), "threads": threads, "entries": entries, "peak": most}
                    kept["results"].append(result)
                    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False))
                    shown = Result.from_json(result)
                    console.print(Markdown(f"{case}, threads: {threads}\n\n{ways(shown)}\n\n{faults([shown])}"))
    console.print(Markdown(outcome(kept)))
    console.print(f"saved in {path}; python -m bench.report {path} shows every time")


if __name__ == "__main__":
    main()
