"""gatewise reproduce: a finding of the literature, found again in a trained example."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from gatewise.cli.inspect import wrapped
from gatewise.cli.usage import flowing
from gatewise.examples import Reproduction
from gatewise.examples import reproduce as reproduction_of
from gatewise.examples.literature import REPRODUCTIONS

if TYPE_CHECKING:
    ReproductionName = str
else:
    ReproductionName = Literal[tuple(REPRODUCTIONS)]


def reproduce(
    name: Annotated[ReproductionName, Parameter(help="The example of the finding.")],
    /,
) -> None:
    """Find again what a paper found, in an example model.

    The finding is computed while you wait, in seconds. gatewise prints what the paper found, what it found here, and
    the calls of Python that find it, so that you can ask the same of your own model.

    flipflop has the fixed points of three bits (Sussillo & Barak 2013). agreement has units for the number of a distant
    noun (Lakretz et al. 2019). river has a cell state that holds snow (Lees et al. 2022). quotes has a unit that
    follows quotation marks (Karpathy et al. 2015).

    For example:

        gatewise reproduce flipflop
        gatewise reproduce river
    """
    for line in lines(reproduction_of(name)):
        print(line)


def lines(answer: Reproduction) -> Iterator[str]:
    """Yield what `gatewise reproduce` prints, in lines of at most 80 columns; calls are not broken."""
    yield from wrapped(answer.source, "", "  ")
    yield from ("", "Published")
    yield from wrapped(answer.published, "  ", "  ")
    yield from ("", "Found here")
    for sentence in answer.found:
        yield from wrapped(sentence, "  ", "    ")
    yield from ("", "The calls", *(f"  {call}" for call in answer.calls))


reproduce.__doc__ = flowing(reproduce.__doc__)
