"""The headers of an HDF5 file's objects, in both versions: lists of messages, which may continue elsewhere."""

from __future__ import annotations

from gatewise.errors import FileError
from gatewise.interop.containers.hdf5.cursor import Cursor, Message
from gatewise.interop.containers.hdf5.file import HDF5File


def read_messages(file: HDF5File, address: int) -> list[Message]:
    """Return the messages of an object's header."""
    head = file.to_end(address, 64)
    if head.data[:4] == b"OHDR":
        return _read_version_2(file, address, head)
    head.version("an object header", 1)
    head.take(7)
    size = head.number(4)
    messages_so_far: list[Message] = []
    blocks = [(address + 16, size)]
    for start, length in blocks:
        block = file.read_piece(start, length)
        while block.left >= 8:
            kind, count, flags = block.number(2), block.number(2), block.number(1)
            block.take(3)
            data = block.take(count)
            _add_message(file, messages_so_far, blocks, Message(kind, flags, data))
    return messages_so_far


def _read_version_2(file: HDF5File, address: int, head: Cursor) -> list[Message]:
    head.take(4)
    head.version("an object header", 2)
    flags = head.number(1)
    head.take((16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0))
    size = head.number(1 << (flags & 3))
    messages_so_far: list[Message] = []
    blocks = [(address + head.at, size)]
    for number, (start, length) in enumerate(blocks):
        block = file.read_piece(start, length)
        if number:
            block.signature(b"OCHK")
            block.data = block.data[:-4]  # without its checksum
        while block.left >= (6 if flags & 4 else 4):
            kind, count, message_flags = block.number(1), block.number(2), block.number(1)
            block.take(2 if flags & 4 else 0)
            _add_message(file, messages_so_far, blocks, Message(kind, message_flags, block.take(count)))
    return messages_so_far


def _add_message(
    file: HDF5File, messages_so_far: list[Message], blocks: list[tuple[int, int]], message: Message
) -> None:
    file.count(1, 2)
    messages_so_far.append(message)
    if message.kind == 0x10:
        at = file.cursor(message.data)
        start, length = file.require_address(at.offset()), at.length()
        if len(blocks) > 1000 or (start, length) in blocks:
            raise FileError("an object header of it never ends")
        blocks.append((start, length))
