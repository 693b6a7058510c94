"""Mutations of ONNX files that protobuf still reads: some fields of a model get other values of their types."""

from __future__ import annotations

import random

from onnx import AttributeProto, ModelProto, NodeProto, TensorProto

HUGE = (-1, 0, 1, 2, 3, 5, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63))
FLOATS = (0.0, -1.0, float("nan"), float("inf"), 1e38)
WORDS = (b"", b"Tanh", b"Affine", b"\xff", b"ScaledTanh", b"Swish", b"reverse")
_models: dict[bytes, ModelProto] = {}


def messages(message) -> list:
    """Return a message and all that are in it."""
    found = [message]
    for field, value in message.ListFields():
        if field.message_type is not None:
            for one in value if hasattr(value, "add") else [value]:
                found += messages(one)
    return found


def in_model(data: bytes, chance: random.Random) -> bytes:
    """Give one, two or four fields of a model other values of their types."""
    if data not in _models:
        _models[data] = ModelProto.FromString(data)
    copy = ModelProto()
    copy.CopyFrom(_models[data])
    every = messages(copy)
    names = [one.name for one in every if isinstance(one, (TensorProto, NodeProto)) and one.name]
    names += [name for one in every if isinstance(one, NodeProto) for name in (*one.input, *one.output)]
    for _ in range(chance.choice((1, 1, 2, 4))):
        message = chance.choice(every)
        if chance.random() < 0.8:
            kind = chance.choice([NodeProto, TensorProto, AttributeProto])
            message = chance.choice([one for one in every if isinstance(one, kind)] or every)
        if fields := message.ListFields():
            _change(message, *chance.choice(fields), names, chance)
    return copy.SerializeToString()


def _change(message, field, value, names: list[str], chance: random.Random) -> None:
    if hasattr(value, "append") or hasattr(value, "add"):  # repeated, and not empty
        place = chance.randrange(len(value))
        if chance.random() < 0.3:
            del value[place]
        elif field.message_type is not None:
            value.add().CopyFrom(value[place])
        else:
            value[place] = _another(field, value[place], names, chance)
            if chance.random() < 0.2:
                value.append(value[place])
    elif field.message_type is not None or chance.random() < 0.2:
        message.ClearField(field.name)
    else:
        setattr(message, field.name, _another(field, value, names, chance))


def _another(field, value, names: list[str], chance: random.Random):
    """Return another value of a field's type."""
    if field.type == field.TYPE_STRING:
        return chance.choice([*names, "", "LSTM", "Concat", "com.microsoft", "Slice"])
    if field.type == field.TYPE_BYTES:
        return chance.choice((*WORDS, value[: len(value) // 2], value + value))
    if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        return chance.choice(FLOATS)
    if field.type == field.TYPE_ENUM:
        return chance.choice(list(field.enum_type.values_by_number))
    return chance.choice(HUGE) if field.type == field.TYPE_INT64 else chance.randrange(30)
