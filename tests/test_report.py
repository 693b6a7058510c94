"""A report: what is found stands on the page and in its pictures, whatever the model is, and whatever it is called."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import planted
import pytest
from cases import VARIANTS, parameters, refusal
from matplotlib import pyplot
from program import exit_code, refusal_of

import gatewise as gw
from gatewise.examples import latch
from gatewise.plot.svg import INK
from gatewise.reporting import build, pictures, questions
from gatewise.reporting.questions import QUESTIONS

DAYS = np.datetime64("2001-01-01") + np.arange(12)
HOSTILE = '</svg><script>alert(1)</script> $x^ " \' & id="x" url(#y) \x1b[31m'


def rain(steps=12, batch=None, **labels):
    """Return a network of two bidirectional layers with names and dates, and its input."""
    rng = np.random.default_rng(0)
    lstm = gw.LSTM(2, 3, num_layers=2, bidirectional=True, rng=0, dtype=np.float64)
    network = gw.Network(lstm, head=gw.Linear(rng.normal(size=(2, 6))))
    given = {"features": ["rain", "warmth"], "outputs": ["q", "snow"], "times": DAYS[:steps]} | labels
    shape = (steps, 2) if batch is None else (steps, batch, 2)
    return network, rng.normal(size=shape), gw.Labels(**given, measures={given["outputs"][0]: ("discharge", "mm/d")})


def report(network, x, labels, **options):
    return gw.report(network, x, labels=labels, **options)


def page(found):
    """Return a page as its elements: it is well-formed XML, too."""
    return ElementTree.fromstring(found.html().removeprefix("<!DOCTYPE html>"))


def texts(element):
    return " ".join("".join(element.itertext()).split())


@pytest.fixture
def undrawn(monkeypatch):
    """Leave out the pictures, and nearly all of the search for fixed points: what takes the time."""
    monkeypatch.setattr(questions, "STARTS", 1)
    monkeypatch.setattr(build, "svg", lambda draw, sentence, key, height: f'<svg role="img" aria-label="{key}"/>')


@pytest.fixture(scope="module")
def drawn():
    targets = np.random.default_rng(1).normal(size=(12, 2))
    return report(*rain(), title="rain.onnx", notes=["a note"], at=[4], values=np.arange(12) % 5, targets=targets)


def test_what_is_found_stands_on_the_page_and_is_what_its_picture_says_to_who_cannot_see_it(drawn):
    tree = page(drawn)
    sections, notes = tree.findall(".//section[@class='finding']"), texts(tree.find(".//section[@class='notes']"))
    assert len(drawn.findings) == len(QUESTIONS)
    assert len(sections) == len(drawn.sections)
    for finding, section in zip(drawn.sections, sections, strict=True):
        assert texts(section.find("h2")) == finding.question
        assert texts(section.find("p")) == finding.sentence
        assert finding.sentence.endswith(".")
        assert "\n" not in finding.sentence
        assert finding.topic in notes
        assert finding.meaning in notes
        assert isinstance(finding.answer, gw.insight.Answer)
        assert finding.answer.columns
        (svg,) = (
            section.iter("{http://www.w3.org/2000/svg}svg") if finding.picture is None else [section.find(".//svg")]
        )
        assert (svg.get("role"), svg.get("aria-label")) == ("img", finding.sentence)
    assert "a note" in notes
    assert str(drawn).count("\n  ") >= len(drawn.sections)


def test_questions_that_found_nothing_are_one_line_and_what_cannot_be_asked_is_a_table(drawn):
    assert {*drawn.sections, *drawn.unanswered, *(one for one in drawn.findings if one.nothing)} == {*drawn.findings}
    tree = page(drawn)
    assert drawn.nothing in texts(tree)
    assert drawn.nothing in str(drawn)
    for finding in drawn.findings:
        if finding.nothing:
            assert finding.nothing in drawn.nothing
            assert finding.sentence not in texts(tree)
    kept = gw.report(gw.LSTM(3, 4, rng=0).trace(np.ones((6, 2, 3)), keep=["forget_gate"]), at=[2])
    assert kept.unanswered
    for finding in kept.unanswered:
        assert f"{finding.question}{finding.sentence}" in texts(page(kept))
        assert f"{finding.question} {finding.sentence}" in str(kept)


def test_every_answer_names_its_experiment_or_says_that_it_is_an_inference(drawn, undrawn):
    x = np.random.default_rng(0).normal(size=(60, 2))
    both_ways = gw.LSTM(2, 3, bidirectional=True, rng=0)
    for found in (drawn, gw.report(gw.LSTM(2, 5, rng=0), x), gw.report(both_ways, x[:, None], lengths=[50])):
        for finding in found.findings:
            if finding.answer is not None:
                assert finding.reading[0].startswith(("Tested: ", "Measured: ", "Proved: ", "Inferred: "))
                assert all(sentence.endswith(".") for sentence in finding.reading)


@pytest.mark.thorough
def test_a_headline_says_which_number_it_is_about_and_no_mean_of_what_goes_up_and_down():
    lstm, x = planted.memory("held in c").network.lstm, planted.memory("held in c").x
    for activation, words in (("sigmoid", ", before its sigmoid, is "), ("tanh", ", before its tanh, is ")):
        head = gw.Linear(np.full((1, lstm.hidden_size), 5.0), None, activation)
        whys = [one.headline for one in gw.report(gw.Network(lstm, head=head), x).headlines if "Why" in one.question]
        assert whys
        assert all(words in why for why in whys)
    weight, bias = planted.gate_arrays(1, 1)
    weight[2, 0, 1] = 1e-3
    x = np.random.default_rng(0).choice([-1.0, 1.0], (200, 1))
    x[150] = 0
    net = gw.Network(gw.LSTM.from_cells(gw.Parameters(weight, bias)), head=gw.Linear(np.array([[1000.0]])))
    (why,) = (one.headline for one in gw.report(net, x, at=150).headlines if "Why" in one.question)
    assert "with step 150 exchanged for others, it changes by" in why


@pytest.mark.thorough
def test_no_headline_limits_an_output_to_which_a_skip_connection_adds_its_input():
    network, ceiling = planted.rain_gauge()
    rain = np.random.default_rng(0).gamma(0.3, 1, (200, 1))
    storm = np.concatenate([rain, np.full((20, 1), 100.0)])  # which comes near the ceiling
    for x, skip, expected in ((storm, 0, True), (storm, 1, False), (rain, 0, False)):
        headlines = [finding.headline for finding in gw.report(network.replace(skip=skip), x).headlines]
        words = f"cannot bring its output above {ceiling:.4g}"
        assert any(words in headline for headline in headlines) == expected, (len(x), skip)


def test_headlines_sum_up_findings_and_no_sentence_stands_twice(drawn):
    links = page(drawn).findall(".//nav//a")
    keys = {section.get("aria-labelledby") for section in page(drawn).findall(".//section")}
    assert len(links) == len(drawn.headlines) <= 5
    assert {link.get("href").removeprefix("#") for link in links} <= keys
    for finding in drawn.headlines:
        assert finding.reading[0].startswith(("Tested: ", "Measured: ", "Proved: "))
        assert finding.headline in texts(page(drawn).find(".//nav"))
    lines = [line.strip() for line in str(drawn).splitlines() if line.strip()]
    assert len({*lines}) == len(lines)


def test_a_page_asks_for_nothing_and_has_no_id_twice(drawn):
    text = drawn.html()
    ids = re.findall(r' id="([^"]*)"', text)
    assert len(set(ids)) == len(ids)
    for name in re.findall(r'(?:href="#|url\(#|labelledby=")([^)"]+)', text):
        assert name in ids
    assert not re.findall(r'(?:src|href)="(?!#|data:image/png;base64,)', text)
    assert "<script" not in text
    assert "http" not in re.sub(r'xmlns[:\w]*="[^"]*"|http-equiv', "", text)
    assert INK not in text
    assert "font-family: '" not in text


def test_a_notebook_shows_a_report_whose_ids_are_its_own(drawn):
    other = replace(drawn, title="another")
    both = [set(re.findall(r' id="([^"]*)"', one._repr_html_())) for one in (drawn, other)]
    assert both[0]
    assert both[1]
    assert not both[0] & both[1]
    assert pyplot.get_fignums() == []  # no figure of the reader's session was touched


def test_a_picture_has_the_same_bytes_every_time():
    def draw(figure):
        gw.plot.gates(gw.LSTM(2, 3, rng=0).trace(np.ones((4, 2)))[0], ax=figure)

    assert pictures.svg(draw, "a", "p", 2.0) == pictures.svg(draw, "a", "p", 2.0)


def test_names_that_would_be_markup_are_text(monkeypatch):
    monkeypatch.setattr(build, "QUESTIONS", QUESTIONS[:1])
    labels = {"features": [HOSTILE, "b"], "outputs": [HOSTILE, "c"], "times": [f"{n} {HOSTILE}" for n in range(3)]}
    found = report(*rain(3, **labels), title=HOSTILE, notes=[HOSTILE], at=[1])
    tree = page(found)
    assert not list(tree.iter("script"))
    assert "\x1b" not in found.html()
    assert "</svg><script>alert(1)</script>" in texts(tree.find(".//h1"))
    assert "</svg><script>a" in texts(ElementTree.fromstring(found.findings[0].picture))


@pytest.mark.parametrize("name", VARIANTS)
def test_what_a_variant_cannot_be_asked_is_said_in_place(name, undrawn):
    cell = parameters(VARIANTS[name], np.random.default_rng(0))
    x = np.random.default_rng(1).normal(size=(5, 3))
    lstm = gw.LSTM.from_cells(cell)
    found = gw.report(lstm, x, at=[2], values=x[:, 0], targets=lstm(x)[0] + 1)
    assert len(found.findings) == len(QUESTIONS)
    said = texts(page(found))
    for one in found.findings:
        assert (one.nothing or one.sentence) in said


def test_a_trace_that_kept_less_is_reported_on_as_far_as_it_goes(undrawn):
    trace = gw.LSTM(3, 4, rng=0).trace(np.ones((6, 2, 3)), keep=["forget_gate"])
    found = {one.question: one for one in gw.report(trace, at=[2]).findings}
    assert found["How fast does each cell state decay?"].answer is not None
    assert "did not keep" in found["Is any gate stuck?"].sentence


@pytest.mark.thorough
def test_what_checks_found_stands_below_a_finding_in_small():
    found = gw.report(gw.LSTM(2, 3, rng=0), np.random.default_rng(0).normal(size=(40, 2)))
    (horizon,) = (finding for finding in found.findings if finding.question.startswith("How long does a change"))
    assert horizon.reading[0].startswith("Tested: ")
    assert horizon.reading[0] not in horizon.sentence
    assert f"\n    {horizon.reading[0]}\n" in str(found)
    small = [texts(element) for element in page(found).findall(".//p[@class='reading']")]
    assert " ".join([*horizon.reading, horizon.checks]) in small
    assert horizon.checks.startswith("Repeated: three seeds agree; even and odd ")


@pytest.mark.thorough
def test_a_batch_is_summarised_or_one_of_its_sequences_is_named(undrawn):
    network, x, labels = rain(batch=3, sequences=["Isar", "Lech", "Inn"])
    y = network(x)[0]
    whole, one = (report(network, x, labels, target="q", sequence=name) for name in (None, "Lech"))
    deviation = np.abs(y - y.mean(0))[3:9, :, 0]  # a quarter is left out in each direction
    at = np.unravel_index(deviation.argmax(), deviation.shape)
    assert f"on {DAYS[3 + at[0]]}" in whole.lead
    assert f"of sequence {['Isar', 'Lech', 'Inn'][at[1]]}, where it is furthest from its mean" in whole.lead
    alone = report(network, x[:, 1], labels.replace(sequences=None), target="q")
    for finding, other in zip(one.findings[1:], alone.findings[1:], strict=True):
        if finding.question.startswith(("Is any", "How long", "Which units", "Who")):
            assert finding.sentence.replace(" of Lech", "") == other.sentence
    assert [len(one.others) for one in whole.findings].count(3) >= 4  # of each other cell a sentence


@pytest.mark.thorough
def test_steps_are_named_by_number_or_time_or_are_events(undrawn):
    network, x, labels = rain()
    y = network(x)[0]
    for at, expected in (([3, -1], [3, 11]), ("2001-01-05", [4]), (["7"], [7])):
        found = report(network, x, labels, at=at, target=1)
        assert re.findall(r"\d{4}-\d\d-\d\d", found.lead) == [str(DAYS[t]) for t in expected]
    first = re.findall(r"\d{4}-\d\d-\d\d", report(network, x, labels).lead)[0]
    deviation = np.abs(y - y.mean(0))[3:9]
    assert first == str(DAYS[3 + np.unravel_index(deviation.argmax(), deviation.shape)[0]])


def test_a_network_that_reads_the_end_is_asked_about_it(undrawn):
    lstm = gw.LSTM(2, 3, rng=0)
    network = gw.Network(
        lstm, embedding=np.eye(5, 2), head=gw.Linear(np.eye(2, 3, dtype=np.float32), None, "softmax"), reads="last"
    )
    for tokens in (np.array([0, 3, 1]), np.array([[0, 2], [3, 1], [1, 4]])):
        found = gw.report(network, tokens)
        assert all(one.answer is not None for one in found.findings)
        assert "Why this output at the end?" in [one.question for one in found.findings]
    with pytest.raises(gw.OptionError, match="Leave out at"):
        gw.report(network, tokens, at=1)


def test_what_cannot_be_reported_on_is_refused_in_a_sentence():
    network, x, labels = rain()
    lstm, trace = network.lstm, network.lstm.trace(x)
    bad = x.copy()
    bad[4, 1] = np.nan
    for call, words in (
        (lambda: gw.report("model.onnx"), "no such file"),
        (lambda: gw.report(lstm), "needs x"),
        (lambda: gw.report(lstm, trace), "x must be numbers, not a LSTMTrace"),
        (lambda: gw.report(trace, x), "Leave out x"),
        (lambda: gw.report(network, bad), "but the input of the run at step 4 of sequence 0 is not"),
        (lambda: gw.report(network, x[:0]), "needs a step"),
        (lambda: gw.report(network, x[:, None], lengths=[0]), "needs a valid step"),
        (lambda: gw.report(network, x[:, :1]), "x has shape"),
        (lambda: report(network, x, labels, target="p"), "no output 'p'; this run has 'q', 'snow'"),
        (lambda: report(network, x, labels, target=2), "no output 2; this run has outputs 0 to 1"),
        (lambda: report(network, x, labels, at=12), "no step 12"),
        (lambda: report(network, x, labels, at="2002-01-01"), "no step '2002-01-01'"),
        (lambda: report(network, x, labels, at=[]), "one or more steps"),
        (lambda: report(network, x, labels, at=[None]), "must be numbers or times of steps"),
        (lambda: gw.report(network, x[:, None], lengths=[5], at=7), "step 7 of sequence 0 is not valid"),
        (lambda: report(network, x, labels, sequence=1), "no sequence 1"),
    ):
        with refusal(words, by=gw.GatewiseError):
            call()


# At the command line.


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cell, x, *_ = latch()
    gw.save(gw.LSTM.from_cells(cell), "latch.safetensors")
    np.savetxt("x.csv", x, delimiter=",", header="write,erase,read"[: 6 * x.shape[1]].rstrip(","), comments="")
    return x


def test_the_program_writes_the_page_or_says_what_is_found(here, undrawn, capsys):
    assert exit_code(["report", "latch.safetensors", "x.csv", "-o", "out.html", "--at", "2"]) == 0
    assert "out.html: " in capsys.readouterr().out
    assert "latch.safetensors on x.csv" in Path("out.html").read_text(encoding="utf-8")
    assert exit_code(["report", "latch.safetensors", "x.csv"]) == 0
    said = capsys.readouterr().out
    assert "How fast does each cell state decay?\n  The cell state of the one unit decays" in said


def test_an_interrupt_leaves_no_page_behind(here, undrawn, monkeypatch):
    Path("out.html").write_text("before")

    def interrupted(*given, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "report", interrupted)
    before = sorted(Path().iterdir())
    assert exit_code(["report", "latch.safetensors", "x.csv", "-o", "out.html"]) == 130
    assert sorted(Path().iterdir()) == before
    assert Path("out.html").read_text() == "before"


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (["latch.safetensors"], "Give the file of its input"),
        (["latch.safetensors", "x.csv", "-o", "out.pdf"], "must end in .html"),
        (["latch.safetensors", "x.csv", "-o", "no/out.html"], "No such file"),
        (["latch.safetensors", "x.csv", "--at", "99"], "no step 99"),
        (["latch.safetensors", "x.csv", "--target", "q"], "no output 'q'"),
        (["latch.safetensors", "nothing.csv"], "no such file"),
    ],
)
def test_the_program_refuses_in_a_sentence(here, tokens, words, capsys):
    assert words in refusal_of(capsys, "report", *tokens)


def test_without_matplotlib_the_sentences_are_there_and_the_page_says_what_it_needs(monkeypatch, tmp_path, capsys):
    found = report(*rain())
    sentences = [str(finding) for finding in found.findings]
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    again = report(*rain())
    assert [str(finding) for finding in again.findings] == sentences
    with pytest.raises(gw.MissingExtraError, match=r"pip install '.\[plot\]'"):
        again.save(tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []
    gw.save(gw.LSTM(2, 3, rng=0), tmp_path / "m.safetensors")
    np.save(tmp_path / "x.npy", np.ones((9, 2)))
    files = [str(tmp_path / name) for name in ("m.safetensors", "x.npy")]
    assert exit_code(["report", *files]) == 0
    assert exit_code(["report", *files, "-o", str(tmp_path / "report.html")]) == 2
    assert "pictures need matplotlib" in capsys.readouterr().err


@pytest.mark.peers
def test_a_legend_of_several_lines_leaves_a_picture_its_room():
    """Features in ranges of their own, which the legend tells: matplotlib would warn of axes without a height."""
    rng = np.random.default_rng(0)
    features = [f"a_feature_with_a_name_{n}" for n in range(5)]
    scaling = gw.Scaling(np.zeros(5), [1e-6, 1, 300, 1e4, 1])
    head = gw.Linear(rng.normal(size=(1, 3)).astype(np.float32))
    names = gw.Labels(features=features, outputs=["q"])
    network = gw.Network(gw.LSTM(5, 3, rng=0), head=head, inputs=scaling, labels=names)
    x = rng.uniform(0.5, 1.0, (12, 5)) * scaling.scale
    times = gw.Labels(times=[f"the step of number {n}" for n in range(12)])
    page = gw.report(network, x, labels=times, at=3)._repr_html_()
    assert all(name in page for name in features)


def test_the_step_that_wrote_most_of_a_cell_state_is_tested_by_its_exchange():
    x = np.random.default_rng(0).normal(size=(40, 2))
    found = {each.topic: each for each in gw.report(gw.LSTM(2, 3, rng=0, dtype=float), x, at=30).findings}
    wrote, why = found["Who wrote the cell state?"], found["Why this output?"].answer
    step = int(np.argmax(wrote.answer.shares[0].sum(-1)))
    assert f"written at step {step}" in wrote.sentence
    assert wrote.reading[-1] == why.test_of(step, why.target)
    assert wrote.reading[-1].startswith(f"Tested: with that step exchanged {why.target} is ")
    backward = gw.report(gw.LSTM(2, 3, rng=0, direction="backward"), x, at=30).findings
    assert all(len(each.reading) == 1 for each in backward if each.topic == wrote.topic)


def test_an_output_that_never_changes_meets_no_ceiling():
    network = gw.Network(gw.LSTM(2, 3, rng=0), head=gw.Linear(np.zeros((1, 3), np.float32), np.ones(1, np.float32)))
    page = str(gw.report(network, np.random.default_rng(0).normal(size=(40, 2))))
    assert "cannot bring" not in page.partition("What is in it")[0]


def test_a_report_on_one_step_says_that_inputs_have_no_others_to_be_exchanged_with():
    page = str(gw.report(gw.LSTM(2, 3, rng=0), np.ones((1, 2))))
    assert "never change" not in page
    assert "a run of one step has no other step to exchange its inputs with" in page.lower()
