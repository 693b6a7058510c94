"""The tables of bench/ are what the report makes of the newest results, and the ten rows hide no loss."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import report
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
