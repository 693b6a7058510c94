"""Sequences whose items are built on access: of a long run, only those that are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice
from typing import Any, TypeVar, overload

T = TypeVar("T", covariant=True)
MAX_WORKED = 20  # steps that are all worked through; of more, the first and the last
MAX_OPEN = 3  # steps that are all open: of more, one on a page, and backward in text the first and the last
MAX_KEPT = 64  # items that stay: those that were used last
MAX_TABLE_ROWS = 40  # rows that a table of steps has
END_ROWS = 20  # rows of a longer one: those of the first steps, and the last one


class Lazy(Sequence[T]):
    """A sequence of so many items, each made by a function of its place."""

    def __init__(self, count: int, make: Callable[[int], T]) -> None:
        self._count, self._make = count, lru_cache(MAX_KEPT)(make)

    def __len__(self) -> int:
        return self._count

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (tuple(self),)  # a pickle holds the items, and not what makes them

    @overload
    def __getitem__(self, key: int) -> T: ...

    @overload
    def __getitem__(self, key: slice) -> Sequence[T]: ...

    def __getitem__(self, key: int | slice) -> T | Sequence[T]:
        places = range(self._count)[key]
        return self._make(places) if isinstance(places, int) else Lazy(len(places), lambda n: self[places[n]])


def ends(count: int, make: Callable[[int], T], *, every: bool) -> tuple[Sequence[T], int]:
    """Return the table rows of the first places and of the last one, and the number left out; of few places, all."""
    if every or count <= MAX_TABLE_ROWS:
        return Lazy(count, make), 0
    places = [*range(END_ROWS - 1), count - 1]
    return tuple(map(make, places)), count - END_ROWS


class Groups(Sequence[T]):
    """A sequence of the items of groups, each of which its maker returns when it is needed."""

    def __init__(self, makers: Sequence[Callable[[], Iterable[T]]]) -> None:
        self.groups = Lazy(len(makers), lambda n: tuple(makers[n]()))

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self.groups)

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (tuple(self),)

    def __len__(self) -> int:
        return sum(map(len, self.groups))

    @overload
    def __getitem__(self, key: int) -> T: ...

    @overload
    def __getitem__(self, key: slice) -> Sequence[T]: ...

    def __getitem__(self, key: int | slice) -> T | Sequence[T]:
        if isinstance(key, slice) and None is not key.stop >= 0 and (key.start or 0) >= 0:
            return tuple(islice(self, key.start, key.stop, key.step))
        if isinstance(key, slice) or key < 0:
            return tuple(self)[key]
        for item in islice(self, key, None):
            return item
        raise IndexError("there are not so many")
