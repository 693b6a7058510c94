"""A model that is parsed without its long arrays is the whole model once they are put back, whatever a file holds."""

from __future__ import annotations

import random

import pytest

from gatewise.errors import FileError
from gatewise.files.budget import Budget
from gatewise.interop.containers import protobuf
from gatewise.interop.onnx.parsing import ARRAYS

onnx = pytest.importorskip("onnx")

import onnx_models as models  # noqa: E402
from google.protobuf.message import DecodeError  # noqa: E402
from onnx_fuzz import in_model, messages  # noqa: E402
from onnx_reading import small  # noqa: E402

MUTATIONS = 60  # of each model
LIKELY = (0, 1, 10, 74, 127, 128, 255)  # bytes that end, or lengthen, or name what comes


def parsed(data):
    """Return a model without fields that are not known, or None where the bytes are none."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        return None
    model.DiscardUnknownFields()
    return model


def looked_through(data):
    """Return a file's bytes without its long arrays, and these; None where it is refused before it is parsed."""
    try:
        return protobuf.shorten_message(data, onnx.ModelProto.DESCRIPTOR, Budget(len(data)), ARRAYS)
    except (FileError, UnicodeDecodeError):
        return None


def put_back(model, kept_out):
    """Put arrays that were kept out into a model."""
    for one in messages(model):
        if isinstance(one, onnx.TensorProto) and one.HasField("raw_data"):
            one.raw_data = bytes(protobuf.restore_value(one.raw_data, kept_out))
    return model


def is_whole(data):
    """Say whether a model that was parsed without its long arrays is the whole one, or neither is one."""
    found = looked_through(data)
    if found is None:
        return True
    whole, short = parsed(data), parsed(found[0])
    if whole is None or short is None:
        return whole is short
    return put_back(short, found[1]).SerializeToString(deterministic=True) == whole.SerializeToString(
        deterministic=True
    )


def files():
    """Give files with arrays everywhere that they may be: in nodes, in graphs of nodes, in functions, sparse ones."""
    tensor = onnx.numpy_helper.from_array
    for number, how in enumerate(models.STORED):
        wrapped = models.WRAPPED[number % len(models.WRAPPED)]
        model = models.lstm_model(small(hidden=12, inputs=11), how=how, wrapped=wrapped, hidden_size=12)
        array = tensor(small(hidden=12, inputs=11)["W"], "w")
        model.graph.sparse_initializer.add().values.CopyFrom(array)
        model.graph.node.add(op_type="Other").attribute.add(name="many").tensors.extend([array, array])
        model.training_info.add().initialization.initializer.append(array)
        yield model.SerializeToString()


def field(number, data, width=1):
    """Return a field of a message, its length in so many bytes at least."""
    width = max(width, -(-len(data).bit_length() // 7))
    return bytes([number << 3 | 2]) + protobuf._write_varint(len(data), width) + data


def in_graph(*tensors, width=1):
    """Return a file whose graph has these initializers."""
    return field(7, b"".join(field(5, one, width) for one in tensors), width)


def test_a_model_without_its_long_arrays_is_short_and_whole_when_they_are_put_back():
    for data in files():
        short, kept_out = looked_through(data)
        assert len(short) == len(data) - sum(len(one) - protobuf.NUMBER for one in kept_out)
        assert is_whole(data)


@pytest.mark.parametrize("seed", range(len(models.STORED)))
def test_spoiled_files_are_read_as_without_it(seed):
    data, chance = list(files())[seed], random.Random(seed)
    for _ in range(MUTATIONS):
        spoiled = bytearray(in_model(data, chance) if chance.random() < 0.5 else data)
        for _ in range(chance.choice((0, 1, 2, 8))):
            spoiled[chance.randrange(len(spoiled))] = chance.choice((*LIKELY, chance.randrange(256)))
        if chance.random() < 0.3:
            start, end = sorted(chance.randrange(len(spoiled)) for _ in range(2))
            spoiled[start:end] = spoiled[end : 2 * end - start] if chance.random() < 0.5 else b""
        assert is_whole(bytes(spoiled))


@pytest.mark.parametrize("length", [0, 1, 16, 17, 18, 127, 128, 129, 1023, 1024, 1025, 16383, 16384])
@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_arrays_of_any_length_are_read_back(length, width):
    array = bytes(range(1, 256)) * (length // 255 + 1)
    assert is_whole(in_graph(field(9, array[:length], width), width=width))


def test_of_a_field_that_is_given_twice_the_last_is_read_and_messages_are_merged():
    a, b, empty, short = b"a" * 2000, b"b" * 3000, b"", b"s" * 17
    for first, *rest in ([a, b], [a, empty], [a, short], [short, a], [b, a, b]):
        data = in_graph(b"".join(field(9, one) for one in (first, *rest)))
        assert is_whole(data)
        assert is_whole(data + data)  # two graphs, which are one
    attribute = field(1, b"value") + field(5, field(9, a)) + field(5, field(9, b))  # its tensor, in two parts
    assert is_whole(field(7, field(1, field(5, attribute))))


def test_bytes_that_look_like_what_stands_for_an_array_are_numbers():
    stand_ins = [number.to_bytes(protobuf.NUMBER, "little") for number in range(3)]
    data = in_graph(*(field(9, one) for one in [*stand_ins, b"x" * 2000]))
    short, kept_out = looked_through(data)
    assert [one.raw_data for one in put_back(parsed(short), kept_out).graph.initializer] == [*stand_ins, b"x" * 2000]


@pytest.mark.parametrize("width", [6, 9, 10, 11])
def test_lengths_of_more_bytes_than_a_parser_takes_are_refused_as_without_it(width):
    assert is_whole(in_graph(field(9, b"a" * 2000, width)))
    assert is_whole(in_graph(field(9, b"a" * 2000), width=width))


def test_arrays_within_what_a_parser_does_not_know_are_left_to_it():
    array = field(9, b"a" * 2000)
    group = bytes([15 << 3 | 3]) + array + bytes([15 << 3 | 4])
    assert is_whole(in_graph(group + array))
    assert is_whole(in_graph(array[:-1], array))
    assert is_whole(in_graph(array) + b"\x05")
    assert is_whole(field(7, field(12, array)) + in_graph(array))


def test_many_arrays_are_held_before_they_are_kept_out():
    data = in_graph(*[field(9, b"a" * 1024)] * 1000)
    budget = Budget(len(data))
    protobuf.shorten_message(data, onnx.ModelProto.DESCRIPTOR, budget, ARRAYS)
    assert budget._held == 1000 * protobuf._KEPT_OUT
