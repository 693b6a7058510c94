"""Checks of a protobuf message before it is parsed: the number of its pieces, and its texts.

A message of protobuf takes two bytes in a file and several hundred in memory, so that a small file may fill it. What is
counted are the stretches of bytes that a file is made of: messages, each as `MESSAGE` elements, and texts and arrays,
each as one.

A message holds a copy of the arrays in it, and gives another to whoever asks for one: too much memory where they are
large. So the values of one field can be kept out of the bytes that are parsed: they are views of the file's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from typing import Any

from gatewise.files.budget import Budget

MESSAGE = 4  # a message that is parsed, and is an object of Python as well once it is looked at
PIECES = "pieces"
LONG = 1024  # bytes of a value that is kept out
NUMBER = 17  # bytes of what stands in its place, its number: a value of just so many is kept out too, to tell it apart
_AT_ONCE = 4096  # elements that are taken off together
_KEPT_OUT = 500  # bytes that it takes to keep a value out, whatever its length
_TEXT, _ARRAY = "text", "array"


def shorten_message(
    data: bytes, descriptor: Any, budget: Budget, arrays: str = ""
) -> tuple[bytes, Sequence[memoryview]]:
    """Take the long arrays out of a Protocol Buffers message, count its pieces, and require that texts are UTF-8.

    Values of the field with the full name `arrays` that have `LONG` bytes or more, or just `NUMBER`, are kept out.
    Returns the bytes to parse (`data` itself if nothing is kept out), and what is: see `restore_value`. Bytes that make
    no message end the count: where parsing ends as well. A text that is none is a UnicodeDecodeError.
    """
    shortened = _MessageShortener(data)
    # Of the messages around this position: their ends and fields, and the arguments of `end_message` for the inner one.
    enclosing: list[tuple[int, Any, int, int, int]] = []
    place, end, kinds, count = 0, len(data), _field_kinds(descriptor, arrays), 0
    try:
        while True:
            while place >= end:
                if not enclosing:
                    budget.count(count, PIECES)
                    return shortened.result()
                outer, kinds, gone, before, start = enclosing.pop()
                if shortened.gone > gone:
                    shortened.end_message(gone, before, start, end)
                end = outer
            tag, place = data[place], place + 1
            if tag > 127:  # as a call for each byte would take as long as all the rest
                tag, place = _read_varint(data, place - 1)
            match tag & 7:
                case 2:
                    before = place
                    length, place = data[place], place + 1
                    if length > 127:
                        length, place = _read_varint(data, before)
                    if place + length > end:
                        return data, ()
                    kind = kinds.get(tag >> 3)
                    count += 1
                    if kind is _TEXT:
                        data[place : place + length].decode()
                    elif kind is _ARRAY and (length >= LONG or length == NUMBER):
                        budget.hold(1, _KEPT_OUT, "its arrays")
                        shortened.keep_out(before, place, place + length)
                    if kind is None or kind is _TEXT or kind is _ARRAY:
                        place += length
                    else:
                        count += MESSAGE - 1
                        enclosing.append((end, kinds, shortened.gone, before, place))
                        end, kinds = place + length, _field_kinds(kind, arrays)
                    if count >= _AT_ONCE:
                        budget.count(count, PIECES)
                        count = 0
                case 0:
                    _, place = _read_varint(data, place)
                case 1:
                    place += 8
                case 5:
                    place += 4
    except IndexError:
        return data, ()


def restore_value(stored: bytes, kept_out: Sequence[memoryview]) -> bytes | memoryview:
    """Return an array of a Protocol Buffers message: its stored bytes, or the long value that was kept out."""
    if len(stored) == NUMBER:
        number = int.from_bytes(stored, "little")
        if number < len(kept_out):
            return kept_out[number]
    return stored


class _MessageShortener:
    """The bytes of a message with something else in the place of long values, and the lengths that are changed by it.

    A length takes as many bytes as before, so that each is known as soon as its message has ended.
    """

    def __init__(self, data: bytes) -> None:
        self.gone = 0  # bytes so far
        self._data, self._view = data, memoryview(data)
        self._kept_out: list[memoryview] = []
        self._changes: list[tuple[int, int, bytes]] = []

    def keep_out(self, before: int, start: int, end: int) -> None:
        """Keep a long value out of a Protocol Buffers message; its length is given from `before` to `start`."""
        number = len(self._kept_out).to_bytes(NUMBER, "little")
        self._changes.append((before, end, _write_varint(NUMBER, start - before) + number))
        self._kept_out.append(self._view[start:end])
        self.gone += end - start - NUMBER

    def end_message(self, gone: int, before: int, start: int, end: int) -> None:
        """Correct the length, from `before` to `start`, of a message at whose beginning `gone` bytes were kept out."""
        self._changes.append((before, start, _write_varint(end - start - (self.gone - gone), start - before)))

    def result(self) -> tuple[bytes, Sequence[memoryview]]:
        """Return the shortened Protocol Buffers message, and the values that were kept out."""
        if not self._changes:
            return self._data, ()
        data, position = BytesIO(), 0
        for start, end, changed in sorted(self._changes):
            data.write(self._view[position:start])
            data.write(changed)
            position = end
        data.write(self._view[position:])
        return data.getvalue(), self._kept_out


def _write_varint(number: int, width: int) -> bytes:
    """Return an integer of variable length, padded to a width in bytes."""
    return bytes(number >> 7 * place & 127 | (128 if place < width - 1 else 0) for place in range(width))


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    """Return an integer of variable length of Protocol Buffers, and the position after it."""
    number = data[place]
    place += 1
    if number < 128:
        return number, place
    number &= 127
    for shift in range(7, 70, 7):
        byte = data[place]
        place += 1
        number |= (byte & 127) << shift
        if byte < 128:
            break
    return number, place


@lru_cache
def _field_kinds(descriptor: Any, arrays: str) -> dict[int, Any]:
    """Return the kinds of a Protocol Buffers message's fields by their numbers: nested message, text or array."""
    return {
        number: field.message_type or (_ARRAY if field.full_name == arrays else _TEXT)
        for number, field in descriptor.fields_by_number.items()
        if field.message_type is not None or field.type == field.TYPE_STRING or field.full_name == arrays
    }
