"""The tables of bench/ are what the report makes of the newest results, and the ten rows hide no loss."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gatewise as gw
from bench import audio, report
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


@pytest.mark.parametrize("model", audio.MODELS, ids=lambda model: model.label)
def test_the_documents_of_an_amplifier_are_one_network(model, tmp_path):
    x, own = model.x[:300], model.network()
    found = [own(x)[0]]
    for document in (model.as_nam(), model.as_rtneural()):
        (tmp_path / "model").write_text(json.dumps(document), encoding="utf-8")
        read = gw.load_network(tmp_path / "model")
        one = gw.Network(read.lstm, head=read.head, skip=model.skip, initial=own.initial)
        found.append(one(x)[0])
        if "architecture" in document and model.nam:
            np.testing.assert_array_equal(read(x)[0], found[0])
    for one in found[1:]:
        np.testing.assert_array_equal(one, found[0])


def test_a_wrong_answer_of_an_amplifier_is_not_timed():
    model = audio.MODELS[2]
    audio.require_right(model.right.ravel(), model)
    for wrong in (model.right.ravel() + 1e-3, model.right.ravel()[1:], np.full(len(model.right), np.nan)):
        with pytest.raises(audio.Refused):
            audio.require_right(wrong, model)
