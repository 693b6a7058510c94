"""Write a network as a header of C: its state at rest, its error, and the comment that says them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from textwrap import wrap

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.c_header.document import LEAST, TIMES, Header, TestRun, cell_sizes, header_parts
from gatewise.c_header.graph_header import graph_parts, signature
from gatewise.c_header.rest import Rest, rest_of, silence_of
from gatewise.c_header.stages import flat_state, require_forward
from gatewise.cell import LSTMCell
from gatewise.errors import OptionError
from gatewise.files.replacing import beside, path_of
from gatewise.layers import LSTM
from gatewise.network import Branch, Network
from gatewise.network.graph_network import GraphNetwork
from gatewise.network.step_graph import step_graph

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
NUMBERS = 512  # of a test run's input, about
USE = """\
{name}_state state;  {name}_reset(&state);  then for each step {name}_step(&state, x, y)."""


@dataclass(frozen=True, eq=False, repr=False)
class CHeader:
    """A network as a header of C.

    Attributes
    ----------
    text : str
        The header, in ASCII.
    name : str
        With which every name in it begins.
    flash, ram : int
        The bytes of its tables; of a state and of what a step needs beside it.
    error : float
        Of the run that it is tested with, in NumPy's float32, against float64: relative to numbers above 1.
    rest : array or None
        The state at rest, layer by layer: h, c.
    sentences : tuple of str
        What is to be known of it: about the state at rest, and how the network is run.
    """

    text: str
    name: str
    flash: int
    ram: int
    error: float
    rest: Array | None
    sentences: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<CHeader {self.name}: {self.flash:,} bytes of tables, {self.ram:,} of state and work>"


def write_c(
    network: Network | LSTM | GraphNetwork,
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    rest: str | npt.ArrayLike = "silence",
) -> CHeader:
    """Write a network as one header of C99 and C++11 that keeps its state from step to step.

    Parameters
    ----------
    network : Network, LSTM or GraphNetwork
        Any that runs forward only; of a graph of operations, any that is causal and whose operations C can express.
        Weights are written as float32.
    path : path
        The file to write.
    name : str, optional
        With which every name in the header begins: a letter, then letters, digits and underscores, 40 at most. By
        default that of the file.
    rest : {"silence", "none"} or array (features,)
        The input that counts as silence, in the data's own unit; ``silence`` is zeros. The header has the state in
        which the network rests under it.

    Returns
    -------
    CHeader

    Raises
    ------
    OptionError
        If the network also runs backward, repeats its output at masked steps, or holds numbers that are not finite; if
        the name or the silent input is not allowed.
    FileError
        If the file cannot be written.

    Notes
    -----
    It runs the network for some steps in float32 and float64, and up to 20,000 steps of silence. The search for other
    states at rest is that of `gatewise.insight.fixed_points`, layer by layer.

    Examples
    --------
    >>> import tempfile, gatewise as gw
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     gw.write_c(gw.LSTM(1, 8, rng=0), f"{folder}/amp.h")
    <CHeader amp: 1,344 bytes of tables, 192 of state and work>
    """
    target = path_of(path)
    name = _default_name(target) if name is None else name
    if isinstance(network, GraphNetwork):
        header = graph_header(network, name, rest)
    else:
        header = c_header(network if isinstance(network, Network) else Network(_lstm(network)), name, rest)
    with beside(target) as temporary:
        temporary.write_text(header.text, encoding="ascii")
    return header


def graph_header(network: GraphNetwork, name: str, rest: str | npt.ArrayLike = "silence") -> CHeader:
    """Return a network that is a graph of operations as a header of C; see `write_c`."""
    _require_name(name)
    if not isinstance(rest, str) or rest not in ("silence", "none"):
        raise OptionError(
            "gatewise can only find the state at rest of a Network. For a graph of operations, pass rest='none'."
        )
    parts, code, test, error = graph_parts(step_graph(network.graph), name)
    ram = 4 * (sum(size for group in code.states for _, size in group) + parts.work)
    sentences = ("No state at rest: it is not searched for in a graph of operations.",)
    lines = [*signature(network, code), *_usage(name)]
    comment = tuple(_comment(network, name, lines, (parts.flash, ram), error, test.tolerance, sentences))
    return CHeader(parts.text(comment), name, parts.flash, ram, error, None, sentences)


def _require_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise OptionError(f"name must be a letter, then letters, digits and underscores, 40 at most, not {name!r}")


def _lstm(model: object) -> LSTM:
    if isinstance(model, LSTM):
        return model
    if isinstance(model, LSTMCell):
        return LSTM.from_cells(model)
    raise OptionError(f"write_c takes a Network or an LSTM, not {type(model).__name__}")


def _default_name(path: Path) -> str:
    """Return the name of a file as a name in C."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", path.stem).strip("_").lower()[:40]
    return name if NAME.fullmatch(name) else "model"


def c_header(network: Network, name: str, rest: str | npt.ArrayLike = "silence") -> CHeader:
    """Return a network as a header of C; see `write_c`."""
    _require_name(name)
    require_forward(network)
    _require_finite(network)
    silence = silence_of(network, rest if isinstance(rest, str) else np.asarray(rest))
    exact, single = _in_precision(network, np.float64), _in_precision(network, np.float32)
    test, error = _test_run(exact, single)
    resting = Rest(None, ("none was asked for",)) if silence is None else rest_of(exact, silence)
    initial = None if network.initial is None else flat_state(network.initial)
    if network.embedding is not None and rest == "silence":
        resting = Rest(None, ("a network of tokens has none",))
    about = "State at rest: " if resting.state is not None else "No state at rest: "
    sentences = (f"{about}{'; '.join(resting.sentences)}.", *_remarks(network))
    parts = header_parts(Header(single, name, initial, resting.state, test))
    ram = 4 * (sum(map(sum, cell_sizes(network))) + parts.work)
    labels = network.labels
    names = [("Inputs", network.feature_names), ("Outputs", labels.outputs)]
    lines = [f"{title}: {', '.join(values)}" for title, values in names if values and network.embedding is None]
    comment = tuple(
        _comment(network, name, [*lines, *_usage(name)], (parts.flash, ram), error, test.tolerance, sentences)
    )
    return CHeader(parts.text(comment), name, parts.flash, ram, error, resting.state, sentences)


def _require_finite(network: Network) -> None:
    """Refuse a network whose numbers C cannot write."""
    arrays = [array for row in network.lstm.layers for cell in row for array in cell.parameters.arrays().values()]
    layers = [*network.dense, *(layer for branch in network.branches for layer in branch.layers)]
    arrays += [array for layer in layers for array in (layer.weight, np.asarray(layer.bias))]
    arrays += [] if network.embedding is None else [network.embedding]
    with np.errstate(over="ignore"):
        if not all(np.isfinite(np.asarray(array, np.float32)).all() for array in arrays):
            raise OptionError("this network has NaN, infinity or numbers beyond float32, which a header cannot hold")


def _in_precision(network: Network, dtype: npt.DTypeLike) -> Network:
    """Return a network in float32 or float64, which reads every step."""
    kind = np.dtype(dtype)
    initial = network.initial
    return network.replace(
        lstm=network.lstm.astype(kind),
        embedding=None if network.embedding is None else network.embedding.astype(kind),
        head=[layer.astype(kind) for layer in network.dense],
        branches=[Branch(b.features, [layer.astype(kind) for layer in b.layers]) for b in network.branches],
        initial=initial and [[type(s)(s.h.astype(kind), s.c.astype(kind)) for s in row] for row in initial],
        reads="every",
        windows=None,
    )


def _test_run(exact: Network, single: Network) -> tuple[TestRun, float]:
    """Return the run that a header is tested with, and the error of NumPy's float32 in it."""
    rng, features = np.random.default_rng(0), exact.num_features
    steps = max(4, min(64, NUMBERS // features))
    if exact.embedding is not None:
        x: Array = rng.integers(0, len(exact.embedding), steps).astype(np.float64)
    else:
        x = rng.normal(size=(steps, features))
        x = (x if exact.inputs is None else exact.inputs.undo(x)).astype(np.float32).astype(np.float64)
    fed = x if exact.embedding is None else x.astype(np.int64)
    wide, narrow = (net.trace(fed, engine="reference") for net in (exact, single))
    state, y = flat_state(wide.state), np.asarray(wide.output, np.float64)
    off = [np.abs(a - b) / (1 + np.abs(a)) for a, b in ((y, narrow.output), (state, flat_state(narrow.state)))]
    error = float(max(array.max(initial=0) for array in off))
    return TestRun(x, y, state, max(LEAST, TIMES * error)), error


def _remarks(network: Network) -> Iterator[str]:
    """Yield what is to be known of how a header runs a network."""
    if network.reads == "last":
        yield "y is what the network puts out if the sequence ends at this step."
    if network.windows is not None:
        yield "The network is evaluated in windows elsewhere; here the state goes on from step to step."
    if network.embedding is not None:
        yield f"x[0] is a token, from 0 to {len(network.embedding) - 1}; any other gives NaN until the next reset."
    if network.masked is not None:
        yield f"A step whose input is {network.masked:g} leaves the state as it is."


def _usage(name: str) -> list[str]:
    """Return what a header says of its functions."""
    return [
        USE.format(name=name),
        f"{name}_block runs n steps, bit for bit as {name}_step. Define {name.upper()}_WITH_GATES for"
        f" {name}_step_gates, which also gives i, f, g and o of each layer; {name.upper()}_TEST for {name}_test;"
        f" {name.upper()}_PLAIN for C without vectors; {name.upper()}_INTRINSICS for vectors as MSVC takes them.",
        f"A NaN in x stays in the state, so y stays NaN until the next reset. {name}_is_finite checks the state.",
        "Compile with -std=gnu99 or -ffp-contract=fast: without fused products it is slower. Link with -lm.",
        "",
    ]


def _comment(
    network: Network | GraphNetwork,
    name: str,
    about: Sequence[str],
    sizes: tuple[int, int],
    error: float,
    tolerance: float,
    sentences: tuple[str, ...],
) -> Iterator[str]:
    """Yield the lines of a header's comment."""
    flash, ram = sizes
    lines = [f"{name}: {network!r}".replace("<", "").replace(">", ""), ""]
    if network.provenance is not None:
        attributes = network.provenance.attributes()
        lines += [f"From {attributes['model_file']}", *str(attributes["model_sha256"]).splitlines()]
    lines += [f"Written by gatewise {version('gatewise')}. The licence of the weights is that of the model.", ""]
    lines += [
        *about,
        f"Tables: {flash:,} bytes. State and work: {ram:,} bytes.",
        f"{name}_test allows an error of {tolerance:.1e} (relative above 1); NumPy's float32 has {error:.1e} there.",
        *sentences,
    ]
    for line in lines:
        plain = line.encode("ascii", "backslashreplace").decode().replace("*/", "* /").replace("/*", "/ *")
        plain = "".join(letter if letter.isprintable() else " " for letter in plain)
        yield from wrap(plain, 110, break_on_hyphens=False) or [""]
