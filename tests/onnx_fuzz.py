"""Mutations of real ONNX files, read in a process of its own with a lid on its memory.

``python onnx_fuzz.py SEED COUNT FILE …`` prints how many were answered and how many refused, and ends with an error at
the first that is neither.
"""

from __future__ import annotations

import faulthandler
import random
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from pathlib import Path

import onnx

from gatewise.errors import GatewiseError
from gatewise.interop import onnx as door

LID = 768 * 2**20  # bytes on top of what the process begins with
LONGEST = 20  # seconds for one file


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return a file with flipped, lost, doubled or exchanged bytes."""
    found = bytearray(data)
    match rng.randrange(5):
        case 0:
            for _ in range(rng.choice((1, 1, 2, 8))):
                found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
        case 1:
            del found[rng.randrange(len(found)) :]
        case 2:
            start = rng.randrange(len(found))
            del found[start : start + rng.choice((1, 2, 16, 256))]
        case 3:
            start, other = rng.randrange(len(found)), rng.randrange(len(found))
            found[start:start] = found[other : other + rng.choice((1, 4, 64, 1024))]
        case 4:
            start = rng.randrange(len(found))
            found[start : start + 4] = rng.choice(
                (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x80\x80\x80\x80", rng.randbytes(4))
            )
    return bytes(found)


def messages(message) -> list:
    """Return a message and all that are in it."""
    found = [message]
    for field, value in message.ListFields():
        if field.message_type is not None:
            for one in value if hasattr(value, "add") else [value]:
                found += messages(one)
    return found


HUGE = (-1, 0, 1, 2, 3, 5, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63))


def changed(model, rng: random.Random):
    """Return a model in which some of the fields have other values of their types."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    every = messages(copy)
    names = [one.name for one in every if isinstance(one, (onnx.TensorProto, onnx.NodeProto)) and one.name]
    names += [name for one in every if isinstance(one, onnx.NodeProto) for name in (*one.input, *one.output)]
    for _ in range(rng.choice((1, 1, 2, 4))):
        message = rng.choice(every)
        kinds = [onnx.NodeProto, onnx.TensorProto, onnx.AttributeProto]
        if rng.random() < 0.8:
            message = rng.choice([one for one in every if isinstance(one, rng.choice(kinds))] or every)
        fields = [field for field, _ in message.ListFields()]
        if not fields:
            continue
        field = rng.choice(fields)
        value = getattr(message, field.name)
        if hasattr(value, "append") or hasattr(value, "add"):  # repeated
            place = rng.randrange(len(value)) if len(value) else 0
            if rng.random() < 0.3 and len(value):
                del value[place]
            elif field.message_type is None and len(value):
                if field.type in (field.TYPE_INT32, field.TYPE_INT64, field.TYPE_UINT64):
                    number = rng.choice(HUGE) if field.type == field.TYPE_INT64 else rng.choice(HUGE[1:6])
                    value[place] = number
                elif field.type == field.TYPE_STRING:
                    value[place] = rng.choice([*names, ""])
                elif field.type == field.TYPE_BYTES:
                    value[place] = rng.choice((b"", b"Tanh", b"Affine", b"\xff", b"ScaledTanh", b"Swish"))
                else:
                    value[place] = rng.choice((0.0, -1.0, float("nan"), float("inf"), 1e38))
                if rng.random() < 0.2:
                    value.append(value[place])
            elif field.message_type is not None and len(value):
                value.add().CopyFrom(value[place])
        elif field.message_type is not None or rng.random() < 0.2:
            message.ClearField(field.name)
        elif field.type == field.TYPE_STRING:
            setattr(message, field.name, rng.choice([*names, "", "LSTM", "Concat", "com.microsoft", "Slice"]))
        elif field.type == field.TYPE_BYTES:
            setattr(message, field.name, rng.choice((b"", value[: len(value) // 2], value + value, b"reverse")))
        elif field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
            setattr(message, field.name, rng.choice((0.0, -1.0, float("nan"), float("inf"), 1e38)))
        elif field.type == field.TYPE_ENUM:
            setattr(message, field.name, rng.choice(list(field.enum_type.values_by_number)))
        else:
            number = rng.choice(HUGE) if field.type == field.TYPE_INT64 else rng.randrange(0, 30)
            setattr(message, field.name, number)
    return copy


def ask(path: Path) -> str:
    """Return ``answered``, or ``refused``: for one of gatewise's own errors, in one line."""
    try:
        contents = door.contents(path, {})
        for part in contents.parts:
            if part.weight is not None:
                part.weight()
            if part.bias is not None:
                part.bias()
        return "answered" if contents.found else "nothing to answer"
    except GatewiseError as problem:
        if len(str(problem).splitlines()) != 1:
            raise AssertionError(f"not one line: {problem}") from problem
        return "refused"


def limited() -> None:
    """Put the lid on."""
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            begun = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (begun + LID, begun + LID))
    except (ImportError, OSError):
        pass  # where there is no such lid


def main(seed: int, count: int, *files: str) -> None:
    warnings.simplefilter("error")
    rng, counts = random.Random(seed), Counter()
    subjects = [Path(one).read_bytes() for one in files]
    models = [onnx.ModelProto.FromString(one) for one in subjects]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutated.onnx"
        path.write_bytes(subjects[0])
        ask(path)  # what is imported late is imported before the lid is on
        limited()
        for number in range(count):
            place = rng.randrange(len(subjects))
            if rng.random() < 0.5 or len(subjects[place]) > 10**6:
                data = mutated(subjects[place], rng)
            else:
                data = changed(models[place], rng).SerializeToString()
            path.write_bytes(data)
            faulthandler.dump_traceback_later(LONGEST, exit=True)
            try:
                counts[ask(path)] += 1
            except BaseException:
                traceback.print_exc()
                print(f"mutation {number} of seed {seed}, of {files[place]}", file=sys.stderr)
                Path(tempfile.gettempdir(), "onnx_fuzz_failure.onnx").write_bytes(data)
                raise SystemExit(1) from None
            faulthandler.cancel_dump_traceback_later()
    print(" ".join(f"{name.replace(' ', '_')}={number}" for name, number in sorted(counts.items())))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
