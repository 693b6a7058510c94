"""What holds for every test: Hypothesis finds the same examples every time, and no test is skipped unnoticed.

With GATEWISE_STRICT=1 Hypothesis finds more of them, and a session fails if it skipped anything that allowed_skips.txt
does not allow. A session ends with the seconds that each of its slowest files took.
"""

from __future__ import annotations

import gc
import os
import sys
import zlib
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's threads would wait for each other, on matrices too small
os.environ.setdefault("OMP_NUM_THREADS", "1")  # PyTorch's too

import hypothesis
import numpy as np
import pairwise
import pytest

gc.set_threshold(10_000, 10, 100)  # what is kept for other tests is much, and gone through by each full collection
ALLOWED = Path(__file__).with_name("allowed_skips.txt")

STRICT = os.environ.get("GATEWISE_STRICT") == "1"  # as .ci/run is, where time is not short
hypothesis.settings.register_profile(
    "gatewise", derandomize=True, deadline=None, database=None, max_examples=100 if STRICT else 10
)
hypothesis.settings.load_profile("gatewise")
FEW, SHARE = 3, 5  # subjects of a law that README's tests try at least; of more than five times as many, a fifth
GENERATORS: list[np.random.Generator] = []  # those that are global in a module of the tests


def pytest_collection_finish() -> None:
    """Find the generators, and never again go through what the collection made, which is most of what there is."""
    here = str(Path(__file__).parent)
    modules = [module for module in sys.modules.values() if (getattr(module, "__file__", None) or "").startswith(here)]
    found = (value for module in modules for value in vars(module).values() if isinstance(value, np.random.Generator))
    GENERATORS.extend({id(generator): generator for generator in found}.values())
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave most subjects of a law to the thorough tests, by the mark of a law all but a few: their names decide."""
    laws: dict[str, list[pytest.Item]] = {}
    for item in items:
        if not {"peers", "referees"} & {mark.name for mark in item.iter_markers()}:
            laws.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for subjects in laws.values():
        subjects.sort(key=lambda item: zlib.crc32(item.nodeid.encode()))
        mark = subjects[0].get_closest_marker("subjects")
        for item in subjects[mark.args[0] if mark else max(FEW, len(subjects) // SHARE) :]:
            item.add_marker(pytest.mark.thorough)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let what a test draws depend on its name alone, not on which tests ran before it."""
    state = np.random.PCG64(zlib.crc32(item.nodeid.encode())).state
    for generator in GENERATORS:
        generator.bit_generator.state = state


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in an empty folder, and return it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def few_differences(monkeypatch):
    """Let the gradient check of a backward walk compare one entry of each array: where a test is of something else."""
    monkeypatch.setattr("gatewise.diagnostics.gradient_check.MOST", 1)


@pytest.fixture
def every_digit(monkeypatch):
    """Let LaTeX show numbers with every digit they have."""
    monkeypatch.setattr("gatewise.render.latex.number", lambda value: repr(float(value)))


@pytest.fixture
def whole_tables(monkeypatch):
    """Let no table leave out columns, or rows."""
    for width in ("WIDTH", "MAX_WIDTH"):
        monkeypatch.setattr(f"gatewise.render.terminal.{width}", 1000)
    monkeypatch.setattr("gatewise.render.layout.MAX_ROWS", 100)


@pytest.fixture
def small_budgets(monkeypatch):
    """Let a file take an eighth of what it may: what is made to be expensive need then be no larger than that."""
    import budgets

    for name, limit in budgets.small().items():
        monkeypatch.setattr(f"gatewise.files.budget.{name}", limit)


def allowed_patterns(text: str) -> list[str]:
    """Return the patterns of a list of allowed skips; every line must give its reason behind a bar."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for line in lines:
        pattern, _, reason = (part.strip() for part in line.partition("|"))
        if not pattern or not reason:
            raise pytest.UsageError(f"{ALLOWED.name}: write 'pattern | reason', not {line!r}")
    return [line.partition("|")[0].strip() for line in lines]


class Skips:
    """Takes note of every test and every module that a session skips, and in the end judges them."""

    def __init__(self, patterns: list[str]) -> None:
        self.patterns, self.forbidden = patterns, list[str]()

    def note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """Keep a skip that no pattern allows, as ``node: reason``."""
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        where = report.longrepr
        reason = str(where[2] if isinstance(where, tuple) else where).removeprefix("Skipped: ")
        skip = f"{report.nodeid}: {reason}"
        if not any(fnmatchcase(skip, pattern) for pattern in self.patterns):
            self.forbidden.append(skip)

    pytest_runtest_logreport = note
    pytest_collectreport = note

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a session that skipped what it must not."""
        if self.forbidden and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter) -> None:
        """Say which they were."""
        if self.forbidden:
            terminalreporter.section("skipped without permission", red=True, bold=True)
            for skip in self.forbidden:
                terminalreporter.line(skip)
            terminalreporter.line(f"GATEWISE_STRICT=1 allows only the skips listed in {ALLOWED.name}")


class FileTimes:
    """Adds up the seconds that the tests of each file take, fixtures included, and prints the largest sums."""

    MOST = 20

    def __init__(self) -> None:
        self.seconds = Counter[str]()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the time of a test, or of its fixtures, to its file's."""
        self.seconds[report.nodeid.partition("::")[0]] += report.duration

    def pytest_terminal_summary(self, terminalreporter) -> None:
        """Print the slowest files, where there is more than one."""
        if len(self.seconds) < 2:
            return
        terminalreporter.section(f"seconds in each file, {sum(self.seconds.values()):.0f} in all")
        for file, seconds in self.seconds.most_common(self.MOST):
            terminalreporter.line(f"{seconds:7.1f}  {file}")


def pytest_configure(config: pytest.Config) -> None:
    """Time the files; be strict where the environment says so; leave out covers that are not asked for."""
    if setting := os.environ.get("GATEWISE_CPU_SETTING"):
        import cpus

        cpus.require(setting)
    pairwise.FOR_PEERS = pairwise.asks_for_peers(config.getoption("markexpr"))
    if not hasattr(config, "workerinput"):  # the workers of pytest-xdist print nothing
        config.pluginmanager.register(FileTimes(), "gatewise file times")
    if STRICT:
        config.pluginmanager.register(Skips(allowed_patterns(ALLOWED.read_text(encoding="utf-8"))), "gatewise skips")
