"""The gates of an LSTM: their names, and their order in every framework, as data.

gatewise's own order is i, f, g, o: input gate, forget gate, candidate, output gate. Keras writes c for the candidate,
and papers often c̃; every order below is in gatewise's letters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.errors import OptionError, one_of

LETTERS = "ifgo"
NAMES = ("input_gate", "forget_gate", "candidate", "output_gate")
PEEPHOLES = "ifo"  # the gates that have peepholes, in the order of the rows of a peephole array

ORDERS = {
    "gatewise": "ifgo",
    "pytorch": "ifgo",
    "cudnn": "ifgo",
    "equinox": "ifgo",
    "keras": "ifgo",
    "onnx": "iofg",
    "haste": "igfo",
    "haiku": "igfo",
    "tensorflow": "igfo",
    "deeplearning4j": "gfoi",
}


def index(gate: str) -> int:
    """Return the index of a gate on the gate axis, given its name or its letter."""
    if gate in NAMES:
        return NAMES.index(gate)
    if len(gate) == 1 and gate in LETTERS:
        return LETTERS.index(gate)
    raise OptionError(f"there is no gate {gate!r}; allowed: {', '.join(NAMES)}")


def of(array: Array, letter: str, order: str = LETTERS) -> Array:
    """Return one gate's part of an array whose first axis holds the gates in `order`."""
    part: Array = array[order.index(letter)]
    return part


def reorder(array: npt.NDArray[Any], source: str, target: str = "gatewise", *, axis: int = 0) -> npt.NDArray[Any]:
    """Permute the gate axis of an array from one framework's order to another's.

    Orders are keys of `ORDERS`; the axis has an entry for each of the four gates.

    Examples
    --------
    >>> reorder(np.array(["i", "o", "f", "g"]), "onnx").tolist()
    ['i', 'f', 'g', 'o']
    """
    one_of("source", source, tuple(ORDERS))
    one_of("target", target, tuple(ORDERS))
    return np.take(array, [ORDERS[source].index(gate) for gate in ORDERS[target]], axis=axis)
