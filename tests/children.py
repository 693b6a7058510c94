"""Processes that end: a script whose forked children each do one thing and end as programs do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import program
import pytest

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

# A fork is a process that has imported everything already; its interpreter ends as any other does.
SCRIPT = """
import json, os, sys
{setup}
codes = []
for case in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        run(case)
        break
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
else:
    print("\\n" + json.dumps(codes))
"""


def exit_codes(setup: str, cases: list, cwd: str | os.PathLike[str] | None = None) -> list[int]:
    """Return the exit code of one process for each case, in which `setup` has defined ``run(case)``.

    A process that a signal has killed has its number, negative. Nothing may be printed on standard error.
    """
    script = SCRIPT.format(setup=textwrap.dedent(setup))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, json.dumps(cases)],
        capture_output=True,
        text=True,
        env=program.environment(),
        cwd=cwd,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout.splitlines()[-1])
