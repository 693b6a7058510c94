"""Laws of the judge: it names every fault of an engine, and finds none in an engine that has none."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import wrong_engines
from program import exit_code

import gatewise as gw
from gatewise.diagnostics.rounding import rounding_deviations
from gatewise.errors import OptionError
from gatewise.judge import designs, judging, outputs, scripts, subjects
from gatewise.judge.causes import reading_of_specification
from gatewise.judge.designs import BIDIRECTIONAL, CLIP, LENGTHS, REVERSE, Design, draw
from gatewise.judge.formats import keras_layers, onnx_model, torch_module
from gatewise.judge.process import CommandEngine, EngineProcess, Reply
from gatewise.judge.subjects import Subject
from gatewise.judge.verdicts import CaseJudge

onnx = pytest.importorskip("onnx")
FORMATS = (onnx_model, torch_module, keras_layers)
ADAPTER = """
import os, sys, time
import numpy as np

def version():
    return "0"

def run(settings, arrays):
    {body}
"""


class InProcess:
    """A wrong engine that runs here, where a process of its own would cost time and show nothing."""

    version = "1.0"

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def start(self) -> str:
        return ""

    def stop(self) -> None:
        pass

    def run(self, message) -> Reply:
        arrays = dict(message.arrays)
        model = onnx.load_model_from_string(arrays.pop("model").tobytes())
        try:
            return Reply(wrong_engines.run(model, arrays, self.fault))
        except NotImplementedError as problem:
            return Reply(failure="refused", message=str(problem))


def engine_with(fault: str) -> Subject:
    judge = CaseJudge(onnx_model.claims, "iofg", names=onnx_model.NAMES)
    return Subject("wrong", InProcess(fault), onnx_model, judge, onnx_model.message)


def chosen(fault: str) -> list[Design]:
    """Return the plain case, and those of a fault's row; of activations, those of the gates or of the cell state."""
    row, kind, _ = wrong_engines.FAULTS[fault]
    other_slots = ("g = ", "h = ") if kind == "wrong" else ("f = ", "g = ")
    attributes = [name for name in onnx_model.ATTRIBUTES if not name.startswith(other_slots)]
    return [d for d in designs.alone(attributes) if {*d.rows(onnx_model.LABELS)} <= {row, designs.PLAIN}]


@pytest.mark.parametrize("fault", wrong_engines.FAULTS)
def test_every_fault_of_an_engine_is_named(fault):
    feature, kind, words = wrong_engines.FAULTS[fault]
    judgement = judging.judge_engine(engine_with(fault), chosen(fault))
    row = next(row for row in judgement.rows if row.feature == feature)
    assert row.kind == kind
    assert words in row.sentence
    assert not judgement.is_right


@pytest.mark.thorough
def test_an_engine_without_a_fault_has_none():
    form = onnx_model
    cases = [*designs.alone(form.ATTRIBUTES), *designs.pairs(form.PAIRED), *designs.drawn(form.PAIRED, 100)]
    judgement = judging.judge_engine(engine_with(""), cases)
    assert judgement.is_right, judgement.sentence
    assert {row.kind for row in judgement.rows} == {"right", "refused", "differs"}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("backward output not turned back", "backward direction, step "),
        ("reverse output not turned back", "step 4, sequence 0, unit "),
        ("one bias", "in gate i, f or g: the cell state deviates"),
        ("no tanh of the cell", "in gate o or h: the cell state is right"),
    ],
)
def test_a_fault_has_its_first_direction_step_and_gate(fault, words):
    subject, steps = engine_with(fault), 1 if "gate" in words else 5
    trial = draw(replace(chosen(fault)[-1], num_steps=steps))
    verdict = subject.judge.verdict(trial, subject.process.run(subject.message(trial)), explain=False)
    assert words in verdict.place


@pytest.mark.parametrize(
    ("clip", "fault", "kind", "words"),
    [
        ("", "", "differs", "does not clip the cell state before h"),
        ("gates", "", "right", ""),
        ("all", "", "wrong", "it clips the gates alone"),
        ("", "clips before h, too", "right", ""),
        ("gates", "clips before h, too", "wrong", "also clips the cell state before h"),
        ("all", "clips before h, too", "right", ""),
    ],
)
def test_either_reading_of_clip_can_be_asked_for(clip, fault, kind, words):
    subject = engine_with(fault)
    subject.judge.clip = clip
    trial = draw(Design(frozenset({CLIP})))
    verdict = subject.judge.verdict(trial, subject.process.run(subject.message(trial)))
    assert verdict.kind == kind
    assert words in verdict.sentence


def nan_cases() -> list[Design]:
    both = (frozenset[str](), frozenset({BIDIRECTIONAL}))
    return [d for base in both for d in designs.values(base, every=False) if d.values == "NaN"]


@pytest.mark.parametrize(
    ("fault", "kind"), [("", "right"), ("NaN becomes 0", "differs"), ("NaN spreads over the batch", "wrong")]
)
def test_a_nan_may_become_a_number_but_not_change_other_numbers(fault, kind):
    cases = nan_cases() if kind != "wrong" else nan_cases()[:1]  # a fault is searched for its cause
    (row,) = judging.judge_engine(engine_with(fault), cases).rows
    assert row.kind == kind


def test_an_engine_that_takes_one_sequence_is_judged_on_one():
    cases = [Design(frozenset(names)) for names in ((), {CLIP}, {LENGTHS}, {REVERSE})]
    cases += [design for design in designs.sizes(frozenset(), every=False) if design.feature == designs.BATCHES]
    judgement = judging.judge_engine(engine_with("takes one sequence"), cases)
    assert {row.feature: row.kind for row in judgement.rows} == {
        "plain LSTM": "right",
        "clip": "differs",
        "sequence_lens": "refused",
        "direction = reverse": "right",
        "batches of 1 to 17": "refused",
    }


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.NAME)
def test_every_attribute_changes_its_case_by_more_than_rounding(form):
    for attribute in form.ATTRIBUTES:
        with_it, without = draw(Design(frozenset({attribute}))), draw(Design())
        names = [
            name for name in with_it.truth if with_it.truth[name].shape == without.truth.get(name, np.zeros(0)).shape
        ]
        allowed = rounding_deviations(with_it.case, with_it.truth, names, 2.0**-24, 0)
        changes = [np.abs(with_it.truth[n] - without.truth[n]).max() > 1e3 * allowed[n].max() for n in names]
        assert any(changes) or not names or attribute == designs.BATCH_FIRST, attribute


def test_both_readings_of_clip_differ_in_its_case():
    trial = draw(Design(frozenset({CLIP})))
    assert np.abs(reading_of_specification(trial.case)["y"] - trial.truth["y"]).max() > 0.01


@pytest.mark.parametrize(("clip", "fault"), [("gates", ""), ("all", "clips before h, too")])
def test_the_reader_has_either_reading_of_clip(clip, fault, here):
    trial = draw(Design(frozenset({CLIP, BIDIRECTIONAL})))
    arrays = dict(onnx_model.message(trial).arrays)
    (here / "clipped.onnx").write_bytes(arrays.pop("model").tobytes())
    expected = wrong_engines.run(onnx.load("clipped.onnx"), arrays, fault)["Y"]
    joined, _ = gw.load("clipped.onnx", clip=clip)(arrays["X"])
    np.testing.assert_allclose(joined, np.concatenate([expected[:, 0], expected[:, 1]], axis=-1), atol=1e-6)
    (y, *_), _ = gw.load_network("clipped.onnx", clip=clip)(arrays["X"])
    np.testing.assert_allclose(y, expected, atol=1e-6)


def test_a_reader_takes_no_other_reading_of_clip(here):
    (here / "plain.onnx").write_bytes(onnx_model.message(draw(Design())).arrays["model"].tobytes())
    for clip in ("cell", 3.0):
        with pytest.raises(OptionError, match="clip must be one of gates, all"):
            gw.load("plain.onnx", clip=clip)


def test_verify_finds_a_runtime_that_also_clips_the_input_of_h():
    case = draw(Design(frozenset({CLIP}))).case
    found = gw.verify(case.lstm, case.x, reading_of_specification(case)["y"])
    assert "also clips the cell state before the output" in str(found)


def test_leaving_out_an_attribute_moves_no_other_number():
    for first, second in combinations((CLIP, LENGTHS, designs.INITIAL_H, designs.PEEPHOLES, REVERSE), 2):
        both = draw(Design(frozenset({first, second})))
        one = draw(both.design.without(second))
        assert np.array_equal(both.case.x, one.case.x)
        cells = [trial.case.lstm.layers[0][0].parameters for trial in (both, one)]
        assert np.array_equal(cells[0].weight, cells[1].weight)


def test_the_same_design_gives_the_same_model():
    trials = [draw(Design(frozenset({BIDIRECTIONAL, "h = Relu"}), seed=3)) for _ in range(2)]
    assert len({onnx_model.message(trial).arrays["model"].tobytes() for trial in trials}) == 1


def test_expected_outputs_are_the_truth_in_the_shapes_of_the_operator():
    for attributes in (set(), {designs.BATCH_FIRST}, {BIDIRECTIONAL}, {BIDIRECTIONAL, designs.BATCH_FIRST}):
        trial = draw(Design(frozenset(attributes)))
        claims = onnx_model.claims(trial, scripts.expected_outputs(trial))
        for name, array in claims.items():
            np.testing.assert_allclose(array, trial.truth[name], rtol=1e-6)


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ("raise ValueError('clip is not supported')", "refused", "clip is not supported"),
        ("os._exit(3)", "crashed", "exit code 3"),
        ("os.abort()", "crashed", "SIGABRT"),
        ("time.sleep(60)", "timed out", "no result after"),
        ("return {'Y': np.zeros((1, 2))}", "wrong", "Y has shape (1, 2)"),
        ("return {}", "wrong", "the output Y is missing"),
        ("print('garbage' * 1000); os.write(2, b'more'); raise ValueError('after it')", "refused", "after it"),
        ("return {'Y': np.array(['text'])}", "refused", "not numeric"),
    ],
)
def test_an_engine_that_fails_costs_one_case(body, kind, words, tmp_path):
    adapter = tmp_path / "mine.py"
    adapter.write_text(ADAPTER.format(body=body), encoding="utf-8")
    process = EngineProcess(adapter, limit=0.2 if kind == "timed out" else 30.0)
    try:
        assert process.start() == ""
        trial = draw(Design())
        judge = CaseJudge(onnx_model.claims, "iofg")
        for _ in range(2):  # the second time in a new process, if the first one ended
            verdict = judge.verdict(trial, process.run(onnx_model.message(trial)))
            assert verdict.kind == kind
            assert words in verdict.sentence
    finally:
        process.stop()


@pytest.mark.parametrize("text", ["import no_such_engine", "raise RuntimeError('no licence')"])
def test_an_engine_that_cannot_be_imported_is_one_line(text, tmp_path):
    adapter = tmp_path / "mine.py"
    adapter.write_text(text, encoding="utf-8")
    judgement = judging.judge_engine(subjects.subject_of(str(adapter)), [Design()])
    assert judgement.problem
    assert not judgement.is_right
    assert judgement.sentence.startswith("mine: ")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("given", "written"), [("in.npy", "out.npy"), pytest.param("in.npz", "out.npz", marks=pytest.mark.peers)]
)
def test_a_command_is_judged(given, written):
    script = Path(wrong_engines.__file__)
    command = f"{sys.executable} {script} 'ignores clip' model.onnx {given} {written}"
    smallest = Design(hidden_size=1, input_size=1, num_steps=1, batch_size=1)
    cases = [smallest, replace(smallest, attributes=frozenset({CLIP}))]
    judgement = judging.judge_engine(subjects.subject_of(None, command), cases)
    assert {row.feature: row.kind for row in judgement.rows} == {"plain LSTM": "right", "clip": "ignores"}


def test_a_command_that_writes_all_arrays_is_judged(tmp_path):
    np.savez(tmp_path / "right.npz", **scripts.expected_outputs(draw(Design())))
    copy = f"""sh -c 'test -s "$0" && test -s "$1" && cp {tmp_path}/right.npz "$2"' model.onnx in.npz out.npz"""
    cases = [Design(), Design(frozenset({designs.INITIAL_C}))]
    judgement = judging.judge_engine(subjects.subject_of(None, copy), cases)
    assert {row.feature: row.kind for row in judgement.rows} == {"plain LSTM": "right", "initial_c": "ignores"}


@pytest.mark.parametrize("command", ["./run", "./run model.onnx in.npy", "./run 'model.onnx in.npy out.npy"])
def test_a_command_without_its_files_is_refused(command):
    with pytest.raises(OptionError, match="--command"):
        CommandEngine(command, 1.0)


@pytest.fixture(scope="module")
def reference():
    """The rows of ONNX's reference evaluator."""
    attributes = ("", CLIP, designs.COUPLED, LENGTHS, "f = HardSigmoid", REVERSE)
    cases = [Design(frozenset({name} - {""})) for name in attributes]
    judgement = judging.judge_engine(subjects.subject_of("onnx-reference"), cases)
    return {row.feature: row for row in judgement.rows}


@pytest.mark.thorough
def test_the_reference_evaluator_of_onnx_ignores_four_attributes(reference):
    kinds = {feature: row.kind for feature, row in reference.items()}
    assert [feature for feature, kind in kinds.items() if kind == "right"] == ["plain LSTM", "direction = reverse"]
    assert sorted(kinds.values()) == ["ignores"] * 4 + ["right"] * 2


@pytest.mark.thorough
def test_a_fault_is_shrunk_to_the_smallest_case_and_runs_as_python(reference):
    row = reference["clip"]
    design = row.verdict.design
    assert (design.attributes, design.hidden_size, design.num_steps, design.batch_size) == ({CLIP}, 1, 1, 1)
    done = subprocess.run([sys.executable, "-c", row.script], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(row.script.splitlines()) <= 30
    assert max(map(len, row.script.splitlines())) <= 80
    assert [line.split()[0] for line in lines] == ["Y", "Y_h", "Y_c"]
    for line in lines:
        given, right = line.split(" but it must be ")
        assert abs(np.ravel(json.loads(given.partition(" ")[2])) - np.ravel(json.loads(right))).max() > 0.01


def test_pages_json_and_badges_are_well_formed():
    judgement = judging.judge_engine(engine_with("ignores clip"), chosen("ignores clip"))
    page = outputs.to_html([judgement, judgement], "gatewise judge <wrong>")
    ElementTree.fromstring(page.partition("\n")[2])
    assert "&lt;wrong&gt;" in page
    assert 'http-equiv="Content-Security-Policy"' in page
    data = json.loads(outputs.to_json([judgement]))["judgements"][0]
    clip = next(row for row in data["rows"] if row["feature"] == "clip")
    assert clip["verdict"] == "ignores"
    assert clip["difference"]["allowed"] < 1e-5 < abs(clip["difference"]["engine"] - clip["difference"]["right"])
    badge = ElementTree.fromstring(outputs.to_svg(judgement))
    assert "1/2 right" in "".join(badge.itertext())


def test_saved_cases_are_backend_test_data(tmp_path):
    trials = [draw(Design(frozenset(names))) for names in ((), {REVERSE}, {LENGTHS}, {CLIP})]
    assert scripts.save_cases(tmp_path / "cases", trials) == 3  # clip can be read in two ways
    folders = sorted((tmp_path / "cases").iterdir())
    assert [folder.name for folder in folders] == [
        "test_lstm_0000_plain_lstm",
        "test_lstm_0001_direction_reverse",
        "test_lstm_0002_sequence_lens",
    ]
    for folder in folders:
        model = onnx.load(folder / "model.onnx")
        onnx.checker.check_model(model, full_check=True)
        data = folder / "test_data_set_0"
        inputs, right = {}, []
        for place, value in enumerate(model.graph.input):
            inputs[value.name] = onnx.numpy_helper.to_array(onnx.load_tensor(data / f"input_{place}.pb"))
        for place in range(len(model.graph.output)):
            right.append(onnx.numpy_helper.to_array(onnx.load_tensor(data / f"output_{place}.pb")))
        for given, expected in zip(wrong_engines.run(model, inputs).values(), right, strict=True):
            np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nothing", "there is no engine 'nothing'"),
        ("onnx-reference -o page.txt", "must end in .html, .json or .svg"),
        ("-o page.html", "judge needs an ENGINE"),
        ("onnx-reference openvino -o badge.svg", "a badge is about one engine"),
        ("onnx-reference --random 0", "--random needs a positive number"),
        ("onnx-reference --all --random 3", "--random needs a positive number"),
        ("onnx-reference --limit 0", "--limit must be a positive number"),
        ("onnx-reference missing.onnx", "cannot read missing.onnx"),
        ("pytorch --save cases", "--save writes ONNX models"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(line, words, here, capsys):
    assert exit_code(["judge", *line.split()]) == 2
    text = capsys.readouterr().err
    assert words in text
    assert text.count("\n") == 1


def test_engines_are_listed(capsys):
    assert exit_code(["judge"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in subjects.ENGINES)


def test_the_command_prints_faults_first_in_80_columns(here, capsys):
    assert exit_code(["judge", "onnx-reference", "--random", "5", "-o", "report.json"]) == 1
    text = capsys.readouterr().out
    assert text.startswith("onnx-reference ")
    assert "import numpy" in text
    assert max(map(len, text.splitlines())) <= 80
    assert json.loads((here / "report.json").read_text(encoding="utf-8"))["judgements"][0]["right"] is False


@pytest.mark.thorough
def test_a_model_of_ones_own_is_judged(here, capsys):
    from gatewise.interop import onnx as writer

    for name, clip in (("plain", None), ("clipped", 0.3)):
        writer.write(gw.LSTM(3, 5, rng=0, variant=gw.Variant(gate_clip=clip)), f"{name}.onnx")
    assert exit_code(["judge", "onnx-reference", "plain.onnx", "clipped.onnx", "-o", "report.json"]) == 1
    assert "the runtime does not clip" in capsys.readouterr().out
    (judgement,) = json.loads((here / "report.json").read_text(encoding="utf-8"))["judgements"]
    assert [row["verdict"] for row in judgement["rows"]] == ["right", "wrong"]


@pytest.mark.peers
@pytest.mark.parametrize("engine", ["onnxruntime", "pytorch", "torchscript", "keras-torch"])
def test_no_engine_of_a_framework_is_called_wrong(engine):
    subject = subjects.subject_of(engine)
    cases = [*judging.quick_designs(subject.format), *nan_cases(), *designs.drawn(subject.format.PAIRED, 300)]
    judgement = judging.judge_engine(subject, cases)
    assert judgement.is_right, [row for row in judgement.rows if row.verdict.is_fault]
