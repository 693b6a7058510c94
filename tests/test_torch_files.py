"""PyTorch's files without PyTorch: what is written is read again, and nothing that a file holds is executed."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import warnings
import zipfile

import numpy as np
import pytest
import torch_programs
from cases import Calls
from fuzzing import SOME, everything, fuzz, in_archive
from pairwise import cover

import gatewise as gw
from gatewise.files.budget import Budget
from gatewise.interop import torch
from gatewise.interop.containers import pickles
from gatewise.interop.torch import writing
from gatewise.interop.torch.described import MAGIC
from tests.test_interop import assert_same_lstm

SUFFIXES = (".pt", ".safetensors")
SHAPES = {
    "num_layers": (1, 3),
    "bidirectional": (False, True),
    "projection_size": (None, 2),
    "dtype": ("float32", "float64"),
}
PROTOCOLS = {"protocol": tuple(range(pickle.HIGHEST_PROTOCOL + 1))}
in_every_shape = pytest.mark.parametrize("shape", cover(SHAPES), ids=str)
in_every_shape_and_protocol = pytest.mark.parametrize("shape", cover(SHAPES | PROTOCOLS), ids=str)


@pytest.fixture
def lstm(shape):
    return gw.LSTM(3, 5, rng=shape["num_layers"], **{name: shape[name] for name in SHAPES})


@pytest.fixture
def protocol(shape):
    return shape["protocol"]


def stream(arrays, *, system=None):
    """Return arrays as PyTorch wrote them before 1.6: pickles one after another, then the numbers of each storage."""
    parts = [MAGIC, 1001, system or {"protocol_version": 1001, "little_endian": True}]
    data = b"".join(pickle.dumps(part, 2) for part in parts) + writing.pickle_of(arrays)
    data += pickle.dumps([str(key) for key in range(len(arrays))], 2)
    return data + b"".join(struct.pack("<q", array.size) + array.tobytes() for array in arrays.values())


def raw_safetensors(arrays, kinds=None):
    """Return safetensors with arrays of bytes under any name of a type."""
    kinds, entries, data = kinds or {}, {}, b""
    for name, array in arrays.items():
        kind = kinds.get(name) or {"f4": "F32", "f8": "F64", "f2": "F16"}[array.dtype.str[1:]]
        entries[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    head = json.dumps(entries).encode()
    return struct.pack("<Q", len(head)) + head + data


def written(tmp_path, data, name="file.pt"):
    (tmp_path / name).write_bytes(data)
    return tmp_path / name


def archived(tmp_path, description, storages=()):
    """Write an archive of PyTorch's: the pickle that describes it, and the bytes of each storage."""
    with zipfile.ZipFile(tmp_path / "file.pt", "w") as archive:
        archive.writestr("archive/data.pkl", description)
        for key, data in enumerate(storages):
            archive.writestr(f"archive/data/{key}", data)
    return tmp_path / "file.pt"


@in_every_shape
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_written_is_always_the_same_bytes_and_is_read_again_bit_for_bit(tmp_path, lstm, suffix):
    for name in ("one", "two"):
        torch.write(lstm, tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()
    for read in (torch.read, gw.load):
        assert_same_lstm(read(tmp_path / f"one{suffix}"), lstm)


@in_every_shape
def test_the_stream_of_pickles_from_before_1_6_is_read(tmp_path, lstm):
    path = written(tmp_path, stream(torch.state_dict(lstm)))
    assert_same_lstm(gw.load(path), lstm)
    assert "before 1.6" in gw.inspect(path).format


@in_every_shape_and_protocol
def test_a_pickle_of_numpy_arrays_by_pytorchs_names_is_read_in_every_protocol(tmp_path, lstm, protocol):
    arrays = {name: np.asfortranarray(array) for name, array in torch.state_dict(lstm).items()}
    assert_same_lstm(gw.load(written(tmp_path, pickle.dumps({"model": arrays}, protocol), "file.pkl")), lstm)


@in_every_shape
def test_numbers_in_the_other_byte_order_are_read(tmp_path, lstm):
    arrays = torch.state_dict(lstm)
    swapped = {name: array.astype(array.dtype.newbyteorder(">")) for name, array in arrays.items()}
    assert_same_lstm(gw.load(written(tmp_path, pickle.dumps(swapped, 2), "file.pkl")), lstm)
    torch.write(lstm, tmp_path / "little.pt")
    with zipfile.ZipFile(tmp_path / "little.pt") as little, zipfile.ZipFile(tmp_path / "big.pt", "w") as big:
        for name in little.namelist():
            data = little.read(name)
            if "/data/" in name:
                data = np.frombuffer(data, lstm.dtype).byteswap().tobytes()
            big.writestr(name, b"big" if name.endswith("byteorder") else data)
    assert_same_lstm(gw.load(tmp_path / "big.pt"), lstm)


@pytest.mark.parametrize("kind", ["F16", "BF16"])
def test_what_is_stored_in_half_the_bits_keeps_its_numbers(tmp_path, kind):
    arrays = torch.state_dict(gw.LSTM(2, 3, rng=0))
    if kind == "F16":
        stored = {name: array.astype(np.float16) for name, array in arrays.items()}
        wide = {name: array.astype(np.float32) for name, array in stored.items()}
    else:
        stored = {name: (array.view(np.uint32) >> 16).astype(np.uint16) for name, array in arrays.items()}
        wide = {name: (array.astype(np.uint32) << 16).view(np.float32) for name, array in stored.items()}
    path = written(tmp_path, raw_safetensors(stored, dict.fromkeys(stored, kind)), "file.safetensors")
    found = gw.inspect(path).pick()
    assert "float16" in found.notes[0]
    for name, array in torch.state_dict(found.lstm).items():
        np.testing.assert_array_equal(array, wide[name], strict=True)


def test_a_cells_names_without_a_layer_are_a_cell(tmp_path):
    lstm = gw.LSTM(2, 3, rng=0)
    arrays = {f"decoder.{name.removesuffix('_l0')}": array for name, array in torch.state_dict(lstm).items()}
    writing.write_archive(tmp_path / "cell.pt", arrays)
    assert_same_lstm(gw.load(tmp_path / "cell.pt", "decoder"), lstm)


def test_a_checkpoint_with_several_lstms_lists_them_and_asks_for_a_name(tmp_path):
    models = {"state_dict.net.encoder": gw.LSTM(2, 3, rng=0), "state_dict.net.decoder": gw.LSTM(3, 4, rng=1)}
    inner = {
        f"{prefix.removeprefix('state_dict.')}.{name}": array
        for prefix, lstm in models.items()
        for name, array in torch.state_dict(lstm).items()
    }
    checkpoint = {"epoch": 3, "state_dict": inner, "hyper_parameters": {"lr": 1e-3}, "callbacks": [None, {}]}
    path = written(tmp_path, pickle.dumps(checkpoint), "last.ckpt")
    assert [one.name for one in gw.inspect(path).lstms] == list(models)
    with pytest.raises(
        gw.GatewiseError, match=r"holds 2 LSTMs. Choose one by its name: 'state_dict.net.encoder', 'state_d"
    ):
        gw.load(path)
    for name, lstm in models.items():
        assert_same_lstm(gw.load(path, name), lstm)
    with pytest.raises(gw.GatewiseError, match="there is no LSTM 'net'"):
        gw.load(path, "net")


def test_a_network_is_made_of_the_parts_that_are_named(tmp_path):
    chance = np.random.default_rng(0)
    lstm = gw.LSTM(4, 5, rng=0)
    arrays = {f"lstm.{name}": array for name, array in torch.state_dict(lstm).items()}
    arrays["embed.weight"] = chance.normal(size=(7, 4)).astype(np.float32)
    arrays["head.net.0.weight"] = chance.normal(size=(2, 5)).astype(np.float32)
    arrays["head.net.0.bias"] = chance.normal(size=2).astype(np.float32)
    writing.write_archive(tmp_path / "net.pt", arrays)
    with pytest.warns(gw.WeightsWarning, match=r"'embed' as the embedding and 'head.net.0' as the head are inferred"):
        inferred = gw.load_network(tmp_path / "net.pt")
    with pytest.raises(gw.FileError, match=r"does not say how .* 'embed', 'head.net.0'; .*--embedding embed, --head"):
        gw.load_network(tmp_path / "net.pt", strict=True)
    network = gw.load_network(tmp_path / "net.pt", embedding="embed", head="head.net.0")
    tokens = np.array([1, 6, 0])
    expected = lstm(arrays["embed.weight"][tokens])[0] @ arrays["head.net.0.weight"].T + arrays["head.net.0.bias"]
    np.testing.assert_allclose(network(tokens)[0], expected, rtol=1e-6)
    np.testing.assert_array_equal(inferred(tokens)[0], network(tokens)[0])
    with pytest.raises(gw.OptionError, match=r"no head 'head' in .*; it has 'embed', 'head.net.0'"):
        gw.load_network(tmp_path / "net.pt", head="head")


# What PyTorch cannot express.


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"variant": gw.Variant(peephole="full")}, "peephole"),
        ({"variant": gw.Variant(coupling="forget=1-input")}, "coupling"),
        ({"variant": gw.Variant(cell_clip=3.0)}, "cell_clip"),
        ({"variant": gw.Variant(layer_norm="haste", epsilon=1e-5)}, "layer_norm"),
        ({"variant": gw.Variant(cell_activation="relu")}, "cell_activation"),
        ({"direction": "backward"}, "backward"),
        ({"bidirectional": True, "merge": "sum"}, "sum"),
        ({"projection_size": 5}, "projection"),
    ],
)
def test_what_pytorch_cannot_express_is_refused_by_name_before_anything_is_written(tmp_path, options, named, suffix):
    with pytest.raises(gw.OptionError, match=named):
        torch.write(gw.LSTM(3, 5, rng=0, **options), tmp_path / f"lstm{suffix}")
    assert not list(tmp_path.iterdir())


def test_layers_of_unequal_sizes_are_refused(tmp_path):
    cells = [
        gw.LSTMCell(2, 3, seed=0, init="notebook", dtype=np.float64),
        gw.LSTMCell(3, 4, seed=0, init="notebook", dtype=np.float64),
    ]
    with pytest.raises(gw.OptionError, match="equal sizes"):
        torch.write(gw.LSTM.from_cells(cells), tmp_path / "lstm.pt")


# What a file holds is never run.


@in_every_shape_and_protocol
def test_a_pickle_that_would_run_code_runs_none_and_its_lstm_is_read(tmp_path, lstm, protocol):
    ran = tmp_path / "ran"
    payload = Calls(os.mkdir, str(ran))
    state = torch.state_dict(lstm) | {"other": payload, "more": [payload, {"deep": Calls(os.mkdir, str(ran))}]}
    assert_same_lstm(gw.load(written(tmp_path, pickle.dumps(state, protocol), "file.pkl")), lstm)
    assert not ran.exists()
    pickle.loads(pickle.dumps({"other": payload}))
    assert ran.exists()  # it would have


CODE = [
    b"cos\nsystem\n(S'touch RAN'\ntR.",
    b"(S'touch RAN'\nios\nsystem\n.",
    b"(cos\nsystem\nS'touch RAN'\no.",
    b'cbuiltins\neval\n(S\'open("RAN", "w")\'\ntR.',
    b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93\x8c\x04RAN!\x85R.",
    b"\x80\x02cbuiltins\ngetattr\n(cos\nsystem\nX\x08\x00\x00\x00__call__tRX\x09\x00\x00\x00touch RAN\x85R.",
    b"\x80\x02ccopyreg\n_reconstructor\n(cos\nsystem\nNNtR}X\x01\x00\x00\x00aK\x01sb.",
    b"\x80\x02\x82\x01.",
]


@pytest.mark.parametrize("code", CODE)
@pytest.mark.parametrize("way", ["pickle", "zip", "stream"])
def test_no_operation_of_a_pickle_calls_or_imports_anything(tmp_path, monkeypatch, code, way):
    monkeypatch.chdir(tmp_path)
    if way == "stream":
        code = b"".join(pickle.dumps(part, 2) for part in (MAGIC, 1001, {})) + code + pickle.dumps([])
    path = archived(tmp_path, code) if way == "zip" else written(tmp_path, code, "file.pkl")
    with pytest.raises(gw.FileError):
        gw.load(path)
    assert [*tmp_path.iterdir()] == [path]


def test_only_a_tensor_that_depends_on_an_unknown_global_is_refused(tmp_path):
    lstm = gw.LSTM(2, 3, rng=0)
    good = writing.pickle_of({f"good.{name}": array for name, array in torch.state_dict(lstm).items()})
    bad = good.replace(b"torch\nFloatStorage\n", b"evil\nStorage\n", 1)
    path = archived(tmp_path, bad, [array.tobytes() for array in torch.state_dict(lstm).values()])
    with pytest.raises(gw.FileError, match=r"weight_ih_l0: its numbers are evil\.Storage, which is not supported"):
        gw.load(path)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_means_here_what_it_means_to_python(protocol):
    shared = [1, 2.5, "text", b"bytes", None, True, (1,), (1, 2, 3), {"a": {"b": []}}, -(2**70), 255, 65536, ""]
    thing = {"list": shared, "again": shared, 3: (shared, {"x": "é"})}
    found = pickles.read_pickle(io.BytesIO(pickle.dumps(thing, protocol)), Budget(0))

    def plain(one):
        if (data := pickles.as_bytes(one, Budget(0))) is not None and not isinstance(one, str):
            return data
        if isinstance(one, dict):
            return {key: plain(value) for key, value in one.items()}
        return type(one)(map(plain, one)) if isinstance(one, (list, tuple)) else one

    assert plain(found) == thing
    assert found["list"] is found["again"]


# Bad input.


def broken(change):
    """Return the state dict of an LSTM with one change."""
    arrays = {f"lstm.{name}": array for name, array in torch.state_dict(gw.LSTM(2, 3, num_layers=2, rng=0)).items()}
    change(arrays)
    return arrays


BROKEN = {
    "bias_hh_l1 is missing": lambda a: a.pop("lstm.bias_hh_l1"),
    "weight_hh_l0 is missing": lambda a: a.pop("lstm.weight_hh_l0"),
    r"it has layers \[1\]; they must be 0, 1": lambda a: [a.pop(name) for name in list(a) if name.endswith("_l0")],
    "a bias has shape": lambda a: a.update({"lstm.bias_ih_l0": np.zeros(11, np.float32)}),
    r"the weights have shapes \(12, 2\) and \(12, 5\)": lambda a: a.update({"lstm.weight_hh_l0": np.zeros((12, 5))}),
    "weights must have two axes": lambda a: a.update({"lstm.weight_ih_l0": np.zeros((12, 2, 1))}),
    "a cell of layer 1 takes 3 features, but gets 4": lambda a: a.update(
        {f"lstm.{n}": v for n, v in torch.state_dict(gw.LSTM(2, 4, rng=0)).items()}
    ),
    "it is a GRU": lambda a: a.update({"lstm.weight_hh_l0": np.zeros((9, 3)), "lstm.weight_ih_l0": np.zeros((9, 2))}),
    "without gates": lambda a: a.update({"lstm.weight_hh_l0": np.zeros((3, 3)), "lstm.weight_ih_l0": np.zeros((3, 2))}),
}


@pytest.mark.parametrize("sentence", BROKEN)
def test_what_does_not_fit_together_is_told_in_one_sentence(tmp_path, sentence):
    writing.write_archive(tmp_path / "file.pt", broken(BROKEN[sentence]))
    with pytest.raises(gw.FileError, match=sentence):
        gw.load(tmp_path / "file.pt")


def test_one_layer_or_direction_without_the_biases_of_the_others_is_refused(tmp_path):
    for options, lacking in (({"num_layers": 2}, "_l1"), ({"bidirectional": True}, "_reverse")):
        arrays = torch.state_dict(gw.LSTM(2, 3, rng=0, **options))
        kept = {name: array for name, array in arrays.items() if not ("bias" in name and name.endswith(lacking))}
        writing.write_archive(tmp_path / "file.pt", kept)
        with pytest.raises(gw.FileError, match=f"bias_ih.*{lacking} is missing"):
            gw.load(tmp_path / "file.pt")


def test_a_cell_with_a_norm_inside_is_no_plain_lstm(tmp_path):
    plain = torch.state_dict(gw.LSTM(2, 3, rng=0))
    arrays = {f"cell.{name.removesuffix('_l0')}": array for name, array in plain.items()}
    arrays["cell.layernorm_i.weight"] = np.ones(12, np.float32)
    writing.write_archive(tmp_path / "file.pt", arrays)
    with pytest.raises(gw.FileError, match=r"cell: it also has cell.layernorm_i.weight, which no plain LSTM has"):
        gw.load(tmp_path / "file.pt")


@pytest.mark.parametrize("owner", ["rnn.module", "rnn"])
def test_weights_are_read_as_they_are_without_dropconnect(tmp_path, owner):
    lstm = gw.LSTM(2, 3, rng=0)
    arrays = {f"rnn.module.{name}": array for name, array in torch.state_dict(lstm).items()}
    arrays[f"{owner}.weight_hh_l0_raw"] = arrays["rnn.module.weight_hh_l0"]
    arrays["rnn.module.weight_hh_l0"] = arrays["rnn.module.weight_hh_l0"] * np.array([0, 2, 0], np.float32)
    writing.write_archive(tmp_path / "file.pt", arrays)
    found = gw.inspect(tmp_path / "file.pt").pick("rnn.module")
    assert_same_lstm(found.lstm, lstm)
    assert "without DropConnect" in found.notes[0]


def test_a_text_in_a_checkpoint_does_not_make_it_a_file_of_keras(tmp_path):
    arrays = torch.state_dict(gw.LSTM(2, 3, rng=0))
    writing.write_archive(tmp_path / "file.pt", {f"runs/config.json/metadata.json.{n}": a for n, a in arrays.items()})
    assert gw.load(tmp_path / "file.pt").hidden_size == 3


def test_what_a_network_is_made_without_is_named(tmp_path):
    arrays = {f"lstm.{name}": array for name, array in torch.state_dict(gw.LSTM(2, 3, rng=0)).items()}
    more = {"conv.weight": np.zeros((4, 2, 3)), "fc.weight": np.full((2, 3), np.nan), "fc.bias": np.zeros(2)}
    writing.write_archive(tmp_path / "file.pt", arrays | more)
    assert [part.kind for part in gw.inspect(tmp_path / "file.pt").parts] == ["convolution or the like", "linear layer"]
    with pytest.warns(gw.WeightsWarning) as caught:
        gw.load_network(tmp_path / "file.pt", head="fc")
    assert [str(one.message).partition(": ")[2] for one in caught] == [
        "fc has weights that are not finite: 6 of 6 numbers",
        "lstm: left out: conv.weight (a convolution or the like, it changes what passes through it, if it lies on the"
        " way)",
    ]


def test_the_same_name_twice_is_told_apart(tmp_path):
    arrays = torch.state_dict(gw.LSTM(2, 3, rng=0))
    arrays |= {f"lstm.{name}": array for name, array in torch.state_dict(gw.LSTM(2, 4, rng=0)).items()}
    writing.write_archive(tmp_path / "file.pt", arrays)
    assert gw.load(tmp_path / "file.pt", "lstm").hidden_size == 3
    assert gw.load(tmp_path / "file.pt", "lstm#2").hidden_size == 4


def test_a_bias_that_stands_for_many_alike_is_read(tmp_path):
    arrays = torch.state_dict(gw.LSTM(2, 4, rng=0))
    data = writing.pickle_of(arrays)
    last = data.rindex(b"bias_hh_l0")
    strided = data[last:].replace(b"(J\x01\x00\x00\x00t", b"(J\x00\x00\x00\x00t")
    strided = strided.replace(b"J\x10\x00\x00\x00tQ", b"J\x01\x00\x00\x00tQ")
    assert strided != data[last:]
    storages = [array.tobytes() for array in arrays.values()]
    path = archived(tmp_path, data[:last] + strided, [*storages[:3], storages[3][:4]])
    assert_same_lstm(gw.load(path), gw.LSTM(2, 4, rng=0))


def test_numbers_of_a_kind_that_is_not_read_are_named(tmp_path):
    arrays = {name: array.astype(np.uint8) for name, array in torch.state_dict(gw.LSTM(2, 3, rng=0)).items()}
    path = written(tmp_path, raw_safetensors(arrays, dict.fromkeys(arrays, "F8_E4M3")), "file.safetensors")
    with pytest.raises(gw.FileError, match="weight_ih_l0: its numbers are F8_E4M3, which is not supported"):
        gw.load(path)


def test_an_lstm_without_biases_is_read_with_zeros(tmp_path):
    arrays = broken(lambda a: [a.pop(name) for name in list(a) if "bias" in name])
    writing.write_archive(tmp_path / "file.pt", arrays)
    found = gw.inspect(tmp_path / "file.pt").pick()
    assert found.notes == ("it has no biases: they are zeros",)
    assert not any(cell.parameters.bias.any() for row in found.lstm.layers for cell in row)


def test_weights_that_are_not_numbers_are_read_with_a_warning_that_names_them(tmp_path):
    arrays = broken(lambda a: a["lstm.weight_hh_l1"].__setitem__((4, 0), np.nan))
    writing.write_archive(tmp_path / "file.pt", arrays)
    with pytest.warns(gw.WeightsWarning, match="1 of 72 numbers in weight of layer 1, forward"):
        lstm = gw.load(tmp_path / "file.pt")
    assert np.isnan(lstm[1].parameters.weight).sum() == 1


def test_a_file_without_an_lstm_says_what_it_holds(tmp_path):
    writing.write_archive(tmp_path / "file.pt", {"fc.weight": np.zeros((2, 3)), "fc.bias": np.zeros(2)})
    with pytest.raises(gw.FileError, match=r"holds no LSTM that can be read: fc \(linear layer, \(2, 3\)\)"):
        gw.load(tmp_path / "file.pt")


def whole(tmp_path, suffix):
    torch.write(gw.LSTM(2, 3, rng=0), tmp_path / f"whole{suffix}")
    return (tmp_path / f"whole{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", [*SUFFIXES, "stream"])
def test_a_truncated_file_is_refused_at_any_length(tmp_path, suffix):
    data = stream(torch.state_dict(gw.LSTM(2, 3, rng=0))) if suffix == "stream" else whole(tmp_path, suffix)
    for length in {0, 1, 2, 8, 9, *range(10, len(data), 13), len(data) - 1}:
        with pytest.raises(gw.FileError) as caught:
            gw.load(written(tmp_path, data[:length], "cut.pt"))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (b"J\x18\x00\x00\x00", b"J\xff\xff\xff\x7f", "weight_ih_l0"),  # so many numbers in a storage, or in a shape
        (
            b"J\x0c\x00\x00\x00J\x02\x00\x00\x00t",
            b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7ft",
            "it reaches beyond the 24 numbers of its storage",
        ),
        (b"J\x0c\x00\x00\x00J\x02\x00\x00\x00t", b"J\xff\xff\xff\xffJ\x02\x00\x00\x00t", "invalid"),
    ],
)
def test_sizes_that_are_not_there_take_no_memory(tmp_path, old, new, sentence):
    with zipfile.ZipFile(io.BytesIO(whole(tmp_path, ".pt"))) as good, zipfile.ZipFile(tmp_path / "x.pt", "w") as bad:
        for name in good.namelist():
            data = good.read(name)
            if name.endswith("data.pkl"):
                assert old in data
                data = data.replace(old, new)
            bad.writestr(name, data)
    if sentence == "weight_ih_l0":  # more is promised than there is, but less is needed
        assert gw.load(tmp_path / "x.pt").hidden_size == 3
        return
    with pytest.raises(gw.FileError, match=sentence):
        gw.load(tmp_path / "x.pt")


def test_a_stride_of_nothing_does_not_make_a_large_tensor_of_a_small_one(tmp_path):
    arrays = {"a.weight_ih_l0": np.zeros((4, 1), np.float32), "a.weight_hh_l0": np.zeros((4, 1), np.float32)}
    data = writing.pickle_of(arrays)
    small = b"(J\x04\x00\x00\x00J\x01\x00\x00\x00t(J\x01\x00\x00\x00J\x01\x00\x00\x00t"
    huge = b"(J\x00\x00\x00\x40J\x00\x00\x00\x10t(J\x00\x00\x00\x00J\x00\x00\x00\x00t"
    assert data.count(small) == 2
    path = archived(tmp_path, data.replace(small, huge), [bytes(16)] * 2)
    with pytest.raises(gw.FileError, match=r"a tensor of \(1073741824, 268435456\) would bring .* to 1,024 PiB"):
        gw.load(path)


def test_what_holds_itself_or_is_nested_without_end_is_gone_through_once(tmp_path):
    itself: dict = {"a": torch.state_dict(gw.LSTM(2, 3, rng=0))}
    itself["self"] = itself
    assert gw.load(written(tmp_path, pickle.dumps(itself), "file.pkl")).hidden_size == 3
    doubled: list = [itself]
    for _ in range(90):
        doubled = [doubled, doubled]
    assert gw.load(written(tmp_path, pickle.dumps(doubled), "file.pkl")).hidden_size == 3
    for code in (b"\x80\x02}" + b")" + b"\x85" * 100_000 + b"Ns.", b"\x80\x02)" + b"2\x86" * 100 + b")R."):
        with pytest.raises(gw.FileError, match="it holds no tensors"):  # nests that nobody can hash
            gw.load(written(tmp_path, code, "file.pkl"))
    deep = b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b"."
    with pytest.raises(gw.FileError, match="it holds no tensors"):
        gw.load(written(tmp_path, deep, "file.pkl"))


def test_names_out_of_a_file_break_no_line_and_fill_no_page(tmp_path):
    arrays = torch.state_dict(gw.LSTM(2, 3, rng=0))
    names = ["two\nlines\x1b[2J", "long" * 5000, *map(str, range(30))]
    writing.write_archive(tmp_path / "x.pt", {f"{n}.{key}": array for n in names for key, array in arrays.items()})
    with pytest.raises(gw.OptionError, match=r"holds 32 LSTMs. .*'two\?lines\?\[2J', .*and 13 more") as caught:
        gw.load(tmp_path / "x.pt")
    assert len(str(caught.value)) < 1000
    assert_same_lstm(gw.load(tmp_path / "x.pt", "two?lines?[2J"), gw.LSTM(2, 3, rng=0))


def test_options_that_the_file_does_not_leave_out_are_refused(tmp_path):
    torch.write(gw.LSTM(2, 3, rng=0), tmp_path / "lstm.pt")
    with pytest.raises(gw.OptionError, match="there is no option 'activation'"):
        gw.load(tmp_path / "lstm.pt", activation="relu")


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = written(tmp_path, b"old", "lstm.pt")
    with pytest.raises(gw.FileError):
        torch.write(gw.LSTM(2, 3, rng=0), tmp_path / "missing" / "lstm.pt")
    with pytest.raises(gw.OptionError):
        torch.write(gw.LSTM(2, 3, rng=0, direction="backward"), path)
    assert path.read_bytes() == b"old"


SUBJECTS = {
    "zip": lambda tmp: [whole(tmp, ".pt")],
    "safetensors": lambda tmp: [whole(tmp, ".safetensors")],
    "stream": lambda _: [stream(torch.state_dict(gw.LSTM(2, 3, rng=0)))],
    "torch.export": lambda _: [torch_programs.example(layout) for layout in ("raw", "2.8", "before")],
    "pickle": lambda _: [pickle.dumps(torch.state_dict(gw.LSTM(2, 3, rng=0)), n) for n in range(6)],
}


def spoil(kind, folder, count=SOME, seed=0):
    """Read so many spoiled files of a kind."""
    also = [in_archive] if kind in ("zip", "torch.export") else []
    return fuzz(SUBJECTS[kind](folder), everything, count, folder, seed=seed, also=also)


def test_a_text_of_old_pythons_warns_of_nothing(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pickles.read_pickle(io.BytesIO(rb"S'\d'" + b"\n."), Budget(0)) == r"\d"


def test_a_part_is_read_as_often_as_it_is_asked_for(tmp_path):
    writing.write_archive(tmp_path / "x.pt", {"table.weight": np.ones((2000, 1000), np.float32)})
    (part,) = gw.inspect(tmp_path / "x.pt").parts
    for _ in range(50):
        assert part.weight().sum() == 2e6
