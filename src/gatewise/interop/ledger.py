"""The ledger of a model's file: each tensor, node, attribute and input is used, or left out with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from typing import Any, NamedTuple, TypeVar

from gatewise.errors import join_names, shown

LONGEST = 1000  # characters of a sentence
UNKNOWN = "what it changes is unknown"
MOST = 4  # names that a sentence lists


class LedgerEntry(NamedTuple):
    """A tensor, node, attribute or input of a model's file.

    Attributes
    ----------
    name : str
        Its whole name in the file.
    kind : str
        ``tensor``, ``node``, ``attribute`` or ``input``.
    layer : str
        The LSTM or the other layer that it belongs to, as `Contents` names it; empty if it belongs to none.
    reason : str
        Why it is left out; empty if its layer uses it.
    effect : str
        What it would change, as a clause; empty if that is nothing that a run computes.
    lstms : tuple of str
        The LSTMs whose numbers, or whose input or output, it would change; or another layer, if it changes that alone.
    """

    name: str
    kind: str = "tensor"
    layer: str = ""
    reason: str = ""
    effect: str = ""
    lstms: tuple[str, ...] = ()

    @property
    def used(self) -> bool:
        """Whether a layer uses it."""
        return not self.reason


CODE = LedgerEntry(
    "the code of the module",
    "node",
    reason="it is read for the axes of LSTMs alone",
    effect="what it does between its layers is not read",
)
Ledger = tuple[LedgerEntry, ...]
Item = TypeVar("Item")


class OnDemand(Sequence[Item]):
    """The ledger of a large file, or the names of what a layer of it is made of, made when it is first asked for.

    `left_out` returns those of its entries that may concern an LSTM, and maybe others, without making all.
    """

    def __init__(
        self, make: Callable[[], Iterable[Item]], left_out: Callable[[], Iterable[Item]] | None = None
    ) -> None:
        self._make = make
        self.left_out = cache(left_out or (lambda: self._items))

    @cached_property
    def _items(self) -> tuple[Item, ...]:
        return tuple(self._make())

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


def account(kinds: Mapping[str, str], layers: Iterable[Any], known: Iterable[LedgerEntry] = ()) -> Ledger:
    """Return the ledger of a file.

    Parameters
    ----------
    kinds : mapping of str to str
        What each name in the file is: all that there is.
    layers : iterable of StoredLSTM, StoredLayer or Refused
        Each uses its `entries`; those of a layer that is refused are left out for the same reason.
    known : iterable of LedgerEntry
        What is known of others, or better known: why they are left out, for example. The rest is unknown.
    """
    ledger: dict[str, LedgerEntry] = {}
    for layer in layers:
        reason = getattr(layer, "reason", "")
        effect = f"{layer.name} cannot be read" if reason else ""
        for name in layer.entries:
            kind = kinds.get(name, "tensor")
            ledger.setdefault(name, LedgerEntry(name, kind, layer.name, reason, effect))
    ledger |= {entry.name: entry for entry in known}
    for name, kind in kinds.items():
        if name not in ledger:
            reason = f"no layer that is read has {'an' if kind[0] in 'ai' else 'a'} {kind} of this name"
            ledger[name] = LedgerEntry(name, kind, name.rpartition(".")[0], reason, UNKNOWN)
    return tuple(ledger.values())


def owners_by_prefix(names: Iterable[str]) -> Callable[[str], str]:
    """Return a function from the path of an entry to the layer, of those names, with which it begins; empty if none."""
    layers = {*names}
    lengths = sorted({len(name) for name in layers}, reverse=True)

    def owner(path: str) -> str:
        inside = (path[:length] for length in lengths if path[length : length + 1] in ("", "."))
        return next((name for name in inside if name in layers), "")

    return owner


def looked_up_entries(
    entries: Iterable[tuple[str, bool]],
    owner: Callable[[str], str],
    lstms: Iterable[str],
    unknown: str,
    idle: Callable[[str], str] = lambda path: "",
    kind: str = "attribute",
) -> Iterator[LedgerEntry]:
    """Yield the ledger of entries in a file's dictionaries, by their paths and whether a reader looked them up.

    `owner` returns the layer of a path, `idle` the reason why one that nothing looked up changes nothing. Any other is
    left out for the reason `unknown`, and concerns the LSTM that it is of, else all of `lstms`.
    """
    names = tuple(lstms)
    concerned = {name: (name,) for name in names}
    for path, used in entries:
        layer = owner(path)
        if used or (reason := idle(path)):
            yield LedgerEntry(path, kind, layer, "" if used else reason)
        else:
            yield LedgerEntry(path, kind, layer, unknown, UNKNOWN, concerned.get(layer, names))


def concerning(ledger: Iterable[LedgerEntry], names: Iterable[str]) -> list[LedgerEntry]:
    """Return the parts that are left out of a file's LSTM, known by its name and those of its layers."""
    wanted = {*names}
    entries = ledger.left_out() if isinstance(ledger, OnDemand) else ledger
    return [entry for entry in entries if entry.reason and wanted.intersection(entry.lstms)]


def grouped(entries: Iterable[LedgerEntry], *attributes: str) -> dict[tuple[str, ...], list[LedgerEntry]]:
    """Return entries of a ledger in groups of which all have the same `attributes`."""
    groups: dict[tuple[str, ...], list[LedgerEntry]] = {}
    for entry in entries:
        groups.setdefault(tuple(getattr(entry, name) for name in attributes), []).append(entry)
    return groups


def clauses(entries: Iterable[LedgerEntry]) -> str:
    """Return entries that are left out of a file as the end of a sentence: each reason, or each effect if many."""
    groups, entries = [], list(entries)
    by_reason = grouped(entries, "effect", "reason")
    for group in (by_reason if len(by_reason) <= MOST else grouped(entries, "effect")).values():
        names = join_names([shown(entry.name, 80) for entry in group], "and", most=MOST)
        reason = group[0].reason + " and others" * (len({entry.reason for entry in group}) > 1)
        groups.append(f"{names} ({', '.join(filter(None, (reason, group[0].effect)))})")
    return shown(join_names(groups, most=MOST, separator="; "), LONGEST)
