"""Files: whole or not at all, the same bytes for the same content, one sentence for whatever is wrong with them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import zipfile

import cases
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load_file, save_file

import gatewise as gw
from gatewise.files import storage

ARRAYS = {"a": np.arange(6.0).reshape(2, 3), "b": np.array([True, False]), "c": np.zeros((0, 4), np.float32)}
HEADER = {"kind": "nothing", "numbers": [1, 2.5, None, True], "nested": {"name": "é"}}
LOADERS = (gw.load, gw.load_network)


def assert_same_arrays(found, expected):
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)


def assert_refused(path, *parts, by=(storage.read, *LOADERS)):
    """Assert that a file is refused by everything that reads files, in one sentence that names it."""
    for read in by:
        with cases.refusal(os.fspath(path), *parts):
            read(path)


def assert_not_loaded(path, *parts):
    """Assert that a file whose bytes are in order is refused by what makes something of them."""
    assert_refused(path, *parts, by=LOADERS)


# There and back.


any_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
any_arrays = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(lambda n: n != "__metadata__"),
    st.sampled_from([np.float32, np.float64, np.bool_, np.int64]).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    ),
    max_size=4,
)


@given(arrays=any_arrays, header=st.dictionaries(st.text(), any_json, max_size=4))
def test_whatever_is_written_is_read(arrays, header, tmp_path_factory):
    path = tmp_path_factory.mktemp("storage") / "file"
    storage.write(path, arrays, header)
    found, again = storage.read(path)
    assert_same_arrays(found, arrays)
    assert again == header
    assert_same_arrays(load_file(path), arrays)  # and by the format's own reader


def test_arrays_in_any_order_of_memory_are_written_as_they_read(tmp_path):
    array = np.arange(24.0).reshape(2, 3, 4)
    views = {"transposed": array.T, "strided": array[:, ::2], "broadcast": np.broadcast_to(array[0], (3, 3, 4))}
    storage.write(tmp_path / "file", views, {})
    assert_same_arrays(storage.read(tmp_path / "file")[0], views)


def test_equal_content_gives_equal_bytes_in_whatever_order_it_comes(tmp_path):
    storage.write(tmp_path / "one", ARRAYS, HEADER)
    storage.write(tmp_path / "two", dict(reversed(ARRAYS.items())), dict(reversed(HEADER.items())))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    storage.write(tmp_path / "three", ARRAYS, {**HEADER, "kind": "else"})
    assert (tmp_path / "one").read_bytes() != (tmp_path / "three").read_bytes()


def test_every_array_lies_at_a_multiple_of_its_item_s_size_and_the_header_is_the_only_metadata(tmp_path):
    arrays, header = {"z": np.ones(3, bool), "y": np.ones(3, np.float32), "x": np.ones(3)}, HEADER | {"odd": "x" * 13}
    storage.write(tmp_path / "file", arrays, header)
    data = (tmp_path / "file").read_bytes()
    length = int.from_bytes(data[:8], "little")
    assert length % 8 == 0
    entries = json.loads(data[8 : 8 + length])
    metadata = entries.pop("__metadata__")
    assert list(metadata) == ["gatewise"]
    assert json.loads(metadata["gatewise"]) == header
    for name, entry in entries.items():
        assert entry["data_offsets"][0] % arrays[name].itemsize == 0


def test_a_header_that_json_does_not_know_is_not_written(tmp_path):
    for wrong in ({"x": np.nan}, {"x": object()}):
        with pytest.raises((ValueError, TypeError)):
            storage.write(tmp_path / "file", ARRAYS, wrong)
    assert not list(tmp_path.iterdir())


# Whole, or not at all.


@pytest.mark.parametrize("problem", [KeyError, KeyboardInterrupt, OSError])
def test_what_goes_wrong_while_writing_leaves_the_old_file_and_nothing_else(problem, tmp_path):
    path = tmp_path / "file"
    storage.write(path, ARRAYS, HEADER)
    before = path.read_bytes()
    shapes = {"a": ((1000,), np.dtype(np.float64))}
    expected = gw.FileError if problem is OSError else problem

    def failing():
        with storage.writing(path, shapes, {}) as views:
            views["a"][:500] = 1
            raise problem("no room")

    with pytest.raises(expected):
        failing()
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_appears_when_it_is_whole_and_not_before(tmp_path):
    path = tmp_path / "file"
    with storage.writing(path, {"a": ((3,), np.dtype(np.float64))}, {}) as views:
        assert not path.exists()
        views["a"][...] = [1, 2, 3]
    np.testing.assert_array_equal(storage.read(path)[0]["a"], [1, 2, 3])
    assert os.listdir(tmp_path) == ["file"]


def test_what_is_mapped_is_read_only_and_what_was_written(tmp_path):
    shapes = {name: (array.shape, array.dtype) for name, array in ARRAYS.items()}
    storage.write(tmp_path / "file", ARRAYS, HEADER)
    found = storage.mapped(tmp_path / "file", shapes, HEADER)
    assert_same_arrays(found, ARRAYS)
    assert not found["a"].flags.writeable


def test_a_new_file_is_as_open_to_others_as_any_other(tmp_path):
    storage.write(tmp_path / "file", ARRAYS, HEADER)
    (tmp_path / "other").write_bytes(b"")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "other")}
    assert len(modes) == 1


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "lstm"
    gw.save(gw.LSTM(2, 3, rng=0), path)
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.memmap.flush", full)
    with cases.refusal(os.fspath(path), "No space left on device"):
        gw.save(gw.LSTM(2, 3, rng=1), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["lstm"]


def test_a_file_larger_than_is_allowed_is_one_sentence_and_not_the_end_of_the_process(tmp_path):
    code = """if True:
        import resource, signal, sys, gatewise as gw
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        try:
            gw.save(gw.LSTM(64, 64, rng=0), sys.argv[1])
        except gw.FileError as problem:
            print(problem)
    """
    path = os.fspath(tmp_path / "lstm")
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"cannot write {path}: ")
    assert not list(tmp_path.iterdir())


# What cannot be written or read.


def test_a_folder_is_refused_in_one_sentence(tmp_path):
    assert_refused(tmp_path, "folder")
    with cases.refusal(os.fspath(tmp_path), "folder"):
        gw.save(gw.LSTM(2, 3, rng=0), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_missing_file_or_folder_is_refused_in_one_sentence(tmp_path):
    assert_refused(tmp_path / "nowhere", "no such file")
    assert_refused(tmp_path / "no" / "where", "no such file")
    for path in (tmp_path / "no" / "where", tmp_path / ("x" * 300)):
        with cases.refusal(os.fspath(path)):
            gw.save(gw.LSTM(2, 3, rng=0), path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", [None, 3, b"lstm", ["lstm"]])
def test_what_is_no_path_is_refused_in_one_sentence(path):
    lstm = gw.LSTM(2, 3, rng=0)
    asked = [lambda: gw.save(lstm, path), lambda: gw.load(path), lambda: gw.load_network(path)]
    asked += [] if path is None else [lambda: lstm.trace(np.ones((1, 2)), out=path)]
    for ask in asked:
        with cases.refusal("path", type(path).__name__, by=gw.OptionError):
            ask()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One file of each kind, by name."""
    folder, lstm = tmp_path_factory.mktemp("whole"), gw.LSTM(2, 3, bidirectional=True, rng=0)
    network = gw.Network(lstm, embedding=np.ones((5, 2)), head=gw.Linear(np.ones((1, 6), np.float32)))
    gw.save(lstm, folder / "lstm")
    gw.save(network, folder / "network")
    gw.save(lstm.trace(np.ones((3, 1, 2)), lengths=[2]), folder / "lstm_trace")
    gw.save(lstm.trace(np.ones((3, 1, 2)))[0, "forward"], folder / "trace")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_files_to_be_spoilt_are_good_ones(whole, tmp_path):
    for kind, data in whole.items():
        (tmp_path / kind).write_bytes(data)
    assert isinstance(gw.load(tmp_path / "lstm"), gw.LSTM)
    assert isinstance(gw.load_network(tmp_path / "network"), gw.Network)
    assert isinstance(gw.load(tmp_path / "trace"), gw.Trace)
    assert isinstance(gw.load(tmp_path / "lstm_trace"), gw.LSTMTrace)


@pytest.mark.parametrize("kind", ["network", "lstm_trace"])
def test_a_truncated_file_is_refused_wherever_it_ends(whole, kind, tmp_path):
    data, path = whole[kind], tmp_path / "file"
    start = 8 + int.from_bytes(data[:8], "little")
    ends = {0, 1, 7, 8, 9, 100, start - 1, start, start + 1, len(data) - 1, *range(0, len(data), len(data) // 40)}
    for end in sorted(ends):
        path.write_bytes(data[:end])
        assert_refused(path)


@pytest.mark.parametrize("kind", ["lstm", "lstm_trace"])
def test_a_file_with_something_behind_it_is_refused(whole, kind, tmp_path):
    (tmp_path / "file").write_bytes(whole[kind] + b"\0")
    assert_refused(tmp_path / "file")


@given(data=st.binary(max_size=200))
def test_random_bytes_are_refused_in_one_sentence(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("random") / "file"
    path.write_bytes(data)
    assert_refused(path)
    path.write_bytes(len(data).to_bytes(8, "little") + data)
    assert_refused(path)


@given(data=st.data())
def test_a_file_with_some_bytes_changed_is_refused_or_read_and_nothing_else(whole, data, tmp_path_factory):
    kind = data.draw(st.sampled_from(sorted(whole)))
    spoilt = bytearray(whole[kind])
    header = 8 + int.from_bytes(spoilt[:8], "little")
    for _ in range(data.draw(st.integers(1, 3))):
        spoilt[data.draw(st.integers(0, header - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("spoilt") / "file"
    path.write_bytes(spoilt)
    for load in LOADERS:
        try:
            load(path)
        except gw.FileError as problem:
            cases.one_sentence(problem, os.fspath(path))


def test_a_foreign_safetensors_file_without_an_lstm_is_refused_by_what_it_holds(tmp_path):
    save_file({"weight": np.ones(3)}, tmp_path / "plain")
    save_file({"weight": np.ones(3)}, tmp_path / "pytorch", metadata={"format": "pt"})
    for name in ("plain", "pytorch"):
        with pytest.raises(gw.FileError, match=r"none of its 1 tensors has a name of an LSTM's \(weight\)"):
            gw.load(tmp_path / name)


NO_OBJECT = dict.fromkeys(["[]", "5", "null", '"text"', "[{}]"], ("header", "not a JSON object"))
NO_JSON = dict.fromkeys(["", "{", "{'a': 1}", "[" * 100_000, "\x00"], ())


@pytest.mark.parametrize(("header", "words"), (NO_OBJECT | NO_JSON).items())
def test_a_header_that_is_no_object_is_refused_in_one_sentence(header, words, tmp_path):
    save_file(ARRAYS, tmp_path / "file", metadata={"gatewise": header})
    assert_refused(tmp_path / "file", *words)


def spoil(path, whole, kind, change):
    """Write a file of a kind with its header and arrays changed."""
    path.write_bytes(whole[kind])
    arrays, header = storage.read(path)
    change(arrays, header)
    storage.write(path, arrays, header, overwrite=True)


def put(header, keys, value):
    """Set an entry deep in a header; without a value, take it out."""
    for key in keys[:-1]:
        header = header[key]
    if value is None:
        del header[keys[-1]]
    else:
        header[keys[-1]] = value


@pytest.mark.parametrize("kind", ["lstm", "network", "trace", "lstm_trace"])
@pytest.mark.parametrize("number", [0, 2, "1", None, 1.5])
def test_another_format_is_refused_by_its_number(whole, kind, number, tmp_path):
    spoil(tmp_path / "file", whole, kind, lambda arrays, header: put(header, ["format"], number))
    assert_not_loaded(tmp_path / "file", f"format {number!r}", "format 1")


@pytest.mark.parametrize("kind", ["lstm", "network", "trace", "lstm_trace"])
def test_other_conventions_are_refused(whole, kind, tmp_path):
    for value in ("input, output, forget, candidate", None):
        spoil(tmp_path / "file", whole, kind, lambda _, h, v=value: put(h, ["conventions", "gate_order"], v))
        assert_not_loaded(tmp_path / "file", "conventions")


HEADERS = {
    "an unknown kind": ("lstm", ["kind"], "gru"),
    "no kind": ("lstm", ["kind"], None),
    "no lstm": ("lstm", ["lstm"], None),
    "an lstm that is a list": ("lstm", ["lstm"], []),
    "no directions": ("lstm", ["lstm", "directions"], None),
    "empty directions": ("lstm", ["lstm", "directions"], []),
    "an unknown direction": ("lstm", ["lstm", "directions"], ["forward", "sideways"]),
    "directions the wrong way round": ("lstm", ["lstm", "directions"], ["backward", "forward"]),
    "too few directions": ("lstm", ["lstm", "directions"], ["forward"]),
    "no layers": ("lstm", ["lstm", "layers"], []),
    "layers that are numbers": ("lstm", ["lstm", "layers"], [1]),
    "too many merges": ("lstm", ["lstm", "merge"], ["concat", "concat"]),
    "an unknown merge": ("lstm", ["lstm", "merge"], ["glue"]),
    "an unknown switch": ("lstm", ["lstm", "layers", 0, 0, "variant", "gate_flip"], 1),
    "a switch of the wrong type": ("lstm", ["lstm", "layers", 0, 0, "variant", "gate_clip"], "big"),
    "an unknown activation": ("lstm", ["lstm", "layers", 0, 0, "variant", "input_activation", "name"], "swish"),
    "a variant that its arrays lack": ("lstm", ["lstm", "layers", 0, 0, "variant", "peephole"], "full"),
    "too many labels": ("lstm", ["lstm", "layers", 0, 0, "labels", "features"], ["a", "b", "c"]),
    "labels that are a number": ("lstm", ["lstm", "layers", 0, 0, "labels", "features"], 5),
    "unknown labels": ("lstm", ["lstm", "layers", 0, 0, "labels", "colours"], ["a"]),
    "an unknown way to read": ("network", ["reads"], "first"),
    "an unknown nonlinearity of the head": ("network", ["activation"], "celu"),
    "a nonlinearity with an unknown constant": ("network", ["activation"], {"name": "tanh", "gamma": 1}),
    "a mark that is no number": ("network", ["masked"], "x"),
    "no way to read": ("network", ["reads"], None),
    "a trace without a variant": ("trace", ["trace", "variant"], None),
    "a trace in no direction": ("trace", ["trace", "direction"], "sideways"),
    "a trace that kept what there is not": ("trace", ["trace", "keep", "quantities"], ["memory"]),
    "a trace that kept units there are not": ("trace", ["trace", "keep", "units"], [7]),
    "a trace that kept too few steps": ("trace", ["trace", "keep", "every"], 2),
    "a trace of no steps": ("trace", ["trace", "keep", "every"], 0),
    "a trace with too many times": ("trace", ["trace", "labels", "times"], ["a"]),
    "traces of no layer": ("lstm_trace", ["layers"], []),
    "traces of an empty layer": ("lstm_trace", ["layers"], [{}]),
    "traces with an unknown merge": ("lstm_trace", ["merge"], ["glue"]),
    "traces with too many merges": ("lstm_trace", ["merge"], ["concat", "concat"]),
    "traces with an unknown masked output": ("lstm_trace", ["masked_output"], "ones"),
    "traces in the wrong direction": ("lstm_trace", ["layers", 0, "forward", "direction"], "backward"),
    "traces without a direction": ("lstm_trace", ["layers", 0, "forward", "direction"], None),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_that_does_not_describe_its_arrays_is_refused_in_one_sentence(whole, case, tmp_path):
    kind, keys, value = HEADERS[case]
    spoil(tmp_path / "file", whole, kind, lambda _, header: put(header, keys, value))
    assert_not_loaded(tmp_path / "file")


def names_of(kind):
    """Return the arrays that a file of a kind cannot do without."""
    cell = [f"layers.0.{direction}.{name}" for direction in cases.DIRECTIONS for name in ("weight", "bias")]
    parts = ["gates", "cell_state", "hidden_state", "initial.hidden_state", "final.cell_state", "parameters.weight"]
    return {
        "lstm": cell,
        "network": [*cell, "head.bias"],
        "trace": [*parts, "input"],
        "lstm_trace": ["output", *(f"layers.0.backward.{name}" for name in [*parts, "input"])],
    }[kind]


FAULTS = [
    (kind, name, fault)
    for kind in ("lstm", "network", "trace", "lstm_trace")
    for name in names_of(kind)
    for fault in ("missing", "one row more", "no axes", "bool")
    if fault != "bool" or "trace" in kind  # numbers of any kind are taken as weights
]


@pytest.mark.parametrize(("kind", "name", "fault"), FAULTS)
def test_arrays_that_are_missing_or_misshapen_are_refused_in_one_sentence(whole, kind, name, fault, tmp_path):
    def change(arrays, header):
        if fault == "missing":
            del arrays[name]
        elif fault == "one row more":
            arrays[name] = np.concatenate([arrays[name], arrays[name][:1]])
        elif fault == "no axes":
            arrays[name] = np.zeros(())
        else:
            arrays[name] = arrays[name] != 0

    spoil(tmp_path / "file", whole, kind, change)
    assert_not_loaded(tmp_path / "file")


@pytest.mark.parametrize("place", ["extra", "lstm.layers.0.0.extra"])
def test_what_no_object_has_is_left_out_with_a_warning(place, whole, tmp_path):
    def add(arrays, header):
        if place == "extra":
            arrays["extra"] = np.ones(3)
        else:
            header["lstm"]["layers"][0][0]["extra"] = 1

    spoil(tmp_path / "file", whole, "lstm", add)
    with pytest.warns(gw.WeightsWarning, match=rf"lstm: left out: {place} \("):
        assert gw.load(tmp_path / "file").hidden_size == 3
    with pytest.raises(gw.FileError, match=f"with strict=True: left out: {place}"):
        gw.load(tmp_path / "file", strict=True)


def test_what_cannot_be_written_is_said_once(tmp_path):
    with pytest.raises(gw.FileError) as problem, storage.beside(tmp_path / "missing" / "p.svg"):
        pass
    assert str(problem.value).count("cannot write") == 1


def test_an_archive_of_arrays_is_one_archive_and_has_each_name_once(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, a=np.ones(2))
    data = path.read_bytes()
    for joined, place in ((data + data, "before"), (data + b"more", "behind")):
        path.write_bytes(joined)
        for read in (storage.npz_names, lambda path: storage.read_npz(path, ["a"])):
            with cases.refusal(os.fspath(path), f"it has bytes {place} its zip archive"):
                read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.npy", b"2")
    with cases.refusal(os.fspath(path), "it has several arrays 'a'"):
        storage.npz_names(path)
