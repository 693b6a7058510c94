"""The bytes of a protobuf message, looked through before they become one: how many pieces they are, and their texts.

A message of protobuf takes two bytes in a file and several hundred in memory, so that a small file may fill it. What is
counted are the stretches of bytes that a file is made of: messages, each as `MESSAGE` elements, and texts and arrays,
each as one.
"""

from __future__ import annotations

from typing import Any

from gatewise.budget import Budget

MESSAGE = 4  # a message that is parsed, and is an object of Python as well once it is looked at
PIECES = "pieces"
_AT_ONCE = 4096  # elements that are taken off together
_TEXT = "text"


def look_through(data: bytes, descriptor: Any, budget: Budget) -> None:
    """Count the pieces of a message, in the order in which they are parsed, and require that its texts are UTF-8.

    Bytes that make no message end the count: where parsing ends as well.

    Raises
    ------
    FileError
        If there are more than its budget has.
    UnicodeDecodeError
        If one is no text where there must be one.
    """
    fields = _Fields()
    around: list[tuple[int, Any]] = []  # of the messages around this position: their ends, and their fields
    place, end, known, count = 0, len(data), fields.of(descriptor), 0
    try:
        while True:
            while place >= end:
                if not around:
                    budget.count(count, PIECES)
                    return
                end, known = around.pop()
            tag, place = _number(data, place)
            match tag & 7:
                case 0:
                    _, place = _number(data, place)
                case 1:
                    place += 8
                case 5:
                    place += 4
                case 2:
                    length, place = _number(data, place)
                    if place + length > end:
                        return
                    kind = known.get(tag >> 3)
                    count += 1
                    if kind is _TEXT:
                        data[place : place + length].decode()
                    if kind is None or kind is _TEXT:
                        place += length
                    else:
                        count += MESSAGE - 1
                        around.append((end, known))
                        end, known = place + length, fields.of(kind)
                    if count >= _AT_ONCE:
                        budget.count(count, PIECES)
                        count = 0
    except IndexError:
        return


def _number(data: bytes, place: int) -> tuple[int, int]:
    """Return an integer of variable length, and the position after it."""
    found = data[place]
    place += 1
    if found < 128:
        return found, place
    found &= 127
    for shift in range(7, 70, 7):
        more = data[place]
        place += 1
        found |= (more & 127) << shift
        if more < 128:
            break
    return found, place


class _Fields:
    """What the fields of each message are, by number: a message's descriptor, or text; others are not asked for."""

    def __init__(self) -> None:
        self._of: dict[str, dict[int, Any]] = {}

    def of(self, descriptor: Any) -> dict[int, Any]:
        """Return the fields of a message."""
        if descriptor.full_name not in self._of:
            self._of[descriptor.full_name] = {
                number: one.message_type or _TEXT
                for number, one in descriptor.fields_by_number.items()
                if one.message_type is not None or one.type == one.TYPE_STRING
            }
        return self._of[descriptor.full_name]
