"""What holds of every question: its answer as a table, runs on file, names, odd runs, and what each run must keep."""

from __future__ import annotations

import csv
import sys
from functools import partial

import numpy as np
import pytest
from cases import DIRECTIONS, one_sentence, refusal, run_of

import gatewise as gw
from gatewise import insight

X = np.random.default_rng(0).normal(size=(20, 2))
LSTM = gw.LSTM(2, 3, rng=0, dtype=np.float64)
QUESTIONS = {
    "saturation": insight.saturation,
    "activity": insight.activity,
    "timescales": insight.timescales,
    "contributions": insight.contributions,
    "attention": insight.attention,
    "horizon": insight.horizon,
    "influence": insight.influence,
    "attribution": insight.attribution,
    "occlusion": insight.occlusion,
    "decomposition": lambda trace: insight.decomposition(trace, 0, 2),
    "word_scores": insight.word_scores,
    "matches": lambda trace: insight.matches(trace, 0, 2, threshold=-5),
    "probe": lambda trace: insight.probe(trace, np.arange(getattr(trace, "num_steps", 4)) % 5),
}
WHOLE = {
    "ceiling": insight.ceiling,
    "change": lambda trace: insight.change(trace, trace),
    "target": insight.target,
}
UNMASKED = ("attention", "contributions", "change")  # which take a step that is not valid for one without an effect
OF_A_CELL = ("saturation", "activity", "timescales", "contributions", "attention", "matches", "probe")


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_is_a_sentence_and_a_table_of_a_trace_in_memory_or_on_file(name, tmp_path):
    answer = QUESTIONS[name](LSTM.trace(X))
    there = QUESTIONS[name](LSTM.trace(X, out=tmp_path / "trace"))
    assert there.to_csv() == answer.to_csv() == QUESTIONS[name](gw.Network(LSTM).trace(X)).to_csv()
    assert str(there) == str(answer)
    assert str(answer).endswith(".")
    assert "\n" not in str(answer)
    frame = answer.to_dataframe()
    assert list(frame.columns) == list(answer.columns)
    head, *rows = csv.reader(answer.to_csv().splitlines())
    assert head == list(answer.columns)
    assert len(rows) == len(frame)
    for column, name in enumerate(head):
        if answer.columns[name].dtype.kind == "f":
            np.testing.assert_array_equal([float(row[column]) for row in rows], answer.columns[name])
    assert type(answer).__name__ in repr(answer)


@pytest.mark.parametrize("name", [*QUESTIONS, *WHOLE])
def test_a_question_is_asked_of_a_run_that_kept_what_it_needs(name):
    ask, x = (QUESTIONS | WHOLE)[name], np.ones((4, 2))
    if name != "change":
        with pytest.raises(gw.NotKeptError):
            ask(LSTM.trace(x, keep="candidate"))
    given = [(LSTM[0], "LSTMCell"), (LSTM.trace(x[:0]), "step")]
    if name in OF_A_CELL:
        given.append((gw.LSTM(2, 3, num_layers=2, rng=0).trace(x), "2 cells"))
    if name not in UNMASKED:
        given.append((LSTM.trace(np.ones((4, 2, 2)), lengths=[0, 0]), "valid"))
    for subject, words in given:
        with refusal(words, by=gw.OptionError):
            ask(subject)


def still(bias=0.0):
    """Return the trace of a cell of three equal units whose forget gates have a bias and whose states stay at 0."""
    weight, biases = np.zeros((4, 3, 5)), np.zeros((4, 3))
    biases[1] = bias
    return gw.LSTM.from_cells(gw.Parameters(weight, biases)).trace(X)


PIECES = {  # the numbers of a piece, by the module that reads a run in pieces
    "activity": ("CHUNK", 40),
    "backward_pass": ("NUMBERS", 40),
    "integrated": ("NUMBERS", 40),
    "jacobians": ("NUMBERS", 50),
    "matches": ("NUMBERS", 40),
    "phrases": ("NUMBERS", 40),
    "retention": ("PIECE", 30),
    "ridge": ("ROWS", 16),
}
DEEP = gw.LSTM(2, 3, num_layers=2, bidirectional=True, merge=["sum", "mul"], rng=0, dtype=np.float64)
METHODS = {
    f"attribution by {name}": partial(
        insight.attribution, method=name, **({"points": 4} if "points" in options else {})
    )
    for name, (*_, options) in sys.modules["gatewise.insight.attribution"].METHODS.items()
}


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", [*(name for name in QUESTIONS if name != "attribution"), *METHODS, "ceiling"])
def test_a_run_in_pieces_is_answered_as_the_whole(name, direction, monkeypatch):
    ask = (QUESTIONS | METHODS | WHOLE)[name]
    valid = "lengths" if name == "matches" else "mask"
    run = run_of("plain", direction=direction, valid=valid, dropout=name in OF_A_CELL, time=11)
    subjects = [run.trace(), *([] if name in (*OF_A_CELL, "word_scores") else [DEEP.trace(run.x, mask=run.valid)])]
    wholes = [ask(subject) for subject in subjects]
    for module, (limit, numbers) in PIECES.items():
        monkeypatch.setattr(sys.modules[f"gatewise.insight.{module}"], limit, numbers)
    monkeypatch.setattr("gatewise.insight.jacobians.BETWEEN", 200)
    for subject, whole in zip(subjects, wholes, strict=True):
        answer = ask(subject)
        for column, values in whole.columns.items():
            if values.dtype.kind == "f":
                np.testing.assert_allclose(answer.columns[column], values, rtol=1e-12, atol=1e-14, err_msg=column)
            else:
                assert answer.columns[column].tolist() == values.tolist()
        assert str(answer) == str(whole)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_run_with_nan_gets_one_sentence(name):
    spoiled = np.where(np.arange(20)[:, None] == 1, np.nan, X)
    with pytest.raises(gw.GatewiseError) as problem:
        QUESTIONS[name](LSTM.trace(spoiled)[0])
    one_sentence(problem.value)
    assert any(word in str(problem.value) for word in ("NaN", "nan", "finite"))


@pytest.mark.parametrize("name", [*QUESTIONS, *WHOLE])
def test_a_run_of_no_sequences_gets_one_sentence(name):
    with refusal(by=gw.GatewiseError):
        (QUESTIONS | WHOLE)[name](LSTM.trace(np.zeros((5, 0, 2))))


def test_without_pandas_one_sentence_says_how_to_get_it(monkeypatch):
    answer = insight.timescales(LSTM.trace(X))
    monkeypatch.setitem(sys.modules, "pandas", None)
    with refusal("pandas", "pip install", by=gw.MissingExtraError):
        answer.to_dataframe()


def test_equal_units_are_not_told_apart():
    trace = still()[0]
    assert (
        str(insight.timescales(trace))
        == "The cell state of each of the 3 units decays with a timescale of 1.4 steps along the cell."
    )
    assert str(insight.activity(trace)) == "The hidden state of each of the 3 units has a standard deviation of 0."
    assert (
        str(insight.timescales(still(bias=800)[0]))
        == "The cell state of each of the 3 units never decays along the cell."
    )
    mixed = str(insight.timescales(still(bias=np.array([800, 800, 0]))[0]))
    assert mixed.startswith("At least half of the 3 units forget nothing along the cell; unit 0 never decays, and")


def test_an_output_of_zero_is_nobodys():
    trace = still()
    assert str(insight.word_scores(trace)).endswith("is 0; no cell state moved it.")
    said = str(insight.attribution(trace))
    assert said.endswith("no input has a share in it, and the initial state's is 0; the output at the baseline is 0.")


def test_steps_with_names_are_called_the_step_at_a_name():
    labels = gw.Labels(times=[f"{t * 0.032:.6g} s" for t in range(20)])
    trace = LSTM.trace(X, labels=labels)
    for ask in (insight.attribution, insight.word_scores):
        assert str(ask(trace)).startswith("Output 0 at 0.608 s is "), ask
    assert "is that of the input at 0.608 s, and" in str(insight.attribution(trace, method="lrp"))
    assert "comes from 0 s to 0.032 s alone" in str(insight.decomposition(trace, 0, 2))
    assert str(insight.attention(trace[0])).endswith("was written at 0.608 s.")


def test_sequences_and_steps_are_called_by_their_names_in_every_question():
    x = np.random.default_rng(1).normal(size=(20, 3, 2))
    days = np.datetime64("2001-01-01") + np.arange(20)
    labels = gw.Labels(times=days, sequences=["north", "south", "east"], units=["a", "b", "c"])
    trace = LSTM.trace(x, labels=labels)
    for question in (lambda **at: insight.contributions(trace[0], **at), lambda **at: insight.influence(trace, **at)):
        assert question(t="2001-01-04").to_csv() == question(t=3).to_csv()
    assert "on 2001-01-04 of south" in str(insight.influence(trace, "2001-01-04", "south"))
    with refusal("no step '2002-01-01'; this trace has 2001-01-01 to 2001-01-20", by=gw.OptionError):
        insight.target(trace, t="2002-01-01")
    for ask, name in (
        (lambda given: insight.influence(trace, sequence=given), "inputs"),
        (lambda given: insight.influence(trace[0], sequence=given), "inputs"),
        (lambda given: insight.attribution(trace, sequence=given), "scores"),
        (lambda given: insight.word_scores(trace, sequence=given), "beta"),
        (lambda given: insight.matches(trace[0], 0, 2, threshold=-5, sequence=given), "places"),
        (lambda given: insight.probe(trace[0], np.arange(20) % 5, sequence=given, draws=3), "predicted"),
    ):
        np.testing.assert_array_equal(getattr(ask("south"), name), getattr(ask(1), name))
        with refusal("west", "north", by=gw.OptionError):
            ask("west")
    assert insight.change(trace, trace, sequence="south", unit="b").name == "unit b, south"


def test_no_option_takes_memory_that_is_not_there():
    for ask in (
        lambda: insight.attribution(LSTM.trace(X), points=10**8),
        lambda: insight.fixed_points(LSTM, starts=10**12),
        lambda: insight.probe(LSTM.trace(X)[0], X[:, 0], draws=10**12, shift="apart"),
    ):
        with refusal(by=gw.CapacityError):
            ask()


def test_a_block_is_no_longer_than_the_window():
    assert str(insight.attention(LSTM.trace(X)[0], every=10**9)).endswith(
        "was written in the block of 20 steps that ends at step 19."
    )


def test_runs_that_differ_in_their_heads_alone_are_not_the_same():
    heads = [gw.Linear(np.full((1, 3), weight)) for weight in (1.0, 2.0)]
    before, after = (gw.Network(LSTM, head=head).trace(X) for head in heads)
    assert "at the end the output differs by up to" in str(insight.change(before, after))


def test_a_share_is_no_truth_value():
    with pytest.raises(gw.OptionError, match="share must be"):
        insight.influence(LSTM.trace(X)[0], share=True)
    with pytest.raises(gw.OptionError, match="penalty must be"):
        insight.probe(LSTM.trace(X)[0], X[:, 0], penalty=True)


def test_which_units_move_needs_no_more_than_the_hidden_state():
    found = insight.activity(LSTM.trace(X, keep="hidden_state")[0])
    np.testing.assert_array_equal(found.deviation, insight.activity(LSTM.trace(X)[0]).deviation)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"at": 1.5}, "step 1.5"), ({"title": 3}, "title must be"), ({"notes": "one"}, "notes must be")],
)
def test_a_report_refuses_what_it_cannot_read_in_one_sentence(options, says):
    with refusal(says, by=gw.OptionError):
        gw.report(LSTM, X, **options)


def test_a_sentence_stays_one_line_whatever_names_are_in_it():
    labels = gw.Labels(units=["\x1b[31m a", "b\nb", *"cdefgh"][: LSTM[0].hidden_size])
    trace = LSTM.trace(X, labels=labels)
    for ask in (insight.timescales, insight.activity, insight.saturation):
        assert str(ask(trace[0])).isprintable(), ask


SMALL = {np.float64: (1e-310, 1e-300, 1e-160), np.float32: (1e-45, 1e-38, 1e-20)}


@pytest.mark.parametrize("dtype", SMALL)
@pytest.mark.parametrize("name", [name for name in (*QUESTIONS, *METHODS, "ceiling") if name != "probe"])
def test_a_law_of_numbers_too_small_for_their_precision_has_no_large_error(name, dtype):
    rng, x = np.random.default_rng(1), X.astype(dtype)
    for small in SMALL[dtype]:
        weight, head = rng.normal(size=(4, 3, 5)), gw.Linear(np.full((1, 3), small, dtype))
        tiny = gw.Parameters((weight * small).astype(dtype), np.zeros((4, 3), dtype))
        weight[2] *= small
        quiet = gw.Parameters(weight.astype(dtype), np.zeros((4, 3), dtype))
        for p in (tiny, quiet):
            for engine in ("auto", "reference"):
                trace = gw.Network(gw.LSTM.from_cells(p), head=head).trace(x, engine=engine)
                try:
                    answer = (QUESTIONS | METHODS | WHOLE)[name](trace.lstm[0] if name in OF_A_CELL else trace)
                except gw.OptionError:
                    continue
                assert not answer.law or 0 <= answer.residual < (1e-9 if dtype == np.float64 else 1e-5), (p, engine)
