"""Programs rewritten: for a loss of the last states, with weights as they act, and for a cell of given sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache, partial

from gatewise.symbolic.formula import Formula, Product, Slice, Symbol, rebuild
from gatewise.symbolic.program import Assignment, Carry, Program
from gatewise.symbolic.symbols import COLUMNS, DH, DH_NEXT, DY, RECURRENT


@lru_cache(256)
def of_last_states(program: Program) -> Program:
    """Return a program for a loss that depends on the last states alone: all that arrives at h is carried to it."""
    return replace(
        program,
        given=tuple(
            replace(entry, symbol=DH) if entry.symbol == DH_NEXT else entry
            for entry in program.given
            if entry.symbol != DY
        ),
        backward=tuple(entry for entry in program.backward if entry.left != DH),
        carry_backward=tuple(
            Carry(DH, entry.source) if entry.into == DH_NEXT else entry for entry in program.carry_backward
        ),
    )


@lru_cache(256)
def with_weights_as_they_act(program: Program) -> Program:
    """Return a program whose weights are those that DropConnect leaves; their gradients are as they were."""

    def drop_mask(node: Formula) -> Formula | None:
        """Return the weights of a product of weights and their DropConnect mask; None keeps any other node."""
        match node:
            case Product((Symbol("W" | "U") as weights, Symbol("D"))):
                return weights
        return None

    return replace(
        program, forward=_changed(program.forward, drop_mask), backward=_changed(program.backward, drop_mask)
    )


@lru_cache(256)
def sized(program: Program, recurrent: int, columns: int) -> Program:
    """Return a program for a cell of these sizes: its slices of vectors begin and end at numbers."""
    return with_ends(program, {RECURRENT: recurrent, COLUMNS: columns})


def with_ends(program: Program, ends: Mapping[int | str, int]) -> Program:
    """Return a program whose slices of vectors begin and end at other places, by name or number."""
    return replace(program, backward=_changed(program.backward, partial(at_ends, ends=ends)))


def at_ends(node: Formula, ends: Mapping[int | str, int]) -> Formula | None:
    """Return a slice of a vector that begins and ends at other places, or None for another node: for `rebuild`."""
    if not isinstance(node, Slice):
        return None
    return Slice(node.vector, *(ends.get(end, end) for end in (node.start, node.stop)))


def _changed(assignments: Iterable[Assignment], change: Callable[[Formula], Formula | None]) -> tuple[Assignment, ...]:
    return tuple(replace(line, right=rebuild(line.right, change)) for line in assignments)
