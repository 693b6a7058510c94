"""The ledger of a file: everything in it is used, or left out with its reason."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

import gatewise as gw
from gatewise.cli import main
from gatewise.interop import torch
from gatewise.interop.torch.writing import write_archive
from tests import additions


def state_dict(**others):
    """Return the arrays of an LSTM of 3 features and 4 units called rnn, and others by name."""
    arrays = {f"rnn.{name}": array for name, array in torch.state_dict(gw.LSTM(3, 4, rng=0)).items()}
    return arrays | {name.replace("__", "."): np.asarray(array, np.float32) for name, array in others.items()}


def test_inspect_prints_the_ledger(tmp_path, capsys):
    write_archive(tmp_path / "net.pt", state_dict(fc__weight=np.ones((2, 4)), fc__bias=np.ones(2), norm__scale=[1]))
    with pytest.raises(SystemExit):
        main(["inspect", str(tmp_path / "net.pt"), "--all"])
    text = " ".join(capsys.readouterr().out.split())
    assert "uses weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0" in text
    assert "fc: linear layer (2, 4): weight, bias" in text
    assert (
        "Of 7 tensors, 6 are used and 1 left out: norm: scale: no layer that is read has a tensor of this name" in text
    )
    with pytest.raises(SystemExit):
        main(["inspect", str(tmp_path / "net.pt"), "--json"])
    entries = json.loads(capsys.readouterr().out)["ledger"]
    assert [entry["name"] for entry in entries if entry["reason"]] == ["norm.scale"]


WITHOUT_GRAPH = {"PyTorch", "PyTorch before 1.6", "safetensors", "an index", "npz", "pickle", "JSON, state dict"}


@pytest.mark.parametrize("kind", additions.FORMATS)
def test_one_thing_more_is_refused_or_in_the_ledger(kind, tmp_path):
    for number in range(8):
        folder = tmp_path / str(number)
        folder.mkdir()
        outcome = additions.outcome(additions.FORMATS[kind], folder, random.Random(f"{kind}, {number}"))
        assert kind not in WITHOUT_GRAPH or outcome != "left out"  # without a warning


# Layers that are inferred.


X = np.random.default_rng(0).normal(size=(6, 3))


def opened(tmp_path, x, arrays, **options):
    write_archive(tmp_path / "net.pt", arrays)
    return gw.open_run(tmp_path / "net.pt", x, **options)


def test_the_one_head_that_fits_is_taken_with_a_note(tmp_path):
    arrays = state_dict(fc__weight=np.ones((2, 4)), fc__bias=np.ones(2))
    run = opened(tmp_path, X, arrays)
    (note,) = run.notes
    assert "'fc' as the head is inferred" in note
    assert "--head none leaves it out" in note
    expected = run.trace.lstm.output @ arrays["fc.weight"].T + 1
    np.testing.assert_allclose(run.trace.output, expected, rtol=1e-6)
    alone = opened(tmp_path, X, arrays, head="none")
    assert alone.notes == ()
    assert alone.trace.network.head is None


def test_where_several_heads_fit_the_lstm_is_run_alone_and_they_are_listed(tmp_path):
    run = opened(tmp_path, X, state_dict(one__weight=np.ones((2, 4)), two__weight=np.ones((1, 4)), two__bias=[1]))
    assert run.network is None
    assert "--head one, --head two or --head none" in run.notes[-1]


def test_a_file_that_holds_more_than_the_layers_that_fit_is_not_guessed_at(tmp_path):
    arrays = state_dict(fc__weight=np.ones((2, 4)), fc__bias=np.ones(2), norm__weight=np.ones(4))
    with pytest.warns(gw.WeightsWarning, match="left out: norm.weight"):
        run = opened(tmp_path, X, arrays)
    assert run.network is None
    assert "--head fc or --head none" in run.notes[-1]


def test_strict_infers_no_layers_and_says_so(tmp_path):
    arrays = state_dict(fc__weight=np.ones((2, 4)), fc__bias=np.ones(2))
    run = opened(tmp_path, X, arrays, strict=True)
    assert run.network is None
    assert "connected, and with strict=True none is inferred; these fit it: --head fc or --head none" in run.notes[-1]
    with pytest.raises(gw.FileError, match=r"with strict=True none is inferred. Choose .*; those that fit: --head fc"):
        gw.load_network(tmp_path / "net.pt", strict=True)


def test_whole_numbers_are_the_tokens_of_the_one_embedding(tmp_path):
    table = np.random.default_rng(1).normal(size=(9, 3))
    arrays = state_dict(embed__weight=table, fc__weight=np.ones((2, 4)), fc__bias=np.ones(2))
    tokens = np.array([1, 8, 0, 2])
    run = opened(tmp_path, tokens, arrays)
    assert "'embed' as the embedding and 'fc' as the head are inferred" in run.notes[0]
    np.testing.assert_array_equal(
        run.trace.lstm.output, opened(tmp_path, np.float32(table[tokens]), arrays).trace.lstm.output
    )


def test_an_input_that_does_not_fit_the_lstm_is_refused_with_the_layers_that_may_be_meant(tmp_path):
    arrays = state_dict(embed__weight=np.ones((9, 3)), fc__weight=np.ones((2, 4)), norm__scale=[1])
    with pytest.raises(
        gw.ShapeError, match="; layers of the file that fit: --embedding embed, --head fc or --head none"
    ):
        opened(tmp_path, np.array([1, 8, 0, 2, 5]), arrays)
