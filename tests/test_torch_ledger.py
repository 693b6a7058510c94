"""Every tensor of a PyTorch file is used or listed: what stands in an LSTM's way is never left out in silence."""

from __future__ import annotations

import json
import pickle
import re
import warnings
import zipfile
from functools import partial

import numpy as np
import pytest
from safetensors.numpy import save_file

import gatewise as gw
from gatewise.cli import main
from gatewise.interop import torch
from gatewise.interop.torch import writing
from gatewise.opening.states import file_state
from tests.test_interop import assert_same_lstm

LSTM = gw.LSTM(3, 4, num_layers=2, rng=0)
RNN = {f"rnn.{name}": array for name, array in torch.state_dict(LSTM).items()}
BARE = torch.state_dict(gw.LSTM(3, 4, rng=0))
HEAD = {"fc.weight": np.ones((2, 4), np.float32), "fc.bias": np.zeros(2, np.float32)}


def ones(*shape):
    return np.ones(shape, np.float32)


def listed(tmp_path, arrays):
    """Return the contents of a state dict, whose ledger has each tensor once."""
    writing.write_archive(tmp_path / "net.pt", arrays)
    contents = gw.inspect(tmp_path / "net.pt")
    assert sorted(entry.name for entry in contents.ledger if entry.kind == "tensor") == sorted(arrays)
    return contents


@pytest.mark.parametrize(
    "inside",
    ["rnn.bias", "rnn.weight_ci", "rnn.ln.weight", "rnn.lora_A", "rnn.cells.0.ln_i.weight", "rnn.any", "rnn.scale"],
)
@pytest.mark.parametrize("outer", ["", "model."])
def test_what_stands_inside_an_lstm_refuses_it_by_name(tmp_path, inside, outer):
    shape = () if inside == "rnn.scale" else (16,)
    contents = listed(tmp_path, {f"{outer}{name}": array for name, array in (RNN | {inside: ones(*shape)}).items()})
    (refused,) = contents.refused
    assert refused.reason.startswith(f"it also has {outer}{inside}, which no plain LSTM has")
    assert {entry.reason for entry in contents.ledger} == {refused.reason}


@pytest.mark.parametrize("inside", ["bias", "weight_ci", "lora_A.weight", "ln", "peephole"])
def test_a_state_dict_of_an_lstm_alone_with_more_inside_is_refused(tmp_path, inside):
    (refused,) = listed(tmp_path, BARE | {inside: ones(4)}).refused
    assert refused.reason.startswith(f"it also has {inside}, which no plain LSTM has")


@pytest.mark.parametrize("nested", [False, True])
def test_other_modules_in_one_dictionary_with_an_lstms_own_names_are_not_inside_it(tmp_path, nested):
    arrays = BARE | HEAD
    data = pickle.dumps({"model": arrays} if nested else arrays)
    (tmp_path / "net.pkl").write_bytes(data)
    network = gw.load_network(tmp_path / "net.pkl", head="model.fc" if nested else "fc")
    np.testing.assert_array_equal(network.head.weight, HEAD["fc.weight"])


def test_a_norm_beside_the_weights_is_a_warning(tmp_path):
    listed(tmp_path, BARE | {"ln_h.weight": ones(4), "ln_h.bias": ones(4)})
    with pytest.warns(gw.WeightsWarning, match=r"left out: ln_h.weight and ln_h.bias \(it lies beside its weights, it"):
        gw.load(tmp_path / "net.pt")
    with pytest.raises(gw.FileError, match=r"strict=True: left out: ln_h\.weight"):
        gw.load(tmp_path / "net.pt", strict=True)


# Initial states.


@pytest.mark.parametrize("names", [("h0", "c0"), ("init_h", "init_c"), ("rnn.h_0", "rnn.c_0"), ("hx", None)])
@pytest.mark.parametrize("shape", [(2, 1, 4), (2, 4)])
def test_learned_initial_states_beside_an_lstm_are_carried(tmp_path, names, shape):
    rng = np.random.default_rng(0)
    learned = {name: rng.normal(size=shape).astype(np.float32) for name in names if name is not None}
    contents = listed(tmp_path, RNN | learned)
    (found,) = contents.lstms
    assert "by name and shape" in found.notes[0]
    assert all(entry.used for entry in contents.ledger)
    for at, row in enumerate(file_state(found, 5)):
        for name, array in zip(names, row[0], strict=True):
            expected = np.zeros(4) if name is None else learned[name].reshape(2, 4)[at]
            np.testing.assert_array_equal(array, np.broadcast_to(expected, (5, 4)))


def test_a_network_starts_from_the_states_of_its_file_and_an_lstm_alone_warns(tmp_path):
    rng = np.random.default_rng(0)
    listed(tmp_path, RNN | HEAD | {name: rng.normal(size=(2, 1, 4)).astype(np.float32) for name in ("h0", "c0")})
    network = gw.load_network(tmp_path / "net.pt", head="fc")
    with pytest.warns(gw.WeightsWarning, match=r"has an initial state for 'rnn': a run starts from zeros unless it is"):
        lstm = gw.load(tmp_path / "net.pt")
    with pytest.raises(gw.FileError, match=r"strict=True: the file has an initial state for 'rnn'"):
        gw.load(tmp_path / "net.pt", strict=True)
    x = rng.normal(size=(5, 3, 3)).astype(np.float32)
    state = file_state(gw.inspect(tmp_path / "net.pt").pick(), 3)
    expected = lstm(x, state)[0] @ HEAD["fc.weight"].T + HEAD["fc.bias"]
    np.testing.assert_allclose(network(x)[0], expected, rtol=1e-5)


@pytest.mark.parametrize(
    "arrays",
    [
        RNN | {"h0": ones(3, 1, 4)},  # of another number of layers
        RNN | {"h0": ones(2, 1, 4), "init_h": ones(2, 1, 4)},
        RNN | {name.replace("rnn", "other"): array for name, array in RNN.items()} | {"h0": ones(2, 1, 4)},
    ],
)
def test_initial_states_of_which_more_is_possible_are_a_warning(tmp_path, arrays):
    contents = listed(tmp_path, arrays)
    assert all(found.state is None for found in contents.lstms)
    with pytest.warns(
        gw.WeightsWarning, match=r"left out: h0.* \(by its name an initial state.*start from zeros here\)"
    ):
        gw.load(tmp_path / "net.pt", "rnn")


@pytest.mark.parametrize("names", [("h0", "c0"), ("rnn.h_0", None), ("start_c", None), ("h0", "init_h")])
@pytest.mark.parametrize("shape", [(2, 1, 4), (1, 4)])
def test_initial_states_of_zeros_are_no_warning(tmp_path, names, shape):
    contents = listed(tmp_path, RNN | {name: np.zeros(shape, np.float32) for name in names if name is not None})
    left_out = [entry for entry in contents.ledger if not entry.used]
    assert {entry.reason for entry in left_out} == {"an initial state of zeros, as every run has without it"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gw.load(tmp_path / "net.pt", strict=True)


# Views, subclasses and hooks.


def archived(path, description, arrays):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", description)
        for place, array in enumerate(arrays.values()):
            archive.writestr(f"net/data/{place}", array.tobytes())


def view_of(mark):
    """Return the pickle of a state dict whose first tensor is marked as such a view."""
    end = b"ccollections\nOrderedDict\n)RtR"
    flag = b"}X" + len(mark).to_bytes(4, "little") + mark.encode() + b"\x88s"
    return writing.pickle_of(BARE).replace(end, end[:-2] + flag + b"tR", 1)


def test_a_negated_view_is_resolved(tmp_path):
    archived(tmp_path / "net.pt", view_of("neg"), BARE)
    arrays = torch.state_dict(gw.load(tmp_path / "net.pt"))
    np.testing.assert_array_equal(arrays["weight_ih_l0"], -BARE["weight_ih_l0"])
    np.testing.assert_array_equal(arrays["weight_hh_l0"], BARE["weight_hh_l0"])


def test_other_views_and_subclasses_of_tensors_are_refused_by_name(tmp_path):
    archived(tmp_path / "net.pt", view_of("conj"), BARE)
    with pytest.raises(gw.FileError, match="weight_ih_l0: it is a view whose numbers are conj"):
        gw.load(tmp_path / "net.pt")
    made = b"ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\ncmine\nTensor\n)NtR"
    data = writing.pickle_of(BARE)
    start = data.index(b"ctorch._utils")
    end = data.index(b"tR", start) + 2
    archived(tmp_path / "net.pt", data[:start] + made + data[end:], BARE)
    with pytest.raises(gw.FileError, match=r"weight_ih_l0: it is a tensor of the class mine\.Tensor"):
        gw.load(tmp_path / "net.pt")


def text(value):
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def module(kind, **entries):
    """Return the operations that make a module with these entries, each operations too."""
    state = b"}(" + b"".join(text(name) + made for name, made in entries.items()) + b"u"
    return b"c" + kind.encode() + b"\n)\x81" + state + b"b"


def setting(value):
    if isinstance(value, str):
        return text(value)
    return {True: b"\x88", False: b"\x89"}[value] if isinstance(value, bool) else b"J" + value.to_bytes(4, "little")


SETTINGS = {"mode": "LSTM", "input_size": 3, "hidden_size": 4, "num_layers": 1, "bias": True, "bidirectional": False}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_of_a_pickled_module_that_its_tensors_contradict_is_refused(tmp_path, name):
    def read(settings):
        values = {key: setting(value) for key, value in settings.items()}
        made = module("torch.nn.modules.rnn\nLSTM", _parameters=writing.pickle_of(BARE)[2:-1], **values)
        archived(tmp_path / "net.pt", b"\x80\x02" + made + b".", BARE)
        return gw.inspect(tmp_path / "net.pt")

    assert len(read(SETTINGS | {"proj_size": 0}).lstms) == 1
    own = SETTINGS[name]
    other = "GRU" if name == "mode" else not own if isinstance(own, bool) else own + 1
    (refused,) = read(SETTINGS | {name: other}).refused
    assert refused.reason.startswith(f"the module says {name} {other}, but its tensors say {own}: save")


def hooked(where, hook):
    """Return the pickle of a module with an LSTM and a head, of which one has a hook."""
    hooks = b"}J\x00\x00\x00\x00" + hook + b"s"
    entries = {name: dict.fromkeys(keys, hooks) for name, keys in where.items()}
    rnn = module("torch.nn.modules.rnn\nLSTM", _parameters=writing.pickle_of(BARE)[2:-1], **entries.get("rnn", {}))
    head = {"weight": HEAD["fc.weight"]}
    shifted = writing.pickle_of(dict.fromkeys("0123", ones(1)) | head)  # so that its storage is the fifth
    weight = shifted[shifted.index(text("weight")) : -2]
    fc = module("torch.nn.modules.linear\nLinear", _parameters=b"}(" + weight + b"u", **entries.get("fc", {}))
    modules = b"}(" + text("rnn") + rnn + text("fc") + fc + b"u"
    return b"\x80\x02" + module("__main__\nNet", _modules=modules, **entries.get("", {})) + b"."


@pytest.mark.parametrize("where", ["", "rnn", "fc"])
@pytest.mark.parametrize("kind", ["_forward_hooks", "_forward_pre_hooks", "_backward_hooks"])
@pytest.mark.parametrize("by_index", [False, True])
def test_hooks_of_a_pickled_module_are_said(tmp_path, where, kind, by_index):
    path = tmp_path / "net.pt"
    archived(path, hooked({where: [kind]}, b"cmine\nhook\n"), BARE | HEAD)
    if by_index:
        names = [*(f"rnn.{name}" for name in BARE), "fc.weight"]
        path = tmp_path / "pytorch_model.bin.index.json"
        path.write_text(json.dumps({"weight_map": dict.fromkeys(names, "net.pt")}))
    contents = gw.inspect(path)
    (entry,) = [entry for entry in contents.ledger if not entry.used]
    name = f"{kind[1:-1].replace('_', ' ')} (mine.hook)"
    assert (entry.name, entry.kind) == (f"{where}.{name}" if where else name, "attribute")
    if "backward" in kind:
        assert (entry.effect, entry.lstms) == ("", ())
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gw.load_network(path, head="fc")
    assert any("mine.hook" in str(one.message) for one in caught)
    assert entry.lstms == (where or "rnn",)
    if where == "fc":
        gw.load(path, strict=True)
    else:
        with pytest.warns(gw.WeightsWarning, match=r"left out: .*mine\.hook\) \(it is code, it may change"):
            gw.load(path)


def test_a_forward_of_an_instance_s_own_is_said(tmp_path):
    data = hooked({}, b"").replace(text("_modules"), text("forward") + b"cmine\nforward\n" + text("_modules"))
    archived(tmp_path / "net.pt", data, BARE | HEAD)
    with pytest.warns(gw.WeightsWarning, match=r"left out: forward \(mine\.forward\) \(it is code, it may change"):
        gw.load(tmp_path / "net.pt")


STATES = ("lstm_h0", "state_h", "initial_state", "trainable_h0", "h0_l0", "start_c")


@pytest.mark.parametrize("name", STATES)
def test_a_tensor_that_may_be_a_state_by_its_name_and_shape_is_a_warning(tmp_path, name):
    listed(tmp_path, RNN | {name: ones(1, 1, 4)})
    with pytest.warns(gw.WeightsWarning, match=f"left out: {name} .by its name and shape it may be an initial state"):
        gw.load(tmp_path / "net.pt")


def test_the_hooks_of_weight_norm_are_computed_and_not_said(tmp_path):
    archived(
        tmp_path / "net.pt",
        hooked({"rnn": ["_forward_pre_hooks"]}, b"ctorch.nn.utils.weight_norm\nWeightNorm\n)\x81"),
        BARE | HEAD,
    )
    assert all(entry.used for entry in gw.inspect(tmp_path / "net.pt").ledger)


# Networks.

UNUSED = {  # tensors of no layer that is read, and what is said of them
    "a norm": ({"norm.bias": ones(4), "norm.weight": ones(4)}, r"a norm \(LayerNorm, GroupNorm\)"),
    "a scale": ({"rms.weight": ones(4)}, r"a scale or slope \(RMSNorm, PReLU\)"),
    "a batch norm": ({f"bn.{name}": ones(4) for name in ("bias", "running_mean", "running_var", "weight")}, "a batch"),
    "a convolution": ({"conv.weight": ones(4, 4, 3), "conv.bias": ones(4)}, "a convolution or the like"),
    "a matrix": ({"scale": ones(4, 4)}, "no layer that is read has a tensor of this name"),
    "a gain": ({"gain": ones(1)}, "no layer that is read"),
    "a start": ({"start": ones(1, 1, 4)}, "no layer that is read"),
    "a buffer": ({"position.table": ones(10, 4)}, "no layer that is read"),
    "a number": ({"temperature": ones()}, "no layer that is read"),
    "statistics": ({"mean": ones(3), "std": ones(3)}, "no layer that is read"),
    "integers": ({"order": np.arange(3)}, "no layer that is read"),
    "a GRU": ({"gru.weight_hh_l0": ones(12, 4), "gru.weight_ih_l0": ones(12, 4)}, "it is a GRU"),
}


def to_pickle(path, arrays):
    path.write_bytes(pickle.dumps(arrays))


WRITERS = {
    "archive.pt": writing.write_archive,
    "tensors.safetensors": lambda path, arrays: save_file(arrays, path),
    "arrays.npz": lambda path, arrays: np.savez(path, **arrays),
    "arrays.pkl": to_pickle,
}


@pytest.mark.parametrize("unused", UNUSED)
@pytest.mark.parametrize("name", WRITERS)
def test_tensors_that_no_layer_uses_are_a_warning_by_name_and_strict_refuses_them(tmp_path, name, unused):
    more, reason = UNUSED[unused]
    if name == "archive.pt" and unused == "integers":
        more = {"order": ones(3)}
    path = tmp_path / name
    WRITERS[name](path, RNN | more | HEAD)
    said = rf"left out: {' *(?:, |and) *'.join(more)} \({reason}"
    with pytest.warns(gw.WeightsWarning, match=said):
        gw.load(path)
    with pytest.warns(gw.WeightsWarning, match=said):
        gw.load_network(path, head="fc")
    with pytest.warns(gw.WeightsWarning, match=said):
        run = gw.open_run(path, ones(5, 3))
    assert run.network is None  # a head is not inferred where something else may lie on the way
    assert any(re.search(said, note) for note in run.notes)
    for read in (gw.load, partial(gw.load_network, head="fc"), partial(gw.open_run, input=ones(5, 3))):
        with pytest.raises(gw.FileError, match=f"strict=True: {said}"):
            read(path, strict=True)


def test_commands_say_what_no_layer_uses_verify_lists_it_and_strict_refuses(tmp_path, capsys):
    path, x = tmp_path / "net.pt", np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    writing.write_archive(path, RNN | {"norm.weight": ones(4), "norm.bias": ones(4), "gain": ones(1)})
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", 2 * LSTM(x)[0])

    def command(*words):
        code = 0
        try:
            main([*map(str, words)])
        except SystemExit as end:
            code = end.code
        return code, *(" ".join(text.split()) for text in capsys.readouterr())

    files = path, tmp_path / "x.npy"
    names = "norm.weight and norm.bias (a norm (LayerNorm, GroupNorm)", "gain (no layer that is read"
    code, _, err = command("trace", *files, "-o", tmp_path / "trace.npz")
    assert code == 0
    assert all(name in err for name in names)
    code, out, _ = command("verify", *files, tmp_path / "y.npy")
    assert code == 1
    assert "A likely cause, which is left out here: norm.weight" in out
    assert all(name in out for name in names)
    for words in (["trace", *files, "-o", tmp_path / "other.npz"], ["verify", *files, tmp_path / "y.npy"]):
        code, _, err = command(*words, "--strict")
        assert code == 2
        assert f"strict=True: left out: {names[0]}" in err


def test_a_file_that_says_how_its_layers_are_connected_has_no_such_warning(tmp_path):
    gw.save(gw.Network(gw.LSTM(3, 4, rng=0), head=gw.Linear(ones(2, 4))), tmp_path / "own.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gw.load(tmp_path / "own.safetensors", strict=True)


def test_another_lstm_that_a_network_drops_is_said(tmp_path):
    listed(tmp_path, RNN | {f"second.{name}": array for name, array in BARE.items()} | HEAD)
    with pytest.warns(gw.WeightsWarning, match=r"the network leaves out 'second' \(another LSTM\), which the file"):
        gw.load_network(tmp_path / "net.pt", "rnn", head="fc")
    with pytest.raises(gw.FileError, match="strict=True"):
        gw.load_network(tmp_path / "net.pt", "rnn", head="fc", strict=True)


def test_records_of_a_training_are_listed_and_no_warning(tmp_path):
    moments = {f"optimizer_states.0.state.{at}.exp_avg": array for at, array in enumerate(RNN.values())}
    state = {f"state_dict.{name}": array for name, array in (RNN | HEAD).items()}
    moments |= {"optimizer.w_g": ones(2, 1), "optimizer.w_v": ones(2, 2)}  # as weight norm has names
    contents = listed(tmp_path, state | moments | {"callbacks.best.kth_value": ones(1)})
    assert {entry.reason for entry in contents.ledger if not entry.used} == {"a record of the training"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = gw.load_network(tmp_path / "net.pt", head="state_dict.fc", strict=True)
    assert_same_lstm(network.lstm, LSTM)


def test_many_lstms_with_states_of_their_own_are_accounted_for_in_one_pass(tmp_path):
    cell = {name: array[:4, :1] if array.ndim > 1 else array[:4] for name, array in BARE.items()}
    arrays = {f"b{at}.rnn.{name}": array for at in range(300) for name, array in cell.items()}
    arrays |= {f"b{at}.h0": ones(1, 1, 1) for at in range(300)}
    (tmp_path / "net.pkl").write_bytes(pickle.dumps(arrays))
    contents = gw.inspect(tmp_path / "net.pkl")
    assert sum(found.state is not None for found in contents.lstms) == 300
