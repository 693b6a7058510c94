"""TeX itself: the documents that are written compile, and nothing in them runs over the margin."""

from __future__ import annotations

import re
import shutil
import subprocess

import cases
import numpy as np
import pytest
from walks import DROPOUT, trace_of

import gatewise as gw
from gatewise import examples
from gatewise.render import latex
from gatewise.walkthrough.notation import NOTATIONS
from tests.test_latex import HOSTILE

pytestmark = pytest.mark.peers
ENGINES = ("pdflatex", "lualatex")
MOST_OVER = 5.0  # points over the margin that nobody sees


def compiled(walks, folder, engine="pdflatex") -> str:
    """Compile walkthroughs as one document, and return what TeX wrote about it."""
    if shutil.which(engine) is None:
        pytest.skip(f"no {engine} here")
    bodies = "\n\\clearpage\n".join(map(latex.body, walks))
    document = latex.render(walks[0]).replace(latex.body(walks[0]), bodies)
    (folder / "walk.tex").write_text(document, encoding="utf-8")
    command = [engine, "-halt-on-error", "-interaction=nonstopmode", "-no-shell-escape", "walk.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    log = (folder / "walk.log").read_text(encoding="utf-8", errors="replace")
    assert done.returncode == 0, "\n".join(line for line in log.splitlines() if line.startswith(("!", "l.")))
    assert (folder / "walk.pdf").stat().st_size > 1000
    return log


def fits(log: str) -> bool:
    """Tell whether nothing runs over the margin and TeX knows every command, though perhaps not every font."""
    over = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]
    assert max(over, default=0.0) <= MOST_OVER, re.findall(r"Overfull.*\n.*", log)
    return "undefined" not in re.sub("LaTeX Font .*", "", log).lower()


def worked_example(**options):
    cell = gw.LSTMCell(3, 2, init="notebook", scale=0.01, seed=1010, dtype=np.float64)
    return gw.walk(cell.step([0.5, 0.8, 0.2], gw.State([0.3, 0.4], [0.2, 0.3])), **options)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_worked_example_compiles(engine, tmp_path):
    walks = [worked_example(backward=backward, unit=unit) for backward in (False, True) for unit in (None, 1)]
    assert fits(compiled(walks, tmp_path, engine))


@pytest.mark.parametrize("notation", NOTATIONS)
def test_every_notation_compiles(notation, tmp_path):
    walks = [worked_example(backward=backward, notation=notation) for backward in (False, True)]
    walks.append(gw.walk(trace_of("layer norm of Haste", None), notation=notation, backward=True))
    assert fits(compiled(walks, tmp_path))


@pytest.mark.parametrize("variant", cases.VARIANTS)
def test_every_variant_compiles_forward_and_back(variant, tmp_path):
    dropout = list(DROPOUT)[list(cases.VARIANTS).index(variant) % len(DROPOUT)]
    projection = None if dropout == "dropout" else 3
    trace = trace_of(variant, projection, dropout, steps=2)
    walks = [gw.walk(trace, unit=0), gw.walk(trace, backward=True)]
    assert fits(compiled(walks, tmp_path))


def test_several_steps_compile(tmp_path):
    example = examples.latch()
    trace = gw.LSTM.from_cells(example.cell).trace(example.x)[0]
    assert fits(compiled([gw.walk(trace), gw.walk(trace, backward=True)], tmp_path))


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e9])
def test_a_large_cell_and_very_small_and_large_numbers_compile(scale, tmp_path):
    lstm = gw.LSTM(30, 40, rng=0, dtype=np.float64)
    step = lstm.trace(scale * np.random.default_rng(1).normal(size=(1, 30)))[0].step(0)
    assert fits(compiled([gw.walk(step), gw.walk(step, backward=True), gw.walk(step, unit=3)], tmp_path))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_compile(value, tmp_path):
    step = gw.LSTMCell(3, 2, rng=0, dtype=np.float64).step([value, 0, 0])
    assert fits(compiled([gw.walk(step), gw.walk(step, unit=0)], tmp_path))


@pytest.mark.parametrize("engine", ENGINES)
def test_hostile_names_compile_and_are_shown(engine, tmp_path):
    (tmp_path / "secret.tex").write_text("secret", encoding="utf-8")
    names = [*HOSTILE, r"\input{secret}", "a" * 90, "日本語" * 30, "/a/long/path" * 20, "Ünïçödé Łódź σ≤°", "ąþđ Ж ☃ 🌧"]
    walks = []
    for name in names:
        labels = gw.Labels(features=[name, "b"], units=[name, "v"])
        step = gw.LSTMCell.from_parameters(gw.LSTMCell(2, 2, rng=0, dtype=np.float64).parameters, labels).step([1, 2])
        walks.append(gw.walk(step, unit=0, facts={name: name}))
    log = compiled(walks, tmp_path, engine)
    assert fits(log)
    assert "secret.tex" not in log
    assert "passwd" not in "".join(re.findall(r"\(\S+", log))


def test_letters_that_are_written_as_they_are_compile(tmp_path):
    every = "".join(sorted(latex._LETTERS | set(latex._TEXT)))
    cell = gw.LSTMCell(2, 2, rng=0, dtype=np.float64)
    facts = {f"{start}": " ".join(every[start : start + 10]) for start in range(0, len(every), 10)}
    assert fits(compiled([gw.walk(cell.step([1, 2]), facts=facts)], tmp_path))
