"""From files to a run: the model's or a trace's, and an input's; and sound."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import h5py
import numpy as np
import pytest
from cases import refusal
from safetensors.numpy import save_file
from scipy.io import wavfile

import gatewise as gw
from gatewise.interop import keras
from gatewise.opening import sound


def samples(count=40, channels=1):
    return np.random.default_rng(0).uniform(-0.9, 0.9, (count, channels))


# Sound.


@pytest.mark.parametrize(("bits", "kind"), [(8, "u1"), (16, "<i2"), (24, ""), (32, "<i4"), (0, "f4"), (0, "f8")])
@pytest.mark.parametrize("channels", [1, 2])
def test_sound_of_every_precision_is_read_as_numbers_between_minus_1_and_1(bits, kind, channels, here):
    x = samples(channels=channels)
    if bits == 0:
        wavfile.write("x.wav", 8000, x.astype(kind))
    else:
        whole = np.rint(x * 2 ** (bits - 1)).astype("<i4")
        with wave.open("x.wav", "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(bits // 8)
            file.setframerate(8000)
            if bits == 24:
                data = whole.view("u1").reshape(-1, 4)[:, :3].tobytes()
            else:
                data = (whole + 128 if bits == 8 else whole).astype(kind).tobytes()
            file.writeframes(data)
    found, rate = sound.samples(Path("x.wav"))
    assert rate == 8000
    np.testing.assert_allclose(found, x, atol=0.6 / 2 ** (bits - 1) if bits else 1e-7)


def test_a_file_that_holds_no_whole_sound_is_refused_in_a_sentence(here):
    buffer = io.BytesIO()
    wavfile.write(buffer, 8000, (1000 * samples(100)).astype("<i2"))
    whole = buffer.getvalue()
    for data in (b"", whole[:20], whole[:44], whole[:-31], b"no sound" * 20, b"RIFX" + whole[4:60]):
        Path("x.wav").write_bytes(data)
        with pytest.raises(
            gw.FileError, match=r"x\.wav: it (is not an intact \.wav file|holds no samples|is empty)"
        ) as problem:
            sound.samples(Path("x.wav"))
        assert "\n" not in str(problem.value)


def test_frames_overlap_and_the_last_sample_of_each_is_new():
    x = np.arange(1.0, 8.0)[:, None]
    rows, hop = sound.frames(x, "4,2")
    assert hop == 2
    np.testing.assert_array_equal(rows, [[0, 0, 1, 2], [1, 2, 3, 4], [3, 4, 5, 6], [5, 6, 7, 0]])
    np.testing.assert_array_equal(sound.frames(x, "4")[0], [[1, 2, 3, 4], [5, 6, 7, 0]])
    for text in ("", "a", "0", "2,4", "4,2,1", "-4"):
        with pytest.raises(gw.OptionError, match="--frames"):
            sound.frames(x, text)
    with pytest.raises(gw.OptionError, match="one channel"):
        sound.frames(np.ones((3, 2)), "2")


def test_sound_for_an_lstm_is_a_step_for_each_sample_with_its_second(here):
    lstm = gw.LSTM(1, 2, rng=0)
    gw.save(lstm, "lstm")
    wavfile.write("x.wav", 8000, samples().astype("f4"))
    trace = gw.open_run("lstm", "x.wav").trace
    np.testing.assert_array_equal(trace.output, lstm.trace(samples()).output)
    assert trace.labels.times[:3] == ("0 s", "0.000125 s", "0.00025 s")


# Models.


@pytest.mark.parametrize(
    ("times", "dates"),
    [
        (["2001/01/01", "2001/01/02"], True),
        (["2001-01-01T10:00", "2001-01-01T11:00"], True),
        (["2001-01-01 10:00:00.5", "2001-01-01 11:00:00.5"], True),
        (["2001-01-01", "soon"], False),
        (["2001-01-01T00", "2001-01-02T00"], True),
        (["2001-01-01 03:00:00", "2001-01-02 03:00:00"], True),
    ],
)
def test_times_are_dates_where_all_of_them_are(times, dates, here):
    gw.save(gw.LSTM(1, 2, rng=0), "lstm")
    Path("x.csv").write_text("time,a\n" + "".join(f"{time},1\n" for time in times))
    labels = gw.open_run("lstm", "x.csv").trace.labels
    assert isinstance(labels.times[0], np.datetime64) is dates
    assert not dates or labels.times == tuple(np.array([time.replace("/", "-") for time in times], "datetime64"))
    assert dates or list(labels.times) == times


USUAL = {"activation": "tanh", "recurrent_activation": "sigmoid", "go_backwards": False}  # what weights leave out


def test_what_cannot_run_is_refused_in_a_sentence(here):
    gw.save(gw.LSTM(3, 4, rng=0), "lstm")
    np.save("wide.npy", np.ones((5, 4)))
    np.save("x.npy", np.ones((5, 3)))
    np.save("nan.npy", np.full((5, 3), np.nan))
    np.savez("two.npz", a=np.ones((5, 3)), b=np.ones(3))
    wavfile.write("x.wav", 8000, samples().astype("f4"))
    Path("x.txt").write_text("1")
    Path("column.csv").write_text("1\n2\n3\n")
    keras.write(gw.LSTM(3, 4, num_layers=2, rng=0), "two.h5")
    with h5py.File("two.h5") as model, h5py.File("weights.h5", "w") as alone:
        weights = model["model_weights"]
        for name in weights:
            weights.copy(name, alone)
        alone.attrs.update(weights.attrs)
    save_file({"dense.weight": np.ones((2, 3), np.float32)}, "dense.safetensors")
    for call, words in (
        (lambda: gw.open_run("lstm", "wide.npy"), "the input has 4 features"),
        (lambda: gw.open_run("lstm", "nan.npy"), "feature 0 of step 0"),
        (lambda: gw.open_run("lstm", "two.npz"), "Choose one with --key: 'a', 'b'"),
        (lambda: gw.open_run("lstm", "x.wav"), "the input has 1 feature"),
        (lambda: gw.open_run("lstm", "x.wav", key="a"), "--key is for an .npz file"),
        (lambda: gw.open_run("lstm", "x.txt"), ".csv, .npy, .npz, .nc or .wav file"),
        (
            lambda: gw.open_run("lstm", "column.csv"),
            "the input has 1 feature, on the axes time, feature of its shape (3, 1)",
        ),
        (
            lambda: gw.open_run("weights.h5", settings=USUAL),
            "weights.h5 is a model. Give the file of its input as well",
        ),
        (lambda: gw.open_run("weights.h5", name="no"), "there is no LSTM 'no' in weights.h5; it has 'lstm', 'lstm_1'"),
        (
            lambda: gw.open_run("weights.h5", "x.npy"),
            "weights.h5 holds 2 LSTMs. Choose one by its name: 'lstm', 'lstm_1'",
        ),
        (lambda: gw.open_run("weights.h5", "wide.npy", name="lstm", settings=USUAL), "the input has 4 features"),
        (
            lambda: gw.open_run("weights.h5", "x.npy", name="lstm", input_of="model", settings=USUAL),
            "does not hold how its model is computed",
        ),
        (lambda: gw.open_run("dense.safetensors"), "holds no LSTM that can be read"),
    ):
        with refusal(words, by=gw.GatewiseError) as problem:
            call()
        assert not any(one in str(problem.value) for one in ("\n", "Keras cannot", "needs Keras"))


def test_layers_that_a_file_does_not_connect_are_named_for_a_run(here):
    rng = np.random.default_rng(0)
    lstm = gw.LSTM(3, 4, rng=0)
    table, weight = rng.normal(size=(9, 3)).astype("f4"), rng.normal(size=(2, 4)).astype("f4")
    from gatewise.interop import torch

    save_file({**torch.state_dict(lstm), "table.weight": table, "out.weight": weight}, "state.safetensors")
    tokens = rng.integers(0, 9, 6)
    np.save("tokens.npy", tokens)
    for reads in ("every", "last"):
        network = gw.Network(lstm, embedding=table, head=gw.Linear(weight), reads=reads)
        made = gw.open_run("state.safetensors", "tokens.npy", embedding="table", head="out", reads=reads)
        np.testing.assert_array_equal(made.trace.output, network(tokens)[0])
        np.testing.assert_array_equal(made.trace.tokens, tokens)
    with pytest.raises(gw.OptionError, match="no head 'no'"):
        gw.open_run("state.safetensors", "tokens.npy", head="no")
