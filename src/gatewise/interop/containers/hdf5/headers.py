"""The headers of an HDF5 file's objects: lists of messages, which may continue elsewhere; types and shapes in them."""

from __future__ import annotations

import math

from gatewise.errors import FileError
from gatewise.interop.containers.hdf5.file import HDF5File, Message, Type


def read_messages(file: HDF5File, address: int) -> list[Message]:
    """Return the messages of an HDF5 object's header, of version 1 or 2, through all its blocks."""
    head = file.to_end(address, 64)
    is_version_2 = head.data[:4] == b"OHDR"
    if is_version_2:
        head.take(4)
        head.version("an object header", 2)
        flags = head.number(1)
        head.take((16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0))
        blocks = [(head.number(1 << (flags & 3)), address + head.at)]
        kind_size, gap = 1, 2 if flags & 4 else 0  # the bytes of a message's kind, and those before its data
    else:
        head.version("an object header", 1)
        head.take(7)
        blocks, kind_size, gap = [(head.number(4), address + 16)], 2, 3
    messages: list[Message] = []
    for number, (length, start) in enumerate(blocks):
        block = file.read_piece(start, length)
        if is_version_2 and number:
            block.signature(b"OCHK")
            block.data = block.data[:-4]  # without its checksum
        data, at, ahead, before = block.data, block.at, kind_size + 3 + gap, len(messages)
        while len(data) - at >= ahead:  # without a cursor: a file may have a hundred thousand messages
            kind, flags = int.from_bytes(data[at : at + kind_size], "little"), data[at + kind_size + 2]
            count = int.from_bytes(data[at + kind_size : at + kind_size + 2], "little")
            at += ahead
            if at + count > len(data):
                raise FileError("a part of its structure ends too early")
            messages.append(Message(kind, flags, data[at : at + count]))
            at += count
            if kind == 0x10:
                cursor = file.cursor(messages[-1].data)
                start, length = file.require_address(cursor.offset()), cursor.length()
                if len(blocks) > 1000 or (length, start) in blocks:
                    raise FileError("an object header of it never ends")
                blocks.append((length, start))
        file.count(len(messages) - before, 2)
    return messages


# Keys: position of the sign, first bit, number of bits, position and length of the exponent and of the mantissa, and
# the bias of the exponent.
FLOATS: dict[tuple[int, ...], tuple[str, int]] = {
    (15, 0, 16, 10, 5, 0, 10, 15): ("float", 2),
    (31, 0, 32, 23, 8, 0, 23, 127): ("float", 4),
    (63, 0, 64, 52, 11, 0, 52, 1023): ("float", 8),
    (15, 0, 16, 7, 8, 0, 7, 127): ("bfloat16", 2),
}


def read_datatype(file: HDF5File, data: bytes) -> Type:
    """Return the type of an HDF5 dataset or attribute, from its datatype message."""
    cursor = file.cursor(data)
    kind = cursor.number(1) & 15
    bits = cursor.number(3)
    size = cursor.number(4)
    order = ">" if bits & 1 else "<"
    if kind == 0:
        name = f"{order}{'i' if bits & 8 else 'u'}{size}"
        first_bit, num_bits = cursor.number(2), cursor.number(2)
        fills_bytes = (first_bit, num_bits) == (0, 8 * size)
        return Type("int", size, name) if size in (1, 2, 4, 8) and fills_bytes else Type("integers of odd sizes", size)
    if kind == 1:
        float_type = FLOATS.get((bits >> 8 & 255, *(cursor.number(count) for count in (2, 2, 1, 1, 1, 1, 4))))
        if (
            float_type is None or size != float_type[1] or bits & 0x70 != 0x20
        ):  # a leading 1 is implied, and it is no VAX
            return Type("odd floats", size)
        return Type(float_type[0], size, f"{order}{'u' if float_type[0] == 'bfloat16' else 'f'}{size}")
    if kind == 3:
        return Type("string", size)
    if kind == 5 and size == 2:
        return Type("bfloat16", 2, "<u2")  # as NumPy's extension types are stored; an attribute says so
    if kind == 9 and bits & 15 == 1:
        return Type("text", size)
    names = {2: "times", 4: "bits", 5: "bytes", 6: "records", 7: "references", 8: "names of numbers", 9: "lists"}
    return Type(names.get(kind, "an unknown type"), size)


def read_dataspace(file: HDF5File, data: bytes) -> tuple[int, ...]:
    """Return the shape of an HDF5 dataset or attribute, from its dataspace message."""
    cursor = file.cursor(data)
    version, rank = cursor.version("a dataspace", 1, 2), cursor.number(1)
    cursor.take(1)
    if version == 1:
        cursor.take(5)
    elif cursor.number(1) == 2:
        return (0,)
    if rank > 32:
        raise FileError(f"it has a dataset of {rank} axes; at most 32 are allowed")
    shape = tuple(cursor.length() for _ in range(rank))
    if math.prod(size for size in shape if size) > 2**58:
        raise FileError(f"it has a dataset of shape {shape}, which is too large")
    return shape
