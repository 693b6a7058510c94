"""A report runs on ordinary networks around LSTMs, or its input is refused by name."""

from __future__ import annotations

import pytest

import gatewise as gw

pytest.importorskip("onnx")
pytest.importorskip("torch")
from peers import test_architectures
from peers.test_architectures import CASES, REFUSED

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore:::torch|onnxscript|copyreg|keras"),
    pytest.mark.filterwarnings("ignore:the network takes:UserWarning"),
]
FORMS = ("torchscript.onnx",)
REFUSED_INPUTS = {"Spectrogram": "it must have one to three axes"}
READ = [case for case in CASES if case[0] in FORMS and case not in REFUSED]
ALONE = "the questions are about the LSTM"


@pytest.mark.parametrize(("form", "name"), READ)
def test_a_report_on_an_ordinary_network_runs(form, name, tmp_path):
    path, inputs, *_ = test_architectures.saved(form, name, tmp_path)
    network = gw.load_network(path)
    if isinstance(network, gw.Network):
        return
    feeds = dict(zip(network.inputs, inputs, strict=True))
    if name in REFUSED_INPUTS:
        with pytest.raises(gw.ShapeError, match=REFUSED_INPUTS[name]):
            gw.open_run(network, inputs[0], input_of="model")
        return
    run = gw.open_run(network, feeds if len(feeds) > 1 else inputs[0], input_of="model")
    report = gw.report(run)
    assert len(report.findings) > 5
    assert any(finding.answer is not None for finding in report.findings)
    for each in (run, *run.others):
        assert (each.network is None) == any(note.startswith(ALONE) for note in each.notes)
