"""The tables of bench/ are what the report makes of the newest results, and the ten rows hide no loss."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from rich.markdown import Markdown

from bench import audio, peak, report
from bench.cases import TEN, WORKLOADS

BENCH = Path(__file__).parent.parent / "bench"
FILES = sorted((BENCH / "results").glob("*.json"))

pytestmark = pytest.mark.skipif(not FILES, reason="the sources are not here")


def newest() -> list[dict[str, Any]]:
    return [json.loads(FILES[-1].read_text(encoding="utf-8"))]


def test_the_whole_table_is_what_the_newest_results_give():
    assert report.TABLE.read_text(encoding="utf-8") == report.markdown(newest())


def test_the_ten_rows_are_what_the_newest_results_give():
    page = report.README.read_text(encoding="utf-8")
    assert report.placed(page, report.summary(newest())) == page


def test_the_ten_rows_are_ten_of_every_workload_with_the_clearest_loss_among_them():
    results = report.read(newest())
    assert len(set(TEN)) == len(TEN) == len(report.ten(results).splitlines()) - 2 == 10
    assert {case.workload for case, _ in TEN} == set(WORKLOADS)
    lost = {(one.case, one.threads): min(one.rivals().values(), default=1.0) for one in results}
    assert min(lost, key=lambda place: lost[place]) in TEN


def test_a_result_that_changes_is_seen_in_both_tables():
    (file,) = newest()
    before = report.summary([file]), report.markdown([file])
    for result in file["results"]:
        for entry in result["entries"]:
            entry["median"] = 2 * entry.get("median", 0.0)
    assert report.summary([file]) != before[0]
    assert report.markdown([file]) != before[1]


def printed(markdown: str) -> list[str]:
    """Return the lines of Markdown in a terminal of 80 columns."""
    console = Console(width=80, file=io.StringIO())
    console.print(Markdown(markdown))
    return console.file.getvalue().splitlines()


def test_every_heading_and_number_of_a_printed_table_is_whole_in_80_columns():
    (file,) = newest()
    tables = [report.outcome(file), *map(report.ways, report.read([file]))]
    for one in tables:
        lines, rows = printed(one), [row.strip("| ").split(" | ") for row in one.splitlines() if row.startswith("| ")]
        assert all(len(line) <= 80 for line in lines)
        for row in rows:
            short = [cell.strip("*") for cell in row if len(cell) <= 12]
            assert any(all(cell in line for cell in short) for line in lines), row


def test_the_share_of_the_peak_is_that_of_the_products_and_needs_a_peak():
    (result,) = [
        one for one in report.read(newest()) if str(one.case) == "W3 (512, 512) B=64 T=100" and one.threads == 1
    ]
    ours = result.entry(report.US)
    multiply_adds = 100 * 64 * 4 * 512 * 1024
    peaked = replace(result, peak=1e12)
    assert peaked.share(ours) == pytest.approx(2 * multiply_adds / ours["median"] / 1e12)
    assert "% of the peak" in report.times([peaked])
    unmeasured = replace(result, peak=None)
    assert unmeasured.share(ours) is None
    assert "% of the peak" not in report.times([unmeasured])


def test_the_peak_is_that_of_a_compiled_loop_or_absent(tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "BUILDS", tmp_path)
    assert 1e8 < peak.peak(1) < 1e13
    monkeypatch.setattr(peak, "COMPILE", ["a-compiler-that-is-not-here"])
    assert peak.peak(1) is None


def answers_of(path, model, x):
    """Return the outputs of a model in plain NumPy, from its weights as the drivers of other runtimes read them."""
    numbers = iter(np.fromfile(path, np.float32).astype(np.float64))

    def take(*shape):
        return np.fromiter(numbers, float, int(np.prod(shape))).reshape(shape)

    for features in [model.inputs, *[model.hidden] * (model.layers - 1)]:
        w, u, b = take(features, 4, model.hidden), take(model.hidden, 4, model.hidden), take(4, model.hidden)
        h, c, outputs = np.zeros(model.hidden), np.zeros(model.hidden), []
        for step in x:
            i, f, g, o = np.einsum("i,igh->gh", step, w) + np.einsum("i,igh->gh", h, u) + b
            c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
            h = np.tanh(c) / (1 + np.exp(-o))
            outputs.append(h)
        x = np.array(outputs)
    y = x @ take(model.hidden) + take(1)
    assert not list(numbers)
    return y


@pytest.mark.parametrize("model", audio.MODELS, ids=str)
def test_other_runtimes_read_the_weights_of_the_same_network(model, tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "BUILDS", tmp_path)
    x = model.x[:50]
    y = answers_of(audio.weights_file(model), model, x)
    np.testing.assert_allclose(model.exact(x), y, rtol=0, atol=1e-12)
    np.testing.assert_allclose(model.network(x)[0].ravel(), y, rtol=0, atol=audio.CLOSE)


def test_a_wrong_answer_of_an_amplifier_is_not_timed():
    model = audio.MODELS[0]
    for wrong in (model.right + 1e-5, model.right[1:], np.full(len(model.right), np.nan)):
        with pytest.raises(audio.Refused):
            model.require_right(wrong)


def test_a_program_that_fails_is_refused_and_not_timed(tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "BUILDS", tmp_path)
    with pytest.raises(audio.Refused, match="does not compile"):
        audio.built("it", [[sys.executable, "-c", "raise SystemExit(1)"]], [])
    with pytest.raises(audio.Refused, match="ended with 3"):
        audio.driven([sys.executable, "-c", "raise SystemExit(3)"], audio.MODELS[0], 0)


def test_a_ratio_is_that_to_the_fastest_other_and_a_loss_is_bold():
    times = {"own": [(10.0, 9.0), (20.0, 9.0)], "fast": [(15.0, 9.0), (30.0, 9.0)], "slow": [(40.0, 9.0), (70.0, 9.0)]}
    assert audio.ratio(times, "own", ["fast", "slow", "absent"]) == "1.50×"
    assert audio.ratio(times, "fast", ["own", "slow"]) == "**0.67×**"
    assert audio.ratio(times, "own", ["absent"]) == audio.ratio(times, "absent", ["own"]) == audio.cell(None) == "–"
    assert audio.cell(times["own"]) == "15 (9)"
