"""Try hostile input of all classes for as long as is asked: ``python -m tests.hostile --minutes 20 --seed 7``."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hostile import corpus


def main() -> None:
    """Print tries and faults of each class, with the command that makes each fault again; exit code 1 for a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=main.__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of all tries; the time, unless given")
    parser.add_argument("--only", default="", help="only classes whose names have this in them")
    parser.add_argument("--number", type=int, help="only this try of one class, in this process")
    parser.add_argument("--quiet", action="store_true", help="print nothing but the table and the faults")
    options = parser.parse_args()
    classes = [one for name, one in corpus.load_classes().items() if options.only in name]
    if options.number is not None:
        (one,) = [one for one in classes if one.name == options.only] or classes[:1]
        folder = tempfile.mkdtemp()  # a TemporaryDirectory would be removed as soon as a forked process ends
        try:
            print(*corpus.attempt(one, options.seed, options.number, Path(folder, "try")), sep="\n")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    not_tried = {one.name: needed for one in classes if (needed := corpus.missing(one))}
    here = [one for one in classes if one.name not in not_tried]
    print(f"seed {options.seed}, {len(here)} classes", flush=True)

    def show(one: corpus.Hostile, findings: corpus.Findings) -> None:
        if not options.quiet:
            faults = ", ".join(f"{count} {kind}" for kind, count in findings.faults.items())
            print(f"{one.name}: {findings.tries:,} tries{faults and f', {faults}'}", file=sys.stderr, flush=True)

    findings = corpus.run(here, options.minutes, options.seed, show)
    print(corpus.examples(findings.items()))
    print(corpus.table(findings, not_tried))
    sys.exit(any(one.faults for one in findings.values()))


if __name__ == "__main__":
    main()
