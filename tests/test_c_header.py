"""A network as a header of C: what it says of itself, and what is refused. tests/peers compiles and runs it."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from c_headers import network_of, subjects
from json_documents import cells_of, head_of, rtneural
from program import exit_code, output_of, refusal_of

import gatewise as gw
from gatewise.errors import FileError, OptionError
from gatewise.interop import torch

SUBJECTS = subjects()


@pytest.mark.parametrize("number", range(0, len(SUBJECTS), 5))
def test_a_header_is_ascii_the_same_each_time_and_takes_nothing_from_the_system(number, tmp_path):
    network = network_of(SUBJECTS[number], seed=number)
    headers = [gw.write_c(network, tmp_path / name, name="net", rest="none").text for name in ("a.h", "b.h")]
    assert headers[0] == headers[1] == (tmp_path / "a.h").read_text(encoding="ascii")
    code = re.sub(r"/\*.*?\*/", "", headers[0], flags=re.S)
    assert not re.search(r"\b(malloc|calloc|free|double|static float|lock)\b", code)
    standard = {"<math.h>", "<stddef.h>", "<stdint.h>", "<string.h>"}
    assert set(re.findall(r"#include (\S+)", code)) == standard | {"<immintrin.h>"}  # the compiler's own, for vectors
    assert max(map(len, headers[0].partition("*/")[0].splitlines())) <= 114


def test_tables_and_state_take_as_many_bytes_as_the_header_says(tmp_path):
    network = gw.Network(gw.LSTM(2, 20, num_layers=2, rng=0), head=gw.Linear(np.ones((1, 20), np.float32)))
    header = gw.write_c(network, tmp_path / "n.h", rest="none")
    assert header.flash == 4 * network.num_parameters
    declared = sum(int(n) for n in re.findall(r"static const float n_(?!test)\w+\[(\d+)\]", header.text))
    work = re.search(r"typedef struct n_work \{(.*?)\}", header.text, re.S)[1]
    assert declared == network.num_parameters
    assert header.ram == 4 * (4 * 20 + sum(map(int, re.findall(r"\[(\d+)\]", work))))


def test_the_state_at_rest_is_where_silence_leads(tmp_path):
    network = gw.Network(gw.LSTM(2, 6, num_layers=2, rng=3, dtype=np.float64))
    header = gw.write_c(network, tmp_path / "n.h", rest=[0.5, -1])
    state = network.trace(np.tile([0.5, -1.0], (3000, 1))).state
    reached = np.concatenate([array for layer in state for s in layer for array in (s.h, s.c)])
    np.testing.assert_allclose(header.rest, reached, atol=1e-9)
    assert "#define N_HAS_REST 1" in header.text
    assert header.sentences[0].startswith("State at rest: ")


def counter():
    """Return an LSTM whose cell state grows at every step of silence, without end."""
    lstm = gw.LSTM(1, 1, rng=0)
    bias = np.array([[9.0], [30.0], [9.0], [0.0]], np.float32)
    p = lstm.layers[0][0].parameters
    return gw.LSTM.from_cells(gw.Parameters(weight=p.weight * 0, bias=bias))


@pytest.mark.thorough
def test_a_network_that_never_rests_has_no_state_at_rest(tmp_path):
    header = gw.write_c(counter(), tmp_path / "n.h")
    assert header.rest is None
    assert "n_rest" not in header.text
    assert "#define N_HAS_REST 0" in header.text
    assert "moves on after 20,000 steps" in header.sentences[0]


def test_names_from_a_file_cannot_end_the_comment(tmp_path):
    labels = gw.Labels(features=["*/ #error é"], outputs=["a\nb"])
    network = gw.Network(gw.LSTM(1, 1, rng=0), labels=labels)
    header = gw.write_c(network, tmp_path / "é 1.h")
    comment, _, code = header.text.partition(" */\n")
    assert header.name == "model"
    assert "#error" in comment
    assert "#error" not in code
    assert "a b" in comment


WRONG = {
    "two directions": (gw.LSTM(1, 2, bidirectional=True, rng=0), {}, "backward in time"),
    "backward": (gw.LSTM.from_cells(gw.LSTM(1, 2, rng=0).layers[0][0], direction="backward"), {}, "backward in time"),
    "no model": (3, {}, "not int"),
    "a name": (gw.LSTM(1, 2, rng=0), {"name": "2x"}, "name must be a letter"),
    "a long name": (gw.LSTM(1, 2, rng=0), {"name": "x" * 41}, "40 at most"),
    "a word": (gw.LSTM(1, 2, rng=0), {"rest": "loud"}, "rest must be 'silence', 'none' or an array"),
    "a shape": (gw.LSTM(1, 2, rng=0), {"rest": [1.0, 2.0]}, "shape (2,); it must be (1,)"),
    "NaN": (gw.LSTM(1, 2, rng=0), {"rest": [np.nan]}, "must be finite"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_a_header_cannot_be_is_refused_by_name(what, tmp_path):
    model, options, words = WRONG[what]
    with pytest.raises(OptionError, match=re.escape(words)):
        gw.write_c(model, tmp_path / "n.h", **options)
    assert not list(tmp_path.iterdir())


def test_numbers_that_c_cannot_hold_are_refused(tmp_path):
    weight = np.full((1, 2), 1e300)
    network = gw.Network(gw.LSTM(1, 2, rng=0, dtype=np.float64), head=gw.Linear(weight))
    with pytest.raises(OptionError, match="beyond float32"):
        gw.write_c(network, tmp_path / "n.h")
    with pytest.raises(FileError, match="no-folder"):
        gw.write_c(gw.LSTM(1, 1, rng=0), tmp_path / "no-folder" / "n.h")


def test_the_command_writes_the_header_of_a_file(here, capsys):
    network = gw.Network(gw.LSTM(1, 4, rng=0), head=gw.Linear(np.ones((1, 4), np.float32)), skip=1)
    gw.save(network, "amp.safetensors")
    np.savetxt("silence.csv", [[0.25]])
    np.savetxt("two.csv", [[0.25], [0.5]])
    shown = output_of(capsys, "export", "amp.safetensors", "-o", "amp.h")
    assert "amp_step" in shown
    assert "State at rest" in shown
    digest = re.search(r"[0-9a-f]{64}", (here / "amp.h").read_text())
    assert digest is not None
    assert "amp.safetensors" in (here / "amp.h").read_text()
    output_of(capsys, "export", "amp.safetensors", "-o", "b.hpp", "--name", "drive", "--rest", "silence.csv")
    assert "drive_rest" in (here / "b.hpp").read_text()
    refusals = {
        ("-o", "amp.c"): "must end in .h or .hpp",
        ("-o", "c.h", "--rest", "two.csv"): "two.csv has 2 steps",
        ("-o", "c.h", "--rest", "loud"): "--rest must be silence, none, or a file",
        ("-o", "c.h", "--name", "a-b"): "name must be a letter",
        ("-o", "c.h", "--lstm", "nobody"): "nobody",
    }
    for tokens, words in refusals.items():
        assert words in refusal_of(capsys, "export", "amp.safetensors", *tokens)
    assert not (here / "c.h").exists()


def test_the_command_leaves_no_layer_out_in_silence(here, capsys):
    safetensors = pytest.importorskip("safetensors.numpy")
    lstm = gw.LSTM(2, 8, rng=0)
    tensors = {f"lstm.{name}": array for name, array in torch.state_dict(lstm).items()}
    head = {"head.weight": np.ones((1, 8), np.float32), "head.bias": np.ones(1, np.float32)}
    norm = {"norm.weight": np.ones(8, np.float32), "norm.bias": np.ones(8, np.float32)}
    safetensors.save_file(tensors | head | norm, "all.safetensors")
    safetensors.save_file(tensors | head, "head.safetensors")
    assert "--head head or --head none" in refusal_of(capsys, "export", "all.safetensors", "-o", "a.h")
    assert not (here / "a.h").exists()

    def said(*tokens):
        assert exit_code(["export", *tokens, "-o", "a.h", "--rest", "none"]) == 0
        printed = capsys.readouterr()
        return printed.err, int(re.search(r"A_OUTPUTS (\d+)", (here / "a.h").read_text())[1])

    for tokens, words, outputs in (
        (["all.safetensors", "--head", "head"], ["norm.weight"], 1),
        (["all.safetensors", "--head", "none"], ["norm.weight"], 8),
        (["all.safetensors", "--lstm", "lstm"], ["norm.weight", "it leaves out 'head' (linear layer)"], 8),
        (["head.safetensors"], ["'head' as the head is inferred"], 1),
        (["head.safetensors", "--head", "head", "--reads", "last"], [], 1),
    ):
        notes, written = said(*tokens)
        assert all(word in notes for word in words), notes
        assert written == outputs


def test_the_command_writes_both_lstms_of_an_rtneural_model(here, capsys):
    (here / "two.json").write_text(json.dumps(rtneural(cells_of(1, 4, 3), head_of(3, 1))))
    assert exit_code(["export", "two.json", "-o", "a.h", "--rest", "none"]) == 0
    assert "#define A_STATES 14" in (here / "a.h").read_text()
    assert exit_code(["export", "two.json", "-o", "b.h", "--lstm", "layers.1", "--rest", "none"]) == 0
    notes = capsys.readouterr().err
    assert "it leaves out" in notes
    assert "'layers.0' (another LSTM)" in notes
    assert "'layers.2' (linear layer)" in notes
